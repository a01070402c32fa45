"""What the local engine does on any clock: it takes events, and calls functions step by step over the protocol.

Source: docs/protocol.md, sections 2, 4, 5, 7 and 9.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from inngest_serverless.clock import now_millis
from inngest_serverless.local.admission import Admission
from inngest_serverless.local.agenda import Agenda
from inngest_serverless.local.caller import Caller
from inngest_serverless.local.calls import wake_ms
from inngest_serverless.local.history import History
from inngest_serverless.local.ids import Ids, seeded_ids
from inngest_serverless.local.internal_events import TIMER_EVENT, ending_events, error_memo, invocation_event
from inngest_serverless.local.invocations import Invocations
from inngest_serverless.local.lanes import lanes_of, priority_ms
from inngest_serverless.local.openings import LONGEST_WAIT
from inngest_serverless.local.packages import PackageMissingError
from inngest_serverless.local.registry import Registry
from inngest_serverless.local.runner import Runner, Surroundings
from inngest_serverless.local.runs import EngineError, Run
from inngest_serverless.local.schedules import Schedules, check_schedules
from inngest_serverless.local.starts import Starts
from inngest_serverless.local.waits import Waits
from inngest_serverless.protocol.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from inngest_serverless.local.calls import Call
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.runs import Moment, Registered, ReportedStep

__all__ = ["EngineCore"]

T = TypeVar("T")


class EngineCore(ABC):
    """Takes events, calls functions, keeps their state; who is built on it moves the time.

    The thread that moves the time does the work. What can be asked for here may be asked for by any thread.

    Args:
        endpoint: Sends a request to the app: method, URL, headers, body.
        signing_key: The key to sign requests with, or None for an app in dev mode.
        start_ms: What the clock says at first, in Unix milliseconds; the wall clock's time if not given.
        seed: For IDs and jitter: the same seed gives the same run.
        watch: Told of every moment of every run, as it happens.
        fetch: Sends the requests that functions ask for by ``step.fetch`` and ``step.ai.infer``: method, URL, headers,
            body. Without it the engine makes none, and a run that asks for one is an error.
        latency: How long a call takes, in milliseconds of the engine's clock; no time if not given. With it, calls
            overlap, and end in another order than they began.
        crons: Whether functions are started by their schedules.
        retry_ms: How long to wait before every further try, in milliseconds; the server's own table if not given.
        keep: How many runs, and how many events, to remember; all if not given.

    Attributes:
        agenda: The clock, and what is due.
        history: The events and runs that it remembers.
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
        latency: Callable[[Call], int] | None = None,
        crons: bool = False,
        retry_ms: int | None = None,
        keep: int | None = None,
    ) -> None:
        self.agenda: Agenda = Agenda(now_millis() if start_ms is None else start_ms)
        self.history: History = History(keep)
        self.key: SigningKey | None = SigningKey(signing_key) if signing_key else None
        self.has_api = False
        self._registry = Registry()
        self._ids = Ids(seed)
        self._waits = Waits()
        self._caller = Caller(self, endpoint, self._ids, latency, self._carry)
        around = Surroundings(
            self._caller.exchange, self._carry, self._invoke, self._stand_in, self._ended, self._broken
        )
        self._runner = Runner(around, self.agenda, self._ids, self._waits, fetch, watch, retry_ms)
        self._caller.begins = self._begin_call
        self._starts = Starts(self.agenda, self._runner, self.history)
        self._admission = Admission(self.agenda, self.history, self._start, self._refuse)
        self._schedules = Schedules(self.agenda, self._ids, self._start_by_clock, self.now_ms) if crons else None
        self._invocations = Invocations(self.agenda, self._runner)
        # What other threads bring in; it is dealt with by the thread that moves the time.
        self._inbox: SimpleQueue[Callable[[], object]] = SimpleQueue()

    @property
    def functions(self) -> dict[str, Registered]:
        """The functions of all apps, by composite ID."""
        return self._registry.functions

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order of their start."""
        return list(self.history.runs.values())

    def register(self, functions: Iterable[Mapping[str, Any]], app: str = "") -> bool:
        """Take the functions of a sync, in the wire's form; they replace those that the app had.

        What they ask for holds for the runs under way as well, when time next moves: their concurrency, their throttle
        and their retries. A time limit and a cancelling event are those of the run's start.

        Returns:
            Whether that changes anything.

        Raises:
            ConfigurationError: A registration or a schedule cannot be read, or an expression is not CEL; then the app
                keeps the functions that it had.
        """
        changed = self._registry.replace(app, functions, self._check_schedules)
        if changed is not None:
            self._inbox.put(lambda: self._resync(app, changed))
        return changed is not None

    def _check_schedules(self, functions: list[Registered]) -> None:
        try:
            check_schedules(functions, self.now_ms())
        except PackageMissingError:
            if self._schedules is not None:  # otherwise nobody is started by them
                raise

    def post(self, events: Iterable[Mapping[str, Any]], seed: str = "") -> list[str]:
        """Take events from any thread; they are dealt with when time next moves.

        Args:
            events: The events.
            seed: The header by which events that are sent again get the same IDs.

        Returns:
            Their IDs.

        Raises:
            EngineError: One has no name, or an ID or data of the wrong kind; then none is taken.
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

    def cancel(self, run_id: str) -> bool:
        """Cancel a run, from any thread, when time next moves; returns whether there is one that has not ended."""
        run = self.run_of(run_id)
        if run is None or not run.is_active:
            return False
        self._inbox.put(lambda: self._runner.cancel(run, "asked to"))
        return True

    def rerun(self, run_id: str) -> str | None:
        """Start a function once more with the events of a run, from any thread, when time next moves.

        Returns:
            The ID of the new run, or None if there is no such run.
        """
        run = self.run_of(run_id)
        return None if run is None else self._make_later(self._synced(run.function), run.events)

    def invoke(self, function_id: str, data: Mapping[str, Any] | None = None) -> str | None:
        """Start a function, from any thread, whatever its triggers are, when time next moves.

        Args:
            function_id: Its composite ID.
            data: The data of the event that it gets.

        Returns:
            The ID of the run, or None if there is no such function.
        """
        function = self.functions.get(function_id)
        if function is None:
            return None
        event = self._complete_event({"name": "inngest/function.invoked", "data": dict(data or {})})
        return self._make_later(function, [event])

    def why_unclaimed(self, event: Mapping[str, Any]) -> str:
        """Why an event starts no function, in a few words."""
        return self._registry.why_unclaimed(event)

    def run_of(self, run_id: str) -> Run | None:
        """The run with an ID, or None."""
        return self.history.runs.get(run_id)

    def runs_of(self, event_id: str) -> list[Run]:
        """The runs that an event has started, alone or with others."""
        return self.history.runs_of(event_id)

    def _empty_inbox(self) -> None:
        while not self._inbox.empty():
            self._inbox.get()()

    def now_ms(self) -> int:
        """The time, in Unix milliseconds, for any thread."""
        return self.agenda.now_ms

    def _complete_event(self, event: Mapping[str, Any], event_id: str = "") -> dict[str, Any]:
        if not isinstance(event.get("name"), str) or not event["name"]:
            raise EngineError("an event needs a name")
        given = {name: value for name, value in event.items() if value is not None}
        for name in ("id", "ts"):
            if not given.get(name):  # SDKs write "" and 0 for what they do not set
                given.pop(name, None)
        if not isinstance(given.get("id", ""), str) or not isinstance(given.get("data", {}), Mapping):
            raise EngineError(f"event {event['name']!r}: its ID has to be a text, and its data an object")
        now_ms = self.now_ms()
        return {"id": event_id or self._ids.ulid(now_ms), "ts": now_ms, "data": {}, "user": {}, **given}

    def _receive(self, event: dict[str, Any]) -> list[Run]:
        self.history.add_event(event, self.agenda.now_ms)
        waits = self._waits.take_event(event)
        for wait in waits:
            self.history.note(wait.run.function, event, "woke", f"step {wait.step.step}", wait.run.id)
            self._runner.complete(wait.run, wait.step, event, kind="Received")
        is_taken = bool(waits) | self._starts.receive(event)
        functions = self._registry.started_by(event)
        started = [self._admission.admit(function, event) for function in functions]
        if not (functions or is_taken):
            self._unclaimed(event)
        return [run for run in started if run is not None]

    def _unclaimed(self, event: dict[str, Any]) -> None:
        """An event that nobody takes has come; engines that somebody watches say so."""
        del event

    def _start(self, function: Registered, events: list[dict[str, Any]]) -> Run | None:
        function = self._synced(function)
        if not self._starts.make_room(function, events[0]):
            self._refuse(function, events[0], "singleton: a run is under way")
            return None
        run = self._make_run(function, events)
        self._invocations.started(run)
        self._begin(run)
        return run

    def _refuse(self, function: Registered, event: dict[str, Any], reason: str) -> None:
        self.history.note(function, event, "skipped", reason)
        self._invocations.refused(event["id"], function.id, reason)

    def _make_later(self, function: Registered, events: list[dict[str, Any]]) -> str:
        run = self._make_run(function, events)

        def begin() -> None:
            for event in events:
                self.history.add_event(event, self.agenda.now_ms)
            self._follow(run, self._synced(function))
            self._begin(run)

        self._inbox.put(begin)
        return run.id

    def _make_run(self, function: Registered, events: list[dict[str, Any]]) -> Run:
        now_ms = self.now_ms()
        lanes, priority = lanes_of(function, events[0]), priority_ms(function, events[0])
        return Run(self._ids.ulid(now_ms), function, events, now_ms, lanes, priority)

    def _synced(self, function: Registered) -> Registered:
        """A function as it was synced last, which may have changed since an event came for it, or a run began."""
        return self.functions.get(function.id, function)

    def _resync(self, app: str, functions: list[Registered]) -> None:
        """The functions of an app have changed, for the runs under way as well."""
        if self._schedules is not None:
            self._schedules.plan(app, functions)
        synced = {function.id: function for function in functions}
        for run in self.runs:
            if run.is_active:
                self._follow(run, synced.get(run.function.id, run.function))
        self._starts.rearrange()
        self._caller.rearrange()

    def _follow(self, run: Run, function: Registered) -> None:
        """Let a run be one of a function as it is now; a call that is under way keeps the room that it has."""
        if function != run.function:
            run.function, run.lanes = function, lanes_of(function, run.events[0])

    def _begin(self, run: Run) -> None:
        self.history.add_run(run)
        self._starts.enter(run)

    def _begin_call(self, call: Call) -> bool:
        was_called = call.run.was_called
        is_wanted = self._runner.begin_call(call)
        if call.run.was_called and not was_called:
            self._starts.limit_finish(call.run)
        return is_wanted

    def _start_by_clock(self, function: Registered, cron: str) -> None:
        event = self._complete_event({"name": TIMER_EVENT, "data": {"cron": cron}})
        self.history.add_event(event, self.agenda.now_ms)
        self._admission.admit_turn(function, event)

    @abstractmethod
    def _carry(self, work: Callable[[], T], then: Callable[[Future[T]], None], delay_ms: int = 0) -> None:
        """Do some work, and hand over what came of it, after so many milliseconds of a clock that is not the wall's."""

    def _invoke(self, run: Run, step: ReportedStep) -> None:
        now_ms = self.agenda.now_ms
        delay_ms = wake_ms(step.opts.get("timeout") or LONGEST_WAIT, now_ms)
        function = self.functions.get(step.opts.get("function_id") or "")
        if function is None:
            wanted = str(step.opts.get("function_id"))
            memo = error_memo("Error", self._not_found(run, step, wanted))
            detail = self._registry.not_served(wanted, run.function.id)
            self._runner.complete(run, step, memo, kind="Invoked", detail=detail)
            return
        event = self._complete_event(invocation_event(run, step, now_ms + delay_ms))
        self.history.add_event(event, now_ms)
        self._invocations.add(event["id"], run, step, delay_ms)
        self._admission.admit(function, event)

    def _not_found(self, run: Run, step: ReportedStep, function_id: str) -> str:
        """What a step gets to hear that invokes a function which is not there: the server's own words."""
        del run, step
        return f"could not find function with ID: {function_id}"

    def _stand_in(self, run: Run, step: ReportedStep) -> tuple[Any] | None:
        """The memo, alone in a tuple, of a step that is not to be carried out; for engines that do not do all."""
        del run, step
        return None

    def _ended(self, run: Run, reason: str) -> None:
        self.history.end_run(run)
        for event in ending_events(run, reason):
            self._receive(self._complete_event(event))
        self._invocations.ended(run)

    @abstractmethod
    def _broken(self, call: Call, error: Exception) -> None:
        """A run cannot go on, for what was raised while a call was made, or its reply was dealt with."""
