"""Signed calls and signed replies; docs/protocol.md, section 6."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from adapters import IN_PROCESS, SERVE_URL, as_parameters
from calls import ANSWER, BODY, CALL, CALL_URL, CLOUD, DEV, ROTATING, call_body, signed
from inngest_api import FALLBACK_KEY, KEY, SIGNATURE, signature
from replies import check_reply, check_signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Caller

RECORDED_AT = 1_795_308_703
OTHER_KEY = "signkey-test-" + "ab" * 32
WIDE_DIGITS = str.maketrans("0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19")


def test_the_recorded_signatures_are_what_this_suite_computes() -> None:
    assert signature(BODY, RECORDED_AT) == CALL.headers[SIGNATURE]
    assert signature(CALL.reply_body.encode(), RECORDED_AT) == CALL.reply_headers[SIGNATURE.lower()]


def test_signed_call(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    reply = caller("POST", CALL_URL, signed(caller, BODY), BODY)
    check_reply(reply, caller, "cloud")
    check_signed(reply, caller)
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)


@pytest.mark.parametrize("name", ["x-inngest-signature", "X-INNGEST-SIGNATURE", "x-Inngest-sIGNATURE"])
def test_header_names_in_any_case(name: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    assert caller("POST", CALL_URL, {name: signature(BODY, caller.now())}, BODY).status == 200


def test_body_that_the_platform_sends_in_base64(serve: Callable[..., Caller]) -> None:
    """Platforms encode what does not look like text: the signature is over the bytes, not over their base64."""
    caller = serve(**CLOUD)
    headers = signed(caller, BODY) | {"Content-Type": "application/octet-stream"}
    reply = caller("POST", CALL_URL, headers, BODY)
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)


# Refusals: whatever is wrong, the whole reply is the same as for a request without any signature.


def _resigned(change: Callable[[str, str], str]) -> Callable[[int, bytes], str]:
    """A header made of the right one: ``change`` gets its time and its digest."""

    def header(at: int, body: bytes) -> str:
        seconds, _, digest = signature(body, at).removeprefix("t=").partition("&s=")
        return change(seconds, digest)

    return header


REFUSED: dict[str, Callable[[int, bytes], str]] = {
    "empty": _resigned(lambda t, s: ""),
    "no field": _resigned(lambda t, s: "signature"),
    "no time": _resigned(lambda t, s: f"s={s}"),
    "no digest": _resigned(lambda t, s: f"t={t}"),
    "both fields empty": _resigned(lambda t, s: "t=&s="),
    "empty time": _resigned(lambda t, s: f"t=&s={s}"),
    "empty digest": _resigned(lambda t, s: f"t={t}&s="),
    "time is no number": _resigned(lambda t, s: f"t=now&s={s}"),
    "time is a fraction": _resigned(lambda t, s: f"t={t}.0&s={s}"),
    "time has a sign": _resigned(lambda t, s: f"t=+{t}&s={s}"),
    "time has a space": _resigned(lambda t, s: f"t= {t}&s={s}"),
    "time has an underscore": _resigned(lambda t, s: f"t={t[:4]}_{t[4:]}&s={s}"),
    "time in other digits": _resigned(lambda t, s: f"t={t.translate(WIDE_DIGITS)}&s={s}"),
    "time in milliseconds": _resigned(lambda t, s: f"t={t}000&s={s}"),
    "time without end": _resigned(lambda t, s: f"t={'9' * 5000}&s={s}"),
    "other time": _resigned(lambda t, s: f"t={int(t) - 1}&s={s}"),
    "digest cut": _resigned(lambda t, s: f"t={t}&s={s[:-1]}"),
    "digest with more behind it": _resigned(lambda t, s: f"t={t}&s={s}0"),
    "digest not in ASCII": _resigned(lambda t, s: f"t={t}&s={s[:-1]}é"),
    "digest of another body": lambda at, body: signature(body + b" ", at),
    "digest by another key": lambda at, body: signature(body, at, OTHER_KEY),
    "digest by the fallback key of nobody": lambda at, body: signature(body, at, FALLBACK_KEY),
    "other separator": _resigned(lambda t, s: f"t={t},s={s}"),
    "second digest wrong": _resigned(lambda t, s: f"t={t}&s={s}&s={'0' * 64}"),
    "second digest right": _resigned(lambda t, s: f"t={t}&s={'0' * 64}&s={s}"),
    "same digest twice": _resigned(lambda t, s: f"t={t}&s={s}&s={s}"),
    "second time wrong": _resigned(lambda t, s: f"t={t}&t=1&s={s}"),
    "second time right": _resigned(lambda t, s: f"t=1&t={t}&s={s}"),
    "six minutes old": lambda at, body: signature(body, at - 360),
    "six minutes ahead": lambda at, body: signature(body, at + 360),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_signature(kind: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    _check_refused(caller, {SIGNATURE: REFUSED[kind](int(caller.now()), BODY)}, BODY)


def test_refused_body(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    _check_refused(caller, signed(caller, BODY), BODY.replace("Zoë".encode(), b"Eve"))


def test_refused_probe(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    _check_refused(caller, {}, b"", f"{SERVE_URL}?probe=trust")


def _check_refused(caller: Caller, headers: dict[str, str], body: bytes, url: str = CALL_URL) -> None:
    reference = caller("POST", CALL_URL, {}, BODY)
    reply = caller("POST", url, headers, body)
    assert reply.status == 401
    assert reply == reference, "a refusal must not tell which part of the signature is wrong"
    assert json.loads(reply.body).keys() == {"message"}
    check_reply(reply, caller, "cloud")
    assert SIGNATURE.lower() not in reply.headers, "nobody asked to be answered with a signature"


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
@pytest.mark.parametrize(
    ("seconds", "status"), [(-301, 401), (-300, 200), (-299, 200), (0, 200), (299, 200), (300, 200), (301, 401)]
)
def test_five_minutes_to_the_second(seconds: int, status: int, serve: Callable[..., Caller]) -> None:
    """The recorded signature, at recorded time and around it. Real runtimes have their own clocks: see REFUSED."""
    caller = serve(**CLOUD)
    caller.set_time(RECORDED_AT + seconds)
    assert caller("POST", CALL_URL, CALL.headers, BODY).status == status


@pytest.mark.parametrize("seconds", [-240, 240])
def test_four_minutes_are_fine(seconds: int, serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    headers = {SIGNATURE: signature(BODY, caller.now() + seconds)}
    assert caller("POST", CALL_URL, headers, BODY).status == 200


REWRITTEN: dict[str, Callable[[Any], bytes]] = {
    "indented": lambda document: json.dumps(document, indent=2).encode(),
    "escaped": lambda document: json.dumps(document).replace("/", "\\/").encode(),
    "other order": lambda document: json.dumps(_reversed(document), ensure_ascii=False).encode(),
    "numbers written out": lambda document: (
        json.dumps(document).replace("1e+21", "1000000000000000000000").replace('"f": 1,', '"f": 1.0,').encode()
    ),
}


def _reversed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _reversed(item) for key, item in reversed(value.items())}


@pytest.mark.parametrize("how", REWRITTEN)
def test_body_rewritten_by_a_gateway(how: str, serve: Callable[..., Caller]) -> None:
    """The server signs canonical JSON (RFC 8785): bytes that mean the same verify as well."""
    caller = serve(**CLOUD)
    rewritten = REWRITTEN[how](json.loads(BODY))
    assert rewritten != BODY
    reply = caller("POST", CALL_URL, signed(caller, BODY), rewritten)
    check_signed(reply, caller)
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)


@pytest.mark.parametrize("key", [KEY, FALLBACK_KEY], ids=["first key", "fallback key"])
def test_the_key_of_the_request_signs_the_reply(key: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**ROTATING)
    reply = caller("POST", CALL_URL, signed(caller, BODY, key), BODY)
    assert reply.status == 200
    check_signed(reply, caller, key)


def test_errors_are_signed_too(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    statuses = []
    for url, body in ((f"{SERVE_URL}?fnId=rec-gone&stepId=step", BODY), (CALL_URL, call_body(event=None))):
        reply = caller("POST", url, signed(caller, body), body)
        check_reply(reply, caller, "cloud")
        check_signed(reply, caller)
        statuses.append(reply.status)
    assert statuses == [500, 400]


@pytest.mark.parametrize("settings", [DEV, DEV | CLOUD], ids=["no key", "key"])
def test_dev_mode_needs_no_signature(settings: dict[str, str], serve: Callable[..., Caller]) -> None:
    caller = serve(**settings)
    reply = caller("POST", CALL_URL, {}, BODY)
    check_reply(reply, caller, "dev")
    assert (reply.status, json.loads(reply.body)) == (200, ANSWER)
    assert SIGNATURE.lower() not in reply.headers


def test_dev_mode_answers_a_signature_with_one(serve: Callable[..., Caller]) -> None:
    caller = serve(**DEV, **CLOUD)
    reply = caller("POST", CALL_URL, signed(caller, BODY), BODY)
    assert reply.status == 200
    check_signed(reply, caller)


@pytest.mark.parametrize("headers", [{}, {SIGNATURE: f"t={RECORDED_AT}&s={'0' * 64}"}], ids=["unsigned", "signed"])
def test_missing_key_in_cloud_mode(headers: dict[str, str], serve: Callable[..., Caller]) -> None:
    """It must not fail the import: then there would be no reply, and nobody would learn of it."""
    caller = serve()
    for _ in range(2):
        reply = caller("POST", CALL_URL, headers, BODY)
        check_reply(reply, caller, "cloud")
        assert reply.status == 500
        assert "INNGEST_SIGNING_KEY" in json.loads(reply.body)["message"]


@pytest.mark.parametrize("settings", [CLOUD, DEV], ids=["cloud", "dev"])
def test_trust_probe(settings: dict[str, str], serve: Callable[..., Caller]) -> None:
    caller = serve(**settings)
    is_cloud = settings is CLOUD
    reply = caller("POST", f"{SERVE_URL}?probe=trust", signed(caller) if is_cloud else {})
    assert (reply.status, reply.body) == (200, b"")
    check_reply(reply, caller, "cloud" if is_cloud else "dev")
    if is_cloud:
        check_signed(reply, caller)


def test_trust_probe_with_a_body(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    assert caller("POST", f"{SERVE_URL}?probe=trust", signed(caller, b"{}"), b"{}").status == 200
