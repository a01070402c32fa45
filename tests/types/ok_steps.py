"""Steps of sync functions: results have the type of what made them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, assert_type
from uuid import UUID

from shop import (
    AccountCreated,
    Invoice,
    InvoiceSent,
    Note,
    Receipt,
    Signup,
    count,
    nothing,
    send_email,
)

from inngest_serverless import Context, Event, StepError, create_function, event_trigger
from inngest_serverless.ai import Anthropic, Gemini, OpenAI, OpenAIResponses
from inngest_serverless.engine.server_plans import FetchReply, Signal


@create_function(id="typed", trigger=event_trigger("x"))
def typed(ctx: Context) -> list[Receipt]:
    return []


@create_function(id="plain", trigger=event_trigger("x"))
def plain(ctx: Context) -> None:
    return None


class Mailer:
    def send(self, to: str) -> Receipt:
        return Receipt(to=to)

    def __call__(self, to: str) -> Receipt:
        return Receipt(to=to)


def runs(ctx: Context[AccountCreated]) -> None:
    step = ctx.step
    assert_type(step.run("a", send_email, ctx.event.data.email), Receipt)
    assert_type(step.run("b", send_email, "to", "subject", urgent=True), Receipt)
    assert_type(step.run("c", send_email, to="to", subject="subject"), Receipt)
    assert_type(step.run("d", count, 1, 2, 3), int)
    assert_type(step.run("e", count), int)
    assert_type(step.run("f", lambda: Receipt(to="a")), Receipt)
    assert_type(step.run("g", Mailer().send, "a"), Receipt)
    assert_type(step.run("h", Mailer(), "a"), Receipt)
    assert_type(step.run("i", partial(send_email, "a")), Receipt)
    assert_type(step.run("j", Invoice, total=5), Invoice)
    assert_type(step.run("k", Signup, account_id="a", email="b"), Signup)
    assert_type(step.run("l", Decimal, "1.5"), Decimal)
    step.run("m", nothing)


def get_json(url: str) -> Any:
    return {"url": url}


def runs_by_output_type(ctx: Context) -> None:
    step = ctx.step
    assert_type(step.run("a", get_json, "url", output_type=Receipt), Receipt)
    assert_type(step.run("b", get_json, url="url", output_type=list[Receipt]), list[Receipt])
    assert_type(step.run("c", get_json, "url", output_type=datetime), datetime)
    assert_type(step.run("d", get_json, "url", output_type=dict[str, UUID]), dict[str, UUID])
    assert_type(step.run("e", get_json, "url", output_type=Note), Note)
    assert_type(step.run("f", get_json, "url", output_type=tuple[int, date]), tuple[int, date])
    assert_type(step.ai.wrap("g", get_json, "url", output_type=Receipt), Receipt)


def sleeps(ctx: Context) -> None:
    ctx.step.sleep("a", "1h30m")
    ctx.step.sleep("b", 1500)
    ctx.step.sleep("c", timedelta(hours=1))
    ctx.step.sleep_until("d", datetime(2026, 1, 1, tzinfo=UTC))
    ctx.step.sleep_until("e", "2026-11-22T00:48:30Z")


def waits(ctx: Context, wanted: bool) -> None:
    step = ctx.step
    assert_type(step.wait_for_event("a", event="x", timeout="1d"), Event[dict[str, Any]] | None)
    assert_type(step.wait_for_event("b", event="x", timeout="1d", required=True), Event[dict[str, Any]])
    assert_type(step.wait_for_event("c", event="x", timeout=5, required=False), Event[dict[str, Any]] | None)
    assert_type(step.wait_for_event("d", event=InvoiceSent, timeout="1d", if_exp="true"), InvoiceSent | None)
    assert_type(step.wait_for_event("e", event=InvoiceSent, timeout=timedelta(1), required=True), InvoiceSent)
    assert_type(step.wait_for_event("f", event=InvoiceSent, timeout="1d", match="data.id", required=True).data, Invoice)
    signal = step.wait_for_signal("g", signal="s", timeout="1h", on_conflict="replace")
    assert_type(signal, Signal | None)
    if signal is not None:
        assert_type(signal.signal, str)


def waits_as_told(ctx: Context, required: bool) -> None:
    """Whether it is required is known at run time only."""
    assert_type(
        ctx.step.wait_for_event("a", event=InvoiceSent, timeout="1d", required=required),
        InvoiceSent | None,
    )
    assert_type(
        ctx.step.wait_for_event("b", event="x", timeout="1d", required=required),
        Event[dict[str, Any]] | None,
    )


def invokes(ctx: Context) -> None:
    assert_type(ctx.step.invoke("a", function=typed, data={"a": 1}, timeout="1h"), list[Receipt])
    ctx.step.invoke("b", function=plain, user={"a": 1}, v="1")
    found: str = ctx.step.invoke_by_id("c", function_id="other", app_id="app")
    assert_type(found, str)


def sends(ctx: Context) -> None:
    invoice = InvoiceSent(data=Invoice(5))
    assert_type(ctx.step.send_event("a", invoice), list[str])
    assert_type(ctx.step.send_event("b", [invoice, Event("x", {"a": 1}), {"name": "y"}]), list[str])
    assert_type(ctx.step.send_event("c", {"name": "y", "data": {}}), list[str])
    assert_type(ctx.step.send_event("d", [invoice]), list[str])
    assert_type(ctx.step.send_event("e", [{"name": "y", "data": {}}]), list[str])
    assert_type(ctx.step.send_event("f", (event for event in [invoice])), list[str])
    ctx.step.send_signal("g", signal="s", data=[1])


def fetches(ctx: Context) -> None:
    reply = ctx.step.fetch("a", "https://e.com", method="POST", headers={"a": "b"}, body="x")
    assert_type(reply, FetchReply)
    assert_type(reply.status_code, int)
    assert_type(reply.body, str)
    assert_type(reply.url, str)


def infers(ctx: Context) -> None:
    for model in (OpenAI("m", api_key="k"), OpenAIResponses("m", api_key="k"), Gemini("m", api_key="k")):
        ctx.step.ai.infer("a", model=model, body={"messages": []})
    ctx.step.ai.infer("b", model=Anthropic("m", api_key="k", base_url="https://x", headers={"a": "b"}), body={})
    assert_type(ctx.step.ai.wrap("c", send_email, "a", urgent=True), Receipt)


def groups(ctx: Context) -> None:
    assert_type(
        ctx.group.parallel([lambda: ctx.step.run("a", count, 1), lambda: ctx.step.run("b", count, 2)]),
        tuple[int, ...],
    )
    number, receipt, none = ctx.group.parallel(
        (
            lambda: ctx.step.run("c", count, 1),
            lambda: ctx.step.run("d", send_email, "a"),
            lambda: ctx.step.sleep("e", "1h"),
        )
    )
    assert_type(number, int)
    assert_type(receipt, Receipt)
    assert_type(none, None)
    assert_type(ctx.group.parallel([partial(count, number) for number in range(3)]), tuple[int, ...])
    assert_type(ctx.group.parallel([lambda: ctx.step.run("a", count)], mode="race"), tuple[int, ...])


def errors(ctx: Context) -> None:
    try:
        ctx.step.run("a", nothing)
    except StepError as error:
        assert_type(error.name, str)
        assert_type(error.message, str)
        assert_type(error.stack, str | None)
        assert_type(error.step_id, str | None)
