"""Declarations: what they give, what they take, and failure handlers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from shop import AccountCreated, InvoiceSent, Receipt

from inngest_serverless import (
    AsyncContext,
    Batch,
    Cancel,
    Concurrency,
    Context,
    Debounce,
    Event,
    Function,
    NonRetriableError,
    Priority,
    RateLimit,
    RetryAfterError,
    RunFailure,
    Singleton,
    StepError,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)


@create_function(id="sync", trigger=event_trigger(AccountCreated))
def sync_function(ctx: Context[AccountCreated]) -> str:
    return ctx.event.data.email


@create_function(id="async", trigger=event_trigger(AccountCreated))
async def async_function(ctx: AsyncContext[AccountCreated]) -> Receipt:
    return Receipt(to=ctx.event.data.email)


@create_function(id="untyped", trigger=event_trigger("api/x"))
def untyped_function(ctx: Context) -> None:
    return None


@create_function(id="optional", trigger=cron_trigger("0 0 * * *"))
async def optional_function(ctx: AsyncContext) -> list[Receipt] | None:
    return None


assert_type(sync_function, Function[str])
assert_type(async_function, Function[Receipt])
assert_type(untyped_function, Function[None])
assert_type(optional_function, Function[list[Receipt] | None])
assert_type(sync_function.id, str)
assert_type(sync_function.name, str)
assert_type(sync_function.is_async, bool)


def on_failure(ctx: Context) -> None:
    failure = ctx.failure
    assert_type(failure, RunFailure | None)
    if failure is not None:
        assert_type(failure.error, StepError)
        assert_type(failure.error.message, str)
        assert_type(failure.run_id, str)
        assert_type(failure.function_id, str)
        if isinstance(failure.event, AccountCreated):
            assert_type(failure.event.data.email, str)


async def on_failure_async(ctx: AsyncContext) -> None:
    assert_type(ctx.failure, RunFailure | None)
    await ctx.step.run("tell", print, "failed")


@create_function(id="once", trigger=event_trigger("once"), idempotency="event.data.id")
def once(ctx: Context) -> None:
    """Not with a rate limit."""


@create_function(
    id="everything",
    name="Everything",
    trigger=[event_trigger(AccountCreated), event_trigger(InvoiceSent, "true"), cron_trigger("0 12 * * 5", jitter=5)],
    retries=20,
    concurrency=[Concurrency(1, "event.data.id", "fn"), Concurrency(limit=2, key="'all'", scope="account")],
    throttle=Throttle(1, "1m", burst=2, key="event.data.id"),
    rate_limit=RateLimit(limit=1, period=timedelta(hours=1), key="event.data.id"),
    debounce=Debounce("1m", key="event.data.id", timeout=60_000),
    priority=Priority("120"),
    cancel=[Cancel("x", if_exp="event.data.id == async.data.id", timeout="1h"), Cancel(event="y")],
    singleton=Singleton("cancel", key="event.data.id"),
    timeouts=Timeouts(start="1h", finish=timedelta(hours=2)),
    on_failure=on_failure,
)
def everything(ctx: Context[AccountCreated | InvoiceSent]) -> dict[str, Any]:
    if ctx.attempt:
        raise RetryAfterError("later", timedelta(minutes=5))
    raise NonRetriableError("never")


@create_function(
    name="Shorter",
    trigger=(event_trigger("x"),),
    concurrency=5,
    cancel=Cancel("x"),
    singleton=Singleton(mode="skip"),
    timeouts=Timeouts(finish=1000),
    on_failure=on_failure_async,
)
async def shorter(ctx: AsyncContext) -> int:
    return 1


@create_function(
    id="batched",
    trigger=event_trigger("x"),
    concurrency=Concurrency(1),
    batch_events=Batch(10, "5s", key="event.data.id", if_exp="true"),
)
def batched(ctx: Context) -> list[Event[dict[str, Any]]]:
    return ctx.events


assert_type(everything, Function[dict[str, Any]])
assert_type(shorter, Function[int])
functions: list[Function[Any]] = [sync_function, async_function, everything, shorter, batched]
handler = inngest_lambda(functions, app_id="core")
second = inngest_lambda([sync_function, async_function, untyped_function], app_id="core")


def call(event: Any) -> dict[str, Any]:
    return handler(event, None)
