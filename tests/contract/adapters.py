"""Every way to serve an app over HTTP, behind one face: an HTTP request in, the HTTP reply out.

To bring in another cloud, write a ``Start`` for it and add its ``Adapter`` to ``ADAPTERS``: the whole suite runs on it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from functions_framework import create_app
from functions_framework.aio import create_asgi_app
from httpx import ASGITransport, AsyncClient
from staging import stage

import inngest_serverless
from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.gateway import TRIGGERS, HttpReply, from_lambda_reply, to_lambda_event
from inngest_serverless.local.rie import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import ExitStack

    Invoke = Callable[[Mapping[str, Any]], Any]
    Exchange = Callable[[str, str, Mapping[str, str], bytes], HttpReply]
    Start = Callable[["Bench", str, Mapping[str, str]], Exchange]

HERE = Path(__file__).parent
ROOT = Path(inngest_serverless.__file__).parents[1]
SERVE_URL = "https://rec.example.com/api/inngest"
NOW = 1_795_308_509.25
GCF_SOURCE = HERE / "recorded_app_gcf.py"
SERVERS_OWN_HEADERS = {"connection", "content-length", "date", "server"}
_COUNTER = count(1)

_FOREIGN_VARIABLES = ("INNGEST_", "AWS_LAMBDA_FUNCTION", "K_SERVICE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """What adapters work with: the test's own patches, and the processes that all tests share."""

    monkeypatch: pytest.MonkeyPatch
    clock: Clock
    test: ExitStack
    session: ExitStack
    fixture: Callable[[str], Any]
    runtimes: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True)
class Adapter:
    """A way to serve an app.

    Attributes:
        name: Its name in test IDs.
        framework: What replies must name in X-Inngest-Framework.
        start: Serves a handler ("module.attribute") with some environment variables.
        is_real: Whether it is the cloud's own runtime, in a process of its own and by the real clock.
    """

    name: str
    framework: str
    start: Start
    is_real: bool = False


@dataclass(frozen=True)
class Caller:
    """An app that is being served: call it with method, URL, headers and body."""

    adapter: Adapter
    exchange: Exchange
    clock: Clock | None

    def __call__(
        self, method: str, url: str = SERVE_URL, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> HttpReply:
        return self.exchange(method, url, headers or {}, body)

    def now(self) -> float:
        """The time that the app goes by."""
        return time.time() if self.clock is None else self.clock()

    def set_time(self, now: float) -> None:
        """Set the app's clock, unless it is the real one."""
        if self.clock is not None:
            self.clock.now = now


def in_process(bench: Bench, handler: str, env: Mapping[str, str]) -> Invoke:
    """A cold start in this process: imports the handler's module anew, with these variables and the bench's clock."""
    _set_up_process(bench, env)
    module, _, attribute = handler.partition(".")
    sys.modules.pop(module, None)
    function = getattr(import_module(module), attribute)
    # Lambda hands over JSON and takes JSON: what does not survive that would fail there.
    return lambda event: json.loads(json.dumps(function(json.loads(json.dumps(event)), None)))


def _set_up_process(bench: Bench, env: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.upper().startswith(_FOREIGN_VARIABLES)]:
        bench.monkeypatch.delenv(name)
    for name, value in env.items():
        bench.monkeypatch.setenv(name, value)
    bench.monkeypatch.setattr(time, "time", bench.clock)


def in_lambda_runtime(bench: Bench, handler: str, env: Mapping[str, str]) -> Invoke:
    """The real Lambda runtime; started once for each handler and environment, or once more for a fresh bench."""
    runtime: LambdaRuntime = _runtime(bench, partial(LambdaRuntime, handler, cwd=HERE), (handler,), env)
    return runtime.invoke


def in_built_function(bench: Bench, handler: str, env: Mapping[str, str]) -> Invoke:
    """As ``in_lambda_runtime``, with the package as a deployment builds it, and an interpreter that has none of it."""
    python, artifact = bench.fixture("bare_python"), bench.fixture("artifact")
    start = partial(LambdaRuntime, handler, cwd=HERE, python=python)
    runtime: LambdaRuntime = _runtime(bench, start, ("built", handler), {"PYTHONPATH": str(artifact), **env})
    return runtime.invoke


def _runtime(bench: Bench, start: Callable[..., Any], what: tuple[str, ...], env: Mapping[str, str]) -> Any:
    """A runtime in a process of its own: what it runs and its variables tell which of those that are there will do."""
    variables = {"PYTHONPATH": str(ROOT), **env}
    if bench.fresh:
        return bench.test.enter_context(start(env=variables))
    key = (*what, *sorted(env.items()))
    if key not in bench.runtimes:
        bench.runtimes[key] = bench.session.enter_context(start(env=variables))
    return bench.runtimes[key]


def _start_lambda(
    host: Callable[[Bench, str, Mapping[str, str]], Invoke],
    trigger: str,
    bench: Bench,
    handler: str,
    env: Mapping[str, str],
) -> Exchange:
    invoke = host(bench, handler, env)

    def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        return from_lambda_reply(trigger, invoke(to_lambda_event(trigger, method, url, headers, body)))

    return exchange


def _start_wsgi(bench: Bench, handler: str, env: Mapping[str, str]) -> Exchange:
    """The app that functions-framework makes for WSGI servers, in this process."""
    _set_up_process(bench, env)
    _keep_to_the_test(bench)
    client = create_app(_gcf_name(handler), GCF_SOURCE, "http").test_client()

    def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        sent = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        reply = client.open(url, method=method, headers=sent, data=body)
        return HttpReply(reply.status_code, _own_headers(reply.headers.items()), reply.get_data())

    return exchange


def _start_asgi(bench: Bench, handler: str, env: Mapping[str, str]) -> Exchange:
    """The app that functions-framework makes for ASGI servers, in this process."""
    _set_up_process(bench, env)
    _keep_to_the_test(bench)
    app = create_asgi_app(f"asgi_{_gcf_name(handler)}", GCF_SOURCE, "http")

    async def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        async with AsyncClient(transport=ASGITransport(app)) as client:
            sent = [(name.encode(), value.encode()) for name, value in headers.items()]
            reply = await client.request(method, url, headers=sent, content=body)
            return HttpReply(reply.status_code, _own_headers(reply.headers.items()), reply.content)

    return lambda *request: asyncio.run(send(*request))


def _start_framework(bench: Bench, handler: str, env: Mapping[str, str]) -> Exchange:
    """The real functions-framework as the platform runs it by default."""
    start = partial(FunctionsFramework, _gcf_name(handler), source=GCF_SOURCE)
    return _exchange_with(_runtime(bench, start, ("framework", handler), env), {})


def _start_switchboard(server: str, target: str, bench: Bench, handler: str, env: Mapping[str, str]) -> Exchange:
    """The real functions-framework with another server: one process for all apps, which would take long to start."""
    start = partial(_staged_framework, target, server)
    framework = _runtime(replace(bench, fresh=False), start, ("framework", target), {})
    settings = [_gcf_name(handler), dict(env), next(_COUNTER) if bench.fresh else 0]
    return _exchange_with(framework, {"X-Switchboard": json.dumps(settings)})


@contextmanager
def _staged_framework(target: str, server: str, env: Mapping[str, str]) -> Iterator[FunctionsFramework]:
    with TemporaryDirectory() as folder:
        variables = {**env, **stage(Path(folder), *HERE.glob("*.py"))}
        with FunctionsFramework(target, source=Path(folder, GCF_SOURCE.name), server=server, env=variables) as running:
            yield running


def _exchange_with(framework: FunctionsFramework, more: Mapping[str, str]) -> Exchange:
    def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        reply = framework.exchange(method, url, {**headers, **more}, body)
        return HttpReply(reply.status, _own_headers(reply.headers.items()), reply.body)

    return exchange


def _gcf_name(handler: str) -> str:
    return handler.replace(".", "_")


def _keep_to_the_test(bench: Bench) -> None:
    """What functions-framework changes in the process is put back after the test."""
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):
        bench.monkeypatch.setenv(name, "")
    bench.monkeypatch.setattr(sys, "path", [*sys.path])


def _own_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers without those that the server adds, the time among them."""
    return {name.lower(): value for name, value in headers if name.lower() not in SERVERS_OWN_HEADERS}


_GCF = "google-cloud-functions"
ADAPTERS = [
    *[Adapter(f"aws-{name}", "aws-lambda", partial(_start_lambda, in_process, name)) for name in TRIGGERS],
    Adapter("gcf-wsgi", _GCF, _start_wsgi),
    Adapter("gcf-asgi", _GCF, _start_asgi),
    Adapter("framework-debug", _GCF, partial(_start_switchboard, "debug", "switchboard"), True),
    Adapter("framework-asgi", _GCF, partial(_start_switchboard, "asgi", "asgi_switchboard"), True),
    Adapter("framework", _GCF, _start_framework, True),
    Adapter("built-function-url", "aws-lambda", partial(_start_lambda, in_built_function, "function-url"), True),
    *[Adapter(f"rie-{name}", "aws-lambda", partial(_start_lambda, in_lambda_runtime, name), True) for name in TRIGGERS],
]
ONE_OF_EACH_KIND = list({(each.framework, each.is_real): each for each in ADAPTERS}.values())
IN_PROCESS = [adapter for adapter in ADAPTERS if not adapter.is_real]


def as_parameters(adapters: list[Adapter]) -> list[Any]:
    """For ``parametrize("adapter", ..., indirect=True)``: what is real is marked as a test of real processes."""
    return [
        pytest.param(adapter, id=adapter.name, marks=[pytest.mark.integration] if adapter.is_real else [])
        for adapter in adapters
    ]
