"""The keys in a secret of AWS Secrets Manager, for who has INNGEST_SECRET_ARN set: read once, and anew when refused.

Loaded only where that variable is set and a key is missing.

Sources: docs/secrets.md, docs/protocol.md, section 10, and the AWS Secrets Manager API on GetSecretValue.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock

from inngest_serverless.config import SECRET_ARN, Settings
from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.protocol.signing import signing_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from inngest_serverless.protocol.signing import SigningKey
    from inngest_serverless.sending import Renew

    Keys = Mapping[str, str]

__all__ = ["KeySecret", "find_secret", "with_keys"]

REREAD_SECONDS = 60.0

_SIGNING, _FALLBACK, _EVENT = "INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK", "INNGEST_EVENT_KEY"
# In all less than Lambda gives to the initialization, and to the server's patience with a call.
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 2, 3, 2
_ADVICE = {
    "ResourceNotFoundException": "Secrets Manager has no such secret, or it has no value: check the ARN",
    "AccessDeniedException": (
        "reading the secret is not allowed: give the function's role secretsmanager:GetSecretValue on it, "
        "and kms:Decrypt if it is encrypted with a key of your own"
    ),
    "DecryptionFailure": "the secret cannot be decrypted: give the function's role kms:Decrypt on its key",
}


class KeySecret:
    """A secret whose value is a JSON object with INNGEST_SIGNING_KEY, INNGEST_SIGNING_KEY_FALLBACK, INNGEST_EVENT_KEY.

    It may be used by several threads. Reading blocks, for some seconds at the most.

    Args:
        arn: The secret's ARN or name.
        read: Gets its value; from Secrets Manager if not given.
        now: The clock, Unix seconds. By the wall, as other clocks stand still while Lambda keeps a function frozen.
    """

    def __init__(
        self, arn: str, read: Callable[[], str | bytes] | None = None, now: Callable[[], float] | None = None
    ) -> None:
        self._arn = arn
        self._read = read or _Reader(arn)
        self._now = now or time.time
        self._keys: Keys | None = None
        self._reread_at: float | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"KeySecret({self._arn!r})"

    def keys(self) -> Keys:
        """The keys, by their names; read from the secret until that succeeds once.

        Raises:
            ConfigurationError: There is no such secret, it may not be read, or its value is not what it must be.
            TransportError: It was not read for another reason. After either, the next call tries again.
        """
        if self._keys is None:
            with self._lock:
                if self._keys is None:
                    self._keys = _parse(self._read())
        return self._keys

    def fetch_early(self) -> None:
        """Read the keys now, so that the first call need not; what goes wrong is left for that call to tell."""
        with suppress(ConfigurationError, TransportError):
            self.keys()

    def newer(self, refused: Keys) -> Keys | None:
        """Other keys than those that were refused, or None if there are none.

        The secret is read for it at most once a minute, whoever asks and however often.

        Args:
            refused: What ``keys`` or this method returned before.
        """
        with self._lock:
            if self._keys is refused and self._may_reread():
                self._reread_at = self._now()
                try:
                    found = _parse(self._read())
                except (ConfigurationError, TransportError) as error:
                    _log("%s (the keys stay what they were)", error)
                else:
                    if found != refused:
                        _log("%s: the keys in the secret have changed", SECRET_ARN)
                        self._keys = found
            return None if self._keys is refused else self._keys

    def renewer(self, base: Settings) -> Renew:
        """What a client asks for settings with other keys, where those it has are missing or refused.

        Args:
            base: Its settings, without the secret.
        """
        latest: tuple[Keys, Settings] | None = None

        def settings_with(keys: Keys) -> Settings:
            nonlocal latest
            if latest is None or latest[0] is not keys:
                latest = keys, with_keys(base, keys)
            return latest[1]

        def renew(stale: Settings) -> Settings | None:
            keys = self.keys()
            settings = settings_with(keys)
            if settings is not stale:
                # It began without the keys, or others have read them anew meanwhile.
                return settings
            newer = self.newer(keys)
            return None if newer is None else settings_with(newer)

        return renew

    def _may_reread(self) -> bool:
        # The clock may be set back, which must not put it off.
        return self._reread_at is None or not 0 <= self._now() - self._reread_at < REREAD_SECONDS


def find_secret(environ: Mapping[str, str], settings: Settings) -> KeySecret | None:
    """The secret that has what the settings lack; None if there is none, or they lack nothing.

    Args:
        environ: The environment variables; INNGEST_SECRET_ARN names the secret.
        settings: The settings as they are without it.
    """
    arn = environ.get(SECRET_ARN, "").strip()
    is_complete = settings.signing_key is not None and settings.event_key is not None
    return None if not arn or settings.is_dev or is_complete else _secret(arn)


def with_keys(base: Settings, keys: Keys) -> Settings:
    """Settings that have those keys of the secret which they had not: what was set otherwise wins.

    A signing key that was set otherwise goes without the secret's fallback, which belongs to the secret's own.
    """
    values: dict[str, Any] = {name: getattr(base, name) for name in Settings.__slots__}
    if base.signing_key is None:
        values["signing_key"] = _signing_key(keys, _SIGNING)
        values["signing_key_fallback"] = base.signing_key_fallback or _signing_key(keys, _FALLBACK)
    if base.event_key is None:
        values["event_key"] = keys.get(_EVENT)
    return Settings(values)


@cache
def _secret(arn: str) -> KeySecret:
    # One for all: the handler and its clients read it once, and reread it once a minute together.
    return KeySecret(arn)


def _signing_key(keys: Keys, name: str) -> SigningKey | None:
    return signing_key(keys.get(name))


def _parse(value: str | bytes) -> Keys:
    """The keys in a secret's value.

    Raises:
        ConfigurationError: It is no JSON object, or a key is no text.
    """
    from json import loads

    document: Any = None
    with suppress(ValueError, RecursionError):
        document = loads(value)
    # Raised out here: json's own error would hold the value, for whoever collects errors with all they come from.
    if not isinstance(document, dict):
        raise ConfigurationError(
            f'{SECRET_ARN}: the value of the secret is no JSON object: write {{"{_SIGNING}": "signkey-...", '
            f'"{_EVENT}": "..."}}'
        )
    keys = {name: document[name] for name in (_SIGNING, _FALLBACK, _EVENT) if document.get(name) is not None}
    for name, key in keys.items():
        if not isinstance(key, str):
            raise ConfigurationError(f"{SECRET_ARN}: {name} in the secret is no text: write it in quotes")
    return {name: key.strip() for name, key in keys.items() if key.strip()}


class _Reader:
    """Reads a secret with Powertools; the connection is made with the first try, and kept."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._provider: Any = None

    def __call__(self) -> str | bytes:
        """The secret's value.

        Raises:
            ConfigurationError: There is no such secret, it may not be read, or there is no Powertools.
            TransportError: It was not read for another reason.
        """
        try:
            self._provider = self._provider or _provider(self._arn)
            # Not from Powertools' own cache: when to read is decided above.
            with _without_replies_in_logs():
                value: str | bytes = self._provider.get(self._arn, force_fetch=True, max_age=0)
            return value  # noqa: TRY300 - there is no more to do than to explain what went wrong
        except ImportError:
            raise ConfigurationError(
                f"{SECRET_ARN} is set, but there is no aws-lambda-powertools with boto3 to read it: "
                "pip install 'inngest-serverless[aws]' boto3, or set the keys themselves"
            ) from None
        except Exception as error:  # noqa: BLE001 - boto3's errors have many roots, and the first call must go on
            # Powertools raises one kind of error, while it deals with the real one.
            fault = error.__context__ or error
        raise _read_error(fault)


@contextmanager
def _without_replies_in_logs() -> Iterator[None]:
    """With all logs on, botocore writes down what it receives: the keys."""
    from logging import INFO, getLogger

    log = getLogger("botocore.parsers")
    level = log.level
    log.setLevel(max(level, INFO))
    try:
        yield
    finally:
        log.setLevel(level)


def _provider(arn: str) -> Any:
    from importlib import import_module

    from aws_lambda_powertools.utilities.parameters import SecretsProvider

    parts = arn.split(":")
    limits = import_module("botocore.config").Config(
        # An ARN knows its region better than the function does.
        region_name=parts[3] if arn.startswith("arn:") and len(parts) > 3 else None,  # noqa: PLR2004 - arn:aws:service:region
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _TRIES},
    )
    return SecretsProvider(boto_config=limits)


def _read_error(fault: BaseException) -> ConfigurationError | TransportError:
    response = getattr(fault, "response", None) or {}
    code = response.get("Error", {}).get("Code") or type(fault).__name__
    if code in _ADVICE:
        return ConfigurationError(f"{SECRET_ARN}: {_ADVICE[code]}")
    return TransportError(f"{SECRET_ARN}: the secret was not read ({code}): check the function's network and region")


def _log(message: str, *arguments: object) -> None:
    from logging import getLogger

    getLogger("inngest_serverless").warning(message, *arguments)
