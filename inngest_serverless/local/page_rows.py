"""A run as rows of bars, for the page: one row for the function's own code, one for each step.

A call's bar is as long as the call took. A virtual clock stands still meanwhile: there the calls of one instant are
put one after another, as they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.calls import UNTARGETED, wake_ms
from inngest_serverless.local.openings import read_opening
from inngest_serverless.local.outside import OUTSIDE

if TYPE_CHECKING:
    from inngest_serverless.local.runs import Invocation, Moment, Pending, ReportedStep, Run

__all__ = ["Bar", "Row", "rows_of"]

# What a step does while nothing of the app runs.
_WAITS = {
    "Sleep": "sleep",
    "WaitForEvent": "event",
    "WaitForSignal": "signal",
    "InvokeFunction": "invoke",
    "Gateway": "fetch",
    "AIGateway": "ai",
}
_ENDS = {"Woke": "ok", "Received": "ok", "Invoked": "ok", "Answered": "ok", "TimedOut": "timeout"}
_RAISED = {"StepError", "StepFailed"}
# Clocks are read in whole milliseconds, and a reply is taken a moment after it has come.
_SLACK_MS = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch of time in a row.

    Attributes:
        kind: ``"call"``, ``"wait"``, ``"retry"`` (until the next try) or ``"queued"`` (until there is room).
        start_ms: When it began, in Unix milliseconds.
        end_ms: When it ended, or None.
        status: ``"open"``, ``"ok"``, ``"error"``, ``"timeout"`` or ``"cancelled"``.
        attempt: Which try a call was, from 0.
        due_ms: When it ends at the latest, if it has not ended and that is known.
        http: The HTTP status of a call's reply, or None.
        error: What a call raised: ``{name, message, stack?}``.
    """

    kind: str
    start_ms: float
    end_ms: float | None = None
    status: str = "open"
    attempt: int = 0
    due_ms: float | None = None
    http: int | None = None
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class Row:
    """The bars of a step, or of the function's own code.

    Attributes:
        key: The step's hash; "" for the function.
        name: The step's ID in the code; "" for the function.
        kind: ``"function"``, ``"run"``, ``"sleep"``, ``"event"``, ``"signal"``, ``"invoke"``, ``"fetch"``, ``"ai"``.
        status: ``"open"``, ``"ok"``, ``"error"``, ``"timeout"`` or ``"cancelled"``.
        detail: What it is about: a duration, the name of an event.
        bars: In order.
        condition: What an awaited event must fulfil, while it is waited for.
    """

    key: str
    name: str
    kind: str
    status: str = "open"
    detail: str = ""
    bars: list[Bar] = field(default_factory=list[Bar])
    condition: str = ""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call with its place on the time axis."""

    start_ms: float
    end_ms: float
    made: Invocation


def rows_of(run: Run) -> list[Row]:
    """The rows of a run, the function's first, the steps in the order in which they were met."""
    return _Drawing(run).rows()


class _Drawing:
    def __init__(self, run: Run) -> None:
        # The engine's thread goes on meanwhile: what is drawn is what is known now. The calls come after the moments
        # that name them.
        self._run = run
        self._pending = list(run.pending.values())
        self._open = dict(run.open)
        self._timeline = list(run.timeline)
        self._calls = _placed(list(run.invocations), self._timeline)
        self._function = Row("", "", "function")
        self._rows = {"": self._function}
        self._drawn: set[int] = set()

    def rows(self) -> list[Row]:
        self._draw_queue()
        for moment in self._timeline:
            self._draw(moment)
        for number, call in enumerate(self._calls):
            if number not in self._drawn:
                self._function.bars.append(_bar(call, "ok"))
        for pending in self._pending:
            self._draw_pending(pending)
        for key, step in self._open.items():
            self._describe(key, step)
        if not self._run.is_active:
            self._close()
        for row in self._rows.values():
            row.bars.sort(key=lambda bar: bar.start_ms)
        return list(self._rows.values())

    def _draw_queue(self) -> None:
        run = self._run
        if run.started_ms is None or run.started_ms > run.queued_ms:
            status = "open" if run.started_ms is None else "ok"
            self._function.bars.append(Bar("queued", run.queued_ms, run.started_ms, status))

    def _draw(self, moment: Moment) -> None:
        row = self._row(moment)
        if moment.kind in _WAITS:
            self._draw_call(self._function, moment)
            if moment.call >= 0:
                _end(row, self._calls[moment.call].start_ms)
            row.status, row.detail = "open", moment.detail
            row.bars.append(Bar("wait", self._told_ms(moment), attempt=moment.attempt))
        elif moment.kind in _ENDS or (moment.kind in _RAISED and row.kind in {"fetch", "ai"}):
            self._end_wait(row, moment)
        elif moment.kind == "StepPlanned":
            self._draw_call(self._function, moment)
            row.bars.append(Bar("queued", self._told_ms(moment)))
        else:
            self._draw_call(row, moment)
            if moment.kind in {"StepRun", "StepFailed"}:
                _end(row, moment.at_ms)
                row.status = "ok" if moment.kind == "StepRun" else "error"
            if moment.kind in {"StepError", "Retrying"}:
                row.bars.append(Bar("retry", self._told_ms(moment)))

    def _row(self, moment: Moment) -> Row:
        if moment.key not in self._rows:
            self._rows[moment.key] = Row(moment.key, moment.step, "run")
        row = self._rows[moment.key]
        if moment.kind in _WAITS:
            row.kind = _WAITS[moment.kind]
        return row

    def _told_ms(self, moment: Moment) -> float:
        """When a moment was told: at the end of its call, or when the engine got round to it."""
        return max(self._calls[moment.call].end_ms, moment.at_ms) if moment.call >= 0 else moment.at_ms

    def _draw_call(self, row: Row, moment: Moment) -> None:
        if moment.call < 0 or moment.call in self._drawn:
            return
        self._drawn.add(moment.call)
        call = self._calls[moment.call]
        _end(row, call.start_ms)
        if call.made.target == UNTARGETED:
            _end(self._function, call.start_ms)
        row.bars.append(replace(_bar(call, "ok" if moment.error is None else "error"), error=moment.error))

    def _end_wait(self, row: Row, moment: Moment) -> None:
        row.status = _ENDS.get(moment.kind, "error") if moment.error is None else "error"
        for number, bar in enumerate(row.bars):
            if bar.kind == "wait" and bar.end_ms is None:
                end_ms = max(moment.at_ms, bar.start_ms)
                row.bars[number] = replace(bar, end_ms=end_ms, status=row.status, error=moment.error)
        if moment.kind == "StepError":
            row.status = "open"
            row.bars.append(Bar("retry", self._told_ms(moment)))

    def _draw_pending(self, pending: Pending) -> None:
        row = self._row_of(pending)
        if pending.began_ms is not None:
            _end(row, pending.began_ms)
            row.bars.append(Bar("call", pending.began_ms, attempt=pending.attempt))
            return
        waiting = [number for number, bar in enumerate(row.bars) if bar.end_ms is None and bar.kind != "wait"]
        for number in waiting[-1:]:
            row.bars[number] = replace(row.bars[number], due_ms=pending.due_ms)

    def _row_of(self, pending: Pending) -> Row:
        """The row of a call: that of its step, as far as it is known which one that is."""
        if pending.target != UNTARGETED:
            return self._rows.get(pending.target, self._function)
        if pending.attempt:
            for moment in reversed(self._timeline):
                if moment.attempt == pending.attempt - 1 and moment.kind in {"StepError", "Retrying"}:
                    return self._rows[moment.key]
        return self._function

    def _describe(self, key: str, step: ReportedStep) -> None:
        row = self._rows.get(key)
        if row is None or step.op == "StepPlanned":
            return
        row.condition = str(step.opts.get("if") or "")
        until = read_opening(step).until if step.op not in OUTSIDE else ""
        for number, bar in enumerate(row.bars):
            if until and bar.kind == "wait" and bar.end_ms is None:
                told_ms = next(each.at_ms for each in self._timeline if each.key == key and each.kind in _WAITS)
                row.bars[number] = replace(bar, due_ms=told_ms + wake_ms(until, told_ms))

    def _close(self) -> None:
        """Nothing goes on when the run has ended."""
        run = self._run
        self._function.status = {"completed": "ok", "failed": "error"}.get(run.status, "cancelled")
        for row in self._rows.values():
            if row.status == "open":
                row.status = "cancelled"
            for number, bar in enumerate(row.bars):
                if bar.end_ms is None:
                    end_ms = max(run.ended_ms or 0, bar.start_ms)
                    row.bars[number] = replace(bar, end_ms=end_ms, status="cancelled", due_ms=None)


def _placed(invocations: list[Invocation], timeline: list[Moment]) -> list[_Call]:
    """The calls, each at its place on the time axis."""
    taken = {moment.call: moment.at_ms for moment in reversed(timeline)}
    stands_still = any(
        taken.get(number, made.at_ms + made.took_ms) + _SLACK_MS < made.at_ms + made.took_ms
        for number, made in enumerate(invocations)
    )
    placed: list[_Call] = []
    free_ms = 0.0
    for made in invocations:
        start_ms = max(free_ms, made.at_ms) if stands_still else made.at_ms
        free_ms = start_ms + made.took_ms
        placed.append(_Call(start_ms, free_ms, made))
    return placed


def _bar(call: _Call, status: str) -> Bar:
    return Bar("call", call.start_ms, call.end_ms, status, call.made.attempt, http=call.made.status)


def _end(row: Row, at_ms: float) -> None:
    """End what a row waited for before a call: its next try, or room for it."""
    for number, bar in enumerate(row.bars):
        if bar.end_ms is None and bar.kind in {"retry", "queued"}:
            row.bars[number] = replace(bar, end_ms=max(at_ms, bar.start_ms), status="ok")
