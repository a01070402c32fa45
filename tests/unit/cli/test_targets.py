"""What a developer points at is found, told apart, and answers over HTTP."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading

import pytest

from inngest_serverless import ConfigurationError, create_function, event_trigger, inngest_gcf, inngest_gcf_async
from inngest_serverless.local.gateway import TRIGGERS
from inngest_serverless.local.in_band import registration
from inngest_serverless.local.targets import NoModuleError, endpoint_of, load

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
URL = "https://app.example/api/inngest"
APP = """
    from inngest_serverless import (
        create_function, event_trigger, inngest_gcf, inngest_gcf_async, inngest_lambda
    )

    @create_function(id="one", trigger=event_trigger("t/one"))
    def one(ctx):
        return "café"

    @create_function(id="two", trigger=event_trigger("t/two"), retries=2)
    async def two(ctx):
        return 2

    several = [one, two]
    each = tuple(several)
    on_lambda = inngest_lambda(several, app_id="app")
    on_gcf = inngest_gcf(several, app_id="app")
    on_gcf_async = inngest_gcf_async(several, app_id="app")
"""
# The body of a first call, as recorded, without what nobody reads here.
CALL = {
    "ctx": {"run_id": "01", "attempt": 0, "max_attempts": 5, "stack": {"stack": [], "current": 0}},
    "event": {"id": "01", "name": "t/one", "data": {}, "ts": 1},
    "events": [{"id": "01", "name": "t/one", "data": {}, "ts": 1}],
    "steps": {},
}


@create_function(id="fn", trigger=event_trigger("t/fn"))
def fn(ctx):
    return ctx.event.data["text"]


def _call(endpoint, function_id="app-one"):
    reply = endpoint("POST", f"{URL}?fnId={function_id}&stepId=step", {"Accept": "ä"}, json.dumps(CALL).encode())
    return reply.status, json.loads(reply.body)


@pytest.mark.parametrize(
    ("attribute", "kind", "app_id"),
    [
        ("on_lambda", "lambda", "app"),
        ("on_gcf", "gcf", "app"),
        ("on_gcf_async", "gcf-async", "app"),
        ("one", "functions", "local"),
        ("several", "functions", "local"),
        ("each", "functions", "local"),
    ],
)
@pytest.mark.parametrize("separator", [":", "."])
def test_every_kind(attribute, kind, app_id, separator, write, tmp_path, monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "1")
    target = load(f"{write(APP)}{separator}{attribute}" if attribute else write(APP), cwd=tmp_path)
    assert target.kind == kind
    assert _call(target.endpoint, f"{app_id}-one") == (200, "café")
    reply = target.endpoint("GET", URL, {}, b"")
    assert json.loads(reply.body)["function_count"] == (1 if attribute == "one" else 2)
    assert reply.headers["x-inngest-framework"] == ("google-cloud-functions" if "gcf" in kind else "aws-lambda")


@pytest.mark.parametrize("attribute", ["on_lambda", "on_gcf", "on_gcf_async", "several"])
def test_registration(attribute, write, tmp_path, monkeypatch):
    """It is read without a word to Inngest: there is nobody at the address."""
    monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
    monkeypatch.setenv("INNGEST_BASE_URL", "http://127.0.0.1:9")
    document = registration(load(f"{write(APP)}:{attribute}", cwd=tmp_path).endpoint, url=URL, signing_key=KEY)
    assert [function["name"] for function in document["functions"]] == ["one", "two"]
    assert document["url"] == URL
    assert document["inspection"]["mode"] == "cloud"


def test_the_environment_counts_when_it_is_loaded(write, tmp_path, monkeypatch):
    name = write(APP)
    monkeypatch.setenv("INNGEST_DEV", "http://127.0.0.1:9999")
    endpoint = load(f"{name}:on_lambda", cwd=tmp_path).endpoint
    monkeypatch.setenv("INNGEST_DEV", "0")
    assert json.loads(endpoint("GET", URL, {}, b"").body)["mode"] == "dev"


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_lambda_triggers(trigger, write, tmp_path, monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "1")
    assert _call(load(f"{write(APP)}:on_lambda", cwd=tmp_path, trigger=trigger).endpoint) == (200, "café")


def test_functions_at_hand_take_options():
    endpoint = endpoint_of((item for item in [fn]), is_dev=True, app_id="mine")
    call = CALL | {"event": CALL["event"] | {"data": {"text": "hi"}}}
    call["events"] = [call["event"]]
    reply = endpoint("POST", f"{URL}?fnId=mine-fn&stepId=step", {}, json.dumps(call).encode())
    assert (reply.status, reply.body) == (200, b'"hi"')


def test_handlers_at_hand_have_their_options():
    with pytest.raises(ConfigurationError, match="has its options already: is_dev"):
        endpoint_of(inngest_gcf([fn], app_id="app"), is_dev=True)


@pytest.mark.parametrize("url", [URL, URL.replace("https:", "http:")])
@pytest.mark.parametrize("make", [inngest_gcf, inngest_gcf_async])
def test_the_platforms_headers(make, url, monkeypatch):
    """The public address is the one that was called, whatever the client says of itself."""
    monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
    endpoint = endpoint_of(make([fn], app_id="app"))

    def as_a_client(method, url, headers, body):
        return endpoint(method, url, headers | {"host": "evil.example", "x-forwarded-proto": "gopher"}, body)

    assert registration(as_a_client, url=url, signing_key=KEY)["url"] == url


def test_asgi_from_async_code_and_from_threads(monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "1")
    loops, meet = set(), threading.Barrier(3, timeout=30)

    async def handler(request):
        loops.add(asyncio.get_running_loop())
        await asyncio.to_thread(meet.wait)
        return await inner(request)

    inner = inngest_gcf_async([fn], app_id="app")
    endpoint = endpoint_of(handler)
    threads = [threading.Thread(target=endpoint, args=("GET", URL, {}, b"")) for _ in range(2)]
    for thread in threads:
        thread.start()

    async def main(endpoint):
        return endpoint("GET", URL, {}, b"").status

    assert asyncio.run(main(endpoint)) == 200
    for thread in threads:
        thread.join()
    assert len(loops) == 1, "a server has one event loop"
    [loop] = loops
    del endpoint, handler, threads
    gc.collect()
    assert loop.is_closed(), "the loop ends with its endpoint"


class TestHandlersOfTheirOwn:
    """Handlers are known by what they take, so they may be wrapped."""

    def test_lambda_gets_a_context(self):
        def handler(event, context):
            seconds = context.get_remaining_time_in_millis() // 1000
            return {"statusCode": 200, "headers": {}, "body": f"{context.function_name} {890 < seconds <= 900}"}

        assert endpoint_of(handler)("GET", URL, {}, b"").body == b"local True"

    def test_flask_makes_the_response(self):
        reply = endpoint_of(lambda request: ({"path": request.path}, 418, {"X-A": "b"}))("DELETE", URL, {}, b"")
        assert (reply.status, reply.headers["x-a"], json.loads(reply.body)) == (418, "b", {"path": "/api/inngest"})

    def test_the_platform_says_how_it_was_reached(self):
        endpoint = endpoint_of(lambda request: dict(request.headers))
        seen = json.loads(endpoint("GET", "http://x.example:8080/", {"Host": "y", "A": "b"}, b"").body)
        names = ("Host", "X-Forwarded-Proto", "X-Forwarded-For", "A")
        assert [seen[name] for name in names] == ["x.example:8080", "http", "127.0.0.1", "b"]

    def test_a_decorated_one(self, write, tmp_path):
        name = write("""
            import functions_framework

            @functions_framework.http
            def handler(request):
                return "hi"
        """)
        assert load(f"{name}:handler", cwd=tmp_path).kind == "gcf"

    @pytest.mark.parametrize(
        "handler",
        [lambda event, context: 1 / 0, lambda request: 1 / 0],
        ids=["lambda", "gcf"],
    )
    def test_what_it_raises_comes_through(self, handler):
        with pytest.raises(ZeroDivisionError):
            endpoint_of(handler)("GET", URL, {}, b"")

    def test_what_an_async_one_raises_comes_through(self):
        async def handler(request):
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            endpoint_of(handler)("GET", URL, {}, b"")

    def test_an_async_one_returns_a_response(self):
        async def handler(request):
            return "hi"

        with pytest.raises(ConfigurationError, match=r"returned str: return a starlette\.responses\.Response"):
            endpoint_of(handler)("GET", URL, {}, b"")


class TestSpellings:
    @pytest.mark.parametrize(
        "spelling",
        [
            "pkg.inner.on_lambda",
            "pkg.inner:on_lambda",
            "pkg/inner.on_lambda",
            "./pkg/inner.py:on_lambda",
            "pkg.holder:X.handler",
        ],
    )
    def test_of_a_handler(self, spelling, write, tmp_path, monkeypatch):
        for module in [name for name in sys.modules if name.partition(".")[0] == "pkg"]:
            monkeypatch.delitem(sys.modules, module)
        (tmp_path / "pkg").mkdir()
        (tmp_path / "pkg/__init__.py").touch()
        (tmp_path / f"{write(APP)}.py").rename(tmp_path / "pkg/inner.py")
        (tmp_path / "pkg/holder.py").write_text("from .inner import on_lambda\nclass X: handler = on_lambda\n")
        assert load(spelling, cwd=tmp_path).kind == "lambda"


class TestWhatIsNoTarget:
    @pytest.mark.parametrize(
        ("source", "target", "message"),
        [
            ("", "nowhere_to_be_found.handler", "there is no module nowhere_to_be_found in {cwd}: start in the folder"),
            ("", "{name}:handler", "'{name}:handler': {name} has no attribute 'handler'"),
            ("", "{name}.inner.handler", "{name} has no attribute 'inner.handler'"),
            ("", "{name}", "module {name} has no functions: name a handler or a list in it, as {name}:handler"),
            ("", "no target!", "write module:attribute or module.attribute"),
            ("", "{name}.missing:handler", "there is no module {name}.missing in"),
            (
                "x = 1 / 0",
                "{name}.handler",
                "importing {name} raised ZeroDivisionError: division by zero ({cwd}/{name}.py:1)",
            ),
            (
                "import nothing_here",
                "{name}.handler",
                "importing {name} raised ModuleNotFoundError: No module named 'nothing_here' ({cwd}/{name}.py:1)",
            ),
            (
                "def f(:",
                "{name}.handler",
                "importing {name} raised SyntaxError: invalid syntax ({cwd}/{name}.py:1)",
            ),
            ("raise SystemExit", "{name}:handler", "importing {name} raised SystemExit ({cwd}/{name}.py:1)"),
            ("handler = 3", "{name}:handler", "int is nothing to serve: give a handler, a function"),
            ("handler = [print]", "{name}:handler", "print is nothing to serve"),
            ("def fn(ctx): ...", "{name}:fn", "fn is a plain function: write @create_function(id=..., trigger=...)"),
            ("async def fn(x: 'Context[int]'): ...", "{name}:fn", "fn is a plain function: write @create_function"),
            ("def charge(cents: int): ...", "{name}:charge", "needs @create_function(...) above it"),
            (APP, "{name}:on_lambd", "{name} has no attribute 'on_lambd' (did you mean {name}:on_lambda?)"),
            (APP, "{name}:x", "(did you mean {name}:one, {name}:two, {name}:several, {name}:each, {name}:on_lambda,"),
            (
                APP,
                "{name}",
                "has several handlers: name one of them, {name}:on_lambda or {name}:on_gcf or {name}:on_gcf_async",
            ),
            (
                "from inngest_serverless import cron_trigger\n\ncron_trigger('99 * * * *')",
                "{name}",
                "e.g. '0 12 * * 5' for Fridays at 12:00 ({cwd}/{name}.py:3)",
            ),
            (
                APP + "    inngest_lambda([one, one, two], app_id='app')",
                "{name}",
                "function ID 'one' is used twice: each needs its own ({cwd}/{name}.py:19)",
            ),
            ("handler = []", "{name}:handler", "there are no functions in it"),
            ("def handler(): ...", "{name}:handler", "handler() is no handler: Lambda's takes (event, context)"),
            ("def handler(*args): ...", "{name}:handler", "a decorator that hides them needs functools.wraps"),
            ("async def handler(event, context): ...", "{name}:handler", "async handler(event, context) is no handler"),
            ("class handler:\n    def __init__(self, a, b): ...", "{name}:handler", "is no handler"),
        ],
    )
    def test_it_says_why(self, source, target, message, write, tmp_path):
        name = write(source)
        with pytest.raises(ConfigurationError) as raised:
            load(target.format(name=name), cwd=tmp_path)
        assert message.format(name=name, cwd=tmp_path) in str(raised.value)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("wanted", ["there:handler", "there.handler", "ther:handler"])
    def test_it_says_where_a_module_is(self, wanted, tmp_path):
        (tmp_path / "deep" / "down").mkdir(parents=True)
        for name in ("deep/__init__.py", "deep/down/__init__.py", "deep/down/there.py"):
            (tmp_path / name).touch()
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "pyvenv.cfg").touch()
        (tmp_path / "venv" / "there.py").touch()
        with pytest.raises(NoModuleError) as raised:
            load(wanted, cwd=tmp_path)
        assert ("(did you mean deep.down.there:handler?)" in str(raised.value)) is wanted.startswith("there")

    @pytest.mark.parametrize(
        ("packages", "hint"),
        [
            ((), "(cd src/app, then there:handler)"),
            (("src/app",), "(cd src, then app.there:handler)"),
            (("src/app", "src"), "(did you mean src.app.there:handler?)"),
        ],
    )
    def test_what_is_in_no_package_is_started_where_it_is(self, packages, hint, tmp_path):
        """There it finds the modules beside it, which it imports by their bare names."""
        (tmp_path / "src" / "app").mkdir(parents=True)
        (tmp_path / "src" / "app" / "there.py").touch()
        for folder in packages:
            (tmp_path / folder / "__init__.py").touch()
        with pytest.raises(NoModuleError) as raised:
            load("there:handler", cwd=tmp_path)
        assert str(raised.value).endswith(f"start in the folder that has it {hint}")


class TestAModuleAlone:
    """It means the same as the handler in it."""

    @pytest.mark.parametrize(
        "made",
        [
            "main = inngest_lambda(several, app_id='app')",
            "main = inngest_gcf(several, app_id='app')",
            "main = inngest_lambda(several, app_id='app', middleware=[PowertoolsMetrics()])",
            "handle = inngest_lambda(several, app_id='app')\n    def handler(event, context): return handle(event, context)",
        ],
    )
    def test_it_means_its_handler(self, made, write, tmp_path, monkeypatch):
        monkeypatch.setenv("INNGEST_DEV", "1")
        head = APP.partition("    on_lambda =")[0]
        name = write(f"{head}    from inngest_serverless import PowertoolsMetrics\n    {made}\n")
        target = load(name, cwd=tmp_path)
        assert target.attribute == ("handler" if "def handler" in made else "main")
        assert _call(target.endpoint) == (200, "café")

    def test_it_means_its_functions_where_it_has_none(self, write, tmp_path, monkeypatch):
        monkeypatch.setenv("INNGEST_DEV", "1")
        target = load(write(APP.partition("    on_lambda =")[0]), cwd=tmp_path)
        assert (target.kind, target.attribute) == ("functions", "")
        assert _call(target.endpoint, "local-one") == (200, "café")


class TestNoRegistration:
    def test_another_program(self):
        with pytest.raises(ConfigurationError, match=r"no handler of inngest_serverless \(HTTP status 200\)"):
            registration(endpoint_of(lambda request: "hi"), url=URL, signing_key=KEY)

    def test_a_key_in_the_code(self):
        endpoint = endpoint_of(fn, signing_key=KEY.replace("0", "1"))
        with pytest.raises(ConfigurationError, match="has another signing key, from its code"):
            registration(endpoint, url=URL, signing_key=KEY)

    def test_a_path_in_the_code(self):
        endpoint = endpoint_of(fn, signing_key=KEY, serve_path="/elsewhere")
        with pytest.raises(ConfigurationError, match=r"does not serve https://app\.example/api/inngest"):
            registration(endpoint, url=URL, signing_key=KEY)

    def test_switched_off(self):
        endpoint = endpoint_of(fn, signing_key=KEY, allow_in_band_sync=False, register_url="http://127.0.0.1:9/")
        with pytest.raises(ConfigurationError, match="did not give its registration: Inngest was not reached"):
            registration(endpoint, url=URL, signing_key=KEY)
