"""The app under attack: every kind of step, a wire that goes nowhere, and a record of what ran."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from pydantic import BaseModel

from inngest_serverless import (
    AsyncContext,
    Context,
    Event,
    create_function,
    event_trigger,
    inngest_gcf,
    inngest_gcf_async,
    inngest_lambda,
)
from inngest_serverless.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inngest_serverless.protocol.exchange import Outbound, OutboundReply

KEY = "signkey-test-" + "5eed" * 16
EVENT_KEY = "evt/5eed+key=="
APP_ID = "thylacine"
# Nothing of this is for strangers.
SECRETS = [KEY, KEY.removeprefix("signkey-test-"), EVENT_KEY, APP_ID]
STEPS = ["numbat", "potoroo", "bilby", "kowari", "dunnart", "quoll", "bettong"]
FUNCTIONS = ["quokka", "wombat", "pademelon"]
NAMES = [*STEPS, *FUNCTIONS]
ran: list[str] = []


class Wire:
    """Takes the place of all connections: notes what is sent, and answers with what is next."""

    sent: ClassVar[list[Outbound]] = []
    replies: ClassVar[list[OutboundReply]] = []

    def send(self, request: Outbound) -> OutboundReply:
        """Answer a request."""
        self.sent.append(request)
        if not self.replies:
            raise TransportError("no reply from nowhere")
        return self.replies.pop(0)

    async def send_async(self, request: Outbound) -> OutboundReply:
        """As ``send``."""
        return self.send(request)


class Animal(BaseModel):
    """The data of a typed event."""

    name: str
    legs: int = 4


class Seen(Event[Animal], name="animal/seen"):
    """A typed event."""


def note(step_id: str) -> str:
    """What all steps do."""
    ran.append(step_id)
    return step_id


def after_failure(ctx: Context) -> object:
    """Handle a failed run."""
    failure = ctx.failure
    return failure and [failure.error.name, failure.event.name, failure.run_id]


@create_function(id="quokka", trigger=event_trigger("animal/heard"), on_failure=after_failure)
def quokka(ctx: Context) -> object:
    """Every kind of step, in sync code."""
    step = ctx.step
    found = [step.run("numbat", note, "numbat"), step.sleep("potoroo", "1s")]
    event = step.wait_for_event("bilby", event="animal/seen", timeout="1h", match="data.name")
    signal = step.wait_for_signal("kowari", signal="tail/up", timeout="1h")
    invoked = step.invoke("dunnart", function=quokka, data=ctx.event.data)
    sent = step.send_event("quoll", [{"name": "animal/fed", "data": ctx.event.data}])
    reply = step.fetch("bettong", "https://example.com")
    events = [[each.name, each.data, each.user, each.id, each.ts, each.v] for each in ctx.events]
    return [found, event and event.data, signal and signal.data, invoked, sent, reply.body, events]


@create_function(id="wombat", trigger=event_trigger("animal/heard"))
async def wombat(ctx: AsyncContext) -> object:
    """Steps in parallel, in async code."""
    from asyncio import gather

    step = ctx.step
    return await gather(
        step.run("numbat", note, "numbat"),
        step.sleep("potoroo", "1s"),
        step.invoke("dunnart", function=quokka, data=ctx.event.data),
    )


@create_function(id="pademelon", trigger=event_trigger(Seen))
def pademelon(ctx: Context[Seen]) -> int:
    """A typed event, and a typed result."""
    return ctx.step.run("numbat", lambda: note("numbat") and ctx.event.data, output_type=Animal).legs


def hash_of(step_id: str) -> str:
    """The hash by which a memo is found."""
    return sha1(step_id.encode(), usedforsecurity=False).hexdigest()


def call(function: str) -> dict[str, Any]:
    """A call request that is in order, of a run that has come to its last step."""
    event = {"id": "01X", "name": "animal/heard", "data": {"name": "a", "legs": 4}, "user": {}, "ts": 1_700_000_000_000}
    memos = {
        "numbat": {"data": "numbat"},
        "potoroo": None,
        "bilby": {"name": "animal/seen", "data": {"name": "a"}},
        "kowari": {"data": {"signal": "tail/up", "data": 1}},
        "dunnart": {"error": {"name": "Error", "message": "no", "stack": "at home"}},
        "quoll": {"data": ["01E"]},
        "bettong": {"data": {"url": "", "status_code": 200, "headers": {}, "body": "b"}},
    }
    known = STEPS if function == "quokka" else []
    steps = {hash_of(step_id): memos[step_id] for step_id in known if step_id != "dunnart"}
    ctx = {"run_id": "01M80BSKFRBQGQHD4R1AG8CJ25", "attempt": 0, "max_attempts": 4, "env": "", "request_id": "01R"}
    stack = {"stack": [*steps], "current": len(steps)}
    flags = {"disable_immediate_execution": False, "use_api": False}
    return {"ctx": {**ctx, **flags, "stack": stack}, "event": event, "events": [event], "steps": steps, "version": 2}


@contextmanager
def _environment() -> Iterator[None]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("INNGEST_", "K_SERVICE"))}
    # Only the environment's own: what is asked for a dev server is not under attack here.
    with (
        patch.dict(os.environ, {**ours, "INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": EVENT_KEY}, clear=True),
        patch("inngest_serverless.running.Transport", Wire),
    ):
        yield


@cache
def handler(kind: str) -> Callable[..., Any]:
    """The handler for a platform: ``"lambda"``, ``"flask"`` or ``"starlette"``."""
    make: Any = {"lambda": inngest_lambda, "flask": inngest_gcf, "starlette": inngest_gcf_async}[kind]
    with _environment():
        return make([quokka, wombat, pademelon], app_id=APP_ID)  # type: ignore[no-any-return]


def reset() -> None:
    """Forget what ran and what was sent."""
    ran.clear()
    Wire.sent.clear()
    Wire.replies.clear()
