"""Ends what a call does when its time is up, so that the call is answered by us and not by the platform.

In the main thread, where Lambda calls handlers, it is an alarm of the operating system: it interrupts loops, sleeps and
reads alike. In other threads a watcher does what it can: see ``thread_watch.py``.

Source: docs/deadlines-and-limits.md.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from time import monotonic

from inngest_serverless.engine.interrupts import DeadlineExceeded

_HAS_ALARMS = True
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import ITIMER_REAL, SIG_DFL, SIGALRM, getsignal, setitimer, signal
    from typing import Any

    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.engine.rendezvous import WarmLoop
    from inngest_serverless.protocol.exchange import Reply

    Run = Callable[[Invocation], Reply]
else:
    try:
        # The module signal puts enums around these, which cost 0.4 ms at a cold start and 1.6 us a call.
        from _signal import ITIMER_REAL, SIG_DFL, SIGALRM, getsignal, setitimer, signal
    except ImportError:
        _HAS_ALARMS = False  # Windows has none

__all__ = ["TICK_SECONDS", "Deadline"]

# How often it rings until the code has ended. It may clean up meanwhile, which is not disturbed.
TICK_SECONDS = 0.05
_LEAST_SECONDS = 0.001
_STOPPED = (0.0, 0.0)

_armed: Deadline | None = None
_main_thread = 0


class Deadline:
    """When one call has to be answered.

    Args:
        due: When its caller stops waiting, by ``time.monotonic``.
        margin: How many seconds to answer before that; at most half of the time that is left is taken for it.
        advice: What to do where that is too early.

    Attributes:
        seconds: How long the call had for itself, once it runs.
        margin: How many seconds are left when it ends.
        advice: What to do where that is too early.
        invocation: What runs; set while it does.
        warm: The loop that it runs on, or None.
        has_rung: Whether that loop has been told that the time is up.
        raised: How often the user's code has been ended.
    """

    __slots__ = ("advice", "due", "has_rung", "invocation", "margin", "raised", "seconds", "warm")

    def __init__(self, due: float, margin: float, advice: str) -> None:
        self.due: float = due
        self.margin: float = margin
        self.advice: str = advice
        self.seconds: float = 0.0
        self.invocation: Invocation
        self.warm: WarmLoop | None = None
        self.has_rung: bool = False
        self.raised: int = 0

    def run(self, invocation: Invocation, run: Run) -> Reply:
        """Run an invocation, and answer for it if its time is up before it ends.

        Args:
            invocation: The invocation.
            run: Runs it.
        """
        global _armed  # noqa: PLW0603 - the alarm is one for the whole process
        seconds = self.due - self.margin - monotonic()
        if seconds < self.margin:
            seconds = self._halve(seconds + self.margin)
        self.seconds = seconds
        if get_ident() != _main_thread and not _is_main_thread():
            from inngest_serverless.engine.thread_watch import run_watched

            return run_watched(self, invocation, run)
        previous = getsignal(SIGALRM)
        if _armed is not None or previous is None:
            # A call within a call, whose time is that of the outer one; or an alarm of a C library's.
            return run(invocation)
        pending = _STOPPED
        if previous is not _ring:
            # Stopped first: if it has rung by now, its own handler is called before ours takes its place.
            pending = setitimer(ITIMER_REAL, 0.0)
            if pending[0] and pending[0] <= seconds:
                # Somebody else's alarm, which is due before ours.
                setitimer(ITIMER_REAL, *pending)
                return run(invocation)
            signal(SIGALRM, _ring)
        setitimer(ITIMER_REAL, seconds, TICK_SECONDS)
        self.invocation = invocation
        try:
            _armed = self
            try:
                return run(invocation)
            finally:
                _armed = None
                setitimer(ITIMER_REAL, 0.0)
                # Else they would refer to each other, and the garbage collector had to find them.
                invocation.deadline = None
                if previous is not _ring:
                    self._give_back(previous, pending)
        except DeadlineExceeded as error:
            return invocation.conclude(None, error)

    def _halve(self, left: float) -> float:
        """Give half of the few seconds that are left to the margin; returns the other half, which the call has."""
        # A timer of no time at all would never ring.
        self.margin = max(left / 2, _LEAST_SECONDS)
        return self.margin

    def is_armed(self) -> bool:
        """Whether the alarm is this call's."""
        return _armed is self

    def _give_back(self, previous: Any, pending: tuple[float, float]) -> None:
        """Let somebody else have the alarm again that was theirs, with the rest of its time."""
        if not callable(previous):
            # The default, which would end the process if ours rang late, or none.
            return
        signal(SIGALRM, previous)
        if pending[0]:
            spent = self.margin + self.seconds - (self.due - monotonic())
            setitimer(ITIMER_REAL, max(pending[0] - spent, _LEAST_SECONDS), pending[1])


def _is_main_thread() -> bool:
    """Whether this is the thread that alarms ring in."""
    global _main_thread  # noqa: PLW0603 - found out once
    threading = sys.modules.get("threading")
    if not _HAS_ALARMS or (threading is not None and threading.current_thread() is not threading.main_thread()):
        return False
    try:
        if getsignal(SIGALRM) == SIG_DFL:
            signal(SIGALRM, _ring)
    except ValueError:
        # A thread of a subinterpreter.
        return False
    _main_thread = get_ident()
    return True


def _ring(_signal: int, frame: Any) -> None:
    if _armed is not None:
        from inngest_serverless.engine.overdue import ring

        ring(_armed, frame)
