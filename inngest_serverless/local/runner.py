"""Carries runs on: makes a call, reads the reply, keeps what has come of it, and decides on the next call.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.calls import BACKOFF_JITTER_MS, UNTARGETED, Call, backoff_ms
from inngest_serverless.local.replies import CallFailed, Reported, Returned, read_reply
from inngest_serverless.local.reports import Reports
from inngest_serverless.local.runs import MAX_STEPS, Invocation, Moment, Pending

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.calls import Answer
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.ids import Ids
    from inngest_serverless.local.runs import ReportedStep, Run
    from inngest_serverless.local.waits import Waits

__all__ = ["CANCELLED", "Runner", "Surroundings"]

CANCELLED = "function cancelled"


class Surroundings(NamedTuple):
    """What a runner needs done that is about more than one run.

    Attributes:
        exchange: Makes a call, and hands over what was answered.
        carry: Does some work, and hands over its result.
        invoke: Starts the function that a step invokes.
        stand_in: The memo, alone in a tuple, of a step that somebody stands in for; None for a step to be carried out.
        ended: Tells whoever waits for a run that it has ended; why it failed is in the server's own words.
        broken: Decides what becomes of a run that cannot go on.
    """

    exchange: Callable[[Call, Callable[[Future[Answer]], None]], None]
    carry: Callable[[Callable[[], Any], Callable[[Future[Any]], None]], None]
    invoke: Callable[[Run, ReportedStep], None]
    stand_in: Callable[[Run, ReportedStep], tuple[Any] | None]
    ended: Callable[[Run, str], None]
    broken: Callable[[Call, Exception], None]


class Runner:
    """Carries runs on.

    Args:
        around: What else there is.
        agenda: When things are due.
        ids: Where IDs come from.
        waits: Who waits for what.
        fetch: Sends the requests that functions ask for, or None.
        watch: Told of every moment of every run, or None.
        retry_ms: How long to wait before every further try; None for the server's own table.
    """

    def __init__(
        self,
        around: Surroundings,
        agenda: Agenda,
        ids: Ids,
        waits: Waits,
        fetch: Endpoint | None,
        watch: Callable[[Run, Moment], None] | None,
        retry_ms: int | None = None,
    ) -> None:
        self._around = around
        self._agenda = agenda
        self._ids = ids
        self._reports = Reports(self, around, agenda, ids, waits, fetch)
        self._watch = watch
        self._retry_ms = retry_ms

    def begin(self, run: Run) -> None:
        """Make the first call of a run."""
        run.status, run.started_ms = "running", self._agenda.now_ms
        self.note(run, "Started", detail=str(run.events[0]["name"]))
        self._go_on(run)

    def cancel(self, run: Run, reason: str) -> None:
        """End a run that has not ended; a call that is under way is left alone, and its reply counts for nothing.

        Args:
            run: The run.
            reason: What cancels it, for the timeline.
        """
        if run.is_active:
            run.status, run.error = "cancelled", {"name": "Error", "message": CANCELLED}
            self._close(run)
            self.note(run, "Cancelled", detail=reason)
            self._around.ended(run, CANCELLED)

    def complete(self, run: Run, step: ReportedStep, memo: Any, *, kind: str = "", detail: str = "") -> None:
        """Keep the result of a step, and find out what comes next once nothing else is open.

        Args:
            run: The run.
            step: The step; nothing happens if it has a result already.
            memo: Its result, in one of the forms of docs/protocol.md, section 2.
            kind: What to note in the timeline, if anything.
            detail: What there is to say of that, beyond what the step has failed with.
        """
        if not run.is_active or step.key in run.memos:
            return
        planned = run.open.pop(step.key, step)
        run.memos[step.key] = memo
        run.order.append(step.key)
        if kind:
            error = memo.get("error") if kind == "Invoked" else None
            self.note(run, kind, step=step, detail=detail, error=error)
        if not run.open:
            run.is_parallel = False
        if not run.open or planned.races:
            self._go_on(run)

    def note(
        self,
        run: Run,
        kind: str,
        *,
        step: ReportedStep | None = None,
        attempt: int = 0,
        detail: str = "",
        took_ms: float = 0.0,
        error: dict[str, Any] | None = None,
        call: int = -1,
    ) -> None:
        """Enter a moment in a run's timeline; what was raised is its detail, unless another one is given."""
        name, key = (step.step, step.key) if step is not None else ("", "")
        told = _told(error) if error is not None and not detail else detail
        moment = Moment(self._agenda.now_ms, kind, name, attempt, told, took_ms, key, error, call)
        run.timeline.append(moment)
        if self._watch is not None:
            self._watch(run, moment)

    # Calls.

    def _go_on(self, run: Run) -> None:
        """Call a function for whatever comes next; once, however many steps finish at the same time."""
        if run.is_discovering:
            run.is_outdated = True
        elif not run.is_due:
            run.is_due = True
            self.schedule(Call(run, self._ids.job()))

    def schedule(self, call: Call, delay_ms: int = 0) -> None:
        """Let a call be made after so many milliseconds, if it is still wanted then."""
        due_ms = self._agenda.now_ms + max(delay_ms, 0)
        call.run.pending[call.job_id] = Pending(due_ms, call.target, call.attempt)
        self._agenda.after(delay_ms, lambda: self._make(call), is_over=lambda: not call.run.is_active)

    def _make(self, call: Call) -> None:
        if not call.is_wanted:
            return
        # With that many the function is not called again, so it can come to its end with one less.
        if len(call.run.memos) >= MAX_STEPS:
            self.overflow(call)
            return
        self._around.exchange(call, partial(self._take, call))

    def overflow(self, call: Call) -> None:
        """End a run that has too many steps by a failure."""
        message = f"The function run exceeded the step limit of {MAX_STEPS} steps."
        error = {"name": "InngestErrFunctionOverflowed", "message": message}
        self.fail(call, error, "function has too many steps")

    def begin_call(self, call: Call) -> bool:
        """Whether a call is still to be made, when its turn has come; what it sends is what is known now."""
        if call.is_wanted and call.target == UNTARGETED:
            run = call.run
            run.is_due, run.is_discovering, run.is_outdated, run.was_called = False, True, False, True
        pending = call.run.pending.pop(call.job_id, None)
        if pending is not None and call.is_wanted:
            call.run.pending[call.job_id] = replace(pending, began_ms=self._agenda.now_ms)
        return call.is_wanted

    def _take(self, call: Call, answered: Future[Answer]) -> None:
        run = call.run
        run.pending.pop(call.job_id, None)
        try:
            answer = answered.result()
            call = replace(call, took_ms=answer.took_ms, number=len(run.invocations))
            run.invocations.append(
                Invocation(answer.at_ms, answer.took_ms, call.target, call.attempt, answer.reply.status)
            )
            if run.is_active and not self._take_reply(call, read_reply(answer.reply)):
                self._settle(call)
        except Exception as error:  # noqa: BLE001 - the run would else wait for ever, without a word
            self._around.broken(call, error)

    def _take_reply(self, call: Call, reply: Reported | Returned | CallFailed) -> bool:
        """Do what a reply asks for; returns whether the call is to be made again."""
        match reply:
            case Reported() as reported:
                return self._reports.take(call, reported)
            case Returned(output):
                call.run.status, call.run.output = "completed", output
                self._end(call, "Returned")
            case CallFailed() as failed:
                return self._take_failure(call, failed)
        return False

    def _settle(self, call: Call) -> None:
        """A call has ended and is not tried again: find out what comes next, if anything has happened meanwhile."""
        run = call.run
        if call.target == UNTARGETED:
            run.is_discovering = False
            if run.is_outdated and run.is_active:
                self._go_on(run)

    def retry(self, call: Call, delay_ms: int | None = None) -> None:
        """Make a call once more, after so many milliseconds; None for as long as the server waits."""
        if call.target == UNTARGETED:
            call.run.is_discovering = True
        if delay_ms is None and self._retry_ms is not None:
            delay_ms = self._retry_ms
        if delay_ms is None:
            delay_ms = backoff_ms(call.attempt) + self._ids.below(BACKOFF_JITTER_MS)
        self.schedule(call.again(), delay_ms)

    # Ends.

    def _take_failure(self, call: Call, failed: CallFailed) -> bool:
        if failed.is_final or call.is_last:
            self.fail(call, failed.error, failed.reason)
            return False
        self.note_call(call, "Retrying", error=failed.error)
        self.retry(call, failed.retry_after_ms)
        return True

    def fail(self, call: Call, error: dict[str, Any], reason: str = "") -> None:
        """End a run that has not ended by a failure.

        Args:
            call: The call that it fails with.
            error: ``{name, message, stack?}``.
            reason: The server's own words for it; the error's name if there are none.
        """
        if call.run.is_active:
            call.run.status, call.run.error = "failed", error
            self._end(call, "Failed", error=error, reason=reason or error["name"])

    def _end(self, call: Call, kind: str, *, error: dict[str, Any] | None = None, reason: str = "") -> None:
        self._close(call.run)
        self.note_call(call, kind, error=error)
        self._around.ended(call.run, reason)

    def _close(self, run: Run) -> None:
        run.ended_ms = self._agenda.now_ms
        run.open.clear()
        run.pending.clear()

    def note_call(
        self,
        call: Call,
        kind: str,
        *,
        step: ReportedStep | None = None,
        detail: str = "",
        error: dict[str, Any] | None = None,
    ) -> None:
        """Enter a moment that a call has told of; otherwise as ``note``."""
        self.note(
            call.run,
            kind,
            step=step,
            attempt=call.attempt,
            detail=detail,
            took_ms=call.took_ms,
            error=error,
            call=call.number,
        )


def _told(error: dict[str, Any]) -> str:
    return f"{error.get('name')}: {error.get('message')}"
