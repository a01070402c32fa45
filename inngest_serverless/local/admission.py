"""What stands between an event and a run: duplicates, rate limits, batches and debouncing.

Source: docs/protocol.md, sections 7 and 9.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.conditions import holds, key_of
from inngest_serverless.local.pace import Paces

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.flow import Batching, Debouncing
    from inngest_serverless.local.history import History
    from inngest_serverless.local.runs import Registered, Run

    Key = tuple[str, str]
    Start = Callable[[Registered, list[dict[str, Any]]], Run | None]
    Refuse = Callable[[Registered, dict[str, Any], str], None]

__all__ = ["Admission"]

_DAY_MS = 24 * 3600 * 1000


@dataclass(slots=True)
class _Batch:
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(slots=True)
class _Bounce:
    first_ms: int
    event: dict[str, Any]
    turn: int = 0


class Admission:
    """Decides when an event starts a run of a function, and whether it does.

    Args:
        agenda: When things are due.
        history: Where to note what became of an event.
        start: Starts a run for events.
        refuse: Told of an event that starts none, and why.
    """

    def __init__(self, agenda: Agenda, history: History, start: Start, refuse: Refuse) -> None:
        self._agenda = agenda
        self._history = history
        self._start = start
        self._refuse = refuse
        # Ordered, so that the oldest is found at once, however many have gone before it.
        self._seen_ms: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._paces = Paces()
        self._batches: dict[Key, _Batch] = {}
        self._bounces: dict[Key, _Bounce] = {}

    def admit(self, function: Registered, event: dict[str, Any]) -> Run | None:
        """Let an event start a run, now or later, alone or with others; returns the run if it is now."""
        flow, now_ms = function.flow, self._agenda.now_ms
        self._forget(now_ms - _DAY_MS)
        event_key = (function.id, "id", event["id"])
        if event_key in self._seen_ms:
            self._refuse(function, event, "an event with this ID has come before")
            return None
        self._seen_ms[event_key] = now_ms
        # What is batched is not limited.
        if flow.batch is not None and holds(flow.batch.condition, event, owner=function.id):
            return self._collect(function, flow.batch, event)
        return self.admit_turn(function, event)

    def admit_turn(self, function: Registered, event: dict[str, Any]) -> Run | None:
        """As ``admit``, for the turn of a schedule, which is never batched and comes once."""
        if (reason := self._limit(function, event)) is not None:
            self._refuse(function, event, reason)
            return None
        flow = function.flow
        if flow.debounce is not None:
            self._bounce(function, flow.debounce, event)
            return None
        return self._start(function, [event])

    def _limit(self, function: Registered, event: dict[str, Any]) -> str | None:
        """Why an event may start nothing now, or None."""
        flow, now_ms = function.flow, self._agenda.now_ms
        self._forget(now_ms - _DAY_MS)
        value = key_of(flow.idempotency, event, function.id) if flow.idempotency else ""
        value_key = (function.id, "key", value)
        if value and value_key in self._seen_ms:
            return f"idempotency: {flow.idempotency} has had this value before"
        limit = None if flow.idempotency else flow.rate_limit  # the one takes the place of the other
        if limit is not None and self._paces.take((function.id, key_of(limit.key, event, function.id)), limit, now_ms):
            return "rate limit"
        if value:
            self._seen_ms[value_key] = now_ms
        return None

    def _forget(self, until_ms: int) -> None:
        """Forget what was seen at an instant and before it; the oldest comes first."""
        while self._seen_ms and self._seen_ms[oldest := next(iter(self._seen_ms))] <= until_ms:
            del self._seen_ms[oldest]

    def _collect(self, function: Registered, batching: Batching, event: dict[str, Any]) -> Run | None:
        key = (function.id, key_of(batching.key, event, function.id))
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = _Batch()
            self._agenda.after(
                batching.timeout_ms,
                lambda: self._end_batch(function, key, batch),
                is_over=lambda: self._batches.get(key) is not batch,
            )
        batch.events.append(event)
        if len(batch.events) >= batching.max_size:
            return self._end_batch(function, key, batch)
        self._history.note(function, event, "batched", f"{len(batch.events)} of {batching.max_size}")
        return None

    def _end_batch(self, function: Registered, key: Key, batch: _Batch) -> Run | None:
        del self._batches[key]
        return self._start(function, batch.events)

    def _bounce(self, function: Registered, debouncing: Debouncing, event: dict[str, Any]) -> None:
        key, now_ms = (function.id, key_of(debouncing.key, event, function.id)), self._agenda.now_ms
        bounce = self._bounces.setdefault(key, _Bounce(now_ms, event))
        bounce.event = event
        bounce.turn += 1
        delay_ms = debouncing.period_ms
        if debouncing.timeout_ms is not None:
            delay_ms = min(delay_ms, bounce.first_ms + debouncing.timeout_ms - now_ms)
        self._history.note(function, event, "debounced")
        turn = bounce.turn
        self._agenda.after(
            delay_ms, lambda: self._end_bounce(function, key, bounce), is_over=lambda: bounce.turn != turn
        )

    def _end_bounce(self, function: Registered, key: Key, bounce: _Bounce) -> None:
        del self._bounces[key]
        self._start(function, [bounce.event])
