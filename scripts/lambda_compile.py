"""Bytecode for Lambda: made by an interpreter of the runtime's version, for where the code will lie."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["compile_command", "find_python"]

TASK_ROOT = "/var/task"  # where Lambda has the code, for tracebacks to name


def find_python(runtime: str) -> str | None:
    """An interpreter of the version that a Lambda runtime has, where sam looks for it as well: on PATH.

    Args:
        runtime: ``"python3.13"``, say.
    """
    for name in (runtime, "python3", "python"):
        path = shutil.which(name)
        command = [path or "", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
        if path and subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == runtime:
            return path
    return None


def compile_command(python: str, folder: Path, part: str = "", optimize: int = 0) -> list[str]:
    """The command that compiles an artifact.

    Lambda cannot write bytecode, so each cold start would compile what it imports. The bytecode is not compared with
    the time of its source, which packing changes.

    Args:
        python: The interpreter, of the version that will run it.
        folder: The artifact.
        part: The folder in it to compile; all of it if not given.
        optimize: 2 for bytecode without docstrings and asserts.
    """
    level = ["-o", str(optimize)] if optimize else []
    options = ["-q", *level, "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK_ROOT]
    return [python, "-m", "compileall", *options, str(folder / part)]
