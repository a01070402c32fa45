"""Functions for the page: their triggers, and their flow control in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.schedules import next_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.local.flow import Batching, Cancelling, Debouncing, Flow, Lane, Pace
    from inngest_serverless.local.runs import Registered

__all__ = ["function_document"]

_SECOND_MS, _MINUTE_MS = 1_000, 60_000
_SCOPES = {"fn": "", "env": " in the environment", "account": " in the account"}


def function_document(function: Registered, now_ms: int) -> dict[str, Any]:
    """A function.

    Args:
        function: It, as it was synced.
        now_ms: The time, in Unix milliseconds; what is due next is counted from it.
    """
    return {
        "id": function.id,
        "name": function.name,
        "url": function.url,
        "retries": function.max_attempts - 1,
        "triggers": [trigger | _due(trigger, now_ms) for trigger in function.triggers],
        "flow": [{"name": name, "text": text} for name, text in _flow(function.flow)],
    }


def _due(trigger: dict[str, Any], now_ms: int) -> dict[str, Any]:
    if not trigger.get("cron"):
        return {}
    try:
        return {"next_ms": next_ms(trigger["cron"], now_ms)}
    except ConfigurationError:
        return {"next_ms": None}


def _flow(flow: Flow) -> Iterator[tuple[str, str]]:
    yield from (("concurrency", _lane(lane)) for lane in flow.lanes)
    yield from (("throttle", _pace(pace)) for pace in [flow.throttle] if pace is not None)
    yield from (("rate limit", _pace(pace)) for pace in [flow.rate_limit] if pace is not None)
    yield from (("debounce", _debounce(debounce)) for debounce in [flow.debounce] if debounce is not None)
    yield from (("batch", _batch(batch)) for batch in [flow.batch] if batch is not None)
    yield from (("cancel", _cancel(cancel)) for cancel in flow.cancels)
    if flow.singleton is not None:
        yield "singleton", f"{flow.singleton.mode}{_by(flow.singleton.key)}"
    yield from ((name, text) for name, text in (("priority", flow.priority), ("idempotency", flow.idempotency)) if text)
    limits = (("to start", flow.start_ms), ("to finish", flow.finish_ms))
    yield from (("timeout", f"{_time(millis)} {what}") for what, millis in limits if millis is not None)


def _debounce(debounce: Debouncing) -> str:
    latest = f", {_time(debounce.timeout_ms)} at the latest" if debounce.timeout_ms is not None else ""
    return f"{_time(debounce.period_ms)} without an event{latest}{_by(debounce.key)}"


def _batch(batch: Batching) -> str:
    condition = f" if {batch.condition}" if batch.condition else ""
    return f"up to {batch.max_size} events in {_time(batch.timeout_ms)}{_by(batch.key)}{condition}"


def _cancel(cancel: Cancelling) -> str:
    condition = f" if {cancel.condition}" if cancel.condition else ""
    until = f", within {_time(cancel.timeout_ms)}" if cancel.timeout_ms is not None else ""
    return f"on {cancel.event}{condition}{until}"


def _lane(lane: Lane) -> str:
    return f"{lane.limit or 'no limit'} at once{_by(lane.key)}{_SCOPES.get(lane.scope, '')}"


def _pace(pace: Pace) -> str:
    at_once = f", {pace.capacity} at once after a rest" if pace.capacity > 1 else ""
    return f"one run each {_time(pace.interval_ms)}{at_once}{_by(pace.key)}"


def _by(key: str | None) -> str:
    return f" for each {key}" if key else ""


def _time(millis: float) -> str:
    """A duration, by its largest units: ``"1.5 s"``, ``"2 h 30 min"``."""
    if millis < _MINUTE_MS:
        return f"{millis / _SECOND_MS:g} s" if millis >= _SECOND_MS else f"{millis:g} ms"
    words: list[str] = []
    left = round(millis)
    for unit, size in (("d", 24 * 60 * _MINUTE_MS), ("h", 60 * _MINUTE_MS), ("min", _MINUTE_MS), ("s", _SECOND_MS)):
        count, left = divmod(left, size)
        words += [f"{count} {unit}"] if count else []
    return " ".join(words)
