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


_kept = {}


class Telemetry:
    """OpenTelemetry, with the spans that have ended."""

    def __init__(self):
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.trace = trace
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self):
        return list(self.exporter.get_finished_spans())

    @property
    def names(self):
        return [span.name for span in self.spans]


@pytest.fixture
def telemetry(monkeypatch):
    """OpenTelemetry as if it had been imported for this test alone: it is enough to have calls traced."""
    sys.modules.update(_kept)
    made = Telemetry()
    monkeypatch.setattr(made.trace, "_TRACER_PROVIDER", made.provider)
    yield made
    _kept["opentelemetry.trace"] = sys.modules.pop("opentelemetry.trace")
