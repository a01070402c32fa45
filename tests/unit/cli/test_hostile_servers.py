"""Servers that mean no good: what they say is shown as text, and ends no command in another way than it should."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from rich.text import Text

from inngest_serverless.cli.group import group
from inngest_serverless.cli.output import console

pytestmark = pytest.mark.usefixtures("resting_collector")

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
# Sets the terminal's title, clears the screen, and goes back to write over what is there.
ORDERS = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\x7fwords"
COMMANDS = [
    ["sync", "--url", "{origin}/api/inngest"],
    ["sync", "--url", "{origin}/api/inngest", "--json"],
    ["sync", "--in-band", "--url", "{origin}/api/inngest"],
    ["doctor", "--url", "{origin}/api/inngest"],
    ["send", "a/b", "--to", "{origin}"],
]


class Server(ThreadingHTTPServer):
    """Answers everything with one status and body."""

    status, body = 200, b""

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    # It leaves connections open, as servers do: a command has to close its own, or Python warns of them.
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(self.server.status)
        self.send_header("X-Inngest-SDK", "other:v1")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST = answer  # noqa: N815 - the base class's names

    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(server, command, monkeypatch):
    monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
    monkeypatch.setattr("inngest_serverless.client.pause", lambda _: None)
    return CliRunner().invoke(group, [word.format(origin=server.origin) for word in command], color=True)


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_server_says_is_text(command, status, server, monkeypatch):
    """A terminal takes some characters for orders: to change its title, or what was printed before."""
    server.status = status
    said = dict.fromkeys(("message", "error", "mode", "name", "sdk_version", "app_id"), ORDERS)
    server.body = json.dumps({**said, "ids": [ORDERS]}).encode()
    result = run(server, command, monkeypatch)
    assert result.output
    assert [char for char in result.output if not (char.isprintable() or char == "\n")] == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reply_without_end_of_depth(command, server, monkeypatch):
    server.body = b"[" * 100_000
    result = run(server, command, monkeypatch)
    assert result.exit_code < 4, result.output
    assert "RecursionError" not in result.output


def test_what_happens_in_runs_is_text(capsys):
    """The names of events and steps, and the messages of errors: anybody may have written into them."""
    out = console()
    out.print(Text.assemble(ORDERS, (ORDERS, "bold")))
    out.print(ORDERS)
    assert "words" in (printed := capsys.readouterr().out)
    assert [char for char in printed if not (char.isprintable() or char == "\n")] == []
