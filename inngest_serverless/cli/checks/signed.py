"""Signed requests to a deployed app: do it and this machine have the same key, and do bodies arrive as they were sent?

Source: docs/protocol.md, sections 1, 6 and 8.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from httpx import URL

from inngest_serverless.cli.checks.findings import Finding, note, ok, problem, warning
from inngest_serverless.cli.checks.first_look import CLOCK_SECONDS
from inngest_serverless.cli.checks.settings import key_hash
from inngest_serverless.errors import SignatureError
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.signing import verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inngest_serverless.cli.checks.visits import Visit, Visitor
    from inngest_serverless.protocol.signing import SigningKey

__all__ = ["find_key", "introspection_findings"]

_SAME_KEY = "copy the key of this environment from the Inngest dashboard to where the app is deployed, and deploy again"


def find_key(
    visitor: Visitor, keys: Mapping[str, SigningKey], first: Visit
) -> tuple[SigningKey | None, Visit | None, list[Finding]]:
    """Find out which of our keys the app accepts.

    Args:
        visitor: Reaches the app.
        keys: Our keys, by the variables that hold them.
        first: The unsigned introspection.

    Returns:
        The key that it accepts and the introspection that was signed with it, or None twice; and the findings.

    Raises:
        UnreachableError: There is no reply.
    """
    refused: Any = None
    for variable, key in keys.items():
        visit = visitor.ask("GET", key=key)
        refused = visit.document.get("authentication_succeeded")
        if refused is True:
            return key, visit, [ok("signature", f"the app accepts what {variable} signs")]
    if first.document.get("has_signing_key") is False:
        return None, None, [note("signature", "nothing was signed: the app has no signing key")]
    if refused is None:
        return None, None, [_header_lost()]
    skew = first.skew or 0.0
    if abs(skew) >= CLOCK_SECONDS:
        for key in keys.values():
            if visitor.ask("GET", key=key, ahead=skew).document.get("authentication_succeeded") is True:
                return None, None, [_clock_wrong(skew)]
    return None, None, [_other_key(keys)]


def _header_lost() -> Finding:
    return problem(
        "signature-header",
        "the signature does not arrive: the app takes signed requests for unsigned ones",
        "a proxy takes the X-Inngest-Signature header away",
        "let the X-Inngest headers of requests through",
    )


def _clock_wrong(skew: float) -> Finding:
    seconds = f"{abs(skew):.0f} seconds {'ahead' if skew > 0 else 'behind'}"
    return problem(
        "clock",
        f"the key is right, but the app's clock is {seconds}, by this machine's",
        "a signature that is more than five minutes from the app's time is refused: Inngest's are too, if the app's "
        "clock is the one that is wrong",
        "set the clock of this machine, or of the machine that serves the app, by a time server",
    )


def _other_key(keys: Mapping[str, SigningKey]) -> Finding:
    held = ", ".join(f"{variable} (hash {(key_hash(key) or 'malformed')[:12]})" for variable, key in keys.items())
    return problem(
        "signing-key",
        f"the app has another signing key: it does not accept what is signed with {held}",
        "either it has the key of another environment, or this machine has",
        _SAME_KEY,
    )


def introspection_findings(
    visit: Visit, key: SigningKey, visitor: Visitor, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """What the signed introspection tells that does not fit."""
    yield from _reply_signature(visit, key)
    document = visit.document
    ours = key_hash(key)
    if ours is not None and document.get("signing_key_hash") not in {None, ours}:
        yield warning(
            "key-rotation",
            "the app accepts this machine's signing key as its fallback key only",
            "keys are being rotated: the app signs its requests to Inngest with another one",
            "set INNGEST_SIGNING_KEY to the new key here too, once Inngest uses it",
        )
    yield from _address(document, visitor)
    event_key, theirs = environ.get("INNGEST_EVENT_KEY"), document.get("event_key_hash")
    if event_key and theirs and sha256(event_key.encode()).hexdigest() != theirs:
        yield note("event-key", "the app has another event key than this machine", "environments can have several")
    branch = environ.get("INNGEST_ENV") or None
    if branch is not None and document.get("env") != branch:
        yield warning(
            "env",
            f"the app is for environment {document.get('env') or 'of its key'}, this machine for {branch}",
            "INNGEST_ENV differs: what is sent from here does not reach the app",
            "set INNGEST_ENV to the same name in both places",
        )


def _reply_signature(visit: Visit, key: SigningKey) -> Iterator[Finding]:
    reply = visit.reply
    signature = reply.headers.get(names.SIGNATURE)
    if signature is None:
        why = "a proxy takes the X-Inngest-Signature header of replies away"
        yield warning("reply", "the reply is not signed", why, "let the X-Inngest headers of replies through")
        return
    try:
        verify(signature, [key], reply.body, visit.at + (visit.skew or 0.0))
    except SignatureError:
        yield warning(
            "reply",
            "the reply is not what the app signed",
            "a proxy writes replies anew: results of steps may change on the way",
            "let replies through as they are",
        )


def _address(document: Mapping[str, Any], visitor: Visitor) -> Iterator[Finding]:
    origin, path = document.get("serve_origin"), document.get("serve_path")
    if not origin:
        return
    registered = f"{origin}{path or ''}"
    # httpx writes it as it was called: the host in lower case, without the port that goes without saying.
    called = str(URL(visitor.url)).partition("?")[0].partition("#")[0]
    if registered.rstrip("/") == called.rstrip("/"):
        yield ok("serve-url", f"Inngest will call {registered}")
        return
    yield problem(
        "serve-url",
        f"Inngest will call {registered}, not {called}",
        "that is what a sync of the app registers: it does not see the URL that it is called by, or is set to another",
        "set INNGEST_SERVE_ORIGIN (and INNGEST_SERVE_PATH) where it is deployed, if the other one is wrong",
    )
