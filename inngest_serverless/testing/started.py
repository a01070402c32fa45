"""A run under way, and what a test does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from inngest_serverless.local.runs import EngineError
from inngest_serverless.testing.results import waits_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from inngest_serverless.events import Event
    from inngest_serverless.local.runs import Run
    from inngest_serverless.testing.conditions import Given
    from inngest_serverless.testing.results import RunResult, Waiting
    from inngest_serverless.testing.session import Session

__all__ = ["TestRun"]

R = TypeVar("R")


class TestRun(Generic[R]):
    """A run that has been started; made by ``start``."""

    # pytest takes classes of such a name for tests.
    __test__: ClassVar[bool] = False

    def __init__(self, session: Session, run: Run, given: Given) -> None:
        self._session = session
        self._run = run
        self._given = given

    def __repr__(self) -> str:
        return f"TestRun({self._run.function.id!r}, status={self.status!r}, waiting={list(self.waiting)})"

    @property
    def status(self) -> str:
        """``"queued"``, ``"running"``, ``"completed"``, ``"failed"`` or ``"cancelled"``."""
        return self._run.status

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What it waits for now."""
        return waits_of(self._run)

    @property
    def now(self) -> datetime:
        """What the session's clock says."""
        return self._session.now

    @property
    def session(self) -> Session:
        """The session that it belongs to."""
        return self._session

    @property
    def result(self) -> RunResult[R]:
        """What has come of it so far."""
        return self._session.result(self._run)

    def send(self, event: Event[Any] | Mapping[str, Any]) -> bool:
        """Send an event.

        Returns:
            Whether the run was waiting for it, or was cancelled by it. An event that it does not take may have another
            name than the one awaited, or its data does not meet the condition.
        """
        moments = len(self._run.timeline)
        self._session.send(event)
        kinds = {moment.kind for moment in self._run.timeline[moments:]}
        return not kinds.isdisjoint({"Received", "Cancelled"})

    def signal(self, name: str, data: Any = None) -> bool:
        """Send a signal; returns whether a run was waiting for it."""
        return self._session.signal(name, data)

    def advance(self, duration: str | int | timedelta) -> None:
        """Let time pass, and whatever is due meanwhile happen.

        Args:
            duration: A time string such as ``"3d"``, milliseconds, or a timedelta.
        """
        self._session.advance(duration)

    def cancel(self) -> RunResult[R]:
        """Cancel it, as from the dashboard."""
        with self._session.active():
            self._session.engine.cancel(self._run.id)
            self._session.engine.settle()
        self._session.forget(self._given)
        return self.result

    def finish(self) -> RunResult[R]:
        """Let it come to its end, and its ``on_failure`` handler to its own; time moves as far as it takes.

        Raises:
            NotReachedError: It never came to a step that was mocked, or that a fault was for.
            EngineError: It cannot go on; the message says what it waits for.
        """
        __tracebackhide__ = True
        with self._session.active():
            engine = self._session.engine
            try:
                engine.finish(self._run)
                engine.settle()
                if (handler := engine.handler_of(self._run)) is not None:
                    engine.finish(handler)
            except EngineError as error:
                raise error.with_traceback(None) from None  # where the engine was then tells the test nothing
        self._session.release(self._given)
        return self.result
