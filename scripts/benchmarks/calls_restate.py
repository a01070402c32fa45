"""Restate's service protocol, version 7: framed protobuf messages, in base64 within Lambda's events.

A frame is a header of 8 bytes (type, flags and length of the message, big-endian) and the message. See protocol.proto
and service-invocation-protocol.md in https://github.com/restatedev/service-protocol.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calls import Case

    Fields = dict[int, list[int | bytes]]

__all__ = ["ONE_STEP_A_CALL", "expected", "make_event", "reported"]

ONE_STEP_A_CALL = True

_CONTENT_TYPE = "application/vnd.restate.invocation.v7"
_FRAME = struct.Struct(">HHI")
# Types of messages, and numbers of their fields.
_START, _SUSPENSION, _END, _PROPOSE_RUN_COMPLETION = 0x0, 0x1, 0x3, 0x5
_INPUT, _OUTPUT, _RUN, _RUN_COMPLETION = 0x400, 0x401, 0x411, 0x8011
_START_ID, _START_DEBUG_ID, _START_KNOWN_ENTRIES, _START_RANDOM_SEED = 1, 2, 3, 9
_INPUT_VALUE, _OUTPUT_VALUE, _RUN_COMPLETION_ID, _RUN_NAME = 14, 14, 11, 12
_COMPLETION_ID, _COMPLETION_VALUE, _PROPOSED_ID, _PROPOSED_VALUE = 1, 5, 1, 14
_SUSPENSION_FUTURE, _FUTURE_COMPLETIONS, _FUTURE_NESTED, _VALUE_CONTENT = 4, 1, 4, 1
# How a field is encoded.
_VARINT, _BYTES = 0, 2


def make_event(case: Case, function: str) -> dict[str, Any] | None:
    """A call as Restate's server makes it; None for signed ones: what it signs is a header, not the body.

    Args:
        case: The kind of call.
        function: The handler of the service ``bench``.
    """
    if case.signed:
        return None
    journal = [_frame(_INPUT, _field(_INPUT_VALUE, _value(case.input)))]
    for completion, step in enumerate(case.done, start=1):
        journal += [
            _frame(_RUN, _field(_RUN_COMPLETION_ID, completion), _field(_RUN_NAME, step)),
            _frame(_RUN_COMPLETION, _field(_COMPLETION_ID, completion), _field(_COMPLETION_VALUE, _value(case.memo))),
        ]
    start = _frame(
        _START,
        _field(_START_ID, b"01BENCHRUN"),
        _field(_START_DEBUG_ID, "inv_01BENCHRUN"),
        _field(_START_KNOWN_ENTRIES, len(journal)),
        _field(_START_RANDOM_SEED, 1),
    )
    return {
        "path": f"/invoke/bench/{function}",
        "httpMethod": "POST",
        "headers": {"content-type": _CONTENT_TYPE, "accept": _CONTENT_TYPE},
        "body": base64.b64encode(b"".join([start, *journal])).decode(),
        "isBase64Encoded": True,
    }


def expected(case: Case) -> list[Any]:
    """Status 200, each new step with its result, and that the invocation waits for these to be stored.

    At the end of a run, the handler's result.
    """
    if not case.new_steps:
        return [200, ["output", _field(_VALUE_CONTENT, "0")], ["end"]]
    completions = range(case.memoized + 1, case.memoized + 1 + len(case.new_steps))
    return [
        200,
        *(["run", number, step] for number, step in zip(completions, case.new_steps, strict=True)),
        *(["proposed", number, "0"] for number in completions),
        ["suspended on", *completions],
    ]


def reported(reply: dict[str, Any]) -> list[Any]:
    """The same of a reply. Results are proposed in any order; messages of other types are named by their number."""
    commands: list[list[Any]] = []
    results: list[list[Any]] = []
    for kind, message in _frames(base64.b64decode(reply["body"])):
        fields = _fields(message)
        if kind == _RUN:
            commands.append(["run", fields[_RUN_COMPLETION_ID][0], _text(fields[_RUN_NAME][0])])
        elif kind == _PROPOSE_RUN_COMPLETION:
            results.append(["proposed", fields[_PROPOSED_ID][0], _text(fields.get(_PROPOSED_VALUE, [b""])[0])])
        elif kind == _SUSPENSION:
            results.append(["suspended on", *_awaited(fields[_SUSPENSION_FUTURE][0])])
        elif kind == _OUTPUT:
            commands.append(["output", fields[_OUTPUT_VALUE][0]])
        elif kind == _END:
            results.append(["end"])
        else:
            commands.append([f"message of type {kind:#x}", repr(message[:200])])
    return [reply["statusCode"], *commands, *sorted(results)]


def _awaited(future: int | bytes) -> list[int]:
    """The completions that a tree of futures waits for."""
    fields = _fields(_bytes(future))
    packed = b"".join(map(_bytes, fields.get(_FUTURE_COMPLETIONS, [])))
    nested = [number for child in fields.get(_FUTURE_NESTED, []) for number in _awaited(child)]
    return [*_varints(packed), *nested]


def _value(data: Any) -> bytes:
    return _field(_VALUE_CONTENT, json.dumps(data))


def _frame(kind: int, *fields: bytes) -> bytes:
    message = b"".join(fields)
    return _FRAME.pack(kind, 0, len(message)) + message


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """A number in groups of 7 bits, the lowest first; the high bit tells that another group follows."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups[-1] |= 0x80
        groups.append(number & 0x7F)
    return bytes(groups)


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        if len(data) < _FRAME.size:
            raise ValueError("a frame is cut off")
        kind, _, length = _FRAME.unpack_from(data)
        end = _FRAME.size + length
        yield kind, data[_FRAME.size : end]
        data = data[end:]


def _fields(message: bytes) -> Fields:
    """The fields of a message by number: numbers and bytes are all that these messages have."""
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == _BYTES:
            fields.setdefault(tag >> 3, []).append(message[at : at + value])
            at += value
        else:
            fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varints(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = _read_varint(data, at)
        yield number


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        group = data[at]
        at += 1
        number |= (group & 0x7F) << shift
        shift += 7
        if not group & 0x80:
            return number, at


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError(f"a number where the protocol has bytes: {value}")
