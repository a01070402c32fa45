"""The benchmark measures what answers correctly, and nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

BENCHMARKS = Path(__file__).parents[2] / "scripts" / "benchmarks"
OWN = ("calls", "contenders", "measure", "report")


@pytest.fixture
def bench(monkeypatch):
    """The benchmark's modules, by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield {name: importlib.import_module(name) for name in OWN}
    for name in OWN:
        sys.modules.pop(name, None)


def test_own_handlers_are_measured_beside_the_floor(bench, tmp_path):
    contenders = {name: one for name, one in bench["contenders"].CONTENDERS.items() if not one.is_peer}
    place = bench["measure"].Bench(contenders, tmp_path, tmp_path / "no-pins", lambda _text: None)
    sizes, over, memory = place.sizes(), place.over_runtime(1), place.memory(1)
    cold, warm = place.cold(1), place.warm(1)
    figures = {
        name: {**cold[name], **warm[name], "over": over[name], "memory": memory[name], "zipped": sizes[name]}
        for name in contenders
    }
    assert set(figures) == {"floor", "sync", "async"}
    assert all(value > 0 for row in figures.values() for value in row.values()), figures
    assert all(set(row) == set(bench["report"].GOALS) for row in figures.values())
    text = bench["report"].markdown(figures)
    assert text.count("\n") == len(bench["report"].GOALS) + 2
    assert "warm call, 100 memoized steps" in text


def test_a_wrong_answer_is_not_measured(bench, tmp_path, monkeypatch):
    contenders = bench["contenders"]
    (tmp_path / "wrong.py").write_text("def handler(event, context): return {'statusCode': 206, 'body': '[]'}\n")
    monkeypatch.setattr(contenders, "HERE", tmp_path)
    wrong = dataclasses.replace(contenders.CONTENDERS["floor"], title="a wrong one", module="wrong")
    place = bench["measure"].Bench({"wrong": wrong}, tmp_path / "work", tmp_path / "no-pins", lambda _text: None)
    for measure in (place.cold, place.warm):
        with pytest.raises(bench["measure"].BenchError, match="a wrong one answers 'no memoized steps' wrongly"):
            measure(1)


@pytest.mark.parametrize("signed", [False, True])
def test_the_calls_are_what_the_server_sends(bench, signed):
    calls = bench["calls"]
    for case in calls.CASES.values():
        event = calls.function_url_event(dataclasses.replace(case, signed=signed), "sync")
        assert ("x-inngest-signature" in event["headers"]) is signed
        assert len(calls.expected(case)) == max(case.parallel, 1)
