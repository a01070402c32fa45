"""Fixtures of the client's tests: an event API, clients of it, and both ways to call them."""

from __future__ import annotations

import asyncio
import os

import pytest
from client_api import Api, Caller, Clients

from inngest_serverless import client as client_module


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """An environment without settings of ours, and without proxies."""
    for name in os.environ:
        if name.startswith("INNGEST_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    client_module._default.cache_clear()
    yield
    client_module._default.cache_clear()


@pytest.fixture
def api():
    with Api() as running:
        yield running


@pytest.fixture
def clients(api):
    return Clients(api)


@pytest.fixture(params=["sync", "async"])
def call(request):
    if request.param == "sync":
        yield Caller(None)
    else:
        with asyncio.Runner() as runner:
            yield Caller(runner)
