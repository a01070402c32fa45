"""Running functions to their end: what goes in, and what comes out."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from kit_app import Order, OrderPlaced, Receipt, function, order, steps

from inngest_serverless import (
    Batch,
    ConfigurationError,
    Debounce,
    Event,
    InngestError,
    NonRetriableError,
    RateLimit,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_gcf,
    inngest_gcf_async,
    inngest_lambda,
)
from inngest_serverless.local.engine import EngineError
from inngest_serverless.testing import Fault, NotReachedError, RunError, Session, assert_deterministic, run

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def nightly(function_id):
    return create_function(id=function_id, trigger=cron_trigger("0 3 * * *"))(lambda ctx: 1)


def charged(ctx) -> Receipt:
    return ctx.step.run("charge", lambda: Receipt(order=ctx.event.data.id, total=ctx.event.data.total))


async def charged_async(ctx) -> Receipt:
    def charge() -> Receipt:
        return Receipt(order=ctx.event.data.id, total=ctx.event.data.total)

    return await ctx.step.run("charge", charge)


@pytest.mark.parametrize("body", [charged, charged_async])
@pytest.mark.parametrize(
    "make",
    [lambda fn: fn, lambda fn: [fn], lambda fn: inngest_lambda([fn], app_id="shop")],
    ids=["one", "list", "lambda"],
)
def test_a_run(body, make):
    fn = function(body)
    result = run(make(fn), order(), function=fn)
    assert (result.status, result.error, result.steps, result.calls) == ("completed", None, ("charge",), 2)
    assert result.output == Receipt(order="a-17", total=5)
    assert result.step("charge").output == {"order": "a-17", "total": 5}
    assert [moment.kind for moment in result.timeline] == ["Started", "StepRun", "Returned"]


@pytest.mark.parametrize("body", [charged, charged_async])
@pytest.mark.parametrize("make", [inngest_lambda, inngest_gcf, inngest_gcf_async])
def test_handlers_of_all_kinds_whatever_they_were_set_up_for(make, body):
    """The settings are those of production: keys, a path and addresses, in the environment and as options."""
    handler = make(
        [function(body)], app_id="shop", signing_key="signkey-prod-00", event_key="x", serve_path="/p", env="b"
    )
    result = run(handler, {"name": "shop/order.placed", "data": {"id": "b-1", "total": 2}})
    assert (result.function_id, result.output) == ("shop-fn", Receipt(order="b-1", total=2))


def test_a_week_takes_no_time():
    fn = function(lambda ctx: ctx.step.sleep("nap", "1w"))
    began = time.perf_counter()
    result = run(fn, order(), at=AT)
    assert result.timeline[-1].at_ms - result.timeline[0].at_ms == timedelta(weeks=1) / timedelta(milliseconds=1)
    assert result.timeline[0].at_ms == AT.timestamp() * 1000
    assert time.perf_counter() - began < 60, "it slept"


def test_events_of_every_form():
    fn = function(lambda ctx: [type(ctx.event).__name__, ctx.event.data.id, ctx.event.id, ctx.event.user])
    plain = {"name": "shop/order.placed", "data": {"id": "x", "total": 1}, "id": "e-1", "user": {"a": 1}}
    assert run(fn, plain).output == ["OrderPlaced", "x", "e-1", {"a": 1}]
    assert run(fn, Event("shop/order.placed", {"id": "x", "total": 1}, id="e")).output[:3] == ["OrderPlaced", "x", "e"]
    assert run(fn, OrderPlaced(data=Order(id="x", total=1), id="e")).output[:3] == ["OrderPlaced", "x", "e"]


def test_a_failed_run():
    def body(ctx):
        raise ValueError("no stock")

    result = run(function(body, retries=2), order())
    assert (result.status, result.output, result.calls) == ("failed", None, 3)
    assert result.error == RunError("ValueError", "no stock")
    assert "test_kit_runs.py" in result.error.stack
    assert "ValueError: no stock" in repr(result) + result.describe()


def test_tries_of_a_step_are_counted():
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("busy")
        return "ok"

    result = run(function(lambda ctx: ctx.step.run("call", flaky)), order())
    assert (result.output, result.step("call").attempts, len(tries)) == ("ok", 3, 3)


def test_steps_of_the_same_id():
    def body(ctx):
        return [ctx.step.run("page", lambda n=n: n) for n in range(3)]

    result = run(function(body), order())
    assert result.steps == ("page", "page", "page")
    assert [result.step("page", index).output for index in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="no use 3 of step 'page' has finished; finished are 'page'"):
        result.step("page", 3)
    with pytest.raises(KeyError, match="no step 'pgae' has finished; finished are 'page'"):
        result.step("pgae")


def test_a_function_that_catches_a_failed_step():
    def fail():
        raise NonRetriableError("declined")

    def body(ctx):
        try:
            ctx.step.run("charge", fail)
        except Exception as error:  # noqa: BLE001 - what is raised is what is asked
            return f"{type(error).__name__}: {error}"

    result = run(function(body), order())
    assert result.output == "StepError: declined"
    assert result.step("charge").error == RunError("NonRetriableError", "declined")
    assert result.step("charge").output is None


def test_the_failure_handler_runs_to_its_end():
    told = []

    def failed(ctx):
        ctx.step.sleep("calm-down", "1h")
        return ctx.step.run("tell", lambda: told.append(ctx.failure.error.message) or ctx.failure.event.data.id)

    def body(ctx):
        raise NonRetriableError("no stock")

    result = run(function(body, on_failure=failed), order())
    assert (result.status, told) == ("failed", ["no stock"])
    assert (result.failure_handler.status, result.failure_handler.output) == ("completed", "a-17")
    assert run(steps("a"), order()).failure_handler is None


def test_invoked_functions_are_served_beside():
    child = function(lambda ctx: {"got": ctx.event.data["n"]}, "child", trigger=event_trigger("never/sent"))
    parent = function(lambda ctx: ctx.step.invoke("ask", function=child, data={"n": 3}))
    assert run([parent, child], order()).output == {"got": 3}
    with Session() as session:
        session.serve(child)
        assert session.run(parent, order()).output == {"got": 3}


def test_a_function_that_is_invoked_and_not_served():
    """The one that invokes it has nearly the same name, but nobody means to invoke that."""
    g = function(lambda ctx: 1, "g")
    result = run(function(lambda ctx: ctx.step.invoke("ask", function=g), "f"), order())
    told = "could not find function with ID: test-g; step 'ask' of 'test-f' invokes it, and a test serves what it is"
    assert result.error.message.startswith(told)
    assert "run([f, g], ...) serves both" in result.error.message
    assert "Invoked 'ask' (no function 'test-g' is served; known are test-f)" in result.describe()


def test_events_of_the_servers_own():
    """A test may start a function with one; its code can no more send one than in production."""
    name = "inngest/function.cancelled"
    watcher = create_function(id="watcher", trigger=event_trigger(name))(lambda ctx: ctx.event.data["run_id"])
    assert run(watcher, Event(name, {"run_id": "r-1"})).output == "r-1"
    sender = function(lambda ctx: ctx.step.send_event("tell", Event(name)), retries=0)
    with Session() as session:
        session.serve(watcher)
        result = session.run(sender, order())
        assert f"event name is reserved for internal use: {name}" in result.error.message
        assert [each.function_id for each in session.runs] == ["test-fn"]
        session.send(Event(name, {"run_id": "r-2"}))
        assert session.finish_all()[-1].output == "r-2"


def test_a_function_by_its_schedule():
    fn = create_function(id="nightly", trigger=cron_trigger("0 3 * * *"))(lambda ctx: [ctx.event.name, ctx.event.data])
    assert run(fn).output == ["inngest/scheduled.timer", {"cron": "0 3 * * *"}]


def test_schedules_are_kept_where_they_are_wanted():
    fn = create_function(id="nightly", trigger=cron_trigger("0 3 * * *"))(lambda ctx: 1)
    with Session(crons=True, at=AT) as session:
        session.serve(fn)
        session.advance("3d")
        assert len(session.runs) == 3
        assert session.now == AT + timedelta(days=3)
    with Session(at=AT) as session:
        session.serve(fn)
        session.advance("3d")
        assert session.runs == ()


def test_a_batch():
    fn = function(lambda ctx: [event.data.id for event in ctx.events], batch_events=Batch(max_size=3, timeout="30s"))
    assert run(fn, [order("a"), order("b"), order("c")]).output == ["a", "b", "c"]
    assert run(fn, [order("a"), order("b")]).output == ["a", "b"], "a batch ends by its timeout too"
    assert run(fn, order("a")).output == ["a"]


def test_a_debounced_function():
    fn = function(lambda ctx: ctx.event.data.id, debounce=Debounce(period="5m"))
    assert run(fn, order(), at=AT).output == "a-17"


def test_events_that_are_sent():
    def body(ctx):
        ctx.step.send_event("tell", [{"name": "shop/paid", "data": {"n": 1}}, {"name": "shop/packed"}])

    result = run(function(body), order(), at=AT)
    assert [(event.name, event.data) for event in result.sent] == [("shop/paid", {"n": 1}), ("shop/packed", {})]
    assert {event.ts for event in result.sent} == {AT.timestamp() * 1000}, "they are of the engine's time"


def test_which_function_is_meant():
    handler = inngest_lambda([steps("a", function_id="one"), steps("b", function_id="two")], app_id="the-shop")
    assert run(handler, order()).function_id == "the-shop-one"
    assert run(handler, order(), function="two").output == ["B"]
    assert run(handler, order(), function="the-shop-two").output == ["B"]
    with pytest.raises(
        ConfigurationError, match="no function 'shop-two' in the app; there are 'the-shop-one', 'the-sh"
    ):
        run(handler, order(), function="shop-two")


@pytest.mark.parametrize(
    ("target", "event", "message"),
    [
        (
            steps("a"),
            Event("shop/other"),
            "'shop/other' starts no run of function 'test-fn': .* event 'shop/order.placed'",
        ),
        (steps("a"), None, "^function 'test-fn' has no schedule: give an event, shop/order.placed$"),
        (
            [nightly("one"), nightly("two")],
            None,
            "by its schedule, and function 'test-one', 'test-two' have one: say which one, by function=$",
        ),
        (
            steps("a", trigger=event_trigger(OrderPlaced, expression="event.data.total > 9")),
            order(),
            "starts no run .* event 'shop/order.placed' if event.data.total > 9",
        ),
        (steps("a"), "shop/order.placed", "an event is an Event or a mapping"),
        (steps("a"), [order(), order()], "takes one event at a time: give one, or declare it with batch_events"),
        (3, order(), "int cannot be run: give a function made by create_function"),
        ([charged], order(), "charged cannot be run"),
        ([], order(), "there are no functions"),
    ],
)
def test_what_cannot_be_run_says_why(target, event, message):
    with pytest.raises(InngestError, match=message):
        run(target, event)


def test_a_run_that_flow_control_leaves_out_says_why():
    with Session() as session:
        fn = steps("a", rate_limit=RateLimit(limit=1, period="1h"))
        session.run(fn, order())
        with pytest.raises(EngineError, match=r"starts no run of function 'test-fn': skipped: .*rate limit"):
            session.run(fn, order())
        session.advance("2h")
        assert session.run(fn, order()).status == "completed"


def test_async_tests_may_run_async_functions():
    async def main():
        return run(function(charged_async), order()).output

    assert asyncio.run(main()) == Receipt(order="a-17", total=5)


def test_the_same_seed_gives_the_same_ids():
    results = [run(steps("a"), order(), seed=seed, at=AT).run_id for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_requests_are_made_by_whoever_is_given():
    from inngest_serverless.local.gateway import HttpReply

    fn = function(lambda ctx: ctx.step.fetch("ask", "https://example.com/x").body)
    asked = []

    def fetch(method, url, headers, body):
        asked.append((method, url))
        return HttpReply(200, {}, b"hello")

    assert run(fn, order(), fetch=fetch).output == "hello"
    assert asked == [("GET", "https://example.com/x")]
    with pytest.raises(EngineError, match=r"step 'ask' .* asks for a request, .* mock_step\('ask', \.\.\.\)"):
        run(fn, order())


def test_what_the_handler_raises_comes_through():
    def handler(event, context):
        raise RuntimeError("broken on the way up")

    with pytest.raises(RuntimeError, match="broken on the way up"):
        run(handler, order())


def test_a_handler_of_something_else_cannot_be_synced():
    with pytest.raises(ConfigurationError, match="the app cannot be synced"):
        run(lambda event, context: {"statusCode": 404, "body": "no such page"}, order())


def test_a_big_state_is_fetched_from_the_engine():
    def body(ctx):
        return len("".join(ctx.step.run(f"page-{n}", lambda: "x" * 1_500_000) for n in range(4)))

    assert run(function(body), order()).output == 6_000_000


def logging_steps(ctx):
    ctx.logger.info("begins")
    ctx.step.run("a", lambda: ctx.logger.info("in a"))
    ctx.logger.info("after a")
    ctx.step.run("b", lambda: ctx.logger.info("in b"))
    ctx.logger.info("ends")


@pytest.mark.parametrize(
    ("options", "silent"),
    [
        ({}, set()),
        ({"mocks": {"a": None}}, {"in a"}),
        ({"mocks": {"b": None}}, {"in b"}),
        ({"mocks": {"a": None, "b": None}}, {"in a", "in b"}),
        ({"faults": Fault.kill_before("nothing"), "expect": NotReachedError}, set()),
    ],
)
def test_each_line_is_logged_once(caplog, options, silent):
    expected = options.pop("expect", None)
    with caplog.at_level("INFO"), pytest.raises(expected) if expected else nullcontext():
        run(function(logging_steps), order(), **options)
    lines = ["begins", "in a", "after a", "in b", "ends"]
    assert [record.getMessage() for record in caplog.records] == [line for line in lines if line not in silent]


def test_each_line_is_logged_once_while_replays_are_compared(caplog):
    with caplog.at_level("INFO"):
        assert_deterministic(function(logging_steps), order(), processes=0)
    assert [record.getMessage() for record in caplog.records] == ["begins", "in a", "after a", "in b", "ends"]


def test_what_is_logged_before_an_error_is_not_lost(caplog):
    def handler(event, context):
        if "fnId" in event["rawQueryString"] and event["requestContext"]["http"]["method"] == "POST":
            logging.getLogger("shop").warning("about to break")
            raise RuntimeError("broken")
        return inner(event, context)

    inner = inngest_lambda([steps("a")], app_id="shop")
    with caplog.at_level("INFO"), pytest.raises(RuntimeError, match="broken"):
        run(handler, order(), mocks={"a": 1})
    assert [record.getMessage() for record in caplog.records] == ["about to break"]
