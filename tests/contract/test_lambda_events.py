"""The golden Lambda events, put to a handler as they are; tests/golden/aws/README.md says what each one is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from calls import CLOUD, DEV

from inngest_serverless.errors import UnsupportedEventError
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Bench, Invoke
    from inngest_api import InngestApi

FOLDER = Path(__file__).parents[1] / "golden" / "aws"
SIGNED_AT = 1_767_268_800
HTTP_API = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"
ALB = "lambda-alb-123456789.eu-west-1.elb.amazonaws.com"

# The URL that the client called, as the README lists it.
HTTP_EVENTS = {
    "function_url": "https://k7vq2m4xnd5w3rjtz6hbyc8fpa0sgeul.lambda-url.eu-west-1.on.aws/api/inngest",
    "http_api_v2_default_stage": f"{HTTP_API}/api/inngest",
    "http_api_v2_named_stage": f"{HTTP_API}/prod/api/inngest",
    "http_api_v2_custom_domain": "https://api.example.com/api/inngest",
    "http_api_v1_named_stage": f"{HTTP_API}/prod/api/inngest",
    "rest_api_stage": "https://f6g7h8i9j0.execute-api.eu-west-1.amazonaws.com/prod/api/inngest",
    "rest_api_custom_domain": "https://api.example.com/durable/api/inngest",
    "alb_single": f"https://{ALB}/api/inngest",
    "alb_multi_value": f"http://{ALB}/api/inngest",
}
OTHER_EVENTS = {
    "sqs": r"an SQS batch: send it on .* made with inngest_serverless\.aws\.forward\.forward_sqs\b",
    "sns": r"an SNS notification: send it on .* made with inngest_serverless\.aws\.forward\.forward_sns\b",
    "s3": r"an S3 notification: send it on .* made with inngest_serverless\.aws\.forward\.forward_s3\b",
    "dynamodb_stream": r"a DynamoDB stream batch: send it on .* made with inngest_serverless\.aws\.forward\.forward_dynamodb\b",
    "kinesis": r"a Kinesis batch: send it on .* made with inngest_serverless\.aws\.forward\.forward_kinesis\b",
    "eventbridge": r"an EventBridge event: send it on .* made with inngest_serverless\.aws\.forward\.forward_eventbridge\b",
    "sqs_fifo": "an SQS batch",
    "sqs_s3": "an SQS batch",
    "sqs_sns_s3": "an SQS batch",
    "eventbridge_s3": "an EventBridge event",
    "direct_invoke": "put a function URL, an API Gateway or a load balancer before it",
}
WITHOUT_URL = {"rest_api_null_fields"}


def _load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _as_put(event: dict[str, Any]) -> dict[str, Any]:
    """The same request as an unsigned PUT without a body."""
    event["body"] = ""
    for place, key in ((event, "httpMethod"), (event["requestContext"], "httpMethod")):
        if key in place:
            place[key] = "PUT"
    event["requestContext"].get("http", {})["method"] = "PUT"
    for headers in ("headers", "multiValueHeaders"):
        event[headers] = {k: v for k, v in (event.get(headers) or {}).items() if k.lower() != "x-inngest-signature"}
        if not event[headers]:
            del event[headers]
    return event


def _reply_body(reply: dict[str, Any]) -> Any:
    return json.loads(reply["body"])


def test_every_golden_event_is_served_here() -> None:
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert names == HTTP_EVENTS.keys() | OTHER_EVENTS.keys() | WITHOUT_URL


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_signed_call(name: str, bench: Bench, start_in_process: Callable[..., Invoke]) -> None:
    """Signed in 2026, so only a clock that can be set takes them."""
    bench.clock.now = SIGNED_AT
    reply = start_in_process("golden_app.handler", **CLOUD)(_load(name))
    assert (reply["statusCode"], _reply_body(reply)) == (200, {"hello": "Zoë"})


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_public_url(name: str, start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    reply = start_lambda("golden_app.handler", **DEV)(_as_put(_load(name)))
    assert reply["statusCode"] == 200
    _check_registered_url(api, HTTP_EVENTS[name])


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_public_url_as_set(name: str, start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    settings = {"INNGEST_SERVE_ORIGIN": "https://public.example.com", "INNGEST_SERVE_PATH": "/api/inngest"}
    reply = start_lambda("golden_app.handler", **DEV, **settings)(_as_put(_load(name)))
    assert reply["statusCode"] == 200
    _check_registered_url(api, "https://public.example.com/api/inngest")


def test_public_origin_as_set(start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    invoke = start_lambda("golden_app.handler", **DEV, INNGEST_SERVE_ORIGIN="https://public.example.com")
    invoke(_as_put(_load("rest_api_stage")))
    _check_registered_url(api, "https://public.example.com/prod/api/inngest")


def test_public_path_as_set(start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    """A mapping key of a custom domain, which an HTTP API does not tell."""
    invoke = start_lambda("golden_app.handler", **DEV, INNGEST_SERVE_PATH="/durable/api/inngest")
    invoke(_as_put(_load("http_api_v2_custom_domain")))
    _check_registered_url(api, "https://api.example.com/durable/api/inngest")


def _check_registered_url(api: InngestApi, url: str) -> None:
    [request] = api.received
    document = request.json
    assert document["url"] == url
    [function] = document["functions"]
    assert function["steps"]["step"]["runtime"]["url"] == f"{url}?fnId=app-fn&stepId=step"


@pytest.mark.parametrize(("settings", "status"), [(CLOUD, 401), (DEV, 500)], ids=["cloud", "dev"])
def test_fields_that_are_null(settings: dict[str, str], status: int, start_lambda: Callable[..., Invoke]) -> None:
    """ "Test" in the API Gateway console: no headers, no query, no body."""
    reply = start_lambda("golden_app.handler", **settings)(_load("rest_api_null_fields"))
    assert reply["statusCode"] == status
    assert _reply_body(reply)["message"]


@pytest.mark.parametrize("name", OTHER_EVENTS)
def test_event_that_is_not_http(name: str, start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    invoke = start_lambda("golden_app.handler", **DEV)
    with pytest.raises((UnsupportedEventError, LambdaInvocationError), match=OTHER_EVENTS[name]) as caught:
        invoke(_load(name))
    assert getattr(caught.value, "error_type", type(caught.value).__name__) == "UnsupportedEventError"
    assert api.received == []


@pytest.mark.parametrize("event", [{}, [], "text", 3, None, {"Records": []}, {"requestContext": {}}], ids=json.dumps)
def test_event_that_is_nothing(event: Any, start_in_process: Callable[..., Invoke]) -> None:
    with pytest.raises(UnsupportedEventError, match="put a function URL"):
        start_in_process("golden_app.handler", **DEV)(event)
