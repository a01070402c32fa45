"""Sleeps and retries on the virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from engine_app import DAY, EVENT, HOUR, MINUTE, SECOND, START_MS, Do, both, declare, happened

from inngest_serverless import NonRetriableError, RetryAfterError, StepError
from inngest_serverless.local.agenda import Agenda
from inngest_serverless.local.calls import retry_after_ms, wake_ms

# The server's own back-off: this long after each failed try, and up to 30 s more.
BACK_OFF = [15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE]
BACK_OFF += [HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR]


def failing(times, error=lambda: ValueError("not yet")):
    """A step's body that raises this many times, and then returns how often it was called."""
    calls = []

    def body():
        calls.append(1)
        if len(calls) <= times:
            raise error()
        return len(calls)

    return body


def gaps(run, kind):
    """The time between one moment of this kind and whatever came next."""
    pairs = zip(run.timeline, run.timeline[1:], strict=False)
    return [later.at_ms - moment.at_ms for moment, later in pairs if moment.kind == kind]


@both
@pytest.mark.parametrize(
    ("duration", "millis"),
    [("1s", SECOND), ("1h30m", 90 * MINUTE), ("366d", 366 * DAY), (1500, 1500), (timedelta(weeks=1), 7 * DAY), (0, 0)],
)
def test_a_sleep_takes_no_time_but_the_clock_moves(serve, kind, duration, millis):
    def script(_ctx):
        yield Do("sleep", "nap", duration)
        return "woke"

    run = serve(declare(kind, script)).run()
    assert happened(run) == [(0, "Started", ""), (0, "Sleep", "nap"), (millis, "Woke", "nap"), (millis, "Returned", "")]
    assert run.output == "woke"


@both
@pytest.mark.parametrize(("seconds", "expected"), [(90, 90 * SECOND), (-90, 0)])
def test_sleep_until_is_by_the_engines_clock(serve, kind, seconds, expected):
    start_ms = 1_000_000_000_000

    def script(_ctx):
        yield Do("sleep_until", "nap", datetime.fromtimestamp(start_ms / 1000 + seconds, UTC))

    run = serve(declare(kind, script), start_ms=start_ms).run()
    assert happened(run)[-1] == (expected, "Returned", "")


@both
def test_a_step_is_tried_again_after_the_servers_back_off(serve, kind):
    body = failing(12)

    def script(_ctx):
        return (yield Do("run", "flaky", body))

    app = serve(declare(kind, script, retries=12))
    run = app.run()
    assert (run.status, run.output) == ("completed", 13)
    waits = gaps(run, "StepError")
    assert all(least <= wait < least + 30 * SECOND for least, wait in zip(BACK_OFF, waits, strict=True)), waits
    assert len(set(waits)) > 8, "there is no jitter"
    assert [call.ctx["attempt"] for call in app.calls] == [*range(13), 0]
    assert {call.ctx["max_attempts"] for call in app.calls} == {13}


@both
def test_attempts_are_counted_for_each_step(serve, kind):
    bodies = {name: failing(2) for name in "ab"}

    def script(_ctx):
        first = yield Do("run", "a", bodies["a"])
        second = yield Do("run", "b", bodies["b"])
        return [first, second]

    app = serve(declare(kind, script, retries=2))
    assert app.run().output == [3, 3]
    assert [call.ctx["attempt"] for call in app.calls] == [0, 1, 2, 0, 1, 2, 0]


@both
@pytest.mark.parametrize(
    ("asked", "millis"),
    [
        ("10s", 10 * SECOND),
        (timedelta(minutes=2), 2 * MINUTE),
        (1, SECOND),
        ("30d", DAY),
        (datetime(2001, 1, 1, tzinfo=UTC), SECOND),
    ],
)
def test_retry_after_of_a_step(serve, kind, asked, millis):
    body = failing(1, lambda: RetryAfterError("later", asked))

    def script(_ctx):
        return (yield Do("run", "flaky", body))

    run = serve(declare(kind, script)).run()
    assert gaps(run, "StepError") == [millis]
    assert run.output == 2


@both
def test_retry_after_of_a_function(serve, kind):
    body = failing(2, lambda: RetryAfterError("later", "1h"))

    def script(_ctx):
        yield Do("run", "step", lambda: 1)
        return body()

    app = serve(declare(kind, script))
    run = app.run()
    assert (run.status, run.output) == ("completed", 3)
    assert gaps(run, "Retrying") == [HOUR, HOUR]
    assert [call.ctx["attempt"] for call in app.calls] == [0, 0, 1, 2]
    assert [moment.detail for moment in run.timeline if moment.kind == "Retrying"] == ["RetryAfterError: later"] * 2


@both
def test_a_function_that_raises_is_called_again_after_the_back_off(serve, kind):
    body = failing(2)

    def script(_ctx):
        return body()
        yield

    run = serve(declare(kind, script)).run()
    assert run.output == 3
    first, second = gaps(run, "Retrying")
    assert 15 * SECOND <= first < 45 * SECOND
    assert 30 * SECOND <= second < 60 * SECOND


@both
def test_used_up_attempts_become_an_error_that_can_be_caught(serve, kind):
    def script(_ctx):
        try:
            yield Do("run", "boom", failing(9))
        except StepError as error:
            return [error.name, error.message, (yield Do("run", "undo", lambda: "undone"))]

    app = serve(declare(kind, script, retries=1))
    run = app.run()
    assert run.output == ["ValueError", "not yet", "undone"]
    assert run.steps == ["boom", "undo"]
    assert [kind for _, kind, step in happened(run) if step == "boom"] == ["StepError", "StepFailed"]
    [memo] = app.calls[2].json["steps"].values()
    assert memo["error"].keys() == {"name", "message", "stack"}


@both
@pytest.mark.parametrize("raised", [ValueError("no"), NonRetriableError("no")])
def test_an_error_of_a_step_that_nobody_catches_fails_the_run(serve, kind, raised):
    def script(_ctx):
        yield Do("run", "boom", failing(9, lambda: raised))

    app = serve(declare(kind, script, retries=0))
    run = app.run()
    assert run.status == "failed"
    assert (run.error["name"], run.error["message"]) == (type(raised).__name__, "no")
    assert len(app.calls) == 2


@both
def test_a_step_that_may_not_be_retried_is_not(serve, kind):
    def script(_ctx):
        try:
            yield Do("run", "boom", failing(9, lambda: NonRetriableError("never")))
        except StepError as error:
            return error.name

    app = serve(declare(kind, script, retries=5))
    assert app.run().output == "NonRetriableError"
    assert len(app.calls) == 2


@pytest.mark.parametrize(
    ("header", "millis"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", SECOND),
        ("7", 7 * SECOND),
        ("9999999", DAY),
        ("²", None),
        ("2001-01-01T00:00:00Z", SECOND),
        ("2999-01-01T00:00:00Z", DAY),
        ("Mon, 01 Jan 2999 00:00:00 GMT", DAY),
    ],
)
def test_retry_after_in_all_its_forms(header, millis):
    assert retry_after_ms(header) == millis


def test_an_instant_in_retry_after_is_rounded_up_to_a_second(monkeypatch):
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for late in (0.0, 0.001, 0.9):
        monkeypatch.setattr("time.time", lambda late=late: now + late)
        assert retry_after_ms("2026-01-01T00:00:10.000Z") == 10 * SECOND


@pytest.mark.parametrize(
    ("text", "millis"),
    [("1h30m", 90 * MINUTE), ("2026-11-22T00:48:29.994Z", SECOND), ("2026-11-22", -START_MS % DAY - DAY), ("0s", 0)],
)
def test_durations_and_instants(text, millis):
    assert wake_ms(text, START_MS) == millis


def test_time_passes_only_as_far_as_told(serve):
    def script(_ctx):
        yield Do("sleep", "nap", "1d")
        yield Do("sleep", "doze", "1d")

    app = serve(declare("sync", script))
    [run] = app.engine.send(EVENT)
    app.engine.advance("25h")
    assert app.engine.agenda.now_ms == START_MS + 25 * HOUR
    assert (run.steps, list(run.memos.values())) == (["nap"], [None])
    app.engine.advance("23h")
    assert run.status == "completed"


def test_the_agenda_keeps_the_order_of_entry():
    done = []
    agenda = Agenda(1000)
    for name, delay in [("c", 5), ("a", 0), ("d", 5), ("b", -5)]:
        agenda.after(delay, lambda name=name: done.append((agenda.now_ms, name)))
    assert agenda.do_next(until_ms=999) is False
    while agenda.do_next():
        pass
    assert done == [(1000, "a"), (1000, "b"), (1005, "c"), (1005, "d")]
