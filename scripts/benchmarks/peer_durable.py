"""The SDK of AWS Lambda durable functions, with a stand-in for the service that it calls."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution


class Checkpoints:
    """Takes what is stored during an invocation, at once and in memory.

    Attributes:
        updates: What has been stored.
    """

    def __init__(self) -> None:
        self.updates: list[Any] = []

    def checkpoint_durable_execution(self, *, Updates: list[Any], **_: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        """Store changes, as the method of boto3's client for Lambda."""
        self.updates += Updates
        return {"CheckpointToken": "token", "NewExecutionState": {"Operations": []}}


def function(data: dict[str, int], ctx: DurableContext) -> int:
    """As many steps as the input says, then new ones."""
    for number in range(data["count"]):
        ctx.step(lambda _: 0, name=f"step-{number}")
    if data["parallel"]:
        new = range(data["parallel"])
        return ctx.map(new, lambda child, number, *_: child.step(lambda _: 0, name=f"new-{number}")).success_count
    return ctx.step(lambda _: 0, name="new")


checkpoints: Any = Checkpoints()
durable_function = durable_execution(function, boto3_client=checkpoints)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one call; what was stored meanwhile is added to the reply, for the benchmark to see."""
    checkpoints.updates = []
    return {**durable_function(event, context), "checkpoints": checkpoints.updates}
