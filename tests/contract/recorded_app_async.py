"""The same app as ``recorded_app``, in async code: each step is awaited, and bodies are coroutine functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from recorded_app import (
    APP_ID,
    TWO_EVENTS,
    blob,
    flaky,
    in_two_seconds,
    notice,
    recorded,
    refuse,
    registered_only,
    second_value,
)

from inngest_serverless import NonRetriableError, RetryAfterError, StepError, inngest_lambda

if TYPE_CHECKING:
    from inngest_serverless import AsyncContext


async def later(value: object) -> object:
    """A body that has to wait for something."""
    await asyncio.sleep(0)
    return value


async def divide_by_zero() -> float:
    await asyncio.sleep(0)
    return 1 / 0


@recorded("no-steps")
async def no_steps(ctx: AsyncContext) -> object:
    return {"hello": ctx.event.data["name"]}


@recorded("sequential")
async def sequential(ctx: AsyncContext) -> object:
    first = await ctx.step.run("first", later, "A")
    return [first, await ctx.step.run("second", second_value, first)]


@recorded("sleep")
async def sleep(ctx: AsyncContext) -> str:
    await ctx.step.sleep("nap", "1s")
    await ctx.step.sleep_until("until", in_two_seconds())
    return "woke"


@recorded("wait-match")
async def wait_match(ctx: AsyncContext) -> object:
    found = await ctx.step.wait_for_event(
        "wait", event="t/wait-match.reply", timeout="30s", if_exp="event.data.id == async.data.id"
    )
    return found and found.data


@recorded("child")
async def child(ctx: AsyncContext) -> object:
    return {"child": await ctx.step.run("c", later, ctx.event.data)}


@recorded("invoke")
async def invoke(ctx: AsyncContext) -> object:
    return await ctx.step.invoke("call-child", function=child, data={"q": 1})


@recorded("send-event")
async def send_event(ctx: AsyncContext) -> object:
    return await ctx.step.send_event("send", TWO_EVENTS)


@recorded("parallel")
async def parallel(ctx: AsyncContext) -> int:
    numbers = await asyncio.gather(*[ctx.step.run(f"p{number}", later, number) for number in (1, 2, 3)])
    return await ctx.step.run("sum", sum, numbers)


@recorded("step-retry")
async def step_retry(ctx: AsyncContext) -> int:
    return await ctx.step.run("flaky", flaky, ctx.attempt)


@recorded("step-fails")
async def step_fails(ctx: AsyncContext) -> object:
    try:
        return await ctx.step.run("boom", divide_by_zero)
    except StepError as error:
        undone = await ctx.step.run("compensate", later, "undone")
        return {"caught": error.name, "message": error.message, "comp": undone}


@recorded("fn-retry")
async def fn_retry(ctx: AsyncContext) -> int:
    await ctx.step.run("s", later, 1)
    if ctx.attempt == 0:
        raise RetryAfterError("again", "1s")
    return ctx.attempt


@recorded("fn-non-retriable")
async def fn_non_retriable(ctx: AsyncContext) -> None:
    raise NonRetriableError("no")


@recorded("step-non-retriable")
async def step_non_retriable(ctx: AsyncContext) -> None:
    await ctx.step.run("nr", refuse)


async def after_failure(ctx: AsyncContext) -> object:
    return await ctx.step.run("notify", notice, ctx.failure)


@recorded("on-failure", on_failure=after_failure)
async def on_failure(ctx: AsyncContext) -> None:
    raise ValueError("main failed")


@recorded("batch")
async def batch(ctx: AsyncContext) -> object:
    return [event.data["i"] for event in ctx.events]


@recorded("cancelled")
async def cancelled(ctx: AsyncContext) -> None:
    await ctx.step.run("before", later, 1)
    await ctx.step.sleep("long", "60s")


@recorded("big-state")
async def big_state(ctx: AsyncContext) -> object:
    return [len(await ctx.step.run(f"blob-{number}", blob)) for number in range(4)]


@recorded("flow-control")
async def flow_control(ctx: AsyncContext) -> int:
    return 1


@recorded("debounced")
async def debounced(ctx: AsyncContext) -> object:
    return ctx.event.data


@recorded("rate-limited")
async def rate_limited(ctx: AsyncContext) -> object:
    return ctx.event.data


@recorded("wait-in-try")
async def wait_in_try(ctx: AsyncContext) -> object:
    return await ctx.step.run("none", later, None)


FUNCTIONS = [
    no_steps,
    sequential,
    sleep,
    wait_match,
    child,
    invoke,
    send_event,
    parallel,
    step_retry,
    step_fails,
    fn_retry,
    fn_non_retriable,
    step_non_retriable,
    on_failure,
    batch,
    cancelled,
    big_state,
    flow_control,
    debounced,
    rate_limited,
    wait_in_try,
    *registered_only(),
]

handler = inngest_lambda(FUNCTIONS, app_id=APP_ID)
