"""Middleware that continues the server's trace in OpenTelemetry: one span for the new code of each call.

Source: docs/middleware.md; W3C Trace Context.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.middleware import Middleware
from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, TracerProvider

    from inngest_serverless.middleware import CallInput, CallOutput
else:
    try:
        from opentelemetry.trace import Span
    except ImportError:  # then there is no TracingMiddleware either, which says so
        Span = object

__all__ = ["TracingMiddleware", "with_tracing"]


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
        from opentelemetry.context import attach
        from opentelemetry.trace import get_current_span, set_span_in_context

        known = _spans.get()
        if known is not None and known.call is call:
            return
        parent = _parent(call)
        attributes: dict[str, str | int] = {
            "inngest.app_id": call.app_id,
            "inngest.function_id": call.function_id,
            "inngest.run_id": call.run_id,
            "inngest.attempt": call.attempt,
        }

        def start(since: int) -> Span:
            return self._tracer.start_span(call.function_id, parent, attributes=attributes, start_time=since)

        span = _CallSpan(self, call, start, get_current_span(parent))
        _spans.set(span)
        # Never detached: the context ends with the call.
        attach(set_span_in_context(span, parent))

    def before_execution(self) -> None:
        """New code runs from here on."""
        if (span := self._span()) is not None:
            span.begin()

    def transform_output(self, output: CallOutput) -> None:
        """End the span with what a step or the function came to."""
        if (span := self._span()) is not None:
            span.conclude(output.step_id, output.error)

    def before_response(self) -> None:
        """End the span of a call that has only reported steps, if it has children."""
        if (span := self._span()) is not None:
            span.close()

    def _span(self) -> _CallSpan | None:
        span = _spans.get()
        return span if span is not None and span.owner is self else None


class _CallSpan(Span):
    """Stands for the span of a call, which begins when there is something to be seen in it: a child, or a result.

    While the call replays it stands for the span around it. A call that comes to nothing but a plan has none.
    """

    def __init__(self, owner: TracingMiddleware, call: CallInput, start: Callable[[int], Span], outside: Span) -> None:
        self.owner = owner
        self.call = call
        self._start = start
        self._outside = outside
        self._since: int | None = None
        self._made: Span | None = None
        self._is_over = False

    def begin(self) -> None:
        """Note that new code runs from here on."""
        if self._since is None:
            self._since = time.time_ns()

    def conclude(self, step_id: str | None, error: BaseException | None) -> None:
        """End it with what the new code came to."""
        span = self._real()
        if self._is_over:
            return
        if step_id is not None:
            span.update_name(f"step {step_id}")
            span.set_attribute("inngest.step_id", step_id)
        if error is not None:
            _record(span, error)
        self._made = span
        self.close()

    def close(self) -> None:
        """End it, if it has begun."""
        if self._made is not None and not self._is_over:
            self._is_over = True
            self._made.end()

    def _real(self) -> Span:
        if self._since is None:
            return self._outside
        if self._made is None:
            self._made = self._start(self._since)
        return self._made

    # What users ask of the current span.

    def get_span_context(self) -> SpanContext:
        return self._real().get_span_context()

    def is_recording(self) -> bool:
        return self._real().is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        self._real().set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        self._real().set_attributes(attributes)

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        self._real().add_event(*args, **kwargs)

    def add_link(self, *args: Any, **kwargs: Any) -> None:
        self._real().add_link(*args, **kwargs)

    def update_name(self, name: str) -> None:
        self._real().update_name(name)

    def set_status(self, *args: Any, **kwargs: Any) -> None:
        self._real().set_status(*args, **kwargs)

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        self._real().record_exception(*args, **kwargs)

    def end(self, end_time: int | None = None) -> None:
        """Nothing: it ends with the new code of the call."""


# The span of the call that the code belongs to, in whatever task or thread it runs.
_spans: ContextVar[_CallSpan | None] = ContextVar("inngest_serverless_span", default=None)


def _parent(call: CallInput) -> Context:
    from opentelemetry.context import get_current
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    here = get_current()
    headers = {"traceparent": call.traceparent, "tracestate": call.tracestate}
    remote = TraceContextTextMapPropagator().extract({key: text for key, text in headers.items() if text}, here)
    # Whoever instruments the platform may have continued the same trace already.
    around = get_current_span(here).get_span_context()
    is_continued = around.is_valid and around.trace_id == get_current_span(remote).get_span_context().trace_id
    return here if is_continued else remote


def _record(span: Span, error: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode

    reason = type(error).__name__
    try:
        span.record_exception(error)
        reason = f"{reason}: {error}"
    except Exception:  # noqa: BLE001, S110 - a user's __str__ may raise anything
        pass
    span.set_status(Status(StatusCode.ERROR, reason))


def with_tracing(sources: Sequence[Any]) -> tuple[Any, ...]:
    """The middleware of a call, with tracing before all others unless it is among them."""
    if any(isinstance(source, TracingMiddleware) or source is TracingMiddleware for source in sources):
        return tuple(sources)
    return (TracingMiddleware, *sources)
