"""The targets of scripts/fuzz, each with a few hundred inputs: whatever comes from outside, the promises hold."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "fuzzing"))

from campaign import load

TARGETS = load()
# An input is a row of choices, so a short one that fails says most.
inputs = st.binary(min_size=48, max_size=120)
quickly = settings(
    deadline=None,
    max_examples=250,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """What the forwarders log of thousands of bad records tells nothing."""
    monkeypatch.setattr(logging.getLogger("inngest_serverless"), "disabled", True)


@pytest.mark.parametrize("name", TARGETS)
@quickly
@given(data=inputs)
def test_target(name, data):
    TARGETS[name](data)
