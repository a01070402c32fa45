"""Sum up a support ticket with a language model, and sort it; nothing runs, or is billed, while the model works."""

from typing import Any

from inngest_serverless import Context, Throttle, ai, create_function, event_trigger

# In production the key is an environment variable; it goes with the request that Inngest makes for the step.
MODEL = ai.Anthropic(model="claude-sonnet-4-5", api_key="key")
QUEUES = ("billing", "bugs", "other")


def first_text(reply: dict[str, Any]) -> str:
    """The text of a reply of the model."""
    text: str = reply["content"][0]["text"]
    return text.strip()


def ask(prompt: str) -> dict[str, Any]:
    """The body of a request to the model."""
    return {"max_tokens": 200, "messages": [{"role": "user", "content": prompt}]}


def file_ticket(ticket_id: str, queue: str, summary: str) -> str:
    """Put the ticket into a queue."""
    return f"{queue}/{ticket_id}: {summary}"


@create_function(
    id="ticket-summary",
    trigger=event_trigger("support/ticket.opened"),
    # What the provider allows; more tickets wait for their turn.
    throttle=Throttle(limit=50, period="1m"),
)
def ticket_summary(ctx: Context) -> str:
    """Two requests to the model, one after the other, then our own work."""
    text = ctx.event.data["text"]
    summary = first_text(ctx.step.ai.infer("summarize", model=MODEL, body=ask(f"Sum up in one sentence: {text}")))
    answer = first_text(
        ctx.step.ai.infer("classify", model=MODEL, body=ask(f"Answer with one of {', '.join(QUEUES)}: {summary}"))
    )
    queue = answer if answer in QUEUES else "other"
    return ctx.step.run("file", file_ticket, ctx.event.data["ticket_id"], queue, summary)
