"""The local engine's HTTP side: where apps register, send events and signals, and fetch the state of a run; and a page.

The paths are those of the official dev server, but for ``/page``, which is the page's own. Source: docs/protocol.md,
sections 2, 7 and 9.
"""

from __future__ import annotations

import logging
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from secrets import token_urlsafe
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, cast

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.api_routes import Request, Routes, refuse
from inngest_serverless.local.cost import Size
from inngest_serverless.local.guard import HEADERS, Guard
from inngest_serverless.local.sdk_api import answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from inngest_serverless.local.api_routes import Reply
    from inngest_serverless.local.core import EngineCore

__all__ = ["LocalApi", "answer"]

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.02
_LARGEST_BODY, _MOST_DIGITS = 32 * 1024 * 1024, 20
_FORBIDDEN, _TOO_LARGE = 403, 413


class LocalApi:
    """Serves an engine's API, and a page that shows what it does, as a context manager.

    An engine with a signing key wants it, hashed, with every request but events: those have a key of their own. The
    page has a token instead, which is in its URL.

    Args:
        engine: The engine.
        host: Where to listen: an address or a name. Requests that name another host are refused; ``"0.0.0.0"`` takes
            those to any address of this machine.
        port: The port; 0 for a free one.
        schemas: JSON schemas of the data of events, by the events' names, for the page's forms. The mapping may change
            later.
        size: What the page counts costs with, unless it is told otherwise there.

    Attributes:
        origin: Where it listens; the value for an app's INNGEST_DEV.
        page: The URL of the page.

    Raises:
        ConfigurationError: It cannot listen there.
    """

    def __init__(
        self,
        engine: EngineCore,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        schemas: Mapping[str, Any] | None = None,
        size: Size | None = None,
    ) -> None:
        token = token_urlsafe() if engine.key is not None else ""
        routes = Routes(engine, {} if schemas is None else schemas, size or Size(), token)
        self._engine = engine
        self._server = _listen(host, port, routes)
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="local-api", daemon=True)
        self.origin: str = f"http://{reachable(host)}:{self._server.server_port}"
        self.page: str = f"{self.origin}/#token={token}" if token else f"{self.origin}/"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        self._engine.has_api = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._engine.has_api = False
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """A server that lets nobody hang on to it: browsers keep their connections, even to a server that has stopped."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], family: int, routes: Routes, guard: Guard) -> None:
        self.address_family = family
        self.routes = routes
        self.guard = guard
        self._connections: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has just been closed

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        if isinstance(error := sys.exception(), ConnectionError | TimeoutError):
            return  # who asked does not wait for the answer any more
        _logger.error("the API could not answer %s", client_address, exc_info=error)


def _listen(host: str, port: int, routes: Routes) -> _Server:
    try:
        family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        return _Server((str(address[0]), port), family, routes, Guard(host))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; is another server running there?"
        ) from None


def reachable(host: str) -> str:
    """The host of a URL that leads there from this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "127.0.0.1"
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004 - the number says it
    return f"[{host}]" if ":" in host else host


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "inngest-serverless"
    sys_version = ""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        server = cast("_Server", self.server)
        headers = {name.title(): value for name, value in self.headers.items()}
        body = self._body()
        refusal = server.guard.refusal(self.command, headers)
        if body is None:
            self.close_connection = True  # what else the client sends is not read
            message = f"a request must say its Content-Length, and have {_LARGEST_BODY} bytes at most"
            self._answer(refuse(_TOO_LARGE, message))
        elif refusal is not None:
            self._answer(refuse(_FORBIDDEN, refusal))
        else:
            self._answer(server.routes.serve(Request(self.command, self.path, headers, body)))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length") or "0"
        # Python reads numbers of some thousand digits only.
        is_number = length.isascii() and length.isdigit() and len(length) < _MOST_DIGITS
        is_readable = "Transfer-Encoding" not in self.headers and is_number
        return self.rfile.read(int(length)) if is_readable and int(length) <= _LARGEST_BODY else None

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet: the timeline tells what happens."""
