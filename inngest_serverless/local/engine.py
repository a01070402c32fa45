"""A small Inngest for development and tests: it calls functions step by step over the protocol, on a virtual clock.

Production runs on Inngest Cloud or a self-hosted Inngest, never on this.

Source: docs/protocol.md, sections 2, 4, 5, 7 and 9.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from inngest_serverless.local.core import EngineCore
from inngest_serverless.local.millis import duration_ms
from inngest_serverless.local.runs import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.calls import Call
    from inngest_serverless.local.runs import Run

__all__ = ["Engine", "EngineError"]

T = TypeVar("T")


class Engine(EngineCore):
    """The engine on a virtual clock: time moves from one due action to the next, as its methods tell it to.

    Functions are called one at a time, in the thread that moves the time; otherwise as ``EngineCore``.
    """

    def send(self, event: Mapping[str, Any]) -> list[Run]:
        """Take an event: start the functions it triggers, resume the runs that wait for it, cancel those it cancels.

        Args:
            event: It needs a ``name``. A function is started only once for an ``id`` within 24 hours.

        Returns:
            The runs it started at once: none where it is batched or debounced, or may start none.

        Raises:
            EngineError: It has no name, or an ID or data of the wrong kind.
        """
        return self._receive(self._complete_event(event))

    def execute(self, event: Mapping[str, Any]) -> Run:
        """Send an event and follow the run that it starts to its end.

        Raises:
            EngineError: It starts no run, or the run cannot go on.
        """
        full = self._complete_event(event)
        runs = self._receive(full)
        while not runs and self._is_kept(full["id"]) and self._advance_once():
            runs = self.runs_of(full["id"])
        if not runs:
            raise EngineError(f"event {event.get('name')!r} starts no function: {self.why_unclaimed(full)}")
        return self.finish(runs[0])

    def finish(self, run: Run) -> Run:
        """Go on until a run ends; time jumps from one due action to the next.

        Raises:
            EngineError: Nothing is due any more, but the run has not ended.
        """
        while run.is_active:
            if not self._advance_once():
                waiting = ", ".join(repr(step.step) for step in run.open.values()) or "nothing"
                raise EngineError(f"run {run.id} of {run.function.id!r} cannot go on: it waits for {waiting}")
        return run

    def finish_all(self) -> list[Run]:
        """Go on until every run has ended, those included that start meanwhile.

        Raises:
            EngineError: As ``finish``.
        """
        self._empty_inbox()
        # Each look takes what is there by then, so that many runs are not looked through for each of them.
        while active := [run for run in self.runs if run.is_active]:
            for run in active:
                self.finish(run)
                self._empty_inbox()
        return self.runs

    def advance(self, duration: str) -> None:
        """Let time pass, e.g. ``"3d"``, and do what is due meanwhile."""
        until_ms = self.agenda.now_ms + duration_ms(duration)
        while self._do_next(until_ms):
            pass
        self.agenda.skip_to(until_ms)

    def _is_kept(self, event_id: str) -> bool:
        """Whether an event is batched or debounced, and will start a run later."""
        received = self.history.events.get(event_id)
        outcomes = received.outcomes if received is not None else ()
        return any(outcome.kind in {"batched", "debounced"} for outcome in outcomes)

    def _advance_once(self) -> bool:
        self._empty_inbox()
        return self.agenda.has_foreground and self._do_next()

    def _do_next(self, until_ms: int | None = None) -> bool:
        self._empty_inbox()
        return self.agenda.do_next(until_ms)

    def _carry(self, work: Callable[[], T], then: Callable[[Future[T]], None], delay_ms: int = 0) -> None:
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever takes it raises it again
            done.set_exception(error)
        if delay_ms:
            self.agenda.after(delay_ms, lambda: then(done))
        else:
            then(done)

    def _broken(self, call: Call, error: Exception) -> None:
        """A run cannot go on: whoever moves the time is told."""
        del call
        raise error
