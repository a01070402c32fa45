"""One HTTP exchange with the server: verify, route, run, reply. Free of IO.

``App.handle`` is a generator. It yields what it needs done, an ``Outbound`` request to send or an ``Invocation`` to
run, is sent the result, and returns the reply. ``transport`` drives it, in sync and in async code.

Source: docs/protocol.md, sections 1, 2 and 6 to 8.
"""

from __future__ import annotations

import sys

from inngest_serverless.engine.invocation import Invocation
from inngest_serverless.errors import CallRequestError, ConfigurationError, SignatureError, TransportError
from inngest_serverless.functions import index_functions, middleware_list
from inngest_serverless.hooks import make_hooks
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.call import parse_call
from inngest_serverless.protocol.reply import error_reply, json_reply, unauthorized_reply
from inngest_serverless.protocol.signing import sign, verify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from logging import Logger
    from typing import Any

    from inngest_serverless.config import Settings
    from inngest_serverless.engine.deadline import Deadline
    from inngest_serverless.functions import Function
    from inngest_serverless.inngest_api import InngestApi
    from inngest_serverless.protocol.call import CallRequest
    from inngest_serverless.protocol.exchange import Outbound, Reply, Request
    from inngest_serverless.protocol.signing import SigningKey
    from inngest_serverless.sync import Sync

    Exchange = Generator[Outbound | Invocation, Any, Reply]

__all__ = ["App"]

_OK, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 200, 400, 403, 404
_METHOD_NOT_ALLOWED, _TOO_LARGE, _SERVER_ERROR = 405, 413, 500
# A body of fewer characters fits everywhere, however it is written: into 1 MB as \uXXXX\uXXXX each.
_SMALL = 64 * 1024


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
        self.rekey(settings)
        self.framework = framework
        self._functions = index_functions(settings.app_id, functions)
        self._now = now
        self._middleware = middleware_list(middleware)
        for function in self._functions.values():
            # Made once for nothing, so that a wrong one is told of when the module is imported.
            hooks = make_hooks((*self._middleware, *function.middleware))
            if hooks is not None and not function.is_async:
                hooks.check_sync(function.id)
        self._logger = logger
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

    def rekey(self, settings: Settings) -> None:
        """Go on with other keys; everything else in the settings is as it was."""
        self.settings = settings
        self._keys = settings.signing_keys
        self._made_api: InngestApi | None = None

    def refuse(self, error: ConfigurationError | TransportError) -> Reply:
        """Answer a request that cannot even be authenticated, as there are no keys."""
        return self._finish(error_reply(_SERVER_ERROR, type(error).__name__, str(error), retry=True), None)

    def handle(self, request: Request) -> Exchange:
        """Answer one request; see the module's docstring for what it yields."""
        key: SigningKey | None = None
        try:
            if self._is_elsewhere(request.path):
                reply = error_reply(_NOT_FOUND, "NotFound", "nothing is served at this path", retry=False)
            elif self._is_of_a_page(request):
                told = "a web page sent this: in dev mode nobody has to sign, so pages are refused"
                reply = error_reply(_FORBIDDEN, "WebPage", told, retry=False)
            elif request.is_larger_than(self.settings.max_body_size):
                limit = self.settings.max_body_size
                reply = error_reply(_TOO_LARGE, "BodyTooLarge", f"the body is over {limit} bytes", retry=False)
            elif request.method == "POST":
                key = self._authenticate(request)
                reply = yield from self._post(request)
            elif request.method == "PUT":
                key = self._authenticate_if_signed(request)
                reply = yield from self.sync().answer(request, signed=key is not None)
            elif request.method == "GET":
                key, reply = self._get(request)
                # A cache before the app would tell strangers what the holder of the key was told.
                reply.headers[names.CACHE_CONTROL] = "no-store"
            else:
                reply = error_reply(_METHOD_NOT_ALLOWED, "MethodNotAllowed", "use GET, PUT or POST", retry=False)
                reply.headers["allow"] = "GET, PUT, POST"
        except SignatureError:
            reply = unauthorized_reply()
        except CallRequestError as error:
            reply = error_reply(_BAD_REQUEST, "InvalidCallRequest", str(error), retry=False)
        except ConfigurationError as error:
            reply = error_reply(_SERVER_ERROR, "ConfigurationError", str(error), retry=True)
        reply = self._finish(reply, key)
        return reply if len(reply.body) < _SMALL else self._fitting(reply, key, request)

    def _fitting(self, reply: Reply, key: SigningKey | None, request: Request) -> Reply:
        """A large reply, so that it gets to the server."""
        from inngest_serverless.protocol.limits import carried, substitute

        fitting = carried(reply, request)
        if fitting is None:
            from logging import getLogger

            reply, told = substitute(reply, request)
            getLogger("inngest_serverless").warning("%s", told)
            fitting = self._finish(reply, key)
        return fitting

    def _finish(self, reply: Reply, key: SigningKey | None) -> Reply:
        reply.headers = {**self._headers, **reply.headers}
        if key is not None:
            reply.headers[names.SIGNATURE] = sign(reply.body.encode(), key, self._now())
        return reply

    def _is_elsewhere(self, path: str) -> bool:
        # Stages and base paths come and go on the way, so either path may be the longer one.
        served = self.settings.serve_path
        return served is not None and not (path.endswith(served) or served.endswith(path.rstrip("/") or path))

    def _is_of_a_page(self, request: Request) -> bool:
        # Any page can have a browser send a POST to this machine; the server's requests have no such header.
        return self.settings.is_dev and names.ORIGIN in request.headers and request.method != "GET"

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
        if call.use_api:
            try:
                yield from self._api().fetch_state(call)
            except (TransportError, CallRequestError) as error:
                message = f"the state of run {call.run_id} was not fetched: {error}"
                return error_reply(_SERVER_ERROR, "StateNotFetched", message, retry=True)
        return (yield self._invocation(function, call, request.deadline))  # type: ignore[no-any-return]

    def _invocation(self, function: Function[Any], call: CallRequest, deadline: Deadline | None) -> Invocation:
        sources = (*self._middleware, *function.middleware)
        if "opentelemetry.trace" in sys.modules:
            # Somebody traces: so do we.
            from inngest_serverless.tracing import with_tracing

            sources = with_tracing(sources)
        hooks = make_hooks(sources)
        return Invocation(function, call, self.settings.app_id, self._now, hooks, self._logger, deadline)

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
        origin, path = settings.public_address(request.origin, request.path)
        return key, json_reply(_OK, authenticated(settings, count, self.framework, origin, path))

    def sync(self) -> Sync:
        """What registers the app; a cold start that serves a call does not load it."""
        from inngest_serverless.sync import Sync

        return Sync(self.settings, self._functions.values(), self.framework, self._api())

    def _api(self) -> InngestApi:
        """The API of the server; most calls do not ask it. It is kept, as it knows which key works."""
        if self._made_api is None:
            from inngest_serverless.inngest_api import InngestApi

            self._made_api = InngestApi(self.settings)
        return self._made_api


def _body_bytes(request: Request) -> bytes:
    try:
        return request.body_bytes()
    except UnicodeEncodeError:
        raise CallRequestError("body: not UTF-8") from None
