"""Measures and shows: see scripts/bench."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from contenders import CONTENDERS, FLOOR
from measure import Bench, BenchError
from report import draw, markdown, table
from rich.console import Console

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "bench.txt"
# Enough to look at, and enough to publish.
_QUICK, _FULL = (5, 2), (21, 7)


def main() -> int:
    """Run the command."""
    arguments = _arguments()
    names = [name for name, contender in CONTENDERS.items() if arguments.peers or not contender.is_peer]
    cold_rounds, warm_rounds = _QUICK if arguments.quick else _FULL
    console = Console(stderr=True)
    with console.status("measuring") as status, tempfile.TemporaryDirectory() as folder:
        try:
            bench = Bench({name: CONTENDERS[name] for name in names}, Path(folder), PINS, status.update)
            cold, warm = bench.cold(cold_rounds), bench.warm(warm_rounds)
            over, memory = bench.over_runtime(cold_rounds), bench.memory(warm_rounds)
        except BenchError as error:
            console.print(f"bench: {error}", style="red")
            return 1
        sizes = bench.sizes()
    figures = {
        name: {**cold[name], **warm[name], "over": over[name], "memory": memory[name], "zipped": sizes[name]}
        for name in names
    }
    if arguments.json:
        machine = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
        print(json.dumps({"machine": machine, "floor": FLOOR, "figures": figures}, indent=1))
        return 0
    if arguments.docs:
        (ROOT / "docs" / "images").mkdir(exist_ok=True)
        draw(figures, ROOT / "docs" / "images" / "performance.svg")
        print(markdown(figures), end="")
        return 0
    Console().print(table(figures))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", description="Measures the call path against a floor, and peers.")
    parser.add_argument("--peers", action="store_true", help="install and measure other SDKs on the same calls as well")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print the figures as JSON")
    output.add_argument(
        "--docs", action="store_true", help="print a Markdown table and draw docs/images/performance.svg"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
