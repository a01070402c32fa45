"""Nothing leaves a test, and nothing of it is left: settings, environment, clients."""

from __future__ import annotations

import asyncio
import os
import threading

import httpx
import pytest
from kit_app import function, order, steps

import inngest_serverless
from inngest_serverless import Client, ConfigurationError, Event, dev_server_url, event_trigger, inngest_lambda, is_dev
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.testing import Session, run
from inngest_serverless.testing.isolation import ORIGIN

KEY = "signkey-prod-" + "ab" * 32


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever opens a connection fails."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a request left the test")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", refuse)


def told(result):
    return [event.name for event in result.sent]


def test_what_steps_send_comes_to_the_engine():
    fn = function(lambda ctx: ctx.step.send_event("tell", Event("shop/told")))
    for target in (fn, inngest_lambda([fn], app_id="shop", signing_key=KEY, event_key="x")):
        result = run(target, order())
        assert (told(result), result.output) == (["shop/told"], [result.sent[0].id])


def test_what_async_steps_send_comes_to_the_engine():
    async def body(ctx):
        await asyncio.gather(*[ctx.step.send_event(f"tell-{n}", Event("shop/told", {"n": n})) for n in range(2)])
        await ctx.step.send_signal("signal", signal="s")

    assert told(run(function(body), order())) == ["shop/told"] * 2


def test_what_code_in_steps_sends_by_itself_comes_to_the_engine():
    client = Client(event_key="a-real-key", signing_key=KEY, is_dev=False)

    def send():
        inngest_serverless.send(Event("by/the-function"))
        client.send_many([Event("by/a-client"), Event("by/a-client")])
        Client().send(Event("by/another-client"))
        thread = threading.Thread(target=lambda: inngest_serverless.send(Event("by/a-thread")))
        thread.start()
        thread.join()

    result = run(function(lambda ctx: ctx.step.run("send", send)), order())
    assert told(result) == ["by/the-function", "by/a-client", "by/a-client", "by/another-client", "by/a-thread"]


def test_what_the_test_itself_sends_during_a_session_starts_functions():
    listener = steps("a", function_id="listener", trigger=event_trigger("shop/told"))
    with Session() as session:
        session.serve(listener)
        event_id = inngest_serverless.send(Event("shop/told"))
        session.advance("0s")
        [started] = session.runs
        assert (started.status, session.sent[0].id) == ("completed", event_id)


def test_signals_come_to_the_engine():
    def body(ctx):
        return ctx.step.wait_for_signal("wait", signal="s", timeout="1d").data

    with Session() as session:
        started = session.start(function(body), order())
        assert Client().send_signal("s", 5) == started.result.run_id
        session.advance("0s")
        assert started.result.output == 5


def test_the_environment_is_that_of_a_dev_server():
    def look():
        return [is_dev(), dev_server_url(), sorted(name for name in os.environ if name.startswith("INNGEST_"))]

    expected = [True, ORIGIN, ["INNGEST_DEV"]]
    assert run(function(lambda ctx: ctx.step.run("look", look)), order()).output == expected
    with Session():
        assert look() == expected
    assert look()[0] is False


def test_a_handler_is_as_it_was_afterwards():
    fn = steps("a")
    handler = inngest_lambda([fn], app_id="shop", signing_key=KEY, event_key="x")

    def answer():
        endpoint = lambda_endpoint(lambda event: handler(event, None))
        return endpoint("POST", "https://x.invalid/elsewhere?fnId=shop-fn&stepId=step", {}, b"{}").status

    assert answer() == 401
    for _ in range(2):
        assert run(handler, order()).output == ["A"]
        assert answer() == 401
    with Session() as session:
        session.run(handler, order())
        assert answer() == 400, "within a session it is an app in dev mode"
    assert answer() == 401


def test_a_handler_that_was_made_in_a_session_works_in_the_next():
    with Session() as session:
        handler = inngest_lambda([steps("a")], app_id="shop", serve_path="/x")
        assert session.run(handler, order()).output == ["A"]
    assert run(handler, order()).output == ["A"]


def test_clients_do_not_keep_the_settings_of_a_test():
    with Session():
        inngest_serverless.send(Event("shop/told"))
    with pytest.raises(AssertionError, match="a request left the test"):
        inngest_serverless.send(Event("shop/told"))


def test_clients_that_were_there_before_come_to_the_session():
    inngest_serverless.client._default()  # it is kept from now on
    with Session() as session:
        inngest_serverless.send(Event("shop/told"))
        assert [event.name for event in session.sent] == ["shop/told"]


def test_sessions_do_not_hear_one_another():
    listener = steps("a", function_id="listener", trigger=event_trigger("shop/told"))
    teller = function(lambda ctx: ctx.step.send_event("tell", Event("shop/told")))
    with Session() as outer, Session() as inner:
        outer.serve(listener)
        inner.serve(listener)
        outer.run(teller, order())
        assert [each.function_id for each in outer.finish_all()] == ["test-fn", "test-listener"]
        assert inner.runs == ()
        assert told(run(teller, order())) == ["shop/told"]
        assert len(outer.sent) == 1


def test_an_error_leaves_nothing_behind():
    before = dict(os.environ)

    def fails():
        with Session():
            raise LookupError("the test's own")

    with pytest.raises(LookupError, match="the test's own"):
        fails()
    assert dict(os.environ) == before
    with pytest.raises(ConfigurationError):
        run(3, order())
    assert dict(os.environ) == before
    with pytest.raises(AssertionError, match="a request left the test"):
        inngest_serverless.send(Event("shop/told"))


def test_requests_to_others_are_not_touched():
    from inngest_serverless.protocol.exchange import Outbound
    from inngest_serverless.transport import Transport

    with Session(), pytest.raises(AssertionError, match="a request left the test"):
        Transport().send(Outbound("GET", "https://secretsmanager.invalid/", {}))
