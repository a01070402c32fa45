"""What scripts/build_lambda gains: the same app as pip installs it, compiled as well, and built, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contenders import Contender, zipped_mb
from measure import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["COLUMNS", "ROWS", "artifacts_of", "measure_artifacts"]

_UNTYPED = Contender("untyped", "app_sync", is_own=True, is_whole=True)
_TYPED = Contender("typed", "app_typed", requirements=("pydantic", "httpx"), is_own=True, is_whole=True)
_BUILT = "-built"

# The figures by column, and the columns and rows of the table with their units.
COLUMNS = {"source": "as installed", "compiled": "compiled", "built": "build_lambda"}
ROWS = {
    "zipped": ("zipped", "MB"),
    "runtime": ("Lambda runtime: cold start", "ms"),
    "first": ("import and first call", "ms"),
}


def artifacts_of(*, typed: bool) -> dict[str, Contender]:
    """The apps, each as it is and built.

    Args:
        typed: Whether there is one with types, which pip has to install packages for.
    """
    artifacts = {"untyped": _UNTYPED, f"untyped{_BUILT}": _UNTYPED.built("--untyped")}
    if typed:
        artifacts |= {"typed": _TYPED, f"typed{_BUILT}": _TYPED.built()}
    return artifacts


def measure_artifacts(
    artifacts: dict[str, Contender],
    folder: Path,
    pins: Path,
    tell: Callable[[str], None],
    rounds: int,
) -> dict[str, dict[str, dict[str, float]]]:
    """The figures by app, row and column, in turns as everywhere in this benchmark.

    Args:
        artifacts: The apps.
        folder: An empty folder to work in.
        pins: The versions of the packages of others.
        tell: Told what is being done.
        rounds: How often each start is measured.

    Raises:
        BenchError: An artifact could not be built or measured, or answered wrongly.
    """
    bench = Bench(artifacts, folder, pins, tell, seconds=0)
    cold, runtime = bench.cold(rounds), bench.in_runtime(rounds)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, contender in artifacts.items():
        if name.endswith(_BUILT):
            continue
        built = f"{name}{_BUILT}"
        figures[contender.title] = {
            "zipped": {
                "source": zipped_mb(bench.home(name, source=True)),
                "compiled": zipped_mb(bench.home(name)),
                "built": zipped_mb(bench.home(built)),
            },
            "runtime": {
                "source": runtime[name]["runtime-source"],
                "compiled": runtime[name]["runtime-first"],
                "built": runtime[built]["runtime-first"],
            },
            "first": {
                "source": cold[name]["source"],
                "compiled": cold[name]["first"],
                "built": cold[built]["first"],
            },
        }
    return figures
