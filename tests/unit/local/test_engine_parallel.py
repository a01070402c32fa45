"""Parallel steps: planned in one call, called one by one, and what follows called once they have finished."""

from __future__ import annotations

import asyncio

import pytest
from engine_app import DAY, EVENT, HOUR, MINUTE, SECOND, Both, Do, answering, both, declare, happened, hash_of

from inngest_serverless import StepError, create_function, event_trigger

groups = pytest.mark.parametrize(("kind", "by"), [("sync", "group"), ("async", "group"), ("async", "gather")])


def step(step_id, value=None):
    def script():
        return (yield Do("run", step_id, value if callable(value) else lambda: value))

    return script


def sleep(step_id, duration):
    def script():
        yield Do("sleep", step_id, duration)
        return step_id

    return script


def in_parallel(*scripts, by="group"):
    def script(_ctx):
        results = yield Both(*scripts, by=by)
        return [list(results), (yield Do("run", "after", lambda: "after"))]

    return script


@groups
def test_steps_are_planned_and_then_called_one_by_one(serve, kind, by):
    app = serve(declare(kind, in_parallel(*[step(name, name) for name in "abc"], by=by)))
    run = app.run()
    assert run.output == [["a", "b", "c"], "after"]
    assert run.steps == ["a", "b", "c", "after"]
    assert app.calls[0].ops == [("StepPlanned", name) for name in "abc"]
    assert [call.target for call in app.calls] == ["step", *map(hash_of, "abc"), "step", "step"]
    assert [call.ctx["disable_immediate_execution"] for call in app.calls] == [False, True, True, True, False, False]
    assert [call.headers["X-Inngest-Step-Id"] for call in app.calls] == [call.target for call in app.calls]


@groups
def test_parallel_steps_do_not_know_of_one_another(serve, kind, by):
    app = serve(declare(kind, in_parallel(*[step(name, name) for name in "ab"], by=by)))
    app.run()
    assert [call.json["steps"] for call in app.calls[:3]] == [{}] * 3
    assert app.calls[3].ctx["stack"] == {"stack": [hash_of("a"), hash_of("b")], "current": 2}


@groups
def test_each_step_has_its_own_attempts(serve, kind, by):
    calls = []

    def flaky():
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("not yet")
        return len(calls)

    app = serve(declare(kind, in_parallel(step("a", 1), step("flaky", flaky), sleep("nap", "1s"), by=by)))
    run = app.run()
    assert run.output == [[1, 3, "nap"], "after"]
    assert [(call.target, call.ctx["attempt"]) for call in app.calls] == [
        *[("step", 0), (hash_of("a"), 0), (hash_of("flaky"), 0)],
        *[(hash_of("flaky"), 1), (hash_of("flaky"), 2), ("step", 0), ("step", 0)],
    ]
    assert app.calls[3].json["steps"] == {hash_of("a"): {"data": 1}, hash_of("nap"): None}, (
        "a retry knows what is known"
    )


@groups
def test_a_failure_among_parallel_steps_can_be_caught(serve, kind, by):
    def guarded():
        try:
            return (yield Do("run", "boom", lambda: 1 / 0))
        except StepError as error:
            return error.name

    run = serve(declare(kind, in_parallel(step("a", 1), guarded, by=by), retries=0)).run()
    assert run.output == [[1, "ZeroDivisionError"], "after"]


@groups
def test_sleeps_waits_and_invocations_side_by_side(serve, kind, by):
    def wait():
        found = yield Do("wait_for_event", "wait", event="test/reply", timeout="1d")
        return found and found.data["n"]

    def call():
        return (yield Do("invoke_by_id", "call", function_id="child"))

    child = declare(kind, lambda _ctx: sleep("inner", "3h")(), id="child", trigger=event_trigger("test/child"))
    app = serve(declare(kind, in_parallel(step("a", 1), sleep("nap", "2h"), wait, call, by=by)), child)
    run = app.start()
    app.engine.advance("1h")
    app.engine.send({"name": "test/reply", "data": {"n": 5}})
    app.engine.finish(run)
    assert run.output == [[1, "nap", 5, "inner"], "after"]
    ends = [moment for moment in happened(run) if moment[1] in {"StepRun", "Woke", "Received", "Invoked"}]
    assert ends == [
        *[(0, "StepRun", "a"), (HOUR, "Received", "wait"), (2 * HOUR, "Woke", "nap"), (3 * HOUR, "Invoked", "call")],
        (3 * HOUR, "StepRun", "after"),
    ]
    assert [call.target for call in app.calls if call.query["fnId"] == "app-fn"].count("step") == 3


@groups
def test_branches_of_several_steps(serve, kind, by):
    def branch(name):
        def script():
            first = yield Do("run", f"{name}1", lambda: name)
            yield Do("sleep", f"{name}-nap", "1s")
            return first + (yield Do("run", f"{name}2", lambda: name * 2))

        return script

    run = serve(declare(kind, in_parallel(branch("a"), branch("b"), by=by))).run()
    assert run.output == [["aaa", "bbb"], "after"]
    assert sorted(run.steps) == ["a-nap", "a1", "a2", "after", "b-nap", "b1", "b2"]
    assert happened(run)[-1][0] == SECOND


@both
def test_many_parallel_steps(serve, kind):
    app = serve(declare(kind, in_parallel(*[step(f"s{number}", number) for number in range(60)])))
    assert app.run().output == [list(range(60)), "after"]
    assert len(app.calls) == 63


# Races.


def declare_race(kind, *branches):
    """A function that returns the winner's result."""
    if kind == "sync":

        def handler(ctx):
            race = [lambda branch=branch: branch(ctx) for branch in branches]
            return ctx.group.parallel(race, mode="race")[0]
    else:

        async def handler(ctx):
            race = [lambda branch=branch: branch(ctx) for branch in branches]
            return (await ctx.group.parallel(race, mode="race"))[0]

    return create_function(id="fn", trigger=event_trigger("test/started"))(handler)


def ends(run):
    return happened(run)[-1][0]


@both
def test_a_race_goes_on_after_the_first(serve, kind):
    nap, doze = (lambda ctx: ctx.step.sleep("nap", "1h")), (lambda ctx: ctx.step.sleep("doze", "1d"))
    app = serve(declare_race(kind, doze, nap))
    run = app.run()
    assert (run.status, run.steps, ends(run)) == ("completed", ["nap"], HOUR)
    # It is called back while the other sleep is open, and is to plan what it finds.
    assert [call.ctx["disable_immediate_execution"] for call in app.calls] == [False, True]
    app.engine.advance("2d")
    assert (len(app.calls), ends(run), run.order) == (2, HOUR, [hash_of("nap")]), "a run that has ended stays as it is"


@both
def test_a_race_of_steps(serve, kind):
    branches = [lambda ctx, name=name: ctx.step.run(name, lambda: name) for name in "ab"]
    app = serve(declare_race(kind, *branches))
    run = app.run()
    assert run.output == "a"
    # Both were due at the same time; the function is called back once.
    assert [call.target for call in app.calls] == ["step", hash_of("a"), hash_of("b"), "step"]


def test_steps_that_finish_at_once_lead_to_one_call():
    plan = [race_op("Sleep", name, duration="1h") for name in "abc"]
    after = [race_op("Sleep", "after", duration="1h")]
    run = answering((206, plan), (206, after), (200, "done")).execute(EVENT)
    assert (run.calls, ends(run)) == (3, 2 * HOUR)


@both
def test_nothing_is_tried_again_for_a_run_that_has_ended(serve, kind):
    branches = [lambda ctx: ctx.step.run("boom", lambda: 1 / 0), lambda ctx: ctx.step.sleep("nap", "1s")]
    app = serve(declare_race(kind, *branches))
    run = app.run()
    app.engine.advance("1d")
    assert (ends(run), len(app.calls)) == (SECOND, 3)


@both
def test_a_run_that_has_ended_waits_for_nothing(serve, kind):
    def wait(ctx):
        return ctx.step.wait_for_signal("wait", signal="go", timeout="1d")

    app = serve(declare_race(kind, wait, lambda ctx: ctx.step.sleep("nap", "1s")))
    app.run()
    assert app.engine.signal("go") is None
    run = app.start()
    assert app.engine.signal("go") is run


@both
def test_nothing_more_is_done_for_a_run_that_fails_amid_a_plan(serve, kind):
    def wait():
        return (yield Do("wait_for_signal", "wait", signal="go", timeout="1d"))

    app = serve(declare(kind, in_parallel(wait, step("a", 1))))
    app.start()
    second = app.start()
    assert [moment[1] for moment in happened(second)] == ["Started", "WaitForSignal", "Failed"]


@both
def test_an_event_against_the_clock(serve, kind):
    def wait(ctx):
        return ctx.step.wait_for_signal("wait", signal="now", timeout="30d")

    def nap(ctx):
        return ctx.step.sleep("nap", "1d")

    app = serve(declare_race(kind, wait, nap))
    run = app.start()
    app.engine.advance("1m")
    app.engine.signal("now")
    app.engine.finish(run)
    assert (run.steps, ends(run)) == (["wait"], MINUTE)


def race_op(kind, step, **opts):
    return {"op": kind, "id": step, "displayName": step, "opts": {"parallelMode": "race", **opts}}


@pytest.mark.parametrize(("mode", "end"), [("race", 2 * HOUR), (None, DAY)])
def test_steps_after_a_race_are_called_back_at_once_only_if_they_race_too(mode, end):
    """For the server the losers are still open, and it calls back when nothing is, or after a step that races."""
    plan = [race_op("Sleep", "nap", duration="1h"), race_op("Sleep", "doze", duration="1d")]
    after = [race_op("Sleep", "after", duration="1h", parallelMode=mode)]
    run = answering((206, plan), (206, after), (200, "done")).execute(EVENT)
    assert ends(run) == end


@both
def test_what_follows_a_race_does_not_wait_for_the_losers(serve, kind):
    def script(_ctx):
        won = yield Both(sleep("doze", "7d"), step("a", "a"), mode="race")
        first = yield Do("run", "first", lambda: "first")
        yield Do("sleep", "nap", "1h")
        both_ends = yield Both(step("c", "c"), step("d", "d"))
        return [*won, first, *both_ends, (yield Do("run", "last", lambda: "last"))]

    run = serve(declare(kind, script)).run()
    assert (run.output, ends(run)) == (["a", "first", "c", "d", "last"], HOUR)


@both
def test_what_follows_a_race_can_catch_its_own_failure_before_the_losers_are_done(serve, kind):
    def script(_ctx):
        yield Both(sleep("doze", "7d"), step("a", "a"), mode="race")
        try:
            yield Do("run", "boom", lambda: 1 / 0)
        except StepError as error:
            return error.name

    run = serve(declare(kind, script, retries=0)).run()
    assert (run.output, ends(run)) == ("ZeroDivisionError", 0)


def test_tasks_that_are_left_behind(serve):
    """``asyncio.wait`` for the first: the server knows nothing of it and calls back after all of them."""

    @create_function(id="fn", trigger=event_trigger("test/started"))
    async def fn(ctx):
        tasks = [asyncio.ensure_future(ctx.step.run(name, lambda name=name: name)) for name in "ab"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return sorted(task.result() for task in done)

    run = serve(fn).run()
    assert run.status == "completed"
    assert set(run.steps) == {"a", "b"}
    assert ends(run) < DAY


@both
def test_a_step_that_two_calls_plan_runs_once(serve, kind):
    count = []

    def branch(ctx):
        return ctx.step.run("slow", lambda: count.append(1))

    racing = [branch, lambda ctx: ctx.step.sleep("doze", "1s"), lambda ctx: ctx.step.sleep("nap", "1s")]
    app = serve(declare_race(kind, *racing))
    app.engine.send(EVENT)
    app.engine.finish_all()
    assert len(count) == 1
