"""The local engine's clock and what is due on it: time moves from one entry to the next, not by itself."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Agenda"]


class Agenda:
    """Actions in the order of their time, and of their entry where the time is the same.

    Args:
        start_ms: What the clock says at first, in Unix milliseconds.
    """

    def __init__(self, start_ms: int) -> None:
        self.now_ms: int = start_ms
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Enter an action for ``delay_ms`` milliseconds from now; at once if that is over."""
        entry = (self.now_ms + max(delay_ms, 0), next(self._numbers), action)
        heapq.heappush(self._entries, entry)

    def do_next(self, until_ms: int | None = None) -> bool:
        """Move the clock to the next action and do it.

        Args:
            until_ms: Actions after this instant are left alone.

        Returns:
            Whether there was one.
        """
        if not self._entries or (until_ms is not None and self._entries[0][0] > until_ms):
            return False
        at_ms, _, action = heapq.heappop(self._entries)
        self.now_ms = max(self.now_ms, at_ms)
        action()
        return True

    def skip_to(self, at_ms: int) -> None:
        """Let the clock say an instant; nothing may be due before."""
        self.now_ms = max(self.now_ms, at_ms)
