"""Parallel branches, where both kinds of function are to behave alike, and what only ``Group`` of sync code does."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of

from inngest_serverless import NonRetriableError, StepError

modes = pytest.mark.parametrize("each", [False, True], ids=["together", "each"])


class Work:
    """Bodies that count themselves."""

    def __init__(self):
        self.ran = []

    def __call__(self, name):
        self.ran.append(name)
        return name

    def branch(self, *ids):
        """A branch of run steps; gives their results."""

        def script():
            results = []
            for step_id in ids:
                results.append((yield Do("run", step_id, self, f"{'-'.join(ids)}.{len(results)}")))
            return results

        return script


def group(*scripts, after=None):
    def script(ctx):
        results = list((yield Both(*scripts)))
        if after is not None:
            results.append((yield Do("run", after, lambda: after)))
        return results

    return script


def last(keys):
    return keys[-1]


# What is found, and when it runs.


@both
@modes
@pytest.mark.parametrize("pick", [None, last], ids=["in-order", "reversed"])
def test_branches_of_several_steps(kind, each, pick):
    work = Work()
    server = Server(declare(kind, group(work.branch("a", "b"), work.branch("c"), work.branch("d", "e", "f"))))
    answer = server.run(each=each, pick=pick)
    assert answer.json == [["a-b.0", "a-b.1"], ["c.0"], ["d-e-f.0", "d-e-f.1", "d-e-f.2"]]
    assert sorted(work.ran) == sorted(set(work.ran)), "a body ran twice"


@both
@modes
@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("pick", [None, last], ids=["in-order", "reversed"])
def test_the_same_ids_in_each_branch(kind, each, pick, stale):
    work = Work()

    def branch(label):
        def script():
            first = yield Do("run", "tick", work, f"{label}1")
            second = yield Do("run", "tick", work, f"{label}2")
            third = yield Do("run", "tock", work, f"{label}3")
            return [first, second, third]

        return script

    server = Server(declare(kind, group(branch("x"), branch("y"), branch("z"), after="tick")))
    answer = server.run(each=each, pick=pick, stale=stale)
    assert answer.json == [[f"{label}{n}" for n in (1, 2, 3)] for label in "xyz"] + ["tick"]
    assert sorted(work.ran) == sorted(set(work.ran)), "a body ran twice"


@both
@pytest.mark.parametrize("stale", [False, True])
def test_an_id_with_a_slash_in_another_branch_keeps_its_own_result(kind, stale):
    """Steps behind the first of a branch are numbered under it, which must not meet an ID of the user's."""
    work = Work()
    server = Server(declare(kind, group(work.branch("users", "fetch"), work.branch("users/fetch"))))
    answer = server.run(pick=last, stale=stale)
    assert answer.json == [["users-fetch.0", "users-fetch.1"], ["users/fetch.0"]]
    assert len(work.ran) == 3


@pytest.mark.parametrize("mark", ["\0", ":", "\x1f", "."])
def test_an_id_with_another_mark_in_another_branch_keeps_its_own_result(mark):
    work = Work()
    server = Server(declare("sync", group(work.branch("users", "fetch"), work.branch(f"users{mark}fetch"))))
    answer = server.run(pick=last, stale=True)
    assert answer.json == [["users-fetch.0", "users-fetch.1"], [f"users{mark}fetch.0"]]


@both
def test_an_id_with_a_slash_before_and_after_a_group(kind):
    work = Work()

    def script(ctx):
        before = yield Do("run", "a/b", lambda: "before")
        inside = yield Both(work.branch("a", "b"), work.branch("a", "b"))
        after = yield Do("run", "a/b", lambda: "after")
        return [before, *inside, after]

    for pick in (None, last):
        answer = Server(declare(kind, script)).run(pick=pick)
        assert answer.json == ["before", ["a-b.0", "a-b.1"], ["a-b.0", "a-b.1"], "after"]


@both
def test_a_group_without_branches(kind):
    server = Server(declare(kind, group(after="z")))
    assert server.run().json == ["z"]
    assert len(server.calls) == 2


@both
def test_branches_without_steps(kind):
    server = Server(declare(kind, group(lambda: 1, lambda: None, lambda: [2])))
    assert server.call().json == [1, None, [2]]


@both
def test_branches_with_and_without_steps(kind):
    work = Work()
    server = Server(declare(kind, group(lambda: 1, work.branch("a"), lambda: 2, work.branch("b"))))
    assert server.run().json == [1, ["a.0"], 2, ["b.0"]]


@both
def test_a_single_branch_runs_each_step_at_once(kind):
    work = Work()
    server = Server(declare(kind, group(work.branch("a", "b"))))
    assert server.run().json == [["a-b.0", "a-b.1"]]
    assert len(server.calls) == 3, "a step was planned although it was the only one"


@both
def test_the_last_open_step_of_a_group_runs_at_once(kind):
    work = Work()
    server = Server(declare(kind, group(work.branch("a"), work.branch("b", "c"))))
    server.remember("a", {"data": "A"})
    server.remember("b", {"data": "B"})
    answer = server.call()
    assert (answer.ops, work.ran) == ([("StepRun", "c")], ["b-c.1"])


@both
def test_the_last_open_step_of_a_nested_group_runs_at_once(kind):
    work = Work()

    def inner():
        return list((yield Both(work.branch("a"), work.branch("b"))))

    server = Server(declare(kind, group(inner, work.branch("c"))))
    server.remember("a", {"data": "A"})
    server.remember("c", {"data": "C"})
    assert server.call().ops == [("StepRun", "b")]
    assert work.ran == ["b.0"]


@both
@pytest.mark.parametrize("open_branch", [0, 1, 2])
def test_the_only_open_branch_may_be_any(kind, open_branch):
    """The sync code runs that branch again; IDs that other branches took meanwhile must not shift."""
    work = Work()
    server = Server(declare(kind, group(*[work.branch("a", "a") for _ in range(3)])))
    server.run(pick=None)
    finished = server.memos
    keys = [op["id"] for op in server.calls[0][1].json]
    server.memos = {key: memo for key, memo in finished.items() if key != keys[open_branch]}
    answer = server.call()
    assert [op["id"] for op in answer.json] == [keys[open_branch]]
    assert answer.op["op"] == "StepRun"


@both
def test_steps_of_all_kinds_are_reported_together(kind):
    def sleeping():
        yield Do("sleep", "nap", "1h")

    def waiting():
        yield Do("wait_for_event", "wait", event="x/y", timeout="1d")

    work = Work()
    answer = Server(declare(kind, group(work.branch("a"), sleeping, waiting))).call()
    assert answer.ops == [("StepPlanned", "a"), ("Sleep", "nap"), ("WaitForEvent", "wait")]
    assert work.ran == []


@both
def test_a_sleep_that_is_left_alone_is_reported(kind):
    def sleeping():
        yield Do("sleep", "nap", "1h")

    work = Work()
    server = Server(declare(kind, group(work.branch("a"), sleeping)))
    server.remember("a", {"data": 1})
    assert server.call().ops == [("Sleep", "nap")]


@both
@modes
def test_steps_before_and_after_groups(kind, each):
    work = Work()

    def script(ctx):
        before = yield Do("run", "a", lambda: "before")
        first = yield Both(work.branch("a"), work.branch("a", "b"))
        between = yield Do("run", "a", lambda: "between")
        second = yield Both(work.branch("a", "b"), work.branch("b"))
        after = yield Do("run", "b", lambda: "after")
        return [before, *first, between, *second, after]

    answer = Server(declare(kind, script)).run(each=each, pick=last)
    assert answer.json == ["before", ["a.0"], ["a-b.0", "a-b.1"], "between", ["a-b.0", "a-b.1"], ["b.0"], "after"]


@both
@modes
@pytest.mark.parametrize("pick", [None, last], ids=["in-order", "reversed"])
@pytest.mark.parametrize("stale", [False, True])
def test_nested_groups(kind, each, pick, stale):
    work = Work()

    def inner():
        first = yield Do("run", "a", work, "inner.a")
        both_ = yield Both(work.branch("a", "b"), work.branch("a"))
        second = yield Do("run", "a", work, "inner.z")
        return [first, *both_, second]

    def group_first():
        both_ = yield Both(work.branch("x"), work.branch("x", "y"))
        return [*both_, (yield Do("run", "x", work, "first.z"))]

    server = Server(declare(kind, group(inner, work.branch("a"), group_first, after="a")))
    answer = server.run(each=each, pick=pick, stale=stale)
    assert answer.json == [
        ["inner.a", ["a-b.0", "a-b.1"], ["a.0"], "inner.z"],
        ["a.0"],
        [["x.0"], ["x-y.0", "x-y.1"], "first.z"],
        "a",
    ]


@both
def test_a_group_in_a_step_between_other_groups_in_a_loop(kind):
    work = Work()

    def script(ctx):
        rounds = []
        for _ in range(3):
            rounds.append(list((yield Both(work.branch("a"), work.branch("a")))))  # noqa: PERF401
        return rounds

    server = Server(declare(kind, script))
    assert server.run().json == [[["a.0"], ["a.0"]]] * 3
    assert len(work.ran) == 6


@both
@modes
@pytest.mark.parametrize("pick", [None, last], ids=["in-order", "reversed"])
@pytest.mark.parametrize("inner", [(), (lambda: 1,), (lambda: 1, lambda: 2)], ids=len)
def test_branches_that_begin_with_a_group_without_steps(kind, each, pick, inner):
    """Nothing in them can tell the branches apart but the steps behind those groups."""
    work = Work()

    def branch(label):
        def script():
            results = [len((yield Both(*inner)))]
            for number in range(3):
                results.append((yield Do("run", "tick", work, f"{label}{number}")))  # noqa: PERF401
            return results

        return script

    server = Server(declare(kind, group(branch("x"), branch("y"), branch("z"), after="tick")))
    answer = server.run(each=each, pick=pick)
    assert answer.json == [[len(inner), *[f"{label}{number}" for number in range(3)]] for label in "xyz"] + ["tick"]
    assert sorted(work.ran) == sorted(set(work.ran)), "a body ran twice"


@both
def test_many_branches(kind):
    def branch(number):
        def script():
            return (yield Do("run", "work", lambda: number))

        return script

    server = Server(declare(kind, group(*[branch(number) for number in range(60)])))
    assert server.run(pick=last).json == list(range(60))


@both
def test_results_keep_the_order_of_the_branches(kind):
    work = Work()
    server = Server(declare(kind, group(work.branch("a", "a"), lambda: "plain", work.branch("b"))))
    assert server.run(pick=last).json == [["a-a.0", "a-a.1"], "plain", ["b.0"]]


@both
def test_the_result_is_a_tuple(kind):
    def script(ctx):
        return type((yield Both(lambda: 1))).__name__

    assert Server(declare(kind, script)).call().json == "tuple"


# What branches raise.


def failing(error):
    def script():
        raise error

    return script


@both
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_failing_branch_waits_for_the_others(kind, first):
    work = Work()
    branches = [failing(ValueError("no")), work.branch("a", "b")]
    server = Server(declare(kind, group(*(branches if first else branches[::-1]))), max_attempts=1)
    answer = server.run()
    assert (answer.status, answer.json["name"], answer.json["message"]) == (500, "ValueError", "no")
    assert work.ran == ["a-b.0", "a-b.1"], "the other branch was not carried on"


@both
def test_the_first_failing_branch_in_order_is_what_the_group_raises(kind):
    branches = [lambda: 1, failing(ValueError("first")), failing(KeyError("second"))]
    answer = Server(declare(kind, group(*branches))).call()
    assert (answer.json["name"], answer.json["message"]) == ("ValueError", "first")


@both
def test_a_failing_group_can_be_caught(kind):
    def script(ctx):
        try:
            yield Both(failing(ValueError("no")), lambda: 1)
        except ValueError as error:
            return [str(error), (yield Do("run", "a", lambda: 2))]

    assert Server(declare(kind, script)).run().json == ["no", 2]


@both
@modes
def test_a_step_error_is_caught_inside_its_branch(kind, each):
    def guarded():
        try:
            yield Do("run", "boom", raising, ValueError("no"))
        except StepError as error:
            return ["caught", error.name, (yield Do("run", "undo", lambda: "undone"))]

    work = Work()
    server = Server(declare(kind, group(guarded, work.branch("a", "b"))), max_attempts=1)
    assert server.run(each=each).json == [["caught", "ValueError", "undone"], ["a-b.0", "a-b.1"]]


@both
@modes
def test_a_step_error_that_leaves_its_branch_ends_the_run(kind, each):
    work = Work()

    def boom():
        yield Do("run", "boom", raising, NonRetriableError("no"))

    server = Server(declare(kind, group(boom, work.branch("a", "b"))))
    answer = server.run(each=each)
    assert (answer.status, answer.json["name"], answer.json["message"]) == (400, "NonRetriableError", "no")
    assert work.ran == ["a-b.0", "a-b.1"]


def raising(error):
    raise error


@both
def test_an_exception_that_a_branch_returns_is_a_result(kind):
    """Only what is raised is raised."""

    def guarded():
        try:
            yield Do("run", "boom", raising, ValueError("no"))
        except StepError as error:
            return error

    def script(ctx):
        results = yield Both(guarded, lambda: 1)
        return [type(result).__name__ for result in results]

    assert Server(declare(kind, script), max_attempts=1).run().json == ["StepError", "int"]


@both
def test_a_wrong_argument_in_one_branch_does_not_lose_another(kind):
    """A mistake that shows when the branch is called, before there is anything to await."""

    def sync(ctx):
        return ctx.group.parallel(
            [lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.invoke("b", function="no function")]
        )

    async def native(ctx):
        return await ctx.group.parallel(
            [lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.invoke("b", function="no function")]
        )

    server = Server(function(sync if kind == "sync" else native))
    first = server.call()
    gc.collect()  # shows a coroutine that was never awaited
    assert first.ops == [("StepRun", "a")]
    server.remember("a", {"data": 1})
    assert (server.call().status, server.call().json["name"]) == (400, "ConfigurationError")


# What branches do with the interrupt that ends a call: sync only, as async branches just rest.


def in_sync_group(*branches, after=("z",)):
    """A sync function of branches that take the context, and steps behind them."""

    def handler(ctx):
        results = ctx.group.parallel([lambda branch=branch: branch(ctx) for branch in branches])
        return [*results, *[ctx.step.run(name, lambda: "z") for name in after]]

    return function(handler)


def swallow_and_return(ctx):
    try:
        return ctx.step.run("a", lambda: "a")
    except BaseException:  # noqa: BLE001 - as users do
        return "made up"


def swallow_and_raise(ctx):
    try:
        return ctx.step.run("a", lambda: "a")
    except BaseException as error:
        raise ValueError("made up") from error


def swallow_and_go_on(ctx):
    results = []
    for name in ("a", "b"):
        try:
            results.append(ctx.step.run(name, lambda name=name: name))
        except BaseException:  # noqa: BLE001 - as users do
            results.append("made up")
    return results


def return_in_finally(ctx):
    result = "made up"
    try:
        result = ctx.step.run("a", lambda: "a")
    finally:
        return result  # noqa: B012 - as users do


def step_in_finally(ctx):
    try:
        return ctx.step.run("a", lambda: "a")
    finally:
        ctx.step.run("cleanup", lambda: None)


SWALLOWED = [
    (swallow_and_return, "a"),
    (swallow_and_raise, "a"),
    (swallow_and_go_on, ["a", "b"]),
    (return_in_finally, "a"),
    (step_in_finally, "a"),
]
swallowed = pytest.mark.parametrize(("branch", "result"), SWALLOWED, ids=[branch.__name__ for branch, _ in SWALLOWED])


@swallowed
@pytest.mark.parametrize("after", [(), ("z",)], ids=["end", "step"])
def test_a_lone_branch_that_swallows_the_interrupt_loses_no_step(branch, result, after):
    server = Server(in_sync_group(branch, after=after))
    assert server.run().json == [result, *after]
    assert server.calls[0][1].ops == [("StepRun", "a")], "the step was not run at once"


@swallowed
@modes
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("after", [(), ("z",)], ids=["end", "step"])
def test_a_branch_that_swallows_the_interrupt_loses_no_step(branch, result, each, first, after):
    def other(ctx):
        return [ctx.step.run("x", lambda: 1), ctx.step.run("y", lambda: 2)]

    branches = [branch, other] if first else [other, branch]
    expected = [result, [1, 2]] if first else [[1, 2], result]
    assert Server(in_sync_group(*branches, after=after)).run(each=each).json == [*expected, *after]


@pytest.mark.parametrize("nested", [False, True])
def test_a_step_in_finally_of_a_branch_is_not_found_before_its_time(nested):
    def inner(ctx):
        return ctx.group.parallel([lambda: step_in_finally(ctx)])

    fn = in_sync_group(inner if nested else step_in_finally, lambda ctx: ctx.step.run("x", lambda: 1))
    assert Server(fn).call().ops == [("StepPlanned", "a"), ("StepPlanned", "x")]


@pytest.mark.parametrize("inner", [[], [lambda: 1], [lambda: 1, lambda: 2]], ids=len)
def test_a_group_after_a_swallowed_interrupt_is_not_explored_before_its_time(inner):
    """Its branches must not undo that the branch around it is being left."""

    def branch(ctx):
        try:
            first = ctx.step.run("a", lambda: "a")
        except BaseException:  # noqa: BLE001 - as users do
            first = "made up"
        nested = ctx.group.parallel([*inner, lambda: ctx.step.run("b", lambda: "b")])
        return [first, nested[-1], ctx.step.run("c", lambda: "c")]

    server = Server(in_sync_group(branch, lambda ctx: ctx.step.run("x", lambda: 1)))
    assert server.call().ops == [("StepPlanned", "a"), ("StepPlanned", "x")]
    assert server.run().json == [["a", "b", "c"], 1, "z"]


def test_a_step_after_a_swallowed_interrupt_is_not_found_before_its_time():
    fn = in_sync_group(swallow_and_go_on, lambda ctx: ctx.step.run("x", lambda: 1))
    assert Server(fn).call().ops == [("StepPlanned", "a"), ("StepPlanned", "x")]


def test_an_interrupt_swallowed_around_the_group_loses_nothing():
    def handler(ctx):
        try:
            return ctx.group.parallel([lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.run("b", lambda: 2)])
        except BaseException:  # noqa: BLE001 - as users do
            return "made up"

    assert Server(function(handler)).run().json == [1, 2]


def test_exit_in_a_branch_that_is_caught_loses_no_step():
    def handler(ctx):
        with suppress(SystemExit):
            ctx.group.parallel([lambda: sys.exit(3)])
        return ctx.step.run("after", lambda: 1)

    assert Server(function(handler)).run().json == 1


def test_exit_in_a_branch_does_not_shift_later_ids():
    def handler(ctx):
        def branch():
            ctx.step.run("a", lambda: 1)
            sys.exit(3)

        with suppress(SystemExit):
            ctx.group.parallel([branch])
        return ctx.step.run("b", lambda: 2)

    server = Server(function(handler))
    assert server.run().json == 2
    assert server.order == [hash_of("a"), hash_of("b")]


# A branch that is run again, to do its step in place.


def test_a_body_runs_within_the_blocks_around_it():
    log = []

    class Block:
        def __enter__(self):
            log.append("enter")

        def __exit__(self, *_):
            log.append("exit")

    def branch(ctx):
        with Block():
            return ctx.step.run("a", lambda: log.append("body"))

    answer = Server(in_sync_group(branch)).call()
    assert answer.ops == [("StepRun", "a")]
    assert log[log.index("body") - 1] == "enter", "the block around the step was closed when its body ran"
    assert log.count("enter") == log.count("exit")


def test_a_branch_that_takes_another_way_the_second_time_is_planned():
    visits = []

    def branch(ctx):
        visits.append(1)
        return ctx.step.run("a" if len(visits) % 2 else "b", lambda: 1)

    answer = Server(in_sync_group(branch)).call()
    assert answer.ops == [("StepPlanned", "a")]


@pytest.mark.parametrize("way", ["return", "raise", "swallow"])
def test_a_branch_that_comes_to_no_step_the_second_time_is_planned(way):
    visits = []

    def branch(ctx):
        visits.append(1)
        if len(visits) % 2:
            return ctx.step.run("a", lambda: 1)
        if way == "raise":
            raise ValueError("no")
        if way == "swallow":
            return swallow_and_return(ctx)
        return None

    answer = Server(in_sync_group(branch)).call()
    expected = ("StepRun", "a") if way == "swallow" else ("StepPlanned", "a")
    assert answer.ops == [expected]


def test_a_branch_is_called_at_most_twice():
    visits = []

    def branch(ctx):
        visits.append(1)
        return ctx.step.run("a", lambda: 1)

    Server(in_sync_group(branch, lambda ctx: 1)).call()
    assert len(visits) == 2


def test_a_failing_body_in_a_branch_is_reported():
    fn = in_sync_group(lambda ctx: ctx.step.run("a", raising, ValueError("no")))
    answer = Server(fn).call()
    assert (answer.ops, answer.error["message"]) == ([("StepError", "a")], "no")


def test_branches_may_come_from_a_generator():
    def handler(ctx):
        return ctx.group.parallel((lambda n=n: ctx.step.run(f"s{n}", lambda: n)) for n in range(3))

    assert Server(function(handler)).run().json == [0, 1, 2]


@both
def test_branches_that_are_no_functions_are_a_clear_error(kind):
    def sync(ctx):
        return ctx.group.parallel([5])

    async def native(ctx):
        return await ctx.group.parallel([5])

    answer = Server(function(sync if kind == "sync" else native)).call()
    assert answer.status in {400, 500}
    assert "int" in answer.error["message"]


def test_a_coroutine_in_place_of_a_branch_is_a_clear_error():
    """As with gather: ``parallel([ctx.step.run(...)])``."""

    async def handler(ctx):
        step = ctx.step.run("a", lambda: 1)
        try:
            return await ctx.group.parallel([step])
        finally:
            step.close()

    answer = Server(function(handler)).call()
    assert answer.status in {400, 500}, answer
    assert "coroutine" in answer.error["message"]


# What is no branch.


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_step_that_was_called_is_no_branch(kind):
    def called(ctx):
        return [ctx.step.run("a", str)]

    async def handler(ctx):
        await ctx.group.parallel(called(ctx))

    fn = function(handler if kind == "async" else lambda ctx: ctx.group.parallel(called(ctx)))
    memos = {hash_of("a"): {"data": ""}}
    error = Server(fn).call(memos=memos, order=[*memos]).error
    assert error["name"] == "ConfigurationError"
    assert error["message"] == (
        f"group.parallel takes functions, not {'str' if kind == 'sync' else 'coroutine'}: "
        "write lambda: ctx.step.run('id', function), without calling the step"
    )
