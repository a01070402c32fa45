"""Functions of every kind, for long runs of calls: on Lambda ``soak_app.handler``, on Cloud Functions ``soak_app.serve``."""

from __future__ import annotations

import asyncio
import os

from pydantic import BaseModel

from inngest_serverless import (
    Context,
    Event,
    NonRetriableError,
    create_function,
    event_trigger,
    inngest_gcf,
    inngest_lambda,
)


class Item(BaseModel):
    """Typed data."""

    number: int


class Typed(Event[Item], name="soak/typed"):
    """A typed event."""


@create_function(id="sync", trigger=event_trigger("soak/sync"))
def sync(ctx):
    return ctx.step.run("double", lambda: 2 * ctx.event.data["number"])


@create_function(id="async", trigger=event_trigger("soak/async"))
async def coroutine(ctx):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    return await asyncio.gather(*[ctx.step.run(f"double-{n}", double, ctx.event.data["number"]) for n in range(5)])


@create_function(id="typed", trigger=event_trigger(Typed))
def typed(ctx: Context[Typed]) -> Item:
    return ctx.step.run("next", following, ctx.event.data)


def following(item: Item) -> Item:
    return Item(number=item.number + 1)


@create_function(id="raises", trigger=event_trigger("soak/raises"))
def raises(ctx):
    raise RuntimeError(f"number {ctx.event.data['number']}")


@create_function(id="gives-up", trigger=event_trigger("soak/gives-up"))
async def gives_up(ctx):
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        group.create_task(refuse(ctx.event.data["number"]))


async def refuse(number):
    await asyncio.sleep(0)
    raise NonRetriableError(f"number {number}")


FUNCTIONS = [sync, coroutine, typed, raises, gives_up]
handler = inngest_lambda(FUNCTIONS, app_id="soak") if "AWS_LAMBDA_FUNCTION_NAME" in os.environ else None
serve = inngest_gcf(FUNCTIONS, app_id="soak") if "K_SERVICE" in os.environ else None
