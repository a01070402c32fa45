"""The recorded app as Google Cloud Functions: each handler of recorded_app and recorded_app_async, in both forms.

functions-framework loads this file; ``adapters`` names the handlers.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import long_and_large_app
import recorded_app
import recorded_app_async

from inngest_serverless import inngest_gcf, inngest_gcf_async

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask
    from starlette.requests import Request

SYNC: dict[str, Any] = {"functions": recorded_app.FUNCTIONS, "app_id": recorded_app.APP_ID}
ASYNC: dict[str, Any] = {"functions": recorded_app_async.FUNCTIONS, "app_id": recorded_app.APP_ID}
SMALL: dict[str, Any] = {**SYNC, "max_body_size": recorded_app.SMALL_BODY}
LARGE: dict[str, Any] = {"functions": long_and_large_app.FUNCTIONS, "app_id": recorded_app.APP_ID}
OPTIONS = {
    "long_and_large_app_handler": LARGE,
    "recorded_app_handler": SYNC,
    "recorded_app_async_handler": ASYNC,
    "recorded_app_handler_of_small_bodies": SMALL,
}

recorded_app_handler = inngest_gcf(**SYNC)
recorded_app_async_handler = inngest_gcf(**ASYNC)
recorded_app_handler_of_small_bodies = inngest_gcf(**SMALL)

long_and_large_app_handler = inngest_gcf(**LARGE)

asgi_long_and_large_app_handler = inngest_gcf_async(**LARGE)
asgi_recorded_app_handler = inngest_gcf_async(**SYNC)
asgi_recorded_app_async_handler = inngest_gcf_async(**ASYNC)
asgi_recorded_app_handler_of_small_bodies = inngest_gcf_async(**SMALL)


def switchboard(request: flask.Request) -> Any:
    """Any of the handlers, as it is in an environment that a header names: several apps in one process."""
    return _handler(inngest_gcf, request.headers["X-Switchboard"])(request)


async def asgi_switchboard(request: Request) -> Any:
    """As ``switchboard``, over ASGI."""
    return await _handler(inngest_gcf_async, request.headers["X-Switchboard"])(request)


@cache
def _handler(make: Callable[..., Any], settings: str) -> Any:
    name, variables, _number = json.loads(settings)
    with patch.dict(os.environ, variables):
        return make(**OPTIONS[name])
