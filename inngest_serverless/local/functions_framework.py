"""Runs a function in the real functions-framework, as Cloud Run does, in a process of its own.

=========  ==========================================================================  =================================
server     what it is                                                                  when the platform runs it
=========  ==========================================================================  =================================
gunicorn   one process that forks one worker with ``THREADS`` threads                  always, unless told otherwise
debug      Flask's own server: a reloader, its child, and a thread for each request    never: it is for development
asgi       gunicorn with one uvicorn worker, and one event loop                        with FUNCTION_USE_ASGI
=========  ==========================================================================  =================================
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from inngest_serverless.errors import InngestError
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.gcf import as_passed_on
from inngest_serverless.local.processes import HOST, Program, ServerProcess

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

__all__ = ["SERVERS", "FunctionsFramework", "FunctionsFrameworkError"]

SERVERS: dict[str, list[str]] = {"gunicorn": [], "debug": ["--debug"], "asgi": ["--asgi"]}


class FunctionsFrameworkError(InngestError):
    """The server did not start, died, or is not running; where there is a log, the message ends with its end."""


class FunctionsFramework:
    """A Cloud Function on this machine, as a context manager; on Linux only.

    Args:
        target: The name of the function.
        source: The file that has it.
        server: One of ``SERVERS``.
        signature_type: ``"http"`` or ``"cloudevent"``.
        cwd: The folder that it is started in; that of the source if not given.
        python: The interpreter; it needs functions-framework.
        env: The function's variables. Of this process's own it gets PATH and HOME only.
        service: What K_SERVICE says.
        timeout_seconds: How long to wait for a reply.
    """

    def __init__(
        self,
        target: str,
        *,
        source: Path | str,
        server: str = "gunicorn",
        signature_type: str = "http",
        cwd: Path | str | None = None,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        service: str = "local",
        timeout_seconds: float = 60.0,
    ) -> None:
        self._source = Path(source).absolute()
        self._arguments = ["--target", target, "--source", str(self._source), "--signature-type", signature_type]
        self._arguments += SERVERS[server]
        self._cwd = Path(cwd or self._source.parent)
        self._python = python
        self._env = dict(env or {})
        self._service = service
        self._timeout_seconds = timeout_seconds
        self._server = ServerProcess("functions-framework", FunctionsFrameworkError)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the server and the function have written since the start; it stays after the stop."""
        return self._server.log

    def read_log(self, offset: int) -> bytes:
        """What has been written to the log after so many bytes; nothing once it has been stopped."""
        return self._server.read_log(offset)

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server; its workers are in the session that it leads.

        Raises:
            FunctionsFrameworkError: It is not running.
        """
        return self._server.process

    def start(self) -> None:
        """Start the server, which imports the function, and wait until it listens.

        Raises:
            FunctionsFrameworkError: It does not come up, or is running already.
        """
        self._server.start(self._program)

    def stop(self) -> None:
        """End the server and its workers; does nothing when it is not running."""
        self._server.stop()

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request as the platform passes it on, and return the reply. Several threads may do so at once.

        Args:
            method: The HTTP method.
            url: The public URL that the client called, with its query.
            headers: Request headers; those that the platform sets are replaced.
            body: The request body.

        Raises:
            FunctionsFrameworkError: There is no reply.
        """
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        sent = {name: value.encode() for name, value in as_passed_on(url, headers).items()}
        connection = http.client.HTTPConnection(HOST, self._server.port, timeout=self._timeout_seconds)
        try:
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            received = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise FunctionsFrameworkError(f"no reply: {error!r}\n{self._server.log_tail}") from error
        finally:
            connection.close()
        return HttpReply(response.status, {k.lower(): v for k, v in response.getheaders()}, received)

    def _program(self, port: int) -> Program:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PORT": str(port),
            "K_SERVICE": self._service,
            "K_REVISION": f"{self._service}-00001-loc",
            "K_CONFIGURATION": self._service,
            **self._env,
        }
        arguments = [self._python, "-m", "functions_framework", *self._arguments, "--host", HOST]
        return Program(arguments, self._cwd, env)
