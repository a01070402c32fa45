"""The local engine's HTTP side: where apps register, send events and signals, and fetch the state of a run.

The paths are those of the official dev server. Source: docs/protocol.md, sections 2, 7 and 9.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from inngest_serverless.errors import InngestError

if TYPE_CHECKING:
    from types import TracebackType

    from inngest_serverless.local.engine import Engine

    Answer = tuple[int, Any]

__all__ = ["LocalApi"]

_POLL_SECONDS = 0.02
_SEED_HEADER = "X-Inngest-Event-Id-Seed"


class LocalApi:
    """Serves an engine's API on a loopback port, as a context manager.

    An engine with a signing key wants it, hashed, with every request but events: those have a key of their own.

    Attributes:
        origin: Where it listens; the value for an app's INNGEST_DEV.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(engine))
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="local-api", daemon=True)
        self.origin: str = f"http://127.0.0.1:{self._server.server_port}"

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


def _handler_for(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path, _, _ = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not path.startswith("/e/") and not self._is_authorized():
                self._answer(401, _error(401, "the signing key is missing or wrong"))
                return
            try:
                self._answer(*_post(engine, path, json.loads(body), self.headers.get(_SEED_HEADER, "")))
            except (InngestError, ValueError, KeyError, TypeError, AttributeError) as error:
                self._answer(400, _error(400, str(error) if isinstance(error, InngestError) else repr(error)))

        def do_GET(self) -> None:
            if self._is_authorized():
                self._answer(*_get(engine, self.path.partition("?")[0]))
            else:
                self._answer(401, _error(401, "the signing key is missing or wrong"))

        def _is_authorized(self) -> bool:
            key, given = engine.key, self.headers.get("Authorization")
            return key is None or given in {key.bearer(), f"Bearer {key.hashed()}"}

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


def _post(engine: Engine, path: str, body: Any, seed: str) -> Answer:
    if path == "/fn/register":
        # The server reads keys without regard to letter case.
        document = {str(name).lower(): value for name, value in body.items()}
        return 200, {"ok": True, "modified": engine.register(document["functions"], document.get("appname") or "")}
    if path.startswith("/e/"):
        return 200, {"ids": engine.post(body if isinstance(body, list) else [body], seed), "status": 200}
    if path == "/v1/signals":
        run = engine.signal(body["signal"], body.get("data"))
        return (200, {"data": {"run_id": run.id}}) if run else (404, _error(404, "No signal found"))
    return 404, _error(404, f"the local engine serves no POST {path}")


def _get(engine: Engine, path: str) -> Answer:
    match path.strip("/").split("/"):
        case ["v0", "runs", run_id, ("batch" | "actions") as part] if (run := engine.run_of(run_id)) is not None:
            return 200, run.events if part == "batch" else run.memos
        case _:
            return 404, _error(404, f"the local engine serves no GET {path}")


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": message, "status": status}
