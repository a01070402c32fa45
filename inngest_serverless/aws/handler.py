"""The Lambda handler. Source: docs/protocol.md, section 1, and the AWS Lambda developer guide on Python handlers."""

from __future__ import annotations

import os
import time

from inngest_serverless.aws.http_events import read_event
from inngest_serverless.client import Client
from inngest_serverless.config import Settings
from inngest_serverless.engine.plans import Senders
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.serve import App
from inngest_serverless.transport import Transport, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.functions import Function
    from inngest_serverless.protocol.exchange import Reply

    Handler = Callable[[Any, Any], dict[str, Any]]

__all__ = ["inngest_lambda"]

FRAMEWORK = "aws-lambda"


def inngest_lambda(functions: Iterable[Function[Any]], *, streaming: bool = False, **options: Any) -> Handler:
    """Make the handler of a Lambda function that serves durable functions.

    It takes the events of function URLs, HTTP APIs (payload 1.0 and 2.0), REST APIs and application load balancers.

    Args:
        functions: The functions to serve.
        streaming: Refused if true: each invocation answers with one step.
        **options: ``app_id``, ``app_version``, ``signing_key``, ``signing_key_fallback``, ``event_key``, ``env``,
            ``is_dev``, ``api_origin``, ``event_api_origin``, ``serve_origin``, ``serve_path``, ``max_body_size``,
            ``allow_in_band_sync``; what is not given is read from the environment.

    Returns:
        The handler, to be named in the function's configuration.

    Raises:
        ConfigurationError: The app has no ID, a function is wrong, an option is unknown, or streaming is asked for.

    Source: docs/protocol.md, sections 1 and 10.
    """
    if streaming:
        raise ConfigurationError(
            "streaming=True: this toolkit answers each call with one step and never streams; leave it out, "
            "and set InvokeMode to BUFFERED"
        )
    settings = Settings.from_env(os.environ, **options)
    app = App(settings, functions, FRAMEWORK, time.time)
    transport = Transport()
    runner = _Runner(Client.from_settings(settings, transport))

    def handler(event: Any, _context: Any) -> dict[str, Any]:
        request, write = read_event(event)
        return write(drive(app.handle(request), transport.send, runner.run))

    return handler


class _Runner:
    """Runs invocations, each the way its function is written."""

    def __init__(self, client: Client) -> None:
        self._senders = Senders(client.send_many, client.send_signal)
        self._async_senders = Senders(client.send_many_async, client.send_signal_async)

    def run(self, invocation: Invocation) -> Reply:
        if invocation.function.is_async:
            from inngest_serverless.engine.rendezvous import warm_loop

            return warm_loop().run(invocation, self._async_senders)
        return invocation.run(self._senders)
