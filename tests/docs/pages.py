"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

# Code that is run but not shown stands in a comment: <!-- python, a line a line, and --> in a line of its own.
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code on a page.

    Attributes:
        page: The page, by its path from the root of the repository.
        line: The number of its first line of code.
        language: ``"python"``, ``"bash"`` and so on; "" if the page does not say.
        title: The name of the file that it is, or "".
        code: The code.
    """

    page: str
    line: int
    language: str
    title: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(path: Path) -> str:
    """A page's path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def blocks_of(path: Path, *languages: str) -> list[Block]:
    """The blocks of a page in some languages, in their order; those in comments are Python."""
    text = path.read_text("utf-8")
    found = [_block(name_of(path), text, match) for match in _BLOCK.finditer(text)]
    return [block for block in found if block.language in languages]


def _block(page: str, text: str, match: re.Match[str]) -> Block:
    hidden = match["hidden"] is not None
    group = "hidden" if hidden else "code"
    title = re.search(r'title="([^"]+)"', match["info"] or "")
    lines = (line.removeprefix(match["indent"] or "") for line in match[group].splitlines(keepends=True))
    return Block(
        page,
        text.count("\n", 0, match.start(group)) + 1,
        "python" if hidden else match["language"],
        title[1] if title else "",
        "".join(lines),
    )
