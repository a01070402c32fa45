"""Functions that the test kit is tried on."""

from __future__ import annotations

from pydantic import BaseModel

from inngest_serverless import Event, create_function, event_trigger


class Order(BaseModel):
    id: str
    total: int


class OrderPlaced(Event[Order], name="shop/order.placed"):
    """A typed event."""


class Receipt(BaseModel):
    order: str
    total: int


def order(order_id="a-17", total=5):
    return OrderPlaced(data=Order(id=order_id, total=total))


def function(body, function_id="fn", **options):
    return create_function(**{"id": function_id, "trigger": event_trigger(OrderPlaced), **options})(body)


def steps(*ids, **options):
    """A function that runs steps one after the other, and gives the list of their results."""
    return function(
        lambda ctx: [ctx.step.run(step_id, lambda step_id=step_id: step_id.upper()) for step_id in ids], **options
    )
