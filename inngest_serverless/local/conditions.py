"""CEL conditions of triggers and waits, as the local engine needs them.

Source: docs/protocol.md, sections 4 and 7; the language itself is common-expression-language's business.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from inngest_serverless.errors import ConfigurationError

__all__ = ["ConditionError", "check_condition", "holds", "key_of", "value_of"]

_logger = logging.getLogger(__name__)


class ConditionError(ConfigurationError):
    """A condition is not CEL."""


def check_condition(expression: str | None) -> None:
    """Make sure that a condition can be read.

    Raises:
        ConditionError: It is not CEL.
        ConfigurationError: The library that reads it is not installed.
    """
    if expression:
        _program(expression)


def holds(expression: str | None, event: dict[str, Any], awaited: dict[str, Any] | None = None) -> bool:
    """Whether a condition is true of an event. One that cannot be evaluated is not, as on the server.

    Args:
        expression: The condition, or None for one that always holds.
        event: ``event`` in the expression: the one that started the run.
        awaited: ``async`` in the expression: the one that is waited for.

    Raises:
        ConditionError: The expression is not CEL.
        ConfigurationError: The library that reads it is not installed.
    """
    return not expression or value_of(expression, event, awaited) is True


def value_of(expression: str, event: dict[str, Any], awaited: dict[str, Any] | None = None) -> Any:
    """What an expression comes to; None where it cannot be evaluated.

    Args:
        expression: The expression.
        event: ``event`` in the expression.
        awaited: ``async`` in the expression.

    Raises:
        ConditionError: The expression is not CEL.
        ConfigurationError: The library that reads it is not installed.
    """
    try:
        return _program(expression).execute({"event": event, "async": awaited or {}})
    except LookupError:
        return None  # a field, or a place in a list, is not there, which is common
    except (ValueError, TypeError, RuntimeError, ArithmeticError, AttributeError) as error:
        _logger.warning("the expression %r came to nothing: %s", expression, error)
        return None


def key_of(expression: str | None, event: dict[str, Any]) -> str:
    """The text by which an expression tells events apart; "" without an expression, or where it has no value."""
    value = value_of(expression, event) if expression else None
    return "" if value is None else f"{type(value).__name__}:{value}"


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
        raise ConditionError(f"the condition {expression!r} is not CEL: {error}") from error
