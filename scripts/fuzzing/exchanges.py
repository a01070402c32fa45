"""An HTTP request to each adapter, as its platform hands it over, and what every reply must be."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

import attacked_app
from flask import Request as FlaskRequest
from requirement import require
from starlette.requests import Request as StarletteRequest

from inngest_serverless.local.gateway import TRIGGERS, HttpReply, from_lambda_reply, to_lambda_event

if TYPE_CHECKING:
    from collections.abc import Mapping

ADAPTERS = [*TRIGGERS, "flask", "starlette"]
_PRINTABLE = re.compile(r"[\x20-\x7e\x80-\xff]*")
_TOKEN = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Asked:
    """A request, as a client writes it.

    Attributes:
        method: Any text.
        host: What it was sent to.
        path: Percent-encoded.
        query: Percent-encoded.
        headers: Any names and values.
        body: Its bytes.
    """

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def put_to(adapter: str, asked: Asked) -> HttpReply:
    """Put a request to the app behind an adapter."""
    if adapter == "flask":
        return _flask(asked)
    if adapter == "starlette":
        return _starlette(asked)
    url = f"https://{asked.host}{asked.path}?{asked.query}"
    event = to_lambda_event(adapter, asked.method, url, asked.headers, asked.body)
    return lambda_reply(adapter, json.loads(json.dumps(event)))


def lambda_reply(trigger: str, event: Any) -> HttpReply:
    """Invoke the Lambda function with an event, and read the reply as the platform does."""
    reply = attacked_app.handler("lambda")(event, None)
    return from_lambda_reply(trigger, json.loads(json.dumps(reply, allow_nan=False)))


def _flask(asked: Asked) -> HttpReply:
    headers = {name.upper().replace("-", "_"): _latin(value) for name, value in _with_host(asked).items()}
    environ = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(asked.path).decode("latin-1"),
        "QUERY_STRING": _latin(asked.query),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(asked.body),
        "wsgi.input_terminated": True,
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
    body, status, own = attacked_app.handler("flask")(FlaskRequest(environ))
    if not isinstance(body, bytes):
        raise TypeError("Flask takes the body as bytes")
    return HttpReply(status, own, body)


def _starlette(asked: Asked) -> HttpReply:
    scope = {
        "type": "http",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(asked.path),
        "raw_path": asked.path.encode(),
        "query_string": asked.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in _with_host(asked).items()],
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": asked.body, "more_body": False}

    response = _loop().run(attacked_app.handler("starlette")(StarletteRequest(scope, receive)))
    own = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.raw_headers}
    own.pop("content-length")
    return HttpReply(response.status_code, own, response.body)


@cache
def _loop() -> asyncio.Runner:
    return asyncio.Runner()


def _with_host(asked: Asked) -> dict[str, str]:
    return {**{name: value for name, value in asked.headers.items() if name.lower() != "host"}, "Host": asked.host}


def _latin(text: str) -> str:
    """As a WSGI server hands over the bytes of a text."""
    return text.encode().decode("latin-1")


def check(reply: HttpReply, *, may_run: bool = False) -> Any:
    """Check that a reply is well-formed, and tells nothing to who did not sign; returns its document."""
    require(type(reply.status) is int and reply.status in range(200, 600), f"status {reply.status!r}")
    for name, value in reply.headers.items():
        require(_TOKEN.fullmatch(name), f"header name {name!r}")
        require(isinstance(value, str) and _PRINTABLE.fullmatch(value), f"header {name}: {value!r}")
    require(reply.headers.get("x-inngest-sdk"), "a reply without x-inngest-sdk is refused")
    require(reply.headers.get("content-type") == "application/json", "the content type")
    is_error = reply.status >= 400  # noqa: PLR2004 - HTTP's own number
    if is_error:
        require(reply.headers.get("x-inngest-no-retry") in {"true", "false"}, "an error must say if a retry helps")
    document = json.loads(reply.body.decode(), parse_constant=_no_json) if reply.body else None
    if not may_run:
        require("x-inngest-signature" not in reply.headers, "a stranger's reply is not signed")
        require(not attacked_app.ran, f"{attacked_app.ran} ran for a stranger")
        text = reply.body.decode() + json.dumps(dict(reply.headers))
        told = [
            name
            for name in (*attacked_app.NAMES, *attacked_app.SECRETS, "Traceback", "inngest_serverless/")
            if name in text
        ]
        require(not told, f"a stranger was told {told}")
    return document


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
