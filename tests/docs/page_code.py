"""Runs the Python of a page as its reader would: block after block, in one namespace."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pages import ROOT

from inngest_serverless.engine.invocation import Invocation
from inngest_serverless.functions import Function
from inngest_serverless.testing import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    from pages import Block


class PageCode:
    """The code of one page.

    A block with a title is a file beside the others, and is imported by its name. Any other block continues the page's
    own module. Functions named ``test_...`` are called as pytest would call them.

    Args:
        monkeypatch: Puts everything back afterwards.
        folder: Where its files go; it is the current folder meanwhile.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._folder = folder
        self._module = ModuleType("page")
        self._modules = [self._module]
        self._tested: set[str] = set()
        self._ran: set[int] = set()
        self._monkeypatch = monkeypatch
        monkeypatch.setitem(sys.modules, "page", self._module)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.chdir(folder)
        for name in ("run", "run_async"):
            monkeypatch.setattr(Invocation, name, self._noting(getattr(Invocation, name)))

    def run(self, block: Block) -> None:
        """Run a block, and the tests in it."""
        if block.title:
            path = self._folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code, "utf-8")
            if path.suffix != ".py":
                return
            invalidate_caches()
            name = block.title.removesuffix(".py").replace("/", ".")
            self._make_way(name)
            module = import_module(name)
            self._modules.append(module)
        else:
            module = self._module
            # With as many lines before it as on the page, so that a traceback shows the page itself.
            code = compile("\n" * (block.line - 1) + block.code, ROOT / block.page, "exec", dont_inherit=True)
            exec(code, vars(module))  # noqa: S102 - the pages are ours
        for name, value in list(vars(module).items()):
            if name.startswith("test_") and name not in self._tested:
                self._tested.add(name)
                _run_test(value)

    def _make_way(self, name: str) -> None:
        """Set aside the modules of other folders that have the name, or the package's, until the test has ended."""
        for taken in {name, name.partition(".")[0]} & set(sys.modules):
            if str(self._folder) not in repr(sys.modules[taken].__spec__):
                self._monkeypatch.delitem(sys.modules, taken)

    def idle(self) -> list[str]:
        """The functions that the page shows and nothing has run."""
        return [
            name
            for module in self._modules
            for name, value in vars(module).items()
            if isinstance(value, Function) and id(value) not in self._ran
        ]

    def _noting(self, run: Any) -> Any:
        def noted(invocation: Invocation, *args: Any) -> Any:
            self._ran.add(id(invocation.function))
            return run(invocation, *args)

        return noted


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Forget the modules of a folder afterwards: the next page has others of the same names."""
    try:
        yield
    finally:
        for name, module in list(sys.modules.items()):
            if str(folder) in str(getattr(module, "__file__", None)):
                del sys.modules[name]


def _run_test(test: Any) -> None:
    if "inngest" not in inspect.signature(test).parameters:
        test()
        return
    with Session() as session:
        test(session)
