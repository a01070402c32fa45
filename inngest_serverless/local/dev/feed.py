"""What the dev server prints: where it is, what it serves, and what happens, line by line."""

from __future__ import annotations

import json
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from rich.text import Text

from inngest_serverless.local.timeline import moment_line, moment_style
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

    from inngest_serverless.local.runs import Moment, Registered, Run

__all__ = ["Feed", "JsonFeed", "TextFeed"]

_LABEL_WIDTH = 13


class Feed(Protocol):
    """Takes what there is to tell, from any thread."""

    def ready(self, addresses: Mapping[str, str]) -> None:
        """Where the server is, by what is there."""

    def functions(self, functions: Iterable[Registered]) -> None:
        """What the app has registered."""

    def moment(self, run: Run, moment: Moment) -> None:
        """What happened in a run."""

    def note(self, text: str) -> None:
        """What is good to know."""

    def problem(self, text: str) -> None:
        """What went wrong."""


class TextFeed:
    """For people.

    Args:
        console: Where it goes.
        quiet: Whether to leave out what happens in runs, and notes.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._lines = _Lines(console)
        self._quiet = quiet

    def ready(self, addresses: Mapping[str, str]) -> None:
        """Print the addresses."""
        self._print(Text.assemble(("inngest-serverless dev", "bold"), f" {__version__}, for development only"))
        for name, address in addresses.items():
            self._labelled(name, Text(address, "cyan"))

    def functions(self, functions: Iterable[Registered]) -> None:
        """Print the functions, one a line."""
        label = "functions"
        for function in functions:
            triggers = ", ".join(str(each.get("event") or f"cron {each.get('cron')}") for each in function.triggers)
            self._labelled(label, Text.assemble(function.id, (f"  {triggers}", "dim")))
            label = ""

    def moment(self, run: Run, moment: Moment) -> None:
        """Print a line."""
        if not self._quiet:
            line = Text(moment_line(moment), moment_style(moment))
            self._line(f"{run.function.id} {run.id[-6:]}", line, moment.at_ms / 1000)

    def note(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._line("dev", Text(text, "dim"))

    def problem(self, text: str) -> None:
        """Print a line."""
        self._line("dev", Text(text, "bold red"))

    def _labelled(self, label: str, text: Text) -> None:
        self._print(Text(f"  {label:<{_LABEL_WIDTH}}").append(text))

    def _line(self, subject: str, text: Text, at: float | None = None) -> None:
        instant = datetime.now().astimezone() if at is None else datetime.fromtimestamp(at).astimezone()
        head = Text.assemble((f"{instant:%H:%M:%S} ", "dim"), (f"{subject}  ", "cyan"))
        self._print(head.append(Text(" ").join(text.split())))

    def _print(self, text: Text) -> None:
        self._lines.write(lambda console: console.print(text, soft_wrap=True))


class JsonFeed:
    """For programs: one JSON document a line.

    Args:
        console: Where it goes.
    """

    def __init__(self, console: Console) -> None:
        self._lines = _Lines(console)

    def ready(self, addresses: Mapping[str, str]) -> None:
        """Print ``{"kind": "ready"}`` with the addresses."""
        named = {name.replace(" ", "_").lower(): address for name, address in addresses.items()}
        self._print("ready", version=__version__, **named)

    def functions(self, functions: Iterable[Registered]) -> None:
        """Print ``{"kind": "functions"}``."""
        listed = [{"id": each.id, "name": each.name, "triggers": list(each.triggers)} for each in functions]
        self._print("functions", functions=listed)

    def moment(self, run: Run, moment: Moment) -> None:
        """Print ``{"kind": "moment"}``."""
        self._print(
            "moment",
            function_id=run.function.id,
            run_id=run.id,
            what=moment.kind,
            step=moment.step,
            attempt=moment.attempt,
            detail=moment.detail,
            at_ms=moment.at_ms,
        )

    def note(self, text: str) -> None:
        """Print ``{"kind": "note"}``."""
        self._print("note", text=text)

    def problem(self, text: str) -> None:
        """Print ``{"kind": "problem"}``."""
        self._print("problem", text=text)

    def _print(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, **fields})
        self._lines.write(lambda console: console.out(line, highlight=False))


class _Lines:
    """Writes lines from any thread, whole, and for as long as somebody reads them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = Lock()

    def write(self, line: Callable[[Console], None]) -> None:
        with self._lock:
            try:
                line(self._console)
            except (BrokenPipeError, SystemExit):  # rich would end the program, of which this may be any thread
                self._console.quiet = True
