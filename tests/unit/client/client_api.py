"""An event API that answers as it is told, and clients that talk to it without waiting for real."""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from server_thread import ServerThread

from inngest_serverless.client import Client

if TYPE_CHECKING:
    import asyncio

EVENT_KEY = "evt-0123456789-secret"
RESET, SILENCE = "the connection is reset", "there is no answer"


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    document: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Api(ServerThread):
    """Answers what ``then`` says, in turn; after that, what the real one does."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: list[Answer | str] = []
        self._released = threading.Event()
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))

    def __exit__(self, *_: object) -> None:
        self._released.set()
        super().__exit__()

    def then(self, *answers: Answer | str) -> None:
        self._answers += answers

    @property
    def connections(self) -> int:
        return len({request.connection for request in self.received})

    def _answer(self, request: Received) -> Answer | str:
        self.received.append(request)
        if self._answers:
            return self._answers.pop(0)
        if request.path.endswith("/v1/signals"):
            return Answer(200, {"data": {"run_id": "01RUN"}})
        return Answer(200, {"ids": [f"id-{event['data'].get('n')}" for event in request.json], "status": 200})

    def _handler_class(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = api._answer(Received(self.path, headers, body, self.client_address[1]))
                if isinstance(answer, Answer):
                    self._send(answer)
                    return
                self.close_connection = True
                if answer == SILENCE:
                    api._released.wait(10)
                else:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()

            def _send(self, answer: Answer) -> None:
                body = answer.document if isinstance(answer.document, bytes) else json.dumps(answer.document).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return Handler


class Caller:
    """Calls a client's methods by the names of the sync ones."""

    def __init__(self, runner: asyncio.Runner | None) -> None:
        self._runner = runner

    def __call__(self, client: Client, method: str, *args: Any) -> Any:
        if self._runner is None:
            return getattr(client, method)(*args)
        return self._runner.run(getattr(client, f"{method}_async")(*args))


class Clients:
    """Makes clients of an API; ``pauses`` has the seconds they would have waited."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.pauses: list[float] = []

    def __call__(self, *, now: float = 1_700_000_000.5, draw: float = 0.5, **options: Any) -> Client:
        urls = {"api_base_url": self._api.url, "event_api_base_url": self._api.url}
        client = Client(**{"event_key": EVENT_KEY, **urls, **options})
        client._now = lambda: now
        client._draw = lambda: draw
        client._pause = lambda wanted: self.pauses.append(wanted.seconds)
        client._pause_async = self._pause_async
        return client

    async def _pause_async(self, wanted: Any) -> None:
        self.pauses.append(wanted.seconds)


def numbered(count: int, **data: Any) -> list[dict[str, Any]]:
    return [{"name": "t/numbered", "data": {"n": number, **data}} for number in range(count)]
