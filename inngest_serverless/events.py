"""Events: what starts a run, and what a run can wait for or send."""

from __future__ import annotations

from collections.abc import Mapping

from inngest_serverless.errors import ConfigurationError, EventValidationError
from inngest_serverless.result_types import is_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar, Generic, Self

    from typing_extensions import TypeVar

    D = TypeVar("D", default=dict[str, Any])
else:
    from inngest_serverless.generics import Generic

    D = None

__all__ = ["INVOKED_EVENT", "Event", "FirstFit"]

# What a function is given that ``step.invoke`` runs, whatever its triggers are.
INVOKED_EVENT = "inngest/function.invoked"

# The server's own field in the data of such events.
_OWN_FIELD = "_inngest"


class Event(Generic[D]):  # noqa: PLW1641 - events can change, so they have no hash
    """An event, with data of any shape or of a type of its own.

    A type of event is a class with a name; its data is checked when it arrives::

        class AccountCreated(Event[Signup], name="api/account.created"): ...

    Attributes:
        name: What happened, e.g. ``"api/account.created"``.
        data: The payload: a dict, or an instance of the event's data type.
        user: Facts about the user it concerns, a JSON object.
        id: Its ID; events with the same ID are taken once. None lets the server give one.
        ts: When it happened, in Unix milliseconds. None means now; a run for a time to come starts then.
        v: The payload's version, or None.
        event_name: The name of a type of event; "" for events of any name.
        data_type: The type of its data, or None for a dict.

    Source: docs/protocol.md, sections 2 and 9.
    """

    __slots__ = ("data", "id", "name", "ts", "user", "v")

    event_name: ClassVar[str] = ""
    data_type: ClassVar[Any] = None

    def __init_subclass__(cls, *, name: str = "", **kwargs: Any) -> None:
        """Declare a type of event.

        Raises:
            ConfigurationError: It has no name, or the type of its data is given as text that names nothing.
        """
        super().__init_subclass__(**kwargs)
        cls.event_name = name or cls.event_name
        if not cls.event_name:
            raise ConfigurationError(
                f"event type {cls.__name__} has no name: "
                f"write class {cls.__name__}(Event[...], name='app/thing.happened')"
            )
        for base in cls.__dict__.get("__orig_bases__", ()):
            arguments = getattr(base, "__args__", ())
            if arguments and isinstance(base.__origin__, type) and issubclass(base.__origin__, Event):
                cls.data_type = _data_type(cls, arguments[0])

    def __init__(
        self,
        name: str = "",
        data: D | None = None,
        user: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - the field's name on the wire
        ts: int | None = None,
        v: str | None = None,
    ) -> None:
        self.name: str = name or self.event_name
        self.data: D = {} if data is None else data  # type: ignore[assignment]
        self.user: dict[str, Any] = {} if user is None else dict(user)
        self.id: str | None = id
        self.ts: int | None = ts
        self.v: str | None = v

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """An event from its JSON object, which has at least a name.

        Raises:
            EventValidationError: Its data does not fit the event's data type.
        """
        event = cls.__new__(cls)
        get = document.get
        event.name = document["name"]
        data: Any = get("data") or {}
        event.user = get("user") or {}
        event.id = get("id")
        event.ts = get("ts")
        event.v = get("v")
        if not is_open(cls.data_type):
            from inngest_serverless.typed_json import event_data

            if event.name == INVOKED_EVENT and isinstance(data, Mapping):
                data = {key: value for key, value in data.items() if key != _OWN_FIELD}
            data = event_data(cls.data_type, data, event.name)
        event.data = data
        return event

    def to_dict(self) -> dict[str, Any]:
        """Its JSON object, without the fields that are not set."""
        data: Any = self.data
        if not is_open(self.data_type):
            from inngest_serverless.typed_json import event_json_data

            data = event_json_data(self.data_type, data)
        if not isinstance(data, Mapping):
            # What has no form is left to the check of what is sent.
            from inngest_serverless.sent_events import as_object

            data = as_object(data) or data
        document: dict[str, Any] = {"name": self.name, "data": data}
        optional = {"user": self.user or None, "id": self.id, "ts": self.ts, "v": self.v}
        document.update((key, value) for key, value in optional.items() if value is not None)
        return document

    def to_event(self) -> Event[dict[str, Any]]:
        """The same event without its type: data as a dict."""
        return Event.from_dict(self.to_dict())

    def validate(self) -> None:
        """Check that the event can be sent.

        Raises:
            EventValidationError: It has no name, its data is no JSON object, its time is no positive number of
                milliseconds, or its data does not fit its type.
        """
        from inngest_serverless.sent_events import event_json

        event_json(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and all(getattr(self, key) == getattr(other, key) for key in Event.__slots__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, id={self.id!r})"


class FirstFit:
    """Stands for several types of event where the name does not say which: takes the first that fits.

    Args:
        types: The types; ``Event`` fits always.
    """

    __slots__ = ("_types",)

    def __init__(self, types: Iterable[type[Event[Any]]]) -> None:
        self._types = tuple(types)

    def from_dict(self, document: Mapping[str, Any]) -> Event[Any]:
        """An event from its JSON object.

        Raises:
            EventValidationError: Its data fits none; the message is that of the first type.
        """
        misfit: EventValidationError | None = None
        for kind in self._types:
            try:
                return kind.from_dict(document)
            except EventValidationError as error:
                misfit = misfit or error
        raise misfit or EventValidationError("there is no type of event")


def _data_type(cls: type[Event[Any]], argument: Any) -> Any:
    text = getattr(argument, "__forward_arg__", argument)
    if not isinstance(text, str):
        return argument
    from inngest_serverless.annotations import named

    try:
        return named(text, cls.__module__)
    except Exception:  # noqa: BLE001 - whatever the text is, it is no type
        raise ConfigurationError(
            f"event type {cls.__name__}: its data type {text!r} is not found in {cls.__module__}: "
            "define that type first, and write it without quotes"
        ) from None
