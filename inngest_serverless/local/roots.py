"""The variables that a CEL expression begins its paths with: what is asked for that is not there.

The server declares ``event``, ``async`` and ``vars``, and compiles no expression that asks for others.

Source: docs/protocol.md, sections 4 and 7; the language itself is common-expression-language's business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["unknown_root", "written_path"]

_DECLARED = {"event", "async", "vars"}
_TYPES = {"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}
# What functions and messages of CEL are named after: math.greatest(...), google.protobuf.Timestamp.
_NAMESPACES = {"base64", "cel", "google", "lists", "math", "optional", "proto", "regex", "sets", "strings"}
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_BLANK = r"(?:\s|//[^\n]*\n)*"
_EVENT_FIELDS = {"data", "id", "name", "ts", "user", "v"}


def unknown_root(expression: str, variables: Iterable[str]) -> str | None:
    """The first variable of an expression that is never there; None if all are.

    Args:
        expression: The expression.
        variables: The names in it that stand for variables, with those that macros such as ``exists(x, ...)`` bind.
    """
    for name in (variable.lstrip(".") for variable in variables):
        is_known = name in _DECLARED | _TYPES | _NAMESPACES
        # Names that begin otherwise are the library's own, in what it makes of macros.
        if name[:1].isalpha() and not is_known and not _may_be_bound(name, expression):
            return name
    return None


def written_path(name: str, expression: str) -> str:
    """How the variable is meant most likely: the path that it begins, under ``event`` or its data."""
    found = re.search(rf"(?<![\w.]){re.escape(name)}(?:\.\w+\b(?!\s*\())*", _QUOTED.sub("''", expression))
    path = found[0] if found else name
    return f"event.{path}" if name in _EVENT_FIELDS and path != "data" else f"event.data.{path}"


def _may_be_bound(name: str, expression: str) -> bool:
    """Whether a macro may bind a name somewhere: it stands alone, with an argument behind it.

    Texts are looked at as well: what is found too often is only told later.
    """
    return re.search(rf"[(,]{_BLANK}{re.escape(name)}{_BLANK},", expression) is not None
