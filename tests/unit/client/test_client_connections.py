"""Connections are kept, belong to their loop and are closed; secrets stay on the wire; imports are few."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import traceback

import pytest
from client_api import EVENT_KEY, RESET, Answer, numbered

from inngest_serverless.errors import InngestError
from inngest_serverless.tries import MAX_TRIES


def test_connections_are_kept_for_the_next_call(api, clients, call):
    client = clients()
    for _ in range(3):
        call(client, "send", *numbered(1))
    call(client, "send_many", numbered(2))
    assert len(api.received) == 4
    assert api.connections == 1


def test_each_loop_has_its_own(api, clients):
    client = clients()
    for _ in range(2):
        assert asyncio.run(client.send_async(numbered(1)[0])) == "id-0"
    assert api.connections == 2
    client.send(numbered(1)[0])
    assert api.connections == 3


def test_closed_loops_are_forgotten(api, clients):
    client = clients()
    for _ in range(3):
        asyncio.run(client.send_async(numbered(1)[0]))
    assert len(client._transport._connections._loop_clients) == 1


def test_a_loop_may_finish_its_async_generators_and_go_on(api, clients):
    """Whoever cleans up after each call must not leave us with a closed client."""
    client = clients()

    async def twice():
        await client.send_async(numbered(1)[0])
        _, keeper = client._transport._connections._loop_clients[asyncio.get_running_loop()]
        await keeper.aclose()
        return await client.send_async(numbered(1)[0])

    assert asyncio.run(twice()) == "id-0"


def test_many_at_once(api, clients):
    client = clients()

    async def together():
        return await asyncio.gather(*(client.send_async(event) for event in numbered(5)))

    results = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(together()))) for _ in range(2)]
    threads += [
        threading.Thread(target=lambda: results.append([client.send(e) for e in numbered(5)])) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[f"id-{number}" for number in range(5)]] * 4


def test_the_default_pauses_are_real(api, clients, call, monkeypatch):
    seconds = []
    monkeypatch.setattr("time.sleep", seconds.append)

    async def sleep(delay):
        seconds.append(delay)

    monkeypatch.setattr("asyncio.sleep", sleep)
    client, fresh = clients(), type(clients())()
    client._pause, client._pause_async, client._draw = fresh._pause, fresh._pause_async, None
    api.then(Answer(500))
    assert call(client, "send", *numbered(1)) == "id-0"
    assert len(seconds) == 1
    assert 0 <= seconds[0] <= 0.1


# Secrets.

SECRET = "the payload is nobody's business"


def failures(api, clients):
    """Ways to fail, each with an API and a client that fail so."""
    api.then(Answer(400, {"error": f"no such key: {EVENT_KEY}"}))
    yield clients()
    api.then(*[Answer(500, b"")] * MAX_TRIES)
    yield clients()
    api.then(*[RESET] * MAX_TRIES)
    yield clients()
    yield clients(event_api_base_url="http://127.0.0.1:1")
    yield clients(event_api_base_url="no-scheme.example.com")
    yield clients(event_api_base_url="http://user:pass-word@127.0.0.1:1")
    yield clients(event_api_base_url="http://127.0.0.1:port")


def everything_of(error):
    """What a program could show of an exception and of those behind it, hidden ones included."""
    yield "".join(traceback.format_exception(error))
    while error is not None:
        yield f"{error} {error!r} {error.args} {vars(error)}"
        request = getattr(error, "_request", None)
        yield f"{request} {request and request.url!r} {request and request.url}"
        error = error.__cause__ or error.__context__


def test_no_secret_in_logs_or_exceptions(api, clients, call, caplog):
    caplog.set_level(logging.DEBUG)
    call(clients(), "send", *numbered(1, text=SECRET))
    assert f"HTTP Request: POST {api.url}/e/*** " in caplog.text

    shown = []
    for client in failures(api, clients):
        with pytest.raises(InngestError) as caught:
            call(client, "send", *numbered(1, text=SECRET))
        shown += everything_of(caught.value)
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert len(shown) > 30
    for text in shown:
        assert EVENT_KEY not in text
        assert SECRET not in text
        assert "pass-word" not in text


def test_other_requests_are_logged_as_they_are(api, clients, call, caplog):
    caplog.set_level(logging.INFO)
    call(clients(is_dev=True), "send_signal", "go")
    assert f"HTTP Request: POST {api.url}/v1/signals " in caplog.text


def test_through_a_proxy(api, clients, call, monkeypatch):
    """A proxy gets the URL as it is, key and all."""
    monkeypatch.setenv("HTTP_PROXY", api.url)
    assert call(clients(event_api_base_url="http://events.example.com"), "send", *numbered(1)) == "id-0"
    assert api.received[0].path == f"http://events.example.com/e/{EVENT_KEY}"
    assert api.received[0].headers["host"] == "events.example.com"


# The interpreter's start and end.


def run_python(code, warnings="error", **variables):
    command = [sys.executable, "-W", warnings, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)  # noqa: S603 - this code
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


ENDS = {
    "sync": "client.send(event)",
    "async": "asyncio.run(client.send_async(event))",
    "both": "client.send(event); asyncio.run(client.send_async(event)); asyncio.run(client.send_async(event))",
    "dropped": "client.send(event); del client",
    "dropped outside its loop": """
with asyncio.Runner() as runner:
    runner.run(client.send_async(event))
    del client""",
    "dropped in its loop": """
async def main():
    client = Client()
    await asyncio.gather(*(client.send_async(event) for _ in range(3)))
asyncio.run(main())""",
    "dropped twice in its loop": """
async def main():
    for _ in range(3):
        await Client().send_async(event)
    assert sum(map(len, connections._dropped.values())) == 1
asyncio.run(main())""",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_the_interpreter_ends_without_a_warning(code, api):
    run_python(
        "import asyncio\nfrom inngest_serverless import connections\nfrom inngest_serverless.client import Client\n"
        f"client, event = Client(), {{'name': 't/end', 'data': {{}}}}\n{code}",
        INNGEST_DEV=api.url,
    )
    assert api.received


def test_a_loop_that_is_never_closed_adds_no_warning_of_ours(api):
    run_python(
        "import asyncio\nfrom inngest_serverless.client import Client\nloop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(Client().send_async({'name': 't/end', 'data': {}}))",
        warnings="ignore::ResourceWarning",  # asyncio's own, of the loop and what belongs to it
        INNGEST_DEV=api.url,
    )


def test_importing_the_client_loads_little():
    modules = {"asyncio", "dataclasses", "email", "http.client", "httpx", "inspect", "logging", "pydantic", "random"}
    modules |= {"datetime", "ssl", "typing", "urllib.parse"}
    code = f"import inngest_serverless.client, sys; print(sorted({modules!r} & set(sys.modules)))"
    program = f"import sys; before = set(sys.modules); {code}"
    assert run_python(program).strip() == "[]"
