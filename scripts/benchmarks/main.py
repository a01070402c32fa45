"""Measures and shows: see scripts/bench."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from artifacts import artifacts_of, measure_artifacts
from contenders import CONTENDERS, FLOOR
from measure import Bench, BenchError
from report import artifacts_markdown, artifacts_table, draw, markdown, table
from rich.console import Console

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "bench.txt"
PICTURE = ROOT / "docs" / "images" / "performance.svg"
# Rounds of starts and of warm calls: enough to look at, and enough to publish.
_QUICK, _FULL = (5, 2), (21, 7)


def main() -> int:
    """Run the command."""
    arguments = _arguments()
    contenders = {name: one for name, one in CONTENDERS.items() if arguments.peers or not one.is_peer}
    console = Console(stderr=True)
    try:
        with console.status("measuring") as status, tempfile.TemporaryDirectory() as folder:
            rounds = _QUICK if arguments.quick else _FULL
            figures = Bench(contenders, Path(folder, "calls"), PINS, status.update).measure(*rounds)
            artifacts = measure_artifacts(
                artifacts_of(typed=arguments.peers), Path(folder, "artifacts"), PINS, status.update, rounds[0]
            )
    except BenchError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return 1
    if arguments.json:
        machine = f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
        print(json.dumps({"machine": machine, "floor": FLOOR, "figures": figures, "artifacts": artifacts}, indent=1))
    elif arguments.docs:
        PICTURE.parent.mkdir(exist_ok=True)
        draw(figures, PICTURE)
        print(f"{markdown(figures)}\n{artifacts_markdown(artifacts)}", end="")
    else:
        Console().print(table(figures), "", artifacts_table(artifacts))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", description="Measures the call path against a floor, and peers.")
    parser.add_argument("--peers", action="store_true", help="install and measure other SDKs on the same calls as well")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a look")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print the figures as JSON")
    output.add_argument(
        "--docs", action="store_true", help="print tables in Markdown and draw docs/images/performance.svg"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
