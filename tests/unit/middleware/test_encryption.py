"""What the server is shown of values, and that they come back as they were."""

from __future__ import annotations

import base64
import builtins
import gc
import json
import sys
from dataclasses import dataclass

import pytest
from client_api import Api
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from engine_server import Do, both, declare, hash_of
from hooked import Hooked, acting, memo
from hypothesis import given
from hypothesis import strategies as st

from inngest_serverless import Client, ConfigurationError, EventValidationError, create_function, event_trigger
from inngest_serverless.encryption import EncryptionMiddleware

SECRET = "S3CR3T-value"
KEY, OTHER, THIRD = "first-key-" * 4, "other-key-" * 4, b"third-key-012345" * 2
VALUES = [
    *(None, True, False, 0, -1.5, 10**30, "", SECRET, "ü☃\U0001f600", "\ud800", [], {}, [None, {"a": [SECRET]}]),
    {"__ENCRYPTED__": True},
    {"__ENCRYPTED__": True, "__STRATEGY__": "inngest-serverless/aes-gcm", "data": "made up"},
    {"data": {"data": 1}, "error": None, "name": "no event"},
]


def cipher(**options):
    return EncryptionMiddleware(KEY, **options)


def check_sealed(value):
    """A value is encrypted, and in the documented form."""
    assert value.keys() == {"__ENCRYPTED__", "__STRATEGY__", "data"}
    assert value["__ENCRYPTED__"] is True
    assert value["__STRATEGY__"] == "inngest-serverless/aes-gcm"
    return base64.b64decode(value["data"], validate=True)


def served(kind, script, *middleware, **options):
    return Hooked(declare(kind, script), middleware=middleware or [cipher()], **options)


# Results.


@both
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_results_of_steps_and_functions(kind, value):
    seen = []

    def script(ctx):
        seen.append((yield Do("run", "a", lambda: value)))
        return value

    server = served(kind, script)
    ran = server.call()
    check_sealed(ran.op["data"])
    assert SECRET not in ran.body
    last = server.run()
    check_sealed(last.json)
    assert SECRET not in last.body
    assert cipher().decrypt(last.json) == value
    assert seen == [value]


def test_the_form_on_the_wire_is_the_documented_one():
    """By the means of the documentation, not of the middleware."""
    sealed = check_sealed(cipher().encrypt({"a": SECRET}))
    key = HKDF(SHA256(), 32, None, b"inngest-serverless/aes-gcm").derive(KEY.encode())
    assert json.loads(AESGCM(key).decrypt(sealed[:12], sealed[12:], None)) == {"a": SECRET}
    sealed = check_sealed(EncryptionMiddleware(THIRD).encrypt([1]))
    assert AESGCM(THIRD).decrypt(sealed[:12], sealed[12:], None) == b"[1]"
    assert len(sealed) == 12 + len(b"[1]") + 16


def test_no_nonce_is_used_twice():
    one = cipher()
    assert len({check_sealed(one.encrypt(None))[:12] for _ in range(2000)}) == 2000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_is_encrypted_comes_back(value):
    one = cipher()
    assert one.decrypt(one.encrypt(value)) == value


@dataclass
class Card:
    number: str
    codes: frozenset[int]


@both
def test_typed_results(kind):
    card = Card(SECRET, frozenset({1, 2}))

    def draw() -> Card:
        return card

    def handler(ctx) -> Card:
        drawn = ctx.step.run("draw", draw)
        assert drawn == card
        return drawn

    async def async_handler(ctx) -> Card:
        drawn = await ctx.step.run("draw", draw)
        assert drawn == card
        return drawn

    make = create_function(id="fn", trigger=event_trigger("test/started"))
    server = Hooked(make(handler if kind == "sync" else async_handler), middleware=[cipher()])
    answer = server.run()
    assert cipher().decrypt(answer.json) == {"number": SECRET, "codes": [1, 2]}


@both
def test_what_json_cannot_hold_is_told_as_always(kind):
    def unwritable(ctx):
        return {"secret": {SECRET: object()}}
        yield

    step = served(kind, lambda ctx: (yield Do("run", "a", lambda: {1.5: {2}}))).call()
    assert step.op["error"]["name"] == "OutputError"
    assert step.op["error"]["message"].startswith("step 'a' returned a value that JSON cannot hold")
    whole = served(kind, unwritable).call()
    assert (whole.status, whole.json["name"]) == (400, "OutputError")


@both
def test_parallel_steps_and_sleeps(kind):
    from engine_server import Both

    def script(ctx):
        yield Do("sleep", "nap", "1s")
        event = yield Do("wait_for_event", "wait", event="test/other", timeout="1h")
        one, two = yield Both(lambda: (yield Do("run", "a", lambda: SECRET)), lambda: (yield Do("run", "b", lambda: 2)))
        return [event, one, two]

    server = served(kind, script)
    answer = server.run()
    assert cipher().decrypt(answer.json) == [None, SECRET, 2]
    assert all(SECRET not in reply.body for _, reply in server.calls)


@both
def test_errors_are_not_encrypted(kind):
    def fail():
        raise ValueError(SECRET)

    def script(ctx):
        yield Do("run", "a", fail)

    server = served(kind, script)
    answer = server.run()
    assert (answer.json["name"], answer.json["message"]) == ("ValueError", SECRET)


@both
def test_results_of_invoked_functions(kind):
    """The invoked function encrypts its result, and who invokes it decrypts it."""

    def script(ctx):
        return (yield Do("invoke_by_id", "call", function_id="other"))

    server = served(kind, script, results={"call": {"data": cipher().encrypt({"a": SECRET})}})
    assert cipher().decrypt(server.run().json) == {"a": SECRET}


@both
def test_it_can_be_switched_on_while_runs_are_under_way(kind):
    def script(ctx):
        a = yield Do("run", "a", lambda: SECRET)
        b = yield Do("run", "b", lambda: a + "!")
        return [a, b]

    server = served(kind, script)
    server.remember("a", {"data": SECRET})
    assert cipher().decrypt(server.run().json) == [SECRET, SECRET + "!"]


@both
def test_decrypt_only(kind):
    def script(ctx):
        a = yield Do("run", "a", lambda: 1)
        b = yield Do("run", "b", lambda: 2)
        return [a, b]

    server = served(kind, script, cipher(decrypt_only=True))
    server.remember("a", {"data": cipher().encrypt(10)})
    assert server.call().op["data"] == 2
    assert server.run().json == [10, 2]


# Keys.


@both
def test_rotation(kind):
    def script(ctx):
        a = yield Do("run", "a", lambda: 1)
        b = yield Do("run", "b", lambda: 2)
        return [a, b]

    old = EncryptionMiddleware(OTHER)
    new = EncryptionMiddleware(KEY, fallback_keys=[THIRD, OTHER])
    server = served(kind, script, new)
    server.remember("a", {"data": old.encrypt(1)})
    answer = server.run()
    assert cipher().decrypt(answer.json) == [1, 2], "what is new is encrypted with the new key"


@both
@pytest.mark.parametrize("data", ["", "AAAA", "no base64!", None, 5, base64.b64encode(bytes(64)).decode()])
def test_what_cannot_be_decrypted_is_a_final_error(kind, data):
    def script(ctx):
        yield Do("run", "a", lambda: 1)

    sealed = {**cipher().encrypt(SECRET), "data": data}
    server = served(kind, script)
    server.remember("a", {"data": sealed})
    answer = server.call()
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
    assert hash_of("a") in answer.json["message"]
    assert "fallback_keys" in answer.json["message"]


@both
def test_a_wrong_key_is_a_final_error_without_secrets(kind):
    def script(ctx):
        yield Do("run", "a", lambda: 1)

    sealed = EncryptionMiddleware(OTHER).encrypt(SECRET)
    server = served(kind, script, EncryptionMiddleware(KEY, fallback_keys=[THIRD]))
    server.remember("a", {"data": sealed})
    answer = server.call()
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
    for hidden in (KEY, OTHER, sealed["data"], SECRET):
        assert hidden not in answer.body


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_bit_that_was_changed_is_noticed(at):
    sealed = cipher().encrypt(SECRET)
    raw = bytearray(base64.b64decode(sealed["data"]))
    raw[at] ^= 1
    with pytest.raises(Exception, match="damaged"):
        cipher().decrypt({**sealed, "data": base64.b64encode(raw).decode()})


@pytest.mark.parametrize("strategy", ["inngest/libsodium", None, 5])
def test_what_another_sdk_has_encrypted_is_told(strategy):
    sealed = {"__ENCRYPTED__": True, "__STRATEGY__": strategy, "data": "AAAA"}
    with pytest.raises(Exception, match="what other SDKs have") as caught:
        cipher().decrypt(sealed)
    assert type(caught.value).__name__ == "NonRetriableError"


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 31, f"  {'x' * 31}\n ", b"", b"x" * 31, b"x" * 33, None, 5, ["x" * 32], True]
)
def test_keys_that_are_no_keys(key):
    with pytest.raises(ConfigurationError) as caught:
        EncryptionMiddleware(key)
    assert "32" in str(caught.value)
    assert "xxx" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        EncryptionMiddleware(KEY, fallback_keys=[key])


@pytest.mark.parametrize(
    "options", [{"fallback_keys": OTHER}, {"fallback_keys": THIRD}, {"event_field": ""}, {"event_field": None}]
)
def test_wrong_options(options):
    with pytest.raises(ConfigurationError):
        cipher(**options)


def test_a_line_break_behind_a_key_does_not_count():
    assert EncryptionMiddleware(f"{KEY}\n").decrypt(cipher().encrypt(1)) == 1


def test_a_key_of_text_is_not_the_key_of_its_bytes():
    text = "0123456789abcdef" * 2
    with pytest.raises(Exception, match="cannot be decrypted"):
        EncryptionMiddleware(text.encode()).decrypt(EncryptionMiddleware(text).encrypt(1))


def test_it_does_not_show_its_keys():
    one = EncryptionMiddleware(KEY, fallback_keys=[OTHER, THIRD])
    for text in (repr(one), str(one), str(vars(one)), repr(cipher)):
        assert "key-" not in text
    gc.collect()
    assert not any(isinstance(value, (str, bytes)) and "key-" in str(value) for value in gc.get_referents(vars(one)))


def test_without_the_package(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("cryptography"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'inngest-serverless\[encryption\]'"):
        cipher()


def test_the_package_is_not_needed_to_import_it():
    from surface import loaded_modules

    assert "cryptography" not in loaded_modules(
        f"import sys; sys.path[:0] = {sys.path!r}; import inngest_serverless.encryption"
    )


# Events.


@pytest.fixture
def event_api():
    with Api() as api:
        yield api


def sent(api):
    return [event["data"] for request in api.received for event in request.json]


def sending(*events):
    def script(ctx):
        return (yield Do("send_event", "send", list(events)))

    return script


@both
def test_one_field_of_events_that_a_step_sends(kind, event_api):
    data = {"n": 1, "id": 17, "encrypted": {"card": SECRET}}
    script = sending(
        {"name": "test/one", "data": data},
        {"name": "test/two", "data": {"n": 2}},
        {"name": "test/three", "data": {"n": 3, "encrypted": None}},
    )
    options = {"event_key": "key", "event_api_base_url": event_api.url}
    served(kind, script, **options).call()
    one, two, three = sent(event_api)
    assert (one["n"], one["id"], two) == (1, 17, {"n": 2})
    assert cipher().decrypt(one["encrypted"]) == {"card": SECRET}
    check_sealed(three["encrypted"])
    assert data["encrypted"] == {"card": SECRET}, "the user's own data is left alone"


def test_a_client_encrypts_as_well(event_api):
    client = Client(
        event_key="key", is_dev=True, event_api_base_url=event_api.url, middleware=[cipher(event_field="card")]
    )
    client.send({"name": "test/one", "data": {"n": 1, "card": SECRET, "encrypted": "not this one"}})
    [data] = sent(event_api)
    assert cipher().decrypt(data["card"]) == SECRET
    assert data["encrypted"] == "not this one"
    with pytest.raises(EventValidationError, match=r"data\.card\.secret is of type object"):
        client.send({"name": "test/one", "data": {"card": {"secret": object()}}})


def test_what_is_encrypted_already_is_not_encrypted_again(event_api):
    one = EncryptionMiddleware(KEY, fallback_keys=[OTHER])
    client = Client(event_key="key", is_dev=True, event_api_base_url=event_api.url, middleware=[one])
    before = [one.encrypt(1), EncryptionMiddleware(OTHER).encrypt(2)]
    lookalikes = [VALUES[-2], {"__ENCRYPTED__": True}, EncryptionMiddleware(THIRD).encrypt(3)]
    client.send_many(
        [{"name": "test/one", "data": {"n": n, "encrypted": value}} for n, value in enumerate([*before, *lookalikes])]
    )
    after = [data["encrypted"] for data in sent(event_api)]
    assert after[:2] == before
    assert [one.decrypt(value) for value in after[2:]] == lookalikes


@both
def test_decrypt_only_sends_events_as_they_are(kind, event_api):
    script = sending({"name": "test/one", "data": {"n": 1, "encrypted": SECRET}})
    served(kind, script, cipher(decrypt_only=True), event_key="key", event_api_base_url=event_api.url).call()
    assert sent(event_api) == [{"n": 1, "encrypted": SECRET}]


def telling(ctx):
    return {"data": ctx.event.data, "all": [event.data for event in ctx.events]}
    yield


@both
def test_events_that_start_a_run(kind):
    server = served(kind, telling, cipher(), acting(transform_output=lambda output: None))
    seal = cipher().encrypt
    for data, expected in (
        ({"n": 1, "encrypted": seal({"card": SECRET})}, {"n": 1, "encrypted": {"card": SECRET}}),
        # Whatever the field is called.
        ({"a": seal(1), "b": seal([2]), "c": {"d": "plain"}}, {"a": 1, "b": [2], "c": {"d": "plain"}}),
        (seal({"card": SECRET}), {"card": SECRET}),
        # The server puts fields of its own beside it.
        ({**seal({"card": SECRET}), "_inngest": {"fn_id": "x"}}, {"card": SECRET, "_inngest": {"fn_id": "x"}}),
        ({"n": 1}, {"n": 1}),
        ({}, {}),
    ):
        answer = server.call_with({"name": "test/started", "data": data, "ts": 1})
        assert cipher().decrypt(answer.json) == {"data": expected, "all": [expected]}


@both
def test_the_data_of_an_event_that_is_no_object(kind):
    answer = served(kind, telling).call_with({"name": "test/started", "data": cipher().encrypt([1])})
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")


@both
def test_an_event_that_cannot_be_decrypted_is_named(kind):
    sealed = EncryptionMiddleware(OTHER).encrypt(SECRET)
    for data in ({"card": sealed}, sealed):
        answer = served(kind, telling).call_with({"name": "test/started", "data": data})
        assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
        assert "test/started" in answer.json["message"]
        assert sealed["data"] not in answer.body


@both
def test_events_that_were_waited_for(kind):
    def script(ctx):
        event = yield Do("wait_for_event", "wait", event="test/other", timeout="1h")
        return {"name": event.name, "data": event.data}

    for data, expected in (
        ({"n": 1, "encrypted": cipher().encrypt(SECRET)}, {"n": 1, "encrypted": SECRET}),
        (cipher().encrypt({"a": SECRET}), {"a": SECRET}),
        ({"n": 1}, {"n": 1}),
    ):
        event = {"id": "01E", "name": "test/other", "data": data, "ts": 5}
        answer = served(kind, script, events={"wait": event}).run()
        assert cipher().decrypt(answer.json) == {"name": "test/other", "data": expected}


@both
def test_the_event_of_a_failed_run(kind):
    """It comes inside the event that tells of the failure."""
    seen = []

    def look(ctx):
        seen.append(ctx.failure.event.data)

    async def look_later(ctx):
        look(ctx)

    from inngest_serverless import inngest_lambda

    fn = declare(kind, telling, on_failure=look if kind == "sync" else look_later)
    server = Hooked(fn)
    serve = inngest_lambda([fn], app_id="app", is_dev=True, middleware=[cipher()])
    server.handler = lambda event, context: serve(
        {**event, "rawQueryString": "fnId=app-fn-failure&stepId=step"}, context
    )
    original = {"name": "test/started", "data": {"n": 1, "encrypted": cipher().encrypt(SECRET)}}
    data = {"error": {"name": "E", "message": "m"}, "event": original, "events": [original, None], "run_id": "01R"}
    answer = server.call_with({"name": "inngest/function.failed", "data": data})
    assert answer.status == 200, answer
    assert seen == [{"n": 1, "encrypted": SECRET}]


@both
def test_an_event_in_the_data_of_an_event_of_ones_own_is_left_alone(kind):
    inner = {"name": "x", "data": {"encrypted": cipher().encrypt(1)}}
    answer = served(kind, telling).call_with({"name": "test/started", "data": {"event": inner}})
    assert cipher().decrypt(answer.json)["data"] == {"event": inner}


@both
def test_other_middleware_before_and_behind_it(kind):
    """The one before it in the list is shown what goes over the wire, the one behind it what the user wrote."""
    seen = {"before": [], "behind": []}

    def looking(name):
        return acting(
            transform_input=lambda call: seen[name].append(memo(call, "a")["data"] if call.memos else None),
            transform_output=lambda output: seen[name].append(output.data),
        )

    def script(ctx):
        return (yield Do("run", "a", lambda: SECRET))

    server = served(kind, script, looking("before"), cipher(), looking("behind"))
    server.run()
    assert seen["behind"] == [None, SECRET, SECRET, SECRET]
    check_sealed(seen["before"][1])
    assert SECRET not in str(seen["before"])


def test_values_of_ones_own():
    """For what the middleware does not see: the payload of an invocation, a signal."""
    one = cipher()
    assert one.decrypt(one.encrypt({"a": SECRET})) == {"a": SECRET}
    assert one.decrypt({"plain": 1}) == {"plain": 1}
    with pytest.raises(TypeError):
        one.encrypt(object())
