"""Connections to the server, by httpx: pooled, for sync and async code. The only module that imports httpx."""

from __future__ import annotations

from functools import cache
from weakref import finalize

import httpx
from httpx import (
    URL,
    HTTPError,
    InvalidURL,
    LocalProtocolError,
    Timeout,
    UnsupportedProtocol,
    create_ssl_context,
)

from inngest_serverless.config import DEFAULT_MAX_BODY_SIZE
from inngest_serverless.connection_faults import cannot_be_sent, no_reply, too_large
from inngest_serverless.protocol.exchange import OutboundReply
from inngest_serverless.transport import SecretOutbound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator
    from ssl import SSLContext
    from typing import Any

    from httpx import AsyncClient, Client, Request, Response

    from inngest_serverless.protocol.exchange import Outbound

    Keeper = AsyncGenerator[None, None]

__all__ = ["Connections"]

_CONNECT_SECONDS = 5.0
# As large as the largest request that is taken. What comes compressed counts as it is unpacked.
_MOST_BYTES = DEFAULT_MAX_BODY_SIZE
_MALFORMED = (InvalidURL, LocalProtocolError, UnsupportedProtocol, UnicodeError)


class Connections:
    """Pooled connections, made on first use and kept for warm calls: one pool for sync code, one for each loop.

    Those of sync code are closed when this is dropped or the interpreter exits, those of a loop when it shuts
    down.

    Args:
        timeout: Seconds to wait for a reply.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._clients: dict[None, Client] = {}
        self._loop_clients: dict[AbstractEventLoop, tuple[AsyncClient, Keeper]] = {}
        self._farewell: object = None

    def send(self, request: Outbound) -> OutboundReply:
        """Send a request.

        Raises:
            TransportError: There was no reply, or it was too large.
            ConfigurationError: The request cannot be sent at all: its URL or one of its headers is malformed.
        """
        client = self._clients.get(None) or self._open_client()
        try:
            response = client.send(_outgoing(client, request), stream=True)
            try:
                parts = _Parts(request)
                for part in response.iter_bytes():
                    parts.add(part)
                return parts.reply(response)
            finally:
                response.close()
        except _MALFORMED as error:
            raise cannot_be_sent(request, error) from None
        except HTTPError as error:
            raise no_reply(request, error) from None

    async def send_async(self, request: Outbound) -> OutboundReply:
        """As ``send``, in async code.

        Raises:
            TransportError: There was no reply, or it was too large.
            ConfigurationError: The request cannot be sent at all.
        """
        client = await self._loop_client()
        try:
            response = await client.send(_outgoing(client, request), stream=True)
            try:
                parts = _Parts(request)
                async for part in response.aiter_bytes():
                    parts.add(part)
                return parts.reply(response)
            finally:
                await response.aclose()
        except _MALFORMED as error:
            raise cannot_be_sent(request, error) from None
        except HTTPError as error:
            raise no_reply(request, error) from None

    def _open_client(self) -> Client:
        self._prepare_farewell()
        # By their names in httpx: tracing libraries put others in their place.
        # Threads may come here together: the first one's client is everybody's.
        return self._clients.setdefault(None, httpx.Client(verify=_trusted(), timeout=self._timeouts()))

    async def _loop_client(self) -> AsyncClient:
        # A connection belongs to the loop it was opened on.
        from asyncio import get_running_loop

        loop = get_running_loop()
        client, _ = self._loop_clients.get(loop, (None, None))
        if client is None or client.is_closed:
            self._prepare_farewell()
            _forget_closed(self._loop_clients)
            client = httpx.AsyncClient(verify=_trusted(), timeout=self._timeouts())
            keeper = _open_until_shutdown(client)
            self._loop_clients[loop] = client, keeper
            await anext(keeper)
            await _close_dropped(loop)
        return client

    def _prepare_farewell(self) -> None:
        if self._farewell is None:
            self._farewell = finalize(self, _leave, self._clients, self._loop_clients)

    def _timeouts(self) -> Timeout:
        return Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout))


@cache
def _trusted() -> SSLContext:
    # Reading the certificates takes longer than most requests, and would block a loop each time.
    return create_ssl_context()


async def _open_until_shutdown(client: AsyncClient) -> Keeper:
    # A loop finishes the async generators that it knows before it closes.
    try:
        yield
    finally:
        await client.aclose()


# What dropped transports have left open: closed by the next one that comes to the same loop, or with the loop.
_dropped: dict[AbstractEventLoop, list[Keeper]] = {}


def _leave(clients: dict[None, Client], loop_clients: dict[AbstractEventLoop, tuple[AsyncClient, Keeper]]) -> None:
    for client in list(clients.values()):
        client.close()
    for loop, (_, keeper) in list(loop_clients.items()):
        _dropped.setdefault(loop, []).append(keeper)


async def _close_dropped(loop: AbstractEventLoop) -> None:
    _forget_closed(_dropped)
    for keeper in _dropped.pop(loop, ()):
        await keeper.aclose()


def _forget_closed(by_loop: dict[AbstractEventLoop, Any]) -> None:
    for loop in list(by_loop):
        if loop.is_closed():
            by_loop.pop(loop, None)


def _outgoing(client: Client | AsyncClient, request: Outbound) -> Request:
    content = None if request.body is None else request.body.encode()
    outgoing = client.build_request(request.method, request.url, headers=request.headers, content=content)
    # httpx logs the URL of every request, as str() has it.
    if isinstance(request, SecretOutbound):
        outgoing.url = _SecretURL(outgoing.url, request.shown_path)
    elif outgoing.url.userinfo:
        outgoing.url = _SecretURL(outgoing.url, outgoing.url.raw_path.decode())
    return outgoing


class _SecretURL(URL):
    """Leads where ``url`` does, and shows neither its path nor who logs in there.

    Nor do copies: who traces requests makes some, X-Ray's SDK for example.
    """

    def __init__(self, url: URL, shown_path: str) -> None:
        super().__init__(url.copy_with(raw_path=shown_path.encode(), userinfo=b""))
        self._wire = url

    @property
    def raw_path(self) -> bytes:
        return self._wire.raw_path

    @property
    def username(self) -> str:
        return self._wire.username

    @property
    def password(self) -> str:
        return self._wire.password


class _Parts:
    """The parts of a reply's body."""

    def __init__(self, request: Outbound) -> None:
        self._request = request
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > _MOST_BYTES:
            raise too_large(self._request, _MOST_BYTES)
        self._parts.append(part)

    def reply(self, response: Response) -> OutboundReply:
        return OutboundReply(response.status_code, b"".join(self._parts), response.headers)
