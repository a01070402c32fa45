"""Code that catches what ends a call, and code that cleans up: the call is answered all the same."""

from __future__ import annotations

import contextlib

import pytest
from engine_server import Do, Server, both, declare, function

from inngest_serverless.engine import rendezvous


class Work:
    """Bodies that count themselves."""

    def __init__(self):
        self.ran = []

    def __call__(self, name):
        self.ran.append(name)
        return name


def except_exception(work):
    try:
        value = yield Do("run", "a", work, "a")
    except Exception:  # noqa: BLE001 - as users do
        return "made up"
    return [value, (yield Do("run", "b", work, "b"))]


def bare_except_returns(work):
    try:
        return (yield Do("run", "a", work, "a"))
    except:  # noqa: E722 - as users do
        return "made up"


def bare_except_goes_on(work):
    try:
        value = yield Do("run", "a", work, "a")
    except:  # noqa: E722 - as users do
        value = "made up"
    return [value, (yield Do("run", "b", work, "b"))]


def passes_over_everything(work):
    values = []
    for name in "abc":
        with contextlib.suppress(BaseException):
            values.append((yield Do("run", name, work, name)))
    return values


def raises_another(work):
    try:
        return (yield Do("run", "a", work, "a"))
    except BaseException as error:
        raise ValueError("made up") from error


def raises_another_and_catches_it(work):
    try:
        try:
            value = yield Do("run", "a", work, "a")
        except BaseException as error:
            raise ValueError("made up") from error
    except ValueError:
        value = yield Do("run", "b", work, "b")
    return value


def step_in_finally(work):
    try:
        return (yield Do("run", "a", work, "a"))
    finally:
        yield Do("run", "cleanup", work, "cleanup")


def returns_in_finally(work):
    value = "made up"
    try:
        value = yield Do("run", "a", work, "a")
    finally:
        return value  # noqa: B012 - as users do


def raises_in_finally(work):
    done = False
    try:
        yield Do("run", "a", work, "a")
        done = True
    finally:
        if not done:
            raise KeyError("made up")
    return "a"


def breaks_in_finally(work):
    values = []
    for name in "ab":
        try:
            values.append((yield Do("run", name, work, name)))
        finally:
            continue  # noqa: B012 - as users do
    return values


def suppresses(work):
    value = "made up"
    with contextlib.suppress(BaseException):
        value = yield Do("run", "a", work, "a")
    return value


def exits(work):
    try:
        return (yield Do("run", "a", work, "a"))
    except BaseException as error:
        raise SystemExit(1) from error


def tries_again(work):
    for _ in range(3):
        try:
            return (yield Do("run", "a", work, "a"))
        except BaseException:  # noqa: BLE001, S112 - as users do
            continue
    return "made up"


def returns_another(work):
    try:
        yield Do("sleep", "nap", "1h")
    except BaseException:  # noqa: BLE001 - as users do
        return "made up"
    return "slept"


ENDS = {
    except_exception: (["a", "b"], ["a", "b"]),
    bare_except_returns: ("a", ["a"]),
    bare_except_goes_on: (["a", "b"], ["a", "b"]),
    passes_over_everything: (["a", "b", "c"], ["a", "b", "c"]),
    raises_another: ("a", ["a"]),
    raises_another_and_catches_it: ("a", ["a"]),
    step_in_finally: ("a", ["a", "cleanup"]),
    returns_in_finally: ("a", ["a"]),
    raises_in_finally: ("a", ["a"]),
    breaks_in_finally: (["a", "b"], ["a", "b"]),
    suppresses: ("a", ["a"]),
    exits: ("a", ["a"]),
    tries_again: ("a", ["a"]),
    returns_another: ("slept", []),
}
every_script = pytest.mark.parametrize("script", ENDS, ids=lambda script: script.__name__)


@both
@every_script
@pytest.mark.parametrize("planned", [False, True], ids=["at-once", "planned"])
def test_a_swallowed_interrupt_changes_nothing(kind, script, planned):
    work = Work()
    server = Server(declare(kind, lambda ctx: script(work)))
    if planned:
        answer = server.call(disable_immediate_execution=True)
        assert len(answer.json) == 1, f"found more than the first step: {answer}"
        server.calls.clear()
    answer = server.run()
    value, ran = ENDS[script]
    assert (answer.status, answer.json) == (200, value)
    assert work.ran == ran


@both
@every_script
def test_a_targeted_call_is_not_confused_by_it(kind, script, monkeypatch):
    """Another step is met first; whatever the code makes of that, the answer is that the target is missing, at once."""
    monkeypatch.setattr(rendezvous, "GRACE_SECONDS", 60)
    work = Work()
    answer = Server(declare(kind, lambda ctx: script(work))).call("0" * 40)
    assert (answer.status, answer.json["name"]) == (500, "StepNotFound")
    assert work.ran == []


@both
def test_blocks_around_a_step_are_open_while_its_body_runs(kind):
    log = []

    @contextlib.contextmanager
    def block():
        log.append("open")
        try:
            yield
        finally:
            log.append("close")

    def script(ctx):
        with block():
            yield Do("run", "a", log.append, "body")
        log.append("after")
        yield Do("sleep", "nap", "1h")

    server = Server(declare(kind, script))
    server.call()
    assert log == ["open", "body", "close"]
    server.remember("a", None)
    log.clear()
    server.call()
    assert log == ["open", "close", "after"]


@both
def test_finally_runs_in_every_call(kind):
    log = []

    def script(ctx):
        try:
            yield Do("run", "a", lambda: 1)
            yield Do("run", "b", lambda: 2)
        finally:
            log.append("finally")

    server = Server(declare(kind, script))
    server.run()
    assert len(log) == len(server.calls) == 3


def test_a_generator_of_steps():
    def handler(ctx):
        def pages():
            for number in range(3):
                yield ctx.step.run("page", lambda number=number: number)

        return [value * 10 for value in pages()]

    assert Server(function(handler)).run().json == [0, 10, 20]


def test_generators_that_are_not_exhausted():
    log = []

    def handler(ctx):
        def pages():
            try:
                for number in range(100):
                    yield ctx.step.run("page", lambda number=number: number)
            finally:
                log.append("closed")

        for value in pages():
            if value == 1:
                return value
        return None

    server = Server(function(handler))
    assert server.run().json == 1
    assert len(log) == len(server.calls)


def test_the_interrupt_says_what_to_do():
    seen = []

    def handler(ctx):
        try:
            ctx.step.sleep("nap", "1h")
        except BaseException as error:  # noqa: BLE001 - to look at it
            seen.append(error)

    Server(function(handler)).call()
    assert not isinstance(seen[0], Exception)
    assert "'nap'" in str(seen[0])
    assert "Exception" in str(seen[0])


def test_what_the_function_returns_beside_a_report_is_not_encoded():
    def handler(ctx):
        with contextlib.suppress(BaseException):
            ctx.step.sleep("nap", "1h")
        return object()

    assert Server(function(handler)).call().ops == [("Sleep", "nap")]
