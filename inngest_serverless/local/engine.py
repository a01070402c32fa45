"""A small Inngest for development and tests: it calls functions step by step over the protocol, on a virtual clock.

Production runs on Inngest Cloud or a self-hosted Inngest, never on this.

Source: docs/protocol.md, sections 2, 4, 5, 7 and 9.
"""

from __future__ import annotations

import time
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from inngest_serverless.durations import parse_duration
from inngest_serverless.local.agenda import Agenda
from inngest_serverless.local.calls import call_body, call_headers, call_url, wake_ms
from inngest_serverless.local.conditions import check_condition, holds
from inngest_serverless.local.ids import Ids, seeded_ids
from inngest_serverless.local.internal_events import ending_events, invocation_event, invocation_memo
from inngest_serverless.local.openings import LONGEST_WAIT
from inngest_serverless.local.runner import Runner, Surroundings
from inngest_serverless.local.runs import EngineError, Moment, Registered, Run
from inngest_serverless.local.waits import Waits
from inngest_serverless.protocol.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inngest_serverless.local.calls import Call
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import ReportedStep

    Endpoint = Callable[[str, str, Mapping[str, str], bytes], HttpReply]

__all__ = ["Engine", "EngineError"]

_NANOS_PER_MS = 1_000_000
_INTERNAL = "inngest/"


class Engine:
    """Takes events, calls functions, keeps their state.

    Time moves from one due action to the next, as ``finish`` and ``advance`` tell it to. Functions are called one at a
    time, in the thread that does.

    Args:
        endpoint: Sends a request to the app: method, URL, headers, body.
        signing_key: The key to sign requests with, or None for an app in dev mode.
        start_ms: What the clock says at first, in Unix milliseconds; the wall clock's time if not given.
        seed: For IDs and jitter: the same seed gives the same run.
        watch: Told of every moment of every run, as it happens.
        fetch: Sends the requests that functions ask for by ``step.fetch`` and ``step.ai.infer``: method, URL, headers,
            body. Without it the engine makes none, and a run that asks for one is an error.

    Attributes:
        runs: All runs, in the order of their start.
        key: The signing key, or None.
        has_api: Whether a ``LocalApi`` serves it, where apps can fetch state that is too big for a call.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        signing_key: str | None = None,
        start_ms: int | None = None,
        seed: int = 0,
        watch: Callable[[Run, Moment], None] | None = None,
        fetch: Endpoint | None = None,
    ) -> None:
        self.agenda: Agenda = Agenda(int(time.time() * 1000) if start_ms is None else start_ms)
        self.runs: list[Run] = []
        self.key: SigningKey | None = SigningKey(signing_key) if signing_key else None
        self.has_api = False
        self._endpoint = endpoint
        self._apps: dict[str, dict[str, Registered]] = {}
        self._ids = Ids(seed)
        self._waits = Waits()
        around = Surroundings(self._exchange, self._invoke, self._ended)
        self._runner = Runner(around, self.agenda, self._ids, self._waits, fetch, watch)
        self._when_ended: dict[str, Callable[[], None]] = {}
        self._started: set[tuple[str, str]] = set()
        # What other threads bring in; it is dealt with by the thread that moves the time.
        self._inbox: SimpleQueue[Callable[[], object]] = SimpleQueue()

    @property
    def functions(self) -> dict[str, Registered]:
        """The functions of all apps, by composite ID."""
        return {key: function for app in self._apps.values() for key, function in app.items()}

    def register(self, functions: Iterable[Mapping[str, Any]], app: str = "") -> bool:
        """Take the functions of a sync, in the wire's form; they replace those that the app had.

        Returns:
            Whether that changes anything.

        Raises:
            ConfigurationError: A registration cannot be read, or a trigger's condition is not CEL.
        """
        synced = {function.id: function for function in map(Registered.from_json, functions)}
        for function in synced.values():
            for trigger in function.triggers:
                check_condition(trigger.get("expression"))
        changed = self._apps.get(app) != synced
        self._apps[app] = synced
        return changed

    def send(self, event: Mapping[str, Any]) -> list[Run]:
        """Take an event: start the functions it triggers and resume the runs that wait for it.

        Args:
            event: It needs a ``name``. A function is started only once for an ``id``.

        Returns:
            The runs it started.

        Raises:
            EngineError: It has no name.
        """
        return self._receive(self._complete_event(event))

    def post(self, events: Iterable[Mapping[str, Any]], seed: str = "") -> list[str]:
        """Take events from any thread; they are dealt with when time next moves.

        Args:
            events: The events.
            seed: The header by which events that are sent again get the same IDs.

        Returns:
            Their IDs.

        Raises:
            EngineError: One has no name; then none is taken.
        """
        documents = list(events)
        seeded = seeded_ids(seed, len(documents)) or [""] * len(documents)
        full = [self._complete_event(event, event_id) for event, event_id in zip(documents, seeded, strict=True)]
        for event in full:
            self._inbox.put(partial(self._receive, event))
        return [event["id"] for event in full]

    def signal(self, name: str, data: Any = None) -> Run | None:
        """Send a signal to the run that waits for it, from any thread; the run goes on when time next moves.

        Returns:
            The run, or None if none waits for it.
        """
        wait = self._waits.take_signal(name)
        if wait is None:
            return None
        memo = {"data": {"signal": name, "data": data}}
        self._inbox.put(lambda: self._runner.complete(wait.run, wait.step, memo, kind="Received"))
        return wait.run

    def execute(self, event: Mapping[str, Any]) -> Run:
        """Send an event and follow the run that it starts to its end.

        Raises:
            EngineError: It starts no run, or the run cannot go on.
        """
        runs = self.send(event)
        if not runs:
            triggers = [trigger for function in self.functions.values() for trigger in function.triggers]
            known = sorted({trigger["event"] for trigger in triggers if trigger.get("event")})
            raise EngineError(f"event {event.get('name')!r} starts no function; known are {', '.join(known) or 'none'}")
        return self.finish(runs[0])

    def finish(self, run: Run) -> Run:
        """Go on until a run ends; time jumps from one due action to the next.

        Raises:
            EngineError: Nothing is due any more, but the run has not ended.
        """
        while run.status == "running":
            if not self._do_next():
                waiting = ", ".join(repr(step.step) for step in run.open.values()) or "nothing"
                raise EngineError(f"run {run.id} of {run.function.id!r} cannot go on: it waits for {waiting}")
        return run

    def finish_all(self) -> list[Run]:
        """Go on until every run has ended, those included that start meanwhile.

        Raises:
            EngineError: As ``finish``.
        """
        self._empty_inbox()
        for run in self.runs:  # it grows
            self.finish(run)
            self._empty_inbox()
        return self.runs

    def advance(self, duration: str) -> None:
        """Let time pass, e.g. ``"3d"``, and do what is due meanwhile."""
        until_ms = self.agenda.now_ms + parse_duration(duration) // _NANOS_PER_MS
        while self._do_next(until_ms):
            pass
        self.agenda.skip_to(until_ms)

    def run_of(self, run_id: str) -> Run | None:
        """The run with an ID, or None."""
        return next((run for run in self.runs if run.id == run_id), None)

    def _do_next(self, until_ms: int | None = None) -> bool:
        self._empty_inbox()
        return self.agenda.do_next(until_ms)

    def _empty_inbox(self) -> None:
        while not self._inbox.empty():
            self._inbox.get()()

    def _complete_event(self, event: Mapping[str, Any], event_id: str = "") -> dict[str, Any]:
        if not isinstance(event.get("name"), str) or not event["name"]:
            raise EngineError("an event needs a name")
        given = {name: value for name, value in event.items() if value is not None}
        now_ms = self.agenda.now_ms
        return {"id": event_id or self._ids.ulid(now_ms), "ts": now_ms, "data": {}, "user": {}, **given}

    def _receive(self, event: dict[str, Any]) -> list[Run]:
        for wait in self._waits.take_event(event):
            self._runner.complete(wait.run, wait.step, event, kind="Received")
        starting = [function for function in self.functions.values() if _is_started(function, event)]
        fresh = [function for function in starting if (function.id, event["id"]) not in self._started]
        self._started.update((function.id, event["id"]) for function in fresh)
        return [self._start(function, event) for function in fresh]

    def _start(self, function: Registered, event: dict[str, Any]) -> Run:
        run = Run(self._ids.ulid(self.agenda.now_ms), function, [event])
        self.runs.append(run)
        self._runner.begin(run)
        return run

    def _exchange(self, call: Call) -> HttpReply:
        request_id = self._ids.ulid(self.agenda.now_ms)
        body = call_body(call, request_id=request_id, has_api=self.has_api)
        headers = call_headers(call, body, request_id=request_id, span_id=self._ids.span(), key=self.key)
        return self._endpoint("POST", call_url(call.run.function.url, call.target), headers, body)

    def _invoke(self, run: Run, step: ReportedStep) -> None:
        delay_ms = wake_ms(step.opts.get("timeout") or LONGEST_WAIT, self.agenda.now_ms)
        event = self._complete_event(invocation_event(run, step, self.agenda.now_ms + delay_ms))
        function = self.functions.get(step.opts.get("function_id") or "")
        if function is None:
            error = {"name": "Error", "message": f"could not find function with ID: {step.opts.get('function_id')}"}
            self._runner.complete(run, step, {"error": error}, kind="Invoked")
            return
        child = self._start(function, event)
        self._when_ended[child.id] = lambda: self._runner.complete(run, step, invocation_memo(child), kind="Invoked")
        message = "Timed out waiting for invoked function to complete"
        late = {"error": {"name": "InngestInvokeTimeoutError", "message": message}}
        self.agenda.after(delay_ms, lambda: self._runner.complete(run, step, late, kind="TimedOut"))

    def _ended(self, run: Run, reason: str) -> None:
        for event in ending_events(run, reason):
            self.send(event)
        if (resume := self._when_ended.pop(run.id, None)) is not None:
            resume()


def _is_started(function: Registered, event: dict[str, Any]) -> bool:
    return any(
        _is_named(trigger.get("event") or "", event["name"]) and holds(trigger.get("expression"), event)
        for trigger in function.triggers
    )


def _is_named(pattern: str, name: str) -> bool:
    """Whether a trigger means an event. One that ends with ``*`` means many, but no internal ones."""
    if not pattern.endswith("*"):
        return pattern == name
    return name.startswith(pattern[:-1]) and name.startswith(_INTERNAL) <= pattern.startswith(_INTERNAL)
