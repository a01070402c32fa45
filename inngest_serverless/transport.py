"""Sends requests, waits, and drives the generators that ask for either.

What makes connections is loaded when a request is to leave.
"""

from __future__ import annotations

import time

from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.protocol.exchange import Outbound, OutboundReply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, NoReturn, TypeVar

    from inngest_serverless.connections import Connections
    from inngest_serverless.plain_connections import PlainConnections

    R = TypeVar("R")

__all__ = ["Pause", "SecretOutbound", "Transport", "drive", "drive_async", "pause", "pause_async"]

# The state of a run can be tens of megabytes; the connection itself is quick or broken.
_TIMEOUT_SECONDS = 30.0


class Pause:
    """A wait that a generator asks for: yielded beside ``Outbound``, and answered with None.

    Attributes:
        seconds: How long.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds


class SecretOutbound(Outbound):
    """A request whose path holds a secret, which is for the wire alone.

    Attributes:
        shown_path: What logs and errors show in its place.
    """

    __slots__ = ("shown_path",)

    def __init__(self, method: str, url: str, headers: dict[str, str], body: str | None, shown_path: str) -> None:
        super().__init__(method, url, headers, body)
        self.shown_path: str = shown_path


class Transport:
    """What sends requests: connections that are made on first use and kept for warm calls.

    Args:
        timeout: Seconds to wait for a reply.
    """

    def __init__(self, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._made: dict[None, Connections | PlainConnections] = {}

    def send(self, request: Outbound) -> OutboundReply:
        """Send a request.

        Raises:
            TransportError: There was no reply, or it was too large.
            ConfigurationError: The request cannot be sent at all: its URL or one of its headers is malformed.
        """
        return self._connections.send(request)

    async def send_async(self, request: Outbound) -> OutboundReply:
        """As ``send``, in async code.

        Raises:
            TransportError: There was no reply, or it was too large.
            ConfigurationError: The request cannot be sent at all.
        """
        return await self._connections.send_async(request)

    @property
    def _connections(self) -> Connections | PlainConnections:
        return self._made.get(None) or self._make()

    def _make(self) -> Connections | PlainConnections:
        # Most calls send nothing, and a cold start loads what it needs.
        made: Connections | PlainConnections
        try:
            from inngest_serverless.connections import Connections

            made = Connections(self._timeout)
        except ModuleNotFoundError as error:
            if error.name != "httpx":
                raise
            from inngest_serverless.plain_connections import PlainConnections

            made = PlainConnections(self._timeout)
        # Threads may come here together: the first one's connections are everybody's.
        return self._made.setdefault(None, made)


def pause(wanted: Pause) -> None:
    """Wait."""
    time.sleep(wanted.seconds)


async def pause_async(wanted: Pause) -> None:
    """Wait, in async code."""
    from asyncio import sleep

    await sleep(wanted.seconds)


def _refuse(wanted: Any) -> NoReturn:
    raise AssertionError(f"nothing here carries out {type(wanted).__name__}")


def drive(
    steps: Generator[Any, Any, R],
    send: Callable[[Outbound], OutboundReply],
    run: Callable[[Any], Any] = _refuse,
    pause: Callable[[Pause], None] = pause,
) -> R:
    """Carry out what a generator yields, in sync code.

    Args:
        steps: Yields ``Outbound`` requests, ``Pause`` s and ``Invocation`` s, and is sent their results. What ``send``
            raises as TransportError or ConfigurationError is raised in it.
        send: Sends a request.
        run: Runs an invocation.
        pause: Waits.

    Returns:
        What the generator returns.
    """
    try:
        wanted = next(steps)
        while True:
            carry_out: Any = send if isinstance(wanted, Outbound) else pause if isinstance(wanted, Pause) else run
            try:
                result = carry_out(wanted)
            except (TransportError, ConfigurationError) as error:
                wanted = steps.throw(error)
            else:
                wanted = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def drive_async(
    steps: Generator[Any, Any, R],
    send: Callable[[Outbound], Coroutine[Any, Any, OutboundReply]],
    run: Callable[[Any], Coroutine[Any, Any, Any]] = _refuse,
    pause: Callable[[Pause], Coroutine[Any, Any, None]] = pause_async,
) -> R:
    """As ``drive``, in async code."""
    try:
        wanted = next(steps)
        while True:
            carry_out: Any = send if isinstance(wanted, Outbound) else pause if isinstance(wanted, Pause) else run
            try:
                result = await carry_out(wanted)
            except (TransportError, ConfigurationError) as error:
                wanted = steps.throw(error)
            else:
                wanted = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
