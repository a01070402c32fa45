"""Async functions with tasks of all sorts: nothing is lost, nothing hangs, nothing outlives the reply."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import threading
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from engine_server import Server, forget_loop, function, hash_of, left_running

from inngest_serverless import StepError
from inngest_serverless.engine import rendezvous

modes = pytest.mark.parametrize("each", [False, True], ids=["together", "each"])


class Work:
    """Bodies that count themselves."""

    def __init__(self):
        self.ran = []

    def __call__(self, name):
        self.ran.append(name)
        return name

    async def slowly(self, name, seconds=0.002):
        self.ran.append(name)
        await asyncio.sleep(seconds)
        return name


def raising(error):
    raise error


def planned(server):
    return sorted(step_id for op, step_id in server.call().ops if op == "StepPlanned")


# Ways to make tasks.


@modes
def test_a_task_group(each):
    work = Work()

    async def handler(ctx):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ctx.step.run(name, work.slowly, name)) for name in "abc"]
        return [task.result() for task in tasks]

    assert Server(function(handler)).run(each=each).json == ["a", "b", "c"]
    assert sorted(work.ran) == ["a", "b", "c"]


@modes
def test_tasks_that_are_awaited_late(each):
    work = Work()

    async def handler(ctx):
        early = asyncio.create_task(ctx.step.run("early", work, "early"))
        first = await ctx.step.run("first", work, "first")
        second = await ctx.step.run("second", work, "second")
        return [first, second, await early]

    server = Server(function(handler))
    assert planned(server) == ["early", "first"]
    assert Server(function(handler)).run(each=each).json == ["first", "second", "early"]
    assert sorted(work.ran) == ["early", "first", "second"]


def in_a_task(ctx):
    return asyncio.create_task(ctx.step.run("background", lambda: 1))


def in_a_gathering(ctx):
    return asyncio.gather(ctx.step.run("background", lambda: 1), ctx.step.run("other", lambda: 2))


@pytest.mark.parametrize("begin", [in_a_task, in_a_gathering])
@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_step_of_a_task_that_nobody_awaits_fails_the_function(begin, turns):
    """It would be lost in silence, as nobody has been told of it."""

    async def handler(ctx):
        keep = begin(ctx)
        for _ in range(turns):
            await asyncio.sleep(0)
        return f"done {keep.done()}"

    answer = Server(function(handler)).call()
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert "'background'" in answer.json["message"]
    assert "await" in answer.json["message"]
    gc.collect()


def test_a_group_that_nobody_awaits_fails_the_function():
    async def handler(ctx):
        ctx.group.parallel([lambda: ctx.step.run("a", lambda: 1)])
        return "done"

    answer = Server(function(handler)).call()
    assert (answer.status, answer.json["message"]) == (
        400,
        "a parallel group was not awaited, so it never ran: write 'await' before it",
    )
    gc.collect()


@modes
def test_a_step_that_was_reported_may_be_left(each):
    """A race by hand: the loser has been planned beside the winner, so the server carries it out."""

    async def handler(ctx):
        tasks = [asyncio.create_task(ctx.step.run(name, lambda: 1)) for name in ("a", "b")]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return "done"

    server = Server(function(handler))
    assert server.run(each=each).json == "done"
    alone = Server(function(handler))
    alone.remember("b", {"data": 1})
    assert alone.call().json == "done"


@modes
def test_a_shielded_step(each):
    async def handler(ctx):
        return await asyncio.gather(
            asyncio.shield(ctx.step.run("a", lambda: 1)), asyncio.shield(ctx.step.run("b", lambda: 2))
        )

    assert Server(function(handler)).run(each=each).json == [1, 2]


@modes
def test_gather_that_collects_exceptions(each):
    async def handler(ctx):
        results = await asyncio.gather(
            ctx.step.run("a", lambda: 1), ctx.step.run("b", raising, ValueError("no")), return_exceptions=True
        )
        return [results[0], type(results[1]).__name__, str(results[1])]

    assert Server(function(handler), max_attempts=1).run(each=each).json == [1, "StepError", "no"]


def test_a_task_awaited_twice():
    async def handler(ctx):
        task = asyncio.create_task(ctx.step.run("a", lambda: 1))
        return [await task, await task]

    assert Server(function(handler)).run().json == [1, 1]


def test_a_step_made_here_and_awaited_there():
    async def handler(ctx):
        step = ctx.step.run("a", lambda: 1)
        try:
            other = await ctx.step.run("b", lambda: 2)

            async def later():
                return await step

            return [other, await asyncio.create_task(later())]
        finally:
            step.close()

    assert Server(function(handler)).run().json == [2, 1]


def test_a_callback_that_starts_steps():
    async def handler(ctx):
        done = asyncio.get_running_loop().create_future()

        async def late():
            done.set_result(await ctx.step.run("a", lambda: 1))

        tasks = []
        asyncio.get_running_loop().call_later(0.001, lambda: tasks.append(asyncio.create_task(late())))
        return await done

    assert Server(function(handler)).run().json == 1


# Timeouts and cancellation.


@pytest.mark.parametrize("seconds", [0, 0.001, 30])
def test_a_timeout_around_known_steps(seconds):
    async def handler(ctx):
        async with asyncio.timeout(seconds):
            return [await ctx.step.run("a", lambda: 1), await ctx.step.run("b", lambda: 2)]

    server = Server(function(handler))
    server.remember("a", {"data": "A"})
    server.remember("b", {"data": "B"})
    assert server.call().json == ["A", "B"]


@pytest.mark.parametrize("seconds", [0.2, 30])
def test_a_timeout_around_a_step_that_is_planned(seconds):
    async def handler(ctx):
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.gather(ctx.step.sleep("nap", "1h"), ctx.step.run("a", lambda: 1))
        except TimeoutError:
            return await ctx.step.run("late", lambda: "late")

    assert Server(function(handler)).call().ops == [("Sleep", "nap"), ("StepPlanned", "a")]


def test_wait_for_around_steps():
    async def handler(ctx):
        return [await asyncio.wait_for(ctx.step.run(name, lambda: 1), timeout=5) for name in "ab"]

    assert Server(function(handler)).run().json == [1, 1]


def test_a_body_that_runs_into_a_timeout_around_its_step_has_failed():
    work = Work()

    async def handler(ctx):
        try:
            async with asyncio.timeout(0.005):
                return await ctx.step.run("a", work.slowly, "a", 1)
        except TimeoutError:
            return "too late"

    answer = Server(function(handler)).call()
    assert (answer.ops, answer.error["name"]) == ([("StepError", "a")], "CancelledError")


def test_a_timeout_inside_a_body():
    async def body():
        async with asyncio.timeout(0.001):
            await asyncio.sleep(1)

    async def handler(ctx):
        return await ctx.step.run("a", body)

    answer = Server(function(handler)).call()
    assert (answer.ops, answer.error["name"]) == ([("StepError", "a")], "TimeoutError")


def race(then):
    """A function that takes the first of two steps, cancels the other, and goes on."""

    async def handler(ctx):
        tasks = [asyncio.create_task(ctx.step.run(name, lambda name=name: name)) for name in "ab"]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        return [done.pop().result(), await then(ctx)]

    return function(handler)


@modes
def test_after_a_race_whose_loser_was_cancelled_the_function_may_wait(each):
    async def then(ctx):
        await asyncio.sleep(0.002)
        return await ctx.step.run("c", lambda: "c")

    assert Server(race(then)).run(each=each).json == ["a", "c"]


@modes
def test_after_a_race_whose_loser_was_cancelled_steps_may_be_parallel(each):
    async def then(ctx):
        return await asyncio.gather(ctx.step.run("c", lambda: "c"), ctx.step.run("d", lambda: "d"))

    assert Server(race(then)).run(each=each).json == ["a", ["c", "d"]]


def test_a_cancelled_step_is_not_reported():
    """Its task is gone, so nobody asks for it any more."""

    async def then(ctx):
        return await ctx.step.run("c", lambda: "c")

    server = Server(race(then))
    server.remember("a", {"data": "a"})
    assert server.call().ops == [("StepRun", "c")]


def test_a_cancelled_step_is_not_run_while_the_function_waits_for_the_network():
    ran = []

    async def handler(ctx):
        task = asyncio.create_task(ctx.step.run("a", ran.append, "a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.002)
        return "done"

    answer = Server(function(handler)).call()
    assert (answer.status, answer.json, ran) == (200, "done", [])


def test_a_task_cancelled_before_its_turn_does_no_harm():
    async def handler(ctx):
        task = asyncio.create_task(ctx.step.run("a", lambda: 1))
        await asyncio.sleep(0)
        task.cancel()
        return await asyncio.gather(ctx.step.run("b", lambda: 2), ctx.step.run("c", lambda: 3))

    server = Server(function(handler))
    server.remember("a", {"data": "A"})
    assert server.run().json == [2, 3]


@modes
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_after_a_failed_task_group_steps_may_be_parallel(each, order):
    async def handler(ctx):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("a", raising, ValueError("no")))
                group.create_task(ctx.step.run("b", lambda: 1))
        except* StepError:
            pass
        return await asyncio.gather(ctx.step.run("c", lambda: 3), ctx.step.run("d", lambda: 4))

    server = Server(function(handler), max_attempts=1)
    assert server.run(each=each, pick=None if order == "ab" else lambda keys: keys[-1]).json == [3, 4]


def test_after_a_failed_task_group_one_step_runs_at_once():
    async def handler(ctx):
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("a", raising, ValueError("no")))
                group.create_task(ctx.step.run("b", lambda: 1))
        except* StepError:
            pass
        return await ctx.step.run("undo", lambda: "undone")

    server = Server(function(handler), max_attempts=1)
    assert server.run().json == "undone"
    assert server.calls[-2][1].ops == [("StepRun", "undo")]


def test_a_task_that_fails_in_a_group_beside_a_new_step():
    async def handler(ctx):
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step.run("a", lambda: 1))
            group.create_task(asyncio.to_thread(raising, ValueError("no")))

    answer = Server(function(handler)).call()
    assert answer.status in {206, 500}


# Primitives between tasks.


@modes
@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_semaphore_between_branches(each, width):
    work = Work()

    async def handler(ctx):
        gate = asyncio.Semaphore(width)

        async def branch(name):
            async with gate:
                first = await ctx.step.run("s", work, f"{name}1")
                return [first, await ctx.step.run("s", work, f"{name}2")]

        return await asyncio.gather(*[branch(name) for name in "abcde"])

    server = Server(function(handler))
    assert server.run(each=each).json == [[f"{name}1", f"{name}2"] for name in "abcde"]
    assert len(work.ran) == 10
    assert len(server.calls[0][1].json) == width


@modes
def test_a_lock_between_branches(each):
    async def handler(ctx):
        lock, log = asyncio.Lock(), []

        async def branch(name):
            async with lock:
                log.append([name, await ctx.step.run("s", lambda: name)])

        await asyncio.gather(*[branch(name) for name in "abc"])
        return log

    assert Server(function(handler)).run(each=each).json == [[name, name] for name in "abc"]


@modes
def test_a_queue_between_tasks(each):
    work = Work()

    async def handler(ctx):
        queue, seen = asyncio.Queue(maxsize=1), []

        async def produce():
            for number in range(4):
                await queue.put(await ctx.step.run("produce", work, number))
            await queue.put(None)

        async def consume():
            while (item := await queue.get()) is not None:
                seen.append(await ctx.step.run("consume", work, item * 10))

        await asyncio.gather(produce(), consume())
        return seen

    assert Server(function(handler)).run(each=each).json == [0, 10, 20, 30]
    assert len(work.ran) == 8


@modes
def test_workers_on_a_queue(each):
    async def handler(ctx):
        queue, results = asyncio.Queue(), {}
        for item in range(6):
            queue.put_nowait(item)

        async def worker():
            while not queue.empty():
                item = queue.get_nowait()
                results[item] = await ctx.step.run(f"item-{item}", int, item * 2)

        await asyncio.gather(*[worker() for _ in range(3)])
        return [results[item] for item in range(6)]

    answer = Server(function(handler)).run(each=each, pick=lambda keys: keys[-1])
    assert answer.json == [0, 2, 4, 6, 8, 10]


@modes
def test_events_and_futures_between_tasks(each):
    async def handler(ctx):
        ready, box = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def first():
            value = await ctx.step.run("first", lambda: 1)
            ready.set()
            return value

        async def second():
            await ready.wait()
            box.set_result(await ctx.step.run("second", lambda: 2))

        return [*(await asyncio.gather(first(), second()))[:1], await box]

    assert Server(function(handler)).run(each=each).json == [1, 2]


# Waiting for things that are not steps.


async def by_timer():
    await asyncio.sleep(0.002)


async def by_thread():
    await asyncio.to_thread(time.sleep, 0.002)


async def by_socket():
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    sender = threading.Timer(0.002, there.send, [b"x"])
    sender.start()
    try:
        assert await reader.read(1) == b"x"
    finally:
        writer.close()
        sender.join()
        there.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()


waits = pytest.mark.parametrize("wait", [by_timer, by_thread, by_socket])


@waits
def test_waiting_before_and_after_a_step(wait):
    async def handler(ctx):
        await wait()
        value = await ctx.step.run("a", lambda: 1)
        await wait()
        return value

    assert Server(function(handler)).run().json == 1


@waits
@modes
def test_a_branch_that_waits_before_its_step(wait, each):
    work = Work()

    async def handler(ctx):
        async def branch(name):
            await wait()
            return await ctx.step.run(name, work, name)

        return await asyncio.gather(branch("a"), ctx.step.run("b", work, "b"), branch("c"))

    assert Server(function(handler)).run(each=each).json == ["a", "b", "c"]
    assert sorted(work.ran) == ["a", "b", "c"]


@waits
def test_a_targeted_step_behind_a_wait_is_found_although_another_one_is_met_first(wait):
    """Both may have been planned together, on a cold call that took its time."""
    work = Work()

    async def handler(ctx):
        async def branch(name):
            await wait()
            return await ctx.step.run(name, work, name)

        return await asyncio.gather(branch("a"), ctx.step.run("b", work, "b"))

    answer = Server(function(handler)).call(hash_of("a"))
    assert (answer.ops, work.ran) == ([("StepRun", "a")], ["a"])


@pytest.mark.parametrize("seconds", [0.002, 0.02])
def test_a_targeted_step_behind_a_thread_that_the_function_itself_waits_for_is_found(seconds):
    async def handler(ctx):
        early = asyncio.create_task(ctx.step.run("b", lambda: 2))
        await asyncio.to_thread(time.sleep, seconds)
        return [await ctx.step.run("a", lambda: 1), await early]

    assert Server(function(handler)).call(hash_of("a")).ops == [("StepRun", "a")]


def test_a_plan_of_a_slow_cold_call_can_be_carried_out_by_quick_warm_ones():
    calls = []

    async def handler(ctx):
        async def early():
            await asyncio.to_thread(time.sleep, 0.002)
            return await ctx.step.run("early", lambda: 1)

        async def late():
            calls.append(1)
            if len(calls) == 1:
                time.sleep(0.02)  # noqa: ASYNC251 - an import, say, that blocks the loop on a cold start
            await asyncio.sleep(0)
            return await ctx.step.run("late", lambda: 2)

        return await asyncio.gather(early(), late())

    assert Server(function(handler), max_attempts=1).run().json == [1, 2]


def test_a_missing_target_is_told_soon_while_nobody_can_come_any_more(monkeypatch):
    monkeypatch.setattr(rendezvous, "SEARCH_SECONDS", 120.0)

    async def handler(ctx):
        await asyncio.gather(ctx.step.run("a", lambda: 1), asyncio.Event().wait())

    begin = time.monotonic()
    answer = Server(function(handler)).call(hash_of("elsewhere"))
    assert answer.json["name"] == "StepNotFound"
    assert time.monotonic() - begin < 60, "it was searched for to the end"


def test_a_missing_target_is_told_in_the_end_while_the_network_is_silent(monkeypatch):
    monkeypatch.setattr(rendezvous, "SEARCH_SECONDS", 0.01)

    async def handler(ctx):
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        try:
            await asyncio.gather(ctx.step.run("a", lambda: 1), reader.read(1))
        finally:
            writer.close()
            there.close()

    answer = Server(function(handler)).call(hash_of("elsewhere"))
    assert answer.json["name"] == "StepNotFound"


# Tasks that go on and on.


@pytest.mark.parametrize("target", ["step", hash_of("a")], ids=["step", "targeted"])
@pytest.mark.parametrize("pause", [None, 0.0005])
def test_a_background_task_that_never_ends(pause, target):
    async def forever():
        while True:
            await (asyncio.Event().wait() if pause is None else asyncio.sleep(pause))

    async def handler(ctx):
        keep = asyncio.create_task(forever())
        results = [await ctx.step.run("a", lambda: 1), await ctx.step.run("b", lambda: 2)]
        keep.get_name()
        return results

    server = Server(function(handler))
    assert server.call(target).ops == [("StepRun", "a")]
    assert Server(function(handler)).run().json == [1, 2]


def test_a_task_that_catches_its_cancellation_once_does_not_outlive_the_reply(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 0.05)

    async def stubborn():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def handler(ctx):
        keep = asyncio.create_task(stubborn())
        await ctx.step.sleep("nap", "1h")
        keep.get_name()

    try:
        assert Server(function(handler)).call().ops == [("Sleep", "nap")]
    finally:
        forget_loop()


def test_a_main_that_catches_its_cancellation_still_answers(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 0.05)

    async def handler(ctx):
        with suppress(asyncio.CancelledError):
            await ctx.step.sleep("nap", "1h")
        return "made up"

    assert Server(function(handler)).call().ops == [("Sleep", "nap")]


def test_a_task_started_while_cleaning_up_does_not_outlive_the_reply(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 0.05)

    async def handler(ctx):
        tasks = []
        try:
            await ctx.step.sleep("nap", "1h")
        finally:
            tasks.append(asyncio.create_task(asyncio.sleep(3600)))

    try:
        assert Server(function(handler)).call().ops == [("Sleep", "nap")]
    finally:
        forget_loop()


# Cleaning up.


def test_cleanups_run_once_a_call_and_before_the_reply():
    log = []

    @asynccontextmanager
    async def resource():
        log.append("open")
        try:
            yield
        finally:
            await asyncio.sleep(0.001)
            log.append("close")

    async def handler(ctx):
        async with resource():
            await ctx.step.run("a", lambda: log.append("body"))
            await ctx.step.sleep("nap", "1h")

    server = Server(function(handler))
    server.call()
    assert log == ["open", "body", "close"]
    server.remember("a", None)
    log.clear()
    server.call()
    assert log == ["open", "close"]


def test_cleanups_of_branches_run_before_the_reply():
    log = []

    async def handler(ctx):
        async def branch(name):
            try:
                return await ctx.step.run(name, lambda: 1)
            finally:
                await asyncio.sleep(0)
                log.append(name)

        return await asyncio.gather(*[branch(name) for name in "abc"])

    Server(function(handler)).call()
    assert sorted(log) == ["a", "b", "c"]


def test_async_generators_are_closed_before_the_reply():
    log = []

    async def numbers():
        try:
            for number in range(3):
                yield number
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def handler(ctx):
        return [await ctx.step.run("s", lambda number=number: number) async for number in numbers()]

    server = Server(function(handler))
    for calls in range(1, 4):
        answer = server.call()
        assert log == ["closed"] * calls
        server.remember("s" if calls == 1 else f"s:{calls - 1}", {"data": answer.op["data"]})
    assert server.call().json == [0, 1, 2]


def test_a_step_in_a_cleanup_neither_runs_nor_hangs():
    work = Work()

    async def handler(ctx):
        try:
            await ctx.step.sleep("nap", "1h")
        finally:
            await ctx.step.run("cleanup", work, "cleanup")

    server = Server(function(handler))
    assert server.call().ops == [("Sleep", "nap")]
    assert work.ran == []
    assert server.run().status == 200
    assert work.ran == ["cleanup"]


def test_a_step_in_the_cleanup_of_a_task_does_not_hold_the_reply_up(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 60)
    work = Work()

    async def handler(ctx):
        async def background():
            try:
                await asyncio.Event().wait()
            finally:
                await ctx.step.run("cleanup", work, "cleanup")

        keep = asyncio.create_task(background())
        await asyncio.sleep(0)
        return keep.done()

    answer = Server(function(handler)).call()
    assert (answer.status, answer.json, work.ran) == (200, False, [])


# What lasts from call to call.


def test_context_variables_do_not_leak_into_the_next_call():
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def handler(ctx):
        seen.append(variable.get())
        variable.set("set by a call")
        await ctx.step.run("a", lambda: variable.set("set by a body"))

    server = Server(function(handler))
    server.run()
    assert seen == ["unset", "unset"]
    assert variable.get() == "unset"


def test_context_variables_reach_bodies_and_branches():
    variable = contextvars.ContextVar("variable", default="unset")

    async def handler(ctx):
        variable.set("set")
        alone = await ctx.step.run("a", variable.get)
        return [alone, *await asyncio.gather(ctx.step.run("b", variable.get), ctx.step.run("c", variable.get))]

    assert Server(function(handler)).run().json == ["set", "set", "set"]


def test_warm_calls_share_a_loop():
    loops = []

    async def handler(ctx):
        loops.append(asyncio.get_running_loop())
        return await ctx.step.run("a", lambda: 1)

    Server(function(handler)).run()
    Server(function(handler)).run()
    assert len(loops) == 4
    assert len(set(map(id, loops))) == 1


def test_something_kept_on_the_loop_works_in_the_next_call():
    queues = []

    async def handler(ctx):
        if not queues:
            queues.append(asyncio.Queue())
        await queues[0].put(1)
        await ctx.step.run("a", lambda: 1)
        return await queues[0].get()

    assert Server(function(handler)).run().json == 1


def in_threads(count, work):
    failures = []

    def run(number):
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]


def test_each_thread_has_its_own_loop():
    loops, server_count = {}, 4

    async def handler(ctx):
        loops.setdefault(threading.get_ident(), set()).add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.001)
        return await asyncio.gather(*[ctx.step.run("s", lambda n=n: n) for n in range(3)])

    fn = function(handler)
    gate = threading.Barrier(server_count)

    def work(_number):
        gate.wait()
        try:
            assert Server(fn).run().json == [0, 1, 2]
        finally:
            forget_loop()

    in_threads(server_count, work)
    assert [len(own) for own in loops.values()] == [1] * server_count


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_threads_that_end_leave_no_loop_behind():
    """A development server may take a thread for each request."""

    async def handler(ctx):
        return 1

    fn = function(handler)
    before = open_files()
    for _ in range(5):
        in_threads(1, lambda _number: Server(fn).call())
    gc.collect()
    assert open_files() - before < 5, "each thread left its loop's files open"


def test_a_failed_call_does_not_harm_the_next():
    async def handler(ctx):
        keep = asyncio.create_task(asyncio.Event().wait())
        await ctx.step.run("a", lambda: 1)
        raise ValueError(keep.get_name())

    async def fine(ctx):
        return await asyncio.gather(ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda: 2))

    assert Server(function(handler)).run().status == 500
    assert Server(function(fine)).run().json == [1, 2]


# Bodies with tasks, and tasks that go on beside bodies.


def test_a_body_that_spawns_tasks():
    async def square(number):
        await asyncio.sleep(0)
        return number * number

    async def body():
        first = await asyncio.gather(*[square(number) for number in range(3)])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(square(9))
        return [*first, task.result(), await asyncio.to_thread(sum, [1, 2])]

    async def handler(ctx):
        return await ctx.step.run("a", body)

    assert Server(function(handler)).run().json == [0, 1, 4, 81, 3]


def test_a_task_that_a_body_leaves_behind_is_cancelled():
    log = []

    async def leave():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def body():
        left = asyncio.create_task(leave())
        log.append(f"done: {left.done()}")
        await asyncio.sleep(0)

    async def handler(ctx):
        return await ctx.step.run("a", body)

    assert Server(function(handler)).call().ops == [("StepRun", "a")]
    assert log == ["done: False", "cancelled"]


async def cancel_itself():
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


@pytest.mark.parametrize("body", [lambda: raising(asyncio.CancelledError("no")), cancel_itself])
def test_a_cancelled_body_has_failed(body):
    async def handler(ctx):
        return await ctx.step.run("a", body)

    answer = Server(function(handler)).call()
    assert (answer.ops, answer.error["name"]) == ([("StepError", "a")], "CancelledError")


def test_a_function_that_raises_cancelled_error_has_failed():
    async def handler(ctx):
        await ctx.step.run("a", lambda: 1)
        raise asyncio.CancelledError

    answer = Server(function(handler)).run()
    assert (answer.status, answer.json["name"]) == (500, "CancelledError")


@pytest.mark.parametrize("end", ["return", "raise", "cancel"])
def test_a_body_that_still_runs_when_the_function_ends_comes_to_its_end(end):
    work = Work()

    async def handler(ctx):
        task = asyncio.create_task(ctx.step.run("a", work.slowly, "a"))
        while not work.ran:  # noqa: ASYNC110 - the body tells nobody
            await asyncio.sleep(0.0005)
        if end == "raise":
            raise ValueError(task.get_name())
        if end == "cancel":
            raise asyncio.CancelledError
        return "done"

    answer = Server(function(handler)).call()
    assert (answer.ops, answer.op["data"]) == ([("StepRun", "a")], "a")


def test_an_exit_in_a_task_beside_a_running_body_is_answered():
    work = Work()

    async def handler(ctx):
        async def leave():
            await asyncio.sleep(0.002)
            raise SystemExit(3)

        task = asyncio.create_task(leave())
        return [await ctx.step.run("a", work.slowly, "a", 0.02), task.done()]

    answer = Server(function(handler)).call()
    assert answer.status in {206, 500}
    assert answer.headers.get("x-inngest-no-retry") in {None, "false"}


def test_steps_found_while_a_body_runs_wait_for_the_next_call():
    work = Work()

    async def handler(ctx):
        async def late():
            await asyncio.sleep(0.001)
            return await ctx.step.run("late", work, "late")

        return await asyncio.gather(ctx.step.run("a", work.slowly, "a", 0.01), late())

    server = Server(function(handler))
    assert server.call().ops == [("StepRun", "a")]
    assert Server(function(handler)).run().json == ["a", "late"]


def test_two_functions_of_one_app_called_in_turns():
    async def handler(ctx):
        return await asyncio.gather(ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda: 2))

    servers = [Server(function(handler)) for _ in range(3)]
    for server in servers:
        server.call()
    assert [server.run().json for server in servers] == [[1, 2]] * 3
    assert not left_running()


async def coroutine_of(value):
    return value


class Callable:
    """An object whose call is a coroutine function."""

    async def __call__(self, value):
        await asyncio.sleep(0)
        return value


@pytest.mark.parametrize(
    "body",
    [Callable(), lambda value: coroutine_of(value + 0), lambda value: value, lambda value: asyncio.sleep(0, value)],
    ids=["object", "lambda", "sync", "builtin"],
)
def test_bodies_of_every_make(body):
    async def handler(ctx):
        return await ctx.step.run("a", body, 5)

    assert Server(function(handler)).run().json == 5
