"""From an exception to what the server is told of it: name, message, stack, and what a retry is to do.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

import os

from inngest_serverless.errors import ConfigurationError, NonRetriableError, RetryAfterError, StepError
from inngest_serverless.protocol.opcodes import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["describe"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH120, PTH100 - pathlib costs a cold start
# The server keeps errors with the run's state, which has limits of its own.
_TEXT_LIMIT = 32 * 1024
_LEAVES_TOLD = 3


def describe(error: BaseException, now: float) -> Failure:
    """What to tell the server of an exception that left a step or a function.

    Args:
        error: The exception.
        now: Unix time in seconds, from which ``RetryAfterError`` delays count.
    """
    if isinstance(error, StepError):
        return Failure(error.name, error.message, error.stack, final=True)
    leaves = list(_leaves(error))
    # A step's failure is remembered, so every retry would meet it again.
    final = any(isinstance(leaf, (NonRetriableError, StepError, ConfigurationError)) for leaf in leaves)
    failure = Failure(type(error).__name__, _message(error), _stack(error), final=final)
    if leaves != [error]:
        # A group's own message says only how many there are.
        told = "; ".join(f"{type(leaf).__name__}: {_message(leaf)}" for leaf in leaves[:_LEAVES_TOLD])
        failure.message = _shortened(f"{failure.message}: {told}")
    try:
        failure.retry_after = _retry_after(leaves, now)
    except ConfigurationError as fault:
        failure.message += f" (its retry_after was ignored: {fault})"
    except Exception as fault:  # noqa: BLE001 - a user's subclass may have none, or one that raises
        failure.message += f" (its retry_after was ignored: {type(fault).__name__})"
    return failure


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _message(error: BaseException) -> str:
    try:
        return _shortened(str(error))
    except Exception as fault:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"(its message could not be made: {type(fault).__name__})"


def _retry_after(leaves: list[BaseException], now: float) -> str | None:
    for leaf in leaves:
        if isinstance(leaf, RetryAfterError):
            from inngest_serverless.durations import to_retry_after

            return to_retry_after(leaf.retry_after, now)
    return None


def _stack(error: BaseException) -> str:
    try:
        return _shortened(_format(error))
    except Exception as fault:  # noqa: BLE001 - a chain of thousands of causes, say, or a user's __str__
        return f"(its stack could not be made: {type(fault).__name__})"


def _format(error: BaseException) -> str:
    from traceback import TracebackException

    trace = TracebackException.from_exception(error)
    waiting = [trace]
    while waiting:
        part = waiting.pop()
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(_PACKAGE)]
        waiting += [inner for inner in (part.__cause__, part.__context__, *(part.exceptions or ())) if inner]
    return "".join(trace.format())


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT // 2]}\n...\n{text[-_TEXT_LIMIT // 2 :]}"
