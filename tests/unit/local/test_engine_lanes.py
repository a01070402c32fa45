"""Calls that overlap: concurrency limits, priority, and replies that come in another order."""

from __future__ import annotations

import pytest
from engine_app import MINUTE, SECOND, START_MS

from inngest_serverless import Concurrency, Priority, Throttle, create_function, event_trigger


def working(function_id="fn", **options):
    """A function of two steps, one after the other."""
    declare = create_function(id=function_id, trigger=event_trigger("test/started"), **options)

    def body(ctx):
        ctx.step.run("one", lambda: 1)
        ctx.step.run("two", lambda: 2)
        return ctx.event.data.get("n")

    return declare(body)


def event(n, **data):
    return {"name": "test/started", "data": {"n": n, **data}}


def minute(_call):
    return MINUTE


def overlap(runs):
    """How many calls were under way at once, at the most; each takes a minute."""
    begins = sorted(call.at_ms for run in runs for call in run.invocations)
    return max(sum(begin <= at < begin + MINUTE for begin in begins) for at in begins)


def run_all(app, events):
    for each in events:
        app.engine.send(each)
    return app.engine.finish_all()


def test_calls_overlap_without_a_limit(serve):
    assert overlap(run_all(serve(working(), latency=minute), [event(n) for n in range(4)])) == 4


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_calls_of_a_function_run_at_once_than_its_limit(serve, limit):
    runs = run_all(serve(working(concurrency=Concurrency(limit=limit)), latency=minute), [event(n) for n in range(4)])
    assert overlap(runs) == limit
    assert [run.output for run in runs] == list(range(4))


def test_a_run_that_sleeps_takes_no_room(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"), concurrency=Concurrency(limit=1))
    def nap(ctx):
        ctx.step.sleep("nap", "1h")

    runs = run_all(serve(nap, latency=minute), [event(n) for n in range(3)])
    assert max(run.ended_ms for run in runs) - START_MS == (1 + 60 + 3) * MINUTE


def test_parallel_steps_of_a_run_share_the_limit(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"), concurrency=Concurrency(limit=2))
    def fan(ctx):
        return list(ctx.group.parallel([lambda n=n: ctx.step.run(f"s{n}", lambda: n) for n in range(5)]))

    [run] = run_all(serve(fan, latency=minute), [event(0)])
    assert (run.output, overlap([run])) == (list(range(5)), 2)


def test_each_value_of_the_key_has_the_limit_to_itself(serve):
    limit = Concurrency(limit=1, key="event.data.user")
    runs = run_all(
        serve(working(concurrency=limit), latency=minute),
        [event(n, user=user) for n, user in enumerate(["ada", "ada", "bob"])],
    )
    assert overlap(runs) == 2
    assert overlap(runs[:2]) == 1


def test_two_limits_both_hold(serve):
    limits = [Concurrency(limit=2), Concurrency(limit=1, key="event.data.user")]
    runs = run_all(
        serve(working(concurrency=limits), latency=minute),
        [event(n, user=user) for n, user in enumerate(["ada", "ada", "bob", "cy", "dee"])],
    )
    assert overlap(runs) == 2
    assert overlap(runs[:2]) == 1


def test_functions_share_a_limit_of_the_account(serve):
    limit = Concurrency(limit=1, key="'mail'", scope="account")
    functions = [working(function_id, concurrency=limit) for function_id in ("a", "b")]
    assert overlap(run_all(serve(*functions, latency=minute), [event(0)])) == 1


def test_functions_do_not_share_limits_of_their_own(serve):
    functions = [working(function_id, concurrency=Concurrency(limit=1)) for function_id in ("a", "b")]
    assert overlap(run_all(serve(*functions, latency=minute), [event(0)])) == 2


def order_of_starts(runs):
    began = sorted((run.invocations[0].at_ms, run.events[0]["data"]["n"]) for run in runs)
    return [n for _, n in began]


@pytest.mark.parametrize(
    "options",
    [{"concurrency": Concurrency(limit=1)}, {"throttle": Throttle(limit=1, period="1h")}],
    ids=["concurrency", "throttle"],
)
def test_a_run_of_more_priority_goes_before_those_that_wait(serve, options):
    declare = create_function(
        id="fn",
        trigger=event_trigger("test/started"),
        priority=Priority(run="event.data.plan == 'pro' ? 60 : 0"),
        **options,
    )
    app = serve(declare(lambda ctx: ctx.event.data["n"]), latency=minute)
    runs = run_all(app, [event(n, plan=plan) for n, plan in enumerate(["free", "free", "pro", "free", "pro"])])
    assert order_of_starts(runs) == [0, 2, 4, 1, 3]


def test_priority_is_a_head_start_of_seconds(serve):
    declare = create_function(
        id="fn",
        trigger=event_trigger("test/started"),
        priority=Priority(run="event.data.ahead"),
        concurrency=Concurrency(limit=1),
    )
    app = serve(declare(lambda ctx: ctx.event.data["n"]), latency=lambda _call: 10 * MINUTE)
    app.engine.send(event(0, ahead=0))
    app.engine.send(event(1, ahead=0))
    app.engine.send(event(6, ahead=550))
    app.engine.advance("2m")
    app.engine.send(event(2, ahead=60))
    app.engine.send(event(3, ahead=180))
    app.engine.send(event(4, ahead="high"))
    app.engine.send(event(5, ahead=100_000))
    assert order_of_starts(app.engine.finish_all()) == [0, 6, 5, 3, 1, 2, 4]


def test_the_place_of_a_failed_call_is_free_for_others(serve):
    declare = create_function(
        id="fn", trigger=event_trigger("test/started"), concurrency=Concurrency(limit=1), retries=1
    )

    def flaky(ctx):
        if ctx.event.data["n"] == 0:
            raise RuntimeError("down")

    runs = run_all(serve(declare(flaky), latency=minute), [event(n) for n in range(2)])
    assert [(run.status, run.ended_ms - START_MS <= 3 * MINUTE) for run in runs] == [
        ("failed", True),
        ("completed", True),
    ]
    assert overlap(runs) == 1


def test_an_error_of_the_endpoint_leaves_no_place_taken(serve):
    app = serve(working(concurrency=Concurrency(limit=1)))
    right, app._endpoint = app._endpoint, None
    with pytest.raises(TypeError):
        app.run(n=1)
    app._endpoint = right
    assert app.run(n=2).output == 2


def test_parallel_steps_end_in_the_order_of_their_replies(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"))
    def fan(ctx):
        return list(ctx.group.parallel([lambda n=n: ctx.step.run(f"s{n}", lambda: n) for n in range(3)]))

    delays = iter([0, 3 * SECOND, 1 * SECOND, 2 * SECOND, 0])
    app = serve(fan, latency=lambda _call: next(delays))
    run = app.run()
    assert run.output == [0, 1, 2]
    assert run.steps == ["s1", "s2", "s0"]


def test_the_loser_of_a_race_does_not_disturb_what_comes_next(serve):
    ran = []

    @create_function(id="fn", trigger=event_trigger("test/started"))
    def race(ctx):
        (winner,) = ctx.group.parallel([lambda n=n: ctx.step.run(f"s{n}", lambda: n) for n in range(2)], mode="race")
        after = ctx.step.run("after", lambda: ran.append("after") or "done")
        return [winner, after]

    # Both replies come while the call after the first of them is under way.
    delays = iter([0, 10 * SECOND, 12 * SECOND, 5 * SECOND, 5 * SECOND, 5 * SECOND, 5 * SECOND])
    run = serve(race, latency=lambda _call: next(delays)).run()
    assert (run.status, run.output, ran) == ("completed", [0, "done"], ["after"])
