"""The steps as users call them, in sync and in async functions: two thin faces of the ledger.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import RUN, Ledger, NewStep, read_data
from inngest_serverless.engine.plans import (
    invoked_id,
    plan_invoke,
    plan_run,
    plan_send_event,
    plan_sleep,
    plan_sleep_until,
    plan_wait_for_event,
    read_event,
    read_nothing,
    returned_awaitable,
)
from inngest_serverless.protocol.registration import composite_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from datetime import datetime, timedelta
    from typing import Any, ParamSpec, TypeVar

    from inngest_serverless.engine.rendezvous import Rendezvous
    from inngest_serverless.events import Event
    from inngest_serverless.functions import Function

    P = ParamSpec("P")
    T = TypeVar("T")
    Duration = str | int | timedelta
    Sendable = Event | Mapping[str, Any]

__all__ = ["AsyncStep", "Step"]


class Step:
    """The steps of a sync function, as ``ctx.step``."""

    __slots__ = ("_app_id", "_ledger", "_send")

    def __init__(self, ledger: Ledger, app_id: str, send: Callable[[Any], Any]) -> None:
        self._ledger = ledger
        self._app_id = app_id
        self._send = send

    def run(self, step_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function once and remember its result.

        Args:
            step_id: The step's ID in this function.
            function: What to run; it may run again if the call is lost before its result is kept.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            Its result, after a passage through JSON.

        Raises:
            StepError: The step failed for good.
        """
        return self._do(step_id, read_data, plan_run, function, args, kwargs)  # type: ignore[no-any-return]

    def sleep(self, step_id: str, duration: Duration, /) -> None:
        """Go on after a while; nothing runs meanwhile.

        Args:
            step_id: The step's ID in this function.
            duration: A time string ("1h30m"), milliseconds, or a timedelta; at most 366 days.
        """
        self._do(step_id, read_nothing, plan_sleep, duration)

    def sleep_until(self, step_id: str, when: str | datetime, /) -> None:
        """Go on at an instant.

        Args:
            step_id: The step's ID in this function.
            when: An aware datetime, or text in RFC 3339, RFC 1123, RFC 822, ISO date, ANSI C or Unix seconds.
        """
        self._do(step_id, read_nothing, plan_sleep_until, when)

    def wait_for_event(
        self, step_id: str, /, *, event: str, timeout: Duration, if_exp: str | None = None, match: str | None = None
    ) -> Event | None:
        """Go on when an event arrives, or after the timeout.

        Args:
            step_id: The step's ID in this function.
            event: The event's name.
            timeout: How long to wait: a time string, milliseconds, or a timedelta; at most 366 days.
            if_exp: A CEL condition: ``event`` is the run's event, ``async`` the awaited one.
            match: A path that must be equal in both, e.g. ``"data.user_id"``; instead of ``if_exp``.

        Returns:
            The event, or None after the timeout.
        """
        return self._do(step_id, read_event, plan_wait_for_event, event, timeout, if_exp, match)  # type: ignore[no-any-return]

    def invoke(
        self,
        step_id: str,
        /,
        *,
        function: Function,
        data: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        v: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run another function of this app and wait for its result.

        Args:
            step_id: The step's ID in this function.
            function: A function made by ``create_function``.
            data: The payload of the event it is run with.
            user: That event's user.
            v: That event's version.
            timeout: How long to wait; a year if not given.

        Raises:
            StepError: It failed, or the time is over.
        """
        target = composite_id(self._app_id, invoked_id(function))
        return self._do(step_id, read_data, plan_invoke, target, data, user, v, timeout)

    def invoke_by_id(
        self,
        step_id: str,
        /,
        *,
        function_id: str,
        app_id: str | None = None,
        data: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        v: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run a function by its ID, of another app too, and wait for its result; otherwise as ``invoke``."""
        target = composite_id(app_id or self._app_id, function_id)
        return self._do(step_id, read_data, plan_invoke, target, data, user, v, timeout)

    def send_event(self, step_id: str, events: Sendable | Iterable[Sendable], /) -> list[str]:
        """Send one event or several, once.

        Returns:
            The IDs of the events.
        """
        return self._do(step_id, read_data, plan_send_event, self._send, events)  # type: ignore[no-any-return]

    def _do(self, step_id: str, read: Callable[[Any, str], Any], plan: Callable[..., Any], *args: Any) -> Any:
        ledger = self._ledger
        found = ledger.find(step_id)
        if found.__class__ is not NewStep:
            return read(found, step_id)
        found.plan = plan(*args)
        if ledger.decide(found) is RUN:
            _run_body(ledger, found)
        raise Interrupt(step_id)


def _run_body(ledger: Ledger, step: NewStep) -> None:
    ledger.begin(step)
    try:
        value = step.plan.body()  # type: ignore[union-attr, misc]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a step's failure is booked, whatever it is
        ledger.fail(step, error)
        return
    if hasattr(value, "__await__"):
        ledger.fail(step, returned_awaitable(value, step))
    else:
        ledger.succeed(step, value)


class AsyncStep:
    """The steps of an async function, as ``ctx.step``: the same as ``Step``, to be awaited.

    Steps in tasks of their own (``asyncio.gather``, ``TaskGroup``, ``asyncio.wait``) run in parallel on the server.
    """

    __slots__ = ("_app_id", "_ledger", "_rendezvous", "_send")

    def __init__(self, ledger: Ledger, app_id: str, send: Callable[[Any], Any], rendezvous: Rendezvous) -> None:
        self._ledger = ledger
        self._app_id = app_id
        self._send = send
        self._rendezvous = rendezvous

    def run(
        self, step_id: str, function: Callable[P, Awaitable[T] | T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """As ``Step.run``; the function may be a coroutine function."""
        return self._do(step_id, read_data, plan_run, function, args, kwargs)

    def sleep(self, step_id: str, duration: Duration, /) -> Coroutine[Any, Any, None]:
        """As ``Step.sleep``."""
        return self._do(step_id, read_nothing, plan_sleep, duration)

    def sleep_until(self, step_id: str, when: str | datetime, /) -> Coroutine[Any, Any, None]:
        """As ``Step.sleep_until``."""
        return self._do(step_id, read_nothing, plan_sleep_until, when)

    def wait_for_event(
        self, step_id: str, /, *, event: str, timeout: Duration, if_exp: str | None = None, match: str | None = None
    ) -> Coroutine[Any, Any, Event | None]:
        """As ``Step.wait_for_event``."""
        return self._do(step_id, read_event, plan_wait_for_event, event, timeout, if_exp, match)

    def invoke(
        self,
        step_id: str,
        /,
        *,
        function: Function,
        data: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        v: str | None = None,
        timeout: Duration | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """As ``Step.invoke``."""
        target = composite_id(self._app_id, invoked_id(function))
        return self._do(step_id, read_data, plan_invoke, target, data, user, v, timeout)

    def invoke_by_id(
        self,
        step_id: str,
        /,
        *,
        function_id: str,
        app_id: str | None = None,
        data: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        v: str | None = None,
        timeout: Duration | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """As ``Step.invoke_by_id``."""
        target = composite_id(app_id or self._app_id, function_id)
        return self._do(step_id, read_data, plan_invoke, target, data, user, v, timeout)

    def send_event(self, step_id: str, events: Sendable | Iterable[Sendable], /) -> Coroutine[Any, Any, list[str]]:
        """As ``Step.send_event``."""
        return self._do(step_id, read_data, plan_send_event, self._send, events)

    async def _do(self, step_id: str, read: Callable[[Any, str], Any], plan: Callable[..., Any], *args: Any) -> Any:
        found = self._rendezvous.find(step_id)
        if found.__class__ is not NewStep:
            if not self._rendezvous.is_alone():
                await self._rendezvous.turn(self._ledger.key)
            return read(found, step_id)
        found.plan = plan(*args)
        await self._rendezvous.arrive(found)
        await self._run_body(found)
        return await self._rendezvous.depart()

    async def _run_body(self, step: NewStep) -> None:
        ledger = self._ledger
        ledger.begin(step)
        try:
            value = step.plan.body()  # type: ignore[union-attr, misc]
            if hasattr(value, "__await__"):
                value = await value
        except (Exception, SystemExit, self._rendezvous.Cancelled) as error:  # noqa: BLE001 - booked, whatever it is
            ledger.fail(step, error)
        else:
            ledger.succeed(step, value)
