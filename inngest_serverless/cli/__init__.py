"""The command line, ``inngest-serverless``.

Each command is a module of its own with a click command named ``command``; ``group`` lists them, and loads one when it
is called, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line: the console script's entry."""
    try:
        import click  # noqa: F401 - to see whether they are installed
        import rich  # noqa: F401
    except ImportError:
        print("inngest-serverless: click and rich are needed: pip install 'inngest-serverless[dev]'", file=sys.stderr)  # noqa: T201 - what prints elsewhere needs them
        sys.exit(2)
    from inngest_serverless.cli.group import group

    group.main(prog_name="inngest-serverless")
