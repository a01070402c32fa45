"""Sends requests, and drives the generators that ask for them.

The only module that imports httpx, and only when a request is to leave.
"""

from __future__ import annotations

from inngest_serverless.errors import TransportError
from inngest_serverless.protocol.exchange import Outbound, OutboundReply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, TypeVar

    from httpx import AsyncClient, Client, Response

    from inngest_serverless.engine.invocation import Invocation

    R = TypeVar("R")

__all__ = ["Transport", "drive", "drive_async"]

# The state of a run can be tens of megabytes; the connection itself is quick or broken.
_TIMEOUT_SECONDS = 30.0
_CONNECT_SECONDS = 5.0


class Transport:
    """Pooled connections, made on first use and kept for warm calls: one pool for sync code, one for each loop."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._async_clients: list[tuple[Any, AsyncClient]] = []

    def send(self, request: Outbound) -> OutboundReply:
        """Send a request.

        Raises:
            TransportError: There was no reply.
        """
        import httpx

        if self._client is None:
            self._client = httpx.Client(timeout=httpx.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS))
        try:
            return _reply(self._client.request(**_arguments(request)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _no_reply(request, error) from error

    async def send_async(self, request: Outbound) -> OutboundReply:
        """As ``send``, in async code.

        Raises:
            TransportError: There was no reply.
        """
        import httpx

        try:
            return _reply(await self._loop_client().request(**_arguments(request)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _no_reply(request, error) from error

    def _loop_client(self) -> AsyncClient:
        # A connection belongs to the loop it was opened on.
        import asyncio

        import httpx

        loop = asyncio.get_running_loop()
        self._async_clients = [(known, client) for known, client in self._async_clients if not known.is_closed()]
        for known, client in self._async_clients:
            if known is loop:
                return client
        client = httpx.AsyncClient(timeout=httpx.Timeout(_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS))
        self._async_clients.append((loop, client))
        return client


def _arguments(request: Outbound) -> dict[str, Any]:
    content = None if request.body is None else request.body.encode()
    return {"method": request.method, "url": request.url, "headers": request.headers, "content": content}


def _reply(response: Response) -> OutboundReply:
    return OutboundReply(response.status_code, response.content, response.headers)


def _no_reply(request: Outbound, error: Exception) -> TransportError:
    host = request.url.split("/", 3)[2] if "://" in request.url else request.url
    return TransportError(f"no reply from {host} ({type(error).__name__})")


def drive(
    steps: Generator[Any, Any, R], send: Callable[[Outbound], OutboundReply], run: Callable[[Invocation], Any]
) -> R:
    """Carry out what a generator yields, in sync code.

    Args:
        steps: Yields ``Outbound`` requests and ``Invocation`` s, and is sent their results.
        send: Sends a request.
        run: Runs an invocation.

    Returns:
        What the generator returns.
    """
    try:
        wanted = next(steps)
        while True:
            try:
                result = send(wanted) if isinstance(wanted, Outbound) else run(wanted)
            except TransportError as error:
                wanted = steps.throw(error)
            else:
                wanted = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def drive_async(
    steps: Generator[Any, Any, R],
    send: Callable[[Outbound], Coroutine[Any, Any, OutboundReply]],
    run: Callable[[Invocation], Coroutine[Any, Any, Any]],
) -> R:
    """As ``drive``, in async code."""
    try:
        wanted = next(steps)
        while True:
            try:
                result = await (send(wanted) if isinstance(wanted, Outbound) else run(wanted))
            except TransportError as error:
                wanted = steps.throw(error)
            else:
                wanted = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
