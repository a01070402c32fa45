"""One event, one durable run, in the real Lambda runtime: the local engine calls, the handler answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaRuntime
from inngest_serverless.local.timeline import draw, moment_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Moment, Run

ROOT = Path(__file__).resolve().parent.parent
SERVE_URL = "https://demo.lambda-url.eu-west-1.on.aws/api/inngest"
EVENT = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}


def main() -> int:
    """Run the demo; 0 if the run completed."""
    console = Console()
    with console.status("starting the Lambda runtime (RIE + awslambdaric)") as status:

        def watch(_run: Run, moment: Moment) -> None:
            status.update(moment_line(moment))

        def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
            return lambda_endpoint(runtime.invoke)(method, url, headers, body)

        engine = Engine(endpoint, watch=watch)
        with (
            LocalApi(engine) as api,
            LambdaRuntime("handlers.aws_http.handler", cwd=ROOT, env={"INNGEST_DEV": api.origin}) as runtime,
        ):
            synced = endpoint("PUT", SERVE_URL, {}, b"")
            console.print(f"synced {', '.join(engine.functions)} (HTTP {synced.status})")
            run = engine.execute(EVENT)
    console.print(draw(run))
    console.print(f"{run.status} after {run.calls} invocations: {run.output!r}")
    return 0 if run.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
