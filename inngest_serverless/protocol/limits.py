"""Replies that are large: whether the server and what carries them there take them, and what to send if not.

Loaded with the first large reply. A result that is too large fails its step for good, as every retry would come to it
again. Of steps that do not fit into one reply together, the smallest are reported first: the others are found again.

Source: docs/protocol.md, section 4, and docs/deadlines-and-limits.md.
"""

from __future__ import annotations

from json import loads

from inngest_serverless.protocol.exchange import Reply
from inngest_serverless.protocol.opcodes import AI_GATEWAY, STEP_FAILED, STEP_RUN, Failure, Opcode
from inngest_serverless.protocol.reply import error_reply, failed_reply, steps_reply
from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from inngest_serverless.protocol.exchange import HttpTrigger, Request

__all__ = ["REPLY_BYTES", "STEP_BYTES", "carried", "substitute"]

# What the server takes: as a reply, and of that for one step.
REPLY_BYTES = 8 * 1024 * 1024
STEP_BYTES = 4 * 1024 * 1024

_SERVER = "the Inngest server"
_NAME = "OutputTooLarge"
_OK, _STEPS, _SERVER_ERROR = 200, 206, 500
# Names, colons, quotes, and what a load balancer wants besides: more than there is.
_ENVELOPE_BYTES = 512
_ELSEWHERE = "keep it elsewhere and return a reference to it"
_OFFLOAD = f"{_ELSEWHERE}, as OffloadMiddleware does (docs/middleware.md)"
_SMALLER = "pass a reference to what is large"


def carried(reply: Reply, request: Request) -> Reply | None:
    """A reply as it gets to the server: as it is, or compressed if that is what makes it fit.

    Its signature stays as it is: it covers what the body says, and HTTP clients unpack bodies before anybody looks.

    Args:
        reply: The reply, with all of its headers.
        request: What it answers.

    Returns:
        The reply, or None if it is too large for the server, or for what carries it.
    """
    if _size(reply.body) > REPLY_BYTES or _too_large_for_a_step(reply) is not None:
        return None
    trigger = request.trigger
    if trigger is None or trigger.measure(reply.body) <= _room(reply, trigger):
        return reply
    if not trigger.takes_bytes or not _takes_gzip(request.headers.get("accept-encoding", "")):
        return None
    packed = _packed(reply)
    return packed if trigger.measure(packed.body) <= _room(packed, trigger) else None


def substitute(reply: Reply, request: Request) -> tuple[Reply, str]:
    """What to send instead of a reply that is too large, and a line for the log.

    Args:
        reply: The reply.
        request: What it answers.
    """
    function = f"function {request.query.get('fnId')!r}"
    if reply.status == _STEPS:
        return _fewer(reply, request, function)
    size, limit, whose = _excess(reply.body, reply, request.trigger)
    if reply.status == _OK and request.method == "POST":
        message = f"{function} returned {_told(size, whose, limit)}: {_ELSEWHERE}"
        return failed_reply(Failure(_NAME, message, None, final=True)), message
    message = f"the reply has {_told(size, whose, limit)}"
    return error_reply(_SERVER_ERROR, "ReplyTooLarge", message, retry=False), message


def _fewer(reply: Reply, request: Request, function: str) -> tuple[Reply, str]:
    """One step that cannot be reported, or those of several that can be."""
    opcodes: list[dict[str, Any]] = loads(reply.body)
    trigger = request.trigger
    room = REPLY_BYTES, REPLY_BYTES if trigger is None else _room(reply, trigger)
    sizes: list[tuple[int, int, int]] = []
    for place, opcode in enumerate(opcodes):
        text = encode(opcode)
        # What it takes up of either room, with the comma behind it or the brackets around all of them.
        size, measured = _size(text) + 2, 0 if trigger is None else trigger.measure(text) + 2
        alone = len(opcodes) == 1 or size > room[0] or measured > room[1]
        if alone or _over_for_a_step(opcode) is not None:
            return _refusal(opcode, text, reply, trigger)
        sizes.append((size, measured, place))
    kept: list[int] = []
    for size, measured, place in sorted(sizes):
        room = room[0] - size, room[1] - measured
        if min(room) < 0:
            break
        kept.append(place)
    body = ",".join(encode(opcodes[place]) for place in sorted(kept))
    told = (
        f"{function} found {len(opcodes)} steps, more than fit into a reply: {len(kept)} of them are reported, the "
        f"others when those are done; {_SMALLER}"
    )
    return Reply(_STEPS, {}, f"[{body}]"), told


def _refusal(opcode: dict[str, Any], text: str, reply: Reply, trigger: HttpTrigger | None) -> tuple[Reply, str]:
    step_id = opcode["userland"]["id"]
    over = _over_for_a_step(opcode)
    size, limit, whose = _excess(text, reply, trigger) if over is None else (over, STEP_BYTES, _SERVER)
    if opcode["op"] == STEP_RUN:
        message = f"step {step_id!r} returned {_told(size, whose, limit)}: {_OFFLOAD}"
    else:
        message = f"step {step_id!r} asks for {_told(size, whose, limit)}: {_SMALLER}"
    failed = Opcode(
        STEP_FAILED,
        opcode["id"],
        step_id,
        opcode["userland"]["index"],
        opcode.get("opts") if opcode["op"] == STEP_RUN else None,
        failure=Failure(_NAME, message, None, final=True),
    )
    return steps_reply([failed]), message


def _told(size: int, whose: str, limit: int) -> str:
    return f"{size:,} bytes of JSON, and {whose} takes {limit:,}"


def _excess(text: str, reply: Reply, trigger: HttpTrigger | None) -> tuple[int, int, str]:
    """The size of a text, and the limit that it is over, and whose that is."""
    size = _size(text)
    if trigger is None or size > REPLY_BYTES:
        return size, REPLY_BYTES, _SERVER
    return trigger.measure(text), _room(reply, trigger), trigger.name


def _room(reply: Reply, trigger: HttpTrigger) -> int:
    """What a trigger leaves for a body beside its headers."""
    headers = sum(len(name) + len(value) + len('"": [""], ') for name, value in reply.headers.items())
    return trigger.reply_bytes - headers - _ENVELOPE_BYTES


def _too_large_for_a_step(reply: Reply) -> int | None:
    # A body that is smaller than what a step may have holds none that is larger, however it is counted.
    if reply.status != _STEPS or _server_size(reply.body) <= STEP_BYTES:
        return None
    return next((size for opcode in loads(reply.body) if (size := _over_for_a_step(opcode)) is not None), None)


def _over_for_a_step(opcode: dict[str, Any]) -> int | None:
    """How large a step's result or request is, if that is more than the server takes of one step."""
    if opcode["op"] == STEP_RUN:
        size = _server_size(encode({"data": opcode["data"]}))
    elif opcode["op"] == AI_GATEWAY:
        size = _server_size(encode(opcode["opts"].get("body")))
    else:
        return None
    return size if size > STEP_BYTES else None


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _server_size(text: str) -> int:
    """The bytes of some JSON as the server writes it: five of its characters it makes safe for HTML."""
    safe = sum(text.count(character) for character in "<>&") * (len("\\u003c") - 1)
    if not text.isascii():
        safe += (text.count("\u2028") + text.count("\u2029")) * (len("\\u2028") - len("\u2028".encode()))
    return _size(text) + safe


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";")
        if name in {"gzip", "*"}:
            return weight not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _packed(reply: Reply) -> Reply:
    from binascii import b2a_base64
    from zlib import DEFLATED, MAX_WBITS, compressobj

    gzip = compressobj(-1, DEFLATED, MAX_WBITS | 16)
    data = gzip.compress(reply.body.encode()) + gzip.flush()
    headers = {**reply.headers, "content-encoding": "gzip"}
    return Reply(reply.status, headers, b2a_base64(data, newline=False).decode("ascii"), is_base64=True)
