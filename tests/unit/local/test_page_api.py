"""What the page is told, and what it can do: its documents and actions over HTTP, and how runs become bars."""

# Without ``from __future__ import annotations``: pydantic reads the annotations of the types below when they are made.

import json
import threading
from dataclasses import dataclass
from http.client import HTTPConnection
from math import isclose
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import pytest
from engine_app import DAY, EVENT, KEY, MINUTE, SECOND, START_MS, App, answering, hash_of
from pydantic import BaseModel, Field

import inngest_serverless.local
from inngest_serverless import (
    Batch,
    Cancel,
    Concurrency,
    ConfigurationError,
    Debounce,
    Event,
    NonRetriableError,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    create_function,
    cron_trigger,
    event_trigger,
)
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.cost import REQUEST_USD, Size, billed_ms, cost_of
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.page_rows import rows_of
from inngest_serverless.local.runs import Invocation, Moment, Registered, Run
from inngest_serverless.local.schemas import event_schemas
from inngest_serverless.protocol.signing import SigningKey

PAGE = Path(inngest_serverless.local.__file__).parent / "page"
JSON = {"Content-Type": "application/json"}


class Page:
    """The page, as far as its requests go."""

    def __init__(self, origin: str, token: str = "") -> None:
        self._netloc = urlsplit(origin).netloc
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def request(self, method, path, body=None, **headers):
        connection = HTTPConnection(self._netloc, timeout=60)
        try:
            connection.request(method, path, body, self._headers | headers)
            reply = connection.getresponse()
            return reply, reply.read()
        finally:
            connection.close()

    def read(self, path):
        reply, body = self.request("GET", f"/page/{path}")
        assert reply.status == 200, body
        return json.loads(body)

    def act(self, path, document=None, **headers):
        reply, body = self.request("POST", f"/page/{path}", json.dumps(document or {}), **(JSON | headers))
        return reply.status, json.loads(body)


@pytest.fixture
def page():
    return lambda app: Page(app.api.origin)


def fn(body, **options):
    return create_function(id="fn", **{"trigger": event_trigger("test/started"), **options})(body)


# The page itself.


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/base.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_its_files_cannot_be_turned_against_it(serve, page, path, content_type):
    reply, body = page(serve(fn(lambda _ctx: 1))).request("GET", path)
    policy = reply.getheader("Content-Security-Policy")
    assert (reply.status, reply.getheader("Content-Type")) == (200, content_type)
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert reply.getheader("X-Content-Type-Options") == "nosniff"
    assert len(body) > 100


@pytest.mark.parametrize(
    "path", ["/page/", "/page/x.js", "/page/../api.py", "/page/%2e%2e/api.py", "/page/index.html/x"]
)
def test_nothing_else_is_served(serve, page, path):
    assert page(serve(fn(lambda _ctx: 1))).request("GET", path)[0].status == 404


def test_nothing_of_it_comes_from_elsewhere():
    """It works without a network; the tests in a browser see that it asks for nothing."""
    texts = {path.name: path.read_text("utf-8").replace("http://www.w3.org/", "") for path in PAGE.iterdir()}
    for what in ("https:", "http:", "//cdn", "@import", "innerHTML", "insertAdjacentHTML", "eval("):
        named = {"form.js"} if what == "https:" else set()  # an example in a field
        assert {name for name, text in texts.items() if what in text} - named == set(), what


def test_all_modules_are_fetched_at_once(serve, page):
    """Not one after the other, as each is met in the one before."""
    _, index = page(serve(fn(lambda _ctx: 1))).request("GET", "/")
    modules = {path.name for path in PAGE.glob("*.js")}
    assert {name for name in modules if f'"/page/{name}"' not in index.decode()} == set()


# What has changed.


def test_only_what_has_changed_is_told(serve, page):
    app = serve(fn(lambda ctx: ctx.step.sleep("nap", "1d")))
    shown = page(app)
    first = shown.read("changes")
    assert (first["is_all"], first["runs"], first["events"]) == (True, [], [])

    def news(before):
        return shown.read(f"changes?instance={first['instance']}&since={before['stamp']}")

    assert news(first)["stamp"] == first["stamp"], "nothing has happened"
    one, two = app.start(), app.start()
    second = news(first)
    assert [run["id"] for run in second["runs"]] == [one.id, two.id]
    assert [event["outcomes"][0]["run_id"] for event in second["events"]] == [one.id, two.id]
    assert (second["is_all"], second["now_ms"]) == (False, START_MS)
    app.engine.cancel(two.id)
    app.engine.advance("1s")
    third = news(second)
    assert [(run["id"], run["status"]) for run in third["runs"]] == [(two.id, "cancelled")]
    assert {event["name"] for event in third["events"]} == {"inngest/function.cancelled", "inngest/function.finished"}
    assert third["now_ms"] == START_MS + SECOND
    assert news(third)["runs"] == []
    everything = shown.read("changes?instance=of-the-server-before&since=3")
    assert (everything["is_all"], len(everything["runs"])) == (True, 2)
    assert shown.read(f"changes?instance={first['instance']}&since=999")["is_all"]


def test_a_run_that_goes_on_is_told_again(serve, page):
    def body(ctx):
        ctx.step.sleep("one", "1d")
        ctx.step.sleep("two", "1d")

    app = serve(fn(body))
    shown = page(app)
    app.start()
    before = shown.read("changes")
    app.engine.advance("1d")
    news = shown.read(f"changes?instance={before['instance']}&since={before['stamp']}")
    assert [run["doing"] for run in news["runs"]] == ["sleeps two"]


def test_a_new_sync_is_told(serve, page):
    app = serve(fn(lambda _ctx: 1))
    shown = page(app)
    before = shown.read("changes")["app"]
    assert shown.read("changes")["app"] == before
    app.engine.register([], "app")
    assert shown.read("changes")["app"] != before
    assert shown.read("app")["functions"] == []


def test_what_is_forgotten_is_told(serve, page):
    app = serve(fn(lambda _ctx: 1), keep=3)
    shown = page(app)
    first = app.run()
    known = shown.read("changes")
    for _ in range(3):
        app.run()
    news = shown.read(f"changes?instance={known['instance']}&since={known['stamp']}")
    assert news["gone_runs"] == [first.id]
    assert first.events[0]["id"] in news["gone_events"]
    assert len(news["runs"]) == 3


def test_a_page_that_was_away_too_long_gets_everything(serve, page, monkeypatch):
    monkeypatch.setattr("inngest_serverless.local.page_feed._MOST_GONE", 2)
    app = serve(fn(lambda _ctx: 1), keep=1)
    shown = page(app)
    known = shown.read("changes")
    latest = known
    for _ in range(5):
        app.run()
        latest = shown.read(f"changes?instance={known['instance']}&since={latest['stamp']}")
        assert not latest["is_all"]
    assert shown.read(f"changes?instance={known['instance']}&since={known['stamp']}")["is_all"]


def test_a_run_is_told_with_what_it_costs(serve, page):
    app = serve(fn(lambda ctx: ctx.step.run("step", lambda: 1)), retry_ms=1)
    run = app.run()
    [told] = page(app).read("changes")["runs"]
    paid = sum(billed_ms(call.took_ms) for call in run.invocations)
    assert (told["invocations"], told["billed_ms"]) == (2, paid)
    assert isclose(told["usd"], 2 * REQUEST_USD + paid / 1000 * 0.5 * 0.0000133334)
    [larger] = page(app).read("changes?memory_mb=1024&architecture=x86_64")["runs"]
    assert isclose(larger["usd"], 2 * REQUEST_USD + paid / 1000 * 0.0000166667)
    for wrong in ("memory_mb=64", "memory_mb=x", "architecture=vax", "since=x"):
        assert page(app).request("GET", f"/page/changes?{wrong}")[0].status == 400


@pytest.mark.parametrize(
    ("body", "doing"),
    [
        (lambda ctx: ctx.step.sleep("nap", "1d"), "sleeps nap"),
        (lambda ctx: ctx.step.wait_for_event("wait", event="a/b", timeout="1d"), "waits for a/b"),
        (lambda ctx: ctx.step.wait_for_signal("wait", signal="s", timeout="1d"), "waits for signal wait"),
        (lambda ctx: ctx.step.run("step", lambda: 1 / 0), "will try again"),
        (
            lambda ctx: ctx.group.parallel([lambda: ctx.step.sleep("a", "1d"), lambda: ctx.step.sleep("b", "1d")]),
            "sleeps a and 1 more",
        ),
    ],
)
def test_it_says_what_a_run_is_doing(serve, page, body, doing):
    app = serve(fn(body))
    app.start()
    assert page(app).read("changes")["runs"][0]["doing"] == doing


def test_what_became_of_an_event_is_told_with_the_reason(serve, page):
    sleepy = fn(lambda ctx: ctx.step.sleep("nap", "1d"), singleton=Singleton("skip"))
    batched = create_function(id="batched", trigger=event_trigger("test/started"), batch_events=Batch(5, timeout="1h"))
    app = serve(sleepy, batched(lambda _ctx: 1))
    app.engine.send(EVENT)
    app.engine.send(EVENT)
    [_, event] = page(app).read("changes")["events"]
    told = [(each["function_id"], each["kind"], each["detail"]) for each in event["outcomes"]]
    assert told == [("app-fn", "skipped", "singleton: a run is under way"), ("app-batched", "batched", "2 of 5")]
    assert json.loads(page(app).read(f"events/{event['id']}")["text"])["data"] == EVENT["data"]


def test_an_event_tells_which_runs_it_woke_and_cancelled(serve, page):
    same = "async.data.id == event.data.id"
    waits = fn(
        lambda ctx: ctx.step.wait_for_event("paid", event="a/paid", timeout="1d", if_exp=same),
        cancel=[Cancel("a/undone", if_exp=same)],
    )
    app = serve(waits)
    woken, cancelled = [app.start(EVENT | {"data": {"id": number}}) for number in (1, 2)]
    for name, number in [("a/paid", 1), ("a/undone", 2), ("a/undone", 3)]:
        app.engine.send({"name": name, "data": {"id": number}})
    told = [
        (event["name"], [(each["kind"], each["run_id"], each["detail"]) for each in event["outcomes"]])
        for event in page(app).read("changes")["events"]
        if event["name"].startswith("a/")
    ]
    assert told == [
        ("a/paid", [("woke", woken.id, "step paid")]),
        ("a/undone", [("cancelled", cancelled.id, "")]),
        ("a/undone", []),
    ]
    paid = next(
        event_id for event_id, received in app.engine.history.events.items() if received.event["name"] == "a/paid"
    )
    assert app.engine.runs_of(paid) == []


def test_an_event_is_found_by_any_id(serve, page):
    app = serve(fn(lambda _ctx: 1))
    app.run({"name": "test/started", "id": "a/b c?d#ü"})
    assert page(app).read(f"events/{quote('a/b c?d#ü', safe='')}")["name"] == "test/started"


# A run.


def test_a_run_in_full(serve, page):
    def body(ctx):
        ctx.step.run("good", lambda: {"n": 1})
        ctx.step.sleep("nap", "1d")
        return "done"

    app = serve(fn(body))
    run = app.run()
    shown = page(app)
    told = shown.read(f"runs/{run.id}")
    assert (told["status"], told["output"], told["error"], told["max_attempts"]) == ("completed", '"done"', None, 5)
    assert [(row["name"], row["kind"], row["status"], row["has_memo"]) for row in told["rows"]] == [
        ("", "function", "ok", False),
        ("good", "run", "ok", True),
        ("nap", "sleep", "ok", True),
    ]
    assert [(call["target"], call["status"], call["attempt"]) for call in told["calls"]] == [
        ("step", 206, 0),
        ("step", 206, 0),
        ("step", 200, 0),
    ]
    assert [call["billed_ms"] for call in told["calls"]] == [billed_ms(call.took_ms) for call in run.invocations]
    assert shown.read(f"runs/{run.id}/events") == {"count": 1, "text": json.dumps(run.events[0], indent=2)}
    assert shown.read(f"runs/{run.id}/steps/{hash_of('good')}") == {"text": '{\n  "n": 1\n}', "is_error": False}
    assert shown.read(f"runs/{run.id}/steps/{hash_of('nap')}") == {"text": None, "is_error": False}
    for missing in (f"runs/{run.id}/steps/x", f"runs/{run.id}/x", "runs/x", "events/x", "x"):
        assert shown.request("GET", f"/page/{missing}")[0].status == 404, missing


def test_a_failed_run_has_its_error_with_the_stack(serve, page):
    def body(ctx):
        def boom():
            raise NonRetriableError("no such account")

        ctx.step.run("boom", boom)

    app = serve(fn(body))
    run = app.run()
    told = page(app).read(f"runs/{run.id}")
    assert (told["status"], told["output"], told["error"]["message"]) == ("failed", None, "no such account")
    assert page(app).read(f"runs/{run.id}/steps/{hash_of('boom')}") == {"text": None, "is_error": True}
    [row] = [row for row in told["rows"] if row["name"] == "boom"]
    assert row["status"] == "error"
    assert "in boom" in row["bars"][0]["error"]["stack"]


def test_a_try_that_will_be_followed_by_another_has_its_error_too(serve, page):
    """A run that waits for its next try is looked at because of this error."""
    app = serve(fn(lambda ctx: ctx.step.run("boom", lambda: 1 / 0)), retry_ms=MINUTE)
    run = app.start()
    [_, row] = page(app).read(f"runs/{run.id}")["rows"]
    call, retry = row["bars"]
    assert (row["status"], call["status"], retry["kind"], retry["status"]) == ("open", "error", "retry", "open")
    assert call["error"]["name"] == "ZeroDivisionError"
    assert "lambda: 1 / 0" in call["error"]["stack"]
    assert retry["due_ms"] == START_MS + MINUTE


def test_a_cancelled_run_says_why(serve, page):
    cancelled = fn(lambda ctx: ctx.step.sleep("nap", "1d"), cancel=[Cancel(event="test/stop")])
    app = serve(cancelled)
    run = app.start()
    app.engine.send({"name": "test/stop"})
    told = page(app).read(f"runs/{run.id}")
    assert (told["status"], told["note"]) == ("cancelled", "event test/stop")
    assert [row["status"] for row in told["rows"]] == ["cancelled", "cancelled"]
    assert all(bar["end_ms"] is not None for row in told["rows"] for bar in row["bars"])


def test_an_invoked_run_is_found_from_the_step_that_invoked_it(serve, page):
    child = create_function(id="child", trigger=event_trigger("test/child"))(lambda ctx: ctx.event.data)
    app = serve(fn(lambda ctx: ctx.step.invoke("call", function=child, data={"n": 1})), child)
    run = app.run()
    told = page(app).read(f"runs/{run.id}")
    [other] = [each for each in app.engine.runs if each is not run]
    assert told["children"] == {hash_of("call"): other.id}
    assert [row["kind"] for row in told["rows"]] == ["function", "invoke"]


def test_what_an_open_step_asks_for_is_told(serve, page):
    app = serve(fn(lambda ctx: ctx.step.wait_for_event("w", event="a/b", timeout="2d", if_exp="async.data.n == 1")))
    run = app.start()
    [_, row] = page(app).read(f"runs/{run.id}")["rows"]
    assert (row["detail"], row["condition"]) == ("a/b", "async.data.n == 1")
    assert row["bars"][-1]["due_ms"] == START_MS + 2 * DAY
    app.engine.send({"name": "a/b", "data": {"n": 1}})
    app.engine.finish(run)
    found = page(app).read(f"runs/{run.id}/steps/{hash_of('w')}")
    assert (json.loads(found["text"])["name"], found["is_error"]) == ("a/b", False)


def test_what_users_send_is_handed_over_as_it_is(serve, page):
    """A browser that read it as JSON would change large numbers, and refuse what Python takes for JSON."""
    data = {"id": 12345678901234567890, "text": "Zoë ✓"}
    app = serve(fn(lambda ctx: ctx.event.data))
    run = app.run({"name": "test/started", "data": data})
    shown = page(app)
    text = json.dumps(data, indent=2, ensure_ascii=False)
    assert json.loads(shown.read(f"runs/{run.id}/events")["text"])["data"] == data
    assert shown.read(f"example?event_id={run.events[0]['id']}") == {"data": text}
    reply, _ = shown.request("POST", "/e/key", b'{"name": "test/other", "id": "E", "data": {"n": NaN}}')
    assert reply.status == 200
    app.engine.advance("0s")
    assert '"n": NaN' in shown.read("events/E")["text"]
    assert shown.request("GET", "/v1/events/E")[0].status == 500, "JSON does not know it"


# Rows and bars.


def bars(run):
    """The bars, in short: row, kind, status, and milliseconds since the start."""
    start = run.queued_ms
    return [
        (row.name, bar.kind, bar.status, round(bar.start_ms - start), bar.end_ms and round(bar.end_ms - start))
        for row in rows_of(run)
        for bar in row.bars
    ]


def made_run(moments, invocations, **state):
    """A run with this history; a moment is (after, kind, step, call) or has an attempt as well."""
    function = Registered("app-fn", "fn", "http://x", (), 4)
    run = Run("R", function, [EVENT | {"id": "E"}], queued_ms=1000, started_ms=1000)
    run.invocations += [Invocation(1000 + at, took, target, attempt, 206) for at, took, target, attempt in invocations]
    for after, kind, step, call, *attempt in moments:
        error = {"name": "E", "message": "m"} if kind in {"StepError", "StepFailed", "Retrying", "Failed"} else None
        run.timeline.append(
            Moment(
                1000 + after, kind, step, *(attempt or [0]), key=hash_of(step) if step else "", error=error, call=call
            )
        )
    for name, value in state.items():
        setattr(run, name, value)
    return run


def test_on_the_wall_clock_calls_are_where_they_were():
    run = made_run(
        [
            (0, "Started", "", -1),
            (11, "StepPlanned", "a", 0),
            (11, "StepPlanned", "b", 0),
            (45, "StepRun", "b", 1),
            (90, "StepRun", "a", 2),
            (95, "Returned", "", 3),
        ],
        [(0, 10, "step", 0), (12, 30, hash_of("b"), 0), (12, 75, hash_of("a"), 0), (91, 3, "step", 0)],
        status="completed",
        ended_ms=1095,
    )
    assert bars(run) == [
        ("", "call", "ok", 0, 10),
        ("", "call", "ok", 91, 94),
        ("a", "queued", "ok", 11, 12),
        ("a", "call", "ok", 12, 87),
        ("b", "queued", "ok", 11, 12),
        ("b", "call", "ok", 12, 42),
    ]


def test_where_the_clock_stands_still_calls_come_one_after_another():
    run = made_run(
        [
            (0, "Started", "", -1),
            (0, "StepRun", "a", 0),
            (0, "Sleep", "nap", 1),
            (DAY, "Woke", "nap", -1),
            (DAY, "Returned", "", 2),
        ],
        [(0, 10, "step", 0), (0, 5, "step", 0), (DAY, 5, "step", 0)],
        status="completed",
        ended_ms=1000 + DAY,
    )
    assert bars(run) == [
        ("", "call", "ok", 10, 15),
        ("", "call", "ok", DAY, DAY + 5),
        ("a", "call", "ok", 0, 10),
        ("nap", "wait", "ok", 15, DAY),
    ]


def test_attempts_stand_apart():
    run = made_run(
        [
            (10, "StepError", "a", 0, 0),
            (60, "StepError", "a", 1, 1),
            (110, "StepFailed", "a", 2, 2),
            (120, "Retrying", "", 3, 0),
            (170, "Failed", "", 4, 1),
        ],
        [(0, 10, "step", 0), (50, 10, "step", 1), (100, 10, "step", 2), (110, 10, "step", 0), (160, 10, "step", 1)],
        status="failed",
        ended_ms=1170,
    )
    assert bars(run) == [
        ("", "call", "error", 110, 120),
        ("", "retry", "ok", 120, 160),
        ("", "call", "error", 160, 170),
        ("a", "call", "error", 0, 10),
        ("a", "retry", "ok", 10, 50),
        ("a", "call", "error", 50, 60),
        ("a", "retry", "ok", 60, 100),
        ("a", "call", "error", 100, 110),
    ]
    assert [row.status for row in rows_of(run)] == ["error", "error"]


def test_a_function_that_raised_goes_on_with_the_call_that_runs_a_step():
    run = made_run(
        [(5, "Retrying", "", 0), (60, "StepRun", "a", 1, 1), (65, "Returned", "", 2)],
        [(0, 5, "step", 0), (50, 10, "step", 1), (61, 4, "step", 0)],
        status="completed",
        ended_ms=1065,
    )
    assert bars(run)[:2] == [("", "call", "error", 0, 5), ("", "retry", "ok", 5, 50)]


def test_a_call_that_told_nothing_is_shown_all_the_same():
    run = made_run([(5, "Returned", "", 0)], [(0, 5, "step", 0), (2, 9, "step", 0)], status="completed", ended_ms=1005)
    assert bars(run) == [("", "call", "ok", 0, 5), ("", "call", "ok", 2, 11)]


def test_what_is_open_when_a_run_ends_ends_with_it():
    run = made_run(
        [(5, "Sleep", "nap", 0), (5, "WaitForEvent", "w", 0), (9, "TimedOut", "w", -1), (20, "Cancelled", "", -1)],
        [(0, 5, "step", 0)],
        status="cancelled",
        ended_ms=1020,
    )
    assert bars(run)[1:] == [("nap", "wait", "cancelled", 5, 20), ("w", "wait", "timeout", 5, 9)]
    assert [row.status for row in rows_of(run)] == ["cancelled", "cancelled", "timeout"]


def test_a_run_that_waits_for_its_start_is_queued(serve, page):
    throttled = fn(lambda ctx: ctx.step.sleep("nap", "1d"), throttle=Throttle(1, "1h"))
    app = serve(throttled)
    app.start()
    run = app.start()
    told = page(app).read(f"runs/{run.id}")
    assert (told["status"], told["note"], told["doing"]) == ("queued", "throttled", "waits for its start")
    assert bars(run) == [("", "queued", "open", 0, None)]
    app.engine.advance("1h")
    assert bars(run)[0] == ("", "queued", "ok", 0, 3_600_000)


def test_a_request_by_the_server_ends_with_the_answer(serve):
    replies = [OSError("no route"), HttpReply(200, {}, b"{}")]

    def fetch(*_request):
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    app = serve(fn(lambda ctx: ctx.step.fetch("ask", "https://x.example")), fetch=fetch, retry_ms=1000)
    run = app.run()
    asked = [bar for bar in bars(run) if bar[0] == "ask"]
    assert [(kind, status) for _, kind, status, _, _ in asked] == [("wait", "error"), ("retry", "ok"), ("wait", "ok")]
    assert [row.kind for row in rows_of(run)] == ["function", "fetch"]


def test_a_call_under_way_is_open(page):
    """As long as the app works, nobody knows yet which step that is."""
    entered, leave = threading.Event(), threading.Event()

    def endpoint(*_request):
        entered.set()
        leave.wait(20)
        return HttpReply(200, {"x-inngest-sdk": "test:v1"}, b"1")

    engine = answering((200, 1))
    engine._caller._endpoint = endpoint
    [run] = engine.send(EVENT)
    thread = threading.Thread(target=engine.finish, args=(run,))
    thread.start()
    assert entered.wait(20)
    assert bars(run) == [("", "call", "open", 0, None)]
    leave.set()
    thread.join()
    assert [(kind, status) for _, kind, status, _, _ in bars(run)] == [("call", "ok")]


# Functions, schemas.


def test_functions_are_told_with_their_triggers_and_flow_control(serve, page):
    controlled = create_function(
        id="fn",
        trigger=[event_trigger("a/b", "event.data.n > 1"), cron_trigger("0 3 * * *"), event_trigger("a/c")],
        retries=2,
        concurrency=[Concurrency(2), Concurrency(3, key="event.data.id", scope="env")],
        throttle=Throttle(2, "1m", burst=3),
        debounce=Debounce("90s", timeout="2h", key="event.data.id"),
        priority=Priority("event.data.priority"),
        cancel=[Cancel(event="a/stop", if_exp="event.data.id == async.data.id", timeout="1h")],
        singleton=Singleton("cancel", key="event.data.id"),
        timeouts=Timeouts(start="10s", finish="2h30m"),
        idempotency="event.data.id",
    )
    limited = create_function(id="other", trigger=event_trigger("a/b"), rate_limit=RateLimit(1, "1s"))
    batched = create_function(
        id="batched", trigger=event_trigger("a/b"), batch_events=Batch(9, timeout="1m", if_exp="event.data.ok")
    )
    app = serve(controlled(lambda _ctx: 1), limited(lambda _ctx: 1), batched(lambda _ctx: 1))
    one, two, three = page(app).read("app")["functions"]
    assert (one["id"], one["retries"]) == ("app-fn", 2)
    assert one["triggers"] == [
        {"event": "a/b", "expression": "event.data.n > 1"},
        {"cron": "0 3 * * *", "next_ms": 1_795_316_400_000},
        {"event": "a/c"},
    ]
    assert [(line["name"], line["text"]) for line in one["flow"]] == [
        ("concurrency", "2 at once"),
        ("concurrency", "3 at once for each event.data.id in the environment"),
        ("throttle", "one run each 30 s, 4 at once after a rest"),
        ("debounce", "1 min 30 s without an event, 2 h at the latest for each event.data.id"),
        ("cancel", "on a/stop if event.data.id == async.data.id, within 1 h"),
        ("singleton", "cancel for each event.data.id"),
        ("priority", "event.data.priority"),
        ("idempotency", "event.data.id"),
        ("timeout", "10 s to start"),
        ("timeout", "2 h 30 min to finish"),
    ]
    assert [line["text"] for line in two["flow"]] == ["one run each 1 s"]
    assert [line["text"] for line in three["flow"]] == ["up to 9 events in 1 min if event.data.ok"]


class Item(BaseModel):
    sku: str
    quantity: int = Field(1, ge=1)


class Order(BaseModel):
    order_id: str
    plan: Literal["standard", "express"] = "standard"
    items: list[Item] = []


@dataclass
class Account:
    id: int


class Opaque:
    pass


class OrderPlaced(Event[Order], name="shop/order.placed"): ...


class AccountCreated(Event[Account], name="shop/account.created"): ...


class Untyped(Event[dict[str, Any]], name="shop/untyped"): ...


class Odd(Event[Opaque], name="shop/odd"): ...


def test_typed_events_have_schemas():
    triggers = [event_trigger(kind) for kind in (OrderPlaced, AccountCreated, Untyped, Odd)]
    schemas = event_schemas([fn(lambda _ctx: 1, trigger=triggers), fn(lambda _ctx: 1)])
    assert list(schemas) == ["shop/order.placed", "shop/account.created"]
    order = schemas["shop/order.placed"]
    assert (order["required"], order["properties"]["plan"]["enum"]) == (["order_id"], ["standard", "express"])
    assert schemas["shop/account.created"]["properties"]["id"]["type"] == "integer"


def test_schemas_may_change_while_the_server_runs():
    schemas: dict[str, Any] = {}
    engine = Engine(lambda *_request: HttpReply(200, {}, b""))
    with LocalApi(engine, schemas=schemas, size=Size(1024, "x86_64")) as api:
        shown = Page(api.origin)
        before = shown.read("changes")["app"]
        schemas["a/b"] = {"type": "object"}
        assert shown.read("changes")["app"] != before
        told = shown.read("app")
    assert told["schemas"] == {"a/b": {"type": "object"}}
    assert (told["memory_mb"], told["architecture"]) == (1024, "x86_64")


def test_the_last_event_is_an_example(serve, page):
    child = create_function(id="child", trigger=cron_trigger("0 3 * * *"))(lambda ctx: ctx.event.data)
    app = serve(fn(lambda ctx: ctx.step.invoke("call", function=child, data={"n": 7})), child)
    shown = page(app)
    assert shown.read("example?event=test/started") == {}
    app.engine.execute({"name": "test/started", "data": {"n": 1}})
    app.engine.execute({"name": "test/started", "data": {"n": 2}, "user": {"id": 3}})
    assert {name: json.loads(text) for name, text in shown.read("example?event=test/started").items()} == {
        "data": {"n": 2},
        "user": {"id": 3},
    }
    [(name, text)] = shown.read("example?function_id=app-child").items()
    assert (name, json.loads(text)) == ("data", {"n": 7}), "without the server's own field"
    assert shown.read("example?function_id=x") == {}


# Actions.


def test_an_event_is_sent(serve, page):
    app = serve(fn(lambda ctx: [ctx.event.id, ctx.event.data, ctx.event.user]))
    status, answer = page(app).act("events", {"name": "test/started", "data": {"n": 1}, "user": {"id": 2}, "id": "E1"})
    assert (status, answer) == (200, {"event_id": "E1"})
    [run] = app.engine.finish_all()
    assert run.output == ["E1", {"n": 1}, {"id": 2}]


def test_a_function_is_invoked_whatever_its_triggers_are(serve, page):
    app = serve(fn(lambda ctx: ctx.event.data, trigger=cron_trigger("0 3 * * *")))
    status, answer = page(app).act("invoke", {"function_id": "app-fn", "data": {"n": 1}})
    [run] = app.engine.finish_all()
    assert (status, answer, run.output) == (200, {"run_id": run.id}, {"n": 1})


def test_a_run_is_run_again(serve, page):
    app = serve(fn(lambda ctx: ctx.event.data))
    run = app.run()
    status, answer = page(app).act(f"runs/{run.id}/rerun")
    again = app.engine.finish_all()[-1]
    assert (status, answer, again.output) == (200, {"run_id": again.id}, run.output)


def test_a_run_is_cancelled(serve, page):
    app = serve(fn(lambda ctx: ctx.step.sleep("nap", "1d")))
    run = app.start()
    assert page(app).act(f"runs/{run.id}/cancel") == (200, {"is_cancelled": True})
    app.engine.advance("0s")
    assert run.status == "cancelled"
    assert page(app).act(f"runs/{run.id}/cancel") == (200, {"is_cancelled": False})


def test_a_signal_is_sent(serve, page):
    app = serve(fn(lambda ctx: ctx.step.wait_for_signal("w", signal="go", timeout="1d").data))
    run = app.start()
    assert page(app).act("signals", {"signal": "go", "data": [1]}) == (200, {"run_id": run.id})
    assert app.engine.finish(run).output == [1]
    status, answer = page(app).act("signals", {"signal": "go"})
    assert (status, answer["error"]) == (404, "there is no such run: none waits for this signal")


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("events", {}, 400, "an event needs a name"),
        ("events", {"name": "a", "data": [1]}, 400, "data must be a JSON object"),
        ("events", [1], 400, "the body must be a JSON object"),
        ("invoke", {"function_id": "x"}, 404, "there is no such function"),
        ("invoke", {"function_id": "app-fn", "data": "x"}, 400, "data must be a JSON object"),
        ("runs/x/rerun", {}, 404, "there is no such run"),
        ("runs/x/cancel", {}, 404, "there is no such run"),
        ("x", {}, 404, "the page has no action 'x'"),
    ],
)
def test_what_cannot_be_done_is_refused(serve, page, path, body, status, message):
    app = serve(fn(lambda _ctx: 1))
    assert page(app).act(path, body) == (status, {"error": message, "status": status})
    app.engine.advance("1s")
    assert app.engine.runs == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "text/json"])
def test_actions_want_json(serve, page, content_type):
    """A form of another page, which may be sent without asking, can send anything but that."""
    app = serve(fn(lambda _ctx: 1))
    assert page(app).act("events", EVENT, **{"Content-Type": content_type})[0] == 415
    assert page(app).act("events", EVENT, **{"Content-Type": "application/json; charset=utf-8"})[0] == 200


# A signing key.


def test_with_a_signing_key_the_page_wants_its_token(serve):
    app = serve(fn(lambda _ctx: 1), signing_key=KEY)
    origin, _, token = app.api.page.partition("/#token=")
    assert (origin, len(token) > 30) == (app.api.origin, True)
    assert SigningKey(KEY).hashed() not in app.api.page
    assert Page(origin).request("GET", "/")[0].status == 200, "what everybody may see"
    assert Page(origin).request("GET", "/page/changes")[0].status == 401
    assert Page(origin, "x").request("GET", "/page/changes")[0].status == 401
    assert Page(origin, token).read("changes")["runs"] == []
    assert Page(origin, token).act("events", EVENT)[0] == 200


def test_without_a_signing_key_there_is_no_token(serve):
    app = serve(fn(lambda _ctx: 1))
    assert app.api.page == f"{app.api.origin}/"
    assert isinstance(app, App)


# Costs.


@pytest.mark.parametrize(("took_ms", "paid"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.001, 2), (12.0, 12), (12.5, 13)])
def test_each_call_is_rounded_up_to_a_millisecond(took_ms, paid):
    assert billed_ms(took_ms) == paid


def test_a_million_calls_of_100_ms():
    """By hand: 1M x 0.1 s x 0.125 GB = 12,500 GB-s, and the requests."""
    cost = cost_of([100.0] * 1000, Size(128, "arm64"))
    assert (cost.invocations, cost.billed_ms) == (1000, 100_000)
    assert isclose(cost.usd * 1000, 12_500 * 0.0000133334 + 0.20)
    assert cost_of([], Size()).usd == 0


@pytest.mark.parametrize(
    ("size", "message"), [((127, "arm64"), "127 MB"), ((10241, "arm64"), "10241 MB"), ((512, "arm"), "'arm'")]
)
def test_a_size_that_lambda_does_not_have(size, message):
    with pytest.raises(ConfigurationError, match=message):
        Size(*size)
