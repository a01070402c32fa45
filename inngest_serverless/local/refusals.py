"""Requests that the local engine's API does not do."""

from __future__ import annotations

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """A request is refused; the message says why.

    Attributes:
        status: The HTTP status of the answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status: int = status
