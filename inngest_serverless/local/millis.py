"""Durations in milliseconds, in which the local engine counts."""

from __future__ import annotations

from inngest_serverless.durations import parse_duration

__all__ = ["NANOS_PER_MS", "duration_ms"]

NANOS_PER_MS = 1_000_000


def duration_ms(duration: str) -> int:
    """How many whole milliseconds a time string comes to.

    Raises:
        ConfigurationError: It is none.
    """
    return parse_duration(duration) // NANOS_PER_MS
