"""What the forwarders send in how many requests, what they leave to be delivered again, and what becomes of poison."""

import json
import logging

import pytest
from forward_api import QUEUE, failed, golden, messages

from inngest_serverless import ConfigurationError, Event, Middleware, RetryAfterError, SendEventsError
from inngest_serverless.aws.forward import (
    forward_dynamodb,
    forward_eventbridge,
    forward_kinesis,
    forward_s3,
    forward_sns,
    forward_sqs,
)
from inngest_serverless.errors import UnsupportedEventError

FIFO = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo"
HUGE = "x" * (512 * 1024)
ALL = [forward_sqs, forward_sns, forward_eventbridge, forward_s3, forward_dynamodb, forward_kinesis]
OWN_EVENT = {
    forward_sqs: "sqs",
    forward_sns: "sns",
    forward_eventbridge: "eventbridge",
    forward_s3: "s3",
    forward_dynamodb: "dynamodb_stream",
    forward_kinesis: "kinesis",
}
ASYNCHRONOUS = [forward_sns, forward_eventbridge, forward_s3]
STREAMS = [forward_dynamodb, forward_kinesis]


def order(record):
    """A mapping that fails on the body "poison"."""
    if record.body == "poison":
        raise ValueError("no order")
    return Event("shop/order", {"body": record.body})


def bodies(api):
    return [event["data"]["body"] for event in api.events]


def refuse(*words):
    return lambda event: event["data"].get("body") in words


# Requests.


def test_a_batch_is_one_request(event_api):
    response = forward_sqs()(messages(*map(str, range(1000))), None)
    assert response == {"batchItemFailures": []}
    assert event_api.sizes == [1000]


def test_requests_are_kept_to_the_limit(event_api):
    parts = ["x" * 200_000] * 5
    assert failed(forward_sqs(order)(messages(*parts), None)) == []
    assert event_api.sizes == [2, 2, 1]
    assert all(len(json.dumps(events)) <= 512 * 1024 + 200 for _, events in event_api.requests)


def test_nothing_to_send_is_no_request(event_api):
    assert forward_sqs(lambda _: None)(messages("a", "b"), None) == {"batchItemFailures": []}
    assert event_api.requests == []


# A part of a batch that is not sent.


def test_one_message_of_a_queue_stays(event_api, caplog):
    response = forward_sqs(order)(messages("a", "poison", "c"), None)
    assert failed(response) == ["m1"]
    assert bodies(event_api) == ["a", "c"]
    assert event_api.sizes == [2]
    [record] = caplog.records
    assert (record.name, record.levelname) == ("inngest_serverless", "ERROR")
    assert record.getMessage() == f"SQS message m1 of {QUEUE}: not sent, to be delivered again: no order"


def test_nothing_is_sent_behind_a_message_of_a_fifo_queue_that_stays(event_api):
    response = forward_sqs(order)(messages("a", "poison", "c", "d", queue=FIFO), None)
    assert failed(response) == ["m1", "m2", "m3"]
    assert bodies(event_api) == ["a"]


@pytest.mark.parametrize(("forward", "place"), [(forward_kinesis, "kinesis"), (forward_dynamodb, "dynamodb")])
def test_nothing_is_sent_behind_a_record_of_a_stream_that_stays(forward, place, event_api):
    event = golden(OWN_EVENT[forward])
    records = event["Records"] = [json.loads(json.dumps(event["Records"][0])) for _ in range(4)]
    for number, record in enumerate(records):
        record["eventID"] = str(number)
        record[place]["sequenceNumber" if place == "kinesis" else "SequenceNumber"] = str(number)

    def mapping(record):
        if record.event_id == "2":
            raise RetryAfterError("the database is away", "10s")
        return Event("shop/seen", {"n": record.event_id})

    response = forward(mapping)(event, None)
    # Lambda goes on with the lowest of these numbers, whatever the order.
    assert sorted(failed(response)) == ["2", "3"]
    assert [event["data"]["n"] for event in event_api.events] == ["0", "1"]


def test_a_message_may_ask_to_be_delivered_again(event_api):
    def mapping(record):
        if record.body == "later":
            raise RetryAfterError("the database is away", "10s")
        return order(record)

    response = forward_sqs(mapping, dead_letter="shop/dead")(messages("a", "later"), None)
    assert failed(response) == ["m1"]
    assert bodies(event_api) == ["a"]


def test_a_message_is_sent_whole_or_not_at_all(event_api):
    def mapping(record):
        return [Event("a/b", {"body": record.body}), Event("a/b", {"body": HUGE if record.body == "b" else "second"})]

    assert failed(forward_sqs(mapping)(messages("a", "b"), None)) == ["m1"]
    assert bodies(event_api) == ["a", "second"]


# Events that the event API refuses.


@pytest.mark.parametrize("queue", [QUEUE, FIFO])
def test_the_event_that_is_refused_is_found(queue, event_api):
    event_api.refuses = refuse("c")
    response = forward_sqs(order)(messages(*"abcdefgh", queue=queue), None)
    if queue == FIFO:
        assert failed(response) == ["m2", "m3", "m4", "m5", "m6", "m7"]
        assert bodies(event_api) == ["a", "b"]
    else:
        assert failed(response) == ["m2"]
        assert sorted(bodies(event_api)) == [*"abdefgh"]
    assert len(event_api.requests) <= 8


def test_several_events_that_are_refused(event_api):
    event_api.refuses = refuse("a", "h")
    assert failed(forward_sqs(order)(messages(*"abcdefgh"), None)) == ["m0", "m7"]
    assert bodies(event_api) == [*"bcdefg"]


def test_a_request_that_is_too_large_for_the_server_is_halved(event_api):
    event_api.statuses = [413]
    assert failed(forward_sqs(order)(messages(*"abcd"), None)) == []
    assert event_api.sizes == [4, 2, 2]


def test_a_refused_event_is_dropped(event_api, caplog):
    event_api.refuses = refuse("b")
    assert failed(forward_sqs(order, poison="drop")(messages(*"abc", queue=FIFO), None)) == []
    assert bodies(event_api) == ["a", "c"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["SQS message m1 of arn"]


def test_a_refused_event_is_sent_as_a_dead_letter(event_api):
    event_api.refuses = refuse("b")
    assert failed(forward_sqs(order, dead_letter="shop/dead")(messages(*"abc", queue=FIFO), None)) == []
    a, letter, c = event_api.events
    assert (a["data"]["body"], letter["name"], c["data"]["body"]) == ("a", "shop/dead", "c")
    assert "answered 400" in letter["data"]["reason"]
    assert letter["data"]["data"]["body"] == "b"


def test_each_refused_event_of_a_message_has_a_dead_letter_of_its_own(event_api):
    def mapping(record):
        return [Event("a/b", {"body": body}) for body in ("a", "b", HUGE, "d")]

    event_api.refuses = refuse("b", "d")
    forward_sqs(mapping, dead_letter="shop/dead")(messages("x"), None)
    names = [event["name"] for event in event_api.events]
    assert (names.count("a/b"), names.count("shop/dead")) == (1, 3)
    assert len({event["id"] for event in event_api.events}) == 4


def test_a_dead_letter_that_is_refused_stays(event_api):
    event_api.refuses = lambda event: event["name"] == "shop/dead"
    assert failed(forward_sqs(order, dead_letter="shop/dead")(messages("a", "poison"), None)) == ["m1"]
    assert bodies(event_api) == ["a"]


def test_middleware_is_shown_the_event_anew_when_it_is_sent_again(event_api):
    class Stamp(Middleware):
        def before_send_events(self, events):
            for event in events:
                event["data"]["stamps"] = event["data"].get("stamps", 0) + 1

    event_api.statuses = [400]
    forward_sqs(order, middleware=[Stamp])(messages("a", "b"), None)
    assert [event["data"]["stamps"] for event in event_api.events] == [1, 1]


def test_what_middleware_spoils_is_poison_too(event_api):
    class Rename(Middleware):
        def before_send_events(self, events):
            for event in events:
                if event["data"]["body"] == "b":
                    event["data"]["when"] = float("nan")

    assert failed(forward_sqs(order, middleware=[Rename])(messages("a", "b", "c"), None)) == ["m1"]
    assert sorted(bodies(event_api)) == ["a", "c"]


# An event API that is away.


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_server_that_is_away_is_not_asked_again_for_each_event(status, event_api):
    event_api.statuses = [status] * 50
    with pytest.raises(SendEventsError, match=str(status)):
        forward_sqs(order)(messages(*"abcdefgh"), None)
    assert len(event_api.requests) == (5 if status >= 500 else 1)


def test_what_was_sent_before_is_not_delivered_again(event_api, caplog):
    event_api.statuses = [200] + [503] * 50
    response = forward_sqs(order)(messages(*["x" * 200_000] * 7), None)
    assert failed(response) == ["m2", "m3", "m4", "m5", "m6"]
    assert len(event_api.requests) == 6
    [record] = caplog.records
    assert "SQS message m2 of" in record.getMessage()
    assert "and 4 more: not sent, to be delivered again: 0 of 2 events were sent" in record.getMessage()


def test_the_key_is_in_no_log_and_no_error(event_api, caplog):
    event_api.statuses = [200, 401]
    forward_sqs(order)(messages(*["x" * 300_000] * 2), None)
    assert "evt-key" not in caplog.text
    assert "answered 401" in caplog.text


@pytest.mark.parametrize("forward", ALL)
def test_a_batch_of_which_nothing_is_sent_is_an_error(forward, event_api, caplog):
    event_api.statuses = [503] * 50
    with pytest.raises(SendEventsError):
        forward()(golden(OWN_EVENT[forward]), None)
    # Lambda logs it.
    assert caplog.records == []


@pytest.mark.parametrize("forward", ALL)
def test_no_event_key(forward, event_api, monkeypatch):
    monkeypatch.delenv("INNGEST_EVENT_KEY")
    with pytest.raises(ConfigurationError, match="INNGEST_EVENT_KEY"):
        forward()(golden(OWN_EVENT[forward]), None)


# Poison.

POISON = {
    "mapping raises": (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
    "mapping returns no event": (lambda _: 5, "EventValidationError: an event is an Event or a mapping"),
    "event without a name": (lambda _: {"data": {}}, "EventValidationError: an event without a name"),
    "event that JSON cannot hold": (lambda _: Event("a/b", {"x": object()}), "JSON cannot hold it"),
    "event that is too large": (lambda _: Event("a/b", {"x": HUGE}), "over the limit of 524288"),
}


@pytest.mark.parametrize("kind", POISON)
@pytest.mark.parametrize("forward", [forward_sqs, *ASYNCHRONOUS])
def test_by_default_poison_is_delivered_again(forward, kind, event_api):
    mapping, reason = POISON[kind]
    with pytest.raises(Exception, match=reason.rpartition(": ")[2]):
        forward(mapping)(golden(OWN_EVENT[forward]), None)
    assert event_api.requests == []


@pytest.mark.parametrize("kind", POISON)
@pytest.mark.parametrize("forward", STREAMS)
def test_by_default_poison_does_not_hold_up_a_stream(forward, kind, event_api, caplog):
    mapping, reason = POISON[kind]
    event = golden(OWN_EVENT[forward])
    assert failed(forward(mapping)(event, None)) == []
    assert event_api.requests == []
    assert len(caplog.records) == len(event["Records"])
    assert "is dropped" in caplog.records[0].getMessage()
    assert reason.rpartition(": ")[2] in caplog.records[0].getMessage()


@pytest.mark.parametrize("forward", ALL)
def test_poison_as_it_is_asked_for(forward, event_api, caplog):
    event = golden(OWN_EVENT[forward])
    assert forward(lambda _: 1 / 0, poison="drop")(event, None) in (None, {"batchItemFailures": []})
    assert "is dropped: division by zero" in caplog.text
    with pytest.raises(ZeroDivisionError):
        forward(lambda _: 1 / 0, poison="retry")(event, None)


@pytest.mark.parametrize("kind", POISON)
@pytest.mark.parametrize("forward", ALL)
def test_a_dead_letter(forward, kind, event_api, caplog):
    mapping, reason = POISON[kind]
    event = golden(OWN_EVENT[forward])
    for _ in range(2):
        assert forward(mapping, dead_letter="shop/dead")(event, None) in (None, {"batchItemFailures": []})
    letters = event_api.events
    first, again = letters[0], letters[len(letters) // 2]
    assert first == again
    assert first["name"] == "shop/dead"
    assert first["id"].startswith("aws-")
    assert 0 < first["ts"] < 1767268801000
    assert reason in first["data"]["reason"]
    assert first["data"]["attributes"].keys() == {"eventSource", "source", "id"}
    record = event["Records"][0] if "Records" in event else event
    assert first["data"]["data"] == {name: value for name, value in record.items() if name != "receiptHandle"}
    assert "is dropped for event shop/dead" in caplog.text


def test_a_dead_letter_leaves_out_what_is_too_large(event_api):
    forward_sqs(dead_letter="shop/dead")(messages(HUGE), None)
    [letter] = event_api.events
    assert letter["data"].keys() == {"reason", "attributes"}


def test_one_of_several_events_is_poison(event_api):
    mapping = lambda _: [Event("a/b", {"n": 1}), Event("a/b", {"x": HUGE}), Event("a/b", {"n": 3})]  # noqa: E731
    forward_sqs(mapping, dead_letter="shop/dead")(messages("x"), None)
    assert [event["name"] for event in event_api.events] == ["a/b", "a/b", "shop/dead"]
    assert len({event["id"] for event in event_api.events}) == 3


@pytest.mark.parametrize(
    "body",
    ["", "{bad", "5", "[]", "{}", '{"Records": 5}', '{"Records": [{"eventSource": "aws:sqs"}]}', '{"Message": "{bad"}'],
)
def test_a_message_without_a_notification_of_s3(body, event_api):
    event = messages(golden("s3"), body)
    assert failed(forward_s3()(event, None)) == ["m1"]
    assert [event["name"] for event in event_api.events] == ["aws/s3.object.created"]
    forward_s3(dead_letter="shop/dead")(event, None)
    assert event_api.events[-1]["data"]["attributes"]["id"] == "m1"


@pytest.mark.parametrize("spoiled", [{"s3": {}}, {"s3": {"bucket": {"name": "b"}, "object": {}}}, {"s3": None}])
def test_a_notification_of_s3_that_lacks_something(spoiled, event_api):
    event = messages(golden("s3"), {"Records": [{"eventSource": "aws:s3", "eventName": "x", **spoiled}]})
    assert failed(forward_s3()(event, None)) == ["m1"]


def test_the_logger_that_is_given(event_api, caplog):
    for poison in ("retry", "drop"):
        forward_sqs(order, logger=logging.getLogger("mine"), poison=poison)(messages("a", "poison"), None)
    assert [record.name for record in caplog.records] == ["mine", "mine"]


# Events of other kinds.


SERVED_BY = {
    **{name: forward.__name__ for forward, name in OWN_EVENT.items()},
    **dict.fromkeys(["function_url", "alb_single", "rest_api_stage"], "inngest_lambda"),
    "direct_invoke": "check what triggers the function",
}
STRANGERS = [
    (forward, name)
    for forward in ALL
    for name in SERVED_BY
    if name not in ({"s3", "sqs", "sns"} if forward is forward_s3 else {OWN_EVENT[forward]})
]


@pytest.mark.parametrize(("forward", "name"), STRANGERS)
def test_an_event_of_another_kind(forward, name, event_api):
    message = rf"^a handler made with {forward.__name__} was invoked with an? .*{SERVED_BY[name]}$"
    with pytest.raises(UnsupportedEventError, match=message):
        forward()(golden(name), None)
    assert event_api.requests == []


@pytest.mark.parametrize("event", [{}, [], "text", None, {"Records": []}, {"Records": [5]}, {"Records": 5}], ids=str)
@pytest.mark.parametrize("forward", ALL)
def test_an_event_that_is_nothing(forward, event, event_api):
    with pytest.raises(UnsupportedEventError, match="check what triggers the function"):
        forward()(event, None)


# Options.


async def later(_):
    return None


@pytest.mark.parametrize(
    ("mapping", "options", "message"),
    [
        (later, {}, "mapping must be a function, and not async"),
        ("name", {}, "mapping must be a function"),
        (None, {"dead_letter": ""}, "dead_letter must be the name"),
        (None, {"dead_letter": 5}, "dead_letter must be the name"),
        (None, {"poison": "keep"}, "poison must be 'retry' or 'drop'"),
        (None, {"poison": "retry", "dead_letter": "a/b"}, "dead_letter takes .* leave out poison='retry'"),
        (None, {"deadletter": "a/b"}, r"unknown option 'deadletter': the options are dead_letter, poison, event_key"),
    ],
)
@pytest.mark.parametrize("forward", ALL)
def test_wrong_options(forward, mapping, options, message, no_settings):
    with pytest.raises(ConfigurationError, match=f"^{forward.__name__}: {message}"):
        forward(mapping, **options)


def test_the_options_of_the_client(event_api, monkeypatch):
    monkeypatch.delenv("INNGEST_EVENT_KEY")
    monkeypatch.delenv("INNGEST_EVENT_API_BASE_URL")
    forward_sqs(event_key="other", event_api_base_url=event_api.url, env="branch", is_dev=False)(messages("a"), None)
    assert event_api.keys == ["other"]


def test_options_that_are_none_are_as_if_not_given(event_api):
    forward_sqs(None, dead_letter=None, poison=None, event_key=None, logger=None, middleware=())(messages("a"), None)
    assert event_api.keys == ["evt-key"]


def test_without_powertools(monkeypatch, no_settings):
    monkeypatch.setattr("inngest_serverless.aws.forwarder.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"forward_sqs needs aws-lambda-powertools: pip install"):
        forward_sqs()
