"""An engine that runs for days, or gets many runs at once: nothing is kept for ever, and no work grows with the square."""

from __future__ import annotations

import json
import math

import pytest
from engine_app import DAY, HOUR, MINUTE, SECOND, START_MS, wired
from waiting import until

from inngest_serverless import (
    Cancel,
    Concurrency,
    ConfigurationError,
    Priority,
    Singleton,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
)
from inngest_serverless.local import live
from inngest_serverless.local.agenda import Agenda
from inngest_serverless.local.engine import Engine, EngineError
from inngest_serverless.local.flow import Pace
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.ids import Ids
from inngest_serverless.local.pace import Paces
from inngest_serverless.local.schedules import Schedules

MANY = 700


def event(n, **data):
    return {"name": "test/started", "data": {"n": n, **data}}


def returning(**options):
    declare = create_function(id="fn", trigger=event_trigger("test/started"), **options)
    return declare(lambda ctx: ctx.event.data.get("n"))


def bare(reply=b"null", status=200, **options):
    """An engine with one function, of the wire's form, whose calls all get the same reply."""
    calls = []

    def endpoint(_method, _url, headers, body):
        calls.append((headers, body))
        return HttpReply(status, {"x-inngest-sdk": "test:v1"}, reply)

    engine = Engine(endpoint, start_ms=START_MS)
    engine.register([wired("app-fn", **options)])
    return engine, calls


# Results.


@pytest.mark.parametrize("limit", [7, 49, 59])
@pytest.mark.parametrize("period_ms", [SECOND, MINUTE, 7 * SECOND])
def test_a_pace_lets_its_burst_pass_at_once_whatever_the_clock_says(limit, period_ms):
    for start_ms in range(START_MS, START_MS + 50):
        paces, pace = Paces(), Pace(period_ms / limit, limit, None)
        early = [paces.take("key", pace, start_ms) for _ in range(limit + 1)]
        assert early[:-1] == [0] * limit
        assert early[-1] == math.ceil(period_ms / limit)


def test_an_expression_that_looks_beyond_a_list_holds_up_no_other_function(serve):
    other = create_function(id="other", trigger=event_trigger("test/started"))(lambda _ctx: "other")
    picky = create_function(id="fn", trigger=event_trigger("test/started", expression="event.data.list[0] == 1"))(
        lambda _ctx: "picky"
    )
    app = serve(picky, other)
    assert [run.function.id for run in app.engine.send(event(0, list=[]))] == ["app-other"]
    assert len(app.engine.send(event(1, list=[1]))) == 2


def test_a_priority_that_is_no_number_is_none(serve):
    app = serve(returning(priority=Priority(run="0.0 / 0.0")))
    [run] = app.engine.send(event(1))
    assert run.priority_ms == 0


@pytest.mark.parametrize("empty", ["", None])
def test_an_event_without_an_id_gets_one(serve, empty):
    app = serve(returning())
    runs = [app.engine.send({"id": empty, "ts": 0, **event(n)}) for n in range(2)]
    assert [len(started) for started in runs] == [1, 1], "the second event was taken for the first"
    assert runs[0][0].events[0]["ts"] == START_MS


@pytest.mark.parametrize("bad", [{"id": ["list"]}, {"id": 7}, {"data": "text"}, {"data": [1]}])
def test_an_event_that_the_server_would_not_take_is_refused_at_once(serve, bad):
    app = serve(returning())
    with pytest.raises(EngineError, match="event"):
        app.engine.post([{"name": "test/started", **bad}])


def test_a_run_that_waits_for_room_does_not_use_up_its_time(serve):
    function = returning(concurrency=Concurrency(limit=1), timeouts=Timeouts(finish="90s"))
    app = serve(function, latency=lambda _call: MINUTE)
    for n in range(3):
        app.engine.send(event(n))
    assert [run.status for run in app.engine.finish_all()] == ["completed"] * 3


def test_an_event_without_a_lanes_key_does_not_take_the_room_of_two(serve):
    limits = [Concurrency(limit=2), Concurrency(limit=5, key="event.data.user")]
    app = serve(returning(concurrency=limits), latency=lambda _call: MINUTE)
    for n in range(2):
        app.engine.send(event(n))
    assert [run.invocations[0].at_ms - START_MS for run in app.engine.finish_all()] == [0, 0]


def test_a_call_that_cannot_be_written_gives_its_room_back():
    engine, calls = bare(concurrency=[{"limit": 1}])
    [broken] = engine.send(event(1, bad=float("nan")))
    with pytest.raises(EngineError, match="no JSON"):
        engine.finish(broken)
    engine.cancel(broken.id)
    [run] = engine.send(event(2))
    assert engine.finish(run).status == "completed"
    assert len(calls) == 1


@pytest.mark.parametrize("payload", ["text", {"data": [1]}])
def test_an_invocation_that_cannot_be_read_says_so(payload):
    op = {"op": "InvokeFunction", "id": "a" * 40, "opts": {"function_id": "app-fn", "payload": payload}}
    engine, _calls = bare(reply=json.dumps([op]).encode(), status=206)
    [run] = engine.send(event(1))
    with pytest.raises(EngineError, match="InvokeFunction"):
        engine.finish(run)


def test_a_function_whose_flow_control_divides_by_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="flow control"):
        bare(throttle={"limit": 0, "period": "1m"})


def test_a_schedule_that_cannot_be_read_is_refused_and_leaves_the_others_alone(serve):
    ticking = create_function(id="fn", trigger=cron_trigger("*/10 * * * *"))(lambda _ctx: None)
    app = serve(ticking, crons=True)
    bad = [wired("app-bad", {"cron": "every tuesday"}), wired("app-fn", {"cron": "*/10 * * * *"})]
    with pytest.raises(ConfigurationError, match="every tuesday"):
        app.engine.register(bad, "app")
    with pytest.raises(ConfigurationError, match="jitter"):
        app.engine.register([wired("app-bad", {"cron": "* * * * *", "jitter": "soon"})], "app")
    app.engine.advance("1h")
    assert len(app.engine.runs) == 6


def test_a_schedule_that_was_missed_is_caught_up_with_once():
    agenda, started, ids = Agenda(START_MS), [], Ids(0)
    woken_ms = START_MS + 8 * HOUR
    schedules = Schedules(agenda, ids, lambda _function, cron: started.append(cron), lambda: woken_ms)
    engine, _calls = bare()
    [function] = engine.functions.values()
    object.__setattr__(function, "triggers", ({"cron": "* * * * *"},))
    agenda.after(0, lambda: None)
    agenda.skip_to(START_MS)
    schedules.plan("app", [function])
    agenda.skip_to(START_MS + MINUTE)
    while agenda.do_next(woken_ms):
        pass
    assert len(started) <= 1, f"the schedule was caught up with {len(started)} times"


def test_what_was_kept_starts_by_what_was_synced_last():
    engine, _calls = bare(debounce={"period": "10s"})
    engine.send(event(1))
    engine.register([{**wired("app-fn"), "name": "new"}])
    engine.advance("10s")
    assert [run.function.name for run in engine.runs] == ["new"]


# What is kept.


def test_what_is_over_is_not_kept_on_the_agenda():
    agenda, over = Agenda(0), set()
    for n in range(10_000):
        agenda.after(DAY, lambda: None, is_over=lambda n=n: n in over)
        over.add(n)
    assert len(agenda) < MANY
    assert agenda.do_next(DAY - 1) is False
    assert agenda.do_next() is False
    assert (agenda.now_ms, agenda.has_foreground) == (0, False)


def test_runs_that_have_ended_leave_nothing_on_the_agenda(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"), timeouts=Timeouts(start="7d", finish="7d"))
    def parent(ctx):
        ctx.step.invoke("child", function_id="app-child")
        ctx.step.wait_for_event("wait", event="test/never", timeout="300d")

    child = create_function(id="child", trigger=event_trigger("test/child"))(lambda _ctx: 1)
    app = serve(parent, child)
    for n in range(150):
        [run] = app.engine.send(event(n))
        app.engine.advance("1s")
        assert app.engine.cancel(run.id)
    app.engine.advance("1s")
    assert len(app.engine.agenda) <= 300, "four entries for each run are kept"


@pytest.mark.parametrize(
    "options",
    [{"debounce": {"period": "7d"}}, {"batchEvents": {"maxSize": 2, "timeout": "7d"}}],
    ids=["debounce", "batch"],
)
def test_events_that_are_kept_back_leave_nothing_on_the_agenda_that_is_over(options):
    engine, _calls = bare(**options)
    for n in range(2 * MANY):
        engine.send(event(n))
    engine.finish_all()
    assert len(engine.agenda) < MANY
    engine.advance("7d")
    assert [len(run.events) for run in engine.runs] == ([1] if "debounce" in options else [2] * MANY)


def test_keys_that_are_at_rest_are_not_kept():
    paces, pace = Paces(), Pace(1000, 1, None)
    for n in range(10_000):
        assert paces.take(n, pace, START_MS + n * 100) == 0
    assert len(paces) < MANY


@pytest.mark.parametrize(
    ("options", "held"),
    [
        ({"throttle": Throttle(limit=1, period="1s", key="event.data.n")}, lambda engine: engine._starts._throttled),
        ({"singleton": Singleton(mode="skip", key="event.data.n")}, lambda engine: engine._starts._singles),
        ({"concurrency": Concurrency(limit=1, key="event.data.n")}, lambda engine: engine._caller._lanes._busy),
        ({"concurrency": Concurrency(limit=1, key="event.data.n")}, lambda engine: engine._caller._lanes._rows),
        ({"concurrency": Concurrency(limit=1, key="event.data.n")}, lambda engine: engine._caller._lanes._gates),
    ],
    ids=["throttle", "singleton", "busy", "rows", "gates"],
)
def test_keys_of_runs_that_have_ended_are_not_kept(serve, options, held):
    app = serve(returning(**options))
    for half in range(2):
        for n in range(300):
            app.engine.send(event(300 * half + n))
        app.engine.finish_all()
    assert len(held(app.engine)) <= 300


def test_events_are_known_for_a_day_and_no_longer():
    engine, _calls = bare()
    for n in range(50):
        engine.send({"id": f"event-{n}", **event(n)})
        engine.advance("1h")
    assert len(engine._admission._seen_ms) <= 25
    assert engine.send({"id": "event-49", **event(0)}) == []
    assert len(engine.send({"id": "event-0", **event(0)})) == 1


def test_waits_and_cancellations_of_runs_that_have_ended_are_not_kept(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"), cancel=[Cancel(event="test/stop")])
    def waiting(ctx):
        ctx.group.parallel(
            (
                lambda: ctx.step.wait_for_event("event", event=f"test/{ctx.event.data['n']}", timeout="1h"),
                lambda: ctx.step.wait_for_signal("signal", signal=f"signal-{ctx.event.data['n']}", timeout="1h"),
            )
        )

    app = serve(waiting)
    for n in range(300):
        [run] = app.engine.send(event(n))
        app.engine.advance("1s")
        app.engine.cancel(run.id)
    waits = app.engine._waits
    assert sum(map(len, waits._events.values())) < 300
    assert len(waits._signals) < 300
    assert sum(map(len, app.engine._starts._guards.values())) < 300


def test_a_burst_of_runs_is_forgotten_when_it_has_ended(serve):
    app = serve(returning(), keep=10)
    for n in range(50):
        app.engine.send(event(n))
    assert len(app.engine.runs) == 50
    app.engine.finish_all()
    assert len(app.engine.runs) == 10


# What it costs.


def test_throttled_runs_share_one_alarm(serve):
    app = serve(returning(throttle=Throttle(limit=1, period="1h")))
    for n in range(200):
        app.engine.send(event(n))
    assert len(app.engine.agenda) <= 3
    app.engine.advance("10h")
    assert len(app.engine.agenda) <= 3


@pytest.mark.parametrize(
    "limits",
    [
        Concurrency(limit=1),
        Concurrency(limit=1, key="event.data.n"),
        [Concurrency(limit=3), Concurrency(limit=1, key="event.data.n")],
        [Concurrency(limit=1, key="event.data.n"), Concurrency(limit=3)],
        [Concurrency(limit=3), Concurrency(limit=1, key="event.data.n % 10")],
    ],
    ids=["one", "many", "one-and-many", "many-and-one", "one-and-ten"],
)
def test_a_call_that_waits_for_room_looks_only_at_its_own_lanes(serve, limits):
    app = serve(returning(concurrency=limits), latency=lambda _call: SECOND)
    lanes = app.engine._caller._lanes
    asked, has_room = [], lanes._has_room
    lanes._has_room = lambda gate: asked.append(gate) or has_room(gate)
    for n in range(300):
        app.engine.send(event(n))
    app.engine.finish_all()
    assert len(asked) <= 300 * 16, f"{len(asked)} looks for 300 calls"


# The wall clock.


def test_a_run_that_cannot_be_called_fails_and_the_engine_goes_on():
    reply = HttpReply(200, {"x-inngest-sdk": "test:v1"}, b"null")
    engine = live.LiveEngine(lambda *_request: reply)
    engine.register([wired("app-fn", concurrency=[{"limit": 1}])])
    [bad] = engine.post([event(1, bad=float("nan"))])
    [good] = engine.post([event(2)])
    with engine:
        [failed] = until(lambda: engine.runs_of(bad), "the first run")
        [run] = until(lambda: engine.runs_of(good), "the second run")
        until(lambda: not (failed.is_active or run.is_active), "both runs to end")
    assert (failed.status, run.status) == ("failed", "completed")
    assert failed.error is not None
    assert "no JSON" in failed.error["message"]
