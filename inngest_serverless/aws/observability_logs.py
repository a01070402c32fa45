"""Structured logs: JSON lines through Powertools Logger that say which run, function and step they belong to.

Source: docs/observability.md; Powertools for AWS Lambda (Python), Logger.
"""

from __future__ import annotations

from logging import Filter, getLogger

from inngest_serverless.aws.observability import Observer, current_record, harmless, powertools_missing
from inngest_serverless.engine.ledger import current_step_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import LogRecord
    from typing import Any

    from aws_lambda_powertools.logging import Logger

    from inngest_serverless.aws.observability import CallRecord, Handler
    from inngest_serverless.middleware import CallOutput

__all__ = ["PowertoolsLogs"]

# Where ``ctx.logger`` writes if the handler was given no logger.
_OURS = "inngest_serverless"


class _CallFields(Filter):
    """Adds to each record what is known of the call that it was made in. What the record has already is left alone."""

    def filter(self, record: LogRecord) -> bool:
        call = current_record()
        if call is not None:
            for name, value in _fields(call).items():
                record.__dict__.setdefault(name, value)
        return True


class PowertoolsLogs(Observer):
    """JSON lines that carry the run, the function, the step, the attempt, Lambda's request ID and the cold start.

    ``ctx.logger`` writes through the Powertools logger, unless the handler was given a ``logger`` of its own. So does
    what else is logged through that logger; it gets the same fields. What is appended to its keys during an invocation
    is gone with it. A step or a function that raises is logged as an error.

    Args:
        logger: The Powertools logger, with the service, level and formatter that you want; made with Powertools' own
            settings from the environment (``POWERTOOLS_SERVICE_NAME``, ``POWERTOOLS_LOG_LEVEL``) if not given.
        error_messages: Whether the line of an error has its message and stack trace as well; they may hold what the
            code was working on.

    Raises:
        ConfigurationError: Powertools is not installed.

    Source: docs/observability.md.
    """

    def __init__(self, logger: Logger | None = None, *, error_messages: bool = False) -> None:
        try:
            from aws_lambda_powertools.logging import Logger
        except ImportError:
            raise powertools_missing("PowertoolsLogs") from None
        self._logger = Logger() if logger is None else logger
        self._error_messages = error_messages
        self._ours = getLogger(_OURS)
        handler = self._logger.registered_handler
        if not any(isinstance(known, _CallFields) for known in handler.filters):
            handler.addFilter(_CallFields())
        # Lambda's own handler, at the root, would write every line a second time.
        self._ours.handlers, self._ours.propagate = [handler], False
        self._ours.setLevel(self._logger.log_level)

    def around_handler(self, handler: Handler, environ: Mapping[str, str]) -> Handler:
        """Watch a handler, and undo what it does to the logger's keys."""
        logger = self._logger

        def tidy(event: Any, context: Any) -> dict[str, Any]:
            before = dict(logger.get_current_keys())
            try:
                return handler(event, context)
            finally:
                logger.remove_keys([key for key in logger.get_current_keys() if key not in before])
                logger.append_keys(**before)

        return super().around_handler(tidy, environ)

    @harmless
    def begin_invocation(self) -> None:
        """Take over the level, which Powertools may draw anew for each invocation."""
        level = self._logger.log_level
        if self._ours.level != level:
            self._ours.setLevel(level)

    def transform_output(self, output: CallOutput) -> None:
        """Tell of an error."""
        super().transform_output(output)
        if output.error is not None:
            self._tell(output, output.error)

    @harmless
    def _tell(self, output: CallOutput, error: BaseException) -> None:
        what = "the function" if output.step_id is None else f"step {output.step_id!r}"
        name = type(error).__name__
        self._ours.error(
            "%s failed: %s",
            what,
            name,
            exc_info=error if self._error_messages else None,
            # The body has ended, so nobody else knows which step it was.
            extra={"error_name": name, "step_id": output.step_id, "duration_ms": self.record.took_ms},
        )


def _fields(call: CallRecord) -> dict[str, Any]:
    """The fields of a line, named as Powertools and ``ctx.logger`` name them; what is not known is left out."""
    fields: dict[str, Any] = {"function_request_id": call.request_id, "cold_start": call.is_cold}
    if call.run_id:
        fields |= {
            "run_id": call.run_id,
            "function_id": call.function_id,
            "step_id": current_step_id(),
            "attempt": call.attempt,
            "inngest_request_id": call.server_request_id or None,
        }
    return {name: value for name, value in fields.items() if value is not None}
