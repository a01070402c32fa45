"""Which code is the user's: neither Python's own, nor an installed package, nor this one."""

from __future__ import annotations

import sys
import sysconfig
from asyncio import events
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from inngest_serverless.engine import invocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, ModuleType

__all__ = ["is_users", "place_of", "user_frame", "users_modules"]

# Where Python's own modules are, and this package.
_OTHERS = (Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")))
_INSTALLED = {"site-packages", "dist-packages"}
# What calls a function, or goes on with a task of it: whoever is behind that has only started the run.
_CALLERS = {str(invocation.__file__), str(events.__file__)}


@lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether a file is the user's."""
    if not file or file.startswith("<"):
        return False
    path = Path(file).absolute()
    return _INSTALLED.isdisjoint(path.parts) and not any(path.is_relative_to(other) for other in _OTHERS)


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame that is the user's, from a frame on outwards, within the function that is called."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        if frame.f_code.co_filename in _CALLERS:
            return None
        frame = frame.f_back
    return frame


def place_of(file: str, line: int) -> str:
    """A place in the code as editors understand it: relative to where the program was started, if it is below."""
    path = Path(file)
    with suppress(ValueError):
        path = path.absolute().relative_to(Path.cwd())
    return f"{path}:{line}"


def users_modules() -> Iterator[ModuleType]:
    """The modules that are loaded and the user's."""
    for module in list(sys.modules.values()):
        if is_users(str(getattr(module, "__file__", None) or "")):
            yield module
