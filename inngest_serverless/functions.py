"""Functions: what users declare. Everything is checked here, when the module is imported."""

from __future__ import annotations

from functools import partial

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol.registration import composite_id
from inngest_serverless.triggers import trigger_list, types_by_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Generic, Protocol, TypeVar, overload

    from inngest_serverless.engine.context import AsyncContext, Context
    from inngest_serverless.flow_control import (
        Batch,
        Cancel,
        Concurrency,
        Debounce,
        Priority,
        RateLimit,
        Singleton,
        Throttle,
        Timeouts,
    )
    from inngest_serverless.triggers import Trigger

    R = TypeVar("R")

    class Decorator(Protocol):
        """What ``create_function`` returns."""

        @overload
        def __call__(self, handler: Callable[[AsyncContext[Any]], Coroutine[Any, Any, R]], /) -> Function[R]: ...
        @overload
        def __call__(self, handler: Callable[[Context[Any]], R], /) -> Function[R]: ...
else:
    from inngest_serverless.generics import Generic

    R = None

__all__ = ["Function", "create_function", "index_functions", "middleware_list"]

MAX_RETRIES = 20
DEFAULT_RETRIES = 4

# Of inspect; importing it would cost a cold start more than everything else here.
_CO_COROUTINE = 0x80
_CO_VARARGS = 0x04


class Function(Generic[R]):
    """A durable function, by the type of what it returns. Made by ``create_function``.

    Attributes:
        id: Its ID within the app.
        handler: The user's function, ``def f(ctx)`` or ``async def f(ctx)``.
        is_async: Whether the handler is a coroutine function.
        options: Its registration: name, triggers, retries, flow control.
        event_types: What reads its events, by name: their types, or a choice of types.
        failed_event_types: If it is the ``on_failure`` handler of another function, the types of that one's events.
        on_failure: The handler of its failures, or None.
        middleware: Its own middleware.
    """

    __slots__ = (
        "event_types",
        "failed_event_types",
        "handler",
        "id",
        "is_async",
        "middleware",
        "on_failure",
        "options",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - the field's name everywhere at Inngest
        handler: Callable[..., Any],
        options: dict[str, Any],
        event_types: Mapping[str | None, Any] | None = None,
        on_failure: Callable[..., Any] | None = None,
        middleware: tuple[Any, ...] = (),
    ) -> None:
        self.id: str = id
        self.handler: Callable[..., Any] = handler
        self.is_async: bool = is_coroutine_function(handler)
        self.options: dict[str, Any] = options
        self.event_types: Mapping[str | None, Any] = event_types or {}
        self.failed_event_types: Mapping[str | None, Any] | None = None
        self.on_failure: Callable[..., Any] | None = on_failure
        self.middleware: tuple[Any, ...] = middleware

    @property
    def name(self) -> str:
        """The name shown for it."""
        return str(self.options["name"])

    def failure_function(self, app_id: str) -> Function[Any] | None:
        """The function that handles its failures, or None.

        Source: docs/protocol.md, section 7.
        """
        if self.on_failure is None:
            return None
        from inngest_serverless.failures import FAILED_EVENT

        failed = f"event.data.function_id == {_cel_text(composite_id(app_id, self.id))}"
        options = {
            "name": f"{self.name} (failure)",
            "triggers": [{"event": FAILED_EVENT, "expression": failed}],
            "retries": 0,
        }
        handler: Function[Any] = Function(f"{self.id}-failure", self.on_failure, options, middleware=self.middleware)
        handler.failed_event_types = self.event_types
        return handler

    def prepare(self) -> None:
        """Called when it is served, before any call of it.

        Raises:
            ConfigurationError: It is not complete yet, as a workflow without blocks.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r})"


def is_coroutine_function(function: Any) -> bool:
    """Whether calling it makes a coroutine; looks through partials and callable objects."""
    while isinstance(function, partial):
        function = function.func
    called: Any = getattr(function, "__call__", None)  # noqa: B004 - not whether it can be called, but by what
    code = getattr(function, "__code__", None) or getattr(called, "__code__", None)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


def create_function(
    *,
    id: str | None = None,  # noqa: A002 - the field's name everywhere at Inngest
    name: str | None = None,
    trigger: Trigger | Sequence[Trigger],
    retries: int = DEFAULT_RETRIES,
    idempotency: str | None = None,
    concurrency: Concurrency | int | Sequence[Concurrency] | None = None,
    throttle: Throttle | None = None,
    rate_limit: RateLimit | None = None,
    debounce: Debounce | None = None,
    priority: Priority | None = None,
    batch_events: Batch | None = None,
    cancel: Cancel | Sequence[Cancel] | None = None,
    singleton: Singleton | None = None,
    timeouts: Timeouts | None = None,
    on_failure: Callable[[Any], Any] | None = None,
    middleware: Iterable[Any] = (),
) -> Decorator:
    """Declare a durable function.

    Args:
        id: Its ID within the app; runs in flight are lost to it when it changes. Made from ``name`` if not given.
        name: The name to show; the ID if not given.
        trigger: One trigger or several, from ``event_trigger`` and ``cron_trigger``.
        retries: How often a step or the function is tried again, 0 to 20.
        idempotency: A CEL expression; events that give the same value start one run within 24 hours. Not with
            ``rate_limit``, whose place it takes at the server.
        concurrency: How many steps may run at the same time; at most two limits.
        throttle: How many runs may start in a period; the others wait.
        rate_limit: How many runs may start in a period; the others are dropped.
        debounce: Start one run when no event has come for a while.
        priority: Which runs go first.
        batch_events: Start one run for several events; not with ``cancel``, ``debounce``, ``priority``, ``singleton``.
        cancel: Events that cancel runs; at most five.
        singleton: At most one run at a time.
        timeouts: How long a run may take to start and to end.
        middleware: Middleware for this function, behind the app's: instances or subclasses of ``Middleware``.
        on_failure: Called like a function of its own when a run has failed for good; ``ctx.failure`` tells of it.

    Returns:
        A decorator for ``def f(ctx)`` or ``async def f(ctx)``.

    Raises:
        ConfigurationError: Anything about it is wrong; the message gives the function's ID.

    Source: docs/protocol.md, section 7.
    """
    function_id = _function_id(id, name)
    if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= MAX_RETRIES:
        raise ConfigurationError(f"function {function_id!r}: retries must be a whole number from 0 to {MAX_RETRIES}")
    if on_failure is not None and not callable(on_failure):
        raise ConfigurationError(
            f"function {function_id!r}: on_failure takes a plain function, def handler(ctx), "
            f"not {type(on_failure).__name__}"
        )
    _check_argument(function_id, on_failure)
    try:
        own_middleware = middleware_list(middleware)
        triggers = trigger_list(trigger)
        event_types = types_by_event(triggers)
        options: dict[str, Any] = {
            "name": name or function_id,
            "triggers": [item.to_json() for item in triggers],
            "retries": retries,
        } | _flow_control(
            idempotency,
            concurrency=concurrency,
            throttle=throttle,
            rate_limit=rate_limit,
            debounce=debounce,
            priority=priority,
            batch_events=batch_events,
            cancel=cancel,
            singleton=singleton,
            timeouts=timeouts,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"function {function_id!r}: {error}") from None

    def decorate(handler: Any) -> Any:
        if not callable(handler):
            raise ConfigurationError(f"function {function_id!r}: create_function decorates a function")
        _check_argument(function_id, handler)
        return Function(function_id, handler, options, event_types, on_failure, own_middleware)

    return decorate


def _check_argument(function_id: str, handler: Any) -> None:
    """Refuse what cannot be called with the context alone; what is no plain function or method is let pass."""
    code = getattr(handler, "__code__", None)
    if code is None or code.co_flags & _CO_VARARGS:
        return
    most = code.co_argcount - (getattr(handler, "__self__", None) is not None)
    if not most - len(handler.__defaults__ or ()) <= 1 <= most:
        raise ConfigurationError(
            f"function {function_id!r}: {handler.__name__} takes {most} arguments, and is called with one, "
            "the context: write def f(ctx), with the steps in ctx.step"
        )


def middleware_list(given: Iterable[Any]) -> tuple[Any, ...]:
    """What is given as ``middleware=``, as it is used.

    Raises:
        ConfigurationError: It is not several, but one by itself for example.
    """
    try:
        return tuple(given)
    except TypeError:
        name = given.__name__ if isinstance(given, type) else type(given).__name__
        raise ConfigurationError(f"middleware takes a list, not {name}: write middleware=[...]") from None


def _flow_control(idempotency: str | None, **given: Any) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if idempotency is not None:
        if not isinstance(idempotency, str) or not idempotency.strip():
            raise ConfigurationError("idempotency must be a CEL expression, e.g. 'event.data.order_id'")
        if given["rate_limit"] is not None:
            raise ConfigurationError(
                "idempotency does not go with rate_limit: the server would leave the rate limit out"
            )
        options["idempotency"] = idempotency
    present = {key: value for key, value in given.items() if value is not None}
    if present:
        # Without flow control a cold start does not load it.
        from inngest_serverless.flow_control import options_json

        options |= options_json(present)
    return options


def _cel_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def _function_id(given: str | None, name: str | None) -> str:
    if given is None and isinstance(name, str) and name:
        given = _slug(name)
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError(
            f"a function (name {name!r}) has an empty ID: pass create_function(id='my-function', ...)"
        )
    return given


def _slug(name: str) -> str:
    words = "".join(character if character.isalnum() else " " for character in name.lower()).split()
    return "-".join(words)


def _with_failure_handlers(app_id: str, functions: Iterable[Any]) -> Iterator[Any]:
    for function in functions:
        yield function
        if isinstance(function, Function) and (handler := function.failure_function(app_id)) is not None:
            yield handler


def index_functions(app_id: str, functions: Iterable[Any]) -> dict[str, Function[Any]]:
    """The functions of an app by composite ID.

    Raises:
        ConfigurationError: One is not a Function, or two have the same ID.
    """
    index: dict[str, Function[Any]] = {}
    for function in _with_failure_handlers(app_id, functions):
        if not isinstance(function, Function):
            raise ConfigurationError(
                f"{getattr(function, '__name__', function)!r} is not an Inngest function: "
                "decorate it with create_function"
            )
        function.prepare()
        identity = composite_id(app_id, function.id)
        if identity in index:
            raise ConfigurationError(_used_twice(function, index[identity]))
        index[identity] = function
    return index


def _used_twice(function: Function[Any], other: Function[Any]) -> str:
    message = f"function ID {function.id!r} is used twice: each needs its own"
    if function.failed_event_types is None and other.failed_event_types is None:
        return message
    owner = function.id.removesuffix("-failure")
    return f"{message}; it is also that of the on_failure handler of function {owner!r}, so choose another one"
