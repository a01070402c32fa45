"""The pictures in handlers/workflows/README.md: a run of each example, on the local engine's virtual clock."""

from __future__ import annotations

import json
import random
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from handlers.aws_examples import FUNCTIONS
from inngest_serverless import inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.gateway import HttpReply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.calls import Call

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "images" / "examples"
SIZE = {"width": 1180, "height": 1000}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LARGEST_BYTES = 100_000
URL = "https://examples.example/api/inngest"
# Each picture: the function's ID, what starts it, and what happens meanwhile: after how long, which event or signal.
STORIES: dict[str, tuple[str, dict[str, Any], list[tuple[str, str, dict[str, Any]]]]] = {
    "onboarding": (
        "account-created",
        {"name": "api/account.created", "data": {"account_id": "a", "email": "a@b.c"}},
        [],
    ),
    "order-saga": (
        "order-saga",
        {"name": "shop/order.placed", "data": {"order_id": "o-1", "sku": "book", "quantity": 1, "cents": 3000}},
        [],
    ),
    "sales-report": (
        "sales-report",
        {"name": "reports/requested", "data": {"regions": ["north", "south", "west"]}},
        [],
    ),
    "nightly-invoices": ("nightly-invoices", {}, []),
    "ticket-summary": (
        "ticket-summary",
        {"name": "support/ticket.opened", "data": {"ticket_id": "t-1", "text": "I was charged twice."}},
        [],
    ),
    "expense-approval": (
        "expense-approval",
        {"name": "expenses/filed", "data": {"expense_id": "e-1", "employee": "ada", "cents": 12_000}},
        [("3d", "expense-approval/e-1", {"approved": True})],
    ),
    "upload-processing": (
        "upload-processing",
        {"name": "aws/s3.object.created", "data": {"bucket": "pictures", "key": "uploads/cat.jpg"}},
        [],
    ),
}


def main() -> int:
    """Take the pictures; 0 if all are small enough."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("there is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        browser = stack.enter_context(sync_playwright()).chromium.launch(executable_path=chromium, args=FLAGS)
        stack.callback(browser.close)
        for name, (function_id, event, meanwhile) in STORIES.items():
            with ExitStack() as one:
                # In a thread: Playwright has an event loop in this one, and async functions need theirs.
                api = pool.submit(tell, one, function_id, event, meanwhile).result()
                page = browser.new_page(viewport=SIZE)
                page.goto(api.page)
                page.locator(".item", has_text=function_id).first.click()
                page.locator(".timeline").wait_for()
                page.mouse.move(0, 0)
                page.locator(".timeline").screenshot(path=PICTURES / f"{name}.png")
                page.close()
    sizes = {picture.name: picture.stat().st_size for picture in sorted(PICTURES.glob("*.png"))}
    print(json.dumps(sizes, indent=1))
    return 0 if max(sizes.values()) <= LARGEST_BYTES else 1


def tell(
    stack: ExitStack, function_id: str, event: dict[str, Any], meanwhile: list[tuple[str, str, dict[str, Any]]]
) -> LocalApi:
    """Let a run of a function go to its end, on an engine of its own."""
    chance = random.Random(7)  # noqa: S311 - for the looks

    def call(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        return app(method, url, headers, body)

    def latency(_call: Call) -> int:
        return chance.randint(30, 220)

    engine = Engine(call, latency=latency, fetch=model)
    api = stack.enter_context(LocalApi(engine))
    handler = inngest_lambda(
        FUNCTIONS, app_id="examples", is_dev=True, api_base_url=api.origin, event_api_base_url=api.origin
    )
    app = lambda_endpoint(lambda request: handler(request, None))
    app("PUT", URL, {}, b"")
    if event:
        engine.send(event)
    else:
        engine.invoke(f"examples-{function_id}")
    for after, signal, data in meanwhile:
        engine.advance(after)
        engine.signal(signal, data)
    engine.finish_all()
    return api


def model(_method: str, _url: str, _headers: Mapping[str, str], body: bytes) -> HttpReply:
    """Stand for a language model."""
    text = "billing" if b"Answer with one of" in body else "The customer was charged twice."
    return HttpReply(200, {}, json.dumps({"content": [{"type": "text", "text": text}]}).encode())


if __name__ == "__main__":
    sys.exit(main())
