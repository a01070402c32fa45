"""Servers in processes of their own: what is left of them when their start or their end is disturbed, and their ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from inngest_serverless.errors import InngestError
from inngest_serverless.local.processes import HOST, Program, ServerProcess, reserve_port

ENVIRONMENT = {"PATH": os.environ["PATH"]}
# Listens, has a child that ignores SIGTERM, and says when the child does.
SERVER = """
import signal, socket, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"],
    stdout=subprocess.PIPE,
)
child.stdout.readline()
print("child", child.pid, flush=True)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    signal.pause()
"""


class ServerError(InngestError):
    """What the server raises."""


@pytest.fixture
def server():
    made = ServerProcess("the server", ServerError)
    yield made
    made.stop()


def program(port):
    return Program([sys.executable, "-c", SERVER, str(port)], Path("/"), ENVIRONMENT)


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def child_of(server):
    return int(server.log.split()[1])


@pytest.mark.integration
def test_it_ends_with_its_session(server):
    server.start(program)
    pids = [server.process.pid, child_of(server)]
    assert all(map(is_alive, pids))
    socket.create_connection((HOST, server.port)).close()
    server.stop()
    assert not any(map(is_alive, pids))
    assert server.log.startswith("child")
    with pytest.raises(ServerError, match="the server is not running"):
        _ = server.process


@pytest.fixture
def interrupted_launch(monkeypatch):
    """A signal arrives when a process is there, and nobody has been told of it; the processes' IDs."""
    pids = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            pids.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    return pids


@pytest.mark.integration
def test_a_signal_inside_the_launch_leaves_no_process(server, interrupted_launch):
    with pytest.raises(KeyboardInterrupt):
        server.start(program)
    [pid] = interrupted_launch
    assert not is_alive(pid)
    assert not server.is_running


@pytest.mark.integration
def test_a_signal_before_the_launch_is_no_hindrance(server, monkeypatch):
    launch = threading.Thread.start

    def start(thread):
        if thread.name == "launch":
            signal.raise_signal(signal.SIGINT)
        launch(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        server.start(program)
    monkeypatch.undo()
    server.start(program)
    assert is_alive(server.process.pid)


@pytest.mark.integration
def test_a_signal_before_it_listens_leaves_no_process(server, monkeypatch):
    pids = []

    def interrupt(*_, **__):
        pids.append(server.process.pid)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(socket, "create_connection", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start(program)
    assert [is_alive(pid) for pid in pids] == [False]


@pytest.mark.integration
def test_a_signal_during_the_stop_leaves_no_process(server, monkeypatch):
    server.start(program)
    pids = [server.process.pid, child_of(server)]
    monkeypatch.setattr(server.process, "wait", Impatient(server.process.wait))
    with pytest.raises(KeyboardInterrupt):
        server.stop()
    assert not any(map(is_alive, pids))


class Impatient:
    """A wait that is interrupted once."""

    def __init__(self, wait):
        self._wait = wait
        self._interrupted = False

    def __call__(self, timeout=None):
        if not self._interrupted:
            self._interrupted = True
            signal.raise_signal(signal.SIGINT)
        return self._wait(timeout)


@pytest.mark.integration
def test_it_takes_signals_as_any_process_does(server):
    """Whoever starts it from a thread, or with signals blocked, must not have it inherit that."""
    server.start(program)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines())
    assert int(status["SigBlk"], 16) == 0


def test_a_program_that_is_not_there(server):
    with pytest.raises(ServerError, match=r"^the server did not start: .*'/no/such/program'"):
        server.start(lambda _: Program(["/no/such/program"], Path("/"), ENVIRONMENT))
    assert not server.is_running


def test_a_program_that_ends_shows_its_log(server):
    with pytest.raises(ServerError, match="did not start\nThe log ends:\ncannot listen"):
        server.start(lambda _: Program(["/bin/sh", "-c", "echo cannot listen"], Path("/"), ENVIRONMENT))
    assert server.log == "cannot listen\n"


def test_a_reserved_port_is_given_to_nobody_else_but_may_be_listened_on():
    with ExitStack() as stack:
        ours = {reserve_port(stack) for _ in range(4)}
        assert len(ours) == 4
        for port in ours:
            with socket.create_server((HOST, port)), socket.create_connection((HOST, port)):
                pass
            with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
                stranger.bind((HOST, port))
