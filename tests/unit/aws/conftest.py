"""Fixtures of the tests of forwarders and keys: an environment without settings of ours, and an event API."""

import os

import pytest
from forward_api import EventApi

from inngest_serverless.secret_keys import _secret


@pytest.fixture
def no_settings(monkeypatch):
    for name in os.environ:
        if name.startswith(("INNGEST_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    _secret.cache_clear()
    yield
    _secret.cache_clear()


@pytest.fixture
def event_api(no_settings, monkeypatch):
    """An event API that the environment names, and clients that do not wait."""
    monkeypatch.setattr("inngest_serverless.client.pause", lambda _: None)
    with EventApi() as running:
        monkeypatch.setenv("INNGEST_EVENT_KEY", "evt-key")
        monkeypatch.setenv("INNGEST_EVENT_API_BASE_URL", running.url)
        yield running
