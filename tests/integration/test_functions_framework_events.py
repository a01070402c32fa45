"""CloudEvents over HTTP to functions-framework, with the signature type ``cloudevent``, in processes of its own."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from textwrap import dedent

import pytest

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.functions_framework import FunctionsFramework

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
URL = "https://orders-events-abcdefghij-ew.a.run.app/"
NAME = "gcp/google.cloud.pubsub.topic.v1.messagePublished"
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "1096434104173400",
    "source": "//pubsub.googleapis.com/projects/shop/topics/orders",
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
    "time": "2026-03-01T10:00:00.25Z",
}
MESSAGE = {"data": b64encode(b'{"order": 1}').decode(), "messageId": "1096434104173400", "attributes": {}}
DATA = {"message": MESSAGE, "subscription": "projects/shop/subscriptions/run"}
FORWARDERS = """
    from inngest_serverless import Event
    from inngest_serverless.gcp.forward import cloud_event_data, forward_cloud_event

    def order_placed(event):
        return Event("shop/order.placed", cloud_event_data(event)["data"])

    handler = forward_cloud_event(order_placed, dead_letter="shop/undeliverable")
"""


class RecordingEngine(Engine):
    """An engine that starts nothing: what it is sent is all that is wanted."""

    def post(self, events, *_):
        self.posted = [*getattr(self, "posted", []), *events]
        return [event["id"] for event in events]

    def take(self):
        posted, self.posted = getattr(self, "posted", []), []
        return posted


@pytest.fixture(scope="module")
def engine():
    engine = RecordingEngine(lambda *_: None)
    with LocalApi(engine) as api:
        engine.origin = api.origin
        yield engine


@pytest.fixture(scope="module", params=["gunicorn", "asgi"])
def entrypoint(request, engine):
    """The entrypoint that comes with the project: no mapping, and a dead-letter event."""
    source = ROOT / "handlers" / "gcp_events.py"
    env = {"INNGEST_DEV": engine.origin, "LOG_EXECUTION_ID": "true"}
    with FunctionsFramework(
        "handler", source=source, server=request.param, signature_type="cloudevent", env=env
    ) as running:
        yield running


def _binary(attributes, data, kind="application/json"):
    """Attributes in headers, data in the body: as Eventarc delivers."""
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    return {**headers, "Content-Type": kind}, data if isinstance(data, bytes) else json.dumps(data).encode()


def _structured(attributes, data):
    """All in the body."""
    document = {**attributes, "datacontenttype": "application/json", "data": data}
    return {"Content-Type": "application/cloudevents+json"}, json.dumps(document).encode()


@pytest.mark.parametrize("mode", [_binary, _structured])
def test_a_cloud_event_is_an_event_however_often_it_is_delivered(mode, entrypoint, engine):
    headers, body = mode(ATTRIBUTES, DATA)
    assert [entrypoint.exchange("POST", URL, headers, body).status for _ in range(2)] == [200, 200]
    first, second = engine.take()
    assert first == second
    assert (first["name"], first["ts"], first["data"]["data"]) == (NAME, 1772359200250, {"order": 1})
    assert first["id"].startswith("gcp-")


def test_both_modes_make_the_same_event(entrypoint, engine):
    for mode in (_binary, _structured):
        entrypoint.exchange("POST", URL, *mode(ATTRIBUTES, DATA))
    first, second = engine.take()
    assert first == second


def test_protocol_buffers(entrypoint, engine):
    attributes = ATTRIBUTES | {"type": "google.cloud.firestore.document.v1.written", "document": "orders/1"}
    reply = entrypoint.exchange("POST", URL, *_binary(attributes, b"\x0a\xff", "application/protobuf"))
    [event] = engine.take()
    assert reply.status == 200
    assert event["data"] == {"data_base64": "Cv8="}


def test_poison_is_acknowledged_logged_and_sent_as_a_dead_letter(entrypoint, engine):
    headers, body = _binary(ATTRIBUTES, b"{bad")
    reply = entrypoint.exchange("POST", URL, {**headers, "Function-Execution-Id": "x17"}, body)
    [letter] = engine.take()
    assert reply.status == 200
    assert letter["name"] == "gcp/undeliverable"
    assert letter["data"]["attributes"]["id"] == ATTRIBUTES["id"]
    [entry] = _logged_errors(entrypoint)
    assert entry["message"].startswith(f"CloudEvent {ATTRIBUTES['id']} of //pubsub")
    assert entry["stack_trace"].startswith("Traceback")
    assert entry["logging.googleapis.com/labels"] == {"execution_id": "x17"}


def _logged_errors(framework):
    """What Cloud Logging would make errors of: lines of JSON that say so."""
    entries = [json.loads(line) for line in framework.log.splitlines() if line.startswith("{")]
    return [entry for entry in entries if entry["severity"] == "ERROR"]


@pytest.fixture(scope="module")
def forwarder(tmp_path_factory, engine):
    source = tmp_path_factory.mktemp("forwarder") / "main.py"
    source.write_text(dedent(FORWARDERS))
    env = {"INNGEST_DEV": engine.origin}
    with FunctionsFramework("handler", source=source, signature_type="cloudevent", env=env) as running:
        yield running


def test_a_mapping(forwarder, engine):
    assert forwarder.exchange("POST", URL, *_binary(ATTRIBUTES, DATA)).status == 200
    [event] = engine.take()
    assert (event["name"], event["data"]) == ("shop/order.placed", {"order": 1})


def test_a_legacy_pubsub_push_is_a_cloud_event_too(forwarder, engine):
    """functions-framework makes one of what a push subscription sends to an emulator's or an older trigger's URL."""
    body = json.dumps({**DATA, "message": {**MESSAGE, "publishTime": ATTRIBUTES["time"]}}).encode()
    reply = forwarder.exchange("POST", f"{URL}projects/shop/topics/orders", {"Content-Type": "application/json"}, body)
    assert reply.status == 200
    assert [event["data"] for event in engine.take()] == [{"order": 1}]


@pytest.mark.parametrize("server", ["gunicorn", "asgi"])
def test_a_send_that_fails_is_an_error_so_that_the_platform_delivers_again(server):
    env = {"INNGEST_EVENT_KEY": "evt-key", "INNGEST_EVENT_API_BASE_URL": "http://127.0.0.1:9"}
    with FunctionsFramework(
        "handler", source=ROOT / "handlers" / "gcp_events.py", server=server, signature_type="cloudevent", env=env
    ) as running:
        assert running.exchange("POST", URL, *_binary(ATTRIBUTES, DATA)).status == 500
        assert "evt-key" not in running.log
        [entry] = _logged_errors(running)
    assert "SendEventsError" in entry.get("stack_trace", entry["message"])
