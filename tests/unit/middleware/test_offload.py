"""Large results of steps: in a store, and back from it."""

from __future__ import annotations

import hashlib
import io
import json
import threading

import pytest
from engine_server import Both, Do, both, declare, hash_of
from hooked import Hooked, steps_of

from inngest_serverless import ConfigurationError
from inngest_serverless.encryption import EncryptionMiddleware
from inngest_serverless.offload import OffloadMiddleware
from inngest_serverless.stores import FileStore, GCSStore, S3Store

LARGE = "x" * 300_000
KEY = "first-key-" * 4


class Memory:
    """A store that notes what is asked of it."""

    def __init__(self):
        self.objects, self.puts, self.gets = {}, [], []

    def put(self, key, data):
        assert self.objects.get(key, data) == data, "a key got other data"
        self.objects[key] = data
        self.puts.append(key)
        return f"memory:{key}"

    def get(self, ref):
        self.gets.append(ref)
        return self.objects[ref.removeprefix("memory:")]


def one(value=LARGE):
    def script(ctx):
        a = yield Do("run", "a", lambda: value)
        yield Do("sleep", "nap", "1s")
        return a == value

    return script


def served(kind, script, *middleware, **options):
    return Hooked(declare(kind, script), middleware=middleware, **options)


@both
def test_a_large_result_goes_to_the_store_and_comes_back(kind):
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store))
    ran = server.call()
    [(key, data)] = store.objects.items()
    assert data == json.dumps(LARGE).encode()
    digest = hashlib.sha256(data).hexdigest()
    assert ran.op["data"] == {"__OFFLOADED__": True, "ref": f"memory:{key}", "bytes": len(data), "sha256": digest}
    assert key == f"01RUN/{digest}.json"
    assert server.run().json is True
    assert all(LARGE not in answer.body for _, answer in server.calls)


@both
@pytest.mark.parametrize(("size", "is_large"), [(98, False), (99, True)])
def test_the_threshold(kind, size, is_large):
    store = Memory()
    answer = served(kind, one("x" * size), OffloadMiddleware(store, threshold_bytes=100)).call()
    assert bool(store.objects) is is_large
    assert isinstance(answer.op["data"], dict) is is_large


def test_it_is_bytes_that_count():
    store = Memory()
    served("sync", one("☃" * 33), OffloadMiddleware(store, threshold_bytes=100)).call()
    assert len(store.objects) == 1


@both
@pytest.mark.parametrize(
    "value", [None, 5, "ü☃\ud800", [1, {"a": None}], {"data": 1}, {"name": "no event", "data": {}}], ids=ascii
)
def test_every_kind_of_value(kind, value):
    assert served(kind, one(value), OffloadMiddleware(Memory(), threshold_bytes=1)).run().json is True


@both
def test_a_result_that_looks_like_a_reference_comes_back_as_it_was(kind):
    """Or whoever writes such a result could have any object read."""
    value = {"__OFFLOADED__": True, "ref": "memory:somebody else's", "sha256": "0", "bytes": 1}
    store = Memory()
    assert served(kind, one(value), OffloadMiddleware(store)).run().json is True
    assert len(store.objects) == 1


@both
def test_an_event_that_looks_like_a_reference_is_an_event(kind):
    """Whoever sends it neither gets what belongs to other runs nor fails the run that waits for it."""
    store = Memory()
    digest = hashlib.sha256(b"5").hexdigest()
    store.objects["01OTHER/x.json"] = b"5"
    forged = {"__OFFLOADED__": True, "ref": "memory:01OTHER/x.json", "sha256": digest}

    def script(ctx):
        event = yield Do("wait_for_event", "w", event="c/d", timeout="1h")
        return event.data == forged

    memo = {"id": "01E", "name": "c/d", "data": forged, "ts": 1}
    answer = served(kind, script, OffloadMiddleware(store)).call(memos={hash_of("w"): memo})
    assert (answer.status, answer.json) == (200, True)
    assert store.gets == []


@both
def test_a_functions_result_that_looks_like_a_reference_comes_back_to_who_invokes_it(kind):
    value = {"__OFFLOADED__": True, "ref": "memory:somebody else's", "sha256": "0", "bytes": 1}
    store = Memory()

    def echo(ctx):
        return value
        yield

    def invoker(ctx):
        result = yield Do("invoke_by_id", "i", function_id="echo")
        return result == value

    sent = served(kind, echo, OffloadMiddleware(store)).call().json
    answer = served(kind, invoker, OffloadMiddleware(store)).call(memos={hash_of("i"): {"data": sent}})
    assert (answer.status, answer.json) == (200, True)
    assert "memory:somebody else's" not in store.gets


@both
@pytest.mark.parametrize(
    "value",
    [
        {"__OFFLOADED__": True},
        {"__OFFLOADED__": 1, "ref": "a", "sha256": "b"},
        {"__OFFLOADED__": True, "ref": 5, "sha256": "b"},
    ],
)
def test_what_is_no_reference_is_a_value(kind, value):
    store = Memory()
    assert served(kind, one(value), OffloadMiddleware(store)).run().json is True
    assert not store.objects


@both
def test_results_of_functions_and_failures_stay(kind):
    store = Memory()

    def script(ctx):
        if ctx.event.data.get("fail"):
            raise ValueError(LARGE)
        return LARGE
        yield

    assert served(kind, script, OffloadMiddleware(store)).run().json == LARGE
    assert served(kind, script, OffloadMiddleware(store), data={"fail": True}).call().status == 500
    assert not store.objects


@both
def test_a_retry_comes_to_the_same_key(kind):
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store))
    first = server.call().op["data"]
    assert server.call(attempt=1).op["data"] == first
    assert len(store.puts) == 2
    assert len(store.objects) == 1


@both
def test_parallel_steps_and_several_runs(kind):
    store = Memory()
    shared = OffloadMiddleware(store, threshold_bytes=10)

    def script(ctx):
        def branch(letter):
            return lambda: (yield Do("run", letter, lambda: ctx.run_id + letter * 20))

        return (yield Both(*map(branch, "abc")))

    server = served(kind, script, shared)
    results = {}
    for run_id in ("01ONE", "01TWO"):
        server.memos, server.order = {}, []
        plan = server.call(run_id=run_id)
        for step_id in steps_of(plan):
            server.remember(step_id, {"data": server.call_for(step_id, run_id=run_id, memos={}).op["data"]})
        results[run_id] = server.call(run_id=run_id).json
    assert results == {run_id: [run_id + letter * 20 for letter in "abc"] for run_id in ("01ONE", "01TWO")}
    assert sorted(key.partition("/")[0] for key in store.objects) == ["01ONE"] * 3 + ["01TWO"] * 3


def test_runs_in_several_threads_are_not_mixed_up():
    store = Memory()
    shared = OffloadMiddleware(store, threshold_bytes=1)
    barrier = threading.Barrier(4, timeout=60)
    data = {}

    def script(ctx):
        def work():
            barrier.wait()
            return ctx.run_id

        yield Do("run", "a", work)

    server = served("sync", script, shared)

    def call(run_id):
        data[run_id] = server.call(run_id=run_id).op["data"]["ref"]

    threads = [threading.Thread(target=call, args=(f"01RUN{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run_id, ref in data.items():
        assert ref.startswith(f"memory:{run_id}/")


# What is fetched.


@both
def test_warm_calls_do_not_fetch_again(kind):
    store = Memory()
    assert served(kind, one(), OffloadMiddleware(store)).run().json is True
    assert store.gets == []


@both
def test_cold_calls_fetch_once(kind):
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store))
    server.remember("a", {"data": server.call().op["data"]})
    cold = served(kind, one(), OffloadMiddleware(store))
    cold.memos, cold.order = server.memos, server.order
    assert cold.run().json is True
    assert len(store.gets) == 1


def test_what_is_fetched_belongs_to_the_call():
    """A call that changes a result in place does not change it for the next one."""
    store, seen = Memory(), []

    def script(ctx):
        a = yield Do("run", "a", lambda: [1])
        a.append(2)
        seen.append(list(a))
        yield Do("sleep", "nap", "1s")

    served("sync", script, OffloadMiddleware(store, threshold_bytes=1)).run()
    assert seen == [[1, 2], [1, 2]]


def test_the_cache_has_its_bounds():
    store = Memory()
    middleware = OffloadMiddleware(store, threshold_bytes=1, cache_bytes=250)
    cache = middleware._cache
    for name in "abc":
        cache.put((name, name), name.encode() * 100)
    assert [cache.get((name, name)) is not None for name in "abc"] == [False, True, True]
    cache.get(("b", "b"))
    cache.put(("d", "d"), b"d" * 100)
    assert [cache.get((name, name)) is not None for name in "bcd"] == [True, False, True]
    cache.put(("b", "b"), b"b" * 100)
    cache.put(("huge", "huge"), b"x" * 251)
    assert cache.get(("huge", "huge")) is None
    assert cache._size == sum(map(len, cache._kept.values())) == 200


def test_without_a_cache():
    store = Memory()
    assert served("sync", one(), OffloadMiddleware(store, cache_bytes=0)).run().json is True
    assert len(store.gets) == 2


# What goes wrong.


@both
def test_an_object_that_is_gone(kind):
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store, cache_bytes=0))
    reference = server.call().op["data"]
    server.remember("a", {"data": reference})
    store.objects.clear()
    answer = server.call()
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
    assert hash_of("a") in answer.json["message"]
    assert reference["ref"] in answer.json["message"]


@both
def test_an_object_that_is_not_what_was_stored(kind):
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store, cache_bytes=0))
    server.remember("a", {"data": server.call().op["data"]})
    [key] = store.objects
    store.objects[key] = b'"something else"'
    answer = server.call()
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
    assert "damaged" in answer.json["message"]
    assert "something else" not in answer.body


class Unwell(Memory):
    def put(self, key, data):
        raise OSError("the store is on fire")

    def get(self, ref):
        raise OSError("the store is on fire")


@both
def test_a_store_that_cannot_be_reached_is_tried_again(kind):
    answer = served(kind, one(), OffloadMiddleware(Unwell())).call()
    assert answer.ops == [("StepError", "a")]
    assert "step 'a' (300002 bytes) was not stored: OSError: the store is on fire" in answer.op["error"]["message"]
    server = served(kind, one(), OffloadMiddleware(Unwell()))
    server.remember("a", {"data": {"__OFFLOADED__": True, "ref": "memory:1", "bytes": 1, "sha256": "0"}})
    answer = server.call()
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (500, "false")
    assert f"step {hash_of('a')} was not fetched from memory:1: OSError" in answer.json["message"]


@pytest.mark.parametrize("store", [None, "s3://bucket", 5, Memory, object()])
def test_what_is_no_store(store):
    with pytest.raises(ConfigurationError, match="takes a store"):
        OffloadMiddleware(store)


@pytest.mark.parametrize(
    "options", [{"threshold_bytes": 0}, {"threshold_bytes": "1"}, {"threshold_bytes": True}, {"cache_bytes": -1}]
)
def test_wrong_numbers(options):
    with pytest.raises(ConfigurationError, match="number of bytes"):
        OffloadMiddleware(Memory(), **options)


# With encryption.


@both
def test_offloading_before_encryption_stores_what_is_encrypted(kind):
    """The order of the list is that of the way in; on the way out encryption comes first."""
    store = Memory()
    server = served(kind, one(), OffloadMiddleware(store), EncryptionMiddleware(KEY))
    reference = server.call().op["data"]
    assert reference["__OFFLOADED__"] is True
    [data] = store.objects.values()
    assert EncryptionMiddleware(KEY).decrypt(json.loads(data)) == LARGE
    answer = server.run()
    assert EncryptionMiddleware(KEY).decrypt(answer.json) is True


@both
def test_offloading_behind_encryption_encrypts_the_reference(kind):
    store = Memory()
    server = served(kind, one(), EncryptionMiddleware(KEY), OffloadMiddleware(store))
    sealed = server.call().op["data"]
    assert EncryptionMiddleware(KEY).decrypt(sealed)["__OFFLOADED__"] is True
    [data] = store.objects.values()
    assert json.loads(data) == LARGE
    assert EncryptionMiddleware(KEY).decrypt(server.run().json) is True


# The stores.


def check_store(store):
    ref = store.put("01RUN/abc.json", b"[1]")
    assert store.put("01RUN/abc.json", b"[1]") == ref
    assert store.get(ref) == b"[1]"
    for missing in (ref + "x", "", "nonsense", "file:", "file:..", "s3://other/inngest/01RUN/abc.json", "gs://other/x"):
        with pytest.raises(LookupError):
            store.get(missing)
    return ref


def test_a_folder(tmp_path):
    store = FileStore(tmp_path / "deep" / "down")
    assert check_store(store) == "file:01RUN/abc.json"
    assert [path.name for path in (tmp_path / "deep" / "down" / "01RUN").iterdir()] == ["abc.json"]
    (tmp_path / "secret").write_bytes(b"secret")
    for outside in ("file:../../secret", f"file:{tmp_path / 'secret'}", "file:01RUN", "file:01RUN/abc.json/x"):
        with pytest.raises(LookupError):
            store.get(outside)


@both
def test_a_run_with_a_folder(kind, tmp_path):
    assert served(kind, one(), OffloadMiddleware(FileStore(tmp_path), cache_bytes=0)).run().json is True


class FakeS3:
    """The methods of a boto3 client that are used, with their own names of arguments."""

    class NoSuchKeyError(Exception):
        response = {"Error": {"Code": "NoSuchKey"}}  # noqa: RUF012 - as botocore has it

    class AccessDeniedError(Exception):
        response = {"Error": {"Code": "AccessDenied"}}  # noqa: RUF012 - as botocore has it

    def __init__(self):
        self.objects = {}

    def put_object(self, *, Bucket, Key, Body, ContentType):  # noqa: N803 - boto3's own
        assert isinstance(Body, bytes)
        assert ContentType == "application/json"
        self.objects[Bucket, Key] = Body

    def get_object(self, *, Bucket, Key):  # noqa: N803 - boto3's own
        if Key.endswith("denied"):
            raise self.AccessDeniedError
        if (Bucket, Key) not in self.objects:
            raise self.NoSuchKeyError
        return {"Body": io.BytesIO(self.objects[Bucket, Key])}


class FakeGCS:
    """The methods of a google.cloud.storage client that are used."""

    class NotFoundError(Exception):
        code = 404

    class ForbiddenError(Exception):
        code = 403

    def __init__(self):
        self.objects = {}

    def bucket(self, name):
        return FakeBucket(self, name)


class FakeBucket:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def blob(self, name):
        return FakeBlob(self.client, (self.name, name))


class FakeBlob:
    def __init__(self, client, place):
        self.client, self.place = client, place

    def upload_from_string(self, data, *, content_type):
        assert content_type == "application/json"
        self.client.objects[self.place] = data

    def download_as_bytes(self):
        if self.place[1].endswith("denied"):
            raise self.client.ForbiddenError
        if self.place not in self.client.objects:
            raise self.client.NotFoundError
        return self.client.objects[self.place]


@pytest.mark.parametrize(("kind", "scheme", "client"), [(S3Store, "s3", FakeS3), (GCSStore, "gs", FakeGCS)])
@pytest.mark.parametrize("prefix", ["inngest/", "", "a/b-"])
def test_a_bucket(kind, scheme, client, prefix):
    fake = client()
    store = kind("my-bucket", prefix, client=fake)
    assert check_store(store) == f"{scheme}://my-bucket/{prefix}01RUN/abc.json"
    assert fake.objects == {("my-bucket", f"{prefix}01RUN/abc.json"): b"[1]"}
    with pytest.raises(Exception, match=r"^$") as caught:
        store.get(f"{scheme}://my-bucket/{prefix}denied")
    assert not isinstance(caught.value, LookupError)


@pytest.mark.parametrize(("kind", "client"), [(S3Store, FakeS3), (GCSStore, FakeGCS)])
def test_a_run_with_a_bucket(kind, client):
    middleware = OffloadMiddleware(kind("my-bucket", client=client()), cache_bytes=0)
    assert served("async", one(), middleware).run().json is True


@pytest.mark.parametrize(("kind", "package"), [(S3Store, "boto3"), (GCSStore, "google-cloud-storage")])
def test_a_bucket_without_its_package(kind, package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=f"pip install {package}"):
        kind("my-bucket")


@pytest.mark.parametrize(("kind", "module"), [(S3Store, "boto3"), (GCSStore, "google.cloud.storage")])
def test_a_client_is_made_on_first_use(kind, module, monkeypatch):
    from types import SimpleNamespace

    made = []

    def make(*args):
        made.append(args)
        return FakeS3() if kind is S3Store else FakeGCS()

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    monkeypatch.setattr(
        "importlib.import_module", lambda name: {module: SimpleNamespace(client=make, Client=make)}[name]
    )
    store = kind("my-bucket")
    assert not made
    check_store(store)
    assert made == [("s3",)] if kind is S3Store else [()]


def test_a_stores_text_shows_where_it_is(tmp_path):
    assert repr(S3Store("b", client=object())) == "S3Store('b', 'inngest/')"
    assert repr(GCSStore("b", "p", client=object())) == "GCSStore('b', 'p')"
    assert repr(FileStore(tmp_path)) == f"FileStore({str(tmp_path)!r})"
