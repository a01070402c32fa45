"""The sync of an app: what answers a PUT, and what registers the app. Free of IO.

Source: docs/protocol.md, section 7.
"""

from __future__ import annotations

from json import loads

from inngest_serverless.errors import TransportError
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.introspection import authenticated
from inngest_serverless.protocol.registration import function_json, in_band_json, register_json
from inngest_serverless.protocol.reply import json_reply, unauthorized_reply
from inngest_serverless.protocol.signing import hide_keys
from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.functions import Function
    from inngest_serverless.inngest_api import InngestApi
    from inngest_serverless.protocol.exchange import Outbound, OutboundReply, Reply, Request

__all__ = ["Sync"]

_OK, _FORBIDDEN, _SERVER_ERROR = 200, 403, 500
_IN_BAND = {"in_band", "in-band"}
_KINDS = {"cloud", "dev"}
_MAX_MESSAGE_LENGTH = 500


class Sync:
    """Registers an app, in the reply to the server or over its API."""

    def __init__(
        self, settings: Settings, functions: Collection[Function[Any]], framework: str, api: InngestApi
    ) -> None:
        self._settings = settings
        self._functions = functions
        self._framework = framework
        self._api = api

    def answer(self, request: Request, *, signed: bool) -> Generator[Outbound, OutboundReply, Reply]:
        """Answer a PUT."""
        in_band = request.headers.get(names.SYNC_KIND, "").lower() in _IN_BAND
        settings = self._settings
        is_known = signed or settings.is_dev or request.is_from_deployment
        if (in_band and not signed) or not (is_known or settings.enable_unauthed_sync):
            return unauthorized_reply()
        if in_band and settings.allow_in_band_sync:
            return self._in_band(request)
        if request.is_origin_claimed and not (signed or settings.is_dev or settings.has_address):
            # Anybody could have the app registered at a host of theirs, and get its events and states.
            # No error of the server's: an alarm must not ring whenever a stranger likes.
            return _not_synced(
                "behind a load balancer, or at a domain of its own, the app does not know its address: "
                "set INNGEST_SERVE_ORIGIN",
                retry=False,
                status=_FORBIDDEN,
            )
        return (yield from self._out_of_band(request, is_known=is_known))

    def register(
        self, url: str, deploy_id: str | None = None, server_kind: str | None = None
    ) -> Generator[Outbound, OutboundReply, OutboundReply]:
        """Register the app under a URL.

        Raises:
            TransportError: The API was not reached.
        """
        settings = self._settings
        document = register_json(settings.app_id, settings.app_version, self._framework, url, self.registrations(url))
        return (yield from self._api.register(encode(document), deploy_id, server_kind))

    def registrations(self, url: str) -> list[dict[str, Any]]:
        """The registration of each function, served at ``url``."""
        app_id = self._settings.app_id
        return [function_json(app_id, function.id, url, function.options) for function in self._functions]

    def _in_band(self, request: Request) -> Reply:
        settings = self._settings
        origin, path = settings.public_address(request.origin, request.path)
        document = in_band_json(
            settings.app_id,
            settings.app_version,
            settings.env,
            self._framework,
            origin + path,
            self.registrations(origin + path),
            authenticated(settings, len(self._functions), self._framework, origin, path),
        )
        reply = json_reply(_OK, document)
        reply.headers[names.SYNC_KIND] = "in_band"
        if (kind := _server_kind(request)) is not None:
            reply.headers[names.EXPECTED_SERVER_KIND] = kind
        return reply

    def _out_of_band(self, request: Request, *, is_known: bool) -> Generator[Outbound, OutboundReply, Reply]:
        origin, path = self._settings.public_address(request.origin, request.path)
        try:
            answer = yield from self.register(origin + path, request.query.get("deployId"), _server_kind(request))
        except TransportError as error:
            if is_known:
                return _not_synced(f"Inngest was not reached: {error}", retry=True)
            # It names the host, which is no stranger's business where the server is one's own.
            _log(error)
            return _not_synced("Inngest was not reached: the app's log tells why", retry=True)
        document = _object(answer)
        if not answer.ok:
            message = document.get("error") or document.get("message") or f"Inngest answered {answer.status}"
            return _not_synced(self._shown(message), retry=answer.status >= _SERVER_ERROR)
        message = self._shown(document.get("message") or "synced")
        return json_reply(_OK, {"message": message, "modified": bool(document.get("modified"))})

    def _shown(self, message: Any) -> str:
        """What Inngest says, for whoever asked, which may be anybody: without the token that it was sent."""
        return hide_keys(str(message), self._settings.signing_keys)[:_MAX_MESSAGE_LENGTH]


def _server_kind(request: Request) -> str | None:
    """The kind of server that asks. What is neither is not passed on: anybody can send the header."""
    kind = request.headers.get(names.SERVER_KIND)
    return kind if kind in _KINDS else None


def _log(error: Exception) -> None:
    from logging import getLogger

    getLogger("inngest_serverless").warning("the app was not synced: %s", error)


def _not_synced(message: str, *, retry: bool, status: int = _SERVER_ERROR) -> Reply:
    return json_reply(status, {"message": message, "modified": False}, retry=retry)


def _object(reply: OutboundReply) -> dict[str, Any]:
    try:
        document = loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
