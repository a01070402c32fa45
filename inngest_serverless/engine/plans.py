"""What each kind of step asks of the server: one small function a kind, called only for steps that are new.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

from inngest_serverless.durations import to_instant, to_time_string
from inngest_serverless.engine.ledger import Plan
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.events import Event
from inngest_serverless.functions import Function
from inngest_serverless.protocol.opcodes import INVOKE_FUNCTION, SLEEP, STEP_RUN, WAIT_FOR_EVENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from typing import Any

    from inngest_serverless.engine.ledger import NewStep

__all__ = ["plan_invoke", "plan_run", "plan_send_event", "plan_sleep", "plan_sleep_until", "plan_wait_for_event"]


def plan_run(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Plan:
    """A step with a body of the user's."""
    if not callable(function):
        raise ConfigurationError(
            f"step.run takes a function and its arguments, not {type(function).__name__}: "
            "write step.run('id', function, argument), without calling the function"
        )
    return Plan(STEP_RUN, {"type": "step.run"}, lambda: function(*args, **kwargs))


def plan_send_event(send: Callable[[Any], Any], events: Any) -> Plan:
    """A step that sends events."""
    return Plan(STEP_RUN, {"type": "step.sendEvent"}, lambda: send(events))


def plan_sleep(duration: str | int | timedelta) -> Plan:
    """A sleep of some length."""
    return Plan(SLEEP, {"duration": to_time_string(duration)})


def plan_sleep_until(when: str | datetime) -> Plan:
    """A sleep up to an instant."""
    return Plan(SLEEP, {"duration": to_instant(when)})


def plan_wait_for_event(event: str, timeout: str | int | timedelta, if_exp: str | None, match: str | None) -> Plan:
    """A wait for an event."""
    if if_exp is not None and match is not None:
        raise ConfigurationError("wait_for_event takes if_exp or match, not both: write the match into the expression")
    if not isinstance(event, str) or not event:
        raise ConfigurationError("wait_for_event needs the name of an event: event='api/thing.happened'")
    opts = {"event": event, "timeout": to_time_string(timeout)}
    condition = if_exp if match is None else f"event.{match} == async.{match}"
    return Plan(WAIT_FOR_EVENT, opts | ({"if": condition} if condition else {}))


def plan_invoke(
    function_id: str,
    data: Mapping[str, Any] | None,
    user: Mapping[str, Any] | None,
    v: str | None,
    timeout: str | int | timedelta | None,
) -> Plan:
    """An invocation of another function, by its composite ID."""
    payload: dict[str, Any] = {"data": dict(data or {})}
    if user is not None:
        payload["user"] = dict(user)
    if v is not None:
        payload["v"] = v
    opts: dict[str, Any] = {"function_id": function_id, "payload": payload}
    if timeout is not None:
        opts["timeout"] = to_time_string(timeout)
    return Plan(INVOKE_FUNCTION, opts)


def invoked_id(function: Any) -> str:
    """The ID of a function that is to be invoked."""
    if isinstance(function, Function):
        return function.id
    raise ConfigurationError(
        f"step.invoke takes a function made by create_function, not {type(function).__name__}; "
        "for a function of another app use step.invoke_by_id"
    )


def read_nothing(_memo: Any, _step_id: str) -> None:
    """A sleep has no result."""


def read_event(memo: Any, _step_id: str) -> Event | None:
    """The event that was waited for, or None after the timeout."""
    return Event.from_dict(memo) if isinstance(memo, dict) and "name" in memo else None


def returned_awaitable(value: Any, step: NewStep) -> ConfigurationError:
    """The error of a step in a sync function whose body was a coroutine function; ends the coroutine quietly."""
    close = getattr(value, "close", None)
    if close is not None:
        close()
    return ConfigurationError(
        f"step {step.step_id!r} returned an awaitable, but its function is not async: "
        "declare the function with 'async def' and await its steps"
    )
