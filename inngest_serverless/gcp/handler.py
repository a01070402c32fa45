"""The handlers of Google Cloud Functions, over WSGI and over ASGI.

Source: docs/protocol.md, section 1, and the documentation of functions-framework.
"""

from __future__ import annotations

import os
from time import monotonic

from inngest_serverless.config import DEFAULT_MAX_BODY_SIZE
from inngest_serverless.engine.deadline import Deadline
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.gcp.http_requests import read_body, read_flask, read_starlette
from inngest_serverless.options import read_deadline
from inngest_serverless.running import make_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any, Unpack

    import flask
    import starlette.requests
    import starlette.responses

    from inngest_serverless.functions import Function
    from inngest_serverless.options import HandlerOptions

    Handler = Callable[[flask.Request], tuple[bytes, int, dict[str, str]]]
    AsyncHandler = Callable[[starlette.requests.Request], Coroutine[Any, Any, starlette.responses.Response]]

__all__ = ["inngest_gcf", "inngest_gcf_async"]

FRAMEWORK = "google-cloud-functions"

# Cloud Run's own default for the requests that an instance is given at once.
_THREADS = 80
_BAD_REQUEST = 400


def inngest_gcf(functions: Iterable[Function[Any]] | None = None, **options: Unpack[HandlerOptions]) -> Handler:
    """Make the handler of a Cloud Function with an HTTP trigger that serves durable functions.

    It is for functions-framework as it is, which takes each request in a thread. Sync and async functions run in that
    thread, async ones on an event loop that the thread keeps, and nothing is left running once it has the reply.

    Args:
        functions: The functions to serve; those that were given to ``register`` if there are none.
        **options: As for ``inngest_lambda``. The app's ID is the service's name (K_SERVICE) if there is no other.

    Returns:
        The function to deploy: takes a ``flask.Request`` and returns a body, a status and headers.

    Raises:
        ConfigurationError: The app has no ID, a function is wrong, an option is unknown, wrong or at odds with another,
            or streaming is asked for.

    Source: docs/protocol.md, sections 1 and 10, and docs/deploy-gcp.md.
    """
    answer = make_answer(functions, FRAMEWORK, os.environ, options)
    service = os.environ.get("K_SERVICE", "")
    time_call = _make_timer(options)
    most_bytes = options.get("max_body_size") or DEFAULT_MAX_BODY_SIZE

    def handler(request: flask.Request) -> tuple[bytes, int, dict[str, str]]:
        deadline = time_call()
        call = read_flask(request, service, most_bytes)
        call.deadline = deadline
        reply = answer(call)
        return reply.body.encode(), reply.status, reply.headers

    return handler


def inngest_gcf_async(
    functions: Iterable[Function[Any]] | None = None, *, threads: int = _THREADS, **options: Unpack[HandlerOptions]
) -> AsyncHandler:
    """Make the handler of a Cloud Function that functions-framework serves over ASGI (``--asgi``, FUNCTION_USE_ASGI).

    The server's event loop only passes requests on: calls run in threads, those of async functions on an event loop
    that the thread keeps. So no function, sync or async, keeps the server from its other requests.

    Args:
        functions: The functions to serve; those that were given to ``register`` if there are none.
        threads: How many calls run at once; others wait. They are started as they are needed, so it may be as large as
            the concurrency that the service is deployed with, and should be.
        **options: As for ``inngest_gcf``.

    Returns:
        The function to deploy: takes a ``starlette.requests.Request`` and returns a ``starlette.responses.Response``.

    Raises:
        ConfigurationError: As ``inngest_gcf`` does, or ``threads`` is no positive number.

    Source: docs/protocol.md, sections 1 and 10, and docs/deploy-gcp.md.
    """
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigurationError("option threads must be a number of calls, 1 or more")
    from asyncio import get_running_loop
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    answer = make_answer(functions, FRAMEWORK, os.environ, options)
    service = os.environ.get("K_SERVICE", "")
    time_call = _make_timer(options)
    most_bytes = options.get("max_body_size") or DEFAULT_MAX_BODY_SIZE
    # It starts no thread before the first call, so that the server may still fork.
    pool = ThreadPoolExecutor(threads, thread_name_prefix="inngest")

    async def handler(request: starlette.requests.Request) -> starlette.responses.Response:
        from starlette.requests import ClientDisconnect
        from starlette.responses import Response

        deadline = time_call()
        try:
            body = await read_body(request, most_bytes)
        except ClientDisconnect:
            # Nobody is there to read it; but raised, it would be an error in the logs, at any stranger's will.
            return Response(status_code=_BAD_REQUEST)
        call = read_starlette(request, body, service)
        call.deadline = deadline
        # The thread goes on with what the framework knows of the request, its execution ID say.
        context = copy_context()
        reply = await get_running_loop().run_in_executor(pool, lambda: context.run(answer, call))
        return Response(reply.body, reply.status, reply.headers)

    return handler


def _make_timer(options: HandlerOptions) -> Callable[[], Deadline | None]:
    """What says when a call has to be answered; it begins with the request, as the service's own timeout does."""
    times = read_deadline(os.environ, options)
    if times is None:
        return lambda: None
    waits, margin = times
    if waits is None:
        told = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS", "")
        if not told.isdecimal() or not int(told):
            return lambda: None
        waits = int(told)
    advice = f"the service waits for {waits:g} s, so raise its request timeout (--timeout), and INNGEST_DEADLINE if set"
    return lambda: Deadline(monotonic() + waits, margin, advice)
