"""The function that the events in tests/golden/aws call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_serverless import create_function, event_trigger, inngest_lambda

if TYPE_CHECKING:
    from inngest_serverless import Context


@create_function(id="fn", trigger=event_trigger("app/greeted"))
def greet(ctx: Context) -> object:
    return {"hello": ctx.event.data["name"]}


handler = inngest_lambda([greet], app_id="app")
