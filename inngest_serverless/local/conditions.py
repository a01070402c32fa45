"""CEL conditions of triggers and waits, as the local engine needs them.

Source: docs/protocol.md, sections 4 and 7; the language itself is common-expression-language's business.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from inngest_serverless.errors import ConfigurationError

__all__ = ["holds"]


def holds(expression: str | None, event: dict[str, Any], awaited: dict[str, Any] | None = None) -> bool:
    """Whether a condition is true of an event.

    Args:
        expression: The condition, or None for one that always holds.
        event: ``event`` in the expression: the one that started the run.
        awaited: ``async`` in the expression: the one that is waited for.

    Raises:
        ConfigurationError: The expression is not CEL, or the library that reads it is not installed.
    """
    if not expression:
        return True
    try:
        return _program(expression).execute({"event": event, "async": awaited or {}}) is True
    except (KeyError, TypeError, AttributeError):
        # A field that is not there makes a condition false.
        return False
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(f"the condition {expression!r} cannot be evaluated: {error}") from error


@lru_cache(maxsize=256)
def _program(expression: str) -> Any:
    try:
        import cel
    except ImportError:
        raise ConfigurationError(
            "conditions need the package common-expression-language: pip install 'inngest-serverless[dev]'"
        ) from None
    try:
        return cel.compile(expression)
    except ValueError as error:
        raise ConfigurationError(f"the condition {expression!r} is not CEL: {error}") from error
