"""A run's timeline, drawn for a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from inngest_serverless.local.places import raised_at

if TYPE_CHECKING:
    from inngest_serverless.local.runs import Moment, Run

__all__ = ["draw", "moment_line", "moment_style"]

_STYLES = {
    "StepRun": "green",
    "Returned": "bold green",
    "StepError": "yellow",
    "Retrying": "yellow",
    "StepFailed": "red",
    "Failed": "bold red",
    "Sleep": "blue",
    "WaitForEvent": "blue",
    "WaitForSignal": "blue",
    "InvokeFunction": "magenta",
    "Gateway": "magenta",
    "AIGateway": "magenta",
}
_WORDS = {
    "Started": "run started",
    "StepPlanned": "planned",
    "StepRun": "ran",
    "StepError": "raised, will be tried again",
    "StepFailed": "failed",
    "Sleep": "sleeps",
    "Woke": "woke",
    "WaitForEvent": "waits for an event",
    "WaitForSignal": "waits for a signal",
    "Received": "received it",
    "TimedOut": "timed out",
    "InvokeFunction": "invokes a function",
    "Invoked": "got its result",
    "Gateway": "asks for a request",
    "AIGateway": "asks a language model",
    "Answered": "got the answer",
    "Retrying": "raised, will be called again",
    "Returned": "run completed",
    "Failed": "run failed",
}


def draw(run: Run) -> Table:
    """A table of everything that happened in a run, with the time since its start."""
    table = Table(title=f"{run.function.name}: run {run.id}", title_justify="left", expand=False)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("what happened")
    table.add_column("call", justify="right", no_wrap=True)
    start_ms = run.timeline[0].at_ms
    for moment in run.timeline:
        table.add_row(
            _since(moment.at_ms - start_ms),
            moment.step or "-",
            _what(moment),
            f"{moment.took_ms:.1f} ms" if moment.took_ms else "",
        )
    return table


def moment_line(moment: Moment) -> str:
    """One moment in a few words, for a progress display."""
    subject = f"{moment.step}: " if moment.step else ""
    detail = _detail(moment)
    return f"{subject}{_words(moment)}{f' ({detail})' if detail else ''}"


def moment_style(moment: Moment) -> str:
    """How rich is to draw a moment; "" for as usual."""
    return _STYLES.get(moment.kind, "")


def _what(moment: Moment) -> Text:
    text = Text(_words(moment), style=moment_style(moment))
    if moment.attempt:
        text.append(f" on attempt {moment.attempt + 1}")
    if detail := _detail(moment):
        text.append(f"  {detail}", style="dim")
    return text


def _words(moment: Moment) -> str:
    if moment.kind == "Invoked" and moment.error is not None:
        return "got an error"
    return _WORDS.get(moment.kind, moment.kind)


def _detail(moment: Moment) -> str:
    """What there is to say of it; before what was raised stands where."""
    place = raised_at(moment.error)
    return f"{place}: {moment.detail}" if place else moment.detail


def _since(millis: int) -> str:
    duration = timedelta(milliseconds=millis)
    clock = f"{duration.seconds // 3600:02}:{duration.seconds // 60 % 60:02}:{duration.seconds % 60:02}"
    return f"{duration.days}d {clock}" if duration.days else clock
