"""Calls whose time is nearly up: handlers as Lambda calls them, with a context that says how long is left."""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import time
from types import SimpleNamespace

from engine_server import Answer, forget_loop, left_running

from inngest_serverless import inngest_lambda
from inngest_serverless.engine import deadline as deadlines
from inngest_serverless.engine import overdue, thread_watch

# Far more than any call takes: what is to be ended says itself when its time is up.
LEFT_MILLIS = 60_000
# How long that is for the call itself, as messages tell it.
HAD = "59.5 s"
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


def time_is_up():
    """Have the time of the call that runs be up, from here on: nothing depends on how fast the machine is."""
    watched = thread_watch._watcher._calls.get(threading.get_ident())
    if watched is None:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.005)
    else:
        # Nothing is raised before this has let go of the lock in there.
        watched.is_under_way = False
        watched.rings_at = 0.0
        thread_watch._watcher._changed.set()
        watched.is_under_way = True


def call_ended_at(handler, moment):
    """One call whose alarm rings from some moment on, counted in the functions that are called; whether it was that long.

    Returns:
        The answer, and whether the alarm has rung.
    """
    count = 0

    def ring(frame, event, _arg):
        nonlocal count
        # Signals are let in where functions begin and where they have returned to.
        if event != "return" and deadlines._armed is not None:
            count += 1
            if count >= moment:
                deadlines._ring(signal.SIGALRM, frame)

    # What garbage does when it is collected would count as well, and comes at any time.
    gc.disable()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _raised: None
    sys.setprofile(ring)
    try:
        answer = call(handler)
    finally:
        sys.setprofile(None)
        sys.unraisablehook = hook
        gc.enable()
    return answer, count >= moment


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
