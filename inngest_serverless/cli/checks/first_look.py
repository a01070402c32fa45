"""The first look at a deployed app: is it there, what is it, and what time is it there?

Source: docs/protocol.md, sections 1 and 8.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inngest_serverless.cli.checks.findings import Finding, note, ok, problem, warning
from inngest_serverless.cli.checks.strangers import stranger
from inngest_serverless.cli.output import counted
from inngest_serverless.protocol import headers as names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.cli.checks.visits import Visit, Visitor
    from inngest_serverless.cli.exchanges import UnreachableError

__all__ = ["CLOCK_SECONDS", "app_findings", "clock_findings", "missing_app", "unreachable"]

# A signature is good for five minutes (docs/protocol.md, section 6); what comes near that is told.
CLOCK_SECONDS = 60
_OWN_SDK = "inngest-serverless:"
_OK, _NOT_FOUND = 200, 404

_UNREACHABLE = {
    "dns": ("the host's name is wrong, or not in the DNS (yet)", "check the URL: the deployment prints it"),
    "tls": (
        "Inngest calls nobody whose certificate it cannot trust",
        "give the host a certificate of its own name, by an authority that everybody trusts, with the whole chain",
    ),
    "timeout": (
        "the app hangs, or a network does not let the request in and says nothing; Inngest would wait in vain too",
        "read the app's log: without the request in it, look at the network; else at what the app waits for",
    ),
    "connection": (
        "nobody listens there, or a network does not let the request in",
        "check the host, the port and http or https",
    ),
}


def unreachable(error: UnreachableError) -> Finding:
    """What it means that there is no reply."""
    why, do = _UNREACHABLE[error.reason]
    return problem(error.reason, f"{error.method} {error.url} gets no reply: {error.detail}", why, do)


def missing_app(visit: Visit, visitor: Visitor) -> Finding | None:
    """Why nothing more can be asked after the first reply, or None if it is an app's."""
    if not visit.is_from_sdk:
        return stranger(visit, visitor.url, "GET")
    status, said = visit.reply.status, visit.document.get("message")
    if status == _OK:
        return None
    if status == _NOT_FOUND:
        return problem(
            "path",
            f"the app does not serve {visitor.url}",
            f"it is there, but serves another path ({said})",
            "use the path in INNGEST_SERVE_PATH, or in the handler's options serve_path and url",
        )
    return problem(
        "app",
        f"the app is there, but answers with HTTP status {status}{f': {said}' if said else ''}",
        "Inngest would get the same answer",
        "mend what it says, and deploy again",
    )


def app_findings(visit: Visit, visitor: Visitor) -> Iterator[Finding]:
    """What the unsigned introspection tells."""
    document, sdk = visit.document, visit.reply.headers[names.SDK]
    count = counted(document.get("function_count"), "function")
    yield ok("reachable", f"an app answers, with {count} ({sdk}, {visit.seconds:.1f} s)")
    if not sdk.startswith(_OWN_SDK):
        yield note("sdk", f"it is served by another SDK, {sdk}", "not everything can be checked that this one has")
    yield from _safety(document, visitor)
    yield from _limits(visit, visitor)


def _safety(document: dict[str, Any], visitor: Visitor) -> Iterator[Finding]:
    local = _is_local(visitor.host)
    if not local and urlsplit(visitor.url).scheme == "http":
        yield warning(
            "https",
            f"{visitor.url} is not https",
            "everybody on the way can read the data of events and steps",
            "register the https URL",
        )
    if document.get("mode") == "dev" and not local:
        yield problem(
            "dev-mode",
            "the app is in dev mode, in the open",
            "it asks for no signature: everybody can have it run functions with data of theirs",
            "unset INNGEST_DEV where it is deployed, and set INNGEST_SIGNING_KEY",
        )
    if document.get("mode") == "dev" and local:
        yield note("dev-mode", "the app is in dev mode, on this machine")
    if document.get("mode") == "cloud" and document.get("has_signing_key") is False:
        yield problem(
            "no-signing-key",
            "the app has no signing key, in cloud mode",
            "it refuses every call of Inngest's",
            "set INNGEST_SIGNING_KEY where it is deployed",
        )


def clock_findings(visit: Visit) -> Iterator[Finding]:
    """Whether it is about the same time there as here."""
    skew = visit.skew
    if skew is None or abs(skew) < CLOCK_SECONDS:
        return
    yield warning(
        "clock",
        f"the clock there is {_duration(skew)} this machine's, by the Date header of the reply",
        "signatures are good for five minutes: whichever clock is wrong, what it signs or checks fails by then",
        "set this machine's clock by a time server; Lambda's and Google's are right, a container's of yours may not be",
    )


def _duration(skew: float) -> str:
    return f"{abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'}"


def _limits(visit: Visit, visitor: Visitor) -> Iterator[Finding]:
    """The time that a trigger gives a call, where it is less than what a function may ask for."""
    headers = visit.reply.headers
    if "x-amz-apigw-id" in headers:
        yield _limit("a REST API of API Gateway", "29 seconds, unless its integration timeout was raised")
    elif "apigw-requestid" in headers:
        yield _limit("an HTTP API of API Gateway", "30 seconds")
    elif ".lambda-url." in visitor.host:
        yield _limit(
            "a Lambda function URL", "as long as the function's timeout allows: 3 seconds, unless it was raised"
        )
    elif visitor.host.endswith((".run.app", ".cloudfunctions.net")):
        yield _limit("Cloud Run", "as long as the service's timeout allows: 300 seconds, unless it was changed")


def _limit(trigger: str, time: str) -> Finding:
    return note(
        "time-limit",
        f"it is called through {trigger}: a call may take {time}",
        "a step that takes longer fails and is tried again",
        "set the timeouts for the longest step; Inngest itself waits for two hours",
    )


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
