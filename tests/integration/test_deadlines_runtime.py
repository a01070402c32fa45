"""Calls that outlive their time in the real Lambda runtime, and a process of functions-framework that is told of one."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from staging import ROOT, stage

from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.gateway import from_lambda_reply, to_lambda_event
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime

pytestmark = pytest.mark.integration

URL = "https://abc.lambda-url.eu-west-1.on.aws/api/inngest"
APP = """
    import asyncio, contextlib, os, socket, time
    from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_lambda

    cleaned = []

    def sleep():
        time.sleep(60)

    def loop():
        while True:
            pass

    def read():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            return ours.recv(1)

    def clean_up():
        try:
            time.sleep(60)
        finally:
            time.sleep(0.2)
            cleaned.append("finally")

    def nested():
        try:
            try:
                raise ValueError
            except ValueError:
                time.sleep(60)
        except Exception:
            return "swallowed"

    def swallow():
        while True:
            try:
                time.sleep(60)
            except:
                pass

    async def async_sleep():
        await asyncio.sleep(60)

    async def async_read():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            await reader.read(1)

    async def async_clean_up():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append("finally")

    async def async_swallow():
        with contextlib.suppress(BaseException):
            await asyncio.sleep(60)
        return "made up"

    def state():
        return [os.getpid(), cleaned]

    def declare(body, kind):
        trigger = event_trigger("t/x")
        if kind == "sync":
            @create_function(id=f"sync-{body.__name__}", trigger=trigger)
            def handler(ctx):
                return ctx.step.run("work", body)
        else:
            @create_function(id=f"async-{body.__name__}", trigger=trigger)
            async def handler(ctx):
                return await ctx.step.run("work", body)
        return handler

    SYNC = (sleep, loop, read, clean_up, nested, swallow, state)
    ASYNC = (async_sleep, async_read, async_clean_up, async_swallow, sleep, loop, state)
    FUNCTIONS = [declare(body, "sync") for body in SYNC] + [declare(body, "async") for body in ASYNC]

    handler = inngest_lambda(FUNCTIONS, app_id="app")
    without = inngest_lambda(FUNCTIONS, app_id="app", deadline=False)
    gcf = inngest_gcf(FUNCTIONS, app_id="app")
"""
SYNC = ["sleep", "loop", "read", "clean_up", "nested", "swallow"]
ASYNC = ["async_sleep", "async_read", "async_clean_up", "async_swallow", "sleep", "loop"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("deadlines")
    (path / "app.py").write_text(dedent(APP))
    return path


def _call(function):
    event = {"name": "t/x", "data": {}, "ts": 1}
    ctx = {"run_id": "01RUN", "attempt": 0, "max_attempts": 4, "disable_immediate_execution": False}
    ctx |= {"stack": {"stack": [], "current": 0}}
    body = json.dumps({"ctx": ctx, "event": event, "events": [event], "steps": {}}).encode()
    return "POST", f"{URL}?fnId=app-{function}&stepId=step", {"Content-Type": "application/json"}, body


def _op(reply):
    assert reply.status == 206, reply.body
    [op] = json.loads(reply.body)
    return op


def _serve(folder, timeout_seconds, **variables):
    """Calls functions in one execution environment, which has so many seconds for a call."""
    env = {"PYTHONPATH": str(ROOT), "INNGEST_DEV": "1", **variables}
    with LambdaRuntime("app.handler", cwd=folder, env=env, timeout_seconds=timeout_seconds) as runtime:
        yield lambda function: from_lambda_reply(
            "function-url", runtime.invoke(to_lambda_event("function-url", *_call(function)))
        )


@pytest.fixture(scope="module")
def invoke(folder):
    # Lambda itself has time, so that nothing is cut off where the machine is slow.
    yield from _serve(folder, 30, INNGEST_DEADLINE="1")


@pytest.fixture(scope="module")
def invoke_within_three_seconds(folder):
    yield from _serve(folder, 3, INNGEST_DEADLINE_MARGIN="1.5")


@pytest.mark.parametrize("name", ["sync-sleep", "async-async_sleep"])
def test_lambda_answers_before_it_ends_the_function(name, invoke_within_three_seconds):
    op = _op(invoke_within_three_seconds(name))
    assert (op["op"], op["error"]["name"]) == ("StepError", "DeadlineExceeded")
    assert "raise the timeout of the Lambda function" in op["error"]["message"]


@pytest.mark.parametrize("name", [*(f"sync-{body}" for body in SYNC), *(f"async-{body}" for body in ASYNC)])
def test_a_call_is_ended_and_the_environment_goes_on(name, invoke):
    pid, cleaned = _op(invoke("sync-state"))["data"]
    reply = invoke(name)
    op = _op(reply)
    assert (op["op"], reply.headers["x-inngest-no-retry"]) == ("StepError", "false")
    assert op["error"]["name"] == "DeadlineExceeded"
    assert "INNGEST_DEADLINE (or the option deadline) says 1 s" in op["error"]["message"]
    for kind in ("sync", "async"):
        after = _op(invoke(f"{kind}-state"))["data"]
        assert after[0] == pid, "the environment goes on, and need not start anew"
        assert len(after[1]) == len(cleaned) + ("clean_up" in name)


def test_without_a_deadline_lambda_ends_the_function(folder):
    env = {"PYTHONPATH": str(ROOT), "INNGEST_DEV": "1"}
    with LambdaRuntime("app.without", cwd=folder, env=env, timeout_seconds=1) as runtime:
        with pytest.raises(LambdaInvocationError) as caught:
            runtime.invoke(to_lambda_event("function-url", *_call("sync-sleep")))
        assert caught.value.error_type == "Sandbox.Timedout"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"INNGEST_DEADLINE": "2"}, ["sync-loop", "async-async_clean_up"]),
        # Gunicorn has it as well, and ends workers that do not report for as long: not much less, on a busy machine.
        ({"CLOUD_RUN_TIMEOUT_SECONDS": "5", "INNGEST_DEADLINE_MARGIN": "3"}, ["async-async_clean_up"]),
    ],
    ids=["INNGEST_DEADLINE", "CLOUD_RUN_TIMEOUT_SECONDS"],
)
def test_functions_framework_answers_before_the_service_stops_waiting(settings, names, folder, tmp_path):
    # With a second or more for cleaning up.
    variables = {**stage(tmp_path, folder / "app.py"), "INNGEST_DEV": "1", "INNGEST_DEADLINE_MARGIN": "1", **settings}
    with FunctionsFramework("gcf", source=tmp_path / "app.py", env=variables) as framework:
        for name in names:
            op = _op(framework.exchange(*_call(name)))
            assert (op["op"], op["error"]["name"]) == ("StepError", "DeadlineExceeded")
            assert "raise its request timeout" in op["error"]["message"]
        assert _op(framework.exchange(*_call("sync-state")))["data"][1] == ["finally"]
