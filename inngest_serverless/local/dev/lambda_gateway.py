"""The front doors of a Lambda function on this machine: what they let in, what they answer, and when they give up."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from inngest_serverless.clock import now_millis
from inngest_serverless.errors import InngestError
from inngest_serverless.local.dev.deadline import within
from inngest_serverless.local.gateway import from_lambda_reply, to_lambda_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.dev.limits import Limits, Refusal
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["LambdaGateway"]

_REST_STAGE = "prod"


class LambdaGateway:
    """Turns HTTP requests into the events of a trigger, and replies back.

    A request that the trigger would not let through, and a reply that it would not pass on, are answered as in the
    cloud; why goes to whoever runs the server.

    Args:
        invoke: Takes an event and returns the handler's reply; raises an ``InngestError`` where there is none.
        trigger: One of ``gateway.TRIGGERS``.
        limits: Those of the trigger.
        stage: The stage of an API; that of a REST API is ``prod`` if not given.
        told: Takes a line that says why a request was refused.
    """

    def __init__(
        self,
        invoke: Callable[[Mapping[str, Any]], Any],
        trigger: str,
        limits: Limits,
        *,
        stage: str | None = None,
        told: Callable[[str], None],
    ) -> None:
        self._invoke = invoke
        self._trigger = trigger
        self._limits = limits
        self._stage = stage or (_REST_STAGE if trigger == "rest-api" else None)
        self._told = told

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request to the function, and return what the client receives."""
        limits = self._limits
        if len(body) > limits.body_bytes:
            return self._refuse("body", f"the body has {len(body):,} bytes, and may have {limits.body_bytes:,}")
        request_id = str(uuid4())
        event = to_lambda_event(
            self._trigger, method, url, headers, body, stage=self._stage, now_millis=now_millis(), request_id=request_id
        )
        if (size := _size(event)) > limits.event_bytes:
            return self._refuse("event", f"the event has {size:,} bytes, and may have {limits.event_bytes:,}")
        try:
            reply = within(limits.seconds, partial(self._invoke, event))
        except TimeoutError:
            return self._refuse("late", f"the function took longer than {limits.seconds:g} seconds, and goes on")
        except InngestError as error:
            return self._refuse("failed", str(error))
        return self._pass_on(reply)

    def _pass_on(self, reply: Any) -> HttpReply:
        if (size := _size(reply)) > self._limits.reply_bytes:
            return self._refuse("reply", f"the reply has {size:,} bytes, and may have {self._limits.reply_bytes:,}")
        try:
            return from_lambda_reply(self._trigger, reply)
        except ValueError as error:
            return self._refuse("failed", f"the reply is refused: {error}")

    def _refuse(self, refusal: Refusal, why: str) -> HttpReply:
        answer = self._limits.answers[refusal]
        self._told(f"{self._trigger} answers {answer.status}: {why}")
        return answer


def _size(document: Any) -> int:
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
