"""X-Ray subsegments: one for the new code of each call, through Powertools Tracer.

Source: docs/observability.md; AWS X-Ray developer guide, segment documents.
"""

from __future__ import annotations

import re
from traceback import extract_tb

from inngest_serverless.aws.observability import Observer, harmless, powertools_missing
from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from aws_lambda_powertools.tracing import Tracer

    from inngest_serverless.aws.observability import CallRecord
    from inngest_serverless.middleware import CallOutput

__all__ = ["PowertoolsTraces"]

_NAME_LENGTH = 200
_FRAMES = 10
# What X-Ray does not take in a name.
_FORBIDDEN = re.compile(r"[^\w\s.:/%&#=+\-@]")


class PowertoolsTraces(Observer):
    """One X-Ray subsegment for the new code of each call, within the segment that Lambda makes of the invocation.

    It is called ``step {id}`` for a step, or as the function for what is not in a step; what has been replayed has
    none. Annotations: ``run_id``, ``function_id``, ``step_id``, ``attempt``. An error is recorded with its type and
    where it was raised. Nothing happens where Powertools Tracer is disabled, as it is outside of Lambda, or where
    Lambda does not sample the invocation.

    Args:
        tracer: The Powertools tracer. If not given, one is made that patches no libraries; give ``Tracer()`` to have
            the requests of boto3, httpx and others traced as well.
        error_messages: Whether an error is recorded with its message as well; it may hold what the code was working on.

    Raises:
        ConfigurationError: Powertools or the X-Ray SDK is not installed, or the tracer is not one for X-Ray.

    Source: docs/observability.md.
    """

    def __init__(self, tracer: Tracer | None = None, *, error_messages: bool = False) -> None:
        try:
            from aws_lambda_powertools.tracing import Tracer

            # Tracers share their settings: to patch nothing must not become the setting of those made later.
            self._tracer = Tracer(patch_modules=()) if tracer is None else tracer
        except ImportError:
            raise powertools_missing("PowertoolsTraces", "aws-lambda-powertools[tracer]") from None
        self._recorder: Any = self._tracer.provider
        if not hasattr(self._recorder, "begin_subsegment"):
            raise ConfigurationError(
                f"PowertoolsTraces takes a tracer for X-Ray, not one for {type(self._recorder).__name__}: "
                "leave out its provider, or use TracingMiddleware with OpenTelemetry"
            )
        self._error_messages = error_messages

    def before_execution(self) -> None:
        """Open the subsegment, so that those of libraries nest in it."""
        super().before_execution()
        self._begin(self.record)

    def transform_output(self, output: CallOutput) -> None:
        """Close it with what the new code came to."""
        super().transform_output(output)
        self._end(self.record)

    def end_invocation(self, record: CallRecord) -> None:
        """Close it where nothing has come to an end."""
        self._end(record)

    @harmless
    def _begin(self, record: CallRecord) -> None:
        # The SDK would warn of each subsegment that has no segment of Lambda's to belong to.
        if not self._tracer.disabled and self._recorder.is_sampled():
            record.subsegment = self._recorder.begin_subsegment(_name(record.function_id))

    @harmless
    def _end(self, record: CallRecord) -> None:
        subsegment, record.subsegment = record.subsegment, None
        if subsegment is None:
            return
        if record.step_id is not None:
            subsegment.name = _name(f"step {record.step_id}")
            subsegment.put_annotation("step_id", record.step_id)
        subsegment.put_annotation("run_id", record.run_id)
        subsegment.put_annotation("function_id", record.function_id)
        subsegment.put_annotation("attempt", record.attempt)
        if record.error is not None:
            message = _message(record.error) if self._error_messages else ""
            # The last frames are the user's own code.
            subsegment.add_exception(_namesake(record.error, message), extract_tb(record.error.__traceback__, -_FRAMES))
        self._close(subsegment)

    def _close(self, subsegment: Any) -> None:
        """Close a subsegment, and before it those that were left open inside."""
        innermost = self._recorder.current_subsegment()
        while innermost is not subsegment and _is_inside(innermost, subsegment):
            self._recorder.end_subsegment()
            innermost = self._recorder.current_subsegment()
        if innermost is subsegment:
            self._recorder.end_subsegment()


def _name(text: str) -> str:
    return _FORBIDDEN.sub("_", text)[:_NAME_LENGTH]


def _is_inside(innermost: Any, subsegment: Any) -> bool:
    return any(child is innermost or _is_inside(innermost, child) for child in subsegment.subsegments)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return ""


def _namesake(error: BaseException, message: str) -> Exception:
    """An exception of the same name: the SDK takes the message of what it is given, and writes marks into it."""
    made: Exception = type(type(error).__name__, (Exception,), {})(message)
    return made
