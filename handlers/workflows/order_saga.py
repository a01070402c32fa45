"""Place an order across three services; when one of them refuses, undo what the others did, last first."""

from collections.abc import Callable  # noqa: TC003 - an example keeps its imports together

from pydantic import BaseModel

from inngest_serverless import Context, Event, NonRetriableError, StepError, create_function, event_trigger


class Order(BaseModel):
    """What was ordered."""

    order_id: str
    sku: str
    quantity: int
    cents: int


class OrderPlaced(Event[Order], name="shop/order.placed"):
    """A customer placed an order."""


class SoldOutError(NonRetriableError):
    """There is not enough in stock, and another try would not help."""


STOCK = {"book": 10}


def reserve_stock(order_id: str, sku: str, quantity: int) -> str:
    """Put goods aside; returns the reservation."""
    if STOCK.get(sku, 0) < quantity:
        raise SoldOutError(f"{sku} is sold out")
    return f"reservation-{order_id}"


def release_stock(reservation: str) -> None:
    """Put the goods back."""


def charge_card(order_id: str, cents: int) -> str:
    """Take the money. The order's ID is the payment provider's idempotency key: a second call charges nothing."""
    return f"charge-{order_id}-{cents}"


def refund(charge: str) -> None:
    """Give the money back."""


def book_courier(order_id: str) -> str:
    """Have the parcel fetched; returns the tracking number."""
    return f"parcel-{order_id}"


@create_function(id="order-saga", trigger=event_trigger(OrderPlaced), idempotency="event.data.order_id")
def place_order(ctx: Context[OrderPlaced]) -> str:
    """Reserve, charge, ship; or undo."""
    order = ctx.event.data
    undo: list[tuple[str, Callable[[str], None], str]] = []
    try:
        reservation = ctx.step.run("reserve-stock", reserve_stock, order.order_id, order.sku, order.quantity)
        undo.append(("release-stock", release_stock, reservation))
        charge = ctx.step.run("charge-card", charge_card, order.order_id, order.cents)
        undo.append(("refund", refund, charge))
        return ctx.step.run("book-courier", book_courier, order.order_id)
    except StepError as failure:
        for step_id, compensate, what in reversed(undo):
            ctx.step.run(step_id, compensate, what)
        ctx.step.send_event(
            "tell-customer",
            Event("shop/order.failed", {"order_id": order.order_id, "reason": failure.message}),
        )
        return f"undone: {failure.message}"
