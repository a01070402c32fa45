"""docs/dev-server.md says what the command and the limits are."""

from __future__ import annotations

import re
from copy import copy
from pathlib import Path

import click
import pytest

from inngest_serverless.cli.dev import command
from inngest_serverless.local.dev.limits import CLOUD_RUN, LAMBDA
from inngest_serverless.local.gateway import TRIGGERS

PAGE = (Path(__file__).parents[3] / "docs/dev-server.md").read_text(encoding="utf-8")


def table(head):
    """The rows of the table whose head begins so, as lists of cells."""
    _, _, rest = PAGE.partition(f"{head}")
    rows = re.match(r"[^\n]*\n\|[-| ]+\|\n((?:\|.*\n)+)", rest)[1]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows.splitlines()]


def test_every_option_is_on_the_page():
    told = re.findall(r"`?(--?[a-z-]+)", " ".join(row[0] for row in table("| option | default |")))
    there = [name for param in command.params for name in param.opts if name.startswith("-")]
    assert sorted(told) == sorted(there), "the table of options in docs/dev-server.md"


@pytest.mark.parametrize("param", [param for param in command.params if isinstance(param, click.Option)], ids=str)
def test_defaults_and_choices(param):
    [row] = [row for row in table("| option | default |") if param.opts[0] in re.findall(r"--[a-z-]+", row[0])]
    if isinstance(param.type, click.Choice) and param.name != "trigger":
        assert "\\|".join(param.type.choices) in row[0]
    # Of a copy: a command keeps the help option that it is first asked for.
    if default := copy(command).make_context("dev", ["app:handler"]).params[param.name]:
        assert row[1] == f"`{default}`"


def test_every_trigger_is_on_the_page():
    assert [row[0].strip("`") for row in table("| `--trigger` | event |")] == list(TRIGGERS)


def test_the_limits():
    rows = {row[0].strip("`"): row[1:] for row in table("| | largest body |")}
    assert rows.keys() == {*LAMBDA, "Cloud Functions"}
    for name, row in rows.items():
        limits = LAMBDA.get(name, CLOUD_RUN)
        waits = "" if limits.seconds is None else f"{limits.seconds:g} s"
        assert row[0] == f"{limits.body_bytes:,}"
        assert row[1] == (f"{limits.event_bytes:,}" if name in LAMBDA else "")
        assert row[2:4] == [f"{limits.reply_bytes:,}", waits]
        statuses = {refusal: answer.status for refusal, answer in limits.answers.items()}
        assert row[4].startswith(str(statuses["body"]))
        is_other = name in LAMBDA and statuses["event"] != statuses["body"]
        assert (f"event {statuses['event']}" in row[4]) is is_other
        assert row[5].startswith(str(statuses["failed"]))
        assert (f"large reply {statuses['reply']}" in row[5]) is (statuses["reply"] != statuses["failed"])
        assert row[6] == str(statuses["late"])
