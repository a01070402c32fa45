"""Shows what was measured: a table for the terminal, one for the documentation, and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts import COLUMNS, ROWS
from contenders import CONTENDERS, FLOOR
from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    Figures = dict[str, dict[str, float]]
    Artifacts = dict[str, dict[str, dict[str, float]]]

__all__ = ["GOALS", "GOAL_OF", "artifacts_markdown", "artifacts_table", "draw", "markdown", "table"]

# Each figure: its title, its unit, and the goal for this project's sync handler, as a multiple of the floor.
GOALS: dict[str, tuple[str, str, float | None]] = {
    "import": ("import of the handler's module", "ms", 2.0),
    "first": ("import and first call", "ms", 2.0),
    "source": ("the same, without .pyc", "ms", 3.0),
    "over": ("import over awslambdaric's own", "ms", 2.5),
    "0": ("warm call, no memoized steps", "us", 3.0),
    "100": ("warm call, 100 memoized steps", "us", 2.5),
    "1000": ("warm call, 1,000 memoized steps", "us", 2.2),
    "parallel": ("1,000 parallel steps found", "us", 3.0),
    "big": ("4 MB of objects in 1,000 steps", "us", 0.9),
    "big-signed": ("these objects, signed", "us", 1.0),
    "texts": ("4 MB of texts in 1,000 steps", "us", 0.9),
    "texts-signed": ("these texts, signed", "us", 1.0),
    "runtime-first": ("Lambda runtime: cold start", "ms", None),
    "runtime-source": ("Lambda runtime: without .pyc", "ms", None),
    "runtime-0": ("Lambda runtime: warm call", "ms", None),
    "runtime-1000": ("Lambda runtime: 1,000 memoized", "ms", None),
    "runtime-run": ("Lambda runtime: run of 20 steps", "ms", None),
    "memory": ("memory after the first call", "MB", None),
    "zipped": ("deployment package, zipped", "MB", None),
}
GOAL_OF = "sync"
_FOOTNOTE = "* runs all steps in one call; what an SDK for durable functions stores meanwhile costs nothing here"
_MISSED = "missed"
# How many times further to the right a label of the picture ends than it begins.
_LABEL_WIDTH = 1.3
# This project's two in blue, others in muted colors.
_COLORS = {
    FLOOR: "#3a3a3a",
    "sync": "#1f5fa8",
    "async": "#7fb0e0",
    "inngest": "#8c8c8c",
    "restate": "#b59f84",
    "durable": "#a891b8",
}


def table(figures: Figures) -> Table:
    """A table for a terminal of 100 columns: absolute for the floor, multiples of it for the others.

    Args:
        figures: The figures by contender and name; what a contender has no figure of is left out.
    """
    legend = [f"{name}: {CONTENDERS[name].title}" for name in figures]
    title = f"CPU time, and wall time in the Lambda runtime; x is times the floor of the same run\n{'; '.join(legend)}"
    footnote = _footnote(figures)
    view = Table(title=title, caption=footnote, title_justify="left", caption_justify="left")
    view.box, view.show_edge, view.padding = box.SIMPLE_HEAD, False, 0
    view.add_column("", no_wrap=True)
    for name in [*figures, "goal"]:
        view.add_column(name, justify="right", no_wrap=True)
    for row in _rows(figures, lambda text: f"[bold]{text}[/bold]"):
        view.add_row(*row)
    return view


def markdown(figures: Figures) -> str:
    """The same as a table in Markdown, with the contenders' full titles."""
    names = list(figures)
    head = ["", *(CONTENDERS[name].title for name in names), "goal"]
    lines = [head, ["---", *["---:"] * (len(names) + 1)], *_rows(figures, lambda text: f"**{text}**")]
    footnote = _footnote(figures).replace("*", "\\*")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" + (f"\n{footnote}\n" if footnote else "")


def artifacts_table(artifacts: Artifacts) -> Table:
    """What scripts/build_lambda gains, as a table for a terminal."""
    view = Table(title="A deployment package of this project's", title_justify="left", box=box.SIMPLE_HEAD)
    view.show_edge, view.padding = False, 0
    for number, title in enumerate(["", *COLUMNS.values()]):
        view.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in _artifact_rows(artifacts):
        view.add_row(*row)
    return view


def artifacts_markdown(artifacts: Artifacts) -> str:
    """The same in Markdown."""
    lines = [["", *COLUMNS.values()], ["---", *["---:"] * len(COLUMNS)], *_artifact_rows(artifacts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _artifact_rows(artifacts: Artifacts) -> list[list[str]]:
    return [
        [f"{app}: {title}", *(_cell(figures[key][column], None, unit) for column in COLUMNS)]
        for app, figures in artifacts.items()
        for key, (title, unit) in ROWS.items()
    ]


def _rows(figures: Figures, emphasis: Callable[[str], str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for key, (title, unit, goal) in GOALS.items():
        cells = [title]
        for name, measured in figures.items():
            contender = CONTENDERS[name]
            if key not in measured:
                cells.append("")
                continue
            floor = figures[FLOOR][key] if name != FLOOR and goal is not None else None
            text = _cell(measured[key], floor, unit) + ("*" if key in contender.does_more else "")
            cells.append(emphasis(text) if contender.is_own else text)
        rows.append([*cells, _goal(figures, key)])
    return rows


def _footnote(figures: Figures) -> str:
    return _FOOTNOTE if any(CONTENDERS[name].does_more for name in figures) else ""


def _goal(figures: Figures, key: str) -> str:
    goal = GOALS[key][2]
    if goal is None:
        return ""
    measured = figures.get(GOAL_OF, {}).get(key)
    is_missed = measured is not None and measured > goal * figures[FLOOR][key]
    return f"<= {goal:g}x" + (f", {_MISSED}" if is_missed else "")


def _cell(value: float, floor: float | None, unit: str) -> str:
    if floor is not None:
        multiple = value / floor
        return f"{multiple:.2f}x" if multiple < 10 else f"{multiple:.0f}x"  # noqa: PLR2004 - digits that mean something
    if unit == "us" and value >= 1_000:  # noqa: PLR2004 - us to ms
        value, unit = value / 1_000, "ms"
    if unit == "MB" and value < 1:
        value, unit = value * 1_000, "kB"
    digits = 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004 - as above
    return f"{value:.{digits}f} {unit}"


def draw(figures: Figures, target: Path) -> None:
    """Draw all figures that have a goal, as multiples of the floor, and below them the times in the Lambda runtime.

    Args:
        figures: The figures by contender and name.
        target: An SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "inngest-serverless"  # the same figures make the same file
    from matplotlib import pyplot as plt

    goals = [key for key, (_, _, goal) in GOALS.items() if goal is not None]
    times = [key for key in GOALS if key.startswith("runtime-")]
    heights = [len(goals) * len(figures), len(times) * (len(figures) + 1)]
    size = (9, 0.14 * sum(heights) + 1.8)
    picture, (upper, lower) = plt.subplots(2, figsize=size, height_ratios=heights)
    _draw_multiples(upper, figures, goals)
    _draw_bars(lower, figures, times, list(figures), " ms")
    lower.set_xlabel("one call, or all calls of a run, in the Lambda runtime (logarithmic)", fontsize=8)
    lower.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=3, frameon=False, fontsize=7)
    for axes in (upper, lower):
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    picture.tight_layout()
    picture.savefig(target, bbox_inches="tight", metadata={"Date": None})


def _draw_multiples(axes: Axes, figures: Figures, keys: list[str]) -> None:
    names = [name for name in figures if name != FLOOR]
    multiples = {
        name: {key: figures[name][key] / figures[FLOOR][key] for key in keys if key in figures[name]} for name in names
    }
    height = _draw_bars(axes, multiples, keys, names, "x")
    place = names.index(GOAL_OF)
    for row, key in enumerate(keys):
        axes.vlines(GOALS[key][2] or 0, row + place * height, row + (place + 1) * height, colors="red", linewidth=2)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_xlim(left=0.5)
    axes.set_xlabel("times the floor (logarithmic); red: goal of the sync handler", fontsize=8)
    axes.legend(loc="lower right", fontsize=7)


def _draw_bars(axes: Axes, figures: Figures, keys: list[str], names: list[str], unit: str) -> float:
    """Draw a group of bars for each figure, one for each contender; returns the height of a bar."""
    height = 0.85 / len(names)
    for place, name in enumerate(names):
        rows = {key: row for row, key in enumerate(keys) if key in figures[name]}
        values = [figures[name][key] for key in rows]
        middles = [row + (place + 0.5) * height for row in rows.values()]
        contender = CONTENDERS[name]
        axes.barh(middles, values, height=height, color=_COLORS[name], label=contender.title)
        for key, value, middle in zip(rows, values, middles, strict=True):
            goal = GOALS[key][2] if name == GOAL_OF else None
            # Behind the mark of the goal, where that would go through it.
            start = goal if goal is not None and value < goal < value * _LABEL_WIDTH else value
            star = "*" if key in contender.does_more else ""
            label = f" {value:.{1 if value < 10 else 0}f}{unit}{star}"  # noqa: PLR2004 - digits that mean something
            axes.text(start, middle, label, fontsize=6, verticalalignment="center")
    axes.set_xscale("log")
    # The labels stand to the right of their bars, and need room there.
    axes.set_xlim(right=2 * max(figures[name][key] for name in names for key in keys if key in figures[name]))
    axes.xaxis.set_major_formatter(f"{{x:g}}{unit}")
    axes.set_yticks([row + 0.42 for row in range(len(keys))], [GOALS[key][0] for key in keys])
    axes.set_ylim(len(keys), -0.15)
    return height
