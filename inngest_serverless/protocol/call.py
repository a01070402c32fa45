"""The call request: parsed and checked once, here; nothing behind it checks again.

Source: docs/protocol.md, section 2.
"""

from __future__ import annotations

import gc
from json import JSONDecoder

from inngest_serverless.errors import CallRequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CallRequest", "is_unfinished", "parse_call", "parse_events", "parse_memos", "read_json"]

_UNTARGETED = "step"
_TEXT = {str}
# From this size on, what is decoded may be many objects.
_LARGE = 256 * 1024
_RUN_ID_MARKS = str.maketrans("", "", "-_")


class CallRequest:
    """One call of the server: run one step of one function.

    Attributes:
        run_id: The run, a ULID.
        attempt: 0 for the first try of this step.
        max_attempts: All tries there are, or None where the server does not say.
        env: The environment's name, "" in dev.
        request_id: The server's ID of this call, or "".
        event: The triggering event, as JSON.
        events: All events of a batch; one otherwise.
        memos: Memos by step hash.
        order: Hashes in the order in which their steps completed.
        target: The hash of the only step to run, or None.
        immediate: Whether a single new step may be run at once.
        traceparent: The header of that name (W3C trace context), or None.
        tracestate: The header of that name, or None.
        use_api: Whether events and memos have to be fetched.
    """

    __slots__ = (
        "attempt",
        "env",
        "event",
        "events",
        "immediate",
        "max_attempts",
        "memos",
        "order",
        "request_id",
        "run_id",
        "target",
        "traceparent",
        "tracestate",
        "use_api",
    )

    attempt: int
    env: str
    event: dict[str, Any]
    events: list[dict[str, Any]]
    immediate: bool
    max_attempts: int | None
    memos: dict[str, Any]
    order: list[str]
    request_id: str
    run_id: str
    target: str | None
    traceparent: str | None
    tracestate: str | None
    use_api: bool


def parse_call(body: str | bytes, step_id: str) -> CallRequest:
    """Read a call request.

    Args:
        body: The body of the POST.
        step_id: The query's ``stepId``: ``"step"``, or the hash of a targeted step.

    Raises:
        CallRequestError: It is not a call request; the message names the field, never a value.
    """
    document = _object(_json(body), "body")
    ctx = _object(document.get("ctx"), "ctx")
    stack = _optional(ctx, "stack", dict, "ctx.stack") or {}
    call = CallRequest()
    call.run_id = _run_id(ctx.get("run_id"))
    call.attempt = _count(ctx.get("attempt", 0), "ctx.attempt")
    call.max_attempts = None if ctx.get("max_attempts") is None else _count(ctx["max_attempts"], "ctx.max_attempts")
    call.env = _optional(ctx, "env", str, "ctx.env") or ""
    call.request_id = _optional(ctx, "request_id", str, "ctx.request_id") or ""
    call.immediate = not _flag(ctx, "disable_immediate_execution", "ctx.disable_immediate_execution")
    call.use_api = _flag(ctx, "use_api", "ctx.use_api") or _flag(document, "use_api", "use_api")
    call.order = _hashes(stack.get("stack"))
    call.traceparent = call.tracestate = None
    call.target = None if step_id in {"", _UNTARGETED} else step_id
    call.event = _event(document.get("event"), "event")
    events = document.get("events")
    # Most runs have one event, which the server sends twice.
    is_one = events is None or events in ([], [call.event])
    call.events = [call.event] if is_one else parse_events(events)
    call.memos = parse_memos(document.get("steps"))
    return call


def parse_events(value: Any) -> list[dict[str, Any]]:
    """Check the events of a call, or of the batch endpoint.

    Raises:
        CallRequestError: They are not a list of events.
    """
    if not isinstance(value, list) or not value:
        raise CallRequestError("events: expected a list of at least one event")
    return [_event(item, "events") for item in value]


def parse_memos(value: Any) -> dict[str, Any]:
    """Check the memos of a call, or of the actions endpoint. A memo's own shape is the business of the step it is for.

    Raises:
        CallRequestError: They are not an object.
    """
    return {} if value is None else _object(value, "steps")


def is_unfinished(memo: Any) -> bool:
    """Whether a memo stands for a step that has not finished: ``{"input": ...}`` and nothing else of it.

    Source: docs/protocol.md, section 2.
    """
    return memo.__class__ is dict and "input" in memo and "data" not in memo and "error" not in memo


def _refuse_constant(_name: str) -> None:
    # NaN and Infinity, which Python reads, are no JSON.
    raise ValueError


_decode = JSONDecoder(parse_constant=_refuse_constant).decode


def read_json(body: str | bytes) -> Any:
    """Decode a body.

    The garbage collector is off meanwhile where that is large: all that is made is kept, and looking through it over
    and over takes up to half of the time (docs/decisions/006). It is the whole process's, so other threads are not
    looked after either for as long.

    Raises:
        ValueError: It is not JSON in UTF-8.
        RecursionError: It is nested too deeply.
    """
    text = body if isinstance(body, str) else body.decode()
    if len(text) < _LARGE or not gc.isenabled():
        return _decode(text)
    gc.disable()
    try:
        return _decode(text)
    finally:
        gc.enable()


def _json(body: str | bytes) -> Any:
    try:
        return read_json(body)
    except RecursionError:
        raise CallRequestError("body: nested too deeply") from None
    except ValueError:
        raise CallRequestError("body: not JSON in UTF-8") from None


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CallRequestError(f"{field}: expected an object")
    return value


def _optional(document: dict[str, Any], key: str, kind: type, field: str) -> Any:
    value = document.get(key)
    if value is not None and not isinstance(value, kind):
        raise CallRequestError(f"{field}: expected {'an object' if kind is dict else 'a string'}")
    return value


def _flag(document: dict[str, Any], key: str, field: str) -> bool:
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise CallRequestError(f"{field}: expected true or false")


def _count(value: Any, field: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise CallRequestError(f"{field}: expected a whole number, 0 or more")


def _run_id(value: Any) -> str:
    # It becomes part of a URL when the state has to be fetched.
    if isinstance(value, str) and value.isascii() and value.translate(_RUN_ID_MARKS).isalnum():
        return value
    raise CallRequestError("ctx.run_id: expected letters, digits, '-' and '_'")


def _hashes(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list) and {*map(type, value)} <= _TEXT:
        return value
    raise CallRequestError("ctx.stack.stack: expected a list of strings")


def _event(value: Any, field: str) -> dict[str, Any]:
    event = _object(value, field)
    if not isinstance(event.get("name"), str):
        raise CallRequestError(f"{field}.name: expected a string")
    for key, kind in (("data", dict), ("user", dict), ("id", str), ("v", str)):
        item = event.get(key)
        if item is not None and not isinstance(item, kind):
            raise CallRequestError(f"{field}.{key}: expected {'an object' if kind is dict else 'a string'}")
    if event.get("ts") is not None:
        _count(event["ts"], f"{field}.ts")
    return event
