"""Which functions an event starts; and that the same seed gives the same runs."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
from engine_app import EVENT, START_MS, Both, Do, EngineError, both, declare

from inngest_serverless import create_function, cron_trigger, event_trigger
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.timeline import draw, moment_line


def started_by(*triggers, function_id="fn", **options):
    return create_function(id=function_id, trigger=list(triggers), **options)(lambda ctx: ctx.event.name)


def started(app, event):
    return [run.function.id for run in app.engine.send(event)]


def test_an_event_starts_every_function_that_it_triggers(serve):
    names = ["test/started", "test/started", "test/other"]
    app = serve(*[started_by(event_trigger(name), function_id=f"f{n}") for n, name in enumerate(names)])
    assert started(app, EVENT) == ["app-f0", "app-f1"]
    assert [run.output for run in app.engine.finish_all()] == ["test/started"] * 2


def test_a_function_with_several_triggers_starts_once(serve):
    app = serve(started_by(event_trigger("a"), event_trigger("b"), event_trigger("a", expression="true")))
    assert [started(app, {"name": name}) for name in "abc"] == [["app-fn"], ["app-fn"], []]


@pytest.mark.parametrize(
    ("data", "starts"),
    [({"n": 5}, True), ({"n": 4}, False), ({"n": "5"}, False), ({}, False), ({"n": None}, False), ({"n": 5.0}, True)],
)
def test_a_trigger_with_a_condition(serve, data, starts):
    app = serve(started_by(event_trigger("test/started", expression="event.data.n == 5")))
    assert bool(started(app, {"name": "test/started", "data": data})) is starts


@pytest.mark.parametrize(
    ("pattern", "name", "starts"),
    [
        ("user/*", "user/created", True),
        ("user/*", "users/created", False),
        ("user/created.*", "user/created.twice", True),
        ("*", "user/created", True),
        ("*", "inngest/function.finished", False),
        ("inngest/*", "inngest/function.finished", True),
    ],
)
def test_a_trigger_for_many_events(serve, pattern, name, starts):
    app = serve(started_by(event_trigger("test/started")))
    [function] = app.engine.functions.values()
    document = {"id": "app-fn", "triggers": [{"event": pattern}], "steps": {"step": {"runtime": {"url": function.url}}}}
    app.engine.register([document], "app")
    assert bool(started(app, {"name": name})) is starts


def test_an_id_counts_once(serve):
    app = serve(started_by(event_trigger("a")), started_by(event_trigger("a"), event_trigger("b"), function_id="g"))
    assert started(app, {"name": "a", "id": "1"}) == ["app-fn", "app-g"]
    assert started(app, {"name": "a", "id": "1"}) == []
    assert started(app, {"name": "b", "id": "1"}) == []
    assert started(app, {"name": "a", "id": "2"}) == ["app-fn", "app-g"]


def test_an_event_that_starts_nothing_is_an_error_that_names_those_that_do(serve):
    app = serve(
        started_by(event_trigger("b")), started_by(event_trigger("a"), cron_trigger("* * * * *"), function_id="g")
    )
    with pytest.raises(EngineError, match=r"event 'c' starts no function: none has this trigger; known are a, b$"):
        app.engine.execute({"name": "c"})
    scheduled = serve(started_by(cron_trigger("* * * * *")))
    with pytest.raises(EngineError, match=r"event 'c' starts no function: none has this trigger$"):
        scheduled.engine.execute({"name": "c"})
    with pytest.raises(EngineError, match=r"there are no functions yet; send it again once the app is up$"):
        Engine(lambda *_: None).execute({"name": "c"})


def test_an_event_that_starts_nothing_may_be_mistyped_or_not_meet_a_condition(serve):
    app = serve(started_by(event_trigger("shop/order.placed", expression="event.data.n == 1")))
    with pytest.raises(EngineError, match=r"none has this trigger \(did you mean 'shop/order\.placed'\?\)$"):
        app.engine.execute({"name": "shop/order.placd"})
    with pytest.raises(EngineError, match=r"it does not meet the condition of app-fn, event\.data\.n == 1$"):
        app.engine.execute({"name": "shop/order.placed", "data": {"n": 2}})


def test_a_run_is_found_by_its_id(serve):
    app = serve(started_by(event_trigger("test/started")))
    run = app.run()
    assert app.engine.run_of(run.id) is run
    assert app.engine.run_of("01RUN") is None


# Determinism.


def chance(seed):
    return random.Random(seed)  # noqa: S311 - the same each time


def busy(kind, chance):
    """A function that fails by chance, sleeps, sends events and waits, in parallel too."""

    def flaky():
        if chance.random() < 0.5:
            raise ValueError("by chance")
        return chance.random()

    def branch(name):
        def script():
            yield Do("run", f"{name}1", flaky)
            yield Do("sleep", f"{name}-nap", "90s")
            return (yield Do("run", f"{name}2", flaky))

        return script

    def script(_ctx):
        yield Do("send_event", "send", [{"name": "test/sent", "ts": START_MS}] * 2)
        first = yield Both(branch("a"), branch("b"))
        yield Do("wait_for_event", "wait", event="test/never", timeout="1d")
        second = yield Do("invoke_by_id", "call", function_id="child")
        return [*first, second]

    child = declare(kind, lambda _ctx: branch("c")(), id="child", trigger=event_trigger("test/sent"), retries=20)
    return declare(kind, script, retries=20), child


def story(serve, kind, seed):
    """All that is seen of some runs: everything but how long the calls took."""
    seen = []

    def watch(run, moment):
        seen.append((run.id, replace(moment, took_ms=0.0)))

    app = serve(*busy(kind, chance(seed)), seed=seed, watch=watch)
    app.engine.send(EVENT)
    runs = app.engine.finish_all()
    return seen, [(run.id, run.output, run.memos, run.order) for run in runs], [call.body for call in app.calls]


@both
def test_the_same_seed_gives_the_same_runs(serve, kind):
    first, second = story(serve, kind, seed=1), story(serve, kind, seed=1)
    assert first == second
    assert len(first[1]) == 4
    assert story(serve, kind, seed=2)[0] != first[0]


def test_ids_sort_by_time(serve):
    app = serve(started_by(event_trigger("test/started")))
    ids = []
    for _ in range(5):
        ids.append(app.run().id)
        app.engine.advance("1s")
    assert ids == sorted(ids)
    assert len({*ids}) == 5


# The timeline.


def test_every_moment_has_words(serve):
    seen = []
    app = serve(*busy("sync", chance(3)), watch=lambda _run, moment: seen.append(moment_line(moment)))
    run = app.run()
    assert seen[0] == "run started (test/started)"
    assert "wait: timed out" in seen
    told = r"raised, will be tried again \(\S+test_engine_events\.py:\d+ in flaky: ValueError: by chance\)$"
    assert any(re.search(told, line) for line in seen), seen
    table = draw(run)
    assert table.row_count == len(run.timeline)
    assert run.timeline[0].at_ms == START_MS


@pytest.mark.parametrize(
    "kind",
    [
        *("Started", "StepPlanned", "StepRun", "StepError", "StepFailed", "Sleep", "Woke", "WaitForEvent", "Received"),
        *("TimedOut", "WaitForSignal", "InvokeFunction", "Invoked", "Gateway", "AIGateway", "Answered", "Retrying"),
        *("Returned", "Failed"),
    ],
)
def test_every_kind_of_moment_has_words(kind):
    from inngest_serverless.local.runs import Moment

    assert moment_line(Moment(0, kind)) != kind
