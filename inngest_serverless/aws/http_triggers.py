"""The gateways in front of a Lambda function: which one an event is from, what it carries, and how long it waits.

Sources: the AWS Lambda developer guide on quotas, the API Gateway developer guide on quotas and on binary media types,
and the guide to application load balancers on idle timeouts and on Lambda functions as targets.
"""

from __future__ import annotations

from time import monotonic, time

from inngest_serverless.engine.deadline import Deadline
from inngest_serverless.protocol.exchange import HttpTrigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Timer = Callable[[Mapping[str, Any], Any, HttpTrigger], Deadline | None]

__all__ = ["find_trigger", "make_timer"]

_LAMBDA_BYTES = 6_291_556
# AWS says 1 MB, and not which one.
_LOAD_BALANCER_BYTES = 1_000_000
_RAISE = "and set INNGEST_DEADLINE to as many seconds"


def _measure(text: str) -> int:
    from inngest_serverless.aws.reply_size import json_size

    return json_size(text)


_FUNCTION_URL = HttpTrigger("the function URL", None, "", _LAMBDA_BYTES, _measure, takes_bytes=True)
_HTTP_API = HttpTrigger(
    "the HTTP API",
    30.0,
    "an HTTP API waits for 30 s at most, so put a function URL in its place",
    _LAMBDA_BYTES,
    _measure,
    takes_bytes=True,
)
_REST_API = HttpTrigger(
    "the REST API",
    29.0,
    f"a REST API waits for 29 s, so raise the timeout of its integration {_RAISE}",
    _LAMBDA_BYTES,
    _measure,
    # Only where it is set up for binary media types, which nobody tells us.
    takes_bytes=False,
)
_LOAD_BALANCER = HttpTrigger(
    "the load balancer",
    60.0,
    f"a load balancer waits for 60 s, so raise its idle timeout {_RAISE}",
    _LOAD_BALANCER_BYTES,
    _measure,
    takes_bytes=True,
)
_OWN_ADVICE = "raise the timeout of the Lambda function"


def find_trigger(event: Mapping[str, Any]) -> HttpTrigger:
    """What an HTTP event is from."""
    context = event["requestContext"]
    if "http" in context:
        return _FUNCTION_URL if ".lambda-url." in (context.get("domainName") or "") else _HTTP_API
    if "elb" in context:
        return _LOAD_BALANCER
    return _HTTP_API if event.get("version") == "1.0" else _REST_API


def make_timer(waits: float | None, margin: float) -> Timer:
    """Make what says when a call has to be answered.

    Args:
        waits: How many seconds the caller waits, if not as long as its trigger does by default.
        margin: How many seconds to answer before that.
    """
    set_advice = (
        f"INNGEST_DEADLINE (or the option deadline) says {waits:g} s, so raise the timeout that it stands for, "
        "and it with that"
        if waits is not None
        else ""
    )

    def timer(event: Mapping[str, Any], context: Any, trigger: HttpTrigger) -> Deadline | None:
        try:
            millis = context.get_remaining_time_in_millis()
        except AttributeError:
            return None
        if not isinstance(millis, int):
            # Not Lambda's: a test's, say.
            return None
        left, advice = millis / 1000, _OWN_ADVICE
        seconds = trigger.seconds if waits is None else waits
        if seconds is not None and (rest := seconds - _spent(event, seconds)) < left:
            left, advice = rest, set_advice or trigger.advice
        return Deadline(monotonic() + left, margin, advice)

    return timer


def _spent(event: Mapping[str, Any], seconds: float) -> float:
    """How much of its caller's time has gone by before the function had it: with a cold start, some seconds."""
    context = event["requestContext"]
    sent = context.get("timeEpoch") or context.get("requestTimeEpoch")
    if not isinstance(sent, int):
        return 0.0
    spent = time() - sent / 1000
    # Anything else is an event that has been kept.
    return spent if 0 < spent < seconds else 0.0
