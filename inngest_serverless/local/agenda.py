"""The local engine's clock and what is due on it: time moves from one entry to the next, not by itself."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from inngest_serverless.local.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Agenda"]


class _Entry(NamedTuple):
    at_ms: int
    number: int
    action: Callable[[], object]
    is_background: bool
    is_over: Callable[[], bool] | None

    def is_live(self) -> bool:
        return self.is_over is None or not self.is_over()


class Agenda:
    """Actions in the order of their time, and of their entry where the time is the same.

    Args:
        start_ms: What the clock says at first, in Unix milliseconds.
    """

    def __init__(self, start_ms: int) -> None:
        self.now_ms: int = start_ms
        self._entries: list[_Entry] = []
        self._numbers = count()
        self._foreground = 0
        self._sweep = Sweep()

    def __len__(self) -> int:
        """How many actions are entered."""
        return len(self._entries)

    @property
    def has_foreground(self) -> bool:
        """Whether anything is due that does not come again for ever."""
        return self._foreground > 0

    @property
    def next_ms(self) -> int | None:
        """When the next action is due, or None if there is none."""
        return self._entries[0].at_ms if self._entries else None

    def after(
        self,
        delay_ms: int,
        action: Callable[[], object],
        *,
        is_background: bool = False,
        is_over: Callable[[], bool] | None = None,
    ) -> None:
        """Enter an action for ``delay_ms`` milliseconds from now; at once if that is over.

        Args:
            delay_ms: How long from now.
            action: What to do then.
            is_background: Whether nobody waits for it, as for the next turn of a schedule.
            is_over: Whether it need not be done any more; then it is, sooner or later, forgotten.
        """
        entry = _Entry(self.now_ms + max(delay_ms, 0), next(self._numbers), action, is_background, is_over)
        heapq.heappush(self._entries, entry)
        self._foreground += not is_background
        if self._sweep.is_due():
            self._entries = [each for each in self._entries if each.is_live()]
            heapq.heapify(self._entries)
            self._foreground = sum(not each.is_background for each in self._entries)
            self._sweep.done(len(self._entries))

    def do_next(self, until_ms: int | None = None) -> bool:
        """Move the clock to the next action and do it.

        Args:
            until_ms: Actions after this instant are left alone.

        Returns:
            Whether there was one.
        """
        while self._entries and not self._entries[0].is_live():
            self._foreground -= not heapq.heappop(self._entries).is_background
        if not self._entries or (until_ms is not None and self._entries[0].at_ms > until_ms):
            return False
        entry = heapq.heappop(self._entries)
        self._foreground -= not entry.is_background
        self.now_ms = max(self.now_ms, entry.at_ms)
        entry.action()
        return True

    def skip_to(self, at_ms: int) -> None:
        """Let the clock say an instant; nothing may be due before."""
        self.now_ms = max(self.now_ms, at_ms)
