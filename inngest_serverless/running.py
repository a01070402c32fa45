"""Answers requests with an app: what every adapter does between reading a request and writing the reply.

Source: docs/protocol.md, section 1.
"""

from __future__ import annotations

import time

from inngest_serverless.config import SECRET_ARN
from inngest_serverless.engine.plans import Senders
from inngest_serverless.options import make_app
from inngest_serverless.transport import Transport, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from inngest_serverless.client import Client
    from inngest_serverless.config import Settings
    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.functions import Function
    from inngest_serverless.protocol.exchange import Reply, Request
    from inngest_serverless.secret_keys import KeySecret

__all__ = ["make_answer"]


def make_answer(
    functions: Iterable[Function[Any]] | None,
    framework: str,
    environ: Mapping[str, str],
    options: Mapping[str, Any],
) -> Callable[[Request], Reply]:
    """Make what answers the requests of an app.

    It blocks until the reply is there, and may be called by several threads at once: each has an event loop of its own
    for async functions, and all share the connections to the server. Keys that are in a secret (INNGEST_SECRET_ARN) are
    read at once, and anew when they are refused.

    Args:
        functions: The app's functions, or None for those that were given to ``register``.
        framework: The adapter's name on the wire.
        environ: The environment.
        options: The handler's options.

    Raises:
        ConfigurationError: As ``make_app`` does.
    """
    app = make_app(functions, framework, environ, time.time, options)
    transport = Transport()
    secret = _find_secret(environ, app.settings)
    settings = app.settings  # as they are now: an app that has read its secret has others
    runner = _Runner(lambda: _make_client(settings, transport, secret))
    if secret is not None and app.settings.signing_key is None:
        from inngest_serverless.rekeying import answer_with_secret

        return answer_with_secret(app, secret, transport.send, runner.run)

    def answer(request: Request) -> Reply:
        return drive(app.handle(request), transport.send, runner.run)

    return answer


def _find_secret(environ: Mapping[str, str], settings: Settings) -> KeySecret | None:
    if not environ.get(SECRET_ARN):
        return None
    from inngest_serverless.secret_keys import find_secret

    return find_secret(environ, settings)


def _make_client(settings: Settings, transport: Transport, secret: KeySecret | None) -> Client:
    # Most calls send nothing, and a cold start loads what it needs.
    from inngest_serverless.client import Client

    return Client.from_settings(settings, transport, secret)


class _Runner:
    """Runs invocations, each the way its function is written; ``make_client`` is called when a step sends first."""

    def __init__(self, make_client: Callable[[], Client]) -> None:
        self._make_client = make_client
        self._made: Client | None = None
        self._senders = Senders(
            lambda *events: self._client().deliver(*events), lambda *signal: self._client().send_signal(*signal)
        )
        self._async_senders = Senders(
            lambda *events: self._client().deliver_async(*events),
            lambda *signal: self._client().send_signal_async(*signal),
        )

    def _client(self) -> Client:
        # Two threads may make one each, which is as good: their connections are the transport's.
        if self._made is None:
            self._made = self._make_client()
        return self._made

    def run(self, invocation: Invocation) -> Reply:
        deadline = invocation.deadline
        return self._run(invocation) if deadline is None else deadline.run(invocation, self._run)

    def _run(self, invocation: Invocation) -> Reply:
        if invocation.function.is_async:
            from inngest_serverless.engine.rendezvous import warm_loop

            return warm_loop().run(invocation, self._async_senders)
        return invocation.run(self._senders)
