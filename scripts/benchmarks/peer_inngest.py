"""The official Python SDK, behind fastapi and mangum: the usual way to serve it from Lambda."""

from __future__ import annotations

from functools import partial
from typing import Any

import inngest
import inngest.fast_api
from fastapi import FastAPI
from mangum import Mangum

FUNCTION = "sync"

client = inngest.Inngest(app_id="bench")


@client.create_function(fn_id=FUNCTION, trigger=inngest.TriggerEvent(event="bench/run"))
def sync_function(ctx: inngest.ContextSync) -> int:
    """As many steps as the event says, then new ones."""
    data: Any = ctx.event.data
    for number in range(int(data["count"])):
        ctx.step.run(f"step-{number}", int)
    if data["parallel"]:

        def new_step(number: int) -> int:
            return ctx.step.run(f"new-{number}", int)

        return len(ctx.group.parallel(tuple(partial(new_step, number) for number in range(int(data["parallel"])))))
    return ctx.step.run("new", int)


app = FastAPI()
inngest.fast_api.serve(app, client, [sync_function])
handler = Mangum(app, lifespan="off")
