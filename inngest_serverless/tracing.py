"""Middleware that continues the server's trace in OpenTelemetry: one span for the new code of each call.

Source: docs/middleware.md; W3C Trace Context.
"""

from __future__ import annotations

from contextvars import ContextVar

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.middleware import Middleware
from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from opentelemetry.trace import TracerProvider

    from inngest_serverless.call_span import CallSpan
    from inngest_serverless.middleware import CallInput, CallOutput

__all__ = ["TracingMiddleware", "with_tracing"]

# The span of the call that the code belongs to, in whatever task it runs. Of several middlewares the last one's counts.
_current: ContextVar[CallSpan] = ContextVar("inngest_serverless_span")


class TracingMiddleware(Middleware):
    """One span for the new code of each call, ``step {id}`` or the function's ID, as a child of the server's span.

    It is in use without being named where OpenTelemetry has been imported. Name it to have spans made by a provider of
    your own, or to be told when OpenTelemetry is not installed.

    Args:
        tracer_provider: Whose spans they are; the global one's if not given.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.

    Source: docs/middleware.md.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry.trace import get_tracer
        except ImportError:
            raise ConfigurationError(
                "TracingMiddleware needs OpenTelemetry: pip install 'inngest-serverless[tracing]', "
                "and to export spans, opentelemetry-sdk with an exporter"
            ) from None
        self._tracer = get_tracer("inngest_serverless", __version__, tracer_provider)

    def transform_input(self, call: CallInput) -> None:
        """Continue the server's trace, for all the code of the call."""
        from inngest_serverless.call_span import CallSpan

        span = CallSpan(self._tracer, call)
        _current.set(span)
        span.enter()

    def before_execution(self) -> None:
        """New code runs from here on."""
        _current.get().begin()

    def transform_output(self, output: CallOutput) -> None:
        """End the span with what a step or the function came to."""
        _current.get().conclude(output.step_id, output.error)

    def before_response(self) -> None:
        """End the span of a call that has only reported steps, if it has children."""
        _current.get().close()


def with_tracing(sources: Sequence[Any]) -> tuple[Any, ...]:
    """The middleware of a call, with tracing before all others unless it is among them."""
    if any(isinstance(source, TracingMiddleware) or source is TracingMiddleware for source in sources):
        return tuple(sources)
    return (TracingMiddleware, *sources)
