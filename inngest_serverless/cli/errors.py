"""How a command ends: exit codes, and the one line that an error becomes."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb
from typing import NoReturn

import click

from inngest_serverless.errors import ConfigurationError, EventValidationError, InngestError, TransportError

__all__ = [
    "EXIT_CODES",
    "FAILED",
    "FAULT",
    "INTERRUPTED",
    "OK",
    "UNREACHABLE",
    "USAGE",
    "CommandError",
    "fail",
    "printable",
    "report",
]

OK, FAILED, USAGE, UNREACHABLE, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_CODES = {
    OK: "done; all is well",
    FAILED: "what was asked about failed: problems were found, Inngest refused, a run failed",
    USAGE: "the command or the settings are wrong: an unknown option, a target that cannot be loaded, no key",
    UNREACHABLE: "somebody who is needed was not reached: no reply, no connection, TLS",
    FAULT: "a fault of this command's own",
    INTERRUPTED: "interrupted by Ctrl-C",
}


# What a terminal takes for an order: by the reply of an app or the name of an event anybody could give it some.
_ORDERS = {code: "?" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


class CommandError(InngestError):
    """Ends a command.

    Args:
        message: One line: what happened, and what to do.
        exit_code: One of ``EXIT_CODES``.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def fail(message: str, exit_code: int = FAILED) -> NoReturn:
    """End the command with an error."""
    raise CommandError(message, exit_code)


def report(error: Exception) -> tuple[str, int]:
    """The line to print for an error, and the exit code."""
    if isinstance(error, click.UsageError):
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return _line(error.format_message()) + where, USAGE
    if isinstance(error, click.ClickException):
        return _line(error.format_message()), USAGE
    return _line(str(error)) if isinstance(error, InngestError) else _fault(error), _exit_code(error)


def _exit_code(error: Exception) -> int:
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, ConfigurationError | EventValidationError):
        return USAGE
    if isinstance(error, TransportError) or isinstance(error.__cause__, TransportError):
        return UNREACHABLE
    return FAILED if isinstance(error, InngestError) else FAULT


def _fault(error: Exception) -> str:
    places = [f"{Path(frame.filename).name}, line {frame.lineno}" for frame in extract_tb(error.__traceback__)]
    return _line(f"unexpected {type(error).__name__}: {error} ({places[-1] if places else 'nowhere'})")


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """A text that others may have written, without what is more to a terminal than text."""
    return text.translate(_ORDERS)
