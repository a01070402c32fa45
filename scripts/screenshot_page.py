"""The picture of the page in docs/dev-server.md: a shop's runs in the local engine, photographed with Chromium."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from inngest_serverless import (
    Context,
    Function,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.live import LiveEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.gateway import HttpReply

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "dev-page.png"
SIZE = {"width": 1280, "height": 800}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LARGEST_BYTES = 200_000
URL = "https://shop.example/api/inngest"
ORDER = {"order_id": "A-1042", "email": "ada@example.com", "total_cents": 12_900}


def work(millis: int, result: Any = None) -> Any:
    """Stand for what a step of a shop does."""
    time.sleep(millis / 1000)
    return result


def charge(ctx: Context[Any]) -> dict[str, Any]:
    """Charge a card, at the second attempt."""
    work(60)
    if ctx.attempt == 0:
        raise ConnectionError("the payment gateway did not answer within 50 ms")
    return {"charge": "ch_3PqX81", "amount": ORDER["total_cents"]}


@create_function(id="fulfil-order", name="Fulfil order", trigger=event_trigger("shop/order.placed"))
def fulfil_order(ctx: Context[Any]) -> dict[str, Any]:
    """The run in the picture."""
    ctx.step.run("reserve-stock", work, 20, {"warehouse": "AMS-2"})
    ctx.step.run("charge-card", charge, ctx)
    ctx.group.parallel(
        [
            lambda: ctx.step.run("print-label", work, 50),
            lambda: ctx.step.run("notify-warehouse", work, 110),
            lambda: ctx.step.run("send-receipt", work, 30),
        ]
    )
    ctx.step.sleep("cool-off", "400ms")
    shipped = ctx.step.wait_for_event("wait-for-shipment", event="shop/order.shipped", timeout="2d")
    return {"shipped": shipped is not None}


@create_function(id="import-catalogue", name="Import catalogue", trigger=event_trigger("shop/catalogue.uploaded"))
def import_catalogue(ctx: Context[Any]) -> Any:
    """A run that completes."""
    return ctx.step.run("parse-rows", work, 35, {"rows": 1204})


@create_function(id="nightly-report", name="Nightly report", trigger=cron_trigger("0 3 * * *"))
def nightly_report(ctx: Context[Any]) -> Any:
    """A run that was started by hand."""
    return ctx.step.run("collect", work, 12, {"orders": 318})


@create_function(id="refund", name="Refund", trigger=event_trigger("shop/refund.requested"), retries=0)
def refund(ctx: Context[Any]) -> None:
    """A run that fails."""

    def look_up() -> None:
        raise LookupError("there is no charge ch_1")

    ctx.step.run("look-up-charge", look_up)


FUNCTIONS: list[Function[Any]] = [fulfil_order, import_catalogue, nightly_report, refund]


def main() -> int:
    """Take the picture; 0 if it is small enough."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("there is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        api = serve(stack)
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto(api.origin)
        page.locator(".item", has_text="Fulfil order").click()
        page.locator(".row", has_text="wait-for-shipment").wait_for()
        page.mouse.move(0, 0)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    print(f"{PICTURE}: {size:,} bytes")
    return 0 if size <= LARGEST_BYTES else 1


def serve(stack: ExitStack) -> LocalApi:
    """Start the engine, and let a few things happen."""

    def call(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        return app(method, url, headers, body)

    engine = LiveEngine(call, retry_ms=300)
    api = stack.enter_context(LocalApi(engine))
    stack.enter_context(engine)
    handler = inngest_lambda(
        FUNCTIONS, app_id="shop", is_dev=True, api_base_url=api.origin, event_api_base_url=api.origin
    )
    app = lambda_endpoint(lambda event: handler(event, None))
    app("PUT", URL, {}, b"")
    for name in ("shop/catalogue.uploaded", "shop/refund.requested", "shop/catalogue.uploaded"):
        engine.post([{"name": name, "data": {"file": "2026-11.csv"}}])
    engine.invoke("shop-nightly-report", {"day": "2026-11-21"})
    engine.post([{"name": "shop/order.placed", "data": ORDER}])
    deadline = time.monotonic() + 20
    while not any(step.op == "WaitForEvent" for run in engine.runs for step in list(run.open.values())):
        if time.monotonic() > deadline:
            raise TimeoutError("the order did not get as far as its shipment")
        time.sleep(0.01)
    return api


if __name__ == "__main__":
    sys.exit(main())
