"""What is measured: kinds of calls, which every contender gets in the protocol that it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["CASES", "KEY", "Calls", "Case"]

KEY = "signkey-test-" + "ab" * 32


@dataclass(frozen=True)
class Case:
    """A kind of call.

    Attributes:
        title: What it is called in messages.
        memoized: How many steps have been done.
        parallel: How many new steps there are beside one another; 0 for a single one, which is run.
        memo_bytes: The size of each result; 0 for a small number.
        signed: Whether the call is signed with ``KEY``.
    """

    title: str
    memoized: int = 0
    parallel: int = 0
    memo_bytes: int = 0
    signed: bool = False

    @property
    def memo(self) -> str | int:
        """The result of each memoized step."""
        return "x" * self.memo_bytes if self.memo_bytes else 1

    @property
    def input(self) -> dict[str, int]:
        """What the function is told: how many steps to go through."""
        return {"count": self.memoized, "parallel": self.parallel}

    @property
    def new_steps(self) -> list[str]:
        """The IDs of the new steps. The result of each is 0."""
        return [f"new-{number}" for number in range(self.parallel)] if self.parallel else ["new"]


CASES: dict[str, Case] = {
    "0": Case("no memoized steps"),
    "100": Case("100 memoized steps", memoized=100),
    "1000": Case("1,000 memoized steps", memoized=1_000),
    "parallel": Case("1,000 parallel steps", parallel=1_000),
    "big": Case("4 MB of state in 1,000 steps", memoized=1_000, memo_bytes=4_096),
    "big-signed": Case("the same, signed", memoized=1_000, memo_bytes=4_096, signed=True),
}


class Calls(Protocol):
    """A protocol that contenders speak: a module of this folder, ``calls_...``."""

    def make_event(self, case: Case, function: str) -> dict[str, Any] | None:
        """The event that Lambda hands over for a call, or None if the protocol has nothing that corresponds."""
        ...

    def expected(self, case: Case) -> list[Any]:
        """All that has to be reported."""
        ...

    def reported(self, reply: dict[str, Any]) -> list[Any]:
        """All that a reply reports, in the same terms."""
        ...
