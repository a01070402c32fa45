"""Steps that invoke a function, and wait for what its run comes to. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.local.internal_events import error_memo, invocation_memo

if TYPE_CHECKING:
    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.runner import Runner
    from inngest_serverless.local.runs import ReportedStep, Run

    _Invoker = tuple[Run, ReportedStep]

__all__ = ["Invocations"]


class Invocations:
    """Who waits for which run.

    Args:
        agenda: When things are due.
        runner: Takes what a step has come to.
    """

    def __init__(self, agenda: Agenda, runner: Runner) -> None:
        self._agenda = agenda
        self._runner = runner
        self._by_event: dict[str, _Invoker] = {}  # by the event that is to start the run
        self._by_run: dict[str, list[_Invoker]] = {}

    def add(self, event_id: str, run: Run, step: ReportedStep, timeout_ms: int) -> None:
        """Let a step of a run wait for the run that an event is to start, for so long."""
        self._by_event[event_id] = run, step
        late = error_memo("InngestInvokeTimeoutError", "Timed out waiting for invoked function to complete")

        def end() -> None:
            self._by_event.pop(event_id, None)
            self._runner.complete(run, step, late, kind="TimedOut")

        self._agenda.after(timeout_ms, end, is_over=lambda: step.key not in run.open)

    def started(self, run: Run) -> None:
        """The events of a run have started it: who waits for them waits for its end now."""
        invokers = [self._by_event.pop(event["id"]) for event in run.events if event["id"] in self._by_event]
        if invokers:
            self._by_run[run.id] = invokers

    def refused(self, event_id: str, function_id: str, reason: str) -> None:
        """An event starts no run: whoever waits for it would do so in vain."""
        invoker = self._by_event.pop(event_id, None)
        if invoker is not None:
            is_busy = reason.startswith("singleton")
            busy = f"function {function_id} may run once at a time, and is running"
            self._answer(invoker, error_memo("Error", busy if is_busy else "invoked function is rate limited"))

    def ended(self, run: Run) -> None:
        """A run has come to its end: so have the steps that wait for it."""
        for invoker in self._by_run.pop(run.id, ()):
            self._answer(invoker, invocation_memo(run))

    def _answer(self, invoker: _Invoker, memo: dict[str, Any]) -> None:
        run, step = invoker
        self._runner.complete(run, step, memo, kind="Invoked")
