"""What commands print: text for people, JSON for programs, and progress where somebody watches."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from inngest_serverless.cli.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table

__all__ = ["console", "counted", "json_option", "print_json", "print_table", "progress"]

# Wide enough that nothing is cut off or wrapped where a program or a file takes the text.
_UNLIMITED = 10_000
# What json leaves as it is, and a terminal would take for an order.
_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}

json_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead: nothing else is written to stdout."
)


class _Console(Console):
    """Its own orders reach the terminal, and none that are in the text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def console() -> Console:
    """Where text goes. Colours are off if it is no terminal, or if NO_COLOR is set."""
    out = _Console(highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = _UNLIMITED
    return out


def counted(count: int | None, noun: str) -> str:
    """A number of things in words: ``1 function``, ``2 functions``."""
    return f"{count} {noun}{'s'[: count != 1]}"


def print_json(document: Any) -> None:
    """Print a document for programs."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(document, indent=2, ensure_ascii=not is_unicode).translate(_ESCAPED))


def print_table(out: Console, table: Table) -> None:
    """Print a table, without the blanks that fill up its last column where they would only be in the way."""
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        out.print(line.rstrip())


def progress(text: str) -> AbstractContextManager[Any]:
    """A spinner on stderr while something takes its time; nothing where stderr is no terminal."""
    err = _Console(stderr=True, highlight=False, markup=False, emoji=False)
    return err.status(text) if err.is_terminal else nullcontext()
