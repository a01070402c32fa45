"""From an outcome to status, headers and body: the only place that does it. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from inngest_serverless.protocol.exchange import Reply
from inngest_serverless.protocol.headers import NO_RETRY, RETRY_AFTER
from inngest_serverless.protocol.opcodes import STEP_FAILED
from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from inngest_serverless.protocol.opcodes import Failure, Opcode

__all__ = ["error_reply", "failed_reply", "json_reply", "returned_reply", "steps_reply", "unauthorized_reply"]

_OK = 200
_STEPS = 206
_FINAL = 400
_UNAUTHORIZED = 401
_RETRIABLE = 500


def returned_reply(output: str) -> Reply:
    """The function returned; ``output`` is JSON text."""
    return Reply(_OK, {}, output)


def steps_reply(opcodes: Sequence[Opcode]) -> Reply:
    """One or more steps are reported."""
    headers: dict[str, str] = {}
    # The retry headers speak for the whole reply, so they are for a step that is reported alone.
    if len(opcodes) == 1 and (failure := opcodes[0].failure) is not None:
        headers = _retry_headers(failure, final=opcodes[0].op == STEP_FAILED)
    return Reply(_STEPS, headers, "[" + ",".join([opcode.encode() for opcode in opcodes]) + "]")


def failed_reply(failure: Failure) -> Reply:
    """The function raised."""
    status = _FINAL if failure.final else _RETRIABLE
    return Reply(status, _retry_headers(failure, final=failure.final), encode(failure.to_json()))


def error_reply(status: int, name: str, message: str, *, retry: bool) -> Reply:
    """The call could not be carried out at all."""
    return Reply(status, {NO_RETRY: _flag(not retry)}, encode({"name": name, "message": message}))


def unauthorized_reply() -> Reply:
    """The request is not signed as it must be: not a word on why. A retry may help: keys are being rotated, say."""
    return json_reply(_UNAUTHORIZED, {"message": "the request is not signed as it must be"}, retry=True)


def json_reply(status: int, value: Any, *, retry: bool | None = None) -> Reply:
    """Any other answer: registration, introspection, ... ``retry`` is for errors."""
    return Reply(status, {} if retry is None else {NO_RETRY: _flag(not retry)}, encode(value))


def _retry_headers(failure: Failure, *, final: bool) -> dict[str, str]:
    headers = {NO_RETRY: _flag(final)}
    if failure.retry_after is not None and not final:
        headers[RETRY_AFTER] = failure.retry_after
    return headers


def _flag(value: bool) -> str:
    return "true" if value else "false"
