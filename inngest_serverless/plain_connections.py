"""Connections to the server by the standard library alone, where an artifact was built without httpx.

A connection for each request, and a thread for each in async code: slower than ``connections.py``, and as correct.
"""

from __future__ import annotations

from http.client import HTTPException, InvalidURL
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inngest_serverless.config import DEFAULT_MAX_BODY_SIZE
from inngest_serverless.connection_faults import cannot_be_sent, no_reply, too_large
from inngest_serverless.protocol.exchange import OutboundReply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from inngest_serverless.protocol.exchange import Outbound

__all__ = ["PlainConnections"]

_MOST_BYTES = DEFAULT_MAX_BODY_SIZE


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """Follow none: a key is for the server that it was sent to."""


class PlainConnections:
    """Sends requests.

    Args:
        timeout: Seconds to wait for each part of a reply.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._opener = build_opener(_NoRedirects)

    def send(self, request: Outbound) -> OutboundReply:
        """Send a request.

        Raises:
            TransportError: There was no reply, or it was too large.
            ConfigurationError: The request cannot be sent at all: its URL or one of its headers is malformed.
        """
        try:
            response = self._open(request)
            with response:
                body = response.read(_MOST_BYTES + 1)
        except (InvalidURL, ValueError) as error:
            raise cannot_be_sent(request, error) from None
        except (OSError, HTTPException) as error:
            raise no_reply(request, error) from None
        if len(body) > _MOST_BYTES:
            raise too_large(request, _MOST_BYTES)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return OutboundReply(response.status, body, headers)

    async def send_async(self, request: Outbound) -> OutboundReply:
        """As ``send``, in async code."""
        from asyncio import to_thread

        return await to_thread(self.send, request)

    def _open(self, request: Outbound) -> Any:
        if not request.url.startswith(("http://", "https://")):
            raise InvalidURL
        body = None if request.body is None else request.body.encode()
        try:
            outgoing = Request(request.url, body, request.headers, method=request.method)  # noqa: S310 - checked above
            return self._opener.open(outgoing, timeout=self._timeout)
        except HTTPError as error:
            return error  # a reply all the same
