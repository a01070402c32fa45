"""This project's handler, with a sync function."""

from __future__ import annotations

from functools import partial

from inngest_serverless import Context, create_function, event_trigger, inngest_lambda

FUNCTION = "sync"


@create_function(id=FUNCTION, trigger=event_trigger("bench/run"))
def sync_function(ctx: Context) -> int:
    """As many steps as the event says, then new ones."""
    data = ctx.event.data
    for number in range(data["count"]):
        ctx.step.run(f"step-{number}", int)
    if data["parallel"]:

        def new_step(number: int) -> int:
            return ctx.step.run(f"new-{number}", int)

        return len(ctx.group.parallel([partial(new_step, number) for number in range(data["parallel"])]))
    return ctx.step.run("new", int)


handler = inngest_lambda([sync_function], app_id="bench")
