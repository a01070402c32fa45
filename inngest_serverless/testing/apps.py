"""The apps of a session: what a test hands over, made callable, and synced with the test's engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import Function
from inngest_serverless.local.targets import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply

    Target = Function[Any] | Iterable[Function[Any]] | Callable[..., Any]

__all__ = ["APP_ID", "Apps", "functions_of"]

# The app that functions are in which are given without a handler.
APP_ID = "test"
_OK = 200


class Apps:
    """Apps, each at an address of its own. Sends a request to the app whose address it has."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._hosts: dict[int, tuple[Any, str]] = {}
        self._functions: dict[str, Function[Any]] = {}

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request."""
        endpoint = self._endpoints[urlsplit(url).netloc]
        return _off_loop(lambda: endpoint(method, url, headers, body))

    def serve(self, target: Target) -> str:
        """Make a handler or functions callable, and sync them; functions join those that were given before.

        Returns:
            The URL of the app.

        Raises:
            ConfigurationError: It is nothing to serve, or cannot be synced.
        """
        functions = functions_of(target)
        if functions is None:
            return self._serve_handler(target)
        before = dict(self._functions)
        self._functions.update((function.id, function) for function in functions)
        host = f"{APP_ID}.lambda-url.invalid"
        if before != self._functions or host not in self._endpoints:
            self._endpoints[host] = endpoint_of(list(self._functions.values()), app_id=APP_ID)
            self._sync(host)
        return _url(host)

    def _serve_handler(self, handler: Any) -> str:
        if id(handler) not in self._hosts:
            host = f"app{len(self._hosts)}.lambda-url.invalid"
            self._endpoints[host] = endpoint_of(handler)
            self._sync(host)
            self._hosts[id(handler)] = handler, host
        return _url(self._hosts[id(handler)][1])

    def _sync(self, host: str) -> None:
        reply = self("PUT", _url(host), {}, b"")
        if reply.status != _OK:
            raise ConfigurationError(
                f"the app cannot be synced (HTTP status {reply.status}): {reply.body.decode()[:500]}"
            )


def functions_of(target: Any) -> list[Function[Any]] | None:
    """The functions that a test hands over; None for a handler."""
    if isinstance(target, Function):
        return [target]
    if callable(target):
        return None
    if isinstance(target, Iterable) and not isinstance(target, str | Mapping):
        return [_checked(each) for each in target]
    return [_checked(target)]


def _checked(function: Any) -> Function[Any]:
    if not isinstance(function, Function):
        raise ConfigurationError(
            f"{getattr(function, '__name__', type(function).__name__)} cannot be run: "
            "give a function made by create_function, a list of them, or the handler that serves them"
        )
    return function


def _url(host: str) -> str:
    return f"https://{host}/api/inngest"


def _off_loop(work: Callable[[], HttpReply]) -> HttpReply:
    """Do some work, in another thread if an event loop runs in this one: async functions have a loop of their own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    return _beside().submit(copy_context().run, work).result()


@cache
def _beside() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="inngest-testing")
