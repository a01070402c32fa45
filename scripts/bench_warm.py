"""Warm calls through the Lambda handler: how long one takes, and whether the cost is linear in memoized steps."""

from __future__ import annotations

import json
import statistics
import sys
import time
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from inngest_serverless import AsyncContext, Context, create_function, event_trigger, inngest_lambda

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = (0, 100, 1_000, 10_000)
ROUNDS = 5
SECONDS_A_ROUND = 0.3


@create_function(id="sync", trigger=event_trigger("bench/run"))
def sync_function(ctx: Context) -> int:
    """As many steps as the event says, then one more."""
    count: int = ctx.event.data["count"]
    for number in range(count):
        ctx.step.run(f"step-{number}", int)
    return ctx.step.run("new", int)


@create_function(id="async", trigger=event_trigger("bench/run"))
async def async_function(ctx: AsyncContext) -> int:
    """The same, awaited."""
    count: int = ctx.event.data["count"]
    for number in range(count):
        await ctx.step.run(f"step-{number}", int)
    return await ctx.step.run("new", int)


def lambda_event(function: str, count: int) -> dict[str, Any]:
    """A function URL event for a call with ``count`` memoized steps."""
    hashes = [sha1(f"step-{number}".encode(), usedforsecurity=False).hexdigest() for number in range(count)]
    event = {"name": "bench/run", "data": {"count": count}, "id": "e", "ts": 1}
    ctx = {"run_id": "R", "attempt": 0, "max_attempts": 4, "stack": {"stack": hashes, "current": count}}
    call = {"ctx": ctx, "event": event, "events": [event], "steps": {key: {"data": 1} for key in hashes}}
    return {
        "version": "2.0",
        "rawPath": "/api/inngest",
        "rawQueryString": f"fnId=bench-{function}&stepId=step",
        "headers": {"content-type": "application/json", "host": "example.on.aws"},
        "requestContext": {"http": {"method": "POST"}, "domainName": "example.on.aws", "stage": "$default"},
        "body": json.dumps(call, separators=(",", ":")),
    }


def best_median(call: Callable[[], Any]) -> float:
    """Microseconds: the median of the best round."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        times: list[float] = []
        end = time.perf_counter() + SECONDS_A_ROUND
        while time.perf_counter() < end:
            began = time.process_time_ns()
            call()
            times.append((time.process_time_ns() - began) / 1000)
        rounds.append(statistics.median(times))
    return min(rounds)


def main() -> int:
    """Measure and print."""
    handler = inngest_lambda([sync_function, async_function], app_id="bench", is_dev=True)
    results: list[dict[str, Any]] = []
    with Console(stderr=True).status("measuring") as status:
        for function in ("sync", "async"):
            for count in STEPS:
                status.update(f"measuring {function}, {count} memoized steps")
                event = lambda_event(function, count)
                reply = handler(event, None)
                if reply["statusCode"] != 206 or '"StepRun"' not in reply["body"]:  # noqa: PLR2004 - steps reported
                    raise SystemExit(f"bench: wrong answer: {reply}")
                micros = best_median(lambda event=event: handler(event, None))
                results.append({"function": function, "steps": count, "us": round(micros, 1)})
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(results, indent=1) + "\n")
        return 0
    table = Table("function", "memoized steps", "us a call", "us a step")
    for row in results:
        table.add_row(row["function"], str(row["steps"]), f"{row['us']:.1f}", f"{row['us'] / (row['steps'] + 1):.2f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
