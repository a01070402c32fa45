"""What steps and functions return: any JSON, and a clear error for the rest."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import OrderedDict, namedtuple
from enum import Enum, IntEnum, StrEnum

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of

pytestmark = pytest.mark.usefixtures("resting_collector")

places = pytest.mark.parametrize("place", ["step", "function"])
Point = namedtuple("Point", "x y")  # noqa: PYI024 - the plain kind


class Color(IntEnum):
    RED = 1


class Name(StrEnum):
    ADA = "Ada"


class Plain(Enum):
    ONE = 1


class Thing:
    def __repr__(self):
        return "Thing(secret)"


def returning(place, make):
    def script(ctx):
        if place == "step":
            return (yield Do("run", "a", make))
        return make()

    return script


def first_call(kind, place, make):
    return Server(declare(kind, returning(place, make))).call()


@both
@places
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1, "-1"),
        (2**53, "9007199254740992"),
        (2**64, "18446744073709551616"),
        (-(10**40), "-1" + "0" * 40),
        (1.5, "1.5"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        ("", '""'),
        ("Zoë ✓ 🎉", '"Zoë ✓ 🎉"'),
        ("\u2028</script>\x00\x7f", '"\u2028</script>\\u0000\x7f"'),
        ([], "[]"),
        ((), "[]"),
        ([1, [2, {"a": (3,)}]], '[1,[2,{"a":[3]}]]'),
        ({}, "{}"),
        ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
        (
            {1: "int", None: "none", False: "bool", 1.5: "float"},
            '{"1":"int","null":"none","false":"bool","1.5":"float"}',
        ),
        (OrderedDict(a=1), '{"a":1}'),
        (Point(1, 2), "[1,2]"),
        (Color.RED, "1"),
        (Name.ADA, '"Ada"'),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_json_goes_out_compactly_in_utf8(kind, place, value, text):
    answer = first_call(kind, place, lambda: value)
    if place == "step":
        assert f'"data":{text},' in answer.body
    else:
        assert (answer.status, answer.body) == (200, text)


@both
@places
@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["é", "a\ud83d"]], ids=ascii)
def test_a_lone_surrogate_goes_out_as_an_escape(kind, place, value):
    answer = first_call(kind, place, lambda: value)
    assert answer.body.encode()
    assert (answer.op["data"] if place == "step" else answer.json) == value


def circular():
    value = {"list": []}
    value["list"].append(value)
    return value


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


WRONG = [
    (lambda: float("nan"), "value", "NaN"),
    (lambda: {"a": [1, float("inf")]}, "value.a[1]", "infinite"),
    (lambda: [-float("inf")], "value[0]", "infinite"),
    (lambda: b"secret", "value", "bytes"),
    (lambda: {"a": {"b": bytearray(b"secret")}}, "value.a.b", "bytearray"),
    (lambda: {"secret"}, "value", "set"),
    (lambda: frozenset([1]), "value", "frozenset"),
    (Thing, "value", "Thing"),
    (lambda: [0, Thing()], "value[1]", "Thing"),
    (lambda: Thing, "value", "type"),
    (lambda: 1j, "value", "complex"),
    (lambda: range(3), "value", "range"),
    (lambda: (number * 2 for number in range(3)), "value", "generator"),
    ({"a": 1}.items, "value", "dict_items"),
    (lambda: map(str, [1]), "value", "map"),
    (lambda: ValueError("secret"), "value", "ValueError"),
    (lambda: {(1, 2): "x"}, "value", "tuple"),
    (lambda: {"a": {b"key": "x"}}, "value.a", "bytes"),
    (lambda: [{1: Thing()}], "value[0][1]", "Thing"),
    (lambda: {float("nan"): 1}, "key", "NaN"),
    (lambda: {"n": 10**5000}, "value.n", "int"),
    (circular, "itself", "itself"),
    (lambda: nested(100_000), "deeply", "deeply"),
]


@both
@places
@pytest.mark.parametrize(("make", "path", "kind_of_value"), WRONG, ids=[f"{path}-{name}" for _, path, name in WRONG])
def test_what_json_cannot_hold_is_a_final_error_with_its_place(kind, place, make, path, kind_of_value):
    answer = first_call(kind, place, make)
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert answer.status == (206 if place == "step" else 400)
    message = answer.error["message"]
    assert path in message
    assert kind_of_value in message
    assert "'a'" in message if place == "step" else "'fn'" in message
    assert "secret" not in message, "the message tells the value"
    assert len(message) < 500


@both
@places
def test_the_value_is_not_in_the_stack_either(kind, place):
    answer = first_call(kind, place, lambda: {"token": f"hunter{1 + 1}".encode()})
    assert "hunter2" not in answer.body


@both
def test_a_deep_but_finite_value(kind):
    assert first_call(kind, "function", lambda: nested(300)).status == 200


@both
@places
def test_four_megabytes(kind, place, monkeypatch):
    # As a runtime that writes replies in UTF-8: the others would need twelve.
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")
    answer = first_call(kind, place, lambda: "é" * 2_000_000)
    value = answer.op["data"] if place == "step" else answer.json
    assert len(value) == 2_000_000


@both
def test_a_large_result_is_replayed(kind):
    def script(ctx):
        text = yield Do("run", "a", lambda: "x" * 3_000_000)
        return len(text)

    assert Server(declare(kind, script)).run().json == 3_000_000


@both
@places
def test_a_subclass_that_lies_about_itself(kind, place):
    class Broken(dict):
        def items(self):
            raise RuntimeError("no items")

    answer = first_call(kind, place, lambda: Broken(a=1))
    assert answer.status in {200, 206, 400, 500}


# Awaitables where there is nobody to await them.


async def coroutine():
    return 1


def test_a_coroutine_in_a_sync_function_is_a_clear_error():
    def handler(ctx):
        return ctx.step.run("a", coroutine)

    answer = Server(function(handler)).call()
    gc.collect()
    assert (answer.ops, answer.error["name"]) == ([("StepFailed", "a")], "ConfigurationError")
    assert "'a'" in answer.error["message"]
    assert "async def" in answer.error["message"]


def test_a_coroutine_returned_by_a_sync_function_is_a_clear_error():
    def handler(ctx):
        return coroutine()

    answer = Server(function(handler)).call()
    gc.collect()
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert "'fn'" in answer.json["message"]
    assert "async def" in answer.json["message"]


def test_a_coroutine_after_steps_of_a_sync_function():
    def handler(ctx):
        ctx.step.run("a", lambda: 1)
        return coroutine()

    assert Server(function(handler)).run().status == 400


def test_an_async_function_whose_decorator_is_not():
    async def handler(ctx):
        return 1

    def wrapper(ctx):
        return handler(ctx)

    answer = Server(function(wrapper)).call()
    gc.collect()
    assert answer.status == 400
    assert "decorator" in answer.json["message"]


def test_a_coroutine_in_a_result_is_no_json():
    async def handler(ctx):
        value = coroutine()
        try:
            return [value]
        finally:
            value.close()

    answer = Server(function(handler)).call()
    assert answer.status == 400
    assert "value[0]" in answer.json["message"]
    assert "coroutine" in answer.json["message"]


def test_a_generator_function_is_a_clear_error():
    def handler(ctx):
        yield 1

    answer = Server(function(handler)).call()
    assert answer.status == 400
    assert "generator" in answer.json["message"]


def test_an_async_generator_function_is_a_clear_error():
    async def handler(ctx):
        yield 1

    answer = Server(function(handler)).call()
    assert answer.status == 400
    assert "async_generator" in answer.json["message"]


def test_a_body_that_returns_a_task_or_future_is_awaited():
    async def handler(ctx):
        first = await ctx.step.run("a", lambda: asyncio.ensure_future(coroutine()))
        return [first, await ctx.step.run("b", lambda: asyncio.gather(coroutine(), coroutine()))]

    assert Server(function(handler)).run().json == [1, [1, 1]]


def test_a_step_that_an_async_function_forgot_to_await():
    async def handler(ctx):
        return ctx.step.run("a", lambda: 1)

    answer = Server(function(handler)).call()
    gc.collect()
    assert answer.status == 400
    assert "await" in answer.json["message"]
    assert "declare it with 'async def'" not in answer.json["message"], "that it is already"


# Encoding in a whole reply.


@both
def test_a_reply_of_several_opcodes_is_one_array(kind):
    def branch(step_id):
        def script():
            return (yield Do("run", step_id, lambda: 1))

        return script

    ids = ["é\ud800", "</script>", '"', "plain"]
    server = Server(declare(kind, lambda ctx: list((yield Both(*[branch(step_id) for step_id in ids])))))
    answer = server.call()
    assert [op["name"] for op in answer.json] == ids
    assert [op["id"] for op in answer.json] == [hash_of(step_id) for step_id in ids]
    assert ", " not in json.dumps(answer.json, separators=(",", ":"))


@both
def test_keys_of_an_opcode_have_a_fixed_order_and_no_spaces(kind):
    answer = first_call(kind, "step", lambda: [1, 2])
    assert answer.body == (
        '[{"op":"StepRun","id":"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8","name":"a","displayName":"a",'
        '"opts":{"type":"step.run"},"data":[1,2],"userland":{"id":"a","index":null}}]'
    )
