"""A small Inngest for development and tests: it calls functions step by step over the protocol, on a virtual clock.

Production runs on Inngest Cloud or a self-hosted Inngest, never on this.

Source: docs/protocol.md, sections 2, 4 and 5.
"""

from __future__ import annotations

import json
import random
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from inngest_serverless.durations import parse_duration
from inngest_serverless.errors import InngestError
from inngest_serverless.local.agenda import Agenda
from inngest_serverless.local.calls import (
    BACKOFF_JITTER_MS,
    backoff_ms,
    call_body,
    call_headers,
    call_url,
    retry_after_ms,
    wake_ms,
)
from inngest_serverless.local.conditions import holds
from inngest_serverless.local.runs import Moment, OpenStep, Registered, Run
from inngest_serverless.protocol.signing import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from inngest_serverless.local.gateway import HttpReply

    Endpoint = Callable[[str, str, Mapping[str, str], bytes], HttpReply]

__all__ = ["Engine", "EngineError"]

_INVOKE_TIMEOUT_MS = 366 * 24 * 3_600_000
_NANOS_PER_MS = 1_000_000
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RETURNED, _STEPS = 200, 206


class EngineError(InngestError):
    """The function answered something that the protocol does not know, or the run cannot go on."""


class Engine:
    """Takes events, calls functions, keeps their state.

    Args:
        endpoint: Sends a request to the app: method, URL, headers, body.
        signing_key: The key to sign requests with, or None for an app in dev mode.
        start_ms: What the clock says at first, in Unix milliseconds; the wall clock's time if not given.
        seed: For IDs and jitter: the same seed gives the same run.
        watch: Told of every moment of every run, as it happens.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        signing_key: str | None = None,
        start_ms: int | None = None,
        seed: int = 0,
        watch: Callable[[Run, Moment], None] | None = None,
    ) -> None:
        self.agenda = Agenda(int(time.time() * 1000) if start_ms is None else start_ms)
        self.functions: dict[str, Registered] = {}
        self.runs: list[Run] = []
        self._endpoint = endpoint
        self._key = SigningKey(signing_key) if signing_key else None
        self._random = random.Random(seed)  # noqa: S311 - determinism is the point
        self._watch = watch
        self._waits: list[tuple[Run, OpenStep]] = []
        self._ends: dict[str, Callable[[], None]] = {}
        self._inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def register(self, functions: Iterable[dict[str, Any]]) -> None:
        """Take the functions of a sync, in the wire's form."""
        self.functions = {document["id"]: Registered.from_json(document) for document in functions}

    def send(self, event: Mapping[str, Any]) -> list[Run]:
        """Take an event: start the functions it triggers and resume the runs that wait for it.

        Returns:
            The runs it started.
        """
        full = {"id": self._ulid(), "ts": self.agenda.now_ms, "data": {}, "user": {}, **event}
        self._resume_waits(full)
        return [self._start(function, [full]) for function in self.functions.values() if _triggers(function, full)]

    def post(self, events: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take events from another thread; they are sent as soon as the call that is under way has ended.

        Returns:
            Their IDs.
        """
        full = [{"id": self._ulid(), **event} for event in events]
        for event in full:
            self._inbox.put(event)
        return [event["id"] for event in full]

    def finish(self, run: Run) -> Run:
        """Go on until a run ends; time jumps from one due action to the next.

        Raises:
            EngineError: Nothing is due any more, but the run has not ended.
        """
        while run.status == "running":
            self._empty_inbox()
            if not self.agenda.do_next():
                waiting = ", ".join(repr(step.step) for step in run.open.values()) or "nothing"
                raise EngineError(f"run {run.id} of {run.function.id!r} cannot go on: it waits for {waiting}")
        return run

    def execute(self, event: Mapping[str, Any]) -> Run:
        """Send an event and follow the run that it starts to its end.

        Raises:
            EngineError: It starts no run, or the run cannot go on.
        """
        runs = self.send(event)
        if not runs:
            known = sorted({str(trigger.get("event")) for f in self.functions.values() for trigger in f.triggers})
            raise EngineError(f"event {event.get('name')!r} starts no function; they start on {', '.join(known)}")
        return self.finish(runs[0])

    def advance(self, duration: str) -> None:
        """Let time pass, e.g. ``"3d"``, and do what is due meanwhile."""
        self.agenda.advance_to(self.agenda.now_ms + parse_duration(duration) // _NANOS_PER_MS)

    def run_of(self, run_id: str) -> Run | None:
        """The run with an ID, or None."""
        return next((run for run in self.runs if run.id == run_id), None)

    def _empty_inbox(self) -> None:
        while not self._inbox.empty():
            self.send(self._inbox.get())

    def _start(self, function: Registered, events: list[dict[str, Any]]) -> Run:
        run = Run(self._ulid(), function, events)
        self.runs.append(run)
        self._note(run, "Started", detail=str(events[0]["name"]))
        self.agenda.after(0, lambda: self._call(run, "step", 0))
        return run

    def _call(self, run: Run, target: str, attempt: int) -> None:
        if run.status != "running" or (target != "step" and target not in run.open):
            return
        body = call_body(run, target, attempt, request_id=self._ulid())
        headers = call_headers(run, target, body, self._key)
        began = time.perf_counter()
        reply = self._endpoint("POST", call_url(run.function.url, target), headers, body)
        took_ms = (time.perf_counter() - began) * 1000
        run.calls += 1
        if reply.status == _STEPS:
            self._take_opcodes(run, reply, target, attempt, took_ms)
        elif reply.status == _RETURNED:
            self._end(run, "completed", json.loads(reply.body), took_ms=took_ms)
        else:
            self._take_failure(run, reply, target, attempt, took_ms)

    def _end(self, run: Run, status: str, value: Any, *, took_ms: float = 0.0) -> None:
        run.status = status
        run.open.clear()
        if status == "completed":
            run.output = value
            self._note(run, "Returned", took_ms=took_ms)
        else:
            run.error = value
            self._note(run, "Failed", detail=f"{value.get('name')}: {value.get('message')}", took_ms=took_ms)
            self.send({"name": "inngest/function.failed", "data": _failure_data(run)})
        if (ended := self._ends.pop(run.id, None)) is not None:
            ended()

    def _take_opcodes(self, run: Run, reply: HttpReply, target: str, attempt: int, took_ms: float) -> None:
        opcodes = json.loads(reply.body)
        before = (len(run.memos), len(run.open))
        for opcode in opcodes:
            step = OpenStep(opcode["id"], opcode["displayName"], opcode["op"], opcode.get("opts") or {})
            self._take_opcode(run, step, opcode, reply, target, attempt, took_ms)
        if not run.open and (len(run.memos), len(run.open)) == before and not _retries(opcodes):
            raise EngineError(f"run {run.id} of {run.function.id!r} makes no progress: the reply was {reply.body!r}")

    def _take_opcode(
        self,
        run: Run,
        step: OpenStep,
        opcode: dict[str, Any],
        reply: HttpReply,
        target: str,
        attempt: int,
        took_ms: float,
    ) -> None:
        if step.key in run.memos or (step.key in run.open and step.op not in {"StepRun", "StepError", "StepFailed"}):
            return
        error = opcode.get("error") or {}
        detail = f"{error.get('name')}: {error.get('message')}" if error else _detail(step)
        self._note(run, step.op, step=step.step, attempt=attempt, detail=detail, took_ms=took_ms)
        match step.op:
            case "StepRun":
                self._complete(run, step, {"data": opcode["data"]})
            case "StepError" if self._may_retry(run, reply, attempt):
                self.agenda.after(self._delay_ms(reply, attempt), lambda: self._call(run, target, attempt + 1))
            case "StepError" | "StepFailed":
                self._complete(run, step, {"error": error})
            case _:
                run.open[step.key] = step
                self._open(run, step)

    def _open(self, run: Run, step: OpenStep) -> None:
        match step.op:
            case "StepPlanned":
                self.agenda.after(0, lambda: self._call(run, step.key, 0))
            case "Sleep":
                self.agenda.after(
                    self._wake_ms(step.opts["duration"]), lambda: self._complete(run, step, None, kind="Woke")
                )
            case "WaitForEvent":
                self._waits.append((run, step))
                timeout = self._wake_ms(step.opts["timeout"])
                self.agenda.after(timeout, lambda: self._complete(run, step, None, kind="TimedOut"))
            case "InvokeFunction":
                self._invoke(run, step)
            case _:
                raise EngineError(f"the local engine does not know the opcode {step.op!r} of step {step.step!r}")

    def _complete(self, run: Run, step: OpenStep, memo: Any, *, kind: str = "") -> None:
        if run.status != "running" or step.key in run.memos:
            return
        run.open.pop(step.key, None)
        run.memos[step.key] = memo
        run.order.append(step.key)
        if kind:
            self._note(run, kind, step=step.step)
        if not run.open:
            self.agenda.after(0, lambda: self._call(run, "step", 0))

    def _take_failure(self, run: Run, reply: HttpReply, target: str, attempt: int, took_ms: float) -> None:
        try:
            error = json.loads(reply.body)
        except ValueError:
            error = {"name": "Error", "message": reply.body.decode(errors="replace")}
        if self._may_retry(run, reply, attempt):
            detail = f"{error.get('name')}: {error.get('message')}"
            self._note(run, "Retrying", attempt=attempt, detail=detail, took_ms=took_ms)
            self.agenda.after(self._delay_ms(reply, attempt), lambda: self._call(run, target, attempt + 1))
        else:
            self._end(run, "failed", error, took_ms=took_ms)

    def _may_retry(self, run: Run, reply: HttpReply, attempt: int) -> bool:
        return reply.headers.get("x-inngest-no-retry") != "true" and attempt + 1 < run.function.max_attempts

    def _delay_ms(self, reply: HttpReply, attempt: int) -> int:
        asked = retry_after_ms(reply)
        return backoff_ms(attempt) + self._random.randrange(BACKOFF_JITTER_MS) if asked is None else asked

    def _wake_ms(self, duration: str) -> int:
        return wake_ms(duration, self.agenda.now_ms)

    def _resume_waits(self, event: dict[str, Any]) -> None:
        for run, step in list(self._waits):
            if step.key in run.memos or run.status != "running":
                self._waits.remove((run, step))
            elif step.opts["event"] == event["name"] and holds(step.opts.get("if"), run.events[0], event):
                self._waits.remove((run, step))
                self._complete(run, step, event, kind="Received")

    def _invoke(self, run: Run, step: OpenStep) -> None:
        function = self.functions.get(step.opts["function_id"])
        if function is None:
            message = f"function {step.opts['function_id']!r} is not registered"
            self._complete(run, step, {"error": {"name": "FunctionNotFound", "message": message}}, kind="Invoked")
            return
        payload = step.opts["payload"]
        origin = {"correlation_id": f"{run.id}.{step.key}", "fn_id": function.id, "name": step.step}
        event = {
            "id": self._ulid(),
            "name": "inngest/function.invoked",
            "ts": self.agenda.now_ms,
            "user": payload.get("user") or {},
            "data": {**(payload.get("data") or {}), "_inngest": origin},
        }
        child = self._start(function, [event])
        self._ends[child.id] = lambda: self._complete(run, step, _invoke_memo(child), kind="Invoked")
        timeout = step.opts.get("timeout")
        delay = self._wake_ms(timeout) if timeout else _INVOKE_TIMEOUT_MS
        error = {"name": "InvokeTimeoutError", "message": f"{function.id} did not end within {timeout or '366d'}"}
        self.agenda.after(delay, lambda: self._complete(run, step, {"error": error}, kind="TimedOut"))

    def _note(
        self, run: Run, kind: str, *, step: str = "", attempt: int = 0, detail: str = "", took_ms: float = 0.0
    ) -> None:
        moment = Moment(self.agenda.now_ms, kind, step, attempt, detail, took_ms)
        run.timeline.append(moment)
        if self._watch is not None:
            self._watch(run, moment)

    def _ulid(self) -> str:
        number = (self.agenda.now_ms << 80) | self._random.getrandbits(80)
        return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _triggers(function: Registered, event: dict[str, Any]) -> bool:
    return any(
        trigger.get("event") == event["name"] and holds(trigger.get("expression"), event)
        for trigger in function.triggers
    )


def _retries(opcodes: list[dict[str, Any]]) -> bool:
    return any(opcode["op"] == "StepError" for opcode in opcodes)


def _detail(step: OpenStep) -> str:
    opts = step.opts
    return str(opts.get("duration") or opts.get("event") or opts.get("function_id") or "")


def _invoke_memo(child: Run) -> dict[str, Any]:
    return {"error": child.error} if child.status == "failed" else {"data": child.output}


def _failure_data(run: Run) -> dict[str, Any]:
    return {
        "function_id": run.function.id,
        "run_id": run.id,
        "error": run.error,
        "event": run.events[0],
        "events": run.events,
    }
