"""Sending outside of functions, workflows, middleware, and the small functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_type

from shop import AccountCreated, Invoice, InvoiceSent, Signup

from inngest_serverless import (
    EMAIL,
    EXTERNAL_ID,
    AsyncContext,
    CallInput,
    CallOutput,
    Client,
    Context,
    Event,
    Middleware,
    SendEventsError,
    Workflow,
    create_function,
    dev_server_url,
    event_trigger,
    inngest_lambda,
    is_dev,
    now_millis,
    send,
    send_async,
    send_many,
    send_many_async,
    sign,
    timestamp,
    validate_signature,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

created = AccountCreated(data=Signup(account_id="a", email="b"), user={EXTERNAL_ID: "a", EMAIL: "b"}, ts=now_millis())
sent = InvoiceSent(data=Invoice(5))


def sends(client: Client) -> None:
    assert_type(client.send(created), str)
    assert_type(client.send({"name": "x", "data": {}}), str)
    assert_type(client.send_many([created, sent, Event("x", {"a": 1}), {"name": "y"}]), list[str])
    assert_type(client.send_many([created]), list[str])
    assert_type(client.send_signal("s", {"a": 1}), str | None)
    assert_type(send(created), str)
    assert_type(send_many(event for event in [created]), list[str])


async def sends_async(client: Client) -> None:
    assert_type(await client.send_async(created), str)
    assert_type(await client.send_many_async([created, sent]), list[str])
    assert_type(await client.send_signal_async("s"), str | None)
    assert_type(await send_async(created), str)
    assert_type(await send_many_async([created, sent]), list[str])


def fails() -> Sequence[str]:
    try:
        send(created)
    except SendEventsError as error:
        assert_type(error.ids, tuple[str, ...])
        return error.ids
    return []


class Audit(Middleware):
    def transform_input(self, call: CallInput) -> None:
        assert_type(call.run_id, str)
        assert_type(call.events, list[dict[str, Any]])
        assert_type(call.memos, dict[str, Any])

    def transform_output(self, output: CallOutput) -> None:
        assert_type(output.step_id, str | None)
        assert_type(output.error, BaseException | None)

    def before_send_events(self, events: list[dict[str, Any]]) -> None:
        events[0]["user"] = {}


class AsyncAudit(Middleware):
    async def before_execution(self) -> None:
        await send_async(created)


@create_function(id="audited", trigger=event_trigger(AccountCreated), middleware=[Audit, Audit()])
def audited(ctx: Context[AccountCreated]) -> None:
    ctx.step.sleep("a", "1s")


@create_function(id="audited-async", trigger=event_trigger("x"), middleware=[AsyncAudit])
async def audited_async(ctx: AsyncContext) -> None:
    await ctx.step.sleep("a", "1s")


flow = Workflow(id="flow", trigger=event_trigger(AccountCreated), retries=2)


@flow.step("charge")
def charge(event: AccountCreated, data: dict[str, Any]) -> dict[str, Any]:
    return {"charged": event.data.account_id}


flow.sleep("2s")
flow.wait_for_event("api/paid", timeout="1d", match="data.id")

assert_type(now_millis(), int)
assert_type(timestamp(datetime(2026, 1, 1, tzinfo=UTC)), int)
assert_type(is_dev(), bool)
assert_type(dev_server_url(), str)
assert_type(sign(b"body", "signkey-test-00", at=5.0), str)
validate_signature(sign(b"body", "signkey-test-00", at=5.0), ["signkey-test-00"], b"body", now=5.0)
inngest_lambda([audited, audited_async, flow], app_id="core")
