"""Lambda handlers that send on to Inngest what SQS, SNS, EventBridge, S3, DynamoDB streams and Kinesis deliver.

What all of them do:

- An event that they send has an ID made of where it comes from, its ID there, and its own name. What is delivered twice
  starts no second run (the server remembers IDs for 24 hours).
- ``mapping`` takes a record, a data class of Powertools, and returns the event to send, several of them, or None for
  none of it. It may raise ``RetryAfterError`` to have the record delivered again. Without it, an event gets a name that
  says where it comes from, what was delivered as its data, and its time as ``ts``.
- Records are sent together, in requests of at most 5,000 events and 512 KiB. If the event API refuses a request for its
  events, they are sent in halves, until the one that it is about is alone.
- What can never be sent is *poison*: the mapping raises, the record cannot be read, the event is over 512 KiB or the
  event API refuses it. It is delivered again, or dropped; see ``ForwardOptions``.

The options, all of them optional:

- ``dead_letter``: The name of an event to send in place of poison, which is dropped then. Its data has ``reason``,
  ``attributes`` (``source``, ``id`` and ``eventSource``), and the record as ``data`` if that is not too large.
- ``poison``: ``"retry"`` or ``"drop"``; each handler says what it does without. What is dropped is logged as an error.
- ``event_key``, ``env``, ``is_dev``, ``event_api_base_url``, ``middleware``: As for ``Client``.
- ``logger``: Where to log what is not sent; the logger ``inngest_serverless`` if not given.

Sources: docs/forwarding.md, docs/protocol.md, section 9, and the AWS Lambda developer guide on each service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.aws.batches import batch_records, batch_response, forward_messages, wrong_event
from inngest_serverless.aws.forwarder import Delivery, Forwarder, Item
from inngest_serverless.aws.records import (
    dynamodb_data,
    dynamodb_event,
    dynamodb_origin,
    eventbridge_event,
    eventbridge_origin,
    kinesis_data,
    kinesis_event,
    kinesis_origin,
    sns_data,
    sns_event,
    sns_origin,
    sqs_data,
    sqs_event,
    sqs_origin,
)
from inngest_serverless.aws.s3_records import is_s3_event, read_s3_event, read_s3_text, s3_data, s3_event, s3_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
    from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from inngest_serverless.aws.batches import BatchResponse
    from inngest_serverless.aws.forwarder import ForwardOptions
    from inngest_serverless.aws.s3_records import S3Record
    from inngest_serverless.forwarding import Mapped

__all__ = [
    "dynamodb_data",
    "forward_dynamodb",
    "forward_eventbridge",
    "forward_kinesis",
    "forward_s3",
    "forward_sns",
    "forward_sqs",
    "kinesis_data",
    "s3_data",
    "sns_data",
    "sqs_data",
]


def forward_sqs(
    mapping: Callable[[SQSRecord], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], BatchResponse]:
    """Make a Lambda handler that sends the messages of an SQS queue on to Inngest.

    By default the event is ``aws/sqs.message`` with what ``sqs_data`` makes of the message. Poison stays in the queue,
    which moves it to its dead-letter queue in the end, if it has one. Of a FIFO queue nothing is sent behind a message
    that stays.

    The event source mapping must have ``FunctionResponseTypes: [ReportBatchItemFailures]``: without it, SQS takes a
    batch as done of which only a part was sent.

    Args:
        mapping: Takes an ``SQSRecord``; see the module.
        **options: See the module.

    Returns:
        The handler. It returns the messages that are to be delivered again, and raises if that is all of them.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_sqs", mapping or sqs_event, options)
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    def handler(event: Any, _context: Any) -> BatchResponse:
        records = batch_records("forward_sqs", event, "aws:sqs")
        deliveries = [Delivery([Item(message := SQSRecord(record), sqs_origin(message))]) for record in records]
        return forward_messages(forwarder, records, deliveries)

    return handler


def forward_sns(
    mapping: Callable[[SNSEventRecord], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], None]:
    """Make a Lambda handler that sends the notifications of an SNS topic on to Inngest.

    By default the event is ``aws/sns.notification`` with what ``sns_data`` makes of the notification. If it is not
    sent, poison or not, the handler raises: Lambda tries twice more, then it goes to the function's on-failure
    destination.

    Args:
        mapping: Takes an ``SNSEventRecord``; see the module.
        **options: See the module.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_sns", mapping or sns_event, options)
    from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord

    def handler(event: Any, _context: Any) -> None:
        records = map(SNSEventRecord, batch_records("forward_sns", event, "aws:sns"))
        forwarder.forward([Delivery([Item(record, sns_origin(record)) for record in records])])

    return handler


def forward_eventbridge(
    mapping: Callable[[EventBridgeEvent], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], None]:
    """Make a Lambda handler that sends the events of an EventBridge rule on to Inngest.

    By default the event's name is ``{source}/{detail-type}``, such as ``com.example.shop/Order Placed``, and its data
    is the detail. If it is not sent, poison or not, the handler raises, as ``forward_sns`` does. Events that are
    replayed from an archive have other IDs than before.

    Args:
        mapping: Takes an ``EventBridgeEvent``; see the module.
        **options: See the module.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_eventbridge", mapping or eventbridge_event, options)
    from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent

    def handler(event: Any, _context: Any) -> None:
        if not (isinstance(event, dict) and "detail-type" in event):
            raise wrong_event("forward_eventbridge", event)
        found = EventBridgeEvent(event)
        forwarder.forward([Delivery([Item(found, eventbridge_origin(found))])])

    return handler


def forward_s3(
    mapping: Callable[[S3Record], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], BatchResponse | None]:
    """Make a Lambda handler that sends the notifications of S3 buckets on to Inngest, however they arrive.

    It takes them from S3 itself, from EventBridge, from SNS, and from an SQS queue, also one that gets them from SNS.
    By default the event is named after S3's, such as ``aws/s3.object.created`` or ``aws/s3.object.removed``, with what
    ``s3_data`` makes of the notification. Poison is dealt with as by ``forward_sqs`` if it came from a queue, as by
    ``forward_sns`` if not.

    Args:
        mapping: Takes an ``S3EventRecord``, or an ``S3EventBridgeNotificationEvent`` from EventBridge; see the module.
        **options: See the module.

    Returns:
        The handler. From a queue it returns the messages that are to be delivered again, as ``forward_sqs`` does.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_s3", mapping or s3_event, options)
    from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    def handler(event: Any, _context: Any) -> BatchResponse | None:
        if isinstance(event, dict) and is_s3_event(event):
            forwarder.forward([Delivery(_s3_items(read_s3_event(event)))])
            return None
        records = batch_records("forward_s3", event, "aws:s3", "aws:sns", "aws:sqs")
        if records[0].get("eventSource") == "aws:sqs":
            deliveries = [
                Delivery(_s3_items_in(message.body, message, sqs_origin)) for message in map(SQSRecord, records)
            ]
            return forward_messages(forwarder, records, deliveries)
        if records[0].get("eventSource") == "aws:s3":
            items = _s3_items(read_s3_event(event))
        else:
            notifications = map(SNSEventRecord, records)
            items = [item for each in notifications for item in _s3_items_in(each.sns.message, each, sns_origin)]
        forwarder.forward([Delivery(items)])
        return None

    return handler


def forward_dynamodb(
    mapping: Callable[[DynamoDBRecord], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], BatchResponse]:
    """Make a Lambda handler that sends the changes in a DynamoDB stream on to Inngest.

    By default the event is ``aws/dynamodb.insert``, ``aws/dynamodb.modify`` or ``aws/dynamodb.remove`` with what
    ``dynamodb_data`` makes of the record. Poison is dropped, since it would hold up its shard until it expires; for
    ``poison="retry"`` set MaximumRetryAttempts and an on-failure destination. Nothing is sent behind a record that is
    to be delivered again.

    The event source mapping must have ``FunctionResponseTypes: [ReportBatchItemFailures]``.

    Args:
        mapping: Takes a ``DynamoDBRecord``; see the module.
        **options: See the module.

    Returns:
        The handler. It returns the records that are to be delivered again, and raises if that is all of them.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_dynamodb", mapping or dynamodb_event, options, drops=True)
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

    def handler(event: Any, _context: Any) -> BatchResponse:
        records = batch_records("forward_dynamodb", event, "aws:dynamodb")
        deliveries = [Delivery([Item(change := DynamoDBRecord(record), dynamodb_origin(change))]) for record in records]
        forwarder.forward(deliveries, ordered=True)
        return batch_response(BatchProcessor(EventType.DynamoDBStreams), records, deliveries)

    return handler


def forward_kinesis(
    mapping: Callable[[KinesisStreamRecord], Mapped] | None = None, **options: Unpack[ForwardOptions]
) -> Callable[[Any, Any], BatchResponse]:
    """Make a Lambda handler that sends the records of a Kinesis stream on to Inngest.

    By default the event is ``aws/kinesis.record`` with what ``kinesis_data`` makes of the record. Poison is dropped,
    and the order kept, as by ``forward_dynamodb``.

    The event source mapping must have ``FunctionResponseTypes: [ReportBatchItemFailures]``.

    Args:
        mapping: Takes a ``KinesisStreamRecord``; see the module.
        **options: See the module.

    Returns:
        The handler. It returns the records that are to be delivered again, and raises if that is all of them.

    Raises:
        ConfigurationError: The mapping is async, an option is wrong, or Powertools is not installed.

    Source: docs/forwarding.md.
    """
    forwarder = Forwarder("forward_kinesis", mapping or kinesis_event, options, drops=True)
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
    from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord

    def handler(event: Any, _context: Any) -> BatchResponse:
        records = batch_records("forward_kinesis", event, "aws:kinesis")
        deliveries = [
            Delivery([Item(found := KinesisStreamRecord(record), kinesis_origin(found))]) for record in records
        ]
        forwarder.forward(deliveries, ordered=True)
        return batch_response(BatchProcessor(EventType.KinesisDataStreams), records, deliveries)

    return handler


def _s3_items(records: Sequence[S3Record]) -> list[Item]:
    return [Item(record, s3_origin(record)) for record in records]


def _s3_items_in(text: str, envelope: Any, origin_of: Callable[[Any], Any]) -> list[Item]:
    """The notifications in a message, or why there is none in it."""
    try:
        return _s3_items(read_s3_text(text))
    except Exception as fault:  # noqa: BLE001 - anybody who may write to the queue may write anything
        return [Item(envelope, origin_of(envelope), fault)]
