"""The pytest plugin, in a pytest of its own: the fixture, and what pytest's start pays for it."""

from __future__ import annotations

import os
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
