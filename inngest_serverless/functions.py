"""Functions and their triggers: what users declare. Everything is checked here, when the module is imported."""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol.registration import composite_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

__all__ = ["Function", "Trigger", "create_function", "cron_trigger", "event_trigger", "index_functions"]

MAX_RETRIES = 20
DEFAULT_RETRIES = 4

# inspect.CO_COROUTINE; importing inspect would cost a cold start more than everything else here.
_CO_COROUTINE = 0x80

_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_CRON_NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_CRON_WORDS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}


class Trigger:
    """What starts a function: an event, or a schedule. Made by ``event_trigger`` and ``cron_trigger``."""

    __slots__ = ("cron", "event", "expression")

    def __init__(self, *, event: str | None = None, expression: str | None = None, cron: str | None = None) -> None:
        self.event = event
        self.expression = expression
        self.cron = cron

    def to_json(self) -> dict[str, str]:
        """Its registration."""
        if self.cron is not None:
            return {"cron": self.cron}
        return {"event": self.event or ""} | ({"expression": self.expression} if self.expression else {})


def event_trigger(name: str, expression: str | None = None) -> Trigger:
    """Run a function for each event of a name.

    Args:
        name: The event's name, e.g. ``"api/account.created"``.
        expression: A CEL condition on it, e.g. ``"event.data.plan == 'pro'"``.

    Raises:
        ConfigurationError: The name is empty.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("event_trigger needs the name of an event, e.g. event_trigger('api/account.created')")
    return Trigger(event=name, expression=expression)


def cron_trigger(cron: str) -> Trigger:
    """Run a function on a schedule.

    Args:
        cron: Five fields (minute, hour, day of month, month, day of week), or ``@daily`` and the like; a time zone
            may stand before them: ``"TZ=Europe/Paris 0 12 * * 5"``. The default is UTC.

    Raises:
        ConfigurationError: The fields are wrong.
    """
    if not isinstance(cron, str):
        raise ConfigurationError(f"cron_trigger needs text such as '0 12 * * 5', not {type(cron).__name__}")
    if (fault := _cron_fault(cron)) is not None:
        raise ConfigurationError(f"cron {cron!r}: {fault}; write five fields, e.g. '0 12 * * 5' for Fridays at 12:00")
    return Trigger(cron=cron)


def _cron_fault(cron: str) -> str | None:
    fields = cron.split()
    if fields and fields[0].startswith(("TZ=", "CRON_TZ=")):
        fields = fields[1:]
    if len(fields) == 1 and fields[0] in _CRON_WORDS:
        return None
    if len(fields) == 2 and fields[0] == "@every":  # noqa: PLR2004 - the word and its duration
        return None
    if len(fields) != len(_CRON_FIELDS):
        return f"it has {len(fields)} fields"
    for text, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, name, low, high) for part in text.split(",")):
            return f"the {name} {text!r} is not in {low}-{high}"
    return None


def _is_cron_part(part: str, name: str, low: int, high: int) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdigit() and int(step) > 0):
        return False
    if span in {"*", "?"}:
        return True
    start, dash, end = span.partition("-")
    first = _cron_number(start, name)
    last = _cron_number(end, name) if dash else first
    return first is not None and last is not None and low <= first <= last <= high


def _cron_number(text: str, name: str) -> int | None:
    names = _CRON_NAMES.get(name, [])
    if text.upper() in names:
        return names.index(text.upper()) + (name == "month")
    return int(text) if text.isascii() and text.isdigit() else None


class Function:
    """A durable function. Made by ``create_function``.

    Attributes:
        id: Its ID within the app.
        name: The name shown for it.
        handler: The user's function, ``def f(ctx)`` or ``async def f(ctx)``.
        is_async: Whether the handler is a coroutine function.
        options: Its registration: name, triggers, retries, flow control.
    """

    __slots__ = ("handler", "id", "is_async", "name", "options")

    def __init__(self, id: str, name: str, handler: Callable[..., Any], options: dict[str, Any]) -> None:  # noqa: A002
        self.id = id
        self.name = name
        self.handler = handler
        self.is_async = is_coroutine_function(handler)
        self.options = options

    def __repr__(self) -> str:
        return f"Function(id={self.id!r})"


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it makes a coroutine; looks through partials and callable objects."""
    while (inner := getattr(function, "func", None)) is not None:
        function = inner
    code = getattr(function, "__code__", None) or getattr(getattr(function, "__call__", None), "__code__", None)  # noqa: B004
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


def create_function(
    *,
    id: str | None = None,  # noqa: A002 - the field's name everywhere at Inngest
    name: str | None = None,
    trigger: Trigger | Sequence[Trigger],
    retries: int = DEFAULT_RETRIES,
) -> Callable[[Callable[..., Any]], Function]:
    """Declare a durable function.

    Args:
        id: Its ID within the app; runs in flight are lost to it when it changes. Made from ``name`` if not given.
        name: The name to show; the ID if not given.
        trigger: One trigger or several, from ``event_trigger`` and ``cron_trigger``.
        retries: How often a step or the function is tried again, 0 to 20.

    Returns:
        A decorator for ``def f(ctx)`` or ``async def f(ctx)``.

    Raises:
        ConfigurationError: Anything about it is wrong; the message gives the function's ID.

    Source: docs/protocol.md, section 7.
    """
    function_id = _function_id(id, name)
    triggers = [trigger] if isinstance(trigger, Trigger) else list(trigger)
    if not triggers or not all(isinstance(item, Trigger) for item in triggers):
        raise ConfigurationError(
            f"function {function_id!r} has no trigger: pass trigger=event_trigger('...') or cron_trigger('...')"
        )
    if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= MAX_RETRIES:
        raise ConfigurationError(f"function {function_id!r}: retries must be a whole number from 0 to {MAX_RETRIES}")
    options = {
        "name": name or function_id,
        "triggers": [item.to_json() for item in triggers],
        "retries": retries,
    }

    def decorate(handler: Callable[..., Any]) -> Function:
        if not callable(handler):
            raise ConfigurationError(f"function {function_id!r}: create_function decorates a function")
        return Function(function_id, name or function_id, handler, options)

    return decorate


def _function_id(given: str | None, name: str | None) -> str:
    if given is None and name:
        given = _slug(name)
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError(
            f"a function (name {name!r}) has an empty ID: pass create_function(id='my-function', ...)"
        )
    return given


def _slug(name: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in name.lower()).split()
    return "-".join(words)


def index_functions(app_id: str, functions: Iterable[Any]) -> dict[str, Function]:
    """The functions of an app by composite ID.

    Raises:
        ConfigurationError: One is not a Function, or two have the same ID.
    """
    index: dict[str, Function] = {}
    for function in functions:
        if not isinstance(function, Function):
            raise ConfigurationError(
                f"{getattr(function, '__name__', function)!r} is not an Inngest function: "
                "decorate it with create_function"
            )
        identity = composite_id(app_id, function.id)
        if identity in index:
            raise ConfigurationError(f"function ID {function.id!r} is used twice: each needs its own")
        index[identity] = function
    return index
