"""The steps as users call them in async functions: as ``steps.py``, to be awaited.

Type checkers see every method anew, as it returns something to be awaited. At run time there is one difference: how a
step is carried out.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import NewStep
from inngest_serverless.engine.plans import is_awaitable, planned
from inngest_serverless.engine.steps import Step, StepAI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from datetime import datetime, timedelta
    from typing import Any, Literal, ParamSpec, TypeVar, overload

    from pydantic import BaseModel

    from inngest_serverless.ai import Model
    from inngest_serverless.engine.ledger import Ledger
    from inngest_serverless.engine.plans import Senders
    from inngest_serverless.engine.rendezvous import Rendezvous
    from inngest_serverless.engine.server_plans import FetchReply, Signal
    from inngest_serverless.events import Event
    from inngest_serverless.functions import Function

    # Steps return Coroutine[object, None, T]: with Any in it, mypy takes asyncio.gather of several for Any.
    P = ParamSpec("P")
    T = TypeVar("T")
    EventT = TypeVar("EventT", bound="Event[Any]")
    Duration = str | int | timedelta
    Sendable = Event[Any] | Mapping[str, Any]
    Payload = Mapping[str, Any] | BaseModel

__all__ = ["AsyncStep", "AsyncStepAI"]


def _begin(face: Any, step_id: str, *args: Any) -> Coroutine[object, None, Any]:
    coroutine = _carry_out(face, step_id, *args)
    # Kept until the function ends, to tell of a step that nobody awaited.
    face._rendezvous.begun.append((step_id, coroutine))  # noqa: SLF001 - one class, in two halves
    return coroutine


async def _carry_out(
    face: Any,
    step_id: str,
    read: Callable[[Any, str, Any], Any],
    source: Any,
    plan: Callable[..., Any],
    *args: Any,
) -> Any:
    rendezvous: Rendezvous = face._rendezvous  # noqa: SLF001 - one class, in two halves
    ledger = rendezvous.ledger
    try:
        found = ledger.find(step_id)
    except Interrupt as interrupt:
        # In asyncio's terms: a call that has its answer cancels whoever asks on.
        raise rendezvous.Cancelled(str(interrupt)) from None
    if found.__class__ is not NewStep:
        key = ledger.key
        if rendezvous.tasks and not rendezvous.is_alone():
            await rendezvous.turn(key)
        ledger.passed = key
        if ledger.hooks is not None and not ledger.is_replaying():
            await rendezvous.begin_hooks(ledger.hooks)
        return read(found, step_id, source)
    rendezvous.check_given(args)
    found.plan = planned(step_id, plan, args)
    if ledger.hooks is not None:
        await rendezvous.begin_hooks(ledger.hooks)
    await rendezvous.arrive(found)
    await _run_body(ledger, found)
    return await rendezvous.depart()


async def _run_body(ledger: Ledger, step: NewStep) -> None:
    ledger.begin(step)
    value: Any = None
    error: BaseException | None = None
    try:
        value = step.plan.body()  # type: ignore[union-attr, misc]
        if is_awaitable(value):
            value = await value
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - a step's failure is booked, whatever it is
        error = raised
    if ledger.expired is not None:
        # Whatever the body made of it.
        error = ledger.ended(error)
    if ledger.hooks is None:
        ledger.finish(step, value, error, step.plan.kind)  # type: ignore[union-attr]
    else:
        await ledger.hooks.run_async(ledger.conclude(step, value, error))


if TYPE_CHECKING:

    class AsyncStep:
        """The steps of an async function, as ``ctx.step``: the same as ``Step``, to be awaited.

        Steps in tasks of their own (``asyncio.gather``, ``TaskGroup``, ``asyncio.wait``) run in parallel on the server.
        """

        def __init__(self, ledger: Ledger, app_id: str, send: Senders, rendezvous: Rendezvous) -> None: ...

        @overload
        def run(
            self, step_id: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[object, None, T]: ...
        @overload
        def run(
            self, step_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[object, None, T]: ...
        @overload
        def run(
            self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: type[T], **kwargs: Any
        ) -> Coroutine[object, None, T]: ...
        def run(
            self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: Any = None, **kwargs: Any
        ) -> Coroutine[object, None, Any]:
            """As ``Step.run``."""
            ...

        def sleep(self, step_id: str, duration: Duration, /) -> Coroutine[object, None, None]:
            """As ``Step.sleep``."""
            ...

        def sleep_until(self, step_id: str, when: str | datetime, /) -> Coroutine[object, None, None]:
            """As ``Step.sleep_until``."""
            ...

        @overload
        def wait_for_event(
            self,
            step_id: str,
            /,
            *,
            event: type[EventT],
            timeout: Duration,
            if_exp: str | None = None,
            match: str | None = None,
            required: Literal[True],
        ) -> Coroutine[object, None, EventT]: ...
        @overload
        def wait_for_event(
            self,
            step_id: str,
            /,
            *,
            event: type[EventT],
            timeout: Duration,
            if_exp: str | None = None,
            match: str | None = None,
            required: bool = False,
        ) -> Coroutine[object, None, EventT | None]: ...
        @overload
        def wait_for_event(
            self,
            step_id: str,
            /,
            *,
            event: str,
            timeout: Duration,
            if_exp: str | None = None,
            match: str | None = None,
            required: Literal[True],
        ) -> Coroutine[object, None, Event[dict[str, Any]]]: ...
        @overload
        def wait_for_event(
            self,
            step_id: str,
            /,
            *,
            event: str,
            timeout: Duration,
            if_exp: str | None = None,
            match: str | None = None,
            required: bool = False,
        ) -> Coroutine[object, None, Event[dict[str, Any]] | None]: ...
        def wait_for_event(
            self,
            step_id: str,
            /,
            *,
            event: str | type[Any],
            timeout: Duration,
            if_exp: str | None = None,
            match: str | None = None,
            required: bool = False,
        ) -> Coroutine[object, None, Any]:
            """As ``Step.wait_for_event``."""
            ...

        def invoke(
            self,
            step_id: str,
            /,
            *,
            function: Function[T],
            data: Payload | None = None,
            user: Payload | None = None,
            v: str | None = None,
            timeout: Duration | None = None,
        ) -> Coroutine[object, None, T]:
            """As ``Step.invoke``."""
            ...

        def invoke_by_id(
            self,
            step_id: str,
            /,
            *,
            function_id: str,
            app_id: str | None = None,
            data: Payload | None = None,
            user: Payload | None = None,
            v: str | None = None,
            timeout: Duration | None = None,
        ) -> Coroutine[object, None, Any]:
            """As ``Step.invoke_by_id``."""
            ...

        def send_event(
            self, step_id: str, events: Sendable | Iterable[Sendable], /
        ) -> Coroutine[object, None, list[str]]:
            """As ``Step.send_event``."""
            ...

        def wait_for_signal(
            self,
            step_id: str,
            /,
            *,
            signal: str,
            timeout: Duration,
            on_conflict: Literal["fail", "replace"] = "fail",
        ) -> Coroutine[object, None, Signal | None]:
            """As ``Step.wait_for_signal``."""
            ...

        def send_signal(self, step_id: str, /, *, signal: str, data: Any = None) -> Coroutine[object, None, None]:
            """As ``Step.send_signal``."""
            ...

        def fetch(
            self,
            step_id: str,
            url: str,
            /,
            *,
            method: str = "GET",
            headers: Mapping[str, str] | None = None,
            body: str | None = None,
        ) -> Coroutine[object, None, FetchReply]:
            """As ``Step.fetch``."""
            ...

        @property
        def ai(self) -> AsyncStepAI:
            """Steps that call language models."""
            ...

    class AsyncStepAI:
        """Steps that call language models, as ``ctx.step.ai``."""

        def infer(self, step_id: str, /, *, model: Model, body: Mapping[str, Any]) -> Coroutine[object, None, Any]:
            """As ``StepAI.infer``."""
            ...

        @overload
        def wrap(
            self, step_id: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[object, None, T]: ...
        @overload
        def wrap(
            self, step_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[object, None, T]: ...
        @overload
        def wrap(
            self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: type[T], **kwargs: Any
        ) -> Coroutine[object, None, T]: ...
        def wrap(
            self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: Any = None, **kwargs: Any
        ) -> Coroutine[object, None, Any]:
            """As ``StepAI.wrap``."""
            ...

else:

    class AsyncStep(Step):
        """The steps of an async function, as ``ctx.step``: the same as ``Step``, to be awaited."""

        __slots__ = ("_rendezvous",)

        def __init__(self, ledger: Ledger, app_id: str, send: Senders, rendezvous: Rendezvous) -> None:
            super().__init__(ledger, app_id, send)
            self._rendezvous = rendezvous

        _do = _begin

        @property
        def ai(self) -> AsyncStepAI:
            """Steps that call language models."""
            return AsyncStepAI(self._ledger, self._app_id, self._send, self._rendezvous)

    class AsyncStepAI(StepAI):
        """Steps that call language models, as ``ctx.step.ai``, to be awaited."""

        __slots__ = ("_rendezvous",)

        def __init__(self, ledger: Ledger, app_id: str, send: Senders, rendezvous: Rendezvous) -> None:
            super().__init__(ledger, app_id, send)
            self._rendezvous = rendezvous

        _do = _begin
