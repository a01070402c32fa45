"""What a GET tells: little to strangers, more to whoever holds the signing key. Source: docs/protocol.md, section 8."""

from __future__ import annotations

from hashlib import sha256

from inngest_serverless.protocol.headers import SDK_LANGUAGE
from inngest_serverless.protocol.registration import CAPABILITIES
from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from inngest_serverless.config import Settings

__all__ = ["authenticated", "unauthenticated"]

_SCHEMA = "2024-05-24"


def unauthenticated(settings: Settings, function_count: int, *, succeeded: bool | None) -> dict[str, Any]:
    """What anybody may see. ``succeeded`` is None for an unsigned request and False for a wrong signature."""
    return {
        "authentication_succeeded": succeeded,
        "capabilities": CAPABILITIES,
        "function_count": function_count,
        "has_event_key": settings.event_key is not None,
        "has_signing_key": settings.signing_key is not None,
        "has_signing_key_fallback": settings.signing_key_fallback is not None,
        "mode": settings.mode,
        "schema_version": _SCHEMA,
    }


def authenticated(
    settings: Settings, function_count: int, framework: str, serve_origin: str, serve_path: str
) -> dict[str, Any]:
    """What the holder of the signing key may see: the settings, keys only as hashes.

    Raises:
        ConfigurationError: A signing key is not hexadecimal.
    """
    key, fallback = settings.signing_key, settings.signing_key_fallback
    return {
        **unauthenticated(settings, function_count, succeeded=True),
        "api_origin": settings.api_origin,
        "app_id": settings.app_id,
        "env": settings.env,
        "event_api_origin": settings.event_api_origin,
        "event_key_hash": sha256(settings.event_key.encode()).hexdigest() if settings.event_key else None,
        "framework": framework,
        "sdk_language": SDK_LANGUAGE,
        "sdk_version": __version__,
        "serve_origin": serve_origin,
        "serve_path": serve_path,
        "signing_key_fallback_hash": fallback.hashed() if fallback else None,
        "signing_key_hash": key.hashed() if key else None,
    }
