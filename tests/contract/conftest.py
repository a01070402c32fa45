"""Fixtures of the contract suite: Inngest's API, and an app behind every adapter."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import aws_artifact
import pytest
from adapters import ADAPTERS, Adapter, Bench, Caller, Clock, as_parameters, in_lambda_runtime, in_process
from inngest_api import InngestApi

from inngest_serverless.local.functions_framework import FunctionsFramework

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from adapters import Invoke


@pytest.fixture(scope="session")
def session_bench() -> Iterator[tuple[ExitStack, dict]]:
    """What lasts as long as the session: the runtimes that were started, and their end."""
    with ExitStack() as stack:
        runtimes: dict = {}
        yield stack, runtimes
        # All at once, as each takes a while.
        for runtime in runtimes.values():
            if isinstance(runtime, FunctionsFramework):
                runtime.process.terminate()


@pytest.fixture(scope="session")
def running_api() -> Iterator[InngestApi]:
    with InngestApi() as api:
        yield api


@pytest.fixture
def api(running_api: InngestApi) -> InngestApi:
    """Inngest's API, as good as new."""
    running_api.reset()
    return running_api


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The serve function as a deployment builds it."""
    return aws_artifact.build(tmp_path_factory) / "ServeFunction"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has Lambda's runtime client, and nothing else."""
    return aws_artifact.lambda_python(tmp_path_factory.mktemp("python"), "awslambdaric")


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, session_bench: tuple[ExitStack, dict], request: pytest.FixtureRequest
) -> Iterator[Bench]:
    session, runtimes = session_bench
    with ExitStack() as stack:
        yield Bench(monkeypatch, Clock(), stack, session, request.getfixturevalue, runtimes)


@pytest.fixture(params=as_parameters(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Each adapter in turn; a test that is for some of them says so with ``as_parameters``."""
    return request.param


@pytest.fixture
def serve(adapter: Adapter, bench: Bench, api: InngestApi) -> Callable[..., Caller]:
    """Serves an app: ``serve("module.attribute", INNGEST_DEV="1")``; ``fresh=True`` shares no process with other tests."""

    def start(handler: str = "recorded_app.handler", *, fresh: bool = False, **env: str) -> Caller:
        variables = {"INNGEST_API_BASE_URL": api.url, "INNGEST_EVENT_API_BASE_URL": api.url, **env}
        exchange = adapter.start(replace(bench, fresh=fresh), handler, variables)
        return Caller(adapter, exchange, None if adapter.is_real else bench.clock)

    return start


@pytest.fixture
def caller(serve: Callable[..., Caller]) -> Caller:
    """The recorded app in dev mode."""
    return serve(INNGEST_DEV="1")


@pytest.fixture
def start_in_process(bench: Bench, api: InngestApi) -> Callable[..., Invoke]:
    """Starts a Lambda handler that takes events as they are: ``start_in_process("module.attribute", INNGEST_DEV="1")``."""
    return partial(_start_lambda, in_process, bench, api)


@pytest.fixture(
    params=[
        pytest.param(in_process, id="aws"),
        pytest.param(in_lambda_runtime, id="rie", marks=pytest.mark.integration),
    ]
)
def start_lambda(request: pytest.FixtureRequest, bench: Bench, api: InngestApi) -> Callable[..., Invoke]:
    """As ``start_in_process``, and in the real Lambda runtime as well."""
    return partial(_start_lambda, request.param, bench, api)


def _start_lambda(host: Callable[..., Invoke], bench: Bench, api: InngestApi, handler: str, **env: str) -> Invoke:
    return host(bench, handler, {"INNGEST_API_BASE_URL": api.url, **env})
