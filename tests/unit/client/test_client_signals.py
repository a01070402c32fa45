"""Sending signals. docs/protocol.md, sections 6 and 9."""

from __future__ import annotations

import hashlib

import pytest
from client_api import RESET, Answer

from inngest_serverless.errors import ConfigurationError, EventValidationError, SendEventsError
from inngest_serverless.tries import MAX_TRIES

KEY = f"signkey-test-{'0123456789abcdef' * 4}"
FALLBACK = f"signkey-test-{'fedcba9876543210' * 4}"
REFUSED = Answer(401, {"error": "not with this key", "status": 401})


def bearer(key):
    return f"Bearer signkey-test-{hashlib.sha256(bytes.fromhex(key.removeprefix('signkey-test-'))).hexdigest()}"


def used(api):
    return [request.headers.get("authorization") for request in api.received]


def test_request(api, clients, call):
    client = clients(signing_key=KEY, env="branch")
    assert call(client, "send_signal", "approve/1", {"by": "Ada"}) == "01RUN"
    assert call(client, "send_signal", "approve/2") == "01RUN"
    first, second = api.received
    assert first.path == "/v1/signals"
    assert first.json == {"signal": "approve/1", "data": {"by": "Ada"}}
    assert second.json == {"signal": "approve/2", "data": None}
    assert first.headers["authorization"] == bearer(KEY)
    assert first.headers["x-inngest-env"] == "branch"
    assert first.headers["content-type"] == "application/json"
    assert api.connections == 1


def test_the_fallback_key_stays_in_use_once_it_worked(api, clients, call):
    client = clients(signing_key=KEY, signing_key_fallback=FALLBACK)
    api.then(REFUSED)
    assert call(client, "send_signal", "go") == "01RUN"
    assert call(client, "send_signal", "go") == "01RUN"
    api.then(REFUSED)
    assert call(client, "send_signal", "go") == "01RUN"
    assert used(api) == [bearer(key) for key in (KEY, FALLBACK, FALLBACK, FALLBACK, KEY)]


def test_each_key_is_tried_once(api, clients, call):
    client = clients(signing_key=KEY, signing_key_fallback=FALLBACK)
    api.then(REFUSED, REFUSED)
    with pytest.raises(SendEventsError, match=r"^signal 'go' was not sent: the API answered 401: not with this key$"):
        call(client, "send_signal", "go")
    assert used(api) == [bearer(KEY), bearer(FALLBACK)]
    assert clients.pauses == []


def test_nobody_waits(api, clients, call):
    api.then(Answer(404, {"error": "No signal found", "status": 404}))
    assert call(clients(signing_key=KEY), "send_signal", "go") is None


def test_tried_again(api, clients, call):
    api.then(Answer(503), Answer(429, {}, {"retry-after": "1"}), RESET)
    assert call(clients(signing_key=KEY), "send_signal", "go") == "01RUN"
    assert clients.pauses == [0.05, 1, 0.2]


def test_not_sent(api, clients, call):
    api.then(*[RESET] * MAX_TRIES)
    with pytest.raises(SendEventsError, match=r"^signal 'go' was not sent: no reply from 127\.0\.0\.1"):
        call(clients(signing_key=KEY), "send_signal", "go")


@pytest.mark.parametrize("document", [b"<html>", {}, {"data": None}, {"data": {"run_id": 5}}], ids=str)
def test_a_reply_without_a_run(document, api, clients, call):
    api.then(Answer(200, document))
    assert call(clients(signing_key=KEY), "send_signal", "go") is None


def test_keys_are_needed_except_by_a_dev_server(api, clients, call):
    with pytest.raises(ConfigurationError, match="set INNGEST_SIGNING_KEY, or INNGEST_DEV=1"):
        call(clients(), "send_signal", "go")
    with pytest.raises(ConfigurationError, match=r"not hexadecimal"):
        call(clients(signing_key="signkey-test-nothex"), "send_signal", "go")
    assert not api.received
    assert call(clients(is_dev=True), "send_signal", "go") == "01RUN"
    assert used(api) == [None]


def test_a_signal_that_cannot_be_sent(api, clients, call):
    with pytest.raises(EventValidationError, match="without a name"):
        call(clients(signing_key=KEY), "send_signal", "")
    with pytest.raises(EventValidationError, match="signal 'go' has something that JSON cannot hold"):
        call(clients(signing_key=KEY), "send_signal", "go", {"at": object()})
    assert not api.received
