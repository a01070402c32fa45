"""A simulated Inngest server: it calls a function over the protocol until its run ends.

Functions under test are written once, as scripts: generators that yield what they want done (``Do``, ``Both``) and are
sent its result. ``declare`` makes a sync or an async function of a script.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import signal
import threading
from contextlib import contextmanager, suppress
from hashlib import sha1

import pytest

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.engine import rendezvous

# Far more than any call takes, as the machine may be busy; it is only waited for when a call hangs.
SECONDS_PER_CALL = 10.0
# What asyncio logs of broken loops is formatted while garbage is collected, and that can break pytest's own formatting.
logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
both = pytest.mark.parametrize("kind", ["sync", "async"])


def hash_of(full_id):
    return sha1(full_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


class Do:
    """A step that a script wants: ``value = yield Do("run", "id", function)``."""

    def __init__(self, method, *args, **kwargs):
        self.method, self.args, self.kwargs = method, args, kwargs

    def on(self, ctx):
        return getattr(ctx.step, self.method)(*self.args, **self.kwargs)

    async def on_async(self, ctx):
        return await getattr(ctx.step, self.method)(*self.args, **self.kwargs)


class Both:
    """Branches that a script wants run in parallel, each a script without arguments; ``by`` is for async functions."""

    def __init__(self, *scripts, by="group", mode=None):
        self.scripts, self.by, self.mode = scripts, by, mode

    def on(self, ctx):
        return ctx.group.parallel(
            [lambda script=script: play(ctx, script()) for script in self.scripts], mode=self.mode
        )

    async def on_async(self, ctx):
        async def branch(script):
            return await play_async(ctx, script())

        branches = [lambda script=script: branch(script) for script in self.scripts]
        if self.by == "gather":
            return tuple(await asyncio.gather(*[branch() for branch in branches]))
        if self.by == "tasks":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(branch()) for branch in branches]
            return tuple(task.result() for task in tasks)
        return await ctx.group.parallel(branches, mode=self.mode)


def play(ctx, script):
    if not hasattr(script, "throw"):
        return script
    try:
        wanted = next(script)
        while True:
            try:
                value = wanted.on(ctx)
            except BaseException as error:  # noqa: BLE001 - the script is to see whatever is raised
                wanted = script.throw(error)
            else:
                wanted = script.send(value)
    except StopIteration as end:
        return end.value


async def play_async(ctx, script):
    if not hasattr(script, "throw"):
        return script
    try:
        wanted = next(script)
        while True:
            try:
                value = await wanted.on_async(ctx)
            except BaseException as error:  # noqa: BLE001 - the script is to see whatever is raised
                wanted = script.throw(error)
            else:
                wanted = script.send(value)
    except StopIteration as end:
        return end.value


def declare(kind, script, **options):
    """The function "fn" that plays a script; ``script(ctx)`` makes the generator."""
    if kind == "sync":

        def handler(ctx):
            return play(ctx, script(ctx))
    else:

        async def handler(ctx):
            return await play_async(ctx, script(ctx))

    return function(handler, **options)


def function(handler, **options):
    return create_function(**{"id": "fn", "trigger": event_trigger("test/started"), **options})(handler)


class Answer:
    """What a call was answered."""

    def __init__(self, reply):
        self.status, self.headers, self.body = reply["statusCode"], reply["headers"], reply["body"]
        self.json = json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:1500]})"

    @property
    def ops(self):
        """What it reports, as pairs of opcode and step ID."""
        assert self.status == 206, f"no report: {self}"
        return [(op["op"], op["userland"]["id"]) for op in self.json]

    @property
    def op(self):
        """The only opcode that it reports."""
        assert self.status == 206, f"no report: {self}"
        assert len(self.json) == 1, f"not a single opcode: {self}"
        return self.json[0]

    @property
    def error(self):
        return self.op["error"] if self.status == 206 else self.json


class Server:
    """One run of a function, and what the server knows of it.

    Args:
        events: What arrives for wait_for_event, by step ID; the others time out.
        results: Memos of invocations, by step ID.
    """

    def __init__(self, fn, *others, data=None, max_attempts=4, events=None, results=None):
        self.handler = inngest_lambda([fn, *others], app_id="app", is_dev=True)
        self.event = {"name": "test/started", "data": data or {}, "ts": 1_700_000_000_000}
        self.max_attempts = max_attempts
        self.events, self.results = events or {}, results or {}
        self.memos, self.order = {}, []
        self.calls = []
        self._open = {}

    def call(self, target="step", *, memos=None, order=None, **ctx):
        """One call, answered within seconds."""
        context = {
            "run_id": "01RUN",
            "attempt": 0,
            "max_attempts": self.max_attempts,
            "disable_immediate_execution": target != "step",
            "stack": {"stack": self.order if order is None else order, "current": 0},
            **ctx,
        }
        body = {"ctx": {key: value for key, value in context.items() if value is not None}, "event": self.event}
        body |= {"events": [self.event], "steps": self.memos if memos is None else memos}
        return self.send(json.dumps(body), target)

    def send(self, body, target="step"):
        event = {
            "version": "2.0",
            "rawPath": "/",
            "rawQueryString": f"fnId=app-fn&stepId={target}",
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": "POST"}, "domainName": "x.lambda-url.test", "stage": "$default"},
            "body": body,
        }
        try:
            with time_limit():
                answer = Answer(self.handler(event, None))
        except KeyboardInterrupt:
            raise
        except BaseException:
            forget_loop()  # or the next test would suffer
            raise
        self.calls.append((target, answer))
        assert not left_running(), f"tasks are left running after {answer}"
        return answer

    def remember(self, full_id, memo):
        self.memos[hash_of(full_id)] = memo
        self.order.append(hash_of(full_id))

    def run(self, *, each=False, pick=None, stale=False, twice=False):
        """Drive the run to its end.

        Args:
            each: Call back after each finished parallel step, not once after all of them.
            pick: Given a list of open steps' hashes, the one that finishes next; the oldest if not given.
            stale: Targeted calls carry what was known when their step was planned, as those that run at once do.
            twice: Make every call twice; the answers must be equal.

        Returns:
            The last answer.
        """
        while True:
            answer = self._call("step", None, twice=twice)
            if answer.status != 206:
                return answer
            self._take(answer)
            while self._open:
                key = pick(list(self._open)) if pick else next(iter(self._open))
                self._finish(key, stale=stale, twice=twice)
                if each and self._open:
                    answer = self._call("step", None, twice=twice, disable_immediate_execution=True)
                    if answer.status != 206:
                        return answer
                    self._take(answer)

    def open_id(self, key):
        """The ID, as the code gives it, of a step that has been found and has not finished."""
        return self._open[key][0]["userland"]["id"]

    def _call(self, target, known, *, twice, **ctx):
        """One call and its retries."""
        memos, order = known or (dict(self.memos), list(self.order))
        for attempt in range(self.max_attempts):
            assert len(self.calls) < 2000, f"the run does not end: {self.calls[-3:]}"
            answer = self.call(target, memos=memos, order=order, attempt=attempt, **ctx)
            if twice:
                again = self.call(target, memos=memos, order=order, attempt=attempt, **ctx)
                assert (again.status, again.body) == (answer.status, answer.body), "a repeated call answers otherwise"
            failed = answer.status != 206 or any(op["op"] == "StepError" for op in answer.json)
            if answer.status == 200 or not failed or answer.headers.get("x-inngest-no-retry") == "true":
                break
        return answer

    def _take(self, answer):
        for op in answer.json:
            key = op["id"]
            if op["op"] == "StepRun":
                self._store(key, {"data": op["data"]})
            elif op["op"] == "StepFailed":
                self._store(key, {"error": op["error"]})
            elif op["op"] == "StepError":
                self._store(key, {"error": op["error"]})  # all attempts are used up
            elif key not in self.memos:
                self._open.setdefault(key, (op, (dict(self.memos), list(self.order))))

    def _store(self, key, memo):
        assert key not in self.memos, f"step {key} ran again"
        self.memos[key] = memo
        self.order.append(key)
        self._open.pop(key, None)

    def _finish(self, key, *, stale, twice):
        op, known = self._open[key]
        step_id = op["userland"]["id"]
        if op["op"] == "StepPlanned":
            answer = self._call(key, known if stale else None, twice=twice)
            assert answer.status == 206, f"the targeted step {step_id!r} was not run: {answer}"
            assert [found["id"] for found in answer.json] == [key], f"another step was run than {step_id!r}: {answer}"
            self._take(answer)
        elif op["op"] == "Sleep":
            self._store(key, None)
        elif op["op"] == "WaitForEvent":
            self._store(key, self.events.get(step_id))
        else:
            self._store(key, self.results.get(step_id, {"data": None}))


@contextmanager
def time_limit(seconds=SECONDS_PER_CALL):
    """Fails what hangs; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal, _frame):
        raise HungError(f"the call was not answered within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class HungError(BaseException):
    """Not an Exception, so that no step takes it for a failure of its own."""


def forget_loop():
    """Close the warm loop of this thread, however stubborn its tasks are."""
    warm = getattr(rendezvous._threads, "loop", None)
    if warm is None:
        return
    del rendezvous._threads.loop
    warm.selector.on_rest = None
    atexit.unregister(warm.close)
    loop = warm.runner.get_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    for _ in range(50):
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        with suppress(BaseException):
            loop.run_until_complete(asyncio.sleep(0.001))
    # Connections of other tests may be open on it.
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def left_running():
    """Tasks that still run on this thread's warm loop."""
    loop = getattr(rendezvous._threads, "loop", None)
    return asyncio.all_tasks(loop.runner.get_loop()) if loop is not None else set()
