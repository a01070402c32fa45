"""Metrics of every call in CloudWatch's embedded metric format (EMF), through Powertools Metrics.

Source: docs/observability.md; Amazon CloudWatch user guide, embedded metric format specification.
"""

from __future__ import annotations

from inngest_serverless.aws.observability import Observer, harmless, powertools_missing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from aws_lambda_powertools.metrics import Metrics

    from inngest_serverless.aws.observability import CallRecord

__all__ = ["PowertoolsMetrics"]

_NAMESPACE = "Inngest"


class PowertoolsMetrics(Observer):
    """One line of metrics for each call, written when the invocation ends, also where the handler raises.

    Metrics: ``StepDuration`` (milliseconds) and ``StepErrors`` (0 or 1) where a step ran; ``CallErrors`` (0 or 1),
    ``ReplayedSteps``, ``RequestBytes`` and ``ResponseBytes`` for each call. Their dimensions are ``service`` and
    ``function_id``. The run, the step and the IDs of the call stand beside them, to be searched for in the log.

    Args:
        metrics: Your own metrics, whose namespace and service these take, and which are written, too, when an
            invocation ends; ``log_metrics`` is not needed then.
        namespace: The namespace; ``POWERTOOLS_METRICS_NAMESPACE``, or ``Inngest``, if not given.
        service: The service; ``POWERTOOLS_SERVICE_NAME``, or the app's ID, if not given.

    Raises:
        ConfigurationError: Powertools is not installed.

    Source: docs/observability.md.
    """

    def __init__(
        self, metrics: Metrics | None = None, *, namespace: str | None = None, service: str | None = None
    ) -> None:
        try:
            from aws_lambda_powertools.metrics import EphemeralMetrics
        except ImportError:
            raise powertools_missing("PowertoolsMetrics") from None
        if metrics is not None:
            namespace, service = namespace or metrics.namespace, service or metrics.service
        self._make = EphemeralMetrics
        self._theirs = metrics
        self._namespace = namespace
        self._service = service

    @harmless
    def end_invocation(self, record: CallRecord) -> None:
        """Write the metrics of the call."""
        if record.run_id:
            self._write(record)
        if self._theirs is not None and self._theirs.provider.metric_set:
            self._theirs.flush_metrics()

    def _write(self, record: CallRecord) -> None:
        # Of this call alone: in a shared set they would be written with somebody else's dimensions.
        metrics = self._make(namespace=self._namespace, service=self._service)
        metrics.namespace = metrics.namespace or _NAMESPACE
        metrics.add_dimension("service", metrics.service or record.app_id)
        metrics.add_dimension("function_id", record.function_id)
        for name, unit, value in _measures(record):
            metrics.add_metric(name, unit, value)
        for name, detail in _details(record).items():
            if detail is not None:
                metrics.add_metadata(name, detail)
        metrics.flush_metrics()


def _measures(record: CallRecord) -> Iterator[tuple[str, str, float]]:
    if record.has_concluded and record.step_id is not None:
        yield "StepDuration", "Milliseconds", record.took_ms
        yield "StepErrors", "Count", record.error is not None
    yield "CallErrors", "Count", record.has_failed
    yield "ReplayedSteps", "Count", record.replayed
    if record.event is not None:
        yield "RequestBytes", "Bytes", _body_bytes(record.event)
    if record.reply is not None:
        yield "ResponseBytes", "Bytes", _body_bytes(record.reply)


def _details(record: CallRecord) -> dict[str, Any]:
    """What has too many values for a dimension, under the names that it has in the log."""
    return {
        "run_id": record.run_id,
        "step_id": record.step_id,
        "attempt": record.attempt,
        "outcome": record.outcome,
        "function_request_id": record.request_id,
        "inngest_request_id": record.server_request_id or None,
        "cold_start": record.is_cold,
    }


def _body_bytes(message: Any) -> int:
    """The size of the body in a Lambda event, or in a reply to one."""
    body = message.get("body") or ""
    if message.get("isBase64Encoded"):
        return len(body) * 3 // 4 - body[-2:].count("=")
    return len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
