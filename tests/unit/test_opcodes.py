"""Opcodes and replies as text: compact, in a fixed order, valid whatever is in them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_serverless.protocol import opcodes
from inngest_serverless.protocol.opcodes import Failure, Opcode
from inngest_serverless.protocol.reply import (
    error_reply,
    failed_reply,
    json_reply,
    returned_reply,
    steps_reply,
)

ANYTHING = st.characters(exclude_categories=())  # lone surrogates as well

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def opcode(op=opcodes.STEP_RUN, step_id="a", index=None, opts=None, data="null", failure=None):
    return Opcode(op, "key", step_id, index, opts, data, failure)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            opcode(data='{"x":1}', opts={"type": "step.run"}),
            (
                '{"op":"StepRun","id":"key","name":"a","displayName":"a","opts":{"type":"step.run"},"data":{"x":1},'
                '"userland":{"id":"a","index":null}}'
            ),
        ),
        (
            opcode(opcodes.STEP_PLANNED, index=2),
            '{"op":"StepPlanned","id":"key","name":"a","displayName":"a","data":null,"userland":{"id":"a","index":2}}',
        ),
        (
            opcode(opcodes.SLEEP, opts={"duration": "1s"}),
            (
                '{"op":"Sleep","id":"key","name":"a","displayName":"a","opts":{"duration":"1s"},"data":null,'
                '"userland":{"id":"a","index":null}}'
            ),
        ),
        (
            opcode(opcodes.STEP_ERROR, failure=Failure("E", "m", "s")),
            (
                '{"op":"StepError","id":"key","name":"a","displayName":"a","data":null,'
                '"error":{"name":"E","message":"m","stack":"s"},"userland":{"id":"a","index":null}}'
            ),
        ),
        (
            opcode(opcodes.STEP_FAILED, failure=Failure("E", "m")),
            (
                '{"op":"StepFailed","id":"key","name":"a","displayName":"a","data":null,'
                '"error":{"name":"E","message":"m","stack":null},"userland":{"id":"a","index":null}}'
            ),
        ),
    ],
    ids=lambda value: value.op if isinstance(value, Opcode) else "",
)
def test_the_text_of_an_opcode(made, text):
    assert made.encode() == text


@given(
    step_id=st.text(ANYTHING, min_size=1),
    index=st.none() | st.integers(1, 10**6),
    opts=st.none() | st.dictionaries(st.text(), json_values, max_size=3),
    data=json_values,
    message=st.none() | st.text(ANYTHING),
)
def test_an_opcode_is_json_whatever_is_in_it(step_id, index, opts, data, message):
    failure = None if message is None else Failure(message, message, message)
    text = opcode("Op", step_id, index, opts, json.dumps(data), failure).encode()
    document = json.loads(text.encode())
    assert document["name"] == document["displayName"] == document["userland"]["id"] == step_id
    assert document["userland"]["index"] == index
    assert document["data"] == data
    assert document.get("opts") == (opts or None)
    assert ("error" in document) is (message is not None)
    if message is not None:
        assert document["error"] == {"name": message, "message": message, "stack": message}


def test_the_names_of_the_protocol():
    names = {
        opcodes.STEP_RUN, opcodes.STEP_ERROR, opcodes.STEP_FAILED, opcodes.STEP_PLANNED, opcodes.SLEEP,
        opcodes.WAIT_FOR_EVENT, opcodes.INVOKE_FUNCTION,
    }  # fmt: skip
    assert names == {"StepRun", "StepError", "StepFailed", "StepPlanned", "Sleep", "WaitForEvent", "InvokeFunction"}


def test_a_returned_value():
    reply = returned_reply('{"x":1}')
    assert (reply.status, reply.headers, reply.body) == (200, {}, '{"x":1}')


def test_nothing_to_report():
    reply = steps_reply([])
    assert (reply.status, reply.headers, reply.body) == (206, {}, "[]")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_steps_without_a_failure_have_no_retry_headers(count):
    reply = steps_reply([opcode()] * count)
    assert (reply.status, reply.headers, len(json.loads(reply.body))) == (206, {}, count)


@pytest.mark.parametrize(
    ("op", "retry_after", "headers"),
    [
        (opcodes.STEP_ERROR, None, {"x-inngest-no-retry": "false"}),
        (opcodes.STEP_ERROR, "2030-01-01T00:00:00.000Z", {"x-inngest-no-retry": "false", "retry-after": "2030-01-01T00:00:00.000Z"}),
        (opcodes.STEP_FAILED, None, {"x-inngest-no-retry": "true"}),
        (opcodes.STEP_FAILED, "2030-01-01T00:00:00.000Z", {"x-inngest-no-retry": "true"}),
    ],
)  # fmt: skip
def test_the_retry_headers_of_a_failed_step(op, retry_after, headers):
    assert steps_reply([opcode(op, failure=Failure("E", "m", retry_after=retry_after))]).headers == headers


@pytest.mark.parametrize(
    ("final", "status", "flag"), [(False, 500, "false"), (True, 400, "true")], ids=["retried", "final"]
)
def test_a_failed_function(final, status, flag):
    reply = failed_reply(Failure("E", "m", "s", final=final, retry_after="2030-01-01T00:00:00.000Z"))
    assert (reply.status, reply.headers["x-inngest-no-retry"]) == (status, flag)
    assert ("retry-after" in reply.headers) is not final
    assert json.loads(reply.body) == {"name": "E", "message": "m", "stack": "s"}


@pytest.mark.parametrize(("retry", "flag"), [(True, "false"), (False, "true")])
def test_a_call_that_could_not_be_carried_out(retry, flag):
    reply = error_reply(418, "Teapot", "short\ud800", retry=retry)
    assert (reply.status, reply.headers) == (418, {"x-inngest-no-retry": flag})
    assert json.loads(reply.body.encode()) == {"name": "Teapot", "message": "short\ud800"}


def test_any_other_answer():
    assert json_reply(200, {"é": 1}).body == '{"é":1}'
    assert json_reply(200, None).headers == {}
    assert json_reply(401, {}, retry=True).headers == {"x-inngest-no-retry": "false"}
