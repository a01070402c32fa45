"""The functions that the tests of functions-framework call, each with the number of a call in its event."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_gcf_async

go_on, leftovers = threading.Event(), []


def say(*words):
    """Write to the server's log."""
    print(*words, flush=True)  # noqa: T201 - the tests wait for it


@create_function(id="sync", trigger=event_trigger("app/sync"))
def sync(ctx):
    number = ctx.step.run("think", think, ctx.event.data["number"])
    return {"number": number, "run": ctx.run_id, "kind": "sync"}


def think(number):
    time.sleep(0.01)
    return number


@create_function(id="async", trigger=event_trigger("app/async"))
async def coroutine(ctx):
    number, twice = await asyncio.gather(
        ctx.step.run("think", think_async, ctx.event.data["number"]),
        ctx.step.run("twice", think_async, 2 * ctx.event.data["number"]),
    )
    return {"number": number, "twice": twice, "run": ctx.run_id, "kind": "async"}


async def think_async(number):
    await asyncio.sleep(0.01)
    return number


@create_function(id="events", trigger=event_trigger("app/events"))
async def events(ctx):
    return await ctx.step.send_event("send", {"name": "app/sent", "data": ctx.event.data})


# Blocks its thread, as it should not, until another call lets it go on.
@create_function(id="stuck", trigger=event_trigger("app/stuck"))
async def stuck(ctx):
    say("stuck")
    return go_on.wait(30)


@create_function(id="release", trigger=event_trigger("app/release"))
def release(ctx):
    go_on.set()
    return True


# Outlives the time that the server gives a call.
@create_function(id="late", trigger=event_trigger("app/late"))
async def late(ctx):
    say("begun")
    try:
        await asyncio.sleep(1.5)
        leftovers.append(ctx.run_id)
    finally:
        say("ended", ctx.run_id)


@create_function(id="look", trigger=event_trigger("app/look"))
async def look(ctx):
    await asyncio.sleep(0)
    return leftovers


@create_function(id="folders", trigger=event_trigger("app/folders"))
def folders(ctx):
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [*sys.path, *filter(None, files)]


served = [sync, coroutine, events, stuck, release, late, look, folders]
handler = inngest_gcf(served)
asgi_handler = inngest_gcf_async(served)
