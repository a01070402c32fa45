"""``inngest-serverless dev``: a dev server, and the app that it calls. See ``local.dev``."""

from __future__ import annotations

import os
import signal
from _thread import start_new_thread
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inngest_serverless.cli.errors import OK
from inngest_serverless.cli.exchanges import checked_url
from inngest_serverless.cli.output import console
from inngest_serverless.cli.targets import target_argument
from inngest_serverless.local.dev.feed import JsonFeed, TextFeed
from inngest_serverless.local.dev.generation import RUNTIMES, Setup
from inngest_serverless.local.dev.official import DEFAULT_PORT
from inngest_serverless.local.dev.server import DevServer, Where
from inngest_serverless.local.gateway import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["command"]

_ENGINES = ("local", "inngest")
_PORT = click.IntRange(0, 65535)


@click.command("dev", short_help="Serve an app on this machine, with a dev server and its UI.")
@target_argument(required=False)
@click.option("--url", metavar="URL", help="An app that is running already, instead of TARGET: any SDK's.")
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Where to listen; 127.0.0.1 by default.")
@click.option(
    "--port",
    type=_PORT,
    default=DEFAULT_PORT,
    metavar="PORT",
    help=f"Of the API and the page; {DEFAULT_PORT} by default.",
)
@click.option("--gateway-port", type=_PORT, metavar="PORT", help="Of the app; 3000 by default, or a free one.")
@click.option("--engine", type=click.Choice(_ENGINES), default="local", help="Who calls the app; inngest: through npx.")
@click.option("--trigger", type=click.Choice(TRIGGERS), help="Lambda: what stands before it; function-url by default.")
@click.option("--stage", metavar="NAME", help="Lambda: the stage of the API; prod for a REST API by default.")
@click.option("--runtime", type=click.Choice(RUNTIMES), help="Lambda: where it runs; process by default.")
@click.option(
    "--environments",
    type=click.IntRange(min=1),
    default=10,
    metavar="NUMBER",
    help="Lambda: how many calls run at once; 10 by default.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 3600),
    metavar="SECONDS",
    help="The function's timeout; by default 60 for Lambda, 300 for Cloud Functions.",
)
@click.option(
    "--retry-interval",
    type=click.IntRange(1, 86400),
    metavar="SECONDS",
    help="How long to wait before each further try; by default as Inngest does.",
)
@click.option(
    "--watch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Another folder whose changes start the app anew; several are possible.",
)
@click.option("--no-reload", is_flag=True, help="Do not start the app anew when its files change.")
@click.option("--quiet", "-q", is_flag=True, help="Print no line for what happens in runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead: one document a line.")
def command(target: str | None, url: str | None, **options: Any) -> int:
    """Serve an app on this machine: a dev server, a page that shows its runs, and the app itself.

    For development only: nobody is asked who they are.

    TARGET is a Lambda handler or a Cloud Function, found from the current folder: module:attribute, or
    module.attribute as in Lambda's setting. It runs in processes of its own, and is started anew when a file in the
    folder changes. Functions without a handler are served as on Lambda.

    A Lambda handler is reached through a gateway that turns each HTTP request into the event of --trigger, within the
    trigger's limits of time and size.

    What the app itself prints goes to stderr. Ctrl-C ends everything.
    """
    if (target is None) == (url is None):
        raise click.UsageError("give one of the two: a TARGET, or --url URL")
    feed = JsonFeed(console()) if options["as_json"] else TextFeed(console(), quiet=options["quiet"])
    where = Where(options["host"], options["port"], options["gateway_port"])
    official = options["engine"] == "inngest"
    if official and where.port == 0:
        raise click.BadParameter("--engine inngest needs to be told a port", param_hint="--port")
    server = DevServer(where, feed, environ=os.environ, retry_seconds=options["retry_interval"], official=official)
    with _stopped_by_signals(server.stop):
        if url is not None:
            _check_url_options(options)
            server.run_url(checked_url(url))
        elif target is not None:
            cwd = Path.cwd()
            watched = None if options["no_reload"] else [cwd, *options["watch"]]
            server.run_target(_setup(target, cwd, options), watched)
    return OK


def _setup(target: str, cwd: Path, options: dict[str, Any]) -> Setup:
    names = ("trigger", "stage", "runtime", "environments")
    return Setup(target, cwd, {}, timeout_seconds=options["timeout"], **{name: options[name] for name in names})


# What is about how a target is served, with what it is if it is not given.
_FOR_TARGETS = {
    "gateway_port": None,
    "trigger": None,
    "stage": None,
    "runtime": None,
    "environments": 10,
    "timeout": None,
    "watch": (),
    "no_reload": False,
}


def _check_url_options(options: dict[str, Any]) -> None:
    for name, usual in _FOR_TARGETS.items():
        if options[name] != usual:
            raise click.UsageError(f"--{name.replace('_', '-')} is for a TARGET: leave it out with --url")


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Signals end the server, which ends everything that it has started, and then the command."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def hear(*_: object) -> None:
        # In a thread of its own: the one that is interrupted may hold the lock that stopping takes.
        start_new_thread(stop, ())

    before = {name: signal.signal(getattr(signal, name), hear) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
