"""Concurrency limits and priority: which calls may run at once, and which of those that wait goes first.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import key_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from inngest_serverless.local.flow import Lane
    from inngest_serverless.local.runs import Registered, Room, Run

    _Gate = tuple[Hashable, int]

__all__ = ["Lanes", "lanes_of", "priority_ms"]

_MOST_SECONDS = 600


class _Waiting(NamedTuple):
    score_ms: int
    number: int
    run: Run
    go: Callable[[], None]


@dataclass(slots=True)
class _Row:
    """Calls that need the same room, as a heap: only the first of them can be next."""

    calls: list[_Waiting] = field(default_factory=list[_Waiting])
    gate: _Gate | None = None


class _Queued(NamedTuple):
    """A row that stands at a gate, in the order of who is first in it."""

    first: _Waiting
    row: _Row

    def is_at(self, gate: _Gate) -> bool:
        """Whether it is so still; a row that got another first, or moved on, stands there once more, or elsewhere."""
        return self.row.gate == gate and self.row.calls[:1] == [self.first]


class Lanes:
    """Calls that are under way, and those that wait for their turn.

    A row of calls stands at one gate, a lane with a limit, and nobody looks at it while that is full: where each of
    thousands of keys has a limit, all their rows may wait for room in one lane that they share.
    """

    def __init__(self) -> None:
        self._busy: Counter[Hashable] = Counter()
        self._rows: dict[Room, _Row] = {}
        self._gates: dict[Hashable, dict[int, list[_Queued]]] = {}  # by lane and limit: the rows that stand there
        # The gates that may have got room; at all others nobody stands, or they are full.
        self._open: dict[_Gate, None] = {}
        self._numbers = count()
        self._is_moving = False

    def enter(self, run: Run, now_ms: int, go: Callable[[], None]) -> None:
        """Let a call of a run begin, at once or when there is room for it.

        Args:
            run: The run.
            now_ms: The time, in Unix milliseconds.
            go: Begins the call; ``leave`` has to follow when it has ended.
        """
        self._enter(_Waiting(now_ms - run.priority_ms, next(self._numbers), run, go))

    def leave(self, room: Room) -> None:
        """A call has ended.

        Args:
            room: What the lanes of its run were when it began.
        """
        for lane, _ in room:
            self._busy[lane] -= 1
            if not self._busy[lane]:
                del self._busy[lane]
            self._open.update(((lane, limit), None) for limit in self._gates.get(lane, ()))
        self._move()

    def rearrange(self) -> None:
        """Let the calls that wait do so in the lanes that their runs have by now, in the same order."""
        waiting = sorted(each for row in self._rows.values() for each in row.calls)
        self._rows, self._gates, self._open = {}, {}, {}
        for each in waiting:
            self._enter(each)

    def _enter(self, waiting: _Waiting) -> None:
        room = waiting.run.lanes
        if not room:
            waiting.go()
            return
        row = self._rows.setdefault(room, _Row())
        heappush(row.calls, waiting)
        if row.calls[0] is waiting:
            self._place(row)
        self._move()

    def _place(self, row: _Row) -> None:
        """Let a row stand where its first call has to wait; at an open gate if it has not."""
        first = row.calls[0]
        room = first.run.lanes
        lane, limit = row.gate = next((gate for gate in room if not self._has_room(gate)), room[0])
        heappush(self._gates.setdefault(lane, {}).setdefault(limit, []), _Queued(first, row))
        self._open[row.gate] = None

    def _move(self) -> None:
        if self._is_moving:  # a call that ends at once: the loop below goes on
            return
        self._is_moving = True
        try:
            while (first := self._next()) is not None:
                first.go()
        finally:
            self._is_moving = False

    def _next(self) -> _Waiting | None:
        """Who goes next, out of its row and with its room taken."""
        while heads := [(head, gate) for gate in tuple(self._open) if (head := self._head(gate)) is not None]:
            (first, row), (lane, limit) = min(heads)
            heappop(self._gates[lane][limit])
            if all(map(self._has_room, first.run.lanes)):
                self._take(row)
                return first
            self._place(row)
        return None

    def _head(self, gate: _Gate) -> _Queued | None:
        """Who is the first at a gate that has room; a gate that nobody can go through is shut."""
        lane, limit = gate
        queue = self._gates.get(lane, {}).get(limit, [])
        while queue and not queue[0].is_at(gate):
            heappop(queue)
        if queue and self._has_room(gate):
            return queue[0]
        del self._open[gate]
        if not queue:
            self._gates.get(lane, {}).pop(limit, None)
            if not self._gates.get(lane):
                self._gates.pop(lane, None)
        return None

    def _take(self, row: _Row) -> None:
        """Take the first call out of a row, and its room."""
        room = heappop(row.calls).run.lanes
        self._busy.update(lane for lane, _ in room)
        if row.calls:
            self._place(row)
        else:
            del self._rows[room]

    def _has_room(self, gate: _Gate) -> bool:
        lane, limit = gate
        return self._busy[lane] < limit


def lanes_of(function: Registered, event: dict[str, Any]) -> Room:
    """The lanes of the calls of a run, and how many calls fit into each.

    Args:
        function: The run's function.
        event: What started the run.
    """
    return tuple((_lane_id(lane, function, event), lane.limit) for lane in function.flow.lanes if lane.limit)


def _lane_id(lane: Lane, function: Registered, event: dict[str, Any]) -> Hashable:
    owner = function.id if lane.scope == "fn" else ""
    return lane.scope, owner, lane.key or "", key_of(lane.key, event, function.id)


def priority_ms(function: Registered, event: dict[str, Any]) -> int:
    """By how many milliseconds a run goes before others: the value of its expression, within the server's limits."""
    expression = function.flow.priority
    value = value_of(expression, event, owner=function.id) if expression else 0
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    seconds = value if is_number else 0
    return int(min(max(seconds, -_MOST_SECONDS), _MOST_SECONDS) * 1000)
