"""Flow control: what is registered, which values are refused, and how the options behave as values."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from pathlib import Path

import pytest
from surface import SECRET, loaded_modules, registered

from inngest_serverless import (
    Batch,
    Cancel,
    Concurrency,
    ConfigurationError,
    Debounce,
    Event,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
)

TRANSCRIPT = Path(__file__).parents[1] / "golden" / "transcripts" / "dev-register.json"
KEY = "event.data.k"


def declare(function_id="my-fn", **options):
    return create_function(**{"id": function_id, "trigger": event_trigger("x"), **options})(lambda ctx: None)


def registration(**options):
    """The registration of a function with these options, without what every function has."""
    [made] = registered(declare(**options)).values()
    return {key: value for key, value in made.items() if key not in {"id", "name", "steps", "triggers"}}


# What is registered.


def recorded():
    document = json.loads(TRANSCRIPT.read_text("utf-8"))
    functions = json.loads(document["exchanges"][0]["request"]["body"])["functions"]
    return {item["id"]: item for item in functions}


RECORDED = {
    "flow-control": {
        "name": "Flow control",
        "retries": 5,
        "idempotency": KEY,
        "concurrency": Concurrency(2, key=KEY, scope="fn"),
        "priority": Priority("event.data.p"),
        "throttle": Throttle(10, "1m", burst=2, key=KEY),
        "singleton": Singleton("skip", key=KEY),
        "timeouts": Timeouts(start="1h", finish="2h"),
    },
    "batch": {"batch_events": Batch(3, timeout="5s")},
    "cancelled": {"cancel": Cancel("t/cancel", if_exp="event.data.id == async.data.id")},
    "debounced": {"debounce": Debounce("2s", key=KEY, timeout="10s")},
    "rate-limited": {"rate_limit": RateLimit(1, "1m", key=KEY)},
    "cron": {"trigger": cron_trigger("* * * * *")},
    "step-retry": {"retries": 2},
    "child-fails": {"retries": 0},
}


@pytest.mark.parametrize("name", RECORDED)
def test_as_recorded(name):
    expected = recorded()[f"rec-{name}"]
    [made] = registered(declare(name, **{"trigger": event_trigger(f"t/{name}"), **RECORDED[name]})).values()
    attempts = made["steps"]["step"].pop("retries")
    assert attempts == expected["steps"]["step"].pop("retries", {"attempts": 4})
    for step in (made["steps"]["step"], expected["steps"]["step"]):
        step.pop("runtime")
    assert made == expected


REGISTERED = [
    ({"concurrency": 5}, {"concurrency": [{"limit": 5}]}),
    ({"concurrency": 0}, {"concurrency": [{"limit": 0}]}),
    ({"concurrency": Concurrency(0)}, {"concurrency": [{"limit": 0}]}),
    ({"concurrency": [Concurrency(1)]}, {"concurrency": [{"limit": 1}]}),
    (
        {"concurrency": (Concurrency(1, scope="fn"), Concurrency(2, KEY, "account"))},
        {"concurrency": [{"limit": 1, "scope": "fn"}, {"limit": 2, "key": KEY, "scope": "account"}]},
    ),
    (
        {"concurrency": Concurrency(3, key="'all'", scope="env")},
        {"concurrency": [{"limit": 3, "key": "'all'", "scope": "env"}]},
    ),
    ({"throttle": Throttle(1, "1s")}, {"throttle": {"limit": 1, "period": "1s"}}),
    (
        {"throttle": Throttle(1, 1500, 3, KEY)},
        {"throttle": {"limit": 1, "period": "1s500ms", "burst": 3, "key": KEY}},
    ),
    ({"rate_limit": RateLimit(1, timedelta(hours=1))}, {"rateLimit": {"limit": 1, "period": "1h"}}),
    ({"debounce": Debounce(1000)}, {"debounce": {"period": "1s"}}),
    (
        {"debounce": Debounce("1m", KEY, timedelta(days=1))},
        {"debounce": {"period": "1m", "key": KEY, "timeout": "1d"}},
    ),
    ({"priority": Priority("120")}, {"priority": {"run": "120"}}),
    ({"batch_events": Batch(10)}, {"batchEvents": {"maxSize": 10, "timeout": "60s"}}),
    (
        {"batch_events": Batch(10, 1500, KEY, "event.data.a")},
        {"batchEvents": {"maxSize": 10, "timeout": "1s500ms", "key": KEY, "if": "event.data.a"}},
    ),
    ({"cancel": Cancel("a")}, {"cancel": [{"event": "a"}]}),
    (
        {"cancel": [Cancel("a", "true", "1h"), Cancel("b", timeout=1000)]},
        {"cancel": [{"event": "a", "if": "true", "timeout": "1h"}, {"event": "b", "timeout": "1s"}]},
    ),
    ({"singleton": Singleton("cancel")}, {"singleton": {"mode": "cancel"}}),
    ({"singleton": Singleton("skip", KEY)}, {"singleton": {"mode": "skip", "key": KEY}}),
    ({"timeouts": Timeouts(start="1h")}, {"timeouts": {"start": "1h"}}),
    ({"timeouts": Timeouts(finish=timedelta(minutes=90))}, {"timeouts": {"finish": "1h30m"}}),
    ({"timeouts": Timeouts("1m", 1)}, {"timeouts": {"start": "1m", "finish": "1ms"}}),
    ({"idempotency": KEY}, {"idempotency": KEY}),
    ({}, {}),
]


@pytest.mark.parametrize(("options", "expected"), REGISTERED, ids=range(len(REGISTERED)))
def test_registration(options, expected):
    assert registration(**options) == expected


def test_all_of_them_together():
    options = {
        "concurrency": 1,
        "throttle": Throttle(1, "1m"),
        "debounce": Debounce("1m"),
        "priority": Priority("1"),
        "cancel": Cancel("a"),
        "singleton": Singleton("skip"),
        "timeouts": Timeouts("1m"),
    }
    names = {"concurrency", "throttle", "debounce", "priority", "cancel", "singleton", "timeouts"}
    assert registration(**options, rate_limit=RateLimit(1, "1m")).keys() == names | {"rateLimit"}
    assert registration(**options, idempotency="event.id").keys() == names | {"idempotency"}


def test_idempotency_and_a_rate_limit_are_one_thing_at_the_server():
    with pytest.raises(ConfigurationError, match=r"^function 'my-fn': idempotency does not go with rate_limit: "):
        registration(rate_limit=RateLimit(1, "1m"), idempotency="event.id")


def test_a_class_of_another_sdk_is_named_with_its_package():
    other = type("Concurrency", (), {"__module__": "inngest._internal.server_lib"})()
    with pytest.raises(
        ConfigurationError, match=r"takes Concurrency\(...\) or a list of at most 2, not inngest.Concurrency$"
    ):
        registration(concurrency=other)


def test_a_batch_of_days():
    """The server reads no days and weeks here, and here alone."""
    assert Batch(2, "1d").to_json()["timeout"] == Batch(2, timedelta(days=1)).to_json()["timeout"] == "86400s"
    assert Batch(2, "1w1.5s").to_json()["timeout"] == "604801s500ms"


@pytest.mark.parametrize(
    "others",
    [
        {"cancel": Cancel("a")},
        {"debounce": Debounce("1m")},
        {"priority": Priority("1")},
        {"singleton": Singleton("skip")},
    ],
    ids=lambda others: next(iter(others)),
)
def test_what_does_not_go_with_a_batch(others):
    """The server refuses these together, whatever their values."""
    message = refused(batch_events=Batch(2), **others)
    assert "batch_events" in message
    assert next(iter(others)) in message


def test_what_goes_with_a_batch():
    options = {
        "concurrency": 1,
        "throttle": Throttle(1, "1m"),
        "rate_limit": RateLimit(1, "1m"),
        "timeouts": Timeouts("1m"),
    }
    assert "batchEvents" in registration(batch_events=Batch(2), **options)


@pytest.mark.parametrize("retries", [0, 1, 4, 20])
def test_retries(retries):
    [made] = registered(declare(retries=retries)).values()
    assert made["steps"]["step"]["retries"] == {"attempts": retries}


def test_one_option_serves_several_functions():
    throttle = Throttle(1, "1m")
    first, second = registered(declare("a", throttle=throttle), declare("b", throttle=throttle)).values()
    assert first["throttle"] == second["throttle"] == {"limit": 1, "period": "1m"}


def test_a_registration_is_a_copy():
    throttle = Throttle(1, "1m")
    throttle.to_json()["limit"] = 2
    assert throttle.to_json() == {"limit": 1, "period": "1m"}


# Durations in every form.


@pytest.mark.parametrize(
    ("duration", "text"),
    [("90s", "90s"), ("1h30m", "1h30m"), (90_000, "1m30s"), (timedelta(seconds=90), "1m30s"), ("1.5h", "1.5h")],
)
def test_durations(duration, text):
    assert Throttle(1, duration).to_json()["period"] == text
    assert RateLimit(1, duration).to_json()["period"] == text
    assert Debounce(duration, timeout=duration).to_json() == {"period": text, "timeout": text}
    assert Batch(2, duration).to_json()["timeout"] == text
    assert Cancel("a", timeout=duration).to_json()["timeout"] == text
    assert Timeouts(duration, duration).to_json() == {"start": text, "finish": text}


TIMED = {
    "Throttle": lambda duration: Throttle(1, duration),
    "RateLimit": lambda duration: RateLimit(1, duration),
    "Debounce": Debounce,
    "Debounce-timeout": lambda duration: Debounce("1s", timeout=duration),
    "Batch": lambda duration: Batch(2, duration),
    "Cancel": lambda duration: Cancel("a", timeout=duration),
    "Timeouts": Timeouts,
    "Timeouts-finish": lambda duration: Timeouts(finish=duration),
}


@pytest.mark.parametrize("option", TIMED)
@pytest.mark.parametrize("duration", ["", "1", "1 h", "soon", "-1h", -1, 1.5, True, timedelta(-1), "367d", [1], b"1h"])
def test_what_is_no_duration(option, duration):
    with pytest.raises(ConfigurationError, match=f"^{option.partition('-')[0]}: "):
        TIMED[option](duration)


# Limits: the last value that is taken, and the first one that is not.

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
TICK = timedelta(microseconds=1)
WITHIN = [
    lambda: Throttle(1, SECOND, burst=1),
    lambda: Throttle(1, 7 * DAY),
    lambda: RateLimit(1, SECOND),
    lambda: RateLimit(1, DAY),
    lambda: RateLimit(1, "24h"),
    lambda: Debounce(SECOND),
    lambda: Debounce(7 * DAY),
    lambda: Debounce("168h"),
    lambda: Concurrency(0),
    lambda: Batch(2),
    lambda: Cancel("a", timeout="366d"),
]
BEYOND = [
    (lambda: Throttle(0, "1m"), "limit"),
    (lambda: Throttle(-1, "1m"), "limit"),
    (lambda: Throttle(1.5, "1m"), "limit"),
    (lambda: Throttle(True, "1m"), "limit"),
    (lambda: Throttle("1", "1m"), "limit"),
    (lambda: Throttle(None, "1m"), "limit"),
    (lambda: Throttle(1, "1m", burst=0), "burst"),
    (lambda: Throttle(1, SECOND - TICK), "1 second to 7 days"),
    (lambda: Throttle(1, 7 * DAY + TICK), "1 second to 7 days"),
    (lambda: Throttle(1, None), "period"),
    (lambda: RateLimit(0, "1m"), "limit"),
    (lambda: RateLimit(None, "1m"), "limit"),
    (lambda: RateLimit(1, SECOND - TICK), "1 second to 24 hours"),
    (lambda: RateLimit(1, DAY + TICK), "1 second to 24 hours"),
    (lambda: RateLimit(1, None), "period"),
    (lambda: Debounce(999), "1 second to 7 days"),
    (lambda: Debounce("0s"), "1 second to 7 days"),
    (lambda: Debounce(7 * DAY + TICK), "1 second to 7 days"),
    (lambda: Debounce(None), "period"),
    (lambda: Concurrency(-1), "limit"),
    (lambda: Concurrency(1.0), "limit"),
    (lambda: Concurrency(False), "limit"),
    (lambda: Concurrency(None), "limit"),
    (lambda: Concurrency(1, KEY, "function"), "scope.*'fn', 'env', 'account'"),
    (lambda: Concurrency(1, scope="env"), "key"),
    (lambda: Concurrency(1, "", "account"), "key"),
    (lambda: Batch(0), "max_size"),
    (lambda: Batch(1), "max_size"),
    (lambda: Batch(2, 999), "timeout"),
    (lambda: Batch(-3), "max_size"),
    (lambda: Batch("3"), "max_size"),
    (lambda: Batch(None), "max_size"),
    (lambda: Priority(""), "run"),
    (lambda: Cancel(""), "event"),
    (lambda: Cancel(None), "event"),
    (lambda: Singleton("stop"), "mode.*'skip', 'cancel'"),
    (lambda: Singleton(None), "mode"),
    (lambda: Singleton(""), "mode"),
    (Timeouts, "start, finish"),
]


@pytest.mark.parametrize("make", WITHIN, ids=range(len(WITHIN)))
def test_within_the_limits(make):
    make()


@pytest.mark.parametrize(("make", "what"), BEYOND, ids=range(len(BEYOND)))
def test_beyond_the_limits(make, what):
    with pytest.raises(ConfigurationError, match=f"^(Throttle|RateLimit|Debounce|[A-Z][a-z]+): .*{what}"):
        make()


class Created(Event[dict], name="api/created"):
    """A type of event."""


WRONG_TEXTS = [
    lambda wrong: Concurrency(1, key=wrong),
    lambda wrong: Throttle(1, "1m", key=wrong),
    lambda wrong: RateLimit(1, "1m", key=wrong),
    lambda wrong: Debounce("1m", key=wrong),
    Priority,
    lambda wrong: Batch(2, key=wrong),
    lambda wrong: Batch(2, if_exp=wrong),
    Cancel,
    lambda wrong: Cancel("a", if_exp=wrong),
    lambda wrong: Singleton("skip", key=wrong),
]


@pytest.mark.parametrize("make", WRONG_TEXTS, ids=range(len(WRONG_TEXTS)))
@pytest.mark.parametrize("wrong", [5, b"x", ["event.data.k"], lambda event: event.data])
def test_expressions_are_text(make, wrong):
    with pytest.raises(ConfigurationError):
        make(wrong)


def test_a_cancellation_by_a_type_of_event():
    """It is taken by its name, or refused; it never gets into a registration as it is."""
    try:
        option = Cancel(Created)
    except ConfigurationError:
        return
    assert option.to_json() == {"event": "api/created"}


# Errors of the declaration: they name the function.


def refused(**options):
    with pytest.raises(ConfigurationError) as caught:
        declare(**options)
    message = str(caught.value)
    assert "'my-fn'" in message
    return message


@pytest.mark.parametrize("retries", [-1, 21, 100, 1.0, True, "4", None])
def test_retries_beyond_the_limits(retries):
    assert "0 to 20" in refused(retries=retries)


def test_at_most_two_concurrency_limits():
    declare(concurrency=[Concurrency(1), Concurrency(2, KEY)])
    assert "at most 2" in refused(concurrency=[Concurrency(1)] * 3)


def test_at_most_five_cancellations():
    declare(cancel=[Cancel(f"e{number}") for number in range(5)])
    assert "at most 5" in refused(cancel=[Cancel(f"e{number}") for number in range(6)])


@pytest.mark.parametrize("limit", [-1, True, False])
def test_a_bare_concurrency_limit_beyond_its_limits(limit):
    assert "limit" in refused(concurrency=limit)


ONE = {
    "throttle": Throttle(1, "1m"),
    "rate_limit": RateLimit(1, "1m"),
    "debounce": Debounce("1m"),
    "priority": Priority("1"),
    "batch_events": Batch(2),
    "cancel": Cancel("a"),
    "singleton": Singleton("skip"),
    "timeouts": Timeouts("1m"),
    "concurrency": Concurrency(1),
}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize(
    "wrong", [SECRET, 1.5, {"limit": 1}, object(), [SECRET], [5, 10], [None]], ids=lambda wrong: type(wrong).__name__
)
def test_options_of_no_option_class(name, wrong):
    message = refused(**{name: wrong})
    assert name in message
    assert type(ONE[name]).__name__ in message


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("given", ONE)
def test_options_of_another_class(name, given):
    if name == given:
        declare(**{name: ONE[name]})
        return
    for wrong in (ONE[given], type(ONE[name]), [ONE[given]]):
        message = refused(**{name: wrong})
        assert name in message


def test_a_subclass_of_an_option():
    """A user's own, with the limits of the house, is an option as well."""

    class PerMinute(Throttle):
        __slots__ = ()

        def __init__(self, limit):
            super().__init__(limit, "1m")

    assert registration(throttle=PerMinute(3)) == {"throttle": {"limit": 3, "period": "1m"}}


@pytest.mark.parametrize("wrong", [5, "", "  ", [KEY], True])
def test_idempotency_is_an_expression(wrong):
    assert "idempotency" in refused(idempotency=wrong)


@pytest.mark.parametrize("wrong", [None, 5, "x", [], ["x"], [None], Created])
def test_triggers_of_no_kind(wrong):
    assert "trigger" in refused(trigger=wrong)


@pytest.mark.parametrize("wrong", ["handler", 5, declare("other")], ids=["text", "number", "function"])
def test_a_failure_handler_that_cannot_be_called(wrong):
    assert "on_failure" in refused(on_failure=wrong)


# The options as values.

OPTIONS = [
    (lambda: Concurrency(1, KEY, "env"), "Concurrency(limit=1, key='event.data.k', scope='env')"),
    (lambda: Throttle(1, 1000), "Throttle(limit=1, period='1s')"),
    (lambda: RateLimit(1, "1m"), "RateLimit(limit=1, period='1m')"),
    (lambda: Debounce("1m", timeout="1h"), "Debounce(period='1m', timeout='1h')"),
    (lambda: Priority("1"), "Priority(run='1')"),
    (lambda: Batch(3, if_exp="true"), "Batch(max_size=3, timeout='60s', if_exp='true')"),
    (lambda: Cancel("a", "true"), "Cancel(event='a', if_exp='true')"),
    (lambda: Singleton("skip", KEY), "Singleton(mode='skip', key='event.data.k')"),
    (lambda: Timeouts(finish="1h"), "Timeouts(finish='1h')"),
]
each_option = pytest.mark.parametrize(("make", "text"), OPTIONS, ids=[text.partition("(")[0] for _, text in OPTIONS])


@each_option
def test_repr_is_how_it_is_written(make, text):
    written = repr(make())
    assert eval(written) == make()  # noqa: S307 - our own text
    assert sorted(written.rstrip(")").partition("(")[2].split(", ")) == sorted(
        text.rstrip(")").partition("(")[2].split(", ")
    )


@each_option
def test_equality(make, text):
    assert make() == make()
    assert hash(make()) == hash(make())
    assert len({make(), make()}) == 1
    assert [other() for other, _ in OPTIONS].count(make()) == 1
    assert make() != make().to_json()


def test_options_that_differ():
    assert Concurrency(1) != Concurrency(2)
    assert Throttle(1, "1m") != RateLimit(1, "1m")
    assert Throttle(1, "1m") == Throttle(1, 60_000) == Throttle(1, timedelta(minutes=1))


@each_option
def test_frozen(make, text):
    option = make()
    for name in ("limit", "period", "key", "_fields", "other"):
        with pytest.raises(AttributeError):
            setattr(option, name, 1)
        with pytest.raises(AttributeError):
            delattr(option, name)
    assert option == make()


@each_option
def test_copies(make, text):
    option = make()
    for other in (copy.copy(option), copy.deepcopy(option), pickle.loads(pickle.dumps(option))):  # noqa: S301 - our own
        assert other == option
        assert type(other) is type(option)


def test_options_are_small():
    assert not hasattr(Concurrency(1), "__dict__")


# What a cold start pays.

APP = """
from inngest_serverless import create_function, event_trigger, inngest_lambda{imports}
@create_function(id="fn", trigger=event_trigger("x"), retries=2, idempotency="event.id"{options})
def fn(ctx):
    return 1
handler = inngest_lambda([fn], app_id="app", is_dev=True)
"""


def test_a_function_without_flow_control_does_not_load_it():
    loaded = loaded_modules(APP.format(imports="", options=""))
    assert "inngest_serverless.functions" in loaded
    assert "inngest_serverless.flow_control" not in loaded


def test_a_function_with_flow_control_loads_nothing_else_for_it():
    before = loaded_modules(APP.format(imports="", options=""))
    after = loaded_modules(APP.format(imports=", Concurrency", options=", concurrency=Concurrency(1)"))
    assert after - before == {"inngest_serverless.flow_control"}
