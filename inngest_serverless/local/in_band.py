"""What an app would register, asked of the app itself. Source: docs/protocol.md, section 7."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.signing import SigningKey, sign

if TYPE_CHECKING:
    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["registration"]

_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404


def registration(endpoint: Endpoint, *, url: str, signing_key: str) -> dict[str, Any]:
    """What an app would register, by an in-band sync: nothing is sent to Inngest.

    Args:
        endpoint: Reaches the app.
        url: The app's public URL, as far as the caller knows.
        signing_key: The key that the app has in INNGEST_SIGNING_KEY.

    Returns:
        The reply to the sync: ``app_id``, ``functions``, ``inspection``, ``url``, ...

    Raises:
        ConfigurationError: The app does not give it.

    Source: docs/protocol.md, section 7.
    """
    body = json.dumps({"url": url}).encode()
    headers = {
        names.CONTENT_TYPE: names.JSON,
        names.SYNC_KIND: "in_band",
        names.SIGNATURE: sign(body, SigningKey(signing_key), time.time()),
    }
    reply = endpoint("PUT", url, headers, body)
    if names.SDK not in reply.headers:
        raise ConfigurationError(
            f"what answers is no handler of inngest_serverless (HTTP status {reply.status}): "
            "point to what inngest_lambda, inngest_gcf or inngest_gcf_async returned"
        )
    document = _object(reply.body)
    if reply.status == _OK and reply.headers.get(names.SYNC_KIND) == "in_band":
        return document
    if reply.status == _UNAUTHORIZED:
        raise ConfigurationError("the app has another signing key, from its code: set INNGEST_SIGNING_KEY to that one")
    if reply.status == _NOT_FOUND:
        raise ConfigurationError(f"the app does not serve {url}: set INNGEST_SERVE_PATH to the path that it serves")
    said = document.get("message") or f"HTTP status {reply.status}"
    raise ConfigurationError(f"the app did not give its registration: {said}")


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
