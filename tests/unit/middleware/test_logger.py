"""``ctx.logger``: silent while a call repeats what earlier calls have done, and telling whose records they are."""

from __future__ import annotations

import logging
import threading

import pytest
from engine_server import Both, Do, both, declare
from hooked import Hooked

every_way = pytest.mark.parametrize(
    ("kind", "by"), [("sync", "group"), ("async", "group"), ("async", "gather"), ("async", "tasks")]
)


@pytest.fixture
def records():
    """The records of a logger that is made for the test."""

    class Keeping(logging.Handler):
        def emit(self, record):
            kept.append(record)

    kept: list[logging.LogRecord] = []
    logger = logging.getLogger("test.middleware")
    handler = Keeping()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield kept
    logger.removeHandler(handler)


def run_of(kind, script, **options):
    return Hooked(declare(kind, script), logger=logging.getLogger("test.middleware"), **options)


def texts(records):
    return [record.getMessage() for record in records]


def say(ctx, text):
    return lambda: ctx.logger.info(text)


def five_steps(ctx):
    ctx.logger.info("start")
    yield Do("run", "a", say(ctx, "in a"))
    ctx.logger.info("behind a")
    yield Do("sleep", "nap", "1s")
    ctx.logger.info("behind the nap")
    event = yield Do("wait_for_event", "wait", event="test/other", timeout="1h")
    ctx.logger.info("behind the wait: %s", event)
    yield Do("invoke_by_id", "call", function_id="other")
    ctx.logger.info("behind the call")
    yield Do("run", "b", say(ctx, "in b"))
    ctx.logger.info("end")


IN_ORDER = ["start", "in a", "behind a", "behind the nap", "behind the wait: None", "behind the call", "in b", "end"]


@both
def test_each_line_once(kind, records):
    run_of(kind, five_steps).run()
    assert texts(records) == IN_ORDER


@both
def test_with_middleware_too(kind, records):
    from inngest_serverless import Middleware

    run_of(kind, five_steps, middleware=[Middleware]).run()
    assert texts(records) == IN_ORDER


@both
def test_failed_steps_and_their_retries(kind, records):
    tries = []

    def flaky(ctx):
        ctx.logger.warning("try %s", len(tries))
        tries.append(1)
        if len(tries) < 3:
            raise ValueError

    def broken(ctx):
        ctx.logger.warning("broken")
        raise ValueError

    def script(ctx):
        ctx.logger.info("start")
        yield Do("run", "flaky", lambda: flaky(ctx))
        ctx.logger.info("behind")
        try:
            yield Do("run", "broken", lambda: broken(ctx))
        except Exception:
            ctx.logger.exception("caught")
        yield Do("run", "c", lambda: 1)

    run_of(kind, script).run()
    # What runs again with a retry is told again: it is not a replay.
    assert texts(records) == [
        *("start", "try 0", "start", "try 1", "start", "try 2"),
        *("behind", "broken") * 4,
        "caught",
    ]


@every_way
def test_parallel_steps(kind, by, records):
    def branch(ctx, name):
        def steps():
            ctx.logger.info("%s begins", name)
            yield Do("run", f"{name}1", say(ctx, f"in {name}1"))
            yield Do("run", f"{name}2", say(ctx, f"in {name}2"))

        return steps

    def script(ctx):
        ctx.logger.info("start")
        yield Do("run", "first", say(ctx, "in first"))
        ctx.logger.info("before the branches")
        yield Both(branch(ctx, "a"), branch(ctx, "b"), by=by)
        ctx.logger.info("behind the branches")
        yield Do("run", "last", say(ctx, "in last"))
        ctx.logger.info("end")

    run_of(kind, script).run()
    assert texts(records) == [
        *("start", "in first", "before the branches", "a begins", "b begins"),
        *("in a1", "in b1", "in a2", "in b2"),
        *("behind the branches", "in last", "end"),
    ]


@every_way
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("pick", [None, lambda keys: keys[-1], min])
def test_no_line_of_a_branch_twice(kind, by, each, pick, records):
    def branch(ctx, name):
        def steps():
            for number in range(3):
                ctx.logger.info("before %s%s", name, number)
                yield Do("run", f"{name}{number}", say(ctx, f"in {name}{number}"))
                ctx.logger.info("behind %s%s", name, number)

        return steps

    def script(ctx):
        yield Both(*(branch(ctx, name) for name in "abc"), by=by)
        ctx.logger.info("joined")
        yield Do("run", "last", lambda: 1)

    run_of(kind, script).run(each=each, pick=pick)
    lines = texts(records)
    assert len(lines) == len(set(lines)), "a replay is heard"
    bodies = {f"in {name}{number}" for name in "abc" for number in range(3)}
    assert bodies | {"before a0", "before b0", "before c0", "joined"} <= set(lines)


@every_way
def test_a_server_that_calls_back_after_each_step_has_every_line_told(kind, by, records):
    def branch(ctx, name):
        def steps():
            yield Do("run", f"{name}0", lambda: 1)
            ctx.logger.info("behind %s0", name)
            yield Do("run", f"{name}1", lambda: 1)
            ctx.logger.info("behind %s1", name)

        return steps

    def script(ctx):
        yield Both(*(branch(ctx, name) for name in "ab"), by=by)

    run_of(kind, script).run(each=True)
    lines = texts(records)
    assert len(lines) == len(set(lines))
    assert lines[-1] in {"behind a1", "behind b1"}


@both
def test_a_step_that_was_called_for_is_all_that_is_heard(kind, records):
    def script(ctx):
        ctx.logger.info("start")
        yield Both(lambda: (yield Do("run", "a", say(ctx, "in a"))), lambda: (yield Do("run", "b", say(ctx, "in b"))))

    server = run_of(kind, script)
    server.call_for("b")
    server.call_for("nowhere")
    assert texts(records) == ["in b"]


@both
def test_cleaning_up_while_a_call_ends_is_not_heard(kind, records):
    def script(ctx):
        try:
            yield Do("run", "a", lambda: 1)
            yield Do("sleep", "b", "1s")
        finally:
            ctx.logger.info("released")

    run_of(kind, script).run()
    assert texts(records) == ["released"]


@both
@pytest.mark.parametrize("place", [0, 1, 2])
def test_memos_that_are_not_asked_for(kind, place, records):
    """The code has lost a step while the run was under way."""

    def script(ctx):
        ctx.logger.info("start")
        yield Do("run", "a", lambda: 1)
        yield Do("run", "b", lambda: 1)
        ctx.logger.info("behind b")
        yield Do("run", "c", say(ctx, "in c"))
        ctx.logger.info("behind c")
        yield Do("run", "d", say(ctx, "in d"))
        ctx.logger.info("end")

    server = run_of(kind, script)
    known = ["a", "b"]
    known.insert(place, "old")
    for step_id in known:
        server.remember(step_id, {"data": 1})
    server.run()
    # Whether "behind b" is new cannot be told if the lost step was the last one.
    assert [line for line in texts(records) if line != "behind b"] == ["in c", "behind c", "in d", "end"]


@both
def test_the_order_of_the_memos_is_not_known(kind, records):
    server = run_of(kind, five_steps)
    for step_id in ("a", "nap"):
        server.remember(step_id, {"data": 1})
    server.call(order=[])
    server.remember("wait", None)
    server.remember("call", {"data": 1})
    server.call(order=[])
    assert texts(records) == ["behind the nap", "behind the call", "in b"]


@both
def test_records_say_whose_they_are(kind, records):
    def script(ctx):
        ctx.logger.info("outside", extra={"order": 17})
        yield Do(
            "run", "charge", lambda: ctx.logger.warning("inside", extra={"step_id": "mine"}) or say(ctx, "plain")()
        )

    server = run_of(kind, script)
    server.call(attempt=2)
    outside, overridden, inside = records
    assert (outside.run_id, outside.function_id, outside.attempt, outside.step_id) == ("01RUN", "fn", 2, None)
    assert outside.order == 17
    assert (inside.run_id, inside.function_id, inside.attempt, inside.step_id) == ("01RUN", "fn", 2, "charge")
    assert overridden.step_id == "mine"
    assert inside.name == "test.middleware"


@both
def test_records_of_parallel_steps_say_whose_they_are(kind, records):
    def script(ctx):
        yield Both(lambda: (yield Do("run", "a", say(ctx, "in a"))), lambda: (yield Do("run", "b", say(ctx, "in b"))))

    run_of(kind, script).run()
    assert [(record.getMessage(), record.step_id) for record in records] == [("in a", "a"), ("in b", "b")]


@both
def test_threads_of_a_body_are_heard(kind, records):
    def work(ctx):
        thread = threading.Thread(target=say(ctx, "in a thread"))
        thread.start()
        thread.join()

    def script(ctx):
        yield Both(lambda: (yield Do("run", "a", lambda: work(ctx))), lambda: (yield Do("run", "b", lambda: 1)))

    run_of(kind, script).run()
    assert [(record.getMessage(), record.step_id) for record in records] == [("in a thread", "a")]


@both
def test_what_is_asked_of_it_before_a_message_is_made(kind, records):
    seen = []

    def script(ctx):
        seen.append([ctx.logger.isEnabledFor(level) for level in (logging.DEBUG, logging.INFO)])
        yield Do("run", "a", lambda: 1)

    run_of(kind, script).run()
    assert seen == [[False, True], [False, False]]


@both
def test_the_logger_of_the_package_if_none_is_given(kind, caplog):
    with caplog.at_level(logging.INFO, "inngest_serverless"):
        Hooked(declare(kind, five_steps)).run()
    assert [record.getMessage() for record in caplog.records if record.name == "inngest_serverless"] == IN_ORDER
