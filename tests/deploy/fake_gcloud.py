"""A shell with a gcloud that only writes down what it is asked, and an app that answers for the function."""

from __future__ import annotations

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent

from server_thread import ServerThread
from staging import ROOT

SCRIPT = ROOT / "scripts" / "deploy_gcp"
REGION = "--region=europe-west1"
# Answers each kind of question with the next line of its file, and with the last one from then on. Like the real one, it
# deploys no Python without a main.py and requirements.
GCLOUD = """
    #!/bin/sh
    folder="$(dirname "$0")"
    for argument in "$@"; do
      case "$argument" in --source=*)
        for file in main.py requirements.txt; do
          [ -f "${argument#--source=}/$file" ] || { echo "the source does not have [$file]" >&2; exit 1; }
        done ;;
      esac
    done
    for argument in "$@"; do printf '%s\\0' "$argument"; done >> "$folder/calls"
    printf '\\n' >> "$folder/calls"
    answers="$folder/$1-$2"
    [ "$1" = run ] && answers="$folder/run-services"
    [ "$2" = deploy ] && exit "$(cat "$folder/deploy-status")"
    [ "$2" = describe ] || [ "$1" = run ] || exit 3
    head -n 1 "$answers"
    [ "$(wc -l < "$answers")" -le 1 ] || sed -i 1d "$answers"
"""
SYNCED = {"message": "synced", "modified": True}


class App(ServerThread):
    """What the function would answer: an HTTP server that says what it is told."""

    def __init__(self):
        self.requests = []
        self.signature = None
        self.gets = [(200, {"X-Inngest-SDK": "inngest-serverless:v1"}, {"mode": "cloud"})]
        self.put = (200, {"X-Inngest-SDK": "inngest-serverless:v1"}, SYNCED)
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))

    def _handler_class(app):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                app.requests.append(f"{self.command} {self.path}")
                if self.command == "PUT":
                    app.signature = self.headers["X-Inngest-Signature"]
                    status, headers, document = app.put
                else:
                    status, headers, document = app.gets.pop(0) if len(app.gets) > 1 else app.gets[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(document if isinstance(document, bytes) else json.dumps(document).encode())

            do_GET = do_PUT = _answer  # noqa: N815 - the names that http.server asks for

            def log_message(self, *_):
                pass

        return Handler


class Desk:
    """A shell with that gcloud, and a source folder."""

    def __init__(self, folder, app):
        self.folder = folder
        self.app = app
        (folder / "gcloud").write_text(dedent(GCLOUD).lstrip())
        (folder / "gcloud").chmod(0o755)
        (folder / "source").mkdir()
        for file in ("main.py", "requirements.txt"):
            (folder / "source" / file).touch()
        self.functions("ACTIVE")
        self.revisions("orders-00002-abc\torders-00002-abc")
        self.deploy_status(0)

    def functions(self, *states):
        service = "projects/shop/locations/europe-west1/services/orders"
        self._write("functions-describe", [f"{state}\t{self.app.url}\t{service}" for state in states])

    def revisions(self, *lines):
        self._write("run-services", lines)

    def deploy_status(self, status):
        self._write("deploy-status", [str(status)])

    def _write(self, name, lines):
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    @property
    def calls(self):
        path = self.folder / "calls"
        return [line.split("\0")[:-1] for line in path.read_text().splitlines()] if path.exists() else []

    def __call__(self, *arguments):
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        env |= {"PATH": f"{self.folder}:{env['PATH']}", "DEPLOY_POLL_SECONDS": "0.01"}
        return subprocess.run(  # noqa: S603 - our own script
            [SCRIPT, *arguments], capture_output=True, text=True, env=env, timeout=60, check=False
        )

    def deploy(self, *arguments):
        source = ["--source", str(self.folder / "source")]
        return self("orders", REGION, *source, "--wait", "20", *arguments)
