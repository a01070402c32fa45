"""Which imports scripts/build_lambda follows: all that the code has, wherever they stand."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., set[str]]]:
    """What the module ``main`` reaches of the packages ``lib`` (whole) and ``own`` (module by module)."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    files = {
        "lib/__init__.py": "from . import core",
        "lib/core.py": "import other",
        "lib/tests/__init__.py": "",
        "other.py": "",
        "own/__init__.py": "_HOMES = {'own.deep.end': ('end',), 'own.late': ('late',)}",
        "own/deep/__init__.py": "",
        "own/deep/end.py": "from ..near import x",
        "own/near.py": "",
        "own/late.py": "",
        "own/never.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(source: str, without: frozenset[str] = frozenset()) -> set[str]:
        from lambda_imports import Imports  # type: ignore[import-not-found]

        (tmp_path / "main.py").write_text(dedent(source))
        imports = Imports(tmp_path, {"lib", "other", "own"}, by_module={"own"}, without=set(without), own="own")
        assert imports.follow("main")
        reached: set[str] = imports.reached - {"main"}
        return reached

    yield run
    sys.modules.pop("lambda_imports", None)


LIB = {"lib", "lib.core", "other"}


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("import lib", LIB),
        ("from lib.tests import x", LIB | {"lib.tests"}),
        ("def f():\n    from own.late import x", {"own", "own.late"}),
        ("from own import end", {"own", "own.deep", "own.deep.end", "own.near"}),
        ("from own import *", {"own", "own.deep", "own.deep.end", "own.near", "own.late"}),
        ("import own", {"own", "own.deep", "own.deep.end", "own.near", "own.late"}),
        ("from own import deep", {"own", "own.deep"}),
        ("import importlib\nimportlib.import_module('own.never')", {"own", "own.never"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lib\nelse:\n    import other", {"other"}),
        ("try:\n    import lib\nexcept ImportError:\n    import nowhere", LIB),
    ],
)
def test_what_is_imported_wherever_it_stands(source: str, reached: set[str], follow: Callable[[str], set[str]]) -> None:
    assert follow(source) == reached


def test_what_is_left_out_is_not_followed(follow: Callable[..., set[str]]) -> None:
    assert follow("import lib", frozenset({"other"})) == {"lib", "lib.core"}
    assert follow("import lib", frozenset({"lib"})) == set()
