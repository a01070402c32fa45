"""What is wrong about steps."""

from __future__ import annotations

from shop import InvoiceSent, Receipt, count, send_email, use

from inngest_serverless import Context, create_function, event_trigger
from inngest_serverless.ai import OpenAI


@create_function(id="typed", trigger=event_trigger("x"))
def typed(ctx: Context) -> Receipt:
    return Receipt(to="a")


def runs(ctx: Context) -> None:
    step = ctx.step
    number: int = step.run("a", send_email, "to")  # E: Receipt
    step.run("b", send_email)  # E: call-overload | "to"
    step.run("c", send_email, 5)  # E: call-overload | "to"
    step.run("d", send_email, "to", urgent="yes")  # E: "urgent"
    step.run("e", send_email, "to", later=True)  # E: "later"
    step.run("f", count, "1")  # E: call-overload | "numbers"
    step.run("g", send_email("to"))  # E: run
    step.run(send_email, "to")  # E: run
    step.run(5, count)  # E: run
    receipt: Receipt = step.run("h", count, output_type=str)  # E: str
    use(number, receipt, step.run("i", send_email, "to").subject)  # E: subject
    step.ai.wrap("j", send_email, 5)  # E: call-overload | "to"


def waits(ctx: Context) -> None:
    step = ctx.step
    use(step.wait_for_event("a", event=InvoiceSent, timeout="1d").data)  # E: data
    use(step.wait_for_event("b", event=InvoiceSent, timeout="1d", required=True).data.sum)  # E: sum
    step.wait_for_event("c", event=InvoiceSent)  # E: wait_for_event
    step.wait_for_event("d", event=Receipt, timeout="1d")  # E: wait_for_event
    step.wait_for_event("e", event="x", timeout=1.5)  # E: wait_for_event
    step.wait_for_event("f", "x", timeout="1d")  # E: wait_for_event
    step.wait_for_signal("g", signal="s", timeout="1d", on_conflict="ignore")  # E: on_conflict
    use(step.wait_for_signal("h", signal="s", timeout="1d").data)  # E: data
    step.sleep("i", 1.5)  # E: float
    step.sleep("j")  # E: call-arg | positional
    step.sleep_until("k", 5)  # E: "str | datetime"


def others(ctx: Context) -> None:
    step = ctx.step
    number: int = step.invoke("a", function=typed)  # E: Receipt
    step.invoke("b", function=others)  # E: invoke
    step.invoke("c", function="typed")  # E: "function"
    step.invoke("d", function=typed, data=[1])  # E: list
    step.invoke_by_id("e", function_id=typed)  # E: Function
    step.send_event("f", "name")  # E: str
    step.send_event("g", [1])  # E: int
    step.fetch("h", "https://e.com", body={"a": 1})  # E: dict
    step.fetch("i", "https://e.com", headers={"a": 1})  # E: int
    step.ai.infer("j", model="gpt-4o", body={})  # E: "model"
    step.ai.infer("k", model=OpenAI("m", api_key="k"), body=[])  # E: list
    step.ai.infer("l", model=OpenAI("m"), body={})  # E: api_key
    ctx.group.parallel([step.run("m", count)])  # E: int
    texts: tuple[str, ...] = ctx.group.parallel([lambda: step.run("n", count)])  # E: int
    ctx.group.parallel([lambda: step.run("o", count)], mode="all")  # E: all
    use(number, texts)
