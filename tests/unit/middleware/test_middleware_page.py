"""The code of docs/middleware.md does what the page says, against the local engine."""

from __future__ import annotations

import importlib.machinery
import json
import logging
import re
import sys
import types
from pathlib import Path

import pytest

from inngest_serverless.encryption import EncryptionMiddleware
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine

PAGE = Path(__file__).parents[3] / "docs" / "middleware.md"
URL = "https://shop.lambda-url.eu-west-1.on.aws/api/inngest"
KEYS = {"DATA_KEY": "0123456789abcdef" * 4, "OLD_DATA_KEY": "fedcba9876543210" * 4}
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def page(monkeypatch, tmp_path, telemetry):
    """Executes the page's code up to a block, and serves its handler to an engine."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    opened = []

    def run(blocks):
        def answer(*request):
            return lambda_endpoint(lambda event: names["handler"](event, None))(*request)

        engine = Engine(answer)
        api = LocalApi(engine)
        monkeypatch.setenv("INNGEST_DEV", api.__enter__().origin)
        opened.append(api)
        names = {"__name__": "middleware_page"}
        for block in BLOCKS[:blocks]:
            exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)  # noqa: S102 - the page is ours
        assert answer("PUT", URL, {}, b"").status == 200
        return engine, names

    yield run
    for api in opened:
        api.__exit__(None, None, None)


def test_every_block_is_tried():
    assert len(BLOCKS) == 4


def test_middleware_of_ones_own(page, caplog, monkeypatch):
    engine, _ = page(1)
    # Powertools keeps the loggers of its services to itself, and some test may have had one of this name.
    monkeypatch.setattr(logging.getLogger("shop"), "propagate", True)
    monkeypatch.setattr(caplog.handler, "filters", [])
    with caplog.at_level("INFO", "shop"):
        run = engine.execute({"name": "shop/order.placed", "data": {"id": "a-17", "tenant": "north"}})
    assert (run.status, run.output, run.steps) == ("completed", "charge-a-17", ["charge", "tell"])
    told = [record.getMessage().partition(" took ")[0] for record in caplog.records if record.name == "shop"]
    assert told == ["charge", "tell", "the rest"]


def test_encryption(page):
    engine, names = page(2)
    email = "ada@example.com"
    sealed = EncryptionMiddleware(KEYS["OLD_DATA_KEY"]).encrypt({"email": email})
    run = engine.execute({"name": "shop/signed.up", "data": {"encrypted": sealed}})
    assert run.status == "completed", run.output
    assert email not in json.dumps(run.output)
    assert EncryptionMiddleware(KEYS["DATA_KEY"]).decrypt(run.output) == {"email": email, "name": "ada"}
    assert names["encryption"].decrypt(run.output) == {"email": email, "name": "ada"}


def test_large_results(page, tmp_path):
    engine, names = page(3)
    run = engine.execute({"name": "shop/report.asked", "data": {"rows": 20_000}})
    assert run.status == "completed", run.output
    assert names["encryption"].decrypt(run.output) == 20_000
    [kept] = (tmp_path / ".inngest-results").rglob("*.json")
    assert json.loads(kept.read_text("utf-8"))["__ENCRYPTED__"] is True


def test_the_store_on_lambda(page, monkeypatch):
    boto3 = types.ModuleType("boto3")
    boto3.__spec__ = importlib.machinery.ModuleSpec("boto3", None)
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")
    _, names = page(3)
    assert repr(names["store"]) == "S3Store('my-results', 'inngest/')"


def test_tracing(page):
    engine, _ = page(4)
    run = engine.execute({"name": "shop/report.asked", "data": {"rows": 3}})
    assert (run.status, run.output) == ("completed", 3)
