"""The real Lambda runtime for a contender: AWS's emulator around awslambdaric, in an environment of its own."""

from __future__ import annotations

import statistics
import sysconfig
import time
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.rie import LambdaRuntime

__all__ = ["make_runtime", "packages_of", "python_of", "time_calls"]

# The runtime client and what it needs. A handler must not find what else is installed here.
_RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


def make_runtime(folder: Path) -> None:
    """Make an environment with Lambda's runtime client and nothing else, as Lambda has it.

    Args:
        folder: The folder, which is made.
    """
    venv.create(folder, symlinks=True)
    for package in map(distribution, _RUNTIME_CLIENT):
        for name in {file.parts[0] for file in package.files or ()} - {"__pycache__"}:
            (packages_of(folder) / name).symlink_to(str(package.locate_file(name)))


def python_of(folder: Path) -> str:
    """The interpreter of such an environment."""
    return str(folder / "bin" / "python")


def packages_of(folder: Path) -> Path:
    """Where such an environment has its packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))


def time_calls(runtime: LambdaRuntime, event: Mapping[str, Any], seconds: float) -> tuple[float, Any]:
    """The median time of a call by the clock on the wall, in milliseconds, and the last reply.

    Args:
        runtime: The runtime; its first call starts the handler's process.
        event: The call.
        seconds: How long it is repeated; 0 for once.
    """
    times: list[int] = []
    reply: Any = None
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter_ns()
        reply = runtime.invoke(event)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1e6, reply
