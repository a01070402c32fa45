"""Answers requests with keys that are in a secret, and reads them anew where the server refuses or has changed them.

Source: docs/secrets.md.
"""

from __future__ import annotations

from inngest_serverless.config import SECRET_ARN
from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.protocol import headers as names
from inngest_serverless.secret_keys import with_keys
from inngest_serverless.transport import drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.protocol.exchange import Outbound, OutboundReply, Reply, Request
    from inngest_serverless.secret_keys import KeySecret
    from inngest_serverless.serve import App

    Send = Callable[[Outbound], OutboundReply]
    Run = Callable[[Invocation], Reply]

__all__ = ["answer_with_secret"]

_UNAUTHORIZED = 401


def answer_with_secret(app: App, secret: KeySecret, send: Send, run: Run) -> Callable[[Request], Reply]:
    """Make what answers the requests of an app whose signing key is in a secret.

    The secret is read at once. If that fails, each request tries again, and is told why it cannot be answered. A
    request is answered a second time if it was signed with none of our keys, or if the API refused them, and the secret
    has others by now.

    Args:
        app: The app, with its settings as they are without the secret.
        secret: The secret.
        send: Sends a request.
        run: Runs an invocation.
    """
    base = app.settings
    used: Mapping[str, str] | None = None
    secret.fetch_early()

    def use(keys: Mapping[str, str]) -> None:
        nonlocal used
        if keys is not used:
            app.rekey(with_keys(base, keys))
            used = keys

    def answer(request: Request) -> Reply:
        try:
            keys = secret.keys()
            use(keys)
            if app.settings.signing_key is None and (newer := secret.newer(keys)) is not None:
                keys = newer
                use(keys)
            if app.settings.signing_key is None:
                raise ConfigurationError(  # noqa: TRY301 - answered like the others
                    f"{SECRET_ARN}: the secret has no INNGEST_SIGNING_KEY: add it, or set it as a variable"
                )
        except (ConfigurationError, TransportError) as error:
            return _refused(app, error)
        watched = _Watched(send)
        reply = drive(app.handle(request), watched.send, run)
        # Whoever signs with a key of ours gets a signed reply.
        is_stranger = names.SIGNATURE in request.headers and names.SIGNATURE not in reply.headers
        if (is_stranger or watched.is_refused) and (newer := secret.newer(keys)) is not None:
            use(newer)
            reply = drive(app.handle(request), send, run)
        return reply

    return answer


class _Watched:
    """Sends the requests of one exchange, and notes whether the API refuses the last of them for its key.

    Those of the user's functions go another way. An exchange that is refused has run none of them: it fetches the state
    before, and a registration runs nothing.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_refused: bool = False

    def send(self, request: Outbound) -> OutboundReply:
        reply = self._send(request)
        self.is_refused = reply.status == _UNAUTHORIZED
        return reply


def _refused(app: App, error: ConfigurationError | TransportError) -> Reply:
    from logging import getLogger

    getLogger("inngest_serverless").error("%s", error)
    return app.refuse(error)
