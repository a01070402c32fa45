"""The app that the exchanges in tests/golden/transcripts were recorded with, written for this package, in sync code.

Each transcript says in words what its function does. The module is also a Lambda handler: the real runtime loads it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from inngest_serverless import (
    Event,
    NonRetriableError,
    RetryAfterError,
    StepError,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless import Context, Function, Trigger

APP_ID = "rec"
BLOB_SIZE = 1_500_000
SMALL_BODY = 2_000


def recorded(
    function_id: str, *, name: str | None = None, on: str | Trigger = "", retries: int = 4
) -> Callable[[Callable[..., object]], Function]:
    """The declaration of a function, as dev-register.json has it: triggered by ``t/{id}`` unless it says otherwise."""
    trigger = event_trigger(on or f"t/{function_id}") if isinstance(on, str) else on
    return create_function(id=function_id, name=name, trigger=trigger, retries=retries)


def registered_only() -> list[Function]:
    """The functions that were registered, but none of whose calls were recorded."""
    retries = {"child-fails": 0, "invoke-fails": 0, "step-fails-uncaught": 0, "step-error-retry": 1}
    names = ["repeat-ids", "wait-timeout", "parallel-mixed", *retries]
    stubs = [recorded(name, retries=retries.get(name, 4))(lambda ctx: None) for name in names]
    return [*stubs, recorded("cron", on=cron_trigger("* * * * *"))(lambda ctx: None)]


def in_two_seconds() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=2)


def blob() -> str:
    return "x" * BLOB_SIZE


def second_value(first: str) -> dict[str, object]:
    return {"prev": first, "n": [1, 2.5, None, True, "é"]}


def flaky(attempt: int) -> int:
    if attempt == 0:
        raise RetryAfterError("come back", "1s")
    return attempt


def refuse() -> None:
    raise NonRetriableError("no step")


def notice(event: Event) -> dict[str, object]:
    return {"err": event.data["error"]["message"], "orig": event.data["event"]["name"]}


FAILURE_OF_ON_FAILURE = event_trigger("inngest/function.failed", "event.data.function_id == 'rec-on-failure'")
TWO_EVENTS = [Event("t/sent", {"a": 1}), {"name": "t/sent", "data": {"a": 2}}]


@recorded("no-steps")
def no_steps(ctx: Context) -> object:
    return {"hello": ctx.event.data["name"]}


@recorded("sequential")
def sequential(ctx: Context) -> object:
    first = ctx.step.run("first", lambda: "A")
    return [first, ctx.step.run("second", second_value, first)]


@recorded("sleep")
def sleep(ctx: Context) -> str:
    ctx.step.sleep("nap", "1s")
    ctx.step.sleep_until("until", in_two_seconds())
    return "woke"


@recorded("wait-match")
def wait_match(ctx: Context) -> object:
    found = ctx.step.wait_for_event(
        "wait", event="t/wait-match.reply", timeout="30s", if_exp="event.data.id == async.data.id"
    )
    return found and found.data


@recorded("child")
def child(ctx: Context) -> object:
    return {"child": ctx.step.run("c", lambda: ctx.event.data)}


@recorded("invoke")
def invoke(ctx: Context) -> object:
    return ctx.step.invoke("call-child", function=child, data={"q": 1})


@recorded("send-event")
def send_event(ctx: Context) -> object:
    return ctx.step.send_event("send", TWO_EVENTS)


@recorded("parallel")
def parallel(ctx: Context) -> int:
    numbers = ctx.group.parallel(
        [
            lambda: ctx.step.run("p1", lambda: 1),
            lambda: ctx.step.run("p2", lambda: 2),
            lambda: ctx.step.run("p3", lambda: 3),
        ]
    )
    return ctx.step.run("sum", sum, numbers)


@recorded("step-retry", retries=2)
def step_retry(ctx: Context) -> int:
    return ctx.step.run("flaky", flaky, ctx.attempt)


@recorded("step-fails", retries=0)
def step_fails(ctx: Context) -> object:
    try:
        return ctx.step.run("boom", lambda: 1 / 0)
    except StepError as error:
        undone = ctx.step.run("compensate", lambda: "undone")
        return {"caught": error.name, "message": error.message, "comp": undone}


@recorded("fn-retry", retries=2)
def fn_retry(ctx: Context) -> int:
    ctx.step.run("s", lambda: 1)
    if ctx.attempt == 0:
        raise RetryAfterError("again", "1s")
    return ctx.attempt


@recorded("fn-non-retriable", retries=3)
def fn_non_retriable(ctx: Context) -> None:
    raise NonRetriableError("no")


@recorded("step-non-retriable", retries=3)
def step_non_retriable(ctx: Context) -> None:
    ctx.step.run("nr", refuse)


@recorded("on-failure", retries=0)
def on_failure(ctx: Context) -> None:
    raise ValueError("main failed")


@recorded("on-failure-failure", name="on-failure (failure)", on=FAILURE_OF_ON_FAILURE, retries=0)
def on_failure_failure(ctx: Context) -> object:
    return ctx.step.run("notify", notice, ctx.event)


@recorded("batch")
def batch(ctx: Context) -> object:
    return [event.data["i"] for event in ctx.events]


@recorded("cancelled")
def cancelled(ctx: Context) -> None:
    ctx.step.run("before", lambda: 1)
    ctx.step.sleep("long", "60s")


@recorded("big-state")
def big_state(ctx: Context) -> object:
    return [len(ctx.step.run(f"blob-{number}", blob)) for number in range(4)]


@recorded("flow-control", name="Flow control", retries=5)
def flow_control(ctx: Context) -> int:
    return 1


@recorded("debounced")
def debounced(ctx: Context) -> object:
    return ctx.event.data


@recorded("rate-limited")
def rate_limited(ctx: Context) -> object:
    return ctx.event.data


@recorded("wait-in-try", on="t/wait-none")
def wait_in_try(ctx: Context) -> object:
    return ctx.step.run("none", lambda: None)


FUNCTIONS = [
    no_steps,
    sequential,
    sleep,
    wait_match,
    child,
    invoke,
    send_event,
    parallel,
    step_retry,
    step_fails,
    fn_retry,
    fn_non_retriable,
    step_non_retriable,
    on_failure,
    on_failure_failure,
    batch,
    cancelled,
    big_state,
    flow_control,
    debounced,
    rate_limited,
    wait_in_try,
    *registered_only(),
]

handler = inngest_lambda(FUNCTIONS, app_id=APP_ID)
handler_of_small_bodies = inngest_lambda(FUNCTIONS, app_id=APP_ID, max_body_size=SMALL_BODY)
