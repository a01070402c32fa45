"""Welcome a new account, and follow up if nothing happens in it for three days."""

from pydantic import BaseModel

from inngest_serverless import Context, Event, create_function, event_trigger


class Signup(BaseModel):
    """Who signed up."""

    account_id: str
    email: str


class AccountCreated(Event[Signup], name="api/account.created"):
    """An account was created."""


def send_email(address: str) -> str:
    """Send the welcome mail; returns the receipt's ID."""
    return f"receipt-for-{address}"


def send_follow_up(receipt: str) -> None:
    """Ask whether help is needed."""


@create_function(id="account-created", trigger=event_trigger(AccountCreated), retries=4)
def account_created(ctx: Context[AccountCreated]) -> str:
    """Wait a moment, greet, wait for the first activity, follow up if there is none."""
    ctx.step.sleep("initial-delay", "1s")
    receipt = ctx.step.run("email-user", send_email, ctx.event.data.email)
    created = ctx.step.wait_for_event(
        "wait-for-activity",
        event="api/function.created",
        timeout="3d",
        if_exp="event.data.account_id == async.data.account_id",
    )
    if created is None:
        ctx.step.run("follow-up", send_follow_up, receipt)
    return "done"
