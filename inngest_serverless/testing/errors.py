"""What the test kit raises: failed assertions, with messages that say what differs and what to do about it."""

from __future__ import annotations

__all__ = ["NotDeterministicError", "NotReachedError"]


class NotReachedError(AssertionError):
    """A step that was mocked, or a fault that was to happen, and the function never came to it."""


class NotDeterministicError(AssertionError):
    """A function that asks for other steps when the same call is made again."""
