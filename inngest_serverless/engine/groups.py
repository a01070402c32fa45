"""Parallel branches. In sync code they are explored one after the other; in async code they are tasks.

Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import racing
from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from typing import Any, Literal, TypeVar, overload

    from inngest_serverless.engine.ledger import Ledger
    from inngest_serverless.engine.rendezvous import Rendezvous
    from inngest_serverless.protocol.step_ids import Scope

    T = TypeVar("T")
    A = TypeVar("A")
    B = TypeVar("B")
    C = TypeVar("C")
    D = TypeVar("D")
else:

    def overload(_function: object) -> None:
        """Nothing: overloads are for type checkers."""


__all__ = ["AsyncGroup", "Group"]


class Group:
    """Parallel steps in a sync function, as ``ctx.group``."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # A tuple keeps the type of each result; a list gives them one type.
    @overload
    def parallel(self, branches: tuple[Callable[[], A], Callable[[], B]]) -> tuple[A, B]: ...
    @overload
    def parallel(self, branches: tuple[Callable[[], A], Callable[[], B], Callable[[], C]]) -> tuple[A, B, C]: ...
    @overload
    def parallel(
        self, branches: tuple[Callable[[], A], Callable[[], B], Callable[[], C], Callable[[], D]]
    ) -> tuple[A, B, C, D]: ...
    @overload
    def parallel(
        self, branches: Iterable[Callable[[], T]], *, mode: Literal["race"] | None = None
    ) -> tuple[T, ...]: ...
    def parallel(
        self, branches: Iterable[Callable[[], Any]], *, mode: Literal["race"] | None = None
    ) -> tuple[Any, ...]:
        """Run branches in parallel: the server calls for their steps at the same time.

        Args:
            branches: Functions without arguments that call steps, e.g. ``lambda: ctx.step.run("a", work)``. Each is
                called on every call of the function, and up to twice when its next step is the only one left.
            mode: ``"race"`` to go on as soon as one branch has ended; steps of the others that have begun still end,
                and nobody looks at their results.

        Returns:
            The results in the order of the branches; of a race, the winner's alone.

        Raises:
            Exception: What the first failing branch raised, once all of them have ended; of a race, what the winner
                raised.
            ConfigurationError: The mode is unknown, or a branch is no function.
        """
        return _Exploration(self._ledger, _functions(branches), race=is_race(mode)).results()


class _Exploration:
    """One pass over the branches of a group."""

    def __init__(self, ledger: Ledger, branches: list[Callable[[], Any]], *, race: bool) -> None:
        self._ledger = ledger
        self._branches = branches
        self._race = race
        self._found = len(ledger.pending)
        self._passed = ledger.passed
        self._before = ledger.key
        # Of each branch that ended: when its last step completed, that step, its result, its error.
        self._ended: list[tuple[int, str, Any, BaseException | None]] = []
        self._interrupt: Interrupt | None = None
        self._resume: Callable[[], None] | None = None

    def results(self) -> tuple[Any, ...]:
        self._ledger.check("of a parallel group")
        self._explore_all()
        ledger = self._ledger
        if self._ended and (self._race or self._interrupt is None):
            # What follows completed no earlier than its last step.
            last = min if self._race else max
            ledger.key = last(self._ended, key=_completed)[1] or self._before
            ledger.passed = ledger.key or self._passed
        if self._race and self._ended:
            ledger.end_race(self)
            del ledger.pending[self._found :]
            self._ended = [min(self._ended, key=_completed)]
        elif self._interrupt is not None:
            self._settle()
            raise self._interrupt
        for _, _, _, error in self._ended:
            if error is not None:
                raise error
        return tuple(result for _, _, result, _ in self._ended)

    def _explore_all(self) -> None:
        ledger, ids = self._ledger, self._ledger.ids
        around = ids.enter_group()
        first = ""
        ledger.collecting += 1
        token = racing.set((*racing.get(), self)) if self._race else None
        try:
            for branch in self._branches:
                mark = ids.mark()
                self._explore(branch, around)
                first = first or ids.leave_branch()
                self._note_resume(branch, around, mark)
        finally:
            ledger.collecting -= 1
            ids.leave_group(around, first)
            if token is not None:
                racing.reset(token)

    def _explore(self, branch: Callable[[], Any], around: Scope) -> None:
        ledger = self._ledger
        ledger.ids.enter_branch(around)
        ledger.key = ""
        ledger.passed = self._passed
        ended: Any = None
        result: Any = None
        try:
            result = branch()
        except Interrupt as interrupt:
            ended = interrupt
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised once all branches have ended
            ended = error
        if self._race:
            ledger.note_raced(ledger.passed)
        # The branch may have swallowed the interrupt: what counts is that it was left at a new step.
        if ledger.resume() or ledger.report is not None:
            self._interrupt = ended if isinstance(ended, Interrupt) else Interrupt("of a parallel group")
            if ledger.report is not None:
                raise self._interrupt
        else:
            self._ended.append((ledger.place(ledger.key), ledger.key, result, ended))

    def _note_resume(self, branch: Callable[[], Any], around: Scope, mark: int) -> None:
        # Remembers the first branch that found something new: if nobody else does, it is run again to do that step.
        if self._resume is None and self._ledger.pending:
            self._resume = lambda: self._run_again(branch, around, mark)

    def _settle(self) -> None:
        ledger = self._ledger
        if not ledger.collecting and ledger.target is None:
            if self._resume is not None and ledger.may_run_alone():
                self._resume()
            if ledger.report is None and ledger.pending:
                ledger.plan_pending()
        ledger.interrupt()

    def _run_again(self, branch: Callable[[], Any], around: Scope, mark: int) -> None:
        """Call a branch once more to run its step in place, within the ``with`` and ``try`` blocks around it."""
        ledger = self._ledger
        [step] = ledger.pending
        ledger.ids.rewind(mark)
        ledger.target = step.key
        try:
            self._explore(branch, around)
        finally:
            if ledger.report is None:
                # The branch took another way this time; let the server call for the step.
                ledger.target = None
                ledger.pending = [step]


class AsyncGroup:
    """Parallel steps in an async function, as ``ctx.group``; ``asyncio.gather`` and ``TaskGroup`` do as well."""

    __slots__ = ("_ledger", "_rendezvous")

    def __init__(self, ledger: Ledger, rendezvous: Rendezvous) -> None:
        self._ledger = ledger
        self._rendezvous = rendezvous

    @overload
    def parallel(
        self, branches: tuple[Callable[[], Awaitable[A]], Callable[[], Awaitable[B]]]
    ) -> Coroutine[object, None, tuple[A, B]]: ...
    @overload
    def parallel(
        self, branches: tuple[Callable[[], Awaitable[A]], Callable[[], Awaitable[B]], Callable[[], Awaitable[C]]]
    ) -> Coroutine[object, None, tuple[A, B, C]]: ...
    @overload
    def parallel(
        self,
        branches: tuple[
            Callable[[], Awaitable[A]],
            Callable[[], Awaitable[B]],
            Callable[[], Awaitable[C]],
            Callable[[], Awaitable[D]],
        ],
    ) -> Coroutine[object, None, tuple[A, B, C, D]]: ...
    @overload
    def parallel(
        self, branches: Iterable[Callable[[], Awaitable[T]]], *, mode: Literal["race"] | None = None
    ) -> Coroutine[object, None, tuple[T, ...]]: ...
    def parallel(
        self, branches: Iterable[Callable[[], Awaitable[Any]]], *, mode: Literal["race"] | None = None
    ) -> Coroutine[object, None, tuple[Any, ...]]:
        """As ``Group.parallel``, for functions that return awaitables."""
        coroutine = self._carry_out(_functions(branches), object() if is_race(mode) else None)
        self._rendezvous.begun.append((None, coroutine))
        return coroutine

    async def _carry_out(self, branches: list[Callable[[], Awaitable[Any]]], race: object | None) -> tuple[Any, ...]:
        import asyncio

        tasks = [asyncio.ensure_future(_outcome(branch, race)) for branch in branches]
        if race is not None and tasks:
            done, losers = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._ledger.note_raced(self._ledger.passed)
            self._ledger.end_race(race)
            for task in losers:
                task.cancel("another branch has won the race")
            tasks = [next(task for task in tasks if task in done)]
        ended = await asyncio.gather(*tasks)
        for _, error in ended:
            if error is not None:
                raise error
        return tuple(result for result, _ in ended)


async def _outcome(branch: Callable[[], Awaitable[Any]], race: object | None) -> tuple[Any, Exception | None]:
    if race is not None:
        racing.set((*racing.get(), race))
    try:
        return await branch(), None
    except Exception as error:  # noqa: BLE001 - raised once all branches have ended
        return None, error


def _functions(branches: Iterable[Any]) -> list[Any]:
    given = list(branches)
    wrong = [branch for branch in given if not callable(branch)]
    if wrong:
        for branch in wrong:
            if hasattr(branch, "cr_code"):
                # A step that was called: that it is not awaited is not what is to be told.
                branch.close()
        raise ConfigurationError(
            f"group.parallel takes functions, not {type(wrong[0]).__name__}: "
            "write lambda: ctx.step.run('id', function), without calling the step"
        )
    return given


def is_race(mode: str | None) -> bool:
    """Whether a group is to end with its first branch.

    Raises:
        ConfigurationError: The mode is unknown.
    """
    if mode not in {None, "race"}:
        raise ConfigurationError(f"group.parallel: mode must be None or 'race', not {mode!r}")
    return mode == "race"


def _completed(ended: tuple[int, str, Any, BaseException | None]) -> int:
    return ended[0]
