"""Inngest's protocol: Lambda function URL events, as its server sends them, and the opcodes that answer them."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import sha1, sha256
from typing import TYPE_CHECKING, Any

from calls import KEY

if TYPE_CHECKING:
    from calls import Case

__all__ = ["ONE_STEP_A_CALL", "expected", "make_event", "reported"]

ONE_STEP_A_CALL = True

_KEY_BYTES = KEY.removeprefix("signkey-test-").encode()
_DOMAIN = "bench.lambda-url.eu-west-1.on.aws"


def make_event(case: Case, function: str) -> dict[str, Any]:
    """A call as a function URL hands it over.

    Args:
        case: The kind of call.
        function: The function's ID within the app ``bench``.
    """
    body = _compact(_call(case))
    headers = {"content-type": "application/json", "host": _DOMAIN}
    if case.signed:
        at = str(int(time.time()))
        headers["x-inngest-signature"] = f"t={at}&s={_digest(body, at)}"
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
            "domainName": _DOMAIN,
            "http": http,
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1_795_308_508_994,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def expected(case: Case) -> list[Any]:
    """The status, whether the reply is signed, and the opcodes: what happened to which step, and its result.

    At the end of a run, the function's result.
    """
    if not case.new_steps:
        return [200, case.signed, 0]
    if case.parallel:
        return [206, case.signed, *(["StepPlanned", _hash(step), None] for step in case.new_steps)]
    return [206, case.signed, *(["StepRun", _hash(step), 0] for step in case.new_steps)]


def reported(reply: dict[str, Any]) -> list[Any]:
    """The same of a reply; a wrong signature counts as none."""
    status, body = reply["statusCode"], reply["body"]
    header = reply["headers"].get("x-inngest-signature", "")
    at = header.removeprefix("t=").partition("&")[0]
    # The server verifies the canonical form, which some send and some only sign.
    bodies = (body, _compact(json.loads(body)))
    is_signed = any(header == f"t={at}&s={_digest(text, at)}" for text in bodies)
    answer = json.loads(body)
    if status == 200:  # noqa: PLR2004 - the run has ended
        return [status, is_signed, answer]
    return [status, is_signed, *([opcode["op"], opcode["id"], opcode.get("data")] for opcode in answer)]


def _call(case: Case) -> dict[str, Any]:
    hashes = [_hash(step) for step in case.done]
    event = {"name": "bench/run", "data": case.input, "user": {}, "id": "01BENCH", "ts": 1_795_308_508_994}
    return {
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
        "steps": {key: {"data": case.memo} for key in hashes},
        "use_api": False,
        "version": 1,
    }


def _compact(data: Any) -> str:
    """JSON as the server sends it: as canonical as this data needs it."""
    return json.dumps(data, separators=(",", ":"), sort_keys=True)


def _digest(body: str, at: str) -> str:
    return hmac.new(_KEY_BYTES, body.encode() + at.encode(), sha256).hexdigest()


def _hash(step: str) -> str:
    return sha1(step.encode(), usedforsecurity=False).hexdigest()
