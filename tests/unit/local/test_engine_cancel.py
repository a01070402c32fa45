"""What ends a run from outside: events, time limits, whoever asks."""

from __future__ import annotations

import pytest
from engine_app import EVENT, HOUR, MINUTE, START_MS, happened

from inngest_serverless import (
    Cancel,
    Concurrency,
    NonRetriableError,
    Throttle,
    Timeouts,
    create_function,
    event_trigger,
)


def napping(function_id="fn", **options):
    """A function that takes an hour."""
    declare = create_function(id=function_id, trigger=event_trigger("test/started"), **options)

    def body(ctx):
        ctx.step.run("before", lambda: "kept")
        ctx.step.sleep("nap", "1h")
        return "rested"

    return declare(body)


def listening(name):
    """A function that is started by an event of the engine's own, and returns it."""
    declare = create_function(id="listener", trigger=event_trigger(name))
    return declare(lambda ctx: {"id": ctx.event.id, "data": ctx.event.data})


def test_an_event_cancels_a_run(serve):
    app = serve(napping(cancel=Cancel(event="test/stopped")))
    run = app.start()
    app.engine.send({"name": "test/stopped"})
    assert (run.status, run.output, run.error) == (
        "cancelled",
        None,
        {"name": "Error", "message": "function cancelled"},
    )
    assert run.timeline[-1].kind == "Cancelled"
    assert run.timeline[-1].detail == "event test/stopped"
    calls = len(app.calls)
    app.engine.advance("2h")
    assert len(app.calls) == calls


@pytest.mark.parametrize(("stopped", "status"), [(7, "cancelled"), (8, "running")])
def test_an_event_cancels_the_runs_that_its_condition_is_true_of(serve, stopped, status):
    app = serve(napping(cancel=Cancel(event="test/stopped", if_exp="event.data.id == async.data.id")))
    run = app.start(EVENT)
    app.engine.send({"name": "test/stopped", "data": {"id": stopped}})
    assert run.status == status


def test_an_event_cancels_no_run_after_the_timeout(serve):
    app = serve(napping(cancel=Cancel(event="test/stopped", timeout="30m")))
    run = app.start()
    app.engine.advance("31m")
    app.engine.send({"name": "test/stopped"})
    assert app.engine.finish(run).status == "completed"


def test_an_event_cancels_a_run_that_has_not_started(serve):
    app = serve(napping(throttle=Throttle(limit=1, period="1h"), cancel=Cancel(event="test/stopped")))
    app.start()
    run = app.start()
    assert run.status == "queued"
    app.engine.send({"name": "test/stopped"})
    assert (run.status, run.started_ms) == ("cancelled", None)


def test_an_event_cancels_only_runs_of_the_function_that_names_it(serve):
    app = serve(napping(cancel=Cancel(event="test/stopped")), napping("other"))
    one, other = app.engine.send(EVENT)
    app.engine.advance("1m")
    app.engine.send({"name": "test/stopped"})
    assert (one.status, other.status) == ("cancelled", "running")


def test_a_run_is_cancelled_by_its_id(serve):
    app = serve(napping())
    run = app.start()
    assert app.engine.cancel(run.id)
    app.engine.finish_all()
    assert happened(run)[-1] == (0, "Cancelled", "")
    assert run.timeline[-1].detail == "asked to"


def test_a_run_that_has_ended_cannot_be_cancelled(serve):
    app = serve(napping())
    assert not app.engine.cancel(app.run().id)
    assert not app.engine.cancel("no-such-run")


def test_a_cancelled_run_tells_of_it_once(serve):
    app = serve(napping(), listening("inngest/function.cancelled"))
    run = app.start()
    app.engine.cancel(run.id)
    app.engine.finish_all()
    [listener] = [each for each in app.engine.runs if each.function.id == "app-listener"]
    data = listener.output["data"]
    assert listener.output["id"] == run.id
    assert (data["run_id"], data["function_id"]) == (run.id, "app-fn")
    assert data["_inngest"] == {"status": "Cancelled"}
    assert data["error"] == {"error": "function cancelled", "name": "Error", "message": "function cancelled"}
    assert data["event"]["data"] == EVENT["data"]


def test_a_cancelled_run_has_not_failed(serve):
    handled = []

    @create_function(id="fn", trigger=event_trigger("test/started"), on_failure=lambda ctx: handled.append(ctx.run_id))
    def nap(ctx):
        if ctx.event.data["id"] == 8:
            raise NonRetriableError("no")
        ctx.step.sleep("nap", "1h")

    app = serve(nap)
    app.engine.cancel(app.start().id)
    app.engine.finish_all()
    assert handled == []
    app.run(id=8)
    app.engine.finish_all()
    assert len(handled) == 1


def test_a_step_that_invokes_a_run_that_is_cancelled_has_an_error(serve):
    child = napping()

    @create_function(id="caller", trigger=event_trigger("call"), retries=0)
    def caller(ctx):
        return ctx.step.invoke("call", function=child)

    app = serve(child, caller)
    run = app.start({"name": "call"})
    app.engine.cancel(next(each.id for each in app.engine.runs if each.function.id == "app-fn"))
    app.engine.finish(run)
    assert (run.status, run.error["message"]) == ("failed", "function cancelled")


def test_a_run_that_takes_too_long_is_cancelled(serve):
    app = serve(napping(timeouts=Timeouts(finish="30m")))
    run = app.run()
    assert (run.status, run.ended_ms - START_MS) == ("cancelled", HOUR // 2)
    assert run.timeline[-1].detail == "timeouts.finish"


def test_the_time_to_finish_begins_with_the_start(serve):
    app = serve(napping(throttle=Throttle(limit=1, period="2h"), timeouts=Timeouts(finish="90m")))
    app.start()
    app.start()
    assert [run.status for run in app.engine.finish_all()] == ["completed", "completed"]


def test_a_run_that_waits_too_long_for_its_start_is_cancelled(serve):
    app = serve(napping(throttle=Throttle(limit=1, period="2h"), timeouts=Timeouts(start="10m")))
    app.start()
    run = app.start()
    app.engine.finish_all()
    assert (run.status, run.started_ms, run.ended_ms - START_MS) == ("cancelled", None, 10 * MINUTE)
    assert run.timeline[-1].detail == "timeouts.start"


def test_a_run_that_waits_too_long_for_room_is_cancelled(serve):
    @create_function(
        id="fn", trigger=event_trigger("test/started"), concurrency=Concurrency(limit=1), timeouts=Timeouts(start="10m")
    )
    def slow(ctx):
        return ctx.event.data["id"]

    app = serve(slow, latency=lambda _call: HOUR)
    app.start()
    run = app.start()
    app.engine.finish_all()
    assert [(each.status, each.calls) for each in app.engine.runs] == [("completed", 1), ("cancelled", 0)]
    assert run.ended_ms - START_MS == 10 * MINUTE


def test_the_reply_of_a_call_counts_for_nothing_once_the_run_is_cancelled(serve):
    app = serve(napping(), latency=lambda _call: MINUTE)
    run = app.start()
    assert len(app.calls) == 1
    app.engine.cancel(run.id)
    app.engine.advance("2h")
    assert (run.status, run.memos, run.calls, len(app.calls)) == ("cancelled", {}, 1, 1)


def test_a_run_is_run_again(serve):
    app = serve(napping())
    first = app.run()
    new_id = app.engine.rerun(first.id)
    app.engine.finish_all()
    again = app.engine.run_of(new_id)
    assert (again.status, again.output, again.events) == ("completed", "rested", first.events)
    assert app.engine.runs_of(first.events[0]["id"]) == [first, again]
    assert app.engine.rerun("no-such-run") is None


def test_a_function_is_invoked_from_outside(serve):
    @create_function(id="fn", trigger=event_trigger("never/sent"))
    def echo(ctx):
        return {"name": ctx.event.name, "data": ctx.event.data}

    app = serve(echo)
    run_id = app.engine.invoke("app-fn", {"n": 1})
    app.engine.finish_all()
    assert app.engine.run_of(run_id).output == {"name": "inngest/function.invoked", "data": {"n": 1}}
    assert app.engine.invoke("app-unknown") is None
