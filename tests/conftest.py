"""Lies here so that what lies beside it can be imported by all tests; what holds for each of their processes."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Hear interrupts: what a shell starts in its background has them ignored, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
