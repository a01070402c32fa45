"""Cron triggers of the local engine. Source: docs/protocol.md, section 7, and ``cron_trigger``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.millis import duration_ms
from inngest_serverless.local.packages import PackageMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.ids import Ids
    from inngest_serverless.local.runs import Registered

    Start = Callable[[Registered, str], object]

__all__ = ["Schedules", "check_schedules", "next_ms"]

_ZONES = ("TZ=", "CRON_TZ=")
# The server reads "5/15" as "from 5 to the end, every 15".
_OPEN_STEP = re.compile(r"^(\d+)/(\d+)$")
_ENDS = (59, 23, 31, 12, 6)


def check_schedules(functions: Iterable[Registered], now_ms: int) -> None:
    """Make sure that the schedules of functions can be read.

    Args:
        functions: The functions.
        now_ms: The time, in Unix milliseconds.

    Raises:
        ConfigurationError: One cannot; the message says which, and whose.
        PackageMissingError: The library that reads them is not installed.
    """
    for function in functions:
        for trigger in function.triggers:
            if trigger.get("cron"):
                _check_trigger(function, trigger, now_ms)


def _check_trigger(function: Registered, trigger: Mapping[str, str], now_ms: int) -> None:
    try:
        next_ms(trigger["cron"], now_ms)
        _jitter_ms(trigger)
    except PackageMissingError:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(f"function {function.id!r}: {error}") from None


class Schedules:
    """Starts functions by the clock.

    Args:
        agenda: When things are due.
        ids: Where chance comes from.
        start: Starts a function for one of its cron expressions.
        now_ms: The time by which the next turn is found: an engine that was asleep catches up once for all turns.
    """

    def __init__(self, agenda: Agenda, ids: Ids, start: Start, now_ms: Callable[[], int]) -> None:
        self._agenda = agenda
        self._ids = ids
        self._start = start
        self._now_ms = now_ms
        self._turns: dict[str, int] = {}

    def plan(self, app: str, functions: Iterable[Registered]) -> None:
        """Take the functions of an app; its earlier schedules are over.

        Raises:
            ConfigurationError: An expression cannot be read.
        """
        turn = self._turns[app] = self._turns.get(app, 0) + 1
        for function in functions:
            for trigger in function.triggers:
                if trigger.get("cron"):
                    self._plan_next(app, turn, function, trigger)

    def _plan_next(self, app: str, turn: int, function: Registered, trigger: dict[str, str]) -> None:
        due_ms = next_ms(trigger["cron"], max(self._agenda.now_ms, self._now_ms()))
        if due_ms is not None:
            delay_ms = due_ms - self._agenda.now_ms
            self._agenda.after(
                delay_ms,
                lambda: self._fire(app, turn, function, trigger),
                is_background=True,
                is_over=lambda: self._turns[app] != turn,
            )

    def _fire(self, app: str, turn: int, function: Registered, trigger: dict[str, str]) -> None:
        if self._turns[app] != turn:
            return
        self._plan_next(app, turn, function, trigger)
        jitter_ms = _jitter_ms(trigger)
        delay_ms = self._ids.below(jitter_ms) if jitter_ms else 0
        self._agenda.after(delay_ms, lambda: self._start(function, trigger["cron"]))


def _jitter_ms(trigger: Mapping[str, str]) -> int:
    if not (jitter := trigger.get("jitter")):
        return 0
    try:
        return duration_ms(jitter)
    except ConfigurationError as error:
        raise ConfigurationError(f"cron {trigger['cron']!r}: its jitter: {error}") from None


def next_ms(cron: str, now_ms: int) -> int | None:
    """When a schedule is due next, in Unix milliseconds; None if never.

    Args:
        cron: The expression, perhaps with a time zone before it.
        now_ms: The time, in Unix milliseconds.

    Raises:
        ConfigurationError: The expression cannot be read.
        PackageMissingError: The library that reads it is not installed.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise PackageMissingError("schedules need the package cronsim: pip install 'inngest-serverless[dev]'") from None
    zone: tzinfo = UTC
    fields = cron.split()
    if fields and fields[0].startswith(_ZONES):
        zone, fields = _zone(fields[0].partition("=")[2], cron), fields[1:]
    spelled = [_spelled(field, end) for field, end in zip(fields, _ENDS, strict=False)]
    try:
        due = next(CronSim(" ".join(spelled), datetime.fromtimestamp(now_ms / 1000, zone)), None)
    except CronSimError as error:
        raise ConfigurationError(f"cron {cron!r} cannot be read: {error}") from None
    return None if due is None else round(due.timestamp() * 1000)


def _zone(name: str, cron: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(f"cron {cron!r}: there is no time zone {name!r}") from None


def _spelled(field: str, end: int) -> str:
    """A field in the words of the library."""
    parts = (_OPEN_STEP.sub(rf"\1-{end}/\2", part.replace("?", "*")) for part in field.split(","))
    return ",".join(parts)
