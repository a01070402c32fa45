"""The engine's HTTP side: sync, events, signals, state; and an app in cloud mode, which wants everything signed."""

from __future__ import annotations

import json
import re
from http.client import BadStatusLine, HTTPConnection
from threading import Thread
from urllib.parse import urlsplit

import pytest
from engine_app import EVENT, KEY, START_MS, TRIGGERS, URL, App, Do, EngineError, both, declare

from inngest_serverless import (
    Client,
    ConfigurationError,
    NonRetriableError,
    Throttle,
    create_function,
    event_trigger,
)
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.calls import MAX_BODY_BYTES
from inngest_serverless.local.conditions import ConditionError, check_condition, holds
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.guard import Guard
from inngest_serverless.local.ids import function_uuid, seeded_ids
from inngest_serverless.protocol.signing import SigningKey
from inngest_serverless.version import __version__

SEED = "1795308509626,jSvafApgNEirjg=="
SEEDED = ["01M80BKPDTHMNXMZ0AC0T4HAWF", "01M80BKPDTHMNXMZ0AC0T4HAWG"]  # as the server made of it in a recording
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is how it is handled
OTHER_KEY = "signkey-test-" + "f" * 64


def exchange(origin, method, path, body=None, **headers):
    connection = HTTPConnection(urlsplit(origin).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply, reply.read()
    finally:
        connection.close()


def request(app, method, path, document=None, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    reply, answer = exchange(app.api.origin, method, path, body if method == "POST" else None, **headers)
    return reply.status, json.loads(answer)


@pytest.fixture
def app(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"))
    def fn(ctx):
        return ctx.event.data

    return serve(fn)


# Sync.


def registration(app):
    [function] = app.engine.functions.values()
    step = {"runtime": {"type": "http", "url": function.url}, "retries": {"attempts": 4}}
    return {"id": function.id, "name": "fn", "triggers": list(function.triggers), "steps": {"step": step}}


def test_a_sync_says_whether_it_changed_anything(app):
    same = {"appName": "app", "functions": [registration(app)]}
    assert request(app, "POST", "/fn/register", same) == (200, {"ok": True, "modified": False})
    other = {"appname": "app", "functions": [registration(app) | {"id": "app-new"}]}
    assert request(app, "POST", "/fn/register?deployId=1", other) == (200, {"ok": True, "modified": True})
    assert list(app.engine.functions) == ["app-new"]


def test_apps_do_not_replace_one_another(app):
    document = {"appName": "two", "functions": [registration(app) | {"id": "two-fn"}]}
    assert request(app, "POST", "/fn/register", document)[0] == 200
    assert list(app.engine.functions) == ["app-fn", "two-fn"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "JSONDecodeError"),
        ([], "AttributeError"),
        ({}, "KeyError('functions')"),
        ({"functions": [{"id": "x"}]}, "a function's registration cannot be read"),
        ({"functions": [7]}, "a function's registration cannot be read"),
    ],
)
def test_a_sync_that_cannot_be_read_is_refused(app, document, message):
    status, answer = request(app, "POST", "/fn/register", document)
    assert (status, answer["status"]) == (400, 400)
    assert message in answer["error"]
    assert list(app.engine.functions) == ["app-fn"]


def test_a_trigger_whose_condition_is_not_cel_is_refused(serve):
    """Or its first event would be the one to find out."""

    @create_function(id="fn", trigger=event_trigger("test/started", expression="event.data.id =="))
    def fn(_ctx):
        return 1

    told = r"function \W+app-fn\W+: the condition \W+event\.data\.id ==\W+ is not CEL"
    with pytest.raises(AssertionError, match=told):
        serve(fn)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("event.data.id = 3", "token recognition error at: '= ' at character 15; write == to compare"),
        ("event.data.id == ", "mismatched input '<EOF>' at character 18"),
        ("event.data.id == 'a=b' &&", "mismatched input '<EOF>' at character 26"),
    ],
)
def test_what_is_wrong_with_a_condition_is_one_line(expression, fault):
    with pytest.raises(ConditionError) as raised:
        check_condition(expression)
    assert str(raised.value) == f"the condition {expression!r} is not CEL: {fault}"


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("data.order_id", "event.data.order_id"),
        ("order_id", "event.data.order_id"),
        ("user.id", "event.user.id"),
        ("event.data.a == 1 || data.items.size() > 1", "event.data.items"),
        ("event.data.list.exists(x, x.y == data.z)", "event.data.z"),
        ("event.data.text == 'is data.a' && data.b == 1", "event.data.b"),
    ],
)
def test_what_is_never_there_is_refused(expression, meant):
    with pytest.raises(ConditionError, match=rf"; did you mean {re.escape(meant)}\?$"):
        check_condition(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "has(event.data.x)",
        "event.data.x in ['data.a', \"data.b\"]",
        "event.data.list.exists(x, x.y == 2) || event.data.list.exists_one( data , data > 1)",
        "event.data.list.map(x, x > 1, x.y) == [] && event.data.list.all(e, e == 'it\\'s') && event.data.o.filter(k, k)",
        "event.data.list.exists(// each of them\n x, x == 1)",
        "type(event.data.x) == int || type(event.data.x) == null_type",
        "math.greatest(event.data.x, 2) == 2 && cel.bind(v, event.data.x, v == 1)",
        "timestamp(event.data.at) > timestamp('2020-01-01T00:00:00Z') && duration('1h') > duration('1s')",
        "{'a': event.data['b']} == event.data.c && lowercase(event.data.x) == 'a'",
        ".event.data.x == true && event.data.x != null && event.ts > 1u && event.name == b'abc'",
        "event.data.x == async.data.x && event.data.y // data.z",
        r"r'data.x' == event.data.x",
    ],
)
def test_what_may_be_there_is_not(expression):
    check_condition(expression)


def test_a_condition_that_cannot_be_evaluated_is_told_with_its_function(caplog):
    assert not holds("event.data.id > 'a'", {"data": {"id": 1}}, owner="app-fn")
    [record] = caplog.records
    expected = "function 'app-fn': the expression \"event.data.id > 'a'\" came to nothing: No such overload: "
    assert record.getMessage() == f"{expected}the operation is not defined for the given operand types"


def test_retries_that_are_not_given_are_four(app):
    document = registration(app)
    del document["steps"]["step"]["retries"]
    request(app, "POST", "/fn/register", {"appName": "app", "functions": [document]})
    assert app.engine.functions["app-fn"].max_attempts == 5


# Events.


@both
def test_events_of_a_step_start_runs(serve, kind):
    def script(_ctx):
        return (yield Do("send_event", "send", [{"name": "test/sent", "data": {"n": 1}}, {"name": "test/sent"}]))

    def receive(ctx):
        return ctx.event.data

    receiver = create_function(id="receiver", trigger=event_trigger("test/sent"))(receive)
    app = serve(declare(kind, script), receiver)
    run = app.run()
    first, second = app.engine.finish_all()[1:]
    assert [first.output, second.output] == [{"n": 1}, {}]
    assert run.output == [first.events[0]["id"], second.events[0]["id"]]


@both
def test_events_that_a_step_sends_again_are_taken_once(serve, kind):
    """A step that fails after it has sent is tried again, and so are its events: with the same IDs."""
    attempts = []

    def script(ctx):
        ids = yield Do("send_event", "send", {"name": "test/sent"})
        attempts.append(ids)
        return ids

    receiver = create_function(id="receiver", trigger=event_trigger("test/sent"))(lambda ctx: ctx.event.id)
    app = serve(declare(kind, script), receiver)
    run = app.engine.send(EVENT)[0]
    app.engine.advance("0s")
    call = app.calls[0]
    for _ in range(2):  # the same call once more, as after a reply that was lost
        app._exchange("POST", call.url, call.headers, call.body)
    app.engine.finish_all()
    assert [r.output for r in app.engine.runs if r.function.id == "app-receiver"] == run.output


def test_the_seed_makes_the_ids_that_the_server_makes(app):
    events = [{"name": "test/started"}, {"name": "test/started"}]
    headers = {"X-Inngest-Event-Id-Seed": SEED}
    for _ in range(2):
        assert request(app, "POST", "/e/key", events, **headers) == (200, {"ids": SEEDED, "status": 200})
    app.engine.finish_all()
    app.engine.advance("0s")
    assert [run.events[0]["id"] for run in app.engine.runs] == SEEDED


@pytest.mark.parametrize(
    "seed", ["", "x", "1,", "1,AAAA", "-1,jSvafApgNEirjg==", "999999999999999999,jSvafApgNEirjg=="]
)
def test_what_is_no_seed_is_not_used(seed):
    assert seeded_ids(seed, 1) is None


@pytest.mark.parametrize("document", [{}, [{"name": "a"}, {"name": ""}], "text", [1], {"name": 5}, b"{"])
def test_what_is_no_event_is_refused(app, document):
    status, answer = request(app, "POST", "/e/key", document)
    assert (status, answer["status"]) == (400, 400)
    app.engine.advance("1s")
    assert app.engine.runs == []


@pytest.mark.parametrize("name", ["inngest/function.failed", "Inngest/mine"])
def test_names_of_the_servers_own_events_are_refused(app, name):
    answer = {"error": f"event name is reserved for internal use: {name}", "status": 400}
    assert request(app, "POST", "/e/key", [{"name": "test/started"}, {"name": name}]) == (400, answer)
    app.engine.advance("1s")
    assert app.engine.runs == [], "the event before it is not taken either"


def test_the_servers_own_field_is_taken_out(app):
    """An invoked function may pass on the event that it was given."""
    sent = {"name": "test/started", "data": {"n": 1, "_inngest": {"correlation_id": "r.s"}}}
    assert request(app, "POST", "/e/key", sent)[0] == 200
    [run] = app.engine.finish_all()
    assert run.events[0]["data"] == {"n": 1}


@both
def test_a_step_cannot_send_the_servers_own_events(serve, kind):
    def script(_ctx):
        yield Do("send_event", "send", {"name": "inngest/function.finished"})

    run = serve(declare(kind, script)).run()
    assert run.status == "failed"
    assert "event name is reserved for internal use: inngest/function.finished" in run.error["message"]


def test_an_event_gets_what_it_lacks(app):
    app.engine.send({"name": "test/started", "data": None, "user": None, "ts": None, "id": None})
    [run] = app.engine.finish_all()
    event = run.events[0]
    assert (event["data"], event["user"], event["ts"], len(event["id"])) == ({}, {}, START_MS, 26)


def test_events_come_in_while_time_passes(app):
    """They are dealt with in their order, before what is due later."""
    client = Client(is_dev=True, event_api_base_url=app.api.origin)
    sender = Thread(target=client.send, args=({"name": "test/started", "data": {"n": 1}},))
    sender.start()
    sender.join()
    assert app.engine.runs == []
    app.engine.advance("1s")
    [run] = app.engine.runs
    assert (run.output, run.timeline[0].at_ms) == ({"n": 1}, START_MS)


# Signals.


@both
def test_a_client_sends_a_signal(serve, kind):
    def script(_ctx):
        signal = yield Do("wait_for_signal", "wait", signal="go", timeout="1d")
        return signal.data

    app = serve(declare(kind, script))
    client = Client(is_dev=True, api_base_url=app.api.origin)
    assert client.send_signal("go") is None
    run = app.start()
    assert client.send_signal("go", {"n": 1}) == run.id
    assert client.send_signal("go") is None, "it waits for one only"
    assert app.engine.finish(run).output == {"n": 1}


# State.


@both
def test_state_over_the_limit_is_fetched(serve, kind):
    text = "x" * (MAX_BODY_BYTES // 2)

    def script(_ctx):
        first = yield Do("run", "first", lambda: text)
        second = yield Do("run", "second", lambda: text)
        return len(first) + len(second)

    app = serve(declare(kind, script), signing_key=KEY)
    assert app.run().output == 2 * len(text)
    assert [(call.ctx["use_api"], call.json["use_api"]) for call in app.calls] == [(False,) * 2] * 2 + [(True,) * 2]
    assert app.calls[2].json["steps"] == {}
    assert len(app.calls[2].ctx["stack"]["stack"]) == 2


def test_without_an_api_state_goes_out_whole(app):
    app.engine.has_api = False
    app.engine.send({"name": "test/started", "data": {"text": "x" * MAX_BODY_BYTES}})
    [run] = app.engine.finish_all()
    assert run.status == "completed"
    assert len(app.calls[0].body) > 2 * MAX_BODY_BYTES
    assert app.calls[0].ctx["use_api"] is False


@pytest.mark.parametrize(
    "path", ["/v0", "/v0/runs/RUN", "/v0/runs/RUN/actions/x", "/v0/runs/01RUN/batch", "/v1/runs", "/v1/runs/RUN/jobs"]
)
def test_what_is_not_served(app, path):
    path = path.replace("/RUN", f"/{app.run().id}")
    for method in ("GET", "POST", "DELETE"):
        status, answer = request(app, method, path, {})
        assert (status, answer["error"]) == (404, f"the local engine serves no {method} {path}")


# The official server's REST API.


def test_a_run_is_polled_by_its_event(serve):
    """As programs do that wait for the output of a run: they know the event only."""

    def body(ctx):
        ctx.step.sleep("nap", "2d")
        return {"answer": 42}

    app = serve(create_function(id="fn", trigger=event_trigger("test/started"))(body))
    [event_id] = request(app, "POST", "/e/key", {"name": "test/started"})[1]["ids"]
    assert request(app, "GET", f"/v1/events/{event_id}/runs")[1]["data"] == [], "not dealt with yet"
    app.engine.advance("1d")
    [run] = request(app, "GET", f"/v1/events/{event_id}/runs")[1]["data"]
    assert run == {
        "run_id": app.engine.runs[0].id,
        "run_started_at": "2026-11-22T00:48:28.994Z",
        "function_id": function_uuid("app-fn"),
        "function_version": 1,
        "environment_id": "00000000-0000-0000-0000-000000000000",
        "event_id": event_id,
        "status": "Running",
        "ended_at": None,
    }
    app.engine.advance("1d")
    status, answer = request(app, "GET", f"/v1/runs/{run['run_id']}")
    assert (status, answer["metadata"]["cached_until"]) == (200, None)
    assert answer["data"] == run | {
        "status": "Completed",
        "ended_at": "2026-11-24T00:48:28.994Z",
        "output": {"answer": 42},
    }


def test_the_output_of_a_failed_run_is_its_error(serve):
    def body(_ctx):
        raise NonRetriableError("no such account")

    app = serve(create_function(id="fn", trigger=event_trigger("test/started"))(body))
    run = request(app, "GET", f"/v1/runs/{app.run().id}")[1]["data"]
    assert (run["status"], run["output"]["name"]) == ("Failed", "NonRetriableError")
    assert run["output"]["message"] == "no such account"
    assert "Traceback" in run["output"]["stack"]


def test_a_run_is_cancelled(serve):
    app = serve(
        create_function(id="fn", trigger=event_trigger("test/started"))(lambda ctx: ctx.step.sleep("nap", "2d"))
    )
    run = app.start()
    for _ in range(2):  # once more changes nothing
        reply, body = exchange(app.api.origin, "DELETE", f"/v1/runs/{run.id}")
        assert (reply.status, body) == (200, b"")
        app.engine.advance("0s")
        assert request(app, "GET", f"/v1/runs/{run.id}")[1]["data"]["status"] == "Cancelled"


def test_a_throttled_run_is_scheduled(serve):
    throttled = create_function(id="fn", trigger=event_trigger("test/started"), throttle=Throttle(1, "1h"))
    app = serve(throttled(lambda ctx: ctx.step.sleep("nap", "2d")))
    for _ in range(2):
        app.engine.send(EVENT)
    runs = [request(app, "GET", f"/v1/runs/{run.id}")[1]["data"]["status"] for run in app.engine.runs]
    assert runs == ["Running", "Scheduled"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/runs/01X"), ("DELETE", "/v1/runs/01X"), ("GET", "/v1/events/01X")]
)
def test_what_is_not_there_is_not_found(app, method, path):
    status, answer = request(app, method, path)
    assert (status, answer["status"]) == (404, 404)
    assert request(app, "GET", "/v1/events/01X/runs")[1]["data"] == [], (
        "an event that is still on its way, for all it knows"
    )


def test_events_are_listed_newest_first(app):
    ids = [app.engine.post([{"name": name, "data": {"n": 1}}])[0] for name in ("a", "b", "a")]
    app.engine.advance("1s")

    def listed(query):
        return [event["id"] for event in request(app, "GET", f"/v1/events{query}")[1]["data"]]

    assert listed("") == ids[::-1]
    assert listed("?name=a") == [ids[2], ids[0]]
    assert listed("?limit=2") == [ids[2], ids[1]]
    assert listed(f"?limit=1&cursor={ids[2]}") == [ids[1]]
    assert listed("?cursor=01X") == []
    assert listed("?received_after=2026-11-22T00:48:29Z") == []
    assert listed("?received_before=2026-11-22T00:48:29Z&received_after=2026-11-22") == ids[::-1]
    for wrong in ("?limit=x", "?received_after=yesterday"):
        assert request(app, "GET", f"/v1/events{wrong}")[0] == 400
    event = request(app, "GET", f"/v1/events/{ids[0]}")[1]["data"]
    assert (event["name"], event["data"], event["internal_id"]) == ("a", {"n": 1}, ids[0])
    assert event["received_at"] == "2026-11-22T00:48:28.994Z"


def test_signs_of_life(app):
    assert request(app, "GET", "/health") == (200, {"status": 200, "message": "OK"})
    status, answer = request(app, "GET", "/dev")
    assert (status, answer["version"]) == (200, f"inngest-serverless {__version__}")


# Who may ask.


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "10.0.0.7", "localhost.evil.example", "", "[", "127.0.0.1@evil.example"]
)
def test_a_name_that_somebody_else_points_here_is_refused(app, host):
    """DNS rebinding: the browser believes that the page it shows comes from here."""
    for method, path in (("GET", "/"), ("GET", "/page/changes"), ("POST", "/e/key"), ("GET", "/health")):
        status, answer = request(app, method, path, EVENT, Host=host)
        assert (status, answer["error"].startswith(f"host {host!r} is not this server's")) == (403, True), path
    app.engine.advance("1s")
    assert app.engine.runs == []


@pytest.mark.parametrize(
    "host", ["localhost:8288", "LOCALHOST", "127.0.0.1", "127.1.2.3:1", "[::1]:8288", "app.localhost"]
)
def test_this_machine_has_several_names(app, host):
    assert request(app, "GET", "/health", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("given", "host", "is_own"),
    [
        ("dev.example", "dev.example:1", True),
        ("dev.example", "x.example", False),
        (EVERYWHERE, "192.168.1.5:1", True),
        (EVERYWHERE, "x.example", False),
        ("::", "[fe80::1]", True),
    ],
)
def test_the_host_that_it_is_given_is_its_own(given, host, is_own):
    assert (Guard(given).refusal("GET", {"Host": host}) is None) is is_own


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null", "http://127.0.0.1"])
def test_a_page_from_elsewhere_may_not_change_anything(serve, origin):
    app = serve(
        create_function(id="fn", trigger=event_trigger("test/started"))(lambda ctx: ctx.step.sleep("nap", "2d"))
    )
    run = app.start()
    paths = ["/e/key", "/fn/register", "/v1/signals", "/page/events", f"/page/runs/{run.id}/cancel"]
    for method, path in [("DELETE", f"/v1/runs/{run.id}"), *(("POST", path) for path in paths)]:
        assert request(app, method, path, EVENT, Origin=origin)[0] == 403, path
    app.engine.advance("1s")
    assert ([run.status], len(app.engine.runs)) == (["running"], 1)
    reply, _ = exchange(app.api.origin, "GET", "/page/app", Origin=origin)
    assert reply.getheader("Access-Control-Allow-Origin") is None


def test_a_page_from_here_may(app):
    headers = {"Origin": app.api.origin, "Content-Type": "application/json"}
    assert request(app, "POST", "/page/events", EVENT, **headers)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "x"},
        {"Content-Length": "-1"},
        {"Content-Length": "99999999999"},
        {"Content-Length": "9" * 5000},
        {"Transfer-Encoding": "chunked"},
    ],
    ids=["no number", "negative", "large", "endless", "chunked"],
)
def test_a_request_of_unknown_length_is_refused(app, headers):
    connection = HTTPConnection(urlsplit(app.api.origin).netloc, timeout=60)
    connection.putrequest("POST", "/e/key")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("Connection")) == (413, "close")
    assert "Content-Length" in json.loads(reply.read())["error"]
    connection.close()


# Where it listens.


def test_it_listens_where_it_is_told(app):
    port = urlsplit(app.api.origin).port
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}: .*in use"):
        LocalApi(app.engine, port=port)
    with pytest.raises(ConfigurationError, match=r"cannot listen on nowhere\.invalid:0"):
        LocalApi(app.engine, "nowhere.invalid")


@pytest.mark.parametrize(("host", "shown"), [("localhost", "localhost"), (EVERYWHERE, "127.0.0.1"), ("::1", "[::1]")])
def test_its_origin_leads_there(host, shown):
    try:
        api = LocalApi(Engine(lambda *_request: None), host)
    except ConfigurationError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with api:
        assert urlsplit(api.origin).netloc.rpartition(":")[0] == shown
        assert exchange(api.origin, "GET", "/health")[0].status == 200


def test_whoever_keeps_the_connection_does_not_talk_to_a_server_that_has_stopped():
    def ask():
        connection.request("GET", "/health")
        return connection.getresponse().read()

    with LocalApi(Engine(lambda *_request: None)) as api:
        connection = HTTPConnection(urlsplit(api.origin).netloc, timeout=60)
        assert ask()
    with pytest.raises((ConnectionError, BadStatusLine)):
        ask()
    connection.close()


# Signed.


@both
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_an_app_in_cloud_mode_verifies_every_call(serve, kind, trigger):
    def script(_ctx):
        yield Do("run", "step", lambda: "Zoë ✓")
        return (yield Do("run", "other", lambda: 1.0))

    app = serve(declare(kind, script), signing_key=KEY, trigger=trigger)
    assert app.run({"name": "test/started", "data": {"big": 12345678901234567890, "s": "</script>"}}).output == 1
    assert all("X-Inngest-Signature" in call.headers for call in app.calls)
    assert all("x-inngest-signature" in call.reply.headers for call in app.calls)


def test_an_app_with_another_key_refuses(serve):
    app = serve(declare("sync", lambda _ctx: iter(())), signing_key=KEY)
    app.engine.key = SigningKey(OTHER_KEY)
    run = app.run()
    assert run.status == "failed"
    assert run.error == {"name": "Error", "message": "the request is not signed as it must be"}
    assert [call.reply.status for call in app.calls] == [401] * 5


@pytest.mark.parametrize("authorization", [None, "Bearer x", SigningKey(OTHER_KEY).bearer()])
def test_the_api_of_a_signed_engine_wants_the_key(serve, authorization):
    app = serve(declare("sync", lambda _ctx: iter(())), signing_key=KEY)
    run = app.run()
    headers = {"Authorization": authorization} if authorization else {}
    paths = [
        *(("POST", "/fn/register"), ("POST", "/v1/signals"), ("GET", f"/v0/runs/{run.id}/actions")),
        *(("GET", f"/v1/runs/{run.id}"), ("DELETE", f"/v1/runs/{run.id}"), ("GET", "/v1/events")),
        *(("GET", "/page/changes"), ("GET", f"/page/runs/{run.id}"), ("POST", "/page/events")),
    ]
    assert [request(app, method, path, {}, **headers)[0] for method, path in paths] == [401] * 9
    assert request(app, "POST", "/e/key", [], **headers)[0] == 200
    assert request(app, "GET", "/health", **headers)[0] == 200


def test_the_api_takes_the_key_with_its_prefix_and_without(serve):
    app = serve(declare("sync", lambda _ctx: iter(())), signing_key=KEY)
    run = app.run()
    key = SigningKey(KEY)
    for authorization in (key.bearer(), f"Bearer {key.hashed()}"):
        path = f"/v0/runs/{run.id}/batch"
        assert request(app, "GET", path, Authorization=authorization) == (200, run.events)


def test_an_api_that_is_closed_is_not_used(serve):
    from contextlib import ExitStack

    with ExitStack() as stack:
        app = App(stack, [declare("sync", lambda _ctx: iter(()))])
        assert app.engine.has_api
    assert not app.engine.has_api
    with pytest.raises(EngineError, match="an event needs a name"):
        app.engine.send({"data": {}})
    assert URL in app.engine.functions["app-fn"].url
