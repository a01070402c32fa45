"""A stream of signed calls of many kinds, and what each has to be answered."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass
from hashlib import sha1, sha256
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "signkey-test-" + "5a" * 32
_KEY_TEXT = KEY.removeprefix("signkey-test-").encode()
URL = "https://soak.example.com/api/inngest"
MEMOS = {sha1(f"double-{n}".encode(), usedforsecurity=False).hexdigest(): {"data": n} for n in range(5)}
BIG = {sha1(f"known-{n}".encode(), usedforsecurity=False).hexdigest(): {"data": "x" * 1000} for n in range(100)}


@dataclass(frozen=True)
class Exchange:
    """A request, and what it has to be answered.

    Attributes:
        method: The HTTP method.
        url: The URL.
        headers: The headers.
        body: The body.
        status: The status of the reply.
        holds: Text that is in its body.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    status: int
    holds: str


def exchanges(count: int) -> Iterator[Exchange]:
    """So many of them, in turns of all kinds."""
    kinds = cycle(
        [
            ("sync", {}, 206, '"StepRun"'),
            ("async", {}, 206, '"StepPlanned"'),
            ("async", MEMOS, 200, "[0,1,2,3,4]"),
            ("typed", BIG, 206, '"data":{"number":'),
            ("raises", {}, 500, "RuntimeError"),
            ("gives-up", {}, 400, "NonRetriableError"),
            ("unknown", {}, 500, "message"),
            ("stranger", {}, 401, "signed"),
            ("", {}, 200, "has_signing_key"),
        ]
    )
    for number, (function, memos, status, holds) in enumerate(islice(kinds, count)):
        if not function:
            yield Exchange("GET", URL, {}, b"", status, holds)
            continue
        body = _body(function, number, memos)
        headers = {"Content-Type": "application/json", "X-Inngest-Signature": _signature(body)}
        if function == "stranger":
            headers["X-Inngest-Signature"] = _signature(body + b" ")
        yield Exchange("POST", f"{URL}?fnId=soak-{function}&stepId=step", headers, body, status, holds)


def check(exchange: Exchange, status: int, body: bytes) -> None:
    """Make sure that an answer is right."""
    right = status == exchange.status and exchange.holds.encode() in body
    assert right, f"{exchange.method} {exchange.url}: expected {exchange.status}, got {status}: {body[:300]!r}"


def _body(function: str, number: int, memos: dict[str, Any]) -> bytes:
    event = {"name": f"soak/{function}", "data": {"number": number}, "id": f"e-{number}", "ts": 1_795_308_508_994}
    ctx = {"run_id": f"R{number}", "attempt": 0, "max_attempts": 4, "stack": {"stack": [*memos], "current": len(memos)}}
    document = {"ctx": ctx, "event": event, "events": [event], "steps": memos}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _signature(body: bytes) -> str:
    at = str(int(time.time()))
    return f"t={at}&s={hmac.new(_KEY_TEXT, body + at.encode(), sha256).hexdigest()}"
