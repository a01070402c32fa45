"""Each recorded exchange, replayed through every adapter, in sync and in async code, has the recorded outcome.

Where docs/protocol.md ("This toolkit: ...") asks for a better reply than the recorded SDK's, ``DIFFERENCES`` says so; all
else must match.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import pytest
from adapters import SERVE_URL
from inngest_api import SIGNATURE, signature
from replies import Instant, Stack, check_compact, check_reply, check_signed, unpacked
from transcripts import NAMES, Exchange, Transcript, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapters import Caller
    from inngest_api import InngestApi, Received

    from inngest_serverless.local.gateway import HttpReply

APPS = {"sync": "recorded_app.handler", "async": "recorded_app_async.handler"}
_RETRY_HEADERS = ("x-inngest-no-retry", "retry-after")


@dataclass
class Outcome:
    """A reply, as far as it is compared: headers about retries, and the body as JSON."""

    status: int
    retry: dict[str, object]
    body: Any

    @property
    def opcodes(self) -> list[dict[str, Any]]:
        return self.body if self.status == 206 else []

    @property
    def errors(self) -> list[dict[str, Any]]:
        raised = [self.body] if self.status >= 400 else []
        return raised + [opcode["error"] for opcode in self.opcodes if "error" in opcode]


@dataclass(frozen=True)
class Replay:
    """The replay of one call: what was recorded, and when the call began and ended."""

    scenario: str
    began: float = 0
    ended: float = 0
    event_ts: int = 0

    def after(self, seconds: float) -> Instant:
        return Instant(self.began + seconds, self.ended + seconds)


# What differs, each a function that makes the recorded outcome into the one that is right. It returns whether it applied.


def _tool(outcome: Outcome, replay: Replay) -> bool:
    tool = "step.sendEvent" if replay.scenario == "send-event" else "step.run"
    steps = [opcode for opcode in outcome.opcodes if opcode["op"].startswith("Step")]
    for opcode in steps:
        opcode["opts"] = {"type": tool}
    return bool(steps)


def _no_error_code(outcome: Outcome, _: Replay) -> bool:
    return bool([error.pop("code") for error in outcome.errors if "code" in error])


def _own_stack(outcome: Outcome, _: Replay) -> bool:
    for error in outcome.errors:
        error["stack"] = Stack()
    return bool(outcome.errors)


def _sleep_by_duration(outcome: Outcome, replay: Replay) -> bool:
    durations = {"nap": "1s", "long": "60s", "until": replay.after(2)}
    sleeps = [opcode for opcode in outcome.opcodes if opcode["op"] == "Sleep"]
    for opcode in sleeps:
        opcode |= {"name": opcode["displayName"], "opts": {"duration": durations[opcode["displayName"]]}}
    return bool(sleeps)


def _event_in_opts(outcome: Outcome, _: Replay) -> bool:
    waits = [opcode for opcode in outcome.opcodes if opcode["op"] == "WaitForEvent"]
    for opcode in waits:
        opcode["opts"]["event"] = opcode["name"]
        opcode["name"] = opcode["displayName"]
    return bool(waits)


def _no_nulls_in_invoke(outcome: Outcome, _: Replay) -> bool:
    invokes = [opcode for opcode in outcome.opcodes if opcode["op"] == "InvokeFunction"]
    for opcode in invokes:
        opcode["opts"] = _without_nulls(opcode["opts"])
    return bool(invokes)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def _non_retriable_step(outcome: Outcome, replay: Replay) -> bool:
    if replay.scenario != "step-non-retriable":
        return False
    outcome.status, outcome.body = 206, [_step_opcode("StepFailed", "nr", outcome.body)]
    return True


def _retry_after_step(outcome: Outcome, replay: Replay) -> bool:
    if replay.scenario != "step-retry" or outcome.status != 500:
        return False
    outcome.status, outcome.body = 206, [_step_opcode("StepError", "flaky", outcome.body)]
    return True


def _step_opcode(op: str, name: str, error: dict[str, Any]) -> dict[str, Any]:
    labels = {"name": name, "displayName": name, "userland": {"id": name, "index": None}}
    return {
        "op": op,
        "id": sha1(name.encode(), usedforsecurity=False).hexdigest(),
        **labels,
        "data": None,
        "error": error,
    }


def _non_retriable_function(outcome: Outcome, _: Replay) -> bool:
    applies = outcome.status == 500 and outcome.retry.get("x-inngest-no-retry") == "true"
    if applies:
        outcome.status = 400
    return applies


def _says_whether_to_retry(outcome: Outcome, _: Replay) -> bool:
    applies = bool(outcome.errors) and "x-inngest-no-retry" not in outcome.retry
    if applies:
        final = any(opcode["op"] == "StepFailed" for opcode in outcome.opcodes)
        outcome.retry["x-inngest-no-retry"] = "true" if final else "false"
    return applies


def _present_retry_after(outcome: Outcome, replay: Replay) -> bool:
    applies = "retry-after" in outcome.retry
    if applies:
        outcome.retry["retry-after"] = replay.after(1)
    return applies


DIFFERENCES: list[tuple[str, Callable[[Outcome, Replay], bool]]] = [
    ("a non-retriable error of a step is StepFailed, which the function can catch", _non_retriable_step),
    ("a retry-after error of a step is StepError: a retry of the step, not of the function", _retry_after_step),
    ("a non-retriable error of the function is a 400; the server obeys the header either way", _non_retriable_function),
    ("every error says whether to retry, in X-Inngest-No-Retry", _says_whether_to_retry),
    ("Retry-After is an instant, which depends on the present time", _present_retry_after),
    ("opts.type names the tool for the server's UI", _tool),
    (
        "a sleep sends the user's own duration in opts, not an instant in name that differs on each replay",
        _sleep_by_duration,
    ),
    ("the awaited event is named in opts.event, and name stays the step's", _event_in_opts),
    ("an invocation leaves out what was not given", _no_nulls_in_invoke),
    ("error.code is the recorded SDK's own: the protocol has {name, message, stack}", _no_error_code),
    ("the stack trace shows the code of this suite's app", _own_stack),
]
DIFFERENCES_OF_REQUESTS = {
    "x-inngest-req-version": "it tells what replies look like; requests to the API do without",
    "authorization": "the recorded SDK drops the key's prefix; the hash behind it is the recorded one",
    "/e/{key}": "in dev mode without an event key any placeholder will do",
    "ts, x-inngest-event-id-seed": "they depend on the present time",
}


def test_each_difference_is_one() -> None:
    """An entry that applies to no recorded reply any more is to be deleted."""
    applied = set()
    for name in NAMES:
        transcript = load(name)
        for call in transcript.calls:
            outcome, replay = _outcome(call.status, call.reply_headers, call.reply_body), Replay(transcript.scenario)
            applied |= {reason for reason, amend in DIFFERENCES if amend(outcome, replay)}
    assert applied == {reason for reason, _ in DIFFERENCES}


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("name", NAMES)
def test_replay(name: str, app: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    transcript = load(name)
    caller = serve(APPS[app], **_settings(transcript))
    for call in transcript.calls:
        api.reset()
        for request in call.requests:
            api.reply(request.method, _pattern(request.path), request.status, request.reply_body)
        reply, replay = _replay(caller, call, transcript)
        check_reply(reply, caller, "cloud" if transcript.signing_key else "dev")
        if transcript.signing_key:
            check_signed(reply, caller, transcript.signing_key)
        assert _outcome(reply.status, reply.headers, reply.body) == _expected(call, replay)
        _check_requests(api.received, call, replay)


def _settings(transcript: Transcript) -> dict[str, str]:
    if transcript.signing_key is None:
        return {"INNGEST_DEV": "1"}
    return {"INNGEST_SIGNING_KEY": transcript.signing_key, "INNGEST_EVENT_KEY": "evtkey0123456789"}


def _replay(caller: Caller, call: Exchange, transcript: Transcript) -> tuple[HttpReply, Replay]:
    """Send the call as it was recorded, at the time of its signature; a real runtime, whose clock is real, a new one."""
    headers, body = dict(call.headers), call.body.encode()
    if transcript.signing_key:
        caller.set_time(int(headers[SIGNATURE].removeprefix("t=").partition("&")[0]))
        if caller.adapter.is_real:
            headers[SIGNATURE] = signature(body, caller.now(), transcript.signing_key)
    # The server's HTTP client says so of itself, and unpacks; recordings have only what the server says.
    headers["Accept-Encoding"] = "gzip"
    began = caller.now()
    reply = caller(call.method, SERVE_URL.removesuffix("/api/inngest") + call.path, headers, body)
    event_ts = json.loads(call.body)["event"]["ts"]
    return unpacked(reply), Replay(transcript.scenario, began, caller.now(), event_ts)


def _outcome(status: int, headers: Mapping[str, str], body: str | bytes) -> Outcome:
    return Outcome(status, {name: headers[name] for name in _RETRY_HEADERS if name in headers}, json.loads(body))


def _expected(call: Exchange, replay: Replay) -> Outcome:
    outcome = _outcome(call.status, call.reply_headers, call.reply_body)
    for _, amend in DIFFERENCES:
        amend(outcome, replay)
    return outcome


def _check_requests(received: list[Received], call: Exchange, replay: Replay) -> None:
    expected = [(request.method, _pattern(request.path)) for request in call.requests]
    assert [request.method for request in received] == [method for method, _ in expected]
    for ours, recorded in zip(received, call.requests, strict=True):
        assert fnmatchcase(ours.path, _pattern(recorded.path))
        assert ours.headers["content-type"] == recorded.headers["content-type"]
        assert ours.headers.get("authorization") == _with_prefix(recorded.headers.get("authorization"))
        assert ours.headers["x-inngest-sdk"].startswith("inngest-serverless:v")
        if recorded.method == "POST":
            _check_sent_events(ours, json.loads(recorded.body), replay)
        else:
            assert ours.body == b""


def _check_sent_events(ours: Received, recorded: list[dict[str, Any]], replay: Replay) -> None:
    check_compact(ours.body)
    millis, _, entropy = ours.headers["x-inngest-event-id-seed"].partition(",")
    assert len(b64decode(entropy, validate=True)) == 10
    events = ours.json
    assert int(millis) == replay.event_ts, "the seed must be the same however often the step is tried"
    times = [event.pop("ts") for event in events]
    assert all(int(replay.began * 1000) <= time <= replay.ended * 1000 for time in times), times
    assert events == [{key: value for key, value in event.items() if key != "ts"} for event in recorded]


def _pattern(path: str) -> str:
    return "/e/*" if path == "/e/NO_EVENT_KEY_SET" else path


def _with_prefix(authorization: str | None) -> str | None:
    return authorization and authorization.replace("Bearer ", "Bearer signkey-test-")
