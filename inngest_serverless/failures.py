"""What the server tells of a run that failed for good. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from inngest_serverless.errors import InngestError, StepError
from inngest_serverless.events import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["FAILED_EVENT", "RunFailure"]

FAILED_EVENT = "inngest/function.failed"


class RunFailure:
    """A run that failed for good, as ``ctx.failure`` of its ``on_failure`` handler.

    Attributes:
        error: What it raised last: ``.name``, ``.message``, ``.stack``.
        event: The event that had started it, of its type; a plain ``Event`` if its data does not fit that, which may be
            the very reason of the failure.
        events: All events, if it was started by a batch.
        function_id: The composite ID of its function.
        run_id: The run.
    """

    __slots__ = ("error", "event", "events", "function_id", "run_id")

    def __init__(self, data: Mapping[str, Any], event_types: Mapping[str | None, Any]) -> None:
        error = data.get("error") or {}
        self.error: StepError = StepError(
            str(error.get("name") or "Error"), str(error.get("message") or ""), error.get("stack")
        )
        documents = data.get("events") or [data.get("event")]
        self.events: list[Event[Any]] = [_event(document, event_types) for document in documents if document]
        self.event: Event[Any] = (
            _event(data["event"], event_types) if data.get("event") else next(iter(self.events), Event())
        )
        self.function_id: str = str(data.get("function_id") or "")
        self.run_id: str = str(data.get("run_id") or "")

    def __repr__(self) -> str:
        return f"RunFailure(function_id={self.function_id!r}, run_id={self.run_id!r}, error={self.error.name!r})"


def _event(document: Mapping[str, Any], event_types: Mapping[str | None, Any]) -> Event[Any]:
    document = {"name": "", **document}
    try:
        found: Event[Any] = event_types.get(document["name"], Event).from_dict(document)
    except InngestError:
        return Event.from_dict(document)
    return found
