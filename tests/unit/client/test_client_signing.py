"""The public faces of signing, and of time. docs/protocol.md, sections 2 and 6."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from inngest_serverless.clock import now_millis, timestamp
from inngest_serverless.errors import (
    ConfigurationError,
    ExpiredSignatureError,
    InvalidSignatureError,
    InvalidTimestampError,
)
from inngest_serverless.signatures import sign, validate_signature
from inngest_serverless.user_fields import EMAIL, EXTERNAL_ID

KEY = f"signkey-test-{'0123456789abcdef' * 4}"
OTHER = f"signkey-test-{'fedcba9876543210' * 4}"
NOW = 1_700_000_000


def test_sign():
    signature = sign(b'{"a":"\xc3\xa9"}', KEY, NOW)
    assert signature == sign('{"a":"é"}', KEY, datetime.fromtimestamp(NOW, UTC))
    assert signature.startswith(f"t={NOW}&s=")
    validate_signature(sign("", KEY), KEY, "")
    validate_signature(sign("", KEY), KEY, b"", time.time())


@pytest.mark.parametrize("keys", [KEY, [OTHER, KEY], (KEY, OTHER)])
def test_a_good_signature(keys):
    assert validate_signature(sign("{}", KEY, NOW), keys, b"{}", NOW + 299) is None


def test_bad_signatures():
    signature = sign("{}", KEY, NOW)
    for wrong, keys, body in [
        ("", KEY, "{}"),
        (signature, OTHER, "{}"),
        (signature, [OTHER], "{}"),
        (signature, KEY, "[]"),
    ]:
        with pytest.raises(InvalidSignatureError):
            validate_signature(wrong, keys, body, NOW)
    for now in (NOW + 301, NOW - 301):
        with pytest.raises(ExpiredSignatureError):
            validate_signature(signature, KEY, "{}", now)
    with pytest.raises(InvalidTimestampError):
        validate_signature(signature.replace("t=1", "t=x"), KEY, "{}", NOW)


@pytest.mark.parametrize("key", ["", " ", "signkey-test-", "\n"])
def test_no_key_never_matches(key):
    with pytest.raises(ConfigurationError, match="empty"):
        sign("{}", key, NOW)
    with pytest.raises(ConfigurationError, match="empty"):
        validate_signature("t=1&s=", [KEY, key], "{}", NOW)
    with pytest.raises(ConfigurationError, match="no signing key"):
        validate_signature("t=1&s=", [], "{}", NOW)


def test_timestamp():
    assert timestamp(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert timestamp(datetime(2023, 11, 14, 23, 13, 20, 999_999, timezone(timedelta(hours=1)))) == NOW * 1000 + 999
    assert timestamp(datetime(1969, 12, 31, 23, 59, 59, 999_500, UTC)) == -1
    assert abs(timestamp(datetime.now(UTC)) - now_millis()) < 1000
    for naive in (datetime(2023, 11, 14), date(2023, 11, 14)):  # noqa: DTZ001 - the point
        with pytest.raises(ConfigurationError, match="time zone"):
            timestamp(naive)
    with pytest.raises(ConfigurationError, match="time zone"):
        sign("", KEY, datetime(2023, 11, 14))  # noqa: DTZ001 - the point


def test_names_of_user_fields():
    assert (EXTERNAL_ID, EMAIL) == ("external_id", "email")
