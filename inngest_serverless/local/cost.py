"""What calls cost on AWS Lambda: the prices, and the arithmetic that everything here counts with.

Source: https://aws.amazon.com/lambda/pricing/ as of November 2026: US East (N. Virginia) up to the first 6 billion
GB-seconds a month, on demand, without the free tier. Many other regions cost the same, some more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from inngest_serverless.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GB_SECOND_USD", "MEMORY_MB", "REQUEST_USD", "Cost", "Size", "billed_ms", "cost_of"]

# US dollars for one gigabyte of memory in use for one second, by the processor's architecture.
GB_SECOND_USD = {"arm64": 0.0000133334, "x86_64": 0.0000166667}
# US dollars for one invocation, however long it takes.
REQUEST_USD = 0.20 / 1_000_000
# The least and the most that a function may have.
MEMORY_MB = (128, 10_240)

_MB_PER_GB = 1024
_MS_PER_SECOND = 1000


@dataclass(frozen=True, slots=True)
class Size:
    """What a function is given, which decides what a millisecond of it costs.

    Attributes:
        memory_mb: Its memory, in megabytes.
        architecture: ``"arm64"`` or ``"x86_64"``.

    Raises:
        ConfigurationError: Lambda has no such functions.
    """

    memory_mb: int = 512
    architecture: str = "arm64"

    def __post_init__(self) -> None:
        low, high = MEMORY_MB
        if not low <= self.memory_mb <= high:
            raise ConfigurationError(f"{self.memory_mb} MB is no size of a Lambda function: it is from {low} to {high}")
        if self.architecture not in GB_SECOND_USD:
            known = " or ".join(GB_SECOND_USD)
            raise ConfigurationError(f"architecture {self.architecture!r} is none of Lambda's: it is {known}")


@dataclass(frozen=True, slots=True)
class Cost:
    """What some calls cost.

    Attributes:
        invocations: How many they are.
        billed_ms: How many milliseconds are paid for.
        usd: The price, in US dollars.
    """

    invocations: int
    billed_ms: int
    usd: float


def billed_ms(took_ms: float) -> int:
    """How many milliseconds are paid for one call: each that was begun."""
    return max(1, ceil(took_ms))


def cost_of(took_ms: Iterable[float], size: Size) -> Cost:
    """What calls cost.

    Args:
        took_ms: How long each of them took, in milliseconds.
        size: The function's memory and processor.
    """
    billed = [billed_ms(millis) for millis in took_ms]
    gb_seconds = sum(billed) / _MS_PER_SECOND * size.memory_mb / _MB_PER_GB
    return Cost(len(billed), sum(billed), gb_seconds * GB_SECOND_USD[size.architecture] + len(billed) * REQUEST_USD)
