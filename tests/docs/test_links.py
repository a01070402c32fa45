"""The links of the pages that the site does not have lead somewhere as well."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

OUTSIDE = sorted(ROOT.glob("*.md"))


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_files_that_are_linked_are_there(page):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text("utf-8"))
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, f"{page.name} links to what is not there"


def test_the_readme_is_among_them():
    assert ROOT / "README.md" in OUTSIDE
