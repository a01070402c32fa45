"""scripts/deploy_gcp, with a gcloud that only writes down what it is asked, and an app that answers for the function."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "deploy_gcp"
REGION = "--region=europe-west1"
STATES = "--format=value(state,serviceConfig.uri,serviceConfig.service)"
REVISIONS = "--format=value(status.latestCreatedRevisionName,status.latestReadyRevisionName)"
# Answers each kind of question with the next line of its file, and with the last one from then on.
GCLOUD = """
    #!/bin/sh
    folder="$(dirname "$0")"
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


class App:
    """What the function would answer: an HTTP server that says what it is told."""

    def __init__(self):
        self.requests = []
        self.gets = [(200, {"X-Inngest-SDK": "inngest-serverless:v1"}, {"mode": "cloud"})]
        self.put = (200, {"X-Inngest-SDK": "inngest-serverless:v1"}, SYNCED)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler_class(app):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                app.requests.append(f"{self.command} {self.path}")
                if self.command == "PUT":
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
        source = ["--source", str(self.folder / "source"), "--function-source", "main.py"]
        return self("orders", REGION, *source, "--wait", "20", *arguments)


@pytest.fixture
def app():
    with App() as running:
        yield running


@pytest.fixture
def desk(tmp_path, app):
    return Desk(tmp_path, app)


def test_deploys_waits_and_syncs(desk, app):
    ran = desk.deploy()
    assert (ran.stdout, ran.stderr, ran.returncode) == (f"deploy_gcp: {app.url}/api/inngest: synced\n", "", 0)
    assert desk.calls == [
        [
            *("functions", "deploy", "orders", "--gen2", REGION, "--runtime=python312"),
            *(f"--source={desk.folder}/source", "--set-build-env-vars=GOOGLE_FUNCTION_SOURCE=main.py"),
            *("--entry-point=handler", "--trigger-http", "--allow-unauthenticated"),
            "--set-secrets=INNGEST_SIGNING_KEY=inngest-signing-key:latest,INNGEST_EVENT_KEY=inngest-event-key:latest",
            *("--set-env-vars=^|^THREADS=20", "--concurrency=20", "--timeout=300s", "--max-instances=10"),
            *("--memory=512Mi", "--cpu=1", "--serve-all-traffic-latest-revision", "--quiet"),
        ],
        ["functions", "describe", "orders", "--gen2", REGION, STATES],
        ["run", "services", "describe", "orders", REGION, REVISIONS],
    ]
    assert app.requests == ["GET /api/inngest", "PUT /api/inngest"]


def test_every_option(desk, app):
    ran = desk.deploy(
        *("--project", "shop", "--service-account=inngest@shop.iam.gserviceaccount.com", "--entry-point", "served"),
        *("--runtime", "python313", "--signing-key-secret", "sk", "--event-key-secret", "ek"),
        *("--signing-key-fallback-secret", "old", "--concurrency", "40", "--timeout", "60s", "--max-instances", "3"),
        *("--memory", "1Gi", "--cpu", "2", "--env", "GREETING=hello, world", "--env", "INNGEST_ENV=branch", "--asgi"),
        *("--path", "/durable"),
    )
    assert ran.returncode == 0, ran.stderr
    deploy, *others = desk.calls
    assert {
        *("--project=shop", "--service-account=inngest@shop.iam.gserviceaccount.com", "--entry-point=served"),
        *("--runtime=python313", "--concurrency=40", "--timeout=60s", "--max-instances=3", "--memory=1Gi", "--cpu=2"),
        "--set-secrets=INNGEST_SIGNING_KEY=sk:latest,INNGEST_EVENT_KEY=ek:latest,INNGEST_SIGNING_KEY_FALLBACK=old:latest",
        "--set-env-vars=^|^THREADS=40|FUNCTION_USE_ASGI=true|GREETING=hello, world|INNGEST_ENV=branch",
    } <= set(deploy)
    assert all("--project=shop" in call for call in others)
    assert app.requests == ["GET /durable", "PUT /durable"]


def test_no_sync(desk, app):
    assert desk.deploy("--no-sync").returncode == 0
    assert [call[1] for call in desk.calls] == ["deploy"]
    assert app.requests == []


# Until the new revision serves.


def test_waits_for_the_function_and_for_its_newest_revision(desk, app):
    desk.functions("DEPLOYING", "DEPLOYING", "ACTIVE")
    desk.revisions("orders-00003-abc\torders-00002-abc", "orders-00003-abc\t", "orders-00003-abc\torders-00003-abc")
    assert desk.deploy().returncode == 0
    assert len(desk.calls) == 1 + 5 + 3
    assert app.requests == ["GET /api/inngest", "PUT /api/inngest"]


def test_waits_for_the_app_to_answer(desk, app):
    app.gets[:0] = [(404, {}, b"<html>"), (503, {}, b""), (200, {}, b"the app before")]
    assert desk.deploy().returncode == 0
    assert app.requests == ["GET /api/inngest"] * 4 + ["PUT /api/inngest"]


def test_a_function_that_does_not_become_active(desk, app):
    desk.functions("FAILED")
    ran = desk.deploy("--wait", "0")
    assert ran.returncode == 1
    assert "after 0 s the new revision does not serve (FAILED)" in ran.stderr
    assert app.requests == []


def test_a_revision_that_does_not_become_ready(desk, app):
    desk.revisions("orders-00003-abc\torders-00002-abc")
    ran = desk.deploy("--wait", "0")
    assert ran.returncode == 1
    assert "does not serve (ACTIVE)" in ran.stderr
    assert app.requests == []


def test_a_deployment_that_fails(desk, app):
    desk.deploy_status(7)
    assert desk.deploy().returncode == 7
    assert len(desk.calls) == 1
    assert app.requests == []


# What the app answers.


def test_inngest_refuses_the_app(desk, app):
    app.put = (500, {}, {"message": "the app has no functions", "modified": False})
    ran = desk.deploy()
    assert (ran.returncode, ran.stderr) == (1, "deploy_gcp: the app was not synced: the app has no functions\n")


@pytest.mark.parametrize("document", [b"<html>", b"[]", b"{}"])
def test_a_reply_without_a_message(document, desk, app):
    app.put = (502, {}, document)
    ran = desk.deploy()
    assert (ran.returncode, ran.stderr) == (1, "deploy_gcp: the app was not synced: HTTP status 502\n")


def test_nobody_may_call_the_function(desk, app):
    app.gets = [(403, {}, b"<html>")]
    ran = desk.deploy("--wait", "0")
    assert ran.returncode == 1
    assert "HTTP status 403: may everybody call it (--allow-unauthenticated)?" in ran.stderr


def test_an_app_that_is_set_up_wrongly(desk, app):
    app.gets = [(500, {"X-Inngest-SDK": "inngest-serverless:v1"}, {"message": "the key is not hexadecimal"})]
    ran = desk.deploy("--wait", "0")
    assert ran.returncode == 1
    assert "HTTP status 500: the key is not hexadecimal" in ran.stderr


def test_an_app_that_is_not_there(desk, app):
    app.__exit__()
    ran = desk.deploy("--wait", "0")
    assert ran.returncode == 1
    assert f"{app.url}/api/inngest does not serve the app: no reply" in ran.stderr


# Without deploying.


def test_a_dry_run_prints_each_command_and_runs_none(desk, app):
    ran = desk.deploy("--dry-run", "--project", "shop", "--env", 'GREETING=it\'s, "hello" $HOME')
    assert (ran.returncode, ran.stderr) == (0, "")
    commands = [shlex.split(line) for line in ran.stdout.splitlines()]
    assert [" ".join(command[:3]) for command in commands[:3]] == [
        "gcloud functions deploy",
        "gcloud functions describe",
        "gcloud run services",
    ]
    assert commands[0].count('--set-env-vars=^|^THREADS=20|GREETING=it\'s, "hello" $HOME') == 1
    assert commands[3][1:] == [f"{ROOT}/scripts/deploy_gcp_sync.py", "https://URL-OF-THE-FUNCTION/api/inngest", "20"]
    assert desk.calls == app.requests == []


def test_a_dry_run_prints_what_a_deployment_runs(desk):
    printed = [shlex.split(line)[1:] for line in desk.deploy("--dry-run").stdout.splitlines()]
    desk.deploy()
    assert printed[:3] == desk.calls


def test_without_a_source_this_checkout_is_staged(desk):
    lines = desk("orders", REGION, "--dry-run", "--no-sync").stdout.splitlines()
    commands = [shlex.split(line) for line in lines]
    assert [command[0] for command in commands] == ["rm", "mkdir", "cp", "cp", "find", "gcloud"]
    stage = f"{ROOT}/build/gcp"
    assert commands[0] == ["rm", "-rf", stage]
    assert commands[2] == ["cp", "-R", f"{ROOT}/handlers", f"{ROOT}/templates/gcp/requirements.txt", stage]
    assert commands[3] == ["cp", "-R", f"{ROOT}/inngest_serverless", f"{stage}/handlers"]
    assert f"--source={stage}" in commands[-1]
    assert "--set-build-env-vars=GOOGLE_FUNCTION_SOURCE=handlers/gcp_http.py" in commands[-1]


def test_over_asgi_it_is_the_other_entrypoint(desk):
    deploy = shlex.split(desk("orders", REGION, "--asgi", "--dry-run").stdout.splitlines()[5])
    assert "--set-build-env-vars=GOOGLE_FUNCTION_SOURCE=handlers/gcp_http_async.py" in deploy
    assert (ROOT / "handlers" / "gcp_http_async.py").is_file()


def test_the_requirements_are_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "templates" / "gcp" / "requirements.txt").read_text().splitlines()
    wanted = [*project["dependencies"], *project["optional-dependencies"]["gcp"]]
    assert [line for line in lines if not line.startswith("#")] == wanted


# How it is called.


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option, desk):
    ran = desk(option)
    assert ran.returncode == 0
    assert ran.stdout.startswith("usage: scripts/deploy_gcp NAME --region REGION")
    assert "the signature of each request" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which function"),
        (["orders"], "--region is missing"),
        (["orders", "other", REGION], "one name, please"),
        (["orders", REGION, "--what", "x"], "unknown option --what"),
        (["orders", "--region"], "--region needs a value"),
        (["orders", REGION, "--concurrency", "many"], "--concurrency must be a number"),
        (["orders", REGION, "--wait", "soon"], "--wait must be a number"),
        (["orders", REGION, "--path", "api"], "--path must begin with a slash"),
        (["orders", REGION, "--env", "GREETING"], "--env takes NAME=VALUE"),
        (["orders", REGION, "--env", "A=1|2"], "--env cannot hold"),
        (["orders", REGION, "--env", "INNGEST_SIGNING_KEY=signkey-x"], "belongs into a secret"),
        (["orders", REGION, "--env", "INNGEST_EVENT_KEY=x"], "belongs into a secret"),
    ],
)
def test_wrong_arguments(arguments, message, desk):
    ran = desk(*arguments)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "signkey-x" not in ran.stderr
    assert desk.calls == []


@pytest.mark.parametrize("missing", ["main.py", "requirements.txt"])
def test_a_source_without_what_it_needs(missing, desk):
    (desk.folder / "source" / missing).unlink()
    ran = desk.deploy()
    assert (ran.returncode, ran.stderr) == (1, f"deploy_gcp: {desk.folder}/source has no {missing}\n")
    assert desk.calls == []


# The Terraform example.


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_terraform_example_is_well_formed():
    """Its syntax and format; what its arguments are called only Google's provider knows."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = ["terraform", "fmt", "-check", "-diff", "templates/gcp"]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


def test_the_terraform_example_deploys_what_the_script_deploys(desk):
    text = (ROOT / "templates" / "gcp" / "main.tf").read_text()
    deploy = shlex.split(desk("orders", REGION, "--dry-run", "--no-sync").stdout.splitlines()[-1])
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in deploy if flag.startswith("--") and "=" in flag)
    same = {
        "runtime": flags["runtime"],
        "entry_point": flags["entry-point"],
        "GOOGLE_FUNCTION_SOURCE": flags["set-build-env-vars"].partition("=")[2],
        "available_memory": flags["memory"],
        "available_cpu": flags["cpu"],
    }
    for name, value in same.items():
        assert re.search(rf'\b{name}\s+= "{re.escape(value)}"\n', text), name
    for name, value in {"max_instance_count": flags["max-instances"], "default": flags["concurrency"]}.items():
        assert re.search(rf"\b{name}\s+= {value}\n", text), name
    assert re.search(rf"\btimeout_seconds\s+= {flags['timeout'].removesuffix('s')}\n", text)
    for pair in flags["set-secrets"].split(","):
        variable, _, secret = pair.removesuffix(":latest").partition("=")
        assert re.search(rf'\b{variable}\s+= "{secret}"\n', text), variable
