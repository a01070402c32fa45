"""One start of an app: what runs from one change of its files to the next."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.dev.cloud_run import CloudRun
from inngest_serverless.local.dev.environment import ProcessEnvironment
from inngest_serverless.local.dev.environments import Environments
from inngest_serverless.local.dev.lambda_gateway import LambdaGateway
from inngest_serverless.local.dev.limits import CLOUD_RUN, LAMBDA
from inngest_serverless.local.dev.servers import CloudFunction, RuntimeEnvironment
from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.rie import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from inngest_serverless.local.dev.environment import Found
    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["RUNTIMES", "Generation", "Setup"]

RUNTIMES = ("process", "rie")
_LAMBDA_SECONDS, _LONGEST_LAMBDA_SECONDS = 60, 900
_LAMBDA_KINDS = {"lambda", "functions"}
_NAMES = {"gcf": "gunicorn", "gcf-async": "asgi"}


@dataclass(frozen=True, slots=True)
class Setup:
    """How an app is served.

    Attributes:
        target: The target, see ``targets.load``.
        cwd: The folder that it is imported from.
        env: The variables of its processes, all of them.
        trigger: How a Lambda handler is called, one of ``gateway.TRIGGERS``; None for ``function-url``.
        stage: The stage of an API, or None.
        runtime: Where a Lambda handler runs, one of ``RUNTIMES``; None for ``process``.
        timeout_seconds: The function's time for a call; the platform's own usual one if None.
        environments: How many Lambda environments there may be.
    """

    target: str
    cwd: Path
    env: Mapping[str, str]
    trigger: str | None = None
    stage: str | None = None
    runtime: str | None = None
    timeout_seconds: int | None = None
    environments: int = 10

    @property
    def lambda_seconds(self) -> int:
        """The time of a Lambda function."""
        return self.timeout_seconds or _LAMBDA_SECONDS


class _Part(Protocol):
    def start(self) -> Any: ...
    def stop(self) -> None: ...


P = TypeVar("P", bound=_Part)


class Generation:
    """One start of an app.

    Args:
        setup: How it is served.
        told: Takes a line about what was refused.

    Attributes:
        calls: How many requests are under way.
        found: What the target turned out to be, once it has been started.
    """

    found: Found

    def __init__(self, setup: Setup, told: Callable[[str], None]) -> None:
        self.calls = 0
        self._setup = setup
        self._told = told
        self._parts: list[_Part] = []
        self._lock = Lock()
        self._is_stopped = False
        self._endpoint: Endpoint | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Sends it a request, once it has been started."""
        if self._endpoint is None:
            raise ConfigurationError("it has not been started")
        return self._endpoint

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped."""
        return self._is_stopped

    def start(self) -> None:
        """Load the target, find out what it is, and start what serves it.

        Raises:
            TargetError: The target cannot be loaded.
            StoppedError: It was stopped meanwhile.
            InngestError: What serves it does not come up.
        """
        first = self._environment()
        self.found = first.start()
        if self.found.kind in _LAMBDA_KINDS:
            self._endpoint = self._lambda(first)
        else:
            self._endpoint = self._cloud_function()
            first.stop()

    def stop(self) -> None:
        """End everything, at once."""
        with self._lock:
            self._is_stopped = True
            parts, self._parts = self._parts, []
        for part in parts:
            part.stop()

    def _own(self, part: P) -> P:
        """Have a part stopped with everything else."""
        with self._lock:
            if not self._is_stopped:
                self._parts.append(part)
                return part
        part.stop()  # so that it cannot be started
        return part

    def _environment(self) -> ProcessEnvironment:
        setup = self._setup
        env = {"AWS_LAMBDA_FUNCTION_NAME": "local", **setup.env}
        return self._own(ProcessEnvironment(setup.target, cwd=setup.cwd, env=env, timeout_seconds=setup.lambda_seconds))

    def _lambda(self, first: ProcessEnvironment) -> Endpoint:
        setup = self._setup
        if setup.lambda_seconds > _LONGEST_LAMBDA_SECONDS:
            raise ConfigurationError(f"--timeout: a Lambda function has {_LONGEST_LAMBDA_SECONDS} seconds at most")
        if setup.runtime == "rie":
            runtime = self._start_runtime()
            first.stop()
            environments = Environments(self._start_runtime, setup.environments, runtime)
        else:
            environments = Environments(self._start_environment, setup.environments, first)
        trigger = setup.trigger or "function-url"
        gateway = LambdaGateway(environments.invoke, trigger, LAMBDA[trigger], stage=setup.stage, told=self._told)
        return gateway.exchange

    def _start_environment(self) -> ProcessEnvironment:
        environment = self._environment()
        environment.start()
        return environment

    def _start_runtime(self) -> RuntimeEnvironment:
        setup, found = self._setup, self.found
        if found.kind != "lambda" or not found.attribute:
            raise ConfigurationError(
                f"--runtime rie: the Lambda runtime takes a handler, and {setup.target!r} is none: "
                "name what inngest_lambda returned"
            )
        runtime = LambdaRuntime(
            f"{found.module}.{found.attribute}", cwd=setup.cwd, env=setup.env, timeout_seconds=setup.lambda_seconds
        )
        environment = self._own(RuntimeEnvironment(runtime, _show))
        environment.start()
        return environment

    def _cloud_function(self) -> Endpoint:
        setup, found = self._setup, self.found
        for option, value in {"trigger": setup.trigger, "stage": setup.stage, "runtime": setup.runtime}.items():
            if value is not None:
                raise ConfigurationError(f"--{option} is for Lambda, and {setup.target!r} is a Cloud Function")
        seconds = setup.timeout_seconds or CLOUD_RUN.seconds
        framework = FunctionsFramework(
            found.attribute,
            source=found.file,
            server=_NAMES[found.kind],
            cwd=setup.cwd,
            env={"PYTHONUNBUFFERED": "1", **setup.env},
            # The platform gives up on a function, and the function goes on.
            timeout_seconds=2 * (seconds or 0) + 60,
        )
        function = self._own(CloudFunction(framework, _show))
        function.start()
        return CloudRun(function.exchange, replace(CLOUD_RUN, seconds=seconds), told=self._told).exchange


def _show(line: bytes) -> None:
    # Lambda's runtime writes a traceback as one line, with these in it.
    sys.stderr.write(f"{line.decode(errors='replace')}\n".replace("\r", "\n"))
    sys.stderr.flush()
