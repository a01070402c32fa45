"""Runs of functions whose handler is being observed, with the context that Lambda gives."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

sys.path += [path for path in [str(Path(__file__).parents[1])] if path not in sys.path]

from engine_server import Both, Do, Server, both, declare
from surface import ROOT, loaded_modules

from inngest_serverless import inngest_lambda

__all__ = ["ROOT", "SECRET", "Both", "Do", "Observed", "both", "declare", "failing", "loaded_modules", "two_steps"]

SECRET = "4111-1111-1111-1111"


class Observed(Server):
    """One run of a function that is served with middleware.

    Args:
        middleware: The handler's.
        around: What the user puts around the handler.
        **options: Of the handler.
    """

    def __init__(self, fn, *middleware, around=None, data=None, **options):
        super().__init__(fn, data=data)
        self.served = inngest_lambda([fn], **{"app_id": "app", "is_dev": True, "middleware": middleware, **options})
        if around is not None:
            self.served = around(self.served)
        numbers = count(1)
        self.handler = lambda event, _: self.served(event, SimpleNamespace(aws_request_id=f"request-{next(numbers)}"))


def two_steps(ctx):
    """A step, a nap, a step, an end."""
    yield Do("run", "charge", lambda: {"card": SECRET})
    yield Do("sleep", "nap", "1s")
    yield Do("run", "ship", lambda: "shipped")
    return {"card": ctx.event.data.get("card")}


def failing(ctx):
    """A step that fails with a message that gives away too much."""

    def fail():
        raise LookupError(f"no such card: {SECRET}")

    yield Do("run", "charge", fail)
