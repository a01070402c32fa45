"""What becomes of CloudEvents: the event that is sent, none, several, a dead letter, or an error to be delivered again."""

import json
import logging
from base64 import b64encode
from hashlib import sha256

import pytest
from cloudevents.http import CloudEvent

from inngest_serverless import ConfigurationError, Event, Middleware, RetryAfterError, SendEventsError, now_millis
from inngest_serverless.gcp.forward import cloud_event_data, forward_cloud_event

pytestmark = pytest.mark.usefixtures("resting_collector")

TOPIC = "//pubsub.googleapis.com/projects/shop/topics/orders"
PUBSUB = {
    "id": "1096434104173400",
    "source": TOPIC,
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
    "time": "2026-03-01T10:00:00.25Z",
    "datacontenttype": "application/json",
}
STORAGE = {
    "id": "5736612378123",
    "source": "//storage.googleapis.com/projects/_/buckets/photos",
    "type": "google.cloud.storage.object.v1.finalized",
    "subject": "objects/cats/1.jpg",
    "time": "2026-03-01T10:00:00Z",
}
AUDIT = {
    "id": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity-1",
    "source": "//bigquery.googleapis.com/projects/shop",
    "type": "google.cloud.audit.log.v1.written",
    "methodname": "google.cloud.bigquery.v2.JobService.InsertJob",
}
FIRESTORE = {
    "id": "d4e5",
    "source": "//firestore.googleapis.com/projects/shop/databases/(default)",
    "type": "google.cloud.firestore.document.v1.written",
    "datacontenttype": "application/protobuf",
    "document": "orders/1",
}


def pubsub(content=b'{"order": 1}', **fields):
    message = {
        "data": b64encode(content).decode() if isinstance(content, bytes) else content,
        "attributes": {"kind": "order"},
        "messageId": "1096434104173400",
        "message_id": "1096434104173400",
        "publishTime": "2026-03-01T10:00:00.25Z",
        "publish_time": "2026-03-01T10:00:00.25Z",
        **fields,
    }
    return CloudEvent(PUBSUB, {"message": message, "subscription": "projects/shop/subscriptions/run"})


def event_id(attributes, name):
    seed = json.dumps([attributes["source"], attributes["id"], name])
    return f"gcp-{sha256(seed.encode()).hexdigest()[:40]}"


# By default.


def test_a_pubsub_message(api):
    forward_cloud_event()(pubsub())
    name = "gcp/google.cloud.pubsub.topic.v1.messagePublished"
    assert api.events == [
        {
            "name": name,
            "id": event_id(PUBSUB, name),
            "ts": 1772359200250,
            "data": {
                "data": {"order": 1},
                "attributes": {"kind": "order"},
                "messageId": "1096434104173400",
                "publishTime": "2026-03-01T10:00:00.25Z",
                "subscription": "projects/shop/subscriptions/run",
            },
        }
    ]


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (b'{"a": [1, null]}', {"data": {"a": [1, None]}}),
        (b"17", {"data": 17}),
        (b'"x"', {"data": "x"}),
        (b"hello", {"data": "hello"}),
        (b"", {"data": ""}),
        (b"NaN", {"data": "NaN"}),
        (b'{"a": Infinity}', {"data": '{"a": Infinity}'}),
        (b"[" * 100_000, {"data": "[" * 100_000}),
        ("zo\u00eb".encode(), {"data": "zo\u00eb"}),
        (b"\x0a\x03\xff", {"data_base64": "CgP/"}),
        (None, {"data": None}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_content_of_a_pubsub_message(content, data):
    found = cloud_event_data(pubsub(content))
    assert {key: found[key] for key in found if key.startswith("data")} == data


def test_a_pubsub_message_with_an_ordering_key_and_without_data():
    event = pubsub(None, orderingKey="customer-1")
    del event.data["message"]["data"]
    assert cloud_event_data(event)["orderingKey"] == "customer-1"
    assert cloud_event_data(event)["data"] is None


@pytest.mark.parametrize(
    ("attributes", "data", "expected"),
    [
        (STORAGE, {"bucket": "photos", "name": "cats/1.jpg"}, {"bucket": "photos", "name": "cats/1.jpg"}),
        (AUDIT, {"protoPayload": {"methodName": "x"}}, {"protoPayload": {"methodName": "x"}}),
        (FIRESTORE, b"\x0a\xff", {"data_base64": "Cv8="}),
        (FIRESTORE, None, {}),
        (STORAGE, [1, 2], {"data": [1, 2]}),
        (STORAGE, "text", {"data": "text"}),
        (STORAGE | {"datacontenttype": "text/plain"}, b"text", {"data": "text"}),
    ],
    ids=["storage", "audit log", "firestore", "nothing", "list", "text", "text in bytes"],
)
def test_other_cloud_events(attributes, data, expected, api):
    forward_cloud_event()(CloudEvent(attributes, data))
    [event] = api.events
    assert event["name"] == f"gcp/{attributes['type']}"
    assert event["data"] == expected
    assert event["id"] == event_id(attributes, event["name"])


@pytest.mark.parametrize("time", ["yesterday", "2026-03-01T10:00:00", "1960-01-01T00:00:00Z", "", 5])
def test_a_time_that_is_none_is_left_out(time, api):
    forward_cloud_event()(CloudEvent(STORAGE | {"time": time}, {}))
    assert abs(api.events[0]["ts"] - now_millis()) < 60_000


def test_a_time_with_nanoseconds(api):
    forward_cloud_event()(CloudEvent(STORAGE | {"time": "2026-03-01T10:00:00.123456789Z"}, {}))
    assert api.events[0]["ts"] == 1772359200123


def test_a_redelivery_has_the_same_id_and_other_events_have_others(api):
    handler = forward_cloud_event()
    for attributes in (STORAGE, STORAGE, STORAGE | {"id": "2"}, STORAGE | {"source": "//other"}):
        handler(CloudEvent(attributes, {}))
    first, second, *others = [event["id"] for event in api.events]
    assert first == second
    assert len({first, *others}) == 3


def test_ids_depend_on_the_name_so_that_two_functions_may_forward_one_cloud_event(api):
    for name in ("a/b", "a/c"):
        forward_cloud_event(lambda _, name=name: Event(name))(pubsub())
    assert len({event["id"] for event in api.events}) == 2


def test_source_and_id_are_not_run_together(api):
    for source, number in (("//a", "bc"), ("//ab", "c")):
        forward_cloud_event()(CloudEvent(STORAGE | {"source": source, "id": number}, {}))
    assert len({event["id"] for event in api.events}) == 2


# With a mapping.


class OrderPlaced(Event[dict], name="shop/order.placed"): ...


@pytest.mark.parametrize(
    "mapping",
    [
        lambda event: OrderPlaced(data=cloud_event_data(event)["data"]),
        lambda event: {"name": "shop/order.placed", "data": cloud_event_data(event)["data"]},
        lambda event: (OrderPlaced(data=cloud_event_data(event)["data"]) for _ in range(1)),
    ],
    ids=["event", "mapping", "generator"],
)
def test_a_mapping(mapping, api):
    forward_cloud_event(mapping)(pubsub())
    [event] = api.events
    assert (event["name"], event["data"], event["ts"]) == ("shop/order.placed", {"order": 1}, 1772359200250)
    assert event["id"] == event_id(PUBSUB, "shop/order.placed")


def test_a_mapping_that_gives_id_and_time_itself(api):
    forward_cloud_event(lambda _: Event("a/b", id="mine", ts=5, user={"external_id": "u"}))(pubsub())
    assert api.events == [{"name": "a/b", "data": {}, "id": "mine", "ts": 5, "user": {"external_id": "u"}}]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_a_mapping_that_drops_an_event(nothing, api, caplog):
    forward_cloud_event(lambda _: nothing, dead_letter="gcp/dead")(pubsub())
    assert api.requests == []
    assert caplog.records == []


def test_several_events_have_ids_with_numbers_and_go_together(api):
    forward_cloud_event(lambda _: [Event("a/b", {"n": 1}), Event("a/b", {"n": 2}), Event("a/b", id="own")])(pubsub())
    assert len(api.requests) == 1
    first = event_id(PUBSUB, "a/b")
    assert [event["id"] for event in api.events] == [first, f"{first}-1", "own"]


# What can never be sent.

HUGE = "x" * (512 * 1024)
POISON = {
    "mapping raises": (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
    "mapping returns no event": (lambda _: 5, "EventValidationError: an event is an Event or a mapping"),
    "event without a name": (lambda _: {"data": {}}, "EventValidationError: an event without a name"),
    "event that JSON cannot hold": (lambda _: Event("a/b", {"x": object()}), "JSON cannot hold it"),
    "event that is too large": (lambda _: Event("a/b", {"x": HUGE}), "over the limit of 524288"),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_logged_and_dropped(kind, api, caplog):
    mapping, reason = POISON[kind]
    forward_cloud_event(mapping)(pubsub())
    assert api.requests == []
    [record] = caplog.records
    assert record.name == "inngest_serverless"
    assert record.levelname == "ERROR"
    assert PUBSUB["id"] in record.getMessage()
    assert reason.partition(": ")[2] in record.getMessage()
    assert "order" not in record.getMessage().replace(TOPIC, "")


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_sent_as_a_dead_letter(kind, api, caplog):
    mapping, reason = POISON[kind]
    event = pubsub()
    for _ in range(2):
        forward_cloud_event(mapping, dead_letter="gcp/dead")(event)
    first, second = api.events
    assert first["id"] == second["id"] == event_id(PUBSUB, "gcp/dead")
    assert (first["name"], first["ts"]) == ("gcp/dead", 1772359200250)
    assert reason in first["data"]["reason"]
    assert first["data"]["attributes"] == {"specversion": "1.0", **PUBSUB}
    assert first["data"]["data"] == event.data
    assert "gcp/dead" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    "event",
    [
        CloudEvent(PUBSUB, None),
        CloudEvent(PUBSUB, b"{bad"),
        CloudEvent(PUBSUB, {"message": "text"}),
        pubsub("no base64!"),
        pubsub(17),
        CloudEvent(STORAGE | {"datacontenttype": "application/json"}, b"{bad"),
        CloudEvent(STORAGE, {"size": float("nan")}),
        CloudEvent(STORAGE, {"x": HUGE}),
    ],
    ids=["no data", "no JSON", "no message", "no base64", "no text", "no JSON in an object", "NaN", "too large"],
)
def test_poison_without_a_mapping(event, api, caplog):
    forward_cloud_event()(event)
    assert api.requests == []
    assert len(caplog.records) == 1
    forward_cloud_event(dead_letter="gcp/dead")(event)
    [letter] = api.events
    assert letter["data"]["attributes"]["id"] == event["id"]


def test_a_dead_letter_leaves_out_what_is_too_large(api):
    forward_cloud_event(dead_letter="gcp/dead")(CloudEvent(STORAGE, {"x": HUGE}))
    assert api.events[0]["data"].keys() == {"reason", "attributes"}


def test_one_of_several_is_poison(api, caplog):
    events = [Event("a/b", {"n": 1}), Event("a/b", {"x": HUGE}), Event("a/b", {"n": 3})]
    forward_cloud_event(lambda _: events, dead_letter="gcp/dead")(pubsub())
    first = event_id(PUBSUB, "a/b")
    assert [(event["name"], event["id"]) for event in api.events[:2]] == [("a/b", first), ("a/b", f"{first}-2")]
    assert api.events[2]["name"] == "gcp/dead"
    assert len(caplog.records) == 1


def test_the_logger_that_is_given(api, caplog):
    forward_cloud_event(lambda _: 1 / 0, logger=logging.getLogger("mine"))(pubsub())
    assert caplog.records[0].name == "mine"


# What is to be delivered again.


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_send_that_fails(status, api, monkeypatch):
    monkeypatch.setattr("inngest_serverless.client.pause", lambda _: None)
    api.status = status
    with pytest.raises(SendEventsError):
        forward_cloud_event(dead_letter="gcp/dead")(pubsub())
    assert {event["name"] for event in api.events} == {f"gcp/{PUBSUB['type']}"}


def test_no_event_key(api, monkeypatch):
    monkeypatch.delenv("INNGEST_EVENT_KEY")
    with pytest.raises(ConfigurationError, match="INNGEST_EVENT_KEY"):
        forward_cloud_event()(pubsub())


def test_a_mapping_that_asks_for_it(api, caplog):
    def mapping(_):
        raise RetryAfterError("the database is away", "10s")

    with pytest.raises(RetryAfterError):
        forward_cloud_event(mapping, dead_letter="gcp/dead")(pubsub())
    assert api.requests == []
    assert caplog.records == []


# Options.


async def later(_):
    return None


@pytest.mark.parametrize(
    ("mapping", "options", "message"),
    [
        (later, {}, "not async"),
        ("name", {}, "must be a function"),
        (None, {"dead_letter": ""}, "dead_letter"),
        (None, {"dead_letter": 5}, "dead_letter"),
    ],
)
def test_wrong_options(mapping, options, message):
    with pytest.raises(ConfigurationError, match=message):
        forward_cloud_event(mapping, **options)


def test_the_options_of_the_client(api, monkeypatch):
    monkeypatch.delenv("INNGEST_EVENT_KEY")
    monkeypatch.delenv("INNGEST_EVENT_API_BASE_URL")

    class Stamp(Middleware):
        def before_send_events(self, events):
            for event in events:
                event["data"]["stamped"] = True

    forward_cloud_event(event_key="other", event_api_base_url=api.url, env="branch", middleware=[Stamp])(
        CloudEvent(STORAGE, {})
    )
    assert api.events[0]["data"] == {"stamped": True}
