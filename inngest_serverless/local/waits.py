"""Steps of the local engine's runs that wait for an event or a signal. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import ConditionError, check_condition, holds
from inngest_serverless.local.sweep import Sweep

if TYPE_CHECKING:
    from inngest_serverless.local.runs import ReportedStep, Run

__all__ = ["Wait", "WaitError", "Waits"]


class Wait(NamedTuple):
    """A step of a run that waits."""

    run: Run
    step: ReportedStep

    @property
    def is_over(self) -> bool:
        """Whether it has timed out, or its run has ended."""
        return self.step.key not in self.run.open


class WaitError(Exception):
    """A step may not wait, and its run fails.

    Attributes:
        error: ``{name, message}``, why the run fails.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.error: dict[str, str] = {"name": name, "message": message}


class Waits:
    """Who waits for what. Signals may come from any thread: who takes a wait has it alone."""

    def __init__(self) -> None:
        self._events: dict[str, list[Wait]] = {}  # by the event's name
        self._signals: dict[str, Wait] = {}
        self._lock = Lock()
        self._event_sweep, self._signal_sweep = Sweep(), Sweep()

    def add(self, run: Run, step: ReportedStep) -> None:
        """Let a step wait, if it is of a kind that does.

        Raises:
            WaitError: Its condition is not CEL, or another step waits for its signal.
        """
        if step.op == "WaitForEvent":
            try:
                check_condition(step.opts.get("if"))
            except ConditionError as error:
                raise WaitError("CompileError", f"Could not compile expression: {error}") from error
            self._add_event(str(step.opts.get("event") or step.name), Wait(run, step))
        if step.op == "WaitForSignal":
            self._add_signal(step.opts["signal"], Wait(run, step))

    def _add_event(self, name: str, wait: Wait) -> None:
        self._events.setdefault(name, []).append(wait)
        if self._event_sweep.is_due():
            left = {name: [wait for wait in waits if not wait.is_over] for name, waits in self._events.items()}
            self._events = {name: waits for name, waits in left.items() if waits}
            self._event_sweep.done(sum(map(len, self._events.values())))

    def _add_signal(self, name: str, wait: Wait) -> None:
        with self._lock:
            other = self._signals.get(name)
            if other is not None and not other.is_over and wait.step.opts.get("conflict") != "replace":
                raise WaitError("Error", "Signal conflict; signal wait already exists for another run")
            self._signals[name] = wait
            if self._signal_sweep.is_due():
                self._signals = {name: wait for name, wait in self._signals.items() if not wait.is_over}
                self._signal_sweep.done(len(self._signals))

    def take_event(self, event: dict[str, Any]) -> list[Wait]:
        """The waits that an event ends."""
        ended, left = list[Wait](), list[Wait]()
        for wait in self._events.pop(event["name"], ()):
            if not wait.is_over:
                owner = wait.run.function.id
                is_met = holds(wait.step.opts.get("if"), wait.run.events[0], event, owner=owner)
                (ended if is_met else left).append(wait)
        if left:
            self._events[event["name"]] = left
        return ended

    def take_signal(self, name: str) -> Wait | None:
        """The wait that a signal ends, or None."""
        with self._lock:
            wait = self._signals.pop(name, None)
        return None if wait is None or wait.is_over else wait
