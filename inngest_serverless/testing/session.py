"""A session: apps under test on an engine of their own, on a clock that moves as the test says."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from inngest_serverless.clock import timestamp
from inngest_serverless.durations import to_time_string
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.events import Event
from inngest_serverless.local.runs import EngineError
from inngest_serverless.sent_events import event_json, event_list
from inngest_serverless.testing.apps import Apps, functions_of
from inngest_serverless.testing.conditions import Conditions, not_reached
from inngest_serverless.testing.isolation import belongs_to, isolated
from inngest_serverless.testing.kit_engine import KitEngine
from inngest_serverless.testing.mocks import mock_step
from inngest_serverless.testing.results import result_of
from inngest_serverless.testing.started import TestRun
from inngest_serverless.testing.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import timedelta
    from types import TracebackType
    from typing import Unpack

    from inngest_serverless.functions import Function
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Run
    from inngest_serverless.testing.apps import Target
    from inngest_serverless.testing.arguments import RunArguments, Sendable, Started
    from inngest_serverless.testing.conditions import Given
    from inngest_serverless.testing.faults import Fault
    from inngest_serverless.testing.mocks import GivenMocks
    from inngest_serverless.testing.results import RunResult
    from inngest_serverless.testing.wire import WireCall

__all__ = ["Session"]

R = TypeVar("R")


class Session:
    """Runs functions on a local engine that takes Inngest's place, through their real handler.

    As a context manager it lasts for the block: what the code under test sends meanwhile, from anywhere in this
    process, comes to this session. Without that it lasts for each call of a method.

    Args:
        seed: For IDs and for the jitter of retries: the same seed gives the same run.
        at: What the clock says at first, with its time zone; the time now if not given.
        fetch: Sends the requests of ``step.fetch`` and ``step.ai.infer``: takes method, URL, headers and body, and
            returns a ``HttpReply``. Without it such steps have to be mocked.
        crons: Whether functions are started by their schedules when time passes.
        watch: Sees every call of a function before it is made.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        at: datetime | None = None,
        fetch: Endpoint | None = None,
        crons: bool = False,
        watch: Callable[[WireCall], None] | None = None,
    ) -> None:
        self._conditions = Conditions()
        mocks, faults = self._conditions.mocks, self._conditions.faults
        self._apps = Apps()
        self._lasting: AbstractContextManager[None] | None = None
        self._lasts = False
        wire = Wire(self._apps, mocks, faults, watch)

        def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
            self._engine.under_way = headers.get("X-Run-Id", "")
            try:
                with belongs_to(self._engine):
                    return wire(method, url, headers, body)
            finally:
                self._engine.under_way = ""

        start_ms = None if at is None else timestamp(at)
        self._engine = KitEngine(endpoint, mocks, faults, fetch, seed=seed, start_ms=start_ms, crons=crons)

    def __enter__(self) -> Self:
        """Begin to take what the code under test sends."""
        self._lasting = self.lasting()
        self._lasting.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; unless something else has failed, whatever was mocked has to have been reached."""
        if self._lasting is not None:
            self._lasting.__exit__(kind, error, trace)
            self._lasting = None
        if kind is None:
            self.verify()

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Take what the code under test sends meanwhile; as the session itself, but at the end nothing is verified."""
        with isolated(self._engine):
            self._lasts = True
            try:
                yield
            finally:
                self._lasts = False

    # What is run.

    def serve(self, *targets: Target) -> None:
        """Make apps known before they are run: functions that others invoke, or that events start.

        Args:
            targets: Handlers, functions, lists of functions.

        Raises:
            ConfigurationError: One is nothing to serve, or two functions are at odds.
        """
        with self.active():
            for target in targets:
                self._apps.serve(target)

    @overload
    def run(
        self, target: Function[R], event: Started = None, *, function: None = None, **arguments: Unpack[RunArguments]
    ) -> RunResult[R]: ...
    @overload
    def run(
        self, target: Target, event: Started = None, *, function: Function[R], **arguments: Unpack[RunArguments]
    ) -> RunResult[R]: ...
    @overload
    def run(
        self, target: Target, event: Started = None, *, function: str | None = None, **arguments: Unpack[RunArguments]
    ) -> RunResult[Any]: ...
    def run(
        self,
        target: Target,
        event: Started = None,
        *,
        function: Function[Any] | str | None = None,
        mocks: GivenMocks = (),
        faults: Iterable[Fault] | Fault = (),
    ) -> RunResult[Any]:
        """Run a function to its end; a week of sleep takes no time.

        Args:
            target: What to run: a function, a list of functions of which the event starts one, or a handler that
                ``inngest_lambda``, ``inngest_gcf`` or ``inngest_gcf_async`` made.
            event: What starts it; several for a function with ``batch_events``; none for one with a schedule.
            function: Which function of the target is meant, or its ID; the first that the event starts if not given.
            mocks: Steps that are not carried out: made by ``mock_step``, or a mapping of step IDs to results.
            faults: What goes wrong on the way.

        Raises:
            NotReachedError: The function never came to a step that was mocked, or that a fault was for.
            EngineError: The event starts no function, or the run cannot go on; the message says why.
            ConfigurationError: The target is nothing to run, or a mock does not fit its step.
        """
        __tracebackhide__ = True
        return self.start(target, event, function=function, mocks=mocks, faults=faults).finish()

    @overload
    def start(
        self, target: Function[R], event: Started = None, *, function: None = None, **arguments: Unpack[RunArguments]
    ) -> TestRun[R]: ...
    @overload
    def start(
        self, target: Target, event: Started = None, *, function: Function[R], **arguments: Unpack[RunArguments]
    ) -> TestRun[R]: ...
    @overload
    def start(
        self, target: Target, event: Started = None, *, function: str | None = None, **arguments: Unpack[RunArguments]
    ) -> TestRun[Any]: ...
    def start(
        self,
        target: Target,
        event: Started = None,
        *,
        function: Function[Any] | str | None = None,
        mocks: GivenMocks = (),
        faults: Iterable[Fault] | Fault = (),
    ) -> TestRun[Any]:
        """Start a function, and let it come as far as it can without time passing; otherwise as ``run``."""
        __tracebackhide__ = True
        given = self._conditions.add(mocks, faults)
        functions = functions_of(target)
        if function is None and functions is not None and len(functions) == 1:
            function = functions[0]
        among = functions if function is None else [function]
        with self.active():
            try:
                url = self._apps.serve(target if functions is None else functions)
                run = self._engine.start(self._engine.chosen(url, among), [] if event is None else event_list(event))
                self._conditions.faults.bind(given.faults, run.id)
                self._engine.settle()
            except (EngineError, ConfigurationError) as error:
                raise error.with_traceback(None) from None  # where the kit was then tells the test nothing
        return TestRun(self, run, given)

    # What happens meanwhile.

    def mock_step(
        self, step_id: str, value: Any = None, *, error: BaseException | None = None, required: bool = True
    ) -> None:
        """Mock a step from now on; see ``inngest_serverless.testing.mock_step``."""
        self._conditions.mocks.add([mock_step(step_id, value, error=error, required=required)])

    def inject(self, *faults: Fault) -> None:
        """Let things go wrong from now on; see ``Fault``."""
        self._conditions.faults.add(faults)

    def send(self, event: Sendable) -> None:
        """Send an event: it starts the functions that were served, and resumes the runs that wait for it."""
        with self.active():
            self._engine.send(event_json(event))
            self._engine.settle()

    def signal(self, name: str, data: Any = None) -> bool:
        """Send a signal; returns whether a run was waiting for it."""
        with self.active():
            run = self._engine.signal(name, data)
            self._engine.settle()
        return run is not None

    def advance(self, duration: str | int | timedelta) -> None:
        """Let time pass, and whatever is due meanwhile happen.

        Args:
            duration: A time string such as ``"3d"``, milliseconds, or a timedelta.
        """
        with self.active():
            self._engine.advance(to_time_string(duration))

    def finish_all(self) -> tuple[RunResult[Any], ...]:
        """Let every run come to its end; returns what came of them, in the order of their start."""
        with self.active():
            self._engine.finish_all()
        return self.runs

    # What has come of it.

    @property
    def now(self) -> datetime:
        """What the clock says."""
        return datetime.fromtimestamp(self._engine.now_ms() / 1000, UTC)

    @property
    def runs(self) -> tuple[RunResult[Any], ...]:
        """All runs, as far as they have come, in the order of their start."""
        return tuple(self.result(run) for run in self._engine.runs)

    @property
    def sent(self) -> tuple[Event[Any], ...]:
        """The events that the code under test has sent, in that order."""
        return tuple(Event.from_dict(document) for document, _ in self._engine.posted.values())

    def verify(self) -> None:
        """Make sure that all mocks and faults were reached.

        Raises:
            NotReachedError: One was not; the message says which steps there were.
        """
        __tracebackhide__ = True
        self._verify(self._conditions.unreached())

    # For the runs of this session.

    @contextmanager
    def active(self) -> Iterator[None]:
        """What has to be open while functions are called."""
        try:
            with nullcontext() if self._lasts else isolated(self._engine), belongs_to(self._engine):
                yield
        finally:
            while self._engine.just_failed:
                self.result(self._engine.just_failed.pop())  # what it failed with is kept, for reports on the test

    def preview(self, call: WireCall) -> HttpReply:
        """Make a call that runs no step's body; the engine knows nothing of it."""
        with self.active():
            return self._apps("POST", call.url, call.headers, call.preview())

    @property
    def engine(self) -> KitEngine:
        """The engine."""
        return self._engine

    def result(self, run: Run) -> RunResult[Any]:
        """What has come of a run so far."""
        handler = self._engine.handler_of(run)
        handled = None if handler is None else self.result(handler)
        sent = tuple(Event.from_dict(document) for document, by in self._engine.posted.values() if by == run.id)
        faults = tuple(each for each in self._conditions.faults.happened if each.run_id == run.id)
        return result_of(run, self._engine.declared.get(run.function.id), sent, faults, handled)

    def release(self, given: Given) -> None:
        """End what was given for one run alone.

        Raises:
            NotReachedError: Some of it was not reached.
        """
        __tracebackhide__ = True
        unreached = self._conditions.unreached(given)
        self._conditions.remove(given)
        self._verify(unreached)

    def forget(self, given: Given) -> None:
        """End what was given for one run alone, reached or not."""
        self._conditions.remove(given)

    def _verify(self, unreached: list[str]) -> None:
        __tracebackhide__ = True  # what failed is the test
        if unreached:
            told = "".join(f"\n{result.describe()}" for result in self.runs)
            raise not_reached(unreached, self._engine.runs, told)
