"""CloudEvents, as Pub/Sub, Cloud Storage and Eventarc deliver them, to Inngest events.

Sources: docs/protocol.md, section 9, docs/deploy-gcp.md, and the Eventarc documentation of the CloudEvents format.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping

from inngest_serverless.client import Client
from inngest_serverless.events import Event
from inngest_serverless.forwarding import (
    Origin,
    check_forwarder,
    dead_letter_event,
    decoded,
    iso_millis,
    log_dropped,
    mapped_events,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger
    from typing import Any, Protocol

    class CloudEvent(Protocol):
        """What is used of ``cloudevents.http.CloudEvent``: its attributes by name, and its data."""

        def __getitem__(self, key: str, /) -> Any:
            """An attribute."""
            ...

        def get_attributes(self) -> Mapping[str, Any]:
            """All the attributes."""
            ...

        def get_data(self) -> Any:
            """The data: what JSON gave, bytes, or None."""
            ...

    Sendable = Event[Any] | Mapping[str, Any]
    Mapper = Callable[[CloudEvent], Sendable | Iterable[Sendable] | None]

__all__ = ["cloud_event_data", "forward_cloud_event"]

_PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
_PUBSUB_FIELDS = ("attributes", "messageId", "publishTime", "orderingKey")


def forward_cloud_event(
    mapping: Mapper | None = None,
    *,
    dead_letter: str | None = None,
    event_key: str | None = None,
    env: str | None = None,
    is_dev: bool | None = None,
    event_api_base_url: str | None = None,
    middleware: Iterable[Any] = (),
    logger: Logger | None = None,
) -> Callable[[CloudEvent], None]:
    """Make a Cloud Function that sends the CloudEvents it receives on to Inngest.

    An event that it sends has an ID made of the CloudEvent's source and ID and of its own name, so a CloudEvent that is
    delivered twice starts no second run. When sending fails, the function fails, and the platform delivers the
    CloudEvent again if the trigger is set to retry. What can never be sent would come back for days, so it is logged
    and dropped: where the mapping raises, the data cannot be read, or an event is over 512 KiB.

    Args:
        mapping: Takes a CloudEvent and returns the event to send, several of them, or None for none of it. It may raise
            ``RetryAfterError`` to have the CloudEvent delivered again. Without it, the event's name is ``gcp/`` and the
            CloudEvent's type, its data as ``cloud_event_data`` reads it, and its ``ts`` the CloudEvent's time.
        dead_letter: The name of an event to send in place of what is dropped. Its data has ``reason``, ``attributes``
            (those of the CloudEvent), and the CloudEvent's ``data`` if that is JSON and not too large.
        event_key: As for ``Client``, like all that follow but the last.
        env: The branch environment.
        is_dev: Whether to send to a dev server.
        event_api_base_url: The origin for events.
        middleware: Whose ``before_send_events`` and ``after_send_events`` are called.
        logger: Where to log what is dropped; the logger ``inngest_serverless`` if not given.

    Returns:
        The function to deploy, with functions-framework's signature type ``cloudevent``; serve it over WSGI or ASGI.
        It raises ConfigurationError and SendEventsError as ``Client.send_many`` does.

    Raises:
        ConfigurationError: The mapping is async, or the dead-letter event has no name.

    Source: docs/protocol.md, section 9.
    """
    check_forwarder("forward_cloud_event", mapping, dead_letter)
    client = Client(
        event_key=event_key, env=env, is_dev=is_dev, event_api_base_url=event_api_base_url, middleware=middleware
    )

    def handler(event: CloudEvent) -> None:
        origin = _origin(event)
        events, faults = mapped_events(mapping or _default_event, event, origin)
        for fault in faults:
            log_dropped(logger, origin, fault, dead_letter)
            if dead_letter is not None:
                events.append(dead_letter_event(dead_letter, origin, fault, len(events)))
        if events:
            client.send_many(events)

    return handler


def cloud_event_data(event: CloudEvent) -> dict[str, Any]:
    """The data of a CloudEvent as an object, for a mapping to use.

    A Pub/Sub message has ``data``, decoded and, where it is JSON, read; ``attributes``, ``messageId`` and
    ``publishTime``, its ``orderingKey`` if it has one, and the ``subscription``. Data that is not text stays in base64,
    as ``data_base64``: protocol buffers, as Firestore sends them, for example. Data that is neither an object nor
    bytes is an object's only field, ``data``.

    Raises:
        ValueError: It is said to be JSON and is not, or a Pub/Sub message is not as Pub/Sub makes them.
    """
    data = event.get_data()
    if event["type"] == _PUBSUB:
        return _pubsub_data(data)
    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, (bytes, bytearray)):
        if "json" in str(event.get_attributes().get("datacontenttype") or ""):
            raise ValueError("the data is said to be JSON, but is not")
        return decoded(bytes(data), is_json=False)
    return {} if data is None else {"data": data}


def _pubsub_data(data: Any) -> dict[str, Any]:
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise ValueError("the data has no Pub/Sub message")  # noqa: TRY004 - the type of JSON, not of an argument
    text = message.get("data")
    try:
        content = {"data": None} if text is None else decoded(b64decode(text, validate=True), is_json=True)
    except (TypeError, ValueError):
        raise ValueError("the Pub/Sub message's data is not base64") from None
    content |= {name: message[name] for name in _PUBSUB_FIELDS if name in message}
    return {**content, "subscription": data.get("subscription")}


def _default_event(event: CloudEvent) -> Event[Any]:
    return Event(f"gcp/{event['type']}", cloud_event_data(event))


def _origin(event: CloudEvent) -> Origin:
    attributes = event.get_attributes()
    return Origin(
        cloud="gcp",
        source=str(event["source"]),
        id=str(event["id"]),
        millis=iso_millis(attributes.get("time")),
        label=f"CloudEvent {event['id']} of {event['source']} ({event['type']})",
        attributes={key: str(value) for key, value in attributes.items()},
        content=event.get_data(),
    )
