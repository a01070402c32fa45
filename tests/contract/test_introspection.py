"""What a GET tells, and to whom; docs/protocol.md, section 8."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from calls import CLOUD, DEV, ROTATING, signed
from inngest_api import FALLBACK_KEY, KEY, SIGNATURE
from replies import check_reply, check_signed
from transcripts import registration

from inngest_serverless import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from adapters import Caller
    from inngest_api import InngestApi


def _public(mode: str, *, succeeded: bool | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "authentication_succeeded": succeeded,
        "capabilities": {"in_band_sync": "v1", "trust_probe": "v1"},
        "function_count": len(registration()["functions"]),
        "has_event_key": False,
        "has_signing_key": mode == "cloud",
        "has_signing_key_fallback": False,
        "mode": mode,
        "schema_version": "2024-05-24",
        **changes,
    }


def _hash(key: str) -> str:
    return sha256(bytes.fromhex(key.removeprefix("signkey-test-"))).hexdigest()


@pytest.mark.parametrize(("settings", "mode"), [(CLOUD, "cloud"), (DEV, "dev")], ids=["cloud", "dev"])
def test_unsigned(settings: dict[str, str], mode: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**settings)
    reply = caller("GET")
    check_reply(reply, caller, mode)
    assert (reply.status, json.loads(reply.body)) == (200, _public(mode))


def test_which_keys_there_are(serve: Callable[..., Caller]) -> None:
    caller = serve(**ROTATING, INNGEST_EVENT_KEY="evtkey0123456789")
    expected = _public("cloud", has_event_key=True, has_signing_key_fallback=True)
    assert json.loads(caller("GET").body) == expected


def test_without_a_key_in_cloud_mode(serve: Callable[..., Caller]) -> None:
    """The dashboard shows what is missing, so introspection works without it."""
    assert json.loads(serve()("GET").body) == _public("cloud", has_signing_key=False)


def test_signed_wrongly(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    reply = caller("GET", headers=signed(caller, key=FALLBACK_KEY))
    check_reply(reply, caller, "cloud")
    assert (reply.status, json.loads(reply.body)) == (200, _public("cloud", succeeded=False))
    assert SIGNATURE.lower() not in reply.headers


@pytest.mark.parametrize("key", [KEY, FALLBACK_KEY], ids=["first key", "fallback key"])
def test_signed(key: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**ROTATING, INNGEST_EVENT_KEY="evtkey0123456789", INNGEST_ENV="branch")
    reply = caller("GET", headers=signed(caller, key=key))
    check_reply(reply, caller, "cloud")
    check_signed(reply, caller, key)
    assert json.loads(reply.body) == {
        **_public("cloud", succeeded=True, has_event_key=True, has_signing_key_fallback=True),
        "api_origin": api.url,
        "app_id": "rec",
        "env": "branch",
        "event_api_origin": api.url,
        "event_key_hash": sha256(b"evtkey0123456789").hexdigest(),
        "framework": caller.adapter.framework,
        "sdk_language": "python",
        "sdk_version": __version__,
        "serve_origin": "https://rec.example.com",
        "serve_path": "/api/inngest",
        "signing_key_fallback_hash": _hash(FALLBACK_KEY),
        "signing_key_hash": _hash(KEY),
    }


@pytest.mark.parametrize("sign", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("settings", "kind"), [(CLOUD, "dev"), (DEV, "cloud")], ids=["cloud app", "dev app"])
def test_server_of_the_other_kind(
    settings: dict[str, str], kind: str, sign: bool, serve: Callable[..., Caller]
) -> None:
    """A dev server that goes round looking for apps leaves a cloud app alone."""
    caller = serve(**settings)
    headers = {"X-Inngest-Server-Kind": kind} | (signed(caller) if sign else {})
    reply = caller("GET", headers=headers)
    assert (reply.status, json.loads(reply.body)) == (403, {})
    check_reply(reply, caller, "cloud" if settings is CLOUD else "dev")


@pytest.mark.parametrize(("settings", "kind"), [(CLOUD, "cloud"), (DEV, "dev")], ids=["cloud", "dev"])
def test_server_of_the_same_kind(settings: dict[str, str], kind: str, serve: Callable[..., Caller]) -> None:
    assert serve(**settings)("GET", headers={"X-Inngest-Server-Kind": kind}).status == 200
