"""Sends events. Source: docs/protocol.md, section 9."""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, SendEventsError, TransportError
from inngest_serverless.events import event_list
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.exchange import Outbound
from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.protocol.exchange import OutboundReply

__all__ = ["sending"]

_DEV_EVENT_KEY = "dev"
_SEED_BYTES = 10


def sending(settings: Settings, events: Any, now: float) -> Generator[Outbound, OutboundReply, list[str]]:
    """Send events; yields the request to send and returns the events' IDs.

    Args:
        settings: Where to send them and with which key.
        events: One event or several, as ``Event`` or as mappings.
        now: Unix time in seconds, the time of events that have none.

    Raises:
        ConfigurationError: There is no event key, or an event has no name.
        SendEventsError: They were not accepted.
    """
    key = settings.event_key or (_DEV_EVENT_KEY if settings.is_dev else None)
    if key is None:
        raise ConfigurationError("no event key: set INNGEST_EVENT_KEY, or INNGEST_DEV=1 to work with a dev server")
    millis = int(now * 1000)
    body = [{"ts": millis} | document for document in event_list(events)]
    if not body:
        return []
    headers = {
        names.CONTENT_TYPE: names.JSON,
        names.SDK: names.SDK_VALUE,
        names.EVENT_ID_SEED: f"{millis},{_random_text()}",
    }
    if settings.env:
        headers[names.ENV] = settings.env
    try:
        reply = yield Outbound("POST", f"{settings.event_api_origin}/e/{key}", headers, encode(body))
    except TransportError as error:
        raise SendEventsError(f"{len(body)} events were not sent: {error}") from error
    return _ids(reply)


def _random_text() -> str:
    from base64 import b64encode
    from os import urandom

    return b64encode(urandom(_SEED_BYTES)).decode()


def _ids(reply: OutboundReply) -> list[str]:
    from json import loads

    try:
        document = loads(reply.body)
        ids, fault = document.get("ids"), document.get("error")
    except (ValueError, AttributeError):
        ids, fault = None, None
    if reply.ok and isinstance(ids, list):
        return [str(item) for item in ids]
    raise SendEventsError(
        f"the event API answered {reply.status}: {fault or 'no IDs'}", ids if isinstance(ids, list) else ()
    )
