"""Lies here so that what lies beside it can be imported by all tests; what holds for each of their processes."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure() -> None:
    """Hear interrupts: what a shell starts in its background has them ignored, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def resting_collector() -> Iterator[None]:
    """Nothing is collected meanwhile.

    For tests that recurse as deep as it goes: finalizers that run there find no room, whoever's they are, and pytest
    blames the test.
    """
    gc.disable()
    yield
    gc.enable()
