"""What mkdocs does with each page of docs/ before it becomes one of the site: see mkdocs.yml, ``hooks``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_CHECKED = re.compile(r"^<!-- python\n.*?^-->\n", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]*)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Leave out the code that only tests run, and say where a file is that the site does not have.

    Code in a table has its pipes escaped for GitHub, which Python-Markdown would show.

    Args:
        markdown: The page's text.
        page: The page.
        config: What mkdocs.yml says.
    """
    docs = Path(config.docs_dir).resolve()
    folder = (docs / page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        if target.is_relative_to(docs) or not target.exists():  # mkdocs looks after those
            return link[0]
        path = target.relative_to(docs.parent).as_posix()
        return f"`{path}`" if link[1] in path else f"{link[1]} (`{path}`)"

    lines = _LINK.sub(named, _CHECKED.sub("", markdown)).splitlines()
    return "\n".join(_unescaped(line) if line.startswith("|") else line for line in lines)


def _unescaped(row: str) -> str:
    return re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), row)


def on_page_content(html: str, **_: Any) -> str:
    """Write the ``::`` that stands before code in a docstring as one colon, or none."""
    return html.replace("<p>::</p>\n", "").replace("::</p>", ":</p>")
