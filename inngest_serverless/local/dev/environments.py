"""The execution environments of a Lambda function: as many as its calls overlap."""

from __future__ import annotations

from threading import Condition
from typing import TYPE_CHECKING, Any, Protocol

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Environment", "Environments"]


class Environment(Protocol):
    """One environment, that serves one call at a time."""

    @property
    def is_usable(self) -> bool:
        """Whether it takes further calls."""
        ...

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call the handler."""

    def stop(self) -> None:
        """End it, and a call that is under way."""


class Environments:
    """Environments. A call takes one that is idle, or else a new one; above the limit it waits for one.

    Lambda does the same, but for the wait: there a call too many is refused with a 429, and comes again later.

    Args:
        start: Starts one.
        most: How many there may be.
        first: One that has been started already.
    """

    def __init__(self, start: Callable[[], Environment], most: int, first: Environment | None = None) -> None:
        self._start = start
        self._most = most
        self._idle = [first] if first is not None else []
        self._count = len(self._idle)
        self._has_changed = Condition()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call the handler in one of them, and return its reply.

        Raises:
            LambdaInvocationError: The handler failed; or there is no environment to be had.
        """
        environment = self._take()
        try:
            return environment.invoke(event)
        finally:
            self._give_back(environment)

    def _take(self) -> Environment:
        with self._has_changed:
            self._has_changed.wait_for(lambda: self._idle or self._count < self._most)
            while self._idle:
                environment = self._idle.pop()
                if environment.is_usable:
                    return environment
                self._count -= 1
            self._count += 1
        try:
            return self._start()
        except BaseException as error:
            with self._has_changed:
                self._count -= 1
                self._has_changed.notify()
            if isinstance(error, ConfigurationError):
                raise LambdaInvocationError("Runtime.ImportModuleError", str(error)) from error
            raise

    def _give_back(self, environment: Environment) -> None:
        with self._has_changed:
            if environment.is_usable:
                self._idle.append(environment)
            else:
                self._count -= 1
            self._has_changed.notify()
        if not environment.is_usable:
            environment.stop()
