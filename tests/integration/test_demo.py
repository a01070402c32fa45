"""The demo, as its users start it: what it shows, and that nothing of it is left behind."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from waiting import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "scripts" / "demo_run.py"


def start(home):
    """Start the demo; the folder is the HOME of its processes, and tells them from all others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("INNGEST_", "COV"))}
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(DEMO)],
        cwd=home,
        env=env | {"HOME": str(home), "COLUMNS": "120", "AWS_LAMBDA_RIE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes(home):
    """The processes with this HOME: the demo, the emulator, the handler."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOME={home}".encode() in environ.read_bytes().split(b"\0"):
                found.append((environ.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def await_processes(home, name):
    until(lambda: any(name in process for process in processes(home)), f"{name} to be started")


def test_the_demo_shows_a_run_and_leaves_nothing_behind(tmp_path):
    demo = start(tmp_path)
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    assert "synced core-account-created (HTTP 200)" in output
    rows = [re.split(r"\s*│\s*", line.strip(" │")) for line in output.splitlines() if line.startswith("│")]
    assert [tuple(row[:3]) for row in rows] == [
        ("00:00:00", "-", "run started  api/account.created"),
        ("00:00:00", "initial-delay", "sleeps  1s"),
        ("00:00:01", "initial-delay", "woke"),
        ("00:00:01", "email-user", "ran"),
        ("00:00:01", "wait-for-activity", "waits for an event  api/function.created"),
        ("3d 00:00:01", "wait-for-activity", "timed out"),
        ("3d 00:00:01", "follow-up", "ran"),
        ("3d 00:00:01", "-", "run completed"),
    ]
    assert output.splitlines()[-1] == "completed after 5 invocations: 'done'"
    assert processes(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["aws-lambda-rie", "awslambdaric"])
def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path, number, moment):
    demo = start(tmp_path)
    await_processes(tmp_path, moment)
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=120)
    # It may have been done before the signal came.
    assert demo.returncode in {128 + number, 0}, output
    assert "Traceback" not in output
    assert processes(tmp_path) == []


@pytest.fixture
def demo(monkeypatch):
    """The demo as a module of this process."""
    spec = importlib.util.spec_from_file_location("demo_run", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("INNGEST_DEV", "0")  # to be put back: the handler in this process needs it
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in sys.modules if name.partition(".")[0] == "handlers"]:
        monkeypatch.delitem(sys.modules, name)
    return module


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64"), ("Windows", "AMD64")])
def test_without_an_emulator_the_handler_runs_in_process(demo, monkeypatch, capsys, system, machine):
    monkeypatch.setattr(demo, "platform", SimpleNamespace(system=lambda: system, machine=lambda: machine))
    assert demo.main(demo.Stop()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"no Lambda runtime emulator for {system} {machine}: the handler runs in this process"
    assert lines[-1] == "completed after 5 invocations: 'done'"
