"""Has an app register itself with a dev server. Source: docs/protocol.md, sections 7 and 8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError

if TYPE_CHECKING:
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["sync"]

_OK, _FIRST_FAILURE = 200, 300


def sync(endpoint: Endpoint, url: str, place: str = "") -> None:
    """Ask an app to register itself, as the dev server does by a PUT.

    Args:
        endpoint: Reaches the app.
        url: Its URL.
        place: Where messages say that it is; its URL by default.

    Raises:
        ConfigurationError: It is in cloud mode, where it would register itself with Inngest Cloud; or it refused.
        TransportError: It was not reached.
    """
    place = place or url
    if _object(endpoint("GET", url, {}, b"")).get("mode") == "cloud":
        raise ConfigurationError(
            f"the app at {place} is in cloud mode, and was not synced: it would register itself with Inngest Cloud. "
            "Leave is_dev=False out of its code, and set INNGEST_DEV where it runs by itself"
        )
    reply = endpoint("PUT", url, {}, b"")
    if not _OK <= reply.status < _FIRST_FAILURE:
        document = _object(reply)
        said = document.get("message") or document.get("error") or f"HTTP status {reply.status}"
        raise ConfigurationError(f"the app at {place} was not synced: {' '.join(str(said).split())}")


def _object(reply: HttpReply) -> dict[str, Any]:
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
