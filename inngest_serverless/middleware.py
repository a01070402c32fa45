"""Middleware: code around every call, for an app or for one function.

Each hook is called exactly once for each call that comes to it, in this order::

    transform_input      before the function runs: events and memos may be changed in place
    after_memoization    all that is known has been replayed
    before_execution     new code runs from here on
    after_execution      it has run                                        (in reverse order of the list)
    transform_output     what it returned or raised may be changed         (in reverse order of the list)
    before_response      the answer is ready

and for every sending of events, by a step or by a client::

    before_send_events   the events may be changed in place
    after_send_events    their IDs, or what went wrong                     (in reverse order of the list)

A hook may be a coroutine function; then it serves async functions only. What a hook raises becomes the failure of the
step whose body has just run, and of the call otherwise; the user's code cannot catch it.
Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from typing import Any, TypeVar

    R = TypeVar("R")

__all__ = ["CallInput", "CallOutput", "Hooks", "Middleware", "refusal"]


# What a generator of hooks yields where the code between them is to run.
EXECUTE = object()


class CallInput:
    """What a call came with. Change it in place.

    Attributes:
        app_id: The app.
        function_id: The function, without the app.
        run_id: The run.
        attempt: 0 for the first try.
        events: The events, as JSON objects.
        memos: The memos by step hash: ``{"data": ...}``, ``{"error": ...}``, None, or an event.
        traceparent: The server's W3C trace context, or None.
        tracestate: Its vendors' part, or None.
        request_id: The server's ID of this call, or "".
    """

    __slots__ = (
        "app_id",
        "attempt",
        "events",
        "function_id",
        "memos",
        "request_id",
        "run_id",
        "traceparent",
        "tracestate",
    )

    def __init__(
        self,
        app_id: str,
        function_id: str,
        run_id: str,
        attempt: int,
        events: list[dict[str, Any]],
        memos: dict[str, Any],
        traceparent: str | None = None,
        tracestate: str | None = None,
        request_id: str = "",
    ) -> None:
        self.request_id: str = request_id
        self.traceparent: str | None = traceparent
        self.tracestate: str | None = tracestate
        self.app_id: str = app_id
        self.function_id: str = function_id
        self.run_id: str = run_id
        self.attempt: int = attempt
        self.events: list[dict[str, Any]] = events
        self.memos: dict[str, Any] = memos


class CallOutput:
    """What new code came to. Set ``data`` or ``error`` to change it.

    Attributes:
        step_id: The step that ran, or None for the function itself.
        data: What it returned, as JSON takes it.
        error: What it raised, or None.
    """

    __slots__ = ("data", "error", "step_id")

    def __init__(self, step_id: str | None, data: Any, error: BaseException | None) -> None:
        self.step_id: str | None = step_id
        self.data: Any = data
        self.error: BaseException | None = error


# What the names of hooks begin with.
_PREFIXES = ("before_", "after_", "transform_")


class Middleware:
    """The base of all middleware: every hook does nothing.

    Give an instance to share it among all calls, or its class (any function without arguments that makes one) to have
    a new one for each call.
    """

    def __init_subclass__(cls, **given: Any) -> None:
        """Refuse what looks like a hook and is none: it would never be called.

        Raises:
            ConfigurationError: There is no such hook.
        """
        super().__init_subclass__(**given)
        if wrong := [name for name in vars(cls) if name.startswith(_PREFIXES) and name not in _NAMES]:
            raise ConfigurationError(
                f"middleware {cls.__name__}: there is no hook {wrong[0]}: there are {', '.join(_NAMES)}. A method of "
                "your own needs a name of another kind"
            )

    def transform_input(self, call: CallInput) -> Awaitable[None] | None:
        """Change events and memos before the function runs."""

    def after_memoization(self) -> Awaitable[None] | None:
        """All that is known has been replayed."""

    def before_execution(self) -> Awaitable[None] | None:
        """New code runs from here on."""

    def after_execution(self) -> Awaitable[None] | None:
        """New code has run, whether it succeeded or not."""

    def transform_output(self, output: CallOutput) -> Awaitable[None] | None:
        """Change what a step or the function returned or raised."""

    def before_response(self) -> Awaitable[None] | None:
        """The answer is ready."""

    def before_send_events(self, events: list[dict[str, Any]]) -> Awaitable[None] | None:
        """Change events, as JSON objects, before they are sent."""

    def after_send_events(self, ids: Sequence[str], error: Exception | None) -> Awaitable[None] | None:
        """Events were sent, or not: the IDs that went through, and what went wrong."""


_NAMES = [name for name in vars(Middleware) if not name.startswith("_")]


class Hooks:
    """The middleware of one call, or of one client.

    The methods are generators of what has to be awaited; sync code refuses to.
    """

    __slots__ = ("_begun", "_ended", "_middleware")

    def __init__(self, sources: Sequence[Any]) -> None:
        self._middleware = [_instance(source) for source in sources]
        self._begun = False
        self._ended = False

    def check_sync(self, function_id: str) -> None:
        """Check that the hooks can serve a function that is not async.

        Raises:
            ConfigurationError: One of them is a coroutine function.
        """
        for middleware in self._middleware:
            for hook in _NAMES:
                if is_coroutine_function(getattr(middleware, hook)):
                    raise ConfigurationError(
                        f"hook {hook} of middleware {type(middleware).__name__} is a coroutine function, but function "
                        f"{function_id!r} is not async: make the hook a plain function, or the function 'async def'"
                    )

    def transform_input(self, call: CallInput) -> Generator[Any, Any, None]:
        """Run the hooks of that name."""
        return self._run("transform_input", call)

    def begin(self) -> Generator[Any, Any, None]:
        """Run the hooks between replay and new code, the first time only."""
        if not self._begun:
            self._begun = True
            yield from self._run("after_memoization")
            yield from self._run("before_execution")

    def end(self, output: CallOutput | None) -> Generator[Any, Any, None]:
        """Run the hooks behind new code, the first time only.

        All of them are called: what one raises takes the place of what the code came to, for those that follow.

        Args:
            output: What it came to, or None where the call only reports steps for the server.
        """
        yield from self.begin()
        if self._ended:
            return
        self._ended = True
        outcome = output or CallOutput(None, None, None)
        calls: list[tuple[str, tuple[Any, ...]]] = [("after_execution", ())]
        if output is not None:
            calls.append(("transform_output", (output,)))
        for hook, args in calls:
            for middleware in reversed(self._middleware):
                try:
                    awaitable = getattr(middleware, hook)(*args)
                    if awaitable is not None:
                        yield awaitable
                except Exception as error:  # noqa: BLE001 - it is the failure of what has run
                    outcome.data, outcome.error = None, error
        if output is None and outcome.error is not None:
            raise outcome.error

    def respond(self) -> Generator[Any, Any, None]:
        """Run the last hooks of a call."""
        return self._run("before_response")

    def before_send(self, events: list[dict[str, Any]]) -> Generator[Any, Any, None]:
        """Run the hooks before events are sent."""
        return self._run("before_send_events", events)

    def after_send(self, ids: Sequence[str], error: Exception | None) -> Generator[Any, Any, None]:
        """Run the hooks after events were sent, in reverse order of the list."""
        for middleware in reversed(self._middleware):
            awaitable = middleware.after_send_events(ids, error)
            if awaitable is not None:
                yield awaitable

    def run(self, hooks: Generator[Any, Any, R], execute: Callable[[], Any] | None = None) -> R:
        """Run hooks in sync code, and what is between them.

        Args:
            hooks: Yields what has to be awaited, which sync code refuses, and EXECUTE for a call of ``execute``.
            execute: Its result is sent to the generator.

        Returns:
            What the generator returns.
        """
        try:
            wanted = next(hooks)
            while True:
                wanted = hooks.send(execute()) if wanted is EXECUTE and execute else hooks.throw(refusal(wanted))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def run_async(self, hooks: Generator[Any, Any, R], execute: Callable[[], Awaitable[Any]] | None = None) -> R:
        """As ``run``, in async code."""
        try:
            wanted = next(hooks)
            while True:
                try:
                    result = await (execute() if wanted is EXECUTE and execute else wanted)
                except Exception as error:  # noqa: BLE001 - the generator decides what a hook's exception means
                    wanted = hooks.throw(error)
                else:
                    wanted = hooks.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _run(self, hook: str, *args: Any) -> Generator[Any, Any, None]:
        for middleware in self._middleware:
            awaitable = getattr(middleware, hook)(*args)
            if awaitable is not None:
                yield awaitable


def refusal(awaitable: Any) -> ConfigurationError:
    """The error of a hook that has to be awaited in sync code; ends its coroutine quietly."""
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
    return ConfigurationError(
        "a hook of the middleware is a coroutine function, but the function is not async: "
        "make the hook a plain function, or the function 'async def'"
    )


def _instance(source: Any) -> Middleware:
    made = source if isinstance(source, Middleware) else source() if callable(source) else source
    if not isinstance(made, Middleware):
        raise ConfigurationError(f"middleware takes instances or subclasses of Middleware, not {type(made).__name__}")
    return made
