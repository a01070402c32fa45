"""Faults: what clouds and networks do to calls, given one by one or drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from inngest_serverless.durations import to_millis
from inngest_serverless.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    Kind = Literal["kill_before", "kill_after", "drop_reply", "duplicate", "reorder", "random"]

__all__ = ["At", "Fault", "Faults", "Injection"]

_HARMS: tuple[Kind, ...] = ("kill_before", "kill_after", "duplicate")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with a call; made by the methods below.

    What the server sees of a call that was killed, or whose reply was lost, is an error of the network: it takes one of
    the step's tries, and the call is made again after the server's usual pause. With ``retries=0`` the run fails.

    Attributes:
        kind: What happens.
        step: The ID of the step whose call it happens to, or "".
        call: The number of the call of a run that it happens to, from 1, or 0.
        times: How often it happens.
        seed: Where chance comes from.
        rate: How likely a call is to be hit, from 0 to 1.
        longest_ms: How long a call takes at most, in milliseconds of the engine's clock.
    """

    kind: Kind
    step: str = ""
    call: int = 0
    times: int = 1
    seed: int = 0
    rate: float = 0.0
    longest_ms: int = 0

    @staticmethod
    def kill_before(step: str, *, times: int = 1) -> Fault:
        """The invocation that would run a step ends before it does: the step's body does not run.

        Args:
            step: The step's ID.
            times: How many invocations in a row.
        """
        return Fault("kill_before", _step(step, "kill_before"), times=_times(times))

    @staticmethod
    def kill_after(step: str, *, times: int = 1) -> Fault:
        """The invocation that runs a step ends right after the step's body, before anybody is told.

        The body runs again later: what it did to the world outside has been done twice.

        Args:
            step: The step's ID.
            times: How many invocations in a row.
        """
        return Fault("kill_after", _step(step, "kill_after"), times=_times(times))

    @staticmethod
    def drop_reply(step: str = "", *, call: int = 0, times: int = 1) -> Fault:
        """A call is answered, and the answer gets lost on its way.

        Args:
            step: The ID of the step that the answer is about; or
            call: the number of the call of the run, from 1.
            times: How many answers in a row.
        """
        return Fault("drop_reply", *_place(step, call, "drop_reply"), times=_times(times))

    @staticmethod
    def duplicate(step: str = "", *, call: int = 0, times: int = 1) -> Fault:
        """A call is delivered twice; the second answer counts. A step's body runs twice.

        Args:
            step: The ID of the step that it is about; or
            call: the number of the call of the run, from 1.
            times: How many calls.
        """
        return Fault("duplicate", *_place(step, call, "duplicate"), times=_times(times))

    @staticmethod
    def reorder(seed: int = 0, *, longest: str | int | timedelta = "10s") -> Fault:
        """Each call takes some time, so that parallel steps overlap and end in another order than they began.

        Args:
            seed: Another seed, another order.
            longest: How long a call takes at most, on the engine's clock: a time string, milliseconds or a timedelta.
        """
        return Fault("reorder", seed=seed, longest_ms=to_millis(longest))

    @staticmethod
    def random(seed: int, *, rate: float = 0.2, longest: str | int | timedelta = "10s") -> Fault:
        """All of these by chance: calls are killed, lost, delivered twice, and end in another order.

        The last try that a step has is left alone, so a function whose steps do not depend on how often they run comes
        to the same end as without.

        Args:
            seed: The same seed gives the same faults.
            rate: How likely a call is to be hit, from 0 to 1.
            longest: As for ``reorder``.

        Raises:
            ConfigurationError: The rate is no number from 0 to 1.
        """
        if not 0 <= rate <= 1:
            raise ConfigurationError(f"Fault.random: rate must be a number from 0 to 1, not {rate!r}")
        return Fault("random", seed=seed, rate=rate, longest_ms=to_millis(longest))

    def __str__(self) -> str:
        if self.kind in {"reorder", "random"}:
            return f"Fault.{self.kind}({self.seed})"
        return f"Fault.{self.kind}({f'call={self.call}' if self.call else repr(self.step)})"


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that has happened.

    Attributes:
        kind: What happened: ``"kill_before"``, ``"kill_after"``, ``"drop_reply"`` or ``"duplicate"``.
        call: The number of the call of the run, from 1.
        steps: The IDs of the steps that the call ran or reported; none where it was the function's own end.
        run_id: The run.
    """

    kind: str
    call: int
    steps: tuple[str, ...]
    run_id: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        about = f" ({', '.join(map(repr, self.steps))})" if self.steps else ""
        return f"{self.kind} at call {self.call}{about}"


class At(NamedTuple):
    """A call that something may happen to.

    Attributes:
        run_id: The run.
        number: The number of the call of the run, from 1.
    """

    run_id: str
    number: int


class Faults:
    """The faults of a session.

    Attributes:
        happened: What has gone wrong, in order.
    """

    def __init__(self) -> None:
        self.happened: list[Injection] = []
        self._left: dict[Fault, int] = {}
        self._chance: dict[Fault, random.Random] = {}
        self._delays: dict[Fault, random.Random] = {}
        self._runs: dict[Fault, str] = {}
        self._drawn: Kind | None = None

    def add(self, given: Iterable[Fault] | Fault) -> list[Fault]:
        """Add faults; returns them.

        Raises:
            ConfigurationError: One was not made by a method of ``Fault``.
        """
        faults = [given] if isinstance(given, Fault) else list(given)
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ConfigurationError(f"faults are made by Fault.kill_before and the like, not {fault!r}")
            if fault.longest_ms:
                self._delays[fault] = random.Random(f"delays of {fault.seed}")  # noqa: S311 - to be repeated
            if fault.kind == "random":
                self._chance[fault] = random.Random(f"faults of {fault.seed}")  # noqa: S311 - to be repeated
            elif fault.kind != "reorder":
                self._left[fault] = fault.times
        return faults

    def remove(self, faults: Iterable[Fault]) -> None:
        """Forget faults that were added."""
        for fault in faults:
            for known in (self._left, self._chance, self._delays, self._runs):
                known.pop(fault, None)

    def bind(self, faults: Iterable[Fault], run_id: str) -> None:
        """Let faults that go by the number of a call mean those of one run."""
        self._runs.update((fault, run_id) for fault in faults)

    @property
    def wants_preview(self) -> bool:
        """Whether it has to be known which step a call is about to run."""
        return any(fault.kind == "kill_before" and left for fault, left in self._left.items())

    def draw(self, *, is_last_try: bool) -> None:
        """Begin a call: let chance decide what becomes of it."""
        drawn: Kind | None = None
        for fault, chance in self._chance.items():
            is_hit, harm = chance.random() < fault.rate, chance.choice(_HARMS)
            if is_hit and not is_last_try:
                drawn = harm
        self._drawn = drawn

    def delay_ms(self) -> int:
        """How long the next call takes, in milliseconds."""
        return sum(delays.randrange(fault.longest_ms) for fault, delays in self._delays.items())

    def hits(self, kind: Kind, at: At, steps: tuple[str, ...]) -> bool:
        """Whether a fault happens to a call; if it does, that is remembered."""
        meant = [fault for fault, left in self._left.items() if left and self._is_meant(fault, kind, at, steps)]
        for fault in meant:
            self._left[fault] -= 1
        is_hit = bool(meant) or self._drawn == kind
        if is_hit:
            self.happened.append(Injection(kind, at.number, steps, at.run_id))
        return is_hit

    def unreached(self) -> list[Fault]:
        """The faults that never happened."""
        return [fault for fault, left in self._left.items() if left == fault.times]

    def _is_meant(self, fault: Fault, kind: Kind, at: At, steps: tuple[str, ...]) -> bool:
        if fault.kind != kind:
            return False
        if fault.call:
            return fault.call == at.number and self._runs.get(fault, at.run_id) == at.run_id
        return fault.step in steps


def _step(step: str, name: str) -> str:
    if not isinstance(step, str) or not step:
        raise ConfigurationError(
            f"Fault.{name}: give the step's ID as the function has it, e.g. Fault.{name}('charge')"
        )
    return step


def _place(step: str, call: int, name: str) -> tuple[str, int]:
    if bool(step) == bool(call):
        raise ConfigurationError(f"Fault.{name}: give a step's ID or call=, the number of a call from 1")
    return step, call


def _times(times: int) -> int:
    if times < 1:
        raise ConfigurationError(f"a fault happens once or more often, not {times} times")
    return times
