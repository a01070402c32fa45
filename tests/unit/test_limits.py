"""Replies that are too large, for the server or on the way to it: what is sent in their place."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import os
import random
import string
import time
from base64 import b64decode

import pytest
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from engine_server import Do, Server, both, declare, function, hash_of

from inngest_serverless import StepError, ai, inngest_lambda
from inngest_serverless.aws import reply_size
from inngest_serverless.local.gateway import TRIGGERS, to_lambda_event
from inngest_serverless.offload import OffloadMiddleware
from inngest_serverless.protocol import limits

MIB = 1024 * 1024
LAMBDA_BYTES = 6_291_556
LOAD_BALANCER_BYTES = 1_000_000
KEY = "signkey-test-" + "5e" * 32
RUNTIMES = {"utf-8": "AWS_Lambda_python3.12", "escapes": "AWS_Lambda_python3.11"}
GZIP = {"Accept-Encoding": "gzip"}
FUNCTION_URL = "https://abc.lambda-url.eu-west-1.on.aws/"


@pytest.fixture(params=RUNTIMES)
def runtime(request, monkeypatch):
    monkeypatch.setenv("AWS_EXECUTION_ENV", RUNTIMES[request.param])
    return request.param


@pytest.fixture
def _utf8(monkeypatch):
    monkeypatch.setenv("AWS_EXECUTION_ENV", RUNTIMES["utf-8"])


def written(reply):
    """The bytes of a reply as the runtime hands them to Lambda."""
    text, _ = LambdaMarshaller().marshal_response(reply)
    return text.encode()


class Exchange:
    """A call of a function by way of a trigger, and what came of it."""

    def __init__(self, fn, trigger="function-url", headers=None, *, signed=False, target="step", steps=None):
        handler = inngest_lambda([fn], app_id="app", **({"signing_key": KEY} if signed else {"is_dev": True}))
        event = {"name": "test/started", "data": {}, "ts": 1}
        ctx = {"run_id": "01RUN", "attempt": 0, "max_attempts": 4, "disable_immediate_execution": target != "step"}
        ctx |= {"stack": {"stack": list(steps or {}), "current": 0}}
        body = json.dumps({"ctx": ctx, "event": event, "events": [event], "steps": steps or {}}).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if signed:
            sent["X-Inngest-Signature"] = signature(body)
        url = FUNCTION_URL if trigger == "function-url" else "https://x.example/"
        self.reply = handler(to_lambda_event(trigger, "POST", f"{url}?fnId=app-fn&stepId={target}", sent, body), None)
        single = self.reply.get("headers") or {}
        multiple = self.reply.get("multiValueHeaders") or {}
        self.status = self.reply["statusCode"]
        self.headers = single | {name: values[0] for name, values in multiple.items()}
        self.is_packed = self.reply["isBase64Encoded"]
        self.body = self.reply["body"]
        if self.is_packed:
            assert self.headers["content-encoding"] == "gzip"
            self.body = gzip.decompress(b64decode(self.body)).decode()
        else:
            assert "content-encoding" not in self.headers
        self.json = json.loads(self.body)

    @property
    def op(self):
        [op] = self.json
        return op


def signature(body, at=None):
    at = str(int(time.time()) if at is None else at)
    key = KEY.removeprefix("signkey-test-").encode()
    return f"t={at}&s={hmac.new(key, body + at.encode(), hashlib.sha256).hexdigest()}"


def step_of(result):
    return function(lambda ctx: ctx.step.run("big", lambda: result))


def noise(length):
    """Text that cannot be made much smaller."""
    return "".join(random.Random(7).choices(string.ascii_letters + string.digits + "-_", k=length))  # noqa: S311 - no secret


# What the server takes.


@both
@pytest.mark.usefixtures("_utf8")
def test_the_largest_result_of_a_step_and_the_next_one(kind):
    # The server wraps it: {"data":"..."}.
    largest = "x" * (4 * MIB - len('{"data":""}'))
    for value, op in ((largest, "StepRun"), (largest + "x", "StepFailed")):
        answer = Server(declare(kind, lambda _ctx, value=value: (yield Do("run", "big", lambda: value)))).call()
        assert answer.op["op"] == op
    assert answer.error == {
        "name": "OutputTooLarge",
        "message": "step 'big' returned 4,194,305 bytes of JSON, and the Inngest server takes 4,194,304: keep it "
        "elsewhere and return a reference to it, as OffloadMiddleware does (docs/middleware.md)",
        "stack": None,
    }
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert (answer.op["id"], answer.op["userland"]) == (hash_of("big"), {"id": "big", "index": None})
    assert (answer.op["opts"], answer.op["data"]) == ({"type": "step.run"}, None)


@pytest.mark.usefixtures("_utf8")
@pytest.mark.parametrize(
    ("character", "bytes_each"), [("<", 6), (">", 6), ("&", 6), ("\u2028", 6), ("é", 2), ("😀", 4)]
)
def test_the_server_counts_what_it_writes(character, bytes_each):
    fits = (4 * MIB - len('{"data":""}')) // bytes_each
    assert Exchange(step_of(character * fits), headers=GZIP).op["op"] == "StepRun"
    assert Exchange(step_of(character * (fits + 1)), headers=GZIP).op["op"] == "StepFailed"


@both
@pytest.mark.usefixtures("_utf8")
def test_the_function_can_catch_it_and_goes_on(kind):
    def script(ctx):
        try:
            yield Do("run", "big", lambda: "x" * 5 * MIB)
        except StepError as error:
            name = error.name
        return (yield Do("run", "small", lambda: name))

    server = Server(declare(kind, script))
    assert server.run().json == "OutputTooLarge"
    assert len(server.calls) == 3


@both
@pytest.mark.usefixtures("_utf8")
def test_a_repeated_step_and_a_targeted_one_are_told_apart(kind):
    def script(ctx):
        yield Do("run", "big", lambda: 1)
        yield Do("run", "big", lambda: "x" * 5 * MIB)

    server = Server(declare(kind, script))
    server.remember("big", {"data": 1})
    for target in ("step", hash_of("big:1")):
        answer = server.call(target)
        assert (answer.op["op"], answer.op["id"], answer.op["userland"]) == (
            "StepFailed",
            hash_of("big:1"),
            {"id": "big", "index": 1},
        )


@both
@pytest.mark.usefixtures("_utf8")
def test_what_a_function_returns(kind):
    def answer_of(value):
        handler = declare(kind, lambda _ctx: value)
        return Exchange(handler, headers=GZIP)

    largest = "x" * (8 * MIB - 2)
    assert (answer_of(largest).status, answer_of(largest).json) == (200, largest)
    answer = answer_of(largest + "x")
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (400, "true")
    assert answer.json == {
        "name": "OutputTooLarge",
        "message": "function 'app-fn' returned 8,388,609 bytes of JSON, and the Inngest server takes 8,388,608: keep "
        "it elsewhere and return a reference to it",
        "stack": None,
    }


def test_a_request_to_a_model_has_a_limit_too():
    model = ai.OpenAI("gpt-4o", api_key="k")

    def answer_of(size):
        body = {"messages": [{"role": "user", "content": "x" * size}]}
        return Exchange(function(lambda ctx: ctx.step.ai.infer("ask", model=model, body=body)), headers=GZIP)

    assert answer_of(MIB).op["op"] == "AIGateway"
    answer = answer_of(4 * MIB)
    assert (answer.op["op"], answer.op["error"]["name"]) == ("StepFailed", "OutputTooLarge")
    assert answer.op["error"]["message"].startswith("step 'ask' asks for 4,194,")
    assert "opts" not in answer.op, "they are what is too large"


# Many steps at once.


def invocations(count, size):
    def handler(ctx):
        ctx.group.parallel(
            [
                lambda number=number: ctx.step.invoke_by_id(f"i{number}", function_id="other", data={"x": "x" * size})
                for number in range(count)
            ]
            + [lambda: ctx.step.sleep("nap", "1h")]
        )

    return function(handler)


@pytest.mark.usefixtures("_utf8")
def test_steps_that_do_not_fit_together_are_reported_in_parts(caplog):
    fn = invocations(20, 500_000)
    steps, found, turns = {}, set(), 0
    while len(found) < 21:
        answer = Exchange(fn, headers=GZIP, steps=steps)
        assert answer.status == 206
        assert len(answer.body.encode()) <= 8 * MIB
        new = {op["userland"]["id"] for op in answer.json} - found
        assert new, "each reply has something new"
        if not turns:
            assert "nap" in new, "the smallest come first: nobody waits for a sleep because of somebody's payload"
            assert len(new) == 13, "as many as Lambda takes"
        found |= new
        steps |= {op["id"]: {"data": None} for op in answer.json}
        turns += 1
    assert turns == 2
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("function 'app-fn' found 21 steps, more than fit into a reply: 1")


@pytest.mark.usefixtures("_utf8")
def test_a_step_that_fits_into_no_reply_fails():
    def handler(ctx):
        ctx.group.parallel(
            [
                lambda: ctx.step.sleep("nap", "1h"),
                lambda: ctx.step.fetch("fetch", "https://x.example", method="POST", body="x" * 9 * MIB),
            ]
        )

    answer = Exchange(function(handler), headers=GZIP)
    assert (answer.op["op"], answer.op["userland"]["id"]) == ("StepFailed", "fetch")
    assert answer.op["error"]["message"].startswith("step 'fetch' asks for 9,437,")
    left = Exchange(function(handler), headers=GZIP, steps={hash_of("fetch"): {"error": {"name": "E", "message": "m"}}})
    assert [op["op"] for op in left.json] == ["Sleep"]


def test_a_request_to_a_model_that_is_too_large_beside_other_steps():
    body = {"messages": [{"role": "user", "content": "x" * 4 * MIB}]}

    def handler(ctx):
        ask = lambda: ctx.step.ai.infer("ask", model=ai.OpenAI("gpt-4o", api_key="k"), body=body)  # noqa: E731
        ctx.group.parallel([lambda: ctx.step.sleep("nap", "1h"), ask])

    answer = Exchange(function(handler), headers=GZIP)
    assert (answer.op["op"], answer.op["userland"]["id"]) == ("StepFailed", "ask")


# What takes it to the server.


@pytest.mark.parametrize("text", ["x", '"', "\\", "é", "日", "😀", "\x7f", "\n", '{"a":"é\\u0000"}', ""])
@pytest.mark.parametrize("times", [1, 1_000])
def test_the_size_is_what_the_runtime_writes(runtime, text, times):
    body = json.dumps([text * times], ensure_ascii=False)
    assert reply_size.json_size(body) == len(written(body))


def test_the_size_is_never_less_than_what_the_runtime_writes(runtime):
    # Some versions of what the runtime writes JSON with escape these, and some do not.
    assert reply_size.json_size("\u2028\u2029") == 2 + 2 * 6 >= len(written("\u2028\u2029"))


def test_a_runtime_that_is_not_known_escapes(monkeypatch):
    monkeypatch.delenv("AWS_EXECUTION_ENV", raising=False)
    assert reply_size.json_size("日") == len(written("日")) == 8


def largest_that_fits(make, fits, most):
    """The largest number for which an answer is the result itself."""
    least = 0
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(make(middle)) else (least, middle)
    return least


@pytest.mark.parametrize("character", ["x", '"', "日"])
def test_replies_go_up_to_lambdas_limit_and_not_beyond(runtime, character):
    """By bisection: the largest reply that is let through is within Lambda's limit, and close to it."""

    def make(size):
        return Exchange(function(lambda _ctx: character * size), "rest-api")

    size = largest_that_fits(make, lambda answer: answer.status == 200, 8 * MIB)
    assert LAMBDA_BYTES - 2_048 < len(written(make(size).reply)) <= LAMBDA_BYTES
    answer = make(size + 100)
    assert (answer.status, answer.json["name"]) == (400, "OutputTooLarge")
    assert "and the REST API takes 6,29" in answer.json["message"]


@pytest.mark.parametrize("trigger", ["alb", "alb-multi-value"])
@pytest.mark.parametrize("signed", [False, True])
def test_replies_go_up_to_a_load_balancers_limit_and_not_beyond(trigger, signed, runtime):
    def make(size):
        return Exchange(step_of("x" * size), trigger, signed=signed)

    size = largest_that_fits(make, lambda answer: answer.op["op"] == "StepRun", 2 * MIB)
    assert LOAD_BALANCER_BYTES - 2_048 < len(written(make(size).reply)) <= LOAD_BALANCER_BYTES
    assert "and the load balancer takes 999," in make(size + 100).op["error"]["message"]


def test_a_large_reply_that_fits_is_sent_as_it_is():
    assert not Exchange(step_of("x" * 3 * MIB), headers=GZIP).is_packed


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_what_would_not_fit_is_compressed_where_that_gets_through(trigger, runtime):
    value = "日本" * 650_000 if trigger != "alb" else "x" * 1_200_000
    answer = Exchange(step_of(value), trigger, GZIP)
    if trigger == "rest-api":
        # It passes on base64 as it is, unless it is set up for binary media types.
        assert not answer.is_packed
        fits = runtime == "utf-8"
        assert answer.op["op"] == ("StepRun" if fits else "StepFailed")
    else:
        assert answer.op["data"] == value
        assert answer.is_packed == (runtime == "escapes" or trigger.startswith("alb"))
        limit = LOAD_BALANCER_BYTES if trigger.startswith("alb") else LAMBDA_BYTES
        assert len(written(answer.reply)) <= limit


@pytest.mark.parametrize(
    ("header", "is_packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("br, gzip; q=0", False),
        ("identity", False),
        ("gzipped", False),
        ("", False),
    ],
)
def test_only_who_takes_gzip_gets_it(header, is_packed):
    answer = Exchange(step_of("x" * 1_200_000), "alb", {"Accept-Encoding": header} if header else {})
    assert (answer.is_packed, answer.op["op"]) == (is_packed, "StepRun" if is_packed else "StepFailed")


def test_what_does_not_fit_compressed_either_is_refused():
    answer = Exchange(step_of(noise(1_500_000)), "alb", GZIP)
    assert (answer.is_packed, answer.op["op"]) == (False, "StepFailed")
    assert "1,500," in answer.op["error"]["message"]


@pytest.mark.parametrize("size", [10, 1_200_000, 5 * MIB])
def test_the_signature_is_of_what_the_body_says(size):
    """Go's HTTP client unpacks a body before anybody sees it, and so do others."""
    answer = Exchange(step_of("x" * size), "alb", GZIP, signed=True)
    assert answer.is_packed == (size == 1_200_000)
    sent = answer.headers["x-inngest-signature"]
    assert sent == signature(answer.body.encode(), sent.removeprefix("t=").partition("&")[0])


def test_steps_that_do_not_fit_through_a_load_balancer_are_reported_in_parts():
    answer = Exchange(invocations(10, 150_000), "alb")
    assert answer.status == 206
    assert 5 <= len(answer.json) <= 7
    assert len(written(answer.reply)) <= LOAD_BALANCER_BYTES
    assert len(Exchange(invocations(10, 150_000), "alb", GZIP).json) == 11, "compressed, they all fit"


def test_any_other_reply_that_is_too_large_says_so():
    handler = inngest_lambda(
        [function(lambda _ctx: None, id=f"f{number}", name="n" * 9_000) for number in range(150)],
        app_id="app",
        signing_key=KEY,
        is_dev=True,
    )
    body = b'{"url":"https://x.example/"}'
    headers = {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Signature": signature(body)}
    reply = handler(to_lambda_event("alb", "PUT", "https://x.example/", headers, body), None)
    assert (reply["statusCode"], json.loads(reply["body"])["name"]) == (500, "ReplyTooLarge")
    headers |= GZIP
    reply = handler(to_lambda_event("alb", "PUT", "https://x.example/", headers, body), None)
    assert (reply["statusCode"], reply["isBase64Encoded"]) == (200, True)


def test_offloading_is_the_way_out(tmp_path):
    from inngest_serverless.stores import FileStore

    fn = function(
        lambda ctx: ctx.step.run("big", lambda: "x" * 9 * MIB), middleware=[OffloadMiddleware(FileStore(tmp_path))]
    )
    assert Exchange(fn, "alb").op["op"] == "StepRun"


def test_a_small_reply_loads_nothing_of_this(monkeypatch):
    monkeypatch.setattr(limits, "carried", None)
    assert Exchange(step_of("日" * 15_000)).op["op"] == "StepRun"


def test_the_environment_is_the_runtimes():
    assert os.environ is reply_size.os.environ
