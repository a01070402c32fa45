"""The official server's REST API as far as apps and their tests need it: events, runs, and their cancellation.

Source: https://api-docs.inngest.com and the open-source server's ``pkg/api/apiv1``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.ids import function_uuid
from inngest_serverless.local.internal_events import TIMER_EVENT
from inngest_serverless.local.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.core import EngineCore
    from inngest_serverless.local.history import Received
    from inngest_serverless.local.runs import Run

__all__ = ["cancel", "read"]

_DEFAULT_EVENTS, _MOST_EVENTS = 20, 100
_NO_ID = "00000000-0000-0000-0000-000000000000"
_NOT_FOUND = 404
_STATUS_WORDS = {
    "queued": "Scheduled",
    "running": "Running",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}


def read(engine: EngineCore, path: list[str], query: Mapping[str, str]) -> dict[str, Any]:
    """A document.

    Args:
        engine: What it is about.
        path: The parts of the path, after ``/v1``.
        query: The parameters.

    Raises:
        RefusedError: There is none of that path.
        ValueError: A parameter cannot be read.
    """
    match path:
        case ["events"]:
            return _wrapped(_events(engine, query))
        case ["events", event_id]:
            received = engine.history.events.get(event_id)
            if received is None:
                raise RefusedError("Event not found", _NOT_FOUND)
            return _wrapped(_event(received))
        case ["events", event_id, "runs"]:
            return _wrapped([_run(run) for run in engine.runs_of(event_id)])
        case ["runs", run_id]:
            return _wrapped(_run(_found(engine, run_id)))
    raise RefusedError(f"the local engine serves no GET /v1/{'/'.join(path)}", _NOT_FOUND)


def cancel(engine: EngineCore, path: list[str]) -> None:
    """Cancel a run; nothing happens if it has ended.

    Args:
        engine: The engine.
        path: The parts of the path, after ``/v1``.

    Raises:
        RefusedError: There is no such run, or that is no path of a run.
    """
    match path:
        case ["runs", run_id]:
            engine.cancel(_found(engine, run_id).id)
        case _:
            raise RefusedError(f"the local engine serves no DELETE /v1/{'/'.join(path)}", _NOT_FOUND)


def _found(engine: EngineCore, run_id: str) -> Run:
    run = engine.run_of(run_id)
    if run is None:
        raise RefusedError(f"Unable to load function run: {run_id}", _NOT_FOUND)
    return run


def _wrapped(data: Any) -> dict[str, Any]:
    """Data in the envelope of all replies."""
    return {"data": data, "metadata": {"fetched_at": _written(datetime.now(UTC)), "cached_until": None}}


def _run(run: Run) -> dict[str, Any]:
    """A run. The output of one that has failed or was cancelled is its error."""
    document: dict[str, Any] = {
        "run_id": run.id,
        "run_started_at": _rfc3339(run.queued_ms if run.started_ms is None else run.started_ms),
        "function_id": function_uuid(run.function.id),
        "function_version": 1,
        "environment_id": _NO_ID,
        "event_id": run.events[0]["id"],
        "status": _STATUS_WORDS[run.status],
        "ended_at": None if run.ended_ms is None else _rfc3339(run.ended_ms),
    }
    if run.events[0]["name"] == TIMER_EVENT:
        document["cron"] = run.events[0]["data"].get("cron")
    if not run.is_active:
        document["output"] = run.output if run.error is None else run.error
    return document


def _event(received: Received) -> dict[str, Any]:
    """An event."""
    own = {
        "internal_id": received.event["id"],
        "account_id": _NO_ID,
        "environment_id": _NO_ID,
        "source": "",
        "source_id": None,
        "received_at": _rfc3339(received.at_ms),
    }
    return own | received.event


def _events(engine: EngineCore, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Events, the newest first.

    Args:
        engine: What has taken them.
        query: ``name``; ``received_after`` and ``received_before``, as RFC 3339; ``cursor``, the ID of the last event
            that is known; ``limit``.
    """
    limit = min(max(int(query.get("limit") or _DEFAULT_EVENTS), 1), _MOST_EVENTS)
    after, before = _millis(query.get("received_after")), _millis(query.get("received_before"))
    found = [
        received
        for received in reversed(list(engine.history.events.values()))
        if query.get("name", received.event["name"]) == received.event["name"]
        and (after is None or received.at_ms >= after)
        and (before is None or received.at_ms <= before)
    ]
    if cursor := query.get("cursor"):
        ids = [received.event["id"] for received in found]
        found = found[ids.index(cursor) + 1 :] if cursor in ids else []
    return [_event(received) for received in found[:limit]]


def _rfc3339(millis: int) -> str:
    """An instant in Unix milliseconds, as the server writes it."""
    return _written(datetime.fromtimestamp(millis / 1000, UTC))


def _written(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _millis(text: str | None) -> float | None:
    if not text:
        return None
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000
