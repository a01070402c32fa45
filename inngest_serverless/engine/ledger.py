"""What is known of a run, what is new, and what to do about it: the only place that knows the rules.

The faces in ``steps.py`` ask ``find`` for each step. A step that is known is replayed. For a new one they ask
``decide`` and do as it says: run the body and hand in the result, or leave the user's code.

Source: docs/protocol.md, sections 3 and 5.
"""

from __future__ import annotations

from contextvars import ContextVar

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.errors import ConfigurationError, NestedStepError
from inngest_serverless.protocol.call import is_unfinished
from inngest_serverless.protocol.opcodes import STEP_ERROR, STEP_FAILED, STEP_PLANNED, STEP_RUN, Failure, Opcode
from inngest_serverless.protocol.step_ids import StepIds, hash_id
from inngest_serverless.serialization import encode_output, plain_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from inngest_serverless.engine.interrupts import DeadlineExceeded
    from inngest_serverless.engine.plans import Plan
    from inngest_serverless.middleware import Hooks
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.result_types import ResultType

__all__ = ["REPORT", "RUN", "SKIP", "WAIT", "Ledger", "NewStep", "current_step_id", "racing"]

RUN = "run"
REPORT = "report"
SKIP = "skip"
WAIT = "wait"

_UNKNOWN = object()

# In the branches of groups that end with the first of them: those groups, the outermost first.
racing: ContextVar[tuple[object, ...]] = ContextVar("inngest_serverless_racing", default=())

# Tells a step inside a step's body from one in a branch that goes on beside it.
_inside: ContextVar[NewStep | None] = ContextVar("inngest_serverless_step", default=None)


class NewStep:
    """A step that has no result yet.

    Attributes:
        key: Its hash.
        step_id: Its ID in the code.
        index: Which repeat of the ID it is, or None.
        plan: What it wants, once it is known.
        after: The hash of the step whose result led to it, or "".
        in_races: The races that it is in a branch of.
    """

    __slots__ = ("after", "in_races", "index", "key", "plan", "step_id")

    def __init__(self, key: str, step_id: str, index: int | None) -> None:
        self.key: str = key
        self.step_id: str = step_id
        self.index: int | None = index
        self.plan: Plan | None = None
        self.after: str = ""
        self.in_races: tuple[object, ...] = ()


class Ledger:
    """One call's book of steps.

    Attributes:
        hooks: The middleware of the call, or None.
        collecting: Above 0 while parallel branches are being explored: new steps are noted, nothing is decided.
        report: What the call will tell the server, or None while that is open. Once set it never changes.
        pending: New steps that were found.
        skipped: New steps that were found while another one was asked for.
        target: The hash of the only step to run, or None.
        running: The new step whose body is running, or None.
        has_tasks: Whether the function is async, so that other tasks may go on beside a body.
        key: The hash of the step that ``find`` was asked for last.
        interrupted: Whether sync code is being left at a new step.
        passed: The hash of the step whose result was handed out last, to the code that runs now.
        fault: What a hook of the middleware raised in the midst of the user's code, or None.
        expired: What the user's code was ended with as its time was up, or None.
    """

    __slots__ = (
        "_attempts_left",
        "_call",
        "_halted",
        "_has_losers",
        "_ids",
        "_immediate",
        "_known",
        "_last",
        "_last_raced",
        "_memos",
        "_now",
        "_order",
        "_places",
        "_replayed",
        "collecting",
        "expired",
        "fault",
        "has_tasks",
        "hooks",
        "interrupted",
        "key",
        "passed",
        "pending",
        "report",
        "running",
        "skipped",
        "target",
    )

    def __init__(self, call: CallRequest, now: Callable[[], float], hooks: Hooks | None = None) -> None:
        # What the call came with.
        self._call = call
        self._memos = call.memos
        self._order = call.order
        self._immediate = call.immediate
        self._attempts_left = call.max_attempts is None or call.attempt + 1 < call.max_attempts
        self.target: str | None = call.target
        self._now = now
        self.hooks: Hooks | None = hooks
        self.has_tasks: bool = False
        # How far the code has come.
        self._ids = StepIds()
        self.key: str = ""
        self.passed: str = ""
        self.collecting: int = 0
        self.pending: list[NewStep] = []
        self.skipped: list[NewStep] = []
        self.running: NewStep | None = None
        # How the call ends. Halted, the code comes to no further step: it has its answer, or is being left.
        self._halted = False
        self.interrupted: bool = False
        self.report: list[Opcode] | None = None
        self.fault: Exception | None = None
        self.expired: DeadlineExceeded | None = None
        # What replay is told by: the results that were asked for; how many are known, 0 where the order tells more, and
        # None before that is looked at; the hash of the step that completed last.
        self._replayed = 0
        self._known: int | None = None
        self._last = ""
        # What races are told by: the place of each step, once somebody asks; that of the last step of a race that has
        # completed, or -1; whether a branch that lost has left a step behind that the server still carries out.
        self._places: dict[str, int] | None = None
        self._last_raced = -1
        self._has_losers = False
        if call.target in call.memos and not is_unfinished(call.memos[call.target]):
            # A late or repeated call for a step that has finished since: look for what is new, but run nothing for it.
            self.target = None
            self._immediate = False

    @property
    def ids(self) -> StepIds:
        """The IDs handed out so far."""
        return self._ids

    def find(self, step_id: str) -> Any:
        """The memo of the next use of an ID, or a NewStep where there is none.

        Raises:
            NestedStepError: The step is inside the body of another one.
            Interrupt: The call has its answer already.
            ConfigurationError: The ID is empty or not text.
        """
        if self._halted:
            self._check_halt(step_id)
        if step_id.__class__ is not str or not step_id:
            step_id = _checked_id(step_id)
        ids = self._ids
        self.key = key = hash_id(ids.take(step_id))
        memo = self._memos.get(key, _UNKNOWN)
        # Most memos are seen to be of steps that have finished without a call.
        if memo is _UNKNOWN or (memo.__class__ is dict and "input" in memo and is_unfinished(memo)):
            return NewStep(key, step_id, ids.index)
        self._replayed += 1
        return memo

    @property
    def replayed(self) -> int | None:
        """How many results the code has asked for, where it has left some aside; None if it has asked for all."""
        return self._replayed if self._replayed < len(self._memos) else None

    def seed(self) -> tuple[int, str]:
        """Milliseconds and a text that belong to the step asked for last, the same on every try."""
        return self._call.event.get("ts") or 0, f"{self._call.run_id}.{self.key}"

    def is_replaying(self) -> bool:
        """Whether the user's code that runs now has run in an earlier call, or will be run again by a later one.

        Only what follows the step that completed last is new. Beside a step that was called for nothing is.
        """
        if self.running is not None:
            return False
        if self._halted or self.target is not None:
            return True
        if self._known is None:
            self._look_ahead()
        return self._replayed < self._known if self._known else self.passed != self._last

    def _look_ahead(self) -> None:
        known = {key for key, memo in self._memos.items() if not is_unfinished(memo)}
        self._last = next((key for key in reversed(self._order) if key in known), "")
        # Where the order is not known in full, the number of steps has to do.
        self._known = 0 if known.issubset(self._order) else len(known)

    def decide(self, step: NewStep) -> str:
        """What to do about a new step: RUN its body, leave it to a REPORT, SKIP it, or WAIT for the other branches."""
        if self._halted:
            return SKIP
        step.after = self.passed
        step.in_races = racing.get()
        if self.target is not None:
            if step.key != self.target:
                self.skipped.append(step)
                return SKIP
            self.pending = [step]
            return RUN if _has_body(step) else self.plan_pending()
        self.pending.append(step)
        return WAIT if self.collecting else self.settle()

    def withdraw(self, step: NewStep) -> None:
        """Forget a step that nobody asks for any more, unless it has been reported."""
        if self.report is None and step in self.pending:
            self.pending.remove(step)

    def end_race(self, race: object) -> None:
        """Book that a branch of a race has won: the code goes on without the new steps of the others."""
        here = self.place(self.passed)
        for step in (*self.pending, *self.skipped):
            # One that an earlier call was left at is open: the server carries it out all the same.
            if race in step.in_races and self.place(step.after) < here:
                self._has_losers = True

    def untold_step(self) -> NewStep | None:
        """A new step that the server does not know of either: nothing has completed since it was asked for."""
        if self.report is not None or not self.pending:
            # Before places are looked up, which takes as long as there are steps.
            return None
        here = self.place(self.passed)
        if here < 0 < len(self._memos):
            # In what order steps have completed is not known.
            return None
        return next((step for step in self.pending if not step.in_races and self.place(step.after) >= here), None)

    def note_raced(self, key: str) -> None:
        """Book that a step in a race has completed: the server called back at once, whatever else was open."""
        self._last_raced = max(self._last_raced, self.place(key))

    def _races(self, step: NewStep) -> bool:
        """Whether the server is to call back after a step whatever else is open, and may have been told of it before.

        That goes for the steps of a race, and for those behind it: while losers are open the server would else wait for
        them, and each loser that completes is one more call that finds the same steps.
        """
        if step.in_races or self._has_losers:
            return True
        return self._last_raced >= 0 and self._last_raced > self.place(step.after)

    def place(self, key: str) -> int:
        """When a step completed, by its hash: its place among all, or -1 where that is not known."""
        if self._places is None:
            self._places = {known: place for place, known in enumerate(self._order)}
        return self._places.get(key, -1)

    def settle(self) -> str:
        """Decide about all pending steps together: RUN the only one, or REPORT them."""
        return RUN if self.may_run_alone() else self.plan_pending()

    def may_run_alone(self) -> bool:
        """Whether the one step that is pending may be run at once."""
        if not (self._immediate and len(self.pending) == 1):
            return False
        # A step that another call may have planned is called for already; planned twice, it runs once.
        return _has_body(self.pending[0]) and not self._races(self.pending[0])

    def plan_pending(self) -> str:
        """REPORT all pending steps, to be called for one by one."""
        return self._close(
            [self._opcode(step, STEP_PLANNED if _has_body(step) else _plan(step).op) for step in self.pending]
        )

    def begin(self, step: NewStep) -> None:
        """Book that the body of a step starts, in the current context."""
        self.running = step
        self._halted = True
        _inside.set(step)

    def conclude(self, step: NewStep, value: Any, error: BaseException | None) -> Generator[Any, Any, None]:
        """Book what a body came to once the middleware has seen it; yields what has to be awaited."""
        from inngest_serverless.middleware import CallOutput

        output = CallOutput(step.step_id, None, error)
        try:
            if error is None:
                output.data = plain_output(value, f"step {step.step_id!r}", _plan(step).kind)
        except Exception as raised:  # noqa: BLE001 - whatever writing the user's value raises is the step's failure
            output.error = raised
        try:
            if self.hooks is not None:
                yield from self.hooks.end(output)
        except Exception as raised:  # noqa: BLE001 - what a hook raises is the step's failure
            self.fail(step, raised)
        else:
            self.finish(step, output.data, output.error, None)

    def finish(self, step: NewStep, value: Any, error: BaseException | None, kind: ResultType | None) -> None:
        """Book what a body came to: its result, of the type ``kind`` if plain JSON does not hold it, or its error."""
        if error is not None:
            self.fail(step, error)
            return
        try:
            data = encode_output(value, f"step {step.step_id!r}", kind)
        except Exception as raised:  # noqa: BLE001 - whatever encoding the user's value raises is the step's failure
            self.fail(step, raised)
        else:
            self._close([self._opcode(step, STEP_RUN, data=data)])

    def fail(self, step: NewStep, error: BaseException) -> None:
        """Book what a body raised."""
        from inngest_serverless.engine.failure import describe

        failure = describe(error, self._now())
        final = failure.final or not self._attempts_left
        self._close([self._opcode(step, STEP_FAILED if final else STEP_ERROR, failure=failure)])

    def abandon(self, fault: Exception) -> None:
        """Book that a hook has failed: the call fails with that, whatever the user's code makes of it."""
        self.fault = fault
        self._close([])

    def expire(self, error: DeadlineExceeded) -> None:
        """Book that the time is up: no further step begins."""
        self.expired = error
        self._halted = True

    def ended(self, raised: BaseException | None) -> DeadlineExceeded | None:
        """The error of a call whose time was up; where its code was is told by what ended it."""
        if self.expired is not None and raised is not None:
            self.expired.__traceback__ = raised.__traceback__
        return self.expired

    def give_up(self, raised: BaseException | None) -> DeadlineExceeded | None:
        """The same; the step that was running is booked with it."""
        error = self.ended(raised)
        if error is not None and self.running is not None and self.report is None:
            self.fail(self.running, error)
        return error

    def check(self, place: str) -> None:
        """Leave code that goes on although it is being left.

        Raises:
            Interrupt: The call has its answer already, or sync code is being left at a new step.
        """
        if self._halted and self.running is None:
            raise Interrupt(place)

    def interrupt(self) -> None:
        """Book that sync code is left at a new step: until ``resume``, every further step leaves it as well."""
        self.interrupted = True
        self._halted = True

    def resume(self) -> bool:
        """Go on with the next branch; returns whether the one before was left at a new step."""
        interrupted = self.interrupted
        self.interrupted = False
        self._halted = self.report is not None or self.running is not None or self.expired is not None
        return interrupted

    def _opcode(self, step: NewStep, op: str, *, data: str = "null", failure: Failure | None = None) -> Opcode:
        opts = _plan(step).opts
        if self._races(step):
            opts["parallelMode"] = "race"
        return Opcode(op, step.key, step.step_id, step.index, opts, data, failure)

    def _close(self, report: list[Opcode]) -> str:
        self.report = report
        self.running = None
        self._halted = True
        _inside.set(None)
        return REPORT

    def _check_halt(self, step_id: str) -> None:
        if self.running is None:
            raise Interrupt(str(step_id))
        # In sync code nothing goes on beside a body but what the body itself has started, in threads say.
        if not self.has_tasks or _inside.get() is self.running:
            raise NestedStepError(
                f"step {step_id!r} was called inside step {self.running.step_id!r}: a step's body cannot contain "
                "steps; call them one after the other, or make the outer one a plain function"
            )


def _checked_id(step_id: Any) -> str:
    if not isinstance(step_id, str):
        raise ConfigurationError(f"a step ID must be text, not {type(step_id).__name__}")
    if not step_id:
        raise ConfigurationError("a step ID must not be empty: name the step after what it does")
    # A member of an enum of strings: its value, however the enum formats itself.
    return str.__str__(step_id)


def current_step_id() -> str | None:
    """The ID of the step whose body the code that asks belongs to, or None."""
    step = _inside.get()
    return None if step is None else step.step_id


def _plan(step: NewStep) -> Plan:
    if step.plan is None:
        raise AssertionError(f"step {step.step_id!r} was decided about before it was planned")
    return step.plan


def _has_body(step: NewStep) -> bool:
    return _plan(step).body is not None
