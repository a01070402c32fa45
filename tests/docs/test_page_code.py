"""All Python of the pages runs, in one way for all of them, except for pages that have a test of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from page_code import PageCode, forgotten
from pages import PAGES, ROOT, Block, blocks_of, name_of

from inngest_serverless.testing import Session

# Who runs the code of these, since it needs more than the local engine, or has more to be said about it.
OWN_TESTS = {
    "README.md": "tests/unit/test_readme.py",
    "docs/deploy-gcp.md": "tests/deploy/test_deploy_gcp_docs.py",
    "docs/forwarding.md": "tests/unit/aws/test_forwarding_page.py",
    "docs/middleware.md": "tests/unit/middleware/test_middleware_page.py",
    "docs/observability.md": "tests/unit/aws/test_observability_page.py",
    "docs/testing.md": "tests/unit/testing/test_testing_page.py",
    "docs/workflows.md": "tests/unit/test_workflow.py",
}
HERE = [page for page in PAGES if name_of(page) not in OWN_TESTS and blocks_of(page, "python")]


@pytest.mark.parametrize("page", HERE, ids=name_of)
def test_the_code_of_the_page_runs(page, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    code = PageCode(monkeypatch, tmp_path)
    with forgotten(tmp_path), Session().lasting():
        for block in blocks_of(page, "python"):
            code.run(block)
    assert not code.idle(), (
        f"{name_of(page)} shows these functions and nothing runs them: run each on the page, "
        "or in a comment behind it (<!-- python, the code, and --> in lines of their own)"
    )


@pytest.mark.parametrize("page", OWN_TESTS)
def test_a_page_with_a_test_of_its_own_has_one(page):
    test = ROOT / OWN_TESTS[page]
    assert test.exists(), f"{test} is to run the code of {page}"
    assert page.rpartition("/")[2] in test.read_text("utf-8"), f"{test} does not read {page}"
    assert blocks_of(ROOT / page, "python"), f"{page} has no Python any more: take it out of OWN_TESTS"


def test_code_of_others_can_at_least_be_read():
    """What is shown of other packages, as ``py``, is not installed here."""
    shown = [block for page in PAGES for block in blocks_of(page, "py")]
    assert shown
    for block in shown:
        compile(block.code, str(block), "exec")


# The way itself: one that overlooks blocks, tests or functions would pass for ever.

_PAGE = """\
# A page

```python title="shop.py"
from inngest_serverless import create_function, event_trigger

@create_function(id="a", trigger=event_trigger("t/a"))
def a(ctx):
    return ctx.step.run("one", lambda: 1)
```

- In a list:
  ```python
  from shop import a
  ```

```text
not = code
```

<!-- python
seen = []

def test_of_the_page():
    seen.append("without")

def test_with_a_session(inngest):
    seen.append(inngest.run(a, {"name": "t/a"}).output)
-->
"""


def test_every_block_is_found_where_it_stands(tmp_path, monkeypatch):
    file, listed, hidden = _sample(tmp_path, monkeypatch)
    assert (file.title, file.line, file.code.splitlines()[0]) == (
        "shop.py",
        4,
        "from inngest_serverless import create_function, event_trigger",
    )
    assert (listed.title, listed.line, listed.code) == ("", 13, "from shop import a\n")
    assert (hidden.language, hidden.line) == ("python", 21)


def test_tests_are_called_and_functions_noted(tmp_path, monkeypatch):
    other = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", other)  # some other test has it, from some other folder
    file, listed, hidden = _sample(tmp_path, monkeypatch)
    code = PageCode(monkeypatch, tmp_path)
    with forgotten(tmp_path), Session().lasting():
        code.run(file)
        code.run(listed)
        assert set(code.idle()) == {"a"}
        code.run(hidden)
    assert vars(code._module)["seen"] == ["without", 1]
    assert not code.idle()


def test_a_block_that_fails_names_its_line(tmp_path, monkeypatch):
    code = PageCode(monkeypatch, tmp_path)
    with pytest.raises(ZeroDivisionError) as failed:
        code.run(Block("docs/concepts.md", 7, "python", "", "1 / 0\n"))
    last = failed.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("concepts.md", 7)


def _sample(tmp_path, monkeypatch):
    monkeypatch.setattr("pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(_PAGE, "utf-8")
    return blocks_of(page, "python")
