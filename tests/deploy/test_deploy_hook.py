"""The custom resource that syncs an app: CloudFormation, Lambda's API, the app's URL and Inngest are one HTTP server."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from aws_artifact import ROOT
from server_thread import ServerThread

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.aws import deploy_hook

VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:app-ServeFunction-X:7"
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/0"
SECRET = "0123456789abcdef" * 4
KEY = f"signkey-prod-{SECRET}"
SERVED = (200, {"X-Inngest-SDK": "inngest-serverless:v1"}, b"{}")
STACKS = (
    '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>'
    "<member><StackName>app</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
    "<StackStatus>{}</StackStatus></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
)


class Cloud(ServerThread):
    """All that the hook talks to. Each list holds replies, (status, headers, body); the last one stays."""

    def __init__(self):
        self.url_replies = [SERVED]
        self.register_replies = [(200, {}, b'{"ok": true, "modified": true, "message": "Successfully registered"}')]
        self.answer_replies = [(200, {}, b"")]
        self.invoke_replies = []  # before the app is asked
        self.stack_status = "UPDATE_IN_PROGRESS"
        self.app = None
        self.asked, self.invoked, self.answers, self.registered, self.content_types = [], [], [], [], []
        self.answer_sizes = []
        self.answered = threading.Event()
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))
        self.origin = self.url
        self.url = f"{self.origin}/api/inngest"

    def __exit__(self, *_):
        self.answered.set()
        super().__exit__()

    def exchange(self, method, path, headers, body):
        self.asked.append(f"{method} {path.partition('?')[0]}")
        if method == "PUT" and path.startswith("/answer"):
            return self._take_answer(headers, body)
        if method == "GET":
            reply = next_of(self.url_replies)
            return reply() if callable(reply) else reply
        if path.startswith("/2015-03-31/functions/"):
            return self._invoke(unquote(path.split("/")[3]), json.loads(body))
        if path.startswith("/fn/register"):
            self.registered.append((headers.get("Authorization"), json.loads(body)))
            return next_of(self.register_replies)
        assert b"Action=DescribeStacks" in body, f"nobody expects {method} {path}"
        return self._describe()

    def _describe(self):
        if self.stack_status is None:
            return 403, {}, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
        return 200, {"Content-Type": "text/xml"}, STACKS.format(self.stack_status).encode()

    def _take_answer(self, headers, body):
        self.content_types.append(headers.get("Content-Type"))
        self.answer_sizes.append(len(body))
        reply = next_of(self.answer_replies)
        if reply[0] == 200:
            self.answers.append(json.loads(body))
            self.answered.set()
        return reply

    def _invoke(self, version, event):
        self.invoked.append((version, event))
        if self.invoke_replies:
            return self.invoke_replies.pop(0)
        return 200, {}, json.dumps(self.app(event, None)).encode()

    def _handler_class(cloud):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, reply = cloud.exchange(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(reply)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the names that http.server asks for

            def log_message(self, *_):
                pass

        return Handler


def next_of(replies):
    return replies.pop(0) if len(replies) > 1 else replies[0]


class Clock:
    """Time that passes by being slept."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(deploy_hook, "time", clock)
    return clock


@pytest.fixture
def cloud(monkeypatch):
    with Cloud() as cloud:
        variables = {"AWS_ENDPOINT_URL": cloud.origin, "AWS_DEFAULT_REGION": "eu-west-1", "NO_PROXY": "*"}
        for name, value in {**variables, "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}.items():
            monkeypatch.setenv(name, value)
        cloud.app = app(cloud)
        yield cloud


def app(cloud, **options):
    function = create_function(id="fn", trigger=event_trigger("shop/ordered"))(lambda ctx: None)
    return inngest_lambda(
        [function], app_id="shop", signing_key=KEY, api_base_url=cloud.origin, is_dev=False, **options
    )


@pytest.fixture
def deploy(cloud, clock, caplog):
    caplog.set_level("INFO")

    def run(kind="Create", seconds=240, **changes):
        event = {
            "RequestType": kind,
            "ResponseURL": f"{cloud.origin}/answer?signature=of-amazon",
            "StackId": STACK,
            "RequestId": "unique",
            "LogicalResourceId": "AppSync",
            "ResourceType": "Custom::InngestSync",
            "ResourceProperties": {"ServiceToken": "arn", "ServeUrl": cloud.url, "FunctionVersion": VERSION},
            **changes,
        }
        deploy_hook.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: seconds * 1000))
        for text in (SECRET, "of-amazon"):
            assert text not in caplog.text
            assert text not in json.dumps(cloud.answers)
        [answer] = cloud.answers
        return answer

    return run


# What is answered, and what is done for it.


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_new_version_registers_the_app(kind, deploy, cloud):
    assert deploy(kind) == {
        "Status": "SUCCESS",
        "Reason": "Successfully registered",
        "PhysicalResourceId": "inngest-sync",
        "StackId": STACK,
        "RequestId": "unique",
        "LogicalResourceId": "AppSync",
        "Data": {"ServeUrl": cloud.url},
    }
    [(version, _)] = cloud.invoked
    assert version == VERSION, "by the alias it might be the version before"
    [(authorization, document)] = cloud.registered
    assert authorization.startswith("Bearer signkey-prod-")
    host = cloud.origin.removeprefix("http://")
    assert document["url"] == f"https://{host}/api/inngest"
    assert [function["id"] for function in document["functions"]] == ["shop-fn"]
    assert cloud.asked == [
        "GET /api/inngest",
        f"POST /2015-03-31/functions/{VERSION.replace(':', '%3A')}/invocations",
        "POST /fn/register",
        "PUT /answer",
    ]
    assert cloud.content_types == [""], "the URL is signed for a request without one"


def test_behind_a_stage_the_whole_path_is_registered(deploy, cloud):
    url = f"{cloud.origin}/live/api/inngest"
    deploy(ResourceProperties={"ServeUrl": url, "FunctionVersion": VERSION})
    assert cloud.registered[0][1]["url"].endswith("/live/api/inngest")


def test_an_origin_of_ones_own_is_registered(deploy, cloud):
    cloud.app = app(cloud, serve_origin="https://api.example.com")
    deploy()
    assert cloud.registered[0][1]["url"] == "https://api.example.com/api/inngest"


def test_where_unsigned_syncs_are_refused_it_is_not_taken_for_a_stranger(deploy, cloud):
    """It has no key; but who has Lambda's leave to invoke the function is no stranger."""
    cloud.app = app(cloud, enable_unauthed_sync=False)
    assert deploy()["Status"] == "SUCCESS"
    assert len(cloud.registered) == 1


def test_the_resource_stays_the_same(deploy):
    """With another ID CloudFormation would delete the old one."""
    assert deploy("Update", PhysicalResourceId="of-before")["PhysicalResourceId"] == "of-before"


@pytest.mark.parametrize("properties", [{}, {"ServeUrl": "https://nowhere.invalid"}])
def test_a_deletion_does_nothing_and_succeeds(properties, deploy, cloud):
    answer = deploy("Delete", PhysicalResourceId="inngest-sync", ResourceProperties=properties)
    assert answer["Status"] == "SUCCESS"
    assert cloud.asked == ["PUT /answer"]


def test_a_deletion_succeeds_even_if_time_is_up(deploy, cloud, monkeypatch):
    monkeypatch.setattr(deploy_hook._Answer, "succeed", lambda *_: 1 / 0)
    assert deploy("Delete")["Status"] == "SUCCESS"


# Inngest refuses.


def refusal(status, document):
    return status, {}, json.dumps(document).encode()


def test_a_refused_app_fails_the_deployment_in_inngests_words(deploy, cloud, clock):
    cloud.register_replies = [refusal(400, {"error": "function 'fn' has no\n  triggers"})]
    answer = deploy()
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the app was not synced: function 'fn' has no triggers")
    assert answer["PhysicalResourceId"] == "inngest-sync"
    assert len(cloud.registered) == 1
    assert clock.slept == []


def test_no_key_is_passed_on_that_inngest_repeats(deploy, cloud):
    cloud.register_replies = [refusal(403, {"error": f"no environment for {KEY}, sorry"})]
    assert deploy()["Reason"] == "the app was not synced: no environment for signkey-***, sorry"


def test_no_key_is_passed_on_that_an_older_version_repeats(deploy, cloud):
    reply = {
        "statusCode": 500,
        "headers": {"X-Inngest-SDK": "inngest-serverless:v1", "X-Inngest-No-Retry": "true"},
        "body": json.dumps({"message": f"the key {KEY} is of no use", "modified": False}),
    }
    cloud.invoke_replies = [(200, {}, json.dumps(reply).encode())]
    assert deploy()["Reason"] == "the app was not synced: the key signkey-*** is of no use"


@pytest.mark.parametrize("text", ["x", '"', "é", "日", "😀"])
def test_a_long_message_is_cut_to_what_cloudformation_takes(text, deploy, cloud):
    cloud.register_replies = [refusal(400, {"error": text * 5000})]
    assert deploy()["Reason"].count(text) > 300
    [size] = cloud.answer_sizes
    assert size < 4096


def test_a_refusal_that_may_pass_is_tried_again(deploy, cloud, clock):
    cloud.register_replies[:0] = [refusal(503, {"error": "busy"})] * 2
    assert deploy()["Status"] == "SUCCESS"
    assert len(cloud.registered) == 3
    assert len(clock.slept) == 2


def test_an_app_whose_settings_are_wrong_says_so(deploy, cloud):
    cloud.app = app(cloud, serve_path="/durable")
    answer = deploy()
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the app was not synced: nothing is served at this path")


# A stack that rolls back goes on rolling back.


def test_while_the_stack_rolls_back_the_version_before_is_synced_again(deploy, cloud):
    cloud.stack_status = "UPDATE_ROLLBACK_IN_PROGRESS"
    assert deploy("Update")["Reason"] == "Successfully registered"


def test_while_the_stack_rolls_back_a_refusal_stops_nothing(deploy, cloud):
    cloud.stack_status = "UPDATE_ROLLBACK_IN_PROGRESS"
    cloud.register_replies = [refusal(400, {"error": "no"})]
    answer = deploy("Update")
    assert answer["Status"] == "SUCCESS"
    assert answer["Reason"] == "the stack rolls back, though the app was not synced: no"


def test_where_nobody_says_whether_it_rolls_back_it_does_not(deploy, cloud):
    cloud.stack_status = None
    cloud.register_replies = [refusal(400, {"error": "no"})]
    assert deploy("Update")["Status"] == "FAILED"


# Until the app answers.


def test_waits_for_the_url(deploy, cloud, clock):
    cloud.url_replies[:0] = [(403, {}, b"{}"), (502, {}, b""), (404, {}, b"")]
    assert deploy()["Status"] == "SUCCESS"
    assert clock.slept == [0.5, 1.0, 2.0]


def test_any_reply_of_the_app_will_do(deploy, cloud):
    """What is wrong with it, it says itself when it is told to register."""
    cloud.url_replies = [(500, SERVED[1], b"{}")]
    assert deploy()["Status"] == "SUCCESS"


def test_a_url_that_nobody_may_call(deploy, cloud, clock):
    cloud.url_replies = [(403, {}, b"{}")]
    answer = deploy()
    assert answer["Status"] == "FAILED"
    assert f"{cloud.url} does not serve the app, HTTP status 403: does a policy" in answer["Reason"]
    assert cloud.invoked == []
    assert 200 < clock.now < 220, "the time to answer in is to be left"


def test_a_url_that_is_not_there(deploy, cloud):
    answer = deploy(ResourceProperties={"ServeUrl": "http://127.0.0.1:1/api/inngest", "FunctionVersion": VERSION})
    assert answer["Status"] == "FAILED"
    assert "http://127.0.0.1:1/api/inngest gives no reply" in answer["Reason"]


def aws_error(status, name):
    return status, {"x-amzn-errortype": name, "Content-Type": "application/json"}, b'{"Message": "no"}'


def crash(name, message):
    document = {"errorType": name, "errorMessage": message, "stackTrace": []}
    return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(document).encode()


@pytest.mark.parametrize(
    "reply",
    [
        aws_error(403, "AccessDeniedException"),  # a new role takes some seconds to be known
        aws_error(429, "TooManyRequestsException"),
        aws_error(409, "ResourceConflictException"),
        crash("Sandbox.Timedout", "timed out"),
        (200, {}, b"null"),
        (200, {}, b'{"statusCode": 502}'),
    ],
)
def test_waits_for_the_version(reply, deploy, cloud, clock):
    cloud.invoke_replies = [reply]
    assert deploy()["Status"] == "SUCCESS"
    assert len(cloud.invoked) == 2
    assert clock.slept == [0.5]


def test_a_version_that_may_not_be_invoked(deploy, cloud):
    cloud.invoke_replies = [aws_error(403, "AccessDeniedException")] * 100
    assert deploy()["Reason"] == f"the app was not synced: {VERSION} was not invoked (AccessDeniedException)"


def test_a_version_that_does_not_start_is_not_waited_for(deploy, cloud, clock):
    cloud.invoke_replies = [crash("Runtime.ImportModuleError", "Unable to import module: No module named 'shop'")]
    answer = deploy()
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].endswith("Runtime.ImportModuleError: Unable to import module: No module named 'shop'")
    assert clock.slept == []


def test_what_the_code_says_when_it_fails_stays_in_its_log(deploy, cloud):
    cloud.invoke_replies = [crash("OperationalError", f"cannot connect with password {SECRET}")] * 100
    answer = deploy()
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == f"the app was not synced: {VERSION} fails with OperationalError: see the function's log"


# CloudFormation is answered, come what may.


def test_a_crash_is_an_answer(deploy):
    answer = deploy(ResourceProperties={})
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the sync crashed (KeyError): see its log")


def test_running_out_of_time_is_an_answer_and_the_only_one(deploy, cloud):
    def late():
        assert cloud.answered.wait(30), "there is no answer while the app keeps silent"
        return SERVED

    cloud.url_replies = [late]
    answer = deploy(seconds=8.1)
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the sync ran out of time")


def test_an_answer_that_does_not_arrive_is_given_again(deploy, cloud):
    cloud.answer_replies[:0] = [(500, {}, b"")] * 2
    assert deploy()["Status"] == "SUCCESS"
    assert cloud.asked.count("PUT /answer") == 3


def test_it_answers_without_any_package(cloud):
    """An artifact whose packages are broken, or for another processor, is an answer too, and not an hour's wait."""
    event = {
        "RequestType": "Create",
        "ResponseURL": f"{cloud.origin}/answer",
        **dict.fromkeys(("StackId", "RequestId", "LogicalResourceId"), "x"),
        "ResourceProperties": {"ServeUrl": cloud.url, "FunctionVersion": VERSION},
    }
    program = (
        "import sys, json, base64, types; sys.path.insert(0, sys.argv[1])\n"
        "from inngest_serverless.aws import deploy_hook\n"
        "event = json.loads(base64.b64decode(sys.argv[2]))\n"
        "deploy_hook.handler(event, types.SimpleNamespace(get_remaining_time_in_millis=lambda: 60000))\n"
    )
    encoded = base64.b64encode(json.dumps(event).encode()).decode()
    command = [sys.executable, "-I", "-S", "-c", program, str(ROOT), encoded]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - ourselves
    assert ran.returncode == 0, ran.stderr
    [answer] = cloud.answers
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the sync crashed (ModuleNotFoundError): see its log")
