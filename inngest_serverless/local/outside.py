"""Requests that the server makes for a function: ``step.fetch`` and ``step.ai.infer``.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from inngest_serverless.local.runs import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.runs import ReportedStep

__all__ = ["OUTSIDE", "OutsideError", "ask_outside"]

OUTSIDE = {"Gateway", "AIGateway"}
_LAST_SUCCESS = 299


class OutsideError(Exception):
    """A request had no success.

    Attributes:
        error: ``{name, message, stack?}``, as the function is to see it.
    """

    def __init__(self, name: str, message: str, body: str = "") -> None:
        super().__init__(f"{name}: {message}")
        self.error: dict[str, str] = {"name": name, "message": message} | ({"stack": body} if body else {})


def ask_outside(step: ReportedStep, fetch: Endpoint | None) -> dict[str, Any]:
    """Make the request that a step asks for.

    Args:
        step: A step whose opcode is one of ``OUTSIDE``.
        fetch: Sends a request: method, URL, headers, body.

    Returns:
        The step's memo.

    Raises:
        OutsideError: It had no success.
        EngineError: There is nothing to send it with, or the step does not say where to.
    """
    if fetch is None:
        raise EngineError(
            f"step {step.step!r} asks for a request ({step.op}), and the local engine makes no outside requests "
            "unless fetch= is given: a function of method, URL, headers and body that returns an HttpReply"
        )
    if not isinstance(step.opts.get("url"), str):
        raise EngineError(f"step {step.step!r} asks for a request ({step.op}) without a URL")
    return _infer(step, fetch) if step.op == "AIGateway" else _fetch(step, fetch)


def _fetch(step: ReportedStep, fetch: Endpoint) -> dict[str, Any]:
    opts = step.opts
    method, body = opts.get("method") or "GET", opts.get("body") or ""
    try:
        reply = fetch(method, opts["url"], opts.get("headers") or {}, body.encode())
    except Exception as error:
        raise OutsideError("GatewayError", f"Error making gateway request: {error}") from error
    text = reply.body.decode(errors="replace")
    return {"data": {"url": opts["url"], "status_code": reply.status, "headers": dict(reply.headers), "body": text}}


def _infer(step: ReportedStep, fetch: Endpoint) -> dict[str, Any]:
    url, headers = _with_key(step.opts)
    try:
        reply = fetch("POST", url, headers, json.dumps(step.opts.get("body")).encode())
    except Exception as error:
        raise OutsideError("AIGatewayError", f"Error making AI request: {error}") from error
    text = reply.body.decode(errors="replace")
    if reply.status > _LAST_SUCCESS:
        message = f"Error making AI request: unsuccessful status code: {reply.status}"
        raise OutsideError("AIGatewayError", message, text)
    try:
        return {"data": json.loads(text)}
    except (ValueError, RecursionError):
        raise OutsideError("AIGatewayError", "Error making AI request: the reply is not JSON", text) from None


def _with_key(opts: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The URL and the headers of a request to a provider, with the key where the provider looks for it."""
    url, key, form = opts["url"], str(opts.get("auth_key") or ""), opts.get("format")
    headers = {"Content-Type": "application/json", **(opts.get("headers") or {})}
    if form == "gemini":
        return f"{url}{'&' if '?' in url else '?'}key={quote(key, safe='')}", headers
    return url, headers | ({"x-api-key": key} if form == "anthropic" else {"Authorization": f"Bearer {key}"})
