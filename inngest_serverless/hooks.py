"""The way to middleware for who may have none: without it, a cold start does not load it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from inngest_serverless.middleware import Hooks

__all__ = ["make_hooks", "refuse_awaitable"]


def make_hooks(sources: Sequence[Any]) -> Hooks | None:
    """The hooks of some middleware, or None where there is none."""
    if not sources:
        return None
    from inngest_serverless.middleware import Hooks

    return Hooks(sources)


def refuse_awaitable(awaitable: Any) -> NoReturn:
    """Tell that a hook of the middleware cannot be awaited in sync code.

    Raises:
        ConfigurationError: Always.
    """
    from inngest_serverless.middleware import refusal

    raise refusal(awaitable)
