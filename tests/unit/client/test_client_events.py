"""Sending events: what goes out, what comes back, how it is tried again, and what is said if it fails."""

from __future__ import annotations

import base64
import json
from email.utils import formatdate
from pathlib import Path

import pytest
from client_api import EVENT_KEY, RESET, SILENCE, Answer, numbered

from inngest_serverless import client as client_module
from inngest_serverless.errors import ConfigurationError, EventValidationError, SendEventsError, TransportError
from inngest_serverless.events import Event
from inngest_serverless.sending import MAX_BYTES_PER_REQUEST, MAX_EVENTS_PER_REQUEST
from inngest_serverless.transport import Transport
from inngest_serverless.tries import MAX_TRIES
from inngest_serverless.version import __version__

GOLDEN = Path(__file__).parents[2] / "golden" / "transcripts"


def recorded(name):
    """The recorded request that sends events, and its reply."""
    exchanges = json.loads((GOLDEN / name).read_text("utf-8"))["exchanges"]
    [exchange] = [item for item in exchanges if item["request"]["path"].startswith("/e/")]
    return exchange["request"], exchange["reply"]


@pytest.mark.parametrize("name", ["dev-send-event.json", "signed-send-event.json"])
def test_requests_are_as_recorded(name, api, clients, call):
    request, reply = recorded(name)
    api.then(Answer(reply["status"], reply["body"].encode(), reply["headers"]))
    body = json.loads(request["body"])
    signed = name.startswith("signed")
    key = request["path"].removeprefix("/e/") if signed else None
    client = clients(now=body[0]["ts"] / 1000, event_key=key, is_dev=not signed)
    events = [{"name": event["name"], "data": event["data"]} for event in body]

    assert call(client, "send_many", events) == json.loads(reply["body"])["ids"]
    [ours] = api.received
    assert ours.path == (request["path"] if signed else "/e/dev")
    assert ours.json == body
    assert ours.body.decode() == json.dumps(ours.json, separators=(",", ":"))
    assert ours.headers["content-type"] == request["headers"]["content-type"]
    assert ours.headers["x-inngest-sdk"] == f"inngest-serverless:v{__version__}"
    millis, _, entropy = ours.headers["x-inngest-event-id-seed"].partition(",")
    assert int(millis) == body[0]["ts"]
    assert len(base64.b64decode(entropy, validate=True)) == 10
    assert "authorization" not in ours.headers


def test_one_event(api, clients, call):
    assert call(clients(), "send", Event("t/one", {"n": 1}, user={"email": "a@b"}, id="own", v="2")) == "id-1"
    assert call(clients(), "send", {"name": "t/one", "data": {"n": 2}, "ts": 5}) == "id-2"
    assert [request.json for request in api.received] == [
        [{"name": "t/one", "data": {"n": 1}, "user": {"email": "a@b"}, "id": "own", "v": "2", "ts": 1_700_000_000_500}],
        [{"name": "t/one", "data": {"n": 2}, "ts": 5}],
    ]


@pytest.mark.parametrize("events", [numbered(2), (), "several", 5, None])
def test_send_takes_one_event(events, api, clients, call):
    with pytest.raises(
        ConfigurationError, match=r"is not an event: write Event\('.*', data=\{\.\.\.\}\), or use send_many"
    ):
        call(clients(), "send", events)
    assert not api.received


def test_no_events_are_no_request(api, clients, call):
    assert call(clients(), "send_many", []) == []
    assert call(clients(), "send_many", iter(numbered(1))) == ["id-0"]
    assert len(api.received) == 1


def test_an_event_that_cannot_be_sent_keeps_the_others_back(api, clients, call):
    with pytest.raises(EventValidationError, match="without a name"):
        call(clients(), "send_many", [*numbered(1), {"data": {}}])
    with pytest.raises(EventValidationError, match="event 't/numbered' has something that JSON cannot hold") as caught:
        call(clients(), "send_many", [*numbered(1), *numbered(1, secret="hush", bad=object())])
    assert "hush" not in str(caught.value)
    assert not api.received


def test_batches_by_count(api, clients, call):
    count = 2 * MAX_EVENTS_PER_REQUEST + 1
    assert call(clients(), "send_many", numbered(count)) == [f"id-{number}" for number in range(count)]
    assert [len(request.json) for request in api.received] == [MAX_EVENTS_PER_REQUEST, MAX_EVENTS_PER_REQUEST, 1]
    assert len({request.headers["x-inngest-event-id-seed"] for request in api.received}) == 3


@pytest.mark.parametrize("letter", ["x", "é"])
@pytest.mark.parametrize("over", [0, 1])
def test_batches_by_size(letter, over, api, clients, call):
    """Two events fill a request to the last byte; with one byte more they are too many."""
    filler = letter * (200_000 // len(letter.encode()))
    events = numbered(2, fill=filler)
    call(clients(), "send_many", events)
    room = MAX_BYTES_PER_REQUEST - len(api.received.pop().body)
    events[0]["data"]["fill"] += "y" * (room + over)

    assert call(clients(), "send_many", events) == ["id-0", "id-1"]
    assert [len(request.json) for request in api.received] == ([1, 1] if over else [2])
    assert (len(api.received[0].body) == MAX_BYTES_PER_REQUEST) is not over or over


def test_an_event_over_the_size_goes_alone(api, clients, call):
    events = numbered(3)
    events[1]["data"]["fill"] = "x" * MAX_BYTES_PER_REQUEST
    assert call(clients(), "send_many", events) == ["id-0", "id-1", "id-2"]
    assert [[event["data"]["n"] for event in request.json] for request in api.received] == [[0], [1], [2]]


@pytest.mark.parametrize("first", [Answer(429), Answer(500), Answer(503, b"not JSON"), RESET, SILENCE], ids=str)
def test_tried_again_as_the_same_batch(first, api, clients, call):
    client = clients()
    client._transport = Transport(timeout=0.2)
    api.then(first, first)
    assert call(client, "send", *numbered(1)) == "id-0"
    assert len({(each.headers["x-inngest-event-id-seed"], each.body) for each in api.received}) == 1
    assert len(api.received) == 3
    assert clients.pauses == [0.05, 0.1]


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_back_off(draw, api, clients, call):
    api.then(*[Answer(500, {"error": "out of order", "status": 500})] * MAX_TRIES)
    with pytest.raises(SendEventsError, match=r"^0 of 2 events were sent: the event API answered 500: out of order$"):
        call(clients(draw=draw), "send_many", numbered(2))
    assert len(api.received) == MAX_TRIES
    assert clients.pauses == [draw * seconds for seconds in (0.1, 0.2, 0.4, 0.8)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 301])
def test_not_tried_again(status, api, clients, call):
    api.then(Answer(status, {"error": "no", "status": status}, {"location": "https://example.com/"}))
    with pytest.raises(SendEventsError, match=f"^0 of 1 events were sent: the event API answered {status}: no$"):
        call(clients(), "send", *numbered(1))
    assert len(api.received) == 1
    assert clients.pauses == []


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("2", 2),
        ("0", 0.05),
        ("3600", 5),
        ("999999999999999999999999", 5),
        (formatdate(1_700_000_003, usegmt=True), 2.5),
        (formatdate(1_699_999_000, usegmt=True), 0.05),
        ("2023-11-14T22:13:24Z", 3.5),
        ("soon", 0.05),
        ("-1", 0.05),
        ("nan", 0.05),
    ],
)
def test_retry_after(asked, seconds, api, clients, call):
    api.then(Answer(429, {}, {"Retry-After": asked}))
    assert call(clients(), "send", *numbered(1)) == "id-0"
    assert clients.pauses == [pytest.approx(seconds)]


def test_what_went_through_before_a_failure(api, clients, call):
    count = MAX_EVENTS_PER_REQUEST + 3
    first = [f"a{number}" for number in range(MAX_EVENTS_PER_REQUEST)]
    api.then(Answer(200, {"ids": first}), Answer(400, {"ids": ["b0", "", None], "error": "event 1 is bad"}))
    with pytest.raises(SendEventsError, match=r"^5001 of 5003 events were sent: .* 400: event 1 is bad$") as caught:
        call(clients(), "send_many", numbered(count))
    assert caught.value.ids == (*first, "b0")


def test_a_connection_lost_after_the_first_batch(api, clients, call):
    first = [f"a{number}" for number in range(MAX_EVENTS_PER_REQUEST)]
    api.then(Answer(200, {"ids": first}), *[RESET] * MAX_TRIES)
    with pytest.raises(
        SendEventsError, match=r"^5000 of 5001 events were sent: no reply from 127.0.0.1:\d+ \("
    ) as caught:
        call(clients(), "send_many", numbered(MAX_EVENTS_PER_REQUEST + 1))
    assert caught.value.ids == tuple(first)
    assert isinstance(caught.value.__cause__, TransportError)


@pytest.mark.parametrize("document", [b"<html>", [], {}, {"ids": "one"}, {"ids": []}, {"ids": ["a", "b"]}], ids=str)
def test_a_reply_without_an_id_for_each_event(document, api, clients, call):
    api.then(Answer(200, document))
    with pytest.raises(SendEventsError, match=r"the event API gave \d IDs for 1 events"):
        call(clients(), "send", *numbered(1))
    assert len(api.received) == 1


# Settings.


def test_branch_environment(api, clients, call, monkeypatch):
    call(clients(env="feature/x"), "send", *numbered(1))
    monkeypatch.setenv("INNGEST_ENV", "feature/y")
    call(clients(), "send", *numbered(1))
    assert [request.headers["x-inngest-env"] for request in api.received] == ["feature/x", "feature/y"]


def test_a_dev_server_needs_no_key_and_is_where_inngest_dev_says(api, clients, call, monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", f"{api.url}/")
    client = clients(event_key=None, api_base_url=None, event_api_base_url=None)
    assert call(client, "send", *numbered(1)) == "id-0"
    assert call(client, "send_signal", "go") == "01RUN"
    assert [request.path for request in api.received] == ["/e/dev", "/v1/signals"]
    assert "x-inngest-env" not in api.received[0].headers


def test_everything_from_the_environment_without_an_app(api, call, monkeypatch):
    monkeypatch.setenv("INNGEST_EVENT_KEY", EVENT_KEY)
    monkeypatch.setenv("INNGEST_BASE_URL", api.url)
    monkeypatch.setenv("INNGEST_STREAMING", "1")  # which concerns who serves
    assert call(client_module, "send", *numbered(1)) == "id-0"
    assert call(client_module, "send_many", numbered(2)) == ["id-0", "id-1"]
    assert {request.path for request in api.received} == {f"/e/{EVENT_KEY}"}
    assert api.connections == 1


def test_a_key_is_needed(clients, call, api):
    with pytest.raises(ConfigurationError, match="set INNGEST_EVENT_KEY, or INNGEST_DEV=1"):
        call(clients(event_key=None), "send", *numbered(1))
    assert not api.received


def test_a_trailing_slash_and_a_key_with_odd_characters(api, clients, call):
    call(clients(event_key="a/b?c d", event_api_base_url=f"{api.url}/base/"), "send", *numbered(1))
    assert api.received[0].path == "/base/e/a%2Fb%3Fc%20d"


@pytest.mark.parametrize(
    "options",
    [
        {"event_api_base_url": "inn.gs"},
        {"event_api_base_url": "ftp://inn.gs"},
        {"event_api_base_url": "http://inn.gs:port"},
        {"env": "bränch"},
        {"env": "a\nb"},
    ],
    ids=str,
)
def test_a_request_that_cannot_be_made_is_a_matter_of_settings(options, clients, call):
    with pytest.raises(ConfigurationError, match=r"no request can be sent to .*: check the settings") as caught:
        call(clients(**options), "send", *numbered(1))
    assert EVENT_KEY not in str(caught.value)
    assert clients.pauses == []


def test_dev_mode(monkeypatch):
    assert not client_module.is_dev()
    assert client_module.dev_server_url() == "http://127.0.0.1:8288"
    for value, dev in [("1", True), ("0", False), ("false", False), ("http://dev:9999/", True)]:
        monkeypatch.setenv("INNGEST_DEV", value)
        assert client_module.is_dev() is dev
    assert client_module.dev_server_url() == "http://dev:9999"
