"""What a function is given: the event, the run, and the steps."""

from __future__ import annotations

from inngest_serverless.events import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger

    from inngest_serverless.engine.groups import AsyncGroup, Group
    from inngest_serverless.engine.steps import AsyncStep, Step
    from inngest_serverless.protocol.call import CallRequest

__all__ = ["AsyncContext", "Context"]


class _CallContext:
    """What sync and async functions are given alike."""

    __slots__ = ("attempt", "env", "event", "events", "function_id", "max_attempts", "run_id")

    def __init__(self, call: CallRequest, function_id: str) -> None:
        self.event = Event.from_dict(call.event)
        self.events = [Event.from_dict(event) for event in call.events]
        self.run_id = call.run_id
        self.attempt = call.attempt
        self.max_attempts = call.max_attempts
        self.function_id = function_id
        self.env = call.env

    @property
    def logger(self) -> Logger:
        """The logger ``inngest_serverless``."""
        from logging import getLogger

        return getLogger("inngest_serverless")


class Context(_CallContext):
    """What a sync function is given.

    Attributes:
        event: The event that started the run; the first of a batch.
        events: All events of a batch.
        run_id: The run.
        attempt: 0 for the first try of the current step.
        max_attempts: All tries there are, or None where the server does not say.
        function_id: The function's ID within the app.
        env: The environment's name, "" in dev.
        step: The steps.
        group: Parallel steps.
    """

    __slots__ = ("group", "step")

    def __init__(self, call: CallRequest, function_id: str, step: Step, group: Group) -> None:
        super().__init__(call, function_id)
        self.step = step
        self.group = group


class AsyncContext(_CallContext):
    """What an async function is given: as ``Context``, with steps that are awaited."""

    __slots__ = ("group", "step")

    def __init__(self, call: CallRequest, function_id: str, step: AsyncStep, group: AsyncGroup) -> None:
        super().__init__(call, function_id)
        self.step = step
        self.group = group
