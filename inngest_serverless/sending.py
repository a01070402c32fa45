"""Sends events and signals: generators that yield what they need done, so that sync and async code share them.

Source: docs/protocol.md, section 9.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, EventValidationError, SendEventsError, TransportError
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.exchange import Outbound
from inngest_serverless.protocol.signing import hide_keys
from inngest_serverless.sent_events import event_list
from inngest_serverless.serialization import encode
from inngest_serverless.transport import SecretOutbound
from inngest_serverless.tries import authorized, trying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.middleware import Hooks
    from inngest_serverless.protocol.exchange import OutboundReply
    from inngest_serverless.protocol.signing import SigningKey
    from inngest_serverless.tries import Sending

    Renew = Callable[[Settings], Settings | None]

__all__ = ["batches", "sending", "signalling"]

# The server parses no more events than these in one request.
MAX_EVENTS_PER_REQUEST = 5_000
# The server's default limit for one event. A request is kept to the same size; an event that is larger goes alone, and
# the server, whose limit may be another, decides.
MAX_BYTES_PER_REQUEST = 512 * 1024

_DEV_EVENT_KEY = "dev"
_SEED_BYTES = 10
_MAX_FAULT_LENGTH = 500
_UNAUTHORIZED, _NOT_FOUND = 401, 404


def sending(
    settings: Settings,
    events: Any,
    now: float,
    draw: Callable[[], float] | None = None,
    *,
    hooks: Hooks | None = None,
    seed: tuple[int, str] | None = None,
    renew: Renew | None = None,
) -> Sending[list[str]]:
    """Send events, in as many requests as it takes, one after the other.

    Args:
        settings: Where to send them and with which key.
        events: One event or several, as ``Event`` or as mappings.
        now: Unix time in seconds, the time of events that have none.
        draw: Draws a number from 0 to 1, for the length of pauses; at random by default.
        hooks: The middleware to call before and after, or None.
        seed: Unix milliseconds and a text from which the seeds of event IDs are made, so that events which are sent
            again with the same seed are taken once; now and chance if not given.
        renew: Takes settings whose keys are missing or refused, and returns others, or None where there are none.

    Yields:
        The requests to send, the pauses to make, and what the middleware wants awaited.

    Returns:
        The IDs of the events, in their order.

    Raises:
        ConfigurationError: There is no event key, or no request can be sent with these settings.
        EventValidationError: An event cannot be sent; none was.
        SendEventsError: Not all were accepted.
    """
    documents = event_list(events)
    if hooks is None:
        return (yield from _sending(settings, documents, now, draw, seed, renew))
    yield from hooks.before_send(documents)
    try:
        ids = yield from _sending(settings, documents, now, draw, seed, renew)
    except SendEventsError as error:
        yield from hooks.after_send(error.ids, error)
        raise
    yield from hooks.after_send(ids, None)
    return ids


def _sending(
    settings: Settings,
    documents: list[dict[str, Any]],
    now: float,
    draw: Callable[[], float] | None,
    seed: tuple[int, str] | None,
    renew: Renew | None,
) -> Sending[list[str]]:
    settings = _completed(settings, renew, "event_key", "no event was sent")
    key = _event_key(settings)
    millis = int(now * 1000)
    texts = [_event_text(document, millis) for document in documents]
    ids: list[str] = []
    for number, batch in enumerate(batches(texts)):
        id_seed = _id_seed(seed, number, millis)
        try:
            reply = yield from trying(_event_request(settings, key, batch, id_seed), now, draw)
            if reply.status == _UNAUTHORIZED and renew is not None and (fresh := renew(settings)) is not None:
                settings, key = fresh, _event_key(fresh)
                reply = yield from trying(_event_request(settings, key, batch, id_seed), now, draw)
        except TransportError as error:
            raise SendEventsError(f"{len(ids)} of {len(texts)} events were sent: {error}", ids) from error
        accepted, fault = _accepted(reply, len(batch), key)
        ids += accepted
        if fault:
            raise SendEventsError(f"{len(ids)} of {len(texts)} events were sent: {fault}", ids, reply.status)
    return ids


def _completed(settings: Settings, renew: Renew | None, name: str, failure: str) -> Settings:
    """Settings with a key that they lack, if it is to be had."""
    try:
        # What is in hand first; where that lacks it as well, it may have been added since.
        for _ in range(2):
            if renew is not None and not settings.is_dev and getattr(settings, name) is None:
                settings = renew(settings) or settings
    except TransportError as error:
        raise SendEventsError(f"{failure}: {error}") from error
    return settings


def _event_key(settings: Settings) -> str:
    key = settings.event_key or (_DEV_EVENT_KEY if settings.is_dev else None)
    if key is None:
        raise ConfigurationError("no event key: set INNGEST_EVENT_KEY, or INNGEST_DEV=1 to work with a dev server")
    return key


def signalling(
    settings: Settings,
    keys: list[SigningKey],
    signal: str,
    data: Any,
    now: float,
    draw: Callable[[], float] | None = None,
    renew: Renew | None = None,
) -> Sending[str | None]:
    """Send a signal to the run that waits for it.

    Args:
        settings: Where to send it.
        keys: The signing keys to try, in order. One that works where those before it did not is moved to the front.
        signal: The signal's name.
        data: What goes with it: a JSON value.
        now: Unix time in seconds.
        draw: As in ``sending``.
        renew: As in ``sending``.

    Yields:
        The requests to send and the pauses to make.

    Returns:
        The ID of the run that got it, or None if no run waits for it.

    Raises:
        ConfigurationError: There is no signing key, or no request can be sent with these settings.
        EventValidationError: The signal has no name, or JSON cannot hold the data.
        SendEventsError: It was not accepted.
    """
    if not keys:
        settings = _completed(settings, renew, "signing_key", f"signal {signal!r} was not sent")
        keys = [*settings.signing_keys]
    if not keys and not settings.is_dev:
        raise ConfigurationError("no signing key: set INNGEST_SIGNING_KEY, or INNGEST_DEV=1 to work with a dev server")
    if not signal:
        raise EventValidationError("a signal without a name cannot be sent: give the name that a run waits for")
    body = _encoded({"signal": signal, "data": data}, f"signal {signal!r}")
    request = Outbound("POST", f"{settings.api_origin}/v1/signals", _headers(settings), body)
    try:
        reply = yield from authorized(request, keys, now, draw)
        if reply.status == _UNAUTHORIZED and renew is not None and (fresh := renew(settings)) is not None:
            keys = [*fresh.signing_keys]
            reply = yield from authorized(request, keys, now, draw)
    except TransportError as error:
        raise SendEventsError(f"signal {signal!r} was not sent: {error}") from error
    if reply.status == _NOT_FOUND:
        return None
    document = _object(reply)
    if not reply.ok:
        said = _said(document, lambda text: hide_keys(text, keys))
        message = f"signal {signal!r} was not sent: the API answered {reply.status}{said}"
        raise SendEventsError(message, status=reply.status)
    answer = document.get("data")
    run_id = answer.get("run_id") if isinstance(answer, dict) else None
    return run_id if isinstance(run_id, str) else None


# Requests.


def _quoted(key: str) -> str:
    from urllib.parse import quote

    return quote(key, safe="")


def _event_request(settings: Settings, key: str, batch: list[str], seed: str) -> Outbound:
    # Every try of a batch has the same seed, by which the server knows that it is the same.
    headers = _headers(settings) | {names.EVENT_ID_SEED: seed}
    url = f"{settings.event_api_origin}/e/{_quoted(key)}"
    return SecretOutbound("POST", url, headers, f"[{','.join(batch)}]", "/e/***")


def _headers(settings: Settings) -> dict[str, str]:
    headers = {names.CONTENT_TYPE: names.JSON, names.SDK: names.SDK_VALUE}
    if settings.env:
        headers[names.ENV] = settings.env
    return headers


def _id_seed(seed: tuple[int, str] | None, number: int, now_millis: int) -> str:
    from base64 import b64encode
    from hashlib import sha256
    from os import urandom

    if seed is None:
        millis, entropy = now_millis, urandom(_SEED_BYTES)
    else:
        millis, text = seed
        entropy = sha256(f"{text}.{number}".encode()).digest()[:_SEED_BYTES]
    return f"{millis},{b64encode(entropy).decode()}"


def _event_text(document: dict[str, Any], millis: int) -> str:
    if document.get("ts") is None:
        document = document | {"ts": millis}
    return _encoded(document, f"event {document['name']!r}")


def _encoded(document: dict[str, Any], what: str) -> str:
    try:
        return encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        # Only json's own messages are known to hold no values.
        reason = error if type(error) in {TypeError, ValueError} else type(error).__name__
        raise EventValidationError(f"{what} has something that JSON cannot hold: {reason}") from None


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The JSON texts of events, in requests of the sizes that the server takes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        # Each has a comma or a bracket before it; the last bracket makes one more.
        length = 1 + (len(text) if text.isascii() else len(text.encode()))
        if batch and (len(batch) == MAX_EVENTS_PER_REQUEST or size + length + 1 > MAX_BYTES_PER_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


# Replies.


def _accepted(reply: OutboundReply, count: int, key: str) -> tuple[list[str], str]:
    """The IDs that the event API gave, and what is wrong, "" if nothing is."""
    document = _object(reply)
    given = document.get("ids")
    # An event that was refused leaves an empty ID in its place.
    ids = [item for item in given if isinstance(item, str) and item] if isinstance(given, list) else []
    if not reply.ok:
        # It may quote the URL.
        said = _said(document, lambda text: text.replace(_quoted(key), "***").replace(key, "***"))
        return ids, f"the event API answered {reply.status}{said}"
    return ids, "" if len(ids) == count else f"the event API gave {len(ids)} IDs for {count} events"


def _said(document: Mapping[str, Any], hide: Callable[[str], str]) -> str:
    fault = document.get("error") or document.get("message")
    # Cut last, or a part of a key could be left.
    return f": {hide(str(fault))[:_MAX_FAULT_LENGTH]}" if fault else ""


def _object(reply: OutboundReply) -> Mapping[str, Any]:
    from json import loads

    try:
        document = loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
