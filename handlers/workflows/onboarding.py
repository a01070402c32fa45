"""Welcome a new account, and follow up if nothing happens in it for three days."""

from __future__ import annotations

from inngest_serverless import Context, create_function, event_trigger


def send_email(address: str) -> str:
    """Send the welcome mail; returns the receipt's ID."""
    return f"receipt-for-{address}"


def send_follow_up(receipt: str) -> str:
    """Ask whether help is needed; returns what was asked about."""
    return f"asked after {receipt}"


@create_function(id="account-created", trigger=event_trigger("api/account.created"), retries=4)
def account_created(ctx: Context) -> str:
    """Wait a moment, greet, wait for the first activity, follow up if there is none."""
    ctx.step.sleep("initial-delay", "1s")
    receipt = ctx.step.run("email-user", send_email, ctx.event.data["email"])
    activity = ctx.step.wait_for_event(
        "wait-for-activity",
        event="api/function.created",
        timeout="3d",
        if_exp="event.data.account_id == async.data.account_id",
    )
    if activity is None:
        return ctx.step.run("follow-up", send_follow_up, receipt)
    return f"active with {activity.data['name']}"
