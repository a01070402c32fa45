"""``S3Store`` with a bucket of S3, as moto plays it over HTTP: alone, and under ``OffloadMiddleware`` in a run."""

from __future__ import annotations

import os

import pytest
from aws_services import REGION, AwsServices
from botocore.exceptions import ClientError

from inngest_serverless import OffloadMiddleware, S3Store, create_function, event_trigger, inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine

pytestmark = pytest.mark.integration

URL = "https://app.lambda-url.eu-west-1.on.aws/api/inngest"


@pytest.fixture(scope="module")
def running_aws():
    with AwsServices() as aws:
        yield aws


@pytest.fixture
def bucket(running_aws, monkeypatch):
    """A bucket, in the AWS that the environment names."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in running_aws.env.items():
        monkeypatch.setenv(name, value)
    client = running_aws.client("s3")
    client.create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    for item in client.list_objects_v2(Bucket="results").get("Contents", []):
        client.delete_object(Bucket="results", Key=item["Key"])
    client.delete_bucket(Bucket="results")


@pytest.mark.parametrize("data", [b"", b'{"a": 1}', "\u2713".encode() * 100_000, bytes(range(256)) * 30_000])
def test_what_is_put_is_got(data, bucket):
    store = S3Store("results")
    ref = store.put("run/step", data)
    assert ref == "s3://results/inngest/run/step"
    assert S3Store("results").get(ref) == data
    assert bucket.head_object(Bucket="results", Key="inngest/run/step")["ContentType"] == "application/json"


def test_the_same_key_again(bucket):
    store = S3Store("results", "mine/")
    assert store.put("k", b"1") == store.put("k", b"1") == "s3://results/mine/k"
    assert store.get("s3://results/mine/k") == b"1"


@pytest.mark.parametrize(
    "ref", ["s3://results/inngest/none", "s3://results/other/k", "s3://others/inngest/k", "file:k"]
)
def test_what_is_not_there(ref, bucket):
    bucket.put_object(Bucket="results", Key="other/k", Body=b"not ours")
    with pytest.raises(LookupError, match=ref):
        S3Store("results").get(ref)


def test_a_bucket_that_is_not_there_is_no_missing_result(bucket):
    """It may be a wrong setting, so that the result is not lost: retry, do not fail for good."""
    store = S3Store("nowhere-to-be-found")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        store.put("k", b"1")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        store.get("s3://nowhere-to-be-found/inngest/k")


def test_a_client_that_is_given(bucket):
    assert S3Store("results", client=bucket).put("k", b"1") == "s3://results/inngest/k"


def test_large_results_of_a_run(bucket, monkeypatch):
    def report(ctx):
        rows = ctx.step.run("rows", lambda: ["row"] * 50_000)
        ctx.step.sleep("later", "1h")
        return len(rows)

    function = create_function(id="report", trigger=event_trigger("app/asked"))(report)
    engine = Engine(lambda *request: endpoint(*request))  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api:
        monkeypatch.setenv("INNGEST_DEV", api.origin)
        handler = inngest_lambda([function], app_id="app", middleware=[OffloadMiddleware(S3Store("results"))])
        endpoint = lambda_endpoint(lambda event: handler(event, None))
        assert endpoint("PUT", URL, {}, b"").status == 200
        run = engine.execute({"name": "app/asked"})
    assert (run.status, run.output) == ("completed", 50_000)
    [kept] = bucket.list_objects_v2(Bucket="results")["Contents"]
    assert kept["Key"].startswith("inngest/")
    assert kept["Size"] > 300_000
