"""What somebody wrote into a queue on purpose: it never keeps from being sent what others wrote; docs/forwarding.md."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from inngest_serverless.aws.forward import forward_s3, forward_sqs
from inngest_serverless.protocol.exchange import OutboundReply

if TYPE_CHECKING:
    from inngest_serverless.protocol.exchange import Outbound

pytestmark = pytest.mark.usefixtures("resting_collector")

GOLDEN = Path(__file__).parents[1] / "golden" / "aws" / "sqs_s3.json"
RECORD: dict[str, Any] = json.loads(json.loads(GOLDEN.read_text("utf-8"))["Records"][1]["body"])["Records"][0]
DEEP = json.loads("[" * 400 + "]" * 400)


class EventApi:
    """Takes everything."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send(self, request: Outbound) -> OutboundReply:
        events = json.loads(request.body or "")
        self.events += events
        return OutboundReply(200, json.dumps({"ids": ["01E"] * len(events)}).encode(), {})


@pytest.fixture
def event_api(monkeypatch: pytest.MonkeyPatch) -> EventApi:
    api = EventApi()
    monkeypatch.setattr("inngest_serverless.client.Transport", lambda: api)
    return api


def _queue(*bodies: str) -> dict[str, Any]:
    template = json.loads(GOLDEN.read_text("utf-8"))["Records"][1]
    return {"Records": [{**template, "messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def _notification(**changes: Any) -> str:
    return json.dumps({"Records": [{**RECORD, **changes}]})


def _thing(thing: Any, bucket: Any = "photos") -> dict[str, Any]:
    return {"s3": {"bucket": {"name": bucket}, "object": thing}}


GOOD = _notification(**_thing({"key": "healthy", "sequencer": "1"}))
BAD = {
    "no object": _notification(**_thing("text")),
    "a list for an object": _notification(**_thing([])),
    "response elements of text": _notification(responseElements="text"),
    "a request ID that is no number": _notification(
        responseElements={"x-amz-request-id": float("inf")}, **_thing({"key": 3, "sequencer": "1"})
    ),
    "a bucket that is no number": _notification(**_thing({"key": 3, "sequencer": "1"}, bucket=float("inf"))),
    "a request ID over all limits": _notification(
        responseElements={"x-amz-request-id": "x" * 700_000}, **_thing({"key": 3, "sequencer": "1"})
    ),
    "depth": _notification(**_thing({"key": DEEP, "sequencer": DEEP})),
    "a number for S3": json.dumps({"Records": [{"s3": 3}]}),
    "EventBridge's form without its fields": json.dumps({"source": "aws.s3", "detail-type": 3, "id": []}),
    "a bomb": "[" * 100_000,
    "nothing": "",
}


@pytest.mark.parametrize("options", [{}, {"dead_letter": "app/dead"}, {"poison": "drop"}], ids=["", "letter", "drop"])
@pytest.mark.parametrize("kind", BAD)
def test_a_notification_that_is_none_stays_alone(kind: str, options: dict[str, Any], event_api: EventApi) -> None:
    handler = forward_s3(is_dev=True, **options)
    response = handler(_queue(BAD[kind], GOOD), None)
    assert response is not None
    failed = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    assert failed == ([] if options else ["m0"])
    assert any(event["data"].get("key") == "healthy" for event in event_api.events)
    letters = [event for event in event_api.events if event["name"] == "app/dead"]
    assert len(letters) == ("dead_letter" in options)
    assert all(len(json.dumps(letter["data"]["attributes"])) < 10_000 for letter in letters)


@pytest.mark.parametrize("depth", range(900, 1000, 7))
def test_depth_is_a_matter_of_one_message(depth: int, event_api: EventApi) -> None:
    """What Python reads in one place it may not write in another: that is told of the message, not of the batch."""
    body = "[" * depth + "]" * depth
    response = forward_sqs(is_dev=True)(_queue(body, '"healthy"'), None)
    assert [item["itemIdentifier"] for item in response["batchItemFailures"]] in ([], ["m0"])
    assert "healthy" in [event["data"]["body"] for event in event_api.events]


def test_a_log_line_is_one_line(event_api: EventApi, caplog: pytest.LogCaptureFixture) -> None:
    """What is in a message cannot make it look as if something else had been logged."""
    name = "x\nERROR all is lost\x1b[31m" + "y" * 5000
    bad = _notification(eventName=name, **_thing({"key": 3, "sequencer": "1"}))
    forward_s3(is_dev=True, poison="drop")(_queue(bad, GOOD), None)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    line = record.getMessage().partition(" is dropped")[0]
    assert line.isprintable()
    assert len(line) <= 1000
