"""The app that the exchanges in tests/golden/transcripts were recorded with, written for this package, in sync code.

Each transcript says in words what its function does. The module is also a Lambda handler: the real runtime loads it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from inngest_serverless import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Event,
    NonRetriableError,
    Priority,
    RateLimit,
    RetryAfterError,
    RunFailure,
    Singleton,
    StepError,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless import Context, Function

APP_ID = "rec"
BLOB_SIZE = 1_500_000
SMALL_BODY = 2_000


OPTIONS: dict[str, dict[str, Any]] = {
    "step-retry": {"retries": 2},
    "step-fails": {"retries": 0},
    "fn-retry": {"retries": 2},
    "fn-non-retriable": {"retries": 3},
    "step-non-retriable": {"retries": 3},
    "on-failure": {"retries": 0},
    "wait-in-try": {"trigger": event_trigger("t/wait-none")},
    "batch": {"batch_events": Batch(3, timeout="5s")},
    "cancelled": {"cancel": Cancel("t/cancel", if_exp="event.data.id == async.data.id")},
    "debounced": {"debounce": Debounce("2s", key="event.data.k", timeout="10s")},
    "rate-limited": {"rate_limit": RateLimit(1, "1m", key="event.data.k")},
    "flow-control": {
        "name": "Flow control",
        "retries": 5,
        "idempotency": "event.data.k",
        "concurrency": Concurrency(2, key="event.data.k", scope="fn"),
        "priority": Priority("event.data.p"),
        "throttle": Throttle(10, "1m", burst=2, key="event.data.k"),
        "singleton": Singleton("skip", key="event.data.k"),
        "timeouts": Timeouts(start="1h", finish="2h"),
    },
    "cron": {"trigger": cron_trigger("* * * * *")},
    "child-fails": {"retries": 0},
    "invoke-fails": {"retries": 0},
    "step-fails-uncaught": {"retries": 0},
    "step-error-retry": {"retries": 1},
}
REGISTERED_ONLY = [
    *("repeat-ids", "wait-timeout", "parallel-mixed", "cron"),
    *("child-fails", "invoke-fails", "step-fails-uncaught", "step-error-retry"),
]
TWO_EVENTS = [Event("t/sent", {"a": 1}), {"name": "t/sent", "data": {"a": 2}}]


def recorded(function_id: str, **options: Any) -> Callable[[Callable[..., object]], Function]:
    """The declaration of a function, as dev-register.json has it: triggered by ``t/{id}`` unless it says otherwise."""
    return create_function(
        id=function_id, **{"trigger": event_trigger(f"t/{function_id}"), **OPTIONS.get(function_id, {}), **options}
    )


def registered_only() -> list[Function]:
    """The functions that were registered, but none of whose calls were recorded."""
    return [recorded(function_id)(lambda ctx: None) for function_id in REGISTERED_ONLY]


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


def notice(failure: RunFailure) -> dict[str, object]:
    return {"err": failure.error.message, "orig": failure.event.name}


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


@recorded("step-retry")
def step_retry(ctx: Context) -> int:
    return ctx.step.run("flaky", flaky, ctx.attempt)


@recorded("step-fails")
def step_fails(ctx: Context) -> object:
    try:
        return ctx.step.run("boom", lambda: 1 / 0)
    except StepError as error:
        undone = ctx.step.run("compensate", lambda: "undone")
        return {"caught": error.name, "message": error.message, "comp": undone}


@recorded("fn-retry")
def fn_retry(ctx: Context) -> int:
    ctx.step.run("s", lambda: 1)
    if ctx.attempt == 0:
        raise RetryAfterError("again", "1s")
    return ctx.attempt


@recorded("fn-non-retriable")
def fn_non_retriable(ctx: Context) -> None:
    raise NonRetriableError("no")


@recorded("step-non-retriable")
def step_non_retriable(ctx: Context) -> None:
    ctx.step.run("nr", refuse)


def after_failure(ctx: Context) -> object:
    return ctx.step.run("notify", notice, ctx.failure)


@recorded("on-failure", on_failure=after_failure)
def on_failure(ctx: Context) -> None:
    raise ValueError("main failed")


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


@recorded("flow-control")
def flow_control(ctx: Context) -> int:
    return 1


@recorded("debounced")
def debounced(ctx: Context) -> object:
    return ctx.event.data


@recorded("rate-limited")
def rate_limited(ctx: Context) -> object:
    return ctx.event.data


@recorded("wait-in-try")
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
