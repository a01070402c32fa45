"""Flow control as functions register it, for the local engine. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.conditions import check_condition
from inngest_serverless.local.millis import duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Batching", "Cancelling", "Debouncing", "Flow", "Lane", "Pace", "Singling"]

_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Lane:
    """How many calls may run at once.

    Attributes:
        limit: The number; 0 for no limit.
        key: CEL; each of its values has a lane of its own.
        scope: ``"fn"``, ``"env"`` or ``"account"``: with which functions the lane is shared.
    """

    limit: int
    key: str | None
    scope: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How many runs may start in a time.

    Attributes:
        interval_ms: The time that one of them stands for.
        capacity: How many may start at once after a rest.
        key: CEL; each of its values has a pace of its own.
    """

    interval_ms: float
    capacity: int
    key: str | None


@dataclass(frozen=True, slots=True)
class Debouncing:
    """Wait until no event has come for a while, and start with the last one.

    Attributes:
        period_ms: How long no event may come.
        timeout_ms: When to start at the latest, from the first event; None for no such limit.
        key: CEL; each of its values is waited for on its own.
    """

    period_ms: int
    timeout_ms: int | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Batching:
    """Start one run for several events.

    Attributes:
        max_size: How many events make a batch full.
        timeout_ms: How long the first of them waits.
        key: CEL; each of its values has a batch of its own.
        condition: CEL; an event of which it is not true starts a run of its own.
    """

    max_size: int
    timeout_ms: int
    key: str | None
    condition: str | None


@dataclass(frozen=True, slots=True)
class Cancelling:
    """An event that cancels runs.

    Attributes:
        event: Its name.
        condition: CEL on ``event``, which started the run, and ``async``, which cancels it.
        timeout_ms: How long after its start a run can be cancelled so; None for always.
    """

    event: str
    condition: str | None
    timeout_ms: int | None


@dataclass(frozen=True, slots=True)
class Singling:
    """One run at a time.

    Attributes:
        mode: ``"skip"``: no new run while there is one; ``"cancel"``: the new one ends it.
        key: CEL; there may be one run for each of its values.
    """

    mode: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """All of a function's flow control.

    Attributes:
        lanes: Its concurrency limits.
        throttle: The pace at which runs start; others wait.
        rate_limit: The pace at which runs start; others are left out.
        idempotency: CEL; one run in 24 hours for each of its values.
        debounce: See the class.
        batch: See the class.
        priority: CEL; by how many seconds a run goes before the others that wait.
        cancels: The events that cancel a run.
        singleton: See the class.
        start_ms: How long a run may wait for its start; None for ever.
        finish_ms: How long a run may take from its start; None for ever.
    """

    lanes: tuple[Lane, ...] = ()
    throttle: Pace | None = None
    rate_limit: Pace | None = None
    idempotency: str | None = None
    debounce: Debouncing | None = None
    batch: Batching | None = None
    priority: str | None = None
    cancels: tuple[Cancelling, ...] = ()
    singleton: Singling | None = None
    start_ms: int | None = None
    finish_ms: int | None = None

    @classmethod
    def from_json(cls, function: Mapping[str, Any]) -> Flow:
        """The flow control in a function's registration.

        Raises:
            ConfigurationError: It cannot be read, or an expression is not CEL.
        """
        try:
            flow = cls(**_fields(function))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ConfigurationError(f"function {function.get('id')!r}: its flow control: {error!r}") from None
        for expression in flow.expressions():
            check_condition(expression)
        return flow

    def expressions(self) -> Iterable[str | None]:
        """All the CEL in it."""
        keyed = (*self.lanes, self.throttle, self.rate_limit, self.debounce, self.batch, self.singleton)
        yield from (item.key for item in keyed if item is not None)
        yield from (self.idempotency, self.priority, self.batch.condition if self.batch is not None else None)
        yield from (cancel.condition for cancel in self.cancels)


def _fields(function: Mapping[str, Any]) -> dict[str, Any]:
    timeouts = function.get("timeouts") or {}
    priority = function.get("priority") or {}
    return {
        "lanes": tuple(_lane(item) for item in _listed(function.get("concurrency"))),
        "throttle": _pace(function.get("throttle"), _throttle_capacity),
        "rate_limit": _pace(function.get("rateLimit"), _rate_capacity),
        "idempotency": function.get("idempotency") or None,
        "debounce": _debounce(function.get("debounce")),
        "batch": _batch(function.get("batchEvents")),
        "priority": priority.get("run"),
        "cancels": tuple(_cancel(item) for item in function.get("cancel") or ()),
        "singleton": _singleton(function.get("singleton")),
        "start_ms": _ms(timeouts.get("start")),
        "finish_ms": _ms(timeouts.get("finish")),
    }


def _listed(given: Any) -> list[Any]:
    """One limit, several, or a bare number: SDKs write all of them."""
    if given is None:
        return []
    items = given if isinstance(given, list) else [given]
    return [{"limit": item} if isinstance(item, int) else item for item in items]


def _lane(document: Mapping[str, Any]) -> Lane:
    return Lane(int(document.get("limit") or 0), document.get("key"), document.get("scope") or "fn")


def _throttle_capacity(document: Mapping[str, Any]) -> int:
    return int(document["limit"]) + max(int(document.get("burst") or 1), 1) - 1


def _rate_capacity(document: Mapping[str, Any]) -> int:
    return int(document["limit"]) // 10 + 1


def _pace(document: Mapping[str, Any] | None, capacity: Any) -> Pace | None:
    if not document:
        return None
    period_ms = _ms(document["period"]) or _DAY_MS
    return Pace(period_ms / int(document["limit"]), capacity(document), document.get("key"))


def _debounce(document: Mapping[str, Any] | None) -> Debouncing | None:
    if not document:
        return None
    return Debouncing(_ms(document["period"]) or 0, _ms(document.get("timeout")), document.get("key"))


def _batch(document: Mapping[str, Any] | None) -> Batching | None:
    if not document:
        return None
    timeout_ms = _ms(document["timeout"]) or 0
    return Batching(int(document["maxSize"]), timeout_ms, document.get("key"), document.get("if"))


def _cancel(document: Mapping[str, Any]) -> Cancelling:
    return Cancelling(document["event"], document.get("if"), _ms(document.get("timeout")))


def _singleton(document: Mapping[str, Any] | None) -> Singling | None:
    if not document:
        return None
    if (mode := document["mode"]) not in {"skip", "cancel"}:
        raise ValueError(f"singleton mode {mode!r}")
    return Singling(mode, document.get("key"))


def _ms(duration: str | None) -> int | None:
    return duration_ms(duration) if duration else None
