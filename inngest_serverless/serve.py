"""One HTTP exchange with the server: verify, route, run, reply. Free of IO.

``App.handle`` is a generator. It yields what it needs done, an ``Outbound`` request to send or an ``Invocation`` to
run, is sent the result, and returns the reply. ``transport`` drives it, in sync and in async code.

Source: docs/protocol.md, sections 1, 2 and 6 to 8.
"""

from __future__ import annotations

from inngest_serverless.engine.invocation import Invocation
from inngest_serverless.errors import CallRequestError, ConfigurationError, SignatureError, TransportError
from inngest_serverless.functions import index_functions
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.call import parse_call, parse_events, parse_memos
from inngest_serverless.protocol.exchange import Outbound
from inngest_serverless.protocol.reply import error_reply, json_reply
from inngest_serverless.protocol.signing import sign, verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from logging import Logger
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.functions import Function
    from inngest_serverless.middleware import Hooks
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.protocol.exchange import OutboundReply, Reply, Request
    from inngest_serverless.protocol.signing import SigningKey

    Effect = Outbound | Invocation
    Exchange = Generator[Effect, Any, Reply]

__all__ = ["App"]

_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 400, 401, 403, 404
_METHOD_NOT_ALLOWED, _TOO_LARGE, _SERVER_ERROR = 405, 413, 500
_IN_BAND = {"in_band", "in-band"}


class App:
    """An app: its settings and functions, ready to answer.

    Args:
        settings: The settings.
        functions: Its functions.
        framework: What serves it: ``"aws-lambda"`` or ``"google-cloud-functions"``.
        now: The clock, Unix seconds.
        middleware: Middleware for all of them, before their own.
        logger: Where ``ctx.logger`` writes; the logger ``inngest_serverless`` if not given.

    Raises:
        ConfigurationError: Two functions have the same ID, or one is not a function.
    """

    def __init__(
        self,
        settings: Settings,
        functions: Iterable[Any],
        framework: str,
        now: Callable[[], float],
        *,
        middleware: Iterable[Any] = (),
        logger: Logger | None = None,
    ) -> None:
        self.settings = settings
        self.framework = framework
        self._functions = index_functions(settings.app_id, functions)
        self._now = now
        self._middleware = tuple(middleware)
        self._logger = logger
        self._keys = settings.signing_keys
        self._headers = {
            names.CONTENT_TYPE: names.JSON,
            names.SDK: names.SDK_VALUE,
            names.REQUEST_VERSION: names.REQUEST_VERSION_VALUE,
            names.FRAMEWORK: framework,
            names.PLATFORM: framework,
            names.EXPECTED_SERVER_KIND: settings.mode,
        }
        if settings.env:
            self._headers[names.ENV] = settings.env

    def handle(self, request: Request) -> Exchange:
        """Answer one request; see the module's docstring for what it yields."""
        key: SigningKey | None = None
        try:
            if self._is_elsewhere(request.path):
                reply = error_reply(_NOT_FOUND, "NotFound", "nothing is served at this path", retry=False)
            elif request.is_larger_than(self.settings.max_body_size):
                limit = self.settings.max_body_size
                reply = error_reply(_TOO_LARGE, "BodyTooLarge", f"the body is over {limit} bytes", retry=False)
            elif request.method == "POST":
                key = self._authenticate(request)
                reply = yield from self._post(request)
            elif request.method == "PUT":
                key = self._authenticate_if_signed(request)
                reply = yield from self._put(request, signed=key is not None)
            elif request.method == "GET":
                key, reply = self._get(request)
            else:
                reply = error_reply(_METHOD_NOT_ALLOWED, "MethodNotAllowed", "use GET, PUT or POST", retry=False)
                reply.headers["allow"] = "GET, PUT, POST"
        except SignatureError:
            reply = _unauthorized()
        except CallRequestError as error:
            reply = error_reply(_BAD_REQUEST, "InvalidCallRequest", str(error), retry=False)
        except ConfigurationError as error:
            reply = error_reply(_SERVER_ERROR, "ConfigurationError", str(error), retry=True)
        return self._finish(reply, key)

    def _finish(self, reply: Reply, key: SigningKey | None) -> Reply:
        reply.headers = {**self._headers, **reply.headers}
        if key is not None:
            reply.headers[names.SIGNATURE] = sign(reply.body.encode(), key, self._now())
        return reply

    def _is_elsewhere(self, path: str) -> bool:
        # Stages and base paths come and go on the way, so either path may be the longer one.
        served = self.settings.serve_path
        return served is not None and not (path.endswith(served) or served.endswith(path.rstrip("/") or path))

    def _authenticate(self, request: Request) -> SigningKey | None:
        """The key that the request was signed with; None in dev mode for an unsigned one."""
        signature = request.headers.get(names.SIGNATURE)
        if self.settings.is_dev and (signature is None or not self._keys):
            return None
        if not self._keys:
            raise ConfigurationError(
                "no signing key: set INNGEST_SIGNING_KEY to the key of this environment, "
                "or INNGEST_DEV=1 to work with a dev server"
            )
        return verify(signature, self._keys, _body_bytes(request), self._now())

    def _authenticate_if_signed(self, request: Request) -> SigningKey | None:
        if names.SIGNATURE not in request.headers or not self._keys:
            return None
        return self._authenticate(request)

    # What POST does.

    def _post(self, request: Request) -> Exchange:
        if request.query.get("probe") == "trust":
            reply = json_reply(_OK, None)
            reply.body = ""
            return reply
        function_id = request.query.get("fnId", "")
        function = self._functions.get(function_id)
        if function is None:
            return error_reply(
                _SERVER_ERROR,
                "FunctionNotFound",
                f"no function {function_id!r} in app {self.settings.app_id!r}: sync the app again, "
                "or deploy the version that has it",
                retry=True,
            )
        call = parse_call(request.body, request.query.get("stepId", ""))
        call.traceparent = request.headers.get(names.TRACEPARENT)
        call.tracestate = request.headers.get(names.TRACESTATE)
        if call.use_api and (refusal := (yield from self._fetch_state(call))) is not None:
            return refusal
        return (yield self._invocation(function, call))  # type: ignore[no-any-return]

    def _invocation(self, function: Function[Any], call: CallRequest) -> Invocation:
        sources = (*self._middleware, *function.middleware)
        hooks = _hooks(sources) if sources else None
        return Invocation(function, call, self.settings.app_id, self._now, hooks, self._logger)

    def _fetch_state(self, call: CallRequest) -> Generator[Effect, Any, Reply | None]:
        """Put the run's events and memos into the call; returns an error reply if that fails."""
        base = f"{self.settings.api_origin}/v0/runs/{call.run_id}"
        try:
            call.events = parse_events(_decode((yield from self._ask("GET", f"{base}/batch"))))
            call.memos = parse_memos(_decode((yield from self._ask("GET", f"{base}/actions"))))
        except (TransportError, CallRequestError) as error:
            return error_reply(
                _SERVER_ERROR, "StateNotFetched", f"the state of run {call.run_id} was not fetched: {error}", retry=True
            )
        call.event = call.events[0]
        return None

    def _ask(
        self, method: str, url: str, body: str | None = None, **extra: str
    ) -> Generator[Effect, Any, OutboundReply]:
        """Send a request to the API with the signing key, or with the fallback where that one is refused."""
        headers = {names.CONTENT_TYPE: names.JSON, names.SDK: names.SDK_VALUE, **extra}
        if self.settings.env:
            headers[names.ENV] = self.settings.env
        if not self._keys:
            return (yield Outbound(method, url, headers, body))  # type: ignore[no-any-return]
        first, *others = self._keys
        reply = yield Outbound(method, url, {**headers, names.AUTHORIZATION: first.bearer()}, body)
        for key in others:
            if reply.status != _UNAUTHORIZED:
                break
            reply = yield Outbound(method, url, {**headers, names.AUTHORIZATION: key.bearer()}, body)
            if reply.status != _UNAUTHORIZED:
                # The key that worked goes first from now on.
                self._keys = (key, first)
        return reply  # type: ignore[no-any-return]

    # What PUT does.

    def _put(self, request: Request, *, signed: bool) -> Exchange:
        in_band = request.headers.get(names.SYNC_KIND, "").lower() in _IN_BAND
        if in_band and not signed:
            return _unauthorized()
        if in_band and self.settings.allow_in_band_sync:
            return self._sync_in_band(request)
        return (yield from self._sync_out_of_band(request))

    def _sync_in_band(self, request: Request) -> Reply:
        from inngest_serverless.protocol.introspection import authenticated
        from inngest_serverless.protocol.registration import in_band_json

        settings = self.settings
        origin, path = self.serve_origin(request), self.serve_path(request)
        inspection = authenticated(settings, len(self._functions), self.framework, origin, path)
        document = in_band_json(
            settings.app_id,
            settings.app_version,
            settings.env,
            self.framework,
            origin + path,
            self.registrations(origin + path),
            inspection,
        )
        reply = json_reply(_OK, document)
        reply.headers[names.SYNC_KIND] = "in_band"
        if (kind := request.headers.get(names.SERVER_KIND)) is not None:
            reply.headers[names.EXPECTED_SERVER_KIND] = kind
        return reply

    def _sync_out_of_band(self, request: Request) -> Exchange:
        url = self.serve_origin(request) + self.serve_path(request)
        try:
            answer = yield from self.register(
                url, request.query.get("deployId"), request.headers.get(names.SERVER_KIND)
            )
        except TransportError as error:
            return _not_synced(f"Inngest was not reached: {error}", retry=True)
        document = _object(answer)
        if not answer.ok:
            message = document.get("error") or document.get("message") or f"Inngest answered {answer.status}"
            return _not_synced(str(message), retry=answer.status >= _SERVER_ERROR)
        message = document.get("message") or "synced"
        return json_reply(_OK, {"message": str(message), "modified": bool(document.get("modified"))})

    def register(
        self, url: str, deploy_id: str | None = None, server_kind: str | None = None
    ) -> Generator[Effect, Any, OutboundReply]:
        """Register the app under a URL.

        Raises:
            TransportError: The API was not reached.
        """
        from urllib.parse import quote

        from inngest_serverless.protocol.registration import register_json
        from inngest_serverless.serialization import encode

        settings = self.settings
        document = register_json(settings.app_id, settings.app_version, self.framework, url, self.registrations(url))
        query = f"?deployId={quote(deploy_id, safe='')}" if deploy_id else ""
        extra = {names.EXPECTED_SERVER_KIND: server_kind} if server_kind else {}
        target = f"{settings.api_origin}/fn/register{query}"
        return (yield from self._ask("POST", target, encode(document), **extra))

    def registrations(self, url: str) -> list[dict[str, Any]]:
        """The registration of each function, served at ``url``."""
        from inngest_serverless.protocol.registration import function_json

        return [
            function_json(self.settings.app_id, function.id, url, function.options)
            for function in self._functions.values()
        ]

    def serve_origin(self, request: Request) -> str:
        """The public origin: as set, or as the platform says."""
        return self.settings.serve_origin or request.origin

    def serve_path(self, request: Request) -> str:
        """The public path: as set, or as the platform says."""
        path = self.settings.serve_path or request.path
        return path if path.startswith("/") else f"/{path}"

    # What GET does.

    def _get(self, request: Request) -> tuple[SigningKey | None, Reply]:
        from inngest_serverless.protocol.introspection import authenticated, unauthenticated

        settings = self.settings
        kind = request.headers.get(names.SERVER_KIND)
        if kind is not None and kind != settings.mode:
            return None, json_reply(_FORBIDDEN, {}, retry=False)
        count = len(self._functions)
        try:
            key = self._authenticate_if_signed(request)
        except SignatureError:
            return None, json_reply(_OK, unauthenticated(settings, count, succeeded=False))
        if key is None:
            return None, json_reply(_OK, unauthenticated(settings, count, succeeded=None))
        origin, path = self.serve_origin(request), self.serve_path(request)
        return key, json_reply(_OK, authenticated(settings, count, self.framework, origin, path))


def _unauthorized() -> Reply:
    # Not a word on what is wrong with the signature. A retry may help: keys are being rotated, say.
    return json_reply(_UNAUTHORIZED, {"message": "the request is not signed as it must be"}, retry=True)


def _not_synced(message: str, *, retry: bool) -> Reply:
    return json_reply(_SERVER_ERROR, {"message": message, "modified": False}, retry=retry)


def _hooks(sources: tuple[Any, ...]) -> Hooks:
    # Without middleware a cold start does not load it.
    from inngest_serverless.middleware import Hooks

    return Hooks(sources)


def _body_bytes(request: Request) -> bytes:
    try:
        return request.body_bytes()
    except UnicodeEncodeError:
        raise CallRequestError("body: not UTF-8") from None


def _decode(reply: OutboundReply) -> Any:
    from json import loads

    if not reply.ok:
        raise TransportError(f"Inngest answered {reply.status}")
    try:
        return loads(reply.body)
    except (ValueError, RecursionError):
        raise TransportError("Inngest's answer is not JSON") from None


def _object(reply: OutboundReply) -> Mapping[str, Any]:
    from json import loads

    try:
        document = loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
