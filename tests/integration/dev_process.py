"""``inngest-serverless dev`` as its users start it: a process, what it says, and all that it has started."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

from waiting import PATIENCE_SECONDS, until

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.emulator import find_emulator

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("inngest-serverless")
MARK = "DEV_SERVER_TEST"
# An app whose step never ends, and whose handler fails in many ways, by the path.
BUSY = """
    import os, subprocess, sys, time
    from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_lambda

    def work():
        # What a step starts ends as well, in a group of its own and whatever it does with signals.
        subprocess.Popen([sys.executable, "-c", "import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\nprint('asleep', flush=True)\\ntime.sleep(600)"], stdout=2, process_group=0)
        time.sleep(600)

    @create_function(id="busy", trigger=event_trigger("t/busy"))
    def busy(ctx):
        ctx.step.run("work", work)

    handle = inngest_lambda([busy], app_id="app")

    def handler(event, context):
        path = event.get("rawPath") or event["path"]
        if path == "/slow":
            time.sleep(600)
        if path == "/leave":
            os._exit(7)
        if path == "/raise":
            raise LookupError("no such table")
        if path == "/large":
            return {"statusCode": 200, "body": "x" * 7_000_000}
        if path == "/odd":
            return {"status": 200}
        return handle(event, context)

    cloud = inngest_gcf([busy], app_id="app")
"""


def emulator() -> str:
    """The Lambda runtime's emulator, which only this checkout knows."""
    try:
        return find_emulator(None, ROOT)
    except ConfigurationError as error:
        return str(error)


class Dev:
    """A dev server, as a context manager; it ends with the test, and leaves no process behind.

    Args:
        folder: The folder that it is started in.
        arguments: What comes after ``dev``; it listens on free ports, and writes JSON, unless told otherwise.
        env: Variables of its own.
    """

    def __init__(self, folder, *arguments, **env):
        self.mark = uuid.uuid4().hex
        self.folder = folder
        given = " ".join(arguments)
        ports = [] if "--port" in given else ["--port", "0"]
        if "--gateway-port" not in given and "--url" not in given:
            ports += ["--gateway-port", "0"]
        kept = {"PATH", "HOME", "LANG", "PYTHONPATH"}
        own = {name: value for name, value in os.environ.items() if name in kept}
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [str(COMMAND), "dev", *arguments, *ports, "--json"],
            cwd=folder,
            env={**own, "AWS_LAMBDA_RIE": emulator(), MARK: self.mark, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines, self.written, self.listens = [], [], True
        self._threads = [
            threading.Thread(
                target=self._read, args=(self._process.stdout, lambda line: self.lines.append(json.loads(line)))
            ),
            threading.Thread(target=self._read, args=(self._process.stderr, self.written.append)),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self.wait()
        finally:
            self._process.kill()
            for thread in self._threads:
                thread.join()

    def _read(self, pipe, take):
        with pipe:
            for line in pipe:
                take(line)
                if pipe is self._process.stdout and not self.listens:
                    return

    @property
    def state(self):
        """Everything that it has said, for messages."""
        return "\n".join([*map(str, self.lines), "".join(self.written)])

    def said(self, kind, **fields):
        """The lines of a kind with these fields."""
        return [line for line in self.lines if {"kind": kind, **fields}.items() <= line.items()]

    def await_said(self, kind, count=1, **fields):
        """Wait until it has said something; returns the last such line."""

        def said():
            found = self.said(kind, **fields)
            assert self._process.poll() is None or len(found) >= count, f"it ended\n{self.state}"
            return len(found) >= count and found

        return until(said, lambda: f"{kind} {fields}, {count} times; it said:\n{self.state}")[-1]

    @property
    def origin(self):
        """The origin of the API."""
        return self.await_said("ready")["inngest_dev"]

    @property
    def app(self):
        """The URL of the app."""
        return self.await_said("ready")["app"]

    def await_problem(self, part):
        """Wait for a line about a problem that has this in it."""
        return until(
            lambda: next((line["text"] for line in self.said("problem") if part in line["text"]), None),
            lambda: f"a problem with {part!r}; it said:\n{self.state}",
        )

    def send(self, name, **data):
        """Send an event, once there are functions; returns its ID."""
        self.await_said("functions")
        _, _, body = request("POST", f"{self.origin}/e/any", json.dumps({"name": name, "data": data}).encode())
        return json.loads(body)["ids"][0]

    def runs(self, event_id):
        """The runs that an event has started, as the API tells."""
        status, _, body = request("GET", f"{self.origin}/v1/events/{event_id}/runs")
        return json.loads(body)["data"] if status == 200 else []

    def completed(self, event_id):
        """Wait until the run that an event has started has ended; returns its output."""

        def ended():
            runs = self.runs(event_id)
            return runs and all(run["ended_at"] for run in runs) and runs

        [run] = until(ended, lambda: f"the run of {event_id} to end, {self.runs(event_id)}; it said:\n{self.state}")
        status, _, body = request("GET", f"{self.origin}/v1/runs/{run['run_id']}")
        assert (status, json.loads(body)["data"]["status"]) == (200, run["status"])
        assert run["status"] == "Completed", f"{run}\n{self.state}"
        return run["output"]

    def stop(self, number=signal.SIGINT):
        """Send a signal, and wait for the end; returns the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self):
        """Wait for the end; returns the exit code. Nothing is left then."""
        try:
            code = self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end\n{self.state}") from None
        left = kill(self.mark)
        assert not left, f"it left processes behind: {left}\n{self.state}"
        return code


def processes(mark):
    """The processes of a dev server, and their command lines."""
    found = {}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in environ.read_bytes().split(b"\0"):
                command = (environ.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:  # else it is a zombie
                    found[int(environ.parent.name)] = command
        except OSError:
            continue
    return found


def kill(mark):
    """End the processes with a mark; returns those that there were."""
    found = processes(mark)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def request(method, url, body=b"", **headers):
    """An HTTP request, as it is: status, headers, body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def write(folder, name, source):
    """Write a module into a folder, all at once, as editors do."""
    new = folder / f".{name}.new"
    new.write_text(dedent(source), encoding="utf-8")
    new.replace(folder / f"{name}.py")
