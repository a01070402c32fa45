"""Signatures: known answers from recorded exchanges, and everything that must not pass."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_serverless.errors import (
    ConfigurationError,
    ExpiredSignatureError,
    InvalidSignatureError,
    InvalidTimestampError,
    SignatureError,
)
from inngest_serverless.protocol.signing import SigningKey, sign, verify

TRANSCRIPTS = Path(__file__).parents[1] / "golden" / "transcripts"
HEX = "0123456789abcdef" * 4
KEY = SigningKey(f"signkey-test-{HEX}")
OTHER = SigningKey("signkey-test-" + "f" * 64)
NOW = 1_795_308_703


def recorded(direction, *parts):
    """Of each signed recording: the key, the signature and the body of a part of every exchange."""
    found = []
    for path in sorted(TRANSCRIPTS.glob("signed-*.json")):
        transcript = json.loads(path.read_text())
        for number, exchange in enumerate(transcript["exchanges"]):
            if exchange["direction"] != direction:
                continue
            for part in parts:
                headers = {name.lower(): value for name, value in exchange[part]["headers"].items()}
                body = exchange[part]["body"] or ""
                # Blobs in these recordings were shortened afterwards, and no signature fits what is left.
                if "x-inngest-signature" in headers and "x" * 40 not in body:
                    case = (transcript["signing_key"], headers["x-inngest-signature"], body)
                    found.append(pytest.param(*case, id=f"{path.stem}-{number}-{part}"))
    return found


CALLS = recorded("server to SDK", "request")


def time_of(signature):
    return int(signature.partition("&")[0].removeprefix("t="))


def test_there_are_recordings():
    assert len(CALLS) >= 2


@pytest.mark.parametrize(("key", "signature", "body"), CALLS)
def test_recorded_calls_verify(key, signature, body):
    assert verify(signature, [SigningKey(key)], body.encode(), time_of(signature))
    assert sign(body.encode(), SigningKey(key), time_of(signature)) == signature


@pytest.mark.parametrize(("key", "signature", "body"), recorded("server to SDK", "reply"))
def test_recorded_replies_verify(key, signature, body):
    assert verify(signature, [SigningKey(key)], body.encode(), time_of(signature))


@pytest.mark.parametrize(("key", "signature", "body"), CALLS)
def test_a_recorded_call_that_a_gateway_wrote_anew_verifies(key, signature, body):
    document = json.loads(body)
    for anew in (
        json.dumps(document),
        json.dumps(document, indent=2, ensure_ascii=False),
        json.dumps(document, sort_keys=False, separators=(",", ":"), ensure_ascii=True),
        json.dumps(dict(reversed(document.items()))),
    ):
        assert verify(signature, [SigningKey(key)], anew.encode(), time_of(signature))


@pytest.mark.parametrize(("key", "signature", "body"), CALLS)
def test_a_recorded_call_that_was_changed_does_not_verify(key, signature, body):
    document = json.loads(body)
    document["ctx"]["attempt"] += 1
    for changed in (body + "x", body[1:], "", json.dumps(document), json.dumps(document, separators=(",", ":"))):
        with pytest.raises(InvalidSignatureError):
            verify(signature, [SigningKey(key)], changed.encode(), time_of(signature))


def test_the_key_is_the_text_behind_the_prefix():
    assert SigningKey(f"signkey-test-{HEX}").secret == HEX.encode()
    assert SigningKey(HEX).secret == HEX.encode()
    assert SigningKey(f"  signkey-prod-{HEX}\n").secret == HEX.encode()
    assert SigningKey(f"signkey-branch-{HEX}-x").secret == f"{HEX}-x".encode()


def test_the_bearer_token_keeps_the_prefix():
    digest = sha256(bytes.fromhex(HEX)).hexdigest()
    assert KEY.bearer() == f"Bearer signkey-test-{digest}"
    assert SigningKey(HEX).bearer() == f"Bearer {digest}"


def test_the_recorded_bearer_token_has_the_same_hash():
    transcript = json.loads((TRANSCRIPTS / "signed-big-state.json").read_text())
    [bearer] = {
        value.removeprefix("Bearer ")
        for exchange in transcript["exchanges"]
        for name, value in exchange["request"]["headers"].items()
        if name.lower() == "authorization"
    }
    assert SigningKey(transcript["signing_key"]).hashed() == bearer


@pytest.mark.parametrize("text", ["signkey-test-xyz", "signkey-test-abc", "ü", "signkey-test-é"])
def test_a_key_that_is_not_hexadecimal_has_no_hash(text):
    with pytest.raises(ConfigurationError, match="hexadecimal") as caught:
        SigningKey(text).bearer()
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_key_that_is_not_hexadecimal_still_signs():
    key = SigningKey("signkey-test-xyz")
    assert verify(sign(b"{}", key, NOW), [key], b"{}", NOW) is key


@pytest.mark.parametrize("at", [NOW, NOW + 0.999, float(NOW)])
def test_the_time_is_in_whole_seconds(at):
    assert sign(b"", KEY, at).startswith(f"t={NOW}&s=")


@pytest.mark.parametrize("offset", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_fine(offset):
    assert verify(sign(b"{}", KEY, NOW), [KEY], b"{}", NOW + offset) is KEY


@pytest.mark.parametrize("offset", [-(10**6), -301, -300.5, 300.5, 301, 10**6])
def test_more_than_five_minutes_are_too_old_or_too_new(offset):
    with pytest.raises(ExpiredSignatureError):
        verify(sign(b"{}", KEY, NOW), [KEY], b"{}", NOW + offset)


def test_the_key_that_matched_is_returned():
    signature = sign(b"{}", OTHER, NOW)
    assert verify(signature, [KEY, OTHER], b"{}", NOW) is OTHER
    assert verify(signature, [OTHER, KEY], b"{}", NOW) is OTHER


@pytest.mark.parametrize("keys", [[], [KEY], [KEY, KEY]], ids=len)
def test_another_key_does_not_match(keys):
    with pytest.raises(InvalidSignatureError):
        verify(sign(b"{}", OTHER, NOW), keys, b"{}", NOW)


GOOD = sign(b"{}", KEY, NOW)
DIGEST = GOOD.partition("&s=")[2]


@pytest.mark.parametrize(
    "signature",
    [
        None, "", "t", "s", "&", "t=&s=", f"s={DIGEST}", f"t={NOW}", f"t={NOW}&s=", f"t={NOW}&s={DIGEST[:-1]}",
        f"t={NOW}&s={DIGEST}0", f"t={NOW}&s={DIGEST.upper()}", f"t={NOW}&s= {DIGEST}", f"t={NOW}&s={DIGEST}&s=x",
        f"t={NOW};s={DIGEST}", f"t:{NOW}&s:{DIGEST}", f"T={NOW}&S={DIGEST}", f"t={NOW}&s=é{DIGEST}", f"t={NOW}&s=\ud800",
        f"t={NOW}&s={'0' * 64}", f"{NOW}&{DIGEST}", f"t=0{NOW}&s={DIGEST}",
    ],
    ids=range(22),
)  # fmt: skip
def test_a_malformed_signature_does_not_verify(signature):
    with pytest.raises(SignatureError):
        verify(signature, [KEY], b"{}", NOW)


@pytest.mark.parametrize("seconds", ["x", "-1", "1.5", "1e9", "+1", " 1", "1_0", "²", "٣", "9" * 13, "9" * 5000, "0x1"])
def test_a_time_that_is_no_number_does_not_verify(seconds):
    with pytest.raises((InvalidTimestampError, ExpiredSignatureError)):
        verify(f"t={seconds}&s={DIGEST}", [KEY], b"{}", NOW)


def test_nothing_moves_from_the_body_into_the_time():
    """They are signed together, with nothing in between: a reply of ``0`` would be a request without a body."""
    signature = sign(b"0", KEY, NOW)
    assert verify(signature, [KEY], b"0", NOW) is KEY
    with pytest.raises(SignatureError):
        verify(signature.replace("t=", "t=0"), [KEY], b"", NOW)


def test_the_order_of_the_fields_does_not_matter():
    assert verify(f"s={DIGEST}&t={NOW}", [KEY], b"{}", NOW) is KEY
    assert verify(f"t={NOW}&s={DIGEST}&x=1", [KEY], b"{}", NOW) is KEY


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 100_000, b'{"a":1e400}', b'{"a":NaN}', b"9" * 5000, b'"\\ud800"'])
def test_a_body_without_a_canonical_form_is_merely_invalid(body):
    with pytest.raises(InvalidSignatureError):
        verify(GOOD, [KEY], body, NOW)


@given(body=st.binary(max_size=50), at=st.integers(0, 10**11))
def test_what_is_signed_verifies_and_nothing_else(body, at):
    signature = sign(body, KEY, at)
    assert verify(signature, [KEY], body, at) is KEY
    with pytest.raises(SignatureError):
        verify(signature, [KEY], body + b"x", at)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format])
def test_a_key_is_never_shown(show):
    assert HEX not in show(KEY)
    assert HEX not in show([KEY])
