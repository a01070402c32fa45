"""How tests wait for what other threads and processes do: until it is so, and not for a time that seems long enough."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE_SECONDS", "until"]

# Only a test that fails waits that long; a machine that is busy with other things needs some of it.
PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition, and fail when it does not come.

    Args:
        condition: Asked again and again.
        what: What is waited for, in the words of a failure; called for it if it can be.
        seconds: How long to wait at most.

    Returns:
        What the condition came to.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what() if callable(what) else what}"
        time.sleep(0.01)
    return found
