"""The code of docs/observability.md does what the page says, and its examples are what is written."""

from __future__ import annotations

import json
import logging
import re
from types import SimpleNamespace

import flask
import pytest
from aws_lambda_powertools import Metrics, Tracer
from observability_documents import check_emf, json_lines, measured, metric_documents
from observability_runs import ROOT
from werkzeug.test import EnvironBuilder

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine

PAGE = (ROOT / "docs" / "observability.md").read_text("utf-8")
URL = "https://shop.lambda-url.eu-west-1.on.aws/api/inngest"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LINE, METRICS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
[QUERY] = re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PLACED = {"name": "shop/order.placed", "data": {"id": "a-17"}}


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What the switches change for the whole process, as it was."""
    monkeypatch.setattr("aws_xray_sdk.global_sdk_config.set_sdk_enabled", lambda value: None)
    loggers = [logging.getLogger(name) for name in ("inngest_serverless", "shop", "delivery", "shop.google")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
        vars(logger).pop("init", None)
        vars(logger).pop("powertools_handler", None)
    Tracer._reset_config()
    Metrics().clear_metrics()


@pytest.fixture
def page(monkeypatch):
    """Executes the page's code up to a block, and serves its handler to an engine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    opened = []

    def run(blocks):
        context = SimpleNamespace(aws_request_id="5fbd9c03")

        def answer(*request):
            return lambda_endpoint(lambda event: names["handler"](event, context))(*request)

        engine = Engine(answer)
        api = LocalApi(engine)
        monkeypatch.setenv("INNGEST_DEV", api.__enter__().origin)
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "shop")
        opened.append(api)
        names = {"__name__": "observability_page"}
        for block in BLOCKS[:blocks]:
            exec(compile(block, "page.py", "exec", dont_inherit=True), names)  # noqa: S102 - the page is ours
        assert answer("PUT", URL, {}, b"").status == 200
        return engine, names

    yield run
    for api in opened:
        api.__exit__(None, None, None)


def test_every_block_is_tried():
    assert len(BLOCKS) == 3


def test_the_three_switches(page, capsys):
    engine, _ = page(1)
    run = engine.execute(PLACED)
    assert (run.status, run.output) == ("completed", "charge-a-17")
    written = capsys.readouterr().out
    lines = [line for line in json_lines(written) if "_aws" not in line]
    assert [line["message"] for line in lines] == ["order placed", "charging", "order rested"]
    charging = lines[1]
    assert charging.keys() | {"inngest_request_id"} == LINE.keys(), "the page shows another line"
    volatile = {"timestamp", "run_id", "function_request_id", "inngest_request_id", "cold_start"}
    for name in LINE.keys() - volatile:
        assert charging[name] == LINE[name], name
    document = metric_documents(written)[0]
    assert document.keys() | {"inngest_request_id"} == METRICS.keys(), "the page shows other metrics"
    check_emf(METRICS)
    [shown], [real] = METRICS["_aws"]["CloudWatchMetrics"], document["_aws"]["CloudWatchMetrics"]
    assert shown == real
    assert measured(METRICS).keys() == measured(document).keys()
    assert (METRICS["outcome"], METRICS["step_id"]) == (document["outcome"], document["step_id"])


def test_the_query_asks_for_fields_that_are_there():
    fields = re.search(r"fields (.*)", QUERY)[1].replace("`", "")
    names = {field.strip().partition(" as ")[0].partition(".")[0] for field in fields.split(",")}
    assert names - {"@timestamp"} <= LINE.keys() | METRICS.keys()
    assert "run_id" in LINE.keys() & METRICS.keys()


def test_the_sizes_that_the_page_reckons_with():
    for document, kilobytes in ((METRICS, 0.8), (LINE, 0.4)):
        size = len(json.dumps(document, separators=(",", ":"))) / 1000
        assert abs(size - kilobytes) <= 0.05, f"about {size:.2f} KB"
        assert f"about {kilobytes} KB" in PAGE


def test_with_own_logger_metrics_and_tracer(page, capsys):
    engine, _ = page(2)
    run = engine.execute({"name": "shop/order.paid", "data": {}})
    assert (run.status, run.output) == ("completed", "parcel-1")
    written = capsys.readouterr().out
    [line] = [line for line in json_lines(written) if "_aws" not in line]
    assert (line["message"], line["level"], line["step_id"], line["run_id"]) == ("shipping", "DEBUG", "ship", run.id)
    _, parcels, _ = metric_documents(written)
    assert measured(parcels) == {"Parcels": 1}


@pytest.mark.parametrize("header", ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None])
def test_google_cloud(page, capsys, monkeypatch, header):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    _, names = page(3)
    body = json.dumps({"ctx": {"run_id": "01RUN", "attempt": 1}, "event": PLACED, "steps": {}})
    headers = {"Host": "shop.a.run.app"} | ({"traceparent": header} if header else {})
    builder = EnvironBuilder("/?fnId=shop-order&stepId=step", method="POST", headers=headers, data=body)
    _, status, _ = names["function"](flask.Request(builder.get_environ()))
    assert status == 206
    names["log"].info("outside of any call")
    placed, charging, outside = json_lines(capsys.readouterr().out)
    trace = {
        "logging.googleapis.com/trace": "projects/my-project/traces/4bf92f3577b34da6a3ce929d0e0e4736",
        "logging.googleapis.com/spanId": "00f067aa0ba902b7",
        "logging.googleapis.com/trace_sampled": True,
    }
    shared = {"severity": "INFO", "run_id": "01RUN", "function_id": "order", "attempt": 1, **(trace if header else {})}
    assert placed == {"message": "order placed", **shared}
    assert charging == {"message": "charging", "step_id": "charge", **shared}
    assert outside == {"severity": "INFO", "message": "outside of any call"}


def test_the_pages_links_lead_somewhere():
    for path in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
