"""The server's half of a call: the request it makes, and the delays it takes from what apps write.

Source: docs/protocol.md, sections 2 and 4.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.durations import to_instant
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.ids import function_uuid, queue_item_id, trace_id
from inngest_serverless.local.millis import duration_ms
from inngest_serverless.local.runs import EngineError
from inngest_serverless.protocol.jcs import canonicalize
from inngest_serverless.protocol.signing import sign

if TYPE_CHECKING:
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Run, State
    from inngest_serverless.protocol.signing import SigningKey

__all__ = [
    "BACKOFF_JITTER_MS",
    "MAX_BODY_BYTES",
    "UNTARGETED",
    "Answer",
    "Call",
    "backoff_ms",
    "call_body",
    "call_headers",
    "call_url",
    "retry_after_ms",
    "wake_ms",
]

UNTARGETED = "step"
# A larger body goes out without the memos, which the app then fetches.
MAX_BODY_BYTES = 4 * 1024 * 1024

# The server's own table; it adds up to 30 seconds of jitter.
_BACKOFF_SECONDS = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
BACKOFF_JITTER_MS = 30_000

_SECOND_MS = 1_000
_RETRY_AFTER_LIMITS_MS = (_SECOND_MS, 24 * 3600 * _SECOND_MS)
_RETRY_AFTER_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function.

    Attributes:
        run: The run it is for.
        job_id: Its ID in the queue; its retries have the same.
        target: ``UNTARGETED``, or the hash of the only step to run.
        attempt: Which try it is, from 0.
        known: What to send of the run's state if not all of it: parallel steps do not know of one another.
        took_ms: How long the app took, once it has answered.
        number: Its place in ``Run.invocations``, once the app has answered.
    """

    run: Run
    job_id: str
    target: str = UNTARGETED
    attempt: int = 0
    known: State | None = None
    took_ms: float = 0.0
    number: int = -1

    @property
    def is_last(self) -> bool:
        """Whether there is no further try."""
        return self.attempt + 1 >= self.run.function.max_attempts

    @property
    def is_wanted(self) -> bool:
        """Whether there is still any use for it."""
        return self.run.is_active and (self.target == UNTARGETED or self.target in self.run.open)

    def again(self) -> Call:
        """The next try. By then all of the state is known."""
        return replace(self, attempt=self.attempt + 1, known=None, took_ms=0.0, number=-1)


class Answer(NamedTuple):
    """What came of a call.

    Attributes:
        reply: The reply.
        at_ms: When the call was made, in Unix milliseconds of the engine's clock.
        took_ms: How long it took, in milliseconds of the wall clock.
    """

    reply: HttpReply
    at_ms: int
    took_ms: float


def call_body(call: Call, *, request_id: str, has_api: bool) -> bytes:
    """The body of a call.

    Args:
        call: The call.
        request_id: The request's ID.
        has_api: Whether the app can fetch what is too big to send.

    Raises:
        EngineError: The run's events hold something that is no JSON.
    """
    body = _encoded(call, request_id, use_api=False)
    return _encoded(call, request_id, use_api=True) if has_api and len(body) > MAX_BODY_BYTES else body


def _encoded(call: Call, request_id: str, *, use_api: bool) -> bytes:
    run = call.run
    memos, order = call.known or (run.memos, run.order)
    ctx = {
        "run_id": run.id,
        "fn_id": function_uuid(run.function.id),
        "env": "",
        "step_id": "step",
        "attempt": call.attempt,
        "max_attempts": run.function.max_attempts,
        "stack": {"stack": order, "current": len(order)},
        # What has been planned is called for on its own, and may not be run by another call as well.
        "disable_immediate_execution": call.target != UNTARGETED or run.is_parallel or bool(run.open),
        "use_api": use_api,
        "qi_id": queue_item_id(call.job_id),
        "job_id": call.job_id,
        "generation_id": call.attempt + 1,
        "request_id": request_id,
    }
    document: dict[str, Any] = {
        "ctx": ctx,
        "event": run.events[0],
        "events": run.events,
        "steps": {} if use_api else memos,
        "defers": {},
        "use_api": use_api,
        "version": run.version,
    }
    return _canonical(document, run)


def _canonical(document: dict[str, Any], run: Run) -> bytes:
    try:
        body = canonicalize(json.dumps(document).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise EngineError(f"run {run.id}: its events hold something that is no JSON: {error}") from error
    if body is None:
        raise EngineError(f"run {run.id}: its events hold something that is no JSON: NaN, an infinity, or a deep nest")
    return body


def call_headers(call: Call, body: bytes, *, request_id: str, span_id: str, key: SigningKey | None) -> dict[str, str]:
    """The headers of a call, signed if there is a key."""
    run = call.run
    headers = {
        "Content-Type": "application/json",
        "Traceparent": f"00-{trace_id(run.id)}-{span_id}-01",
        "X-Inngest-Generation-Id": str(call.attempt + 1),
        "X-Inngest-Job-Id": call.job_id,
        "X-Inngest-Req-Version": str(run.version),
        "X-Inngest-Step-Id": call.target,
        "X-Request-Id": request_id,
        "X-Run-Id": run.id,
    }
    if key is not None:
        headers["X-Inngest-Signature"] = sign(body, key, time.time())
    return headers


def call_url(url: str, target: str) -> str:
    """A function's registered URL, for one step."""
    return url.replace(f"stepId={UNTARGETED}", f"stepId={target}")


def backoff_ms(attempt: int) -> int:
    """How long the server waits after a failed attempt, jitter apart; ``attempt`` counts from 0."""
    return _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)] * _SECOND_MS


def retry_after_ms(retry_after: str | None) -> int | None:
    """How long a Retry-After header asks to wait, within the server's limits; None if there is none that can be read.

    It is in whole seconds, rounded up: an app counts an instant from the wall clock, and the time that its answer took
    would else show on the engine's clock.
    """
    if not retry_after:
        return None
    if len(retry_after) <= _RETRY_AFTER_DIGITS and retry_after.isascii() and retry_after.isdigit():
        delay = int(retry_after) * _SECOND_MS
    else:
        try:
            delay = _instant_ms(retry_after) - ceil(time.time() * _SECOND_MS)
        except ConfigurationError:
            return None
    low, high = _RETRY_AFTER_LIMITS_MS
    return min(max(-(-delay // _SECOND_MS) * _SECOND_MS, low), high)


def wake_ms(duration: str, now_ms: int) -> int:
    """How long from now a duration, or an instant, is; negative for an instant that is over.

    Raises:
        ConfigurationError: It is neither.
    """
    try:
        return duration_ms(duration)
    except ConfigurationError:
        return _instant_ms(duration) - now_ms


def _instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(to_instant(text)).timestamp() * _SECOND_MS)
