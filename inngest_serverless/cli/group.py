"""The commands, by name; the module of a command is imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from inngest_serverless.cli.errors import EXIT_CODES, INTERRUPTED, report
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "group"]

COMMANDS = {
    "new": "Create the folder of a new project.",
    "dev": "Serve an app on this machine, with a dev server and its UI.",
    "run": "Run a function once, to its end, on this machine.",
    "functions": "List what an app registers.",
    "send": "Send an event.",
    "sync": "Register an app with Inngest.",
    "doctor": "Look for what is wrong with the settings, an app, or its deployment.",
}
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())


class LazyGroup(click.Group):
    """Commands that are loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, loaded; None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"inngest_serverless.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(  # type: ignore[override]  # it ends in an exit, whichever mode of click is asked for
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command and exit: an error becomes one line on stderr."""
        extra["standalone_mode"] = False
        try:
            # What a command returns is its exit code; click gives None where it printed a help text.
            sys.exit(super().main(args, prog_name, **extra) or 0)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - a traceback helps nobody at a command line
            line, code = report(error)
            click.echo(f"{prog_name or 'inngest-serverless'}: {line}", err=True)
            sys.exit(code)


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="inngest-serverless", message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context) -> None:
    """Durable Inngest functions on AWS Lambda and Google Cloud Functions."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
