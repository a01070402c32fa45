"""docs/architecture.md names the rooms that there are, and docs/decisions/index.md the decisions."""

from __future__ import annotations

import re
from pathlib import Path

from pages import DOCS

import inngest_serverless

PACKAGE = Path(inngest_serverless.__file__).parent
PAGE = (DOCS / "architecture.md").read_text("utf-8")


def test_every_room_is_named():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    table = PAGE.partition("## The rooms")[2].partition("## ")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == rooms - {"__init__", "__main__"}, "the table of rooms in docs/architecture.md"


def test_every_station_of_a_call_is_there():
    stations = re.findall(r"`(\w[\w/]*\.py)`", PAGE)
    assert len(stations) > 15
    missing = [name for name in stations if not (PACKAGE / name).exists()]
    assert not missing, "docs/architecture.md names files that are not there"


def test_every_decision_is_listed():
    listed = re.findall(r"\]\((\d+[^)]*)\)", (DOCS / "decisions" / "index.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md")), "docs/decisions/index.md"
