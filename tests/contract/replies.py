"""What every reply must be, whatever it says; docs/protocol.md, section 1."""

from __future__ import annotations

import gzip
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from inngest_api import KEY, SIGNATURE, signature

from inngest_serverless.local.gateway import HttpReply

if TYPE_CHECKING:
    from adapters import Caller

_SDK = re.compile(r"inngest-serverless:v\d+\.\d+\.\d+\S*")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def unpacked(reply: HttpReply) -> HttpReply:
    """The reply as an HTTP client hands it on: a large one may have come compressed."""
    if reply.headers.get("content-encoding") != "gzip":
        return reply
    return HttpReply(reply.status, reply.headers, gzip.decompress(reply.body))


def check_reply(reply: HttpReply, caller: Caller, mode: str) -> None:
    """The headers that each reply carries, and a body of compact JSON or none."""
    assert _SDK.fullmatch(reply.headers.get("x-inngest-sdk", "")), "without X-Inngest-SDK the server refuses a 2xx"
    expected = {
        "content-type": "application/json",
        "x-inngest-req-version": "2",
        "x-inngest-framework": caller.adapter.framework,
        "x-inngest-platform": caller.adapter.framework,
        "x-inngest-expected-server-kind": mode,
    }
    assert {name: reply.headers.get(name) for name in expected} == expected
    if reply.status >= 400:
        no_retry = reply.headers.get("x-inngest-no-retry")
        assert no_retry in {"true", "false"}, (
            f"an error reply ({reply.status}) must say whether to retry: {reply.body!r}"
        )
    check_compact(reply.body)


def check_compact(body: bytes) -> None:
    text = body.decode()
    assert not text or json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) == text, (
        "JSON goes out compact, in UTF-8"
    )


def check_signed(reply: HttpReply, caller: Caller, key: str = KEY) -> None:
    """The reply is signed with the key, over its very bytes, at the present time."""
    sent = reply.headers.get(SIGNATURE.lower())
    assert sent is not None, "replies to signed requests are signed"
    at = int(sent.removeprefix("t=").partition("&")[0])
    assert sent == signature(reply.body, at, key)
    assert abs(caller.now() - at) <= (5 if caller.adapter.is_real else 1), "a reply is signed at the time it is sent"


class Instant:
    """Equals an RFC 3339 text with milliseconds in UTC, between two Unix times; the later one may be rounded up."""

    __hash__ = None

    def __init__(self, earliest: float, latest: float) -> None:
        self._earliest = earliest
        self._latest = latest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str) or not _INSTANT.fullmatch(other):
            return False
        return self._earliest - 1e-6 <= datetime.fromisoformat(other).timestamp() < self._latest + 0.0011

    def __repr__(self) -> str:
        return f"Instant({self._earliest}, {self._latest})"


class Stack:
    """Equals a stack trace that shows the user's code, and none of the package's own."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str) or not other.startswith("Traceback (most recent call last):\n"):
            return False
        return "recorded_app" in other and "inngest_serverless" not in other.replace("inngest_serverless.errors.", "")

    def __repr__(self) -> str:
        return "Stack('Traceback ... recorded_app ..., without frames of inngest_serverless')"
