"""An app behind a live engine, for the tests of the page: what a shop does, and what goes wrong there."""

# Without ``from __future__ import annotations``: pydantic reads the annotations of the types below when they are made.

import threading
import time
from contextlib import ExitStack
from typing import Any, Literal

from pydantic import BaseModel, Field
from waiting import PATIENCE_SECONDS, until

from inngest_serverless import (
    Event,
    NonRetriableError,
    Singleton,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.live import LiveEngine
from inngest_serverless.local.schemas import event_schemas

URL = "https://shop.example/api/inngest"
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&lt;'
LONG = "a-name-that-is-far-too-long-to-fit-anywhere-" * 4


class Item(BaseModel):
    sku: str
    quantity: int = Field(1, ge=1, le=99)


class Order(BaseModel):
    order_id: str = Field(description="As the shop knows it.")
    total_cents: int = Field(ge=0)
    plan: Literal["standard", "express"] = "standard"
    is_gift: bool = False
    note: str | None = None
    items: list[Item] = []


class OrderPlaced(Event[Order], name="shop/order.placed"): ...


class Shop:
    """The app, its engine, and the API with the page.

    Attributes:
        gate: What the step ``hold`` of the function ``gated`` waits for.
    """

    def __init__(self, port: int = 0, **options: Any) -> None:
        self.gate = threading.Event()
        self._stack = ExitStack()
        functions = self._functions()
        self.engine = LiveEngine(self._reach, **{"retry_ms": 10, **options})
        self.api = self._stack.enter_context(LocalApi(self.engine, port=port, schemas=event_schemas(functions)))
        self._stack.enter_context(self.engine)
        origins = {"api_base_url": self.api.origin, "event_api_base_url": self.api.origin}
        key = options.get("signing_key")
        handle = inngest_lambda(functions, app_id="shop", is_dev=key is None, signing_key=key, event_key="x", **origins)
        self._endpoint = lambda_endpoint(lambda event: handle(event, None))
        if key is None:
            assert self._endpoint("PUT", URL, {}, b"").status == 200

    def _reach(self, *request: Any) -> Any:
        return self._endpoint(*request)

    def close(self) -> None:
        self.gate.set()
        self._stack.close()

    def send(self, name: str, data: Any = None, **fields: Any) -> str:
        return self.engine.post([{"name": name, "data": data or {}, **fields}])[0]

    def run(self, name: str, data: Any = None) -> Any:
        """Send an event and wait until the run that it starts has ended."""
        event_id = self.send(name, data)
        [run] = until(lambda: self.engine.runs_of(event_id), f"{name} to start a run")
        until(lambda: not run.is_active, f"the run of {name} to end")
        return run

    def _functions(self) -> list[Any]:
        def declare(function_id: str, body: Any, trigger: Any = None, **options: Any) -> Any:
            trigger = trigger or event_trigger(f"shop/{function_id}")
            return create_function(id=function_id, trigger=trigger, **options)(body)

        return [
            declare("order", self._order, event_trigger(OrderPlaced), name="Fulfil order"),
            declare("gated", self._gated),
            declare("flaky", self._flaky),
            declare("failing", self._failing, retries=0),
            declare("nightly", lambda ctx: {"got": ctx.event.data.get("n")}, cron_trigger("0 3 * * *")),
            declare("waiting", self._waiting),
            declare("single", lambda ctx: ctx.step.sleep("nap", "1h"), singleton=Singleton("skip")),
            declare("hostile", self._hostile, name=HOSTILE, retries=0),
            declare("long", lambda ctx: ctx.step.run(LONG, lambda: LONG), name=LONG),
        ]

    def _order(self, ctx: Any) -> Any:
        ctx.step.run("reserve", lambda: {"warehouse": "AMS-2"})
        ctx.group.parallel(
            [lambda: ctx.step.run("label", lambda: time.time() and 1), lambda: ctx.step.run("mail", lambda: 2)]
        )
        ctx.step.sleep("cool-off", "10ms")
        return ctx.event.data.model_dump()

    def _gated(self, ctx: Any) -> str:
        ctx.step.run("before", lambda: 1)
        ctx.step.run("hold", lambda: self.gate.wait(PATIENCE_SECONDS))
        return "opened"

    def _flaky(self, ctx: Any) -> Any:
        def charge() -> str:
            if ctx.attempt < 2:
                raise ConnectionError(f"the gateway did not answer try {ctx.attempt + 1}")
            return "charged"

        return ctx.step.run("charge", charge)

    def _failing(self, ctx: Any) -> None:
        def parse() -> None:
            raise ValueError("row 7 is no number")

        ctx.step.run("parse", parse)

    def _waiting(self, ctx: Any) -> Any:
        found = ctx.step.wait_for_event("wait-for-payment", event="shop/order.paid", timeout="1h")
        return found and found.data

    def _hostile(self, ctx: Any) -> Any:
        ctx.step.run(HOSTILE, lambda: {HOSTILE: HOSTILE})
        raise NonRetriableError(HOSTILE)
