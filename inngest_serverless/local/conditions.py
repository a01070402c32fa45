"""CEL conditions of triggers and waits, as the local engine needs them.

Source: docs/protocol.md, sections 4 and 7; the language itself is common-expression-language's business.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.packages import PackageMissingError
from inngest_serverless.local.roots import unknown_root, written_path

__all__ = ["ConditionError", "check_condition", "holds", "key_of", "value_of"]

_logger = logging.getLogger(__name__)
_FAULT = re.compile(r"ERROR: <input>:\d+:(?P<at>\d+): (?:Syntax error: )?(?P<what>.*)")
_ASSIGNMENT, _QUOTED = re.compile(r"[^=!<>]=[^=]"), re.compile(r"'[^']*'|\"[^\"]*\"")


class ConditionError(ConfigurationError):
    """A condition is not CEL, or asks for a variable that is never there."""


def check_condition(expression: str | None) -> None:
    """Make sure that a condition can be read, and evaluated.

    Raises:
        ConditionError: It is not CEL, or asks for a variable that is never there.
        PackageMissingError: The library that reads it is not installed.
    """
    if not expression:
        return
    name = unknown_root(expression, _program(expression).variables())
    if name is not None:
        raise ConditionError(
            f"the expression {expression!r} asks for {name!r}, which is never there: there is event, and async in "
            f"conditions of waits and cancels; did you mean {written_path(name, expression)}?"
        )


def holds(expression: str | None, event: dict[str, Any], awaited: dict[str, Any] | None = None, *, owner: str) -> bool:
    """Whether a condition is true of an event. One that cannot be evaluated is not, as on the server.

    Args:
        expression: The condition, or None for one that always holds.
        event: ``event`` in the expression: the one that started the run.
        awaited: ``async`` in the expression: the one that is waited for.
        owner: The ID of the function that has it.

    Raises:
        ConditionError: The expression is not CEL.
        PackageMissingError: The library that reads it is not installed.
    """
    return not expression or value_of(expression, event, awaited, owner=owner) is True


def value_of(expression: str, event: dict[str, Any], awaited: dict[str, Any] | None = None, *, owner: str) -> Any:
    """What an expression comes to; None where it cannot be evaluated.

    Args:
        expression: The expression.
        event: ``event`` in the expression.
        awaited: ``async`` in the expression.
        owner: The ID of the function that has it.

    Raises:
        ConditionError: The expression is not CEL.
        PackageMissingError: The library that reads it is not installed.
    """
    try:
        return _program(expression).execute({"event": event, "async": awaited or {}})
    except LookupError:
        return None  # a field, or a place in a list, is not there, which is common
    except (ValueError, TypeError, RuntimeError, ArithmeticError, AttributeError) as error:
        # The library goes on to explain the language.
        why = str(error).partition(". ")[0]
        _logger.warning("function %r: the expression %r came to nothing: %s", owner, expression, why)
        return None


def key_of(expression: str | None, event: dict[str, Any], owner: str) -> str:
    """The text by which an expression tells events apart; "" without an expression, or where it has no value."""
    value = value_of(expression, event, owner=owner) if expression else None
    return "" if value is None else f"{type(value).__name__}:{value}"


@lru_cache(maxsize=256)
def _program(expression: str) -> Any:
    try:
        import cel
    except ImportError:
        raise PackageMissingError(
            "conditions need the package common-expression-language: pip install 'inngest-serverless[dev]'"
        ) from None
    try:
        return cel.compile(expression)
    except ValueError as error:
        raise ConditionError(f"the condition {expression!r} is not CEL: {_fault(expression, str(error))}") from error


def _fault(expression: str, told: str) -> str:
    """The first of the faults that the library found, in a line: it lists all, and draws where they are."""
    found = _FAULT.search(told)
    what = found["what"].partition(" expecting {")[0] if found else told.partition("\n")[0]
    fault = f"{what} at character {found['at']}" if found else what
    return f"{fault}; write == to compare" if _ASSIGNMENT.search(_QUOTED.sub("", expression)) else fault
