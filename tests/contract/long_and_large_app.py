"""Functions that take longer than their caller waits, and that return more than it takes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from inngest_serverless import create_function, event_trigger, inngest_lambda

if TYPE_CHECKING:
    from inngest_serverless import AsyncContext, Context


def _text(ctx: Context | AsyncContext) -> str:
    return ctx.event.data["character"] * ctx.event.data["count"]


@create_function(id="large-step", trigger=event_trigger("t/large"))
def large_step(ctx: Context) -> Any:
    return ctx.step.run("large", _text, ctx)


@create_function(id="large-step-async", trigger=event_trigger("t/large"))
async def large_step_async(ctx: AsyncContext) -> Any:
    return await ctx.step.run("large", _text, ctx)


@create_function(id="large-result", trigger=event_trigger("t/large"))
def large_result(ctx: Context) -> str:
    return _text(ctx)


@create_function(id="many-steps", trigger=event_trigger("t/large"))
def many_steps(ctx: Context) -> None:
    data = {"text": _text(ctx)}
    ctx.group.parallel(
        [lambda n=number: ctx.step.invoke_by_id(f"step-{n}", function_id="x", data=data) for number in range(40)]
    )


def _wait_in_turns() -> None:
    # In the operating system only threads that alarms ring in are ended.
    while True:
        time.sleep(0.01)


@create_function(id="long-step", trigger=event_trigger("t/long"))
def long_step(ctx: Context) -> None:
    ctx.step.run("long", _wait_in_turns)


@create_function(id="long-step-async", trigger=event_trigger("t/long"))
async def long_step_async(ctx: AsyncContext) -> None:
    await ctx.step.run("long", asyncio.sleep, 60)


@create_function(id="long-function", trigger=event_trigger("t/long"))
def long_function(_ctx: Context) -> None:
    _wait_in_turns()


@create_function(id="long-function-async", trigger=event_trigger("t/long"))
async def long_function_async(_ctx: AsyncContext) -> None:
    await asyncio.sleep(60)


FUNCTIONS = [
    large_step,
    large_step_async,
    large_result,
    many_steps,
    long_step,
    long_step_async,
    long_function,
    long_function_async,
]
handler = inngest_lambda(FUNCTIONS, app_id="rec")
