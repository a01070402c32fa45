"""The local engine's HTTP side: where apps register, send events, and fetch the state of a run.

The paths are those of the official dev server. Source: docs/protocol.md, sections 2, 7 and 9.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from inngest_serverless.local.engine import Engine

__all__ = ["LocalApi"]


class LocalApi:
    """Serves an engine's API on a loopback port, as a context manager.

    Attributes:
        origin: Where it listens; the value for an app's INNGEST_DEV.
    """

    def __init__(self, engine: Engine) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(engine))
        self._thread = Thread(target=self._server.serve_forever, name="local-api", daemon=True)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler_for(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self._answer(*_post(engine, self.path.partition("?")[0], body))

        def do_GET(self) -> None:
            self._answer(*_get(engine, self.path.partition("?")[0]))

        def _answer(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Keep quiet: the timeline tells what happens."""

    return Handler


def _post(engine: Engine, path: str, body: Any) -> tuple[int, Any]:
    if path == "/fn/register":
        engine.register(body["functions"])
        return 200, {"ok": True, "modified": True}
    if path.startswith("/e/"):
        return 200, {"ids": engine.post(body if isinstance(body, list) else [body]), "status": 200}
    return 404, {"error": f"the local engine serves no POST {path}", "status": 404}


def _get(engine: Engine, path: str) -> tuple[int, Any]:
    parts = path.strip("/").split("/")
    run = engine.run_of(parts[2]) if parts[:2] == ["v0", "runs"] and len(parts) > 2 else None  # noqa: PLR2004
    if run is not None and parts[3:] == ["batch"]:
        return 200, run.events
    if run is not None and parts[3:] == ["actions"]:
        return 200, run.memos
    return 404, {"error": f"the local engine serves no GET {path}", "status": 404}
