"""What the page asks the engine for, and what it asks it to do: JSON documents.

Everything that happens here happens in the API's own threads: the engine is only told, by what it offers to other
threads, and what it goes on changing meanwhile is copied.

What users send and return is handed over as JSON in a text: a browser that read it would change large numbers.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from inngest_serverless.local.cost import GB_SECOND_USD, MEMORY_MB, Size, billed_ms
from inngest_serverless.local.page_feed import Feed, event_summary, run_summary
from inngest_serverless.local.page_functions import function_document
from inngest_serverless.local.page_rows import rows_of
from inngest_serverless.local.refusals import RefusedError
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.core import EngineCore
    from inngest_serverless.local.runs import Run

__all__ = ["PageApi"]

_NOT_FOUND = 404

T = TypeVar("T")


class PageApi:
    """The documents of the page.

    Args:
        engine: What it shows.
        schemas: JSON schemas of the data of events, by name; the caller may change them at any time.
        size: What costs are counted with where the page does not say.
    """

    def __init__(self, engine: EngineCore, schemas: Mapping[str, Any], size: Size) -> None:
        self._engine = engine
        self._schemas = schemas
        self._size = size
        self._feed = Feed(engine, lambda: (engine.functions, dict(schemas)))

    def get(self, path: list[str], query: Mapping[str, str]) -> Any:
        """A document.

        Args:
            path: The parts of its path, after ``/page``.
            query: The parameters.

        Raises:
            RefusedError: There is none of that path.
            ValueError: A parameter cannot be read.
            ConfigurationError: Lambda has no functions of that size.
        """
        match path:
            case ["changes"]:
                since = int(query.get("since") or 0)
                return self._feed.changes(query.get("instance", ""), since, self._size_of(query))
            case ["app"]:
                return self._app()
            case ["example"]:
                return self._example(query)
            case ["runs", run_id, *part]:
                return self._part_of(self._run_of(run_id), part, query)
            case ["events", event_id]:
                received = _found(self._engine.history.events.get(event_id), "event")
                return event_summary(received) | {"text": _written(received.event)}
        raise RefusedError(f"the page has no document {'/'.join(path)!r}", _NOT_FOUND)

    def post(self, path: list[str], body: Any) -> dict[str, Any]:
        """Do something.

        Args:
            path: The parts of the action's path, after ``/page``.
            body: A JSON object.

        Raises:
            RefusedError: There is no such action, or nothing to do it with, or the body is not what it needs.
            EngineError: The event has no name.
        """
        if not isinstance(body, dict):
            raise RefusedError("the body must be a JSON object")
        match path:
            case ["events"]:
                return {"event_id": self._engine.post([_event(body)])[0]}
            case ["invoke"]:
                data = _object(body, "data")
                return {"run_id": _found(self._engine.invoke(str(body.get("function_id")), data), "function")}
            case ["signals"]:
                run = self._engine.signal(str(body.get("signal")), body.get("data"))
                return {"run_id": _found(run, "run: none waits for this signal").id}
            case ["runs", run_id, "rerun"]:
                return {"run_id": _found(self._engine.rerun(run_id), "run")}
            case ["runs", run_id, "cancel"]:
                return {"is_cancelled": self._engine.cancel(self._run_of(run_id).id)}
        raise RefusedError(f"the page has no action {'/'.join(path)!r}", _NOT_FOUND)

    def _size_of(self, query: Mapping[str, str]) -> Size:
        default = self._size
        memory_mb = int(query.get("memory_mb") or default.memory_mb)
        return Size(memory_mb, query.get("architecture") or default.architecture)

    def _run_of(self, run_id: str) -> Run:
        return _found(self._engine.run_of(run_id), "run")

    def _app(self) -> dict[str, Any]:
        now_ms = self._engine.now_ms()
        return {
            "version": __version__,
            "functions": [function_document(each, now_ms) for each in self._engine.functions.values()],
            "schemas": dict(self._schemas),
            "memory_mb": self._size.memory_mb,
            "memory_limits_mb": MEMORY_MB,
            "architecture": self._size.architecture,
            "architectures": list(GB_SECOND_USD),
        }

    def _part_of(self, run: Run, part: list[str], query: Mapping[str, str]) -> Any:
        match part:
            case []:
                return self._run(run, self._size_of(query))
            case ["events"]:
                return {
                    "count": len(run.events),
                    "text": _written(run.events[0] if len(run.events) == 1 else run.events),
                }
            case ["steps", key] if key in run.memos:
                return _result(run.memos[key])
        raise RefusedError(f"a run has no {'/'.join(part)!r}", _NOT_FOUND)

    def _run(self, run: Run, size: Size) -> dict[str, Any]:
        rows = [asdict(row) | {"has_memo": row.key in run.memos} for row in rows_of(run)]
        return run_summary(run, size) | {
            "now_ms": self._engine.now_ms(),
            "max_attempts": run.function.max_attempts,
            "output": _written(run.output) if run.status == "completed" else None,
            "error": run.error,
            "note": next((each.detail for each in run.timeline[::-1] if each.kind in {"Cancelled", "Queued"}), ""),
            "rows": rows,
            "calls": [asdict(call) | {"billed_ms": billed_ms(call.took_ms)} for call in list(run.invocations)],
            "children": self._children(run),
        }

    def _children(self, run: Run) -> dict[str, str]:
        """The runs that a run has invoked, by the hash of the step that did."""
        prefix = f"{run.id}."
        children: dict[str, str] = {}
        for other in self._engine.runs:
            origin = other.events[0].get("data")
            own = origin.get("_inngest") if isinstance(origin, dict) else None
            name = own.get("correlation_id") if isinstance(own, dict) else None
            if isinstance(name, str) and name.startswith(prefix):
                children[name.removeprefix(prefix)] = other.id
        return children

    def _example(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What to put into a form: an event, the last one of a name, or what a function was last started with."""
        if function_id := query.get("function_id"):
            for run in reversed(self._engine.runs):
                if run.function.id == function_id:
                    return _sendable(run.events[0])
            return {}
        for received in reversed(list(self._engine.history.events.values())):
            if query.get("event_id") == received.event["id"] or query.get("event") == received.event["name"]:
                return _sendable(received.event)
        return {}


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _result(memo: Any) -> dict[str, Any]:
    """A step's result: what it returned, or the event that it waited for; no text for what has none."""
    if memo is None or (isinstance(memo, dict) and memo.keys() == {"error"}):
        return {"text": None, "is_error": memo is not None}
    is_data = isinstance(memo, dict) and memo.keys() == {"data"}
    return {"text": _written(memo["data"] if is_data else memo), "is_error": False}


def _sendable(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    # The server's own field, which tells who invoked a function.
    own = {key: value for key, value in data.items() if key != "_inngest"} if isinstance(data, dict) else {}
    return {"data": _written(own)} | ({"user": _written(event["user"])} if event.get("user") else {})


def _event(body: dict[str, Any]) -> dict[str, Any]:
    known = {key: body[key] for key in ("name", "data", "user", "id", "ts", "v") if body.get(key) is not None}
    return known | {"data": _object(body, "data")}


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise RefusedError(f"{name} must be a JSON object")
    return value or {}


def _found(value: T | None, what: str) -> T:
    if value is None:
        raise RefusedError(f"there is no such {what}", _NOT_FOUND)
    return value
