"""How the tasks of an async function meet: nobody's step is decided about before everybody has come to rest.

Tasks may ask for steps at any time. Only when no task can go on is it known which steps are new, and whether there is
one or several of them. The loop tells: when it is about to block, nobody is ready. Results that are known are handed
out one by one, in the order in which the steps completed, each when everybody rests, so that a replay takes the same
turns as the calls before it. A function without tasks of its own never has to wait for that.

It is loaded with the first call of an async function: of what a call needs, it alone imports asyncio at its top.

Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import copy_context
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from selectors import DefaultSelector
from time import monotonic

from inngest_serverless.engine.ledger import REPORT, RUN, racing
from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType
    from typing import Any

    from inngest_serverless.engine.deadline import Deadline
    from inngest_serverless.engine.invocation import Invocation
    from inngest_serverless.engine.ledger import Ledger, NewStep
    from inngest_serverless.engine.plans import Senders
    from inngest_serverless.middleware import Hooks
    from inngest_serverless.protocol.exchange import Reply

__all__ = ["Rendezvous", "WarmLoop", "warm_loop"]

# How long tasks may take to clean up once the call has its answer, and how often they are told.
GRACE_SECONDS = 1.0
_DISMISSALS = 3
# How long a targeted step may stay out of sight while tasks wait for something other than steps.
SEARCH_SECONDS = 10.0
_STRANGER_SECONDS = 0.5
_DRIVERS = ("asyncio.", __name__)


class _RestingSelector(DefaultSelector):
    """A selector that says when the loop is about to block."""

    on_rest: Callable[[float | None], bool] | None = None

    def select(self, timeout: float | None = None) -> Any:
        if (timeout is None or timeout > 0) and self.on_rest is not None and self.on_rest(timeout):
            timeout = 0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    """A loop that knows how many threads work for it.

    Attributes:
        jobs: The calls of ``run_in_executor`` (and so of ``asyncio.to_thread``) that have not ended.
    """

    jobs = 0

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self.jobs -= 1


class _Tasks:
    """The tasks that were made since the last call began."""

    def __init__(self) -> None:
        self.made: list[asyncio.Task[Any]] = []

    def make(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **kwargs: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **kwargs)
        self.made.append(task)
        return task


class WarmLoop:
    """The event loop of one thread, made on first use, kept for warm calls, and closed with its thread or the process.

    Attributes:
        selector: Tells when the loop is about to block.
        tasks: Collects the tasks that are made.
        runner: Runs the loop.
        rendezvous: Where the tasks of the call meet that runs, or None before and behind the user's code.
    """

    def __init__(self) -> None:
        self.rendezvous: Rendezvous | None = None
        self._deadline: Deadline | None = None
        self._call: asyncio.Task[Reply] | None = None
        self.selector: _RestingSelector = _RestingSelector()
        self.tasks: _Tasks = _Tasks()
        selector, tasks = self.selector, self.tasks

        self._loops: list[_Loop] = []
        loops = self._loops

        def make_loop() -> asyncio.AbstractEventLoop:
            loop = _Loop(selector)
            loops.append(loop)
            loop.set_task_factory(tasks.make)  # type: ignore[arg-type]
            return loop

        self.runner: asyncio.Runner = asyncio.Runner(loop_factory=make_loop)
        # Refers to the runner alone, so that the end of a thread can end its loop.
        self.close: Callable[[], Any] = weakref.finalize(self, _close, self.runner, loops)
        # Here, where no call is ended, and not when it is asked for first.
        self.runner.get_loop()

    def run(self, invocation: Invocation, send: Senders) -> Reply:
        """Run an invocation of an async function, in a context of its own.

        Raises:
            ConfigurationError: The caller is itself run by an event loop.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - public, but for its name
            raise ConfigurationError(
                f"async function {invocation.function.id!r} was called by code that an event loop runs: "
                "call the handler in a thread, e.g. await asyncio.to_thread(handler, event, context)"
            )
        self._deadline = deadline = invocation.deadline
        try:
            # Not by the runner itself: it listens to SIGINT meanwhile, which costs as much as the rest of a call.
            loop = self.runner.get_loop()
            if deadline is not None:
                deadline.warm = self
            self._call = loop.create_task(invocation.run_async(send, self), context=copy_context())
            return loop.run_until_complete(self._call)
        except asyncio.CancelledError:
            self._break_off()
            if deadline is None or not deadline.has_rung:
                raise
            return invocation.conclude(None, invocation.expire(deadline))
        except SystemExit as error:
            # asyncio lets an exit in a task out of the loop, past everybody who waits for the task.
            self._break_off()
            return invocation.conclude(None, error)
        except BaseException:
            # A KeyboardInterrupt, or what a server raises in a thread whose time is up, comes out of the loop itself.
            self._break_off()
            raise
        finally:
            self._deadline = self._call = self.rendezvous = None

    def expire_soon(self, deadline: Deadline) -> None:
        """Have the loop end a call whose time is up; from a signal's handler or another thread."""
        self.runner.get_loop().call_soon_threadsafe(self._expire, deadline)

    def is_in_task(self, frame: FrameType | None) -> bool:
        """Whether the code of a task runs now, in ``frame``, and not the loop or what drives the task.

        An exception there would leave a task behind that is never woken again.
        """
        if frame is None or frame.f_globals.get("__name__", "").startswith(_DRIVERS):
            return False
        return asyncio.current_task(self._loops[-1]) is not None

    def _expire(self, deadline: Deadline) -> None:
        if deadline is not self._deadline or self._call is None:
            # It has been answered meanwhile.
            return
        if self.rendezvous is not None:
            self.rendezvous.expire(deadline)
        else:
            # A hook of the middleware.
            deadline.invocation.expire(deadline)
            self._call.cancel("the time of the call is up")

    def grace(self, parts: int = 1) -> float:
        """How many seconds tasks may take to clean up, so often within a call."""
        if self._deadline is None:
            return GRACE_SECONDS
        return min(GRACE_SECONDS, max(self._deadline.due - monotonic(), 0.0) / 2 / parts)

    def jobs(self) -> int:
        """How many threads work for the loop."""
        return sum(loop.jobs for loop in self._loops)

    def _break_off(self) -> None:
        # What ends the tasks must not count as one of them.
        self.tasks.made = []
        self.runner.run(_end_all(self.grace()))


def _close(runner: asyncio.Runner, loops: list[_Loop]) -> None:
    # Somebody else may have closed the loop before.
    if any(not loop.is_closed() for loop in loops):
        runner.close()


async def _end_all(grace: float) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel("the call was broken off")
    if tasks:
        await asyncio.wait(tasks, timeout=grace)


async def _contain(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    try:
        return await coroutine, None
    except KeyboardInterrupt:
        raise
    except asyncio.CancelledError as error:
        # Lets go of the function's frames, so that generators which it left half-way are closed with the call.
        raise error.with_traceback(None) from None
    except BaseException as error:  # noqa: BLE001 - the function's failure is told, whatever it is
        return None, error


def _is_unawaited(step: Coroutine[Any, Any, Any]) -> bool:
    return getcoroutinestate(step) == CORO_CREATED


def _not_awaited(step_id: str | None) -> ConfigurationError:
    what = "a parallel group" if step_id is None else f"step {step_id!r}"
    return ConfigurationError(f"{what} was not awaited, so it never ran: write 'await' before it")


_threads = threading.local()


def warm_loop() -> WarmLoop:
    """This thread's loop."""
    loop: WarmLoop | None = getattr(_threads, "loop", None)
    if loop is None:
        loop = _threads.loop = WarmLoop()
    return loop


class Rendezvous:
    """Where the tasks of one call meet.

    Attributes:
        ledger: Decides.
        tasks: The tasks of the call beside the function's own; those that have ended may still be among them.
        begun: The steps that were asked for, with their IDs, and groups, with None.
    """

    # For who must not import asyncio.
    Cancelled = asyncio.CancelledError

    def __init__(self, ledger: Ledger, loop: WarmLoop) -> None:
        self.ledger = ledger
        self._warm = loop
        self.tasks: list[asyncio.Task[Any]] = []
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._arrived: dict[str, asyncio.Future[None]] = {}
        self._search: asyncio.TimerHandle | None = None
        self.begun: list[tuple[str | None, Any]] = []
        self._left: NewStep | None = None
        self._hooks_begun: asyncio.Event | None = None
        ledger.has_tasks = True

    async def conduct(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run the user's coroutine until it ends or the call has its answer; then end what is left of it.

        Returns:
            The task it ran in, done, unless it would not end. Its result: what the function returned, what it raised.
        """
        loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = loop.create_future()
        main = loop.create_task(_contain(coroutine))
        self.tasks = self._warm.tasks.made = []
        main.add_done_callback(self._main_done)
        self._warm.selector.on_rest = self._rest
        self._warm.rendezvous = self
        try:
            await self._finished
            self._left = self.ledger.untold_step()
        finally:
            self._warm.selector.on_rest = None
            if self._search is not None:
                self._search.cancel()
            await self._dismiss(main)
            self._warm.rendezvous = None
        return main

    def expire(self, deadline: Deadline) -> None:
        """End the user's code, whose time is up, unless it has come to its answer."""
        if not self._finished.done():
            deadline.invocation.expire(deadline)
            self._finish()

    def forgotten(self) -> ConfigurationError | None:
        """The error of a function that called a step and did not wait for it, if it did; ends such steps quietly."""
        # Most have been awaited, and ask for no more than that.
        forgotten = [each for each in self.begun if each[1].cr_frame is not None and _is_unawaited(each[1])]
        for _, step in forgotten:
            step.close()
        if forgotten:
            return _not_awaited(forgotten[0][0])
        if self._left is None:
            return None
        return ConfigurationError(
            f"the function ended before step {self._left.step_id!r} ran, which a task of its own had asked for: "
            "await the task, or the group"
        )

    def check_given(self, args: tuple[Any, ...]) -> None:
        """Refuse what a new step is given if it is a step that nobody has awaited, and so no result of one.

        Raises:
            ConfigurationError: It is; the message names that step.
        """
        given = [each for value in args for each in (value if isinstance(value, tuple) else (value,))]
        given += [each for value in args if isinstance(value, dict) for each in value.values()]
        coroutines = [value for value in given if iscoroutine(value)]
        for step_id, step in self.begun if coroutines else ():
            if any(value is step for value in coroutines) and _is_unawaited(step):
                raise _not_awaited(step_id)

    def is_alone(self) -> bool:
        """Whether the function has no tasks besides its own."""
        tasks = self.tasks
        while tasks and tasks[-1].done():
            tasks.pop()
        return not tasks

    async def begin_hooks(self, hooks: Hooks) -> None:
        """Call the hooks between replay and new code; returns when they are done, and never if one has failed."""
        if self._hooks_begun is None:
            self._hooks_begun = asyncio.Event()
            try:
                await hooks.run_async(hooks.begin())
            except Exception as error:  # noqa: BLE001 - it is the failure of the call, not the user's to catch
                self.ledger.abandon(error)
                await self.depart()
            finally:
                self._hooks_begun.set()
        await self._hooks_begun.wait()
        if self.ledger.fault is not None:
            await self.depart()

    async def turn(self, key: str) -> None:
        """Wait until it is the turn of a step whose result is known."""
        if racing.get():
            # Now, as it may be a loser, which never comes to its turn.
            self.ledger.note_raced(key)
        self._turns[key] = future = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            self._turns.pop(key, None)

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
        try:
            await future
        except asyncio.CancelledError:
            # Somebody gave up on the step before it was reported, the winner of a race say.
            self._arrived.pop(step.key, None)
            ledger.withdraw(step)
            raise

    async def depart(self) -> Any:
        """Leave once the call has its answer; never returns."""
        self._finish()
        if self.ledger.expired is not None:
            # It is being dismissed already, and there is no time to wait for that a second time.
            raise asyncio.CancelledError("the time of the call is up")
        await asyncio.get_running_loop().create_future()

    def _rest(self, timeout: float | None) -> bool:
        """Everybody rests: hand out the next result, or decide. Returns whether somebody can go on now.

        Args:
            timeout: How long until a timer of somebody's is due, or None.
        """
        ledger = self.ledger
        if ledger.report is not None or ledger.running is not None or self._is_beginning():
            return False
        if self._turns:
            self._turns[min(self._turns, key=ledger.place)].set_result(None)
            return True
        if ledger.pending:
            if ledger.settle() is RUN:
                self._arrived[ledger.pending[0].key].set_result(None)
            else:
                self._finish()
            return True
        if ledger.skipped and self._search is None:
            self._search = asyncio.get_running_loop().call_later(self._search_delay(timeout), self._finish)
            return True
        return False

    def _is_beginning(self) -> bool:
        return self._hooks_begun is not None and not self._hooks_begun.is_set()

    def _search_delay(self, timeout: float | None) -> float:
        """How long a task may yet come to the targeted step behind a wait for something other than steps."""
        # Beside the loop's own wake-up pipe, a registered file means that somebody waits for the network.
        files = len(self._warm.selector.get_map()) > 1
        if timeout is not None or files or self._warm.jobs():
            return SEARCH_SECONDS
        # Somebody may still be woken by a thread that the loop does not know.
        return 0 if self.is_alone() else _STRANGER_SECONDS

    def _main_done(self, _task: asyncio.Task[Any]) -> None:
        # A body that is running in another task has to come to its end: its result must not be lost.
        if self.ledger.running is None:
            self._finish()

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)

    async def _dismiss(self, main: asyncio.Task[Any]) -> None:
        """End all tasks of the call; a task that goes on after its cancellation is cancelled once more, then left."""
        self.ledger.interrupt()
        known: set[asyncio.Task[Any]] = {main, *self.tasks}
        # Whose time is up is told once: what it does then is cleaning up, which is not ended a second time.
        turns = _DISMISSALS if self.ledger.expired is None else 1
        for turn in range(turns):
            # The end of a function may leave generators, which the loop closes in tasks of its own.
            if turn or self.tasks:
                await asyncio.sleep(0)
            if not (left := [task for task in (main, *self.tasks) if not task.done()]):
                break
            for task in left:
                # Who came while the others cleaned up is a part of that, and has its time as well.
                if task in known or turn == _DISMISSALS - 1:
                    task.cancel("the call has its answer; the function is called again to go on")
            known.update(left)
            # Most of them end at once; to wait for them costs more.
            await asyncio.sleep(0)
            if not all(task.done() for task in left):
                await asyncio.wait(left, timeout=self._warm.grace(turns))
            for task in left:
                if task.done() and not task.cancelled():
                    task.exception()
