"""Requests by the standard library alone, as an artifact without httpx sends them: the same replies, the same errors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inngest_serverless import connections, plain_connections
from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.protocol.exchange import Outbound
from inngest_serverless.transport import Transport

LIMIT = 1_000


class Mirror(BaseHTTPRequestHandler):
    """Answers with what it was asked; the path says how."""

    def do_GET(self):
        if self.path == "/cut":
            self.connection.close()
            return
        status = {"/moved": 302, "/wrong": 418}.get(self.path, 200)
        length = int(self.headers.get("content-length") or 0)
        body = b"x" * (LIMIT + 1) if self.path == "/large" else self.rfile.read(length)
        self.send_response(status)
        self.send_header("X-Method", self.command)
        self.send_header("X-Key", self.headers.get("x-key", ""))
        self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815 - names that http.server looks for

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def origin():
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["httpx", "plain", "plain async"])
def send(request, monkeypatch):
    for module in (connections, plain_connections):
        monkeypatch.setattr(module, "_MOST_BYTES", LIMIT)
    made = (connections.Connections if request.param == "httpx" else plain_connections.PlainConnections)(5.0)
    if request.param == "plain async":
        return lambda *outbound: asyncio.run(made.send_async(Outbound(*outbound)))
    return lambda *outbound: made.send(Outbound(*outbound))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_reply(method, origin, send):
    body = None if method == "GET" else '{"name": "Grüße"}'
    reply = send(method, f"{origin}/ok?a=b", {"x-key": "k", "content-type": "application/json"}, body)
    assert (reply.status, reply.body) == (200, (body or "").encode())
    assert (reply.headers["x-method"], reply.headers["x-key"]) == (method, "k")


def test_a_refusal_is_a_reply(origin, send):
    reply = send("POST", f"{origin}/wrong", {}, "{}")
    assert (reply.status, reply.ok, reply.body) == (418, False, b"{}")


def test_no_redirect_is_followed(origin, send):
    """A key is for the server that it was sent to."""
    reply = send("GET", f"{origin}/moved", {"authorization": "Bearer k"})
    assert (reply.status, reply.headers["location"]) == (302, "/ok")


def test_a_reply_that_is_too_large(origin, send):
    with pytest.raises(TransportError, match=r"the reply from .* is over 1000 bytes"):
        send("GET", f"{origin}/large", {})


@pytest.mark.parametrize("path", ["/cut", None], ids=["cut off", "nobody there"])
def test_no_reply(path, origin, send):
    url = f"{origin}{path}" if path else "http://secret:word@127.0.0.1:9/api"
    with pytest.raises(TransportError, match=r"^no reply from 127\.0\.0\.1:\d+ \(\w+\)$"):
        send("GET", url, {})


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://example.com/", {}),
        ("example.com/x", {}),
        ("http://exa mple.com/", {}),
        ("http://127.0.0.1:9/", {"authorization": "Bearer k\n"}),
        ("http://127.0.0.1:9/", {"authorization": "Bearer ключ"}),
    ],
    ids=["scheme", "no scheme", "host", "line break", "not ASCII"],
)
def test_what_cannot_be_sent(url, headers, send):
    with pytest.raises((ConfigurationError, TransportError)) as caught:
        send("GET", url, headers)
    assert "Bearer" not in str(caught.value)


def test_they_are_used_where_there_is_no_httpx():
    program = (
        "import sys; sys.modules['httpx'] = None\n"
        "from inngest_serverless.transport import Transport\n"
        "print(type(Transport()._connections).__name__)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert ran.stdout == "PlainConnections\n", ran.stderr
    assert type(Transport()._connections).__name__ == "Connections"
