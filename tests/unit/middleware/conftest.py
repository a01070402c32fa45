"""The simulated server and the event API are kept with the tests of the engine and of the client."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1]
sys.path += [str(UNIT), str(UNIT / "client")]


@pytest.fixture
def api(monkeypatch):
    """An event API on this machine."""
    from client_api import Api

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Api() as running:
        yield running
