"""How the tasks of an async function meet: nobody's step is decided about before everybody has come to rest.

Tasks may ask for steps at any time. Only when no task can go on is it known which steps are new, and whether there is
one or several of them. The loop tells: when it is about to block, nobody is ready. Results that are known are handed
out one by one, in the order in which the steps completed, each when everybody rests, so that a replay takes the same
turns as the calls before it. A function without tasks of its own never has to wait for that.

This module alone imports asyncio; it is loaded with the first call of an async function.

Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from contextvars import copy_context
from selectors import DefaultSelector

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import REPORT, RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from inngest_serverless.engine.ledger import Ledger, NewStep

__all__ = ["Rendezvous", "WarmLoop", "warm_loop"]

# How long tasks may take to clean up once the call has its answer.
GRACE_SECONDS = 5.0
# How long a targeted step may stay out of sight while tasks wait for something other than steps.
SEARCH_SECONDS = 10.0


class _RestingSelector(DefaultSelector):
    """A selector that says when the loop is about to block."""

    on_rest: Callable[[], bool] | None = None

    def select(self, timeout: float | None = None) -> Any:
        if (timeout is None or timeout > 0) and self.on_rest is not None and self.on_rest():
            timeout = 0
        return super().select(timeout)


class WarmLoop:
    """The event loop of one thread, made on first use and kept for warm calls."""

    def __init__(self) -> None:
        self.selector = _RestingSelector()
        self.tasks: list[asyncio.Task[Any]] = []
        self.runner = asyncio.Runner(loop_factory=self._make_loop)
        atexit.register(self.close)

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(self.selector)
        loop.set_task_factory(self._make_task)  # type: ignore[arg-type]
        return loop

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **kwargs: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **kwargs)
        self.tasks.append(task)
        return task

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, in a context of its own."""
        return self.runner.run(coroutine, context=copy_context())

    def close(self) -> None:
        """Close the loop."""
        atexit.unregister(self.close)
        self.runner.close()


_threads = threading.local()


def warm_loop() -> WarmLoop:
    """This thread's loop."""
    loop: WarmLoop | None = getattr(_threads, "loop", None)
    if loop is None:
        loop = _threads.loop = WarmLoop()
    return loop


class Rendezvous:
    """Where the tasks of one call meet."""

    Cancelled = asyncio.CancelledError

    def __init__(self, ledger: Ledger, order: list[str], loop: WarmLoop) -> None:
        self.ledger = ledger
        self._order = order
        self._warm = loop
        self._places: dict[str, int] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._arrived: dict[str, asyncio.Future[None]] = {}
        self._search: asyncio.TimerHandle | None = None

    async def conduct(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run the user's coroutine until it ends or the call has its answer; then end what is left of it.

        Returns:
            The task it ran in, done, unless it would not end.
        """
        loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = loop.create_future()
        main = loop.create_task(coroutine)
        self._tasks = self._warm.tasks = []
        main.add_done_callback(self._main_done)
        self._warm.selector.on_rest = self._rest
        try:
            await self._finished
        finally:
            self._warm.selector.on_rest = None
            if self._search is not None:
                self._search.cancel()
            await self._dismiss([task for task in (main, *self._tasks) if not task.done()])
        return main

    def is_alone(self) -> bool:
        """Whether the function has no tasks besides its own."""
        tasks = self._tasks
        while tasks and tasks[-1].done():
            tasks.pop()
        return not tasks

    def find(self, step_id: str) -> Any:
        """As ``Ledger.find``, in asyncio's terms: a call that has its answer cancels whoever asks on."""
        try:
            return self.ledger.find(step_id)
        except Interrupt as interrupt:
            raise asyncio.CancelledError(str(interrupt)) from None

    async def turn(self, key: str) -> None:
        """Wait until it is the turn of a step whose result is known."""
        self._turns[key] = future = asyncio.get_running_loop().create_future()
        await future

    async def arrive(self, step: NewStep) -> None:
        """Come with a new step; returns if its body is to be run, and never otherwise."""
        ledger = self.ledger
        ledger.collecting = 0 if self.is_alone() else 1
        verdict = ledger.decide(step)
        if verdict is RUN:
            return
        if verdict is REPORT:
            self._finish()
        self._arrived[step.key] = future = asyncio.get_running_loop().create_future()
        await future

    async def depart(self) -> Any:
        """Leave after a body has run; never returns."""
        self._finish()
        await asyncio.get_running_loop().create_future()

    def _rest(self) -> bool:
        """Everybody rests: hand out the next result, or decide. Returns whether somebody can go on now."""
        ledger = self.ledger
        if ledger.report is not None or ledger.running is not None:
            return False
        if self._turns:
            self._turns.pop(min(self._turns, key=self._place)).set_result(None)
            return True
        if ledger.pending:
            if ledger.settle() is RUN:
                self._arrived.pop(ledger.pending[0].key).set_result(None)
            else:
                self._finish()
            return True
        if ledger.skipped and self._search is None:
            self._search = asyncio.get_running_loop().call_later(self._search_delay(), self._finish)
            return True
        return False

    def _search_delay(self) -> float:
        # Beside the loop's own wake-up pipe, a registered file means that somebody waits for the network.
        return SEARCH_SECONDS if len(self._warm.selector.get_map()) > 1 else 0

    def _place(self, key: str) -> int:
        if self._places is None:
            self._places = {known: place for place, known in enumerate(self._order)}
        return self._places.get(key, -1)

    def _main_done(self, _task: asyncio.Task[Any]) -> None:
        # A body that is running in another task has to come to its end: its result must not be lost.
        if self.ledger.running is None:
            self._finish()

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

    async def _dismiss(self, tasks: list[asyncio.Task[Any]]) -> None:
        if not tasks:
            return
        for task in tasks:
            task.cancel("the call has its answer; the function is called again to go on")
        done, _ = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()
