"""Runs under way: what they wait for, and what happens to them meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from kit_app import function, order, steps

from inngest_serverless import Cancel, Event, NonRetriableError, Throttle, event_trigger
from inngest_serverless.local.engine import EngineError
from inngest_serverless.testing import NotReachedError, Session, Waiting, start

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def approval(ctx):
    ctx.step.run("ask", lambda: "asked")
    answer = ctx.step.wait_for_event(
        "wait", event="shop/approved", timeout="3d", if_exp="async.data.id == event.data.id"
    )
    return answer.data["by"] if answer else "nobody"


def test_an_event_that_is_waited_for():
    run = start(function(approval), order(), at=AT)
    assert run.waiting == (Waiting("event", "wait", "shop/approved", AT + timedelta(days=3)),)
    assert (run.status, run.result.steps) == ("running", ("ask",))
    assert not run.send(Event("shop/approved", {"id": "another", "by": "bob"})), "the condition does not hold"
    assert run.send({"name": "shop/approved", "data": {"id": "a-17", "by": "ada"}})
    assert (run.status, run.waiting, run.finish().output) == ("completed", (), "ada")


def test_time_passes():
    run = start(function(approval), order(), at=AT)
    run.advance("2d23h")
    assert (run.status, run.now) == ("running", AT + timedelta(hours=71))
    run.advance(timedelta(hours=1))
    assert (run.status, run.result.output) == ("completed", "nobody")


def test_everything_that_a_run_can_wait_for():
    child = function(lambda ctx: ctx.step.sleep("long", "2h"), "child", trigger=event_trigger("x"))

    def body(ctx):
        ctx.group.parallel(
            [
                lambda: ctx.step.sleep("nap", "1h"),
                lambda: ctx.step.wait_for_signal("hear", signal="s-1", timeout="5h"),
                lambda: ctx.step.invoke("call", function=child, timeout="3h"),
            ]
        )

    with Session(at=AT) as session:
        session.serve(child)
        run = session.start(function(body), order())
        hour = timedelta(hours=1)
        assert run.waiting == (
            Waiting("sleep", "nap", "1h", AT + hour),
            Waiting("signal", "hear", "s-1", AT + 5 * hour),
            Waiting("function", "call", "test-child", AT + 3 * hour),
        )
        assert run.signal("s-1", {"ok": True})
        assert not run.signal("s-1"), "nobody waits for it any more"
        run.advance("1h")
        assert [waiting.step for waiting in run.waiting] == ["call"]
        assert run.finish().steps == ("hear", "nap", "call")


def test_retries_are_waited_for():
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("busy")

    run = start(function(lambda ctx: ctx.step.run("call", flaky)), order(), at=AT)
    [waiting] = run.waiting
    assert (waiting.kind, waiting.until > AT) == ("retry", True)
    run.advance("1m")
    assert (run.status, len(tries)) == ("completed", 2)


def test_a_run_is_cancelled():
    run = start(function(approval), order())
    result = run.cancel()
    assert (run.status, result.status, result.error.message) == ("cancelled", "cancelled", "function cancelled")
    assert not run.send({"name": "shop/approved", "data": {"id": "a-17", "by": "ada"}})


def test_an_event_cancels_a_run():
    run = start(function(approval, cancel=Cancel(event="shop/order.revoked")), order())
    assert run.send(Event("shop/order.revoked"))
    assert run.status == "cancelled"


def test_a_run_that_may_not_start_yet():
    with Session(at=AT) as session:
        fn = steps("a", throttle=Throttle(limit=1, period="1h"))
        session.run(fn, order())
        run = session.start(fn, order())
        assert run.status == "queued"
        session.advance("1h")
        assert run.status == "completed"


def test_a_run_that_has_failed_is_finished_with_its_handler():
    def body(ctx):
        raise NonRetriableError("no")

    run = start(function(body, on_failure=lambda ctx: ctx.step.sleep("nap", "1h")), order())
    assert run.finish().failure_handler.status == "completed"


def test_other_runs_go_on_meanwhile():
    def teller(ctx):
        ctx.step.send_event("tell", {"name": "shop/told", "data": {"n": 1}})
        ctx.step.sleep("nap", "1d")

    listener = function(lambda ctx: ctx.event.data["n"], "listener", trigger=event_trigger("shop/told"))
    with Session() as session:
        session.serve(listener)
        run = session.start(function(teller), order())
        assert [(each.function_id, each.status, each.output) for each in session.runs] == [
            ("test-fn", "running", None),
            ("test-listener", "completed", 1),
        ]
        assert session.sent == run.result.sent
        session.send({"name": "shop/told", "data": {"n": 2}})
        assert [each.output for each in session.finish_all()] == [None, 1, 2]


def test_what_a_run_has_sent_is_its_own():
    fn = function(lambda ctx: ctx.step.send_event("tell", {"name": "shop/told", "data": {"id": ctx.event.data.id}}))
    with Session() as session:
        for name in ("a", "b"):
            assert [event.data for event in session.run(fn, order(name)).sent] == [{"id": name}]
        assert [[event.data["id"] for event in each.sent] for each in session.runs] == [["a"], ["b"]]
        assert len(session.sent) == 2


def test_mocks_have_to_be_reached_by_the_end():
    run = start(steps("a"), order(), mocks={"b": 1})
    with pytest.raises(NotReachedError, match=r"mock_step\('b'\)"):
        run.finish()
    stopped = start(function(approval), order(), mocks={"never": 1})
    assert stopped.cancel().status == "cancelled"


def test_a_run_that_cannot_go_on_says_what_it_waits_for():
    def body(ctx):
        ctx.group.parallel([lambda: ctx.step.run("a", lambda: 1)])
        return ctx.step.invoke_by_id("call", function_id="nowhere")

    result = start(function(body), order()).finish()
    assert "could not find function with ID: test-nowhere" in result.error.message


def test_a_run_shows_what_it_is():
    run = start(function(approval), order())
    assert repr(run).startswith("TestRun('test-fn', status='running', waiting=[Waiting(kind='event', step='wait'")
    assert isinstance(EngineError("x"), Exception)
