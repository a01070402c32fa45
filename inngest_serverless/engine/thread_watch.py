"""Ends calls in threads that no alarm rings in, those of a web server's say.

One thread watches over all of them. It asks the loops of async functions to end theirs, which works as in the main
thread. In sync code it has the interpreter raise DeadlineExceeded, which comes to pass between two instructions: code
that waits in the operating system or in C gets it only when it returns.

Source: docs/deadlines-and-limits.md, and the documentation of ``PyThreadState_SetAsyncExc``.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from threading import TIMEOUT_MAX, Event, Lock, Thread
from time import monotonic, sleep

from inngest_serverless.engine.deadline import TICK_SECONDS
from inngest_serverless.engine.interrupts import DeadlineExceeded
from inngest_serverless.engine.overdue import must_not_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.engine.deadline import Deadline
    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.protocol.exchange import Reply

__all__ = ["run_watched"]


class _Watched:
    """A call in a thread.

    Attributes:
        deadline: Its deadline.
        thread: The thread's identifier.
        rings_at: When it is to be ended, or asked to once more, by ``time.monotonic``.
        is_under_way: Set by the call: nothing may be raised in its thread before.
        is_over: Set by the call: nothing may be raised in its thread any more.
        is_ringing: Set by the watcher, for as long as it may raise.
    """

    __slots__ = ("deadline", "is_over", "is_ringing", "is_under_way", "rings_at", "thread")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.thread = get_ident()
        self.rings_at: float = monotonic() + deadline.seconds
        self.is_under_way = False
        self.is_over = False
        self.is_ringing = False


class _Watcher:
    """The thread that watches; started when it is needed, and anew in a process that was forked."""

    def __init__(self) -> None:
        self._calls: dict[int, _Watched] = {}
        self._starting = Lock()
        self._changed = Event()
        self._wakes_at = float("inf")
        self._thread: Thread | None = None

    def is_watching(self, thread: int) -> bool:
        return thread in self._calls

    def add(self, call: _Watched) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._watch, name="inngest-deadlines", daemon=True)
                self._thread.start()
        self._calls[call.thread] = call
        # It sleeps until the earliest that it knows of. Deadlines are mostly alike, so it is rarely woken.
        if call.rings_at < self._wakes_at:
            self._changed.set()
        call.is_under_way = True

    def remove(self, call: _Watched) -> None:
        # No lock is taken here: an exception that comes between taking it and noting that would leave it locked.
        call.is_over = True
        while call.is_ringing:
            sleep(0)
        # What was raised comes to pass with one of these calls at the latest. To take it back would leave Python 3.11
        # and 3.12 looking for it for ever.
        self._calls.pop(call.thread, None)

    def _watch(self) -> None:
        while True:
            self._changed.clear()
            # Whoever comes from here on wakes it.
            self._wakes_at = float("inf")
            now = monotonic()
            for call in list(self._calls.values()):
                if call.rings_at <= now:
                    call.rings_at = now + TICK_SECONDS
                    self._ring(call)
            self._wakes_at = min((call.rings_at for call in list(self._calls.values())), default=float("inf"))
            self._changed.wait(min(max(self._wakes_at - monotonic(), 0.0), TIMEOUT_MAX))

    def _ring(self, call: _Watched) -> None:
        call.is_ringing = True
        try:
            if call.is_under_way and not call.is_over:
                _end(call)
        finally:
            call.is_ringing = False


_watcher = _Watcher()


def run_watched(deadline: Deadline, invocation: Invocation, run: Callable[[Invocation], Reply]) -> Reply:
    """Run an invocation, and answer for it if its time is up before it ends.

    Args:
        deadline: Its deadline.
        invocation: The invocation.
        run: Runs it.
    """
    if _watcher.is_watching(get_ident()):
        # A call within a call, whose time is that of the outer one.
        return run(invocation)
    deadline.invocation = invocation
    call = _Watched(deadline)
    try:
        _watcher.add(call)
        try:
            return run(invocation)
        finally:
            _watcher.remove(call)
            invocation.deadline = None
    except DeadlineExceeded as error:
        ended = error
    while True:
        # It may be raised once more on the way, and never again behind that.
        try:
            _watcher.remove(call)
            break
        except DeadlineExceeded:
            continue
    return invocation.conclude(None, ended)


def _end(call: _Watched) -> None:
    deadline = call.deadline
    if deadline.warm is not None and not deadline.has_rung:
        deadline.has_rung = True
        deadline.warm.expire_soon(deadline)
        return
    # Loaded before the thread is looked at: it would run on meanwhile.
    from ctypes import pythonapi  # noqa: F401 - for _raise_in

    frame = sys._current_frames().get(call.thread)  # noqa: SLF001 - documented
    if must_not_end(deadline, _handled_in(call.thread), frame):
        return
    deadline.has_rung = True
    deadline.invocation.expire(deadline)
    _raise_in(call.thread)


def _handled_in(thread: int) -> BaseException | None:
    """The exception that a thread handles now."""
    handled = sys._current_exceptions().get(thread)  # noqa: SLF001 - documented
    # Python 3.11 gives the type and the traceback as well.
    return handled[1] if isinstance(handled, tuple) else handled


def _raise_in(thread: int) -> None:
    from ctypes import c_ulong, py_object, pythonapi

    pythonapi.PyThreadState_SetAsyncExc(c_ulong(thread), py_object(DeadlineExceeded))
