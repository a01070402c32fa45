"""Concurrency limits and priority: which calls may run at once, and which of those that wait goes first.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import key_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from inngest_serverless.local.runs import Registered, Run

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
        self._waiting: list[_Waiting] = []
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
        self._waiting.append(_Waiting(now_ms - run.priority_ms, next(self._numbers), run, go))
        self._move()

    def leave(self, run: Run) -> None:
        """A call of a run has ended."""
        if run.lanes:
            self._busy.subtract(lane for lane, _ in run.lanes)
            self._move()

    def _move(self) -> None:
        if self._is_moving:  # a call that ends at once: the loop below goes on
            return
        self._is_moving = True
        try:
            while (first := self._next()) is not None:
                self._waiting.remove(first)
                self._busy.update(lane for lane, _ in first.run.lanes)
                first.go()
        finally:
            self._is_moving = False

    def _next(self) -> _Waiting | None:
        return min((waiting for waiting in self._waiting if self._has_room(waiting.run)), default=None)

    def _has_room(self, run: Run) -> bool:
        return all(self._busy[lane] < limit for lane, limit in run.lanes)


def lanes_of(function: Registered, event: dict[str, Any]) -> tuple[tuple[Hashable, int], ...]:
    """The lanes of the calls of a run, and how many calls fit into each.

    Args:
        function: The run's function.
        event: What started the run.
    """
    return tuple(
        ((lane.scope, function.id if lane.scope == "fn" else lane.key, key_of(lane.key, event)), lane.limit)
        for lane in function.flow.lanes
        if lane.limit
    )


def priority_ms(function: Registered, event: dict[str, Any]) -> int:
    """By how many milliseconds a run goes before others: the value of its expression, within the server's limits."""
    expression = function.flow.priority
    value = value_of(expression, event) if expression else 0
    seconds = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return int(min(max(seconds, -_MOST_SECONDS), _MOST_SECONDS) * 1000)
