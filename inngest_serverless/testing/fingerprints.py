"""Texts that are the same for values that are equal, in every process."""

from __future__ import annotations

import types
from functools import partial
from typing import Any

from inngest_serverless.events import Event
from inngest_serverless.local.places import is_users
from inngest_serverless.serialization import jsonable

__all__ = ["fingerprint"]

_DEEPEST = 6
# Modules of types whose ``repr`` tells all.
_TELLING = {"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid", "zoneinfo"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def fingerprint(value: Any, depth: int = 0) -> str:
    """A text for a value, made of what it holds.

    Functions are told by where they are written and by what they use of the functions around them. Of objects that
    have no form of their own only the type is told: whether they are equal cannot be known.
    """
    if isinstance(value, _PLAIN) or type(value).__module__.partition(".")[0] in _TELLING:
        return repr(value)
    if depth >= _DEEPEST:
        return "..."
    return _of_collection(value, depth) or _of_function(value, depth) or _of_object(value, depth)


def _of_collection(value: Any, depth: int) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(fingerprint(item, depth + 1) for item in value)}]"
    if isinstance(value, dict):
        pairs = sorted(f"{fingerprint(key, depth + 1)}: {fingerprint(item, depth + 1)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(fingerprint(item, depth + 1) for item in value))}}}"
    return ""


def _of_function(value: Any, depth: int) -> str:
    if isinstance(value, partial):
        return f"partial({fingerprint([value.func, value.args, value.keywords], depth + 1)})"
    if isinstance(value, types.MethodType):
        return f"{fingerprint(value.__self__, depth + 1)}.{value.__func__.__qualname__}"
    if isinstance(value, types.FunctionType):
        code = value.__code__
        parts = [_captured(value, depth), fingerprint(value.__defaults__, depth + 1)]
        return f"{value.__qualname__}@{code.co_firstlineno}({', '.join(part for part in parts if part != 'None')})"
    if isinstance(value, types.BuiltinFunctionType | type):
        return f"{value.__module__}.{value.__qualname__}"
    return ""


def _captured(function: types.FunctionType, depth: int) -> str:
    """What a function of the user's uses of the functions around it."""
    if not function.__closure__ or not is_users(function.__code__.co_filename):
        return "None"
    cells: list[str] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        try:
            cells.append(f"{name}={fingerprint(cell.cell_contents, depth + 1)}")
        except ValueError:  # it is not set yet
            cells.append(name)
    return ", ".join(cells)


def _of_object(value: Any, depth: int) -> str:
    name = type(value).__qualname__
    try:
        plain = value.to_dict() if isinstance(value, Event) else jsonable(value)
    except Exception:  # noqa: BLE001 - whatever a user's type raises, nothing is known of it
        return name
    return f"{name}({fingerprint(plain, depth + 1)})"
