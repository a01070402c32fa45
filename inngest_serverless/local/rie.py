"""Runs a handler in the real Lambda runtime: AWS's runtime interface emulator around ``python -m awslambdaric``.

How the emulator behaves (read off the one that aws-sam-cli 1.170 ships), and what :class:`LambdaRuntime` makes of it:

=================================  ================================================  ==================================
what happens                       what the emulator answers                         what ``invoke`` raises
=================================  ================================================  ==================================
the handler raises                 200, {"errorType", "errorMessage", "stackTrace"}  LambdaInvocationError, of its type
the handler cannot be imported     502, the same shape, at every call                Runtime.ImportModuleError, ...
the process exits                  502, {"errorType", "errorMessage"}                Runtime.ExitError, with the log
the process exits on the way up    502, no body                                      Runtime.ExitError, with the log
the function's time is up          200, "Task timed out after 2.00 seconds" as text  Sandbox.Timedout
the reply is over 6,291,556 bytes  502, {"errorType", "errorMessage"}                Function.ResponseSizeTooLarge
the event is over that size        cut off there, without a word                     RequestEntityTooLargeException
a call arrives during another      none: it crashes                                  nothing: they wait for each other
=================================  ================================================  ==================================

It passes bytes through unchanged in both directions. The call after an exit or a timeout starts a new process.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from inngest_serverless.errors import InngestError
from inngest_serverless.local.emulator import find_emulator, runtime_version
from inngest_serverless.local.processes import HOST, Program, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LambdaInvocationError", "LambdaRuntime", "LambdaRuntimeError"]

_INVOKE_PATH = "/2015-03-31/functions/function/invocations"
_MAX_PAYLOAD_BYTES = 6_291_556
_GRACE_SECONDS = 30.0  # for the emulator's answer once the function's own time is up
_TIMED_OUT = re.compile(r"Task timed out after [\d.]+ seconds")
_ERROR_KEYS = frozenset({"errorType", "errorMessage", "stackTrace", "requestId"})


class LambdaRuntimeError(InngestError):
    """The emulator did not start, died, or is not running; where there is a log, the message ends with its end."""


class LambdaInvocationError(InngestError):
    """The invocation failed, in the words in which Lambda reports it.

    Attributes:
        error_type: The class name of the handler's exception, or Lambda's own, e.g. ``"Runtime.ImportModuleError"``.
        message: The exception's message.
        stack: The traceback, or the end of the runtime's log where there is none.
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

    Calls from several threads wait for each other: an execution environment serves one at a time.

    Args:
        handler: As in Lambda's own setting: ``"module.function"`` or ``"folder/module.function"``.
        cwd: The folder that the handler is imported from.
        emulator: The emulator's binary. Default: ``$AWS_LAMBDA_RIE``, then what scripts/setup or an installed
            aws-sam-cli brought, then ``aws-lambda-rie`` on PATH.
        python: The interpreter; it needs awslambdaric.
        env: The function's variables. Of this process's own it gets PATH and HOME only.
        timeout_seconds: The function's time for a call, which for the first includes the import of the handler.
        function_name: What ``context.function_name`` says.
        memory_mb: What ``context.memory_limit_in_mb`` says; nothing enforces it.
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
        self._python = str(Path(python).absolute()) if os.sep in python else python
        self._env = dict(env or {})
        self._timeout_seconds = timeout_seconds
        self._function_name = function_name
        self._memory_mb = memory_mb
        self._one_call = threading.Lock()
        self._server = ServerProcess("the Lambda runtime", LambdaRuntimeError)
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the runtime and the handler have written since the start; it stays after the stop."""
        return self._server.log

    def read_log(self, offset: int) -> bytes:
        """What has been written to the log after so many bytes; nothing once it has been stopped."""
        return self._server.read_log(offset)

    @property
    def pid(self) -> int:
        """The process ID of the emulator; the handler's process is in the session that it leads.

        Raises:
            LambdaRuntimeError: It is not running.
        """
        return self._server.process.pid

    def start(self) -> None:
        """Starts the emulator and waits until it accepts calls. The first call imports the handler.

        Raises:
            ConfigurationError: There is no emulator, no such interpreter, or it has no awslambdaric.
            LambdaRuntimeError: The emulator does not come up, or is running already.
        """
        self._server.check_stopped()
        emulator = find_emulator(self._emulator, self._cwd)
        env = self._environment()

        def program(port: int, api_port: int) -> Program:
            listen = ["--runtime-interface-emulator-address", f"{HOST}:{port}"]
            listen += ["--runtime-api-address", f"{HOST}:{api_port}"]
            return Program([emulator, *listen, self._python, "-m", "awslambdaric", self._handler], self._cwd, env)

        self._server.start(program, more_ports=1)
        timeout = self._timeout_seconds + _GRACE_SECONDS
        self._connection = http.client.HTTPConnection(HOST, self._server.port, timeout=timeout)

    def stop(self) -> None:
        """Ends the emulator, the handler's process and what it started; does nothing when it is not running."""
        self._server.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Calls the handler and returns its reply, decoded.

        Args:
            event: What the handler receives: at most 6,291,556 bytes as JSON.

        Raises:
            LambdaInvocationError: The handler raised, could not be imported, ran out of time or exited, or the event
                or the reply is too large.
            LambdaRuntimeError: The emulator is not running, or died; then it is stopped and can be started again.
        """
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > _MAX_PAYLOAD_BYTES:
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
            status, reply = response.status, response.read()
        except BaseException as error:
            # Whoever gives up on a call leaves the emulator busy, and the next call would crash it: end it here.
            self.stop()
            if isinstance(error, OSError | http.client.HTTPException):
                raise LambdaRuntimeError(
                    f"the Lambda runtime gave no answer: {error!r}\n{self._server.log_tail}"
                ) from error
            raise
        if (
            not self._server.is_running
        ):  # the last thing an emulator says may be that the handler exited, as it was told to
            raise LambdaRuntimeError("the Lambda runtime gave no answer: it was stopped")
        return status, reply

    def _decode(self, status: int, body: bytes) -> Any:
        text = body.decode(errors="replace")
        if _TIMED_OUT.fullmatch(text):
            raise LambdaInvocationError("Sandbox.Timedout", text, self._server.log_tail)
        if not body and status != HTTPStatus.OK:
            raise LambdaInvocationError("Runtime.ExitError", "the runtime exited on its way up", self._server.log_tail)
        try:
            reply: Any = json.loads(body)
        except ValueError as error:
            message = f"not JSON (HTTP status {status}): {text[:200]}"
            raise LambdaInvocationError("Runtime.InvalidReply", message, self._server.log_tail) from error
        if _is_error(reply):
            stack = "".join(reply.get("stackTrace") or ()) or self._server.log_tail
            raise LambdaInvocationError(str(reply["errorType"]), str(reply["errorMessage"]), stack)
        return reply

    def _environment(self) -> dict[str, str]:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "AWS_REGION": "us-east-1",  # that of the ARN which the emulator gives the function
            "AWS_LAMBDA_FUNCTION_NAME": self._function_name,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._timeout_seconds),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._memory_mb),
            "LAMBDA_TASK_ROOT": str(self._cwd.absolute()),
            **self._env,
        }
        # awslambdaric goes by this: from 3.12 on it writes replies in UTF-8, before in \u escapes.
        version = runtime_version(self._python, self._cwd, env)
        return {"AWS_EXECUTION_ENV": f"AWS_Lambda_python{version}", **env}


def _is_error(reply: Any) -> bool:
    """Tells an error from a reply by its keys: where Lambda has a header that says so, the emulator has none."""
    if not isinstance(reply, dict):
        return False
    keys = cast("dict[str, Any]", reply).keys()
    return {"errorType", "errorMessage"} <= keys <= _ERROR_KEYS
