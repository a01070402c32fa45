"""The Lambda handler. Source: docs/protocol.md, section 1, and the AWS Lambda developer guide on Python handlers."""

from __future__ import annotations

import os
import time

from inngest_serverless.aws.http_events import read_event
from inngest_serverless.client import Client
from inngest_serverless.engine.plans import Senders
from inngest_serverless.options import make_app
from inngest_serverless.transport import Transport, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Unpack

    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.functions import Function
    from inngest_serverless.options import HandlerOptions
    from inngest_serverless.protocol.exchange import Reply

    Handler = Callable[[Any, Any], dict[str, Any]]

__all__ = ["inngest_lambda"]

FRAMEWORK = "aws-lambda"


def inngest_lambda(functions: Iterable[Function[Any]] | None = None, **options: Unpack[HandlerOptions]) -> Handler:
    """Make the handler of a Lambda function that serves durable functions.

    It takes the events of function URLs, HTTP APIs (payload 1.0 and 2.0), REST APIs and application load balancers.

    Args:
        functions: The functions to serve; those that were given to ``register`` if there are none.
        **options: ``app_id``, ``app_version``, ``signing_key``, ``signing_key_fallback``, ``event_key``, ``env``,
            ``is_dev``, ``logger``, ``register_url``, ``api_base_url``, ``event_api_base_url``, ``url`` (or
            ``serve_origin`` and ``serve_path``), ``max_body_size`` (bytes), ``middleware``, ``allow_in_band_sync``.
            What is not given is read from the environment.

    Returns:
        The handler, to be named in the function's configuration.

    Raises:
        ConfigurationError: The app has no ID, a function is wrong, an option is unknown, wrong or at odds with another,
            or streaming is asked for.

    Source: docs/protocol.md, sections 1 and 10.
    """
    app = make_app(functions, FRAMEWORK, os.environ, time.time, options)
    transport = Transport()
    runner = _Runner(Client.from_settings(app.settings, transport))

    def handler(event: Any, _context: Any) -> dict[str, Any]:
        request, write = read_event(event)
        return write(drive(app.handle(request), transport.send, runner.run))

    return handler


class _Runner:
    """Runs invocations, each the way its function is written."""

    def __init__(self, client: Client) -> None:
        self._senders = Senders(client.deliver, client.send_signal)
        self._async_senders = Senders(client.deliver_async, client.send_signal_async)

    def run(self, invocation: Invocation) -> Reply:
        if invocation.function.is_async:
            from inngest_serverless.engine.rendezvous import warm_loop

            return warm_loop().run(invocation, self._async_senders)
        return invocation.run(self._senders)
