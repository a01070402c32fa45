"""The server's way to keep a pace, the generic cell rate algorithm, for rate limits and throttles.

For each key there is the time at which the next start would be due if all starts were evenly spaced. One that comes
earlier passes as long as that time is not too far ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_serverless.local.millis import NANOS_PER_MS
from inngest_serverless.local.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Hashable

    from inngest_serverless.local.flow import Pace

__all__ = ["Paces"]


class Paces:
    """The paces of all keys."""

    def __init__(self) -> None:
        # In whole nanoseconds: fractions of Unix milliseconds would add up to starts that are a hair too early.
        self._due_ns: dict[Hashable, int] = {}
        self._sweep = Sweep()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._due_ns)

    def take(self, key: Hashable, pace: Pace, now_ms: int) -> int:
        """Start one now, if the pace allows it.

        Args:
            key: What has this pace to itself.
            pace: The pace.
            now_ms: The time, in Unix milliseconds.

        Returns:
            0 if it may start; else how many milliseconds it is too early.
        """
        now_ns, interval_ns = now_ms * NANOS_PER_MS, int(pace.interval_ms * NANOS_PER_MS)
        next_due_ns = max(self._due_ns.get(key, 0), now_ns) + interval_ns
        early_ns = next_due_ns - interval_ns * pace.capacity - now_ns
        if early_ns > 0:
            return -(-early_ns // NANOS_PER_MS)
        self._due_ns[key] = next_due_ns
        if self._sweep.is_due():
            # One that is due already is as good as one that was never used.
            self._due_ns = {other: due_ns for other, due_ns in self._due_ns.items() if due_ns > now_ns}
            self._sweep.done(len(self._due_ns))
        return 0
