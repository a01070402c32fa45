"""The Lambda runtime and functions-framework as parts of the dev server: quick to stop, and their logs are shown."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol

from inngest_serverless.errors import InngestError
from inngest_serverless.local.dev.environment import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.functions_framework import FunctionsFramework
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.rie import LambdaRuntime

__all__ = ["CloudFunction", "RuntimeEnvironment"]

_POLL_SECONDS = 0.1
_KILL_SECONDS = 0.05
# What the emulator says of itself; the lines of the handler are those that matter here.
_EMULATORS_OWN = re.compile(rb"(START|END|REPORT) RequestId: |\d.* \[[A-Z]+\] \(rapid\) ")


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def read_log(self, offset: int) -> bytes: ...


class _Part:
    """A server that may be stopped at any time, also while it starts."""

    def __init__(self, server: _Server, leader: Callable[[], int], shown: Callable[[bytes], None]) -> None:
        self._server = server
        self._leader = leader
        self._log = _Log(server, shown)
        self._starting = Lock()
        self._is_stopped = False

    def start(self) -> None:
        """Start it.

        Raises:
            StoppedError: It was stopped meanwhile.
            InngestError: It does not come up.
        """
        with self._starting:
            if self._is_stopped:
                raise StoppedError("stopped")
            try:
                self._server.start()
            except InngestError:
                if self._is_stopped:
                    raise StoppedError("stopped") from None
                raise
            self._log.follow()

    def stop(self) -> None:
        """End it at once, calls that are under way included."""
        self._is_stopped = True
        self._kill()
        while not self._starting.acquire(timeout=_KILL_SECONDS):
            self._kill()  # who waits for it to come up sees that it ended
        try:
            self._log.end()
            self._server.stop()
        finally:
            self._starting.release()

    def _kill(self) -> None:
        with suppress(InngestError, ProcessLookupError):
            os.kill(self._leader(), signal.SIGKILL)


class RuntimeEnvironment(_Part):
    """An execution environment in the real Lambda runtime.

    Args:
        runtime: The runtime.
        shown: Takes a line that the handler has written.
    """

    def __init__(self, runtime: LambdaRuntime, shown: Callable[[bytes], None]) -> None:
        self._runtime = runtime

        def show_handlers(line: bytes) -> None:
            if not _EMULATORS_OWN.match(line):
                shown(line)

        super().__init__(runtime, lambda: runtime.pid, show_handlers)

    @property
    def is_usable(self) -> bool:
        """Whether it takes calls: after a timeout or an exit it starts anew by itself."""
        return not self._is_stopped

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call the handler, as ``LambdaRuntime.invoke`` does."""
        return self._runtime.invoke(event)


class CloudFunction(_Part):
    """A function in the real functions-framework.

    Args:
        framework: The framework.
        shown: Takes a line that it or the function has written.
    """

    def __init__(self, framework: FunctionsFramework, shown: Callable[[bytes], None]) -> None:
        self._framework = framework
        super().__init__(framework, lambda: framework.process.pid, shown)

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send it a request, as ``FunctionsFramework.exchange`` does."""
        return self._framework.exchange(method, url, headers, body)


class _Log:
    """Shows what a server writes, line by line."""

    def __init__(self, server: _Server, shown: Callable[[bytes], None]) -> None:
        self._server = server
        self._shown = shown
        self._offset = 0
        self._rest = b""
        self._ending = Event()
        self._thread: Thread | None = None

    def follow(self) -> None:
        self._thread = Thread(target=self._follow, name="dev-log", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Show what is left."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._ending.wait(_POLL_SECONDS)
            while part := self._server.read_log(self._offset):
                self._offset += len(part)
                *lines, self._rest = (self._rest + part).split(b"\n")
                for line in lines:
                    self._shown(line)
        if self._rest:
            self._shown(self._rest)
