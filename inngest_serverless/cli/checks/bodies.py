"""Do bodies arrive as they were sent? By the probe that verifies a signature and runs nothing.

Source: docs/protocol.md, sections 1, 2 and 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_serverless.cli.checks.findings import Finding, note, ok, problem, warning
from inngest_serverless.cli.checks.first_look import unreachable
from inngest_serverless.cli.checks.strangers import stranger
from inngest_serverless.cli.exchanges import UnreachableError
from inngest_serverless.protocol import headers as names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.cli.checks.visits import Visit, Visitor
    from inngest_serverless.protocol.signing import SigningKey

__all__ = ["body_findings", "put_findings"]

_PROBE = "probe=trust"
_UNAUTHORIZED, _TOO_LARGE = 401, 413
_SUCCESS = range(200, 300)

# In the form that Inngest sends (JCS), with letters as they are.
_PLAIN = b'{"probe":"trust"}'
_LETTERS = '{"probe":"Zoë, 東京, 🚀, <&>"}'.encode()
# Valid JSON that whoever parses it and writes it anew changes.
_OTHER_FORM = b'{ "probe": "tr\\u0075st", "b": 1.0, "a": 10 }\n'
# Firewalls look at 8 or 16 KiB, apps take 1 MiB written anew, Inngest sends up to 4 MiB with a call.
_SIZES = {"20 KiB": 20 << 10, "200 KiB": 200 << 10, "1.5 MiB": 3 << 19, "4 MiB": 4 << 20}


def body_findings(visitor: Visitor, key: SigningKey) -> Iterator[Finding]:
    """Whether signed bodies arrive, whatever they hold.

    Raises:
        UnreachableError: There is no reply to a small one.
    """
    visit = _probe(visitor, key, _PLAIN)
    if (finding := _refusal(visit, visitor)) is not None:
        yield finding
        return
    if not _arrived(_probe(visitor, key, _LETTERS)):
        yield problem(
            "body",
            "bodies with letters beyond ASCII do not arrive as they were sent",
            "a proxy changes the encoding of the body, so that its signature does not fit any more",
            "let bodies through as bytes, without a change of the charset",
        )
        return
    if _arrived(_probe(visitor, key, _OTHER_FORM)):
        yield ok("body", "bodies arrive as they were sent")
    else:
        yield warning(
            "body",
            "a proxy writes JSON bodies anew",
            "an app puts up with it as long as it can write the same text as Inngest did, but not over 1 MiB",
            "let bodies through as they are",
        )
    yield from _sizes(visitor, key)


def _probe(visitor: Visitor, key: SigningKey, body: bytes) -> Visit:
    return visitor.ask("POST", query=_PROBE, body=body, key=key)


def _arrived(visit: Visit) -> bool:
    return visit.is_from_sdk and visit.reply.status in _SUCCESS


def _refusal(visit: Visit, visitor: Visitor) -> Finding | None:
    """Why a small body did not arrive although a signature without one did, or None if it arrived."""
    if not visit.is_from_sdk:
        return stranger(visit, visitor.url, "POST")
    if _arrived(visit):
        return None
    if visit.reply.status == _UNAUTHORIZED:
        return problem(
            "body",
            "bodies do not arrive as they were sent: the signature of a request without a body fits, that of one with "
            "a body does not",
            "a proxy or a gateway changes bodies, or drops them",
            "let bodies through as they are: no templates, no transformations, no change of the encoding",
        )
    if visit.document.get("name") == "FunctionNotFound":
        return problem(
            "query",
            "the query of the URL does not arrive",
            "Inngest names the function and the step there, so no call can be answered",
            "let the query string through; CloudFront needs an origin request policy for that",
        )
    return note("body", f"the app has no probe for bodies (HTTP status {visit.reply.status})")


def _sizes(visitor: Visitor, key: SigningKey) -> Iterator[Finding]:
    passed = "less than that"
    for name, size in _SIZES.items():
        body = b'{"probe":"' + b"x" * (size - 12) + b'"}'
        try:
            visit = _probe(visitor, key, body)
        except UnreachableError as error:
            cause = unreachable(error)
        else:
            if _arrived(visit):
                passed = name
                continue
            cause = _size_refusal(visit, visitor)
        yield problem(
            "body-size",
            f"a body of {name} does not arrive ({cause.what}); the largest that did had {passed}",
            f"{cause.why}; Inngest sends up to 4 MiB of events and results with a call",
            cause.do,
        )
        return
    yield ok("body-size", f"bodies of up to {passed} arrive")


def _size_refusal(visit: Visit, visitor: Visitor) -> Finding:
    if not visit.is_from_sdk:
        return stranger(visit, visitor.url, "POST")
    if visit.reply.status == _TOO_LARGE:
        return problem(
            "body-size",
            "the app refuses it",
            "its option max_body_size is less than that",
            "leave max_body_size out, or raise it to 4 MiB or more",
        )
    return problem(
        "body-size",
        f"HTTP status {visit.reply.status}",
        "it is changed on its way: cut off, or written anew, which an app puts up with in small bodies only",
        "let bodies through as they are",
    )


def put_findings(visitor: Visitor) -> Iterator[Finding]:
    """Whether a PUT gets to the app. It is one that the app refuses: without a signature it hands over nothing.

    Raises:
        UnreachableError: There is no reply.
    """
    visit = visitor.ask("PUT", headers={names.SYNC_KIND: "in_band"}, body=b'{"url":""}')
    if not visit.is_from_sdk:
        yield stranger(visit, visitor.url, "PUT")
