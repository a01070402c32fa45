"""Requests to Inngest's API: the state of a run, the registration of an app. Free of IO: generators yield the requests.

Source: docs/protocol.md, sections 2, 6 and 7.
"""

from __future__ import annotations

from inngest_serverless.errors import TransportError
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.call import parse_events, parse_memos, read_json
from inngest_serverless.protocol.exchange import Outbound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.protocol.exchange import OutboundReply

__all__ = ["InngestApi"]

_UNAUTHORIZED = 401


class InngestApi:
    """The API, as one app calls it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = settings.signing_keys

    def fetch_state(self, call: CallRequest) -> Generator[Outbound, OutboundReply, None]:
        """Put a run's events and memos into a call that came without them.

        Raises:
            TransportError: The API was not reached, or refused.
            CallRequestError: What it answered is no state of a run.
        """
        base = f"{self._settings.api_origin}/v0/runs/{call.run_id}"
        call.events = parse_events(_document((yield from self._ask("GET", f"{base}/batch"))))
        call.memos = parse_memos(_document((yield from self._ask("GET", f"{base}/actions"))))
        call.event = call.events[0]

    def register(
        self, document: str, deploy_id: str | None, server_kind: str | None
    ) -> Generator[Outbound, OutboundReply, OutboundReply]:
        """Register an app.

        Args:
            document: The JSON text of the registration.
            deploy_id: The deployment that the server asked about, or None.
            server_kind: The kind of server that asked, or None.

        Raises:
            TransportError: The API was not reached.
        """
        from urllib.parse import quote

        url = self._settings.register_url or f"{self._settings.api_origin}/fn/register"
        query = f"?deployId={quote(deploy_id, safe='')}" if deploy_id else ""
        extra = {names.EXPECTED_SERVER_KIND: server_kind} if server_kind else {}
        return (yield from self._ask("POST", url + query, document, **extra))

    def _ask(
        self, method: str, url: str, body: str | None = None, **extra: str
    ) -> Generator[Outbound, OutboundReply, OutboundReply]:
        """Send a request with the signing key, or with the fallback where that one is refused."""
        headers = {names.CONTENT_TYPE: names.JSON, names.SDK: names.SDK_VALUE, **extra}
        if self._settings.env:
            headers[names.ENV] = self._settings.env
        if not self._keys:
            return (yield Outbound(method, url, headers, body))
        first, *others = self._keys
        reply = yield Outbound(method, url, {**headers, names.AUTHORIZATION: first.bearer()}, body)
        for key in others:
            if reply.status != _UNAUTHORIZED:
                break
            reply = yield Outbound(method, url, {**headers, names.AUTHORIZATION: key.bearer()}, body)
            if reply.status != _UNAUTHORIZED:
                # The key that worked goes first from now on.
                self._keys = (key, first)
        return reply


def _document(reply: OutboundReply) -> Any:
    if not reply.ok:
        raise TransportError(f"Inngest answered {reply.status}")
    try:
        return read_json(reply.body)
    except (ValueError, RecursionError):
        raise TransportError("Inngest's answer is not JSON") from None
