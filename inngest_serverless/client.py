"""The client: sends events and signals from any Python program. Source: docs/protocol.md, section 9."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache

from inngest_serverless.config import SECRET_ARN, Settings, dev_server
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.events import Event
from inngest_serverless.hooks import make_hooks, refuse_awaitable
from inngest_serverless.sending import sending, signalling
from inngest_serverless.transport import Transport, drive, drive_async, pause, pause_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from inngest_serverless.middleware import Hooks
    from inngest_serverless.secret_keys import KeySecret
    from inngest_serverless.sending import Renew
    from inngest_serverless.tries import Sending

    T = TypeVar("T")
    Sendable = Event[Any] | Mapping[str, Any]

__all__ = ["Client", "dev_server_url", "is_dev", "send", "send_async", "send_many", "send_many_async"]


class Client:
    """Sends events, which start runs, and signals, which runs wait for.

    A client keeps its connections open for the next call; make one and use it throughout. It may be used from several
    threads and event loops. What is not given is read from the environment. Keys may also be in a secret of AWS Secrets
    Manager, which INNGEST_SECRET_ARN names: it is read when one is needed first, and anew when one is refused.

    Args:
        event_key: The key to send events with (INNGEST_EVENT_KEY). A dev server needs none.
        signing_key: The key to send signals with (INNGEST_SIGNING_KEY). A dev server needs none.
        signing_key_fallback: The key for signals where the other is refused (INNGEST_SIGNING_KEY_FALLBACK).
        env: The branch environment (INNGEST_ENV).
        is_dev: Whether to send to a dev server (INNGEST_DEV).
        api_base_url: The origin for signals (INNGEST_API_BASE_URL), e.g. ``"https://api.inngest.com"``.
        event_api_base_url: The origin for events (INNGEST_EVENT_API_BASE_URL), e.g. ``"https://inn.gs"``.
        middleware: Whose ``before_send_events`` and ``after_send_events`` are called.

    Source: docs/protocol.md, sections 9 and 10.
    """

    __slots__ = (
        "_draw",
        "_keys",
        "_middleware",
        "_now",
        "_pause",
        "_pause_async",
        "_renew",
        "_secret",
        "_settings",
        "_transport",
    )

    def __init__(
        self,
        *,
        event_key: str | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
        env: str | None = None,
        is_dev: bool | None = None,
        api_base_url: str | None = None,
        event_api_base_url: str | None = None,
        middleware: Iterable[Any] = (),
    ) -> None:
        settings = Settings.for_client(
            os.environ,
            event_key=event_key,
            signing_key=signing_key,
            signing_key_fallback=signing_key_fallback,
            env=env,
            is_dev=is_dev,
            api_origin=api_base_url and api_base_url.rstrip("/"),
            event_api_origin=event_api_base_url and event_api_base_url.rstrip("/"),
        )
        self._set_up(settings, Transport(), tuple(middleware), _find_secret(settings))

    @classmethod
    def from_settings(cls, settings: Settings, transport: Transport, secret: KeySecret | None = None) -> Client:
        """A client for who has all that already: a handler, which sends what its functions send."""
        client = cls.__new__(cls)
        cls._set_up(client, settings, transport, (), secret)
        return client

    def _set_up(
        self, settings: Settings, transport: Transport, middleware: tuple[Any, ...], secret: KeySecret | None
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._renew: Renew | None = None if secret is None else secret.renewer(settings)
        self._middleware = middleware
        self._keys = list(settings.signing_keys)
        self._transport = transport
        # Chance and time, which tests replace.
        self._now: Callable[[], float] = time.time
        self._draw: Callable[[], float] | None = None
        self._pause = pause
        self._pause_async = pause_async

    def send(self, event: Sendable) -> str:
        """Send an event.

        It is sent up to five times if there is no reply or one with status 429 or 5xx; the server takes it once.

        Args:
            event: An ``Event``, or a mapping with the fields ``name``, ``data``, ``user``, ``id``, ``ts`` (Unix
                milliseconds; now if it has none) and ``v``, of which only the name is required.

        Returns:
            The event's ID.

        Raises:
            ConfigurationError: There is no event key, or it is not one event.
            EventValidationError: A field of it is missing or wrong, or JSON cannot hold it.
            SendEventsError: It was not accepted.

        Source: docs/protocol.md, section 9.
        """
        return self._drive(self._sending_one(event))

    async def send_async(self, event: Sendable) -> str:
        """As ``send``, in async code."""
        return await self._drive_async(self._sending_one(event))

    def send_many(self, events: Sendable | Iterable[Sendable]) -> list[str]:
        """Send events.

        They go out in requests of at most 5,000 events and 512 KiB of JSON, one after the other, each tried as in
        ``send``. An event that is larger goes alone, and the server decides.

        Args:
            events: The events, each as in ``send``; a single one will do.

        Returns:
            The events' IDs, in the order of the events.

        Raises:
            ConfigurationError: There is no event key.
            EventValidationError: One of them cannot be sent; none was.
            SendEventsError: Not all were accepted; its ``ids`` has the IDs of those that were.

        Source: docs/protocol.md, section 9.
        """
        return self._drive(self._sending(events))

    async def send_many_async(self, events: Sendable | Iterable[Sendable]) -> list[str]:
        """As ``send_many``, in async code."""
        return await self._drive_async(self._sending(events))

    def send_signal(self, signal: str, data: Any = None) -> str | None:
        """Send a signal to the run that waits for it.

        It is tried again as in ``send``. If only the reply to the first try was lost, the run waits no more, and the
        result is None.

        Args:
            signal: The signal's name, which is unique among the waiting runs.
            data: What goes with it: a JSON value.

        Returns:
            The ID of the run that got it, or None if no run waits for it.

        Raises:
            ConfigurationError: There is no signing key, or it is not hexadecimal.
            EventValidationError: It has no name, or JSON cannot hold the data.
            SendEventsError: It was not accepted.

        Source: docs/protocol.md, sections 6 and 9.
        """
        return self._drive(self._signalling(signal, data))

    async def send_signal_async(self, signal: str, data: Any = None) -> str | None:
        """As ``send_signal``, in async code."""
        return await self._drive_async(self._signalling(signal, data))

    def _sending_one(self, event: Sendable) -> Sending[str]:
        if not isinstance(event, (Event, Mapping)):
            raise ConfigurationError(
                f"{type(event).__name__} is not an event: write Event('app/thing.happened', data={{...}}), "
                "or use send_many to send several"
            )
        [event_id] = yield from self._sending(event)
        return event_id

    def _sending(self, events: Any) -> Sending[list[str]]:
        return self._sending_with(events, make_hooks(self._middleware), None)

    def _sending_with(self, events: Any, hooks: Hooks | None, seed: tuple[int, str] | None) -> Sending[list[str]]:
        # An event key that was given is not looked for in a secret.
        renew = self._renew if self._settings.event_key is None else None
        return sending(self._settings, events, self._now(), self._draw, hooks=hooks, seed=seed, renew=renew)

    def _signalling(self, signal: str, data: Any) -> Sending[str | None]:
        renew = self._renew if self._settings.signing_key is None else None
        return signalling(self._settings, self._keys, signal, data, self._now(), self._draw, renew)

    def deliver(self, events: Any, hooks: Hooks | None, seed: tuple[int, str]) -> list[str]:
        """As ``send_many``, for a step: with the middleware of its call, and taken once however often it is sent."""
        return self._drive(self._sending_with(events, hooks, seed))

    async def deliver_async(self, events: Any, hooks: Hooks | None, seed: tuple[int, str]) -> list[str]:
        """As ``deliver``, in async code."""
        return await self._drive_async(self._sending_with(events, hooks, seed))

    def prepare(self) -> None:
        """Read the event key now, if it is in a secret; what goes wrong is left for the first call to tell."""
        if self._secret is not None and self._settings.event_key is None:
            self._secret.fetch_early()

    def _drive(self, steps: Sending[T]) -> T:
        return drive(steps, self._transport.send, run=refuse_awaitable, pause=self._pause)

    async def _drive_async(self, steps: Sending[T]) -> T:
        return await drive_async(steps, self._transport.send_async, run=await_hook, pause=self._pause_async)


def _find_secret(settings: Settings) -> KeySecret | None:
    if not os.environ.get(SECRET_ARN):
        return None
    from inngest_serverless.secret_keys import find_secret

    return find_secret(os.environ, settings)


async def await_hook(awaitable: Any) -> Any:
    """Await what a hook of a middleware returned."""
    return await awaitable


@cache
def _default() -> Client:
    return Client()


def send(event: Sendable) -> str:
    """Send an event, with a client that is set up by the environment; as ``Client.send``."""
    return _default().send(event)


async def send_async(event: Sendable) -> str:
    """As ``send``, in async code."""
    return await _default().send_async(event)


def send_many(events: Iterable[Sendable]) -> list[str]:
    """Send events, with a client that is set up by the environment; as ``Client.send_many``."""
    return _default().send_many(events)


async def send_many_async(events: Iterable[Sendable]) -> list[str]:
    """As ``send_many``, in async code."""
    return await _default().send_many_async(events)


def is_dev() -> bool:
    """Whether INNGEST_DEV says that this program works with a dev server.

    Source: docs/protocol.md, section 10.
    """
    return Settings.for_client(os.environ).is_dev


def dev_server_url() -> str:
    """The origin of the dev server: the one in INNGEST_DEV, or ``"http://127.0.0.1:8288"``.

    Source: docs/protocol.md, section 10.
    """
    return dev_server(os.environ)
