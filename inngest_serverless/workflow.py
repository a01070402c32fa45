"""Workflows: durable functions that are declared block by block, after the macros of the Elixir SDK.

The blocks run from top to bottom. Each one is given the event and the data of the blocks before it, and what it returns
is merged into the data for those behind it; the data is the result of the whole.

There is one path through the blocks, a coroutine. In a workflow without ``async def`` it awaits nothing, and a single
``send`` takes it to its end. Source: docs/workflows.md; docs/protocol.md, sections 3 and 4.
"""

from __future__ import annotations

from inngest_serverless.engine.server_plans import plan_sleep, plan_wait_for_event
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.events import Event
from inngest_serverless.functions import Function, create_function, is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime, timedelta
    from typing import Any, Concatenate, ParamSpec, TypeVar

    P = ParamSpec("P")
    Facts = Mapping[str, Any] | None
    Work = TypeVar("Work", bound=Callable[..., Facts | Awaitable[Facts]])
    Clock = TypeVar("Clock", bound=Callable[..., str | datetime | Awaitable[str | datetime]])

    def _with_options_of(
        _function: Callable[P, Any],
    ) -> Callable[[Callable[..., None]], Callable[Concatenate[Workflow, P], None]]:
        """Say to type checkers that a method takes the arguments of a function."""
        ...
else:
    # Only the subscript of Workflow's base needs it at run time.
    Any = None

    def _with_options_of(_function: object) -> object:
        return lambda method: method


__all__ = ["Workflow"]

_ARGUMENTS = {"event", "data", "ctx"}

# inspect.CO_VARARGS and CO_VARKEYWORDS; importing inspect would cost a cold start more than everything else here.
_CO_VARARGS, _CO_VARKEYWORDS = 0x04, 0x08


class Workflow(Function[dict[str, Any]]):
    """A function made of blocks, to be served and invoked like any other.

    The function of a block has those of these parameters that it needs, in any order: ``event``, ``data`` (a copy of
    what the blocks before it returned, merged) and ``ctx`` (the ``Context``). If one of the functions is ``async def``,
    the workflow is an async function; the others may still be plain ones.

    Args:
        **options: As for ``create_function``: ``id``, ``trigger``, ``retries`` and so on.

    Raises:
        ConfigurationError: Anything about it is wrong; the message gives the workflow's ID.

    Source: docs/workflows.md.
    """

    __slots__ = ("_blocks", "_is_served", "_titles")

    @_with_options_of(create_function)
    def __init__(self, **options: Any) -> None:
        declared = create_function(**options)(self._walk_at_once)
        # All of it, so that a new option needs nothing here.
        for name in Function.__slots__:
            setattr(self, name, getattr(declared, name))
        self._blocks: list[_Block] = []
        self._titles: set[tuple[str, str]] = set()
        self._is_served = False

    def run(self, title: str) -> Callable[[Work], Work]:
        """A block that is executed again on every call of the run, and never remembered.

        It is for what is cheap and comes out the same each time. It returns a dict to be merged into the data, or None.

        Args:
            title: Its name, for messages; no two ``run`` blocks have the same.
        """
        return self._decorator("run", title)  # type: ignore[no-any-return]

    def step(self, title: str) -> Callable[[Work], Work]:
        """A block that is executed once, and remembered. It returns a dict to be merged into the data, or None.

        Args:
            title: The step's ID.
        """
        return self._decorator("step", title)  # type: ignore[no-any-return]

    def sleep(self, duration: str | int | timedelta, *, id: str | None = None) -> None:  # noqa: A002 - as in steps
        """Go on after a while; nothing runs meanwhile.

        Args:
            duration: A time string ("1h30m"), milliseconds, or a timedelta; at most 366 days.
            id: The step's ID. If not given, it is made from the duration and how many such sleeps stand before it.
        """
        text = plan_sleep(duration).opts["duration"]
        self._add(_Block(self, "sleep", self._sleep_id(text) if id is None else id, duration=text))

    def sleep_until(self, title: str) -> Callable[[Clock], Clock]:
        """A block that says when to go on: an aware datetime, or text as for ``step.sleep_until``.

        It is executed again on every call of the run; what it said first counts.

        Args:
            title: The step's ID.
        """
        return self._decorator("sleep_until", title)  # type: ignore[no-any-return]

    def wait_for_event(
        self,
        event: str | type[Event[Any]],
        *,
        timeout: str | int | timedelta,
        match: str | None = None,
        if_exp: str | None = None,
        required: bool = False,
        id: str | None = None,  # noqa: A002 - as in steps
    ) -> None:
        """Go on when an event arrives, or after the timeout. It goes into the data under its name; None if it is late.

        Args:
            event: The event's name, or a type of event.
            timeout: How long to wait: a time string, milliseconds, or a timedelta; at most 366 days.
            match: A path that must be equal in the run's event and in this one, e.g. ``"data.user_id"``.
            if_exp: A CEL condition instead: ``event`` is the run's event, ``async`` the awaited one.
            required: Whether the workflow fails without the event.
            id: The step's ID; the event's name if not given.

        Raises:
            ConfigurationError: The event has no name, the timeout is no duration, or there are two conditions.
        """
        # As is done on a call, so that whatever is wrong shows when the module is imported.
        name = plan_wait_for_event(event, timeout, if_exp, match).opts["event"]
        options = {"event": event, "timeout": timeout, "if_exp": if_exp, "match": match, "required": required}
        self._add(_Block(self, "wait_for_event", name if id is None else id, name=name, options=options))

    def prepare(self) -> None:
        """Called when it is served: from then on it takes no more blocks.

        Raises:
            ConfigurationError: It has no blocks.
        """
        if not self._blocks:
            raise ConfigurationError(f"workflow {self.id!r} has no blocks: give it some, e.g. {_USAGE['step']}")
        self._is_served = True

    def _decorator(self, kind: str, title: str) -> Any:
        # Here, not with the function: without a title @workflow.step would take the function for one, and lose it.
        if not isinstance(title, str):
            raise ConfigurationError(f"workflow {self.id!r}: a {kind} block needs a title: {_USAGE[kind]}")

        def add(function: Any) -> Any:
            self._add(_Block(self, kind, title, function))
            return function

        return add

    def _sleep_id(self, duration: str, count: int = 1) -> str:
        title = f"sleep {duration}" if count == 1 else f"sleep {duration} ({count})"
        return self._sleep_id(duration, count + 1) if ("sleep", title) in self._titles else title

    def _add(self, block: _Block) -> None:
        if not isinstance(block.title, str) or not block.title.strip():
            raise block.fault(f"its title must be text that says what it does: {_USAGE[block.kind]}")
        if (block.kind, block.title) in self._titles:
            raise block.fault(f"there is one of that title already: give each a title of its own, {_USAGE[block.kind]}")
        if self._is_served:
            raise block.fault("it comes too late, the workflow is served already: add all blocks before")
        self._titles.add((block.kind, block.title))
        self._blocks.append(block)
        if block.is_async and not self.is_async:
            self.is_async = True
            self.handler: Callable[..., Any] = self._walk

    async def _walk(self, ctx: Any) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for block in self._blocks:
            data.update(await block.act(ctx, data) or {})
        return {key: value.to_dict() if isinstance(value, Event) else value for key, value in data.items()}

    def _walk_at_once(self, ctx: Any) -> dict[str, Any]:
        return _at_once(self._walk(ctx))  # type: ignore[no-any-return]


class _Block:
    """What stands in a workflow: a function of the user's, or the options of a step."""

    __slots__ = ("_function", "_inner", "_options", "_parameters", "_workflow", "act", "is_async", "kind", "title")

    def __init__(self, workflow: Workflow, kind: str, title: str, function: Any = None, **options: Any) -> None:
        self._workflow = workflow
        self._function = function
        self._options = options
        self.kind = kind
        self.title = title
        self.act: Callable[[Any, dict[str, Any]], Coroutine[Any, Any, dict[str, Any] | None]] = getattr(self, kind)
        # Like inspect.signature: a wrapper made with functools.wraps takes, and returns, what its inner function does.
        self._inner = function
        while (wrapped := getattr(self._inner, "__wrapped__", None)) is not None:
            self._inner = wrapped
        self.is_async = is_coroutine_function(function) or is_coroutine_function(self._inner)
        self._parameters = () if kind in {"sleep", "wait_for_event"} else self._parameters_of(self._inner)

    def _parameters_of(self, function: Any) -> tuple[str, ...]:
        code = getattr(function, "__code__", None)
        if code is None:
            raise self.fault(f"it must be a function, not {type(function).__name__}: {_USAGE[self.kind]}")
        stars = bool(code.co_flags & _CO_VARARGS) + bool(code.co_flags & _CO_VARKEYWORDS)
        is_method = getattr(function, "__self__", None) is not None
        names: tuple[str, ...] = code.co_varnames[is_method : code.co_argcount + code.co_kwonlyargcount + stars]
        strange = ", ".join(sorted({*names} - _ARGUMENTS)) or ("/" if code.co_posonlyargcount else "")
        if strange:
            raise self.fault(f"its function cannot have {strange}: its parameters are event, data and ctx, as needed")
        return names

    async def run(self, ctx: Any, data: dict[str, Any]) -> dict[str, Any] | None:
        return self._checked(await self._value(ctx, data))

    async def step(self, ctx: Any, data: dict[str, Any]) -> dict[str, Any] | None:
        def body() -> Any:
            facts = self.run(ctx, data)
            return facts if self._workflow.is_async else _at_once(facts)

        return self._checked(await _settled(ctx.step.run(self.title, body, output_type=self._inner)))

    async def sleep(self, ctx: Any, _data: dict[str, Any]) -> None:
        await _settled(ctx.step.sleep(self.title, self._options["duration"]))

    async def sleep_until(self, ctx: Any, data: dict[str, Any]) -> None:
        when = await self._value(ctx, data)
        try:
            await _settled(ctx.step.sleep_until(self.title, when))
        except ConfigurationError as error:
            raise self.fault(str(error)) from None

    async def wait_for_event(self, ctx: Any, _data: dict[str, Any]) -> dict[str, Any]:
        received = await _settled(ctx.step.wait_for_event(self.title, **self._options["options"]))
        return {self._options["name"]: received}

    async def _value(self, ctx: Any, data: dict[str, Any]) -> Any:
        given = {"event": ctx.event, "data": _copied(data), "ctx": ctx}
        value = self._function(**{name: given[name] for name in self._parameters})
        if hasattr(value, "__await__") and not self._workflow.is_async:
            if hasattr(value, "close"):
                value.close()
            raise self.fault("it returned an awaitable: declare it with 'async def', and its decorators as well")
        return await _settled(value)

    def _checked(self, value: Any) -> dict[str, Any] | None:
        if value is None or isinstance(value, dict):
            return value
        returned = type(value).__name__
        raise self.fault(f"it returned {returned}: return a dict, whose items are added to the data, or None")

    def fault(self, what: str) -> ConfigurationError:
        """An error that names the block."""
        return ConfigurationError(f"workflow {self._workflow.id!r}, {self.kind} block {self.title!r}: {what}")


_USAGE = {
    "run": "@workflow.run('look the plan up')",
    "step": "@workflow.step('charge')",
    "sleep": "workflow.sleep('2s', id='breathe')",
    "sleep_until": "@workflow.sleep_until('until launch')",
    "wait_for_event": "workflow.wait_for_event('user/confirmed', timeout='3d', id='confirmation')",
}


async def _settled(value: Any) -> Any:
    """What a step of sync or async code comes to."""
    return await value if hasattr(value, "__await__") else value


def _at_once(path: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that awaits nothing."""
    try:
        path.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a workflow without async blocks has nothing to await")


def _copied(value: Any) -> Any:
    """A copy of dicts, lists and events, however deep: blocks change only what they return."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, Event):
        copy = type(value).__new__(type(value))
        for name in Event.__slots__:
            setattr(copy, name, _copied(getattr(value, name)))
        return copy
    return value
