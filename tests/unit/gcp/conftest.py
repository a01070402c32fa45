"""Fixtures of the tests of Google Cloud Functions: an environment without settings, and an event API."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from server_thread import ServerThread


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in os.environ:
        if name.startswith(("INNGEST_", "K_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


class EventApi(ServerThread):
    """Takes events; ``status`` is what it answers."""

    def __init__(self):
        self.requests = []
        self.status = 200
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))

    @property
    def events(self):
        return [event for request in self.requests for event in request]

    def _handler_class(api):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append(events)
                body = json.dumps({"ids": [event["id"] for event in events], "status": api.status, "error": "no"})
                self.send_response(api.status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def api(monkeypatch):
    with EventApi() as running:
        monkeypatch.setenv("INNGEST_EVENT_KEY", "evt-key")
        monkeypatch.setenv("INNGEST_EVENT_API_BASE_URL", running.url)
        yield running
