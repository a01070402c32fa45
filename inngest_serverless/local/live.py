"""The local engine on the wall clock, for the development server: it moves by itself, and calls run at once."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar

from inngest_serverless.clock import now_millis
from inngest_serverless.errors import InngestError
from inngest_serverless.local.core import EngineCore
from inngest_serverless.local.gateway import HttpReply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from inngest_serverless.local.calls import Call
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.runs import Moment, Run

__all__ = ["LiveEngine"]

_logger = logging.getLogger(__name__)

# How long the engine sleeps at most: the wall clock may be set while it does.
_LONGEST_SECONDS = 1.0
_BAD_GATEWAY = 502

T = TypeVar("T")


class LiveEngine(EngineCore):
    """An engine that lives in a thread of its own, as a context manager.

    Take ``post``, ``signal``, ``cancel``, ``rerun`` and ``invoke`` to tell it anything from other threads. An app that
    cannot be reached is a failed call, which is tried again.

    Args:
        endpoint: As for ``EngineCore``; several threads use it at once.
        threads: How many calls, and requests for functions, run at once.
        watch: As for ``EngineCore``; what it raises is logged, and does the run no harm.
        unclaimed: Told of an event that nobody takes, and why, in a line.
        **options: As for ``EngineCore``, but for the clock and the latency.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        threads: int = 32,
        watch: Callable[[Run, Moment], None] | None = None,
        unclaimed: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        watching = None if watch is None else _harmless(watch)
        super().__init__(_tolerant(endpoint), start_ms=now_millis(), crons=True, watch=watching, **options)
        self._tell_unclaimed = unclaimed
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inngest-call")
        self._stopping = Event()
        self._thread = Thread(target=self._live, name="inngest-engine", daemon=True)

    def __enter__(self) -> Self:
        """Begin to live."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; calls that are under way are waited for, and their replies count for nothing."""
        self._stopping.set()
        self._inbox.put(lambda: None)
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _live(self) -> None:
        while not self._stopping.is_set():
            self._catch_up()
            try:
                action = self._inbox.get(timeout=self._rest_seconds())
            except Empty:
                continue
            self._catch_up()
            _guarded(action)

    def _catch_up(self) -> None:
        """Do what is due by now."""
        wall_ms = now_millis()
        while self.agenda.next_ms is not None and self.agenda.next_ms <= wall_ms:
            _guarded(lambda: self.agenda.do_next(wall_ms))
        self.agenda.skip_to(wall_ms)

    def _rest_seconds(self) -> float:
        due_ms = self.agenda.next_ms
        return _LONGEST_SECONDS if due_ms is None else min(max((due_ms - now_millis()) / 1000, 0.0), _LONGEST_SECONDS)

    def now_ms(self) -> int:
        """The wall clock's time, in Unix milliseconds, for any thread."""
        return now_millis()

    def _carry(self, work: Callable[[], T], then: Callable[[Future[T]], None], delay_ms: int = 0) -> None:
        del delay_ms  # time passes by itself
        future = self._pool.submit(work)
        future.add_done_callback(lambda done: self._inbox.put(lambda: then(done)))

    def _unclaimed(self, event: dict[str, Any]) -> None:
        # What the server itself sends is mostly for nobody.
        if self._tell_unclaimed is not None and not event["name"].startswith("inngest/"):
            self._tell_unclaimed(f"event {event['name']!r} starts no function: {self.why_unclaimed(event)}")

    def _broken(self, call: Call, error: Exception) -> None:
        """A run cannot go on: it fails, and says why."""
        run = call.run
        if not (isinstance(error, InngestError) and run.is_active):
            # It is nothing that the app has done, or nobody would hear of it: the run has ended.
            _logger.error(
                "the local engine could not do something for run %s of %r; it goes on",
                run.id,
                run.function.id,
                exc_info=error,
            )
        self._runner.fail(call, {"name": type(error).__name__, "message": str(error)})


def _guarded(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:
        _logger.exception("the local engine could not do something; it goes on")


def _harmless(watch: Callable[[Run, Moment], None]) -> Callable[[Run, Moment], None]:
    def tell(run: Run, moment: Moment) -> None:
        _guarded(lambda: watch(run, moment))

    return tell


def _tolerant(endpoint: Endpoint) -> Endpoint:
    """An endpoint that answers for an app that cannot be reached, as a gateway would."""

    def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        try:
            return endpoint(method, url, headers, body)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the app, the engine goes on
            return HttpReply(_BAD_GATEWAY, {}, f"no reply: {type(error).__name__}: {error}".encode())

    return exchange
