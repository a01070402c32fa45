"""The least standard-library handler that answers the benchmark's calls correctly: what any library is measured by."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY = os.environ.get("INNGEST_SIGNING_KEY", "").removeprefix("signkey-test-").encode()
HEADERS = {
    "content-type": "application/json",
    "x-inngest-sdk": "floor:v0.0.0",
    "x-inngest-req-version": "2",
    "x-inngest-framework": "aws-lambda",
}
TOLERANCE_SECONDS = 300


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one call of a function URL: run the next step, report the parallel ones, or end the run."""
    raw = event["body"].encode()
    headers = dict(HEADERS)
    if KEY:
        signature = dict(part.split("=") for part in event["headers"]["x-inngest-signature"].split("&"))
        expected = hmac.new(KEY, raw + signature["t"].encode(), hashlib.sha256).hexdigest()
        if (
            not hmac.compare_digest(expected, signature["s"])
            or abs(time.time() - int(signature["t"])) > TOLERANCE_SECONDS
        ):
            return {"statusCode": 401, "headers": headers, "body": "{}"}
    call = json.loads(raw)
    steps, data = call["steps"], call["event"]["data"]
    done, count, status = len(steps), data["count"], 206
    results = [steps[step_key(f"step-{number}")]["data"] for number in range(min(done, count))]
    if data.get("parallel"):
        answer = [opcode("StepPlanned", f"new-{number}", None) for number in range(data["parallel"])]
    elif done > count:
        status, answer = 200, steps[step_key("new")]["data"]
    else:
        answer = [opcode("StepRun", "new" if done == count else f"step-{done}", results.count(None))]
    body = json.dumps(answer, separators=(",", ":"))
    if KEY:
        now = str(int(time.time()))
        digest = hmac.new(KEY, body.encode() + now.encode(), hashlib.sha256).hexdigest()
        headers["x-inngest-signature"] = f"t={now}&s={digest}"
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}


def step_key(step: str) -> str:
    """The step's hash."""
    return hashlib.sha1(step.encode(), usedforsecurity=False).hexdigest()


def opcode(op: str, step: str, data: object) -> dict[str, Any]:
    """What is reported of a step."""
    return {
        "op": op,
        "id": step_key(step),
        "name": step,
        "displayName": step,
        "opts": {"type": "step.run"},
        "data": data,
        "userland": {"id": step, "index": 0},
    }
