"""The shop's durable functions."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from inngest_serverless import AsyncContext, Context, Event, StepError, create_function, cron_trigger, event_trigger
from shop.warehouse import Receipt, charge, pack, write_to


class Order(BaseModel):
    """What a customer wants."""

    id: str
    email: str
    cents: int
    items: list[str]


class OrderPlaced(Event[Order], name="shop/order.placed"):
    """A customer has ordered."""


class Shipped(Event[dict[str, str]], name="shop/order.shipped"):
    """A parcel is on its way."""


def apologize(ctx: Context[OrderPlaced]) -> None:
    """Tell a customer that the order has failed."""
    failure = ctx.failure
    assert failure is not None
    ctx.step.run("apologize", write_to, failure.event.data.email, f"sorry: {failure.error.message}")


@create_function(id="fulfil", trigger=event_trigger(OrderPlaced), retries=3, on_failure=apologize)
def fulfil(ctx: Context[OrderPlaced]) -> Receipt:
    """From the order to the parcel; a week later the customer is asked for a review."""
    order = ctx.event.data
    receipt = ctx.step.run("charge", charge, order.id, order.cents)
    parcel = ctx.step.invoke("pack", function=pack_all, data={"items": order.items})
    ctx.step.send_event("tell", Shipped(data={"order": order.id, "parcel": ", ".join(parcel)}))
    ctx.step.sleep("let-it-arrive", "7d")
    review = ctx.step.wait_for_event(
        "wait-for-review", event="shop/review.written", timeout="14d", if_exp="async.data.order == event.data.id"
    )
    if review is None:
        ctx.step.run("ask", write_to, order.email, "how was it?")
    return receipt


@create_function(id="pack-all", trigger=event_trigger("shop/pack.asked"))
async def pack_all(ctx: AsyncContext) -> list[str]:
    """All items, at the same time."""
    items = ctx.event.data["items"]
    return list(await asyncio.gather(*[ctx.step.run(f"pack-{item}", pack, item) for item in items]))


@create_function(id="quote", trigger=event_trigger("shop/quote.asked"))
def quote(ctx: Context) -> str:
    """A price from somewhere else, or none."""
    try:
        return ctx.step.fetch("ask-for-price", "https://prices.example.com/today").json()["price"]
    except StepError as error:
        return f"no price today: {error.message}"


@create_function(id="count-stock", trigger=cron_trigger("0 4 * * *"))
def count_stock(ctx: Context) -> int:
    """Every night."""
    return ctx.step.run("count", lambda: 42)


@create_function(id="badly-made", trigger=event_trigger("shop/quote.asked"))
def badly_made(ctx: Context) -> None:
    """Goes through a set, which has another order in every process."""
    for name in {"ada", "bob", "cy", "dee", "eve"}:  # noqa: PLC0208 - what a test is to find
        ctx.step.run(f"write-to-{name}", write_to, name, "hello")
