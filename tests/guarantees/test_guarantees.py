"""Each sentence of docs/guarantees.md with a number: a test of that number, which fails without it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from inngest_serverless import (
    Event,
    NonRetriableError,
    StepError,
    create_function,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.testing import Fault, Session, run, start

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"


class Bodies:
    """Counts what runs."""

    def __init__(self):
        self.ran = []

    def run(self, name, value=None):
        self.ran.append(name)
        return f"{name} {len(self.ran)}" if value is None else value

    def fail(self, name, error):
        self.ran.append(name)
        raise error


@pytest.fixture
def bodies():
    return Bodies()


@pytest.fixture(params=["sync", "async"])
def function(request):
    """Makes a function of steps: each a name, and what runs it; sync or async."""

    def make(*steps, **options):
        def sync(ctx):
            return [ctx.step.run(name, *body) for name, *body in steps]

        async def coroutine(ctx):
            return [await ctx.step.run(name, *body) for name, *body in steps]

        declare = create_function(id="fn", trigger=event_trigger("go"), **options)
        return declare(sync if request.param == "sync" else coroutine)

    return make


GO = {"name": "go", "data": {}}


def test_g1_a_body_runs_before_its_result_is_used(function, bodies):
    result = run(function(("a", bodies.run, "a"), ("b", bodies.run, "b")), GO)
    assert (result.output, bodies.ran) == (["a 1", "b 2"], ["a", "b"])


def test_g2_a_success_is_recorded_once(function, bodies):
    """The body of a runs twice and says something else each time; the function gets one of the two, always the same."""
    faults = [Fault.drop_reply("a"), Fault.drop_reply("b")]
    result = run(function(("a", bodies.run, "a"), ("b", bodies.run, "b"), ("c", bodies.run, "c")), GO, faults=faults)
    assert bodies.ran == ["a", "a", "b", "b", "c"]
    assert result.output == ["a 2", "b 4", "c 5"]
    assert [result.step(name).output for name in "abc"] == result.output


def test_g3_what_is_recorded_does_not_run_again(function, bodies):
    steps = [("a", bodies.run, "a"), ("b", bodies.fail, "b", ValueError("no"))]
    result = run(function(*steps, retries=3), GO)
    assert result.status == "failed"
    assert bodies.ran == ["a", "b", "b", "b", "b"]


def test_g4_a_call_runs_one_body(function, bodies):
    result = run(function(*[(name, bodies.run, name) for name in "abcd"]), GO)
    assert (len(bodies.ran), result.calls) == (4, 5)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_g5_a_step_that_raises_is_tried_again(bodies, retries):
    @create_function(id="fn", trigger=event_trigger("go"), retries=retries)
    def caught(ctx):
        try:
            ctx.step.run("a", bodies.fail, "a", ValueError("no"))
        except StepError as error:
            return [error.name, error.message]

    assert run(caught, GO).output == ["ValueError", "no"]
    assert len(bodies.ran) == retries + 1


def test_g6_a_non_retriable_error_is_final(function, bodies):
    result = run(function(("a", bodies.fail, "a", NonRetriableError("never"))), GO)
    assert (result.status, result.error.message, bodies.ran) == ("failed", "never", ["a"])


def test_g7_a_result_is_what_json_makes_of_it(bodies):
    seen = []

    @create_function(id="fn", trigger=event_trigger("go"))
    def look(ctx):
        seen.append(ctx.step.run("a", lambda: {1: (2, 3.0)}))
        ctx.step.run("b", bodies.run, "b")

    run(look, GO)
    assert len(seen) >= 2
    assert all(value == {"1": [2, 3.0]} and type(value["1"]) is list for value in seen)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_g8_a_parallel_step_fails_by_itself(bodies, kind):
    def flaky(name):
        bodies.ran.append(name)
        if bodies.ran.count(name) == 1 and name == "b":
            raise ValueError("once")
        return name

    declare = create_function(id="fn", trigger=event_trigger("go"))

    def sync(ctx):
        return list(ctx.group.parallel([lambda name=name: ctx.step.run(name, flaky, name) for name in "abc"]))

    async def coroutine(ctx):
        return await asyncio.gather(*[ctx.step.run(name, flaky, name) for name in "abc"])

    assert run(declare(sync if kind == "sync" else coroutine), GO).output == ["a", "b", "c"]
    assert sorted(bodies.ran) == ["a", "b", "b", "c"]


def test_g9_who_dies_before_the_body_is_called_again(function, bodies):
    result = run(function(("a", bodies.run, "a")), GO, faults=Fault.kill_before("a"))
    assert (result.output, bodies.ran) == (["a 1"], ["a"])


@pytest.mark.parametrize("fault", [Fault.kill_after("a"), Fault.drop_reply("a")], ids=["killed", "reply lost"])
def test_g10_who_dies_after_the_body_runs_it_again(function, bodies, fault):
    result = run(function(("a", bodies.run, "a")), GO, faults=fault)
    assert (result.output, bodies.ran) == (["a 2"], ["a", "a"])


def test_g11_of_a_call_delivered_twice_one_result_counts(function, bodies):
    result = run(function(("a", bodies.run, "a"), ("b", bodies.run, "b")), GO, faults=Fault.duplicate("a"))
    assert bodies.ran == ["a", "a", "b"]
    assert result.output == [result.step("a").output, "b 3"]
    assert result.steps == ("a", "b")


def test_g11_a_late_copy_of_a_call_runs_nothing(bodies):
    """The copy of a call for one of two parallel steps arrives when both are recorded."""
    from inngest_serverless.protocol.step_ids import hash_id

    @create_function(id="fn", trigger=event_trigger("go"))
    def pair(ctx):
        both = ctx.group.parallel([lambda name=name: ctx.step.run(name, bodies.run, name) for name in "ab"])
        ctx.step.run("after", bodies.run, "after")
        return list(both)

    from inngest_serverless.local.endpoints import lambda_endpoint

    handle = inngest_lambda([pair], app_id="app", is_dev=True)
    endpoint = lambda_endpoint(lambda event: handle(event, None))
    memos = {hash_id(name): {"data": name} for name in "ab"}
    body = _call_body(memos)
    reply = endpoint("POST", f"https://app.example.com/api?fnId=app-fn&stepId={hash_id('a')}", {}, body)
    assert (reply.status, bodies.ran) == (206, [])
    assert b'"StepPlanned"' in reply.body


def _call_body(memos):
    import json

    ctx = {"run_id": "R", "attempt": 0, "max_attempts": 4, "stack": {"stack": [*memos], "current": len(memos)}}
    return json.dumps({"ctx": ctx, "event": GO, "events": [GO], "steps": memos}).encode()


@pytest.mark.parametrize("fault", [Fault.kill_before, Fault.kill_after, Fault.drop_reply])
def test_g12_a_call_that_dies_counts_as_a_try(function, bodies, fault):
    result = run(function(("a", bodies.run, "a"), retries=1), GO, faults=fault("a", times=2))
    assert result.status == "failed"
    assert run(function(("a", bodies.run, "a"), retries=2), GO, faults=fault("a", times=2)).status == "completed"


def test_g13_code_outside_of_steps_runs_in_every_call(bodies):
    @create_function(id="fn", trigger=event_trigger("go"))
    def outside(ctx):
        bodies.run("outside")
        ctx.step.run("a", bodies.run, "a")
        ctx.step.sleep("nap", "1h")

    assert run(outside, GO).calls == bodies.ran.count("outside") == 3


def test_g14_an_event_id_starts_a_function_once_a_day(function, bodies):
    session = Session()
    session.serve(function(("a", bodies.run, "a")))
    for gap in ("23h", "2h", "0s"):
        session.send({**GO, "id": "order-1"})
        session.advance(gap)
    session.finish_all()
    assert bodies.ran == ["a", "a"]


def test_g15_events_of_a_step_keep_their_ids(bodies):
    @create_function(id="teller", trigger=event_trigger("go"))
    def teller(ctx):
        return ctx.step.send_event("tell", [Event("told", {"n": n}) for n in range(2)])

    @create_function(id="listener", trigger=event_trigger("told"))
    def listener(ctx):
        ctx.step.run("hear", bodies.run, str(ctx.event.data["n"]))

    session = Session()
    result = session.run([teller, listener], GO, function=teller, faults=Fault.drop_reply("tell"))
    session.finish_all()
    sent = [event.id for event in session.sent if event.name == "told"]
    assert [str(fault) for fault in result.faults], "the step ran twice"
    assert sent == result.output, "what was sent again is not another event"
    assert sorted(bodies.ran) == ["0", "1"]


def test_g16_a_cancelled_run_makes_no_further_call(bodies):
    @create_function(id="fn", trigger=event_trigger("go"))
    def nap(ctx):
        ctx.step.sleep("nap", "1h")
        ctx.step.run("a", bodies.run, "a")

    under_way = start(nap, GO)
    calls = under_way.result.calls
    under_way.cancel()
    under_way.advance("2h")
    assert (under_way.status, under_way.result.calls, bodies.ran) == ("cancelled", calls, [])


def test_g16_a_body_that_runs_at_that_moment_ends_for_nothing(bodies):
    under_way = None

    def body():
        under_way.session.engine.cancel(under_way.result.run_id)
        return bodies.run("a")

    @create_function(id="fn", trigger=event_trigger("go"))
    def long(ctx):
        ctx.step.sleep("nap", "1m")
        ctx.step.run("a", body)
        ctx.step.run("b", bodies.run, "b")

    under_way = start(long, GO)
    under_way.advance("1h")
    assert (under_way.status, bodies.ran) == ("cancelled", ["a"])


@pytest.mark.parametrize(("ends", "handled"), [("fails", True), ("cancelled", False)])
def test_g17_a_failure_is_handled_and_a_cancellation_is_not(bodies, ends, handled):
    @create_function(
        id="fn",
        trigger=event_trigger("go"),
        retries=0,
        on_failure=lambda ctx: ctx.step.run("handle", bodies.run, "handled"),
    )
    def fails(ctx):
        ctx.step.sleep("nap", "1h")
        raise ValueError("no")

    under_way = start(fails, GO)
    if ends == "cancelled":
        under_way.cancel()
    under_way.finish()
    assert bodies.ran == (["handled"] if handled else [])


def test_every_sentence_has_its_test():
    promised = re.findall(r"^- \*\*G(\d+)\*\*", PAGE.read_text("utf-8"), re.MULTILINE)
    tested = set(re.findall(r"^def test_g(\d+)_", Path(__file__).read_text("utf-8"), re.MULTILINE))
    assert promised == [str(number + 1) for number in range(len(promised))], "number the sentences in their order"
    assert tested == set(promised), (
        "each sentence of docs/guarantees.md needs a test of its number, and no test is left over"
    )
