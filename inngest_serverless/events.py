"""Events: what starts a run, and what a run can wait for or send."""

from __future__ import annotations

from collections.abc import Mapping

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Event", "event_json"]


class Event:
    """An event.

    Attributes:
        name: What happened, e.g. ``"api/account.created"``.
        data: The payload, a JSON object.
        user: Facts about the user it concerns, a JSON object.
        id: Its ID; events with the same ID are taken once. None lets the server give one.
        ts: When it happened, in Unix milliseconds. None means now.
        v: The payload's version, or None.

    Source: docs/protocol.md, sections 2 and 9.
    """

    __slots__ = ("data", "id", "name", "ts", "user", "v")

    def __init__(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - the field's name on the wire
        ts: int | None = None,
        v: str | None = None,
    ) -> None:
        self.name = name
        self.data: dict[str, Any] = {} if data is None else dict(data)
        self.user: dict[str, Any] = {} if user is None else dict(user)
        self.id = id
        self.ts = ts
        self.v = v

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Event:
        """An event from its JSON object, which has at least a name."""
        event = cls.__new__(cls)
        get = document.get
        event.name = document["name"]
        event.data = get("data") or {}
        event.user = get("user") or {}
        event.id = get("id")
        event.ts = get("ts")
        event.v = get("v")
        return event

    def to_dict(self) -> dict[str, Any]:
        """Its JSON object, without the fields that are not set."""
        document: dict[str, Any] = {"name": self.name, "data": self.data}
        optional = {"user": self.user or None, "id": self.id, "ts": self.ts, "v": self.v}
        document.update((key, value) for key, value in optional.items() if value is not None)
        return document

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and all(getattr(self, key) == getattr(other, key) for key in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Event(name={self.name!r}, id={self.id!r})"


def event_json(event: Event | Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of an event that is to be sent.

    Raises:
        ConfigurationError: It is neither an Event nor a mapping, or it has no name.
    """
    document = event.to_dict() if isinstance(event, Event) else dict(event)
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError("an event without a name cannot be sent: give it name='app/thing.happened'")
    return document


def event_list(events: Event | Mapping[str, Any] | Iterable[Event | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The JSON objects of one event or several.

    Raises:
        ConfigurationError: One of them has no name.
    """
    if isinstance(events, Event):
        return [event_json(events)]
    if isinstance(events, Mapping):
        single: Any = events
        return [event_json(single)]
    return [event_json(event) for event in events]
