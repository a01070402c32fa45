"""Logs, metrics and traces in the real Lambda runtime: what it writes, and what X-Ray's daemon receives."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaRuntime

sys.path += [path for path in [str(Path(__file__).parents[1] / "unit" / "aws")] if path not in sys.path]

from observability_documents import Daemon, json_lines, measured, metric_documents

pytestmark = pytest.mark.integration

URL = "https://shop.lambda-url.eu-west-1.on.aws/api/inngest"
ROOT, SEGMENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
SECRET = "4111-1111-1111-1111"
APP = """
    import os

    from inngest_serverless import (
        NonRetriableError, PowertoolsLogs, PowertoolsMetrics, PowertoolsTraces, create_function, event_trigger,
        inngest_lambda,
    )

    @create_function(id="order", trigger=event_trigger("shop/ordered"))
    def order(ctx):
        ctx.logger.info("ordered")
        ctx.step.run("charge", charge, ctx)
        ctx.step.sleep("nap", "1h")
        ctx.logger.info("rested")
        return ctx.step.run("ship", lambda: {"card": ctx.event.data["card"]})

    def charge(ctx):
        ctx.logger.info("charging")
        return {"card": ctx.event.data["card"]}

    @create_function(id="refund", trigger=event_trigger("shop/refunded"))
    async def refund(ctx):
        async def look_up():
            raise NonRetriableError("no such card: " + ctx.event.data["card"])

        ctx.logger.info("refunding")
        await ctx.step.run("look-up", look_up)

    serve = inngest_lambda(
        [order, refund], app_id="shop", middleware=[PowertoolsLogs(), PowertoolsMetrics(), PowertoolsTraces()]
    )

    def handler(event, context):
        if "TRACE_HEADER" in os.environ:
            os.environ["_X_AMZN_TRACE_ID"] = os.environ["TRACE_HEADER"]  # as Lambda sets it; the emulator does not
        return serve(event, context)
"""


class Shop:
    """The app in the Lambda runtime, and an engine that calls it."""

    def __init__(self, runtime, engine):
        self.runtime, self.engine = runtime, engine

    def execute(self, name):
        return self.engine.execute({"name": name, "data": {"card": SECRET}})

    @property
    def lines(self):
        """What the handler has logged: lines that are neither metrics nor the runtime's own."""
        return [line for line in json_lines(self.runtime.log) if "_aws" not in line]

    @property
    def metrics(self):
        return metric_documents(self.runtime.log)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts the app; what is given are variables of its environment."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "app.py").write_text(dedent(APP), encoding="utf-8")
    opened = []

    def run(**env):
        engine = Engine(lambda *request: endpoint(*request))  # noqa: PLW0108 - it is made below
        api = LocalApi(engine)
        settings = {"INNGEST_DEV": api.__enter__().origin, "POWERTOOLS_SERVICE_NAME": "shop", **env}
        opened.append(api)
        runtime = LambdaRuntime("app.handler", cwd=tmp_path, env=settings, function_name="shop")
        opened.append(runtime)
        runtime.start()
        endpoint = lambda_endpoint(runtime.invoke)
        assert endpoint("PUT", URL, {}, b"").status == 200
        return Shop(runtime, engine)

    yield run
    for each in reversed(opened):
        each.__exit__(None, None, None)


def test_a_run_in_the_log(start):
    shop = start()
    run = shop.execute("shop/ordered")
    assert run.status == "completed", run.output
    told = [(line["message"], line.get("step_id")) for line in shop.lines]
    assert told == [("ordered", None), ("charging", "charge"), ("rested", None)]
    for line in shop.lines:
        assert (line["run_id"], line["function_id"], line["attempt"]) == (run.id, "order", 0)
        assert (line["service"], line["level"]) == ("shop", "INFO")
    charge, nap, ship, end = shop.metrics
    assert [document["outcome"] for document in (charge, nap, ship, end)] == [
        *("step_succeeded", "planned", "step_succeeded", "finished")
    ]
    assert [measured(document)["ReplayedSteps"] for document in (charge, nap, ship, end)] == [0, 1, 2, 3]
    assert {document["run_id"] for document in shop.metrics} == {run.id}
    # Lambda's ID of the invocation leads from a line of the run to what the platform says of it.
    requests = [document["function_request_id"] for document in shop.metrics]
    assert len(set(requests)) == len(requests)
    assert [line["function_request_id"] for line in shop.lines] == [requests[0], requests[0], requests[2]]
    for request in requests:
        assert f"RequestId: {request}" in shop.runtime.log
    assert SECRET not in shop.runtime.log


def test_one_cold_start_for_each_environment(start):
    shop = start()
    shop.execute("shop/ordered")
    # The first invocation was the sync, which is no call.
    assert {each["cold_start"] for each in [*shop.lines, *shop.metrics]} == {False}
    shop.runtime.stop()
    shop.runtime.start()
    shop.execute("shop/ordered")
    assert [line["cold_start"] for line in shop.lines] == [True, True, False]
    assert [document["cold_start"] for document in shop.metrics] == [True, False, False, False]


def test_one_run_does_not_show_in_the_next(start):
    shop = start()
    first, second = shop.execute("shop/ordered"), shop.execute("shop/refunded")
    assert [line["run_id"] for line in shop.lines] == [first.id] * 3 + [second.id] * 3
    refunding, step, function = shop.lines[3:]
    assert (refunding["message"], refunding.get("step_id")) == ("refunding", None)
    assert (step["message"], step["level"]) == ("step 'look-up' failed: NonRetriableError", "ERROR")
    assert function["message"] == "the function failed: StepError"
    assert [document["outcome"] for document in shop.metrics[4:]] == ["step_failed", "failed"]
    assert SECRET not in shop.runtime.log


def test_traces(start):
    with Daemon() as daemon:
        header = f"Root={ROOT};Parent={SEGMENT};Sampled=1"
        shop = start(AWS_XRAY_DAEMON_ADDRESS=daemon.address, TRACE_HEADER=header)
        order, refund = shop.execute("shop/ordered"), shop.execute("shop/refunded")
        segments = daemon.received()
    names = ["step charge", "order", "step ship", "order", "step look-up", "refund"]
    assert [segment["name"] for segment in segments] == names
    for segment in segments:
        run = order if segment["annotations"]["function_id"] == "order" else refund
        assert segment["annotations"]["run_id"] == run.id
        assert (segment["trace_id"], segment["parent_id"], segment["type"]) == (ROOT, SEGMENT, "subsegment")
        assert segment["end_time"] >= segment["start_time"]
    assert [segment.get("fault", False) for segment in segments] == [False] * 4 + [True] * 2
    assert segments[4]["cause"]["exceptions"][0]["type"] == "NonRetriableError"
    assert SECRET not in json.dumps(segments)
    # The same trace is in each line, where CloudWatch looks for it.
    assert {line["xray_trace_id"] for line in shop.lines} == {ROOT}


@pytest.mark.parametrize("header", [None, f"Root={ROOT};Parent={SEGMENT};Sampled=1"], ids=["no trace", "traced"])
def test_without_a_daemon_nothing_is_said(start, header):
    shop = start(**({} if header is None else {"TRACE_HEADER": header}))
    shop.execute("shop/ordered")
    told = [line for line in shop.runtime.log.splitlines() if not line.startswith("{")]
    noise = [line for line in told if "aws_xray" in line or "egment" in line or "Traceback" in line]
    assert noise == []
    assert len(shop.lines) == 3
