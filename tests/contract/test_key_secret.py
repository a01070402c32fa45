"""An app whose keys are in a secret (INNGEST_SECRET_ARN), which change while it is warm; docs/secrets.md.

The secret is read by a stand-in here, on the bench's clock; tests/integration/test_secrets.py reads a real one.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from adapters import IN_PROCESS, SERVE_URL, as_parameters
from calls import ANSWER, BODY, CALL_URL, DEV, call_body, signed
from inngest_api import FALLBACK_KEY, KEY, SIGNATURE, bearer, signature
from replies import check_reply, check_signed

from inngest_serverless.errors import TransportError
from inngest_serverless.secret_keys import REREAD_SECONDS, KeySecret

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Adapter, Bench, Caller
    from inngest_api import InngestApi

NEW_KEY = "signkey-test-" + "0123" * 16
OTHER_KEY = "signkey-test-" + "ab" * 32
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest-AbCdEf"
SETTINGS = {"INNGEST_SECRET_ARN": ARN, "INNGEST_SERVE_ORIGIN": SERVE_URL.removesuffix("/api/inngest")}
ADAPTERS = [adapter for adapter in IN_PROCESS if adapter.name in {"aws-function-url", "gcf-wsgi", "gcf-asgi"}]


class Vault:
    """What is in the secret, or the error of reading it; and how often it was read."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] | Exception = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": "evt-secret"}
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return json.dumps(self.keys)

    def rotate(self, key: str, fallback: str | None = None) -> None:
        assert isinstance(self.keys, dict)
        self.keys = {**self.keys, "INNGEST_SIGNING_KEY": key, "INNGEST_SIGNING_KEY_FALLBACK": fallback}


@pytest.fixture(params=as_parameters(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Those that run in this process, where the secret's stand-in is."""
    return request.param


@pytest.fixture
def vault(bench: Bench) -> Vault:
    vault = Vault()
    secret = KeySecret(ARN, vault.read, bench.clock)
    bench.monkeypatch.setattr("inngest_serverless.secret_keys._secret", lambda _: secret)
    return vault


@pytest.fixture
def caller(serve: Callable[..., Caller], vault: Vault) -> Caller:
    return serve(**SETTINGS)


def _call(caller: Caller, key: str = KEY, body: bytes = BODY, url: str = CALL_URL) -> Any:
    return caller("POST", url, signed(caller, body, key), body)


def _check_answered(caller: Caller, key: str = KEY) -> None:
    reply = _call(caller, key)
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)
    check_reply(reply, caller, "cloud")
    check_signed(reply, caller, key)


def test_the_secret_is_read_once_before_the_first_call(caller: Caller, vault: Vault) -> None:
    assert vault.reads == 1
    for _ in range(3):
        _check_answered(caller)
    assert vault.reads == 1


def test_dev_mode_needs_no_secret(serve: Callable[..., Caller], vault: Vault) -> None:
    assert serve(**SETTINGS, **DEV)("POST", CALL_URL, {}, BODY).status == 200
    assert vault.reads == 0


def test_a_key_that_is_set_needs_no_secret(serve: Callable[..., Caller], vault: Vault) -> None:
    vault.rotate(NEW_KEY)
    caller = serve(**SETTINGS, INNGEST_SIGNING_KEY=KEY)
    _check_answered(caller)
    assert _call(caller, NEW_KEY).status == 401
    assert vault.reads == 0


def test_the_fallback_key(caller: Caller, serve: Callable[..., Caller], vault: Vault) -> None:
    vault.rotate(KEY, FALLBACK_KEY)
    for key in (FALLBACK_KEY, KEY):
        _check_answered(caller, key)
    assert vault.reads == 2


# Rotation while the environment is warm.


def test_a_rotated_key_needs_no_new_deployment(caller: Caller, vault: Vault) -> None:
    _check_answered(caller)
    vault.rotate(NEW_KEY)
    _check_answered(caller, NEW_KEY)
    assert _call(caller, KEY).status == 401
    assert vault.reads == 2


def test_a_flood_of_wrong_signatures_reads_the_secret_once_a_minute(caller: Caller, vault: Vault, bench: Bench) -> None:
    for _ in range(180):
        assert _call(caller, OTHER_KEY).status == 401
        bench.clock.now += 1
    assert vault.reads == 1 + 180 / REREAD_SECONDS
    _check_answered(caller)


def test_a_rotation_during_a_flood(caller: Caller, vault: Vault, bench: Bench) -> None:
    assert _call(caller, OTHER_KEY).status == 401
    vault.rotate(NEW_KEY)
    assert _call(caller, NEW_KEY).status == 401
    bench.clock.now += REREAD_SECONDS
    _check_answered(caller, NEW_KEY)


def test_requests_that_are_not_signed_read_nothing(caller: Caller, vault: Vault) -> None:
    assert caller("POST", CALL_URL, {}, BODY).status == 401
    assert caller("GET").status == 200
    assert caller("DELETE").status == 405
    assert vault.reads == 1


def test_an_introspection_that_is_signed_with_the_new_key(caller: Caller, vault: Vault) -> None:
    vault.rotate(NEW_KEY, KEY)
    for key in (NEW_KEY, OTHER_KEY):
        document = json.loads(caller("GET", SERVE_URL, {SIGNATURE: signature(b"", caller.now(), key)}).body)
        assert document["authentication_succeeded"] is (key == NEW_KEY)
        assert (document["has_event_key"], document["has_signing_key_fallback"]) == (True, True)


def test_a_sync_that_is_signed_with_the_new_key(caller: Caller, vault: Vault) -> None:
    vault.rotate(NEW_KEY)
    body = json.dumps({"url": SERVE_URL}).encode()
    reply = caller("PUT", SERVE_URL, signed(caller, body, NEW_KEY) | {"X-Inngest-Sync-Kind": "in_band"}, body)
    assert reply.status == 200
    check_signed(reply, caller, NEW_KEY)


# Keys that Inngest's API refuses.


def test_a_registration_with_a_key_that_is_refused(caller: Caller, vault: Vault, api: InngestApi) -> None:
    vault.rotate(NEW_KEY)
    api.refuse(bearer(KEY))
    assert caller("PUT", SERVE_URL).status == 200
    assert [request.headers["authorization"] for request in api.received] == [bearer(KEY), bearer(NEW_KEY)]
    assert caller("PUT", SERVE_URL).status == 200
    assert vault.reads == 2


def test_a_registration_with_a_key_that_stays_refused(caller: Caller, vault: Vault, api: InngestApi) -> None:
    api.refuse(bearer(KEY))
    for _ in range(3):
        reply = caller("PUT", SERVE_URL)
        assert (reply.status, json.loads(reply.body)["message"]) == (500, "invalid signing key")
    assert vault.reads == 2
    assert len(api.received) == 3


def test_a_state_that_is_fetched_with_a_key_that_is_refused(caller: Caller, vault: Vault, api: InngestApi) -> None:
    event = json.loads(BODY)["event"]
    run_id = json.loads(BODY)["ctx"]["run_id"]
    api.reply("GET", f"/v0/runs/{run_id}/batch", 200, json.dumps([event]))
    api.reply("GET", f"/v0/runs/{run_id}/actions", 200, "{}")
    vault.rotate(NEW_KEY, KEY)
    api.refuse(bearer(KEY))
    body = call_body(ctx__use_api=True, use_api=True)
    reply = _call(caller, KEY, body)
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)
    assert [request.headers["authorization"] for request in api.received] == [
        bearer(KEY),
        bearer(NEW_KEY),
        bearer(NEW_KEY),
    ]
    assert vault.reads == 2


# A secret that cannot be read, or lacks something.


def test_a_first_read_that_fails_is_told_and_tried_again(
    serve: Callable[..., Caller], vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    keys, vault.keys = vault.keys, TransportError("INNGEST_SECRET_ARN: the secret was not read (SomeError)")
    caller = serve(**SETTINGS)
    vault.reads = 0
    for method, url in (("POST", CALL_URL), ("GET", SERVE_URL), ("PUT", SERVE_URL)):
        reply = caller(method, url, signed(caller, BODY), BODY)
        check_reply(reply, caller, "cloud")
        assert (reply.status, reply.headers["x-inngest-no-retry"]) == (500, "false")
        assert json.loads(reply.body) == {"name": "TransportError", "message": str(vault.keys)}
    assert [record.getMessage() for record in caplog.records] == [str(vault.keys)] * 3
    vault.keys = keys
    _check_answered(caller)
    assert vault.reads == 4


def test_a_secret_without_a_signing_key(serve: Callable[..., Caller], vault: Vault, bench: Bench) -> None:
    vault.keys = {"INNGEST_EVENT_KEY": "evt-secret"}
    caller = serve(**SETTINGS)
    for _ in range(3):
        reply = _call(caller)
        assert (reply.status, json.loads(reply.body)["message"]) == (
            500,
            "INNGEST_SECRET_ARN: the secret has no INNGEST_SIGNING_KEY: add it, or set it as a variable",
        )
    assert vault.reads == 2
    vault.rotate(KEY)
    bench.clock.now += REREAD_SECONDS
    _check_answered(caller)


def test_no_key_is_told(caller: Caller, vault: Vault, api: InngestApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vault.rotate(NEW_KEY, FALLBACK_KEY)
    api.refuse(bearer(KEY))
    replies = [_call(caller, NEW_KEY), _call(caller, OTHER_KEY), caller("GET"), caller("PUT")]
    text = caplog.text + "".join(reply.body.decode() for reply in replies)
    secrets = [key.rpartition("-")[2] for key in (KEY, NEW_KEY, FALLBACK_KEY)]
    assert not [secret for secret in (*secrets, "evt-secret") if secret in text]


# What the functions send. They are called once, whatever becomes of the keys.


@pytest.mark.parametrize("adapter", as_parameters(ADAPTERS[:1]), indirect=True)
@pytest.mark.parametrize("function", ["tell", "tell-async"])
def test_events_of_a_function_whose_event_key_is_refused(
    function: str, serve: Callable[..., Caller], vault: Vault, api: InngestApi
) -> None:
    caller = serve("key_secret_app.handler", **SETTINGS)
    vault.keys = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": "evt-new"}
    api.reply("POST", "/e/evt-secret", 401, '{"error":"Event key not found","status":401}')
    reply = _call(caller, KEY, call_body(), f"{SERVE_URL}?fnId=app-{function}&stepId=step")
    [opcode] = json.loads(reply.body)
    assert (reply.status, opcode["op"]) == (206, "StepRun")
    first, again = api.received
    assert (first.path, again.path) == ("/e/evt-secret", "/e/evt-new")
    assert first.body == again.body
    assert first.headers["x-inngest-event-id-seed"] == again.headers["x-inngest-event-id-seed"]
    assert sys.modules["key_secret_app"].runs == [function]
    assert vault.reads == 2


@pytest.mark.parametrize("adapter", as_parameters(ADAPTERS[:1]), indirect=True)
def test_an_event_key_that_stays_refused_is_the_function_s_own_error(
    serve: Callable[..., Caller], vault: Vault, api: InngestApi
) -> None:
    caller = serve("key_secret_app.handler", **SETTINGS)
    api.reply("POST", "/e/evt-secret", 401, '{"error":"Event key not found","status":401}')
    reply = _call(caller, KEY, call_body(), f"{SERVE_URL}?fnId=app-tell&stepId=step")
    [opcode] = json.loads(reply.body)
    assert (opcode["op"], opcode["error"]["name"]) == ("StepError", "SendEventsError")
    assert sys.modules["key_secret_app"].runs == ["tell"]
    assert vault.reads == 2
