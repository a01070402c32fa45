"""Runs a handler in the real Lambda runtime: AWS's runtime interface emulator around ``python -m awslambdaric``.

How the emulator behaves (read off the one that aws-sam-cli 1.170 ships), and what :class:`LambdaRuntime` makes of it:

==============================  ==================================================  ====================================
what happens                    what the emulator answers                           what ``invoke`` raises
==============================  ==================================================  ====================================
the handler raises              200, {"errorMessage", "errorType", "stackTrace"...}  LambdaInvocationError, its type
the handler cannot be imported  502, the same shape, at every call                  the same, Runtime.ImportModuleError...
the process exits               502, {"errorType": "Runtime.ExitError", ...}        the same, with the end of the log
it exits before it is ready     502, no body                                        the same, Runtime.ExitError
the function's time is up       200, the text "Task timed out after 2.00 seconds"   the same, Sandbox.Timedout
a reply over 6,291,556 bytes    502, Function.ResponseSizeTooLarge                  the same
a request over that size        it passes the first 6,291,556 bytes on              RequestEntityTooLargeException, unsent
a second call during a call     it crashes                                          nothing: calls wait for one another
==============================  ==================================================  ====================================

Bytes pass through it unchanged in both directions. After an exit or a timeout the next call starts a new process.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from inngest_serverless.errors import ConfigurationError, InngestError
from inngest_serverless.local.rie_processes import end_session, find_emulator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LambdaInvocationError", "LambdaRuntime", "LambdaRuntimeError"]

_HOST = "127.0.0.1"
_INVOKE_PATH = "/2015-03-31/functions/function/invocations"
_MAX_PAYLOAD_BYTES = 6_291_556
_START_SECONDS = 30.0
_GRACE_SECONDS = 30.0  # for an answer after the function's own time is up: the emulator replaces the process first
_POLL_SECONDS = 0.005
_LOG_TAIL_LINES = 20
_TIMED_OUT = re.compile(r"Task timed out after [\d.]+ seconds")
_ERROR_KEYS = frozenset({"errorType", "errorMessage", "stackTrace", "requestId"})


class LambdaRuntimeError(InngestError):
    """The emulator did not start, died, or is not running; the message ends with the last lines of its log."""


class LambdaInvocationError(InngestError):
    """The invocation failed, as Lambda itself would have reported it.

    Attributes:
        error_type: Lambda's name for it: the exception's class name, or e.g. ``"Runtime.ImportModuleError"``.
        message: The exception's message.
        stack: The traceback's lines, or the end of the runtime's log where there is no traceback.
    """

    def __init__(self, error_type: str, message: str, stack: str = "") -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message
        self.stack = stack
        if stack:
            self.add_note(stack)


class LambdaRuntime:
    """A Lambda execution environment on this machine, as a context manager; Linux only, as the emulator is.

    Calls from several threads wait for one another: an execution environment serves one call at a time.

    Args:
        handler: What Lambda's own setting takes: ``"module.function"`` or ``"folder/module.function"``.
        cwd: The folder that the handler is imported from.
        emulator: The emulator's binary. Default: ``$AWS_LAMBDA_RIE``, then what scripts/setup or an installed
            aws-sam-cli brought, then ``aws-lambda-rie`` on PATH.
        python: The interpreter; it needs awslambdaric.
        env: Variables of the function. Of this process's own only PATH and HOME are passed on.
        timeout_seconds: The function's time; the first call's includes the import of the handler.
        function_name: What ``context.function_name`` says.
        memory_mb: What ``context.memory_limit_in_mb`` says; not enforced.

    Raises:
        ConfigurationError: On start: there is no emulator, or the interpreter or awslambdaric is missing.
        LambdaRuntimeError: On start: the emulator does not come up.
    """

    def __init__(
        self,
        handler: str,
        *,
        cwd: Path | str,
        emulator: Path | str | None = None,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        timeout_seconds: int = 60,
        function_name: str = "local",
        memory_mb: int = 512,
    ) -> None:
        self._handler = handler
        self._cwd = Path(cwd)
        self._emulator = emulator
        self._python = python
        self._env = dict(env or {})
        self._timeout_seconds = timeout_seconds
        self._function_name = function_name
        self._memory_mb = memory_mb
        self._one_call = threading.Lock()
        self._running: ExitStack | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._log_file: IO[bytes] | None = None
        self._last_log = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the runtime and the handler have written so far; after a stop, all they wrote."""
        file = self._log_file
        if file is None:
            return self._last_log
        # pread leaves the file's position alone: the processes that write share it.
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

    @property
    def pid(self) -> int:
        """The process ID of the emulator, which leads the session that the handler's process is in."""
        if self._process is None:
            raise LambdaRuntimeError("the Lambda runtime is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the emulator and waits until it accepts calls; the handler is imported by the first call."""
        if self._running is not None:
            raise LambdaRuntimeError("the Lambda runtime is running already")
        emulator = find_emulator(self._emulator, self._cwd)
        env = self._environment()
        with ExitStack() as stack:
            self._log_file = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(self._keep_log)
            port, api_port = (_reserve_port(stack) for _ in range(2))
            addresses = [f"--runtime-interface-emulator-address={_HOST}:{port}"]
            addresses += [f"--runtime-api-address={_HOST}:{api_port}"]
            self._process = subprocess.Popen(  # noqa: S603 - the emulator and interpreter that the caller named
                [emulator, *addresses, self._python, "-m", "awslambdaric", self._handler],
                cwd=self._cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=self._log_file,
                stderr=self._log_file,
                start_new_session=True,
            )
            stack.callback(end_session, self._process)
            self._await_emulator(self._process, port)
            timeout = self._timeout_seconds + _GRACE_SECONDS
            self._connection = http.client.HTTPConnection(_HOST, port, timeout=timeout)
            stack.callback(self._connection.close)
            atexit.register(self.stop)
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Ends the emulator, the handler's process and what it started; does nothing when it is not running."""
        running, self._running = self._running, None
        if running is None:
            return
        atexit.unregister(self.stop)
        running.close()
        self._process = self._connection = None

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Calls the handler and returns its reply, decoded.

        Args:
            event: What the handler receives, as JSON of at most 6,291,556 bytes.

        Raises:
            LambdaInvocationError: The handler raised, could not be imported, ran out of time, exited, or its reply
                or the event is too large.
            LambdaRuntimeError: The emulator is not running or died. It is stopped then, and can be started again.
        """
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > _MAX_PAYLOAD_BYTES:  # the emulator would cut it off without a word
            message = f"Request must be smaller than {_MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation"
            raise LambdaInvocationError("RequestEntityTooLargeException", message)
        with self._one_call:
            status, reply = self._exchange(body)
        return self._decode(status, reply)

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        connection = self._connection
        if connection is None:
            raise LambdaRuntimeError("the Lambda runtime is not running")
        try:
            connection.request("POST", _INVOKE_PATH, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except BaseException as error:
            # Also when the caller gave up: the emulator would crash at the next call, which comes during this one.
            self.stop()
            if isinstance(error, OSError | http.client.HTTPException):
                raise LambdaRuntimeError(f"the Lambda runtime gave no answer: {error!r}{self._log_tail()}") from error
            raise

    def _decode(self, status: int, body: bytes) -> Any:
        text = body.decode(errors="replace")
        if _TIMED_OUT.fullmatch(text):
            raise LambdaInvocationError("Sandbox.Timedout", text, self._log_tail())
        if status == http.HTTPStatus.BAD_GATEWAY and not body:
            raise LambdaInvocationError("Runtime.ExitError", "Runtime exited before it was ready", self._log_tail())
        try:
            reply: Any = json.loads(body)
        except ValueError as error:
            raise LambdaInvocationError("Runtime.InvalidReply", f"the reply is not JSON: {text[:200]}") from error
        if status != http.HTTPStatus.OK or _is_error(reply):
            raise self._invocation_error(reply)
        return reply

    def _invocation_error(self, reply: dict[str, Any]) -> LambdaInvocationError:
        lines = cast("list[str]", reply.get("stackTrace") or [])
        stack = "".join(lines) or self._log_tail()
        return LambdaInvocationError(str(reply.get("errorType")), str(reply.get("errorMessage")), stack)

    def _await_emulator(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((_HOST, port), timeout=1).close()
            except OSError:
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise LambdaRuntimeError(f"the Lambda runtime emulator did not start{self._log_tail()}")

    def _environment(self) -> dict[str, str]:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": "us-east-1",  # the region of the ARN that the emulator gives the function
            "AWS_LAMBDA_FUNCTION_NAME": self._function_name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._timeout_seconds),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._memory_mb),
            "LAMBDA_TASK_ROOT": str(self._cwd.absolute()),
            **self._env,
        }
        # From 3.12 on awslambdaric writes replies as UTF-8 instead of \u escapes, and tells by this variable.
        version = _runtime_version(self._python, self._cwd, env)
        return {"AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}", **env}

    def _keep_log(self) -> None:
        self._last_log, self._log_file = self.log, None

    def _log_tail(self) -> str:
        lines = self.log.splitlines()[-_LOG_TAIL_LINES:]
        return "\n  ".join(["\nThe log ends:", *lines]) if lines else ""


def _is_error(reply: Any) -> bool:
    """Tells an error from a reply. Lambda would say so in a header, but the emulator sends none."""
    if not isinstance(reply, dict):
        return False
    keys = cast("dict[str, Any]", reply).keys()
    return {"errorType", "errorMessage"} <= keys <= _ERROR_KEYS


def _reserve_port(stack: ExitStack) -> int:
    """Picks a free port and keeps it ours until the stack closes.

    The socket is bound and does not listen, so the system gives the port to nobody else, while the emulator, which
    binds with SO_REUSEADDR too, still may listen on it. The option comes after the bind: only then is the port unique.
    """
    holder = stack.enter_context(socket.socket())
    holder.bind((_HOST, 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return cast("int", holder.getsockname()[1])


def _runtime_version(python: str, cwd: Path, env: Mapping[str, str]) -> str:
    """Asks the interpreter for its version, e.g. ``"3.12"``, and whether it has awslambdaric."""
    program = "import sys, awslambdaric; print('%d.%d' % sys.version_info[:2])"
    try:
        # Without -I: the handler's folder and PYTHONPATH count, as they will for the runtime itself.
        ran = subprocess.run([python, "-c", program], cwd=cwd, env=env, capture_output=True, check=True)  # noqa: S603
    except OSError as error:
        raise ConfigurationError(f"cannot run {python} in {cwd}: {error}") from error
    except subprocess.CalledProcessError as error:
        reason = cast("bytes", error.stderr).decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigurationError(f"{python} cannot run Lambda functions: {reason}; pip install awslambdaric") from error
    return ran.stdout.decode().strip()
