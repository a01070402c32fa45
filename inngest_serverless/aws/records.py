"""AWS's records as Inngest events: where each comes from, and its data.

Sources: docs/forwarding.md, and the AWS Lambda developer guide on the events of SQS, SNS, EventBridge, S3, DynamoDB
streams and Kinesis.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from inngest_serverless.events import Event
from inngest_serverless.forwarding import Origin, decoded, from_json, iso_millis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
    from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

__all__ = [
    "dynamodb_data",
    "dynamodb_event",
    "dynamodb_origin",
    "eventbridge_event",
    "eventbridge_origin",
    "kinesis_data",
    "kinesis_event",
    "kinesis_origin",
    "sns_data",
    "sns_event",
    "sns_origin",
    "sqs_data",
    "sqs_event",
    "sqs_origin",
]

# What is for the poller alone.
_RECEIPT = "receiptHandle"


# SQS.


def sqs_data(record: SQSRecord) -> dict[str, Any]:
    """The data of a message as an object, for a mapping to use.

    ``body`` is read where it is JSON. Beside it are ``messageId``, ``messageAttributes`` (values by name; binary ones
    in base64), ``eventSourceARN``, and ``messageGroupId`` if there is one.
    """
    data: dict[str, Any] = {
        "body": from_json(record.body),
        "messageId": record.message_id,
        "messageAttributes": {
            name: attribute.get("stringValue", attribute.get("binaryValue"))
            for name, attribute in (record.get("messageAttributes") or {}).items()
        },
        "eventSourceARN": record.event_source_arn,
    }
    group = (record.get("attributes") or {}).get("MessageGroupId")
    return data if group is None else {**data, "messageGroupId": group}


def sqs_event(record: SQSRecord) -> Event[Any]:
    """The event of a message, by default."""
    return Event("aws/sqs.message", sqs_data(record))


def sqs_origin(record: SQSRecord) -> Origin:
    """Where a message comes from. Its ID stays the same until it is deleted, moved or sent again."""
    sent = str((record.get("attributes") or {}).get("SentTimestamp", ""))
    return _origin(
        record.event_source_arn,
        record.message_id,
        int(sent) if sent.isascii() and sent.isdigit() else None,
        f"SQS message {record.message_id} of {record.event_source_arn}",
        {name: value for name, value in record.raw_event.items() if name != _RECEIPT},
        eventSource="aws:sqs",
    )


# SNS.


def sns_data(record: SNSEventRecord) -> dict[str, Any]:
    """The data of a notification as an object, for a mapping to use.

    ``message`` is read where it is JSON. Beside it are ``subject``, ``messageId``, ``messageAttributes`` (values by
    name) and ``topicArn``.
    """
    message = record["Sns"]
    attributes = message.get("MessageAttributes") or {}
    return {
        "message": from_json(message["Message"]),
        "subject": message.get("Subject"),
        "messageId": message["MessageId"],
        "messageAttributes": {name: attribute.get("Value") for name, attribute in attributes.items()},
        "topicArn": message["TopicArn"],
    }


def sns_event(record: SNSEventRecord) -> Event[Any]:
    """The event of a notification, by default."""
    return Event("aws/sns.notification", sns_data(record))


def sns_origin(record: SNSEventRecord) -> Origin:
    """Where a notification comes from. SNS keeps its ID when it sends it again."""
    message = record["Sns"]
    topic, message_id = message["TopicArn"], message["MessageId"]
    label = f"SNS notification {message_id} of {topic}"
    return _origin(
        topic, message_id, iso_millis(message.get("Timestamp")), label, record.raw_event, eventSource="aws:sns"
    )


# EventBridge.


def eventbridge_event(event: EventBridgeEvent) -> Event[Any]:
    """The event of an EventBridge event, by default: its source and detail type are the name, its detail the data."""
    return Event(f"{event.source}/{event.detail_type}", event.detail)


def eventbridge_origin(event: EventBridgeEvent) -> Origin:
    """Where an EventBridge event comes from. One that is replayed from an archive is to be handled again."""
    place = ":".join(
        [event.source, str(event.get("account")), str(event.get("region")), event.get("replay-name") or ""]
    )
    event_id = str(event["id"])
    label = f"EventBridge event {event_id} ({event.detail_type}) of {event.source}"
    return _origin(place, event_id, iso_millis(event.get("time")), label, event.raw_event, eventSource=event.source)


# DynamoDB streams.


def dynamodb_data(record: DynamoDBRecord) -> dict[str, Any]:
    """The data of a change to an item as an object, for a mapping to use.

    ``Keys``, ``NewImage`` and ``OldImage`` (those that the stream's view has) are plain values: sets are lists, sorted;
    binary values stay in base64; numbers are numbers where JSON holds them exactly, and text where it does not. Beside
    them are ``eventName``, ``SequenceNumber`` and ``eventSourceARN``.
    """
    change = record.dynamodb
    if change is None:
        raise ValueError("the record has no change of an item")
    images = {"Keys": change.keys, "NewImage": change.new_image, "OldImage": change.old_image}
    return {
        "eventName": record["eventName"],
        **{name: _plain(image) for name, image in images.items() if name in change},
        "SequenceNumber": change.sequence_number,
        "eventSourceARN": record.event_source_arn,
    }


def dynamodb_event(record: DynamoDBRecord) -> Event[Any]:
    """The event of a change, by default."""
    return Event(f"aws/dynamodb.{record['eventName'].lower()}", dynamodb_data(record))


def dynamodb_origin(record: DynamoDBRecord) -> Origin:
    """Where a change comes from."""
    source, event_id = str(record.event_source_arn), str(record.event_id)
    created = (record.get("dynamodb") or {}).get("ApproximateCreationDateTime")
    label = f"DynamoDB record {event_id} of {source}"
    return _origin(source, event_id, _seconds_to_millis(created), label, record.raw_event, eventSource="aws:dynamodb")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, set):
        return [_plain(item) for item in sorted(value)]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _number(value) if isinstance(value, Decimal) else value


def _number(value: Decimal) -> int | float | str:
    # Whoever reads JSON has doubles: what they do not hold would come back as another number.
    as_float = float(value)
    if Decimal(repr(as_float)) != value:
        return str(value)
    return int(value) if as_float.is_integer() and abs(as_float) < 2**53 else as_float


# Kinesis.


def kinesis_data(record: KinesisStreamRecord) -> dict[str, Any]:
    """The data of a stream's record as an object, for a mapping to use.

    ``data`` is decoded, and read where it is JSON; bytes that are not text stay in base64, as ``data_base64``. Beside
    it are ``partitionKey``, ``sequenceNumber`` and ``eventSourceARN``.
    """
    payload = record.kinesis
    return {
        **decoded(payload.data_as_bytes(), is_json=True),
        "partitionKey": payload.partition_key,
        "sequenceNumber": payload.sequence_number,
        "eventSourceARN": record.event_source_arn,
    }


def kinesis_event(record: KinesisStreamRecord) -> Event[Any]:
    """The event of a stream's record, by default."""
    return Event("aws/kinesis.record", kinesis_data(record))


def kinesis_origin(record: KinesisStreamRecord) -> Origin:
    """Where a stream's record comes from."""
    source, event_id = record.event_source_arn, record.event_id
    arrived = record["kinesis"].get("approximateArrivalTimestamp")
    label = f"Kinesis record {event_id} of {source}"
    return _origin(source, event_id, _seconds_to_millis(arrived), label, record.raw_event, eventSource="aws:kinesis")


def _seconds_to_millis(seconds: Any) -> int | None:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return round(seconds * 1000) if is_number and seconds > 0 else None


def _origin(
    source: str, record_id: str, millis: int | None, label: str, content: Mapping[str, Any], **attributes: str
) -> Origin:
    return Origin("aws", source, record_id, millis, label, {**attributes, "source": source, "id": record_id}, content)
