"""Makes the local engine's calls: when there is room, with what is known by then."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from inngest_serverless.local.calls import Answer, call_body, call_headers, call_url
from inngest_serverless.local.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.local.agenda import Agenda
    from inngest_serverless.local.calls import Call
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.ids import Ids
    from inngest_serverless.local.runs import Registered
    from inngest_serverless.protocol.signing import SigningKey

    Carry = Callable[[Callable[[], Answer], Callable[[Future[Answer]], None], int], None]

__all__ = ["Caller"]


class _Engine(Protocol):
    """What a call depends on."""

    agenda: Agenda
    key: SigningKey | None
    has_api: bool

    @property
    def functions(self) -> dict[str, Registered]: ...


class Caller:
    """Makes calls.

    Args:
        engine: Whose calls they are.
        endpoint: Sends a request to the app.
        ids: Where IDs come from.
        latency: How long a call takes on the engine's clock, in milliseconds; no time if not given.
        carry: Does some work, and hands over its result after so many milliseconds.

    Attributes:
        begins: Asked when the turn of a call has come: whether it is still to be made.
    """

    def __init__(
        self, engine: _Engine, endpoint: Endpoint, ids: Ids, latency: Callable[[Call], int] | None, carry: Carry
    ) -> None:
        self.begins: Callable[[Call], bool] = lambda call: call.is_wanted
        self._engine = engine
        self._endpoint = endpoint
        self._ids = ids
        self._latency = latency
        self._carry = carry
        self._lanes = Lanes()

    def exchange(self, call: Call, then: Callable[[Future[Answer]], None]) -> None:
        """Make a call when there is room for it, and hand over what was answered."""
        self._lanes.enter(call.run, self._engine.agenda.now_ms, lambda: self._make(call, then))

    def rearrange(self) -> None:
        """The lanes of runs have changed, for the calls that wait for room as well."""
        self._lanes.rearrange()

    def _make(self, call: Call, then: Callable[[Future[Answer]], None]) -> None:
        room = call.run.lanes  # a sync may give the run others, before the call has ended
        if not self.begins(call):
            self._lanes.leave(room)
            return
        try:
            url, headers, body = self._request(call)
        except Exception as error:  # noqa: BLE001 - whoever takes it raises it again
            failed: Future[Any] = Future()
            failed.set_exception(error)
            self._lanes.leave(room)
            then(failed)
            return
        at_ms = self._engine.agenda.now_ms

        def work() -> Answer:
            began = time.perf_counter()
            reply = self._endpoint("POST", url, headers, body)
            return Answer(reply, at_ms, (time.perf_counter() - began) * 1000)

        def take(answered: Future[Any]) -> None:
            self._lanes.leave(room)
            then(answered)

        self._carry(work, take, 0 if self._latency is None else self._latency(call))

    def _request(self, call: Call) -> tuple[str, dict[str, str], bytes]:
        engine, request_id = self._engine, self._ids.ulid(self._engine.agenda.now_ms)
        body = call_body(call, request_id=request_id, has_api=engine.has_api)
        headers = call_headers(call, body, request_id=request_id, span_id=self._ids.span(), key=engine.key)
        # A sync during the run may have moved the app.
        function = engine.functions.get(call.run.function.id, call.run.function)
        return call_url(function.url, call.target), headers, body
