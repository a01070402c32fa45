"""This project's handler, with a typed event: what an app costs that loads pydantic."""

from __future__ import annotations

from pydantic import BaseModel

from inngest_serverless import Context, Event, create_function, event_trigger, inngest_lambda


class Work(BaseModel):
    """How many steps there are."""

    count: int
    parallel: int


class Started(Event[Work], name="bench/run"):
    """The event that the benchmark sends."""


@create_function(id="sync", trigger=event_trigger(Started))
def typed_function(ctx: Context[Started]) -> int:
    """As many steps as the event says, then a new one."""
    for number in range(ctx.event.data.count):
        ctx.step.run(f"step-{number}", int)
    return ctx.step.run("new", int)


handler = inngest_lambda([typed_function], app_id="bench")
