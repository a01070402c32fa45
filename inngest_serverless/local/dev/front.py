"""The address of an app on this machine: it stays the same while the app comes and goes."""

from __future__ import annotations

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, cast

from inngest_serverless.errors import ConfigurationError, InngestError
from inngest_serverless.local.api import reachable
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.guard import Guard

if TYPE_CHECKING:
    from types import TracebackType

    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["Front", "PortTakenError"]

_POLL_SECONDS = 0.02
# More is not even read; every platform takes less.
_LARGEST_BODY, _MOST_DIGITS = 64 * 1024 * 1024, 20
_OWN_HEADERS = {"connection", "content-length", "transfer-encoding", "date", "keep-alive"}
_FORBIDDEN, _LENGTH_REQUIRED, _TOO_LARGE, _UNAVAILABLE = 403, 411, 413, 503


class PortTakenError(ConfigurationError):
    """It cannot listen there."""


class Front:
    """Listens for requests to an app, as a context manager.

    Requests from web pages of elsewhere are refused: an app in dev mode asks for no signature.

    Args:
        endpoint: Answers requests.
        host: Where to listen: an address or a name.
        port: The port; 0 for a free one.

    Attributes:
        origin: Where it is reached.

    Raises:
        PortTakenError: It cannot listen there.
    """

    def __init__(self, endpoint: Endpoint, host: str, port: int) -> None:
        try:
            self._server = _Server(host, port, endpoint)
        except OSError as error:
            raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="dev-front", daemon=True)
        self.origin: str = f"http://{reachable(host)}:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, endpoint: Endpoint) -> None:
        family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.endpoint = endpoint
        self.guard = Guard(host)
        super().__init__((str(address[0]), port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked is gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        self.close_connection = True
        self._answer(self._reply())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the base class's

    def _reply(self) -> HttpReply:
        server = cast("_Server", self.server)
        headers = _joined(self.headers.items())
        if refusal := server.guard.refusal(self.command, {name.title(): value for name, value in headers.items()}):
            return _refusal(_FORBIDDEN, refusal)
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return _refusal(_LENGTH_REQUIRED, "send a Content-Length")
        # Python reads numbers of some thousand digits only.
        if len(length) > _MOST_DIGITS or int(length) > _LARGEST_BODY:
            return _refusal(_TOO_LARGE, "the body is too large")
        body = self.rfile.read(int(length))
        url = f"http://{self.headers.get('Host', '')}{self.path}"
        try:
            return server.endpoint(self.command, url, headers, body)
        except (InngestError, ValueError) as error:
            return _refusal(_UNAVAILABLE, str(error))

    def _answer(self, reply: HttpReply) -> None:
        self.send_response_only(reply.status)
        self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            if name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: what goes wrong is told elsewhere."""


def _joined(items: list[tuple[str, str]]) -> dict[str, str]:
    """Headers as the client named them; repeated ones joined, as by a gateway."""
    names: dict[str, str] = {}
    joined: dict[str, str] = {}
    for name, value in items:
        first = names.setdefault(name.lower(), name)
        joined[first] = f"{joined[first]},{value}" if first in joined else value
    return joined


def _refusal(status: int, message: str) -> HttpReply:
    body = json.dumps({"message": message}).encode()
    return HttpReply(status, {"content-type": "application/json"}, body)
