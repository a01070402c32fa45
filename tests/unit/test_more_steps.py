"""Language models, ``step.fetch`` and signals: what is asked of the server, and what its answers become."""

from __future__ import annotations

import copy
import json
import logging

import pytest
from engine_server import Server, both
from pydantic import BaseModel
from surface import SECRET, Replayed, call, check_failed, declare

from inngest_serverless import ConfigurationError, StepError
from inngest_serverless.ai import Anthropic, Gemini, Model, OpenAI, OpenAIResponses
from inngest_serverless.engine.server_plans import FetchReply, Signal

MODELS = [OpenAI, OpenAIResponses, Anthropic, Gemini]
each_model = pytest.mark.parametrize("kind_of_model", MODELS, ids=lambda kind: kind.__name__)


def asked(kind, script):
    """The opcode with which a call ends at the only step of a function."""
    return call(declare(kind, script)).op


def got(kind, script, memo):
    """What the function returns that returns the step's result, given its memo; the result itself as well."""
    values = []

    async def note(found):
        values.append(await found)

    def noting(ctx):
        found = script(ctx)
        return note(found) if hasattr(found, "__await__") else values.append(found)

    return values, call(declare(kind, noting), memos={"a": memo})


# step.ai.infer

ASKED = {
    OpenAI: {
        "url": "https://api.openai.com/v1/chat/completions",
        "headers": {},
        "format": "openai-chat",
        "body": {"model": "m-1", "messages": []},
    },
    OpenAIResponses: {
        "url": "https://api.openai.com/v1/responses",
        "headers": {},
        "format": "openai-responses",
        "body": {"model": "m-1", "messages": []},
    },
    Anthropic: {
        "url": "https://api.anthropic.com/v1/messages",
        "headers": {"anthropic-version": "2023-06-01"},
        "format": "anthropic",
        "body": {"model": "m-1", "messages": []},
    },
    Gemini: {
        "url": "https://generativelanguage.googleapis.com/v1beta/models/m-1:generateContent",
        "headers": {},
        "format": "gemini",
        "body": {"messages": []},
    },
}


def infer(model, body=None):
    return lambda ctx: ctx.step.ai.infer("a", model=model, body={"messages": []} if body is None else body)


@both
@each_model
def test_infer_asks_for(kind_of_model, kind):
    op = asked(kind, infer(kind_of_model("m-1", api_key=SECRET)))
    assert op["op"] == "AIGateway"
    assert op["opts"] == {"type": "step.ai.infer", "auth_key": SECRET, **ASKED[kind_of_model]}
    assert op["data"] is None
    assert (op["name"], op["displayName"], op["userland"]) == ("a", "a", {"id": "a", "index": None})


@each_model
@pytest.mark.parametrize("base_url", ["https://proxy.example.com/x", "https://proxy.example.com/x/"])
def test_a_model_elsewhere(kind_of_model, base_url):
    model = kind_of_model("m-1", api_key="k", base_url=base_url, headers={"x-team": "a"})
    opts = asked("sync", infer(model))["opts"]
    default = ASKED[kind_of_model]["url"]
    assert opts["url"] == "https://proxy.example.com/x" + default[default.index("/", len("https://")) :].replace(
        "/v1beta", ""
    ).replace("/v1", "")
    assert opts["headers"] == ASKED[kind_of_model]["headers"] | {"x-team": "a"}


def test_the_users_version_of_the_api_counts():
    """The server adds headers to each other: one name must not come twice, in whatever case."""
    for name in ("anthropic-version", "Anthropic-Version"):
        headers = asked("sync", infer(Anthropic("m", api_key="k", headers={name: "2099-01-01"})))["opts"]["headers"]
        assert {key.lower(): value for key, value in headers.items()} == {"anthropic-version": "2099-01-01"}
        assert len(headers) == 1


@both
def test_a_body_is_sent_as_it_is(kind):
    body = {"messages": [{"role": "user", "content": "é\u2028 <b>"}], "temperature": 0.5, "stream": False, "n": None}
    before = copy.deepcopy(body)
    opts = asked(kind, infer(OpenAI("m-1", api_key="k"), body))["opts"]
    assert opts["body"] == {"model": "m-1", **before}
    assert body == before, "the caller's body was changed"


def test_the_bodys_own_model_counts():
    assert asked("sync", infer(OpenAI("m-1", api_key="k"), {"model": "m-2"}))["opts"]["body"] == {"model": "m-2"}


@both
def test_the_providers_reply(kind):
    reply = {"choices": [{"message": {"content": "hi"}}], "usage": {"tokens": 5}}
    values, _ = got(kind, infer(OpenAI("m", api_key="k")), {"data": reply})
    assert values == [reply]


@both
def test_a_provider_that_refuses(kind):
    error = {
        "name": "AIGatewayError",
        "message": "Error making AI request: unsuccessful status code: 400",
        "data": {"error": "bad"},
        "stack": "bad",
    }
    values, answer = got(kind, infer(OpenAI("m", api_key=SECRET)), {"error": error})
    assert values == []
    assert "status code: 400" in check_failed(answer, "AIGatewayError", final=True)


def test_a_provider_that_refuses_can_be_caught():
    def script(ctx):
        try:
            ctx.step.ai.infer("a", model=OpenAI("m", api_key="k"), body={})
        except StepError as error:
            return [error.name, error.message, error.step_id]

    memo = {"error": {"name": "AIGatewayError", "message": "no"}}
    assert call(declare("sync", script), memos={"a": memo}).json == ["AIGatewayError", "no", "a"]


@each_model
@pytest.mark.parametrize(("name", "key"), [("", "k"), ("m", ""), ("m", None), (None, "k"), ("m", 5), (5, "k")])
def test_a_model_without_name_or_key(kind_of_model, name, key):
    with pytest.raises(ConfigurationError) as caught:
        kind_of_model(name, api_key=key)
    assert kind_of_model.__name__ in str(caught.value)
    assert "api_key" in str(caught.value)


def test_a_model_of_no_provider():
    """Its base class has no address."""
    with pytest.raises(ConfigurationError):
        Model("m", api_key="k").request({})


def test_a_model_of_the_users_own():
    class Local(Model):
        _format = "openai-chat"
        _default_url = "http://localhost:11434/v1"
        _path = "/chat/completions"

    opts = asked("sync", infer(Local("llama", api_key="none")))["opts"]
    assert (opts["url"], opts["format"]) == ("http://localhost:11434/v1/chat/completions", "openai-chat")


WRONG = [
    ({"model": "gpt-4o"}, "model"),
    ({"model": OpenAI}, "model"),
    ({"model": None}, "model"),
    ({"body": [{"role": "user"}]}, "body"),
    ({"body": "text"}, "body"),
    ({"body": None}, "body"),
]


@both
@pytest.mark.parametrize(("wrong", "what"), WRONG, ids=range(len(WRONG)))
def test_infer_with_something_else(wrong, what, kind):
    """What no retry can mend is not retried."""
    options = {"model": OpenAI("m", api_key=SECRET), "body": {}} | wrong
    answer = call(declare(kind, lambda ctx: ctx.step.ai.infer("a", **options)))
    assert what in check_failed(answer, "ConfigurationError", final=True)


# Keys.


@each_model
def test_a_key_is_shown_nowhere(kind_of_model, caplog, capfd):
    model = kind_of_model("m-1", api_key=SECRET, headers={"authorization": SECRET})
    assert repr(model) == f"{kind_of_model.__name__}('m-1')"
    for text in (repr(model), str(model), f"{model}", f"{model!r:>40}", repr([model]), repr({"model": model})):
        assert SECRET not in text
    with caplog.at_level(logging.DEBUG):
        for kind in ("sync", "async"):
            asked(kind, infer(model))
            got(kind, infer(model), {"error": {"name": "AIGatewayError", "message": "no"}})
    assert SECRET not in caplog.text
    assert SECRET not in "".join(capfd.readouterr())


@both
@pytest.mark.parametrize("body", [{"x": {1}}, {"x": object()}, {"x": float("nan")}, {("a",): 1}, {"x": b"y"}])
def test_a_key_is_in_no_error(body, kind):
    """Whatever goes wrong between the model and the reply."""
    answer = call(declare(kind, infer(OpenAI("m", api_key=SECRET), body)))
    check_failed(answer, "ConfigurationError", final=True)


def test_a_key_is_not_part_of_the_run():
    """Neither the memo nor the reply of the next call has it."""
    fn = declare("sync", infer(OpenAI("m", api_key=SECRET)))
    assert SECRET not in call(fn, memos={"a": {"data": {"choices": []}}}).body


def test_a_gemini_key_is_not_in_the_url():
    """The server shows URLs."""
    assert SECRET not in asked("sync", infer(Gemini("m", api_key=SECRET)))["opts"]["url"]


# step.ai.wrap


class Completion(BaseModel):
    text: str


def complete(prompt: str, *, loud: bool = False) -> Completion:
    return Completion(text=prompt.upper() if loud else prompt)


async def complete_async(prompt: str, *, loud: bool = False) -> Completion:
    return complete(prompt, loud=loud)


@both
def test_wrap_is_a_run_of_another_kind(kind):
    op = asked(kind, lambda ctx: ctx.step.ai.wrap("a", complete, "hi", loud=True))
    assert (op["op"], op["data"]) == ("StepRun", {"text": "HI"})
    assert op["opts"]["type"] == "step.ai.wrap"
    assert isinstance(op["opts"].get("input", []), list), "the server drops opts whose input is no list"


@both
def test_wrap_is_typed(kind):
    assert Replayed(kind, lambda ctx: ctx.step.ai.wrap("a", complete, "hi")).value == Completion(text="hi")
    untyped = Replayed(kind, lambda ctx: ctx.step.ai.wrap("a", lambda: complete("hi"), output_type=Completion))
    assert untyped.value == Completion(text="hi")


def test_wrap_of_a_coroutine_function():
    assert Replayed("async", lambda ctx: ctx.step.ai.wrap("a", complete_async, "hi")).value == Completion(text="hi")


@both
def test_wrap_that_fails(kind):
    def refuse():
        raise ValueError("no")

    answer = call(declare(kind, lambda ctx: ctx.step.ai.wrap("a", refuse)))
    assert (answer.op["op"], answer.op["error"]["name"]) == ("StepError", "ValueError")
    assert answer.op["opts"]["type"] == "step.ai.wrap"


@both
def test_wrap_of_no_function(kind):
    answer = call(declare(kind, lambda ctx: ctx.step.ai.wrap("a", complete("hi"))))
    assert "step.ai.wrap" in check_failed(answer, "ConfigurationError", final=True)


# step.fetch


def fetch(*args, **options):
    return lambda ctx: ctx.step.fetch("a", *(args or ["https://example.com/x?y=1"]), **options)


@both
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"method": "GET", "headers": {}}),
        ({"method": "POST", "body": "a=1"}, {"method": "POST", "headers": {}, "body": "a=1"}),
        ({"method": "put", "body": ""}, {"method": "PUT", "headers": {}, "body": ""}),
        ({"headers": {"x-a": "1"}}, {"method": "GET", "headers": {"x-a": "1"}}),
        ({"method": "DELETE", "headers": None, "body": None}, {"method": "DELETE", "headers": {}}),
        ({"body": "é\u2028"}, {"method": "GET", "headers": {}, "body": "é\u2028"}),
    ],
    ids=range(6),
)
def test_fetch_asks_for(options, expected, kind):
    op = asked(kind, fetch(**options))
    assert op["op"] == "Gateway"
    assert op["opts"] == {"type": "step.fetch", "url": "https://example.com/x?y=1", **expected}
    assert op["data"] is None


@both
@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
def test_the_reply_to_a_fetch(status, kind):
    """Every status is a reply."""
    data = {"url": "https://e.com/", "status_code": status, "headers": {"X-A": "1,2"}, "body": '{"a": [1]}'}
    [reply], _ = got(kind, fetch(), {"data": data})
    assert isinstance(reply, FetchReply)
    assert (reply.url, reply.status_code, reply.headers, reply.body) == (
        "https://e.com/",
        status,
        {"X-A": "1,2"},
        data["body"],
    )
    assert reply.json() == {"a": [1]}


@both
def test_a_reply_that_leaves_things_out(kind):
    """The server leaves out what is empty."""
    [reply], _ = got(kind, fetch(), {"data": {"status_code": 204, "body": ""}})
    assert (reply.url, reply.status_code, reply.headers, reply.body) == ("", 204, {}, "")
    with pytest.raises(ValueError, match="Expecting value"):
        reply.json()


@both
def test_no_reply(kind):
    error = {"name": "GatewayError", "message": "Error making gateway request: refused"}
    values, answer = got(kind, fetch(), {"error": error})
    assert values == []
    assert "refused" in check_failed(answer, "GatewayError", final=True)


def test_a_reply_shows_no_body():
    reply = FetchReply({"url": "https://e.com", "status_code": 200, "headers": {"set-cookie": SECRET}, "body": SECRET})
    assert SECRET not in repr(reply)


@both
@pytest.mark.parametrize("url", ["https://e.com", "http://e.com:8080/a", "HTTPS://E.COM/a", "https://[::1]/"])
def test_absolute_urls(url, kind):
    assert asked(kind, fetch(url))["opts"]["url"] == url


@both
@pytest.mark.parametrize(
    "url", ["", "/path", "example.com", "ftp://e.com", "http:/e.com", " https://e.com", 5, None, b"https://e.com"]
)
def test_other_urls(url, kind):
    assert "URL" in check_failed(call(declare(kind, fetch(url))), "ConfigurationError", final=True)


@both
@pytest.mark.parametrize(
    "options",
    [
        {"method": ""},
        {"method": "FOO BAR"},
        {"method": None},
        {"method": 5},
        {"body": {"a": 1}},
        {"body": b"a"},
        {"body": ["a"]},
        {"body": 5},
        {"headers": {"a": 1}},
        {"headers": {"a": None}},
        {"headers": {"a": ["b", "c"]}},
        {"headers": "a: b"},
    ],
    ids=str,
)
def test_a_request_that_the_server_would_not_send(options, kind):
    """It reads text only, and a retry would not help."""
    [name] = options
    assert name in check_failed(call(declare(kind, fetch(**options))), "ConfigurationError", final=True)


# Signals.


def wait(**options):
    return lambda ctx: ctx.step.wait_for_signal("a", **{"signal": "task/1", "timeout": "1d", **options})


@both
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"timeout": "1d", "conflict": "fail"}),
        ({"on_conflict": "replace"}, {"timeout": "1d", "conflict": "replace"}),
        ({"timeout": 90_000}, {"timeout": "1m30s", "conflict": "fail"}),
    ],
    ids=range(3),
)
def test_a_wait_for_a_signal_asks_for(options, expected, kind):
    op = asked(kind, wait(**options))
    assert op["op"] == "WaitForSignal"
    assert op["opts"] == {"signal": "task/1", **expected}
    assert op["data"] is None


@both
@pytest.mark.parametrize("data", [{"a": 1}, [1], "text", 0, None])
def test_a_signal_came(data, kind):
    [signal], answer = got(kind, wait(), {"data": {"signal": "task/1", "data": data}})
    assert answer.status == 200
    assert isinstance(signal, Signal)
    assert (signal.signal, signal.data) == ("task/1", data)


@both
@pytest.mark.parametrize("memo", [None, {"data": None}])
def test_no_signal_came(memo, kind):
    values, answer = got(kind, wait(), memo)
    assert values == [None]
    assert answer.status == 200


@both
def test_a_wait_for_a_signal_that_fails(kind):
    error = {"name": "Error", "message": "Signal conflict; signal wait already exists for another run"}
    values, answer = got(kind, wait(), {"error": error})
    assert values == []
    assert "conflict" in check_failed(answer, "Error", final=True)


@both
@pytest.mark.parametrize(
    "options",
    [
        {"signal": ""},
        {"signal": None},
        {"signal": 5},
        {"timeout": None},
        {"timeout": "soon"},
        {"timeout": "367d"},
        {"on_conflict": "ignore"},
        {"on_conflict": None},
    ],
    ids=str,
)
def test_a_wait_for_no_signal(options, kind):
    check_failed(call(declare(kind, wait(**options))), "ConfigurationError", final=True)


def test_a_signal_shows_no_data():
    assert SECRET not in repr(Signal("task/1", SECRET))


@both
def test_send_signal_on_replay(kind):
    values, answer = got(kind, lambda ctx: ctx.step.send_signal("a", signal="s", data={"a": 1}), {"data": None})
    assert values == [None]
    assert answer.status == 200


# What JSON cannot hold never leaves a call without an answer.

UNSENDABLE = {
    "infer": lambda ctx, value: ctx.step.ai.infer("a", model=OpenAI("m", api_key="k"), body={"x": value}),
    "invoke": lambda ctx, value: ctx.step.invoke_by_id("a", function_id="f", data={"x": value}),
    "invoke-user": lambda ctx, value: ctx.step.invoke_by_id("a", function_id="f", user={"x": value}),
}


def loop():
    value = []
    value.append(value)
    return value


def lone(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@both
@pytest.mark.parametrize("step", UNSENDABLE)
@pytest.mark.parametrize(
    "value", [object(), {SECRET}, float("inf"), b"x", {("a", "b"): 1}, loop(), lone(100_000)], ids=range(7)
)
def test_options_that_json_cannot_hold(step, value, kind):
    answer = call(declare(kind, lambda ctx: UNSENDABLE[step](ctx, value)))
    message = check_failed(answer, "ConfigurationError", final=True)
    assert "'a'" in message or "step." in message, "say which step it is"


@both
@pytest.mark.parametrize("wrong", [[1], "text", 5])
def test_an_invocation_with_data_that_is_no_object(wrong, kind):
    answer = call(declare(kind, lambda ctx: ctx.step.invoke_by_id("a", function_id="f", data=wrong)))
    assert "data" in check_failed(answer, "ConfigurationError", final=True)


def test_steps_of_every_kind_in_one_run():
    def script(ctx):
        reply = ctx.step.fetch("fetch", "https://e.com")
        signal = ctx.step.wait_for_signal("signal", signal="s", timeout="1d")
        answer = ctx.step.ai.infer("infer", model=Gemini("m", api_key="k"), body={"text": reply.json()})
        return [reply.status_code, signal, ctx.step.ai.wrap("wrap", complete, answer["text"]).text]

    results = {
        "fetch": {"data": {"status_code": 200, "body": '"x"'}},
        "signal": None,
        "infer": {"data": {"text": "hi"}},
    }
    server = Server(declare("sync", script), results=results)
    assert server.run().json == [200, None, "hi"]
    ops = [op for _, answer in server.calls if answer.status == 206 for op, _ in answer.ops]
    assert ops == ["Gateway", "WaitForSignal", "AIGateway", "StepRun"]
    assert json.loads(server.calls[2][1].body)[0]["opts"]["body"] == {"text": "x"}
