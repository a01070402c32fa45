"""What is measured: kinds of calls, which every contender gets in the protocol that it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["CASES", "KEY", "RUN", "Calls", "Case"]

KEY = "signkey-test-" + "ab" * 32


# What a step may come to that does some work: records within records, as APIs and databases give them.
_ORDER = {
    "order": "A-1017",
    "paid": True,
    "lines": [
        {"sku": "a-17", "quantity": 2, "price": 1299, "tags": ["new", "gift"]},
        {"sku": "b-3", "quantity": 1, "price": 499, "tags": []},
    ],
}
_ORDERS = [_ORDER] * 25
_TEXT = "x" * 4_096


@dataclass(frozen=True)
class Case:
    """A kind of call.

    Attributes:
        title: What it is called in messages.
        memoized: How many steps have been done.
        parallel: How many new steps there are beside one another; 0 for a single one, which is run.
        memo: The result of each memoized step.
        signed: Whether the call is signed with ``KEY``.
        count: How many steps the function goes through before its last one; those that are memoized by default.
    """

    title: str
    memoized: int = 0
    parallel: int = 0
    memo: Any = 1
    signed: bool = False
    count: int | None = None

    @property
    def input(self) -> dict[str, int]:
        """What the function is told: how many steps to go through."""
        return {"count": self.memoized if self.count is None else self.count, "parallel": self.parallel}

    @property
    def steps(self) -> list[str]:
        """The IDs of all steps, in their order. The result of each is 0, and so is the function's."""
        last = [f"new-{number}" for number in range(self.parallel)] if self.parallel else ["new"]
        return [*(f"step-{number}" for number in range(self.input["count"])), *last]

    @property
    def done(self) -> list[str]:
        """The IDs of the memoized steps."""
        return self.steps[: self.memoized]

    @property
    def left(self) -> list[str]:
        """The IDs of the other steps."""
        return self.steps[self.memoized :]

    @property
    def new_steps(self) -> list[str]:
        """The IDs of the steps that a call goes on with: those beside one another, or the next; none at the end."""
        return self.left if self.parallel else self.left[:1]


CASES: dict[str, Case] = {
    "0": Case("no memoized steps"),
    "100": Case("100 memoized steps", memoized=100),
    "1000": Case("1,000 memoized steps", memoized=1_000),
    "parallel": Case("1,000 parallel steps", parallel=1_000),
    "big": Case("4 MB of objects in 1,000 steps", memoized=1_000, memo=_ORDERS),
    "big-signed": Case("4 MB of objects, signed", memoized=1_000, memo=_ORDERS, signed=True),
    "texts": Case("4 MB of texts in 1,000 steps", memoized=1_000, memo=_TEXT),
    "texts-signed": Case("4 MB of texts, signed", memoized=1_000, memo=_TEXT, signed=True),
}

_STEPS_OF_RUN = 20
# The calls of a whole run: each has the results that the ones before it reported, and the last one ends the run.
RUN = [
    Case(f"call {done + 1} of a run", memoized=done, memo=0, count=_STEPS_OF_RUN - 1)
    for done in range(_STEPS_OF_RUN + 1)
]


class Calls(Protocol):
    """A protocol that contenders speak: a module of this folder, ``calls_...``.

    Attributes:
        ONE_STEP_A_CALL: Whether a call ends with each step; otherwise it goes on with all that are left.
    """

    ONE_STEP_A_CALL: bool

    def make_event(self, case: Case, function: str) -> dict[str, Any] | None:
        """The event that Lambda hands over for a call, or None if the protocol has nothing that corresponds."""
        ...

    def expected(self, case: Case) -> list[Any]:
        """All that has to be reported."""
        ...

    def reported(self, reply: dict[str, Any]) -> list[Any]:
        """All that a reply reports, in the same terms."""
        ...
