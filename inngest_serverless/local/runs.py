"""What the local engine knows of functions and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.errors import ConfigurationError, InngestError
from inngest_serverless.local.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Hashable

    # The lanes that a call needs, each with how many calls fit into it.
    Room = tuple[tuple[Hashable, int], ...]

__all__ = [
    "FIRST_CALL",
    "MAX_STEPS",
    "EngineError",
    "Invocation",
    "Moment",
    "Pending",
    "Registered",
    "ReportedStep",
    "Run",
    "State",
]

FIRST_CALL = -1
MAX_STEPS = 1_000  # of a run; with that many its function is not called again
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
        flow: Its flow control.
    """

    id: str
    name: str
    url: str
    triggers: tuple[dict[str, Any], ...]
    max_attempts: int
    flow: Flow = field(default_factory=Flow)

    @classmethod
    def from_json(cls, document: Any) -> Registered:
        """A function from its registration.

        Raises:
            ConfigurationError: It has no ID or no URL, or its flow control cannot be read.
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
                flow=Flow.from_json(document),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"a function's registration cannot be read: {error!r} in {document!r}") from None


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened in a run.

    Attributes:
        at_ms: When, in milliseconds of the engine's clock.
        kind: The opcode, or ``"Queued"``, ``"Started"``, ``"Woke"``, ``"Received"``, ``"TimedOut"``, ``"Invoked"``,
            ``"Answered"``, ``"Retrying"``, ``"Returned"``, ``"Failed"``, ``"Cancelled"``. A ``StepError`` is tried
            again, a ``StepFailed`` is not.
        step: The step's ID in the code, or "" for the function itself.
        attempt: Which try it was, from 0.
        detail: A short text: a duration, an event's name, an error.
        took_ms: How long the call took, in milliseconds of the wall clock; 0 where there was none.
        key: The step's hash, the key of its result in ``Run.memos``; "" for the function itself.
        error: What was raised: ``{name, message, stack?}``; None where nothing was.
        call: The place of the call that told it in ``Run.invocations``; -1 where none did.
    """

    at_ms: int
    kind: str
    step: str = ""
    attempt: int = 0
    detail: str = ""
    took_ms: float = 0.0
    key: str = ""
    error: dict[str, Any] | None = None
    call: int = -1


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function, as the cloud would bill it.

    Attributes:
        at_ms: When it began, in milliseconds of the engine's clock.
        took_ms: How long it took, in milliseconds of the wall clock.
        target: The hash of the step that was called for, or ``"step"``.
        attempt: Which try it was, from 0.
        status: The HTTP status of its reply.
    """

    at_ms: int
    took_ms: float
    target: str
    attempt: int
    status: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that has not been answered.

    Attributes:
        due_ms: When it is to be made, in milliseconds of the engine's clock.
        target: The hash of the step that it is for, or ``"step"``.
        attempt: Which try it is, from 0.
        began_ms: When it was made; None before that: it is not due yet, or waits for room.
    """

    due_ms: int
    target: str
    attempt: int
    began_ms: int | None = None


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
        function: The function, as it was synced last.
        events: What started it.
        queued_ms: When it was made, in Unix milliseconds of the engine's clock.
        lanes: What its calls share with others, and how many may run there at once.
        priority_ms: By how much its calls go before others that wait.
        status: ``"queued"``, ``"running"``, ``"completed"``, ``"failed"`` or ``"cancelled"``.
        started_ms: When it was first called for, or None.
        ended_ms: When it ended, or None.
        output: What the function returned.
        error: ``{name, message, stack}`` of a failed or cancelled run.
        memos: Results by step hash.
        order: Hashes in the order of completion.
        open: Steps that have not finished, by hash.
        timeline: What happened, in order.
        invocations: The calls that were made, in the order of their replies.
        pending: The calls that have not been answered, by the ID of their job.
        version: The request version, ``FIRST_CALL`` until the app has reported steps.
        was_called: Whether its first call has been made, which may have to wait for room.
        is_parallel: Whether steps are to be planned, not run at once.
        is_due: Whether the call that finds out what comes next waits to be made.
        is_discovering: Whether that call is under way, or is to be tried again.
        is_outdated: Whether a step has finished since that call was made.
        replayed: How many results the last call that found a new step had asked for, if it had left some aside.
        strays: How many calls in a row have found a new step without asking for more results than the one before.
    """

    id: str
    function: Registered
    events: list[dict[str, Any]]
    queued_ms: int = 0
    lanes: Room = ()
    priority_ms: int = 0
    status: str = "queued"
    started_ms: int | None = None
    ended_ms: int | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    memos: dict[str, Any] = field(default_factory=dict[str, Any])
    order: list[str] = field(default_factory=list[str])
    open: dict[str, ReportedStep] = field(default_factory=dict[str, ReportedStep])
    timeline: list[Moment] = field(default_factory=list[Moment])
    invocations: list[Invocation] = field(default_factory=list[Invocation])
    pending: dict[str, Pending] = field(default_factory=dict[str, Pending])
    version: int = FIRST_CALL
    was_called: bool = False
    is_parallel: bool = False
    is_due: bool = False
    is_discovering: bool = False
    is_outdated: bool = False
    replayed: int | None = None
    strays: int = 0

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in {"queued", "running"}

    @property
    def calls(self) -> int:
        """How often the function was called."""
        return len(self.invocations)

    @property
    def steps(self) -> list[str]:
        """The IDs of the steps that finished, in the order of completion."""
        done = {"StepRun", "StepFailed", "Woke", "Received", "TimedOut", "Invoked", "Answered"}
        return [moment.step for moment in self.timeline if moment.kind in done]

    @property
    def state(self) -> State:
        """A copy of what is known now."""
        return State(dict(self.memos), list(self.order))
