"""What the server makes of a reply. Source: docs/protocol.md, sections 1 and 4."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from inngest_serverless.local.calls import retry_after_ms
from inngest_serverless.local.runs import ReportedStep
from inngest_serverless.protocol import headers as names

if TYPE_CHECKING:
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["CallFailed", "Reported", "Returned", "read_reply"]

_OK, _STEPS, _MULTIPLE_CHOICES = 200, 206, 300
_SHOWN = 200
_MOST_DIGITS = 9  # of a number in a header; Python reads no number of thousands of them


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned.

    Attributes:
        output: Its value.
    """

    output: Any


@dataclass(frozen=True, slots=True)
class Reported:
    """The call reported steps.

    Attributes:
        steps: The steps.
        version: The request version that the app speaks.
        is_final: Whether a step that raised may not be tried again.
        retry_after_ms: How long to wait before that, if the app says so.
        text: The body, for messages.
        replayed: How many results the function has asked for, if it is said to have left some aside.
    """

    steps: tuple[ReportedStep, ...]
    version: int
    is_final: bool
    retry_after_ms: int | None
    text: str
    replayed: int | None = None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The function raised, or the call did not get as far as the function.

    Attributes:
        error: ``{name, message, stack?}``.
        reason: The server's own words for it.
        is_final: Whether the call may not be made again.
        retry_after_ms: How long to wait before that, if the app says so.
    """

    error: dict[str, Any]
    reason: str
    is_final: bool
    retry_after_ms: int | None = None


def read_reply(reply: HttpReply) -> Returned | Reported | CallFailed:
    """What a reply to a call means. One that means nothing is a failure, after which the server calls again."""
    # The header is believed over the status code.
    is_final = reply.headers.get(names.NO_RETRY) == "true"
    delay = retry_after_ms(reply.headers.get(names.RETRY_AFTER))
    if not _OK <= reply.status < _MULTIPLE_CHOICES:
        reason = "NonRetriableError" if is_final else f"invalid status code: {reply.status}"
        return CallFailed(_error(reply), reason, is_final, delay)
    if names.SDK not in reply.headers:
        message = f"the reply (status {reply.status}) did not come from an Inngest SDK: {_shown(reply.body)}"
        return _refused("not_sdk", message)
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return _refused("Error", f"the reply (status {reply.status}) is not JSON: {_shown(reply.body)}")
    if reply.status != _STEPS:
        return Returned(document)
    steps = [_step(item) for item in document] if isinstance(document, list) else [None]
    if None in steps:
        return _refused("Error", f"the reply is not a list of opcodes: {_shown(reply.body)}")
    replayed = _number(reply.headers.get(names.REPLAYED))
    return Reported(
        tuple(step for step in steps if step is not None),
        _number(reply.headers.get(names.REQUEST_VERSION)) or 0,
        is_final,
        delay,
        _shown(reply.body),
        replayed,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and len(text) <= _MOST_DIGITS and text.isdecimal() else None


def _refused(name: str, message: str) -> CallFailed:
    return CallFailed({"name": name, "message": message}, message, is_final=False)


def _error(reply: HttpReply) -> dict[str, Any]:
    """What a failed function says of itself; what anything else says is shown as it is."""
    try:
        document: Any = json.loads(reply.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "message" not in document:
        message = f"the call was answered with status {reply.status}: {_shown(reply.body)}"
        return {"name": "Error", "message": message}
    fields = cast("dict[str, Any]", document)
    error = {"name": str(fields.get("name") or "Error"), "message": str(fields["message"])}
    return error | ({"stack": fields["stack"]} if fields.get("stack") else {})


def _step(item: Any) -> ReportedStep | None:
    """A step, or None if it is no opcode."""
    if not isinstance(item, dict):
        return None
    fields = cast("dict[str, Any]", item)
    key, op, opts, error = (fields.get(name) for name in ("id", "op", "opts", "error"))
    if not (isinstance(key, str) and isinstance(op, str) and isinstance(opts or {}, dict)):
        return None
    # The server refuses a step that raised, and does not say what.
    if op in {"StepError", "StepFailed"} and not isinstance(error, dict):
        return None
    told = error if isinstance(error, dict) else {}
    kept = {name: told[name] for name in ("name", "message", "stack") if told.get(name) is not None}
    name = str(fields.get("name") or "")
    label = str(fields.get("displayName") or name or key)
    return ReportedStep(key, label, op, name, opts or {}, fields.get("data"), kept)


def _shown(body: bytes) -> str:
    text = body.decode(errors="replace")
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
