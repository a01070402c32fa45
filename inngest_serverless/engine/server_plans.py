"""What each kind of step without a body of the user's asks of the server: one small function a kind.

They are called only for steps that are new, and what reads their results only for steps that are known. A call that
comes to no such step does not load them.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from inngest_serverless.engine.plans import Plan, read_data
from inngest_serverless.errors import ConfigurationError, EventNotReceivedError
from inngest_serverless.events import Event
from inngest_serverless.functions import Function
from inngest_serverless.protocol.opcodes import (
    AI_GATEWAY,
    GATEWAY,
    INVOKE_FUNCTION,
    SLEEP,
    STEP_RUN,
    WAIT_FOR_EVENT,
    WAIT_FOR_SIGNAL,
)
from inngest_serverless.sent_events import as_object
from inngest_serverless.serialization import json_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from typing import Any

    from pydantic import BaseModel

    from inngest_serverless.ai import Model
    from inngest_serverless.engine.ledger import Ledger
    from inngest_serverless.engine.plans import Senders

__all__ = [
    "FetchReply",
    "Signal",
    "invoked_id",
    "plan_fetch",
    "plan_infer",
    "plan_invoke",
    "plan_send_event",
    "plan_send_signal",
    "plan_sleep",
    "plan_sleep_until",
    "plan_wait_for_event",
    "plan_wait_for_signal",
    "read_event",
    "read_fetched",
    "read_nothing",
    "read_required_event",
    "read_signal",
]

# Those that the server sends.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE")

# What an event has that can be the same in two.
_EVENT_FIELDS = {"data", "user", "name", "id", "ts", "v"}


def plan_send_event(ledger: Ledger, send: Senders, events: Any) -> Plan:
    """A step that sends events: the same ones, to the server, however often it is tried."""
    seed = ledger.seed()
    return Plan(STEP_RUN, {"type": "step.sendEvent"}, lambda: send.events(events, ledger.hooks, seed))


def plan_send_signal(send: Senders, signal: str, data: Any) -> Plan:
    """A step that sends a signal."""
    return Plan(STEP_RUN, {"type": "step.sendSignal"}, lambda: send.signal(signal, data))


def plan_sleep(duration: str | int | timedelta) -> Plan:
    """A sleep of some length."""
    return Plan(SLEEP, {"duration": _time_string(duration)})


def _time_string(duration: str | int | timedelta) -> str:
    # Most calls come to no sleep and to no wait, and a cold start loads what it needs.
    from inngest_serverless.durations import to_time_string

    return to_time_string(duration)


def plan_sleep_until(when: str | datetime) -> Plan:
    """A sleep up to an instant."""
    from inngest_serverless.durations import to_instant

    return Plan(SLEEP, {"duration": to_instant(when)})


def plan_wait_for_event(
    event: str | type[Event[Any]], timeout: str | int | timedelta, if_exp: str | None, match: str | None
) -> Plan:
    """A wait for an event."""
    if if_exp is not None and match is not None:
        raise ConfigurationError("wait_for_event takes if_exp or match, not both: write the match into the expression")
    _check_text("wait_for_event", "if_exp", if_exp, 'a CEL expression, e.g. "async.data.id == event.data.id"')
    _check_text("wait_for_event", "match", match, "the path of a field, e.g. 'data.user_id'")
    if match is not None and not match.strip():
        raise ConfigurationError("wait_for_event: match is empty: give the path of a field, e.g. 'data.user_id'")
    if match is not None and match.replace("[", ".").split(".")[0].strip() not in _EVENT_FIELDS:
        path = match[6:] if match.startswith(("event.", "async.")) else f"data.{match}"
        raise ConfigurationError(f"wait_for_event: match is a path within both events: {path!r}, not {match!r}")
    name = event.event_name if isinstance(event, type) and issubclass(event, Event) else event
    if not isinstance(name, str) or not name:
        raise ConfigurationError("wait_for_event needs the name of an event: event='api/thing.happened'")
    opts = {"event": name, "timeout": _time_string(timeout)}
    condition = if_exp if match is None else f"event.{match} == async.{match}"
    return Plan(WAIT_FOR_EVENT, opts | ({"if": condition} if condition else {}))


def plan_invoke(
    function_id: str,
    data: Mapping[str, Any] | BaseModel | None,
    user: Mapping[str, Any] | BaseModel | None,
    v: str | None,
    timeout: str | int | timedelta | None,
) -> Plan:
    """An invocation of another function, by its composite ID."""
    payload: dict[str, Any] = {"data": {} if data is None else _object("step.invoke", "data", data)}
    if user is not None:
        payload["user"] = _object("step.invoke", "user", user)
    if v is not None:
        _check_text("step.invoke", "v", v, "text, the version of the event's data")
        payload["v"] = v
    opts: dict[str, Any] = {"function_id": function_id, "payload": payload}
    if timeout is not None:
        opts["timeout"] = _time_string(timeout)
    return Plan(INVOKE_FUNCTION, opts)


def plan_wait_for_signal(signal: str, timeout: str | int | timedelta, on_conflict: str) -> Plan:
    """A wait for a signal."""
    if not isinstance(signal, str) or not signal:
        raise ConfigurationError("wait_for_signal needs the name of a signal: signal='task/a-17'")
    if on_conflict not in {"fail", "replace"}:
        raise ConfigurationError(f"wait_for_signal: on_conflict must be 'fail' or 'replace', not {on_conflict!r}")
    return Plan(WAIT_FOR_SIGNAL, {"signal": signal, "timeout": _time_string(timeout), "conflict": on_conflict})


def plan_fetch(url: str, method: str, headers: Mapping[str, str] | None, body: str | None) -> Plan:
    """An HTTP request that the server sends."""
    if not isinstance(url, str) or not url.lower().startswith(("http://", "https://")):
        raise ConfigurationError("step.fetch needs an absolute URL, which begins with http:// or https://")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise ConfigurationError(f"step.fetch: method must be one of {', '.join(_METHODS)}")
    fields = {} if headers is None else _object("step.fetch", "headers", headers)
    if not all(isinstance(part, str) for field in fields.items() for part in field):
        raise ConfigurationError("step.fetch: headers must be text, their names as well as their values")
    opts: dict[str, Any] = {"type": "step.fetch", "url": url, "method": method.upper(), "headers": fields}
    if body is not None:
        _check_text("step.fetch", "body", body, "text (for JSON, use json.dumps)")
        opts["body"] = body
    return Plan(GATEWAY, opts)


def plan_infer(model: Model, body: Mapping[str, Any]) -> Plan:
    """A call of a language model that the server makes."""
    from inngest_serverless.ai import Model

    if not isinstance(model, Model):
        raise ConfigurationError(
            f"step.ai.infer: model takes one of inngest_serverless.ai, not {_described(model)}: "
            "write e.g. model=OpenAI('gpt-5', api_key=...)"
        )
    return Plan(AI_GATEWAY, {"type": "step.ai.infer", **model.request(_object("step.ai.infer", "body", body))})


def _object(tool: str, option: str, value: Any) -> dict[str, Any]:
    """What goes to the server as a JSON object: better refused here than when the reply is written."""
    found = dict(value) if isinstance(value, Mapping) else as_object(value)
    if found is None:
        advice = "write .data, its own data" if isinstance(value, Event) else "such as a dict"
        raise ConfigurationError(f"{tool}: {option} must be an object, not {_described(value)}: {advice}")
    if (fault := json_fault(found, option)) is not None:
        raise ConfigurationError(f"{tool}: JSON cannot hold {option}: {fault}")
    return found


def _check_text(tool: str, option: str, value: Any, what: str) -> None:
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{tool}: {option} must be {what}, not {_described(value)}")


def _described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def invoked_id(function: Function[Any]) -> str:
    """The ID of a function that is to be invoked."""
    if isinstance(function, Function):
        return function.id
    raise ConfigurationError(
        f"step.invoke takes a function made by create_function, not {type(function).__name__}; "
        "for a function of another app use step.invoke_by_id"
    )


def read_nothing(_memo: Any, _step_id: str, _source: Any) -> None:
    """A sleep has no result."""


def read_event(memo: Any, _step_id: str, event: str | type[Event[Any]]) -> Event[Any] | None:
    """The event that was waited for, or None after the timeout."""
    if not isinstance(memo, dict) or "name" not in memo:
        return None
    return (event if isinstance(event, type) else Event).from_dict(memo)


def read_required_event(memo: Any, step_id: str, event: str | type[Event[Any]]) -> Event[Any]:
    """The event that was waited for.

    Raises:
        EventNotReceivedError: It did not come in time.
    """
    received = read_event(memo, step_id, event)
    if received is None:
        name = event.event_name if isinstance(event, type) else event
        raise EventNotReceivedError(f"step {step_id!r}: event {name!r} did not come in time")
    return received


class Signal:
    """A signal that was received.

    Attributes:
        signal: Its name.
        data: What was sent with it.
    """

    __slots__ = ("data", "signal")

    def __init__(self, signal: str, data: Any) -> None:
        self.signal: str = signal
        self.data: Any = data

    def __repr__(self) -> str:
        return f"Signal(signal={self.signal!r})"


def read_signal(memo: Any, step_id: str, source: Any) -> Signal | None:
    """The signal that was waited for, or None after the timeout."""
    received = read_data(memo, step_id, source)
    return Signal(str(received.get("signal")), received.get("data")) if isinstance(received, dict) else None


class FetchReply:
    """The reply to a ``step.fetch``.

    Attributes:
        url: The URL it came from.
        status_code: Its status.
        headers: Its headers.
        body: Its body, as text.
    """

    __slots__ = ("body", "headers", "status_code", "url")

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.url: str = document.get("url") or ""
        self.status_code: int = document.get("status_code") or 0
        self.headers: dict[str, Any] = document.get("headers") or {}
        self.body: str = document.get("body") or ""

    def __repr__(self) -> str:
        return f"FetchReply(status_code={self.status_code})"

    def json(self) -> Any:
        """The body, read as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        from json import loads

        return loads(self.body)


def read_fetched(memo: Any, step_id: str, source: Any) -> FetchReply:
    """The reply to a request that the server sent."""
    received = read_data(memo, step_id, source)
    return FetchReply(received if isinstance(received, dict) else {})
