"""Files that have changed, found by looking at them again and again, which works on every file system."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event

__all__ = ["Changes"]

_SUFFIXES = (".py", ".toml", ".env", ".yaml", ".yml", ".ini", ".cfg")
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
_POLL_SECONDS = 0.2
_QUIET_SECONDS = 0.05
# Of the time; a large folder is looked at less often.
_LARGEST_SHARE = 0.1

State = dict[str, tuple[int, int]]


class Changes:
    """Notices when files change: code and settings, by their suffixes, in folders and all that is in them.

    Left out are folders with a dot in front, caches, virtual environments, and what was built.

    Args:
        folders: The folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = sorted({str(folder.absolute()) for folder in folders})
        self._state = self._look()

    def wait(self, stopping: Event) -> list[str]:
        """Wait for changes, and for a moment in which there are no more of them.

        Args:
            stopping: Ends the wait.

        Returns:
            The files that changed, came or went; none where the wait was ended.
        """
        pause = _POLL_SECONDS
        while not stopping.wait(pause):
            began = time.perf_counter()
            changed = self._changed()
            if changed:
                while not stopping.wait(_QUIET_SECONDS) and (more := self._changed()):
                    changed |= more
                _forget_compiled(changed)
                return sorted(changed)
            pause = max(_POLL_SECONDS, (time.perf_counter() - began) / _LARGEST_SHARE)
        return []

    def _changed(self) -> set[str]:
        before, self._state = self._state, self._look()
        return {path for path, _ in before.items() ^ self._state.items()}

    def _look(self) -> State:
        return {
            entry.path: (stat.st_mtime_ns, stat.st_size) for folder in self._folders for entry, stat in _files(folder)
        }


def _files(folder: str) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it has just gone, or is not for us
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                    yield from _files(entry.path)
            elif entry.name.endswith(_SUFFIXES) or entry.name.startswith(".env"):
                yield entry, entry.stat()


def _forget_compiled(paths: Iterable[str]) -> None:
    """Delete what Python has compiled of these files: it goes by whole seconds and sizes, and would use it again."""
    for path in paths:
        if path.endswith(".py"):
            with suppress(OSError):
                Path(cache_from_source(path)).unlink()
