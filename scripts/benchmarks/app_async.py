"""This project's handler, with an async function."""

from __future__ import annotations

from inngest_serverless import AsyncContext, create_function, event_trigger, inngest_lambda

FUNCTION = "async"


@create_function(id=FUNCTION, trigger=event_trigger("bench/run"))
async def async_function(ctx: AsyncContext) -> int:
    """As many steps as the event says, then new ones."""
    data = ctx.event.data
    for number in range(data["count"]):
        await ctx.step.run(f"step-{number}", int)
    if data["parallel"]:
        from asyncio import gather

        return len(await gather(*[ctx.step.run(f"new-{number}", int) for number in range(data["parallel"])]))
    return await ctx.step.run("new", int)


handler = inngest_lambda([async_function], app_id="bench")
