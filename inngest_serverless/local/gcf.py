"""Cloud Functions in this process: handlers behind the frameworks that functions-framework puts in front of them.

Source: the documentation of functions-framework, and the Cloud Run container contract on request headers.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.gcp.http_requests import joined
from inngest_serverless.local.gateway import HttpReply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["as_passed_on", "flask_endpoint", "starlette_endpoint"]

_CLIENT = "127.0.0.1"


def flask_endpoint(handler: Callable[[Any], Any]) -> Endpoint:
    """Reach a function that takes a ``flask.Request`` and returns whatever Flask makes a response of.

    What the handler raises goes through to the caller.

    Raises:
        ConfigurationError: Flask is not installed.
    """
    try:
        import flask
    except ImportError:
        raise _not_installed("Flask") from None

    app = flask.Flask("local")
    app.testing = True  # else Flask turns what the handler raises into a page
    # Before it looks for a route: the handler answers every path and method, as in the cloud.
    app.before_request(lambda: handler(flask.request))

    def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        # WSGI has header values as Latin-1, whatever the client wrote.
        sent = {name: value.encode().decode("latin-1") for name, value in as_passed_on(url, headers).items()}
        with app.test_client() as client:
            reply = client.open(url, method=method, headers=sent, data=body)
            return HttpReply(reply.status_code, joined(reply.headers.items()), reply.get_data())

    return endpoint


def starlette_endpoint(handler: Callable[[Any], Coroutine[Any, Any, Any]]) -> Endpoint:
    """Reach a function that takes a ``starlette.requests.Request`` and returns a ``starlette.responses.Response``.

    All requests are served on one event loop in a thread of its own, as by a server, so it may be called from async
    code too. What the handler raises goes through to the caller.

    Raises:
        ConfigurationError: Starlette or httpx is not installed.
    """
    try:
        from httpx import ASGITransport, AsyncClient
        from starlette.requests import Request
        from starlette.responses import Response
    except ImportError:
        raise _not_installed("Starlette") from None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = await handler(Request(scope, receive))
        if not isinstance(response, Response):
            raise ConfigurationError(
                f"the handler returned {type(response).__name__}: return a starlette.responses.Response"
            )
        await response(scope, receive, send)

    async def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        async with AsyncClient(transport=ASGITransport(app)) as client:
            sent = [(name.encode(), value.encode()) for name, value in as_passed_on(url, headers).items()]
            reply = await client.request(method, url, headers=sent, content=body)
            return HttpReply(reply.status_code, joined(reply.headers.multi_items()), reply.content)

    loop = _LoopThread()
    return lambda *request: loop.run(exchange(*request))


class _LoopThread:
    """An event loop in a thread of its own: started when it is needed, ended when it is dropped or the program ends."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, HttpReply]) -> HttpReply:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._loop.run_forever, name="local-asgi", daemon=True)
                thread.start()
                weakref.finalize(self, _end, self._loop, thread)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def as_passed_on(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as the platform passes them on: it ends TLS, and says so in headers of its own."""
    parts = urlsplit(url)
    own = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme, "X-Forwarded-For": _CLIENT}
    return {name: value for name, value in headers.items() if name.title() not in own} | own


def _not_installed(framework: str) -> ConfigurationError:
    return ConfigurationError(
        f"{framework} is needed to call a Cloud Function and is not installed: pip install 'inngest-serverless[gcp]'"
    )
