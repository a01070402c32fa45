"""``inngest-serverless doctor``: looks for what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from inngest_serverless.cli.checks.app import check_app
from inngest_serverless.cli.checks.deployment import check_deployment
from inngest_serverless.cli.checks.dev_server import check_dev_server
from inngest_serverless.cli.checks.findings import Report, problem
from inngest_serverless.cli.checks.settings import check_settings
from inngest_serverless.cli.errors import FAILED, OK
from inngest_serverless.cli.exchanges import checked_url, http_endpoint, timeout_option
from inngest_serverless.cli.output import console, counted, json_option, print_json, progress
from inngest_serverless.cli.targets import ask, target_argument
from inngest_serverless.errors import InngestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from inngest_serverless.cli.checks.findings import Finding

__all__ = ["command"]

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}
_INDENT = 10
_DEV_SERVER_SECONDS = 5.0


@click.command("doctor", short_help="Look for what is wrong with the settings, an app, or its deployment.")
@target_argument(required=False)
@click.option("--url", metavar="URL", help="The URL of a deployed app, to look at from outside.")
@timeout_option
@json_option
def command(target: str | None, url: str | None, timeout: float, as_json: bool) -> int:
    """Look for what is wrong: with the settings here, with the app in TARGET, with the app that is deployed at --url.

    The deployed app is asked what Inngest would ask it, signed with INNGEST_SIGNING_KEY where that is set: its
    introspection, and probes that verify the signatures of bodies of several kinds and sizes. Nothing is registered and
    no function is run.

    Secrets are shown as hashes only. The exit code is 1 if there is a problem.
    """
    address = checked_url(url) if url else None
    # Loading a target changes the environment.
    environ = dict(os.environ)
    reports = {"settings": check_settings(environ)}
    with progress("looking at the settings"), http_endpoint(_DEV_SERVER_SECONDS) as endpoint:
        reports["settings"].findings.extend(check_dev_server(environ, endpoint))
    if target is not None:
        with progress(f"loading {target}"):
            reports["target"] = _check_target(target)
    if address is not None:
        with progress(f"asking {address}"), http_endpoint(timeout) as endpoint:
            reports["deployment"] = check_deployment(address, endpoint, environ, reports.get("target"))
    reports = {name: report.without_passwords() for name, report in reports.items()}
    findings = [finding for report in reports.values() for finding in report.findings]
    is_ok = not any(finding.level == "problem" for finding in findings)
    if as_json:
        print_json(_document(reports, findings, is_ok=is_ok))
    else:
        _print(console(), reports, findings)
    return OK if is_ok else FAILED


def _check_target(target: str) -> Report:
    try:
        return check_app(target, ask(target, Path.cwd(), os.environ))
    except InngestError as error:
        why = "the handler fails in the same way where it is deployed, or needs settings that are not here"
        return Report({"target": target}, [problem("app", str(error), why, "mend what it says")])


def _document(reports: Mapping[str, Report], findings: list[Finding], *, is_ok: bool) -> dict[str, Any]:
    facts = {name: reports[name].facts if name in reports else None for name in ("settings", "target", "deployment")}
    return {"ok": is_ok, **facts, "findings": [finding.to_json() for finding in findings]}


def _print(out: Console, reports: Mapping[str, Report], findings: list[Finding]) -> None:
    for name, report in reports.items():
        out.print(Text(name, "bold"))
        _print_facts(out, report.facts)
        out.print()
    out.print(Text("findings", "bold"))
    for finding in findings:
        head = Text(f"  {finding.level:<{_INDENT - 2}}", _STYLES[finding.level])
        out.print(head.append(f"{finding.what} [{finding.check}]", "default"))
        for label, text in (("why", finding.why), ("do", finding.do)):
            if text:
                out.print(f"{' ' * _INDENT}{label + ':':<5}{text}")
    levels = [finding.level for finding in findings]
    out.print()
    out.print(f"{counted(levels.count('problem'), 'problem')}, {counted(levels.count('warning'), 'warning')}")


def _print_facts(out: Console, facts: Mapping[str, Any]) -> None:
    lines = {name: value for name, value in facts.items() if value is not None}
    lines |= lines.pop("variables", {})
    width = max(map(len, lines), default=0) + 2
    for name, value in lines.items():
        out.print(f"  {name:<{width}}{', '.join(value) if isinstance(value, list) else value}")
