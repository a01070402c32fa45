"""CloudEvents that are delivered again: from Pub/Sub's delivery to the run, each part in a process of its own.

A CloudEvents function forwards to the local engine's API, as it would to Inngest's, and the engine calls an HTTP
function. Whatever goes wrong on the way, and however often the platform delivers, one message is one run.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from textwrap import dedent

import pytest
from server_thread import ServerThread

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.functions_framework import FunctionsFramework

pytestmark = pytest.mark.integration

URL = "https://orders-abcdefghij-ew.a.run.app/api/inngest"
EVENTS_URL = "https://order-events-abcdefghij-ew.a.run.app/"
TOPIC = "//pubsub.googleapis.com/projects/shop/topics/orders"
MESSAGE_IDS = count(1096434104173400)
ORDERS = """
    from inngest_serverless import create_function, event_trigger, inngest_gcf

    @create_function(id="ship", trigger=event_trigger("shop/order.placed"))
    def ship(ctx):
        return ctx.step.run("label", lambda: f"label-{ctx.event.data['order']}")

    handler = inngest_gcf([ship])
"""
EVENTS = """
    from inngest_serverless import Event
    from inngest_serverless.gcp.forward import cloud_event_data, forward_cloud_event

    def order_placed(event):
        return Event("shop/order.placed", cloud_event_data(event)["data"])

    handler = forward_cloud_event(order_placed)
"""


class EventApi(ServerThread):
    """Stands before the engine's API, as a proxy does, and fails as it is told.

    Attributes:
        fault: None; "refuse" to answer 503 in the engine's place; "lose" to answer 503 when the engine has taken it.
        posts: How many requests have come.
    """

    def __init__(self, origin):
        self._origin = origin.removeprefix("http://")
        self.fault = None
        self.posts = 0
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class()))
        self.origin = self.url

    def _pass_on(self, path, headers, body):
        connection = HTTPConnection(self._origin, timeout=60)
        try:
            connection.request("POST", path, body, dict(headers))
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def _handler_class(api):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                api.posts += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, reply = 503, b'{"error": "away", "status": 503}'
                if api.fault != "refuse":
                    taken = api._pass_on(self.path, self.headers, body)
                    status, reply = taken if api.fault is None else (status, reply)
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("redelivery")
    (path / "orders.py").write_text(dedent(ORDERS))
    (path / "events.py").write_text(dedent(EVENTS))
    return path


@pytest.fixture(scope="module")
def engine(folder):
    """The engine, and the function that its runs are of."""
    engine = Engine(lambda *request: engine.serve(*request))  # noqa: PLW0108 - it is made below
    with LocalApi(engine) as api, EventApi(api.origin) as event_api:
        engine.event_api = event_api
        env = {"INNGEST_DEV": api.origin}
        with FunctionsFramework("handler", source=folder / "orders.py", env=env, service="orders") as orders:
            engine.serve = orders.exchange
            assert orders.exchange("PUT", URL, {}, b"").status == 200
            yield engine


@pytest.fixture(scope="module", params=["gunicorn", "asgi"])
def forwarder(request, folder, engine):
    """The function that Pub/Sub's messages are delivered to."""
    with FunctionsFramework(
        "handler",
        source=folder / "events.py",
        server=request.param,
        signature_type="cloudevent",
        env={"INNGEST_DEV": "1", "INNGEST_EVENT_API_BASE_URL": engine.event_api.origin},
        service="order-events",
    ) as running:
        yield running


@pytest.fixture
def runs(engine):
    """The orders that runs have been started for in this test, when all runs have ended."""
    before = len(engine.runs)

    def read():
        ended = engine.finish_all()[before:]
        assert [(run.function.id, run.status) for run in ended] == [("orders-ship", "completed")] * len(ended)
        return [run.output for run in ended]

    yield read
    engine.event_api.fault = None


def message(order):
    """A Pub/Sub message as Eventarc delivers it: the same headers and body each time."""
    message_id = str(next(MESSAGE_IDS))
    attributes = {
        "specversion": "1.0",
        "id": message_id,
        "source": TOPIC,
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "time": "2026-03-01T10:00:00.25Z",
    }
    content = b64encode(json.dumps({"order": order}).encode()).decode()
    body = {"message": {"data": content, "messageId": message_id}, "subscription": "projects/shop/subscriptions/run"}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    return {**headers, "Content-Type": "application/json"}, json.dumps(body).encode()


def deliver(forwarder, delivery):
    return forwarder.exchange("POST", EVENTS_URL, *delivery).status


def test_a_message_that_is_delivered_again_is_one_run_and_another_message_is_another(forwarder, runs):
    first, second = message(1), message(1)  # what they say is the same, not what they are
    assert [deliver(forwarder, first) for _ in range(3)] == [200, 200, 200]
    assert runs() == ["label-1"]
    assert deliver(forwarder, second) == 200
    assert runs() == ["label-1", "label-1"]
    assert deliver(forwarder, first) == 200
    assert runs() == ["label-1", "label-1"]


def test_an_event_api_that_is_away_fails_the_function_until_a_delivery_succeeds(forwarder, engine, runs):
    delivery = message(2)
    engine.event_api.fault, before = "refuse", engine.event_api.posts
    assert deliver(forwarder, delivery) == 500
    assert engine.event_api.posts > before, "it was never asked"
    assert runs() == []
    engine.event_api.fault = None
    assert deliver(forwarder, delivery) == 200
    assert runs() == ["label-2"]


def test_an_event_that_was_taken_without_a_word_is_one_run_after_all(forwarder, engine, runs):
    """The event API has it, but its answers get lost: so each try and each delivery sends it once more."""
    delivery = message(3)
    engine.event_api.fault, before = "lose", engine.event_api.posts
    assert deliver(forwarder, delivery) == 500
    assert engine.event_api.posts > before + 1, "the client itself tries again"
    engine.event_api.fault = None
    assert deliver(forwarder, delivery) == 200
    assert runs() == ["label-3"]


def test_deliveries_at_the_same_time_are_one_run(forwarder, runs):
    delivery = message(4)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(deliver(forwarder, delivery))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert runs() == ["label-4"]
