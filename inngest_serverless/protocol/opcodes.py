"""Opcodes: what a call reports to the server. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "AI_GATEWAY",
    "GATEWAY",
    "INVOKE_FUNCTION",
    "SLEEP",
    "STEP_ERROR",
    "STEP_FAILED",
    "STEP_PLANNED",
    "STEP_RUN",
    "WAIT_FOR_EVENT",
    "WAIT_FOR_SIGNAL",
    "Failure",
    "Opcode",
]

STEP_RUN = "StepRun"
STEP_ERROR = "StepError"
STEP_FAILED = "StepFailed"
STEP_PLANNED = "StepPlanned"
SLEEP = "Sleep"
WAIT_FOR_EVENT = "WaitForEvent"
INVOKE_FUNCTION = "InvokeFunction"
WAIT_FOR_SIGNAL = "WaitForSignal"
AI_GATEWAY = "AIGateway"
GATEWAY = "Gateway"


class Failure:
    """An exception, ready to be told.

    Attributes:
        name: Its class's name.
        message: Its message.
        stack: Its stack trace, or None.
        final: True if a retry must not or cannot help.
        retry_after: The RFC 3339 instant before which not to retry, or None.
    """

    __slots__ = ("final", "message", "name", "retry_after", "stack")

    def __init__(
        self, name: str, message: str, stack: str | None = None, *, final: bool = False, retry_after: str | None = None
    ) -> None:
        self.name: str = name
        self.message: str = message
        self.stack: str | None = stack
        self.final: bool = final
        self.retry_after: str | None = retry_after

    def to_json(self) -> dict[str, str | None]:
        """``{name, message, stack}``."""
        return {"name": self.name, "message": self.message, "stack": self.stack}


class Opcode:
    """One element of a 206 reply.

    Attributes:
        op: Its kind.
        key: The step's hash.
        step_id: The ID as the code gives it.
        index: Which repeat of that ID it is, or None.
        opts: What the server needs to carry it out, or None.
        data: JSON text of the step's result.
        failure: What the step raised, or None.
    """

    __slots__ = ("data", "failure", "index", "key", "op", "opts", "step_id")

    def __init__(
        self,
        op: str,
        key: str,
        step_id: str,
        index: int | None,
        opts: dict[str, Any] | None,
        data: str = "null",
        failure: Failure | None = None,
    ) -> None:
        self.op: str = op
        self.key: str = key
        self.step_id: str = step_id
        self.index: int | None = index
        self.opts: dict[str, Any] | None = opts
        self.data: str = data
        self.failure: Failure | None = failure

    def encode(self) -> str:
        """Its JSON text, with the result's text put in as it is."""
        label = encode(self.step_id)
        opts = f'"opts":{_opts_json(self.opts)},' if self.opts else ""
        error = f'"error":{encode(self.failure.to_json())},' if self.failure else ""
        index = "null" if self.index is None else self.index
        return (
            f'{{"op":"{self.op}","id":"{self.key}","name":{label},"displayName":{label},{opts}"data":{self.data},'
            f'{error}"userland":{{"id":{label},"index":{index}}}}}'
        )


def _opts_json(opts: dict[str, Any]) -> str:
    # Those of most steps: one of our own words. A call that finds a thousand steps writes it a thousand times.
    return f'{{"type":"{opts["type"]}"}}' if len(opts) == 1 and "type" in opts else encode(opts)
