"""The handlers that are deployed."""

from __future__ import annotations

import inngest_serverless
from inngest_serverless import inngest_gcf, inngest_lambda
from shop.functions import Order, OrderPlaced, badly_made, count_stock, fulfil, pack_all, quote

FUNCTIONS = [fulfil, pack_all, quote, count_stock]

handler = inngest_lambda(FUNCTIONS, app_id="shop", middleware=[])
google = inngest_gcf([*FUNCTIONS, badly_made], app_id="shop", middleware=[])


def place(order: Order) -> str:
    """What the web page calls."""
    return inngest_serverless.send(OrderPlaced(data=order))
