"""Parallel branches. In sync code they are explored one after the other; in async code they are tasks.

Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

from inngest_serverless.engine.interrupts import Interrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from inngest_serverless.engine.ledger import Ledger

__all__ = ["AsyncGroup", "Group"]


class Group:
    """Parallel steps in a sync function, as ``ctx.group``."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def parallel(self, branches: Iterable[Callable[[], Any]]) -> tuple[Any, ...]:
        """Run branches in parallel: the server calls for their steps at the same time.

        Args:
            branches: Functions without arguments that call steps, e.g. ``lambda: ctx.step.run("a", work)``. Each is
                called on every call of the function, and up to twice when its next step is the only one left.

        Returns:
            Their results, in the order of the branches.

        Raises:
            Exception: What the first failing branch raised, once all of them have ended.
        """
        return _Exploration(self._ledger, list(branches)).results()


class _Exploration:
    """One pass over the branches of a group."""

    def __init__(self, ledger: Ledger, branches: list[Callable[[], Any]]) -> None:
        self._ledger = ledger
        self._branches = branches
        self._results: list[Any] = []
        self._errors: list[Exception | SystemExit] = []
        self._interrupt: Interrupt | None = None
        self._resume: Callable[[], None] | None = None

    def results(self) -> tuple[Any, ...]:
        ledger, ids = self._ledger, self._ledger.ids
        state = ids.enter_group()
        first = ""
        ledger.collecting += 1
        try:
            for branch in self._branches:
                mark = ids.mark()
                self._explore(branch, state)
                first = first or ids.leave_branch()
                self._note_resume(branch, state, mark)
        finally:
            ledger.collecting -= 1
            ids.leave_group(state, first)
        if self._interrupt is not None:
            self._settle()
            raise self._interrupt
        if self._errors:
            raise self._errors[0]
        return tuple(self._results)

    def _explore(self, branch: Callable[[], Any], state: tuple[bool, str, str]) -> None:
        ledger = self._ledger
        ledger.ids.enter_branch(state)
        ended: Any = None
        try:
            result = branch()
        except Interrupt as interrupt:
            ended = interrupt
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised once all branches have ended
            ended = error
        # The branch may have swallowed the interrupt: what counts is that it was left at a new step.
        if ledger.resume() or ledger.report is not None:
            self._interrupt = ended if isinstance(ended, Interrupt) else Interrupt("of a parallel group")
            if ledger.report is not None:
                raise self._interrupt
        elif ended is not None:
            self._errors.append(ended)
        else:
            self._results.append(result)

    def _note_resume(self, branch: Callable[[], Any], state: tuple[bool, str, str], mark: int) -> None:
        # Remembers the first branch that found something new: if nobody else does, it is run again to do that step.
        if self._resume is None and self._ledger.pending:
            self._resume = lambda: self._run_again(branch, state, mark)

    def _settle(self) -> None:
        ledger = self._ledger
        if not ledger.collecting and ledger.target is None:
            if self._resume is not None and ledger.may_run_alone():
                self._resume()
            if ledger.report is None and ledger.pending:
                ledger.plan_pending()
        ledger.interrupt()

    def _run_again(self, branch: Callable[[], Any], state: tuple[bool, str, str], mark: int) -> None:
        """Call a branch once more to run its step in place, within the ``with`` and ``try`` blocks around it."""
        ledger = self._ledger
        [step] = ledger.pending
        ledger.ids.rewind(mark)
        ledger.target = step.key
        try:
            self._explore(branch, state)
        finally:
            if ledger.report is None:
                # The branch took another way this time; let the server call for the step.
                ledger.target = None
                ledger.pending = [step]


class AsyncGroup:
    """Parallel steps in an async function, as ``ctx.group``; ``asyncio.gather`` and ``TaskGroup`` do as well."""

    __slots__ = ()

    async def parallel(self, branches: Iterable[Callable[[], Awaitable[Any]]]) -> tuple[Any, ...]:
        """As ``Group.parallel``, for functions that return awaitables."""
        import asyncio

        results = await asyncio.gather(*[_outcome(branch) for branch in branches])
        for _, error in results:
            if error is not None:
                raise error
        return tuple(result for result, _ in results)


async def _outcome(branch: Callable[[], Awaitable[Any]]) -> tuple[Any, Exception | None]:
    try:
        return await branch(), None
    except Exception as error:  # noqa: BLE001 - raised once all branches have ended
        return None, error
