"""What came of a run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from inngest_serverless.errors import ResultTypeError
from inngest_serverless.local.calls import UNTARGETED, wake_ms
from inngest_serverless.local.openings import read_opening
from inngest_serverless.local.places import raised_at
from inngest_serverless.result_types import result_type

if TYPE_CHECKING:
    from inngest_serverless.events import Event
    from inngest_serverless.functions import Function
    from inngest_serverless.local.runs import Moment, Pending, ReportedStep, Run
    from inngest_serverless.testing.faults import Injection

__all__ = ["RECENT_FAILURES", "RunError", "RunResult", "StepResult", "Waiting", "result_of", "waits_of"]

R = TypeVar("R")

_DONE = {"StepRun", "StepFailed", "Woke", "Received", "TimedOut", "Invoked", "Answered"}
_WAITS = {
    "Sleep": "sleep",
    "WaitForEvent": "event",
    "WaitForSignal": "signal",
    "InvokeFunction": "function",
    "Gateway": "request",
    "AIGateway": "request",
}
_RECENT = 8


@dataclass(frozen=True, slots=True)
class RunError:
    """What a run, or a step of it, failed with.

    Attributes:
        name: The name of the exception's class.
        message: Its message.
        stack: Its stack trace as text, or None.
        at: Where it was raised in the user's code, ``"app.py:12 in charge"``; "" where that is not known.
    """

    name: str
    message: str
    stack: str | None = field(default=None, repr=False, compare=False)
    at: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @property
    def reason(self) -> str:
        """What was raised, behind where: ``"app.py:12 in charge: ValueError: negative"``."""
        return f"{self.at}: {self}" if self.at else str(self)


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that has finished.

    Attributes:
        id: Its ID in the code.
        output: Its result as JSON; None for a sleep, a timeout, or a failure.
        error: What it failed with for good, or None.
        attempts: How many tries the server knows of.
    """

    id: str
    output: Any = None
    error: RunError | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that a run waits for.

    Attributes:
        kind: ``"sleep"``, ``"event"``, ``"signal"``, ``"function"``, ``"request"``, or ``"retry"`` for a call that has
            failed and will be made again.
        step: The step's ID in the code; "" for the function itself.
        detail: What it is about: a duration, the name of an event or a signal, a function's ID, an URL.
        until: When it is over at the latest, or None.
    """

    kind: str
    step: str
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RunResult(Generic[R]):
    """What came of a run.

    Attributes:
        status: ``"completed"``, ``"failed"`` or ``"cancelled"``; ``"queued"`` or ``"running"`` if it has not ended.
        output: What the function returned, None if it did not: of the type that it is annotated to return, as for
            ``step.invoke``.
        error: What it failed with, or None.
        steps: The IDs of the steps that finished, in the order of completion.
        timeline: Everything that happened, in order.
        calls: How often the function was called, as the cloud would bill it.
        function_id: The function's composite ID, ``"app-function"``.
        run_id: The run.
        sent: The events that the run has sent.
        faults: What has gone wrong on purpose, in order.
        failure_handler: What came of the function's ``on_failure`` handler, or None if it did not run.
    """

    status: str
    output: R
    error: RunError | None
    steps: tuple[str, ...]
    timeline: tuple[Moment, ...] = field(repr=False)
    calls: int
    function_id: str
    run_id: str
    sent: tuple[Event[Any], ...] = ()
    faults: tuple[Injection, ...] = ()
    failure_handler: RunResult[Any] | None = None
    step_results: tuple[StepResult, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        # What went wrong comes first: pytest cuts off what is long.
        came = f"failed: {self.error.reason}" if self.status == "failed" and self.error else self.status
        return (
            f"<RunResult of {self.function_id!r}: {came}; "
            f"output={self.output!r}, steps={self.steps!r}, calls={self.calls}, run_id={self.run_id!r}>"
        )

    def step(self, step_id: str, index: int = 0) -> StepResult:
        """A step that has finished.

        Args:
            step_id: Its ID in the code.
            index: Which use of the ID, from 0.

        Raises:
            KeyError: There is none; the message says which there are.
        """
        __tracebackhide__ = True  # the test's line is what counts
        found = [step for step in self.step_results if step.id == step_id]
        if index >= len(found):
            failure = f"; the run failed: {self.error.reason}" if self.error else ""
            use = f"use {index} of " if index else ""
            raise KeyError(f"no {use}step {step_id!r} has finished; finished are {self._shown_steps}{failure}")
        return found[index]

    def describe(self) -> str:
        """The run in a few lines, for messages."""
        start = self.timeline[0].at_ms if self.timeline else 0
        lines = [f"  {(moment.at_ms - start) / 1000:>10.1f} s  {_line(moment)}" for moment in self.timeline]
        ended = f"run of {self.function_id!r}: {self.status}{f': {self.error.reason}' if self.error else ''}"
        return "\n".join([ended, *lines, *(f"  fault: {fault}" for fault in self.faults)])

    @property
    def _shown_steps(self) -> str:
        return ", ".join(map(repr, self.steps)) or "none"


# The last runs that failed, by their IDs, for whoever reports on a test.
RECENT_FAILURES: OrderedDict[str, RunResult[Any]] = OrderedDict()


def result_of(
    run: Run,
    function: Function[R] | None,
    sent: tuple[Event[Any], ...],
    faults: tuple[Injection, ...],
    failure_handler: RunResult[Any] | None = None,
) -> RunResult[R]:
    """What has come of a run so far.

    Args:
        run: The run.
        function: Its function, for the type of its output; None leaves that JSON.
        sent: The events that were sent.
        faults: What has gone wrong.
        failure_handler: What came of its failure handler.
    """
    result: RunResult[R] = RunResult(
        status=run.status,
        output=cast("R", _typed(run, function)),
        error=_error(run.error),
        steps=tuple(run.steps),
        timeline=tuple(run.timeline),
        calls=run.calls,
        function_id=run.function.id,
        run_id=run.id,
        sent=sent,
        faults=faults,
        failure_handler=failure_handler,
        step_results=tuple(_step(run, moment) for moment in run.timeline if moment.kind in _DONE),
    )
    if run.status == "failed":
        RECENT_FAILURES[run.id] = result
        while len(RECENT_FAILURES) > _RECENT:
            RECENT_FAILURES.popitem(last=False)
    return result


def waits_of(run: Run) -> tuple[Waiting, ...]:
    """What a run waits for now."""
    steps = [_waiting(run, step) for step in run.open.values() if step.op in _WAITS]
    retries = [_retry(run, call) for call in run.pending.values() if call.attempt and call.began_ms is None]
    return (*steps, *retries)


def _waiting(run: Run, step: ReportedStep) -> Waiting:
    kind = _WAITS[step.op]
    if kind == "request":
        return Waiting(kind, step.step, str(step.opts.get("url")))
    opening = read_opening(step)
    begun_ms = next(moment.at_ms for moment in reversed(run.timeline) if moment.key == step.key)
    until = opening.until or (step.opts.get("timeout") if kind == "function" else "")
    return Waiting(kind, step.step, opening.detail, _instant(begun_ms + wake_ms(until, begun_ms)) if until else None)


def _retry(run: Run, call: Pending) -> Waiting:
    step = run.open.get(call.target)
    return Waiting("retry", "" if step is None or call.target == UNTARGETED else step.step, until=_instant(call.due_ms))


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _typed(run: Run, function: Function[Any] | None) -> Any:
    kind = None if function is None or run.status != "completed" else result_type(function.handler)
    if kind is None:
        return run.output
    try:
        return kind.read(run.output, f"function {run.function.id!r}")
    except ResultTypeError:
        # Middleware has made something else of it, encrypted it say.
        return run.output


def _step(run: Run, moment: Moment) -> StepResult:
    memo = run.memos[moment.key]
    # An event is remembered as it is, anything else within an object.
    is_event = isinstance(memo, dict) and "name" in memo
    error = None if is_event or memo is None else _error(memo.get("error"))
    output = memo if is_event or memo is None else memo.get("data")
    tries = sum(
        other.key == moment.key and other.kind in {"StepError", "StepRun", "StepFailed"} for other in run.timeline
    )
    return StepResult(moment.step, output if error is None else None, error, max(tries, 1))


def _line(moment: Moment) -> str:
    place = raised_at(moment.error)
    detail = f"{place}: {moment.detail}" if place else moment.detail
    words = [moment.kind, repr(moment.step) if moment.step else "", f"({detail})" if detail else ""]
    return " ".join(filter(None, words))


def _error(document: dict[str, Any] | None) -> RunError | None:
    if not document:
        return None
    return RunError(str(document.get("name")), str(document.get("message")), document.get("stack"), raised_at(document))
