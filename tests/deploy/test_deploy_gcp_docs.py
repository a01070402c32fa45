"""docs/deploy-gcp.md: its Python runs, and its commands have no option that is not there."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from cloudevents.http import CloudEvent
from staging import ROOT

from inngest_serverless.local.engine import Engine

PAGE = (ROOT / "docs" / "deploy-gcp.md").read_text(encoding="utf-8")
# What gcloud's reference names as flags of these commands, as far as they are for 2nd gen functions.
GCLOUD = {
    "functions deploy": (
        "--region --allow-unauthenticated --concurrency --entry-point --gen2 --retry --runtime --source --timeout --cpu "
        "--serve-all-traffic-latest-revision --service-account --trigger-topic --trigger-bucket --trigger-event-filters "
        "--trigger-http --trigger-location --trigger-service-account --build-service-account --set-build-env-vars "
        "--set-env-vars --set-secrets --max-instances --min-instances --memory --ingress-settings"
    ),
    "functions describe": "--region --gen2",
    "functions delete": "--region --gen2",
    "functions logs": "--region --gen2 --limit --min-log-level",
    "functions add-invoker-policy-binding": "--region --gen2 --member",
    "run services": "--region",
    "secrets create": "--data-file --replication-policy --locations",
    "secrets versions": "--data-file",
    "secrets add-iam-policy-binding": "--member --role",
    "projects add-iam-policy-binding": "--member --role --condition",
    "projects describe": "",
    "iam service-accounts": "",
    "services enable": "",
    "config get-value": "",
}
EVERYWHERE = {"--project", "--format", "--quiet"}


def blocks(language):
    return [
        re.sub(r"(?m)^ {2}", "", block) if indent else block
        for indent, block in re.findall(rf"(?ms)^( *)```{language}\n(.*?)^ *```", PAGE)
    ]


def commands():
    """The commands on the page, each in one line, and those in its text."""
    text = "\n".join([*blocks("bash"), *re.findall(r"`(gcloud [^`]+)`", PAGE)])
    return [line.strip() for line in text.replace("\\\n", " ").splitlines()]


def flags(command):
    return set(re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", command))


def script(*options):
    command = [ROOT / "scripts" / "deploy_gcp", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own


@pytest.fixture
def names(monkeypatch):
    """What the page's Python defines, block after block."""
    monkeypatch.setenv("INNGEST_DEV", "http://127.0.0.1:9")
    monkeypatch.delenv("K_SERVICE", raising=False)
    defined = {"__name__": "page"}
    handlers = []
    for block in blocks("python"):
        exec(compile(block, "docs/deploy-gcp.md", "exec"), defined)  # noqa: S102 - the page is ours
        handlers.append(defined.get("handler"))
    return {**defined, "handlers": handlers}


def test_the_function_is_served(names):
    from inngest_serverless.local.gcf import flask_endpoint

    http, *_ = names["handlers"]
    engine = Engine(flask_endpoint(http))
    engine.register([function_json(names["ship"])], "shop")
    run = engine.execute({"name": "shop/order.placed", "data": {"order": 17}})
    assert (run.status, run.output) == ("completed", "label-17")


def function_json(function):
    from inngest_serverless.protocol.registration import function_json as registered

    return registered("shop", function.id, "https://orders-abc-ew.a.run.app/", function.options)


def test_the_mapping_makes_an_event(names):
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub", "id": "1"}
    data = {"message": {"data": "eyJvcmRlciI6IDF9", "messageId": "1"}, "subscription": "s"}
    event = names["order_placed"](CloudEvent(attributes, data))
    assert (event.name, event.data) == ("shop/order.placed", {"order": 1})


def test_the_scripts_options_are_there():
    usage = flags(script("--help"))
    assert len(usage) > 15
    lines = [line for line in commands() if line.startswith("scripts/deploy_gcp")]
    assert len(lines) >= 2
    for line in lines:
        assert flags(line.partition("|")[0]) <= usage, line
    table = re.findall(r"`(--[a-z-]+)`", PAGE[PAGE.index("| flag |") : PAGE.index("### Where the platform")])
    assert {"--concurrency", "--cpu", "--memory"} <= set(table) <= usage


def test_the_defaults_in_the_table_are_the_scripts():
    deploy = shlex.split(script("x", "--region=r", "--dry-run", "--no-sync").splitlines()[-1])
    values = dict(word[2:].split("=", 1) for word in deploy if word.startswith("--") and "=" in word)
    for name in ("concurrency", "timeout", "max-instances"):
        assert f"| `--{name}` | {values[name]} |" in PAGE
    assert f"| `--cpu`, `--memory` | {values['cpu']}, {values['memory']} |" in PAGE


def test_gclouds_flags_are_there():
    printed = script("x", "--region=r", "--service-account=s", "--asgi", "--dry-run").splitlines()
    seen = set()
    for command in re.findall(r"gcloud [^|)`\n]+", "\n".join([*commands(), *printed])):
        name = next(name for name in GCLOUD if command.startswith(f"gcloud {name}"))
        seen.add(name)
        assert flags(command) <= {*GCLOUD[name].split(), *EVERYWHERE}, command
    assert seen == GCLOUD.keys(), "these are on the page no more"
