"""When to throw out what is over, so that an engine that runs for days keeps none of it, at little cost for each."""

from __future__ import annotations

__all__ = ["Sweep"]

_FEWEST = 256


class Sweep:
    """Says when a collection is to be swept: when as much has come in as the last sweep left, and not for a few."""

    def __init__(self) -> None:
        self._added = 0
        self._pause = _FEWEST

    def is_due(self) -> bool:
        """Whether it is time for a sweep, now that one more has come in."""
        self._added += 1
        return self._added >= self._pause

    def done(self, left: int) -> None:
        """It has been swept.

        Args:
            left: How many are left.
        """
        self._added, self._pause = 0, max(_FEWEST, left)
