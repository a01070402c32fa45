"""Forwarders in the Lambda runtime, between queues and buckets that moto plays over HTTP and the local engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest
from aws_services import REGION, AwsServices

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "aws"
URL = "https://app.lambda-url.eu-west-1.on.aws/api/inngest"
FORWARDERS = """
    from inngest_serverless import Event
    from inngest_serverless.aws.forward import forward_dynamodb, forward_kinesis, forward_s3, forward_sns, forward_sqs
    from inngest_serverless.aws.forward import forward_eventbridge

    def order(record):
        return Event("shop/order.placed", {"order": record.json_body["order"]})

    orders = forward_sqs(order)
    sqs, sns, s3, dynamodb_stream, kinesis, eventbridge = (
        forward_sqs(), forward_sns(), forward_s3(), forward_dynamodb(), forward_kinesis(), forward_eventbridge()
    )
"""


@pytest.fixture(scope="module")
def aws():
    with AwsServices() as services:
        yield services


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("forwarders")
    (path / "app.py").write_text(dedent(FORWARDERS))
    return path


@pytest.fixture
def engine(monkeypatch):
    """An engine with a function for each kind of event, served in this process, and what it was sent."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("INNGEST_DEV", "1")
    functions = [
        create_function(id="orders", trigger=event_trigger("shop/order.placed"))(lambda ctx: ctx.event.data["order"]),
        create_function(id="messages", trigger=event_trigger("aws/sqs.message"))(lambda ctx: ctx.event.data["body"]),
        create_function(id="objects", trigger=event_trigger("aws/s3.object.created"))(
            lambda ctx: ctx.event.data["key"]
        ),
    ]
    engine = Engine(lambda *request: endpoint(*request))  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api:
        monkeypatch.setenv("INNGEST_DEV", api.origin)
        handler = inngest_lambda(functions, app_id="app")
        endpoint = lambda_endpoint(lambda event: handler(event, None))
        assert endpoint("PUT", URL, {}, b"").status == 200
        engine.origin = api.origin
        yield engine


def outputs(engine):
    """What the runs have returned, in the order of their start."""
    engine.finish_all()
    assert {run.status for run in engine.runs} <= {"completed"}
    return [run.output for run in engine.runs]


@pytest.fixture
def start(aws, engine, folder):
    """Starts a forwarder in the Lambda runtime, which sends to the engine."""
    running = []

    def start(handler, cwd=folder, **env):
        env = {**aws.env, "PYTHONPATH": str(ROOT), "INNGEST_DEV": engine.origin, **env}
        runtime = LambdaRuntime(handler, cwd=cwd, env=env)
        running.append(runtime)
        runtime.start()
        return runtime

    yield start
    for runtime in running:
        runtime.stop()


class Queue:
    """A queue of SQS, and what Lambda's poller does with it."""

    def __init__(self, aws, name, **attributes):
        self._client = aws.client("sqs")
        self.url = self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.arn = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]

    def send(self, *bodies, **options):
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self._client.send_message(QueueUrl=self.url, MessageBody=text, **options)

    def receive(self):
        """The messages that are visible, as Lambda hands them over."""
        messages = self._client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        ).get("Messages", [])
        return {"Records": [self._record(message) for message in messages]}

    def poll(self, invoke):
        """Hand a batch to a function; delete what it has done, and make the rest visible again."""
        event = self.receive()
        if not event["Records"]:
            return event, set()
        try:
            response = invoke(event)
        except LambdaInvocationError:
            kept = {record["messageId"] for record in event["Records"]}
        else:
            kept = {item["itemIdentifier"] for item in response["batchItemFailures"]}
        for record in event["Records"]:
            handle = {"QueueUrl": self.url, "ReceiptHandle": record["receiptHandle"]}
            if record["messageId"] in kept:
                self._client.change_message_visibility(**handle, VisibilityTimeout=0)
            else:
                self._client.delete_message(**handle)
        return event, kept

    def _record(self, message):
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.arn,
            "awsRegion": REGION,
        }


# The entrypoint that the stack deploys, with its key in a secret.


@pytest.fixture
def deployed(start, aws):
    secrets = aws.client("secretsmanager")
    arn = secrets.create_secret(Name="keys", SecretString='{"INNGEST_EVENT_KEY": "evt-0123456789"}')["ARN"]

    def deploy(engine):
        env = {"INNGEST_DEV": "0", "INNGEST_SECRET_ARN": arn, "INNGEST_EVENT_API_BASE_URL": engine.origin}
        return start("handlers.aws_forward.handler", ROOT, **env)

    yield deploy
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_a_message_that_is_delivered_twice_starts_one_run(deployed, aws, engine):
    runtime = deployed(engine)
    queue = Queue(aws, "twice", VisibilityTimeout="0")
    queue.send({"order": 1})
    for count in (1, 2, 3):
        # Nobody deletes it: the poller is gone, or comes too late.
        [record] = (event := queue.receive())["Records"]
        assert record["attributes"]["ApproximateReceiveCount"] == str(count)
        assert runtime.invoke(event) == {"batchItemFailures": []}
    assert outputs(engine) == [{"order": 1}]
    assert aws.calls.count("GetSecretValue") == 1
    assert "evt-0123456789" not in runtime.log


def test_many_messages_start_a_run_each(deployed, aws, engine):
    runtime = deployed(engine)
    queue = Queue(aws, "many")
    queue.send(*({"order": number} for number in range(25)))
    while queue.poll(runtime.invoke)[0]["Records"]:
        pass
    assert sorted(output["order"] for output in outputs(engine)) == [*range(25)]


# Partial batch responses.


def test_poison_goes_to_the_dead_letter_queue_and_nothing_else(start, aws, engine):
    runtime = start("app.orders")
    dead = Queue(aws, "dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": "3"})
    queue = Queue(aws, "orders", RedrivePolicy=policy)
    queue.send({"order": 1}, "poison", {"order": 3})
    event, kept = queue.poll(runtime.invoke)
    assert len(event["Records"]) == 3
    assert len(kept) == 1
    for _ in range(2):
        event, kept = queue.poll(runtime.invoke)
        assert [record["body"] for record in event["Records"]] == ["poison"]
        assert len(kept) == 1
    assert queue.receive()["Records"] == []
    assert [record["body"] for record in dead.receive()["Records"]] == ["poison"]
    assert sorted(outputs(engine)) == [1, 3]
    assert "not sent, to be delivered again" in runtime.log


def test_a_fifo_queue_keeps_its_order(start, aws, engine):
    runtime = start("app.orders")
    queue = Queue(aws, "orders.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    queue.send({"order": 1}, "poison", {"order": 3}, MessageGroupId="customer")
    event = queue.receive()
    response = runtime.invoke(event)
    kept = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    assert kept == [record["messageId"] for record in event["Records"][1:]]
    assert outputs(engine) == [1]


def test_what_could_not_be_sent_is_sent_when_the_server_is_back(start, aws, engine):
    queue = Queue(aws, "patient")
    queue.send({"order": 1}, {"order": 2})
    away = start("app.orders", INNGEST_DEV="http://127.0.0.1:9")
    event, kept = queue.poll(away.invoke)
    assert len(kept) == len(event["Records"]) == 2
    assert outputs(engine) == []
    queue.poll(start("app.orders").invoke)
    assert sorted(outputs(engine)) == [1, 2]
    assert queue.receive()["Records"] == []


# Buckets.


def test_an_object_in_a_bucket_whose_notifications_go_to_a_queue(start, aws, engine):
    queue = Queue(aws, "uploads")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(
        Bucket="uploads",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    key = "invoices/January 2026/Zo\u00eb+1%.pdf"
    s3.put_object(Bucket="uploads", Key=key, Body=b"...")
    runtime = start("app.s3")
    while queue.poll(runtime.invoke)[0]["Records"]:
        pass
    assert outputs(engine) == [key]


# The golden events, in the real runtime.


@pytest.mark.parametrize("name", ["sqs", "sns", "s3", "dynamodb_stream", "kinesis", "eventbridge"])
def test_a_golden_event(name, start, engine):
    posted = []
    post = engine.post
    engine.post = lambda events, seed="": post(posted.append(events) or events, seed)
    runtime = start(f"app.{name}")
    event = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    for _ in range(2):
        assert runtime.invoke(event) in (None, {"batchItemFailures": []})
    first, second = posted
    assert first == second
    assert len(first) == len(event.get("Records", [event]))
