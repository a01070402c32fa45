"""Runs with middleware, and middleware that notes what is called."""

from __future__ import annotations

import asyncio
import json

import pytest
from engine_server import Server, hash_of

from inngest_serverless import Middleware, inngest_lambda

HOOKS = [
    "transform_input",
    "after_memoization",
    "before_execution",
    "after_execution",
    "transform_output",
    "before_response",
]
# Of a call that only reports steps for the server.
PLANNING = [hook for hook in HOOKS if hook != "transform_output"]
BACKWARDS = {"after_execution", "transform_output"}


class Hooked(Server):
    """One run of a function that is served with middleware.

    Args:
        middleware: The app's.
        headers: Headers of every call.
        **options: Of the handler.
    """

    def __init__(self, fn, *, middleware=(), headers=None, data=None, events=None, results=None, **options):
        super().__init__(fn, data=data, events=events, results=results)
        serve = inngest_lambda([fn], **{"app_id": "app", "is_dev": True, "middleware": middleware, **options})
        self.handler = lambda event, context: serve({**event, "headers": event["headers"] | (headers or {})}, context)

    def call_for(self, step_id, **options):
        """A call for one step."""
        return self.call(hash_of(step_id), **options)

    def call_with(self, event):
        """The first call of a run that another event has started."""
        self.event = event
        return self.call()


class Noting(Middleware):
    """Notes the names of its hooks."""

    def __init__(self, log, name=""):
        self.log, self.name = log, name

    def note(self, hook):
        self.log.append(f"{self.name}.{hook}" if self.name else hook)

    def transform_input(self, call):
        self.note("transform_input")

    def after_memoization(self):
        self.note("after_memoization")

    def before_execution(self):
        self.note("before_execution")

    def after_execution(self):
        self.note("after_execution")

    def transform_output(self, output):
        self.note("transform_output")

    def before_response(self):
        self.note("before_response")

    def before_send_events(self, events):
        self.note("before_send_events")

    def after_send_events(self, ids, error):
        self.note("after_send_events")


class NotingLater(Noting):
    """The same with coroutine functions, which take their time."""

    async def _note(self, hook):
        await asyncio.sleep(0.001)
        self.note(hook)

    async def transform_input(self, call):
        await self._note("transform_input")

    async def after_memoization(self):
        await self._note("after_memoization")

    async def before_execution(self):
        await self._note("before_execution")

    async def after_execution(self):
        await self._note("after_execution")

    async def transform_output(self, output):
        await self._note("transform_output")

    async def before_response(self):
        await self._note("before_response")

    async def before_send_events(self, events):
        await self._note("before_send_events")

    async def after_send_events(self, ids, error):
        await self._note("after_send_events")


def acting(**hooks):
    """A middleware with these functions as hooks."""
    made = Middleware()
    for name, hook in hooks.items():
        assert hasattr(made, name)
        setattr(made, name, hook)
    return made


def raising(hook, error, *, late=False):
    """A middleware whose hook raises."""

    def fail(*_args):
        raise error

    async def fail_later(*_args):
        await asyncio.sleep(0.001)
        raise error

    return acting(**{hook: fail_later if late else fail})


def memo(call, step_id):
    return call.memos[hash_of(step_id)]


def steps_of(answer):
    """What a report says of steps, by their ID."""
    assert answer.status == 206, answer
    return {op["userland"]["id"]: op for op in answer.json}


def dumped(value):
    return json.dumps(value, sort_keys=True)


all_kinds = pytest.mark.parametrize(
    ("kind", "noting"), [("sync", Noting), ("async", Noting), ("async", NotingLater)], ids=["sync", "async", "awaited"]
)
