"""Requests that the dev server sends: to apps, and for functions. They end when the server ends."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from threading import Lock, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import httpx

from inngest_serverless.errors import TransportError
from inngest_serverless.local.gateway import HttpReply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Outbound"]

_CONNECT_SECONDS = 10.0
_STEP_SECONDS = 2 * 3600.0  # what Inngest gives a call


class Outbound:
    """Sends requests, as a context manager. They share an event loop, where those under way can be given up."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._has_ended = False
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="dev-outbound", daemon=True)
        # Nobody else's proxy has a way to this machine.
        direct: dict[str, httpx.AsyncBaseTransport | None] = dict.fromkeys(
            ("all://127.0.0.1", "all://localhost", "all://[::1]")
        )
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(_STEP_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            mounts=direct,
        )

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up on requests that are under way, and send no more."""
        with self._lock:
            self._has_ended = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request, and return the reply.

        Raises:
            TransportError: There is none.
        """
        with self._lock:
            if self._has_ended:
                raise TransportError("the dev server is being stopped")
            sending = self._client.request(method, url, headers=dict(headers), content=body or None)
            sent = asyncio.run_coroutine_threadsafe(sending, self._loop)
        try:
            reply = sent.result()
        except httpx.HTTPError as error:
            # Without its cause, which holds the request.
            host = urlsplit(url).netloc.rpartition("@")[2]
            raise TransportError(f"no reply from {host}: {error or type(error).__name__}") from None
        except CancelledError:
            raise TransportError("the dev server is being stopped") from None
        return HttpReply(reply.status_code, dict(reply.headers), reply.content)

    async def _end(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()
