"""What a Lambda event is, for the error of a handler that does not take it; loaded for that error only.

Source: the AWS Lambda developer guide on the events of each service.
"""

from __future__ import annotations

from typing import Any

__all__ = ["describe"]

_MOST_CHARACTERS = 100
_SOURCES = {
    "aws:sqs": ("an SQS batch", "forward_sqs"),
    "aws:sns": ("an SNS notification", "forward_sns"),
    "aws:s3": ("an S3 notification", "forward_s3"),
    "aws:dynamodb": ("a DynamoDB stream batch", "forward_dynamodb"),
    "aws:kinesis": ("a Kinesis batch", "forward_kinesis"),
}


def describe(event: Any) -> tuple[str, str | None]:
    """What an event is in words, and what serves it, if anything does."""
    if not isinstance(event, dict):
        return type(event).__name__, None
    context = event.get("requestContext")
    if isinstance(context, dict) and ("http" in context or "elb" in context or "httpMethod" in event):
        return "an HTTP request", "serve it with inngest_serverless.inngest_lambda"
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        source = str(records[0].get("eventSource") or records[0].get("EventSource"))
        what, forwarder = _SOURCES.get(source, (f"records of {_shown(source)}", ""))
        return what, _own_function(forwarder)
    if "detail-type" in event:
        return "an EventBridge event", _own_function("forward_eventbridge")
    keys = ", ".join(_shown(key) for key in sorted(map(str, event))[:5]) or "no keys"
    return f"an event with {keys}", None


def _shown(text: str) -> str:
    return repr(text[:_MOST_CHARACTERS])


def _own_function(forwarder: str) -> str:
    way = f"made with inngest_serverless.aws.forward.{forwarder}" if forwarder else "with inngest_serverless.Client"
    return f"send it on from a Lambda function of its own, {way}"
