"""One run through the user's function, for one call. Source: docs/protocol.md, sections 4 and 5."""

from __future__ import annotations

from inngest_serverless.engine.context import AsyncContext, Context
from inngest_serverless.engine.failure import describe
from inngest_serverless.engine.groups import AsyncGroup, Group
from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import Ledger
from inngest_serverless.engine.steps import Step
from inngest_serverless.errors import ConfigurationError, EventValidationError
from inngest_serverless.protocol.reply import error_reply, failed_reply, returned_reply, steps_reply
from inngest_serverless.result_types import result_type
from inngest_serverless.serialization import encode_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from inngest_serverless.engine.plans import Senders
    from inngest_serverless.engine.rendezvous import WarmLoop
    from inngest_serverless.functions import Function
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.protocol.exchange import Reply

__all__ = ["Invocation"]

_SERVER_ERROR = 500


class Invocation:
    """One call of one function.

    Args:
        function: The function.
        call: The call request.
        app_id: The app, for the composite IDs of invoked functions.
        now: The clock, Unix seconds.
    """

    __slots__ = ("_app_id", "_call", "_ledger", "_now", "function")

    def __init__(self, function: Function[Any], call: CallRequest, app_id: str, now: Callable[[], float]) -> None:
        self.function = function
        self._call = call
        self._app_id = app_id
        self._now = now
        self._ledger = Ledger(call, now)

    def run(self, send: Senders) -> Reply:
        """Run a sync function. ``send`` sends events and signals."""
        ledger = self._ledger
        step = Step(ledger, self._app_id, send)
        try:
            output = self.function.handler(Context(self._call, self.function, step, Group(ledger)))
        except Interrupt:
            return self._conclude(None, None)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the function's failure is told, whatever it is
            return self._conclude(None, error)
        return self._conclude(output, None)

    async def run_async(self, send: Senders, loop: WarmLoop) -> Reply:
        """Run an async function on a loop. ``send`` is as for ``run``, to be awaited."""
        from inngest_serverless.engine.async_steps import AsyncStep
        from inngest_serverless.engine.rendezvous import Rendezvous

        ledger = self._ledger
        meeting = Rendezvous(ledger, self._call.order, loop)
        step = AsyncStep(ledger, self._app_id, send, meeting)
        try:
            context = AsyncContext(self._call, self.function, step, AsyncGroup())
        except EventValidationError as error:
            return self._conclude(None, error)
        main = await meeting.conduct(self.function.handler(context))
        if ledger.report is not None or not main.done():
            return self._conclude(None, None)
        if main.cancelled():
            return self._conclude(None, meeting.Cancelled("the function was cancelled"))
        raised = main.exception()
        return self._conclude(None, raised) if raised else self._conclude(main.result(), None)

    def _conclude(self, output: Any, error: BaseException | None) -> Reply:
        ledger = self._ledger
        if ledger.report is not None:
            return steps_reply(ledger.report)
        if ledger.target is not None:
            return self._target_missing(ledger.target)
        if error is not None:
            return failed_reply(describe(error, self._now()))
        try:
            return returned_reply(self._encode(output))
        except Exception as failure:  # noqa: BLE001 - whatever encoding the user's value raises is the failure
            return failed_reply(describe(failure, self._now()))

    def _encode(self, output: Any) -> str:
        if hasattr(output, "__await__"):
            if hasattr(output, "close"):
                output.close()
            raise ConfigurationError(
                f"function {self.function.id!r} returned an awaitable: declare it with 'async def', "
                "and its decorators as well"
            )
        return encode_output(output, f"function {self.function.id!r}", result_type(self.function.handler))

    def _target_missing(self, target: str) -> Reply:
        met = ", ".join(repr(step.step_id) for step in self._ledger.skipped) or "none"
        return error_reply(
            _SERVER_ERROR,
            "StepNotFound",
            f"function {self.function.id!r} did not come to the step {target!r} that was called for; new steps it came "
            f"to: {met}. Was its code changed while the run was under way, or does it depend on time or chance?",
            retry=True,
        )
