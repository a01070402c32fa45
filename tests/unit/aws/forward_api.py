"""An event API over HTTP that refuses what it is told to refuse, and the golden events of AWS."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from server_thread import ServerThread

GOLDEN = Path(__file__).parents[2] / "golden" / "aws"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:signups"


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def messages(*bodies, queue=QUEUE):
    """An SQS batch: message ``m0``, ``m1``, ... with these bodies."""
    [template, *_] = golden("sqs")["Records"]
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {
        "Records": [
            {**template, "messageId": f"m{number}", "body": text, "eventSourceARN": queue}
            for number, text in enumerate(texts)
        ]
    }


def failed(response):
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


class EventApi(ServerThread):
    """Takes events and signals; ``refuses`` says which of them not, and ``statuses`` how the next requests are answered."""

    def __init__(self):
        self.requests = []
        self.keys = []
        self.bearers = []
        self.statuses = []
        self.refuses = lambda _event: False
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))

    @property
    def events(self):
        """All events of requests that were answered with 200."""
        return [event for status, events in self.requests for event in events if status == 200]

    @property
    def sizes(self):
        return [len(events) for _, events in self.requests]

    def _answer(self, path, events):
        self.keys.append(path.rpartition("/")[2])
        status = self.statuses.pop(0) if self.statuses else 400 if any(map(self.refuses, events)) else 200
        self.requests.append((status, events))
        if status == 200:
            return status, {"ids": [f"01{event['id']}" for event in events], "status": 200}
        return status, {"error": "no", "status": status}

    def _handler_class(api):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/v1/signals":
                    api.bearers.append(self.headers["Authorization"])
                    status, document = api.statuses.pop(0) if api.statuses else 200, {"data": {"run_id": "01RUN"}}
                else:
                    status, document = api._answer(self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_):
                pass

        return Handler
