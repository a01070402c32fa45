"""What the local engine knows of functions and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inngest_serverless.errors import ConfigurationError, InngestError

__all__ = ["FIRST_CALL", "EngineError", "Moment", "Registered", "ReportedStep", "Run", "State"]

FIRST_CALL = -1
_DEFAULT_RETRIES = 4


class EngineError(InngestError):
    """A function answered what the protocol does not know, or a run cannot go on: the message says why."""


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
    def from_json(cls, document: Any) -> Registered:
        """A function from its registration.

        Raises:
            ConfigurationError: It has no ID or no URL.
        """
        try:
            step = document["steps"]["step"]
            retries = (step.get("retries") or {}).get("attempts", _DEFAULT_RETRIES)
            return cls(
                id=document["id"],
                name=document.get("name") or document["id"],
                url=step["runtime"]["url"],
                triggers=tuple(document.get("triggers") or ()),
                max_attempts=retries + 1,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"a function's registration cannot be read: {error!r} in {document!r}") from None


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened in a run.

    Attributes:
        at_ms: When, in milliseconds of the engine's clock.
        kind: The opcode, or ``"Started"``, ``"Woke"``, ``"Received"``, ``"TimedOut"``, ``"Invoked"``, ``"Answered"``,
            ``"Retrying"``, ``"Returned"``, ``"Failed"``. A ``StepError`` is tried again, a ``StepFailed`` is not.
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


@dataclass(frozen=True, slots=True)
class ReportedStep:
    """A step as a call reported it.

    Attributes:
        key: Its hash.
        step: Its ID in the code.
        op: Its opcode.
        name: What the opcode has as its name: SDKs other than this one may put a duration or an event's name there.
        opts: Its options.
        data: Its result.
        error: What it raised: ``{name, message, stack}``.
    """

    key: str
    step: str
    op: str
    name: str = ""
    opts: dict[str, Any] = field(default_factory=dict[str, Any])
    data: Any = None
    error: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def races(self) -> bool:
        """Whether the function is called back as soon as this step has finished, whatever others are open."""
        return self.opts.get("parallelMode") == "race"


class State(NamedTuple):
    """What was known of a run at some time: memos by step hash, and hashes in the order of completion."""

    memos: dict[str, Any]
    order: list[str]


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
        version: The request version, ``FIRST_CALL`` until the app has reported steps.
        is_parallel: Whether steps are to be planned, not run at once.
        is_due: Whether the call that finds out what comes next is on the agenda.
    """

    id: str
    function: Registered
    events: list[dict[str, Any]]
    status: str = "running"
    output: Any = None
    error: dict[str, Any] | None = None
    memos: dict[str, Any] = field(default_factory=dict[str, Any])
    order: list[str] = field(default_factory=list[str])
    open: dict[str, ReportedStep] = field(default_factory=dict[str, ReportedStep])
    timeline: list[Moment] = field(default_factory=list[Moment])
    calls: int = 0
    version: int = FIRST_CALL
    is_parallel: bool = False
    is_due: bool = False

    @property
    def steps(self) -> list[str]:
        """The IDs of the steps that finished, in the order of completion."""
        done = {"StepRun", "StepFailed", "Woke", "Received", "TimedOut", "Invoked", "Answered"}
        return [moment.step for moment in self.timeline if moment.kind in done]

    @property
    def state(self) -> State:
        """A copy of what is known now."""
        return State(dict(self.memos), list(self.order))
