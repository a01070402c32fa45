"""A handler that is called by code which an event loop runs already."""

from __future__ import annotations

import asyncio
import json

import pytest

from inngest_serverless import create_function, event_trigger, inngest_lambda

EVENT = {"name": "test/started", "data": {}}
CALL = {"ctx": {"run_id": "R", "attempt": 0, "max_attempts": 4}, "event": EVENT, "events": [EVENT], "steps": {}}
REQUEST = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "fnId=app-fn&stepId=step",
    "headers": {"host": "example.on.aws"},
    "requestContext": {"http": {"method": "POST"}, "domainName": "example.on.aws", "stage": "$default"},
    "body": json.dumps(CALL),
}


def handler(*, is_async):
    async def wait(ctx):
        return await ctx.step.run("s", lambda: 1)

    def run(ctx):
        return ctx.step.run("s", lambda: 1)

    declare = create_function(id="fn", trigger=event_trigger("test/started"))
    return inngest_lambda([declare(wait if is_async else run)], app_id="app", is_dev=True)


async def call_in_loop(handle):
    return handle(REQUEST, None)


async def call_in_thread(handle):
    return await asyncio.to_thread(handle, REQUEST, None)


@pytest.mark.filterwarnings("error")
def test_an_async_function_says_what_to_do_in_a_running_loop():
    reply = asyncio.run(call_in_loop(handler(is_async=True)))
    assert reply["statusCode"] == 500
    message = json.loads(reply["body"])["message"]
    assert "async function 'fn'" in message
    assert "asyncio.to_thread(handler, event, context)" in message


@pytest.mark.parametrize(("is_async", "call"), [(False, call_in_loop), (False, call_in_thread), (True, call_in_thread)])
def test_what_does_work_in_a_running_loop(is_async, call):
    assert asyncio.run(call(handler(is_async=is_async)))["statusCode"] == 206
