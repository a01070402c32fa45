"""The way between the engine and the app, where calls are answered in an app's place, lost, and delivered twice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from inngest_serverless.local.calls import UNTARGETED
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.protocol.opcodes import STEP_ERROR, STEP_FAILED, STEP_PLANNED, STEP_RUN
from inngest_serverless.testing.faults import At
from inngest_serverless.testing.held_logs import held, let_go
from inngest_serverless.testing.mocks import finished_op

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.testing.faults import Faults
    from inngest_serverless.testing.held_logs import Held
    from inngest_serverless.testing.mocks import Mocks

__all__ = ["Wire", "WireCall"]

_STEPS, _BAD_GATEWAY = 206, 502
_BODIES = frozenset({STEP_RUN, STEP_ERROR, STEP_FAILED})


@dataclass(frozen=True, slots=True)
class WireCall:
    """A call, as it is sent.

    Attributes:
        url: Where to.
        headers: Its headers.
        document: Its body, read.
        target: ``UNTARGETED``, or the hash of the only step to run.
    """

    url: str
    headers: Mapping[str, str]
    document: dict[str, Any]
    target: str

    @classmethod
    def read(cls, url: str, headers: Mapping[str, str], body: bytes) -> WireCall:
        """A call from its request."""
        return cls(url, headers, json.loads(body), parse_qs(urlsplit(url).query)["stepId"][0])

    @property
    def run_id(self) -> str:
        """The run that it is for."""
        return str(self.document["ctx"]["run_id"])

    @property
    def function_id(self) -> str:
        """The composite ID of the function."""
        return parse_qs(urlsplit(self.url).query)["fnId"][0]

    def to_json(self) -> dict[str, Any]:
        """Its JSON object, of which ``WireCall(**...)`` makes it again."""
        return {"url": self.url, "headers": dict(self.headers), "document": self.document, "target": self.target}

    @property
    def may_run(self) -> bool:
        """Whether it may run a step that it does not name."""
        return self.target == UNTARGETED and not self.document["ctx"]["disable_immediate_execution"]

    @property
    def is_last_try(self) -> bool:
        """Whether it is not made again if it fails."""
        ctx = self.document["ctx"]
        return bool(ctx["attempt"] + 1 >= ctx["max_attempts"])

    def preview(self) -> bytes:
        """The body of the same call, which runs no step but tells which one it would run."""
        ctx = {**self.document["ctx"], "disable_immediate_execution": True}
        return json.dumps({**self.document, "ctx": ctx}).encode()


@dataclass(frozen=True, slots=True)
class _Planned:
    """A step with a body that is to run: its opcode, and the headers of the reply that planned it."""

    op: dict[str, Any]
    headers: dict[str, str]

    @property
    def step_id(self) -> str:
        return str(self.op["displayName"])


class _Ahead(NamedTuple):
    """What is known of a call before it is made.

    Attributes:
        planned: The step with a body that it is about to run, or None.
        reply: Its reply, if it runs none and is known; or None.
        records: What it has logged.
    """

    planned: _Planned | None = None
    reply: HttpReply | None = None
    records: Held | None = None


class Wire:
    """An endpoint in front of apps.

    Args:
        send: Sends a request to the app that is meant.
        mocks: The steps with bodies that are answered for here.
        faults: What goes wrong.
        watch: Sees every call before it is made, or None.
    """

    def __init__(
        self, send: Endpoint, mocks: Mocks, faults: Faults, watch: Callable[[WireCall], None] | None = None
    ) -> None:
        self._send = send
        self._mocks = mocks
        self._faults = faults
        self._watch = watch
        self._planned: dict[tuple[str, str], _Planned] = {}
        self._calls: Counter[str] = Counter()

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send a request, and give the reply that arrives."""
        if method != "POST":
            return self._send(method, url, headers, body)
        call = WireCall.read(url, headers, body)
        self._calls[call.run_id] += 1
        at = At(call.run_id, self._calls[call.run_id])
        if self._watch is not None:
            self._watch(call)
        self._faults.draw(is_last_try=call.is_last_try)
        ahead = self._look_ahead(call)
        steps = () if ahead.planned is None else (ahead.planned.step_id,)
        if self._faults.hits("kill_before", at, steps):
            let_go(ahead.records or [])
            return _lost("the invocation was killed before it ran", steps)
        mocked = None if ahead.planned is None else self._stand_in(ahead.planned)
        if mocked or ahead.reply:
            # Else the call itself says the same again.
            let_go(ahead.records or [])

        def make() -> HttpReply:
            return mocked or self._send(method, url, headers, body)

        return self._deliver(at, ahead.reply or make(), make)

    def _look_ahead(self, call: WireCall) -> _Ahead:
        if call.target != UNTARGETED:
            return _Ahead(self._planned.get((call.run_id, call.target)))
        if not call.may_run or not (self._mocks or self._faults.wants_preview):
            return _Ahead()
        with held() as records:
            reply = self._send("POST", call.url, call.headers, call.preview())
        ops = _ops(reply)
        if len(ops) == 1 and ops[0]["op"] == STEP_PLANNED:
            return _Ahead(_Planned(ops[0], reply.headers), None, records)
        return _Ahead(None, reply, records)

    def _stand_in(self, planned: _Planned) -> HttpReply | None:
        mock = self._mocks.find(str(planned.op["id"]), planned.step_id)
        if mock is None:
            return None
        return HttpReply(_STEPS, planned.headers, json.dumps([finished_op(planned.op, mock)]).encode())

    def _deliver(self, at: At, reply: HttpReply, again: Callable[[], HttpReply]) -> HttpReply:
        """What arrives of a reply."""
        faults, steps = self._faults, _told(reply)
        if faults.hits("duplicate", at, steps):
            reply = again()
        # A step without a body begins when it is reported.
        if faults.hits("kill_before", at, _told(reply, _BODIES)) or faults.hits("kill_after", at, steps):
            return _lost("the invocation was killed before it answered", steps)
        if faults.hits("drop_reply", at, steps):
            return _lost("the reply was lost", steps)
        for op in _ops(reply):
            if op["op"] == STEP_PLANNED:
                self._planned[at.run_id, op["id"]] = _Planned(op, reply.headers)
        return reply


def _ops(reply: HttpReply) -> list[dict[str, Any]]:
    if reply.status != _STEPS:
        return []
    ops: list[dict[str, Any]] = json.loads(reply.body)
    return ops


def _told(reply: HttpReply, but: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The IDs of the steps that a reply has more to tell of than that they are to be called for."""
    return tuple(str(op["displayName"]) for op in _ops(reply) if op["op"] not in {STEP_PLANNED, *but})


def _lost(what: str, steps: tuple[str, ...]) -> HttpReply:
    about = f" (step {', '.join(map(repr, steps))})" if steps else ""
    return HttpReply(_BAD_GATEWAY, {}, f"{what}{about}: a fault that the test asked for".encode())
