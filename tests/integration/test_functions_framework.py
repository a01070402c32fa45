"""Google's functions-framework on this machine, with each of its servers, in processes of its own."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from staging import ROOT, stage
from waiting import until

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.functions_framework import SERVERS, FunctionsFramework, FunctionsFrameworkError
from inngest_serverless.protocol.signing import SigningKey, sign

pytestmark = pytest.mark.integration

KEY = "signkey-test-" + "5e" * 32
URL = "https://orders-abcdefghij-ew.a.run.app/api/inngest"
SIGNUP = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A folder with all that is served, and the variables with which it is found."""
    folder = tmp_path_factory.mktemp("functions with a space")
    variables = stage(folder, ROOT / "handlers", Path(__file__).with_name("framework_app.py"))
    return folder, variables


@pytest.fixture(scope="module")
def start(staged):
    """Makes functions-framework for a file of the folder; nothing else in the checkout makes ``--debug`` restart it."""
    folder, variables = staged

    def make(target, server="gunicorn", *, source="framework_app.py", service="orders", **env):
        return FunctionsFramework(
            target, source=folder / source, server=server, env={**variables, **env}, service=service
        )

    return make


@pytest.fixture(scope="module", params=SERVERS)
def server(request):
    return request.param


@pytest.fixture(scope="module")
def engine():
    """An engine whose endpoint is set to whatever serves the app."""
    engine = Engine(lambda *request: engine.serve(*request))  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api:
        engine.origin = api.origin
        yield engine


@pytest.fixture(scope="module")
def framework(server, start, engine):
    with start(_target(server), server, INNGEST_DEV=engine.origin, THREADS="32") as running:
        engine.serve = running.exchange
        yield running


def _target(server):
    return "asgi_handler" if server == "asgi" else "handler"


def _call(framework, function, number, steps=None):
    body = _body(function, number, steps)
    reply = framework.exchange("POST", _call_url(function), {"Content-Type": "application/json"}, body)
    return reply.status, json.loads(reply.body)


def _call_url(function):
    return f"{URL}?fnId=orders-{function}&stepId=step"


def _body(function, number, steps=None):
    event = {"name": f"app/{function}", "data": {"number": number}}
    document = {"ctx": {"run_id": f"run-{number}"}, "event": event, "events": [event], "steps": steps or {}}
    return json.dumps(document).encode()


def _processes(session):
    """The IDs of the live processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, owner = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(owner) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


# The app as it is deployed.


def test_the_entrypoints_complete_the_workflow(server, start, engine):
    source = "handlers/gcp_http_async.py" if server == "asgi" else "handlers/gcp_http.py"
    with start("handler", server, source=source, INNGEST_DEV=engine.origin) as running:
        engine.serve = running.exchange
        assert running.exchange("PUT", URL, {}, b"").status == 200
        assert engine.functions["core-account-created"].url == f"{URL}?fnId=core-account-created&stepId=step"
        run = engine.execute(SIGNUP)
    assert (run.status, run.output, run.calls) == ("completed", "done", 5)


def test_a_function_with_parallel_steps_and_one_that_sends_events(framework, engine):
    assert framework.exchange("PUT", URL, {}, b"").status == 200
    run = engine.execute({"name": "app/async", "data": {"number": 4}})
    assert run.output == {"number": 4, "twice": 8, "run": run.id, "kind": "async"}
    run = engine.execute({"name": "app/events", "data": {"number": 1}})
    assert run.status == "completed"
    assert len(run.output) == 1


# Many calls at once.


def test_a_hundred_calls_at_once(framework):
    """Sync and async functions in turn, each with a step of its own to run or to plan."""
    replies = _calls_at_once(framework, {})
    for number, (status, opcodes) in enumerate(replies):
        ran = [(opcode["op"], opcode["name"], opcode["data"]) for opcode in opcodes]
        planned = [("StepPlanned", "think", None), ("StepPlanned", "twice", None)]
        assert (status, ran) == (206, [("StepRun", "think", number)] if number % 2 else planned)


def test_a_hundred_calls_at_once_that_end_their_runs(framework):
    think, twice = (opcode["id"] for opcode in _call(framework, "async", 0)[1])
    replies = _calls_at_once(framework, {think: 1, twice: 2})
    for number, reply in enumerate(replies):
        if number % 2:
            assert reply == (200, {"number": number, "run": f"run-{number}", "kind": "sync"})
        else:
            assert reply == (200, {"number": number, "twice": 2 * number, "run": f"run-{number}", "kind": "async"})


def test_a_hundred_calls_at_once_that_send_events(framework):
    """Each thread's loop has connections of its own; one that met another loop would fail."""
    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda number: _call(framework, "events", number), range(100)))
    assert {status for status, _ in replies} == {206}
    opcodes = [opcode for _, [opcode] in replies]
    assert [(opcode["op"], opcode["name"]) for opcode in opcodes] == [("StepRun", "send")] * 100
    assert len({event_id for opcode in opcodes for event_id in opcode["data"]}) == 100


def _calls_at_once(framework, factors):
    """A hundred calls, whose steps are known to have returned the call's number times a factor."""

    def call(number):
        steps = {key: {"data": factor * number} for key, factor in factors.items()}
        return _call(framework, "sync" if number % 2 else "async", number, steps)

    with ThreadPoolExecutor(100) as pool:
        return list(pool.map(call, range(100)))


@pytest.mark.parametrize("server", ["gunicorn", "asgi"], indirect=True)
def test_calls_that_block_keep_no_other_waiting(framework):
    with ThreadPoolExecutor(8) as pool:
        stuck = [pool.submit(_call, framework, "stuck", number) for number in range(8)]
        _wait_for(framework, "stuck", times=8)
        assert _call(framework, "sync", 1)[0] == 206
        assert _call(framework, "release", 1) == (200, True)
        assert {call.result() for call in stuck} == {(200, True)}, "they waited in vain to be let go on"


def _wait_for(framework, text, times=1):
    until(lambda: framework.log.count(text) >= times, lambda: f"{text!r} {times} times in the log:\n{framework.log}")


# What comes over HTTP.


def test_a_body_in_chunks_is_the_body_that_was_signed(server, start):
    """HTTP/1.1 lets a client send it without its length."""
    body = _body("sync", 7)
    with start(_target(server), server, INNGEST_SIGNING_KEY=KEY) as running:
        for sent, status in ((body, 206), (body.replace(b"7", b"8"), 401)):
            headers = {"X-Inngest-Signature": sign(body, SigningKey(KEY), time.time())}
            assert _post_in_chunks(running, [sent[:9], sent[9:10], sent[10:]], headers) == status


def _post_in_chunks(framework, chunks, headers):
    connection = HTTPConnection(framework.origin.removeprefix("http://"), timeout=30)
    try:
        target = _call_url("sync").partition(".app")[2]
        connection.request("POST", target, iter(chunks), headers, encode_chunked=True)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_other_methods_are_refused_and_leave_the_connection_in_order(framework, method):
    connection = HTTPConnection(framework.origin.removeprefix("http://"), timeout=30)
    try:
        for _ in range(2):
            connection.request(method, "/api/inngest", b"not asked for")
            reply = connection.getresponse()
            assert (reply.status, reply.getheader("Allow")) == (405, "GET, PUT, POST")
            assert (reply.read() == b"") is (method == "HEAD")
    finally:
        connection.close()


# The time of a call is up.


def test_a_call_whose_time_is_up_leaves_nothing_to_the_next_one(start):
    """functions-framework raises an exception in the thread, which may be anywhere: here it is in the event loop."""
    env = {"CLOUD_RUN_TIMEOUT_SECONDS": "1", "THREADED_TIMEOUT_ENABLED": "true", "THREADS": "2"}
    with start("handler", INNGEST_DEV="1", **env) as running:
        with ThreadPoolExecutor(2) as pool:
            late = pool.map(lambda n: running.exchange("POST", _call_url("late"), {}, _body("late", n)), range(2))
        assert {reply.status for reply in late} == {500}
        assert [_call(running, "look", number) for number in range(8)] == [(200, [])] * 8
        assert [running.log.count(f"ended run-{number}") for number in range(2)] == [1, 1]
    assert "exited with code" not in running.log, "the server's worker died of it"


# Its end.


def test_sigterm_lets_the_call_end_and_leaves_no_process(server, start):
    """As when Cloud Run stops an instance."""
    with start(_target(server), server, INNGEST_DEV="1") as running, ThreadPoolExecutor(1) as pool:
        assert _call(running, "sync", 1)[0] == 206
        leader = running.process
        assert _processes(leader.pid)
        call = pool.submit(_call, running, "late", 1)
        _wait_for(running, "begun")
        leader.terminate()
        leader.wait(10)
        if server != "debug":  # Flask's own server drops what it is doing
            assert call.result()[0] == 200
        until(lambda: not _processes(leader.pid), lambda: f"processes {_processes(leader.pid)} to end")
    assert "Traceback" not in running.log


# The process itself.


@pytest.mark.parametrize("server", ["debug"], indirect=True)
def test_debug_watches_nothing_that_others_write_to(framework):
    """It starts anew when a module changes in a folder of these, or below it."""
    _, places = _call(framework, "folders", 1)
    watched = {Path(place).resolve() for place in places}
    of_the_checkout = {place for place in watched if place == ROOT or ROOT in place.parents}
    assert {place for place in of_the_checkout if Path(sys.prefix) not in place.parents} == set()
    assert any(place.name == "inngest_serverless" for place in {place.parent for place in watched}), "it was not loaded"


def test_a_function_that_cannot_be_imported(server, tmp_path):
    (tmp_path / "main.py").write_text("raise RuntimeError('no database')\n")
    running = FunctionsFramework("handler", source=tmp_path / "main.py", server=server)
    with pytest.raises(FunctionsFrameworkError, match=r"did not start[^$]*no database"):
        running.start()
    assert "no database" in running.log


def test_start_and_stop(start):
    running = start("handler", INNGEST_DEV="1")
    with pytest.raises(FunctionsFrameworkError, match="is not running"):
        _ = running.process
    running.stop()
    for _ in range(2):
        with running:
            assert running.exchange("GET", URL, {}, b"").status == 200
            with pytest.raises(FunctionsFrameworkError, match="running already"):
                running.start()
    with pytest.raises(FunctionsFrameworkError, match="no reply"):
        running.exchange("GET", URL, {}, b"")
