"""Requests that the engine makes for functions: ``step.fetch`` and ``step.ai.infer``."""

from __future__ import annotations

import json

import pytest
from engine_app import SECOND, Both, Do, EngineError, HttpReply, answering, both, declare, happened

from inngest_serverless import StepError
from inngest_serverless.ai import Anthropic, Gemini, OpenAI

pytestmark = pytest.mark.usefixtures("resting_collector")


class Web:
    """What is out there: a reply for each request, the last one for ever; an exception is raised."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.requests = []

    def __call__(self, method, url, headers, body):
        self.requests.append((method, url, dict(headers), body))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        status, text = reply
        return HttpReply(status, {"content-type": "text/plain"}, text.encode())


class Ask(Do):
    """Any step: ``Ask(lambda step: step.fetch(...))``."""

    def __init__(self, ask):
        self.ask = ask

    def on(self, ctx):
        return self.ask(ctx.step)

    async def on_async(self, ctx):
        return await self.ask(ctx.step)


def fetching(*urls, **options):
    def one(url):
        try:
            reply = yield Ask(lambda step: step.fetch(url, f"https://{url}", **options))
        except StepError as error:
            return f"{error.name}: {error.message}"
        return [reply.status_code, reply.url, reply.body, reply.headers]

    def script(_ctx):
        if len(urls) == 1:
            return (yield from one(urls[0]))
        return list((yield Both(*[lambda url=url: one(url) for url in urls])))

    return script


def inferring(model):
    def script(_ctx):
        try:
            return (yield Ask(lambda step: step.ai.infer("ask", model=model, body={"messages": ["Hi"]})))
        except StepError as error:
            return [error.name, error.message, error.stack]

    return script


@both
def test_a_request_and_its_reply(serve, kind):
    web = Web((404, "gone"))
    app = serve(declare(kind, fetching("x.test/a", method="post", headers={"X-A": "1"}, body="{}")), fetch=web)
    run = app.run()
    assert run.output == [404, "https://x.test/a", "gone", {"content-type": "text/plain"}]
    assert web.requests == [("POST", "https://x.test/a", {"X-A": "1"}, b"{}")]
    assert [kind for _, kind, _ in happened(run)] == ["Started", "Gateway", "Answered", "Returned"]
    assert run.steps == ["x.test/a"]


@both
def test_a_request_without_an_answer_is_made_again(serve, kind):
    web = Web(OSError("no route"), OSError("no route"), (200, "ok"))
    app = serve(declare(kind, fetching("x.test")), fetch=web)
    run = app.run()
    assert run.output[:1] == [200]
    assert len(web.requests) == 3
    assert [call.ctx["attempt"] for call in app.calls] == [0, 1, 2, 0]
    assert happened(run)[-1][0] > 45 * SECOND


@both
def test_a_request_that_never_gets_an_answer(serve, kind):
    web = Web(OSError("no route"))
    app = serve(declare(kind, fetching("x.test"), retries=1), fetch=web)
    assert app.run().output == "GatewayError: Error making gateway request: no route"
    assert len(web.requests) == 2


@both
def test_parallel_requests(serve, kind):
    """Those that had no success are made again, once for each retry; the function goes on when all are done."""
    web = Web((200, "a"), OSError("1"), OSError("2"), OSError("3"), (200, "b"), (200, "c"))
    app = serve(declare(kind, fetching("a", "b", "c")), fetch=web)
    run = app.run()
    assert [reply[0] for reply in run.output] == [200, 200, 200]
    assert [url for _, url, _, _ in web.requests] == [f"https://{name}" for name in "abcbcb"]
    assert [call.target for call in app.calls] == ["step"] * len(app.calls)
    assert [call.ctx["attempt"] for call in app.calls] == [0, 1, 2, 0]


@both
def test_without_fetch_no_request_is_made(serve, kind):
    app = serve(declare(kind, fetching("x.test")))
    with pytest.raises(EngineError, match=r"step 'x.test' asks for a request .* unless fetch= is given"):
        app.run()


def test_a_request_needs_a_url():
    engine = answering((206, [{"op": "Gateway", "id": "s", "displayName": "s"}]), fetch=Web((200, "")))
    with pytest.raises(EngineError, match=r"step 's' asks for a request .* without a URL"):
        engine.execute({"name": "test/started"})


@both
@pytest.mark.parametrize(
    ("model", "url", "key"),
    [
        (OpenAI("m", api_key="k"), "https://api.openai.com/v1/chat/completions", ("Authorization", "Bearer k")),
        (Anthropic("m", api_key="k"), "https://api.anthropic.com/v1/messages", ("x-api-key", "k")),
        (
            Gemini("m", api_key="k&"),
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent?key=k%26",
            None,
        ),
    ],
)
def test_a_model_is_asked(serve, kind, model, url, key):
    web = Web((200, '{"answer": 42}'))
    app = serve(declare(kind, inferring(model)), fetch=web)
    run = app.run()
    assert run.output == {"answer": 42}
    [(method, asked, headers, body)] = web.requests
    assert (method, asked, headers["Content-Type"]) == ("POST", url, "application/json")
    assert key is None or key in headers.items()
    assert json.loads(body)["messages"] == ["Hi"]


@both
@pytest.mark.parametrize(
    ("reply", "message", "stack"),
    [
        ((429, "slow down"), "unsuccessful status code: 429", "slow down"),
        ((200, "<html>"), "the reply is not JSON", "<html>"),
        ((200, "[" * 100_000), "the reply is not JSON", "[" * 100_000),
        (OSError("no route"), "no route", None),
    ],
    ids=["refused", "no JSON", "depth", "no route"],
)
def test_a_model_that_refuses(serve, kind, reply, message, stack):
    web = Web(reply)
    app = serve(declare(kind, inferring(OpenAI("m", api_key="k")), retries=1), fetch=web)
    assert app.run().output == ["AIGatewayError", f"Error making AI request: {message}", stack]
    assert len(web.requests) == 2
