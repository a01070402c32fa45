"""What a platform delivers, to Inngest events: the part that is the same for every cloud.

Source: docs/protocol.md, section 9.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError, EventValidationError, RetryAfterError
from inngest_serverless.functions import is_coroutine_function
from inngest_serverless.sent_events import event_list
from inngest_serverless.serialization import encode, json_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from logging import Logger
    from typing import TypeAlias, TypeVar

    from inngest_serverless.events import Event

    T = TypeVar("T")
    Sendable: TypeAlias = Event[Any] | Mapping[str, Any]
    Mapped: TypeAlias = Sendable | Iterable[Sendable] | None

__all__ = [
    "MAX_EVENT_BYTES",
    "Origin",
    "check_forwarder",
    "dead_letter_event",
    "decoded",
    "from_json",
    "iso_millis",
    "log_dropped",
    "mapped_events",
]

# The server's default limit for one event.
MAX_EVENT_BYTES = 512 * 1024
# What a dead letter and a log line have of what may have been written by anybody.
_MOST_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Origin:
    """What a platform delivered, as far as every event that is made of it has to know.

    Attributes:
        cloud: ``"aws"`` or ``"gcp"``: what IDs begin with.
        source: Where it comes from: a queue, a topic, a table.
        id: Its ID there, which is the same however often it is delivered.
        millis: When it happened, in Unix milliseconds, or None.
        label: What it is called, without any of its content.
        attributes: What a dead letter says of it.
        content: What a dead letter has of it, if JSON can hold that.
    """

    cloud: str
    source: str
    id: str
    millis: int | None
    label: str
    attributes: Mapping[str, str]
    content: Any

    @property
    def line(self) -> str:
        """The label as a part of a log line: who wrote it cannot make it look like several."""
        return "".join(character if character.isprintable() else "?" for character in self.label[:_MOST_CHARACTERS])


def check_forwarder(name: str, mapping: object, dead_letter: object) -> None:
    """Check what every forwarder takes.

    Raises:
        ConfigurationError: The mapping is no function, or async, or the dead-letter event has no name.
    """
    if mapping is not None and (not callable(mapping) or is_coroutine_function(mapping)):
        raise ConfigurationError(f"{name}: mapping must be a function, and not async")
    if dead_letter is not None and not (isinstance(dead_letter, str) and dead_letter.strip()):
        raise ConfigurationError(f"{name}: dead_letter must be the name of an event")


def mapped_events(
    mapping: Callable[[T], Mapped], item: T, origin: Origin
) -> tuple[list[dict[str, Any]], list[Exception]]:
    """The events of a mapping that can be sent, and why others cannot.

    Each has the ID that follows from its origin and its name, and the origin's time, unless the mapping gave it its
    own.

    Raises:
        RetryAfterError: The mapping asks for the delivery to be repeated.
    """
    try:
        mapped = mapping(item)
        documents = [] if mapped is None else event_list(mapped)
    except RetryAfterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raises, it would raise again
        return [], [error]
    ready: list[dict[str, Any]] = []
    faults: list[Exception] = []
    for number, document in enumerate(documents):
        try:
            ready.append(_identified(document, origin, number))
        except EventValidationError as fault:
            faults.append(fault)
    return ready, faults


def dead_letter_event(name: str, origin: Origin, fault: Exception, number: int) -> dict[str, Any]:
    """The event that takes the place of one that cannot be sent.

    Args:
        name: Its name.
        origin: What it would have been made of.
        fault: Why that cannot be sent.
        number: How many events of the same origin come before it.
    """
    data: dict[str, Any] = {
        "reason": f"{type(fault).__name__}: {fault}"[: 10 * _MOST_CHARACTERS],
        "attributes": {key: str(value)[:_MOST_CHARACTERS] for key, value in origin.attributes.items()},
    }
    try:
        return _identified({"name": name, "data": {**data, "data": origin.content}}, origin, number)
    except EventValidationError:
        return _identified({"name": name, "data": data}, origin, number)


def log_dropped(logger: Logger | None, origin: Origin, fault: Exception, dead_letter: str | None) -> None:
    """Log that something is not sent, and never will be."""
    from logging import getLogger

    (logger or getLogger("inngest_serverless")).error(
        "%s is dropped%s: %s",
        origin.line,
        f" for event {dead_letter}" if dead_letter else "",
        fault,
        exc_info=fault,
    )


def decoded(content: bytes, *, is_json: bool) -> dict[str, Any]:
    """Bytes as a field of an object: ``data`` if they are text, otherwise ``data_base64``.

    Args:
        content: The bytes.
        is_json: Whether text that is JSON is read.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"data_base64": b64encode(content).decode()}
    return {"data": from_json(text) if is_json else text}


def from_json(text: str) -> Any:
    """What a text says if it is JSON; the text itself if it is not."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def iso_millis(time: Any) -> int | None:
    """A time as RFC 3339 writes it, in Unix milliseconds; None for what is none."""
    from datetime import datetime

    from inngest_serverless.clock import timestamp

    try:
        millis = timestamp(datetime.fromisoformat(time))
    except (TypeError, ValueError, ConfigurationError):
        return None
    return millis if millis > 0 else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise ValueError(number)
    return value


def _identified(document: dict[str, Any], origin: Origin, number: int) -> dict[str, Any]:
    """An event with an ID and a time, if it has none.

    Raises:
        EventValidationError: It cannot be sent.
    """
    if document.get("id") is None:
        document["id"] = _event_id(origin, document["name"], number)
    if document.get("ts") is None and origin.millis:
        document["ts"] = origin.millis
    if (fault := json_fault(document, "event")) is not None:
        raise EventValidationError(f"event {document['name']!r}: JSON cannot hold it: {fault}")
    size = len(encode(document).encode())
    if size > MAX_EVENT_BYTES:
        raise EventValidationError(f"event {document['name']!r}: {size} bytes, over the limit of {MAX_EVENT_BYTES}")
    return document


def _event_id(origin: Origin, name: str, number: int) -> str:
    from hashlib import sha256

    # The name as well: IDs count for all names together, and another function may forward the same thing.
    seed = json.dumps([origin.source, origin.id, name])
    digest = sha256(seed.encode()).hexdigest()[:40]
    return f"{origin.cloud}-{digest}-{number}" if number else f"{origin.cloud}-{digest}"
