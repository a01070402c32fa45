"""Steps of the local engine's runs that wait for an event or a signal. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.conditions import holds

if TYPE_CHECKING:
    from inngest_serverless.local.runs import ReportedStep, Run

__all__ = ["Wait", "Waits"]


class Wait(NamedTuple):
    """A step of a run that waits."""

    run: Run
    step: ReportedStep

    @property
    def is_over(self) -> bool:
        """Whether it has timed out, or its run has ended."""
        return self.step.key not in self.run.open


class Waits:
    """Who waits for what. Signals may come from any thread: who takes a wait has it alone."""

    def __init__(self) -> None:
        self._events: list[Wait] = []
        self._signals: dict[str, Wait] = {}
        self._lock = Lock()

    def add_event(self, run: Run, step: ReportedStep) -> None:
        """Let a step wait for an event."""
        self._events.append(Wait(run, step))

    def take_event(self, event: dict[str, Any]) -> list[Wait]:
        """The waits that an event ends."""
        waiting = [wait for wait in self._events if not wait.is_over]
        ended = [wait for wait in waiting if _is_awaited(wait, event)]
        self._events = [wait for wait in waiting if wait not in ended]
        return ended

    def add_signal(self, run: Run, step: ReportedStep) -> bool:
        """Let a step wait for a signal, in place of another one if it says so.

        Returns:
            Whether it may: one step at a time can wait for a signal.
        """
        with self._lock:
            other = self._signals.get(step.opts["signal"])
            if other is not None and not other.is_over and step.opts.get("conflict") != "replace":
                return False
            self._signals[step.opts["signal"]] = Wait(run, step)
            return True

    def take_signal(self, name: str) -> Wait | None:
        """The wait that a signal ends, or None."""
        with self._lock:
            wait = self._signals.pop(name, None)
        return None if wait is None or wait.is_over else wait


def _is_awaited(wait: Wait, event: dict[str, Any]) -> bool:
    opts = wait.step.opts
    name = opts.get("event") or wait.step.name
    return name == event["name"] and holds(opts.get("if"), wait.run.events[0], event)
