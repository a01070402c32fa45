"""The calls that are measured: Lambda function URL events, as Inngest's server sends them.

Every contender that speaks Inngest's protocol gets the same ones. ``expected`` is what each of them has to answer.
"""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any

__all__ = ["CASES", "KEY", "Case", "expected", "function_url_event", "reported"]

KEY = "signkey-test-" + "ab" * 32
_KEY_TEXT = KEY.removeprefix("signkey-test-").encode()


@dataclass(frozen=True)
class Case:
    """A kind of call.

    Attributes:
        title: What it is called in tables.
        memoized: How many steps have been done.
        parallel: How many new steps there are beside one another; 0 for a single one, which is run.
        memo_bytes: The size of each result; 0 for a small number.
        signed: Whether the call is signed.
    """

    title: str
    memoized: int = 0
    parallel: int = 0
    memo_bytes: int = 0
    signed: bool = False


CASES: dict[str, Case] = {
    "0": Case("no memoized steps"),
    "100": Case("100 memoized steps", memoized=100),
    "1000": Case("1,000 memoized steps", memoized=1_000),
    "parallel": Case("1,000 parallel steps found", parallel=1_000),
    "big": Case("4 MB of state in 1,000 steps", memoized=1_000, memo_bytes=4_096),
    "big-signed": Case("the same, signed", memoized=1_000, memo_bytes=4_096, signed=True),
}


def function_url_event(case: Case, function: str) -> dict[str, Any]:
    """A call as a function URL hands it over.

    Args:
        case: The kind of call.
        function: The function's ID within the app ``bench``.
    """
    hashes = [_hash(f"step-{number}") for number in range(case.memoized)]
    result: Any = "x" * case.memo_bytes if case.memo_bytes else 1
    data = {"count": case.memoized, "parallel": case.parallel}
    event = {"name": "bench/run", "data": data, "user": {}, "id": "01BENCH", "ts": 1_795_308_508_994}
    call = {
        "ctx": {
            "attempt": 0,
            "disable_immediate_execution": False,
            "env": "",
            "fn_id": "4f8f8a5e-0000-5000-8000-000000000000",
            "max_attempts": 4,
            "run_id": "01BENCHRUN",
            "stack": {"current": len(hashes), "stack": hashes},
            "step_id": "step",
            "use_api": False,
        },
        "event": event,
        "events": [event],
        "steps": {key: {"data": result} for key in hashes},
        "use_api": False,
        "version": 1,
    }
    body = json.dumps(call, separators=(",", ":"), sort_keys=True)  # as canonical as this data needs it
    headers = {"content-type": "application/json", "host": "bench.lambda-url.eu-west-1.on.aws"}
    if case.signed:
        at = str(int(time.time()))
        digest = hmac.new(_KEY_TEXT, body.encode() + at.encode(), sha256).hexdigest()
        headers["x-inngest-signature"] = f"t={at}&s={digest}"
    http = {"method": "POST", "path": "/api/inngest", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "b"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/api/inngest",
        "rawQueryString": f"fnId=bench-{function}&stepId=step",
        "queryStringParameters": {"fnId": f"bench-{function}", "stepId": "step"},
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "bench",
            "domainName": "bench.lambda-url.eu-west-1.on.aws",
            "http": http,
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1_795_308_508_994,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def expected(case: Case) -> list[list[str]]:
    """What has to be reported: pairs of opcode and hash."""
    if case.parallel:
        return [["StepPlanned", _hash(f"new-{number}")] for number in range(case.parallel)]
    return [["StepRun", _hash("new")]]


def reported(reply: dict[str, Any]) -> list[list[str]]:
    """What a reply reports."""
    opcodes = json.loads(reply["body"]) if reply.get("statusCode") == 206 else []  # noqa: PLR2004 - steps reported
    # Others call a step that has run "Step".
    return [[{"Step": "StepRun"}.get(opcode["op"], opcode["op"]), opcode["id"]] for opcode in opcodes]


def _hash(step: str) -> str:
    return sha1(step.encode(), usedforsecurity=False).hexdigest()
