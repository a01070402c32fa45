"""Events: their data has their type, in a context and by itself."""

from __future__ import annotations

from typing import Any, assert_type

from shop import AccountCreated, Invoice, InvoiceSent, Note, NoteTaken, Signup

from inngest_serverless import AsyncContext, Context, Event, Trigger, cron_trigger, event_trigger


def of_a_model(ctx: Context[AccountCreated]) -> None:
    assert_type(ctx.event, AccountCreated)
    assert_type(ctx.event.data, Signup)
    assert_type(ctx.event.data.email, str)
    assert_type(ctx.events, list[AccountCreated])
    assert_type([event.data.email for event in ctx.events], list[str])
    assert_type(ctx.event.name, str)
    assert_type(ctx.event.id, str | None)
    assert_type(ctx.event.ts, int | None)
    assert_type(ctx.event.v, str | None)
    assert_type(ctx.event.user, dict[str, Any])


async def of_a_dataclass(ctx: AsyncContext[InvoiceSent]) -> None:
    assert_type(ctx.event.data, Invoice)
    assert_type(ctx.event.data.total, int)
    assert_type(ctx.events[0].data, Invoice)


def of_a_typed_dict(ctx: Context[NoteTaken]) -> None:
    assert_type(ctx.event.data, Note)
    assert_type(ctx.event.data["text"], str)


def of_several_types(ctx: Context[AccountCreated | InvoiceSent]) -> None:
    assert_type(ctx.event.data, Signup | Invoice)
    if isinstance(ctx.event, AccountCreated):
        assert_type(ctx.event.data.account_id, str)
    else:
        assert_type(ctx.event.data.total, int)


def untyped(ctx: Context) -> None:
    assert_type(ctx.event, Event[dict[str, Any]])
    assert_type(ctx.event.data, dict[str, Any])
    assert_type(ctx.events, list[Event[dict[str, Any]]])


async def untyped_async(ctx: AsyncContext) -> None:
    assert_type(ctx.event.data, dict[str, Any])


def about_the_run(ctx: Context[AccountCreated]) -> None:
    assert_type(ctx.run_id, str)
    assert_type(ctx.attempt, int)
    assert_type(ctx.max_attempts, int | None)
    assert_type(ctx.function_id, str)
    assert_type(ctx.env, str)
    ctx.logger.info("at %s", ctx.run_id)


made = AccountCreated(data=Signup(account_id="a", email="b"), id="i", ts=5, user={"email": "b"}, v="1")
assert_type(made.data, Signup)
assert_type(made.to_dict(), dict[str, Any])
assert_type(made.to_event(), Event[dict[str, Any]])
assert_type(made.to_event().data, dict[str, Any])
assert_type(AccountCreated.from_dict({"name": "x", "data": {"account_id": "a", "email": "b"}}), AccountCreated)
assert_type(AccountCreated.event_name, str)
assert_type(Event("x", {"a": 1}).data, dict[str, int])
assert_type(Event[dict[str, Any]]("x").data, dict[str, Any])
made.validate()

assert_type(event_trigger(AccountCreated, "event.data.email != ''"), Trigger)
assert_type(event_trigger("api/account.created", expression="true"), Trigger)
assert_type(cron_trigger("0 12 * * *", jitter="5m"), Trigger)
