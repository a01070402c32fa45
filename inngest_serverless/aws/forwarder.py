"""Sends what a platform delivers in as few requests as the limits allow, and notes what is to be delivered again.

Source: docs/forwarding.md.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from inngest_serverless.client import Client
from inngest_serverless.errors import (
    ConfigurationError,
    EventValidationError,
    InngestError,
    RetryAfterError,
    SendEventsError,
)
from inngest_serverless.forwarding import check_forwarder, dead_letter_event, log_dropped, mapped_events
from inngest_serverless.sending import batches
from inngest_serverless.serialization import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from logging import Logger
    from typing import Literal, TypedDict

    from inngest_serverless.forwarding import Mapped, Origin

    class ForwardOptions(TypedDict, total=False):
        """What every forwarder takes beside its mapping."""

        dead_letter: str
        poison: Literal["retry", "drop"]
        event_key: str
        env: str
        is_dev: bool
        event_api_base_url: str
        middleware: Iterable[Any]
        logger: Logger


__all__ = ["Delivery", "Forwarder", "Item"]

_KNOWN = ("dead_letter", "poison", "event_key", "env", "is_dev", "event_api_base_url", "middleware", "logger")
_RETRY, _DROP = "retry", "drop"
# The answers that are about the events of a request; all others are about the request, the keys or the server.
_ABOUT_EVENTS = {200, 400, 413, 422}


class _HeldBackError(InngestError):
    """Not sent, to keep the order: something before it is to be delivered again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A record that a mapping is given; or, instead, why there is none in what was delivered."""

    record: Any
    origin: Origin
    fault: Exception | None = None


@dataclass(slots=True)
class Delivery:
    """What the platform delivers again as a whole, or not.

    Attributes:
        items: What it holds.
        fault: Why it is to be delivered again, or None.
    """

    items: list[Item]
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Parcel:
    """An event to be sent, as JSON text; ``number`` tells it from the others of its origin."""

    delivery: Delivery
    origin: Origin
    text: str
    number: int
    is_letter: bool = False


class Forwarder:
    """Maps deliveries to events, and sends those.

    Args:
        name: The public function's name, for errors.
        mapping: Takes a record and returns the event to send, several, or None.
        options: Those of ``ForwardOptions``.
        drops: Whether what can never be sent is dropped, where no option says so.

    Raises:
        ConfigurationError: The mapping is async, an option is unknown, wrong or at odds with another, or there is no
            Powertools.
    """

    def __init__(
        self, name: str, mapping: Callable[[Any], Mapped], options: Mapping[str, Any], *, drops: bool = False
    ) -> None:
        given = {option: value for option, value in options.items() if value is not None}
        check_forwarder(name, mapping, given.get("dead_letter"))
        _check(name, given)
        self._mapping = mapping
        self._dead_letter: str | None = given.pop("dead_letter", None)
        poison = given.pop("poison", _DROP if drops or self._dead_letter else _RETRY)
        self._keeps_poison = poison == _RETRY
        self._logger: Logger | None = given.pop("logger", None)
        self._client = Client(**given)
        self._client.prepare()

    def forward(self, deliveries: Sequence[Delivery], *, ordered: bool = False) -> None:
        """Send what was delivered; what is to be delivered again has its ``fault`` set, and is logged.

        Args:
            deliveries: What was delivered.
            ordered: Whether nothing may be sent behind what is to be delivered again.

        Raises:
            ConfigurationError: There is no event key, or no request can be sent with these settings.
            Exception: All of it is to be delivered again: the reason of the first.
        """
        parcels: list[_Parcel] = []
        for delivery in deliveries:
            parcels += self._parcels(delivery)
            if ordered and delivery.fault is not None:
                break
        self._send(parcels, ordered=ordered)
        if ordered:
            _hold_back(deliveries)
        kept = [delivery for delivery in deliveries if delivery.fault is not None]
        raised = kept[0].fault if kept and len(kept) == len(deliveries) else None
        self._log_kept(kept, raised)
        if raised is not None:
            raise raised

    def _parcels(self, delivery: Delivery) -> list[_Parcel]:
        """The events of a delivery; none if it is to be delivered again."""
        parcels: list[_Parcel] = []
        for item in delivery.items:
            try:
                events, faults = (
                    ([], [item.fault]) if item.fault else mapped_events(self._mapping, item.record, item.origin)
                )
            except RetryAfterError as error:
                delivery.fault = error
                return []
            if faults and self._keeps_poison:
                delivery.fault = faults[0]
                return []
            parcels += [_Parcel(delivery, item.origin, encode(event), number) for number, event in enumerate(events)]
            for number, fault in enumerate(faults, len(events)):
                parcels += self._instead(delivery, item.origin, fault, number)
        return parcels

    def _instead(self, delivery: Delivery, origin: Origin, fault: Exception, number: int) -> list[_Parcel]:
        """What is sent in place of an event that is dropped."""
        log_dropped(self._logger, origin, fault, self._dead_letter)
        if self._dead_letter is None:
            return []
        letter = dead_letter_event(self._dead_letter, origin, fault, number)
        return [_Parcel(delivery, origin, encode(letter), number, is_letter=True)]

    def _send(self, parcels: Sequence[_Parcel], *, ordered: bool) -> None:
        """Send events. What the API refuses is sent in halves, until it is known which event that is about."""
        pending = iter(parcels)
        waiting = deque([*islice(pending, len(batch))] for batch in batches(parcel.text for parcel in parcels))
        while waiting:
            group = waiting.popleft()
            try:
                # Anew each time: middleware may change what it is shown.
                self._client.send_many([json.loads(parcel.text) for parcel in group])
            except (SendEventsError, EventValidationError) as error:
                if isinstance(error, SendEventsError) and error.status not in _ABOUT_EVENTS:
                    # It would be the same for the rest.
                    _keep([*group, *(parcel for others in waiting for parcel in others)], error)
                    return
                if len(group) > 1:
                    middle = len(group) // 2
                    waiting.extendleft([group[middle:], group[:middle]])
                    continue
                [parcel] = group
                letters = self._refused(parcel, error)
                if letters:
                    waiting.appendleft(letters)
                elif ordered and parcel.delivery.fault is not None:
                    return

    def _refused(self, parcel: _Parcel, error: Exception) -> list[_Parcel]:
        """What is sent in place of an event that the API refuses for good."""
        if self._keeps_poison or parcel.is_letter:
            _keep([parcel], error)
            return []
        return self._instead(parcel.delivery, parcel.origin, error, parcel.number)

    def _log_kept(self, kept: Sequence[Delivery], raised: Exception | None) -> None:
        """Log what is to be delivered again: each reason once, but not the one that Lambda logs itself."""
        from logging import getLogger

        for fault in {id(delivery.fault): delivery.fault for delivery in kept}.values():
            if fault is raised or isinstance(fault, _HeldBackError):
                continue
            those = [delivery for delivery in kept if delivery.fault is fault]
            more = f" and {len(those) - 1} more" if len(those) > 1 else ""
            (self._logger or getLogger("inngest_serverless")).error(
                "%s%s: not sent, to be delivered again: %s", those[0].items[0].origin.line, more, fault, exc_info=fault
            )


def _keep(parcels: Iterable[_Parcel], fault: Exception) -> None:
    for parcel in parcels:
        parcel.delivery.fault = parcel.delivery.fault or fault


def _hold_back(deliveries: Sequence[Delivery]) -> None:
    """Mark everything behind the first delivery that is kept."""
    is_behind = False
    for delivery in deliveries:
        if is_behind and delivery.fault is None:
            delivery.fault = _HeldBackError("held back, as something before it was not sent")
        is_behind = is_behind or delivery.fault is not None


def _check(name: str, given: Mapping[str, Any]) -> None:
    if find_spec("aws_lambda_powertools") is None:
        raise ConfigurationError(f"{name} needs aws-lambda-powertools: pip install 'inngest-serverless[aws]'")
    for option in given:
        if option not in _KNOWN:
            raise ConfigurationError(f"{name}: unknown option {option!r}: the options are {', '.join(_KNOWN)}")
    poison = given.get("poison")
    if poison is not None and poison not in {_RETRY, _DROP}:
        raise ConfigurationError(f"{name}: poison must be 'retry' or 'drop'")
    if poison == _RETRY and "dead_letter" in given:
        raise ConfigurationError(f"{name}: dead_letter takes the place of what is dropped: leave out poison='retry'")
