"""The local engine as tests need it: a function is started for its own sake, and mocks stand in for steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.engine import Engine, EngineError
from inngest_serverless.local.internal_events import TIMER_EVENT
from inngest_serverless.local.outside import OUTSIDE
from inngest_serverless.protocol.opcodes import STEP_PLANNED
from inngest_serverless.testing.mocks import memo_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from inngest_serverless.functions import Function
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.runs import Registered, ReportedStep, Run
    from inngest_serverless.testing.faults import Faults
    from inngest_serverless.testing.mocks import Mocks

__all__ = ["KitEngine"]


class KitEngine(Engine):
    """An engine for one test.

    Args:
        endpoint: As for ``Engine``.
        mocks: What stands in for steps that the server would finish.
        faults: How long calls take.
        fetch: As for ``Engine``.
        options: As for ``Engine``.

    Attributes:
        posted: The events that the code under test has sent, by their IDs, each with the ID of the run that sent it.
        under_way: The ID of the run whose function is being called, or "".
        declared: The functions as they were declared, by their composite IDs.
        just_failed: The runs that have failed, until somebody has taken them down.
    """

    def __init__(
        self, endpoint: Endpoint, mocks: Mocks, faults: Faults, fetch: Endpoint | None, **options: Any
    ) -> None:
        super().__init__(endpoint, fetch=fetch, latency=lambda _call: faults.delay_ms(), **options)
        self.has_api = True
        self.posted: dict[str, tuple[dict[str, Any], str]] = {}
        self.under_way = ""
        self.declared: dict[str, Function[Any]] = {}
        self.just_failed: list[Run] = []
        self._owners: dict[str, str] = {}
        self._mocks = mocks
        self._can_fetch = fetch is not None

    def register(self, functions: Iterable[Mapping[str, Any]], app: str = "") -> bool:
        """As ``Engine.register``; remembers whose they are."""
        synced = list(functions)
        self._owners.update((str(function["id"]), app) for function in synced)
        return super().register(synced, app)

    def post(self, events: Iterable[Mapping[str, Any]], seed: str = "") -> list[str]:
        """As ``Engine.post``; remembers what was sent, and by which run."""
        documents = list(events)
        ids = super().post(documents, seed)
        for event_id, document in zip(ids, documents, strict=True):
            self.posted.setdefault(event_id, ({**document, "id": event_id}, self.under_way))
        return ids

    def chosen(self, url: str, wanted: Iterable[Function[Any] | str] | None) -> list[Registered]:
        """The functions of the app at a URL that are meant: all of them if it is not said which.

        Args:
            url: Where the app is.
            wanted: Functions or their IDs, within the app or composite.

        Raises:
            ConfigurationError: The app has no such function.
        """
        served = [each for each in self.functions.values() if each.url.startswith(url)]
        __tracebackhide__ = True
        if wanted is None:
            return served
        ids = [each if isinstance(each, str) else each.id for each in wanted]
        names = {name: each for each in served for name in (each.id, each.id.removeprefix(f"{self._owners[each.id]}-"))}
        if unknown := [each for each in ids if each not in names]:
            known = ", ".join(repr(each.id) for each in served)
            raise ConfigurationError(f"there is no function {unknown[0]!r} in the app; there are {known}")
        return [names[each] for each in ids]

    def start(self, functions: list[Registered], events: Sequence[dict[str, Any]]) -> Run:
        """Start one of some functions: with events, or by its schedule if there are none.

        Time moves as far as it takes: to the end of a debounce, or until a batch is full or closed.

        Raises:
            EngineError: The events start none of them; the message says why.
            ConfigurationError: There are several events for a function that takes one at a time.
        """
        __tracebackhide__ = True
        if not events:
            return self._start_on_schedule(functions)
        if len(events) > 1 and not any(each.flow.batch for each in functions):
            raise ConfigurationError(
                f"{_named(functions)} takes one event at a time: give one, or declare it with batch_events"
            )
        full = [self._complete_event(event) for event in events]
        for event in full:
            self._receive(event)
        while (run := self._started(functions, full[0])) is None:
            if not (self._is_kept(full[0]["id"]) and self._advance_once()):
                raise EngineError(self._why_not(functions, full[0]))
        return run

    def settle(self) -> None:
        """Do all that is due now."""
        self.advance("0s")

    def handler_of(self, failed: Run) -> Run | None:
        """The run of the ``on_failure`` handler that a failed run has led to, or None."""
        wanted = f"{failed.function.id}-failure"
        return next(
            (run for run in self.runs if run.function.id == wanted and run.events[0]["data"]["run_id"] == failed.id),
            None,
        )

    def _start_on_schedule(self, functions: list[Registered]) -> Run:
        __tracebackhide__ = True
        timed = [each for each in functions if any(trigger.get("cron") for trigger in each.triggers)]
        if not timed:
            raise EngineError(f"{_named(functions)} has no schedule: give an event, {_events_of(functions)}")
        if len(timed) > 1:
            raise EngineError(
                f"without an event a function is started by its schedule, and {_named(timed)} have one: say which one, "
                "by function="
            )
        [function] = timed
        cron = next(trigger["cron"] for trigger in function.triggers if trigger.get("cron"))
        event = self._complete_event({"name": TIMER_EVENT, "data": {"cron": cron}})
        self.history.add_event(event, self.now_ms())
        run = self._start(function, [event])
        if run is None:
            raise EngineError(self._why_not(functions, event))
        return run

    def _started(self, functions: list[Registered], event: dict[str, Any]) -> Run | None:
        ids = {function.id for function in functions}
        return next((run for run in self.runs_of(event["id"]) if run.function.id in ids), None)

    def _why_not(self, functions: list[Registered], event: dict[str, Any]) -> str:
        ids = {function.id for function in functions}
        outcomes = [each for each in self.history.events[event["id"]].outcomes if each.function_id in ids]
        # Those with a run are about runs that were there before.
        if reasons := [f"{each.kind}: {each.detail}" for each in outcomes if not each.run_id]:
            why = reasons[-1]
        else:
            triggers = [_shown(trigger) for function in functions for trigger in function.triggers]
            why = f"the triggers are {', '.join(dict.fromkeys(triggers)) or 'none'}"
        return f"event {event['name']!r} starts no run of {_named(functions)}: {why}"

    def _ended(self, run: Run, reason: str) -> None:
        super()._ended(run, reason)
        if run.status == "failed":
            self.just_failed.append(run)

    def _not_found(self, run: Run, step: ReportedStep, function_id: str) -> str:
        told = super()._not_found(run, step, function_id)
        return (
            f"{told}; step {step.step!r} of {run.function.id!r} invokes it, and a test serves what it is given: "
            f"run([f, g], ...) serves both, mock_step({step.step!r}, ...) needs no other function"
        )

    def _stand_in(self, run: Run, step: ReportedStep) -> tuple[Any] | None:
        mock = None if step.op == STEP_PLANNED else self._mocks.find(step.key, step.step)
        if mock is not None:
            memo = memo_of(mock, step)
            is_event = isinstance(memo, dict) and "name" in memo
            return (self._complete_event(memo) if is_event else memo,)
        if step.op in OUTSIDE and not self._can_fetch:
            raise EngineError(
                f"step {step.step!r} of {run.function.id!r} asks for a request, and none leaves a test: "
                f"mock it, as mock_step({step.step!r}, ...), or give Session(fetch=...) what sends it"
            )
        return None


def _events_of(functions: list[Registered]) -> str:
    names = {str(trigger["event"]) for each in functions for trigger in each.triggers if trigger.get("event")}
    return " or ".join(sorted(names))


def _named(functions: list[Registered]) -> str:
    return f"function {', '.join(repr(function.id) for function in functions)}"


def _shown(trigger: dict[str, Any]) -> str:
    if trigger.get("cron"):
        return f"the schedule {trigger['cron']!r}"
    condition = f" if {trigger['expression']}" if trigger.get("expression") else ""
    return f"event {trigger.get('event')!r}{condition}"
