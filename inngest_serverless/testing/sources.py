"""The user's code as it runs: the frames and the modules that are theirs."""

from __future__ import annotations

import sys
from asyncio import events
from typing import TYPE_CHECKING

from inngest_serverless.engine import invocation
from inngest_serverless.local.places import is_users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, ModuleType

__all__ = ["user_frame", "users_modules"]

# What calls a function, or goes on with a task of it: whoever is behind that has only started the run.
_CALLERS = {str(invocation.__file__), str(events.__file__)}


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame that is the user's, from a frame on outwards, within the function that is called."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        if frame.f_code.co_filename in _CALLERS:
            return None
        frame = frame.f_back
    return frame


def users_modules() -> Iterator[ModuleType]:
    """The modules that are loaded and the user's."""
    for module in list(sys.modules.values()):
        if is_users(str(getattr(module, "__file__", None) or "")):
            yield module
