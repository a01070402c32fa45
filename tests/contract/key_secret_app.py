"""A function that sends an event, and counts how often its code has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_serverless import create_function, event_trigger, inngest_lambda

if TYPE_CHECKING:
    from inngest_serverless import AsyncContext, Context

runs: list[str] = []


@create_function(id="tell", trigger=event_trigger("app/told"))
def tell(ctx: Context) -> object:
    runs.append("tell")
    return ctx.step.send_event("tell", {"name": "app/heard"})


@create_function(id="tell-async", trigger=event_trigger("app/told"))
async def tell_async(ctx: AsyncContext) -> object:
    runs.append("tell-async")
    return await ctx.step.send_event("tell", {"name": "app/heard"})


handler = inngest_lambda([tell, tell_async], app_id="app")
