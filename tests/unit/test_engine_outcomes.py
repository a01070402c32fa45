"""What the server is told of how a step or a function ended."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import sys
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from engine_server import Do, Server, both, declare, forget_loop, function, hash_of

import inngest_serverless
from inngest_serverless import NonRetriableError, RetryAfterError, StepError

PACKAGE = str(Path(inngest_serverless.__file__).parent)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
places = pytest.mark.parametrize("place", ["step", "function"])


class Oops(Exception):  # noqa: N818 - a user's own
    pass


class OwnBaseError(BaseException):
    """As extension modules in Rust raise them, and gevent and pytest."""


def raising(error):
    raise error


def raise_in(place, make):
    """A script that raises what ``make`` makes, in a step or outside."""

    def script(ctx):
        if place == "step":
            return (yield Do("run", "a", lambda: raising(make())))
        raise make()

    return script


def call(kind, place, make, **ctx):
    return Server(declare(kind, raise_in(place, make))).call(**ctx)


def flags(answer):
    return answer.headers["x-inngest-no-retry"], answer.headers.get("retry-after")


# Steps.


@both
def test_a_step_that_succeeds(kind):
    answer = Server(declare(kind, lambda ctx: (yield Do("run", "a", lambda: {"x": 1})))).call()
    assert (answer.status, answer.op["op"], answer.op["data"]) == (206, "StepRun", {"x": 1})
    assert answer.op["opts"] == {"type": "step.run"}
    assert "x-inngest-no-retry" not in answer.headers
    assert "error" not in answer.op


@both
def test_a_step_that_raises_has_attempts_left(kind):
    answer = call(kind, "step", lambda: ValueError("no"), attempt=0, max_attempts=2)
    assert answer.ops == [("StepError", "a")]
    assert answer.op["data"] is None
    assert (answer.error["name"], answer.error["message"]) == ("ValueError", "no")
    assert flags(answer) == ("false", None)


@both
@pytest.mark.parametrize(("attempt", "max_attempts"), [(0, 1), (3, 4), (9, 4), (20, 21)])
def test_a_step_that_raises_on_its_last_attempt(kind, attempt, max_attempts):
    answer = call(kind, "step", lambda: ValueError("no"), attempt=attempt, max_attempts=max_attempts)
    assert answer.ops == [("StepFailed", "a")]
    assert flags(answer) == ("true", None)


@both
@pytest.mark.parametrize("attempt", [0, 50])
def test_without_max_attempts_there_is_always_another(kind, attempt):
    answer = call(kind, "step", lambda: ValueError("no"), attempt=attempt, max_attempts=None)
    assert answer.ops == [("StepError", "a")]


@both
def test_a_step_that_must_not_be_retried(kind):
    answer = call(kind, "step", lambda: NonRetriableError("no"))
    assert answer.ops == [("StepFailed", "a")]
    assert (answer.error["name"], answer.error["message"]) == ("NonRetriableError", "no")
    assert flags(answer) == ("true", None)


@both
def test_a_subclass_of_non_retriable_error(kind):
    class RefusedError(NonRetriableError):
        pass

    assert call(kind, "step", lambda: RefusedError("no")).error["name"] == "RefusedError"
    assert call(kind, "step", lambda: RefusedError("no")).ops == [("StepFailed", "a")]
    assert call(kind, "function", RefusedError).status == 400


# Functions.


@both
@pytest.mark.parametrize(("attempt", "max_attempts"), [(0, 4), (3, 4), (0, None)])
def test_a_function_that_raises(kind, attempt, max_attempts):
    answer = call(kind, "function", lambda: Oops("no"), attempt=attempt, max_attempts=max_attempts)
    assert (answer.status, answer.json["name"], answer.json["message"]) == (500, "Oops", "no")
    assert flags(answer) == ("false", None)
    assert set(answer.json) == {"name", "message", "stack"}


@both
def test_a_function_that_must_not_be_retried(kind):
    answer = call(kind, "function", lambda: NonRetriableError("no"))
    assert (answer.status, answer.json["name"]) == (400, "NonRetriableError")
    assert flags(answer) == ("true", None)


@both
def test_an_empty_message(kind):
    assert call(kind, "function", NonRetriableError).json["message"] == ""


# Retry-After.


@both
@places
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (timedelta(seconds=90), 90),
        (timedelta(milliseconds=1), 0.001),
        (1500, 1.5),
        (0, 0),
        ("2m", 120),
        ("1h30m", 5400),
        ("30", 30),
        ("0000030", 30),
    ],
    ids=repr,
)
def test_retry_after_a_delay(kind, place, value, seconds):
    before = time.time()
    answer = call(kind, place, lambda: RetryAfterError("busy", value))
    after = time.time()
    no_retry, retry_after = flags(answer)
    assert no_retry == "false"
    assert INSTANT.fullmatch(retry_after)
    instant = datetime.fromisoformat(retry_after).timestamp()
    assert before + seconds - 0.002 <= instant <= after + seconds + 0.002
    assert (answer.error["name"], answer.error["message"]) == ("RetryAfterError", "busy")


@both
@places
@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "2030-01-02T03:04:05.679Z"),
        ("2030-01-02T03:04:05+01:00", "2030-01-02T02:04:05.000Z"),
        ("Wed, 02 Jan 2030 03:04:05 GMT", "2030-01-02T03:04:05.000Z"),
        ("1893456000", "2030-01-01T00:00:00.000Z"),
        (datetime(1999, 1, 1, tzinfo=UTC), "1999-01-01T00:00:00.000Z"),
    ],
    ids=repr,
)
def test_retry_after_an_instant(kind, place, value, instant):
    assert flags(call(kind, place, lambda: RetryAfterError("busy", value))) == ("false", instant)


class UnfinishedError(RetryAfterError):
    def __init__(self):
        Exception.__init__(self, "busy")


@both
@places
def test_an_error_without_its_retry_after_is_told_all_the_same(kind, place):
    answer = call(kind, place, UnfinishedError)
    assert answer.status == (206 if place == "step" else 500)
    assert answer.error["message"] == "busy (its retry_after was ignored: AttributeError)"
    assert flags(answer) == ("false", None)


@both
@places
@pytest.mark.parametrize(
    "value",
    [
        None, object, 1.5, True, -1, "", "soon", "-5s", timedelta(seconds=-1), timedelta(days=400), 10**40,
        datetime(2030, 1, 1), "9" * 5000, b"30", [30], float("nan"), datetime.max.replace(tzinfo=UTC),  # noqa: DTZ001
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_a_wrong_retry_after_does_not_hide_the_error(kind, place, value):
    answer = call(kind, place, lambda: RetryAfterError("busy", value))
    assert answer.status == (206 if place == "step" else 500)
    assert answer.error["name"] == "RetryAfterError"
    assert answer.error["message"].startswith("busy")
    assert flags(answer)[0] == "false"
    if flags(answer)[1] is None:
        assert "retry_after" in answer.error["message"], "nobody is told that the delay was ignored"
    else:
        assert INSTANT.fullmatch(flags(answer)[1])


@both
def test_retry_after_counts_for_nothing_on_the_last_attempt(kind):
    answer = call(kind, "step", lambda: RetryAfterError("busy", "1h"), attempt=3, max_attempts=4)
    assert answer.ops == [("StepFailed", "a")]
    assert flags(answer) == ("true", None)


@both
def test_a_step_of_several_fails_alone_with_its_own_retry_after(kind):
    """The headers speak for a whole reply, and a failure is always the only one in it."""
    answer = call(kind, "step", lambda: RetryAfterError("busy", "1h"))
    assert len(answer.json) == 1
    assert flags(answer)[1] is not None


# Step errors on replay.


@both
@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_caught_step_error_is_made_good_in_another_step(kind, max_attempts):
    tries = []

    def script(ctx):
        try:
            yield Do("run", "boom", lambda: tries.append(1) or raising(ZeroDivisionError("division by zero")))
        except StepError as error:
            undone = yield Do("run", "undo", lambda: "undone")
            return [error.name, error.message, str(error), error.step_id, undone]

    server = Server(declare(kind, script), max_attempts=max_attempts)
    assert server.run().json == ["ZeroDivisionError", "division by zero", "division by zero", "boom", "undone"]
    assert len(tries) == max_attempts


@both
def test_a_step_error_is_an_exception_of_this_package(kind):
    def script(ctx):
        try:
            yield Do("run", "boom", raising, NonRetriableError("no"))
        except inngest_serverless.InngestError as error:
            return [type(error).__name__, error.name]

    assert Server(declare(kind, script)).run().json == ["StepError", "NonRetriableError"]


@both
def test_an_uncaught_step_error_is_told_as_it_was(kind):
    memo = {"name": "CardDeclined", "message": "no funds", "stack": "Traceback: somewhere"}

    def script(ctx):
        return (yield Do("run", "a", lambda: 1))

    server = Server(declare(kind, script))
    server.remember("a", {"error": memo})
    answer = server.call()
    assert (answer.status, answer.json) == (400, memo)
    assert flags(answer) == ("true", None)


@both
def test_an_uncaught_step_error_without_a_stack(kind):
    server = Server(declare(kind, raise_in("step", ValueError)))
    server.remember("a", {"error": {"name": "E", "message": "m"}})
    answer = server.call()
    assert (answer.status, answer.json["name"], answer.json["message"]) == (400, "E", "m")


@both
def test_an_error_raised_from_a_step_error_is_the_functions_own(kind):
    def script(ctx):
        try:
            yield Do("run", "a", lambda: 1)
        except StepError as error:
            raise Oops("gave up") from error

    server = Server(declare(kind, script))
    server.remember("a", {"error": {"name": "E", "message": "m"}})
    answer = server.call()
    assert (answer.status, answer.json["name"], answer.json["message"]) == (500, "Oops", "gave up")
    assert flags(answer) == ("false", None)


@both
def test_a_step_error_raised_again_later_is_final(kind):
    def script(ctx):
        caught = None
        try:
            yield Do("run", "a", lambda: 1)
        except StepError as error:
            caught = error
        yield Do("run", "b", lambda: 2)
        raise caught

    server = Server(declare(kind, script))
    server.remember("a", {"error": {"name": "E", "message": "m", "stack": "s"}})
    answer = server.run()
    assert (answer.status, answer.json) == (400, {"name": "E", "message": "m", "stack": "s"})


@both
def test_a_step_error_raised_in_the_body_of_another_step_is_final(kind):
    """It was remembered, so a retry would only meet it again."""

    def script(ctx):
        try:
            yield Do("run", "a", lambda: 1)
        except StepError as error:
            caught = error
        yield Do("run", "b", raising, caught)

    server = Server(declare(kind, script))
    server.remember("a", {"error": {"name": "E", "message": "m"}})
    answer = server.call()
    assert (answer.ops, answer.error["name"]) == ([("StepFailed", "b")], "E")


def test_step_errors_of_a_task_group_are_final():
    async def handler(ctx):
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step.run("a", lambda: 1))
            group.create_task(ctx.step.run("b", lambda: 2))

    server = Server(function(handler))
    server.remember("a", {"error": {"name": "E", "message": "inner message"}})
    server.remember("b", {"data": 2})
    answer = server.call()
    assert (answer.status, answer.json["name"]) == (400, "ExceptionGroup")
    assert "inner message" in answer.json["stack"]


@both
@places
def test_an_exception_group_with_a_final_error_is_final(kind, place):
    def make():
        return ExceptionGroup("several", [ValueError("x"), ExceptionGroup("more", [NonRetriableError("y")])])

    answer = call(kind, place, make)
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert "y" in answer.error["stack"]


@both
@places
def test_an_exception_group_with_a_retry_after(kind, place):
    answer = call(kind, place, lambda: ExceptionGroup("several", [ValueError("x"), RetryAfterError("y", "1h")]))
    assert flags(answer)[0] == "false"
    assert flags(answer)[1] is not None


@both
@places
def test_a_group_of_base_exceptions(kind, place):
    answer = call(kind, place, lambda: BaseExceptionGroup("several", [ValueError("x"), OwnBaseError("y")]))
    assert answer.error["name"] == "BaseExceptionGroup"


# Exceptions out of the ordinary.


@both
@places
def test_exit(kind, place):
    answer = call(kind, place, lambda: SystemExit("bye"))
    assert (answer.error["name"], answer.error["message"]) == ("SystemExit", "bye")
    assert answer.status == (206 if place == "step" else 500)
    assert flags(answer)[0] == "false"


def test_exit_in_a_task():
    async def handler(ctx):
        await asyncio.gather(ctx.step.run("a", lambda: 1), asyncio.create_task(leave()))

    async def leave():
        sys.exit(3)

    answer = Server(function(handler)).call()
    assert answer.status in {206, 500}


@both
@places
def test_a_keyboard_interrupt_passes_and_harms_nothing(kind, place):
    """Ctrl-C stops the development server, not a run."""
    with pytest.raises(KeyboardInterrupt):
        call(kind, place, KeyboardInterrupt)
    server = Server(declare(kind, lambda ctx: (yield Do("run", "a", lambda: 1))))
    try:
        assert server.run().json == 1
    finally:
        forget_loop()


@both
@places
@pytest.mark.parametrize("make", [OwnBaseError, GeneratorExit, asyncio.CancelledError], ids=lambda make: make.__name__)
def test_any_other_base_exception_is_a_failure(kind, place, make):
    """A panic in an extension module, say. The call must be answered, and within seconds."""

    def sync(ctx):
        if place == "step":
            return ctx.step.run("a", lambda: raising(make("no")))
        raise make("no")

    async def native(ctx):
        if place == "step":
            return await ctx.step.run("a", lambda: raising(make("no")))
        raise make("no")

    answer = Server(function(sync if kind == "sync" else native)).call()
    assert answer.error["name"] == make.__name__
    assert answer.status == (206 if place == "step" else 500)


class BrokenStr(Exception):  # noqa: N818 - a user's own
    def __str__(self):
        raise RuntimeError("no text")


class NotText(Exception):  # noqa: N818 - a user's own
    def __str__(self):
        return 5  # noqa: PLE0307 - that is the point


class BrokenRepr(Exception):  # noqa: N818 - a user's own
    def __repr__(self):
        raise RuntimeError("no text")


class BrokenNotes(Exception):  # noqa: N818 - a user's own
    __notes__ = 5


NoModule = type("NoModule", (Exception,), {"__module__": None})


@both
@places
@pytest.mark.parametrize(
    "make",
    [
        BrokenStr, NotText, BrokenRepr, BrokenNotes, NoModule, type("Ünïcode", (Exception,), {}), ET.ParseError,
        lambda: SyntaxError("bad", ("file", 1, 2, "text")), lambda: SyntaxError("bad", ("file", "x", None, None)),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), lambda: KeyError("key"), lambda: OSError(2, "gone"),
        StopIteration, StopAsyncIteration, lambda: Exception(Exception("inner")), lambda: Exception(1, "two", None),
        MemoryError,
    ],
    ids=range(17),
)  # fmt: skip
def test_exceptions_of_every_make_are_told(kind, place, make):
    def sync(ctx):
        if place == "step":
            return ctx.step.run("a", lambda: raising(make()))
        raise make()

    async def native(ctx):
        if place == "step":
            return await ctx.step.run("a", lambda: raising(make()))
        raise make()

    answer = Server(function(sync if kind == "sync" else native)).call()
    assert isinstance(answer.error["name"], str)
    assert answer.error["name"]
    assert isinstance(answer.error["message"], str)
    assert "Traceback" in answer.error["stack"]


@both
@places
def test_a_message_with_a_lone_surrogate(kind, place):
    answer = call(kind, place, lambda: ValueError("bad \ud800 text é"))
    assert answer.error["message"] == "bad \ud800 text é"
    assert answer.body.encode()


@both
@places
@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_a_very_long_message_does_not_burst_the_reply(kind, place, size):
    """The server takes 4 MiB of a step, Lambda sends 6 MB."""
    answer = call(kind, place, lambda: ValueError("start " + "x" * size))
    size = len(answer.body)
    assert size < 2**20
    assert answer.error["message"][:7] == "start x"


@both
@places
def test_a_recursion_error(kind, place):
    def sink(depth):
        return sink(depth + 1)

    def script(ctx):
        if place == "step":
            return (yield Do("run", "a", sink, 0))
        return sink(0)

    answer = Server(declare(kind, script)).call()
    assert answer.error["name"] == "RecursionError"
    assert "sink" in answer.error["stack"]
    assert len(answer.error["stack"]) < 100_000


def chained(length, *, how):
    last = ValueError("first")
    for number in range(length):
        error = ValueError(str(number))
        if how == "cause":
            error.__cause__ = last
        else:
            error.__context__ = last
        last = error
    return last


@both
@places
@pytest.mark.parametrize("how", ["cause", "context"])
@pytest.mark.parametrize("length", [3, 2000])
def test_a_long_chain_of_causes(kind, place, how, length):
    """As a loop makes it that tries again and again and keeps the last error."""
    try:
        answer = call(kind, place, lambda: chained(length, how=how))
    except RecursionError:
        answer = None
    if answer is None:
        pytest.fail("the call was not answered: RecursionError", pytrace=False)
    assert answer.error["message"] == str(length - 1)


@both
@places
def test_a_circle_of_causes(kind, place):
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert call(kind, place, lambda: first).error["message"] == "first"


@both
@places
def test_a_deep_exception_group(kind, place):
    def make():
        error = ValueError("inner")
        for _ in range(60):
            error = ExceptionGroup("several", [error])
        return error

    assert call(kind, place, make).error["name"] == "ExceptionGroup"


# Stacks.


def the_users_own_helper():
    raise Oops("no")


@both
@places
def test_the_stack_shows_the_users_frames_and_none_of_the_package(kind, place):
    def sync(ctx):
        if place == "step":
            return ctx.step.run("a", the_users_own_helper)
        return the_users_own_helper()

    async def native(ctx):
        if place == "step":
            return await ctx.step.run("a", the_users_own_helper)
        return the_users_own_helper()

    stack = Server(function(sync if kind == "sync" else native)).call().error["stack"]
    assert "the_users_own_helper" in stack
    assert "test_engine_outcomes.py" in stack
    assert PACKAGE not in stack
    assert stack.rstrip().endswith("Oops: no")


@both
@places
def test_causes_are_in_the_stack_without_frames_of_the_package(kind, place):
    def make():
        try:
            the_users_own_helper()
        except Oops as error:
            wrapped = ValueError("outer")
            wrapped.__cause__ = error
            return wrapped

    stack = call(kind, place, make).error["stack"]
    assert "the_users_own_helper" in stack
    assert "direct cause" in stack
    assert PACKAGE not in stack


@both
def test_the_stack_of_a_wrong_call_shows_where_it_was_made(kind):
    def sync(ctx):
        return ctx.step.sleep("nap", "never")

    async def native(ctx):
        return await ctx.step.sleep("nap", "never")

    answer = Server(function(sync if kind == "sync" else native)).call()
    assert "test_engine_outcomes.py" in answer.json["stack"]
    assert PACKAGE not in answer.json["stack"]


@both
def test_a_replayed_step_error_keeps_the_stack_of_its_body(kind):
    server = Server(declare(kind, raise_in("step", lambda: Oops("no"))), max_attempts=1)
    answer = server.run()
    assert answer.status == 400
    assert answer.json == server.calls[0][1].op["error"]


# Errors as values.


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
@pytest.mark.parametrize(
    "error",
    [
        StepError("E", "m", "s", "a"),
        RetryAfterError("busy", "1h"),
        NonRetriableError("no"),
        inngest_serverless.SendEventsError("no", ["1"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_a_process_pool(error, duplicate):
    """concurrent.futures pickles what a worker raises, and breaks if that fails."""
    twin = duplicate(error)
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


@both
def test_a_failed_body_is_not_run_again_in_the_same_call(kind):
    tries = []

    def script(ctx):
        try:
            yield Do("run", "a", lambda: tries.append(1) or raising(ValueError("no")))
        except Exception:  # noqa: BLE001 - as users do
            yield Do("run", "b", lambda: tries.append(2))

    server = Server(declare(kind, script))
    assert server.call().ops == [("StepError", "a")]
    assert tries == [1]
    assert server.call(hash_of("a"), attempt=1).ops == [("StepError", "a")]
    assert tries == [1, 1]


@both
def test_a_result_whose_attributes_cannot_be_read_is_a_failed_step(kind):
    """Proxies and lazy objects raise whatever they like when looked at."""

    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("working outside of request context")

    answer = Server(declare(kind, lambda ctx: (yield Do("run", "a", Proxy)))).call()
    assert answer.ops in ([("StepFailed", "a")], [("StepError", "a")])
