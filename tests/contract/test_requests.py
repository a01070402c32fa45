"""What is served and what is not: methods, paths, sizes, functions, bodies; docs/protocol.md, sections 1, 2 and 4."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from adapters import IN_PROCESS, ONE_OF_EACH_KIND, SERVE_URL, as_parameters
from calls import ANSWER, BODY, CALL_URL, CLOUD, DEV, ROTATING, call_body, signed
from inngest_api import FALLBACK_KEY, KEY, bearer
from recorded_app import FUNCTIONS, SMALL_BODY
from replies import check_reply, check_signed

from inngest_serverless import ConfigurationError, inngest_lambda
from inngest_serverless.local.functions_framework import FunctionsFrameworkError
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Caller
    from inngest_api import InngestApi

    from inngest_serverless.local.gateway import HttpReply

pytestmark = pytest.mark.usefixtures("resting_collector")

STATE = "/v0/runs/01M80BSKEDSEKW8W4K9BBAFZNQ"


def _check_error(reply: HttpReply, caller: Caller, status: int, name: str, *, retry: bool, mode: str = "dev") -> str:
    check_reply(reply, caller, mode)
    assert reply.status == status, reply.body
    document = json.loads(reply.body)
    message = document.pop("message")
    assert document == {"name": name}
    assert reply.headers["x-inngest-no-retry"] == ("false" if retry else "true")
    return message


# Methods, paths, sizes.


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods(method: str, caller: Caller, api: InngestApi) -> None:
    reply = caller(method)
    if method == "HEAD" and not reply.body:  # HTTP servers leave it out
        check_reply(reply, caller, "dev")
        assert (reply.status, reply.headers["x-inngest-no-retry"]) == (405, "true")
    else:
        _check_error(reply, caller, 405, "MethodNotAllowed", retry=False)
    assert sorted(reply.headers["allow"].split(", ")) == ["GET", "POST", "PUT"]
    assert api.received == []


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_other_path(method: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**DEV, INNGEST_SERVE_PATH="/api/inngest")
    url = "https://rec.example.com/elsewhere?fnId=rec-no-steps&stepId=step"
    _check_error(caller(method, url, {}, BODY if method == "POST" else b""), caller, 404, "NotFound", retry=False)
    assert api.received == []


@pytest.mark.parametrize("path", ["/", "/api", "/api/inngest2", "/evil-inngest", "/api/inngest/more"])
def test_nearly_the_path(path: str, serve: Callable[..., Caller]) -> None:
    assert serve(**DEV, INNGEST_SERVE_PATH="/api/inngest")("GET", f"https://rec.example.com{path}").status == 404


def test_the_path_that_is_served(serve: Callable[..., Caller]) -> None:
    caller = serve(**DEV, INNGEST_SERVE_PATH="/api/inngest")
    assert json.loads(caller("POST", CALL_URL, {}, BODY).body) == ANSWER


def test_any_path_if_none_is_set(caller: Caller) -> None:
    reply = caller("POST", "https://rec.example.com/?fnId=rec-no-steps&stepId=step", {}, BODY)
    assert json.loads(reply.body) == ANSWER


@pytest.mark.parametrize("filler", ["x", "é"], ids=["ASCII", "two bytes each"])
@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)], ids=["fits", "too large"])
def test_largest_body(excess: int, status: int, filler: str, serve: Callable[..., Caller]) -> None:
    """The limit counts bytes, not characters."""
    caller = serve("recorded_app.handler_of_small_bodies", **CLOUD)
    body = _body_of_size(SMALL_BODY + excess, filler)
    reply = caller("POST", CALL_URL, signed(caller, body), body)
    if status == 413:
        message = _check_error(reply, caller, 413, "BodyTooLarge", retry=False, mode="cloud")
        assert str(SMALL_BODY) in message
    else:
        assert reply.status == 200


def _body_of_size(size: int, filler: str) -> bytes:
    def body(name: str) -> bytes:
        document = json.loads(call_body(event__data={"name": name}, events=None))
        return json.dumps(document, ensure_ascii=False).encode()

    count, rest = divmod(size - len(body("")), len(filler.encode()))
    return body(filler * count + "x" * rest)


def test_too_large_tells_nothing_to_strangers_but_the_limit(serve: Callable[..., Caller]) -> None:
    caller = serve("recorded_app.handler_of_small_bodies", **CLOUD)
    reply = caller("POST", CALL_URL, {}, b"x" * (SMALL_BODY + 1))
    _check_error(reply, caller, 413, "BodyTooLarge", retry=False, mode="cloud")


# Functions and steps.


@pytest.mark.parametrize("query", ["?fnId=rec-gone&stepId=step", "?fnId=no-steps&stepId=step", "?stepId=step", ""])
def test_unknown_function(query: str, caller: Caller) -> None:
    reply = caller("POST", f"{SERVE_URL}{query}", {}, BODY)
    message = _check_error(reply, caller, 500, "FunctionNotFound", retry=True)
    assert "'rec'" in message


@pytest.mark.parametrize("app", ["recorded_app.handler", "recorded_app_async.handler"], ids=["sync", "async"])
def test_step_that_is_not_there(app: str, serve: Callable[..., Caller]) -> None:
    caller = serve(app, **DEV)
    url = f"{SERVE_URL}?fnId=rec-sequential&stepId={'0' * 40}"
    message = _check_error(caller("POST", url, {}, BODY), caller, 500, "StepNotFound", retry=True)
    assert "'first'" in message


@pytest.mark.parametrize("app", ["recorded_app.handler", "recorded_app_async.handler"], ids=["sync", "async"])
def test_single_step_that_must_not_be_run_unasked(app: str, serve: Callable[..., Caller]) -> None:
    caller = serve(app, **DEV)
    body = call_body(ctx__disable_immediate_execution=True)
    reply = caller("POST", f"{SERVE_URL}?fnId=rec-sequential&stepId=step", {}, body)
    [opcode] = json.loads(reply.body)
    assert (reply.status, opcode["op"], opcode["name"], opcode["data"]) == (206, "StepPlanned", "first", None)


# Bodies that are not call requests. What makes of the body a request is the same behind every adapter: one will do.

MISSING = object()
NO_OBJECT = [None, [], "x", 3, True]
NO_TEXT = [3, True, [], {}]
NO_COUNT = ["0", -1, 1.5, True, [], {}]
NO_FLAG = ["true", 1, 0, [], {}]
WRONG: dict[str, list[Any]] = {
    "ctx": [*NO_OBJECT, MISSING],
    "ctx.run_id": [None, 3, "", "a/b", "../x", "é", "a b", [], {}, MISSING],
    "ctx.attempt": [None, *NO_COUNT],
    "ctx.max_attempts": NO_COUNT,
    "ctx.env": NO_TEXT,
    "ctx.request_id": NO_TEXT,
    "ctx.disable_immediate_execution": NO_FLAG,
    "ctx.use_api": NO_FLAG,
    "ctx.stack": [[], "x", 3, True],
    "ctx.stack.stack": ["x", {}, 3, [1], [None], ["a", []]],
    "use_api": NO_FLAG,
    "steps": [[], "x", 3, True],
    "event": [*NO_OBJECT, MISSING],
    "event.name": [None, 3, [], {}, MISSING],
    "event.data": [[], "x", 3, True],
    "event.user": [[], "x", 3, True],
    "event.id": NO_TEXT,
    "event.v": NO_TEXT,
    "event.ts": ["now", -1, 1.5, True, [], {}],
    "events": ["", "x", {}, {"a": 1}, 0, 3, False, True, [None], [3], ["x"], [[]], [{}], [{"name": 3}]],
}
WRONG_VALUES = [(field, value) for field, values in WRONG.items() for value in values]
NOT_JSON = [b"", b"x", b"{", b'{"ctx":', b"\xff\xfe", b'"\xff"', b"[" * 100_000]
NOT_AN_OBJECT = [b"null", b"[]", b"3", b'"text"', b"NaN"]


def _wrong_body(field: str, value: object) -> bytes:
    if value is not MISSING:
        return call_body(**{field.replace(".", "__"): value})
    document = json.loads(BODY)
    *parents, name = field.split(".")
    for place in [document, *[document[parent] for parent in parents]][-1:]:
        del place[name]
    return json.dumps(document).encode()


def _check_bad_body(caller: Caller, body: bytes) -> str:
    reply = caller("POST", CALL_URL, {"Content-Type": "application/json"}, body)
    return _check_error(reply, caller, 400, "InvalidCallRequest", retry=False)


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS[:1]), indirect=True)
@pytest.mark.parametrize(
    ("field", "value"),
    WRONG_VALUES,
    ids=[f"{field}: {'missing' if value is MISSING else json.dumps(value)}" for field, value in WRONG_VALUES],
)
def test_field_of_the_wrong_type(field: str, value: object, caller: Caller) -> None:
    message = _check_bad_body(caller, _wrong_body(field, value))
    assert message.startswith(field), f"the message must name the field {field}"


@pytest.mark.parametrize("body", [*NOT_JSON, *NOT_AN_OBJECT], ids=lambda body: repr(body[:9]))
def test_body_that_is_no_object(body: bytes, caller: Caller) -> None:
    assert _check_bad_body(caller, body).startswith("body")


def test_bad_body_does_not_come_back(caller: Caller) -> None:
    """What a body contains is not to be repeated: replies end up in logs."""
    assert "secret" not in _check_bad_body(caller, call_body(ctx__run_id="secret/1"))


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS[:1]), indirect=True)
@pytest.mark.parametrize("field", ["steps", "events", "ctx.stack", "ctx.env", "ctx.use_api", "use_api", "event.user"])
@pytest.mark.parametrize("value", [None, MISSING], ids=["null", "missing"])
def test_field_that_may_be_left_out(field: str, value: object, caller: Caller) -> None:
    assert json.loads(caller("POST", CALL_URL, {}, _wrong_body(field, value)).body) == ANSWER


# State that has to be fetched.


@pytest.mark.parametrize("place", ["ctx__use_api", "use_api"])
def test_either_flag_has_the_state_fetched(place: str, caller: Caller, api: InngestApi) -> None:
    api.reply("GET", f"{STATE}/batch", 200, '[{"name":"t/no-steps","data":{"name":"fetched"}}]')
    api.reply("GET", f"{STATE}/actions", 200, "{}")
    reply = caller("POST", CALL_URL, {}, call_body(**{place: True}))
    assert (reply.status, json.loads(reply.body)) == (200, {"hello": "fetched"})
    assert [request.path for request in api.received] == [f"{STATE}/batch", f"{STATE}/actions"]


@pytest.mark.parametrize("failing", ["batch", "actions"])
@pytest.mark.parametrize(
    ("status", "body"),
    [(500, "{}"), (404, "{}"), (401, "{}"), (200, "<html>"), (200, "3"), (200, '"x"')],
    ids=["500", "404", "401", "not JSON", "number", "text"],
)
def test_state_that_cannot_be_fetched(failing: str, status: int, body: str, caller: Caller, api: InngestApi) -> None:
    api.reply("GET", f"{STATE}/batch", 200, '[{"name":"t/no-steps","data":{"name":"fetched"}}]')
    api.reply("GET", f"{STATE}/actions", 200, "{}")
    api.reply("GET", f"{STATE}/{failing}", status, body)
    reply = caller("POST", CALL_URL, {}, call_body(use_api=True))
    _check_error(reply, caller, 500, "StateNotFetched", retry=True)


def test_state_when_the_server_hangs_up(caller: Caller, api: InngestApi) -> None:
    api.hang_up()
    reply = caller("POST", CALL_URL, {}, call_body(use_api=True))
    _check_error(reply, caller, 500, "StateNotFetched", retry=True)


def test_state_with_the_fallback_key(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**ROTATING, fresh=True)
    api.refuse(bearer(KEY))
    api.reply("GET", f"{STATE}/batch", 200, '[{"name":"t/no-steps","data":{"name":"fetched"}}]')
    api.reply("GET", f"{STATE}/actions", 200, "{}")
    body = call_body(use_api=True)
    reply = caller("POST", CALL_URL, signed(caller, body), body)
    assert json.loads(reply.body) == {"hello": "fetched"}
    check_signed(reply, caller, KEY)
    tokens = [request.headers["authorization"] for request in api.received]
    assert tokens == [bearer(KEY), bearer(FALLBACK_KEY), bearer(FALLBACK_KEY)]


# Events that are not accepted.


@pytest.mark.parametrize("app", ["recorded_app.handler", "recorded_app_async.handler"], ids=["sync", "async"])
def test_events_that_are_refused_fail_their_step(app: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    api.fail(400, '{"error":"event key not found","status":400}')
    caller = serve(app, **DEV)
    reply = caller("POST", f"{SERVE_URL}?fnId=rec-send-event&stepId=step", {}, BODY)
    check_reply(reply, caller, "dev")
    [opcode] = json.loads(reply.body)
    assert (reply.status, opcode["op"], opcode["error"]["name"]) == (206, "StepError", "SendEventsError")
    assert "event key not found" in opcode["error"]["message"]
    assert reply.headers["x-inngest-no-retry"] == "false"


# Streaming.


def test_streaming_is_refused_in_code() -> None:
    with pytest.raises(ConfigurationError, match="streams"):
        inngest_lambda(FUNCTIONS, app_id="rec", streaming=True)


@pytest.mark.parametrize("adapter", as_parameters(ONE_OF_EACH_KIND), indirect=True)
def test_streaming_is_refused_in_the_environment(serve: Callable[..., Caller]) -> None:
    with pytest.raises((ConfigurationError, LambdaInvocationError, FunctionsFrameworkError), match="INNGEST_STREAMING"):
        serve(**DEV, INNGEST_STREAMING="1", fresh=True)("GET")
