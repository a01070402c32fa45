"""Restate's Python SDK, with its own handler for Lambda."""

from __future__ import annotations

import restate

service = restate.Service("bench")


@service.handler("async")
async def async_function(ctx: restate.Context, data: dict[str, int]) -> int:
    """As many steps as the input says, then new ones."""
    for number in range(data["count"]):
        await ctx.run_typed(f"step-{number}", lambda: 0)
    if data["parallel"]:
        new = [ctx.run_typed(f"new-{number}", lambda: 0) for number in range(data["parallel"])]
        return len(await restate.gather(*new))
    return await ctx.run_typed("new", lambda: 0)


handler = restate.app([service])  # as a handler for Lambda where AWS_LAMBDA_FUNCTION_NAME is set
