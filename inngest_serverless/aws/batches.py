"""What Lambda's pollers hand over, and what they want to know afterwards.

Sources: docs/forwarding.md, and the AWS Lambda developer guide on partial batch responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import UnsupportedEventError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from aws_lambda_powertools.utilities.batch import BatchProcessor

    from inngest_serverless.aws.forwarder import Delivery, Forwarder

    BatchResponse: TypeAlias = dict[str, list[dict[str, str]]]

__all__ = ["batch_records", "batch_response", "forward_messages", "wrong_event"]


def batch_records(name: str, event: Any, *sources: str) -> list[dict[str, Any]]:
    """The records of an event that comes from one of these sources.

    Raises:
        UnsupportedEventError: It does not; the message says what it is.
    """
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records and isinstance(records[0], dict):
        source = records[0].get("eventSource") or records[0].get("EventSource")
        if source in sources:
            return records
    raise wrong_event(name, event)


def wrong_event(name: str, event: Any) -> UnsupportedEventError:
    """The error of a handler that is invoked with what it does not take."""
    from inngest_serverless.aws.event_kinds import describe

    what, advice = describe(event)
    return UnsupportedEventError(
        f"a handler made with {name} was invoked with {what}: {advice or 'check what triggers the function'}"
    )


def forward_messages(
    forwarder: Forwarder, records: Sequence[dict[str, Any]], deliveries: Sequence[Delivery]
) -> BatchResponse:
    """Forward the messages of a queue."""
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, SqsFifoPartialProcessor

    # Standard queues may have message groups as well, so those tell nothing.
    is_fifo = str(records[0].get("eventSourceARN")).endswith(".fifo")
    forwarder.forward(deliveries, ordered=is_fifo)
    return batch_response(SqsFifoPartialProcessor() if is_fifo else BatchProcessor(EventType.SQS), records, deliveries)


def batch_response(
    processor: BatchProcessor, records: Sequence[dict[str, Any]], deliveries: Sequence[Delivery]
) -> BatchResponse:
    """What Lambda's pollers want to know: which records they are to deliver again."""
    faults = {id(record): delivery.fault for record, delivery in zip(records, deliveries, strict=True)}

    def settle(record: Any) -> None:
        fault = faults[id(record.raw_event)]
        if fault is not None:
            raise fault

    with processor(records=list(records), handler=settle):
        processor.process()
    response: Any = processor.response()
    return response  # type: ignore[no-any-return]
