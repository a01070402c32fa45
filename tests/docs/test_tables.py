"""Each table is one: a row behind an empty line is shown as text, with its pipes."""

from __future__ import annotations

import re

import pytest
from pages import DOCS, ROOT

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\|.*(?:\n\|.*)*", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tables_have_a_head(page):
    tables = [table.splitlines() for table in TABLE.findall(CODE.sub("", page.read_text("utf-8")))]
    headless = [rows[0] for rows in tables if len(rows) < 2 or not re.fullmatch(r"\|( *:?-+:? *\|)+", rows[1])]
    assert not headless, f"{page.name}: these rows stand apart from their table"
