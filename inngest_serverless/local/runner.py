"""Carries runs on: makes a call, reads the reply, does what the reported steps ask for, and decides on the next call.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.calls import BACKOFF_JITTER_MS, UNTARGETED, Call, backoff_ms, wake_ms
from inngest_serverless.local.openings import read_opening
from inngest_serverless.local.outside import OUTSIDE, OutsideError, ask_outside
from inngest_serverless.local.replies import CallFailed, Reported, Returned, read_reply
from inngest_serverless.local.runs import FIRST_CALL, EngineError, Moment
from inngest_serverless.local.waits import WaitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.ids import Ids
    from inngest_serverless.local.outside import Fetch
    from inngest_serverless.local.runs import ReportedStep, Run, State
    from inngest_serverless.local.waits import Waits

__all__ = ["Runner", "Surroundings"]

MAX_STEPS = 1_000
_RUNNING = "running"
_FINISHED = {"StepRun", "StepError", "StepFailed"}


class Surroundings(NamedTuple):
    """What a runner needs done that is about more than one run.

    Attributes:
        exchange: Makes a call.
        invoke: Starts the function that a step invokes.
        ended: Tells whoever waits for a run that it has ended; why it failed is in the server's own words.
    """

    exchange: Callable[[Call], HttpReply]
    invoke: Callable[[Run, ReportedStep], None]
    ended: Callable[[Run, str], None]


class Runner:
    """Carries runs on.

    Args:
        around: What else there is.
        agenda: When things are due.
        ids: Where IDs come from.
        waits: Who waits for what.
        fetch: Sends the requests that functions ask for, or None.
        watch: Told of every moment of every run, or None.
    """

    def __init__(
        self,
        around: Surroundings,
        agenda: Agenda,
        ids: Ids,
        waits: Waits,
        fetch: Fetch | None,
        watch: Callable[[Run, Moment], None] | None,
    ) -> None:
        self._around = around
        self._agenda = agenda
        self._ids = ids
        self._waits = waits
        self._fetch = fetch
        self._watch = watch

    def begin(self, run: Run) -> None:
        """Make the first call of a run."""
        self.note(run, "Started", detail=str(run.events[0]["name"]))
        self._go_on(run)

    def complete(self, run: Run, step: ReportedStep, memo: Any, *, kind: str = "") -> None:
        """Keep the result of a step, and find out what comes next once nothing else is open.

        Args:
            run: The run.
            step: The step; nothing happens if it has a result already.
            memo: Its result, in one of the forms of docs/protocol.md, section 2.
            kind: What to note in the timeline, if anything.
        """
        if run.status != _RUNNING or step.key in run.memos:
            return
        planned = run.open.pop(step.key, step)
        run.memos[step.key] = memo
        run.order.append(step.key)
        if kind:
            self.note(run, kind, step=step.step)
        if not run.open:
            run.is_parallel = False
        if not run.open or planned.races:
            self._go_on(run)

    def note(
        self, run: Run, kind: str, *, step: str = "", attempt: int = 0, detail: str = "", took_ms: float = 0.0
    ) -> None:
        """Enter a moment in a run's timeline."""
        moment = Moment(self._agenda.now_ms, kind, step, attempt, detail, took_ms)
        run.timeline.append(moment)
        if self._watch is not None:
            self._watch(run, moment)

    # Calls.

    def _go_on(self, run: Run) -> None:
        """Call a function for whatever comes next; once, however many steps finish at the same time."""
        if not run.is_due:
            run.is_due = True
            self._schedule(Call(run, self._ids.job()))

    def _schedule(self, call: Call, delay_ms: int = 0) -> None:
        self._agenda.after(delay_ms, lambda: self._make(call))

    def _make(self, call: Call) -> None:
        run = call.run
        if call.target == UNTARGETED and call.attempt == 0:
            run.is_due = False
        if run.status != _RUNNING or (call.target != UNTARGETED and call.target not in run.open):
            return
        if len(run.memos) > MAX_STEPS:
            message = f"The function run exceeded the step limit of {MAX_STEPS} steps."
            self._fail(
                call, {"name": "InngestErrFunctionOverflowed", "message": message}, "function has too many steps"
            )
            return
        began = time.perf_counter()
        reply = self._around.exchange(call)
        call = replace(call, took_ms=(time.perf_counter() - began) * 1000)
        run.calls += 1
        match read_reply(reply):
            case Reported() as reported:
                self._take_steps(call, reported)
            case Returned(output):
                run.status, run.output = "completed", output
                self._end(call, "Returned")
            case CallFailed() as failed:
                self._take_failure(call, failed)

    def _retry(self, call: Call, delay_ms: int | None = None) -> None:
        if delay_ms is None:
            delay_ms = backoff_ms(call.attempt) + self._ids.below(BACKOFF_JITTER_MS)
        self._schedule(call.again(), delay_ms)

    # Ends.

    def _take_failure(self, call: Call, failed: CallFailed) -> None:
        if failed.is_final or call.is_last:
            self._fail(call, failed.error, failed.reason)
            return
        self._note_call(call, "Retrying", detail=_told(failed.error))
        self._retry(call, failed.retry_after_ms)

    def _fail(self, call: Call, error: dict[str, Any], reason: str = "") -> None:
        call.run.status, call.run.error = "failed", error
        self._end(call, "Failed", detail=_told(error), reason=reason or error["name"])

    def _end(self, call: Call, kind: str, *, detail: str = "", reason: str = "") -> None:
        call.run.open.clear()
        self._note_call(call, kind, detail=detail)
        self._around.ended(call.run, reason)

    def _note_call(self, call: Call, kind: str, *, step: str = "", detail: str = "") -> None:
        self.note(call.run, kind, step=step, attempt=call.attempt, detail=detail, took_ms=call.took_ms)

    # Steps.

    def _take_steps(self, call: Call, reported: Reported) -> None:
        run = call.run
        if run.version == FIRST_CALL:
            run.version = reported.version
        if len(reported.steps) > 1:
            run.is_parallel = True
        known = run.state if len(reported.steps) > 1 else None
        news = [step for step in reported.steps if _is_news(run, step)]
        # All of them at first, or one that finishes at once would lead to the next call before the others are known.
        run.open.update((step.key, step) for step in news if step.op not in _FINISHED)
        retries = [self._take_step(call, step, reported, known) for step in news]
        if any(retries):
            self._retry(call, reported.retry_after_ms)
        if not news:
            self._check_progress(call, reported)

    def _check_progress(self, call: Call, reported: Reported) -> None:
        run = call.run
        missing = run.open.get(call.target)
        if missing is not None:
            raise EngineError(
                f"run {run.id} of {run.function.id!r} makes no progress: step {missing.step!r} was called for, "
                f"and the reply does not report it: {reported.text}"
            )
        if not run.open and not run.is_due:
            raise EngineError(
                f"run {run.id} of {run.function.id!r} makes no progress: the reply reports nothing new: {reported.text}"
            )

    def _take_step(self, call: Call, step: ReportedStep, reported: Reported, known: State | None) -> bool:
        """Do what a step asks for; returns whether the call is to be made again."""
        run = call.run
        if run.status != _RUNNING:
            return False
        match step.op:
            case "StepRun":
                self._note_call(call, step.op, step=step.step)
                self.complete(run, step, {"data": step.data})
            case "StepError" if not (reported.is_final or call.is_last):
                self._note_call(call, step.op, step=step.step, detail=_told(step.error))
                return True
            case "StepError" | "StepFailed":
                self._note_call(call, "StepFailed", step=step.step, detail=_told(step.error))
                self.complete(run, step, {"error": step.error})
            case op if op in OUTSIDE:
                return self._ask_outside(call, step)
            case _:
                self._open(call, step, known)
        return False

    def _open(self, call: Call, step: ReportedStep, known: State | None) -> None:
        run = call.run
        opening = read_opening(step)
        self._note_call(call, step.op, step=step.step, detail=opening.detail)
        try:
            self._waits.add(run, step)
        except WaitError as refused:
            self._fail(call, refused.error)
            return
        if step.op == "StepPlanned":
            self._schedule(Call(run, self._ids.job(), step.key, known=known))
        if step.op == "InvokeFunction":
            self._around.invoke(run, step)
        if opening.until:
            delay_ms = wake_ms(opening.until, self._agenda.now_ms)
            self._agenda.after(delay_ms, lambda: self.complete(run, step, None, kind=opening.kind))

    def _ask_outside(self, call: Call, step: ReportedStep) -> bool:
        """Make the request that a step asks for; returns whether the call is to be made again."""
        self._note_call(call, step.op, step=step.step, detail=str(step.opts.get("url")))
        try:
            memo = ask_outside(step, self._fetch)
        except OutsideError as failure:
            kind = "StepFailed" if call.is_last else "StepError"
            self._note_call(call, kind, step=step.step, detail=_told(failure.error))
            if call.is_last:
                self.complete(call.run, step, {"error": failure.error})
            return not call.is_last
        self.complete(call.run, step, memo, kind="Answered")
        return False


def _is_news(run: Run, step: ReportedStep) -> bool:
    if step.key in run.memos:
        return False
    # A request that had no success is open and is made again.
    return step.key not in run.open or step.op in _FINISHED | OUTSIDE


def _told(error: dict[str, Any]) -> str:
    return f"{error.get('name')}: {error.get('message')}"
