"""Ways to reach an app: the local engine sends a request, the app answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inngest_serverless.clock import now_millis
from inngest_serverless.local.gateway import HttpReply, from_lambda_reply, to_lambda_event
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Sends a request to an app: method, URL, headers, body.
    Endpoint = Callable[[str, str, Mapping[str, str], bytes], HttpReply]

__all__ = ["lambda_endpoint"]

_TOO_LARGE, _BAD_GATEWAY = 413, 502


def lambda_endpoint(invoke: Callable[[Any], Any], trigger: str = "function-url") -> Endpoint:
    """Reach a Lambda handler through one of its triggers.

    An invocation that fails, or a reply that the trigger would refuse, is answered as in the cloud, with a 413 or a
    502; but the body says why. What a handler in this process raises goes through to the caller.

    Args:
        invoke: Takes a Lambda event and returns the handler's reply: the handler itself, with its context bound, or
            the ``invoke`` of a ``LambdaRuntime``.
        trigger: One of ``gateway.TRIGGERS``.
    """

    def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        event = to_lambda_event(trigger, method, url, headers, body, now_millis=now_millis())
        try:
            reply = invoke(event)
        except LambdaInvocationError as error:
            status = _TOO_LARGE if error.error_type == "RequestEntityTooLargeException" else _BAD_GATEWAY
            return _refusal(status, error.error_type, error.message, error.stack)
        try:
            return from_lambda_reply(trigger, reply)
        except ValueError as error:
            return _refusal(_BAD_GATEWAY, "InvalidLambdaReply", str(error))

    return endpoint


def _refusal(status: int, name: str, message: str, stack: str = "") -> HttpReply:
    body = json.dumps({"name": name, "message": message, "stack": stack or None})
    return HttpReply(status, {"content-type": "application/json"}, body.encode())
