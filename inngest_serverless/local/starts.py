"""From a run that is made to its first call: singletons, throttles, time limits, and the events that cancel it.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import holds, key_of
from inngest_serverless.local.pace import Paces

if TYPE_CHECKING:
    from collections.abc import Hashable

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.flow import Cancelling, Pace
    from inngest_serverless.local.runner import Runner
    from inngest_serverless.local.runs import Registered, Run

__all__ = ["Starts"]


class _Throttled(NamedTuple):
    score_ms: int
    number: int
    run: Run


class _Guard(NamedTuple):
    run: Run
    cancelling: Cancelling
    until_ms: int | None


class Starts:
    """Runs that wait for their start, and what can end them from outside.

    Args:
        agenda: When things are due.
        runner: Begins and cancels them.
    """

    def __init__(self, agenda: Agenda, runner: Runner) -> None:
        self._agenda = agenda
        self._runner = runner
        self._paces = Paces()
        self._throttled: defaultdict[Hashable, list[_Throttled]] = defaultdict(list)
        self._numbers = count()
        self._guards: list[_Guard] = []
        self._singles: dict[Hashable, Run] = {}

    def make_room(self, function: Registered, event: dict[str, Any]) -> bool:
        """Whether a function that runs once at a time may be started now; ends the run in the way if it is to end."""
        singleton = function.flow.singleton
        if singleton is None:
            return True
        other = self._singles.get(_single_key(function, event))
        if other is None or not other.is_active:
            return True
        if singleton.mode == "skip":
            return False
        self._runner.cancel(other, "singleton: a newer run takes its place")
        return True

    def enter(self, run: Run) -> None:
        """Begin a run, at once or when its throttle lets it."""
        flow = run.function.flow
        if flow.singleton is not None:
            self._singles[_single_key(run.function, run.events[0])] = run
        now_ms = self._agenda.now_ms
        for cancelling in flow.cancels:
            until_ms = None if cancelling.timeout_ms is None else now_ms + cancelling.timeout_ms
            self._guards.append(_Guard(run, cancelling, until_ms))
        if flow.start_ms is not None:
            self._agenda.after(flow.start_ms, lambda: self._limit_start(run))
        if flow.throttle is None:
            self._begin(run)
            return
        key = (run.function.id, key_of(flow.throttle.key, run.events[0]))
        heapq.heappush(self._throttled[key], _Throttled(now_ms - run.priority_ms, next(self._numbers), run))
        self._let_go(key, flow.throttle)
        if run.status == "queued":
            self._runner.note(run, "Queued", detail="throttled")

    def receive(self, event: dict[str, Any]) -> None:
        """Take an event, and cancel the runs that it cancels."""
        self._guards = [guard for guard in self._guards if guard.run.is_active]
        for run, cancelling, until_ms in self._guards:
            in_time = until_ms is None or self._agenda.now_ms <= until_ms
            if in_time and cancelling.event == event["name"] and holds(cancelling.condition, run.events[0], event):
                self._runner.cancel(run, f"event {event['name']}")

    def _let_go(self, key: Hashable, pace: Pace) -> None:
        waiting = self._throttled[key]
        while waiting:
            run = waiting[0].run
            early_ms = self._paces.take(key, pace, self._agenda.now_ms) if run.is_active else 0
            if early_ms:
                self._agenda.after(early_ms, lambda: self._let_go(key, pace))
                return
            heapq.heappop(waiting)
            if run.is_active:
                self._begin(run)

    def _begin(self, run: Run) -> None:
        self._runner.begin(run)
        if (finish_ms := run.function.flow.finish_ms) is not None:
            self._agenda.after(finish_ms, lambda: self._runner.cancel(run, "timeouts.finish"))

    def _limit_start(self, run: Run) -> None:
        if run.status == "queued" or (run.status == "running" and not run.was_called):
            self._runner.cancel(run, "timeouts.start")


def _single_key(function: Registered, event: dict[str, Any]) -> Hashable:
    singleton = function.flow.singleton
    return function.id, key_of(singleton.key if singleton is not None else None, event)
