"""The platform in front of a Cloud Function on this machine: what it lets in, and when it gives up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from inngest_serverless.errors import InngestError
from inngest_serverless.local.dev.deadline import within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.dev.limits import Limits, Refusal
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["CloudRun"]


class CloudRun:
    """Passes requests on to a function.

    Args:
        endpoint: Reaches the function's server.
        limits: Those of the platform, with the service's own timeout.
        told: Takes a line that says why a request was refused.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, *, told: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._told = told

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request to the function, and return what the client receives."""
        limits = self._limits
        if len(body) > limits.body_bytes:
            return self._refuse("body", f"the body has {len(body):,} bytes, and may have {limits.body_bytes:,}")
        try:
            reply = within(limits.seconds, partial(self._endpoint, method, url, headers, body))
        except TimeoutError:
            return self._refuse("late", f"the function took longer than {limits.seconds:g} seconds, and goes on")
        except InngestError as error:
            return self._refuse("failed", str(error).partition("\n")[0])
        if len(reply.body) > limits.reply_bytes:
            return self._refuse(
                "reply", f"the reply has {len(reply.body):,} bytes, and may have {limits.reply_bytes:,}"
            )
        return reply

    def _refuse(self, refusal: Refusal, why: str) -> HttpReply:
        answer = self._limits.answers[refusal]
        self._told(f"Cloud Run answers {answer.status}: {why}")
        return answer
