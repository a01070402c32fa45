"""The protocol of AWS Lambda durable functions: the state in the event, results by calls to AWS while it runs.

Those calls are answered in memory, by the contender's module, which adds what it was sent to the reply.
See https://docs.aws.amazon.com/lambda/latest/api/API_CheckpointDurableExecution.html
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calls import Case

__all__ = ["ONE_STEP_A_CALL", "expected", "make_event", "reported"]

ONE_STEP_A_CALL = False

_EXECUTION = "01BENCHRUN"
_AT = 1_795_308_508_994  # milliseconds


def make_event(case: Case, function: str) -> dict[str, Any] | None:
    """A call as Lambda makes it, with the whole state in it; None for signed ones: AWS vouches for its own calls.

    Args:
        case: The kind of call.
        function: The function's name.
    """
    if case.signed:
        return None
    execution = {
        "Id": _EXECUTION,
        "Type": "EXECUTION",
        "Status": "STARTED",
        "StartTimestamp": _AT,
        "ExecutionDetails": {"InputPayload": json.dumps(case.input)},
    }
    result = _serialized(case.memo)
    steps = [
        {
            "Id": _operation_id(number + 1),
            "Type": "STEP",
            "SubType": "Step",
            "Name": step,
            "Status": "SUCCEEDED",
            "StartTimestamp": _AT,
            "EndTimestamp": _AT,
            "StepDetails": {"Attempt": 1, "Result": result},
        }
        for number, step in enumerate(case.done)
    ]
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function}:1/durable-execution/bench/{_EXECUTION}"
    return {
        "DurableExecutionArn": arn,
        "CheckpointToken": "token",
        "InitialExecutionState": {"Operations": [execution, *steps]},
    }


def expected(case: Case) -> list[Any]:
    """How the execution ended, and what was stored: the start of each new step and its result."""
    lines = [["START", step, None] for step in case.left] + [["SUCCEED", step, "0"] for step in case.left]
    # A map starts and ends a context for itself and for each item.
    contexts = [case.parallel + 1] * 2 if case.parallel else [0, 0]
    return ["SUCCEEDED", str(case.parallel), contexts, *sorted(lines)]


def reported(reply: dict[str, Any]) -> list[Any]:
    """The same of a reply. Parallel steps are stored in any order."""
    steps = [update for update in reply["checkpoints"] if update["Type"] == "STEP"]
    others = [f"{update['Type']} {update['Action']}" for update in reply["checkpoints"] if update["Type"] != "STEP"]
    contexts = [others.count("CONTEXT START"), others.count("CONTEXT SUCCEED")]
    lines = [[update["Action"], update["Name"], update.get("Payload")] for update in steps]
    return [reply["Status"], reply.get("Result"), contexts, *sorted(lines)]


def _operation_id(place: int) -> str:
    """The ID that the SDK gives to the operation at a place, counted from 1."""
    return blake2b(str(place).encode()).hexdigest()[:64]


def _serialized(value: Any) -> str:
    """A result as the SDK keeps it: plain values as JSON, others with a type beside each value."""
    return json.dumps(_typed(value) if isinstance(value, (dict, list)) else value, separators=(",", ":"))


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"t": "m", "v": {key: _typed(item) for key, item in value.items()}}
    if isinstance(value, list):
        return {"t": "l", "v": [_typed(item) for item in value]}
    return {"t": {bool: "b", int: "i", str: "s"}[type(value)], "v": value}
