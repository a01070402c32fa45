"""docs/quickstart.md, done as it says: its files, its tests, its dev server and its event."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pages import DOCS, blocks_of

pytestmark = pytest.mark.integration

PAGE = DOCS / "quickstart.md"
# The console scripts of the environment that runs this test.
BIN = Path(sys.executable).parent
_LONGEST_SECONDS = 120


@pytest.fixture
def folder(tmp_path):
    for block in blocks_of(PAGE, "python"):
        (tmp_path / block.title).write_text(block.code, "utf-8")
    return tmp_path


def _command(begins):
    """The page's command that begins so, as words."""
    [line] = [line for block in blocks_of(PAGE, "bash") for line in block.code.splitlines() if line.startswith(begins)]
    program, *words = shlex.split(line)
    return [str(BIN / program), *words]


def test_both_of_its_tests_are_green(folder):
    ran = subprocess.run(_command("pytest"), cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - the page is ours
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_its_event_runs_on_the_dev_server(folder):
    served = [*_command("inngest-serverless dev"), "--port", "0", "--gateway-port", "0", "--json", "--no-reload"]
    with subprocess.Popen(served, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603 - the page is ours
        watchdog = threading.Timer(_LONGEST_SECONDS, server.kill)  # the reader below would wait for ever
        watchdog.start()
        try:
            told = _told(server)
            origin = next(line["inngest_dev"] for line in told if line["kind"] == "ready")
            assert next(line for line in told if line["kind"] == "functions")["functions"][0]["id"] == "shop-order"
            env = {**os.environ, "INNGEST_DEV": origin}
            send = _command("inngest-serverless send")
            subprocess.run(send, cwd=folder, env=env, capture_output=True, check=True, timeout=60)  # noqa: S603 - as above
            happened = []
            for line in told:
                if line["kind"] == "moment":
                    happened.append((line["what"], line["step"]))
                if ("Sleep", "wait a moment") in happened:
                    break
            assert happened == [("Started", ""), ("StepRun", "charge the card"), ("Sleep", "wait a moment")]
        finally:
            watchdog.cancel()
            server.terminate()
            server.communicate(timeout=120)


def _told(server):
    """The documents that the dev server prints, as they come."""
    for line in server.stdout:
        yield json.loads(line)
    pytest.fail(f"the dev server has ended: {server.stderr.read()}")
