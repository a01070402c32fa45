"""What is wrong about steps of async functions."""

from __future__ import annotations

from shop import InvoiceSent, Receipt, send_email, send_email_async, use

from inngest_serverless import AsyncContext, create_function, event_trigger


@create_function(id="typed", trigger=event_trigger("x"))
async def typed(ctx: AsyncContext) -> Receipt:
    return Receipt(to="a")


async def steps(ctx: AsyncContext) -> None:
    step = ctx.step
    receipt: Receipt = step.run("a", send_email, "to")  # E: Coroutine
    number: int = await step.run("b", send_email_async, "to")  # E: Receipt
    await step.run("c", send_email_async)  # E: call-overload | "to"
    await step.run("d", send_email_async, 5)  # E: call-overload | "to"
    await step.run("e", send_email_async("to"))  # E: run
    use((await step.wait_for_event("f", event=InvoiceSent, timeout="1d")).data)  # E: data
    text: str = await step.invoke("g", function=typed)  # E: Receipt
    use(receipt, number, text, (await step.fetch("h", "https://e.com")).status)  # E: status
    await ctx.group.parallel([step.run("i", send_email, "to")])  # E: Coroutine
    await step.run("j", send_email_async, "to", output_type="Receipt")  # E: run
