"""Signatures for programs that take part in the protocol themselves: gateways, proxies, tests.

Source: docs/protocol.md, section 6.
"""

from __future__ import annotations

import time

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol import signing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["sign", "validate_signature"]


def sign(body: bytes | str, key: str, at: float | datetime | None = None) -> str:
    """Sign a body.

    Args:
        body: The bytes that are sent, or their text.
        key: The signing key, ``signkey-{environment}-{hex}``.
        at: The time of the signature: Unix seconds or a datetime with a time zone; now by default.

    Returns:
        The value of the header ``X-Inngest-Signature``: ``t={Unix seconds}&s={hex}``.

    Raises:
        ConfigurationError: The key is empty, or the datetime has no time zone.

    Source: docs/protocol.md, section 6.
    """
    return signing.sign(_bytes(body), _signing_key(key), _seconds(at))


def validate_signature(signature: str, keys: str | Sequence[str], body: bytes | str, now: float | None = None) -> None:
    """Check that a body was signed with one of our keys, less than five minutes from now.

    Args:
        signature: The value of the header ``X-Inngest-Signature``; "" if there is none.
        keys: The signing key, or several to try in order.
        body: The bytes as they arrived, or their text.
        now: Unix seconds; now by default.

    Raises:
        ExpiredSignatureError: It was made more than five minutes before or after ``now``.
        InvalidTimestampError: Its time is not a number.
        InvalidSignatureError: It is missing, malformed, or was made with another key or for another body.
        ConfigurationError: There is no key, or one is empty.

    Source: docs/protocol.md, section 6.
    """
    ours = [_signing_key(key) for key in ([keys] if isinstance(keys, str) else keys)]
    if not ours:
        raise ConfigurationError("no signing key: a signature cannot be checked without one")
    signing.verify(signature, ours, _bytes(body), _seconds(now))


def _signing_key(text: str) -> signing.SigningKey:
    key = signing.SigningKey(text)
    if not key.secret:
        # Anybody can sign with no key.
        raise ConfigurationError("a signing key is empty: pass the value of INNGEST_SIGNING_KEY")
    return key


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _seconds(moment: float | datetime | None) -> float:
    if moment is None:
        return time.time()
    if isinstance(moment, (int, float)):
        return moment
    from inngest_serverless.clock import timestamp

    return timestamp(moment) / 1000
