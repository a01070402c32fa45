"""The tests of the test kit run in an environment with settings of ours, which they must neither use nor change."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

SETTINGS = {
    "INNGEST_DEV": "0",
    "INNGEST_SIGNING_KEY": "signkey-prod-" + "ab" * 32,
    "INNGEST_EVENT_KEY": "a-real-key",
    "INNGEST_BASE_URL": "https://not-for-tests.invalid",
    "INNGEST_SERVE_PATH": "/elsewhere",
}


@pytest.fixture(autouse=True)
def settings_of_production(monkeypatch):
    """What a developer's shell may hold: nothing of it may be used, and all of it has to be there afterwards."""
    for name in list(os.environ):
        if name.startswith("INNGEST_"):
            monkeypatch.delenv(name)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    yield
    changed = {name for name in before.keys() | os.environ if before.get(name) != os.environ.get(name)}
    # pytest's own, which says what it is doing.
    assert changed <= {"PYTEST_CURRENT_TEST"}, f"the kit left the environment changed: {changed}"
