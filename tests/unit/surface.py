"""What the suites of the programming surface share: calls over the protocol, registrations, code written both ways."""

from __future__ import annotations

import hmac
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from engine_server import Answer, Server, hash_of, time_limit

import inngest_serverless
from inngest_serverless import create_function, event_trigger, inngest_lambda

ROOT = Path(inngest_serverless.__file__).parents[1]
SECRET = "S3CR3T-value"
SIGNING_KEY = "0123456789abcdef" * 4
written_both_ways = pytest.mark.parametrize("future", [False, True], ids=["real", "text"])
_names = itertools.count()


def call(fn, *events, memos=None, target="step", attempt=0, max_attempts=4):
    """One call of the function "fn" of the app "app", for one event or a batch; ``memos`` by step ID."""
    events = events or ({"name": "test/started", "data": {}},)
    steps = {hash_of(step_id): memo for step_id, memo in (memos or {}).items()}
    ctx = {"run_id": "01RUN", "attempt": attempt, "max_attempts": max_attempts}
    body = {"ctx": ctx | {"stack": {"stack": list(steps), "current": len(steps)}}, "event": events[0]}
    return Server(fn).send(json.dumps(body | {"events": list(events), "steps": steps}), target)


def event(name, data, **fields):
    return {"name": name, "data": data, "ts": 1_700_000_000_000, **fields}


def declare(kind, script, **options):
    """The function "fn" of a handler that has one awaitable thing to do: ``script(ctx)`` gives it, or a plain value."""

    def handler(ctx):
        return script(ctx)

    async def async_handler(ctx):
        result = script(ctx)
        return await result if hasattr(result, "__await__") else result

    options = {"id": "fn", "trigger": event_trigger("test/started"), **options}
    return create_function(**options)(handler if kind == "sync" else async_handler)


class Replayed:
    """A step, run and then replayed in a second call.

    Attributes:
        ran: The answer to the call that ran it.
        value: What the second call was given as its result.
        answer: The answer to the second call, or to the first if that ended the run.
    """

    def __init__(self, kind, script, **options):
        self.values = []

        def noting(ctx):
            result = script(ctx)
            if not hasattr(result, "__await__"):
                return self.values.append(result)
            return self._note(result)

        server = Server(declare(kind, noting, **options))
        self.answer = server.run()
        self.ran = server.calls[0][1]

    async def _note(self, result):
        self.values.append(await result)

    @property
    def value(self):
        assert self.answer.status == 200, self.answer
        assert len(self.values) == 1
        return self.values[0]


def handle(handler, method, query, body, **headers):
    """One HTTP exchange through a Lambda handler."""
    request = {
        "version": "2.0",
        "rawPath": "/api/inngest",
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {"http": {"method": method}, "domainName": "x.lambda-url.test", "stage": "$default"},
        "body": body,
    }
    with time_limit():
        return Answer(handler(request, None))


def registered(*functions, app_id="rec"):
    """The registrations of functions, by ID, as an in-band sync tells them."""
    handler = inngest_lambda(functions, app_id=app_id, signing_key=f"signkey-test-{SIGNING_KEY}", is_dev=False)
    seconds, body = str(int(time.time())), "{}"
    digest = hmac.new(SIGNING_KEY.encode(), (body + seconds).encode(), "sha256").hexdigest()
    signature = {"x-inngest-signature": f"t={seconds}&s={digest}", "x-inngest-sync-kind": "in_band"}
    answer = handle(handler, "PUT", "", body, **signature)
    assert answer.status == 200, answer
    return {item["id"]: item for item in answer.json["functions"]}


def module(source, *, future):
    """A module of this source; with ``future``, its annotations are text."""
    made = ModuleType(f"surface_sample_{next(_names)}")
    text = ("from __future__ import annotations\n" if future else "") + source
    # Type hints are resolved in the module of a class, which has to be found.
    sys.modules[made.__name__] = made
    exec(compile(text, f"{made.__name__}.py", "exec", dont_inherit=True), vars(made))  # noqa: S102 - our own source
    return made


def loaded_modules(program, *, future=False):
    """The modules that a program has loaded at its end, in an interpreter of its own."""
    first = "from __future__ import annotations\n" if future else ""
    ending = "\nprint(' '.join(sys.modules))"
    command = [sys.executable, "-I", "-c", f"{first}import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}{ending}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def check_failed(answer, name, *, final):
    """The function failed with an error of this name; returns its message, which never holds the secret."""
    assert answer.status == (400 if final else 500), answer
    assert answer.headers["x-inngest-no-retry"] == ("true" if final else "false")
    assert answer.json["name"] == name, answer
    assert SECRET not in answer.body
    return answer.json["message"]
