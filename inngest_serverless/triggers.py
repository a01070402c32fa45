"""Triggers: what starts a function. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.events import INVOKED_EVENT, Event, FirstFit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Any

    Types = dict[str | None, Any]
else:
    Types = dict

__all__ = ["Trigger", "cron_trigger", "event_trigger"]

_MOST_TRIGGERS = 10


class Trigger:
    """What starts a function: an event, or a schedule. Made by ``event_trigger`` and ``cron_trigger``."""

    __slots__ = ("cron", "event", "event_type", "expression", "jitter")

    def __init__(
        self,
        *,
        event: str | None = None,
        expression: str | None = None,
        cron: str | None = None,
        jitter: str | None = None,
        event_type: type[Event[Any]] | None = None,
    ) -> None:
        self.event: str | None = event
        self.expression: str | None = expression
        self.cron: str | None = cron
        self.jitter: str | None = jitter
        self.event_type: type[Event[Any]] | None = event_type

    def to_json(self) -> dict[str, str]:
        """Its registration."""
        if self.cron is not None:
            return {"cron": self.cron} | ({"jitter": self.jitter} if self.jitter else {})
        return {"event": self.event or ""} | ({"expression": self.expression} if self.expression else {})


def event_trigger(name: str | type[Event[Any]], expression: str | None = None) -> Trigger:
    """Run a function for each event of a name, or of a type.

    Args:
        name: The event's name, e.g. ``"api/account.created"``, or a type of event, whose data is then checked.
        expression: A CEL condition on it, e.g. ``"event.data.plan == 'pro'"``.

    Raises:
        ConfigurationError: The name is empty, or the expression is no text.
    """
    if expression is not None and not isinstance(expression, str):
        raise ConfigurationError(
            f"event_trigger: expression must be a CEL expression, e.g. \"event.data.plan == 'pro'\", "
            f"not {type(expression).__name__}"
        )
    if isinstance(name, type) and issubclass(name, Event) and name.event_name:
        return Trigger(event=name.event_name, expression=expression, event_type=name)
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("event_trigger needs the name of an event, e.g. event_trigger('api/account.created')")
    return Trigger(event=name, expression=expression)


def cron_trigger(cron: str, jitter: str | int | timedelta | None = None) -> Trigger:
    """Run a function on a schedule.

    Args:
        cron: Five fields (minute, hour, day of month, month, day of week with 0 for Sunday); a time zone may stand
            before them: ``"TZ=Europe/Paris 0 12 * * 5"``. The default is UTC.
        jitter: Start at a random time up to this long after the schedule: a time string, milliseconds, or a timedelta.

    Raises:
        ConfigurationError: The fields are wrong.
    """
    if not isinstance(cron, str):
        raise ConfigurationError(f"cron_trigger needs text such as '0 12 * * 5', not {type(cron).__name__}")
    # Most functions have no schedule, and a cold start loads what it needs.
    from inngest_serverless.cron_fields import cron_fault

    if (fault := cron_fault(cron)) is not None:
        raise ConfigurationError(f"cron {cron!r}: {fault}; write five fields, e.g. '0 12 * * 5' for Fridays at 12:00")
    if jitter is None:
        return Trigger(cron=cron)
    from inngest_serverless.durations import to_time_string

    try:
        return Trigger(cron=cron, jitter=to_time_string(jitter))
    except ConfigurationError as error:
        raise ConfigurationError(f"cron_trigger: jitter: {error}") from None


def trigger_list(given: Trigger | Sequence[Trigger]) -> list[Trigger]:
    """One trigger or several.

    Raises:
        ConfigurationError: There are none, too many, or two that are equal.
    """
    items: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    triggers = [item for item in items if isinstance(item, Trigger)]
    others = [item for item in items if not isinstance(item, Trigger) and item is not None]
    if others:
        wrong = getattr(others[0], "__name__", type(others[0]).__name__)
        raise ConfigurationError(f"{wrong} is no trigger: pass trigger=event_trigger('...') or cron_trigger('...')")
    if not triggers or len(triggers) < len(items):
        raise ConfigurationError("it has no trigger: pass trigger=event_trigger('...') or cron_trigger('...')")
    if len(triggers) > _MOST_TRIGGERS:
        raise ConfigurationError(f"it has {len(triggers)} triggers, and the server takes {_MOST_TRIGGERS} at most")
    documents = [item.to_json() for item in triggers]
    for number, document in enumerate(documents):
        if document in documents[:number]:
            raise ConfigurationError(f"trigger {document.get('event') or document.get('cron')!r} is given twice")
    return triggers


def types_by_event(triggers: Sequence[Trigger]) -> Mapping[str | None, Any]:
    """The types of a function's events, by the events' names.

    Raises:
        ConfigurationError: There are two of one name.
    """
    types = _EventTypes()
    for item in triggers:
        if item.event_type is not None and types.setdefault(item.event, item.event_type) is not item.event_type:
            raise ConfigurationError(
                f"event {item.event!r} has two types, {types[item.event].__name__} and {item.event_type.__name__}: "
                "one event is of one type"
            )
    if types:
        # Who invokes a function gives it such data as its own events have.
        kinds = [*types.values(), *(Event for item in triggers if item.event_type is None)]
        types.setdefault(INVOKED_EVENT, kinds[0] if len(kinds) == 1 else FirstFit(kinds))
    return types


class _EventTypes(Types):
    """Types by the names of events; a name may end in ``*``."""

    def get(self, name: str | None, default: Any = None) -> Any:
        if name in self or name is None:
            return super().get(name, default)
        fitting = [known for known in self if known and known.endswith("*") and name.startswith(known[:-1])]
        return self[max(fitting, key=len)] if fitting else default
