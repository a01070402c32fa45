"""Async tasks are replayed in the order in which their steps completed: ``ctx.stack``."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest
from engine_server import Server, function, hash_of

modes = pytest.mark.parametrize("each", [False, True], ids=["together", "each"])
STALE = pytest.mark.parametrize("stale", [False, True])


def known(fn, order):
    """A server that knows steps, each with its ID as the result, completed in an order."""
    server = Server(fn)
    for step_id in order:
        server.remember(step_id, {"data": step_id})
    return server


async def note(log, ctx, step_id):
    log.append(await ctx.step.run(step_id, lambda: step_id))
    return log[-1]


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_results_are_handed_out_in_the_order_of_the_stack(order):
    async def handler(ctx):
        log = []
        await asyncio.gather(*[note(log, ctx, step_id) for step_id in "abc"])
        return log

    assert known(function(handler), order).call().json == list(order)


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_as_completed_follows_the_stack(order):
    async def handler(ctx):
        steps = [ctx.step.run(step_id, lambda: 1) for step_id in "abc"]
        return [await step for step in asyncio.as_completed(steps)]

    assert known(function(handler), order).call().json == list(order)


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_wait_for_the_first_picks_the_first_of_the_stack(order):
    async def handler(ctx):
        tasks = [asyncio.create_task(ctx.step.run(step_id, lambda: 1)) for step_id in "abc"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in done]

    assert known(function(handler), order).call().json == [order[0]]


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_task_groups_and_callbacks_follow_the_stack(order):
    async def handler(ctx):
        log = []
        async with asyncio.TaskGroup() as group:
            for step_id in "abc":
                task = group.create_task(ctx.step.run(step_id, lambda: 1))
                task.add_done_callback(lambda task: log.append(task.result()))
        return log

    assert known(function(handler), order).call().json == list(order)


@pytest.mark.parametrize("first", ["left", "right"])
def test_code_that_depends_on_the_order_takes_the_same_way_when_the_stack_grows(first):
    """The loser completes later; what was decided must not be decided anew."""

    async def handler(ctx):
        tasks = {
            asyncio.create_task(ctx.step.run(step_id, lambda step_id=step_id: step_id)) for step_id in ("left", "right")
        }
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = done.pop().result()
        follow = await ctx.step.run(f"after-{winner}", lambda: winner)
        rest = [await task for task in pending]
        return [winner, follow, *rest]

    server = Server(function(handler))
    other = "right" if first == "left" else "left"
    answer = server.run(each=True, pick=lambda keys: hash_of(first) if hash_of(first) in keys else keys[-1])
    assert answer.json == [first, first, other]
    assert hash_of(f"after-{other}") not in server.memos


@pytest.mark.parametrize("winner", "ab")
def test_a_late_result_does_not_change_who_was_first(winner):
    async def handler(ctx):
        log = []
        await asyncio.gather(note(log, ctx, "a"), note(log, ctx, "b"))
        return [await ctx.step.run(f"then-{log[0]}", lambda: log[0]), *log]

    loser = "b" if winner == "a" else "a"
    fn = function(handler)
    assert known(fn, [winner, loser]).call().op["name"] == f"then-{winner}"
    assert known(fn, [winner, loser, f"then-{winner}"]).call().json == [f"then-{winner}", winner, loser]


@modes
@STALE
@pytest.mark.parametrize("backwards", [False, True])
def test_the_same_ids_in_each_branch_keep_their_results(each, stale, backwards):
    ran = []

    async def branch(ctx, label):
        results = []
        for number in range(3):
            value = f"{label}{number}"
            results.append(await ctx.step.run("tick", lambda value=value: ran.append(value) or value))
        return results

    async def handler(ctx):
        return await asyncio.gather(*[branch(ctx, label) for label in "xyz"])

    pick = (lambda keys: keys[-1]) if backwards else None
    answer = Server(function(handler)).run(each=each, pick=pick, stale=stale)
    assert answer.json == [[f"{label}{number}" for number in range(3)] for label in "xyz"]
    assert sorted(ran) == sorted(set(ran)), "a body ran twice"


@modes
def test_branches_of_different_lengths_keep_their_results(each):
    async def branch(ctx, label, length):
        return [await ctx.step.run("tick", lambda n=n: f"{label}{n}") for n in range(length)]

    async def handler(ctx):
        return await asyncio.gather(branch(ctx, "x", 1), branch(ctx, "y", 4), branch(ctx, "z", 2))

    answer = Server(function(handler)).run(each=each, pick=lambda keys: keys[len(keys) // 2])
    assert answer.json == [[f"{label}{n}" for n in range(length)] for label, length in (("x", 1), ("y", 4), ("z", 2))]


@modes
def test_nested_gathers(each):
    async def leaf(ctx, label):
        first = await ctx.step.run("leaf", lambda: f"{label}1")
        return [first, await ctx.step.run("leaf", lambda: f"{label}2")]

    async def branch(ctx, label):
        before = await ctx.step.run("leaf", lambda: f"{label}<")
        inside = await asyncio.gather(leaf(ctx, f"{label}a"), leaf(ctx, f"{label}b"))
        return [before, *inside, await ctx.step.run("leaf", lambda: f"{label}>")]

    async def handler(ctx):
        return await asyncio.gather(branch(ctx, "x"), branch(ctx, "y"))

    answer = Server(function(handler)).run(each=each, pick=lambda keys: keys[-1])
    assert answer.json == [[f"{k}<", [f"{k}a1", f"{k}a2"], [f"{k}b1", f"{k}b2"], f"{k}>"] for k in "xy"]


def test_sleeps_and_waits_have_their_place_in_the_stack():
    async def handler(ctx):
        log = []

        async def nap():
            await ctx.step.sleep("nap", "1s")
            log.append("nap")

        async def wait():
            log.append((await ctx.step.wait_for_event("wait", event="x/y", timeout="1d")).name)

        await asyncio.gather(nap(), wait(), note(log, ctx, "a"))
        return log

    memos = {"nap": None, "wait": {"name": "x/y", "data": {}}, "a": {"data": "a"}}
    shown = {"nap": "nap", "wait": "x/y", "a": "a"}
    for order in permutations(memos):
        server = Server(function(handler))
        for step_id in order:
            server.remember(step_id, memos[step_id])
        assert server.call().json == [shown[step_id] for step_id in order]


def test_a_failed_step_has_its_place_in_the_stack():
    async def guarded(log, ctx, step_id):
        try:
            log.append(await ctx.step.run(step_id, lambda: step_id))
        except Exception as error:  # noqa: BLE001 - any error will do
            log.append(str(error))

    async def handler(ctx):
        log = []
        await asyncio.gather(guarded(log, ctx, "a"), guarded(log, ctx, "b"))
        return log

    for order in (["a", "b"], ["b", "a"]):
        server = Server(function(handler))
        for step_id in order:
            server.remember(step_id, {"data": "a"} if step_id == "a" else {"error": {"name": "E", "message": "no"}})
        assert server.call().json == ["a" if step_id == "a" else "no" for step_id in order]


def test_memos_without_a_place_in_the_stack_are_handed_out_all_the_same():
    async def handler(ctx):
        log = []
        await asyncio.gather(*[note(log, ctx, step_id) for step_id in "abcd"])
        return log

    server = known(function(handler), "abcd")
    server.order = [hash_of("d"), hash_of("b")]
    answer = server.call()
    assert sorted(answer.json) == list("abcd")
    assert answer.json.index("d") < answer.json.index("b")


def test_sequential_code_needs_no_order():
    async def handler(ctx):
        return [await ctx.step.run(step_id, lambda: 1) for step_id in "abc"]

    server = known(function(handler), "abc")
    server.order.reverse()
    assert server.call().json == ["a", "b", "c"]


def test_many_parallel_branches_with_a_long_history():
    async def branch(ctx, label):
        return [await ctx.step.run("s", lambda n=n: [label, n]) for n in range(5)]

    async def handler(ctx):
        return await asyncio.gather(*[branch(ctx, label) for label in range(8)])

    answer = Server(function(handler)).run(pick=lambda keys: keys[-1])
    assert answer.json == [[[label, n] for n in range(5)] for label in range(8)]
