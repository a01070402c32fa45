"""The code of docs/testing.md does what the page says: its tests pass, as in a user's file."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from inngest_serverless.testing import Session

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TESTS = re.findall(r"^def (test_\w+)", "".join(BLOCKS), re.MULTILINE)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page as a module, which other processes can import too."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "testing_page.py").write_text("\n\n".join(BLOCKS), "utf-8")
    sys.path.insert(0, str(folder))
    import testing_page

    yield testing_page
    sys.path.remove(str(folder))
    del sys.modules["testing_page"]


def cases(test):
    """What a test is called with, one after the other."""
    marks = getattr(test, "pytestmark", [])
    return [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]


def test_every_block_is_tried():
    assert len(BLOCKS) == 8
    assert len(TESTS) == 10


@pytest.mark.integration
@pytest.mark.parametrize("name", TESTS)
def test_the_page(page, name):
    test = getattr(page, name)
    for arguments in cases(test):
        if "inngest" in inspect.signature(test).parameters:
            with Session() as session:
                test(session)
        else:
            test(**arguments)


def test_the_message_that_is_shown(page):
    with pytest.raises(page.NotDeterministicError) as raised:
        page.assert_deterministic(page.remind, page.PLACED, processes=0)
    shown = re.findall(r"^```text\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    [shown] = [block for block in shown if "not deterministic" in block]
    general = UUID.sub("UUID", str(raised.value))
    general = re.sub(r"\S*testing_page\.py:\d+", "shop.py:9", general)
    assert general.startswith(UUID.sub("UUID", shown).strip()), general
