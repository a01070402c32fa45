"""``inngest-serverless run``: one event, and the runs that it starts, to their end, in this process."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inngest_serverless.cli.errors import FAILED, INTERRUPTED, OK, USAGE, fail
from inngest_serverless.cli.output import console, counted, json_option, print_json, print_table, progress
from inngest_serverless.cli.send import read_document
from inngest_serverless.cli.targets import calling, target_argument
from inngest_serverless.failures import FAILED_EVENT
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.dev.outbound import Outbound
from inngest_serverless.local.dev.server import APP_PATH, app_environment
from inngest_serverless.local.dev.syncing import sync
from inngest_serverless.local.engine import Engine, EngineError
from inngest_serverless.local.gateway import TRIGGERS
from inngest_serverless.local.live import LiveEngine
from inngest_serverless.local.places import reason
from inngest_serverless.local.targets import load
from inngest_serverless.local.timeline import draw, moment_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Moment, Run

__all__ = ["command"]

# Where the app seems to be: a name that no host can have (RFC 6761).
_ORIGIN = "https://app.invalid"
_POLL_SECONDS = 0.01


@click.command("run", short_help="Run a function once, to its end, on this machine.")
@target_argument()
@click.option("--event", "name", required=True, metavar="NAME", help="The name of the event.")
@click.option("--data", metavar="JSON|@FILE|-", help="The event's data: a JSON object, a file of it, or - for stdin.")
@click.option("--user", metavar="JSON|@FILE|-", help="The event's user, in the same way.")
@click.option("--id", "event_id", metavar="ID", help="The event's ID; a new one by default.")
@click.option(
    "--trigger",
    type=click.Choice(TRIGGERS),
    default="function-url",
    help="How a Lambda handler is called; function-url by default.",
)
@click.option("--real-time", is_flag=True, help="Wait as long as the functions ask for.")
@json_option
def command(
    target: str,
    name: str,
    data: str | None,
    user: str | None,
    event_id: str | None,
    trigger: str,
    real_time: bool,
    as_json: bool,
) -> int:
    """Send one event to TARGET, and follow the runs that it starts to their end.

    Everything happens in this process, for development only. Time jumps: a function that sleeps for a week is done in
    milliseconds, and so are waits and the time until the next try. What steps do takes as long as it takes.

    The exit code is 0 if all runs completed, 1 if one failed or was cancelled, 2 if the event starts none. What the app
    prints goes to stderr.
    """
    if data == user == "-":
        raise click.UsageError("stdin can be read once only: give --data or --user in another way")
    given = {"id": event_id, "data": read_document("--data", data), "user": read_document("--user", user)}
    event = {"name": name} | {key: value for key, value in given.items() if value is not None}
    # What the app prints is none of the command's output.
    with redirect_stdout(sys.stderr), progress(f"running {name}") as status, ExitStack() as stack:

        def watch(run: Run, moment: Moment) -> None:
            if status is not None:
                status.update(f"{run.function.name}: {moment_line(moment)}")

        engine = _engine(target, trigger, watch, stack, real_time=real_time)
        runs, problem = _wait(engine, event) if isinstance(engine, LiveEngine) else _jump(engine, event)
    if not runs:
        fail(problem, USAGE)
    is_ok = not problem and all(run.status == "completed" for run in runs)
    if as_json:
        print_json({"ok": is_ok, "runs": [_told(run) for run in runs]})
    else:
        _print(runs)
    if problem:
        fail(problem)
    return OK if is_ok else FAILED


def _engine(
    target: str, trigger: str, watch: Callable[[Run, Moment], None], stack: ExitStack, *, real_time: bool
) -> Engine | LiveEngine:
    """An engine with the target's functions, and with an API for them."""
    app: Any = None  # it is made when the API is there: a handler reads its settings then

    def reach(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        reply: HttpReply = app(method, url, headers, body)
        return reply

    outbound = stack.enter_context(Outbound())
    kind = LiveEngine if real_time else Engine
    engine = kind(reach, watch=watch, fetch=outbound.send)
    api = stack.enter_context(LocalApi(engine))
    env = app_environment(os.environ, api.origin, _ORIGIN)
    os.environ.clear()
    os.environ.update(env)
    app = calling(load(target, cwd=Path.cwd(), trigger=trigger).endpoint, target)
    path = os.environ.get("INNGEST_SERVE_PATH") or APP_PATH
    sync(reach, f"{_ORIGIN}/{path.lstrip('/')}", target)
    if isinstance(engine, LiveEngine):
        stack.enter_context(engine)
    return engine


def _jump(engine: Engine, event: dict[str, Any]) -> tuple[list[Run], str]:
    """The runs that an event starts, ended; and what is wrong if they cannot go on."""
    try:
        first = engine.execute(event)
        while active := [run for run in _started(engine, first.events[0]["id"]) if run.is_active]:
            engine.finish(active[0])
    except EngineError as error:
        return engine.runs, str(error)
    return _started(engine, first.events[0]["id"]), ""


def _wait(engine: LiveEngine, event: dict[str, Any]) -> tuple[list[Run], str]:
    """The same, in real time."""
    # What is sent is dealt with in order: when the second event is there, it is known what the first one starts.
    event_id, last = engine.post([event, {"name": "inngest-serverless/sent"}])
    events = engine.history.events
    try:
        while last not in events:
            time.sleep(_POLL_SECONDS)
        if not events[event_id].outcomes:
            return [], f"event {event['name']!r} starts no function: {engine.why_unclaimed(event)}"
        while not (runs := _started(engine, event_id)) or any(run.is_active for run in runs):
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        # A step that is under way is not waited for.
        click.echo("interrupted", err=True)
        os._exit(INTERRUPTED)
    return runs, ""


def _started(engine: Engine | LiveEngine, event_id: str) -> list[Run]:
    """The runs that an event has started, and those of failure handlers."""
    return [run for run in engine.runs if any(_is_about(event, event_id) for event in run.events)]


def _is_about(event: dict[str, Any], event_id: str) -> bool:
    return bool(event["id"] == event_id or event["name"] == FAILED_EVENT)


def _print(runs: list[Run]) -> None:
    out = console()
    for run in runs:
        if run.timeline:
            print_table(out, draw(run))
        result = repr(run.output) if run.error is None else reason(run.error)
        out.print(f"{run.status} after {counted(run.calls, 'invocation')}: {result}")


def _told(run: Run) -> dict[str, Any]:
    start_ms = run.timeline[0].at_ms if run.timeline else 0
    return {
        "id": run.id,
        "function_id": run.function.id,
        "event_ids": [event["id"] for event in run.events],
        "status": run.status,
        "output": run.output,
        "error": run.error,
        "invocations": run.calls,
        "timeline": [
            {
                "after_ms": moment.at_ms - start_ms,
                "what": moment.kind,
                "step": moment.step,
                "attempt": moment.attempt,
                "detail": moment.detail,
            }
            for moment in run.timeline
        ],
    }
