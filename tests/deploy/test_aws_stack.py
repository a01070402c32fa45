"""The stack of template.yaml, as SAM translates it, created in moto; and a deployment whose functions really run."""

from __future__ import annotations

import ast
import io
import json
import threading
import zipfile
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aws_artifact
import boto3
import moto.settings
import moto_lambda  # noqa: F401 - completes moto by being imported
import pytest
from moto.awslambda.models import FunctionUrlConfig, LambdaFunction
from moto.cloudformation.responses import CloudFormationResponse
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer
from server_thread import ServerThread
from stack_names import CODE_BUCKET, CODE_KEY, SECRET_ARN

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.integration,
    # Of alarms and CodeDeploy moto knows nothing; test_aws_template.py looks at them.
    pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:moto"),
]

# moto looks for the stack of a custom resource's answer, which nobody has signed, in its default region.
REGION, ACCOUNT = "us-east-1", "123456789012"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0"
SIGNING_KEY = f"signkey-test-{'0123456789abcdef' * 4}"
WAIT_SECONDS = 120
EVENT = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}


class Aws:
    """An account in moto, and a stack in it."""

    def __init__(self, origin: str, translated: dict[str, Any]) -> None:
        self.origin = origin
        self._template = json.dumps(translated)
        self.invocations: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[str, str]] = []
        self.answered = threading.Event()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("none.py", "")
        s3 = self.client("s3")
        s3.create_bucket(Bucket=CODE_BUCKET)
        s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=packed.getvalue())

    def client(self, service: str) -> Any:
        names = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        return boto3.client(service, endpoint_url=self.origin, region_name=REGION, **names)

    def deploy(self, **parameters: str) -> None:
        """Create the stack, and wait until its custom resource is done."""
        given = {"SecretArn": SECRET_ARN, "PythonRuntime": aws_artifact.RUNTIME, **parameters}
        self.client("cloudformation").create_stack(
            StackName="app",
            TemplateBody=self._template,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        assert self.answered.wait(WAIT_SECONDS), "CloudFormation was not answered"

    @property
    def stack(self) -> dict[str, Any]:
        [stack] = self.client("cloudformation").describe_stacks(StackName="app")["Stacks"]
        return stack

    @property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self.stack["Outputs"]}

    def resource(self, name: str) -> str | None:
        """The physical ID of a resource; None if it was not created."""
        found = self.client("cloudformation").list_stack_resources(StackName="app")["StackResourceSummaries"]
        return {each.get("LogicalResourceId"): each.get("PhysicalResourceId") for each in found}.get(name)

    def function(self, name: str) -> dict[str, Any]:
        return self.client("lambda").get_function_configuration(FunctionName=self.resource(name))

    def statements(self, role: str) -> list[dict[str, Any]]:
        """What a role allows, by all of its policies; those of AWS by their ARNs."""
        iam, name = self.client("iam"), self.resource(role)
        found = [
            document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])["Statement"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        return [statement for statements in found for statement in statements]


def document(policy: Any) -> dict[str, Any]:
    """A policy, which moto has as Python writes a dict where it comes from a stack."""
    return ast.literal_eval(policy) if isinstance(policy, str) else policy


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where moto listens."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def aws(port: int, translated: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An account as good as new. Its functions do not run: whoever calls one is told that it did."""
    monkeypatch.setattr(moto.settings, "moto_server_host", lambda: "http://127.0.0.1")
    monkeypatch.setenv("MOTO_PORT", str(port))
    moto_api_backend.reset()
    account = Aws(f"http://127.0.0.1:{port}", translated)

    def invoke(self: LambdaFunction, event: dict[str, Any]) -> tuple[str, bool, str]:
        account.invocations.append((self.function_name, event))
        account.answered.set()
        return "null", False, ""

    taken = CloudFormationResponse.process_cfn_response

    def take(self: CloudFormationResponse) -> Any:
        account.answers.append((self._get_param("Status"), self._get_param("Reason")))
        return taken(self)

    monkeypatch.setattr(LambdaFunction, "_invoke_lambda", invoke)
    monkeypatch.setattr(CloudFormationResponse, "process_cfn_response", take)
    return account


def allow(actions: str | list[str], resource: str | None) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


LOGS = ["logs:CreateLogStream", "logs:PutLogEvents"]
TRACES = allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*")
SECRET = allow("secretsmanager:GetSecretValue", SECRET_ARN)


def group(aws: Aws, name: str) -> str:
    # CloudFormation's own ends in :*, which stands for the group's streams.
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{aws.resource(name)}"


# What each function may do, and nothing else.


def test_the_serve_function_reads_its_secret_and_writes_its_log(aws: Aws) -> None:
    aws.deploy()
    assert aws.statements("ServeRole") == [allow(LOGS, group(aws, "ServeLogGroup")), TRACES, SECRET]
    assert aws.function("ServeFunction")["Role"].endswith(f"/{aws.resource('ServeRole')}")


def test_the_sync_function_reads_no_secret(aws: Aws) -> None:
    aws.deploy()
    assert aws.statements("SyncRole") == [
        allow(LOGS, group(aws, "SyncLogGroup")),
        TRACES,
        allow("lambda:InvokeFunction", f"{aws.function('ServeFunction')['FunctionArn']}:*"),
        allow("cloudformation:DescribeStacks", aws.stack["StackId"]),
    ]


def test_the_forwarder_takes_from_its_queue(aws: Aws) -> None:
    aws.deploy(ForwardQueue="on")
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{aws.resource('EventQueue').rpartition('/')[2]}"
    assert aws.statements("ForwardRole") == [
        allow(LOGS, group(aws, "ForwardLogGroup")),
        TRACES,
        SECRET,
        allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queue),
    ]


@pytest.mark.parametrize(("queue", "roles"), [("off", ["ServeRole"]), ("on", ["ServeRole", "ForwardRole"])])
def test_a_key_of_ones_own_may_be_used_for_the_secret(queue: str, roles: list[str], aws: Aws) -> None:
    aws.deploy(SecretKeyArn=KEY_ARN, ForwardQueue=queue)
    for role in roles:
        assert allow("kms:Decrypt", KEY_ARN) in aws.statements(role)
    assert "kms:Decrypt" not in json.dumps(aws.statements("SyncRole"))


# Parameters.


def test_parameters_reach_the_function(aws: Aws) -> None:
    settings = {"AppId": "shop", "AppVersion": "abc123", "InngestEnv": "branch", "InngestBaseUrl": "https://i.example"}
    own = {"ServeOrigin": "https://api.example.com", "ServePath": "/durable"}
    aws.deploy(**settings, **own, MemorySize="1024", Timeout="29", LogLevel="WARN", LogRetentionDays="7")
    function = aws.function("ServeFunction")
    assert function["Environment"]["Variables"] == {
        "INNGEST_APP_ID": "shop",
        "INNGEST_APP_VERSION": "abc123",
        "INNGEST_SECRET_ARN": SECRET_ARN,
        "INNGEST_ENV": "branch",
        "INNGEST_BASE_URL": "https://i.example",
        "INNGEST_SERVE_ORIGIN": "https://api.example.com",
        "INNGEST_SERVE_PATH": "/durable",
        "POWERTOOLS_SERVICE_NAME": "shop",
        "POWERTOOLS_METRICS_NAMESPACE": "Inngest",
        "POWERTOOLS_LOG_LEVEL": "WARN",
    }
    assert (function["MemorySize"], function["Timeout"]) == (1024, 29)
    groups = aws.client("logs").describe_log_groups()["logGroups"]
    assert {each["retentionInDays"] for each in groups} == {7}


@pytest.mark.parametrize("value", ["none", "3"])
def test_concurrency_is_reserved_only_if_asked_for(value: str, aws: Aws) -> None:
    aws.deploy(ReservedConcurrency=value)
    found = aws.client("lambda").get_function_concurrency(FunctionName=aws.resource("ServeFunction"))
    assert str(found.get("ReservedConcurrentExecutions", "none")) == value


# REST APIs moto creates from other resources only; test_aws_template.py looks at ours.
TRIGGERED = {
    "function-url": {"ServeUrl", "ServeUrlPermission", "ServeUrlInvokePermission"},
    "http-api": {"HttpApiPermission", "HttpApiLogGroup"},  # of HTTP APIs themselves moto knows nothing
}


@pytest.mark.parametrize("trigger", TRIGGERED)
def test_it_is_reached_the_way_that_was_asked_for(trigger: str, aws: Aws) -> None:
    aws.deploy(Trigger=trigger)
    there = {name for names in TRIGGERED.values() for name in names if aws.resource(name) is not None}
    assert there == TRIGGERED[trigger]
    [(name, event)] = aws.invocations
    assert name == aws.resource("SyncFunction")
    properties = event["ResourceProperties"]
    expected = {
        "function-url": ".on.aws/api/inngest",
        "http-api": f".execute-api.{REGION}.amazonaws.com/api/inngest",
    }
    assert properties["ServeUrl"].endswith(expected[trigger])
    assert properties["FunctionVersion"] == f"{aws.function('ServeFunction')['FunctionArn']}:1"
    assert properties["After"][0].endswith(":live")
    assert SIGNING_KEY not in json.dumps(event)


def test_the_alias_leads_to_the_new_version(aws: Aws) -> None:
    aws.deploy()
    [alias] = aws.client("lambda").list_aliases(FunctionName=aws.resource("ServeFunction"))["Aliases"]
    assert (alias["Name"], alias["FunctionVersion"]) == ("live", "1")
    assert aws.outputs["FunctionName"] == aws.resource("ServeFunction")
    assert aws.outputs["FunctionVersion"] == "1"
    assert aws.outputs["LogGroup"] == aws.resource("ServeLogGroup")


def test_without_a_queue_there_is_nothing_of_it(aws: Aws) -> None:
    aws.deploy()
    names = ["ForwardFunction", "ForwardRole", "ForwardLogGroup", "EventQueue", "DeadLetterQueue"]
    assert [aws.resource(name) for name in [*names, "ForwardFunctionMessages"]] == [None] * 6
    assert "EventQueueUrl" not in aws.outputs


def test_messages_that_cannot_be_sent_end_in_the_dead_letter_queue(aws: Aws) -> None:
    aws.deploy(ForwardQueue="on")
    sqs = aws.client("sqs")
    queue, dead = aws.resource("EventQueue"), aws.resource("DeadLetterQueue")
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    target = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert json.loads(attributes["RedrivePolicy"]) == {"deadLetterTargetArn": target, "maxReceiveCount": 5}
    assert attributes["SqsManagedSseEnabled"] == "true"
    [mapping] = aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert mapping["EventSourceArn"] == attributes["QueueArn"]
    assert aws.outputs["EventQueueUrl"] == queue


# A whole deployment: the built functions in the real Lambda runtime, and an Inngest that wants signatures.


class Front(ServerThread):
    """The HTTP side of a function URL."""

    def __init__(self) -> None:
        self.invoke: Callable[[Any], Any] | None = None
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = f"https://{self.headers['Host']}{self.path}"
                reply = lambda_endpoint(front.invoke)("GET", url, dict(self.headers), b"")
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


@pytest.fixture
def running(aws: Aws, artifact: Path, lambda_python: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Has the account's functions run, each in a Lambda runtime of its own, with the variables that it was given."""
    with ExitStack() as stack:
        front = stack.enter_context(Front())
        runtimes: dict[str, LambdaRuntime] = {}

        def runtime(function: LambdaFunction) -> LambdaRuntime:
            if function.handler not in runtimes:
                access = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": REGION}
                env = {**access, "AWS_ENDPOINT_URL": aws.origin, "NO_PROXY": "*", **function.environment_vars}
                settings: dict[str, Any] = {"python": lambda_python, "env": env, "timeout_seconds": function.timeout}
                runtimes[function.handler] = stack.enter_context(
                    LambdaRuntime(function.handler, cwd=artifact, **settings)
                )
            return runtimes[function.handler]

        def invoke(self: LambdaFunction, event: dict[str, Any]) -> tuple[str, bool, str]:
            aws.invocations.append((self.function_name, event))
            try:
                return json.dumps(runtime(self).invoke(event)), False, ""
            except LambdaInvocationError as error:
                document = {"errorType": error.error_type, "errorMessage": error.message}
                return json.dumps(document), True, ""
            finally:
                if "ResponseURL" in event:
                    aws.answered.set()

        def by_url(event: Any) -> Any:
            [name] = [each for each in functions(aws) if "ServeFunction" in each]
            reply = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
            return json.loads(reply["Payload"].read())

        front.invoke = by_url
        monkeypatch.setattr(LambdaFunction, "_invoke_lambda", invoke)
        created = FunctionUrlConfig.__init__

        def create(self: FunctionUrlConfig, **arguments: Any) -> None:
            created(self, **arguments)
            self.url = front.url

        monkeypatch.setattr(FunctionUrlConfig, "__init__", create)
        yield front


def functions(aws: Aws) -> list[str]:
    return [each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]]


def create_secret(aws: Aws) -> str:
    keys = json.dumps({"INNGEST_SIGNING_KEY": SIGNING_KEY, "INNGEST_EVENT_KEY": "event-key"})
    return aws.client("secretsmanager").create_secret(Name="inngest/prod", SecretString=keys)["ARN"]


def test_a_deployment_syncs_the_app_and_a_run_goes_to_its_end(aws: Aws, running: Front) -> None:
    engine = Engine(lambda_endpoint(running.invoke), signing_key=SIGNING_KEY)
    with LocalApi(engine) as api:
        aws.deploy(SecretArn=create_secret(aws), AppId="shop", InngestBaseUrl=api.origin)
        assert aws.answers == [("SUCCESS", "synced")]
        assert aws.stack["StackStatus"] == "CREATE_COMPLETE"
        assert aws.outputs["ServeUrl"] == f"{running.url}/api/inngest"
        assert list(engine.functions) == ["shop-account-created"]
        assert SIGNING_KEY not in json.dumps([aws.stack, aws.invocations[0]], default=str)
        run = engine.execute(EVENT)
        assert (run.status, run.output) == ("completed", "done"), run.error


def test_a_message_in_the_queue_becomes_an_event(aws: Aws, running: Front) -> None:
    engine = Engine(lambda_endpoint(running.invoke), signing_key=SIGNING_KEY)
    with LocalApi(engine) as api:
        aws.deploy(SecretArn=create_secret(aws), InngestBaseUrl=api.origin, ForwardQueue="on")
        # moto calls the function while it takes the message.
        aws.client("sqs").send_message(QueueUrl=aws.outputs["EventQueueUrl"], MessageBody='{"order": 17}')
    assert aws.invocations[-1][0] == aws.resource("ForwardFunction")
    engine.finish_all()
    [received] = engine.history.events.values()
    assert received.event["name"] == "aws/sqs.message"
    assert received.event["data"]["body"] == {"order": 17}


def test_a_refused_app_fails_the_deployment(aws: Aws, running: Front) -> None:
    """Here for a key that is another environment's."""
    with LocalApi(Engine(lambda_endpoint(print), signing_key=f"signkey-test-{'f' * 64}")) as api:
        aws.deploy(SecretArn=create_secret(aws), InngestBaseUrl=api.origin)
    [(status, reason)] = aws.answers
    assert status == "FAILED"
    assert reason == "the app was not synced: the signing key is missing or wrong"
    assert aws.stack["StackStatus"] != "CREATE_COMPLETE"
