"""Keeps apps under test to themselves: whatever they were set up for, they work with the test's engine alone.

A handler reads its settings when its module is imported, long before a test begins. So the settings of apps and clients
are replaced where they are used, for as long as the test lasts, and what the package sends goes to the engine without a
network between.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from inngest_serverless import client as client_module
from inngest_serverless.config import Settings
from inngest_serverless.local.sdk_api import answer
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.exchange import OutboundReply
from inngest_serverless.sending import sending, signalling
from inngest_serverless.serve import App
from inngest_serverless.testing.variables import variables
from inngest_serverless.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inngest_serverless.protocol.exchange import Outbound, Request
    from inngest_serverless.testing.kit_engine import KitEngine

__all__ = ["ORIGIN", "belongs_to", "isolated"]

# The value of INNGEST_DEV. The name can never be reached, should a request leave all the same.
ORIGIN = "http://inngest.invalid"

_VARIABLES: dict[str, str | None] = {
    **dict.fromkeys(("INNGEST_BASE_URL", "INNGEST_API_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_SECRET_ARN")),
    **dict.fromkeys(("INNGEST_ENV", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK")),
    **dict.fromkeys(("INNGEST_SERVE_ORIGIN", "INNGEST_SERVE_PATH")),
    "INNGEST_DEV": ORIGIN,
}
_DEV_SETTINGS: dict[str, Any] = {
    "api_origin": ORIGIN,
    "event_api_origin": ORIGIN,
    "event_key": None,
    "is_dev": True,
    "register_url": None,
    "serve_origin": None,
    "serve_path": None,
    "signing_key": None,
    "signing_key_fallback": None,
    "url": None,
}

# The engines of the tests under way: a test within a test has its own.
_engines: list[KitEngine] = []
# The engine that makes the call which the code that asks belongs to.
_calling: ContextVar[KitEngine | None] = ContextVar("inngest_serverless_testing_engine", default=None)


@contextmanager
def isolated(engine: KitEngine) -> Iterator[None]:
    """Let all apps and clients of this process work with an engine; afterwards everything is as it was before."""
    _engines.append(engine)
    try:
        if len(_engines) == 1:
            with variables(_VARIABLES), _replaced():
                yield
        else:
            yield
    finally:
        _engines.remove(engine)


@contextmanager
def belongs_to(engine: KitEngine) -> Iterator[None]:
    """Let what is sent meanwhile, by code that an engine calls, go to that engine."""
    token = _calling.set(engine)
    try:
        yield
    finally:
        _calling.reset(token)


class _Rekeyed(NamedTuple):
    """An app, its own settings, and those that it is used with meanwhile."""

    app: App
    own: Settings
    used: Settings


@contextmanager
def _replaced() -> Iterator[None]:
    rekeyed: dict[int, _Rekeyed] = {}
    places: list[tuple[Any, str, Any]] = [
        (App, "handle", _handle(App.handle, rekeyed)),
        (Transport, "send", _send(Transport.send)),
        (Transport, "send_async", _send_async(Transport.send_async)),
        (client_module, "sending", _sending(sending)),
        (client_module, "signalling", _signalling(signalling)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    client_module._default.cache_clear()  # noqa: SLF001 - a client that is kept has the settings of its time
    for owner, name, value in places:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        client_module._default.cache_clear()  # noqa: SLF001 - as above
        for app, settings, _ in rekeyed.values():
            app.rekey(settings)


def _dev(settings: Settings) -> Settings:
    values = {name: getattr(settings, name) for name in Settings.__slots__}
    return Settings(values | _DEV_SETTINGS)


def _handle(handle: Callable[[App, Request], Any], rekeyed: dict[int, _Rekeyed]) -> Callable[[App, Request], Any]:
    def handle_in_dev(app: App, request: Request) -> Any:
        known = rekeyed.get(id(app))
        if known is None:
            known = rekeyed[id(app)] = _Rekeyed(app, app.settings, _dev(app.settings))
        if app.settings is not known.used:
            app.rekey(known.used)
        engine = _engine()
        if request.method == "PUT" and engine is not None:
            engine.declared.update(app._functions)  # noqa: SLF001 - nobody else asks a handler what it serves
        return handle(app, request)

    return handle_in_dev


def _sending(send: Callable[..., Any]) -> Callable[..., Any]:
    def sending_in_dev(settings: Settings, events: Any, now: float, *args: Any, **kwargs: Any) -> Any:
        engine = _engine()
        at = now if engine is None else engine.now_ms() / 1000
        return send(_dev(settings), events, at, *args, **{**kwargs, "renew": None})

    return sending_in_dev


def _signalling(send: Callable[..., Any]) -> Callable[..., Any]:
    def signalling_in_dev(
        settings: Settings, _keys: Any, signal: str, data: Any, now: float, draw: Any, *_: Any
    ) -> Any:
        return send(_dev(settings), [], signal, data, now, draw)

    return signalling_in_dev


def _send(send: Callable[[Transport, Outbound], OutboundReply]) -> Callable[[Transport, Outbound], OutboundReply]:
    def send_within(transport: Transport, request: Outbound) -> OutboundReply:
        return _answered(request) or send(transport, request)

    return send_within


def _send_async(send: Callable[[Transport, Outbound], Any]) -> Callable[[Transport, Outbound], Any]:
    async def send_within(transport: Transport, request: Outbound) -> Any:
        return _answered(request) or await send(transport, request)

    return send_within


def _answered(request: Outbound) -> OutboundReply | None:
    """What the engine answers to a request to Inngest; None for one to somebody else."""
    engine = _engine()
    if engine is None or not request.url.startswith(f"{ORIGIN}/"):
        return None
    body, seed = (request.body or "").encode(), request.headers.get(names.EVENT_ID_SEED)
    status, document = answer(engine, request.method, urlsplit(request.url).path, body, seed=seed)
    return OutboundReply(status, json.dumps(document).encode(), {names.CONTENT_TYPE: names.JSON})


def _engine() -> KitEngine | None:
    return _calling.get() or (_engines[-1] if _engines else None)
