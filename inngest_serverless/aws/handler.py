"""The Lambda handler. Source: docs/protocol.md, section 1, and the AWS Lambda developer guide on Python handlers."""

from __future__ import annotations

import os

from inngest_serverless.aws.http_events import read_event
from inngest_serverless.aws.http_triggers import find_trigger, make_timer
from inngest_serverless.functions import middleware_list
from inngest_serverless.options import read_deadline
from inngest_serverless.running import make_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Unpack

    from inngest_serverless.functions import Function
    from inngest_serverless.options import HandlerOptions

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
            ``serve_origin`` and ``serve_path``), ``max_body_size`` (bytes), ``middleware``, ``allow_in_band_sync``,
            ``enable_unauthed_sync``, ``deadline`` (False, or how many seconds the caller waits) and ``deadline_margin``
            (seconds). What is not given is read from the environment.

    Returns:
        The handler, to be named in the function's configuration.

    Raises:
        ConfigurationError: The app has no ID, a function is wrong, an option is unknown, wrong or at odds with another,
            or streaming is asked for.

    Source: docs/protocol.md, sections 1 and 10, and docs/deadlines-and-limits.md.
    """
    middleware = [_made(source) for source in middleware_list(options.get("middleware") or ())]
    answer = make_answer(functions, FRAMEWORK, os.environ, {**options, "middleware": middleware})

    times = read_deadline(os.environ, options)
    time_call = None if times is None else make_timer(*times)

    def handler(event: Any, context: Any) -> dict[str, Any]:
        request, write = read_event(event)
        request.trigger = trigger = find_trigger(event)
        if time_call is not None:
            request.deadline = time_call(event, context, trigger)
        return write(answer(request))

    around: Handler = handler
    for source in reversed(middleware):
        # An observer, which also sees Lambda's context and what the handler raises: see observability.py.
        if hasattr(source, "around_handler"):
            around = source.around_handler(around, os.environ)
    return around


def _made(source: Any) -> Any:
    """An observer is one for all calls, also where its class was given."""
    return source() if isinstance(source, type) and hasattr(source, "around_handler") else source
