"""From a run that is made to its first call: singletons, throttles, time limits, and the events that cancel it.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

import heapq
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.clock import now_millis
from inngest_serverless.local.conditions import holds, key_of
from inngest_serverless.local.pace import Paces
from inngest_serverless.local.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Hashable

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.flow import Cancelling
    from inngest_serverless.local.history import History
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
        history: Where to note what cancels them.
    """

    def __init__(self, agenda: Agenda, runner: Runner, history: History) -> None:
        self._agenda = agenda
        self._runner = runner
        self._history = history
        self._paces = Paces()
        self._throttled: dict[Hashable, list[_Throttled]] = {}
        self._alarms: set[Hashable] = set()
        self._numbers = count()
        self._guards: dict[str, list[_Guard]] = {}  # by the event's name
        self._guard_sweep = Sweep()
        self._singles: dict[Hashable, Run] = {}
        self._single_sweep = Sweep()

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
        """Begin a run: at once, when the time of its event has come, or when its throttle lets it."""
        flow = run.function.flow
        if flow.singleton is not None:
            self._add_single(run)
        now_ms = self._agenda.now_ms
        for cancelling in flow.cancels:
            until_ms = None if cancelling.timeout_ms is None else now_ms + cancelling.timeout_ms
            self._add_guard(_Guard(run, cancelling, until_ms))
        if flow.start_ms is not None:
            self._agenda.after(flow.start_ms, lambda: self._limit_start(run), is_over=lambda: not _may_start(run))
        due_ms = _due_ms(run)
        if due_ms > now_ms:
            self._agenda.after(due_ms - now_ms, lambda: self._throttle(run), is_over=lambda: not run.is_active)
            self._runner.note(run, "Queued", detail="until the time of its event")
        else:
            self._throttle(run)

    def rearrange(self) -> None:
        """Let the runs that a throttle holds back wait for the one that their functions have by now, in the same order.

        When the next may start was counted by the throttle before: the one after it is the first to find the new pace.
        """
        waiting = sorted(each for row in self._throttled.values() for each in row)
        self._throttled.clear()
        self._alarms.clear()  # those that are set ring for nobody, or too late
        for each in waiting:
            self._hold(each)

    def _throttle(self, run: Run) -> None:
        if run.is_active:
            self._hold(_Throttled(self._agenda.now_ms - run.priority_ms, next(self._numbers), run))
            if run.status == "queued":
                self._runner.note(run, "Queued", detail="throttled")

    def _hold(self, throttled: _Throttled) -> None:
        """Begin a run when its throttle lets it."""
        run = throttled.run
        throttle = run.function.flow.throttle
        if throttle is None:
            if run.is_active:
                self._runner.begin(run)
            return
        key = (run.function.id, key_of(throttle.key, run.events[0], run.function.id))
        heapq.heappush(self._throttled.setdefault(key, []), throttled)
        self._let_go(key)

    def limit_finish(self, run: Run) -> None:
        """A run is called for the first time: from now on its time counts."""
        finish_ms = run.function.flow.finish_ms
        if finish_ms is not None:
            cancel = partial(self._runner.cancel, run, "timeouts.finish")
            self._agenda.after(finish_ms, cancel, is_over=lambda: not run.is_active)

    def receive(self, event: dict[str, Any]) -> bool:
        """Take an event, and cancel the runs that it cancels; returns whether it is one that cancels some."""
        guards = [guard for guard in self._guards.pop(event["name"], ()) if guard.run.is_active]
        if guards:
            # A copy: what is cancelled may lead to further runs, which this event came too early for.
            self._guards[event["name"]] = list(guards)
        for run, cancelling, until_ms in guards:
            in_time = until_ms is None or self._agenda.now_ms <= until_ms
            if in_time and holds(cancelling.condition, run.events[0], event, owner=run.function.id):
                self._history.note(run.function, event, "cancelled", run_id=run.id)
                self._runner.cancel(run, f"event {event['name']}")
        return bool(guards)

    def _add_guard(self, guard: _Guard) -> None:
        self._guards.setdefault(guard.cancelling.event, []).append(guard)
        if self._guard_sweep.is_due():
            left = {name: [guard for guard in guards if guard.run.is_active] for name, guards in self._guards.items()}
            self._guards = {name: guards for name, guards in left.items() if guards}
            self._guard_sweep.done(sum(map(len, self._guards.values())))

    def _add_single(self, run: Run) -> None:
        self._singles[_single_key(run.function, run.events[0])] = run
        if self._single_sweep.is_due():
            self._singles = {key: run for key, run in self._singles.items() if run.is_active}
            self._single_sweep.done(len(self._singles))

    def _let_go(self, key: Hashable) -> None:
        waiting = self._throttled.get(key, [])
        while waiting:
            run = waiting[0].run
            throttle = run.function.flow.throttle
            early_ms = self._paces.take(key, throttle, self._agenda.now_ms) if throttle and run.is_active else 0
            if early_ms:
                self._set_alarm(key, early_ms)
                return
            heapq.heappop(waiting)
            if run.is_active:
                self._runner.begin(run)
        self._throttled.pop(key, None)

    def _set_alarm(self, key: Hashable, delay_ms: int) -> None:
        """Look again when the next may start; once, however many wait."""
        if key not in self._alarms:
            self._alarms.add(key)
            self._agenda.after(delay_ms, lambda: self._ring(key))

    def _ring(self, key: Hashable) -> None:
        self._alarms.discard(key)
        self._let_go(key)

    def _limit_start(self, run: Run) -> None:
        if _may_start(run):
            self._runner.cancel(run, "timeouts.start")


def _due_ms(run: Run) -> int:
    """The time that an event sets for its run, or 0; a batch starts when it is complete."""
    ts = run.events[0].get("ts")
    # What is sent has the time of the wall's clock, which may be ahead of the engine's.
    return ts if isinstance(ts, int) and ts > now_millis() and run.function.flow.batch is None else 0


def _may_start(run: Run) -> bool:
    """Whether a run has yet to be called for the first time."""
    return run.is_active and not run.was_called


def _single_key(function: Registered, event: dict[str, Any]) -> Hashable:
    singleton = function.flow.singleton
    return function.id, key_of(singleton.key if singleton is not None else None, event, function.id)
