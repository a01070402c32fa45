"""Where the user's code asks for what changes: the clock, chance, and the environment."""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inngest_serverless.local.places import is_users, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["noticed"]

_MODULES = {"random", "uuid", "secrets"}
_CLOCK = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"}
_NOW = {"now", "utcnow", "today"}
_LOOKUPS = {"get", "__getitem__", "__contains__"}


@contextmanager
def noticed() -> Iterator[list[str]]:
    """Take down what the user's code asks of the clock, of chance and of the environment, in this thread: each once."""
    found: dict[str, None] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            name, caller = _of_builtin(argument), frame
        elif event == "call":
            name, caller = _of_code(frame), frame.f_back or frame
        else:
            return
        if name and is_users(caller.f_code.co_filename):
            found[f"{name} at {place_of(caller.f_code.co_filename, caller.f_lineno)}"] = None

    calls: list[str] = []
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        calls += found


def _of_builtin(function: Any) -> str:
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if name in _NOW and (owner is dt.datetime or owner is dt.date):
        return f"{owner.__name__}.{name}"
    if isinstance(owner, random.Random):
        return f"random.{name}"
    if isinstance(owner, types.ModuleType):
        if owner.__name__ == "time" and name in _CLOCK:
            return f"time.{name}"
        if owner.__name__ == "posix" and name == "urandom":
            return "os.urandom"
    return ""


def _of_code(frame: FrameType) -> str:
    module, name = str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
    if module in _MODULES and not name.startswith("_"):
        return f"{module}.{name}"
    if name in _LOOKUPS and frame.f_locals.get("self") is os.environ:
        return "os.environ"
    return "os.getenv" if module == "os" and name == "getenv" else ""
