"""What the server tells of a run that failed for good. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from inngest_serverless.errors import StepError
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
        event: The event that had started it.
        events: All events, if it was started by a batch.
        function_id: The composite ID of its function.
        run_id: The run.
    """

    __slots__ = ("error", "event", "events", "function_id", "run_id")

    def __init__(self, data: Mapping[str, Any], event_types: Mapping[str | None, type[Event[Any]]]) -> None:
        error = data.get("error") or {}
        self.error = StepError(str(error.get("name") or "Error"), str(error.get("message") or ""), error.get("stack"))
        documents = data.get("events") or [data.get("event")]
        self.events = [_event(document, event_types) for document in documents if document]
        self.event = _event(data["event"], event_types) if data.get("event") else self.events[0]
        self.function_id = str(data.get("function_id") or "")
        self.run_id = str(data.get("run_id") or "")


def _event(document: Mapping[str, Any], event_types: Mapping[str | None, type[Event[Any]]]) -> Event[Any]:
    return event_types.get(document.get("name"), Event).from_dict({"name": "", **document})
