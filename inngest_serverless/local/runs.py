"""What the local engine knows of functions and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Moment", "OpenStep", "Registered", "Run"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A function as it was synced.

    Attributes:
        id: The composite ID.
        name: The name to show.
        url: Where to call it.
        triggers: Its triggers, as registered.
        max_attempts: All tries of a step.
    """

    id: str
    name: str
    url: str
    triggers: tuple[dict[str, Any], ...]
    max_attempts: int

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Registered:
        """A function from its registration."""
        step = document["steps"]["step"]
        attempts = (step.get("retries") or {}).get("attempts", 3)
        return cls(
            id=document["id"],
            name=document.get("name") or document["id"],
            url=step["runtime"]["url"],
            triggers=tuple(document.get("triggers") or ()),
            max_attempts=attempts + 1,
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened in a run.

    Attributes:
        at_ms: When, in milliseconds of the engine's clock.
        kind: The opcode, or ``"Started"``, ``"Woke"``, ``"Received"``, ``"TimedOut"``, ``"Returned"``, ``"Failed"``.
        step: The step's ID in the code, or "" for the function itself.
        attempt: Which try it was, from 0.
        detail: A short text: a duration, an event's name, an error.
        took_ms: How long the call took, in milliseconds of the wall clock; 0 where there was none.
    """

    at_ms: int
    kind: str
    step: str = ""
    attempt: int = 0
    detail: str = ""
    took_ms: float = 0.0


@dataclass(slots=True)
class OpenStep:
    """A step that the engine has to finish.

    Attributes:
        key: Its hash.
        step: Its ID in the code.
        op: Its opcode.
        opts: Its options.
    """

    key: str
    step: str
    op: str
    opts: dict[str, Any]


@dataclass(slots=True)
class Run:
    """A run of a function.

    Attributes:
        id: Its ID.
        function: The function.
        events: What started it.
        status: ``"running"``, ``"completed"`` or ``"failed"``.
        output: What the function returned.
        error: ``{name, message, stack}`` of a failed run.
        memos: Results by step hash.
        order: Hashes in the order of completion.
        open: Steps that have not finished, by hash.
        timeline: What happened, in order.
        calls: How often the function was called.
    """

    id: str
    function: Registered
    events: list[dict[str, Any]]
    status: str = "running"
    output: Any = None
    error: dict[str, Any] | None = None
    memos: dict[str, Any] = field(default_factory=dict[str, Any])
    order: list[str] = field(default_factory=list[str])
    open: dict[str, OpenStep] = field(default_factory=dict[str, OpenStep])
    timeline: list[Moment] = field(default_factory=list[Moment])
    calls: int = 0

    @property
    def steps(self) -> list[str]:
        """The IDs of the steps that finished, in the order of completion."""
        done = {"StepRun", "StepFailed", "Woke", "Received", "TimedOut", "Invoked"}
        return [moment.step for moment in self.timeline if moment.kind in done]
