"""Fixtures of the local engine's tests: apps behind an engine, and how to write their functions both ways."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
# The scripts that functions are written in, and the app that the transcripts were recorded with, are kept there.
sys.path += [str(TESTS / "unit"), str(TESTS / "contract")]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """An environment without settings of ours, and without proxies."""
    for name in os.environ:
        if name.startswith("INNGEST_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def serve():
    """Puts functions behind an engine: ``serve(function, ...)``, see ``engine_app.App``."""
    from engine_app import App

    with ExitStack() as stack:
        yield lambda *functions, **options: App(stack, functions, **options)
