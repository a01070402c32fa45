"""An app on this machine: what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.cli.checks.findings import Report, note, ok, warning
from inngest_serverless.cli.checks.registration import check_registration
from inngest_serverless.cli.output import counted

if TYPE_CHECKING:
    from inngest_serverless.cli.targets import Answer

__all__ = ["check_app"]

_PARTS = ("app_id", "app_version", "env", "framework")


def check_app(target: str, answer: Answer) -> Report:
    """Look at an app that was loaded from a target.

    Returns:
        As facts: ``target``, ``kind``, ``app_id``, ``app_version``, ``env``, ``framework``, ``mode``, ``api_origin``,
        ``functions`` (composite IDs) and ``serve_url``, the URL that it registers, None if that depends on the request.
    """
    document = answer.registration
    inspection: dict[str, Any] = document["inspection"]
    facts: dict[str, Any] = {"target": target, "kind": answer.kind} | {name: document.get(name) for name in _PARTS}
    facts |= {"mode": inspection["mode"], "api_origin": inspection["api_origin"]}
    functions = [function["id"] for function in document["functions"]]
    facts |= {"functions": functions, "serve_url": answer.serve_url}
    count = counted(len(functions), "function")
    findings = [ok("app", f"{target} loads, and serves {count} as app {facts['app_id']}")]
    findings += check_registration(document["functions"])
    if answer.serve_url is None:
        findings.append(
            note(
                "serve-url",
                "the app takes its public URL from each request",
                "a sync registers the URL that it was asked by",
                "set INNGEST_SERVE_ORIGIN (and INNGEST_SERVE_PATH) if a proxy hides the public URL from the app",
            )
        )
    elif answer.serve_url.startswith("http://") and inspection["mode"] == "cloud":
        findings.append(
            warning(
                "serve-url",
                f"Inngest will call {answer.serve_url}, without TLS",
                "everybody on the way can read the data of events and steps",
                "serve the app over https, and set INNGEST_SERVE_ORIGIN to that",
            )
        )
    else:
        findings.append(ok("serve-url", f"Inngest will call {answer.serve_url}"))
    return Report(facts, findings)
