"""A deployed app for the command line's tests: an HTTP server around an endpoint, and what may stand before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inngest_serverless import create_function, event_trigger, inngest_gcf
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.local.targets import endpoint_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    Endpoint = Callable[[str, str, Mapping[str, str], bytes], HttpReply]

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("inngest-serverless")
PATH = "/api/inngest"
KEY = "signkey-test-0123456789abcdef0123456789abcdef"
OTHER_KEY = "signkey-test-fedcba9876543210fedcba9876543210"
KEYS = {"INNGEST_SIGNING_KEY": KEY}


@create_function(id="fn", trigger=event_trigger("t/fn"))
def fn(ctx):
    raise AssertionError("no command runs a function of a deployed app")


def app(**options: Any) -> Endpoint:
    """The endpoint of an app in cloud mode."""
    return endpoint_of(inngest_gcf([fn], **{"app_id": "app", "signing_key": KEY, "is_dev": False} | options))


@contextmanager
def served(endpoint: Endpoint, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves an endpoint over HTTP; yields the origin."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            scheme = "https" if tls else "http"
            # A proxy is asked for the whole URL.
            url = self.path if "://" in self.path else f"{scheme}://{self.headers['Host']}{self.path}"
            reply = endpoint(self.command, url, dict(self.headers.items()), body)
            own = {"content-length", "connection", "date"}
            # The Date header is the server's own, unless the endpoint has another.
            self.send_response_only(reply.status)
            self.send_header("date", reply.headers.get("date", self.date_time_string()))
            for name, value in reply.headers.items():
                if name.lower() not in own:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_command(*arguments: str, cwd: Path | str = ROOT, stdin: str = "", **env: str) -> subprocess.CompletedProcess:
    """Runs the real command, with the given settings and no others."""
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    return subprocess.run(  # noqa: S603 - our own command
        [str(COMMAND), *arguments],
        cwd=cwd,
        env={**keep, **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def doctor(url: str, *arguments: str, **env: str) -> tuple[int, dict[str, dict[str, str]], dict[str, Any]]:
    """Asks the doctor about a URL: the exit code, the findings by check, the whole document."""
    ran = run_command("doctor", "--url", url, "--json", *arguments, **env)
    assert ran.stderr == "", ran.stderr
    document = json.loads(ran.stdout)
    worst: dict[str, dict[str, str]] = {}
    order = ["ok", "note", "warning", "problem"]
    for finding in document["findings"]:
        known = worst.get(finding["check"])
        if known is None or order.index(finding["level"]) > order.index(known["level"]):
            worst[finding["check"]] = finding
    return ran.returncode, worst, document


def check(endpoint: Endpoint, *arguments: str, **env: str) -> tuple[int, dict[str, dict[str, str]], dict[str, Any]]:
    """Serves an endpoint, and asks the doctor about it."""
    with served(endpoint) as origin:
        return doctor(origin + PATH, *arguments, **{**KEYS, **env})


def reply(status: int, body: str, **headers: str) -> HttpReply:
    """A reply with header names as keywords: ``content_type="text/html"``."""
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())
