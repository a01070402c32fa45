"""Which events the forwarders make of what AWS delivers: names, data, times and IDs."""

import copy
import json
from hashlib import sha256

import pytest
from aws_lambda_powertools.utilities.data_classes import EventBridgeEvent, S3EventBridgeNotificationEvent
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.data_classes.s3_event import S3EventRecord
from aws_lambda_powertools.utilities.data_classes.sns_event import SNSEventRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from forward_api import QUEUE, golden, messages

from inngest_serverless import Event
from inngest_serverless.aws.forward import (
    dynamodb_data,
    forward_dynamodb,
    forward_eventbridge,
    forward_kinesis,
    forward_s3,
    forward_sns,
    forward_sqs,
    s3_data,
    sqs_data,
)

SENT = 1767268800123
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/accounts/stream/2026-01-01T00:00:00.000"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:signups"
SIGNUP = {"account_id": "a-1", "email": "zoe@example.com"}
OBJECT = {
    "bucket": "uploads-123456789012",
    "key": "invoices/January 2026/Zo\u00eb.pdf",
    "size": 1305107,
    "etag": "b21b84d653bb07b05b1e6b33684dc11b",
    "versionId": None,
    "sequencer": "0C0F6F405D6ED209E1",
    "eventName": "ObjectCreated:Put",
    "awsRegion": "eu-west-1",
}
FORWARDERS = {
    "sqs": forward_sqs,
    "sqs_fifo": forward_sqs,
    "sns": forward_sns,
    "eventbridge": forward_eventbridge,
    "s3": forward_s3,
    "sqs_s3": forward_s3,
    "sqs_sns_s3": forward_s3,
    "eventbridge_s3": forward_s3,
    "dynamodb_stream": forward_dynamodb,
    "kinesis": forward_kinesis,
}
RECORDS = {
    "sqs": SQSRecord,
    "sqs_fifo": SQSRecord,
    "sns": SNSEventRecord,
    "eventbridge": EventBridgeEvent,
    "s3": S3EventRecord,
    "sqs_s3": S3EventRecord,
    "sqs_sns_s3": S3EventRecord,
    "eventbridge_s3": S3EventBridgeNotificationEvent,
    "dynamodb_stream": DynamoDBRecord,
    "kinesis": KinesisStreamRecord,
}


@pytest.fixture
def forwarded(event_api):
    """Forwards an event, and returns what reached the event API."""

    def forward(name, mapping=None, event=None):
        FORWARDERS[name](mapping)(golden(name) if event is None else event, None)
        return event_api.events

    return forward


def event_id(source, delivered_id, name):
    """The recipe that docs/forwarding.md gives; changing it makes duplicates of what is on its way."""
    return f"aws-{sha256(json.dumps([source, delivered_id, name]).encode()).hexdigest()[:40]}"


# By default.


def test_a_queue(forwarded):
    message_id = "059f36b4-87a3-44ab-83d2-661975830a7d"
    first, second = forwarded("sqs")
    assert first == {
        "name": "aws/sqs.message",
        "id": event_id(QUEUE, message_id, "aws/sqs.message"),
        "ts": SENT,
        "data": {
            "body": SIGNUP,
            "messageId": message_id,
            "messageAttributes": {"source": "web"},
            "eventSourceARN": QUEUE,
        },
    }
    assert second["data"]["body"] == "not JSON"


def test_a_fifo_queue(forwarded):
    events = forwarded("sqs_fifo")
    assert [event["data"]["messageGroupId"] for event in events] == ["o-1", "o-2", "o-1"]


def test_a_binary_attribute_stays_in_base64():
    event = messages("x")
    event["Records"][0]["messageAttributes"] = {"sum": {"binaryValue": "AQI=", "dataType": "Binary"}}
    assert sqs_data(SQSRecord(event["Records"][0]))["messageAttributes"] == {"sum": "AQI="}


@pytest.mark.parametrize("body", ["", "{bad", "NaN", "[1e999]", "[" * 100_000, "1" * 5000], ids=lambda body: body[:9])
def test_a_body_that_is_not_json_is_text(body, forwarded):
    [event] = forwarded("sqs", event=messages(body))
    assert event["data"]["body"] == body


def test_a_topic(forwarded):
    [event] = forwarded("sns")
    message_id = "95df01b4-ee98-5cb9-9903-4c221d41eb5e"
    assert event == {
        "name": "aws/sns.notification",
        "id": event_id(TOPIC, message_id, "aws/sns.notification"),
        "ts": SENT,
        "data": {
            "message": SIGNUP,
            "subject": "Signup",
            "messageId": message_id,
            "messageAttributes": {"source": "web"},
            "topicArn": TOPIC,
        },
    }


def test_a_rule(forwarded):
    [event] = forwarded("eventbridge")
    name = "com.example.shop/Order Placed"
    source = "com.example.shop:123456789012:eu-west-1:"
    assert event == {
        "name": name,
        "id": event_id(source, "6a7e8feb-b491-4cf7-a9f1-bf3703467718", name),
        "ts": 1767268800000,
        "data": {"order_id": "o-1", "total": 42.5},
    }


def test_an_event_that_is_replayed_from_an_archive_counts_again(forwarded):
    event = golden("eventbridge")
    for replay in ({}, {"replay-name": "monday"}, {"replay-name": "monday"}, {"replay-name": "tuesday"}):
        events = forwarded("eventbridge", event=event | replay)
    ids = [event["id"] for event in events]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3


def test_a_table(forwarded):
    insert, modify, remove = forwarded("dynamodb_stream")
    item = {**SIGNUP, "logins": 0, "tags": ["trial"], "active": True}
    assert insert == {
        "name": "aws/dynamodb.insert",
        "id": event_id(TABLE, "c4ca4238a0b923820dcc509a6f75849b", "aws/dynamodb.insert"),
        "ts": 1767268800000,
        "data": {
            "eventName": "INSERT",
            "Keys": {"account_id": "a-1"},
            "NewImage": item,
            "SequenceNumber": "4421584500000000017450439091",
            "eventSourceARN": TABLE,
        },
    }
    assert modify["name"] == "aws/dynamodb.modify"
    assert (modify["data"]["OldImage"], modify["data"]["NewImage"]) == (item, {**item, "logins": 1})
    assert remove["name"] == "aws/dynamodb.remove"
    assert "NewImage" not in remove["data"]


@pytest.mark.parametrize(
    ("stored", "plain"),
    [
        ({"N": "7"}, 7),
        ({"N": "-42.5"}, -42.5),
        ({"N": "0.1"}, 0.1),
        ({"N": "1E+2"}, 100),
        ({"N": "9007199254740993"}, "9007199254740993"),
        ({"N": "12345678901234567890123456789012345678"}, "12345678901234567890123456789012345678"),
        ({"N": "0.12345678901234567890"}, "0.12345678901234567890"),
        ({"S": "7"}, "7"),
        ({"B": "AQI="}, "AQI="),
        ({"NULL": True}, None),
        ({"NS": ["10", "9", "-1.5"]}, [-1.5, 9, 10]),
        ({"SS": ["b", "a"]}, ["a", "b"]),
        ({"BS": ["Ag==", "AQ=="]}, ["AQ==", "Ag=="]),
        ({"L": [{"N": "1"}, {"M": {"x": {"NS": ["2"]}}}]}, [1, {"x": [2]}]),
    ],
    ids=str,
)
def test_values_of_a_table(stored, plain):
    record = copy.deepcopy(golden("dynamodb_stream")["Records"][0])
    record["dynamodb"]["NewImage"] = {"value": stored}
    found = dynamodb_data(DynamoDBRecord(record))["NewImage"]["value"]
    assert (found, type(found)) == (plain, type(plain))


def test_a_stream(forwarded):
    first, second = forwarded("kinesis")
    sequence = "49590338271490256608559692538361571095921575989136588898"
    assert first == {
        "name": "aws/kinesis.record",
        "id": event_id(STREAM, f"shardId-000000000006:{sequence}", "aws/kinesis.record"),
        "ts": SENT,
        "data": {
            "data": {"page": "/", "user_id": "u-1"},
            "partitionKey": "u-1",
            "sequenceNumber": sequence,
            "eventSourceARN": STREAM,
        },
    }
    assert second["data"]["data_base64"] == "//4Abm90IHRleHQ="
    assert "data" not in second["data"]


# S3, by each of its ways.


def test_a_bucket(forwarded):
    [event] = forwarded("s3")
    delivered_id = json.dumps(["ObjectCreated:Put", "invoices/January+2026/Zo%C3%AB.pdf", None, OBJECT["sequencer"]])
    assert event == {
        "name": "aws/s3.object.created",
        "id": event_id("arn:aws:s3:::uploads-123456789012", delivered_id, "aws/s3.object.created"),
        "ts": SENT,
        "data": OBJECT,
    }


def test_a_bucket_behind_a_queue(forwarded):
    """Among its messages is the one by which S3 tries a new configuration."""
    [direct] = forwarded("s3")
    _, created, removed = forwarded("sqs_s3")
    assert created == direct
    assert removed["name"] == "aws/s3.object.removed"
    assert removed["data"] == {
        **OBJECT,
        "size": None,
        "etag": None,
        "eventName": "ObjectRemoved:Delete",
        "sequencer": "0C0F6F405D6ED209E7",
    }


def test_a_bucket_behind_a_topic_and_a_queue(forwarded):
    first, second = [*forwarded("s3"), *forwarded("sqs_sns_s3")][-2:]
    assert first == second


def test_a_bucket_behind_a_topic(forwarded):
    [direct] = forwarded("s3")
    event = golden("sns")
    event["Records"][0]["Sns"]["Message"] = json.dumps(golden("s3"))
    assert forwarded("s3", event=event) == [direct, direct]


def test_a_bucket_behind_eventbridge(forwarded):
    [event] = forwarded("eventbridge_s3")
    source = "aws.s3:123456789012:eu-west-1:"
    assert event == {
        "name": "aws/s3.object.created",
        "id": event_id(source, "2d4eba74-fd51-3966-4bfa-b013c9da8ff1", "aws/s3.object.created"),
        "ts": 1767268800000,
        "data": {
            **OBJECT,
            "key": "invoices/January 2026/Zo\u00eb+1%.pdf",
            "versionId": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "eventName": "Object Created",
        },
    }


def test_a_bucket_behind_eventbridge_and_a_queue(forwarded):
    [direct] = forwarded("eventbridge_s3")
    assert forwarded("s3", event=messages(golden("eventbridge_s3"))) == [direct, direct]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ObjectCreated:CompleteMultipartUpload", "aws/s3.object.created"),
        ("s3:ObjectCreated:Put", "aws/s3.object.created"),
        ("ObjectRemoved:DeleteMarkerCreated", "aws/s3.object.removed"),
        ("LifecycleExpiration:Delete", "aws/s3.lifecycle.expiration"),
        ("ReducedRedundancyLostObject", "aws/s3.reduced.redundancy.lost.object"),
    ],
)
def test_names_of_notifications(name, expected, forwarded):
    event = golden("s3")
    event["Records"][0]["eventName"] = name
    assert [event["name"] for event in forwarded("s3", event=event)] == [expected]


@pytest.mark.parametrize(
    ("detail_type", "expected"),
    [
        ("Object Deleted", "aws/s3.object.removed"),
        ("Object Restore Initiated", "aws/s3.object.restore.initiated"),
        ("Object ACL Updated", "aws/s3.object.acl.updated"),
    ],
)
def test_names_of_notifications_by_eventbridge(detail_type, expected, forwarded):
    events = forwarded("s3", event=golden("eventbridge_s3") | {"detail-type": detail_type})
    assert [event["name"] for event in events] == [expected]


def test_a_notification_of_intelligent_tiering():
    record = golden("s3")["Records"][0]
    record["s3"]["get_object"] = record["s3"].pop("object")
    assert s3_data(S3EventRecord(record)) == OBJECT


def test_each_change_of_an_object_is_an_event(forwarded):
    changes = [{"sequencer": "1"}, {"sequencer": "1"}, {"sequencer": "2"}, {"sequencer": "1", "versionId": "v"}]
    for change in changes:
        event = golden("s3")
        event["Records"][0]["s3"]["object"] |= change
        events = forwarded("s3", event=event)
    ids = [event["id"] for event in events]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


# All of them.


@pytest.mark.parametrize("name", FORWARDERS)
def test_a_redelivery_makes_the_same_events(name, forwarded):
    once = forwarded(name)
    twice = forwarded(name)
    assert twice[: len(once)] == twice[len(once) :] == once
    assert len({event["id"] for event in once}) == len(once)


@pytest.mark.parametrize("name", FORWARDERS)
def test_a_mapping_is_given_the_data_class(name, forwarded):
    seen = []

    def mapping(record):
        seen.append(record)
        return Event("shop/seen", {"n": len(seen)})

    default = forwarded(name)
    mapped = forwarded(name, mapping)[len(default) :]
    assert {type(record) for record in seen} == {RECORDS[name]}
    assert [event["data"] for event in mapped] == [{"n": n + 1} for n in range(len(default))]
    # IDs count for all names together, so another name needs another ID.
    assert {event["id"] for event in mapped}.isdisjoint(event["id"] for event in default)
    assert [event["ts"] for event in mapped] == [event["ts"] for event in default]


def test_a_message_that_is_an_event_already(forwarded):
    event = {"name": "shop/order.placed", "data": {"id": 1}, "id": "order-1", "user": {"external_id": "u"}}
    assert forwarded("sqs", lambda record: record.json_body, messages(event)) == [{**event, "ts": SENT}]


def test_several_events_of_one_message(forwarded):
    mapping = lambda record: [Event("a/b"), Event("a/b"), Event("a/c")]  # noqa: E731
    events = forwarded("sqs", mapping, messages("x"))
    first = event_id(QUEUE, "m0", "a/b")
    assert [event["id"] for event in events] == [first, f"{first}-1", f"{event_id(QUEUE, 'm0', 'a/c')}-2"]
