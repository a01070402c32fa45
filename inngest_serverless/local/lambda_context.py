"""The context object of Lambda's invocations, for handlers that are called in a process of this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["LambdaContext"]

_NAME = "local"


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context object of an invocation.

    Attributes:
        deadline: When its time is up, by ``time.monotonic``, in seconds.

    Source: AWS Lambda developer guide, "Using the Lambda context object".
    """

    deadline: float
    function_name: str = _NAME
    function_version: str = "$LATEST"
    invoked_function_arn: str = f"arn:aws:lambda:us-east-1:123456789012:function:{_NAME}"
    memory_limit_in_mb: str = "512"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    log_group_name: str = f"/aws/lambda/{_NAME}"
    log_stream_name: str = _NAME
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """How long until the deadline, in milliseconds."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))
