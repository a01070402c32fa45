"""What a function is given: the event, the run, and the steps."""

from __future__ import annotations

from inngest_serverless.events import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter
    from typing import Any, Generic

    from typing_extensions import TypeVar

    from inngest_serverless.engine.async_steps import AsyncStep
    from inngest_serverless.engine.groups import AsyncGroup, Group
    from inngest_serverless.engine.ledger import Ledger
    from inngest_serverless.engine.steps import Step
    from inngest_serverless.failures import RunFailure
    from inngest_serverless.functions import Function
    from inngest_serverless.protocol.call import CallRequest

    E = TypeVar("E", bound=Event[Any], default=Event[dict[str, Any]])
else:
    from inngest_serverless.generics import Generic

    E = None

__all__ = ["AsyncContext", "Context"]


class _CallContext(Generic[E]):
    """What sync and async functions are given alike."""

    __slots__ = (
        "_failed_event_types",
        "_ledger",
        "_logger",
        "attempt",
        "env",
        "event",
        "events",
        "function_id",
        "max_attempts",
        "run_id",
    )

    def __init__(self, call: CallRequest, function: Function[Any], ledger: Ledger, logger: Logger | None) -> None:
        self._ledger = ledger
        self._logger = logger
        types = function.event_types
        self._failed_event_types = function.failed_event_types
        self.events: list[E] = [types.get(event["name"], Event).from_dict(event) for event in call.events]
        self.event: E = self.events[0]
        self.run_id: str = call.run_id
        self.attempt: int = call.attempt
        self.max_attempts: int | None = call.max_attempts
        self.function_id: str = function.id
        self.env: str = call.env

    @property
    def failure(self) -> RunFailure | None:
        """The failed run, in an ``on_failure`` handler; None in any other function."""
        types = self._failed_event_types
        if types is None:
            return None
        from inngest_serverless.failures import RunFailure

        return RunFailure(self.event.data, types)

    @property
    def logger(self) -> LoggerAdapter[Logger]:
        """A logger that keeps quiet while steps that are known are replayed.

        Its records carry ``run_id``, ``function_id``, ``step_id`` (None outside of steps) and ``attempt``.
        """
        from inngest_serverless.engine.quiet_logger import QuietLogger

        return QuietLogger(self._logger, self._ledger, self.run_id, self.function_id, self.attempt)


class Context(_CallContext[E]):
    """What a sync function is given.

    Attributes:
        event: The event that started the run; the first of a batch.
        events: All events of a batch.
        run_id: The run.
        attempt: 0 for the first try of the current step.
        max_attempts: All tries there are, or None where the server does not say.
        function_id: The function's ID within the app.
        env: The environment's name, "" in dev.
        failure: The failed run, in an ``on_failure`` handler; None in any other function.
        step: The steps.
    """

    __slots__ = ("_group", "step")

    def __init__(
        self, call: CallRequest, function: Function[Any], ledger: Ledger, logger: Logger | None, step: Step
    ) -> None:
        super().__init__(call, function, ledger, logger)
        self.step: Step = step
        self._group: Group | None = None

    @property
    def group(self) -> Group:
        """Parallel steps."""
        if self._group is None:
            from inngest_serverless.engine.groups import Group

            self._group = Group(self._ledger)
        return self._group


class AsyncContext(_CallContext[E]):
    """What an async function is given: as ``Context``, with steps that are awaited."""

    __slots__ = ("step",)

    def __init__(
        self, call: CallRequest, function: Function[Any], ledger: Ledger, logger: Logger | None, step: AsyncStep
    ) -> None:
        super().__init__(call, function, ledger, logger)
        self.step: AsyncStep = step

    @property
    def group(self) -> AsyncGroup:
        """Parallel steps."""
        from inngest_serverless.engine.groups import AsyncGroup

        step: Any = self.step
        return AsyncGroup(self._ledger, step._rendezvous)  # noqa: SLF001 - one engine
