"""What a sync tells the server about an app and its functions. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from inngest_serverless.protocol.headers import SDK_LANGUAGE, SDK_VALUE
from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["CAPABILITIES", "composite_id", "function_json", "in_band_json", "register_json"]

CAPABILITIES = {"in_band_sync": "v1", "trust_probe": "v1"}


def composite_id(app_id: str, function_id: str) -> str:
    """The ID by which the server knows a function of an app."""
    return f"{app_id}-{function_id}"


def function_json(
    app_id: str,
    function_id: str,
    serve_url: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """One function's registration.

    Args:
        app_id: The app.
        function_id: The function, without the app.
        serve_url: The public URL of the handler.
        options: ``name``, ``triggers``, ``retries`` and the flow control keys, in the wire's spelling.
    """
    from urllib.parse import quote

    identity = composite_id(app_id, function_id)
    url = f"{serve_url}?fnId={quote(identity, safe='')}&stepId=step"
    step = {
        "id": "step",
        "name": "step",
        "retries": {"attempts": options["retries"]},
        "runtime": {"type": "http", "url": url},
    }
    rest = {key: value for key, value in options.items() if key != "retries"}
    return {"id": identity, **rest, "steps": {"step": step}}


def register_json(
    app_id: str,
    app_version: str | None,
    framework: str,
    serve_url: str,
    functions: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    """The body of an out-of-band sync."""
    version = {} if app_version is None else {"appVersion": app_version}
    return {
        "url": serve_url,
        "deployType": "ping",
        "appName": app_id,
        **version,
        "sdk": SDK_VALUE.removeprefix("inngest-"),
        "v": "0.1",
        "framework": framework,
        "capabilities": CAPABILITIES,
        "functions": list(functions),
    }


def in_band_json(
    app_id: str,
    app_version: str | None,
    env: str | None,
    framework: str,
    serve_url: str,
    functions: Iterable[dict[str, Any]],
    inspection: dict[str, Any],
) -> dict[str, Any]:
    """The reply to an in-band sync."""
    return {
        "app_id": app_id,
        "app_version": app_version,
        "env": env,
        "framework": framework,
        "functions": list(functions),
        "inspection": inspection,
        "platform": framework,
        "sdk_author": "inngest-serverless",
        "sdk_language": SDK_LANGUAGE,
        "sdk_version": __version__,
        "url": serve_url,
    }
