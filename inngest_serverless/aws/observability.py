"""Watches whole invocations of a Lambda function: what ``PowertoolsLogs``, ``-Metrics`` and ``-Traces`` share.

Middleware sees a call from within. The context that Lambda gives the handler, the size of what comes and goes, and
failures before and behind the function show only from around the handler. An observer is in both places:
``inngest_lambda`` puts it around its handler when it finds one among its middleware.

Source: docs/observability.md; the AWS Lambda developer guide on the context object for Python.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from functools import wraps

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.middleware import Middleware
from inngest_serverless.protocol.call import is_unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from inngest_serverless.middleware import CallInput, CallOutput

    P = ParamSpec("P")
    Watching = TypeVar("Watching", bound="Observer")
    Handler = Callable[[Any, Any], dict[str, Any]]

__all__ = ["CallRecord", "Observer", "current_record", "harmless", "powertools_missing"]

_ERRORS = 400


class CallRecord:
    """What is known of one invocation and of the call that it brought.

    Attributes:
        event: Lambda's event, or None where no handler is being watched.
        request_id: Lambda's ID of the invocation, or None where there is none.
        is_cold: Whether it is the first one of its environment, or None where that is not known.
        reply: What the handler has returned, or None.
        app_id: The app, "" while no call is known.
        function_id: The function, without the app.
        run_id: The run.
        attempt: 0 for the first try.
        server_request_id: Inngest's own ID of the call, or "".
        replayed: How many steps the call came with the results of.
        has_concluded: Whether new code has come to something: a step's body, or the function itself.
        step_id: The step that ran, or None for the function itself.
        error: What it raised, or None.
        subsegment: The X-Ray subsegment that is open for it, or None.
    """

    __slots__ = (
        "_began",
        "_ended",
        "app_id",
        "attempt",
        "error",
        "event",
        "function_id",
        "has_concluded",
        "is_cold",
        "replayed",
        "reply",
        "request_id",
        "run_id",
        "server_request_id",
        "step_id",
        "subsegment",
    )

    def __init__(self, event: Any = None, request_id: str | None = None, is_cold: bool | None = None) -> None:
        self.event: Any = event
        self.request_id: str | None = request_id
        self.is_cold: bool | None = is_cold
        self.reply: dict[str, Any] | None = None
        self.app_id: str = ""
        self.function_id: str = ""
        self.run_id: str = ""
        self.attempt: int = 0
        self.server_request_id: str = ""
        self.replayed: int = 0
        self.has_concluded: bool = False
        self.step_id: str | None = None
        self.error: BaseException | None = None
        self.subsegment: Any = None
        self._began: int | None = None
        self._ended: int | None = None

    def receive(self, call: CallInput) -> None:
        """Note what call it is."""
        self.app_id = call.app_id
        self.function_id = call.function_id
        self.run_id = call.run_id
        self.attempt = call.attempt
        self.server_request_id = call.request_id
        self.replayed = sum(1 for memo in call.memos.values() if not is_unfinished(memo))

    def begin(self) -> None:
        """Note that new code runs from here on; the last time counts, which is closest to it."""
        self._began = time.perf_counter_ns()

    def end(self) -> None:
        """Note that it has run; the first time counts, for the same reason."""
        if self._ended is None:
            self._ended = time.perf_counter_ns()

    def conclude(self, output: CallOutput) -> None:
        """Note what it came to; the last time counts, since middleware may change that."""
        self.has_concluded, self.step_id, self.error = True, output.step_id, output.error

    @property
    def took_ms(self) -> float:
        """How long new code ran, in milliseconds."""
        if self._began is None or self._ended is None:
            return 0.0
        return round((self._ended - self._began) / 1e6, 3)

    @property
    def has_failed(self) -> bool:
        """Whether the call itself failed: it was answered with an error, or not at all. A failed step is no error."""
        if self.event is None:
            return self.has_concluded and self.step_id is None and self.error is not None
        return self.reply is None or int(self.reply.get("statusCode", 0)) >= _ERRORS

    @property
    def outcome(self) -> str:
        """``failed``, ``planned``, ``finished``, ``step_failed`` or ``step_succeeded``."""
        if self.has_failed:
            return "failed"
        if not self.has_concluded:
            return "planned"
        if self.step_id is None:
            return "finished"
        return "step_failed" if self.error is not None else "step_succeeded"


_current: ContextVar[CallRecord | None] = ContextVar("inngest_serverless_call_record", default=None)


def current_record() -> CallRecord | None:
    """The record of the invocation that the code belongs to, in whatever task it runs; None outside of any."""
    return _current.get()


def harmless(method: Callable[Concatenate[Watching, P], None]) -> Callable[Concatenate[Watching, P], None]:
    """Keep what a method raises from the call that it watches: told in the log, it would change nothing else.

    A metric that cannot be written must not make a step run again.
    """

    @wraps(method)
    def told(self: Watching, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            from logging import getLogger

            place = f"{type(self).__name__}.{method.__name__}"
            getLogger("inngest_serverless").exception("%s failed; the call goes on without it", place)

    return told


class Observer(Middleware):
    """Middleware that is also around the handler. Its instances are shared by all calls."""

    def around_handler(self, handler: Handler, environ: Mapping[str, str]) -> Handler:
        """Watch a handler.

        Args:
            handler: The Lambda handler.
            environ: The environment, which says whether Lambda has started it ahead of any invocation.

        Returns:
            The handler to use instead.
        """
        # Nobody has waited for the start of an environment that was provisioned.
        is_cold = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "provisioned-concurrency"

        def watched(event: Any, context: Any) -> dict[str, Any]:
            nonlocal is_cold
            record = _current.get()
            if record is not None:  # another observer is around this one
                return self._watch(handler, event, context, record)
            record = CallRecord(event, getattr(context, "aws_request_id", None), is_cold)
            is_cold = False
            token = _current.set(record)
            try:
                return self._watch(handler, event, context, record)
            finally:
                _current.reset(token)
                record.error = None  # its traceback refers to this very frame

        return watched

    def _watch(self, handler: Handler, event: Any, context: Any, record: CallRecord) -> dict[str, Any]:
        self.begin_invocation()
        try:
            record.reply = handler(event, context)
            return record.reply
        finally:
            self.end_invocation(record)

    def begin_invocation(self) -> None:
        """An invocation begins; what call it brings is not known yet."""

    def end_invocation(self, record: CallRecord) -> None:
        """It has ended, or the handler has raised."""

    # The hooks. An observer that overrides one calls it, too: which of them comes first depends on the list.

    def transform_input(self, call: CallInput) -> None:
        """Note the call."""
        record = _current.get()
        if record is None:
            # Nobody is around the handler: it is not Lambda's, or the middleware is that of one function.
            record = CallRecord()
            _current.set(record)
        record.receive(call)

    def before_execution(self) -> None:
        """Note when new code begins."""
        self.record.begin()

    def after_execution(self) -> None:
        """Note when it has ended."""
        self.record.end()

    def transform_output(self, output: CallOutput) -> None:
        """Note what it came to."""
        self.record.conclude(output)

    def before_response(self) -> None:
        """End what nobody around the handler will end."""
        record = self.record
        if record.event is None:
            self.end_invocation(record)

    @property
    def record(self) -> CallRecord:
        """The record of the call whose hook it is."""
        record = _current.get()
        if record is None:
            raise AssertionError("a hook was called before transform_input")
        return record


def powertools_missing(name: str, package: str = "inngest-serverless[aws]") -> ConfigurationError:
    """The error of a switch that was turned on without Powertools."""
    return ConfigurationError(
        f"{name} needs Powertools for AWS Lambda: pip install '{package}', "
        "or add AWS's Powertools layer to the Lambda function"
    )
