"""Calls that are ended before their caller stops waiting: what they answer, and what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket
import threading
import time

import pytest
from deadline_calls import HAD, HANG_SECONDS, Rings, assert_clean, call, call_ended_at, make_handler, time_is_up
from engine_server import both, forget_loop, function, hash_of

from inngest_serverless import Middleware
from inngest_serverless.engine import rendezvous

pytestmark = pytest.mark.usefixtures("_clean")


@pytest.fixture
def _clean():
    yield
    assert_clean()


@pytest.fixture
def rings(monkeypatch):
    return Rings(monkeypatch)


def sleep():
    time_is_up()
    time.sleep(HANG_SECONDS)


def loop():
    time_is_up()
    while True:
        pass


def read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(HANG_SECONDS)
        time_is_up()
        return ours.recv(1)


def wait_for_a_lock():
    lock = threading.Lock()
    lock.acquire()
    time_is_up()
    lock.acquire(timeout=HANG_SECONDS)


def wait_for_a_thread():
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait, args=(HANG_SECONDS,), daemon=True)
    thread.start()
    time_is_up()
    try:
        thread.join()
    finally:
        is_over.set()


def within_handlers():
    try:
        try:
            raise ValueError("before")  # noqa: TRY301 - the block is what is tested
        except ValueError:
            sleep()
    except Exception:  # noqa: BLE001 - as users do
        return "swallowed"


BODIES = [sleep, loop, read, wait_for_a_lock, wait_for_a_thread, within_handlers]


async def async_sleep():
    time_is_up()
    await asyncio.sleep(HANG_SECONDS)


async def async_wait():
    time_is_up()
    await asyncio.Event().wait()


async def async_block():
    time_is_up()
    time.sleep(HANG_SECONDS)  # noqa: ASYNC251 - as users do


async def async_gather():
    await asyncio.gather(async_sleep(), async_wait())


async def async_time_out():
    try:
        async with asyncio.timeout(0):
            await async_wait()
    except TimeoutError:
        # Asyncio made it of a cancellation, which was none of ours.
        sleep()


ASYNC_BODIES = [async_sleep, async_wait, async_block, async_gather, async_time_out, loop, sleep]


def sync_function(body, **options):
    return function(lambda ctx: ctx.step.run("slow", body), **options)


def async_function(body, **options):
    async def handler(ctx):
        return await ctx.step.run("slow", body)

    return function(handler, **options)


def function_of(kind, body, **options):
    return (sync_function if kind == "sync" else async_function)(body, **options)


with_and_without_middleware = pytest.mark.parametrize("middleware", [[], [Middleware]], ids=["plain", "middleware"])


def both_bodies(sync, async_):
    return pytest.mark.parametrize(("kind", "body"), [("sync", sync), ("async", async_)])


@pytest.mark.parametrize(
    ("kind", "body"), [*[("sync", body) for body in BODIES], *[("async", body) for body in ASYNC_BODIES]]
)
def test_a_step_is_ended_and_tried_again(kind, body):
    handler = make_handler(function_of(kind, body))
    for _ in range(2):
        answer = call(handler)
        assert (answer.op["op"], answer.headers["x-inngest-no-retry"]) == ("StepError", "false")
        assert answer.error["name"] == "DeadlineExceeded"
        assert answer.error["message"] == (
            f"step 'slow' was ended after {HAD}, as its call had to be answered: raise the timeout of the Lambda "
            "function, or split the step"
        )
        assert "retry-after" not in answer.headers


@both_bodies(sleep, async_sleep)
def test_the_stack_tells_where_it_was(kind, body):
    stack = call(make_handler(function_of(kind, body))).error["stack"]
    assert body.__name__ in stack
    assert "overdue" not in stack


@both_bodies(sleep, async_sleep)
def test_the_last_attempt_fails_the_step(kind, body):
    answer = call(make_handler(function_of(kind, body)), attempt=3)
    assert (answer.op["op"], answer.headers["x-inngest-no-retry"]) == ("StepFailed", "true")
    assert answer.error["name"] == "DeadlineExceeded"


@both_bodies(sleep, async_sleep)
def test_a_step_that_was_called_for_is_reported(kind, body):
    answer = call(make_handler(function_of(kind, body)), target=hash_of("slow"))
    assert (answer.op["op"], answer.op["id"]) == ("StepError", hash_of("slow"))


@both
@pytest.mark.parametrize("target", ["step", hash_of("later")])
def test_code_outside_of_steps_fails_the_call(kind, target):
    def sync(ctx):
        sleep()
        ctx.step.run("later", int)

    async def async_(ctx):
        await async_sleep()
        await ctx.step.run("later", int)

    answer = call(make_handler(function(sync if kind == "sync" else async_)), target=target)
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (500, "false")
    assert answer.json["name"] == "DeadlineExceeded"
    assert answer.json["message"].startswith(f"function 'fn' was ended after {HAD}")
    assert "move what takes long into a step" in answer.json["message"]


@both
def test_the_next_call_in_the_same_environment_works(kind):
    turns = iter([sleep if kind == "sync" else async_sleep, lambda: "done", lambda: "done"])
    handler = make_handler(function_of(kind, lambda: next(turns)()))  # noqa: PLW0108 - another one each time
    assert call(handler).op["op"] == "StepError"
    assert call(handler).op["data"] == "done"
    assert call(handler, left=None).op["data"] == "done"


def test_a_finally_is_not_ended_a_second_time(rings):
    cleaned = []

    def body():
        try:
            sleep()
        finally:
            with contextlib.ExitStack() as stack:
                stack.callback(lambda: cleaned.append("callback"))
                rings.wait(3)
                cleaned.append("finally")

    answer = call(make_handler(sync_function(body)))
    assert answer.error["name"] == "DeadlineExceeded"
    assert cleaned == ["finally", "callback"]


def test_a_context_manager_is_not_ended_a_second_time(rings):
    cleaned = []

    @contextlib.contextmanager
    def resource():
        try:
            yield
        finally:
            rings.wait(3)
            cleaned.append("closed")

    def body():
        with resource():
            sleep()

    call(make_handler(sync_function(body)))
    assert cleaned == ["closed"]


def test_an_async_finally_is_not_ended_a_second_time(rings):
    cleaned = []

    async def body():
        try:
            await async_sleep()
        finally:
            rings.wait(3)
            await asyncio.sleep(0)
            cleaned.append("finally")

    answer = call(make_handler(async_function(body)))
    assert answer.error["name"] == "DeadlineExceeded"
    assert cleaned == ["finally"]


def test_async_cleaning_up_that_takes_long_is_not_ended_a_second_time(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 0.3)
    ended = []

    async def body():
        try:
            await async_sleep()
        finally:
            try:
                # More than a third of the time that there is for it, and less than all of it.
                await asyncio.sleep(0.15)
            except asyncio.CancelledError:
                ended.append("again")

    answer = call(make_handler(async_function(body)))
    assert answer.error["name"] == "DeadlineExceeded"
    assert ended == []


def swallow_once():
    with contextlib.suppress(BaseException):
        sleep()
    return "made up"


def swallow_and_go_on():
    with contextlib.suppress(BaseException):
        sleep()
    sleep()


def swallow_for_ever():
    while True:
        try:  # noqa: SIM105 - as users do
            sleep()
        except BaseException:  # noqa: BLE001, S110 - as users do
            pass


def swallow_in_a_retry_loop():
    for attempt in range(10**9):
        try:
            sleep()
        except:  # noqa: E722 - as users do
            str(attempt)


def swallow_in_a_helper():
    while True:
        swallow_once()


async def async_swallow_once():
    with contextlib.suppress(BaseException):
        await async_sleep()
    return "made up"


SWALLOWERS = [swallow_once, swallow_and_go_on, swallow_for_ever, swallow_in_a_retry_loop, swallow_in_a_helper]


@pytest.mark.parametrize(
    ("kind", "body"),
    [*[(kind, body) for kind in ("sync", "async") for body in SWALLOWERS], ("async", async_swallow_once)],
)
def test_who_swallows_it_is_ended_all_the_same(kind, body):
    answer = call(make_handler(function_of(kind, body)))
    assert (answer.op["op"], answer.error["name"]) == ("StepError", "DeadlineExceeded"), "what it made up is no result"


def test_a_task_that_swallows_it_for_ever_is_left(monkeypatch):
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 0.05)
    tasks = []
    is_over = asyncio.Event()

    async def body():
        tasks.append(asyncio.current_task())
        time_is_up()
        while not is_over.is_set():
            with contextlib.suppress(BaseException):
                await is_over.wait()

    async def end():
        is_over.set()
        await asyncio.wait(tasks)
        return "ended"

    handler = make_handler(async_function(body), async_function(end, id="other"))
    assert call(handler).error["name"] == "DeadlineExceeded"
    assert call(handler, "other", left=None).op["data"] == "ended"


@both
def test_no_step_begins_once_the_time_is_up(kind):
    begun = []

    def sync(ctx):
        swallow_once()
        ctx.step.run("late", lambda: begun.append("late"))

    async def async_(ctx):
        await async_swallow_once()
        await ctx.step.run("late", lambda: begun.append("late"))

    answer = call(make_handler(function(sync if kind == "sync" else async_)))
    assert (answer.status, answer.json["name"]) == (500, "DeadlineExceeded")
    assert begun == []


@with_and_without_middleware
def test_a_result_that_is_being_written_is_not_lost(middleware, rings):
    class Slow:
        def model_dump(self, **_options):
            time_is_up()
            rings.wait(3)
            return "written"

    answer = call(make_handler(sync_function(Slow, middleware=middleware)))
    assert (answer.op["op"], answer.op["data"]) == ("StepRun", "written")


@with_and_without_middleware
def test_a_result_of_a_function_that_is_being_written_is_not_lost(middleware, rings):
    class Slow:
        def model_dump(self, **_options):
            time_is_up()
            rings.wait(3)
            return "written"

    answer = call(make_handler(function(lambda _ctx: Slow(), middleware=middleware)))
    assert (answer.status, answer.json) == (200, "written")


def test_cleaning_up_behind_a_step_is_let_end(rings):
    cleaned = []

    def handler(ctx):
        try:
            ctx.step.run("quick", lambda: "done")
        finally:
            time_is_up()
            rings.wait(3)
            cleaned.append("finally")

    answer = call(make_handler(function(handler)))
    assert (answer.op["op"], answer.op["data"]) == ("StepRun", "done")
    assert cleaned == ["finally"]


def test_who_goes_on_behind_a_step_is_ended():
    def handler(ctx):
        with contextlib.suppress(BaseException):
            ctx.step.run("quick", lambda: "done")
        sleep()

    answer = call(make_handler(function(handler)))
    assert (answer.op["op"], answer.op["data"]) == ("StepRun", "done"), "the result of the step is there"


@both
def test_a_branch_is_ended(kind):
    def sync(ctx):
        ctx.group.parallel([lambda: ctx.step.run("slow", sleep)])

    async def async_(ctx):
        await asyncio.gather(ctx.step.run("slow", async_sleep))

    handler = make_handler(function(sync if kind == "sync" else async_))
    assert call(handler).error["name"] == "DeadlineExceeded"
    assert call(handler, target=hash_of("slow")).error["name"] == "DeadlineExceeded"


class Watch(Middleware):
    """Keeps what came of the code."""

    def __init__(self):
        self.seen = []

    def transform_output(self, output):
        self.seen.append((output.step_id, type(output.error).__name__))

    def before_response(self):
        self.seen.append("response")


@both_bodies(sleep, async_sleep)
def test_middleware_is_shown_the_error_of_a_step(kind, body):
    watch = Watch()
    answer = call(make_handler(function_of(kind, body), middleware=[watch]))
    assert answer.error["name"] == "DeadlineExceeded"
    assert watch.seen == [("slow", "DeadlineExceeded"), "response"]


@both
def test_middleware_is_shown_the_error_of_a_function(kind):
    watch = Watch()

    async def async_(_ctx):
        await async_sleep()

    answer = call(make_handler(function(async_ if kind == "async" else lambda _ctx: sleep()), middleware=[watch]))
    assert (answer.status, answer.json["name"]) == (500, "DeadlineExceeded")
    assert watch.seen == [(None, "DeadlineExceeded"), "response"]


@both
def test_hooks_that_follow_are_let_end(kind, rings):
    seen = []

    class Slow(Middleware):
        def after_execution(self):
            rings.wait(3)
            seen.append("after_execution")

        def before_response(self):
            rings.wait(3)
            seen.append("before_response")

    async def async_(_ctx):
        await async_sleep()

    for fn in (
        function_of(kind, async_sleep if kind == "async" else sleep, middleware=[Slow]),
        function(async_ if kind == "async" else lambda _ctx: sleep(), middleware=[Slow]),
    ):
        assert call(make_handler(fn)).error["name"] == "DeadlineExceeded"
        assert seen == ["after_execution", "before_response"]
        seen.clear()


def hang(*_args):
    sleep()


async def hang_async(*_args):
    await async_sleep()


@pytest.mark.parametrize("hook", ["transform_input", "before_execution", "after_execution", "before_response"])
@pytest.mark.parametrize(("kind", "hanging"), [("sync", hang), ("async", hang), ("async", hang_async)])
def test_a_hook_that_hangs_is_ended(kind, hook, hanging):
    middleware = type("Hanging", (Middleware,), {hook: hanging})
    answer = call(make_handler(function_of(kind, lambda: "done"), middleware=[middleware()]))
    if hook == "before_response":
        assert (answer.op["op"], answer.op["data"]) == ("StepRun", "done"), "the result of the step is there"
    elif hook == "after_execution":
        assert (answer.op["op"], answer.error["name"]) == ("StepError", "DeadlineExceeded")
    else:
        assert (answer.status, answer.json["name"]) == (500, "DeadlineExceeded")


def test_a_call_within_a_call_has_the_time_of_the_outer_one():
    inner = make_handler(sync_function(sleep, id="inner"))
    outer = make_handler(sync_function(lambda: call(inner, "inner", left=None).body))
    assert call(outer).error["name"] == "DeadlineExceeded"
    outer = make_handler(sync_function(lambda: call(inner, "inner", left=90_000).body))
    assert call(outer).error["name"] == "DeadlineExceeded"


def quick_function(kind, **options):
    async def count_async():
        for _ in range(3):
            await asyncio.sleep(0)
        return "counted"

    return function_of(kind, (lambda: "counted") if kind == "sync" else count_async, **options)


@both
# Weak references' callbacks and coroutines that nobody has awaited yet are ended as well.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@with_and_without_middleware
def test_ends_at_any_moment_give_an_answer(kind, middleware):
    """At each of the moments of a call: it is answered, and the next call has nothing of it."""
    handler = make_handler(quick_function(kind, middleware=middleware))
    call(handler)
    seen = []
    for moment in range(1, 5_000):
        answer, has_rung = call_ended_at(handler, moment)
        assert_clean()
        if not has_rung:
            break
        if answer.status == 206:
            seen.append(answer.op["op"])
            assert answer.op["data"] == "counted" or answer.error["name"] == "DeadlineExceeded"
        else:
            assert (answer.status, answer.json["name"]) == (500, "DeadlineExceeded")
        assert call(handler).op["data"] == "counted"
    assert not has_rung, "the call does not end"
    assert set(seen) == {"StepError", "StepRun"}


def test_a_loop_that_is_being_made_is_whole_or_not_there():
    handler = make_handler(quick_function("async"))
    call(handler)
    for moment in range(1, 100):
        forget_loop()
        answer, _ = call_ended_at(handler, moment)
        assert answer.json["name"] == "DeadlineExceeded"
        assert call(handler).op["data"] == "counted"


def test_no_lock_of_pythons_own_stays_locked():
    """At each of the moments at which it could: somebody else would wait for it for ever."""
    waiting, logger, handler = threading.Event(), logging.getLogger("deadlines"), logging.StreamHandler(io.StringIO())
    logger.addHandler(handler)

    def body():
        waiting.set()
        logger.warning("set")
        waiting.clear()
        return "counted"

    call_handler = make_handler(sync_function(body))
    call(call_handler)
    for moment in range(1, 5_000):
        _, has_rung = call_ended_at(call_handler, moment)
        if not has_rung:
            break
        assert not waiting._cond._lock.locked()
        assert not handler.lock._is_owned()
    assert not has_rung
    logger.removeHandler(handler)
