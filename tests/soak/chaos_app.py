"""A function whose event says what it does, in a process whose clock can be moved from outside."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

# Before anything else asks what time it is.
_real, _offset = time.time, Path(os.environ["CHAOS_CLOCK"])


def _moved() -> float:
    try:
        return _real() + float(_offset.read_text() or 0)
    except (OSError, ValueError):
        return _real()


time.time = _moved

from inngest_serverless import StepError, create_function, event_trigger, inngest_gcf, inngest_lambda  # noqa: E402

_LOG = Path(os.environ["CHAOS_LOG"])


def work(run_id: str, step_id: str) -> str:
    """A side effect that can be counted."""
    with _LOG.open("a") as log:
        log.write(f"{run_id} {step_id}\n")
    return step_id.upper()


@create_function(id="sync", trigger=event_trigger("chaos/sync"), retries=20)
def sync(ctx):
    results = []
    for kind, name in ctx.event.data["plan"]:
        if kind == "step":
            results.append(ctx.step.run(name, work, ctx.run_id, name))
        elif kind == "nap":
            ctx.step.sleep(name, "100ms")
        elif kind == "fan":
            branches = [lambda step=f"{name}-{n}": ctx.step.run(step, work, ctx.run_id, step) for n in range(3)]
            results += ctx.group.parallel(branches)
        else:
            try:
                ctx.step.invoke(name, function=doomed, data={"step": name})
            except StepError as error:
                results.append(f"caught {error.message}")
    return results


@create_function(id="async", trigger=event_trigger("chaos/async"), retries=20)
async def coroutine(ctx):
    results = []
    for kind, name in ctx.event.data["plan"]:
        if kind == "step":
            results.append(await ctx.step.run(name, work, ctx.run_id, name))
        elif kind == "nap":
            await ctx.step.sleep(name, "100ms")
        elif kind == "fan":
            steps = [ctx.step.run(f"{name}-{n}", work, ctx.run_id, f"{name}-{n}") for n in range(3)]
            results += await asyncio.gather(*steps)
        else:
            try:
                await ctx.step.invoke(name, function=doomed, data={"step": name})
            except StepError as error:
                results.append(f"caught {error.message}")
    return results


@create_function(id="doomed", trigger=event_trigger("chaos/doomed"), retries=20)
def doomed(ctx):
    from inngest_serverless import NonRetriableError

    raise NonRetriableError(ctx.event.data["step"])


FUNCTIONS = [sync, coroutine, doomed]
handler = inngest_lambda(FUNCTIONS, app_id="chaos") if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None
serve = inngest_gcf(FUNCTIONS, app_id="chaos") if "K_SERVICE" in os.environ else None
