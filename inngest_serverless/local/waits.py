"""Steps of the local engine's runs that wait for an event or a signal. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import ConditionError, check_condition, holds

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
        self._events: list[Wait] = []
        self._signals: dict[str, Wait] = {}
        self._lock = Lock()

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
            self._events.append(Wait(run, step))
        if step.op == "WaitForSignal":
            self._add_signal(step.opts["signal"], Wait(run, step))

    def _add_signal(self, name: str, wait: Wait) -> None:
        with self._lock:
            other = self._signals.get(name)
            if other is not None and not other.is_over and wait.step.opts.get("conflict") != "replace":
                raise WaitError("Error", "Signal conflict; signal wait already exists for another run")
            self._signals[name] = wait

    def take_event(self, event: dict[str, Any]) -> list[Wait]:
        """The waits that an event ends."""
        waiting = [wait for wait in self._events if not wait.is_over]
        ended = [wait for wait in waiting if _is_awaited(wait, event)]
        self._events = [wait for wait in waiting if wait not in ended]
        return ended

    def take_signal(self, name: str) -> Wait | None:
        """The wait that a signal ends, or None."""
        with self._lock:
            wait = self._signals.pop(name, None)
        return None if wait is None or wait.is_over else wait


def _is_awaited(wait: Wait, event: dict[str, Any]) -> bool:
    opts = wait.step.opts
    name = opts.get("event") or wait.step.name
    return name == event["name"] and holds(opts.get("if"), wait.run.events[0], event)
