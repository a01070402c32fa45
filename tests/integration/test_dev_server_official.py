"""Inngest's own dev server in the local engine's place: how it is started, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from cli_server import run_command
from dev_process import BUSY, Dev, request, write
from waiting import until

pytestmark = pytest.mark.integration

NPX = """#!{python}
import json, os, signal, subprocess, sys, time
with open({record!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("npm_config_yes")]) + "\\n")
print("npx is here", flush=True)
if "{code}":
    sys.exit(int("{code}"))
def end(*_):
    with open({record!r}, "a") as file:
        file.write('"told to end"\\n')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
time.sleep(600)
"""


@pytest.fixture
def npx(tmp_path):
    """A program in npx's place, which writes down its arguments; returns how it is found, and what it wrote."""
    folder, record = tmp_path / "bin", tmp_path / "record"
    folder.mkdir()

    def make(code=""):
        program = folder / "npx"
        program.write_text(NPX.format(python=sys.executable, record=str(record), code=code))
        program.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def recorded():
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []

    return make, recorded


class TestOfficialServer:
    def test_it_is_started_for_the_gateway(self, npx, tmp_path):
        make, recorded = npx
        write(tmp_path, "app", BUSY)
        with Dev(tmp_path, "app:handler", "--engine", "inngest", "--port", "18288", PATH=make()) as dev:
            until(lambda: "npx is here\n" in dev.written, "npx to be started")
            assert recorded() == [
                [["inngest-cli@latest", "dev", "-u", dev.app, "--no-discovery", "--port", "18288"], "true"]
            ]
            # The gateway serves whoever calls; the app works with the other server.
            status, headers, _ = request("GET", dev.app)
            assert (status, "x-inngest-sdk" in headers) == (200, True)
            assert dev.stop() == 0
        assert recorded()[1:] == ["told to end"]

    def test_options_are_passed_on(self, npx, tmp_path):
        make, recorded = npx
        given = ["--engine", "inngest", "--host", "localhost", "--retry-interval", "3", "--port", "8288"]
        with Dev(tmp_path, "--url", "http://127.0.0.1:9/api/inngest", *given, PATH=make()) as dev:
            until(recorded, "npx to be started")
            assert recorded()[0][0][2:] == [
                *("-u", "http://127.0.0.1:9/api/inngest", "--no-discovery"),
                *("--host", "localhost", "--retry-interval", "3"),
            ]
            assert dev.stop(signal.SIGTERM) == 0

    def test_its_end_is_the_end(self, npx, tmp_path):
        make, _ = npx
        with Dev(
            tmp_path, "--url", "http://127.0.0.1:9/api/inngest", "--engine", "inngest", "--port", "8288", PATH=make("5")
        ) as dev:
            assert dev.wait() == 2
            until(lambda: dev.written[-1:], "the reason")
        assert dev.written[-1] == (
            "inngest-serverless: npx inngest-cli@latest ended with exit code 5: what it wrote says why\n"
        )

    def test_without_npx(self, tmp_path):
        (tmp_path / "bin").mkdir()
        write(tmp_path, "app", BUSY)
        ran = run_command(
            "dev", "app:handler", "--engine", "inngest", "--gateway-port", "0", cwd=tmp_path, PATH=str(tmp_path / "bin")
        )
        assert ran.returncode == 2
        assert ran.stderr == (
            "inngest-serverless: npx is not installed: install Node.js, or leave out --engine inngest\n"
        )
