"""What the shop does to the world outside."""

from __future__ import annotations

from pydantic import BaseModel

charged: list[str] = []
letters: list[tuple[str, str]] = []


class Receipt(BaseModel):
    """What a customer has paid."""

    order_id: str
    cents: int


def charge(order_id: str, cents: int) -> Receipt:
    """Take the money."""
    charged.append(order_id)
    return Receipt(order_id=order_id, cents=cents)


async def pack(item: str) -> str:
    """Put an item into the parcel."""
    return f"{item} packed"


def write_to(email: str, text: str) -> None:
    """Send a letter."""
    letters.append((email, text))
