"""scripts/deploy_gcp, with a gcloud that only writes down what it is asked, and an app that answers for the function."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib

import pytest
from fake_gcloud import REGION, App, Desk
from staging import ROOT, apart

from inngest_serverless import validate_signature
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.functions_framework import FunctionsFramework

KEY = "signkey-test-0123456789abcdef"
STATES = "--format=value(state,serviceConfig.uri,serviceConfig.service)"
REVISIONS = "--format=value(status.latestCreatedRevisionName,status.latestReadyRevisionName)"


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
            f"--source={desk.folder}/source",
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


def test_the_sync_is_signed_where_there_is_a_key(desk, app, monkeypatch):
    """For apps that take no unsigned one."""
    monkeypatch.delenv("INNGEST_SIGNING_KEY", raising=False)
    assert (desk.deploy().returncode, app.signature) == (0, None)
    monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
    assert desk.deploy().returncode == 0
    validate_signature(app.signature, KEY, b"")


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


@pytest.mark.parametrize(("options", "main"), [([], "main.py"), (["--asgi"], "main_async.py")])
def test_without_a_source_this_checkout_is_staged(options, main, desk):
    lines = desk("orders", REGION, *options, "--dry-run", "--no-sync").stdout.splitlines()
    commands = [shlex.split(line) for line in lines]
    templates, stage = f"{ROOT}/templates/gcp", f"{ROOT}/build/gcp"
    assert commands[:-1] == [
        ["rm", "-rf", stage],
        ["mkdir", "-p", stage],
        ["cp", "-R", f"{ROOT}/inngest_serverless", f"{ROOT}/handlers", f"{templates}/requirements.txt", stage],
        ["cp", f"{templates}/{main}", f"{stage}/main.py"],
        ["find", stage, "-name", "__pycache__", "-prune", "-exec", "rm", "-rf", "{}", "+"],
    ]
    assert commands[-1][:3] == ["gcloud", "functions", "deploy"]
    assert f"--source={stage}" in commands[-1]


@pytest.mark.integration
@pytest.mark.parametrize("server", ["gunicorn", "asgi"])
def test_what_is_staged_serves_the_workflow(server, desk, tmp_path_factory):
    """Where nothing of the checkout can be imported, as on the platform."""
    options = ["--asgi"] if server == "asgi" else []
    dry = desk("orders", REGION, *options, "--dry-run", "--no-sync").stdout.splitlines()
    folder = tmp_path_factory.mktemp("workspace")
    for line in dry[:-1]:
        command = shlex.split(line.replace(f"{ROOT}/build/gcp", str(folder)))
        subprocess.run(command, check=True, timeout=60)  # noqa: S603 - the script's own
    assert not list(folder.rglob("__pycache__"))
    program = "import sys, inngest_serverless, handlers; print(inngest_serverless.__file__, handlers.__file__)"
    engine = Engine(lambda *request: running.exchange(*request))  # noqa: PLW0108 - it is started below
    with LocalApi(engine) as api:
        env = {**apart(folder), "INNGEST_DEV": api.origin}
        ran = subprocess.run(  # noqa: S603 - the program above
            [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60
        )
        assert all(file.startswith(f"{folder}/") for file in ran.stdout.split())
        with FunctionsFramework("handler", source=folder / "main.py", server=server, env=env) as running:
            assert running.exchange("PUT", "https://orders-abc-ew.a.run.app/api/inngest", {}, b"").status == 200
            run = engine.execute({"name": "api/account.created", "data": {"account_id": "a", "email": "a@example.com"}})
    assert (run.status, run.output) == ("completed", "done")


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
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"deploy_gcp: {desk.folder}/source has no {missing}")
    assert desk.calls == []
