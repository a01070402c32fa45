"""The alarm that ends calls: it is shared with whoever else has use for it, and rings in one thread only."""

from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import pytest
from deadline_calls import HANG_SECONDS, call, context, make_handler, time_is_up
from engine_server import function

from inngest_serverless import ConfigurationError, inngest_gcf, inngest_lambda
from inngest_serverless.aws import http_triggers
from inngest_serverless.aws.http_triggers import find_trigger, make_timer
from inngest_serverless.engine import deadline as deadlines
from inngest_serverless.local.gateway import TRIGGERS, to_lambda_event
from inngest_serverless.options import read_deadline

QUIET = 90.0


@pytest.fixture(autouse=True)
def _restored():
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Foreign:
    """Somebody else's use of the alarm."""

    def __init__(self, seconds=0.0, interval=0.0):
        self.rang = 0
        signal.signal(signal.SIGALRM, self)
        if seconds:
            signal.setitimer(signal.ITIMER_REAL, seconds, interval)

    def __call__(self, *_args):
        self.rang += 1

    # A dataclass that can be called has none either.
    __hash__ = None


def slow():
    time_is_up()
    time.sleep(HANG_SECONDS)


def quick():
    return "done"


def step_of(body):
    return make_handler(function(lambda ctx: ctx.step.run("a", body)))


def test_an_alarm_that_is_due_later_is_given_back():
    foreign = Foreign(QUIET, 7.0)
    for body in (quick, slow):
        op = call(step_of(body)).op["op"]
        assert op == ("StepRun" if body is quick else "StepError")
        assert signal.getsignal(signal.SIGALRM) is foreign
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left < QUIET
        assert interval == 7.0
    assert foreign.rang == 0


def test_the_time_that_has_gone_by_counts_for_an_alarm_that_is_given_back(monkeypatch):
    Foreign(QUIET)
    monkeypatch.setattr(deadlines, "monotonic", iter([1_000.0, 1_010.0]).__next__)
    deadline = deadlines.Deadline(1_020.0, 0.5, "")
    deadline.run(SimpleNamespace(), lambda _invocation: None)
    assert QUIET - 11 < signal.getitimer(signal.ITIMER_REAL)[0] <= QUIET - 10


def test_an_alarm_that_rings_meanwhile_is_its_owners(monkeypatch):
    """It rings at each moment at which it can while ours is set up."""
    foreign, rings = Foreign(QUIET), []

    def ringing(original):
        def ring(*args):
            for act in (lambda: None, lambda: original(*args)):
                came = act()
                if signal.getitimer(signal.ITIMER_REAL)[0] > QUIET / 2:
                    rings.append(True)
                    signal.raise_signal(signal.SIGALRM)
            return came

        return ring

    for name in ("getsignal", "signal", "setitimer"):
        monkeypatch.setattr(deadlines, name, ringing(getattr(deadlines, name)))
    assert call(step_of(quick), left=10_000).op["data"] == "done"
    assert foreign.rang == len(rings) > 2


def test_an_alarm_that_is_due_before_rings():
    foreign = Foreign(QUIET / 3)

    def body():
        seconds = signal.getitimer(signal.ITIMER_REAL)[0]
        assert QUIET / 6 < seconds <= QUIET / 3
        time_is_up()
        give_up = time.monotonic() + HANG_SECONDS
        while not foreign.rang and time.monotonic() < give_up:
            pass
        return foreign.rang

    assert call(step_of(body)).op["data"] >= 1
    assert signal.getsignal(signal.SIGALRM) is foreign


def test_a_handler_without_an_alarm_is_put_back():
    foreign = Foreign()
    assert call(step_of(slow)).op["op"] == "StepError"
    assert signal.getsignal(signal.SIGALRM) is foreign
    assert foreign.rang == 0


@pytest.mark.parametrize("previous", [signal.SIG_DFL, signal.SIG_IGN])
def test_an_alarm_that_comes_late_ends_nothing(previous):
    signal.signal(signal.SIGALRM, previous)
    assert call(step_of(slow)).op["op"] == "StepError"
    signal.raise_signal(signal.SIGALRM)  # by default it would end the process


def test_code_that_uses_the_alarm_itself_has_it():
    rang = []

    def body():
        before = signal.signal(signal.SIGALRM, lambda *_args: rang.append(True))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        give_up = time.monotonic() + HANG_SECONDS
        while not rang and time.monotonic() < give_up:
            pass
        signal.signal(signal.SIGALRM, before)
        return "done"

    assert call(step_of(body)).op["data"] == "done"
    assert call(step_of(slow)).op["op"] == "StepError"


@pytest.mark.parametrize("off", [{"deadline": False}])
def test_it_can_be_switched_off(off, monkeypatch):
    def body():
        return signal.getitimer(signal.ITIMER_REAL)[0]

    fn = function(lambda ctx: ctx.step.run("a", body))
    assert call(make_handler(fn)).op["data"] > 0
    assert call(make_handler(fn, **off)).op["data"] == 0
    monkeypatch.setenv("INNGEST_DEADLINE", "off")
    assert call(make_handler(fn)).op["data"] == 0
    assert call(make_handler(fn, deadline=True)).op["data"] > 0, "an option counts for more"


@pytest.mark.parametrize("stranger", [None, object(), Mock(), MagicMock(), SimpleNamespace()])
def test_a_context_that_is_not_lambdas_sets_none(stranger):
    def body():
        return signal.getitimer(signal.ITIMER_REAL)[0]

    handler = step_of(body)
    assert call(lambda event, _context: handler(event, stranger)).op["data"] == 0


@pytest.mark.parametrize(("left", "most"), [(10_000, 9.5), (1_000, 0.5), (600, 0.3)])
def test_the_margin_is_at_most_half_of_what_is_left(left, most):
    def body():
        return signal.getitimer(signal.ITIMER_REAL)[0]

    assert most / 2 < call(step_of(body), left=left).op["data"] <= most


def test_a_call_without_any_time_is_answered_at_once():
    assert call(step_of(slow), left=0).error["name"] == "DeadlineExceeded"


def test_alarms_ring_in_the_main_thread_only():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(call(step_of(lambda: signal.getitimer(signal.ITIMER_REAL)))))
    thread.start()
    thread.join()
    assert seen[0].op["data"] == [0.0, 0.0]


# How long there is.

LAMBDAS = "raise the timeout of the Lambda function"
NOW = 1_795_308_509.25


@pytest.fixture
def clocks(monkeypatch):
    monkeypatch.setattr(http_triggers, "monotonic", lambda: 1_000.0)
    monkeypatch.setattr(http_triggers, "time", lambda: NOW)


def due(trigger, left_seconds, *, waits=None, sent=0.0, url="https://x.example/api"):
    event = to_lambda_event(trigger, "POST", url, {}, b"{}", now_millis=round((NOW - sent) * 1000))
    deadline = make_timer(waits, 0.5)(event, context(round(left_seconds * 1000)), find_trigger(event))
    return round(deadline.due - 1_000.0, 3), deadline.advice


FUNCTION_URL = "https://abc.lambda-url.eu-west-1.on.aws/api"


@pytest.mark.usefixtures("clocks")
@pytest.mark.parametrize(
    ("trigger", "seconds", "advice"),
    [
        ("function-url", 900, LAMBDAS),
        ("http-api", 30, "an HTTP API waits for 30 s at most"),
        ("http-api-v1", 30, "an HTTP API waits for 30 s at most"),
        ("rest-api", 29, "a REST API waits for 29 s, so raise the timeout of its integration"),
        ("alb", 60, "a load balancer waits for 60 s, so raise its idle timeout"),
        ("alb-multi-value", 60, "a load balancer waits for 60 s, so raise its idle timeout"),
    ],
)
def test_a_trigger_waits_so_long(trigger, seconds, advice):
    url = FUNCTION_URL if trigger == "function-url" else "https://x.example/api"
    found, told = due(trigger, 900, url=url)
    assert found == seconds
    assert told.startswith(advice)
    assert due(trigger, 3, url=url) == (3, LAMBDAS), "what comes first counts"


@pytest.mark.usefixtures("clocks")
@pytest.mark.parametrize(
    "trigger", [name for name in TRIGGERS if name not in {"function-url", "alb", "alb-multi-value"}]
)
def test_what_has_gone_by_before_the_function_counts(trigger):
    whole = due(trigger, 900)[0]
    assert due(trigger, 900, sent=4.0)[0] == whole - 4
    for kept in (-5.0, 3_600.0):
        assert due(trigger, 900, sent=kept)[0] == whole, "an event that was kept says nothing"


@pytest.mark.usefixtures("clocks")
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_set_time_takes_the_place_of_the_triggers(trigger):
    found, told = due(trigger, 900, waits=120.0, url=FUNCTION_URL)
    assert found == 120
    assert told.startswith("INNGEST_DEADLINE (or the option deadline) says 120 s")
    assert due(trigger, 3, waits=120.0, url=FUNCTION_URL) == (3, LAMBDAS)


@pytest.mark.parametrize(
    ("environ", "options", "expected"),
    [
        ({}, {}, (None, 0.5)),
        ({"INNGEST_DEADLINE": ""}, {}, (None, 0.5)),
        ({"INNGEST_DEADLINE": " ON "}, {}, (None, 0.5)),
        ({"INNGEST_DEADLINE": "25"}, {}, (25.0, 0.5)),
        ({"INNGEST_DEADLINE": "0"}, {}, None),
        ({"INNGEST_DEADLINE": "Off"}, {}, None),
        ({"INNGEST_DEADLINE": "25", "INNGEST_DEADLINE_MARGIN": "1.5"}, {"deadline": 7}, (7, 1.5)),
        ({"INNGEST_DEADLINE": "0"}, {"deadline": True}, (None, 0.5)),
        ({"INNGEST_DEADLINE_MARGIN": "2"}, {"deadline_margin": 0.25}, (None, 0.25)),
        ({"INNGEST_DEADLINE": "25"}, {"deadline": False}, None),
    ],
)
def test_settings(environ, options, expected):
    assert read_deadline(environ, options) == expected


@pytest.mark.parametrize(
    ("environ", "options", "message"),
    [
        ({"INNGEST_DEADLINE": "soon"}, {}, "INNGEST_DEADLINE must be a number of seconds"),
        ({"INNGEST_DEADLINE": "-1"}, {}, "INNGEST_DEADLINE must be"),
        ({"INNGEST_DEADLINE": "nan"}, {}, "INNGEST_DEADLINE must be"),
        ({"INNGEST_DEADLINE_MARGIN": "off"}, {}, "INNGEST_DEADLINE_MARGIN must be a number of seconds, more than 0$"),
        ({}, {"deadline": "25"}, "option deadline must be a number of seconds, more than 0 or a switch"),
        ({}, {"deadline": 0}, "option deadline must be"),
        ({}, {"deadline_margin": True}, "option deadline_margin must be"),
        ({}, {"deadline_margin": float("inf")}, "option deadline_margin must be"),
    ],
)
def test_wrong_settings_are_refused_at_import(environ, options, message, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for make in (inngest_lambda, inngest_gcf):
        with pytest.raises(ConfigurationError, match=message):
            make([function(lambda _ctx: None)], app_id="app", is_dev=True, **options)
