"""One run through the user's function, for one call. Source: docs/protocol.md, sections 4 and 5."""

from __future__ import annotations

from contextvars import copy_context

from inngest_serverless.engine.context import AsyncContext, Context
from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import Ledger
from inngest_serverless.engine.plans import close_awaitable, is_awaitable
from inngest_serverless.engine.steps import Step
from inngest_serverless.errors import ConfigurationError, NestedStepError
from inngest_serverless.protocol.headers import REPLAYED
from inngest_serverless.protocol.reply import error_reply, failed_reply, returned_reply, steps_reply
from inngest_serverless.result_types import result_type
from inngest_serverless.serialization import encode_output, plain_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from logging import Logger
    from typing import Any

    from inngest_serverless.engine.deadline import Deadline
    from inngest_serverless.engine.interrupts import DeadlineExceeded
    from inngest_serverless.engine.plans import Senders
    from inngest_serverless.engine.rendezvous import WarmLoop
    from inngest_serverless.functions import Function
    from inngest_serverless.middleware import Hooks
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.protocol.exchange import Reply
    from inngest_serverless.result_types import ResultType

__all__ = ["Invocation"]

_SERVER_ERROR = 500


class Invocation:
    """One call of one function.

    Args:
        function: The function.
        call: The call request.
        app_id: The app, for the composite IDs of invoked functions.
        now: The clock, Unix seconds.
        hooks: The middleware of this call, or None.
        logger: Where ``ctx.logger`` writes, or None for the logger ``inngest_serverless``.
        deadline: When it has to be answered, or None.
    """

    __slots__ = ("_app_id", "_call", "_hooks", "_ledger", "_logger", "_now", "deadline", "function")

    def __init__(
        self,
        function: Function[Any],
        call: CallRequest,
        app_id: str,
        now: Callable[[], float],
        hooks: Hooks | None = None,
        logger: Logger | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self.function: Function[Any] = function
        self.deadline: Deadline | None = deadline
        self._call = call
        self._app_id = app_id
        self._now = now
        self._hooks = hooks
        self._logger = logger
        self._ledger = Ledger(call, now, hooks)

    def run(self, send: Senders) -> Reply:
        """Run a sync function. ``send`` sends events and signals."""
        # In a context of its own, as on a loop: what is set there is gone with the call.
        context = copy_context()
        if self._hooks is None:
            return self.conclude(*context.run(self._execute, send))
        return context.run(self._hooks.run, self._with_hooks(self._hooks), lambda: self._execute(send))

    async def run_async(self, send: Senders, loop: WarmLoop) -> Reply:
        """Run an async function on a loop. ``send`` is as for ``run``, to be awaited."""
        if self._hooks is None:
            return self.conclude(*await self._execute_async(send, loop))
        return await self._hooks.run_async(self._with_hooks(self._hooks), lambda: self._execute_async(send, loop))

    def _execute(self, send: Senders) -> tuple[Any, BaseException | None]:
        """Call a sync function: what it returned, what it raised."""
        ledger = self._ledger
        step = Step(ledger, self._app_id, send)
        try:
            context = Context(self._call, self.function, ledger, self._logger, step)
            return self.function.handler(context), None
        except Interrupt:
            return None, None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the function's failure is told, whatever it is
            return None, error

    async def _execute_async(self, send: Senders, loop: WarmLoop) -> tuple[Any, BaseException | None]:
        """Call an async function: what it returned, what it raised."""
        from inngest_serverless.engine.async_steps import AsyncStep
        from inngest_serverless.engine.rendezvous import Rendezvous

        ledger = self._ledger
        rendezvous = Rendezvous(ledger, loop)
        step = AsyncStep(ledger, self._app_id, send, rendezvous)
        try:
            context = AsyncContext(self._call, self.function, ledger, self._logger, step)
        except Exception as error:  # noqa: BLE001 - what checking the event raises is the function's failure
            return None, error
        main = await rendezvous.conduct(self.function.handler(context))
        forgotten = rendezvous.forgotten()
        if ledger.expired is not None:
            return None, ledger.expired
        if ledger.report is not None or not main.done():
            return None, None
        if main.cancelled():
            return None, rendezvous.Cancelled("the function was cancelled")
        value, raised = main.result()
        if forgotten is not None and raised is not None:
            if not isinstance(raised, (TypeError, AttributeError)) or "coroutine" not in str(raised):
                return None, raised
            # It has gone on with the step itself, as if that were its result.
            forgotten.__cause__ = raised
        return value, forgotten or raised

    def _with_hooks(self, hooks: Hooks) -> Generator[Any, Any, Reply]:
        """The function within its middleware; yields what has to be awaited, and EXECUTE for the function itself."""
        from inngest_serverless.middleware import EXECUTE, CallInput, CallOutput

        call = self._call
        try:
            yield from hooks.transform_input(
                CallInput(
                    self._app_id,
                    self.function.id,
                    call.run_id,
                    call.attempt,
                    call.events,
                    call.memos,
                    call.traceparent,
                    call.tracestate,
                    call.request_id,
                )
            )
            value, error = yield EXECUTE
            ledger = self._ledger
            if ledger.fault is not None:
                raise ledger.fault  # noqa: TRY301 - as if the hook had been called here
            if ledger.expired is not None:
                value, error = None, ledger.ended(error)
                if ledger.running is not None:
                    yield from ledger.conclude(ledger.running, None, error)
            if self._is_report():
                yield from hooks.end(None)
                reply = self.conclude(None, None)
            else:
                output = CallOutput(None, *self._written(*self._settle(value, error)))
                yield from hooks.end(output)
                reply = self._final_reply(output.data, output.error, None)
            yield from hooks.respond()
        except Exception as raised:  # noqa: BLE001 - what a hook raises is the failure of the call
            return self._failed(raised)
        return reply

    def conclude(self, output: Any, error: BaseException | None) -> Reply:
        """The reply to the call: the steps to report, or else what the function returned or raised."""
        ledger = self._ledger
        if ledger.expired is not None:
            error = ledger.give_up(error)
        if ledger.report is not None:
            reply = steps_reply(ledger.report)
            if ledger.replayed is not None:
                reply.headers[REPLAYED] = str(ledger.replayed)
            return reply
        if ledger.target is not None and ledger.running is None and ledger.expired is None:
            return self._target_missing(ledger.target)
        return self._final_reply(*self._settle(output, error), result_type(self.function.handler))

    def expire(self, deadline: Deadline) -> DeadlineExceeded:
        """Book that the time is up, and return what to end the user's code with."""
        ledger = self._ledger
        if ledger.expired is None:
            from inngest_serverless.engine.overdue import describe_expiry

            ledger.expire(describe_expiry(deadline, self.function.id, ledger.running))
        return ledger.expired  # type: ignore[return-value]

    def has_expired(self) -> bool:
        """Whether the user's code has been ended, as the time was up."""
        return self._ledger.expired is not None

    def has_cancelled(self) -> bool:
        """Whether tasks of the user's code have been cancelled, as the call has its answer."""
        return self._ledger.interrupted or self._ledger.expired is not None

    def _is_report(self) -> bool:
        """Whether the call only reports steps, or that one was not met."""
        ledger = self._ledger
        missed = ledger.target is not None and ledger.running is None and ledger.expired is None
        return ledger.report is not None or missed

    def _settle(self, output: Any, error: BaseException | None) -> tuple[Any, BaseException | None]:
        """What the function came to, given what it returned or raised."""
        running = self._ledger.running
        if running is not None:
            message = f"the function ended while step {running.step_id!r} was still running in another thread"
            return None, NestedStepError(message)
        if error is not None:
            return None, error
        if is_awaitable(output):
            close_awaitable(output)
            way_out = "await it" if self.function.is_async else "declare it and its decorators with 'async def'"
            return None, ConfigurationError(f"{self._source} returned an awaitable: {way_out}")
        return output, None

    def _written(self, output: Any, error: BaseException | None) -> tuple[Any, BaseException | None]:
        """The same as middleware is shown it."""
        if error is not None:
            return None, error
        try:
            return plain_output(output, self._source, result_type(self.function.handler)), None
        except Exception as failure:  # noqa: BLE001 - whatever writing the user's value raises is the failure
            return None, failure

    def _final_reply(self, output: Any, error: BaseException | None, kind: ResultType | None) -> Reply:
        if error is not None:
            return self._failed(error)
        try:
            return returned_reply(encode_output(output, self._source, kind))
        except Exception as failure:  # noqa: BLE001 - whatever encoding the user's value raises is the failure
            return self._failed(failure)

    def _failed(self, error: BaseException) -> Reply:
        from inngest_serverless.engine.failure import describe

        return failed_reply(describe(error, self._now()))

    @property
    def _source(self) -> str:
        return f"function {self.function.id!r}"

    def _target_missing(self, target: str) -> Reply:
        met = ", ".join(repr(step.step_id) for step in self._ledger.skipped) or "none"
        return error_reply(
            _SERVER_ERROR,
            "StepNotFound",
            f"function {self.function.id!r} did not come to the step {target!r} that was called for; new steps it came "
            f"to: {met}. Was its code changed while the run was under way, or does it depend on time or chance?",
            retry=True,
        )
