"""The settings in the environment. Source: docs/protocol.md, section 10."""

from __future__ import annotations

from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from inngest_serverless.cli.checks.findings import Finding, Report, note, ok, problem, warning
from inngest_serverless.config import SECRET_ARN, Settings
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_settings", "key_hash"]

_SIGNING_KEYS = ("INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK")
_ORIGINS = ("INNGEST_BASE_URL", "INNGEST_API_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_SERVE_ORIGIN")
_KNOWN = (
    *_SIGNING_KEYS,
    *_ORIGINS,
    "INNGEST_ALLOW_IN_BAND_SYNC",
    "INNGEST_ENABLE_UNAUTHED_SYNC",
    "INNGEST_APP_ID",
    "INNGEST_APP_VERSION",
    "INNGEST_DEADLINE",
    "INNGEST_DEADLINE_MARGIN",
    "INNGEST_DEV",
    "INNGEST_ENV",
    "INNGEST_EVENT_KEY",
    SECRET_ARN,
    "INNGEST_SERVE_PATH",
    "INNGEST_STREAMING",
)
_SECRET_NAMES = ("KEY", "SECRET", "TOKEN", "PASSWORD")
_SHOWN_DIGITS = 12
_SIMILAR = 0.85


def check_settings(environ: Mapping[str, str]) -> Report:
    """Look at the environment variables that an app or a client on this machine would read.

    Returns:
        As facts: ``mode``, ``api_origin``, ``event_api_origin``, ``env``, ``serve_origin``, ``serve_path``, and
        ``variables``, those of ours that are set, where a secret is only its hash.
    """
    settings = Settings.for_client(environ)
    names = ("mode", "api_origin", "event_api_origin", "env", "serve_origin", "serve_path")
    facts: dict[str, Any] = {name: getattr(settings, name) for name in names}
    mine = {name: value for name, value in sorted(environ.items()) if name.startswith("INNGEST_")}
    facts["variables"] = {name: _shown(name, value) for name, value in mine.items()}
    findings = [*_modes(environ, settings), *_keys(environ, settings), *_addresses(environ), *_spelling(mine)]
    return Report(facts, findings or [ok("settings", f"the settings fit together ({settings.mode} mode)")])


def key_hash(key: SigningKey) -> str | None:
    """The hash by which Inngest knows a signing key, or None for one that is malformed."""
    try:
        return key.hashed() if key.secret else None
    except ConfigurationError:
        return None


def _shown(name: str, value: str) -> str:
    if name in _SIGNING_KEYS:
        digest = key_hash(SigningKey(value))
        return f"hash {digest[:_SHOWN_DIGITS]}" if digest else "malformed"
    if name != SECRET_ARN and any(word in name for word in _SECRET_NAMES):
        return f"hash {sha256(value.encode()).hexdigest()[:_SHOWN_DIGITS]}"
    return value


def _modes(environ: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    dev = environ.get("INNGEST_DEV", "").strip()
    if settings.is_dev and "://" not in dev and dev.lower() not in {"1", "true", "yes", "on"}:
        yield warning(
            "dev-origin",
            f"INNGEST_DEV is {dev!r}, which is no origin",
            f"it switches dev mode on, but the dev server is looked for at {settings.api_origin}",
            "write the dev server's origin in full, e.g. INNGEST_DEV=http://127.0.0.1:8288, or INNGEST_DEV=1",
        )
    if environ.get("INNGEST_STREAMING", "").strip().lower() not in {"", "0", "false", "no", "off"}:
        yield problem(
            "streaming",
            "INNGEST_STREAMING is set",
            "this toolkit never streams, and a handler refuses to start with it",
            "unset INNGEST_STREAMING",
        )


def _keys(environ: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    for name in _SIGNING_KEYS:
        if environ.get(name) and key_hash(SigningKey(environ[name])) is None:
            yield problem(
                "signing-key-form",
                f"{name} is no signing key: it is not hexadecimal behind its 'signkey-...-' prefix",
                "no request to Inngest's API can be made with it, and Inngest has no such keys",
                "copy the key again from the Inngest dashboard",
            )
    event_key = environ.get("INNGEST_EVENT_KEY", "")
    if event_key.startswith("signkey-"):
        yield problem(
            "event-key-form",
            "INNGEST_EVENT_KEY holds a signing key",
            "the event key is part of a URL, and Inngest does not know this one",
            "put the event key there, and make a new signing key if this one was used to send events",
        )
    elif event_key != event_key.strip():
        yield problem(
            "event-key-form",
            "INNGEST_EVENT_KEY begins or ends with a blank or a line break",
            "Inngest does not know a key like that",
            "set it without, e.g. with printf %s instead of echo",
        )
    if settings.is_dev:
        return
    if environ.get(SECRET_ARN):
        yield note("secret", f"what is not set of the keys comes from {SECRET_ARN}, which was not read")
        return
    if settings.signing_key is None:
        yield warning(
            "signing-key",
            "INNGEST_SIGNING_KEY is not set, in cloud mode",
            "an app with these settings answers every call with an error, and no signature can be checked from here",
            "set it to the key of this environment, or INNGEST_DEV=1 to work with a dev server",
        )
    if not event_key:
        yield note(
            "event-key", "INNGEST_EVENT_KEY is not set", "no events can be sent", "set it if this app sends events"
        )


def _addresses(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in _ORIGINS:
        value = environ.get(name)
        if value and not value.startswith(("http://", "https://")):
            yield problem(
                "origin-form",
                f"{name} is {value!r}, which is no origin",
                "no request can be sent there",
                f"write it in full, e.g. {name}=https://{value.lstrip('/')}",
            )


def _spelling(mine: Mapping[str, str]) -> Iterator[Finding]:
    for name in mine:
        if name not in _KNOWN and (similar := get_close_matches(name, _KNOWN, 1, _SIMILAR)):
            yield warning(
                "spelling", f"{name} is set, which nothing reads", "it may be a slip of the pen", f"set {similar[0]}"
            )
