"""An API of Inngest's that answers what it should not, over HTTP: bounded memory, and no key in what is told."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.ext.httpx import patch as patch_httpx

from inngest_serverless import Client, SendEventsError
from inngest_serverless.errors import TransportError
from inngest_serverless.protocol.exchange import Outbound
from inngest_serverless.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[[BaseHTTPRequestHandler], None]

KEY = "evt/5eed+5eed=="
LIMIT = 100_000
both = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@contextmanager
def _answering(write: Write) -> Iterator[str]:
    """A server whose every answer is what ``write`` writes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            try:
                write(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _send(origin: str, *, is_async: bool) -> Any:
    request = Outbound("POST", f"{origin}/x", {}, "{}")
    if not is_async:
        return Transport().send(request)
    return asyncio.run(Transport().send_async(request))


def _endless(handler: BaseHTTPRequestHandler) -> None:
    """As far as the other side can know."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"x" * 65_536)


def _bomb(handler: BaseHTTPRequestHandler) -> None:
    packed = gzip.compress(b"\0" * 20_000_000)
    assert len(packed) < LIMIT
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(packed)))
    handler.end_headers()
    handler.wfile.write(packed)


def _says(status: int, document: Any, **headers: str) -> Write:
    def write(handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps(document).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


@both
@pytest.mark.parametrize("write", [_endless, _bomb])
def test_a_reply_without_end_is_cut_off(write: Write, is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inngest_serverless.connections._MOST_BYTES", LIMIT)
    with (
        _answering(write) as origin,
        pytest.raises(TransportError, match=rf"the reply from 127\.0\.0\.1:\d+ is over {LIMIT} bytes"),
    ):
        _send(origin, is_async=is_async)


@both
def test_a_reply_of_the_largest_size_is_read(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inngest_serverless.connections._MOST_BYTES", LIMIT)
    with _answering(_says(200, "x" * (LIMIT - 2))) as origin:
        assert len(_send(origin, is_async=is_async).body) == LIMIT


@both
def test_a_redirect_is_not_followed(is_async: bool) -> None:
    """It would take the key to wherever it leads."""
    with _answering(_says(307, {}, Location="http://127.0.0.1:1/evil")) as origin:
        assert _send(origin, is_async=is_async).status == 307


QUOTED = {
    "the key": KEY,
    "the key in its URL": f"POST /e/{quote(KEY, safe='')} refused",
    "the key where the words are cut": "y" * (500 - 5) + KEY,
    "the encoded key where the words are cut": "y" * (500 - 9) + quote(KEY, safe=""),
}


@pytest.mark.parametrize("words", QUOTED.values(), ids=QUOTED)
def test_a_key_that_is_quoted_is_not_told(words: str) -> None:
    with _answering(_says(400, {"error": words})) as origin, pytest.raises(SendEventsError) as caught:
        Client(event_key=KEY, event_api_base_url=origin, is_dev=False).send({"name": "a/b"})
    assert KEY[:5] not in str(caught.value)
    assert quote(KEY, safe="")[:6] not in str(caught.value)


def test_a_password_in_an_address_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """httpx writes down the URL of each request."""
    caplog.set_level(logging.DEBUG)
    with _answering(_says(404, {})) as origin:
        with_password = origin.replace("//", "//user:pass-5eed@")
        client = Client(signing_key="signkey-test-" + "ab" * 32, api_base_url=with_password, is_dev=False)
        assert client.send_signal("tail/up") is None
    assert "/v1/signals" in caplog.text, "the request was not logged, so this shows nothing"
    assert "pass-5eed" not in caplog.text


@both
def test_a_key_is_in_no_trace(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Ray's SDK, which Powertools' Tracer patches httpx with, copies the URL of each request before it shows it."""
    for place, name in ((httpx, "Client"), (httpx, "AsyncClient"), (httpx._api, "Client")):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr("aws_xray_sdk.global_sdk_config.sdk_enabled", lambda: True)
    monkeypatch.setattr(xray_recorder, "sampling", False)
    # A Tracer has the recorder send each subsegment off by itself, for good: here they are to stay.
    monkeypatch.setattr(xray_recorder, "streaming_threshold", 100)
    patch_httpx()
    asked: list[str] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        _says(200, {"ids": ["01E"]})(handler)

    segment = xray_recorder.begin_segment("app")
    with _answering(note) as origin:
        client = Client(event_key=KEY, event_api_base_url=origin.replace("//", "//user:pass-5eed@"), is_dev=False)
        if is_async:
            asyncio.run(client.send_async({"name": "a/b"}))
        else:
            client.send({"name": "a/b"})
    document = segment.serialize()
    xray_recorder.clear_trace_entities()
    assert asked == [f"/e/{quote(KEY, safe='')}"]
    assert "/e/" in document, "the request was not traced, so this shows nothing"
    for secret in (KEY, quote(KEY, safe=""), "pass-5eed"):
        assert secret not in document
