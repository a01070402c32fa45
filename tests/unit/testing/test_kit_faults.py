"""Faults that a test asks for: what the world outside sees of them, and what the function does."""

from __future__ import annotations

import asyncio

import pytest
from kit_app import function, order, steps

from inngest_serverless import ConfigurationError, event_trigger
from inngest_serverless.testing import Fault, Injection, NotReachedError, Session, mock_step, run


class World:
    def __init__(self):
        self.done = []

    def do(self, what):
        self.done.append(what)
        return what

    def two_steps(self, **options):
        return function(lambda ctx: [ctx.step.run("a", self.do, "a"), ctx.step.run("b", self.do, "b")], **options)

    def parallel(self):
        async def body(ctx):
            return await asyncio.gather(*[ctx.step.run(step_id, self.do, step_id) for step_id in "abcd"])

        return function(body)


@pytest.fixture
def world():
    return World()


def kinds(result):
    return [moment.kind for moment in result.timeline]


def test_killed_before_a_step_it_runs_once(world):
    result = run(world.two_steps(), order(), faults=Fault.kill_before("b"))
    assert (result.output, world.done) == (["a", "b"], ["a", "b"])
    assert kinds(result) == ["Started", "StepRun", "Retrying", "StepRun", "Returned"]
    assert result.faults == (Injection("kill_before", 2, ("b",)),)
    assert str(result.faults[0]) == "kill_before at call 2 ('b')"
    assert result.calls == 4


def test_killed_after_a_step_it_runs_twice(world):
    result = run(world.two_steps(), order(), faults=Fault.kill_after("a"))
    assert (result.output, world.done) == (["a", "b"], ["a", "a", "b"])
    assert kinds(result) == ["Started", "Retrying", "StepRun", "StepRun", "Returned"]


@pytest.mark.parametrize("fault", [Fault.drop_reply("a"), Fault.drop_reply(call=1)])
def test_an_answer_that_gets_lost(world, fault):
    result = run(world.two_steps(), order(), faults=[fault])
    assert (result.output, world.done) == (["a", "b"], ["a", "a", "b"])
    assert result.faults == (Injection("drop_reply", 1, ("a",)),)


def test_the_answer_of_the_function_itself_gets_lost(world):
    result = run(world.two_steps(), order(), faults=Fault.drop_reply(call=3))
    assert (result.output, world.done, result.calls) == (["a", "b"], ["a", "b"], 4)
    assert result.faults == (Injection("drop_reply", 3, ()),)


@pytest.mark.parametrize("fault", [Fault.duplicate("b"), Fault.duplicate(call=2)])
def test_a_call_that_is_delivered_twice(world, fault):
    result = run(world.two_steps(), order(), faults=fault)
    assert (result.output, world.done) == (["a", "b"], ["a", "b", "b"])
    assert kinds(result) == ["Started", "StepRun", "StepRun", "Returned"], "to the server it is one call"


def test_the_second_answer_counts():
    given = iter("xyz")
    fn = function(lambda ctx: ctx.step.run("a", lambda: next(given)))
    result = run(fn, order(), faults=Fault.duplicate("a"))
    assert result.output == "y"


def test_several_times(world):
    result = run(world.two_steps(), order(), faults=[Fault.kill_before("a", times=2), Fault.kill_after("a", times=2)])
    assert (result.output, world.done) == (["a", "b"], ["a", "a", "a", "b"])
    assert [fault.kind for fault in result.faults] == ["kill_before", "kill_before", "kill_after", "kill_after"]


def test_each_fault_takes_a_try(world):
    result = run(world.two_steps(retries=1), order(), faults=Fault.kill_before("a", times=2))
    assert (result.status, world.done) == ("failed", [])
    assert "the invocation was killed before it ran (step 'a'): a fault that the test asked for" in result.error.message


@pytest.mark.parametrize("make", [Fault.kill_before, Fault.kill_after, Fault.drop_reply])
def test_steps_without_a_body(make):
    fn = function(lambda ctx: ctx.step.sleep("nap", "1h"))
    result = run(fn, order(), faults=make("nap"))
    assert (result.status, result.steps, len(result.faults)) == ("completed", ("nap",), 1)
    assert kinds(result) == ["Started", "Retrying", "Sleep", "Woke", "Returned"]


@pytest.mark.parametrize(("make", "ran"), [(Fault.kill_before, 1), (Fault.kill_after, 2), (Fault.duplicate, 2)])
def test_parallel_steps(world, make, ran):
    result = run(world.parallel(), order(), faults=make("c"))
    assert (result.output, world.done.count("c"), len(world.done)) == (list("abcd"), ran, 3 + ran)
    [fault] = result.faults
    assert fault.steps == ("c",)


def test_parallel_steps_end_in_another_order(world):
    orders = {run(world.parallel(), order(), faults=Fault.reorder(seed)).steps for seed in range(8)}
    assert len(orders) > 3
    assert {tuple(sorted(steps)) for steps in orders} == {tuple("abcd")}


def test_one_after_the_other_stays_so():
    for seed in range(5):
        assert run(steps("a", "b", "c"), order(), faults=Fault.reorder(seed)).steps == ("a", "b", "c")


def test_the_same_seed_gives_the_same_faults(world):
    results = [run(world.parallel(), order(), faults=Fault.random(seed, rate=0.5)) for seed in (3, 3, 4)]
    assert results[0].faults == results[1].faults != results[2].faults
    assert results[0].steps == results[1].steps
    assert [result.output for result in results] == [list("abcd")] * 3
    assert (
        len(
            {
                fault.kind
                for seed in range(9)
                for fault in run(world.parallel(), order(), faults=Fault.random(seed)).faults
            }
        )
        == 3
    )


def test_chance_leaves_the_last_try_alone(world):
    for seed in range(10):
        result = run(world.two_steps(retries=1), order(), faults=Fault.random(seed, rate=1.0))
        assert result.output == ["a", "b"]


def test_faults_and_mocks_together(world):
    fn = world.two_steps()
    for make in (Fault.kill_before, Fault.kill_after, Fault.drop_reply, Fault.duplicate):
        result = run(fn, order(), mocks=[mock_step("a", "mocked")], faults=make("a"))
        assert (result.output, len(result.faults)) == (["mocked", "b"], 1)
    assert set(world.done) == {"b"}


def test_a_step_that_raises_and_whose_answer_gets_lost():
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("busy")
        return "ok"

    result = run(function(lambda ctx: ctx.step.run("a", flaky)), order(), faults=Fault.kill_after("a"))
    assert (result.output, len(tries), kinds(result)) == (
        "ok",
        3,
        ["Started", "Retrying", "StepError", "StepRun", "Returned"],
    )


def test_a_fault_that_never_happens_is_a_failure(world):
    with pytest.raises(NotReachedError, match=r"Fault.kill_before\('c'\): no function came to that. .*'a', 'b'"):
        run(world.two_steps(), order(), faults=Fault.kill_before("c"))
    with pytest.raises(NotReachedError, match=r"Fault.drop_reply\(call=9\)"):
        run(world.two_steps(), order(), faults=[Fault.drop_reply(call=9)])


def test_calls_are_counted_by_run(world):
    """Those of a function that is invoked, and those of other runs, are not counted in."""
    child = function(lambda ctx: ctx.step.run("inner", world.do, "inner"), "child", trigger=event_trigger("x"))
    parent = function(lambda ctx: [ctx.step.invoke("ask", function=child), ctx.step.run("own", world.do, "own")])
    with Session() as session:
        for _ in range(2):
            result = session.run([parent, child], order(), faults=Fault.drop_reply(call=2))
            assert result.faults == (Injection("drop_reply", 2, ("own",)),)
        result = session.run([parent, child], order(), faults=Fault.drop_reply("inner"))
        assert result.faults == ()
        assert session.runs[-1].faults == (Injection("drop_reply", 1, ("inner",)),)
    assert world.done.count("own") == 5


def test_one_call_is_hit_by_all_that_is_meant_for_it():
    def body(ctx):
        ctx.group.parallel([lambda: ctx.step.sleep("a", "1h"), lambda: ctx.step.sleep("b", "1h")])

    result = run(function(body), order(), faults=[Fault.duplicate("a"), Fault.duplicate("b"), Fault.duplicate(call=1)])
    assert result.faults == (Injection("duplicate", 1, ("a", "b")),)


def test_faults_of_a_session(world):
    with Session() as session:
        session.inject(Fault.kill_after("b"))
        session.run(world.two_steps(), order())
        assert world.done == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fault.kill_before(""), "give the step's ID"),
        (Fault.drop_reply, "give a step's ID or call="),
        (lambda: Fault.duplicate("a", call=1), "give a step's ID or call="),
        (lambda: Fault.kill_after("a", times=0), "once or more often"),
        (lambda: Fault.random(1, rate=2), "a number from 0 to 1"),
        (lambda: run(steps("a"), order(), faults=["kill"]), "faults are made by Fault.kill_before and the like"),
    ],
)
def test_wrong_faults(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
