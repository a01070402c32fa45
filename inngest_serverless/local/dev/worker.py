"""The program of a Lambda execution environment: loads a target, then calls its handler for each event that comes in.

A line of JSON on stdin is a call: ``{"event", "timeout_seconds"}``. The first line on stdout says what was found, or
``{"failed", "is_missing"}``; each further one is what came of a call: ``{"reply"}``, or ``{"error"}`` in Lambda's form.
What the app itself prints goes to stderr, and its stdin is empty.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import Function
from inngest_serverless.local.lambda_context import LambdaContext
from inngest_serverless.local.schemas import event_schemas
from inngest_serverless.local.targets import NoModuleError, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from inngest_serverless.local.targets import Target

__all__ = ["main"]

_IN, _OUT, _ERR = 0, 1, 2


def main() -> None:
    """Serve until stdin ends: then whoever started this has ended as well."""
    calls, answers = _take_pipes()
    try:
        target = load(sys.argv[1], cwd=Path.cwd())
    except ConfigurationError as error:
        _say(answers, {"failed": str(error), "is_missing": isinstance(error, NoModuleError)})
        return
    _say(answers, _found(target))
    for line in calls:
        call = json.loads(line)
        context = LambdaContext(time.monotonic() + call["timeout_seconds"], aws_request_id=str(uuid4()))
        _say(answers, _outcome(target.handler, call["event"], context))
    # Threads that the app left running end with the environment.
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, out of the app's reach."""
    calls, answers = os.fdopen(os.dup(_IN), "rb"), os.fdopen(os.dup(_OUT), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _IN)
    os.close(nothing)
    os.dup2(_ERR, _OUT)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # nobody has replaced it yet
    return calls, answers


def _say(answers: BinaryIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document).encode() + b"\n")
    answers.flush()


def _found(target: Target) -> dict[str, Any]:
    file = getattr(sys.modules.get(target.module), "__file__", None)
    return {
        "kind": target.kind,
        "module": target.module,
        "attribute": target.attribute,
        "file": str(file or ""),
        "schemas": _schemas(),
    }


def _schemas() -> dict[str, Any]:
    """The schemas of typed events. A handler does not say which functions it has, so it is all that were made."""
    return event_schemas(each for each in gc.get_objects() if issubclass(type(each), Function))


def _outcome(handler: Callable[..., Any], event: Any, context: LambdaContext) -> dict[str, Any]:
    try:
        reply = handler(event, context)
    except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
        traceback.print_exception(error)
        return {"error": _error(type(error).__name__, error)}
    try:
        json.dumps(reply)
    except (TypeError, ValueError, RecursionError) as error:
        return {"error": _error("Runtime.MarshalError", error)}
    return {"reply": reply}


def _error(name: str, error: Exception) -> dict[str, Any]:
    stack = traceback.format_exception(error)
    return {"errorType": name, "errorMessage": str(error), "stackTrace": stack}


if __name__ == "__main__":
    main()
