"""How often a request to Inngest is sent, and what passes between two tries. Free of IO: generators yield both.

Source: docs/protocol.md, sections 6 and 9.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.protocol import headers as names
from inngest_serverless.transport import Pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeVar

    from inngest_serverless.protocol.exchange import Outbound, OutboundReply
    from inngest_serverless.protocol.signing import SigningKey

    T = TypeVar("T")
    Sending = Generator[Outbound | Pause, Any, T]

__all__ = ["MAX_TRIES", "authorized", "trying"]

# How often a request is sent if it gets no answer, or one that says "later".
MAX_TRIES = 5
# Before the n-th retry passes a random time of up to BACK_OFF_SECONDS * 2 ** (n - 1). No pause is longer than
# MAX_PAUSE_SECONDS, even where the server asks for more.
BACK_OFF_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0

_UNAUTHORIZED, _TOO_MANY_REQUESTS, _SERVER_ERRORS = 401, 429, 500


def authorized(
    request: Outbound, keys: list[SigningKey], now: float, draw: Callable[[], float] | None
) -> Sending[OutboundReply]:
    """Send a request with a signing key, as ``trying`` does, and with the next one where that is refused.

    Args:
        request: The request; its header ``Authorization`` is set.
        keys: The keys to try, in order. One that works where those before it did not is moved to the front.
        now: Unix time in seconds.
        draw: As in ``trying``.
    """
    if keys:
        request.headers[names.AUTHORIZATION] = keys[0].bearer()
    reply = yield from trying(request, now, draw)
    for key in keys[1:]:
        if reply.status != _UNAUTHORIZED:
            break
        request.headers[names.AUTHORIZATION] = key.bearer()
        reply = yield from trying(request, now, draw)
        if reply.status != _UNAUTHORIZED:
            keys[:] = [key, *(other for other in keys if other is not key)]
    return reply


def trying(request: Outbound, now: float, draw: Callable[[], float] | None) -> Sending[OutboundReply]:
    """Send a request until it is answered; the answer to the last try counts whatever it is.

    Args:
        request: The request.
        now: Unix time in seconds, from which a date in ``Retry-After`` counts.
        draw: Draws a number from 0 to 1, for the length of pauses; at random if None.

    Raises:
        TransportError: There was no answer to the last try.
    """
    for retry in range(1, MAX_TRIES):
        asked = 0.0
        try:
            reply: OutboundReply = yield request
        except TransportError:
            pass
        else:
            if reply.status != _TOO_MANY_REQUESTS and reply.status < _SERVER_ERRORS:
                return reply
            asked = _retry_after(reply, now)
        back_off = (draw or _chance)() * BACK_OFF_SECONDS * 2 ** (retry - 1)
        yield Pause(min(max(asked, back_off), MAX_PAUSE_SECONDS))
    return (yield request)  # type: ignore[no-any-return]


def _chance() -> float:
    from random import random

    return random()  # noqa: S311 - it spreads retries, and keeps no secret


def _retry_after(reply: OutboundReply, now: float) -> float:
    """The seconds that a reply asks to wait, 0 if it does not."""
    text = reply.headers.get(names.RETRY_AFTER, "").strip()
    if not text:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text)
    from datetime import datetime

    from inngest_serverless.durations import to_instant

    try:
        return datetime.fromisoformat(to_instant(text)).timestamp() - now
    except ConfigurationError:
        return 0.0
