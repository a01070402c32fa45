"""An app that is deployed, seen from outside, as Inngest sees it. Nothing is changed by it, nothing is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.cli.checks.bodies import body_findings, put_findings
from inngest_serverless.cli.checks.findings import Finding, Report, note, warning
from inngest_serverless.cli.checks.first_look import app_findings, clock_findings, missing_app, unreachable
from inngest_serverless.cli.checks.signed import find_key, introspection_findings
from inngest_serverless.cli.checks.visits import Visitor
from inngest_serverless.cli.exchanges import UnreachableError
from inngest_serverless.cli.output import counted
from inngest_serverless.config import Settings
from inngest_serverless.protocol import headers as names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inngest_serverless.cli.checks.visits import Visit
    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["check_deployment"]

_FACTS = ("mode", "app_id", "env", "framework", "sdk_language", "sdk_version", "api_origin", "function_count")
_OWN_SDK = "inngest-serverless:"


def check_deployment(url: str, endpoint: Endpoint, environ: Mapping[str, str], local: Report | None = None) -> Report:
    """Look at a deployed app.

    Args:
        url: Its URL.
        endpoint: Sends requests to it, and raises ``UnreachableError`` where there is no reply.
        environ: The environment: with the keys in it, requests are signed.
        local: What was found about the same app on this machine, to be compared with, or None.

    Returns:
        As facts: ``url``, and of what the app tells ``sdk``, ``mode``, ``function_count``; if it accepts our key also
        ``app_id``, ``env``, ``framework``, ``sdk_language``, ``sdk_version``, ``api_origin`` and ``serve_url``, where
        Inngest will call it.
    """
    report = Report({"url": url})
    try:
        report.findings.extend(_look(Visitor(endpoint, url), environ, report.facts))
    except UnreachableError as error:
        report.findings.append(unreachable(error))
    if local is not None and "functions" in local.facts:
        report.findings.extend(_differences(report.facts, local.facts))
    return report


def _look(visitor: Visitor, environ: Mapping[str, str], facts: dict[str, Any]) -> Iterator[Finding]:
    first = visitor.ask("GET")
    if (missing := missing_app(first, visitor)) is not None:
        yield missing
        return
    facts["sdk"] = first.reply.headers[names.SDK]
    _take_facts(facts, first)
    yield from app_findings(first, visitor)
    if facts["sdk"].startswith(_OWN_SDK):
        # Another SDK might take it for a sync.
        yield from put_findings(visitor)
    settings = Settings.for_client(environ)
    pairs = {"INNGEST_SIGNING_KEY": settings.signing_key, "INNGEST_SIGNING_KEY_FALLBACK": settings.signing_key_fallback}
    keys = {variable: key for variable, key in pairs.items() if key is not None}
    if not keys:
        yield note(
            "signature",
            "nothing was signed: there is no signing key here",
            "whether the app has the right key, and whether bodies arrive as they were sent, is not known",
            "set INNGEST_SIGNING_KEY to the key that the app should have",
        )
        yield from clock_findings(first)
        return
    key, signed, findings = find_key(visitor, keys, first)
    yield from findings
    if not any(finding.check == "clock" for finding in findings):
        yield from clock_findings(first)
    if key is not None and signed is not None:
        _take_facts(facts, signed)
        yield from introspection_findings(signed, key, visitor, environ)
        yield from body_findings(visitor, key)


def _take_facts(facts: dict[str, Any], visit: Visit) -> None:
    document = visit.document
    facts |= {name: document[name] for name in _FACTS if name in document}
    if document.get("serve_origin"):
        facts["serve_url"] = f"{document['serve_origin']}{document.get('serve_path') or ''}"


def _differences(deployed: Mapping[str, Any], local: Mapping[str, Any]) -> Iterator[Finding]:
    app_id = deployed.get("app_id")
    if app_id is not None and app_id != local["app_id"]:
        yield warning(
            "app-id",
            f"app {app_id} is deployed, {local['target']} is app {local['app_id']}",
            "they are two apps to Inngest",
            "check the URL, or the app ID: INNGEST_APP_ID and the name of the cloud function count as well",
        )
    count, ours = deployed.get("function_count"), len(local["functions"])
    if count is not None and count != ours:
        yield warning(
            "functions",
            f"the deployed app has {counted(count, 'function')}, {local['target']} has {ours}",
            "another version is deployed",
            "deploy this one, and sync it",
        )
