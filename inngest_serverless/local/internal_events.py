"""The events that the server itself sends: a function was invoked, has finished, has failed, was cancelled.

Source: docs/protocol.md, sections 4 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.failures import FAILED_EVENT
from inngest_serverless.local.ids import function_uuid

if TYPE_CHECKING:
    from inngest_serverless.local.runs import ReportedStep, Run

__all__ = ["TIMER_EVENT", "ending_events", "error_memo", "invocation_event", "invocation_memo"]

FINISHED_EVENT = "inngest/function.finished"
INVOKED_EVENT = "inngest/function.invoked"
CANCELLED_EVENT = "inngest/function.cancelled"
TIMER_EVENT = "inngest/scheduled.timer"
_ENDINGS = {FAILED_EVENT, FINISHED_EVENT, CANCELLED_EVENT}
_STATUS_WORDS = {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled"}


def invocation_event(run: Run, step: ReportedStep, expires_ms: int) -> dict[str, Any]:
    """What starts an invoked function.

    Args:
        run: The run that invokes it.
        step: The step that does.
        expires_ms: When nobody waits for it any more, in Unix milliseconds.
    """
    payload = step.opts.get("payload") or {}
    origin = {
        "correlation_id": f"{run.id}.{step.key}",
        "expire": expires_ms,
        "fn_id": step.opts.get("function_id"),
        "name": step.step,
        "source_fn_id": function_uuid(run.function.id),
        "source_fn_v": 1,
    }
    event = {"name": INVOKED_EVENT, "data": {**(payload.get("data") or {}), "_inngest": origin}}
    return event | {name: payload[name] for name in ("user", "v") if payload.get(name) is not None}


def invocation_memo(child: Run) -> dict[str, Any]:
    """What an invoked function's run leaves to the step that invoked it."""
    return {"data": child.output} if child.error is None else {"error": child.error}


def error_memo(name: str, message: str) -> dict[str, Any]:
    """What is left to a step that could not invoke a function, or got no result of it in time."""
    return {"error": {"name": name, "message": message}}


def ending_events(run: Run, reason: str) -> list[dict[str, Any]]:
    """What is sent when a run has ended: nothing for one that such an event has started, or there would be no end.

    Args:
        run: The run.
        reason: The server's own words for why it failed or was cancelled.
    """
    if run.events[0]["name"] in _ENDINGS:
        return []
    data: dict[str, Any] = {
        "_inngest": {"status": _STATUS_WORDS[run.status]},
        "event": run.events[0],
        "events": run.events,
        "function_id": run.function.id,
        "run_id": run.id,
    }
    if run.error is not None:
        data |= {"error": {"error": reason, **run.error}, "result": run.error}
    else:
        data["result"] = run.output
    finished = {"name": FINISHED_EVENT, "data": data}
    if run.status == "completed":
        return [finished]
    # The run's ID as the event's: however often it is sent, it counts once.
    name = FAILED_EVENT if run.status == "failed" else CANCELLED_EVENT
    return [finished, {"id": run.id, "name": name, "data": data}]
