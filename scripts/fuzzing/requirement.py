"""What a target finds out: a condition that does not hold is a failure, which keeps the input."""

from __future__ import annotations

__all__ = ["require"]


def require(condition: object, fault: str) -> None:
    """Fail unless a condition holds; ``assert`` would do nothing where Python optimizes."""
    if not condition:
        raise AssertionError(fault)
