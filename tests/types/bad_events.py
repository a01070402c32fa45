"""What is wrong about events."""

from __future__ import annotations

from typing import Any

from shop import AccountCreated, Invoice, InvoiceSent, Signup, use

from inngest_serverless import AsyncContext, Context, Event, cron_trigger, event_trigger


def contexts(ctx: Context[AccountCreated], other: AsyncContext[InvoiceSent], untyped: Context) -> None:
    use(ctx.event.data.phone)  # E: phone
    use(ctx.event.data["email"])  # E: index | reportIndexIssue
    use(ctx.event.payload)  # E: payload
    use(other.event.data.email)  # E: email
    total: str = other.event.data.total  # E: "int"
    use(total, untyped.event.data.email)  # E: email
    use(ctx.failure.error)  # E: error
    ctx.step.sleep_for("a", "1s")  # E: sleep_for


def of_both(ctx: Context[AccountCreated | InvoiceSent]) -> None:
    use(ctx.event.data.email)  # E: email


def not_an_event(ctx: Context[Signup]) -> None:  # E: Signup
    """A context is of a type of event, not of its data."""


AccountCreated(data=Invoice(1))  # E: Invoice
AccountCreated(data={"account_id": "a", "email": "b"})  # E: dict
AccountCreated(Signup(account_id="a", email="b"))  # E: Signup
Event("x", id=5)  # E: "id"
Event("x", ts="now")  # E: "ts"
Event(title="x")  # E: title
name: int = AccountCreated.event_name  # E: int
document: dict[str, Any] = AccountCreated.from_dict({"name": "x"})  # E: AccountCreated
event_trigger(Signup)  # E: Signup
event_trigger(5)  # E: type[Event[Any]]
cron_trigger(AccountCreated)  # E: AccountCreated
