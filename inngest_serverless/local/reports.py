"""Does what the steps that a call has reported ask for, and notices where a run comes to no end.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.calls import UNTARGETED, Call, wake_ms
from inngest_serverless.local.openings import read_opening
from inngest_serverless.local.outside import OUTSIDE, OutsideError, ask_outside
from inngest_serverless.local.runs import FIRST_CALL, MAX_STEPS, EngineError
from inngest_serverless.local.waits import WaitError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.ids import Ids
    from inngest_serverless.local.replies import Reported
    from inngest_serverless.local.runner import Runner, Surroundings
    from inngest_serverless.local.runs import ReportedStep, Run, State
    from inngest_serverless.local.waits import Waits

__all__ = ["MAX_STRAYS", "Reports"]

# How many calls may find another new step without asking for the result of the one before; a changed code does so once.
MAX_STRAYS = 10
_FINISHED = {"StepRun", "StepError", "StepFailed"}
_WAITS = {"WaitForEvent", "WaitForSignal"}
# What is noted where a step ends that somebody stands in for.
_ENDED = {
    "Sleep": "Woke",
    "WaitForEvent": "Received",
    "WaitForSignal": "Received",
    "InvokeFunction": "Invoked",
    "Gateway": "Answered",
    "AIGateway": "Answered",
    "StepPlanned": "StepRun",
}


class Reports:
    """Takes reported steps.

    Args:
        runner: Whose runs they are of: keeps their results, and calls again.
        around: What else there is.
        agenda: When things are due.
        ids: Where IDs come from.
        waits: Who waits for what.
        fetch: Sends the requests that functions ask for, or None.
    """

    def __init__(
        self, runner: Runner, around: Surroundings, agenda: Agenda, ids: Ids, waits: Waits, fetch: Endpoint | None
    ) -> None:
        self._runner = runner
        self._around = around
        self._agenda = agenda
        self._ids = ids
        self._waits = waits
        self._fetch = fetch

    def take(self, call: Call, reported: Reported) -> bool:
        """Do what the steps of a reply ask for; returns whether the call is to be made again."""
        run = call.run
        if run.version == FIRST_CALL:
            run.version = reported.version
        if len(reported.steps) > MAX_STEPS:
            self._runner.overflow(call)
            return False
        if len(reported.steps) > 1:
            run.is_parallel = True
        known = run.state if len(reported.steps) > 1 else None
        news = [step for step in reported.steps if _is_news(call, step)]
        # All of them at first, or one that finishes at once would lead to the next call before the others are known.
        run.open.update((step.key, step) for step in news if step.op not in _FINISHED)
        retries = [self._take_step(call, step, reported, known) for step in news]
        if any(retries):
            self._runner.retry(call, reported.retry_after_ms)
        self._ask_outside(call, [step for step in news if step.op in OUTSIDE and step.key in run.open])
        if not news:
            self._check_progress(call, reported)
        elif call.target == UNTARGETED and call.attempt == 0:
            _check_replay(run, news[0], reported)
        return any(retries)

    def _check_progress(self, call: Call, reported: Reported) -> None:
        run = call.run
        missing = run.open.get(call.target)
        if missing is not None:
            raise EngineError(
                f"run {run.id} of {run.function.id!r} makes no progress: step {missing.step!r} was called for, "
                f"and the reply does not report it: {reported.text}"
            )
        if not run.open and not (run.is_due or run.is_outdated):
            raise EngineError(
                f"run {run.id} of {run.function.id!r} makes no progress: the reply reports nothing new: {reported.text}"
            )

    def _take_step(self, call: Call, step: ReportedStep, reported: Reported, known: State | None) -> bool:
        """Do what a step asks for; returns whether the call is to be made again."""
        run = call.run
        if not run.is_active:
            return False
        match step.op:
            case "StepRun":
                self._runner.note_call(call, step.op, step=step)
                self._runner.complete(run, step, {"data": step.data})
            case "StepError" if not (reported.is_final or call.is_last):
                self._runner.note_call(call, step.op, step=step, error=step.error)
                return True
            case "StepError" | "StepFailed":
                self._runner.note_call(call, "StepFailed", step=step, error=step.error)
                self._runner.complete(run, step, {"error": step.error})
            case op if (memo := self._around.stand_in(run, step)) is not None:
                self._runner.note_call(call, op, step=step, detail="mocked")
                kind = "TimedOut" if op in _WAITS and memo[0] is None else _ENDED[op]
                self._runner.complete(run, step, memo[0], kind=kind)
            case op if op in OUTSIDE:
                self._runner.note_call(call, op, step=step, detail=str(step.opts.get("url")))
            case _:
                self._open(call, step, known)
        return False

    def _open(self, call: Call, step: ReportedStep, known: State | None) -> None:
        run = call.run
        opening = read_opening(step)
        self._runner.note_call(call, step.op, step=step, detail=opening.detail)
        try:
            self._waits.add(run, step)
        except WaitError as refused:
            self._runner.fail(call, refused.error)
            return
        if step.op == "StepPlanned":
            self._runner.schedule(Call(run, self._ids.job(), step.key, known=known))
        if step.op == "InvokeFunction":
            self._around.invoke(run, step)
        if opening.until:
            delay_ms = wake_ms(opening.until, self._agenda.now_ms)
            self._agenda.after(
                delay_ms,
                lambda: self._runner.complete(run, step, None, kind=opening.kind),
                is_over=lambda: step.key not in run.open,
            )

    def _ask_outside(self, call: Call, steps: list[ReportedStep]) -> None:
        """Make the requests that steps ask for; once all are answered, the call is made again if one had no success."""
        left, failed = {step.key for step in steps}, set[str]()

        def take(step: ReportedStep, answered: Future[Any]) -> None:
            left.discard(step.key)
            try:
                self._runner.complete(call.run, step, answered.result(), kind="Answered")
            except OutsideError as failure:
                if self._take_refusal(call, step, failure):
                    failed.add(step.key)
            except Exception as error:  # noqa: BLE001 - as in _take
                self._around.broken(call, error)
            if failed and not left and call.run.is_active:
                self._runner.retry(call)

        for step in steps:
            self._around.carry(partial(ask_outside, step, self._fetch), partial(take, step))

    def _take_refusal(self, call: Call, step: ReportedStep, failure: OutsideError) -> bool:
        """A request had no success; returns whether the call is to be made again."""
        kind = "StepFailed" if call.is_last else "StepError"
        self._runner.note_call(call, kind, step=step, error=failure.error)
        if call.is_last:
            self._runner.complete(call.run, step, {"error": failure.error})
        return not call.is_last


def _is_news(call: Call, step: ReportedStep) -> bool:
    if step.key in call.run.memos:
        return False
    # A request that had no success is open, and is made again when the call is.
    return step.key not in call.run.open or step.op in _FINISHED or (step.op in OUTSIDE and call.attempt > 0)


def _check_replay(run: Run, step: ReportedStep, reported: Reported) -> None:
    """Stop a run whose steps are new at each call: it would go on so until it has too many of them.

    Raises:
        EngineError: Its steps have other IDs each time.
    """
    is_stray = reported.replayed is not None and reported.replayed == run.replayed
    run.replayed, run.strays = reported.replayed, run.strays + 1 if is_stray else 0
    if run.strays >= MAX_STRAYS:
        raise EngineError(
            f"run {run.id} of {run.function.id!r} comes to no end: each call finds a new step, {step.step!r} at last, "
            "and none asks for its result. A step's ID has to be the same at each call: leave the time and chance out "
            "of it (docs/concepts.md#step-ids)"
        )
