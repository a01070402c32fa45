"""What has changed since a page last asked, so that it can follow hundreds of runs by small replies.

A page asks again and again. Whatever happens in between, a sleeping laptop or a server that starts anew, the next
reply brings it up to date.
"""

from __future__ import annotations

from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.cost import cost_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from inngest_serverless.local.core import EngineCore
    from inngest_serverless.local.cost import Size
    from inngest_serverless.local.history import Received
    from inngest_serverless.local.runs import Run

__all__ = ["Feed", "event_summary", "run_summary"]

# How many things that are gone are remembered for a page that has not asked for long.
_MOST_GONE = 1000
_DOING = {
    "Sleep": "sleeps",
    "WaitForEvent": "waits for",
    "WaitForSignal": "waits for signal",
    "InvokeFunction": "waits for function",
    "Gateway": "waits for a reply to",
    "AIGateway": "waits for the model in",
    "StepPlanned": "runs",
}


class Feed:
    """Follows an engine.

    Args:
        engine: The engine.
        app_state: What the list of functions and all that belongs to it depends on; it is compared with ``==``.

    Attributes:
        instance: Tells this feed from that of the server before or after it.
    """

    def __init__(self, engine: EngineCore, app_state: Callable[[], object]) -> None:
        self.instance: str = token_hex(8)
        self._engine = engine
        self._app_state = app_state
        self._lock = Lock()
        self._stamp = 0
        self._app: object = None
        self._app_stamp = 0
        self._runs = _Stamps()
        self._events = _Stamps()

    def changes(self, instance: str, since: int, size: Size) -> dict[str, Any]:
        """What has changed.

        Args:
            instance: The instance that the page knows; it gets everything if that is another one.
            since: The stamp of the last reply, or 0 for everything.
            size: What to count costs with.

        Returns:
            ``instance`` and ``stamp``, to be given next time; ``is_all``, whether what the page knew before counts no
            more; ``runs`` and ``events`` that are new or have changed; ``gone_runs`` and ``gone_events``, the IDs of
            those that are no longer there; ``app``, a number that changes with the functions; ``now_ms``, the
            engine's time.
        """
        runs, events = self._engine.runs, list(self._engine.history.events.values())
        with self._lock:
            self._look(runs, events)
            forgotten = max(self._runs.forgotten, self._events.forgotten)
            since = since if instance == self.instance and forgotten <= since <= self._stamp else 0
            return {
                "instance": self.instance,
                "stamp": self._stamp,
                "is_all": since == 0,
                "now_ms": self._engine.now_ms(),
                "app": self._app_stamp,
                "runs": [run_summary(run, size) for run in runs if self._runs.changed[run.id] > since],
                "events": [event_summary(each) for each in events if self._events.changed[each.event["id"]] > since],
                "gone_runs": self._runs.gone_since(since),
                "gone_events": self._events.gone_since(since),
            }

    def _look(self, runs: Iterable[Run], events: Iterable[Received]) -> None:
        self._stamp += 1
        changed = self._runs.take({run.id: _run_state(run) for run in runs}, self._stamp)
        changed |= self._events.take({each.event["id"]: len(each.outcomes) for each in events}, self._stamp)
        app = self._app_state()
        if app != self._app:
            self._app, self._app_stamp, changed = app, self._stamp, True
        if not changed:
            self._stamp -= 1


class _Stamps:
    """When each of some things was seen to have changed.

    Attributes:
        changed: The stamp of the last change, by ID.
        forgotten: Up to which stamp it is no longer known what has gone.
    """

    def __init__(self) -> None:
        self.changed: dict[str, int] = {}
        self.forgotten = 0
        self._states: dict[str, Hashable] = {}
        self._gone: dict[str, int] = {}

    def take(self, states: dict[str, Hashable], stamp: int) -> bool:
        """Compare with what was seen before; returns whether anything has changed."""
        news = [key for key, state in states.items() if self._states.get(key) != state]
        gone = self._states.keys() - states.keys()
        self.changed.update(dict.fromkeys(news, stamp))
        self._gone.update(dict.fromkeys(gone, stamp))
        for key in gone:
            del self.changed[key]
        while len(self._gone) > _MOST_GONE:
            self.forgotten = self._gone.pop(next(iter(self._gone)))
        self._states = states
        return bool(news or gone)

    def gone_since(self, stamp: int) -> list[str]:
        return [key for key, at in self._gone.items() if at > stamp]


def _run_state(run: Run) -> Hashable:
    began = sum(pending.began_ms is not None for pending in list(run.pending.values()))
    return run.status, len(run.timeline), len(run.invocations), len(run.pending), began


def run_summary(run: Run, size: Size) -> dict[str, Any]:
    """A run in a list.

    Args:
        run: The run.
        size: What to count its cost with.
    """
    cost = cost_of([call.took_ms for call in list(run.invocations)], size)
    return {
        "id": run.id,
        "function_id": run.function.id,
        "function": run.function.name,
        "event": run.events[0]["name"],
        "event_id": run.events[0]["id"],
        "event_count": len(run.events),
        "status": run.status,
        "doing": _doing(run),
        "queued_ms": run.queued_ms,
        "started_ms": run.started_ms,
        "ended_ms": run.ended_ms,
        "invocations": cost.invocations,
        "billed_ms": cost.billed_ms,
        "usd": cost.usd,
    }


def _doing(run: Run) -> str:
    """What an active run is about, in a few words."""
    if not run.is_active:
        return ""
    retries = [pending for pending in list(run.pending.values()) if pending.attempt]
    if retries:
        return "tries again" if any(pending.began_ms is not None for pending in retries) else "will try again"
    waiting = list(run.open.values())
    if not waiting:
        return "waits for its start" if run.status == "queued" else "runs"
    step = waiting[0]
    others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    subject = step.opts.get("event") if step.op == "WaitForEvent" else None
    return f"{_DOING.get(step.op, step.op)} {subject or step.step}{others}"


def event_summary(received: Received) -> dict[str, Any]:
    """An event in a list, and what became of it."""
    return {
        "id": received.event["id"],
        "name": received.event["name"],
        "at_ms": received.at_ms,
        "outcomes": [
            {"function_id": each.function_id, "kind": each.kind, "run_id": each.run_id, "detail": each.detail}
            for each in list(received.outcomes)
        ],
    }
