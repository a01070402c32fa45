"""Steps inside the bodies of other steps: an error that says so, and nothing else breaks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of


def assert_nested(answer, outer="outer", inner="inner"):
    assert answer.ops == [("StepFailed", outer)]
    assert answer.error["name"] == "NestedStepError"
    assert f"'{inner}'" in answer.error["message"]
    assert f"'{outer}'" in answer.error["message"]
    assert answer.headers["x-inngest-no-retry"] == "true"


@pytest.mark.parametrize("kind", ["run", "sleep", "wait_for_event", "send_event", "invoke_by_id"])
def test_a_step_in_the_body_of_a_sync_step(kind):
    effects = []

    def handler(ctx):
        arguments = {
            "run": lambda: ctx.step.run("inner", lambda: effects.append("inner")),
            "sleep": lambda: ctx.step.sleep("inner", "1s"),
            "wait_for_event": lambda: ctx.step.wait_for_event("inner", event="x/y", timeout="1s"),
            "send_event": lambda: ctx.step.send_event("inner", {"name": "x/y"}),
            "invoke_by_id": lambda: ctx.step.invoke_by_id("inner", function_id="x"),
        }

        def body():
            effects.append("before")
            arguments[kind]()
            effects.append("after")

        return ctx.step.run("outer", body)

    assert_nested(Server(function(handler)).call())
    assert effects == ["before"]


@pytest.mark.parametrize("kind", ["run", "sleep"])
def test_a_step_in_the_body_of_an_async_step(kind):
    effects = []

    async def handler(ctx):
        async def body():
            effects.append("before")
            if kind == "run":
                await ctx.step.run("inner", lambda: effects.append("inner"))
            else:
                await ctx.step.sleep("inner", "1s")
            effects.append("after")

        return await ctx.step.run("outer", body)

    assert_nested(Server(function(handler)).call())
    assert effects == ["before"]


@pytest.mark.parametrize("spawn", ["gather", "task", "group", "parallel"])
def test_a_step_in_a_task_of_a_body(spawn):
    async def handler(ctx):
        async def body():
            await asyncio.sleep(0)
            if spawn == "gather":
                await asyncio.gather(ctx.step.run("inner", lambda: 1), asyncio.sleep(0))
            elif spawn == "task":
                await asyncio.create_task(ctx.step.run("inner", lambda: 1))
            elif spawn == "parallel":
                await ctx.group.parallel([lambda: ctx.step.run("inner", lambda: 1)])
            else:
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(ctx.step.run("inner", lambda: 1))
                except* Exception as errors:  # noqa: BLE001 - raised again
                    raise errors.exceptions[0] from None

        return await ctx.step.run("outer", body)

    assert_nested(Server(function(handler)).call())


def test_a_group_in_the_body_of_a_sync_step():
    def handler(ctx):
        return ctx.step.run("outer", lambda: ctx.group.parallel([lambda: ctx.step.run("inner", lambda: 1)]))

    assert_nested(Server(function(handler)).call())


def test_a_step_in_a_thread_that_knows_its_context():
    async def handler(ctx):
        def in_thread():
            return asyncio.run(ctx.step.run("inner", lambda: 1))

        async def body():
            return await asyncio.to_thread(in_thread)

        return await ctx.step.run("outer", body)

    assert_nested(Server(function(handler)).call())


def test_a_step_in_a_pool_of_a_sync_body_does_not_end_the_run():
    """A thread has a context of its own, so it cannot be told where it comes from; but the run must not end in success."""

    def handler(ctx):
        def body():
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(ctx.step.run, "inner", lambda: 1).result()

        return [ctx.step.run("outer", body)]

    answer = Server(function(handler)).call()
    assert answer.status != 200, f"the run has ended although its step never did: {answer}"
    assert answer.ops == [("StepFailed", "outer")]
    assert answer.error["name"] == "NestedStepError"


def test_a_step_in_a_plain_thread_of_a_sync_body_is_not_run():
    ran = []

    def handler(ctx):
        def inner():
            try:
                ctx.step.run("inner", lambda: ran.append("inner"))
            except BaseException as error:  # noqa: BLE001 - a thread has nobody to tell
                ran.append(type(error).__name__)

        def body():
            thread = threading.Thread(target=inner)
            thread.start()
            thread.join()
            return "done"

        return ctx.step.run("outer", body)

    answer = Server(function(handler)).call()
    assert answer.ops in ([("StepRun", "outer")], [("StepFailed", "outer")])
    assert "inner" not in ran


def test_steps_in_threads_of_a_sync_function_lose_nothing():
    """Not supported, but a run must not end while steps are open."""

    def handler(ctx):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda number: ctx.step.run(f"s{number}", lambda: number), range(3)))

    assert Server(function(handler)).run().json == [0, 1, 2]


def test_a_step_in_a_thread_that_outruns_the_function():
    """The function leaves while the body is still running in a pool that nobody waits for."""
    go = threading.Event()
    pools = []

    def handler(ctx):
        pool = ThreadPoolExecutor(2)
        pools.append(pool)
        slow = pool.submit(ctx.step.run, "slow", lambda: go.wait(2))
        while not ctx.step._ledger.running:
            pass
        quick = pool.submit(ctx.step.run, "quick", lambda: 2)
        return [quick.result(), slow.result()]

    try:
        answer = Server(function(handler)).call()
    finally:
        go.set()
        pools[0].shutdown()
    assert answer.status != 200, f"the run has ended although its steps never did: {answer}"


@both
def test_a_nested_step_that_the_body_catches(kind):
    """The body decides what its failure is."""

    def sync(ctx):
        def body():
            try:
                ctx.step.run("inner", lambda: 1)
            except Exception as error:  # noqa: BLE001 - as users do
                return type(error).__name__

        return ctx.step.run("outer", body)

    async def native(ctx):
        async def body():
            try:
                await ctx.step.run("inner", lambda: 1)
            except Exception as error:  # noqa: BLE001 - as users do
                return type(error).__name__

        return await ctx.step.run("outer", body)

    assert Server(function(sync if kind == "sync" else native)).run().json == "NestedStepError"


@both
def test_a_nested_step_does_not_disturb_the_ids_of_others(kind):
    def sync(ctx):
        ctx.step.run("outer", lambda: ignoring(lambda: ctx.step.run("a", lambda: 1)))
        return ctx.step.run("a", lambda: 2)

    async def native(ctx):
        async def body():
            with suppress(Exception):
                await ctx.step.run("a", lambda: 1)

        await ctx.step.run("outer", body)
        return await ctx.step.run("a", lambda: 2)

    server = Server(function(sync if kind == "sync" else native))
    assert server.run().json == 2
    assert server.order == [hash_of("outer"), hash_of("a")]


def ignoring(work):
    with suppress(Exception):
        work()


@both
def test_a_nested_step_inside_a_parallel_branch(kind):
    def nested(ctx):
        def sync():
            return ctx.step.run("inner", lambda: 1)

        async def native():
            return await ctx.step.run("inner", lambda: 1)

        return sync if kind == "sync" else native

    def script(ctx):
        def branch():
            return (yield Do("run", "outer", nested(ctx)))

        def other():
            return (yield Do("run", "other", lambda: 2))

        return list((yield Both(branch, other)))

    server = Server(declare(kind, script))
    assert_nested(server.call(hash_of("outer")))
    assert server.call(hash_of("other")).ops == [("StepRun", "other")]


def test_a_step_beside_a_running_body_is_no_nested_step():
    async def handler(ctx):
        async def late():
            await asyncio.sleep(0.001)
            return await ctx.step.run("late", lambda: 1)

        return await asyncio.gather(ctx.step.run("slow", asyncio.sleep, 0.005, "slow"), late())

    assert Server(function(handler)).run().json == ["slow", 1]


def test_a_task_that_a_body_left_behind_cannot_ask_for_steps():
    seen = []

    async def handler(ctx):
        async def later():
            await asyncio.sleep(0)
            try:
                await ctx.step.run("inner", lambda: seen.append("inner"))
            except BaseException as error:
                seen.append(type(error).__name__)
                raise

        async def body():
            seen.append(asyncio.create_task(later()).get_name()[:4])
            return "done"

        return await ctx.step.run("outer", body)

    answer = Server(function(handler)).call()
    assert answer.ops == [("StepRun", "outer")]
    assert "inner" not in seen
