"""What stands before a Lambda function or a Cloud Function on this machine: limits and answers, without any process."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from inngest_serverless.local.dev.cloud_run import CloudRun
from inngest_serverless.local.dev.lambda_gateway import LambdaGateway
from inngest_serverless.local.dev.limits import CLOUD_RUN, LAMBDA
from inngest_serverless.local.functions_framework import FunctionsFrameworkError
from inngest_serverless.local.gateway import TRIGGERS, HttpReply

MEGABYTE = 1024 * 1024
URL = "http://127.0.0.1:3000/api/inngest?fnId=a&stepId=step"
ALB = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"


class Called:
    """A gateway of a function that keeps the events, and replies what it is told to."""

    def __init__(self, trigger, *, stage=None, **limits):
        self.events, self.told = [], []
        self.reply = {"statusCode": 200, "headers": {}, "multiValueHeaders": {}, "body": "fine"}
        given = replace(LAMBDA[trigger], **limits)
        self.gateway = LambdaGateway(self.invoke, trigger, given, stage=stage, told=self.told.append)

    def invoke(self, event):
        self.events.append(event)
        return self.reply() if callable(self.reply) else self.reply

    def send(self, body=b"{}", url=URL):
        reply = self.gateway.exchange("POST", url, {"Content-Type": "application/json"}, body)
        return reply.status, reply.body.decode()


def test_there_are_limits_for_every_trigger():
    assert LAMBDA.keys() == set(TRIGGERS)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_request_goes_through(trigger):
    called = Called(trigger)
    assert called.send() == (200, "fine")
    [event] = called.events
    assert event["body"] == "{}"
    assert called.told == []


@pytest.mark.parametrize(
    ("trigger", "answer", "seconds"),
    [
        ("http-api", (503, '{"message":"Service Unavailable"}'), 30),
        ("rest-api", (504, '{"message": "Endpoint request timed out"}'), 29),
        ("alb", (504, ALB.format("504 Gateway Time-out")), 60),
    ],
)
def test_a_trigger_gives_up_before_the_function_does(trigger, answer, seconds):
    assert LAMBDA[trigger].seconds == seconds
    called, going_on, done = Called(trigger, seconds=0.01), threading.Event(), threading.Event()

    def reply():
        going_on.wait(20)
        done.set()
        return {"statusCode": 200}

    called.reply = reply
    assert called.send() == answer
    assert called.told == [f"{trigger} answers {answer[0]}: the function took longer than 0.01 seconds, and goes on"]
    going_on.set()
    assert done.wait(20), "the function is not stopped"


def test_a_function_url_waits_as_long_as_the_function_may_take():
    assert LAMBDA["function-url"].seconds is None


@pytest.mark.parametrize(
    ("trigger", "largest", "answer"),
    [
        ("http-api", 10 * MEGABYTE, (413, '{"message":"Request Entity Too Large"}')),
        ("rest-api", 10 * MEGABYTE, (413, '{"message": "Request Too Long"}')),
        ("alb", MEGABYTE, (413, ALB.format("413 Request Entity Too Large"))),
        ("alb-multi-value", MEGABYTE, (413, ALB.format("413 Request Entity Too Large"))),
    ],
)
def test_the_largest_body(trigger, largest, answer):
    called = Called(trigger, event_bytes=20 * MEGABYTE)
    assert called.send(b"1" * largest)[0] == 200
    assert called.send(b"1" * (largest + 1)) == answer
    assert called.told == [f"{trigger} answers 413: the body has {largest + 1:,} bytes, and may have {largest:,}"]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_largest_event_counts_what_the_trigger_adds(trigger):
    called = Called(trigger, event_bytes=5_000)
    assert called.send(b'"' * 1_000)[0] == 200, "1,000 quotes are 2,000 bytes of JSON"
    status, _ = called.send(b'"' * 2_500)
    assert status in {413, 500}
    assert "the event has" in called.told[0]
    assert len(called.events) == 1


@pytest.mark.parametrize(
    ("trigger", "answer"),
    [
        ("function-url", (502, "Internal Server Error")),
        ("http-api", (500, '{"message":"Internal Server Error"}')),
        ("rest-api", (502, '{"message": "Internal server error"}')),
        ("alb", (502, ALB.format("502 Bad Gateway"))),
    ],
)
@pytest.mark.parametrize(
    "reply", [{"statusCode": "two hundred"}, {"statusCode": 200, "headers": {}, "body": "x" * 7_000_000}]
)
def test_a_reply_that_is_not_passed_on(trigger, answer, reply):
    called = Called(trigger)
    called.reply = reply
    assert called.send() == answer
    assert len(called.told) == 1


def test_the_stage_of_an_api_is_no_part_of_the_path():
    rest = Called("rest-api")
    rest.send(url="http://127.0.0.1:3000/prod/api/inngest")
    rest.send(url="http://127.0.0.1:3000/api/inngest")
    assert [event["path"] for event in rest.events] == ["/api/inngest"] * 2
    assert [event["requestContext"]["path"] for event in rest.events] == ["/prod/api/inngest", "/api/inngest"]
    http = Called("http-api", stage="live")
    http.send(url="http://127.0.0.1:3000/live/api/inngest")
    assert http.events[0]["rawPath"] == "/live/api/inngest"
    assert http.events[0]["requestContext"]["stage"] == "live"


class TestCloudRun:
    def platform(self, endpoint, **limits):
        self.told = []
        return CloudRun(endpoint, replace(CLOUD_RUN, **limits), told=self.told.append)

    def send(self, platform, body=b"{}"):
        reply = platform.exchange("POST", URL, {}, body)
        return reply.status, reply.body

    def test_it_passes_on(self):
        platform = self.platform(lambda *request: HttpReply(206, {}, repr(request).encode()))
        assert self.send(platform) == (206, f"('POST', '{URL}', {{}}, b'{{}}')".encode())

    def test_its_limits(self):
        platform = self.platform(lambda *_: HttpReply(200, {}, b"12345"), body_bytes=3, reply_bytes=4)
        assert self.send(platform, b"1234") == (413, b"Request Entity Too Large")
        assert self.send(platform, b"123") == (500, b"Internal Server Error")
        assert len(self.told) == 2

    def test_it_gives_up(self):
        release = threading.Event()
        platform = self.platform(lambda *_: HttpReply(200, {}, b"") if release.wait(20) else None, seconds=0.01)
        assert self.send(platform) == (504, b"upstream request timeout")
        release.set()

    def test_a_server_that_died(self):
        def endpoint(*_):
            raise FunctionsFrameworkError("no reply: ConnectionResetError()\nThe log ends:\nmuch more")

        platform = self.platform(endpoint)
        assert self.send(platform) == (503, b"Service Unavailable")
        assert self.told == ["Cloud Run answers 503: no reply: ConnectionResetError()"]
