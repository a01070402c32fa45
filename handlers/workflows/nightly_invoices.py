"""Every night, invoice the customers of the day; the mails go out in batches."""

from inngest_serverless import Batch, Context, Event, create_function, cron_trigger, event_trigger

CUSTOMERS = ["ada", "bob", "cleo"]


def customers_of_today() -> list[str]:
    """Who bought something."""
    return CUSTOMERS


def write_invoice(customer: str) -> str:
    """Write an invoice; returns its number."""
    return f"invoice-{customer}"


def send_mails(invoices: list[str]) -> int:
    """Send one request with all mails to the mail provider, which takes a hundred at once; returns how many."""
    return len(invoices)


@create_function(id="nightly-invoices", trigger=cron_trigger("TZ=Europe/Paris 0 2 * * *", jitter="10m"))
def nightly_invoices(ctx: Context) -> int:
    """Write the invoices, one step each, and say of each that it is written."""
    customers = ctx.step.run("list-customers", customers_of_today)
    invoices = [ctx.step.run(f"invoice-{customer}", write_invoice, customer) for customer in customers]
    ctx.step.send_event("tell", [Event("billing/invoice.written", {"invoice": invoice}) for invoice in invoices])
    return len(invoices)


@create_function(
    id="mail-invoices",
    trigger=event_trigger("billing/invoice.written"),
    batch_events=Batch(max_size=100, timeout="30s"),
)
def mail_invoices(ctx: Context) -> int:
    """Mail what was written within half a minute, at once."""
    return ctx.step.run("send-mails", send_mails, [event.data["invoice"] for event in ctx.events])
