"""IDs of steps, as they go over the wire: distinct, the same on every replay, any text."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum

import pytest
from engine_server import Do, Server, both, declare, hash_of

REPEATED = [
    ["a", "a", "a:1", "a"],
    ["a:1", "a", "a", "a:1"],
    ["a", "a:1", "a:1", "a:1:1", "a"],
    ["a:2", "a", "a", "a", "a:1"],
    ["a", "a/a", "a", "a/a", "a/a:1"],
    ["a", "a:", "a:", "a:01", "a::1", "a:"],
    ["a"] * 12 + ["a:11", "a:12"],
]


def steps(ids):
    """A script that runs a step for each ID; each gives its position."""

    def script(ctx):
        results = []
        for position, step_id in enumerate(ids):
            results.append((yield Do("run", step_id, lambda position=position: position)))
        return results

    return script


@both
def test_a_repeated_id_hashes_with_a_counter(kind):
    server = Server(declare(kind, steps(["a", "a", "a"])))
    assert server.run().json == [0, 1, 2]
    assert server.order == [hash_of("a"), hash_of("a:1"), hash_of("a:2")]
    userland = [answer.op["userland"] for _, answer in server.calls[:3]]
    assert userland == [{"id": "a", "index": None}, {"id": "a", "index": 1}, {"id": "a", "index": 2}]


@both
@pytest.mark.parametrize("ids", REPEATED, ids=",".join)
def test_colliding_ids_stay_apart_over_replays(kind, ids):
    server = Server(declare(kind, steps(ids)))
    answer = server.run(twice=True)
    assert answer.json == list(range(len(ids))), "a step got the result of another one"
    assert len(set(server.order)) == len(ids)


@both
def test_an_opcode_names_the_id_as_the_code_gives_it(kind):
    server = Server(declare(kind, steps(["a", "a"])))
    server.run()
    second = server.calls[1][1].op
    assert (second["name"], second["displayName"], second["id"]) == ("a", "a", hash_of("a:1"))


@both
@pytest.mark.parametrize(
    "step_id",
    ["Zoë ✓ 🎉", "e\u0301", "\u00e9", "\u2028 </script>", 'quote " and \\', "\x00\x1f\x7f", " ", "\n", "a" * 20_000],
    ids=["emoji", "nfd", "nfc", "separator", "quote", "control", "blank", "newline", "long"],
)
def test_any_text_is_an_id(kind, step_id):
    server = Server(declare(kind, steps([step_id, step_id])))
    assert server.run().json == [0, 1]
    assert server.order == [hash_of(step_id), hash_of(f"{step_id}:1")]
    assert server.calls[0][1].op["name"] == step_id


@both
@pytest.mark.parametrize("step_id", ["\ud800", "a\udfffb", "é\ud83d"], ids=ascii)
def test_an_id_with_a_lone_surrogate_goes_out_as_an_escape(kind, step_id):
    server = Server(declare(kind, steps([step_id])))
    assert server.run().json == [0]
    reply = server.calls[0][1]
    assert reply.body.encode(), "the reply has no UTF-8 form"
    assert reply.op["name"] == step_id


@both
def test_composed_and_decomposed_letters_are_two_ids(kind):
    server = Server(declare(kind, steps(["\u00e9", "e\u0301"])))
    assert server.run().json == [0, 1]


@both
def test_a_member_of_a_str_enum_is_an_id(kind):
    class Name(StrEnum):
        CHARGE = "charge"

    server = Server(declare(kind, steps([Name.CHARGE, "charge"])))
    assert server.run().json == [0, 1]
    assert server.order == [hash_of("charge"), hash_of("charge:1")]


@both
@pytest.mark.parametrize("step_id", [None, 5, b"a", ["a"], True, 1.5], ids=repr)
def test_an_id_that_is_no_text_is_a_clear_error(kind, step_id):
    answer = Server(declare(kind, steps([step_id]))).call()
    assert answer.status in {400, 500}
    assert "ID" in answer.error["message"]
    assert type(step_id).__name__ in answer.error["message"]


@both
def test_an_empty_id_is_an_error_that_says_empty(kind):
    answer = Server(declare(kind, steps([""]))).call()
    assert answer.status in {400, 500}
    assert "empty" in answer.error["message"]
    assert "not str" not in answer.error["message"], "it is text, so the message misleads"


@both
@pytest.mark.parametrize("step_id", ["", None], ids=repr)
def test_a_wrong_id_is_not_retried(kind, step_id):
    """The code is wrong, and a retry runs the same code."""
    answer = Server(declare(kind, steps([step_id]))).call()
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (400, "true")


@both
def test_a_wrong_id_can_be_caught_and_harms_nothing(kind):
    def script(ctx):
        with suppress(Exception):
            yield Do("run", "", lambda: 1)
        return (yield Do("run", "a", lambda: 2))

    assert Server(declare(kind, script)).run().json == 2
