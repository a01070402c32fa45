"""Steps of async functions: as those of sync ones, awaited."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, assert_type

from shop import AccountCreated, Invoice, InvoiceSent, Receipt, count, nothing, send_email, send_email_async

from inngest_serverless import AsyncContext, Context, Event, create_function, event_trigger
from inngest_serverless.ai import OpenAI
from inngest_serverless.engine.server_plans import FetchReply, Signal

if TYPE_CHECKING:
    from collections.abc import Awaitable


@create_function(id="typed", trigger=event_trigger("x"))
async def typed(ctx: AsyncContext) -> list[Receipt]:
    return []


@create_function(id="sync", trigger=event_trigger("x"))
def sync_typed(ctx: Context) -> Receipt | None:
    return None


class Mailer:
    async def send(self, to: str) -> Receipt:
        return Receipt(to=to)

    async def __call__(self, to: str) -> Receipt:
        return Receipt(to=to)


def awaitable(to: str) -> Awaitable[Receipt]:
    return send_email_async(to)


async def runs(ctx: AsyncContext[AccountCreated]) -> None:
    step = ctx.step
    assert_type(await step.run("a", send_email_async, ctx.event.data.email), Receipt)
    assert_type(await step.run("b", send_email_async, "to", "subject", urgent=True), Receipt)
    assert_type(await step.run("c", send_email, "to", "subject", urgent=True), Receipt)
    assert_type(await step.run("d", count, 1, 2, 3), int)
    assert_type(await step.run("e", awaitable, "a"), Receipt)
    assert_type(await step.run("f", Mailer().send, "a"), Receipt)
    assert_type(await step.run("g", Mailer(), "a"), Receipt)
    assert_type(await step.run("h", partial(send_email_async, "a")), Receipt)
    assert_type(await step.run("i", Invoice, total=5), Invoice)
    assert_type(await step.run("j", lambda: send_email_async("a")), Receipt)
    assert_type(await step.run("k", lambda: send_email("a")), Receipt)
    await step.run("l", nothing)


async def get_json(url: str) -> Any:
    return {"url": url}


async def runs_by_output_type(ctx: AsyncContext) -> None:
    step = ctx.step
    assert_type(await step.run("a", get_json, "url", output_type=Receipt), Receipt)
    assert_type(await step.run("b", get_json, url="url", output_type=list[Receipt]), list[Receipt])
    assert_type(await step.run("c", get_json, "url", output_type=datetime), datetime)
    assert_type(await step.ai.wrap("d", get_json, "url", output_type=Receipt), Receipt)


async def everything_else(ctx: AsyncContext) -> None:
    step = ctx.step
    await step.sleep("a", timedelta(hours=1))
    await step.sleep_until("b", "2026-11-22")
    assert_type(await step.wait_for_event("c", event="x", timeout="1d"), Event[dict[str, Any]] | None)
    assert_type(await step.wait_for_event("d", event="x", timeout="1d", required=True), Event[dict[str, Any]])
    assert_type(await step.wait_for_event("e", event=InvoiceSent, timeout="1d"), InvoiceSent | None)
    assert_type(await step.wait_for_event("f", event=InvoiceSent, timeout="1d", required=True), InvoiceSent)
    assert_type(await step.invoke("g", function=typed), list[Receipt])
    assert_type(await step.invoke("h", function=sync_typed), Receipt | None)
    assert_type(await step.send_event("i", InvoiceSent(data=Invoice(5))), list[str])
    assert_type(await step.wait_for_signal("j", signal="s", timeout="1h"), Signal | None)
    await step.send_signal("k", signal="s")
    assert_type(await step.fetch("l", "https://e.com"), FetchReply)
    await step.ai.infer("m", model=OpenAI("m", api_key="k"), body={})
    assert_type(await step.ai.wrap("n", send_email_async, "a"), Receipt)
    assert_type(await step.ai.wrap("o", send_email, "a"), Receipt)


async def waits_as_told(ctx: AsyncContext, required: bool) -> None:
    assert_type(
        await ctx.step.wait_for_event("a", event=InvoiceSent, timeout="1d", required=required),
        InvoiceSent | None,
    )


async def groups(ctx: AsyncContext) -> None:
    step = ctx.step
    assert_type(
        await ctx.group.parallel([lambda: step.run("a", count, 1), lambda: step.run("b", count, 2)]),
        tuple[int, ...],
    )
    assert_type(await ctx.group.parallel([lambda: step.run("a", count)], mode="race"), tuple[int, ...])
    one, mail = await ctx.group.parallel(
        (lambda: step.run("g", count, 1), lambda: step.run("h", send_email_async, "a"))
    )
    assert_type(one, int)
    assert_type(mail, Receipt)
    number, receipt = await asyncio.gather(step.run("c", count, 1), step.run("d", send_email_async, "a"))
    assert_type(number, int)
    assert_type(receipt, Receipt)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(step.run("e", send_email_async, "a"))
    assert_type(task.result(), Receipt)
    done, _ = await asyncio.wait(
        [asyncio.create_task(step.run(f"n-{n}", count, n)) for n in range(3)],
        return_when=asyncio.FIRST_COMPLETED,
    )
    assert_type([first.result() for first in done], list[int])
