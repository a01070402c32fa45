"""How many runs, how fast, and which: the options of ``create_function``, checked when they are written.

Times are time strings ("1h30m"), milliseconds, or timedeltas; keys and conditions are CEL on ``event``.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from inngest_serverless.durations import parse_duration, to_time_string
from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
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


class _Option:
    """One option: a frozen set of wire fields."""

    __slots__ = ("_fields",)
    _fields: dict[str, Any]

    def _set(self, **fields: Any) -> None:
        present = {key.rstrip("_"): value for key, value in fields.items() if value is not None}
        object.__setattr__(self, "_fields", present)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: make another one instead of setting {name}")

    def to_json(self) -> dict[str, Any]:
        """Its registration."""
        return dict(self._fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Option) and other._fields == self._fields

    def __hash__(self) -> int:
        return hash((type(self), tuple(self._fields.items())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self._fields.items())})"


class Concurrency(_Option):
    """How many steps may run at the same time.

    Args:
        limit: The number of steps; 0 stands for the account's own limit.
        key: Counts each value of this expression by itself, e.g. ``"event.data.user_id"``.
        scope: ``"fn"`` counts this function, ``"env"`` and ``"account"`` count everything that has the same key.

    Raises:
        ConfigurationError: The limit is negative, or the scope is unknown.
    """

    __slots__ = ()

    def __init__(
        self, limit: int, key: str | None = None, scope: Literal["fn", "env", "account"] | None = None
    ) -> None:
        _check_count("Concurrency", "limit", limit, low=0)
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
        ConfigurationError: A number or the period is out of its bounds.
    """

    __slots__ = ()

    def __init__(self, limit: int, period: Duration, burst: int | None = None, key: str | None = None) -> None:
        _check_count("Throttle", "limit", limit)
        _check_count("Throttle", "burst", burst)
        self._set(limit=limit, period=_period("Throttle", "period", period, 7 * _DAY), burst=burst, key=key)


class RateLimit(_Option):
    """How many runs may start in a period; the others are dropped.

    Args:
        limit: Runs a period.
        period: Its length, 1 second to 24 hours.
        key: Counts each value of this expression by itself.

    Raises:
        ConfigurationError: The limit or the period is out of its bounds.
    """

    __slots__ = ()

    def __init__(self, limit: int, period: Duration, key: str | None = None) -> None:
        _check_count("RateLimit", "limit", limit)
        self._set(limit=limit, period=_period("RateLimit", "period", period, _DAY), key=key)


class Debounce(_Option):
    """Start one run when no event has come for a while, with the last one.

    Args:
        period: How long it must be quiet, 1 second to 7 days.
        key: Debounces each value of this expression by itself.
        timeout: The longest a run may be put off.

    Raises:
        ConfigurationError: The period is out of its bounds.
    """

    __slots__ = ()

    def __init__(self, period: Duration, key: str | None = None, timeout: Duration | None = None) -> None:
        self._set(period=_period("Debounce", "period", period, 7 * _DAY), key=key, timeout=_time("Debounce", timeout))


class Priority(_Option):
    """Which runs go first.

    Args:
        run: An expression that gives the seconds, -600 to 600, by which a run goes before others.

    Raises:
        ConfigurationError: The expression is empty.
    """

    __slots__ = ()

    def __init__(self, run: str) -> None:
        if not run:
            raise ConfigurationError("Priority: run needs an expression, e.g. \"event.data.plan == 'pro' ? 120 : 0\"")
        self._set(run=run)


class Batch(_Option):
    """Start one run for several events: ``ctx.events`` has them all.

    Args:
        max_size: The most events in a batch.
        timeout: How long to wait for them; one minute where it is not given.
        key: Batches each value of this expression by itself.
        if_exp: Events for which this is false start a run of their own at once.

    Raises:
        ConfigurationError: The size is less than 1.
    """

    __slots__ = ()

    def __init__(
        self, max_size: int, timeout: Duration | None = None, key: str | None = None, if_exp: str | None = None
    ) -> None:
        _check_count("Batch", "max_size", max_size)
        self._set(maxSize=max_size, timeout=_time("Batch", timeout) or "60s", key=key, if_=if_exp)


class Cancel(_Option):
    """Cancel runs when an event comes.

    Args:
        event: The event's name.
        if_exp: A condition: ``event`` is the run's event, ``async`` the one that came.
        timeout: How long after the start of a run such an event counts.

    Raises:
        ConfigurationError: The event has no name.
    """

    __slots__ = ()

    def __init__(self, event: str, if_exp: str | None = None, timeout: Duration | None = None) -> None:
        if not event:
            raise ConfigurationError("Cancel: event needs the name of an event")
        self._set(event=event, if_=if_exp, timeout=_time("Cancel", timeout))


class Singleton(_Option):
    """At most one run at a time.

    Args:
        mode: ``"skip"`` drops the new run, ``"cancel"`` ends the old one.
        key: One run for each value of this expression.

    Raises:
        ConfigurationError: The mode is unknown.
    """

    __slots__ = ()

    def __init__(self, mode: Literal["skip", "cancel"], key: str | None = None) -> None:
        _check_choice("Singleton", "mode", mode, ("skip", "cancel"), required=True)
        self._set(key=key, mode=mode)


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


def concurrency_json(value: Concurrency | int | Sequence[Concurrency]) -> list[dict[str, Any]]:
    """One limit, a bare number, or at most two limits, as a registration has them.

    Raises:
        ConfigurationError: There are more than two.
    """
    if isinstance(value, int):
        value = Concurrency(limit=value)
    limits = [value] if isinstance(value, Concurrency) else list(value)
    if len(limits) > 2:  # noqa: PLR2004 - the server's number
        raise ConfigurationError(f"concurrency takes at most 2 limits, not {len(limits)}")
    return [limit.to_json() for limit in limits]


def cancel_json(value: Cancel | Sequence[Cancel]) -> list[dict[str, Any]]:
    """One cancellation, or at most five, as a registration has them.

    Raises:
        ConfigurationError: There are more than five.
    """
    events = [value] if isinstance(value, Cancel) else list(value)
    if len(events) > 5:  # noqa: PLR2004 - the server's number
        raise ConfigurationError(f"cancel takes at most 5 events, not {len(events)}")
    return [event.to_json() for event in events]


def _check_count(option: str, name: str, value: Any, *, low: int = 1) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
        raise ConfigurationError(f"{option}: {name} must be a whole number, {low} or more, not {value!r}")


def _check_choice(option: str, name: str, value: Any, choices: tuple[str, ...], *, required: bool = False) -> None:
    if (value is None and required) or (value is not None and value not in choices):
        raise ConfigurationError(f"{option}: {name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _time(option: str, value: Duration | None) -> str | None:
    try:
        return None if value is None else to_time_string(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{option}: {error}") from None


def _period(option: str, name: str, value: Duration, high: int) -> str:
    text = _time(option, value) or ""
    if not _SECOND <= parse_duration(text) <= high:
        days = high // _DAY
        limit = f"{days} days" if days > 1 else "24 hours"
        raise ConfigurationError(f"{option}: {name} must be from 1 second to {limit}, not {text}")
    return text
