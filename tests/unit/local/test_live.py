"""The engine on the wall clock: it moves by itself, calls run at once, and nothing that goes wrong stops it."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack

import pytest
from engine_app import URL
from waiting import PATIENCE_SECONDS, until

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.live import LiveEngine


class Lively:
    def __init__(self, stack, functions, endpoint=None, **options):
        self.moments = []
        self._endpoint = endpoint
        options = {"retry_ms": 10, "watch": lambda _run, moment: self.moments.append(moment), **options}
        self.engine = LiveEngine(self._reach, **options)
        api = stack.enter_context(LocalApi(self.engine))
        stack.enter_context(self.engine)
        handle = inngest_lambda(
            functions, app_id="app", is_dev=True, api_base_url=api.origin, event_api_base_url=api.origin
        )
        self.serve = lambda_endpoint(lambda event: handle(event, None))
        self._endpoint = self.serve if endpoint is None else endpoint
        assert self.serve("PUT", URL, {}, b"").status == 200

    def _reach(self, *request):
        return self._endpoint(*request)

    def send(self, name="test/started"):
        [event_id] = self.engine.post([{"name": name}])
        [run] = until(lambda: self.engine.runs_of(event_id), "the event to start a run")
        return run

    def ended(self, run):
        until(lambda: not run.is_active, f"run {run.status}, {[moment.kind for moment in run.timeline]} to end")
        return run


@pytest.fixture
def live():
    with ExitStack() as stack:
        yield lambda *functions, **options: Lively(stack, functions, **options)


def declared(body, **options):
    return create_function(id="fn", trigger=event_trigger("test/started"), **options)(body)


def test_a_run_goes_to_its_end_by_itself(live):
    def body(ctx):
        one = ctx.step.run("one", lambda: 1)
        ctx.step.sleep("nap", "20ms")
        return one

    app = live(declared(body))
    run = app.ended(app.send())
    assert (run.output, run.calls) == (1, 3)
    woke, slept = (next(m.at_ms for m in run.timeline if m.kind == kind) for kind in ("Woke", "Sleep"))
    assert woke - slept >= 20


def test_calls_run_at_once(live):
    gate = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def meet(number):
        gate.wait()
        return number

    app = live(
        declared(lambda ctx: list(ctx.group.parallel([lambda n=n: ctx.step.run(f"s{n}", meet, n) for n in range(3)])))
    )
    assert app.ended(app.send()).output == [0, 1, 2]


def test_what_other_threads_bring_in_is_taken_while_a_run_waits(live):
    def body(ctx):
        return [
            ctx.step.wait_for_event("e", event="go", timeout="1h").data,
            ctx.step.wait_for_signal("s", signal="s", timeout="1h").data,
        ]

    app = live(declared(body))
    run = app.send()
    until(lambda: run.open, "the run to wait")
    app.engine.post([{"name": "go", "data": {"n": 1}}])
    until(lambda: app.engine.signal("s", 2), "the run to wait for the signal")
    assert app.ended(run).output == [{"n": 1}, 2]


def test_a_run_is_cancelled_and_run_again_from_other_threads(live):
    app = live(declared(lambda ctx: ctx.step.sleep("nap", "1h")))
    run = app.send()
    until(lambda: run.open, "the run to sleep")
    assert app.engine.cancel(run.id)
    assert app.ended(run).status == "cancelled"
    again = app.engine.rerun(run.id)
    until(lambda: (new := app.engine.run_of(again)) and new.open, "the new run to sleep")


def test_an_app_that_cannot_be_reached_is_tried_again(live):
    app = live(declared(lambda _ctx: "reached"))
    failures = iter([OSError("refused"), HttpReply(502, {}, b"<html>"), ValueError("odd")])

    def flaky(*request):
        match next(failures, None):
            case Exception() as error:
                raise error
            case None:
                return app.serve(*request)
            case reply:
                return reply

    app._endpoint = flaky
    run = app.ended(app.send())
    assert (run.status, run.output) == ("completed", "reached")
    assert "OSError: refused" in run.timeline[1].detail


def test_a_run_that_cannot_go_on_fails_and_the_engine_goes_on(live):
    app = live(declared(lambda _ctx: "fine"))
    sdk = {"x-inngest-sdk": "test:v1", "x-inngest-req-version": "2"}
    app._endpoint = lambda *_: HttpReply(206, sdk, b'[{"id":"a","op":"Unheard"}]')
    run = app.ended(app.send())
    assert (run.status, run.error["name"]) == ("failed", "EngineError")
    assert "Unheard" in run.error["message"]
    app._endpoint = app.serve
    assert app.ended(app.send()).output == "fine"


def test_a_watcher_that_raises_does_no_harm_to_the_engine_and_its_runs(live, caplog):
    raised = []

    def watch(_run, moment):
        raised.append(moment.kind)
        raise RuntimeError("watcher")

    def body(ctx):
        ctx.step.sleep("nap", "1ms")
        return ctx.step.run("one", lambda: "fine")

    app = live(declared(body), watch=watch)
    assert app.ended(app.send()).output == "fine"
    until(lambda: raised[-1:] == ["Returned"], "the last moment")
    assert "could not do something" in caplog.text


@pytest.mark.parametrize(
    ("op", "error"),
    [
        ({"op": "InvokeFunction", "opts": {"function_id": "app-fn", "timeout": 5}}, "TypeError"),
        ({"op": "AIGateway", "opts": {"url": "https://model.example/", "headers": 5}}, "TypeError"),
    ],
    ids=["reply", "request"],
)
def test_a_run_whose_reply_cannot_be_dealt_with_fails_and_the_trace_is_logged(live, caplog, op, error):
    app = live(declared(lambda _ctx: "fine"), fetch=lambda *_request: HttpReply(200, {}, b"page"))
    sdk = {"x-inngest-sdk": "test:v1", "x-inngest-req-version": "2"}
    app._endpoint = lambda *_: HttpReply(206, sdk, json.dumps([{"id": "a", **op}]).encode())
    run = app.ended(app.send())
    assert (run.status, run.error["name"]) == ("failed", error)
    told = [record for record in caplog.records if record.exc_info and run.id in record.getMessage()]
    assert [type(record.exc_info[1]).__name__ for record in told] == [error], "no trace of what was raised"
    app._endpoint = app.serve
    assert app.ended(app.send()).output == "fine"


def test_an_event_that_nobody_takes_is_told(live):
    told = []
    waiting = declared(lambda ctx: ctx.step.wait_for_event("w", event="wanted", timeout="1h") and "come")
    app = live(waiting, unclaimed=told.append)
    run = app.send()
    until(lambda: run.open, "the run to wait")
    app.engine.post([{"name": "test/startd"}, {"name": "wanted"}])
    assert app.ended(run).output == "come"
    app.engine.post([{"name": "wanted"}])
    until(lambda: len(told) == 2, "the second line")
    assert told == [
        "event 'test/startd' starts no function: none has this trigger (did you mean 'test/started'?)",
        "event 'wanted' starts no function: none has this trigger; known are test/started",
    ], "what wakes a run is for somebody, and the server's own events are not meant for anybody"


def test_a_slow_request_for_a_function_keeps_nobody_waiting(live):
    let_go = threading.Event()

    def fetch(*_request):
        assert let_go.wait(PATIENCE_SECONDS)
        return HttpReply(200, {}, b"slow")

    asking = declared(lambda ctx: ctx.step.fetch("f", "https://slow.example/").body)
    other = create_function(id="other", trigger=event_trigger("other"))(lambda _ctx: "quick")
    app = live(asking, other, fetch=fetch)
    run = app.send()
    assert app.ended(app.send("other")).output == "quick"
    let_go.set()
    assert app.ended(run).output == "slow"


def test_old_runs_are_forgotten_but_not_those_under_way(live):
    sleeping = create_function(id="sleep", trigger=event_trigger("sleep"))(lambda ctx: ctx.step.sleep("nap", "1h"))
    app = live(declared(lambda _ctx: None), sleeping, keep=3)
    kept = app.send("sleep")
    runs = [app.ended(app.send()) for _ in range(5)]
    assert app.engine.runs == [kept, *runs[-2:]]
    assert len(app.engine.history.events) == 3


def test_it_ends_while_a_run_sleeps():
    before = set(threading.enumerate())
    with ExitStack() as stack:
        app = Lively(stack, [declared(lambda ctx: ctx.step.sleep("nap", "1h"))])
        run = app.send()
        until(lambda: run.open, "the run to sleep")
    # Who has served the last request may still be on the way out.
    until(lambda: not set(threading.enumerate()) - before, "all threads to end")
