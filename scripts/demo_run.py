"""One event, one durable run, in the real Lambda runtime: the local engine calls, the handler answers."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaRuntime
from inngest_serverless.local.timeline import draw, moment_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Moment, Run

ROOT = Path(__file__).resolve().parent.parent
MODULE, ATTRIBUTE = "handlers.aws_http", "handler"
SERVE_URL = "https://demo.lambda-url.eu-west-1.on.aws/api/inngest"
EVENT = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}
EMULATED = {"x86_64", "amd64", "aarch64", "arm64"}


class Stop:
    """Ends the demo on a signal, by an exception, but not amid a start or a stop, which would lose a process."""

    def __init__(self) -> None:
        self._number = 0
        self._is_held = False

    def __call__(self, number: int, _frame: object) -> None:
        """Take a signal; the first one counts."""
        self._number = self._number or number
        if not self._is_held:
            self.release()

    def hold(self) -> None:
        """Only take note of signals from now on."""
        self._is_held = True

    def release(self) -> None:
        """Act on them again, and on one that came meanwhile. Whoever stops is not stopped once more."""
        self._is_held = self._number != 0
        if self._number:
            sys.exit(128 + self._number)


def main(stop: Stop) -> int:
    """Run the demo; 0 if the run completed."""
    console = Console()
    with console.status("starting the Lambda runtime (RIE + awslambdaric)") as status, ExitStack() as stack:

        def watch(_run: Run, moment: Moment) -> None:
            status.update(moment_line(moment))

        def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
            return lambda_endpoint(invoke)(method, url, headers, body)

        engine = Engine(endpoint, watch=watch)
        stop.hold()
        api = stack.enter_context(LocalApi(engine))
        invoke = start(stack, api.origin, console)
        try:
            stop.release()
            synced = endpoint("PUT", SERVE_URL, {}, b"")
            console.print(f"synced {', '.join(engine.functions)} (HTTP {synced.status})")
            run = engine.execute(EVENT)
        finally:
            stop.hold()
    console.print(draw(run))
    console.print(f"{run.status} after {run.calls} invocations: {run.output!r}")
    return 0 if run.status == "completed" else 1


def start(stack: ExitStack, dev_server: str, console: Console) -> Callable[[Any], Any]:
    """Start the handler; returns what invokes it. The runtime's emulator is a Linux program."""
    if platform.system() == "Linux" and platform.machine().lower() in EMULATED:
        runtime = LambdaRuntime(f"{MODULE}.{ATTRIBUTE}", cwd=ROOT, env={"INNGEST_DEV": dev_server})
        return stack.enter_context(runtime).invoke
    console.print(
        f"no Lambda runtime emulator for {platform.system()} {platform.machine()}: the handler runs in this process"
    )
    os.environ["INNGEST_DEV"] = dev_server
    sys.path.insert(0, str(ROOT))
    handler = getattr(import_module(MODULE), ATTRIBUTE)
    # Lambda hands over JSON and takes JSON.
    return lambda event: json.loads(json.dumps(handler(json.loads(json.dumps(event)), None)))


if __name__ == "__main__":
    stopping = Stop()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stopping)
    sys.exit(main(stopping))
