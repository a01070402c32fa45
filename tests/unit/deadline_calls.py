"""Calls whose time is nearly up: handlers as Lambda calls them, with a context that says how long is left."""

from __future__ import annotations

import json
import signal
import threading
import time
from types import SimpleNamespace

from engine_server import Answer, forget_loop, left_running

from inngest_serverless import inngest_lambda
from inngest_serverless.engine import overdue

# Enough for a call to come to its body, also on a busy machine; half of it is the margin.
LEFT_MILLIS = 200
# How long to wait for what never happens, before the test itself gives up.
HANG_SECONDS = 30.0


def context(left_millis=LEFT_MILLIS):
    """What Lambda hands to a handler, of which only the time left matters."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: left_millis)


def make_handler(*functions, **options):
    return inngest_lambda(list(functions), **{"app_id": "app", "is_dev": True, **options})


def call(handler, function="fn", *, left=LEFT_MILLIS, target="step", **ctx):
    """One call, with so many milliseconds left, or no word on that."""
    started = {"name": "test/started", "data": {}, "ts": 1_700_000_000_000}
    ctx = {"run_id": "01RUN", "attempt": 0, "max_attempts": 4, "disable_immediate_execution": target != "step", **ctx}
    body = {"ctx": {**ctx, "stack": {"stack": [], "current": 0}}, "event": started, "events": [started], "steps": {}}
    event = {
        "rawPath": "/",
        "rawQueryString": f"fnId=app-{function}&stepId={target}",
        "headers": {},
        "requestContext": {"http": {"method": "POST"}, "domainName": "x.lambda-url.eu-west-1.on.aws"},
        "body": json.dumps(body),
    }
    return Answer(handler(event, None if left is None else context(left)))


def assert_clean():
    """Nothing is left of the calls before: no alarm that is yet to ring, no task that goes on."""
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), "an alarm is left running"
    assert not left_running(), "tasks are left running"


class Rings:
    """Counts how often the alarm has rung, and lets code wait for it without a clock."""

    def __init__(self, monkeypatch):
        self.count = 0
        original = overdue.ring

        def ring(deadline, frame):
            self.count += 1
            original(deadline, frame)

        monkeypatch.setattr(overdue, "ring", ring)

    def wait(self, more):
        """Go on once it has rung so often again."""
        wanted = self.count + more
        give_up = time.monotonic() + HANG_SECONDS
        while self.count < wanted and time.monotonic() < give_up:
            pass


def in_thread(work):
    """Do some work in a thread of its own, and return what it returns or raise what it raises."""
    came = {}

    def carry():
        try:
            came["value"] = work()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            came["error"] = error
        finally:
            forget_loop()

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive(), "the call hangs"
    if "error" in came:
        raise came["error"]
    return came["value"]
