"""The server's way to keep a pace, the generic cell rate algorithm, for rate limits and throttles.

For each key there is the time at which the next start would be due if all starts were evenly spaced. One that comes
earlier passes as long as that time is not too far ahead.
"""

from __future__ import annotations

from collections import defaultdict
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from inngest_serverless.local.flow import Pace

__all__ = ["Paces"]


class Paces:
    """The paces of all keys."""

    def __init__(self) -> None:
        self._due_ms: defaultdict[Hashable, float] = defaultdict(float)

    def take(self, key: Hashable, pace: Pace, now_ms: int) -> int:
        """Start one now, if the pace allows it.

        Args:
            key: What has this pace to itself.
            pace: The pace.
            now_ms: The time, in Unix milliseconds.

        Returns:
            0 if it may start; else how many milliseconds it is too early.
        """
        next_due_ms = max(self._due_ms[key], now_ms) + pace.interval_ms
        early_ms = next_due_ms - pace.interval_ms * pace.capacity - now_ms
        if early_ms > 0:
            return ceil(early_ms)
        self._due_ms[key] = next_due_ms
        return 0
