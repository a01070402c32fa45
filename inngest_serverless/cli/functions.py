"""``inngest-serverless functions``: what an app registers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from inngest_serverless.cli.checks.registration import check_registration
from inngest_serverless.cli.output import console, counted, json_option, print_json, print_table, progress
from inngest_serverless.cli.targets import ask, target_argument

__all__ = ["command", "describe"]

_PLAIN_KEYS = {"id", "name", "triggers", "steps"}


@click.command("functions", short_help="List what an app registers.")
@target_argument()
@json_option
def command(target: str, as_json: bool) -> int:
    """List what an app registers: its functions, their triggers, retries and flow control.

    TARGET is a handler, a function or a list of functions: module:attribute, or module.attribute as in Lambda's
    setting, found from the current folder. A module alone means the handler in it, or all its functions.

    Nothing is sent to Inngest. The module is imported, with the environment as it is.
    """
    with progress(f"loading {target}"):
        answer = ask(target, Path.cwd(), os.environ)
    document = {
        "target": target,
        "kind": answer.kind,
        "app_id": answer.registration["app_id"],
        "framework": answer.registration["framework"],
        "serve_url": answer.serve_url,
        "functions": [describe(function, answer.serve_url) for function in answer.registration["functions"]],
    }
    if as_json:
        print_json(document)
    else:
        _print(document)
        _print_faults(answer.registration["functions"])
    return 0


def describe(function: dict[str, Any], serve_url: str | None) -> dict[str, Any]:
    """A function's registration, in the form of the ``--json`` output.

    Args:
        function: It, in the wire's form.
        serve_url: The app's public URL, or None if nobody knows it yet.
    """
    step = function["steps"]["step"]
    return {
        "id": function["id"],
        "name": function["name"],
        "triggers": function["triggers"],
        "retries": step["retries"]["attempts"],
        "flow_control": {key: value for key, value in function.items() if key not in _PLAIN_KEYS},
        "url": step["runtime"]["url"] if serve_url else None,
    }


def _print(document: dict[str, Any]) -> None:
    out = console()
    table = Table("ID", "triggers", "retries", "flow control", box=None, pad_edge=False, header_style="bold")
    for function in document["functions"]:
        triggers = "\n".join(_trigger_text(trigger) for trigger in function["triggers"])
        flow_control = "\n".join(f"{key}: {_short(value)}" for key, value in function["flow_control"].items())
        table.add_row(function["id"], triggers, str(function["retries"]), flow_control or "-")
    print_table(out, table)
    url = document["serve_url"] or "the address that each request names (set INNGEST_SERVE_ORIGIN to fix it)"
    functions = counted(len(document["functions"]), "function")
    out.print(f"\napp {document['app_id']}, {document['framework']}, {functions}")
    out.print(f"served at {url}")


def _print_faults(functions: list[dict[str, Any]]) -> None:
    """What a sync would be refused for: no fault of the list, but whoever reads it wants to know."""
    for finding in check_registration(functions):
        if finding.level == "problem":
            console().print(f"note: this cannot be synced: {finding.what}")


def _trigger_text(trigger: dict[str, Any]) -> str:
    name = trigger.get("event") or f"cron {trigger.get('cron')}"
    return f"{name} if {trigger['expression']}" if trigger.get("expression") else name


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return "; ".join(map(_short, value)) if isinstance(value, list) else str(value)
