"""The app of a target on this machine: started, started anew when its files change, and reached all the while."""

from __future__ import annotations

from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Protocol, Self

from inngest_serverless.errors import ConfigurationError, InngestError
from inngest_serverless.local.dev.environment import MissingTargetError, StoppedError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from inngest_serverless.local.dev.changes import Changes
    from inngest_serverless.local.dev.generation import Generation
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["Listener", "LocalApp", "NotServingError"]

_AGAIN_SECONDS = 1.0


class NotServingError(InngestError):
    """The app cannot be reached, and why."""


class Listener(Protocol):
    """Is told what becomes of an app."""

    def started(self, generation: Generation) -> bool:
        """A generation has been started, and requests reach it. Called again, a little later, until it returns True."""
        ...

    def changed(self, files: list[str]) -> None:
        """Files have changed: the app is started anew."""

    def failed(self, problem: str) -> None:
        """It could not be started, and a change of its files may help."""

    def broken(self, error: InngestError) -> None:
        """It could not be started, and no change helps: nothing is tried any more."""


class LocalApp:
    """An app, as a context manager.

    A request that comes while it starts waits; those that are under way when it is started anew go to their end in the
    old processes.

    Args:
        make: Makes a generation, not started.
        changes: Notices changes, or None if it is to be started once.
        listener: Is told what becomes of it.
    """

    def __init__(self, make: Callable[[], Generation], changes: Changes | None, listener: Listener) -> None:
        self._make = make
        self._changes = changes
        self._listener = listener
        self._state = Condition()
        self._current: Generation | None = None
        self._starting: Generation | None = None
        self._problem = ""
        self._alive: set[Generation] = set()
        self._stopping, self._outdated = Event(), Event()
        self._threads = [Thread(target=self._live, name="dev-app", daemon=True)]
        if changes is not None:
            self._threads.append(Thread(target=self._watch, args=(changes,), name="dev-changes", daemon=True))

    def __enter__(self) -> Self:
        """Start it; this returns at once."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything, requests that are under way included."""
        self._stopping.set()
        self._outdated.set()
        with self._state:
            self._problem, alive = "it is being stopped", list(self._alive)
            self._current = None
            self._state.notify_all()
        for generation in alive:
            generation.stop()
        for thread in self._threads:
            thread.join()

    def await_up(self) -> None:
        """Wait until it serves, however long that takes: its code may have to be mended first.

        Raises:
            NotServingError: It is being stopped.
        """
        with self._state:
            self._state.wait_for(lambda: self._current is not None or self._stopping.is_set())
        if self._stopping.is_set():
            raise NotServingError("the dev server is being stopped")

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send it a request.

        Raises:
            NotServingError: Its code has to be mended first, or it is being stopped.
        """
        with self._state:
            self._state.wait_for(lambda: self._current is not None or self._problem)
            generation = self._current
            if generation is None:
                raise NotServingError(self._problem)
            generation.calls += 1
        try:
            return generation.endpoint(method, url, headers, body)
        finally:
            with self._state:
                generation.calls -= 1
            self._end_unused()

    def _watch(self, changes: Changes) -> None:
        while files := changes.wait(self._stopping):
            self._listener.changed(files)
            self._outdated.set()
            with self._state:
                if self._starting is not None:
                    self._starting.stop()

    def _live(self) -> None:
        may_be_missing = False
        while True:
            generation = self._make()
            with self._state:
                if self._stopping.is_set():
                    return
                self._outdated.clear()
                self._current, self._problem, self._starting = None, "", generation
                self._alive.add(generation)
            self._end_unused()
            try:
                self._start(generation)
            except StoppedError:
                continue  # by the next change
            except InngestError as error:
                is_settings = isinstance(error, ConfigurationError) and not isinstance(error, TargetError)
                # A file that was there once may only be on its way from one state to the next, as in a checkout.
                is_mistyped = isinstance(error, MissingTargetError) and not may_be_missing
                if is_settings or is_mistyped or self._changes is None:
                    self._listener.broken(error)
                    return
                self._listener.failed(_in_a_line(error))
            else:
                while not (self._listener.started(generation) or self._outdated.wait(_AGAIN_SECONDS)):
                    pass
            may_be_missing = True
            self._outdated.wait()

    def _start(self, generation: Generation) -> None:
        current, problem = None, ""
        try:
            generation.start()
            current = generation
        except InngestError as error:
            problem = _in_a_line(error)
            raise
        except OSError as error:
            problem = f"the app cannot be started: {error}"
            raise ConfigurationError(problem) from error
        finally:
            with self._state:
                self._starting = None
                if not self._stopping.is_set():
                    self._current, self._problem = None if generation.is_stopped else current, problem
                self._state.notify_all()
            self._end_unused()
        if generation.is_stopped:  # by the next change, at the last moment
            raise StoppedError("stopped")

    def _end_unused(self) -> None:
        """End what serves nobody: the generations before, once their last request has been answered."""
        with self._state:
            kept = {self._current, self._starting}
            unused = [each for each in self._alive if each not in kept and not each.calls]
            self._alive.difference_update(unused)
        for generation in unused:
            generation.stop()


def _in_a_line(error: InngestError) -> str:
    """An error in a line: of one that ends with a log, the log's last line."""
    first, *others = str(error).strip().splitlines()
    return f"{first}: {others[-1].strip()}" if others else first
