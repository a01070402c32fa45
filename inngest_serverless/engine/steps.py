"""The steps as users call them in sync functions: a thin face of the ledger. ``async_steps.py`` has its twin.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from inngest_serverless.engine.interrupts import Interrupt
from inngest_serverless.engine.ledger import RUN, Ledger, NewStep
from inngest_serverless.engine.plans import is_awaitable, plan_run, planned, read_data, returned_awaitable
from inngest_serverless.protocol.registration import composite_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta
    from typing import Any, Literal, ParamSpec, TypeVar, overload

    from pydantic import BaseModel

    from inngest_serverless.ai import Model
    from inngest_serverless.engine.plans import Senders
    from inngest_serverless.engine.server_plans import FetchReply, Signal
    from inngest_serverless.events import Event
    from inngest_serverless.functions import Function

    P = ParamSpec("P")
    T = TypeVar("T")
    EventT = TypeVar("EventT", bound="Event[Any]")
    Duration = str | int | timedelta
    Sendable = Event[Any] | Mapping[str, Any]
    Payload = Mapping[str, Any] | BaseModel
else:

    def overload(_function: object) -> None:
        """Nothing: overloads are for type checkers."""


__all__ = ["Step", "StepAI"]


class _Face:
    """What the sync faces share."""

    __slots__ = ("_app_id", "_ledger", "_send")

    def __init__(self, ledger: Ledger, app_id: str, send: Senders) -> None:
        self._ledger = ledger
        self._app_id = app_id
        self._send = send

    def _do(
        self,
        step_id: str,
        read: Callable[[Any, str, Any], Any],
        source: Any,
        plan: Callable[..., Any],
        *args: Any,
    ) -> Any:
        ledger = self._ledger
        found = ledger.find(step_id)
        if found.__class__ is not NewStep:
            ledger.passed = ledger.key
            if ledger.hooks is not None and not ledger.is_replaying():
                _begin_hooks(ledger, step_id)
            return read(found, step_id, source)
        found.plan = planned(step_id, plan, args)
        if ledger.hooks is not None:
            _begin_hooks(ledger, step_id)
        if ledger.decide(found) is RUN:
            _run_body(ledger, found)
        ledger.interrupt()
        raise Interrupt(step_id)


def _begin_hooks(ledger: Ledger, step_id: str) -> None:
    try:
        ledger.hooks.run(ledger.hooks.begin())  # type: ignore[union-attr]
    except Exception as error:  # noqa: BLE001 - what a hook raises is the failure of the call, not the user's to catch
        ledger.abandon(error)
        raise Interrupt(step_id) from None


def _run_body(ledger: Ledger, step: NewStep) -> None:
    ledger.begin(step)
    value: Any = None
    error: BaseException | None = None
    try:
        value = step.plan.body()  # type: ignore[union-attr, misc]
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - a step's failure is booked, whatever it is
        error = raised
    if is_awaitable(value):
        error = returned_awaitable(value, step)
    if ledger.expired is not None:
        # Whatever the body made of it.
        error = ledger.ended(error)
    if ledger.hooks is None:
        ledger.finish(step, value, error, step.plan.kind)  # type: ignore[union-attr]
    else:
        ledger.hooks.run(ledger.conclude(step, value, error))


class Step(_Face):
    """The steps of a sync function, as ``ctx.step``."""

    __slots__ = ()

    @overload
    def run(self, step_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(
        self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: type[T], **kwargs: Any
    ) -> T: ...
    def run(
        self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: Any = None, **kwargs: Any
    ) -> Any:
        """Run a function once and remember its result.

        Args:
            step_id: The step's ID in this function.
            function: What to run; it may run again if the call is lost before its result is kept.
            *args: Its arguments.
            output_type: The type of its result, where its return annotation does not say it.
            **kwargs: Its keyword arguments.

        Returns:
            Its result, after a passage through JSON: of the type that it is annotated to return.

        Raises:
            StepError: The step failed for good.
        """
        source = output_type or function
        return self._do(step_id, read_data, source, plan_run, "step.run", function, args, kwargs, output_type)

    def sleep(self, step_id: str, duration: Duration, /) -> None:
        """Go on after a while; nothing runs meanwhile.

        Args:
            step_id: The step's ID in this function.
            duration: A time string ("1h30m"), milliseconds, or a timedelta; at most 366 days.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, of.read_nothing, None, of.plan_sleep, duration)  # type: ignore[no-any-return]

    def sleep_until(self, step_id: str, when: str | datetime, /) -> None:
        """Go on at an instant.

        Args:
            step_id: The step's ID in this function.
            when: An aware datetime, or text in RFC 3339, RFC 1123, RFC 822, ISO date, ANSI C or Unix seconds.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, of.read_nothing, None, of.plan_sleep_until, when)  # type: ignore[no-any-return]

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
    ) -> EventT: ...
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
    ) -> EventT | None: ...
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
    ) -> Event[dict[str, Any]]: ...
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
    ) -> Event[dict[str, Any]] | None: ...
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
    ) -> Any:
        """Go on when an event arrives, or after the timeout.

        Args:
            step_id: The step's ID in this function.
            event: The event's name, or a type of event.
            timeout: How long to wait: a time string, milliseconds, or a timedelta; at most 366 days.
            if_exp: A CEL condition: ``event`` is the run's event, ``async`` the awaited one.
            match: A path that must be equal in both, e.g. ``"data.user_id"``; instead of ``if_exp``.
            required: Whether the function fails without the event.

        Returns:
            The event, or None after the timeout.

        Raises:
            EventNotReceivedError: It was required and did not come in time.
            EventValidationError: Its data does not fit its type.
        """
        from inngest_serverless.engine import server_plans as of

        read = of.read_required_event if required else of.read_event
        return self._do(step_id, read, event, of.plan_wait_for_event, event, timeout, if_exp, match)

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
    ) -> T:
        """Run another function of this app and wait for its result.

        Args:
            step_id: The step's ID in this function.
            function: A function made by ``create_function``.
            data: The payload of the event it is run with: an object, or a model.
            user: That event's user.
            v: That event's version.
            timeout: How long to wait; a year if not given.

        Returns:
            Its result, of the type that it is annotated to return.

        Raises:
            StepError: It failed, or the time is over.
        """
        from inngest_serverless.engine import server_plans as of

        target = composite_id(self._app_id, of.invoked_id(function))
        return self._do(step_id, read_data, function.handler, of.plan_invoke, target, data, user, v, timeout)  # type: ignore[no-any-return]

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
    ) -> Any:
        """Run a function by its ID, of another app too, and wait for its result; otherwise as ``invoke``."""
        from inngest_serverless.engine import server_plans as of

        target = composite_id(app_id or self._app_id, function_id)
        return self._do(step_id, read_data, None, of.plan_invoke, target, data, user, v, timeout)

    def send_event(self, step_id: str, events: Sendable | Iterable[Sendable], /) -> list[str]:
        """Send one event or several, once.

        Returns:
            The IDs of the events.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, read_data, None, of.plan_send_event, self._ledger, self._send, events)  # type: ignore[no-any-return]

    def wait_for_signal(
        self,
        step_id: str,
        /,
        *,
        signal: str,
        timeout: Duration,
        on_conflict: Literal["fail", "replace"] = "fail",
    ) -> Signal | None:
        """Go on when a signal arrives, or after the timeout.

        Args:
            step_id: The step's ID in this function.
            signal: The signal's name; one run at a time can wait for it.
            timeout: How long to wait: a time string, milliseconds, or a timedelta; at most 366 days.
            on_conflict: What to do if another run waits for it: fail, or take its place.

        Returns:
            The signal, with its data, or None after the timeout.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, of.read_signal, None, of.plan_wait_for_signal, signal, timeout, on_conflict)  # type: ignore[no-any-return]

    def send_signal(self, step_id: str, /, *, signal: str, data: Any = None) -> None:
        """Send a signal, once; it is lost if no run waits for it."""
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, of.read_nothing, None, of.plan_send_signal, self._send, signal, data)  # type: ignore[no-any-return]

    def fetch(
        self,
        step_id: str,
        url: str,
        /,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> FetchReply:
        """Have Inngest send an HTTP request and wait for the reply; nothing runs meanwhile.

        Args:
            step_id: The step's ID in this function.
            url: The absolute URL.
            method: The method.
            headers: Its headers.
            body: Its body, as text.

        Raises:
            StepError: There was no reply.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, of.read_fetched, None, of.plan_fetch, url, method, headers, body)  # type: ignore[no-any-return]

    @property
    def ai(self) -> StepAI:
        """Steps that call language models."""
        return StepAI(self._ledger, self._app_id, self._send)


class StepAI(_Face):
    """Steps that call language models, as ``ctx.step.ai``."""

    __slots__ = ()

    def infer(self, step_id: str, /, *, model: Model, body: Mapping[str, Any]) -> Any:
        """Have Inngest call a language model and wait for its reply; nothing runs meanwhile.

        Args:
            step_id: The step's ID in this function.
            model: Which model, by a class of ``inngest_serverless.ai``.
            body: The provider's request; the model's name is filled in.

        Returns:
            The provider's reply, as JSON.

        Raises:
            StepError: The provider refused it, or did not answer.
        """
        from inngest_serverless.engine import server_plans as of

        return self._do(step_id, read_data, None, of.plan_infer, model, body)

    @overload
    def wrap(self, step_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def wrap(
        self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: type[T], **kwargs: Any
    ) -> T: ...
    def wrap(
        self, step_id: str, function: Callable[..., Any], /, *args: Any, output_type: Any = None, **kwargs: Any
    ) -> Any:
        """As ``step.run``, shown as a call of a language model."""
        source = output_type or function
        return self._do(step_id, read_data, source, plan_run, "step.ai.wrap", function, args, kwargs, output_type)
