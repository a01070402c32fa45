"""Events as they are sent: checked, and as JSON objects. A call that sends none does not load it."""

from __future__ import annotations

from collections.abc import Mapping

from inngest_serverless.errors import EventValidationError
from inngest_serverless.events import Event
from inngest_serverless.serialization import jsonable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["as_object", "check_event", "event_json", "event_list"]

_FIELDS: tuple[tuple[str, type, str], ...] = (
    ("data", Mapping, "an object"),
    ("user", Mapping, "an object"),
    ("id", str, "text"),
    ("ts", int, "Unix milliseconds"),
    ("v", str, "text"),
)


def as_object(data: Any) -> dict[str, Any] | None:
    """A model or a dataclass as a JSON object; None for what has no such form."""
    try:
        written = jsonable(data)
    except Exception:  # noqa: BLE001 - whatever a user's type raises
        return None
    return written if isinstance(written, dict) else None


def check_event(document: Mapping[str, Any]) -> None:
    """Check an event's JSON object before it is sent.

    Raises:
        EventValidationError: A field is missing or wrong; the message names it, never its value.
    """
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        raise EventValidationError("an event without a name cannot be sent: give it name='app/thing.happened'")
    for field, kinds, what in _FIELDS:
        if document.get(field) is not None and not isinstance(document[field], kinds):
            raise EventValidationError(f"event {name!r}: {field} must be {what}")
    ts = document.get("ts")
    if ts is not None and (isinstance(ts, bool) or ts <= 0):
        raise EventValidationError(f"event {name!r}: ts must be Unix milliseconds")


def event_json(event: Event[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of an event that is to be sent.

    Raises:
        EventValidationError: A field is missing or wrong, or the data does not fit the type of event.
    """
    if not isinstance(event, (Event, Mapping)):
        raise _no_event(event)
    document = event.to_dict() if isinstance(event, Event) else dict(event)
    check_event(document)
    if isinstance(event, Event):
        # Who receives it would refuse for good what does not fit.
        type(event).from_dict(document)
    return document


def event_list(
    events: Event[Any] | Mapping[str, Any] | Iterable[Event[Any] | Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The JSON objects of one event or several.

    Raises:
        EventValidationError: A field of one of them is missing or wrong.
    """
    if isinstance(events, Event):
        return [event_json(events)]
    if isinstance(events, Mapping):
        single: Any = events
        return [event_json(single)]
    if isinstance(events, (str, bytes)) or not hasattr(type(events), "__iter__"):
        raise _no_event(events)
    return [event_json(event) for event in events]


def _no_event(wrong: object) -> EventValidationError:
    return EventValidationError(
        f"an event is an Event or a mapping with a name and data, not {type(wrong).__name__}: "
        "write Event('app/thing.happened', data={...})"
    )
