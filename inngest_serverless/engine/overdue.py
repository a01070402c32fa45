"""What happens once the time of a call is up; loaded only then.

It ends the user's code by an exception in the midst of it, but for two kinds of code: what cleans up behind such an
exception comes to its end, and so does what books a result that is there.

Source: docs/deadlines-and-limits.md.
"""

from __future__ import annotations

import sys

from inngest_serverless.engine import steps
from inngest_serverless.engine.deadline import Deadline
from inngest_serverless.engine.interrupts import DeadlineExceeded, Interrupt
from inngest_serverless.engine.invocation import Invocation
from inngest_serverless.engine.ledger import Ledger
from inngest_serverless.serialization import plain_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from inngest_serverless.engine.ledger import NewStep

__all__ = ["describe_expiry", "must_not_end", "ring"]

# How often it is raised before it is raised in every turn of a loop.
_PATIENCE = 2
# More than that is a loop that somebody has built.
_LONGEST_CHAIN = 1_000
# Ours, wherever it is in the stack: from here on the answer is being made.
_BOOKING: set[CodeType] = {
    Ledger.finish.__code__,
    Ledger.fail.__code__,
    Invocation.conclude.__code__,
    Invocation._final_reply.__code__,  # noqa: SLF001 - one engine
    plain_output.__code__,
}
# By its name, as only async functions load it. A loop that is half made could never be closed.
_MAKING_A_LOOP = "WarmLoop.__init__"
# Ours, below which hooks of the middleware run: those that are called because the time is up have the margin.
_HOOKS: set[CodeType] = {
    Ledger.conclude.__code__,
    Invocation._with_hooks.__code__,  # noqa: SLF001 - one engine
}
# Ours, where it is the innermost: just before or behind the user's code.
_EDGES: set[CodeType] = {
    Deadline.run.__code__,
    Invocation.run.__code__,
    Invocation._execute.__code__,  # noqa: SLF001 - one engine
    steps._run_body.__code__,  # noqa: SLF001 - one engine
}
# Python's, where it is the innermost: a lock that it holds for a moment would stay locked for everybody, for ever.
_LOCKING = {
    "_frozen_importlib",
    "_weakrefset",
    "concurrent.futures._base",
    "concurrent.futures.thread",
    "importlib._bootstrap",
    "logging",
    "queue",
    "threading",
}
# What may take long there.
_WAITING = {"_wait_for_tstate_lock", "join", "run", "wait"}


def ring(deadline: Deadline, frame: FrameType | None) -> None:
    """End what runs in this thread.

    Args:
        deadline: The call's.
        frame: What was interrupted to get here.

    Raises:
        DeadlineExceeded: It is to end now.
    """
    if deadline.warm is not None and not deadline.has_rung:
        # Whoever awaits something is ended by the loop, which may know more of them.
        deadline.has_rung = True
        deadline.warm.expire_soon(deadline)
        return
    if must_not_end(deadline, sys.exception(), frame):
        return
    deadline.raised += 1
    if deadline.raised >= _PATIENCE:
        _insist(deadline, frame)
    raise deadline.invocation.expire(deadline).with_traceback(None)


def _insist(deadline: Deadline, frame: FrameType | None) -> None:
    """Raise it where a loop begins anew as well: that is outside of what catches it in the loop each time."""
    if sys.gettrace() is not None:
        # A debugger's, or ours already.
        return
    from opcode import opmap

    jumps = {number for name, number in opmap.items() if "JUMP_BACKWARD" in name}

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        if not deadline.is_armed():
            sys.settrace(None)
            return None
        # There the interpreter lets signals in as well. It drops a trace function that raises.
        is_jump = event == "opcode" and frame.f_code.co_code[frame.f_lasti] in jumps
        if is_jump and not must_not_end(deadline, sys.exception(), frame):
            raise deadline.invocation.expire(deadline).with_traceback(None)
        return None if event == "call" else trace

    while frame is not None and frame.f_code is not Deadline.run.__code__:
        frame.f_trace = trace
        frame.f_trace_opcodes = True
        frame = frame.f_back
    # Behind the frames: Python 3.12 looks only here whether one of them wants to be told of instructions.
    sys.settrace(trace)


def must_not_end(deadline: Deadline, error: BaseException | None, frame: FrameType | None) -> bool:
    """Whether the code that runs now has to come to its end: it cleans up, or books a result, or is not the user's.

    Args:
        deadline: The call's.
        error: The exception that it handles.
        frame: Where it is.
    """
    if deadline.warm is not None and not deadline.warm.is_in_task(frame):
        return True
    invocation = deadline.invocation
    if _is_locking(frame) or _is_cleaning_up(error, has_cancelled=invocation.has_cancelled()):
        return True
    return _is_booking(frame, _BOOKING | _HOOKS if invocation.has_expired() else _BOOKING)


def describe_expiry(deadline: Deadline, function_id: str, step: NewStep | None) -> DeadlineExceeded:
    """The error that says what was ended, how long it had, and what to do.

    Args:
        deadline: The call's.
        function_id: The function's ID.
        step: The step that is running, or None.
    """
    if step is None:
        what, way_out = f"function {function_id!r}", "move what takes long into a step: outside it runs in every call"
    else:
        what, way_out = f"step {step.step_id!r}", "split the step"
    return DeadlineExceeded(
        f"{what} was ended after {deadline.seconds:.1f} s, as its call had to be answered: {deadline.advice}, "
        f"or {way_out}"
    )


def _is_cleaning_up(error: BaseException | None, *, has_cancelled: bool) -> bool:
    """Whether it runs because one of our exceptions has ended what was before it: a ``finally``, say.

    A cancellation may as well be the user's own: every time-out of asyncio's is one.
    """
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return False
        if isinstance(error, (DeadlineExceeded, Interrupt)):
            return True
        if has_cancelled and type(error).__name__ == "CancelledError":
            return True
        error = error.__context__
    return False


def _is_locking(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") in _LOCKING and frame.f_code.co_name not in _WAITING


def _is_booking(frame: FrameType | None, booking: set[CodeType]) -> bool:
    if frame is not None and frame.f_code in _EDGES:
        return True
    while frame is not None and frame.f_code is not Deadline.run.__code__:
        if frame.f_code in booking or frame.f_code.co_qualname == _MAKING_A_LOOP:
            return True
        frame = frame.f_back
    return False
