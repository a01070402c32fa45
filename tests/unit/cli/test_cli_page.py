"""docs/cli.md shows what the commands really print."""

from __future__ import annotations

import os
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from inngest_serverless.cli.group import COMMANDS, group

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
# What click makes of a terminal of 80 columns, or of none.
_WIDTH = 78
CHECKS = ROOT / "inngest_serverless/cli/checks"


def _shown() -> list[tuple[str, str]]:
    """The commands of the page and what it says that they print."""
    blocks = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
    return [(command, printed) for command, printed in blocks if _needs_nobody(command)]


def _needs_nobody(command: str) -> bool:
    """Whether it prints the same everywhere: nobody is asked, nothing is sent."""
    words = shlex.split(command)
    return "--help" in words or (bool({"functions", "doctor"}.intersection(words)) and "--url" not in words)


@pytest.mark.parametrize(("command", "printed"), _shown(), ids=[command for command, _ in _shown()])
def test_it_prints_what_the_page_says(command, printed, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    before = dict(os.environ)
    _forget_handlers()  # they have the settings of whoever imported them
    try:
        done = CliRunner().invoke(group, words[1:], prog_name=words[0], terminal_width=_WIDTH)
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget_handlers()
    assert done.stdout == printed, f"put into docs/cli.md what {command!r} prints"


def _forget_handlers() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "handlers"]:
        del sys.modules[name]


def test_every_command_is_on_the_page():
    shown = {command for command, _ in _shown()}
    there = [name for name in COMMANDS if find_spec(f"inngest_serverless.cli.{name}")]
    missing = [name for name in there if f"inngest-serverless {name} --help" not in shown]
    assert not missing, "show these in docs/cli.md: an example, and the output of --help in a console block"


def test_every_check_of_the_doctor_is_on_the_page():
    source = "".join(path.read_text(encoding="utf-8") for path in CHECKS.glob("*.py"))
    made = set(re.findall(r'\b(?:ok|note|warning|problem|_Rule)\(\s*"([a-z-]+)"', source))
    made |= {"dns", "tls", "timeout", "connection"}  # named by what UnreachableError says
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert made == told, "the table of checks in docs/cli.md"
    assert len(made) > 30, "the pattern finds no checks any more"
