"""Middleware that encrypts what a run leaves with the server: results, and one field of the events that it sends.

A value becomes a JSON object that says how it was encrypted::

    {"__ENCRYPTED__": true, "__STRATEGY__": "inngest-serverless/aes-gcm", "data": base64(nonce + ciphertext + tag)}

The cipher is AES-256-GCM with a random nonce of 96 bits for each value and no associated data; the plaintext is the
value's JSON in UTF-8. A key of text is stretched to 256 bits by HKDF with SHA-256, no salt, and the info
``inngest-serverless/aes-gcm``.

Source: docs/middleware.md; NIST SP 800-38D (GCM); RFC 5869 (HKDF).
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, EventValidationError, NonRetriableError
from inngest_serverless.middleware import Middleware
from inngest_serverless.serialization import encode, encode_output, json_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from inngest_serverless.middleware import CallInput, CallOutput

__all__ = ["EncryptionMiddleware"]

_MARK, _STRATEGY_MARK, _DATA = "__ENCRYPTED__", "__STRATEGY__", "data"
_STRATEGY = "inngest-serverless/aes-gcm"
_KEY_BYTES, _NONCE_BYTES = 32, 12
# 128 bits, if it is hexadecimal.
_SHORTEST_TEXT = 32


class EncryptionMiddleware(Middleware):
    """Encrypts results of steps and functions, and one field of the data of events that are sent; decrypts them all.

    Values that are not encrypted pass, so it can be switched on while runs are under way. Errors are not encrypted,
    nor what the server itself has to read: IDs, the payload of an invocation, the body of ``step.fetch``, signals.
    Use ``encrypt`` and ``decrypt`` where such a value is your own.

    Args:
        key: What to encrypt with: text of at least 32 characters drawn at random, or 32 bytes.
        fallback_keys: What else to decrypt with: keys that were in use before, or will be.
        event_field: The field of an event's data that is encrypted when the event is sent.
        decrypt_only: Whether to leave what goes out as it is, before it is switched on or off everywhere.

    Raises:
        ConfigurationError: A key is too short, or the package ``cryptography`` is not installed.

    Source: docs/middleware.md.
    """

    def __init__(
        self,
        key: str | bytes,
        *,
        fallback_keys: Iterable[str | bytes] = (),
        event_field: str = "encrypted",
        decrypt_only: bool = False,
    ) -> None:
        if isinstance(fallback_keys, (str, bytes)):
            raise ConfigurationError("EncryptionMiddleware: fallback_keys takes a list of keys, not a single one")
        if not isinstance(event_field, str) or not event_field:
            raise ConfigurationError("EncryptionMiddleware: event_field needs the name of a field")
        # The ciphers hold the keys, and show nothing of them.
        self._ciphers = [_cipher(each) for each in (key, *fallback_keys)]
        self._event_field = event_field
        self._decrypt_only = decrypt_only

    def __repr__(self) -> str:
        return f"{type(self).__name__}(event_field={self._event_field!r}, decrypt_only={self._decrypt_only!r})"

    def encrypt(self, value: Any) -> dict[str, Any]:
        """A JSON value, encrypted.

        Raises:
            TypeError, ValueError, RecursionError: JSON cannot hold it.
        """
        return self._seal(encode(value))

    def decrypt(self, value: Any) -> Any:
        """What was encrypted, or the value itself if it is not encrypted.

        Raises:
            NonRetriableError: None of the keys fits, or the value is damaged; the message shows neither.
        """
        return self._open(value, "a value")

    def transform_input(self, call: CallInput) -> None:
        """Decrypt results of steps, and events."""
        for key, memo in call.memos.items():
            if isinstance(memo, dict) and _DATA in memo:
                if "name" in memo:
                    call.memos[key] = self._open_event(memo)
                else:
                    call.memos[key] = {**memo, _DATA: self._open(memo[_DATA], f"the result of step {key}")}
        call.events[:] = [self._open_event(event) for event in call.events]

    def transform_output(self, output: CallOutput) -> None:
        """Encrypt the result of a step or of the function, whatever it is."""
        if output.error is None and not self._decrypt_only:
            source = "the function" if output.step_id is None else f"step {output.step_id!r}"
            output.data = self._seal(encode_output(output.data, source))

    def before_send_events(self, events: list[dict[str, Any]]) -> None:
        """Encrypt the field of each event that has it."""
        if self._decrypt_only:
            return
        for event in events:
            data, field = event.get(_DATA), self._event_field
            if data and field in data and not self._is_ours(data[field]):
                # The data itself may belong to the user.
                event[_DATA] = {**data, field: self._seal(_event_text(event, field))}

    def _seal(self, text: str) -> dict[str, Any]:
        from base64 import b64encode
        from os import urandom

        nonce = urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[0].encrypt(nonce, text.encode(), None)
        return {_MARK: True, _STRATEGY_MARK: _STRATEGY, _DATA: b64encode(sealed).decode()}

    def _open(self, value: Any, source: str) -> Any:
        if not _is_encrypted(value):
            return value
        from json import loads

        if value.get(_STRATEGY_MARK) != _STRATEGY:
            raise NonRetriableError(
                f"{source} is encrypted in a way that EncryptionMiddleware does not know: "
                "it reads what it has written itself, not what other SDKs have"
            )
        text = self._unseal(value.get(_DATA))
        if text is None:
            raise NonRetriableError(
                f"{source} cannot be decrypted: it is damaged, or none of the {len(self._ciphers)} key(s) fits; "
                "keep a key that was in use in fallback_keys until the runs of its time have ended"
            )
        return loads(text)

    def _unseal(self, sealed: Any) -> bytes | None:
        from base64 import b64decode

        from cryptography.exceptions import InvalidTag

        try:
            raw = b64decode(sealed, validate=True)
        except (TypeError, ValueError):
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
            except (InvalidTag, ValueError):
                continue
        return None

    def _is_ours(self, value: Any) -> bool:
        # What merely looks encrypted is a value like any other, and has to come back as it was.
        return (
            _is_encrypted(value)
            and value.get(_STRATEGY_MARK) == _STRATEGY
            and self._unseal(value.get(_DATA)) is not None
        )

    def _open_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        name, data = str(event.get("name")), event.get(_DATA)
        if not isinstance(data, dict):
            return dict(event)
        source = f"the data of event {name!r}"
        if _is_encrypted(data):
            opened = self._open(data, source)
            if not isinstance(opened, dict):
                raise NonRetriableError(f"{source} was encrypted, but is no object")
            # The server adds fields of its own beside what was encrypted.
            rest = {key: value for key, value in data.items() if key not in {_MARK, _STRATEGY_MARK, _DATA}}
            data = {**rest, **opened}
        data = {key: self._open(value, f"{source} ({key})") for key, value in data.items()}
        if name.startswith("inngest/"):
            # Such as the failure of a run, which brings the event that had started it.
            self._open_inner_events(data)
        return {**event, _DATA: data}

    def _open_inner_events(self, data: dict[str, Any]) -> None:
        if isinstance(data.get("event"), dict):
            data["event"] = self._open_event(data["event"])
        if isinstance(data.get("events"), list):
            data["events"] = [self._open_event(each) if isinstance(each, dict) else each for each in data["events"]]


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_MARK) is True


def _event_text(event: Mapping[str, Any], field: str) -> str:
    value = event[_DATA][field]
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError):
        fault = json_fault(value, f"data.{field}")
        raise EventValidationError(f"event {event.get('name')!r} cannot be encrypted: {fault}") from None


def _cipher(key: str | bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ConfigurationError(
            "EncryptionMiddleware needs the package cryptography: pip install 'inngest-serverless[encryption]'"
        ) from None
    if isinstance(key, bytes):
        if len(key) != _KEY_BYTES:
            raise ConfigurationError(
                f"EncryptionMiddleware: a key of bytes must have {_KEY_BYTES} of them, not {len(key)}; "
                "a key of text may be longer"
            )
        return AESGCM(key)
    if not isinstance(key, str) or len(key.strip()) < _SHORTEST_TEXT:
        raise ConfigurationError(
            f"EncryptionMiddleware: a key must be text of at least {_SHORTEST_TEXT} characters, or {_KEY_BYTES} bytes; "
            "make one with python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # A secret that comes from a file often ends with a line break.
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, None, _STRATEGY.encode()).derive(key.strip().encode()))
