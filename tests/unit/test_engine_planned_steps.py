"""Steps that the server carries out: sleeps, waits, invocations; and events that a step sends."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of

from inngest_serverless import Event, StepError, create_function, event_trigger
from inngest_serverless.errors import TransportError
from inngest_serverless.protocol.exchange import OutboundReply
from inngest_serverless.transport import Transport


def only(method, *args, **kwargs):
    """A script that returns what its only step, "a", gave."""

    def script(ctx):
        result = yield Do(method, "a", *args, **kwargs)
        return result.to_dict() if isinstance(result, Event) else result

    return script


def first_call(kind, script, **options):
    return Server(declare(kind, script, **options)).call()


def other_function():
    return create_function(id="child", trigger=event_trigger("test/child"))(lambda ctx: 1)


# Sleeps.


@both
@pytest.mark.parametrize(
    ("duration", "text"),
    [
        ("1s", "1s"),
        ("1h30m", "1h30m"),
        ("1.5h", "1.5h"),
        ("0s", "0s"),
        (1500, "1s500ms"),
        (0, "0s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=366), "366d"),
        ("366d", "366d"),
        ("52w", "52w"),
    ],
    ids=repr,
)
def test_a_sleep_keeps_its_duration(kind, duration, text):
    answer = first_call(kind, only("sleep", duration))
    assert (answer.op["op"], answer.op["opts"], answer.op["data"]) == ("Sleep", {"duration": text}, None)
    assert (answer.op["name"], answer.op["displayName"]) == ("a", "a")
    assert '"data":null' in answer.body


@both
@pytest.mark.parametrize(
    "duration",
    ["", "soon", "-1s", "1 s", "5", -1, 367 * 86_400_000, timedelta(days=367), None, 1.5, True, []],
    ids=repr,
)
def test_a_wrong_duration_is_a_clear_and_final_error(kind, duration):
    answer = first_call(kind, only("sleep", duration))
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert "duration" in answer.json["message"].lower()


@both
@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), "2030-01-02T03:04:05.000Z"),
        (datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2030-01-01T21:34:05.000Z"),
        ("2030-01-02", "2030-01-02T00:00:00.000Z"),
        ("2030-01-02T03:04:05.6789+02:00", "2030-01-02T01:04:05.679Z"),
        ("1893456000", "2030-01-01T00:00:00.000Z"),
        (datetime(1999, 1, 1, tzinfo=UTC), "1999-01-01T00:00:00.000Z"),
    ],
    ids=repr,
)
def test_a_sleep_until_is_an_instant(kind, when, text):
    answer = first_call(kind, only("sleep_until", when))
    assert (answer.op["op"], answer.op["opts"]) == ("Sleep", {"duration": text})


@both
@pytest.mark.parametrize(
    "when",
    [datetime(2030, 1, 1), "tomorrow", "1h", "", 5, None, date(2030, 1, 1), "2030-02-30"],  # noqa: DTZ001
    ids=repr,
)
def test_a_wrong_instant_is_a_clear_and_final_error(kind, when):
    answer = first_call(kind, only("sleep_until", when))
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")


@both
@pytest.mark.parametrize(
    "step",
    [("sleep", "1h"), ("sleep", 90_000), ("sleep", timedelta(hours=1)), ("sleep_until", "2030-01-01T00:00:00Z")],
    ids=repr,
)
def test_every_call_reports_the_same_sleep(kind, step):
    method, *args = step

    def script(ctx):
        def napping():
            yield Do(method, "nap", *args)

        def working():
            return (yield Do("run", "work", lambda: 1))

        yield Both(napping, working)

    server = Server(declare(kind, script))
    first = server.call()
    again = server.call()
    server.remember("work", {"data": 1})
    later = server.call()
    assert first.body == again.body
    assert later.op == first.json[0]


@both
def test_after_a_sleep_the_code_goes_on(kind):
    def script(ctx):
        nothing = yield Do("sleep", "a", "1s")
        never = yield Do("sleep_until", "b", "2030-01-01")
        return [nothing, never, "awake"]

    assert Server(declare(kind, script)).run().json == [None, None, "awake"]


# Waits.


@both
@pytest.mark.parametrize(
    ("options", "opts"),
    [
        ({"timeout": "3d"}, {"timeout": "3d"}),
        ({"timeout": 1500}, {"timeout": "1s500ms"}),
        ({"timeout": timedelta(days=3)}, {"timeout": "3d"}),
        ({"timeout": "3d", "match": "data.id"}, {"timeout": "3d", "if": "event.data.id == async.data.id"}),
        ({"timeout": "3d", "if_exp": "async.data.ok"}, {"timeout": "3d", "if": "async.data.ok"}),
        ({"timeout": "3d", "if_exp": None, "match": None}, {"timeout": "3d"}),
    ],
    ids=repr,
)
def test_a_wait_for_an_event(kind, options, opts):
    answer = first_call(kind, only("wait_for_event", event="x/y", **options))
    assert answer.op["op"] == "WaitForEvent"
    assert answer.op["opts"] == {"event": "x/y", **opts}
    assert (answer.op["name"], answer.op["data"]) == ("a", None)


@both
@pytest.mark.parametrize(
    "options",
    [
        {"event": "x/y", "timeout": "1d", "match": "data.id", "if_exp": "true"},
        {"event": "", "timeout": "1d"},
        {"event": None, "timeout": "1d"},
        {"event": 5, "timeout": "1d"},
        {"event": "x/y", "timeout": "soon"},
        {"event": "x/y", "timeout": None},
        {"event": "x/y", "timeout": "367d"},
    ],
    ids=repr,
)
def test_a_wrong_wait_is_a_clear_and_final_error(kind, options):
    answer = first_call(kind, only("wait_for_event", **options))
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")


@both
@pytest.mark.parametrize("wrong", [{"if_exp": 5}, {"if_exp": {1}}, {"match": b"x"}, {"match": ""}], ids=repr)
def test_a_wait_with_a_condition_that_is_no_text_is_answered(kind, wrong):
    answer = first_call(kind, only("wait_for_event", event="x/y", timeout="1d", **wrong))
    assert answer.status == 400


@both
def test_a_wait_gives_the_event(kind):
    memo = {"id": "01X", "name": "x/y", "data": {"n": 1}, "user": {"u": 2}, "ts": 1_700_000_000_000, "v": "2"}
    server = Server(declare(kind, only("wait_for_event", event="x/y", timeout="1d")), events={"a": memo})
    assert server.run().json == memo


@both
def test_a_wait_gives_an_event_of_little(kind):
    events = {"a": {"name": "x/y", "data": None, "user": None}}
    server = Server(declare(kind, only("wait_for_event", event="x/y", timeout="1d")), events=events)
    assert server.run().json == {"name": "x/y", "data": {}}


@both
def test_a_wait_that_is_over_gives_none(kind):
    assert Server(declare(kind, only("wait_for_event", event="x/y", timeout="1d"))).run().json is None


# Invocations.


@both
def test_an_invocation(kind):
    script = only("invoke", function=other_function(), data={"q": [1]}, user={"u": 1}, v="2", timeout="1h")
    answer = first_call(kind, script)
    assert answer.op["op"] == "InvokeFunction"
    assert answer.op["opts"] == {
        "function_id": "app-child",
        "payload": {"data": {"q": [1]}, "user": {"u": 1}, "v": "2"},
        "timeout": "1h",
    }


@both
@pytest.mark.parametrize("data", [None, {}], ids=repr)
def test_an_invocation_without_anything(kind, data):
    answer = first_call(kind, only("invoke", function=other_function(), data=data))
    assert answer.op["opts"] == {"function_id": "app-child", "payload": {"data": {}}}


@both
@pytest.mark.parametrize(("app", "target"), [(None, "app-x"), ("other", "other-x"), ("", "app-x")])
def test_an_invocation_by_id(kind, app, target):
    answer = first_call(kind, only("invoke_by_id", function_id="x", app_id=app, data={"q": 1}))
    assert answer.op["opts"] == {"function_id": target, "payload": {"data": {"q": 1}}}


@both
@pytest.mark.parametrize("wrong", [None, "child", lambda ctx: 1, 5, object()], ids=lambda wrong: type(wrong).__name__)
def test_an_invocation_of_something_else_is_a_clear_error(kind, wrong):
    def sync(ctx):
        return ctx.step.invoke("a", function=wrong)

    async def native(ctx):
        return await ctx.step.invoke("a", function=wrong)

    answer = Server(function(sync if kind == "sync" else native)).call()
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert type(wrong).__name__ in answer.json["message"]
    assert "invoke_by_id" in answer.json["message"]


@both
@pytest.mark.parametrize("method", ["invoke", "invoke_by_id"])
@pytest.mark.parametrize(
    "payload",
    [
        {"data": {"x": float("nan")}},
        {"data": {"x": b"secret"}},
        {"data": {"x": {(1, 2): 3}}},
        {"user": {"x": {1, 2}}},
        {"v": object()},
    ],
    ids=lambda payload: next(iter(payload)),
)
def test_a_payload_that_json_cannot_hold_is_a_clear_and_final_error(kind, method, payload):
    target = {"function": other_function()} if method == "invoke" else {"function_id": "x"}
    try:
        answer = first_call(kind, only(method, **target, **payload))
    except Exception as error:  # noqa: BLE001 - shown below
        pytest.fail(f"the call was not answered: {error!r}", pytrace=False)
    assert answer.status == 400
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert "'a'" in answer.json["message"], "the message does not name the step"
    assert "secret" not in answer.json["message"]


@both
def test_a_time_in_a_payload_goes_out_as_text(kind):
    data = {"when": datetime(2030, 1, 1, tzinfo=UTC)}
    answer = first_call(kind, only("invoke_by_id", function_id="x", data=data))
    assert answer.op["opts"]["payload"]["data"]["when"].startswith("2030-01-01T00:00:00")


@both
def test_a_payload_that_json_cannot_hold_can_be_caught(kind):
    def script(ctx):
        try:
            yield Do("invoke_by_id", "a", function_id="x", data={"x": b"bytes"})
        except Exception:  # noqa: BLE001 - as users do
            return (yield Do("run", "b", lambda: "b"))

    try:
        answer = Server(declare(kind, script)).run()
    except Exception as error:  # noqa: BLE001 - shown below
        pytest.fail(f"the call was not answered: {error!r}", pytrace=False)
    assert answer.json == "b"


@both
@pytest.mark.parametrize("data", [[1], "text", 5], ids=repr)
def test_a_payload_that_is_no_object_is_a_final_error(kind, data):
    assert first_call(kind, only("invoke_by_id", function_id="x", data=data)).status == 400


@both
@pytest.mark.parametrize("memo", [{"data": {"r": 1}}, {"data": None}], ids=repr)
def test_an_invocation_gives_the_result(kind, memo):
    server = Server(declare(kind, only("invoke_by_id", function_id="x")), results={"a": memo})
    assert server.run().json == memo["data"]


@both
def test_a_failed_invocation_is_a_step_error(kind):
    def script(ctx):
        try:
            yield Do("invoke_by_id", "a", function_id="x")
        except StepError as error:
            return [error.name, error.message]

    server = Server(declare(kind, script), results={"a": {"error": {"name": "Timeout", "message": "too late"}}})
    assert server.run().json == ["Timeout", "too late"]


# Sent events.


@pytest.fixture
def sent(monkeypatch):
    """Requests that leave; each is answered with as many IDs as it has events."""
    requests = []

    def reply(request):
        requests.append(request)
        ids = [f"id-{number}" for number, _ in enumerate(json.loads(request.body))]
        return OutboundReply(200, json.dumps({"ids": ids, "status": 200}).encode(), {})

    async def reply_async(request):
        return reply(request)

    monkeypatch.setattr(Transport, "send", lambda self, request: reply(request))
    monkeypatch.setattr(Transport, "send_async", lambda self, request: reply_async(request))
    monkeypatch.delenv("INNGEST_EVENT_KEY", raising=False)
    monkeypatch.delenv("INNGEST_DEV", raising=False)
    return requests


@both
@pytest.mark.parametrize(
    "make",
    [
        lambda: Event(name="x/y", data={"n": 1}),
        lambda: {"name": "x/y", "data": {"n": 1}},
        lambda: [Event(name="x/y", data={"n": 1})],
        lambda: ({"name": "x/y", "data": {"n": 1}} for _ in range(1)),
    ],
    ids=["event", "mapping", "list", "generator"],
)
def test_an_event_is_sent_once(kind, make, sent):
    def script(ctx):
        return only("send_event", make())(ctx)

    server = Server(declare(kind, script))
    answer = server.run()
    assert answer.json == ["id-0"]
    assert len(sent) == 1, "the events were sent again on replay"
    [event] = json.loads(sent[0].body)
    assert (event["name"], event["data"]) == ("x/y", {"n": 1})
    assert server.calls[0][1].op["opts"] == {"type": "step.sendEvent"}


@both
def test_several_events_have_an_id_each(kind, sent):
    events = [Event(name=f"x/{number}") for number in range(3)]
    assert Server(declare(kind, only("send_event", events))).run().json == ["id-0", "id-1", "id-2"]
    assert len(sent) == 1


@both
def test_no_events(kind, sent):
    assert Server(declare(kind, only("send_event", []))).run().json == []
    assert sent == []


@both
@pytest.mark.parametrize(
    "wrong", [{"data": {}}, {"name": ""}, {"name": 5}, Event(name=""), [{"name": "ok"}, {}]], ids=repr
)
def test_an_event_without_a_name_is_a_final_error(kind, wrong, sent):
    answer = first_call(kind, only("send_event", wrong))
    assert answer.ops == [("StepFailed", "a")]
    assert "name" in answer.error["message"]
    assert sent == []


@both
@pytest.mark.parametrize("wrong", ["x/y", 5, None, [5], ["x/y"]], ids=repr)
def test_something_that_is_no_event_is_a_clear_and_final_error(kind, wrong, sent):
    answer = first_call(kind, only("send_event", wrong))
    assert answer.ops == [("StepFailed", "a")]
    assert "event" in answer.error["message"]
    assert sent == []


@both
def test_an_event_that_json_cannot_hold_is_a_final_error(kind, sent):
    answer = first_call(kind, only("send_event", {"name": "x/y", "data": {"x": {1}}}))
    assert answer.ops == [("StepFailed", "a")]
    assert sent == []


@both
def test_events_that_are_not_accepted_fail_the_step(kind, monkeypatch):
    def refuse(request):
        raise TransportError("no reply")

    async def refuse_async(request):
        raise TransportError("no reply")

    monkeypatch.setattr(Transport, "send", lambda self, request: refuse(request))
    monkeypatch.setattr(Transport, "send_async", lambda self, request: refuse_async(request))
    answer = first_call(kind, only("send_event", {"name": "x/y"}))
    assert answer.ops == [("StepError", "a")]
    assert answer.error["name"] == "SendEventsError"
    assert "no reply" in answer.error["message"]


@both
def test_events_are_sent_in_parallel_with_other_steps(kind, sent):
    def sending():
        return (yield Do("send_event", "send", {"name": "x/y"}))

    def working():
        return (yield Do("run", "work", lambda: 1))

    server = Server(declare(kind, lambda ctx: list((yield Both(sending, working)))))
    assert server.run().json == [["id-0"], 1]
    assert server.calls[0][1].ops == [("StepPlanned", "send"), ("StepPlanned", "work")]


@both
def test_known_steps_are_not_planned_again(kind):
    """Their arguments may have changed or gone wrong; the memo counts."""
    script = only("sleep", "not a duration any more")
    server = Server(declare(kind, script))
    server.memos[hash_of("a")] = None
    assert server.call().status == 200
