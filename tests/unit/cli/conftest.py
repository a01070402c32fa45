"""Fixtures of the command line's tests: an environment without settings, and modules to point at."""

from __future__ import annotations

import os
import sys
from itertools import count
from textwrap import dedent

import pytest

_NUMBERS = count(1)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """An environment without settings of ours, and without proxies; ``sys.path`` is put back."""
    for name in os.environ:
        if name.startswith(("INNGEST_", "AWS_LAMBDA_", "K_SERVICE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def write(tmp_path):
    """Writes a module into ``tmp_path`` and returns its name, which no other test has."""

    def run(source: str) -> str:
        name = f"pointed_at_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        return name

    return run
