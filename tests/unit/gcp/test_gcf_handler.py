"""How the handlers run functions: in which thread, on which loop, how many at once, and what is left afterwards."""

import asyncio
import contextvars
import inspect
import json
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import flask
import pytest
from starlette.requests import Request
from werkzeug.test import EnvironBuilder

from inngest_serverless import ConfigurationError, create_function, event_trigger, inngest_gcf, inngest_gcf_async
from inngest_serverless.gcp import handler as handlers

NUMBER = contextvars.ContextVar("NUMBER", default=0)
HEADERS = {"Host": "app-abc-ew.a.run.app", "X-Forwarded-Proto": "https"}
seen = []
go_on = threading.Event()


@pytest.fixture(autouse=True)
def _dev(monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "1")
    monkeypatch.setenv("K_SERVICE", "orders")
    seen.clear()
    go_on.clear()


def function(handler):
    return create_function(id="work", trigger=event_trigger("app/work"))(handler)


def body(**data):
    event = {"name": "app/work", "data": data}
    return json.dumps({"ctx": {"run_id": "R", "attempt": 0}, "event": event, "events": [event], "steps": {}}).encode()


def call(handler, **data):
    """Call over WSGI."""
    builder = EnvironBuilder("/?fnId=orders-work&stepId=step", method="POST", headers=HEADERS, data=body(**data))
    sent, status, headers = handler(flask.Request(builder.get_environ()))
    assert isinstance(sent, bytes)
    return status, headers, json.loads(sent)


async def call_async(handler, **data):
    """Call over ASGI."""

    async def receive():
        return {"type": "http.request", "body": body(**data), "more_body": False}

    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"fnId=orders-work&stepId=step"}
    response = await handler(Request({**scope, "headers": headers}, receive))
    return response.status_code, response.headers, json.loads(response.body)


def where(ctx):
    seen.append(threading.current_thread())
    return ctx.event.data


async def where_async(ctx):
    seen.append((threading.current_thread(), asyncio.get_running_loop()))
    await asyncio.sleep(0)
    return ctx.event.data


# What functions-framework asks of a target.


def test_the_handlers_are_plain_functions():
    for make, is_async in ((inngest_gcf, False), (inngest_gcf_async, True)):
        handler = make([function(where)])
        assert isinstance(handler, types.FunctionType)
        assert inspect.iscoroutinefunction(handler) is is_async


@pytest.mark.parametrize("work", [where, where_async])
def test_a_reply_over_wsgi(work):
    status, headers, reply = call(inngest_gcf([function(work)]), n=1)
    assert (status, reply) == (200, {"n": 1})
    assert headers["content-type"] == "application/json"
    assert headers["x-inngest-framework"] == headers["x-inngest-platform"] == "google-cloud-functions"


@pytest.mark.parametrize("work", [where, where_async])
def test_a_reply_over_asgi(work):
    status, headers, reply = asyncio.run(call_async(inngest_gcf_async([function(work)]), n=1))
    assert (status, reply) == (200, {"n": 1})
    assert headers["content-type"] == "application/json"
    assert headers["x-inngest-framework"] == headers["x-inngest-platform"] == "google-cloud-functions"


def test_the_app_id_is_the_services_name(monkeypatch):
    monkeypatch.delenv("K_SERVICE")
    with pytest.raises(ConfigurationError, match="app has no ID"):
        inngest_gcf([function(where)])
    assert call(inngest_gcf([function(where)], app_id="orders"))[0] == 200


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "8", None])
def test_wrong_numbers_of_threads(threads):
    with pytest.raises(ConfigurationError, match="threads must be a number"):
        inngest_gcf_async([function(where)], threads=threads)


@pytest.mark.parametrize("make", [inngest_gcf, inngest_gcf_async])
def test_wrong_options(make):
    with pytest.raises(ConfigurationError, match="unknown option 'app_idd'"):
        make([function(where)], app_idd="x")


# Threads and loops.


def test_over_wsgi_calls_run_in_the_servers_own_threads():
    handler = inngest_gcf([function(where)])
    call(handler)
    assert seen == [threading.current_thread()]


def test_over_wsgi_each_thread_keeps_its_loop():
    handler = inngest_gcf([function(where_async)])
    barrier = threading.Barrier(4)

    def calls(_):
        barrier.wait(5)
        for _ in range(5):
            assert call(handler)[0] == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(calls, range(4)))
        loops = {thread: {loop for other, loop in seen if other is thread} for thread, _ in seen}
        assert len(loops) == 4
        assert all(len(own) == 1 for own in loops.values())
        assert len({loop for own in loops.values() for loop in own}) == 4
        every = [loop for own in loops.values() for loop in own]
        assert not any(loop.is_running() or loop.is_closed() for loop in every)
    seen.clear()
    assert all(loop.is_closed() for loop in every), "a loop ends with its thread"


def test_over_asgi_no_function_runs_on_the_servers_loop():
    sync, coroutine = (inngest_gcf_async([function(work)], threads=1) for work in (where, where_async))

    async def serve():
        for _ in range(3):
            await call_async(sync)
            await call_async(coroutine)
        return asyncio.get_running_loop()

    servers_loop = asyncio.run(serve())
    assert all(thread is not threading.current_thread() for thread in seen[::2])
    assert all(thread is not threading.current_thread() and loop is not servers_loop for thread, loop in seen[1::2])
    assert len({loop for _, loop in seen[1::2]}) == 1, "the thread keeps its loop for the next call"


def block(ctx):
    seen.append(1)
    went_on = go_on.wait(30)
    seen.append(-1)
    return went_on


async def block_async(ctx):
    return block(ctx)


@pytest.mark.parametrize("work", [block, block_async])
def test_over_asgi_functions_that_block_keep_nobody_waiting(work):
    handler = inngest_gcf_async([function(work)])

    async def serve():
        calls = [asyncio.create_task(call_async(handler)) for _ in range(8)]
        # All of them at once, and meanwhile the server's loop is free to look.
        while seen.count(1) < 8:  # noqa: ASYNC110 - it is threads that are waited for, not tasks
            await asyncio.sleep(0.005)
        go_on.set()
        return await asyncio.gather(*calls)

    assert [reply for *_, reply in asyncio.run(serve())] == [True] * 8, "they waited in vain to be let go on"


def test_over_asgi_no_more_calls_run_at_once_than_there_are_threads():
    together = threading.Barrier(2)

    def meet(ctx):
        seen.append(1)
        together.wait(30)
        seen.append(-1)

    handler = inngest_gcf_async([function(meet)], threads=2)

    async def serve():
        return await asyncio.gather(*(call_async(handler) for _ in range(4)))

    assert [status for status, *_ in asyncio.run(serve())] == [200] * 4
    assert max(accumulate(seen)) == 2


def test_over_asgi_the_context_of_the_request_goes_along():
    handler = inngest_gcf_async([function(lambda ctx: NUMBER.get())])

    async def serve():
        async def one(number):
            NUMBER.set(number)
            return (await call_async(handler))[2]

        return await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(20)))

    assert asyncio.run(serve()) == list(range(20))


def test_over_asgi_a_client_that_hangs_up_is_no_error():
    """Raised, it would be logged as one: anybody could fill the logs with errors."""

    async def serve():
        messages = iter(
            [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}],
        )

        async def receive():
            return next(messages)

        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
        return await inngest_gcf_async([function(where)])(Request(scope, receive))

    assert asyncio.run(serve()).status_code == 400
    assert seen == []


# Nothing is left running after the reply.


async def leave_a_task_behind(ctx):
    async def later():
        await asyncio.sleep(3600)

    task = asyncio.create_task(later())
    task.add_done_callback(lambda done: seen.append(done.cancelled()))
    await asyncio.sleep(0)
    return "replied"


def test_over_wsgi_tasks_end_with_their_call():
    assert call(inngest_gcf([function(leave_a_task_behind)]))[2] == "replied"
    assert seen == [True]


def test_over_asgi_tasks_end_with_their_call():
    handler = inngest_gcf_async([function(leave_a_task_behind)])

    async def serve():
        reply = await call_async(handler)
        return reply, list(seen)

    (_, _, reply), ended = asyncio.run(serve())
    assert (reply, ended) == ("replied", [True])


def test_an_interpreter_with_idle_threads_exits():
    program = """
import asyncio, sys
sys.path[:0] = %r
from test_gcf_handler import *
handler = inngest_gcf_async([function(where_async)])  # kept, as a module keeps it: its threads end with it
asyncio.run(call_async(handler))
print(threading.active_count())
"""
    environ = {"INNGEST_DEV": "1", "K_SERVICE": "orders"}
    ran = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-c", program % sys.path],
        capture_output=True,
        text=True,
        env=environ,
        timeout=120,  # for ever, on a machine that has much else to do
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr, ran.returncode) == ("2", "", 0)


# How long there is.


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("told", "options", "waits"),
    [("300", {}, 300), ("300", {"deadline": 20}, 20), ("", {"deadline": 20}, 20), ("", {}, None), ("0", {}, None)],
)
def test_the_time_of_a_call_begins_with_the_request(is_async, told, options, waits, monkeypatch):
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", told)
    came = []

    def come(name, original):
        def note(*args, **kwargs):
            came.append(name)
            return original(*args, **kwargs)

        return note

    monkeypatch.setattr(handlers, "monotonic", lambda: 1_000.0)
    monkeypatch.setattr(handlers, "Deadline", lambda due, margin, _advice: came.append((due, margin)))
    read = "read_body" if is_async else "read_flask"
    monkeypatch.setattr(handlers, read, come("body", getattr(handlers, read)))
    if is_async:
        asyncio.run(call_async(inngest_gcf_async([function(where)], **options)))
    else:
        call(inngest_gcf([function(where)], **options))
    assert came == ([] if waits is None else [(1_000.0 + waits, 0.5)]) + ["body"]
