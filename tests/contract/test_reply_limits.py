"""What is too large or takes too long for who carries replies: docs/deadlines-and-limits.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from adapters import ADAPTERS, SERVE_URL, as_parameters
from calls import CLOUD, DEV, call_body, signed
from replies import check_reply, check_signed, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Caller

    from inngest_serverless.local.gateway import HttpReply

APP = "long_and_large_app.handler"
GZIP = {"Accept-Encoding": "gzip"}
MIB = 1024 * 1024
# Those in this process are called without Lambda's context, so they know of no time.
TIMED = [adapter for adapter in ADAPTERS if adapter.is_real or adapter.framework != "aws-lambda"]


def _call(
    caller: Caller, function: str, headers: dict[str, str] | None = None, count: int = 1, *, sign: bool = False
) -> HttpReply:
    event = {"name": "t/large", "data": {"character": "日", "count": count}, "ts": 1_795_308_509_000}
    body = call_body(event=event, events=[event], steps={})
    sent = {"Content-Type": "application/json", **(signed(caller, body) if sign else {}), **(headers or {})}
    return unpacked(caller("POST", f"{SERVE_URL}?fnId=rec-{function}&stepId=step", sent, body))


@pytest.mark.parametrize("function", ["large-step", "large-step-async"])
def test_a_result_of_a_step_that_the_server_does_not_take(function: str, serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV)
    reply = _call(caller, function, GZIP, 1_500_000)
    check_reply(reply, caller, "dev")
    [op] = json.loads(reply.body)
    assert (reply.status, reply.headers["x-inngest-no-retry"], op["op"]) == (206, "true", "StepFailed")
    assert op["error"]["name"] == "OutputTooLarge"
    assert "step 'large' returned 4,500,011 bytes" in op["error"]["message"]


def test_what_the_server_takes_gets_there_compressed_or_as_it_is(serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV)
    reply = _call(caller, "large-step", GZIP, 1_300_000)
    check_reply(reply, caller, "dev")
    [op] = json.loads(reply.body)
    if caller.adapter.name.endswith("rest-api") and op["op"] == "StepFailed":
        # A runtime of before Python 3.12 needs twice as many bytes, and a REST API takes no others than text.
        assert "and the REST API takes 6,29" in op["error"]["message"]
    else:
        assert (op["op"], op["data"]) == ("StepRun", "日" * 1_300_000)


def test_a_reply_that_nobody_may_compress(serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV)
    # The servers' own clients may ask for it by default.
    reply = _call(caller, "large-step", {"Accept-Encoding": "identity"}, 400_000)
    check_reply(reply, caller, "dev")
    assert "content-encoding" not in reply.headers
    [op] = json.loads(reply.body)
    is_small = "alb" in caller.adapter.name
    assert op["op"] == ("StepFailed" if is_small else "StepRun")
    if is_small:
        assert "and the load balancer takes 999," in op["error"]["message"]


def test_a_result_of_a_function_that_the_server_does_not_take(serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV)
    reply = _call(caller, "large-result", GZIP, 3_000_000)
    check_reply(reply, caller, "dev")
    assert (reply.status, reply.headers["x-inngest-no-retry"]) == (400, "true")
    error = json.loads(reply.body)
    assert (error["name"], error["stack"]) == ("OutputTooLarge", None)
    assert "function 'rec-large-result' returned 9,000,002 bytes" in error["message"]


def test_steps_that_fit_into_no_reply_together(serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV)
    reply = _call(caller, "many-steps", {"Accept-Encoding": "identity"}, 80_000)
    check_reply(reply, caller, "dev")
    ops = json.loads(reply.body)
    assert reply.status == 206
    assert len(reply.body) <= 8 * MIB
    assert {op["op"] for op in ops} == {"InvokeFunction"}
    assert 1 <= len(ops) < 40


def test_the_signature_is_of_what_is_sent_in_its_place(serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **CLOUD)
    for count in (1, 400_000, 1_300_000, 1_500_000):
        check_signed(_call(caller, "large-step", GZIP, count, sign=True), caller)


@pytest.mark.parametrize("adapter", as_parameters(TIMED), indirect=True)
@pytest.mark.parametrize("function", ["long-step", "long-step-async", "long-function", "long-function-async"])
def test_a_call_that_takes_too_long_is_answered(function: str, serve: Callable[..., Caller]) -> None:
    caller = serve(APP, **DEV, INNGEST_DEADLINE="1")
    reply = _call(caller, function)
    check_reply(reply, caller, "dev")
    assert reply.headers["x-inngest-no-retry"] == "false"
    document = json.loads(reply.body)
    if "step" in function:
        [op] = document
        assert (reply.status, op["op"]) == (206, "StepError")
        error = op["error"]
    else:
        error = document
        assert reply.status == 500
    assert error["name"] == "DeadlineExceeded"
    assert "was ended after 0." in error["message"]
    assert "INNGEST_DEADLINE" in error["message"]
    # The thread or the process goes on.
    [op] = json.loads(_call(caller, "large-step").body)
    assert op["data"] == "日"
