"""The call request: whatever is wrong with it is named, and never half taken."""

from __future__ import annotations

import json

import pytest
from engine_server import Server, function
from hypothesis import given
from hypothesis import strategies as st

from inngest_serverless.errors import CallRequestError
from inngest_serverless.protocol.call import parse_call, parse_events, parse_memos

pytestmark = pytest.mark.usefixtures("resting_collector")

GOOD = {
    "ctx": {
        "run_id": "01M80BSKFRBQGQHD4R1AG8CJ25",
        "fn_id": "9859e245-5dcd-5d68-9a5d-4d341f96d2c9",
        "env": "branch",
        "attempt": 1,
        "max_attempts": 4,
        "stack": {"stack": ["a", "b"], "current": 2},
        "disable_immediate_execution": False,
        "use_api": False,
        "request_id": "01R",
        "qi_id": "x",
        "generation_id": 1,
        "job_id": "y",
        "step_id": "step",
    },
    "event": {"name": "a/b", "data": {"n": 1}, "user": {}, "id": "01X", "ts": 1_700_000_000_000},
    "events": [{"name": "a/b", "data": {"n": 1}}, {"name": "a/b", "data": {"n": 2}}],
    "steps": {"a": {"data": 1}},
    "defers": {},
    "use_api": False,
    "version": 2,
}
DROP = object()


def changed(path, value):
    document = json.loads(json.dumps(GOOD))
    place = document
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return document


def parse(document, step_id="step"):
    return parse_call(json.dumps(document), step_id)


def refusal(document):
    with pytest.raises(CallRequestError) as caught:
        parse(document)
    return str(caught.value)


def test_every_field_arrives():
    call = parse(GOOD)
    assert (call.run_id, call.env, call.request_id) == ("01M80BSKFRBQGQHD4R1AG8CJ25", "branch", "01R")
    assert (call.attempt, call.max_attempts, call.order) == (1, 4, ["a", "b"])
    assert (call.immediate, call.use_api, call.target) == (True, False, None)
    assert call.event == GOOD["event"]
    assert call.events == GOOD["events"]
    assert call.memos == GOOD["steps"]


@pytest.mark.parametrize(("step_id", "target"), [("step", None), ("", None), ("a" * 40, "a" * 40), ("Step", "Step")])
def test_the_target_comes_from_the_query(step_id, target):
    assert parse(GOOD, step_id).target == target


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("ctx.max_attempts", "max_attempts", None),
        ("ctx.env", "env", ""),
        ("ctx.request_id", "request_id", ""),
        ("ctx.stack", "order", []),
        ("ctx.stack.stack", "order", []),
        ("ctx.disable_immediate_execution", "immediate", True),
        ("ctx.use_api", "use_api", False),
        ("use_api", "use_api", False),
        ("events", "events", [GOOD["event"]]),
        ("steps", "memos", {}),
        ("defers", "memos", GOOD["steps"]),
        ("version", "memos", GOOD["steps"]),
        ("ctx.fn_id", "env", "branch"),
    ],
)
@pytest.mark.parametrize("absent", [DROP, None], ids=["dropped", "null"])
def test_a_field_that_may_be_absent(path, name, value, absent):
    assert getattr(parse(changed(path, absent)), name) == value


def test_without_an_attempt_it_is_the_first():
    assert parse(changed("ctx.attempt", DROP)).attempt == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_json_in_another_encoding_is_refused(encoding):
    with pytest.raises(CallRequestError):
        parse_call(json.dumps(GOOD).encode(encoding), "step")


@pytest.mark.parametrize("where", ["ctx.use_api", "use_api"])
def test_use_api_counts_in_either_place(where):
    assert parse(changed(where, True)).use_api


def test_immediate_execution_can_be_disabled():
    assert not parse(changed("ctx.disable_immediate_execution", True)).immediate


def test_an_empty_batch_is_the_event():
    assert parse(changed("events", [])).events == [GOOD["event"]]


TEXT, NUMBER, LIST, OBJECT, FLAG = "secret", 5, ["secret"], {"secret": 1}, True


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("ctx", [TEXT, NUMBER, LIST, FLAG, None, DROP]),
        (
            "ctx.run_id",
            [NUMBER, LIST, OBJECT, FLAG, None, DROP, "", "a/b", "a b", "../x", "é", "a?b", "a\n", "-", "%2e"],
        ),
        ("ctx.attempt", [TEXT, LIST, OBJECT, FLAG, -1, 1.5, "1"]),
        ("ctx.max_attempts", [TEXT, LIST, OBJECT, FLAG, -1, 1.5, "1"]),
        ("ctx.env", [NUMBER, LIST, OBJECT, FLAG]),
        ("ctx.request_id", [NUMBER, LIST, OBJECT, FLAG]),
        ("ctx.stack", [TEXT, NUMBER, LIST, FLAG]),
        ("ctx.stack.stack", [TEXT, NUMBER, OBJECT, FLAG, [1], [None], ["a", ["b"]], [True]]),
        ("ctx.disable_immediate_execution", [TEXT, NUMBER, LIST, OBJECT, "true", 0, 1]),
        ("ctx.use_api", [TEXT, NUMBER, LIST, OBJECT, "false", 0]),
        ("use_api", [TEXT, NUMBER, LIST, OBJECT, 1]),
        ("event", [TEXT, NUMBER, LIST, FLAG, None, DROP, {}]),
        ("event.name", [NUMBER, LIST, OBJECT, FLAG, None, DROP]),
        ("event.data", [TEXT, NUMBER, LIST, FLAG]),
        ("event.user", [TEXT, NUMBER, LIST, FLAG]),
        ("event.id", [NUMBER, LIST, OBJECT, FLAG]),
        ("event.ts", [TEXT, LIST, OBJECT, FLAG, -1, 1.5]),
        ("event.v", [NUMBER, LIST, OBJECT, FLAG]),
        ("events", [TEXT, NUMBER, OBJECT, FLAG, [TEXT], [NUMBER], [None], [[]], [{}], [GOOD["event"], {"name": 1}]]),
        ("events", ["", 0, False, {}]),
        ("steps", [TEXT, NUMBER, LIST, FLAG]),
        ("steps", ["", 0, False, []]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_field_is_named_and_its_value_is_not_told(path, values):
    for value in values:
        message = refusal(changed(path, value))
        assert path in message or path == "event" or path.partition(".")[0] in message
        assert "secret" not in message


@pytest.mark.parametrize("document", [None, [], "text", 5, True, [GOOD]], ids=lambda document: type(document).__name__)
def test_a_body_that_is_no_object_is_refused(document):
    assert "body" in refusal(document)


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "null,", "{'ctx':1}", b"\xff\xfe\xfd", b'{"ctx":"\xff"}', b'{"ctx":"\x80abc"}', "[" * 200_000,
        '{"a":' * 200_000, "9" * 10_000, '{"ctx":{"attempt":' + "9" * 10_000 + "}}", "\ufeff{}", '{"a":1}x', '{"a":"\n"}',
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_json_is_refused(body):
    with pytest.raises(CallRequestError):
        parse_call(body, "step")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["data", "ts", "attempt", "memo"])
def test_a_literal_that_is_no_json_is_refused(literal, place):
    """Python's own reader takes them, and what comes of it cannot be answered."""
    text = json.dumps(GOOD)
    marks = {"data": '"n": 1}, "user"', "ts": "1700000000000", "attempt": '"attempt": 1', "memo": '{"data": 1}}'}
    mark = marks[place]
    assert text.count(mark) == 1
    with pytest.raises(CallRequestError):
        parse_call(text.replace(mark, mark.replace("1700000000000" if place == "ts" else "1", literal, 1)), "step")


def test_of_a_key_that_comes_twice_the_last_counts():
    text = json.dumps(GOOD).replace('"env": "branch"', '"env": "first", "env": "last"')
    assert parse_call(text, "step").env == "last"


def test_text_and_bytes_are_read_alike():
    document = changed("event.data", {"text": "Zoë ✓ \u2028 😀"})
    text = json.dumps(document, ensure_ascii=False)
    assert parse_call(text, "step").event == parse_call(text.encode(), "step").event


def test_large_numbers_arrive_whole():
    assert parse(changed("event.data", {"n": 2**70})).event["data"]["n"] == 2**70


def test_unknown_fields_are_let_pass():
    document = {**GOOD, "new": [1], "ctx": {**GOOD["ctx"], "new": {"x": 1}}, "event": {**GOOD["event"], "new": 1}}
    assert parse(document).event["new"] == 1


@pytest.mark.parametrize("value", [None, [], {}, "x", 5, [1], [{"name": 5}], [{}]], ids=repr)
def test_a_wrong_batch_is_refused(value):
    with pytest.raises(CallRequestError):
        parse_events(value)


@pytest.mark.parametrize("value", [[], "x", 5, True], ids=repr)
def test_wrong_memos_are_refused(value):
    with pytest.raises(CallRequestError):
        parse_memos(value)


@given(st.binary(max_size=60))
def test_no_bytes_are_anything_but_refused(body):
    with pytest.raises(CallRequestError):
        parse_call(body, "step")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
paths = st.sampled_from(
    ["ctx", "event", "events", "steps", "use_api", *[f"ctx.{name}" for name in GOOD["ctx"]], "event.data", "event.ts"]
)


@given(paths, anything)
def test_a_call_with_anything_in_a_field_is_taken_or_refused(path, value):
    try:
        parse(changed(path, value))
    except CallRequestError as error:
        assert ":" in str(error)  # noqa: PT017 - either way is fine


# Over the wire.


def server():
    return Server(function(lambda ctx: "ran"))


@pytest.mark.parametrize("path", ["ctx", "ctx.run_id", "event", "event.name", "steps", "ctx.attempt"])
def test_a_wrong_call_is_answered_without_running_anything(path):
    answer = server().send(json.dumps(changed(path, [5])))
    assert (answer.status, answer.json["name"]) == (400, "InvalidCallRequest")
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert set(answer.json) == {"name", "message"}


@pytest.mark.parametrize("body", ["[" * 100_000, "", "\ud800", '"\ud800"', "9" * 5000, None])
def test_a_broken_body_is_answered(body):
    answer = server().send(body)
    assert answer.status == 400
    assert "body" in answer.json["message"]


def test_a_good_call_runs():
    assert server().send(json.dumps(GOOD)).json == "ran"
