"""A Lambda execution environment in a process of its own: Python, and the handler in it. See ``worker``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.processes import end_session
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Found", "MissingTargetError", "ProcessEnvironment", "StoppedError", "TargetError"]


class TargetError(ConfigurationError):
    """The target cannot be loaded: its code has to change."""


class MissingTargetError(TargetError):
    """There is no such module."""


class StoppedError(ConfigurationError):
    """It was stopped while it started."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a target turned out to be.

    Attributes:
        kind: As in ``targets.Target``.
        module: The module.
        attribute: Where in it.
        file: The module's file.
        schemas: JSON schemas of the data of typed events, by the events' names.
    """

    kind: str
    module: str
    attribute: str
    file: str
    schemas: dict[str, Any]


class ProcessEnvironment:
    """An environment. One call at a time; the process ends with one that takes too long.

    Args:
        target: What to load, see ``targets.load``.
        cwd: The folder that it is imported from.
        env: Its variables, all of them.
        timeout_seconds: The function's time for a call.
    """

    def __init__(self, target: str, *, cwd: Path, env: Mapping[str, str], timeout_seconds: int) -> None:
        self._target = target
        self._cwd = cwd
        self._env = dict(env)
        self._timeout_seconds = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._life = Lock()
        self._one_call = Lock()
        self._is_stopped = False

    @property
    def is_usable(self) -> bool:
        """Whether it takes calls."""
        return not self._is_stopped and self._process is not None and self._process.poll() is None

    def start(self) -> Found:
        """Start the process, and wait until it has loaded the target.

        Raises:
            TargetError: The target cannot be loaded.
            StoppedError: It was stopped meanwhile.
        """
        with self._life:
            if self._is_stopped:
                raise StoppedError("stopped")
            process = self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "inngest_serverless.local.dev.worker", self._target],
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What the app writes goes to stderr, where ours goes as well.
                start_new_session=True,
            )
        line = self._read()
        if self._is_stopped:
            raise StoppedError("stopped")
        if not line:
            raise TargetError(f"target {self._target!r}: the process that imported it ended ({_ending(process)})")
        said = json.loads(line)
        if "failed" in said:
            raise (MissingTargetError if said["is_missing"] else TargetError)(said["failed"])
        return Found(**said)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Call the handler and return its reply.

        Raises:
            LambdaInvocationError: The handler raised or exited, its reply is no JSON, its time was up, or it was
                stopped.
        """
        call = json.dumps({"event": event, "timeout_seconds": self._timeout_seconds}).encode() + b"\n"
        is_late = Event()

        def expire() -> None:
            is_late.set()
            self.stop()

        with self._one_call:
            timer = Timer(self._timeout_seconds, expire)
            timer.daemon = True
            timer.start()
            line = self._write(call) and self._read()
            timer.cancel()
        if line:
            return _decoded(json.loads(line))
        if is_late.is_set():
            message = f"Task timed out after {self._timeout_seconds:.2f} seconds"
            raise LambdaInvocationError("Sandbox.Timedout", message)
        process = self._process
        ending = "it was stopped" if process is None else _ending(process)
        raise LambdaInvocationError("Runtime.ExitError", f"the runtime exited: {ending}")

    def stop(self) -> None:
        """End the process, and what it has started. A call that is under way fails."""
        with self._life:
            was_stopped, self._is_stopped = self._is_stopped, True
            process = self._process
            if process is None or was_stopped:
                return
            # It has nothing to tidy up. The group first: where there is no list of sessions, that is all there is.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            end_session(process)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was written and not read
                if pipe is not None:
                    pipe.close()

    def _write(self, line: bytes) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except (OSError, ValueError):  # it has ended, or was stopped
            return False
        return True

    def _read(self) -> bytes:
        """A line; empty where the process has ended, which may have written a part of one."""
        process = self._process
        if process is None or process.stdout is None:
            return b""
        try:
            line = process.stdout.readline()
        except ValueError:  # it was stopped
            return b""
        return line if line.endswith(b"\n") else b""


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _decoded(said: dict[str, Any]) -> Any:
    if "error" in said:
        error = said["error"]
        raise LambdaInvocationError(error["errorType"], error["errorMessage"], "".join(error["stackTrace"]))
    return said["reply"]
