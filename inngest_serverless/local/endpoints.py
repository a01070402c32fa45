"""Ways to reach an app: the local engine sends a request, the app answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.gateway import from_lambda_reply, to_lambda_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.engine import Endpoint
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["lambda_endpoint"]


def lambda_endpoint(invoke: Callable[[Any], Any], trigger: str = "function-url") -> Endpoint:
    """Reach a Lambda handler through one of its triggers.

    Args:
        invoke: Takes a Lambda event and returns the handler's reply: the handler itself, with its context bound, or
            the ``invoke`` of a ``LambdaRuntime``.
        trigger: One of ``gateway.TRIGGERS``.
    """

    def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        event = to_lambda_event(trigger, method, url, headers, body, now_millis=int(time.time() * 1000))
        return from_lambda_reply(trigger, invoke(event))

    return endpoint
