"""Runs fuzz targets: see scripts/fuzz."""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

Target = Callable[[bytes], None]
MODULES = ("targets_http", "targets_outside", "targets_text")
_SIZES = (4, 20, 60, 200)


def load() -> dict[str, Target]:
    """All targets by their names."""
    # By what they do with an input, libFuzzer finds the next one: it watches the package.
    watched = nullcontext() if atheris is None else atheris.instrument_imports(include=["inngest_serverless"])
    with watched:
        modules = [import_module(name) for name in MODULES]
    return {
        name.replace("_", "-"): target
        for module in modules
        for name, target in vars(module).items()
        if callable(target) and getattr(target, "__module__", "") == module.__name__ and _is_target(name, target)
    }


def _is_target(name: str, target: Target) -> bool:
    return not name.startswith("_") and target.__annotations__ == {"data": "bytes", "return": "None"}


def main() -> int:
    """Run the command."""
    targets = load()
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"some of: {', '.join(targets)}; all of them by default")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--input", type=bytes.fromhex, help="one input, in hexadecimal: to see it fail again")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.targets) - targets.keys()):
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(targets)}")
    # What is logged of each bad record is for whoever has one of them.
    logging.disable(logging.CRITICAL)
    for name in arguments.targets or targets:
        if arguments.input is not None:
            targets[name](arguments.input)
        elif atheris is None:
            _by_chance(name, targets[name], arguments.seconds)
        elif not _by_coverage(name, targets[name], arguments.seconds):
            return 1
    return 0


def _by_chance(name: str, target: Target, seconds: int) -> None:
    """Without atheris: inputs at random, as many as the time allows."""
    chance = random.Random(time.time_ns())  # noqa: S311 - inputs, and no secrets
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = chance.randbytes(chance.choice(_SIZES))
        try:
            target(data)
        except BaseException:
            print(f"fuzz: {name} failed; again with: scripts/fuzz {name} --input {data.hex()}", file=sys.stderr)
            raise
        count += 1
    print(f"fuzz: {name}: {count} inputs at random, none failed")


def _by_coverage(name: str, target: Target, seconds: int) -> bool:
    """With atheris, in a process of its own, as libFuzzer ends the one that it runs in."""
    corpus = Path(".tools", "fuzz", name)
    corpus.mkdir(parents=True, exist_ok=True)
    if not (child := os.fork()):
        options = [f"-max_total_time={seconds}", "-max_len=400", "-timeout=20", "-print_final_stats=1"]
        atheris.Setup([name, *options, f"-artifact_prefix={corpus.parent}/{name}-failed-", str(corpus)], target)
        atheris.Fuzz()
    _, status = os.waitpid(child, 0)
    print(f"fuzz: {name}: {'none failed' if not status else f'failed; the input is in {corpus.parent}'}")
    return not status


if __name__ == "__main__":
    sys.exit(main())
