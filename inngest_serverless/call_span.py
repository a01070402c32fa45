"""The span of one call, for ``TracingMiddleware``. The only module that imports OpenTelemetry when it is loaded.

Source: docs/middleware.md; W3C Trace Context.
"""

from __future__ import annotations

import time

from opentelemetry import context as contexts
from opentelemetry.trace import Span, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext, Tracer

    from inngest_serverless.middleware import CallInput

__all__ = ["CallSpan"]


class CallSpan(Span):
    """Stands for the span of a call, which begins when there is something to be seen in it: a child, or a result.

    While the call replays it stands for the span around it. A call that comes to nothing but a plan has none.

    Args:
        tracer: Makes the span.
        call: The call.
    """

    def __init__(self, tracer: Tracer, call: CallInput) -> None:
        self.call = call
        self._tracer = tracer
        self._parent = _parent(call)
        self._around = get_current_span(self._parent)
        self._since: int | None = None
        self._made: Span | None = None
        self._is_over = False

    def enter(self) -> None:
        """Make it the current span, up to the end of the call's context."""
        contexts.attach(set_span_in_context(self, self._parent))

    def begin(self) -> None:
        """Note that new code runs from here on."""
        if self._since is None:
            self._since = time.time_ns()

    def conclude(self, step_id: str | None, error: BaseException | None) -> None:
        """End it with what the new code came to: a step, or the function's end if there is no step's ID."""
        if self._is_over:
            return
        self.begin()
        span = self._span()
        if step_id is not None:
            span.update_name(f"step {step_id}")
            span.set_attribute("inngest.step_id", step_id)
        if error is not None:
            _record(span, error)
        self.close()

    def close(self) -> None:
        """End it, if it has begun."""
        if self._made is not None and not self._is_over:
            self._is_over = True
            self._made.end()

    def _span(self) -> Span:
        if self._since is None:
            return self._around
        if self._made is None:
            call = self.call
            attributes: dict[str, str | int] = {
                "inngest.app_id": call.app_id,
                "inngest.function_id": call.function_id,
                "inngest.run_id": call.run_id,
                "inngest.attempt": call.attempt,
            }
            self._made = self._tracer.start_span(
                call.function_id, self._parent, attributes=attributes, start_time=self._since
            )
        return self._made

    # What is asked of the current span.

    def get_span_context(self) -> SpanContext:
        """Whose children new spans become."""
        return self._span().get_span_context()

    def is_recording(self) -> bool:
        """As of any span, like all that follows."""
        return self._span().is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        """As the interface says."""
        self._span().set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        """As the interface says."""
        self._span().set_attributes(attributes)

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        """As the interface says."""
        self._span().add_event(*args, **kwargs)

    def add_link(self, *args: Any, **kwargs: Any) -> None:
        """As the interface says."""
        self._span().add_link(*args, **kwargs)

    def update_name(self, name: str) -> None:
        """As the interface says."""
        self._span().update_name(name)

    def set_status(self, *args: Any, **kwargs: Any) -> None:
        """As the interface says."""
        self._span().set_status(*args, **kwargs)

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        """As the interface says."""
        self._span().record_exception(*args, **kwargs)

    def end(self, end_time: int | None = None) -> None:
        """Nothing: it ends with the new code of the call."""


def _parent(call: CallInput) -> Context:
    here = contexts.get_current()
    headers = {"traceparent": call.traceparent, "tracestate": call.tracestate}
    remote = TraceContextTextMapPropagator().extract({key: text for key, text in headers.items() if text}, here)
    # Whoever instruments the platform may have continued the same trace already.
    around = get_current_span(here).get_span_context()
    is_continued = around.is_valid and around.trace_id == get_current_span(remote).get_span_context().trace_id
    return here if is_continued else remote


def _record(span: Span, error: BaseException) -> None:
    reason = type(error).__name__
    try:
        span.record_exception(error)
        reason = f"{reason}: {error}"
    except Exception:  # noqa: BLE001, S110 - a user's __str__ may raise anything
        pass
    span.set_status(Status(StatusCode.ERROR, reason))
