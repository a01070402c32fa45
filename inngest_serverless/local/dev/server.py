"""The dev server: an engine, its API and page, and an app, put together.

The engine and the API are in this process and stay; the app is in processes of its own, and is started anew when its
files change. What goes between the two goes over HTTP, as with Inngest.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inngest_serverless.errors import ConfigurationError, InngestError
from inngest_serverless.local.api import LocalApi, reachable
from inngest_serverless.local.dev.changes import Changes
from inngest_serverless.local.dev.front import Front, PortTakenError
from inngest_serverless.local.dev.generation import Generation
from inngest_serverless.local.dev.local_app import LocalApp
from inngest_serverless.local.dev.official import OfficialServer
from inngest_serverless.local.dev.outbound import Outbound
from inngest_serverless.local.dev.syncing import sync
from inngest_serverless.local.live import LiveEngine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from inngest_serverless.local.dev.feed import Feed
    from inngest_serverless.local.dev.generation import Setup
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.runs import Registered

__all__ = ["APP_PATH", "DevServer", "Where", "app_environment"]

APP_PATH = "/api/inngest"
_GATEWAY_PORT = 3000
_KEPT = 1000
_AWAIT_APP_SECONDS, _SYNC_SECONDS, _HEAR_SECONDS = 1.0, 5.0, 0.5
# They would lead the app elsewhere than INNGEST_DEV does, or have it register an address that is not this machine's.
_MISLEADING = ("INNGEST_BASE_URL", "INNGEST_API_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_SERVE_ORIGIN")


def app_environment(environ: Mapping[str, str], dev_server: str, origin: str) -> dict[str, str]:
    """The variables of an app that works with a dev server.

    Args:
        environ: Those of this process.
        dev_server: The server's origin.
        origin: The app's own, which it registers.
    """
    env = {name: value for name, value in environ.items() if name not in _MISLEADING}
    return env | {"INNGEST_DEV": dev_server, "INNGEST_SERVE_ORIGIN": origin}


@dataclass(frozen=True, slots=True)
class Where:
    """Where the dev server listens.

    Attributes:
        host: An address or a name.
        port: The port of the API and the page; 0 for a free one.
        gateway_port: That of the app; 0 for a free one, None for 3000 or else a free one.
    """

    host: str
    port: int
    gateway_port: int | None


class DevServer:
    """A dev server, to be run once.

    Args:
        where: Where it listens.
        feed: Takes what there is to tell.
        environ: The variables of this process; the app's processes get most of them.
        retry_seconds: How long to wait before each further try; Inngest's own table if None.
        official: Whether Inngest's own dev server takes the place of the local engine.
    """

    def __init__(
        self,
        where: Where,
        feed: Feed,
        *,
        environ: Mapping[str, str],
        retry_seconds: int | None = None,
        official: bool = False,
    ) -> None:
        self._where = where
        self._feed = feed
        self._environ = environ
        self._retry_seconds = retry_seconds
        self._is_official = official
        self._outbound = Outbound()
        self._engine: LiveEngine | None = None
        self._addresses: dict[str, str] = {}
        self._schemas: dict[str, Any] = {}
        self._known: list[Registered] = []
        self._problem = ""
        self._stopping = Event()
        self._error: InngestError | None = None

    def stop(self) -> None:
        """End it, from any thread or a signal's handler."""
        self._stopping.set()

    def run_target(self, setup: Setup, watched: list[Path] | None) -> None:
        """Serve a target until it is stopped.

        Args:
            setup: How the target is served.
            watched: The folders whose changes start it anew; None for never.

        Raises:
            InngestError: It cannot be served.
        """
        changes = None if watched is None else Changes(watched)
        local = LocalApp(lambda: Generation(setup, self._tell), changes, self)

        def call(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
            # Whatever address the app has registered: that of production may stand in its code.
            local.await_up()
            parts = urlsplit(url)
            return self._outbound.send(method, f"{front.origin}{parts.path}?{parts.query}", headers, body)

        with ExitStack() as stack:
            front = self._front(local.exchange, stack)
            path = self._environ.get("INNGEST_SERVE_PATH") or APP_PATH
            server = self._server(call, f"{front.origin}/{path.lstrip('/')}", stack)
            setup = replace(setup, env=app_environment(self._environ, self._addresses["INNGEST_DEV"], front.origin))
            self._feed.ready(self._addresses)
            stack.enter_context(local)
            stack.enter_context(server)
            stack.enter_context(self._outbound)
            # Python looks for signals before it waits, and after: one that comes in between would be heard no more.
            while not self._stopping.wait(_HEAR_SECONDS):
                pass
        self._raise()

    def run_url(self, url: str) -> None:
        """Serve an app that is reached at a URL, until it is stopped.

        Args:
            url: The URL.

        Raises:
            InngestError: The server cannot be started.
        """
        with ExitStack() as stack:
            server = self._server(self._outbound.send, url, stack)
            self._feed.ready(self._addresses)
            stack.enter_context(server)
            stack.enter_context(self._outbound)
            pause = 0.0
            while not self._stopping.wait(pause):
                # Now and then: nobody says when the app changes.
                pause = _SYNC_SECONDS if self.sync() else _AWAIT_APP_SECONDS
        self._raise()

    def sync(self) -> bool:
        """Have the app register itself; returns whether it has. What is wrong is told once."""
        url, engine, problem = self._addresses["app"], self._engine, ""
        if engine is None:  # Inngest's own server syncs apps by itself
            return True
        try:
            sync(self._outbound.send, url)
            if not engine.functions:
                dev_server = self._addresses["INNGEST_DEV"]
                problem = f"the app at {url} registered itself elsewhere: set INNGEST_DEV={dev_server} for it"
        except InngestError as error:
            problem = str(error)
        if problem and problem != self._problem:
            self._tell(f"{problem}; trying again")
        self._problem = problem
        functions = list(engine.functions.values())
        if not problem and functions != self._known:
            self._known = functions
            self._feed.functions(functions)
        return not problem

    # What a local app tells.

    def started(self, generation: Generation) -> bool:
        """A generation has been started; returns whether the app is synced."""
        self._schemas |= generation.found.schemas
        if is_synced := self.sync():
            self._feed.note("the app is up")
        return is_synced

    def changed(self, files: list[str]) -> None:
        """Files have changed."""
        first, others = os.path.relpath(files[0]), len(files) - 1
        self._feed.note(f"{first}{f' and {others} more' if others else ''} changed: starting the app anew")

    def failed(self, problem: str) -> None:
        """The app does not start until its code is mended."""
        self._tell(f"{problem}; waiting for a change")

    def broken(self, error: InngestError) -> None:
        """The server cannot go on: it ends with the error. The first one counts."""
        self._error = self._error or error
        self._stopping.set()

    def _tell(self, problem: str) -> None:
        if not self._stopping.is_set():  # what ends with the server is no problem
            self._feed.problem(problem)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _front(self, endpoint: Endpoint, stack: ExitStack) -> Front:
        host, port = self._where.host, self._where.gateway_port
        try:
            front = Front(endpoint, host, _GATEWAY_PORT if port is None else port)
        except PortTakenError as error:
            if port is not None:
                raise ConfigurationError(f"{error}. Choose another port with --gateway-port") from None
            front = Front(endpoint, host, 0)
        return stack.enter_context(front)

    def _server(self, endpoint: Endpoint, url: str, stack: ExitStack) -> AbstractContextManager[Any]:
        """The server that calls the app: the local engine, which is started, or the official one, which is to be."""
        where = self._where
        if self._is_official:
            origin = f"http://{reachable(where.host)}:{where.port}"
            self._addresses = _addresses(f"{origin}/", origin, url)
            env, retry_seconds = self._environ, self._retry_seconds
            return OfficialServer(
                url, host=where.host, port=where.port, env=env, retry_seconds=retry_seconds, ended=self.broken
            )
        retry_ms = None if self._retry_seconds is None else self._retry_seconds * 1000
        self._engine = LiveEngine(
            endpoint,
            watch=self._feed.moment,
            unclaimed=self._feed.note,
            fetch=self._outbound.send,
            retry_ms=retry_ms,
            keep=_KEPT,
        )
        try:
            api = LocalApi(self._engine, where.host, where.port, schemas=self._schemas)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} Choose another port with --port") from None
        self._addresses = _addresses(api.page, api.origin, url)
        stack.enter_context(api)
        stack.enter_context(self._engine)
        return nullcontext()


def _addresses(page: str, origin: str, app: str) -> dict[str, str]:
    return {"page": page, "event API": f"{origin}/e/dev", "INNGEST_DEV": origin, "app": app}
