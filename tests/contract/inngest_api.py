"""Inngest's side of the wire, played on this machine: its HTTP API, its event API, and how it signs what it sends.

Written from docs/protocol.md alone. It shares no code with the package, so that the two can disagree.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from server_thread import ServerThread

KEY = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
FALLBACK_KEY = "signkey-test-fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
SIGNATURE = "X-Inngest-Signature"


def signature(body: bytes, at: float, key: str = KEY) -> str:
    """The value of the signature header; docs/protocol.md, section 6."""
    seconds = str(int(at))
    secret = key.removeprefix("signkey-test-").encode()
    return f"t={seconds}&s={hmac.new(secret, body + seconds.encode(), hashlib.sha256).hexdigest()}"


def bearer(key: str = KEY) -> str:
    """The Authorization header of requests to the API; docs/protocol.md, section 6."""
    prefix = "signkey-test-"
    return f"Bearer {prefix}{hashlib.sha256(bytes.fromhex(key.removeprefix(prefix))).hexdigest()}"


@dataclass(frozen=True)
class Received:
    """A request that reached the API. ``path`` has the query, ``headers`` are named in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Behaviour:
    """What the API does with requests; a new one for each test."""

    replies: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    failure: tuple[int, bytes] | None = None
    hangs_up: bool = False
    received: list[Received] = field(default_factory=list)


class InngestApi(ServerThread):
    """A server in a thread; ``url`` serves for INNGEST_API_BASE_URL and INNGEST_EVENT_API_BASE_URL."""

    def __init__(self) -> None:
        self._behaviour = Behaviour()
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Connection, self)))

    def reset(self) -> None:
        """Forget what was received, and behave well again."""
        self._behaviour = Behaviour()

    @property
    def received(self) -> list[Received]:
        """The requests so far, in their order."""
        return self._behaviour.received

    def reply(self, method: str, path: str, status: int, body: str | bytes) -> None:
        """Answer a request so. The path is without the query, or ends in ``/*``; see ``_default`` for all others."""
        self._behaviour.replies[method, path] = status, body.encode() if isinstance(body, str) else body

    def refuse(self, authorization: str) -> None:
        """Answer 401 to whoever comes with this Authorization header."""
        self._behaviour.refused.add(authorization)

    def fail(self, status: int, body: str = "") -> None:
        """Answer everything so."""
        self._behaviour.failure = status, body.encode()

    def hang_up(self) -> None:
        """Close each connection without an answer."""
        self._behaviour.hangs_up = True

    def answer(self, request: Received) -> tuple[int, bytes] | None:
        """What to answer; None for not at all."""
        behaviour = self._behaviour
        behaviour.received.append(request)
        path = request.path.partition("?")[0]
        if behaviour.hangs_up:
            return None
        if behaviour.failure is not None:
            return behaviour.failure
        if request.headers.get("authorization") in behaviour.refused:
            return 401, b'{"error":"invalid signing key","status":401}'
        patterns = path, f"{path.rpartition('/')[0]}/*"
        set_replies = [behaviour.replies.get((request.method, pattern)) for pattern in patterns]
        return next(filter(None, set_replies), None) or _default(path, request)


class _Connection(BaseHTTPRequestHandler):
    """One connection; closed after its one request, so that nothing is left open between tests."""

    def __init__(self, api: InngestApi, *arguments: Any) -> None:
        self._api = api
        super().__init__(*arguments)

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self._api.answer(Received(self.command, self.path, headers, body))
        if answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer[0])
        self.send_header("content-type", "text/plain; charset=utf-8")  # as recorded, JSON or not
        self.send_header("content-length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    do_GET = do_POST = _exchange  # noqa: N815 - the names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def _default(path: str, request: Received) -> tuple[int, bytes]:
    if request.method == "POST" and path.startswith("/e/"):
        ids = [f"01EVENT{number:019d}" for number, _ in enumerate(request.json)]
        return 200, json.dumps({"ids": ids, "status": 200}).encode()
    if request.method == "POST" and path == "/fn/register":
        return 200, b'{"ok":true,"modified":true,"sync_id":"19109c8f-8975-4499-8650-f663dc257532"}'
    return 404, b'{"error":"not found","status":404}'
