"""How many runs, how fast, and which: the options of ``create_function``, checked when they are written.

Times are time strings ("1h30m"), milliseconds, or timedeltas; keys and conditions are CEL on ``event``.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Any, Literal

    Duration = str | int | timedelta

__all__ = [
    "Batch",
    "Cancel",
    "Concurrency",
    "Debounce",
    "Priority",
    "RateLimit",
    "Singleton",
    "Throttle",
    "Timeouts",
]

_SECOND = 1_000_000_000
_DAY = 24 * 3600 * _SECOND

# Where the wire has other names than Python.
_WIRE_NAMES = {"max_size": "maxSize", "if_exp": "if", "rate_limit": "rateLimit", "batch_events": "batchEvents"}


class _Option:
    """One option: a frozen set of the arguments that were given."""

    __slots__ = ("_fields",)
    _fields: dict[str, Any]

    def _set(self, **fields: Any) -> None:
        present = {key: value for key, value in fields.items() if value is not None}
        object.__setattr__(self, "_fields", present)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: make another one instead of setting {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: make another one instead of deleting {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self._fields)

    def to_json(self) -> dict[str, Any]:
        """Its registration."""
        return {_WIRE_NAMES.get(key, key): value for key, value in self._fields.items()}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Option) and other._fields == self._fields

    def __hash__(self) -> int:
        return hash((type(self), tuple(self._fields.items())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self._fields.items())})"


def _remade(kind: type[_Option], fields: dict[str, Any]) -> _Option:
    option = object.__new__(kind)
    object.__setattr__(option, "_fields", dict(fields))
    return option


class Concurrency(_Option):
    """How many steps may run at the same time.

    Args:
        limit: The number of steps; 0 stands for the account's own limit.
        key: Counts each value of this expression by itself, e.g. ``"event.data.user_id"``.
        scope: ``"fn"`` counts this function, ``"env"`` and ``"account"`` count everything that has the same key.

    Raises:
        ConfigurationError: The limit is negative, the scope is unknown, or the key is no text.
    """

    __slots__ = ()

    def __init__(
        self, limit: int, key: str | None = None, scope: Literal["fn", "env", "account"] | None = None
    ) -> None:
        _check_count("Concurrency", "limit", limit, low=0)
        _check_expression("Concurrency", "key", key)
        _check_choice("Concurrency", "scope", scope, ("fn", "env", "account"))
        if scope in {"env", "account"} and not key:
            raise ConfigurationError(f"Concurrency: scope {scope!r} needs a key that says what is counted together")
        self._set(limit=limit, key=key, scope=scope)


class Throttle(_Option):
    """How many runs may start in a period; the others wait.

    Args:
        limit: Runs a period.
        period: Its length, 1 second to 7 days.
        burst: Runs that may start at once beyond the limit.
        key: Counts each value of this expression by itself.

    Raises:
        ConfigurationError: A number or the period is out of its bounds, or the key is no text.
    """

    __slots__ = ()

    def __init__(self, limit: int, period: Duration, burst: int | None = None, key: str | None = None) -> None:
        _check_count("Throttle", "limit", limit)
        _check_count("Throttle", "burst", burst, required=False)
        _check_expression("Throttle", "key", key)
        self._set(limit=limit, period=_period("Throttle", "period", period, 7 * _DAY), burst=burst, key=key)


class RateLimit(_Option):
    """How many runs may start in a period; the others are dropped.

    Args:
        limit: Runs a period.
        period: Its length, 1 second to 24 hours.
        key: Counts each value of this expression by itself.

    Raises:
        ConfigurationError: The limit or the period is out of its bounds, or the key is no text.
    """

    __slots__ = ()

    def __init__(self, limit: int, period: Duration, key: str | None = None) -> None:
        _check_count("RateLimit", "limit", limit)
        _check_expression("RateLimit", "key", key)
        self._set(limit=limit, period=_period("RateLimit", "period", period, _DAY), key=key)


class Debounce(_Option):
    """Start one run when no event has come for a while, with the last one.

    Args:
        period: How long it must be quiet, 1 second to 7 days.
        key: Debounces each value of this expression by itself.
        timeout: The longest a run may be put off.

    Raises:
        ConfigurationError: The period is out of its bounds, or the key is no text.
    """

    __slots__ = ()

    def __init__(self, period: Duration, key: str | None = None, timeout: Duration | None = None) -> None:
        _check_expression("Debounce", "key", key)
        self._set(period=_period("Debounce", "period", period, 7 * _DAY), key=key, timeout=_time("Debounce", timeout))


class Priority(_Option):
    """Which runs go first.

    Args:
        run: An expression that gives the seconds, -600 to 600, by which a run goes before others.

    Raises:
        ConfigurationError: The expression is empty or no text.
    """

    __slots__ = ()

    def __init__(self, run: str) -> None:
        _check_expression("Priority", "run", run, required=True, example="event.data.plan == 'pro' ? 120 : 0")
        self._set(run=run)


class Batch(_Option):
    """Start one run for several events: ``ctx.events`` has them all.

    It does not go with ``cancel``, ``debounce``, ``priority`` and ``singleton``.

    Args:
        max_size: The most events in a batch, 2 or more.
        timeout: How long to wait for them, 1 second or more; one minute where it is not given.
        key: Batches each value of this expression by itself.
        if_exp: Events for which this is false start a run of their own at once.

    Raises:
        ConfigurationError: The size or the timeout is too small, or an expression is no text.
    """

    __slots__ = ()

    def __init__(
        self, max_size: int, timeout: Duration | None = None, key: str | None = None, if_exp: str | None = None
    ) -> None:
        _check_count("Batch", "max_size", max_size, low=2)
        _check_expression("Batch", "key", key)
        _check_expression("Batch", "if_exp", if_exp)
        self._set(max_size=max_size, timeout=_batch_timeout(timeout), key=key, if_exp=if_exp)


class Cancel(_Option):
    """Cancel runs when an event comes.

    Args:
        event: The event's name.
        if_exp: A condition: ``event`` is the run's event, ``async`` the one that came.
        timeout: How long after the start of a run such an event counts.

    Raises:
        ConfigurationError: The event has no name, or the condition is no text.
    """

    __slots__ = ()

    def __init__(self, event: str, if_exp: str | None = None, timeout: Duration | None = None) -> None:
        if not isinstance(event, str) or not event.strip():
            raise ConfigurationError(
                "Cancel: event needs the name of an event, e.g. 'api/account.deleted'; "
                "a type of event has it as its event_name"
            )
        _check_expression("Cancel", "if_exp", if_exp)
        self._set(event=event, if_exp=if_exp, timeout=_time("Cancel", timeout))


class Singleton(_Option):
    """At most one run at a time.

    Args:
        mode: ``"skip"`` drops the new run, ``"cancel"`` ends the old one.
        key: One run for each value of this expression.

    Raises:
        ConfigurationError: The mode is unknown, or the key is no text.
    """

    __slots__ = ()

    def __init__(self, mode: Literal["skip", "cancel"], key: str | None = None) -> None:
        _check_choice("Singleton", "mode", mode, ("skip", "cancel"), required=True)
        _check_expression("Singleton", "key", key)
        self._set(mode=mode, key=key)


class Timeouts(_Option):
    """How long a run may take; it is cancelled after that.

    Args:
        start: Until it starts, in queues.
        finish: From its start to its end.

    Raises:
        ConfigurationError: Neither is given.
    """

    __slots__ = ()

    def __init__(self, start: Duration | None = None, finish: Duration | None = None) -> None:
        if start is None and finish is None:
            raise ConfigurationError("Timeouts: give start, finish, or both")
        self._set(start=_time("Timeouts", start), finish=_time("Timeouts", finish))


def options_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flow control of a function, as a registration has it.

    Args:
        given: The arguments of ``create_function`` that were given.

    Raises:
        ConfigurationError: One is of another class, there are too many of one kind, or two do not go together.
    """
    made = {_WIRE_NAMES.get(name, name): _option_json(name, value) for name, value in given.items()}
    if "batch_events" in given and (others := sorted(_NOT_WITH_BATCH & given.keys())):
        raise ConfigurationError(
            f"batch_events does not go with {' and '.join(others)}: the server takes no such function"
        )
    return made


def _option_json(name: str, value: Any) -> Any:
    kind, most = _KINDS[name]
    if name == "concurrency" and isinstance(value, int):
        value = Concurrency(limit=value)
    items = list(value) if most > 1 and isinstance(value, (list, tuple)) else [value]
    if wrong := [item for item in items if not isinstance(item, kind)]:
        several = f" or a list of at most {most}" if most > 1 else ""
        # A class of the same name is another SDK's.
        whose = f"{type(wrong[0]).__module__.partition('.')[0]}." if type(wrong[0]).__name__ == kind.__name__ else ""
        raise ConfigurationError(f"{name} takes {kind.__name__}(...){several}, not {whose}{_described(wrong[0])}")
    if len(items) > most:
        raise ConfigurationError(f"{name} takes at most {most}, not {len(items)}")
    documents = [item.to_json() for item in items]
    return documents if most > 1 else documents[0]


# The class of each option, and how many the server takes.
_KINDS: dict[str, tuple[type[_Option], int]] = {
    "concurrency": (Concurrency, 2),
    "throttle": (Throttle, 1),
    "rate_limit": (RateLimit, 1),
    "debounce": (Debounce, 1),
    "priority": (Priority, 1),
    "batch_events": (Batch, 1),
    "cancel": (Cancel, 5),
    "singleton": (Singleton, 1),
    "timeouts": (Timeouts, 1),
}
_NOT_WITH_BATCH = {"cancel", "debounce", "priority", "singleton"}


def _described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _check_count(option: str, name: str, value: Any, *, low: int = 1, required: bool = True) -> None:
    if value is None and not required:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ConfigurationError(f"{option}: {name} must be a whole number, {low} or more, not {value!r}")


def _check_expression(
    option: str, name: str, value: Any, *, required: bool = False, example: str = "event.data.user_id"
) -> None:
    if value is None and not required:
        return
    if not isinstance(value, str) or not value.strip():
        wrong = "empty text" if isinstance(value, str) else type(value).__name__
        raise ConfigurationError(f'{option}: {name} must be a CEL expression, e.g. "{example}", not {wrong}')


def _check_choice(option: str, name: str, value: Any, choices: tuple[str, ...], *, required: bool = False) -> None:
    if (value is None and required) or (value is not None and value not in choices):
        raise ConfigurationError(f"{option}: {name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _time(option: str, value: Duration | None) -> str | None:
    if value is None:
        return None
    from inngest_serverless.durations import to_time_string

    try:
        return to_time_string(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error}") from None


def _batch_timeout(value: Duration | None) -> str:
    text = _time("Batch", value) or "60s"
    from inngest_serverless.durations import parse_duration

    nanos = parse_duration(text)
    if nanos < _SECOND:
        raise ConfigurationError(f"Batch: timeout must be 1 second or more, not {text}")
    if "d" not in text and "w" not in text:
        return text
    # Here alone the server reads no days and weeks.
    seconds, rest = divmod(nanos, _SECOND)
    return f"{seconds}s" + (f"{rest // 1_000_000}ms" if rest else "")


def _period(option: str, name: str, value: Duration, high: int) -> str:
    if value is None:
        raise ConfigurationError(f"{option}: {name} is missing: give a duration, e.g. '1m'")
    text = _time(option, value) or ""
    from inngest_serverless.durations import parse_duration

    if not _SECOND <= parse_duration(text) <= high:
        days = high // _DAY
        limit = f"{days} days" if days > 1 else "24 hours"
        raise ConfigurationError(f"{option}: {name} must be from 1 second to {limit}, not {text}")
    return text
