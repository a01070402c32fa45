"""Keys in AWS Secrets Manager, as moto plays it over HTTP: read by this process, and by functions in the Lambda runtime."""

from __future__ import annotations

import hmac
import json
import logging
import os
import time
from pathlib import Path
from textwrap import dedent

import pytest
from aws_services import AwsServices

from inngest_serverless import Client, ConfigurationError, create_function, event_trigger, inngest_lambda
from inngest_serverless.errors import TransportError
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.gateway import to_lambda_event
from inngest_serverless.local.rie import LambdaRuntime
from inngest_serverless.secret_keys import REREAD_SECONDS, KeySecret, _secret

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
URL = "https://app.lambda-url.eu-west-1.on.aws/api/inngest"
OLD, NEW, WRONG = (f"signkey-test-{digits * 8}" for digits in ("01234567", "89abcdef", "fedcba98"))
APP = """
    import os
    from inngest_serverless import create_function, event_trigger, inngest_lambda

    @create_function(id="tell", trigger=event_trigger("app/told"))
    def tell(ctx):
        ctx.step.send_event("tell", {"name": "app/heard"})
        return os.getpid()

    @create_function(id="hear", trigger=event_trigger("app/heard"))
    async def hear(ctx):
        return await ctx.step.run("hear", lambda: "heard")

    handler = inngest_lambda([tell, hear], app_id="app")
"""
MISSING = r"^INNGEST_SECRET_ARN: Secrets Manager has no such secret, or it has no value: check the ARN$"


@pytest.fixture(scope="module")
def running_aws():
    with AwsServices() as aws:
        yield aws


@pytest.fixture
def aws(running_aws, monkeypatch):
    """AWS's services, which the environment names; without settings of ours, and nothing noted yet."""
    for name in os.environ:
        if name.startswith(("INNGEST_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in running_aws.env.items():
        monkeypatch.setenv(name, value)
    _secret.cache_clear()
    running_aws.calls.clear()
    running_aws.faults.clear()
    yield running_aws
    _secret.cache_clear()


class Secret:
    """A secret in Secrets Manager."""

    def __init__(self, aws, value, name="inngest"):
        self._client = aws.client("secretsmanager")
        self._aws = aws
        self.arn = self._client.create_secret(Name=name, SecretString=_text(value))["ARN"]

    @property
    def reads(self):
        return self._aws.calls.count("GetSecretValue")

    def put(self, value):
        self._client.put_secret_value(SecretId=self.arn, SecretString=_text(value))

    def delete(self):
        self._client.delete_secret(SecretId=self.arn, ForceDeleteWithoutRecovery=True)


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _keys(signing_key=OLD, **more):
    return {"INNGEST_SIGNING_KEY": signing_key, "INNGEST_EVENT_KEY": "evt-0123456789", **more}


@pytest.fixture
def secret(aws):
    made = Secret(aws, _keys())
    yield made
    made.delete()


# What is read.


def test_the_keys(secret):
    assert KeySecret(secret.arn).keys() == _keys()


def test_a_name_in_place_of_an_arn(secret):
    assert KeySecret("inngest").keys() == _keys()


def test_an_arn_names_its_region_itself(aws, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    made = Secret(aws, _keys(), "elsewhere")
    assert KeySecret(made.arn).keys() == _keys()
    made.delete()


@pytest.mark.parametrize("arn", ["nothing", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nothing-AbCdEf"])
def test_a_secret_that_is_not_there(arn, aws):
    with pytest.raises(ConfigurationError, match=MISSING):
        KeySecret(arn).keys()


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("AccessDeniedException", ConfigurationError, "reading the secret is not allowed: give the function's role "),
        ("DecryptionFailure", ConfigurationError, "the secret cannot be decrypted: "),
        ("ThrottlingException", TransportError, r"the secret was not read \(ThrottlingException\): check "),
        ("InternalServiceError", TransportError, r"the secret was not read \(InternalServiceError\): check "),
    ],
)
def test_a_secret_that_may_not_be_read(code, kind, message, aws, secret):
    aws.faults["GetSecretValue"] = code
    with pytest.raises(kind, match=f"^INNGEST_SECRET_ARN: {message}") as caught:
        KeySecret(secret.arn).keys()
    assert "\n" not in str(caught.value)
    assert "arn:" not in str(caught.value)


@pytest.mark.parametrize("value", ["signkey-test-0123456789abcdef", "[]"])
def test_a_value_that_is_no_object(value, secret):
    secret.put(value)
    with pytest.raises(
        ConfigurationError, match=r"^INNGEST_SECRET_ARN: the value of the secret is no JSON object: "
    ) as caught:
        KeySecret(secret.arn).keys()
    assert "0123456789abcdef" not in str(caught.value)


def test_a_service_that_is_not_reached(secret, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        TransportError, match=r"^INNGEST_SECRET_ARN: .* \(EndpointConnectionError\): check the function's"
    ):
        KeySecret(secret.arn).keys()


def test_a_read_that_failed_is_tried_again_with_a_connection_of_its_own(aws, secret):
    keys = KeySecret(secret.arn)
    aws.faults["GetSecretValue"] = "AccessDeniedException"
    keys.fetch_early()
    aws.faults.clear()
    assert keys.keys() == _keys()


def test_all_logs_on_show_no_key(secret, caplog):
    caplog.set_level(logging.DEBUG)
    assert KeySecret(secret.arn).keys() == _keys()
    assert "GetSecretValue" in caplog.text
    assert logging.getLogger("botocore.parsers").getEffectiveLevel() == logging.DEBUG
    assert not [key for key in _keys().values() if key[-10:] in caplog.text]


# A handler and a client in this process, on a clock of their own.


@pytest.fixture
def clock(monkeypatch):
    times = [1_767_268_800.0]
    monkeypatch.setattr(time, "time", lambda: times[0])
    return times


def _signature(body, key, now):
    seconds = str(int(now))
    digest = hmac.new(key.removeprefix("signkey-test-").encode(), body + seconds.encode(), "sha256").hexdigest()
    return f"t={seconds}&s={digest}"


def _call(invoke, key, function="hear", now=None):
    event = {"name": "app/heard", "data": {}}
    body = json.dumps({"ctx": {"run_id": "R", "attempt": 0}, "event": event, "events": [event], "steps": {}}).encode()
    headers = {"X-Inngest-Signature": _signature(body, key, time.time() if now is None else now)}
    url = f"{URL}?fnId=app-{function}&stepId=step"
    reply = invoke(to_lambda_event("function-url", "POST", url, headers, body))
    signature = reply["headers"].get("x-inngest-signature")
    if signature is not None:
        at = int(signature.removeprefix("t=").partition("&")[0])
        assert signature == _signature(reply["body"].encode(), key, at), "a reply is signed with the key of its request"
    return reply["statusCode"]


@pytest.fixture
def invoke(secret, clock, monkeypatch):
    monkeypatch.setenv("INNGEST_SECRET_ARN", secret.arn)
    function = create_function(id="hear", trigger=event_trigger("app/heard"))(lambda ctx: "heard")
    handler = inngest_lambda([function], app_id="app")
    return lambda event: handler(event, None)


def test_a_key_that_is_rotated_while_the_function_is_warm(invoke, secret):
    assert [_call(invoke, key) for key in (OLD, OLD)] == [200, 200]
    assert secret.reads == 1
    secret.put(_keys(NEW, INNGEST_SIGNING_KEY_FALLBACK=OLD))
    assert [_call(invoke, key) for key in (NEW, OLD, WRONG)] == [200, 200, 401]
    assert secret.reads == 2


def test_a_flood_of_wrong_signatures(invoke, secret, clock):
    """Ten minutes of it, with a rotation in the third."""
    for second in range(600):
        if second == 150:
            secret.put(_keys(NEW))
        assert _call(invoke, WRONG) == 401
        clock[0] += 1
    assert _call(invoke, NEW) == 200
    assert secret.reads == 1 + 600 / REREAD_SECONDS


def test_a_client_finds_its_event_key(secret, monkeypatch):
    with LocalApi(Engine(lambda *_: None)) as api:
        monkeypatch.setenv("INNGEST_SECRET_ARN", secret.arn)
        monkeypatch.setenv("INNGEST_EVENT_API_BASE_URL", api.origin)
        sender = Client()
        assert secret.reads == 0
        assert len(sender.send_many([{"name": "app/heard"}] * 2)) == 2
    assert secret.reads == 1


# A function in the Lambda runtime, which is given the name of the secret and no key.


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(dedent(APP))
    return tmp_path


def _runtime(folder, aws, arn, **env):
    return LambdaRuntime(
        "app.handler", cwd=folder, env={**aws.env, "PYTHONPATH": str(ROOT), "INNGEST_SECRET_ARN": arn, **env}
    )


def test_the_lambda_runtime(folder, aws, secret):
    with _runtime(folder, aws, secret.arn) as runtime:
        assert _call(runtime.invoke, OLD) == 206
        assert _call(runtime.invoke, NEW) == 401
        secret.put(_keys(NEW))
        # Once in a minute is enough: the one read of this minute was for the wrong key.
        assert _call(runtime.invoke, NEW) == 401
        assert secret.reads == 2
    assert not [key for key in (OLD, NEW) if key[-16:] in runtime.log]


def test_a_rotation_in_the_lambda_runtime(folder, aws, secret):
    with _runtime(folder, aws, secret.arn) as runtime:
        assert _call(runtime.invoke, OLD) == 206
        secret.put(_keys(NEW, INNGEST_SIGNING_KEY_FALLBACK=OLD))
        assert [_call(runtime.invoke, key) for key in (NEW, NEW, OLD)] == [206, 206, 206]
        log = runtime.log
    assert secret.reads == 2
    assert log.count("INIT START") == 1, "all calls were answered by one process"
    assert "INNGEST_SECRET_ARN: the keys in the secret have changed" in log
    assert not [key for key in (OLD, NEW) if key[-16:] in log]


def test_a_secret_that_comes_after_the_function(folder, aws):
    """What failed when the function was initialized does not stay with it."""
    arn = "late"
    with _runtime(folder, aws, arn) as runtime:
        assert _call(runtime.invoke, OLD) == 500
        assert MISSING.strip("^$") in runtime.log
        made = Secret(aws, _keys(), arn)
        assert _call(runtime.invoke, OLD) == 206
        made.delete()


def test_whole_runs_with_keys_from_the_secret(folder, aws, secret):
    """Synced, called and heard: the registration and the event go out with keys from the secret as well."""
    engine = Engine(lambda *request: endpoint(*request), signing_key=OLD)  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api:
        env = {"INNGEST_API_BASE_URL": api.origin, "INNGEST_EVENT_API_BASE_URL": api.origin}
        with _runtime(folder, aws, secret.arn, **env) as runtime:
            endpoint = lambda_endpoint(runtime.invoke)
            assert endpoint("PUT", URL, {}, b"").status == 200
            [first] = engine.send({"name": "app/told"})
            engine.finish_all()
            secret.put(_keys(NEW))
            engine.key = type(engine.key)(NEW)
            second = engine.execute({"name": "app/told"})
            engine.finish_all()
    assert [(run.function.id, run.status) for run in engine.runs] == [
        ("app-tell", "completed"),
        ("app-hear", "completed"),
    ] * 2
    assert first.output == second.output, "the same process answered before and after the rotation"
    assert secret.reads == 2
