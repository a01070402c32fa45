"""Work that may take longer than anybody waits for it."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["within"]

T = TypeVar("T")


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """Do some work, and give up on it after a time: then it goes on, and its result counts for nothing.

    Args:
        seconds: How long to wait; None for as long as it takes.
        work: The work.

    Raises:
        TimeoutError: The time is up.
    """
    if seconds is None:
        return work()
    done: Future[T] = Future()

    def carry() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            done.set_exception(error)

    Thread(target=carry, name="dev-work", daemon=True).start()
    return done.result(seconds)
