"""Waits for events and signals, and invocations."""

from __future__ import annotations

import re

import pytest
from engine_app import EVENT, HOUR, MINUTE, SECOND, Both, Do, EngineError, both, declare, happened

from inngest_serverless import StepError, create_function, event_trigger
from inngest_serverless.local.timeline import moment_line

REPLY = {"name": "test/reply", "data": {"id": 7, "answer": "yes"}}


def waiting(**options):
    """A function that waits for an hour and returns the event's data."""

    def script(_ctx):
        found = yield Do("wait_for_event", "wait", event="test/reply", timeout="1h", **options)
        return found and found.data

    return script


@both
@pytest.mark.parametrize("options", [{}, {"match": "data.id"}, {"if_exp": "event.data.id == async.data.id"}])
def test_an_event_ends_a_wait(serve, kind, options):
    app = serve(declare(kind, waiting(**options)))
    run = app.start()
    app.engine.advance("10m")
    app.engine.send(REPLY)
    app.engine.finish(run)
    assert run.output == REPLY["data"]
    assert happened(run)[-2:] == [(10 * MINUTE, "Received", "wait"), (10 * MINUTE, "Returned", "")]
    [memo] = app.calls[1].json["steps"].values()
    assert memo.keys() == {"id", "name", "data", "user", "ts"}
    assert memo["ts"] == app.calls[0].json["event"]["ts"] + 10 * MINUTE


@both
def test_the_timeout_of_a_wait_that_is_over_changes_nothing(serve, kind):
    def script(_ctx):
        found = yield Do("wait_for_event", "wait", event="test/reply", timeout="1h")
        yield Do("sleep", "nap", "1d")
        return found.data["answer"]

    app = serve(declare(kind, script))
    run = app.start()
    app.engine.send(REPLY)
    app.engine.finish(run)
    assert run.output == "yes"
    assert (run.steps, len(run.order)) == (["wait", "nap"], 2)


@both
@pytest.mark.parametrize(
    ("options", "event"),
    [
        ({}, {"name": "test/other"}),
        ({"match": "data.id"}, {"name": "test/reply", "data": {"id": 8}}),
        ({"match": "data.id"}, {"name": "test/reply"}),
        ({"if_exp": "async.data.amount > 100"}, {"name": "test/reply", "data": {"amount": 100}}),
        ({"if_exp": "async.data.amount > 100"}, {"name": "test/reply", "data": {"amount": "101"}}),
        ({"if_exp": "1 / 0 == async.data.amount"}, {"name": "test/reply", "data": {"amount": 1}}),
        ({"if_exp": "async.nobody.knows == 1"}, {"name": "test/reply", "data": {}}),
    ],
)
def test_what_is_not_awaited_does_not_end_it(serve, kind, options, event):
    app = serve(declare(kind, waiting(**options)))
    run = app.start()
    app.engine.send(event)
    app.engine.finish(run)
    assert run.output is None
    assert happened(run)[-2:] == [(HOUR, "TimedOut", "wait"), (HOUR, "Returned", "")]
    assert list(app.calls[1].json["steps"].values()) == [None]


@both
def test_events_before_and_after_the_wait_do_not_count(serve, kind):
    app = serve(declare(kind, waiting()))
    app.engine.send(REPLY)
    [run] = app.engine.send(EVENT)
    app.engine.send(REPLY)  # the function has not been called yet
    app.engine.finish(run)
    assert run.output is None
    app.engine.send(REPLY)
    assert len(app.calls) == 2


def test_an_event_ends_every_wait_for_it_once(serve):
    def script(_ctx):
        first = yield Do("wait_for_event", "first", event="test/reply", timeout="1h")
        second = yield Do("wait_for_event", "second", event="test/reply", timeout="1h")
        return [event and event.data["n"] for event in (first, second)]

    app = serve(declare("sync", script))
    runs = [app.start(), app.start()]
    for number in range(2):
        app.engine.send({"name": "test/reply", "data": {"n": number}})
        app.engine.advance("1s")
    assert [run.output for run in runs] == [[0, 1], [0, 1]]


@both
@pytest.mark.parametrize("condition", ["event.data.id ==", "nobody.knows == 1"])
def test_a_condition_that_the_server_cannot_compile_fails_the_run(serve, kind, condition):
    app = serve(declare(kind, waiting(if_exp=condition)))
    run = app.run()
    assert (run.status, run.error["name"], run.calls) == ("failed", "CompileError", 1)
    assert f"{condition!r}" in run.error["message"]


# Signals.


def signalled(**options):
    def script(_ctx):
        signal = yield Do("wait_for_signal", "wait", signal="task/7", timeout="1h", **options)
        return signal and [signal.signal, signal.data]

    return script


@both
def test_a_signal_ends_the_wait_for_it(serve, kind):
    app = serve(declare(kind, signalled()))
    run = app.start()
    assert app.engine.signal("task/8") is None
    assert app.engine.signal("task/7", {"ok": True}) is run
    assert app.engine.signal("task/7") is None
    app.engine.finish(run)
    assert run.output == ["task/7", {"ok": True}]
    assert run.steps == ["wait"]


@both
def test_a_signal_that_does_not_come(serve, kind):
    app = serve(declare(kind, signalled()))
    run = app.run()
    assert run.output is None
    assert happened(run)[-1] == (HOUR, "Returned", "")
    assert app.engine.signal("task/7") is None


@both
def test_two_runs_may_not_wait_for_one_signal(serve, kind):
    app = serve(declare(kind, signalled()))
    first, second = app.start(), app.start()
    assert (second.status, second.calls) == ("failed", 1)
    assert second.error["message"] == "Signal conflict; signal wait already exists for another run"
    app.engine.signal("task/7", 1)
    assert app.engine.finish(first).output == ["task/7", 1]


@both
def test_a_run_may_take_the_place_of_another(serve, kind):
    app = serve(declare(kind, signalled(on_conflict="replace")))
    first, second = app.start(), app.start()
    assert app.engine.signal("task/7", 2) is second
    app.engine.finish_all()
    assert (first.output, second.output) == (None, ["task/7", 2])


@both
def test_a_signal_is_free_again_after_its_wait(serve, kind):
    app = serve(declare(kind, signalled()))
    app.run()
    run = app.start()
    assert app.engine.signal("task/7", 1) is run


@both
def test_a_step_sends_a_signal(serve, kind):
    def script(_ctx):
        return (yield Do("send_signal", "send", signal="task/7", data={"n": 1}))

    sender = declare(kind, script, id="sender", trigger=event_trigger("test/send"))
    app = serve(declare(kind, signalled()), sender)
    waits = app.start()
    assert app.run({"name": "test/send"}).status == "completed"
    assert app.engine.finish(waits).output == ["task/7", {"n": 1}]
    assert app.run({"name": "test/send"}).status == "completed", "a signal that nobody waits for is lost"


# Invocations.


def child(kind, result):
    def script(ctx):
        yield Do("sleep", "nap", "10s")
        return result(ctx)

    return declare(kind, script, id="child", trigger=event_trigger("test/child"), retries=0)


def invoking(**options):
    def script(_ctx):
        try:
            return (yield Do("invoke_by_id", "call", **{"function_id": "child", **options}))
        except StepError as error:
            return f"{error.name}: {error.message}"

    return script


@both
def test_an_invoked_function_leaves_its_result(serve, kind):
    app = serve(
        declare(kind, invoking(data={"q": 1}, user={"id": "u"}, v="2")), child(kind, lambda ctx: ctx.event.data)
    )
    run = app.run()
    assert run.output["q"] == 1
    assert run.output["_inngest"]["fn_id"] == "app-child"
    assert happened(run)[2:] == [(10 * SECOND, "Invoked", "call"), (10 * SECOND, "Returned", "")]
    event = app.engine.runs[1].events[0]
    assert (event["name"], event["user"], event["v"]) == ("inngest/function.invoked", {"id": "u"}, "2")


@both
def test_an_invoked_function_that_fails(serve, kind):
    app = serve(declare(kind, invoking()), child(kind, lambda _ctx: 1 / 0))
    assert app.run().output == "ZeroDivisionError: division by zero"
    assert app.engine.runs[1].status == "failed"


@both
def test_an_invocation_that_takes_too_long(serve, kind):
    app = serve(declare(kind, invoking(timeout="5s")), child(kind, lambda _ctx: 1))
    run = app.run()
    assert run.output == "InngestInvokeTimeoutError: Timed out waiting for invoked function to complete"
    assert happened(run)[2:] == [(5 * SECOND, "TimedOut", "call"), (5 * SECOND, "Returned", "")]
    app.engine.finish_all()
    assert app.engine.runs[1].output == 1, "the invoked function goes on by itself"


@both
def test_a_function_that_is_not_there(serve, kind):
    app = serve(declare(kind, invoking(function_id="nobody")))
    assert app.run().output == "Error: could not find function with ID: app-nobody"
    told = [moment_line(moment) for moment in app.engine.runs[0].timeline]
    assert told[2] == "call: got an error (no function 'app-nobody' is served; known are app-fn)"


@both
def test_a_function_that_fails_when_it_is_invoked(serve, kind):
    def failing(_ctx):
        raise LookupError("no table")

    app = serve(declare(kind, invoking()), child(kind, failing))
    assert app.run().output == "LookupError: no table"
    told = [moment_line(moment) for moment in app.engine.runs[0].timeline]
    place = r"\S+test_engine_waits\.py:\d+ in failing"
    assert re.fullmatch(rf"call: got an error \({place}: LookupError: no table\)", told[2]), told
    assert app.engine.runs[0].timeline[2].detail == "LookupError: no table", "for programs, as it was raised"


@both
def test_invocations_beside_one_that_is_not_there(serve, kind):
    def script(_ctx):
        return (yield Both(lambda: invoking(function_id="nobody")(None), invoking_child, lambda: iter_step("own")))

    def invoking_child():
        return (yield Do("invoke_by_id", "child", function_id="child"))

    def iter_step(step_id):
        return (yield Do("run", step_id, lambda: 1))

    app = serve(declare(kind, script), child(kind, lambda _ctx: 2))
    run = app.run()
    assert run.output == ["Error: could not find function with ID: app-nobody", 2, 1]
    assert [call.target for call in app.calls if call.query["fnId"] == "app-fn"].count("step") == 2


def test_a_function_of_another_app(serve):
    app = serve(declare("sync", invoking(app_id="other", function_id="fn")))

    @create_function(id="fn", trigger=event_trigger("test/other"))
    def fn(_ctx):
        return "from the other app"

    other = serve(fn, app_id="other")
    app.engine.register([registration(other)], "other")
    own = app._endpoint
    app._endpoint = lambda method, url, *rest: (other._endpoint if "other-fn" in url else own)(method, url, *rest)
    assert app.run().output == "from the other app"
    assert set(app.engine.functions) == {"app-fn", "other-fn"}


def registration(app):
    [function] = app.engine.functions.values()
    return {"id": function.id, "triggers": [], "steps": {"step": {"runtime": {"url": function.url}}}}


def test_what_nobody_ends_is_named(serve):
    app = serve(declare("sync", waiting()))
    run = app.start()
    app.engine.agenda._entries.clear()
    with pytest.raises(EngineError, match=r"run 01\w+ of 'app-fn' cannot go on: it waits for 'wait'"):
        app.engine.finish(run)
