"""What a test has asked for: steps that are mocked, and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inngest_serverless.local.places import reason
from inngest_serverless.testing.errors import NotReachedError
from inngest_serverless.testing.faults import Faults
from inngest_serverless.testing.mocks import Mocks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from inngest_serverless.local.runs import Run
    from inngest_serverless.testing.faults import Fault
    from inngest_serverless.testing.mocks import GivenMocks, StepMock

__all__ = ["Conditions", "Given", "not_reached"]


class Given(NamedTuple):
    """What was given for one run alone."""

    mocks: list[StepMock]
    faults: list[Fault]


class Conditions:
    """The mocks and the faults of a session.

    Attributes:
        mocks: The mocks.
        faults: The faults.
    """

    def __init__(self) -> None:
        self.mocks: Mocks = Mocks()
        self.faults: Faults = Faults()

    def add(self, mocks: GivenMocks, faults: Iterable[Fault] | Fault) -> Given:
        """Add mocks and faults; returns them, to be removed again."""
        return Given(self.mocks.add(mocks), self.faults.add(faults))

    def remove(self, given: Given) -> None:
        """Forget what was given."""
        self.mocks.remove(given.mocks)
        self.faults.remove(given.faults)

    def unreached(self, given: Given | None = None) -> list[str]:
        """What has not been reached of what was given, or of everything, as it was written."""
        mocks, faults = self.mocks.unreached(), self.faults.unreached()
        if given is not None:
            mocks = [mock for mock in mocks if any(mock is each for each in given.mocks)]
            faults = [fault for fault in faults if fault in given.faults]
        return [f"mock_step({mock.step!r})" for mock in mocks] + [str(fault) for fault in faults]


def not_reached(what: list[str], runs: Collection[Run], told: str) -> NotReachedError:
    """The failure of a test whose function never came to something.

    Args:
        what: What it did not come to.
        runs: The runs that there were.
        told: What happened in them.
    """
    failed = [f"run of {run.function.id!r} failed: {reason(run.error)}; so " for run in runs if run.error]
    steps = dict.fromkeys(moment.step for run in runs for moment in run.timeline if moment.step)
    return NotReachedError(
        f"{''.join(failed[:1])}{', '.join(what)}: no function came to that. The steps that were found: "
        f"{', '.join(map(repr, steps)) or 'none'}. Is the ID right, and does the event lead there?{told}"
    )
