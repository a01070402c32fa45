"""What is wrong about declarations."""

from __future__ import annotations

from shop import AccountCreated

from inngest_serverless import (
    Batch,
    Cancel,
    Concurrency,
    Context,
    Debounce,
    Function,
    Priority,
    RateLimit,
    RetryAfterError,
    Singleton,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)


@create_function(id="fn", trigger=event_trigger("x"))
def declared(ctx: Context) -> str:
    return ""


@create_function(id="fn", trigger=event_trigger("x"))  # E: Context
def without_context() -> str:
    return ""


@create_function(id="fn", trigger=event_trigger("x"))  # E: Context
def with_another_argument(ctx: int) -> str:
    return ""


wrong: Function[int] = declared  # E: str
create_function("fn", trigger=event_trigger("x"))  # E: positional
create_function(id="fn")  # E: trigger
create_function(id="fn", trigger="x")  # E: str
create_function(id="fn", trigger=AccountCreated)  # E: AccountCreated
create_function(id=5, trigger=cron_trigger("0 0 * * *"))  # E: "id"
create_function(id="fn", trigger=event_trigger("x"), retries="4")  # E: "retries"
create_function(id="fn", trigger=event_trigger("x"), concurrency="5")  # E: str
create_function(id="fn", trigger=event_trigger("x"), concurrency=[5])  # E: int
create_function(id="fn", trigger=event_trigger("x"), throttle=RateLimit(1, "1m"))  # E: RateLimit
create_function(id="fn", trigger=event_trigger("x"), rate_limit=Throttle(1, "1m"))  # E: Throttle
create_function(id="fn", trigger=event_trigger("x"), batch_events=10)  # E: "batch_events"
create_function(id="fn", trigger=event_trigger("x"), cancel="x")  # E: str
create_function(id="fn", trigger=event_trigger("x"), singleton="skip")  # E: "singleton"
create_function(id="fn", trigger=event_trigger("x"), idempotency=5)  # E: "idempotency"
create_function(id="fn", trigger=event_trigger("x"), on_failure="handler")  # E: "on_failure"
create_function(id="fn", trigger=event_trigger("x"), on_failure=declared)  # E: Function
create_function(id="fn", trigger=event_trigger("x"), concurency=5)  # E: concurency
Concurrency("5")  # E: "int"
Concurrency(1, scope="all")  # E: scope
Throttle(1)  # E: period
Throttle(1, 1.5)  # E: float
RateLimit(1, "1m", 2)  # E: "str | None"
Debounce(None)  # E: None
Priority(120)  # E: "str"
Batch("10")  # E: "int"
Cancel(5)  # E: "str"
Singleton("stop")  # E: stop
Singleton()  # E: mode
Timeouts(1.5)  # E: float
RetryAfterError("later")  # E: retry_after
inngest_lambda(declared, app_id="core")  # E: Function
inngest_lambda([len], app_id="core")  # E: list
