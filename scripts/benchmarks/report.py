"""Shows what was measured: a table for the terminal, one for the documentation, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contenders import CONTENDERS, FLOOR
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Figures = dict[str, dict[str, float]]

__all__ = ["GOALS", "draw", "markdown", "table"]

# Each figure: its title, its unit, and the goal for this project's sync handler, as a multiple of the floor.
GOALS: dict[str, tuple[str, str, float | None]] = {
    "import": ("import of the handler's module", "ms", 2.0),
    "first": ("import and first call", "ms", 2.0),
    "over": ("import over awslambdaric's own", "ms", 2.5),
    "source": ("import and first call, without .pyc", "ms", 3.0),
    "0": ("warm call, no memoized steps", "us", 3.0),
    "100": ("warm call, 100 memoized steps", "us", 2.5),
    "1000": ("warm call, 1,000 memoized steps", "us", 2.2),
    "parallel": ("1,000 parallel steps found", "us", 3.0),
    "big": ("4 MB of state in 1,000 steps", "us", 0.9),
    "big-signed": ("the same, signed", "us", 1.0),
    "memory": ("memory after the first call", "MB", None),
    "zipped": ("deployment package, zipped", "MB", None),
}


def table(figures: Figures) -> Table:
    """A table for the terminal: absolute for the floor, multiples of it for the others.

    Args:
        figures: The figures by contender and name.
    """
    view = Table("", title="CPU time; x is times the floor of the same run", title_justify="left")
    names = list(figures)
    for name in names:
        view.add_column(CONTENDERS[name].title, justify="right")
    view.add_column("goal", justify="right")
    for row in _rows(figures, lambda text: f"[bold]{text}[/bold]"):
        view.add_row(*row)
    return view


def markdown(figures: Figures) -> str:
    """The same as a table in Markdown."""
    names = list(figures)
    head = ["", *(CONTENDERS[name].title for name in names), "goal"]
    lines = [head, ["---", *["---:"] * (len(names) + 1)], *_rows(figures, lambda text: f"**{text}**")]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _rows(figures: Figures, emphasis: Callable[[str], str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for key, (title, unit, goal) in GOALS.items():
        floor = figures[FLOOR][key]
        cells = [title]
        for name, measured in figures.items():
            text = _cell(measured[key], floor, unit, is_relative=name != FLOOR and goal is not None)
            cells.append(emphasis(text) if CONTENDERS[name].is_own else text)
        rows.append([*cells, f"<= {goal:g}x" if goal is not None else ""])
    return rows


def _cell(value: float, floor: float, unit: str, *, is_relative: bool) -> str:
    if is_relative:
        return f"{value / floor:.2f}x" if value < 10 * floor else f"{value / floor:.0f}x"
    if unit == "us" and value >= 1_000:  # noqa: PLR2004 - us to ms
        return f"{value / 1_000:.1f} ms"
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"  # noqa: PLR2004 - digits that mean something


def draw(figures: Figures, target: Path) -> None:
    """Draw the multiples of the floor, one group of bars for each figure.

    Args:
        figures: The figures by contender and name.
        target: An SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    keys = [key for key, (_, _, goal) in GOALS.items() if goal is not None]
    names = [name for name in figures if name != FLOOR]
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(keys) * max(len(names), 2) / 1.6 + 1))
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        values = [figures[name][key] / figures[FLOOR][key] for key in keys]
        positions = [row + place * height for row in range(len(keys))]
        bars = axes.barh(positions, values, height=height, label=CONTENDERS[name].title)
        axes.bar_label(bars, labels=[f" {value:.1f}x" for value in values], fontsize=7)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(keys))], [GOALS[key][0] for key in keys])
    axes.invert_yaxis()
    axes.set_xlabel("times the floor, a handler of the standard library alone (logarithmic)")
    axes.legend(loc="lower right", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
