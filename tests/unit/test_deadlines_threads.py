"""Calls in threads that no alarm rings in, as on Cloud Functions: a watcher ends them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from deadline_calls import HAD, HANG_SECONDS, call, in_thread, make_handler, time_is_up
from engine_server import both, function

from inngest_serverless import Middleware
from inngest_serverless.engine import thread_watch


def loop():
    time_is_up()
    while True:
        pass


def wait_in_turns():
    time_is_up()
    while True:
        time.sleep(0.001)


def swallow_and_go_on():
    with contextlib.suppress(BaseException):
        wait_in_turns()
    wait_in_turns()


def swallow_and_return():
    with contextlib.suppress(BaseException):
        wait_in_turns()
    return "made up"


async def async_sleep():
    time_is_up()
    await asyncio.sleep(HANG_SECONDS)


async def async_swallow():
    with contextlib.suppress(BaseException):
        await async_sleep()
    return "made up"


async def async_block():
    wait_in_turns()


BODIES = [
    *[("sync", body) for body in (loop, wait_in_turns, swallow_and_go_on, swallow_and_return)],
    *[("async", body) for body in (async_sleep, async_swallow, async_block, loop)],
]


def function_of(kind, body, **options):
    async def async_(ctx):
        return await ctx.step.run("slow", body)

    return function(async_ if kind == "async" else lambda ctx: ctx.step.run("slow", body), **options)


@pytest.mark.parametrize(("kind", "body"), BODIES)
def test_a_step_is_ended_and_the_thread_goes_on(kind, body):
    handler = make_handler(function_of(kind, body), function_of(kind, lambda: "done", id="quick"))

    def calls():
        for _ in range(2):
            answer = call(handler)
            assert (answer.op["op"], answer.error["name"]) == ("StepError", "DeadlineExceeded")
            assert answer.error["message"].startswith(f"step 'slow' was ended after {HAD}")
        return call(handler, "quick", left=60_000).op["data"]

    assert in_thread(calls) == "done"


@pytest.mark.parametrize(("kind", "body"), [("sync", wait_in_turns), ("async", async_block), ("async", async_sleep)])
def test_the_stack_tells_where_it_was(kind, body):
    async def async_(_ctx):
        await body()

    outside = function(async_ if kind == "async" else lambda _ctx: body())
    for fn in (function_of(kind, body), *([outside] if kind == "sync" else [])):
        assert body.__name__ in in_thread(lambda fn=fn: call(make_handler(fn))).error["stack"]


@both
def test_code_outside_of_steps_fails_the_call(kind):
    async def async_(_ctx):
        await async_sleep()

    handler = make_handler(function(async_ if kind == "async" else lambda _ctx: loop()))
    answer = in_thread(lambda: call(handler))
    assert (answer.status, answer.json["name"], answer.headers["x-inngest-no-retry"]) == (
        500,
        "DeadlineExceeded",
        "false",
    )


def test_who_waits_in_the_operating_system_is_ended_when_that_returns():
    ours, theirs = socket.socketpair()
    rang = threading.Event()
    original = thread_watch._raise_in

    def notice(*args):
        original(*args)
        rang.set()
        theirs.send(b"x")

    def body():
        time_is_up()
        ours.recv(1)
        wait_in_turns()

    with ours, theirs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(thread_watch, "_raise_in", notice)
        answer = in_thread(lambda: call(make_handler(function_of("sync", body))))
    assert rang.is_set()
    assert answer.error["name"] == "DeadlineExceeded"


def test_a_finally_is_not_ended_a_second_time(monkeypatch):
    cleaned, looked = [], []
    original = thread_watch.must_not_end

    def look(*args):
        looked.append(original(*args))
        return looked[-1]

    monkeypatch.setattr(thread_watch, "must_not_end", look)

    def body():
        try:
            wait_in_turns()
        finally:
            give_up = time.monotonic() + HANG_SECONDS
            while looked.count(True) < 3 and time.monotonic() < give_up:
                time.sleep(0.001)
            cleaned.append("finally")

    answer = in_thread(lambda: call(make_handler(function_of("sync", body))))
    assert answer.error["name"] == "DeadlineExceeded"
    assert cleaned == ["finally"]


def test_a_hook_that_hangs_is_ended():
    class Hanging(Middleware):
        async def transform_input(self, _call):
            await async_sleep()

    answer = in_thread(lambda: call(make_handler(function_of("async", int), middleware=[Hanging()])))
    assert (answer.status, answer.json["name"]) == (500, "DeadlineExceeded")


def test_threads_have_their_own_time():
    barrier = threading.Barrier(9, timeout=HANG_SECONDS)
    quick = make_handler(function_of("sync", lambda: "done"), function_of("sync", wait_in_turns, id="slow"))
    answers = {}

    def work(number):
        barrier.wait()
        name = "slow" if number % 2 else "fn"
        answers[number] = call(quick, name)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert {number: answer.op["op"] for number, answer in answers.items()} == {
        number: "StepError" if number % 2 else "StepRun" for number in range(8)
    }


@both
# What the collector calls is ended as well, callbacks of test tools among it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ends_at_any_moment_give_an_answer(kind):
    """Bodies that end just when their time is up: none is ended by what was meant for the call before it."""
    turns = iter(range(400))

    def count():
        time_is_up()
        sum(range(next(turns) * 10))
        return "counted"

    async def count_async():
        time_is_up()
        for _ in range(next(turns) % 20):
            await asyncio.sleep(0)
        return "counted"

    quick = function_of("sync", lambda: "done", id="quick")
    handler = make_handler(function_of(kind, count if kind == "sync" else count_async), quick)

    def calls():
        for _ in range(400):
            answer = call(handler)
            assert answer.op["data"] == "counted" or answer.error["name"] == "DeadlineExceeded"
            # Whatever is still to be raised would be raised here, outside of any call, or in the next one.
            sum(range(2_000))
            assert call(handler, "quick").op["data"] == "done"

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        in_thread(calls)
    finally:
        sys.setswitchinterval(before)


def test_a_call_within_a_call_has_the_time_of_the_outer_one():
    inner = make_handler(function_of("sync", wait_in_turns, id="inner"))
    outer = make_handler(function_of("sync", lambda: call(inner, "inner", left=60_000).body))
    assert in_thread(lambda: call(outer)).error["name"] == "DeadlineExceeded"


def test_what_comes_when_the_call_has_just_ended_stays_with_it(monkeypatch):
    rings, raised = threading.Event(), threading.Event()

    def end_too_late(watched):
        rings.set()
        give_up = time.monotonic() + HANG_SECONDS
        while not watched.is_over and time.monotonic() < give_up:
            time.sleep(0)
        time.sleep(0.01)  # for the call to come to its end, if it does not wait for this
        watched.deadline.has_rung = True
        thread_watch._raise_in(watched.thread)
        raised.set()

    def body():
        time_is_up()
        return rings.wait(HANG_SECONDS)

    monkeypatch.setattr(thread_watch, "_end", end_too_late)

    def calls():
        answer = call(make_handler(function_of("sync", body)))
        assert raised.wait(HANG_SECONDS)
        return answer

    assert in_thread(calls).op["data"] is True, "the result was there"


@pytest.mark.parametrize(("is_under_way", "is_over"), [(False, False), (True, True)])
def test_nothing_is_raised_before_and_behind_a_call(is_under_way, is_over, monkeypatch):
    ended = []
    monkeypatch.setattr(thread_watch, "_end", ended.append)
    watched = SimpleNamespace(is_under_way=is_under_way, is_over=is_over, is_ringing=False)
    thread_watch._watcher._ring(watched)
    assert ended == []
    assert not watched.is_ringing


def test_the_watcher_is_one_for_all_calls():
    def watchers():
        return [thread for thread in threading.enumerate() if thread.name == "inngest-deadlines"]

    handler = make_handler(function_of("sync", lambda: "done"))
    in_thread(lambda: call(handler, left=60_000))
    # Tests that import the package anew leave one of theirs behind.
    first = watchers()
    assert first
    for _ in range(2):
        in_thread(lambda: call(handler, left=60_000))
    assert watchers() == first


def test_a_time_of_ages_does_not_end_the_watcher(monkeypatch):
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(thread_watch, "_watcher", thread_watch._Watcher())
    handler = make_handler(function_of("sync", lambda: "done"), function_of("sync", wait_in_turns, id="slow"))
    in_thread(lambda: call(handler, left=10**15))
    assert in_thread(lambda: call(handler, "slow")).error["name"] == "DeadlineExceeded"
    assert not failed
