"""The server's half of a call: the request it makes, and what it reads from the reply about time.

Source: docs/protocol.md, sections 2 and 4.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

from inngest_serverless.durations import parse_duration, to_instant
from inngest_serverless.protocol.signing import sign

if TYPE_CHECKING:
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Run
    from inngest_serverless.protocol.signing import SigningKey

__all__ = [
    "BACKOFF_JITTER_MS",
    "backoff_ms",
    "call_body",
    "call_headers",
    "call_url",
    "retry_after_ms",
    "wake_ms",
]

# The server's own table; it adds up to 30 seconds of jitter.
_BACKOFF_SECONDS = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
BACKOFF_JITTER_MS = 30_000

_RETRY_AFTER_LIMITS_MS = (1_000, 24 * 3_600_000)
_RETRY_AFTER_DIGITS = 7
_NANOS_PER_MS = 1_000_000


def call_body(run: Run, target: str, attempt: int, *, request_id: str) -> bytes:
    """The body of a call: ``target`` is ``"step"`` or the hash of the only step to run."""
    ctx = {
        "run_id": run.id,
        "fn_id": run.function.id,
        "env": "",
        "step_id": "step",
        "attempt": attempt,
        "max_attempts": run.function.max_attempts,
        "stack": {"stack": run.order, "current": len(run.order)},
        "disable_immediate_execution": target != "step",
        "use_api": False,
        "request_id": request_id,
    }
    document = {
        "ctx": ctx,
        "event": run.events[0],
        "events": run.events,
        "steps": run.memos,
        "use_api": False,
        "version": 2 if run.calls else -1,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def call_headers(run: Run, target: str, body: bytes, key: SigningKey | None) -> dict[str, str]:
    """The headers of a call, signed if there is a key."""
    headers = {
        "Content-Type": "application/json",
        "X-Run-ID": run.id,
        "X-Inngest-Req-Version": "2" if run.calls else "-1",
        "X-Inngest-Step-ID": target,
    }
    if key is not None:
        headers["X-Inngest-Signature"] = sign(body, key, time.time())
    return headers


def call_url(url: str, target: str) -> str:
    """A function's registered URL, for one step."""
    return url.replace("stepId=step", f"stepId={target}")


def backoff_ms(attempt: int) -> int:
    """How long the server waits after a failed attempt, jitter apart; ``attempt`` counts from 0."""
    return _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)] * 1000


def retry_after_ms(reply: HttpReply) -> int | None:
    """How long a reply asks to wait, within the server's limits, or None if it does not ask."""
    retry_after = reply.headers.get("retry-after")
    if retry_after is None:
        return None
    if len(retry_after) <= _RETRY_AFTER_DIGITS and retry_after.isdigit():
        delay = int(retry_after) * 1000
    else:
        # The app counts from the wall clock, the engine from its own.
        delay = _instant_ms(retry_after) - int(time.time() * 1000)
    low, high = _RETRY_AFTER_LIMITS_MS
    return min(max(delay, low), high)


def wake_ms(duration: str, now_ms: int) -> int:
    """How long from now a duration, or an instant, is."""
    if duration[-1:].isalpha() and not duration.endswith("Z"):
        return parse_duration(duration) // _NANOS_PER_MS
    return _instant_ms(duration) - now_ms


def _instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(to_instant(text)).timestamp() * 1000)
