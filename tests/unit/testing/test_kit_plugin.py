"""The pytest plugin, in a pytest of its own: the fixture, and what pytest's start pays for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
APP = """
import inngest_serverless
from inngest_serverless import create_function, event_trigger, inngest_lambda

@create_function(id="charge", trigger=event_trigger("shop/order.placed"))
def charge(ctx):
    receipt = ctx.step.run("charge", lambda: "r-1")
    ctx.step.sleep("calm-down", "1d")
    ctx.step.send_event("tell", {"name": "shop/charged", "data": {"receipt": receipt}})
    return receipt

handler = inngest_lambda([charge], app_id="shop", signing_key="signkey-prod-00")

def place_order():
    return inngest_serverless.send({"name": "shop/order.placed"})
"""
TESTS = """
import os
import pytest
import app
from inngest_serverless.testing import Fault, NotReachedError, Session

ORDER = {"name": "shop/order.placed"}

def test_run(inngest):
    assert isinstance(inngest, Session)
    assert inngest.run(app.handler, ORDER).output == "r-1"
    assert [event.name for event in inngest.sent] == ["shop/charged"]

def test_it_is_a_session_of_its_own(inngest):
    assert inngest.runs == inngest.sent == ()

def test_the_code_under_test_starts_a_run(inngest):
    inngest.serve(app.handler)
    app.place_order()
    inngest.advance("2d")
    [run] = inngest.runs
    assert run.output == "r-1"

def test_start_mock_advance_inject(inngest):
    inngest.mock_step("charge", "mocked")
    inngest.inject(Fault.kill_after("tell"))
    run = inngest.start(app.handler, ORDER)
    assert [waiting.kind for waiting in run.waiting] == ["sleep"]
    inngest.advance("1d")
    assert run.finish().output == "mocked"

def test_a_mock_that_is_not_reached(inngest):
    inngest.mock_step("chrge", "mocked")
    inngest.run(app.handler, ORDER)

def test_a_failure_is_told_alone(inngest):
    inngest.mock_step("chrge", "mocked")
    assert inngest.run(app.handler, ORDER).output == "r-2"

def test_the_environment_is_as_it_was():
    assert "INNGEST_DEV" not in os.environ
"""


def pytest_run(folder, *arguments):
    # Without the entry point, which the package's metadata may have or not; with the plugin by its name.
    plugins = [
        "-p",
        "no:inngest-serverless",
        "-p",
        "inngest_serverless.testing.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugins, *arguments]
    # In CI pytest's summary shows messages in full, and so twice.
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("INNGEST_")}
    environ = {**kept, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - this interpreter
    return ran.stdout + ran.stderr


@pytest.mark.integration
def test_the_fixture(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_app.py").write_text(TESTS)
    output = pytest_run(tmp_path)
    assert "1 failed, 6 passed, 1 error" in output, output
    assert "ERROR at teardown of test_a_mock_that_is_not_reached" in output, output
    assert "mock_step('chrge'): no function came to that. The steps that were found: 'charge', 'calm-down'" in output
    assert "test_a_failure_is_told_alone - AssertionError" in output, output
    assert output.count("no function came to that") == 1, f"not for the test that failed by itself\n{output}"


FAILING = """
from inngest_serverless import create_function, event_trigger

def charge(order):
    raise ValueError("declined")

@create_function(id="order", trigger=event_trigger("shop/order.placed"), retries=0)
def order(ctx):
    return ctx.step.run("charge", charge, ctx.event.data)
"""
TESTS_OF_FAILING = """
from inngest_serverless.testing import run, start
from shop import order

ORDER = {"name": "shop/order.placed"}

def test_status():
    result = run(order, ORDER)
    assert result.status == "completed"

def test_status_of_one_under_way():
    assert start(order, ORDER).status == "running"

def test_output():
    assert run(order, ORDER).output == "r-1"

def test_error():
    assert run(order, ORDER).error is None

def test_what_the_code_sends(inngest):
    inngest.serve(order)
    inngest.send(ORDER)
    assert inngest.sent == "something else"

def test_another_event():
    run(order, {"name": "shop/order.plcd"})

def test_what_has_nothing_to_do_with_it():
    assert "failed" == "completed"

def test_a_failure_that_is_wanted():
    assert run(order, ORDER).status == "failed"
"""
REASON = "shop.py:5 in charge: ValueError: declined"


@pytest.mark.integration
def test_a_failed_test_begins_with_why_its_run_has_failed(tmp_path):
    (tmp_path / "shop.py").write_text(FAILING)
    (tmp_path / "test_shop.py").write_text(TESTS_OF_FAILING)
    output = pytest_run(tmp_path)
    assert "7 failed, 1 passed" in output, output
    sections = dict(re.findall(r"^_+ (test_\w+) _+\n(.*?)(?=^[_=]{5})", output, re.DOTALL | re.MULTILINE))
    shown = {name: re.search("^E +(.*)", text, re.MULTILINE)[1] for name, text in sections.items()}
    assert shown["test_status"] == f"AssertionError: assert {REASON} ('failed' == 'completed')"
    assert shown["test_status_of_one_under_way"] == f"AssertionError: assert {REASON} ('failed' == 'running')"
    assert f"<RunResult of 'test-order': failed: {REASON}; " in sections["test_output"], output
    assert REASON.partition(": ")[0] in shown["test_error"]
    told_of = ("test_status", "test_status_of_one_under_way", "test_output", "test_error", "test_what_the_code_sends")
    for name in told_of:
        assert "--- inngest: runs that failed ---" in sections[name], output
        assert f"run of 'test-order': failed: {REASON}\n" in sections[name], output
    told = "event 'shop/order.plcd' starts no run of function 'test-order': the triggers are event 'shop/order.placed'"
    assert shown["test_another_event"].endswith(told)
    assert "kit_engine.py" not in output, "a test is shown its own lines"
    for name in ("test_another_event", "test_what_has_nothing_to_do_with_it"):
        assert REASON not in sections[name], "each test has its own runs"
    line = f"E       {shown['test_status'].replace('shop.py:5', 'shop.py:24')}\n"
    assert line in (ROOT / "docs/testing.md").read_text("utf-8"), "docs/testing.md shows another line"


@pytest.mark.integration
def test_a_start_of_pytest_loads_the_plugin_and_nothing_else(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n"
        "def test_loaded():\n"
        "    ours = sorted(name for name in sys.modules if name.startswith('inngest_serverless'))\n"
        "    assert ours == ['inngest_serverless', 'inngest_serverless.testing',\n"
        "        'inngest_serverless.testing.pytest_plugin', 'inngest_serverless.version']\n"
        "    assert not {'httpx', 'pydantic'} & set(sys.modules)\n"
    )
    output = pytest_run(tmp_path)
    assert "1 passed" in output, output
