"""What users declare: functions and triggers, checked where they are declared."""

from __future__ import annotations

import functools
from unittest.mock import MagicMock

import pytest
from engine_server import Server, time_limit

from inngest_serverless import (
    ConfigurationError,
    Event,
    Function,
    Middleware,
    Trigger,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.functions import index_functions, is_coroutine_function

TRIGGER = event_trigger("test/started")


def declared(handler=lambda ctx: 1, **options):
    return create_function(**{"id": "fn", "trigger": TRIGGER, **options})(handler)


def refusal(call, *args, **kwargs):
    with pytest.raises(ConfigurationError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# IDs and names.


@pytest.mark.parametrize(
    ("given", "function_id", "name"),
    [
        ({"id": "fn"}, "fn", "fn"),
        ({"id": "fn", "name": "My function"}, "fn", "My function"),
        ({"name": "My function"}, "my-function", "My function"),
        ({"name": "  Send: an E-Mail (v2)! "}, "send-an-e-mail-v2", "  Send: an E-Mail (v2)! "),
        ({"name": "Größe Ändern"}, "größe-ändern", "Größe Ändern"),
        ({"id": "With Space/and é"}, "With Space/and é", "With Space/and é"),
        ({"id": "fn", "name": ""}, "fn", "fn"),
    ],
    ids=str,
)
def test_id_and_name(given, function_id, name):
    fn = create_function(trigger=TRIGGER, **given)(lambda ctx: 1)
    assert (fn.id, fn.name, fn.options["name"]) == (function_id, name, name)


@pytest.mark.parametrize(
    "given",
    [{}, {"id": ""}, {"id": "  "}, {"name": "!!!"}, {"name": ""}, {"id": 5}, {"id": None, "name": None}],
    ids=str,
)
def test_an_empty_id_is_refused(given):
    assert "empty ID" in refusal(create_function, trigger=TRIGGER, **given)


def test_the_same_id_twice_is_refused():
    message = refusal(inngest_lambda, [declared(), declared()], app_id="app", is_dev=True)
    assert "'fn'" in message
    assert "twice" in message


def test_functions_are_indexed_by_composite_id():
    index = index_functions("app", [declared(id="a"), declared(id="b")])
    assert {key: fn.id for key, fn in index.items()} == {"app-a": "a", "app-b": "b"}


@pytest.mark.parametrize(
    "wrong", [lambda ctx: 1, None, "fn", Function, [declared()]], ids=lambda wrong: type(wrong).__name__
)
def test_something_that_is_no_function_is_refused(wrong):
    assert "create_function" in refusal(inngest_lambda, [wrong], app_id="app", is_dev=True)


@pytest.mark.parametrize("wrong", [None, 5, "text", Function])
def test_only_functions_can_be_decorated(wrong):
    decorate = create_function(id="fn", trigger=TRIGGER)
    if wrong is Function:
        assert isinstance(decorate(wrong), Function)  # a class can be called
    else:
        assert "'fn'" in refusal(decorate, wrong)


def test_a_function_shows_its_id():
    assert repr(declared()) == "Function(id='fn')"


# Retries.


@pytest.mark.parametrize("retries", [0, 1, 4, 20])
def test_retries(retries):
    assert declared(retries=retries).options["retries"] == retries


def test_four_retries_if_not_given():
    assert declared().options["retries"] == 4


@pytest.mark.parametrize("retries", [-1, 21, 1.0, 4.5, "4", None, True, False, float("nan")], ids=repr)
def test_wrong_retries_are_refused(retries):
    message = refusal(declared, retries=retries)
    assert "'fn'" in message
    assert "0 to 20" in message


# Triggers.


def test_one_trigger_or_several():
    both = [event_trigger("a/b", "event.data.x == 1"), cron_trigger("0 12 * * 5")]
    expected = [{"event": "a/b", "expression": "event.data.x == 1"}, {"cron": "0 12 * * 5"}]
    assert declared(trigger=both).options["triggers"] == expected
    assert declared(trigger=tuple(both)).options["triggers"] == expected
    assert declared(trigger=both[0]).options["triggers"] == expected[:1]


@pytest.mark.parametrize(
    "trigger",
    [[], (), "test/started", ["test/started"], [TRIGGER, "x"], [None], {}, None, 5, object],
    ids=["empty list", "empty tuple", "text", "list of text", "mixed", "list of None", "dict", "None", "5", "object"],
)
def test_a_wrong_trigger_is_refused(trigger):
    message = refusal(declared, trigger=trigger)
    assert "'fn'" in message
    assert "trigger" in message


@pytest.mark.parametrize("name", ["", "  ", None, 5, b"x", ["x"]], ids=repr)
def test_an_event_needs_a_name(name):
    assert "name of an event" in refusal(event_trigger, name)


@pytest.mark.parametrize(
    ("given", "named"),
    [("a/b", "str"), (Event, "Event"), ([TRIGGER, "a/b"], "str")],
    ids=["text", "type of event", "mixed"],
)
def test_what_is_no_trigger_is_named(given, named):
    assert refusal(declared, trigger=given).startswith(f"function 'fn': {named} is no trigger: pass trigger=event_tr")


@pytest.mark.parametrize("expression", [None, ""])
def test_an_empty_expression_is_left_out(expression):
    assert event_trigger("a/b", expression).to_json() == {"event": "a/b"}


def test_triggers_are_values():
    assert isinstance(TRIGGER, Trigger)
    assert TRIGGER.to_json() == {"event": "test/started"}


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "0 12 * * 5",
        "*/5 * * * *",
        "0,15,30,45 0-23/2 1-31 1-12 0-6",
        "59 23 31 12 6",
        "0 0 1 1 0",
        "5/15 * * * *",
        "0 9-17 * * MON-FRI",
        "0 0 1 jan,JUL,Dec sun",
        "0 0 ? * ?",
        "  0   12 * *\t5 ",
        "TZ=Europe/Paris 0 12 * * 5",
        "CRON_TZ=America/New_York 0 12 * * 5",
        "00 07 * * 05",
    ],
)
def test_a_right_cron_is_kept(cron):
    assert cron_trigger(cron).to_json() == {"cron": cron}


@pytest.mark.parametrize(
    "cron",
    [
        "", " ", "*", "* * * *", "* * * * * *", "0 0 12 * * 5", "hourly", "@never", "@", "@every", "@every 1h 2",
        "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8",
        "-1 * * * *", "5-1 * * * *", "1-60 * * * *", "1- * * * *", "-5 * * * *", "1-2-3 * * * *",
        "*/0 * * * *", "*/-1 * * * *", "*/x * * * *", "*/ * * * *", "/5 * * * *", "1/2/3 * * * *",
        "1,,2 * * * *", ",1 * * * *", "1, * * * *", "a * * * *", "MON * * * *", "* * * MON *", "* * * * JAN",
        "* * * * MONDAY", "* * * * FRI-MON", "* * L * *", "* * * * 5#2", "* * 15W * *", "1.5 * * * *", "+1 * * * *",
        "TZ=Europe/Paris", "TZ=Europe/Paris * * * *", "* * * * * TZ=Europe/Paris", "² * * * *", "٣ * * * *",
    ],
)  # fmt: skip
def test_a_wrong_cron_is_refused(cron):
    message = refusal(cron_trigger, cron)
    assert repr(cron) in message
    assert "0 12 * * 5" in message, "the message gives no example"


@pytest.mark.parametrize("cron", ["*/² * * * *", "*/٣ * * * *", "*/1_0 * * * *"])
def test_a_step_of_other_digits_is_refused(cron):
    refusal(cron_trigger, cron)


@pytest.mark.parametrize("cron", ["@daily", "@hourly", "@every 1h", "0 0 * * 7", "0 0 * * 5-7"])
def test_a_cron_that_the_server_refuses_is_refused_here(cron):
    """The server's parser takes five fields, no descriptors, and 0 to 6 as the day of the week: a sync would fail."""
    refusal(cron_trigger, cron)


@pytest.mark.parametrize("cron", [None, 5, b"* * * * *", ["* * * * *"]], ids=repr)
def test_a_cron_that_is_no_text_is_refused(cron):
    assert type(cron).__name__ in refusal(cron_trigger, cron)


def test_a_wrong_cron_names_the_field():
    assert "hour '24'" in refusal(cron_trigger, "0 24 * * *")


# What they are called with.


def with_step(ctx, step):
    return step


class Work:
    def __call__(self, ctx):
        return ctx

    def method(self, ctx):
        return ctx

    @classmethod
    def class_method(cls, ctx):
        return ctx


@pytest.mark.parametrize("handler", [with_step, lambda: 1, lambda ctx, step, more=1: 1], ids=["two", "none", "default"])
def test_a_handler_that_takes_no_context_alone_is_refused(handler):
    for message in (refusal(declared, handler), refusal(declared, on_failure=handler)):
        assert message.startswith(f"function 'fn': {handler.__name__} takes ")
        assert message.endswith("write def f(ctx), with the steps in ctx.step")


@pytest.mark.parametrize(
    "handler",
    [
        lambda *args: 1,
        lambda ctx, *more: 1,
        lambda ctx=None: 1,
        lambda ctx, size=3: 1,
        functools.partial(with_step, step=1),
        Work().method,
        Work.class_method,
        Work(),
        MagicMock(),
    ],
    ids=["args", "and args", "default", "more", "partial", "method", "class method", "object", "mock"],
)
def test_a_handler_that_can_be_called_with_the_context_is_taken(handler):
    assert declared(handler, on_failure=handler).handler is handler


# Which functions are async.


def sync_handler(ctx, extra=None):
    return "sync"


async def async_handler(ctx, extra=None):
    return "async"


class SyncObject:
    def __call__(self, ctx):
        return "sync"

    def method(self, ctx):
        return "sync"


class AsyncObject:
    async def __call__(self, ctx):
        return "async"

    async def method(self, ctx):
        return "async"

    @classmethod
    async def class_method(cls, ctx):
        return "async"

    @staticmethod
    async def static_method(ctx):
        return "async"


class WithFunc:
    """Not a partial, but it keeps a function in ``func``, as many decorators do."""

    def __init__(self, func):
        self.func = func

    def __call__(self, ctx):
        return "sync"


def wrapped(handler, wrapper):
    return functools.wraps(handler)(wrapper)


async def async_wrapper(ctx):
    return await async_handler(ctx)


HANDLERS = [
    (sync_handler, "sync"),
    (async_handler, "async"),
    (lambda ctx: "sync", "sync"),
    (functools.partial(sync_handler, extra=1), "sync"),
    (functools.partial(async_handler, extra=1), "async"),
    (functools.partial(functools.partial(async_handler, extra=1), extra=2), "async"),
    (SyncObject(), "sync"),
    (AsyncObject(), "async"),
    (functools.partial(AsyncObject()), "async"),
    (SyncObject().method, "sync"),
    (AsyncObject().method, "async"),
    (AsyncObject.class_method, "async"),
    (AsyncObject.static_method, "async"),
    (wrapped(async_handler, async_wrapper), "async"),
    (wrapped(async_handler, sync_handler), "sync"),
    (WithFunc(async_handler), "sync"),
    (WithFunc(sync_handler), "sync"),
]


@pytest.mark.parametrize(("handler", "kind"), HANDLERS, ids=range(len(HANDLERS)))
def test_sync_and_async_are_told_apart(handler, kind):
    fn = declared(handler)
    assert fn.is_async is (kind == "async")
    assert Server(fn).call().json == kind


def test_a_function_with_an_attribute_of_its_own():
    def handler(ctx):
        return "sync"

    handler.func = async_handler
    assert not declared(handler).is_async


def test_a_mock_is_no_endless_matter():
    """As users' tests pass them."""
    with time_limit(1):
        assert not is_coroutine_function(MagicMock(return_value=1))


def test_streaming_is_refused():
    assert "stream" in refusal(inngest_lambda, [declared()], app_id="app", is_dev=True, streaming=True)


@pytest.mark.parametrize("alone", [Middleware, Middleware()])
def test_middleware_comes_in_a_list(alone):
    told = r"middleware takes a list, not Middleware: write middleware=\[...\]"
    with pytest.raises(ConfigurationError, match=f"^function 'f': {told}$"):
        create_function(id="f", trigger=TRIGGER, middleware=alone)
    with pytest.raises(ConfigurationError, match=f"^{told}$"):
        inngest_lambda([], app_id="app", is_dev=True, middleware=alone)
