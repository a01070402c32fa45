"""Google's functions-framework on this machine, with each of its servers, in processes of its own."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from inngest_serverless.gcp.framework import SERVERS, FunctionsFramework, FunctionsFrameworkError
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
URL = "https://orders-abcdefghij-ew.a.run.app/api/inngest"
SIGNUP = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}
FUNCTIONS = """
    import asyncio, os, threading, time
    import httpx
    from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_gcf_async

    @create_function(id="sync", trigger=event_trigger("app/sync"))
    def sync(ctx):
        number = ctx.step.run("think", think, ctx.event.data["number"])
        return {"number": number, "run": ctx.run_id, "kind": "sync"}

    def think(number):
        time.sleep(0.01)
        return number

    @create_function(id="async", trigger=event_trigger("app/async"))
    async def coroutine(ctx):
        number, twice = await asyncio.gather(
            ctx.step.run("think", think_async, ctx.event.data["number"]),
            ctx.step.run("twice", think_async, 2 * ctx.event.data["number"]),
        )
        return {"number": number, "twice": twice, "run": ctx.run_id, "kind": "async"}

    async def think_async(number):
        await asyncio.sleep(0.01)
        return number

    @create_function(id="events", trigger=event_trigger("app/events"))
    async def events(ctx):
        return await ctx.step.send_event("send", {"name": "app/sent", "data": ctx.event.data})

    @create_function(id="slow", trigger=event_trigger("app/slow"))
    async def slow(ctx):
        print("begun", flush=True)
        time.sleep(ctx.event.data["seconds"])
        return os.getpid()

    served = [sync, coroutine, events, slow]
    handler = inngest_gcf(served)
    asgi_handler = inngest_gcf_async(served)

    def broken():
        raise RuntimeError("never called")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("functions with a space") / "main.py"
    path.write_text(dedent(FUNCTIONS))
    return path


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
def framework(server, source, engine):
    env = {"INNGEST_DEV": engine.origin, "THREADS": "32"}
    with FunctionsFramework(_target(server), source=source, server=server, env=env, service="orders") as running:
        engine.serve = running.exchange
        yield running


def _target(server):
    return "asgi_handler" if server == "asgi" else "handler"


def _call(framework, function, number, steps=None, **data):
    event = {"name": f"app/{function}", "data": {"number": number, **data}}
    document = {"ctx": {"run_id": f"run-{number}"}, "event": event, "events": [event], "steps": steps or {}}
    url = f"{URL}?fnId=orders-{function}&stepId=step"
    reply = framework.exchange("POST", url, {"Content-Type": "application/json"}, json.dumps(document).encode())
    return reply.status, json.loads(reply.body)


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


def test_the_entrypoints_complete_the_workflow(server, engine):
    file = "gcp_http_async.py" if server == "asgi" else "gcp_http.py"
    source = ROOT / "handlers" / file
    with FunctionsFramework("handler", source=source, server=server, env={"INNGEST_DEV": engine.origin}) as running:
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


def _calls_at_once(framework, factors):
    """A hundred calls, whose steps are known to have returned the call's number times a factor."""

    def call(number):
        steps = {key: {"data": factor * number} for key, factor in factors.items()}
        return _call(framework, "sync" if number % 2 else "async", number, steps)

    with ThreadPoolExecutor(100) as pool:
        return list(pool.map(call, range(100)))


@pytest.mark.parametrize("server", ["gunicorn", "asgi"], indirect=True)
def test_a_call_that_blocks_keeps_no_other_waiting(framework):
    with ThreadPoolExecutor(9) as pool:
        slow = [pool.submit(_call, framework, "slow", number, seconds=1) for number in range(8)]
        time.sleep(0.2)
        began = time.monotonic()
        assert _call(framework, "sync", 1)[0] == 206
        assert time.monotonic() - began < 0.5
        assert {call.result()[0] for call in slow} == {200}
    assert time.monotonic() - began < 4


# Its end.


def test_sigterm_lets_the_call_end_and_leaves_no_process(server, source):
    """As when Cloud Run stops an instance."""
    env = {"INNGEST_DEV": "1"}
    running = FunctionsFramework(_target(server), source=source, server=server, env=env, service="orders")
    with running, ThreadPoolExecutor(1) as pool:
        assert _call(running, "sync", 1)[0] == 206
        leader = running.process
        assert _processes(leader.pid)
        call = pool.submit(_call, running, "slow", 1, seconds=0.5)
        while "begun" not in running.log:
            time.sleep(0.01)
        leader.terminate()
        leader.wait(10)
        if server != "debug":  # Flask's own server drops what it is doing
            assert call.result()[0] == 200
        deadline = time.monotonic() + 5
        while _processes(leader.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _processes(leader.pid) == []
    assert "Traceback" not in running.log


# The process itself.


def test_a_function_that_cannot_be_imported(server, tmp_path):
    (tmp_path / "main.py").write_text("raise RuntimeError('no database')\n")
    running = FunctionsFramework("handler", source=tmp_path / "main.py", server=server)
    with pytest.raises(FunctionsFrameworkError, match=r"did not start[^$]*no database"):
        running.start()
    assert "no database" in running.log


def test_start_and_stop(source):
    running = FunctionsFramework("handler", source=source, env={"INNGEST_DEV": "1"})
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
