"""Where in the user's code something happened: not in Python's own, nor in an installed package, nor in this one."""

from __future__ import annotations

import re
import sysconfig
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["is_users", "place_of", "raised_at", "raising_place", "reason"]

# Where Python's own modules are, and this package.
_OTHERS = (Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")))
_INSTALLED = {"site-packages", "dist-packages"}
# A frame of a stack as Python writes it, in a group of exceptions as well.
_FRAME = re.compile(r'^[ |+-]*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>.+)$', re.MULTILINE)


@lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether a file is the user's."""
    if not file or file.startswith("<"):
        return False
    path = Path(file).absolute()
    return _INSTALLED.isdisjoint(path.parts) and not any(path.is_relative_to(other) for other in _OTHERS)


def place_of(file: str, line: int) -> str:
    """A place in the code as editors understand it: relative to where the program was started, if it is below."""
    path = Path(file)
    with suppress(ValueError):
        path = path.absolute().relative_to(Path.cwd())
    return f"{path}:{line}"


def raised_at(error: Mapping[str, Any] | None) -> str:
    """Where something was raised: the innermost place of the user's, ``"app.py:12 in charge"``; "" if none is known.

    Args:
        error: ``{name, message, stack?}`` as the server is told of it; a stack of another language has no such place.
    """
    stack = str((error or {}).get("stack") or "")
    found = [frame for frame in _FRAME.finditer(stack) if is_users(frame["file"])]
    return f"{place_of(found[-1]['file'], int(found[-1]['line']))} in {found[-1]['name']}" if found else ""


def reason(error: Mapping[str, Any]) -> str:
    """What was raised and where, in one line: ``"app.py:12 in charge: ValueError: negative"``.

    Args:
        error: As for ``raised_at``.
    """
    place = raised_at(error)
    return f"{f'{place}: ' if place else ''}{error.get('name')}: {error.get('message')}"


def raising_place(trace: TracebackType | None) -> str:
    """The innermost place of the user's in a traceback, ``"app.py:12"``; that of somebody else's if there is none."""
    innermost = users = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<"):
            innermost = place_of(file, trace.tb_lineno)
            users = innermost if is_users(file) else users
        trace = trace.tb_next
    return users or innermost
