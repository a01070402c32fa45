"""What the local engine remembers: events, what became of them, and runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inngest_serverless.local.runs import Registered, Run

__all__ = ["History", "Outcome", "Received"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event at one function.

    Attributes:
        function_id: The function's composite ID.
        kind: ``"started"``, ``"debounced"``, ``"batched"``, ``"skipped"``, ``"woke"`` or ``"cancelled"``.
        run_id: The run that it started, woke or cancelled, or "".
        detail: Why it was skipped, what it waits for, or which step it woke.
    """

    function_id: str
    kind: str
    run_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """An event that the engine has taken.

    Attributes:
        event: The event, complete.
        at_ms: When it came, in Unix milliseconds of the engine's clock.
        outcomes: What became of it, in order.
    """

    event: dict[str, Any]
    at_ms: int
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


class History:
    """Events and runs, in the order in which they came.

    Args:
        keep: How many runs, and how many events, to remember; None for all. Runs that have not ended stay.
    """

    def __init__(self, keep: int | None) -> None:
        self.events: dict[str, Received] = {}
        self.runs: dict[str, Run] = {}
        self._keep = keep
        self._ended: deque[str] = deque()

    def add_event(self, event: dict[str, Any], at_ms: int) -> None:
        """Remember an event. One whose ID has come before keeps its place."""
        self.events.setdefault(event["id"], Received(event, at_ms))
        if self._keep is not None and len(self.events) > self._keep:
            del self.events[next(iter(self.events))]

    def add_run(self, run: Run) -> None:
        """Remember a run, and what started it."""
        self.runs[run.id] = run
        for event in run.events:
            self.note(run.function, event, "started", run_id=run.id)
        self._forget_runs()

    def end_run(self, run: Run) -> None:
        """A run has ended, and may be forgotten when there are too many."""
        if self._keep is not None:
            self._ended.append(run.id)
            self._forget_runs()

    def _forget_runs(self) -> None:
        while self._keep is not None and len(self.runs) > self._keep and self._ended:
            self.runs.pop(self._ended.popleft(), None)

    def note(self, function: Registered, event: dict[str, Any], kind: str, detail: str = "", run_id: str = "") -> None:
        """Remember what became of an event at a function."""
        if (received := self.events.get(event["id"])) is not None:
            received.outcomes.append(Outcome(function.id, kind, run_id, detail))

    def runs_of(self, event_id: str) -> list[Run]:
        """The runs that an event has started, alone or with others."""
        received = self.events.get(event_id)
        outcomes = list(received.outcomes) if received is not None else []
        started = (outcome.run_id for outcome in outcomes if outcome.kind == "started")
        return [self.runs[run_id] for run_id in started if run_id in self.runs]
