"""What apps ask of the local engine: to take their functions, events and signals, and for the state of a run.

Source: docs/protocol.md, sections 2, 7 and 9.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from inngest_serverless.errors import InngestError
from inngest_serverless.local.refusals import RefusedError
from inngest_serverless.local.v1_api import cancel, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.local.core import EngineCore

__all__ = ["answer", "answered", "split_target"]

_RESERVED = "inngest/"
_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


def answer(engine: EngineCore, method: str, target: str, body: bytes, *, seed: str | None = None) -> tuple[int, Any]:
    """Answer a request of an app.

    Args:
        engine: The engine.
        method: The method.
        target: The path, perhaps with a query.
        body: The body.
        seed: The header by which events that are sent again get the same IDs.

    Returns:
        The HTTP status, and the JSON document of the reply; None for an empty one.
    """
    path, query = split_target(target)
    return answered(lambda: _answer(engine, method, path, query, body, seed or ""))


def answered(ask: Callable[[], Any]) -> tuple[int, Any]:
    """A document, or the error that comes of asking for it, each with its HTTP status."""
    try:
        return _OK, ask()
    except RefusedError as error:
        status, message = error.status, str(error)
    except InngestError as error:
        status, message = _BAD_REQUEST, str(error)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        status, message = _BAD_REQUEST, repr(error)
    return status, {"error": message, "status": status}


def split_target(target: str) -> tuple[list[str], dict[str, str]]:
    """The parts of a request's path, and its parameters; of several of one name the last."""
    path, _, query = target.partition("?")
    return [unquote(part) for part in path.strip("/").split("/")], dict(parse_qsl(query))


def _answer(engine: EngineCore, method: str, path: list[str], query: dict[str, str], body: bytes, seed: str) -> Any:
    match method, path:
        case "POST", ["e", *_]:
            return _take_events(engine, json.loads(body), seed)
        case "POST", ["fn", "register"]:
            return _register(engine, json.loads(body))
        case "POST", ["v1", "signals"]:
            return _signal(engine, json.loads(body))
        case "GET", ["v0", "runs", run_id, ("batch" | "actions") as part] if run := engine.run_of(run_id):
            return run.events if part == "batch" else dict(run.memos)
        case "GET", ["v1", *rest]:
            return read(engine, rest, query)
        case "DELETE", ["v1", *rest]:
            return cancel(engine, rest)
    raise RefusedError(f"the local engine serves no {method} /{'/'.join(path)}", _NOT_FOUND)


def _take_events(engine: EngineCore, body: Any, seed: str) -> dict[str, Any]:
    events = body if isinstance(body, list) else [body]
    for event in events:
        name = event.get("name")
        # What the engine itself sends, and what a test starts a function with, does not come this way.
        if isinstance(name, str) and name.lower().startswith(_RESERVED):
            raise RefusedError(f"event name is reserved for internal use: {name}")  # the server's own words
        if isinstance(event.get("data"), dict):
            # The server's own field, of an event that is passed on: it says who invoked what.
            event["data"].pop("_inngest", None)
    return {"ids": engine.post(events, seed), "status": _OK}


def _register(engine: EngineCore, body: Any) -> dict[str, Any]:
    # The server reads keys without regard to letter case.
    document = {str(name).lower(): value for name, value in body.items()}
    return {"ok": True, "modified": engine.register(document["functions"], document.get("appname") or "")}


def _signal(engine: EngineCore, body: Any) -> dict[str, Any]:
    run = engine.signal(body["signal"], body.get("data"))
    if run is None:
        raise RefusedError("No signal found", _NOT_FOUND)
    return {"data": {"run_id": run.id}}
