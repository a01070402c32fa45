"""S3's notifications as Inngest events, however they arrive: directly, or inside EventBridge, SNS or SQS.

Sources: docs/forwarding.md, and the Amazon S3 user guide on the structure of event messages, both kinds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from inngest_serverless.aws.records import eventbridge_origin
from inngest_serverless.events import Event
from inngest_serverless.forwarding import Origin, iso_millis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
    from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord

    S3Record: TypeAlias = S3EventRecord | S3EventBridgeNotificationEvent

__all__ = ["is_s3_event", "read_s3_event", "read_s3_text", "s3_data", "s3_event", "s3_origin"]

_SOURCE = "aws.s3"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z0-9]+")
# Two words for one thing: notifications say the first, EventBridge the second.
_REMOVED, _DELETED = "object.removed", "object.deleted"


def s3_data(record: S3Record) -> dict[str, Any]:
    """The data of a notification as an object, for a mapping to use; the same however it arrives.

    It has ``bucket``, ``key`` (decoded), ``size`` (bytes), ``etag``, ``versionId`` and ``sequencer``, each None where
    S3 says nothing of it; ``eventName`` as S3 has it (``"ObjectCreated:Put"``, ``"Object Created"``); ``awsRegion``.
    """
    if "detail" in record:
        detail = record["detail"]
        thing = detail["object"]
        # Only here is the key not encoded.
        bucket, key, name, region = detail["bucket"]["name"], thing["key"], record["detail-type"], record["region"]
        version = thing.get("version-id")
    else:
        s3 = record["s3"]
        thing = _object(s3)
        bucket, key, name, region = (
            s3["bucket"]["name"],
            unquote_plus(thing["key"]),
            record["eventName"],
            record["awsRegion"],
        )
        version = thing.get("versionId")
    return {
        "bucket": bucket,
        "key": key,
        "size": thing.get("size"),
        "etag": thing.get("etag", thing.get("eTag")),
        "versionId": version,
        "sequencer": thing.get("sequencer"),
        "eventName": name,
        "awsRegion": region,
    }


def s3_event(record: S3Record) -> Event[Any]:
    """The event of a notification, by default; created and removed objects have the same name however they arrive."""
    data = s3_data(record)
    words = ".".join(_WORDS.findall(data["eventName"].removeprefix("s3:").partition(":")[0])).lower()
    return Event(f"aws/s3.{_REMOVED if words == _DELETED else words}", data)


def s3_origin(record: S3Record) -> Origin:
    """Where a notification comes from. S3 gives it no ID: it is that of this change to this version of the object."""
    if "detail" in record:
        return eventbridge_origin(record)  # type: ignore[arg-type] # the other kind has no detail
    s3, name = record["s3"], record["eventName"]
    thing, bucket = _object(s3), s3["bucket"]["name"]
    change = thing.get("sequencer") or record["eventTime"]
    request = (record.get("responseElements") or {}).get("x-amz-request-id", "")
    return Origin(
        "aws",
        f"arn:aws:s3:::{bucket}",
        json.dumps([name, thing["key"], thing.get("versionId"), change]),
        iso_millis(record.get("eventTime")),
        f"S3 notification {name} of bucket {bucket} (request {request})",
        {"eventSource": "aws:s3", "source": bucket, "id": request},
        record.raw_event,
    )


def is_s3_event(event: Mapping[str, Any]) -> bool:
    """Whether it is what EventBridge makes of a notification."""
    return event.get("source") == _SOURCE and "detail-type" in event


def read_s3_event(event: Mapping[str, Any]) -> list[S3Record]:
    """The notifications in a document: in S3's own form, or in EventBridge's.

    Raises:
        ValueError: It is none of them.
    """
    from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
    from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord

    if is_s3_event(event):
        return [S3EventBridgeNotificationEvent(dict(event))]
    records = event.get("Records")
    if not isinstance(records, list) or not all(isinstance(item, dict) and "s3" in item for item in records):
        raise ValueError("the message holds no S3 notification")
    return [S3EventRecord(record) for record in records]


def read_s3_text(text: str) -> list[S3Record]:
    """The notifications in a message of SQS or SNS; none in the one by which S3 tries a new configuration.

    Raises:
        ValueError: It holds none.
    """
    for document in _unwrapped(text):
        if document.get("Event") == "s3:TestEvent":
            return []
        if "Message" not in document:
            return read_s3_event(document)
    raise ValueError("the message holds no S3 notification")


def _unwrapped(text: Any) -> Iterator[dict[str, Any]]:
    """A message's document, and what that is an envelope of: a queue has SNS's, unless delivery is raw."""
    for _ in range(2):
        try:
            document = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            return
        if not isinstance(document, dict):
            return
        yield document
        text = document.get("Message")


def _object(s3: Mapping[str, Any]) -> Mapping[str, Any]:
    # Notifications of Intelligent-Tiering name it otherwise.
    thing: Mapping[str, Any] = s3["object"] if "object" in s3 else s3["get_object"]
    return thing
