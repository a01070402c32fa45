"""Signatures of requests and replies, and the bearer token. Source: docs/protocol.md, section 6."""

from __future__ import annotations

import hmac
from hashlib import sha256

from inngest_serverless.errors import (
    ConfigurationError,
    ExpiredSignatureError,
    InvalidSignatureError,
    InvalidTimestampError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SigningKey", "hide_keys", "sign", "signing_key", "verify"]

_TOLERANCE_SECONDS = 300
# Anybody can make us canonicalize a body before we know who sent it: what takes longer than a moment is not tried.
_CANONICAL_LIMIT = 1024 * 1024
_CANONICAL_COMMAS = 50_000
_DIGEST_LENGTH = 64


class SigningKey:
    """A signing key, kept out of every repr.

    Args:
        text: The key as Inngest shows it: ``signkey-{environment}-{hex}``.

    Attributes:
        secret: The bytes that sign.
    """

    __slots__ = ("_prefix", "_text", "secret")

    def __init__(self, text: str) -> None:
        self._text = text = text.strip()
        parts = text.split("-", 2)
        prefixed = len(parts) == 3 and parts[0] == "signkey"  # noqa: PLR2004 - prefix, environment, key
        self._prefix = f"signkey-{parts[1]}-" if prefixed else ""
        self.secret: bytes = text[len(self._prefix) :].encode()

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def hashed(self) -> str:
        """The hash by which the server knows the key.

        Raises:
            ConfigurationError: The key is not hexadecimal.
        """
        try:
            return sha256(bytes.fromhex(self.secret.decode())).hexdigest()
        except ValueError:
            raise ConfigurationError(
                "the signing key is not hexadecimal behind its 'signkey-...-' prefix: "
                "copy it again from the Inngest dashboard into INNGEST_SIGNING_KEY"
            ) from None

    def bearer(self) -> str:
        """The value of an Authorization header.

        Raises:
            ConfigurationError: The key is not hexadecimal.
        """
        return f"Bearer {self._prefix}{self.hashed()}"


def signing_key(text: str | None) -> SigningKey | None:
    """The signing key in a setting, or None where there is nothing in it but a prefix: anybody can sign with that."""
    key = SigningKey(text or "")
    return key if key.secret else None


def hide_keys(text: str, keys: Iterable[SigningKey]) -> str:
    """A text of the server's with ``***`` in place of our keys, and of their hashes, which it takes as tokens."""
    for key in keys:
        text = text.replace(key.secret.decode(), "***")
        try:
            text = text.replace(key.hashed(), "***")
        except ConfigurationError:
            continue  # it has no hash, so no token was ever sent
    return text


def sign(body: bytes, key: SigningKey, at: float) -> str:
    """The signature header for ``body`` at the Unix time ``at`` in seconds."""
    seconds = str(int(at))
    return f"t={seconds}&s={_digest(body, key, seconds)}"


def verify(signature: str | None, keys: Sequence[SigningKey], body: bytes, now: float) -> SigningKey:
    """Find the key that a request was signed with.

    Args:
        signature: The signature header, or None.
        keys: The keys to try, in order.
        body: The bytes as they arrived.
        now: Unix time in seconds.

    Returns:
        The key that matched; replies are signed with it.

    Raises:
        ExpiredSignatureError: It was made more than five minutes before or after ``now``.
        InvalidTimestampError: Its time is not a number.
        InvalidSignatureError: It is missing, malformed, or matches none of the keys.
    """
    seconds, given = _parts(signature)
    if abs(now - int(seconds)) > _TOLERANCE_SECONDS:
        raise ExpiredSignatureError("the signature's time is more than five minutes from now")
    for key in keys:
        if hmac.compare_digest(_digest(body, key, seconds), given):
            return key
    if (canonical := _canonical(body)) is not None:
        for key in keys:
            if hmac.compare_digest(_digest(canonical, key, seconds), given):
                return key
    raise InvalidSignatureError("the signature matches none of the keys")


def _parts(signature: str | None) -> tuple[str, str]:
    fields: dict[str, str] = {}
    for part in (signature or "").split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            raise InvalidSignatureError("the signature names a field twice")
        fields[name] = value
    seconds, given = fields.get("t", ""), fields.get("s", "")
    if not (seconds and len(given) == _DIGEST_LENGTH and given.isascii()):
        raise InvalidSignatureError("the signature is missing or malformed")
    is_number = seconds.isascii() and seconds.isdigit() and len(seconds) <= 12  # noqa: PLR2004 - 30,000 years
    # A zero before it may have been the body's last character: the two are signed with nothing in between.
    if not is_number or seconds != str(int(seconds)):
        raise InvalidTimestampError("the signature's time is not a number of seconds")
    return seconds, given


def _digest(body: bytes, key: SigningKey, seconds: str) -> str:
    mac = hmac.new(key.secret, body, sha256)
    mac.update(seconds.encode())
    return mac.hexdigest()


def _canonical(body: bytes) -> bytes | None:
    """The JCS form of a body that a gateway may have written anew, or None where there is none to try."""
    # What takes the time is the number of values, and there is a comma between any two.
    if not body or len(body) > _CANONICAL_LIMIT or body.count(b",") > _CANONICAL_COMMAS:
        return None
    from inngest_serverless.protocol.jcs import canonicalize

    return canonicalize(body)
