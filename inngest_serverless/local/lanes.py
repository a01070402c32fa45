"""Concurrency limits and priority: which calls may run at once, and which of those that wait goes first.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import key_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from inngest_serverless.local.flow import Lane
    from inngest_serverless.local.runs import Registered, Run

    _Room = tuple[tuple[Hashable, int], ...]

__all__ = ["Lanes", "lanes_of", "priority_ms"]

_MOST_SECONDS = 600


class _Waiting(NamedTuple):
    score_ms: int
    number: int
    run: Run
    go: Callable[[], None]


class Lanes:
    """Calls that are under way, and those that wait for their turn."""

    def __init__(self) -> None:
        self._busy: Counter[Hashable] = Counter()
        # Those that need the same room wait in one row; only its first can be next.
        self._rows: dict[_Room, list[_Waiting]] = {}
        self._rows_of: dict[Hashable, dict[_Room, None]] = {}
        # Rows whose first may have got room; all others have none.
        self._stirred: dict[_Room, None] = {}
        self._numbers = count()
        self._is_moving = False

    def enter(self, run: Run, now_ms: int, go: Callable[[], None]) -> None:
        """Let a call of a run begin, at once or when there is room for it.

        Args:
            run: The run.
            now_ms: The time, in Unix milliseconds.
            go: Begins the call; ``leave`` has to follow when it has ended.
        """
        if not run.lanes:
            go()
            return
        row = self._rows.get(run.lanes)
        if row is None:
            row = self._rows[run.lanes] = []
            for lane, _ in run.lanes:
                self._rows_of.setdefault(lane, {})[run.lanes] = None
        heappush(row, _Waiting(now_ms - run.priority_ms, next(self._numbers), run, go))
        self._stirred[run.lanes] = None
        self._move()

    def leave(self, run: Run) -> None:
        """A call of a run has ended."""
        if not run.lanes:
            return
        for lane, _ in run.lanes:
            self._busy[lane] -= 1
            if not self._busy[lane]:
                del self._busy[lane]
            self._stirred.update(self._rows_of.get(lane, {}))
        self._move()

    def _move(self) -> None:
        if self._is_moving:  # a call that ends at once: the loop below goes on
            return
        self._is_moving = True
        try:
            while (first := self._next()) is not None:
                self._busy.update(lane for lane, _ in first.run.lanes)
                first.go()
        finally:
            self._is_moving = False

    def _next(self) -> _Waiting | None:
        """Who goes next, out of its row."""
        self._stirred = {room: None for room in self._stirred if self._has_first(room)}
        first = min((self._rows[room][0] for room in self._stirred), default=None)
        if first is not None:
            self._take(first.run.lanes)
        return first

    def _has_first(self, room: _Room) -> bool:
        row = self._rows.get(room)
        return row is not None and self._has_room(row[0].run)

    def _take(self, room: _Room) -> None:
        row = self._rows[room]
        heappop(row)
        if not row:
            del self._rows[room]
            for lane, _ in room:
                rows = self._rows_of.get(lane, {})
                rows.pop(room, None)
                if not rows:
                    self._rows_of.pop(lane, None)

    def _has_room(self, run: Run) -> bool:
        return all(self._busy[lane] < limit for lane, limit in run.lanes)


def lanes_of(function: Registered, event: dict[str, Any]) -> tuple[tuple[Hashable, int], ...]:
    """The lanes of the calls of a run, and how many calls fit into each.

    Args:
        function: The run's function.
        event: What started the run.
    """
    return tuple((_room_of(lane, function, event), lane.limit) for lane in function.flow.lanes if lane.limit)


def _room_of(lane: Lane, function: Registered, event: dict[str, Any]) -> Hashable:
    owner = function.id if lane.scope == "fn" else ""
    return lane.scope, owner, lane.key or "", key_of(lane.key, event, function.id)


def priority_ms(function: Registered, event: dict[str, Any]) -> int:
    """By how many milliseconds a run goes before others: the value of its expression, within the server's limits."""
    expression = function.flow.priority
    value = value_of(expression, event, owner=function.id) if expression else 0
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    seconds = value if is_number else 0
    return int(min(max(seconds, -_MOST_SECONDS), _MOST_SECONDS) * 1000)
