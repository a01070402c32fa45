"""The benchmark measures what answers correctly, and nothing else; its page shows what it measures."""

from __future__ import annotations

import base64
import copy
import dataclasses
import importlib
import io
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "scripts" / "benchmarks"
OWN = (
    "artifacts",
    "calls",
    "calls_durable",
    "calls_inngest",
    "calls_restate",
    "contenders",
    "measure",
    "report",
    "runtime",
)
PINS = (ROOT / "requirements" / "bench.txt").read_text("utf-8")
PAGE = ROOT / "docs" / "performance.md"
TABLE_WIDTH = 100


@pytest.fixture
def bench(monkeypatch):
    """The benchmark's modules, by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    # Other tests have modules of the same names.
    others = {name: sys.modules.pop(name) for name in OWN if name in sys.modules}
    yield {name: importlib.import_module(name) for name in OWN}
    for name in OWN:
        sys.modules.pop(name, None)
    sys.modules.update(others)


def place_for(bench, folder, *names):
    """A bench with these contenders, which repeats nothing."""
    contenders = {name: bench["contenders"].CONTENDERS[name] for name in names}
    return bench["measure"].Bench(contenders, folder, folder / "no-pins", lambda _text: None, seconds=0)


@pytest.mark.integration
def test_every_figure_is_measured_beside_the_floor(bench, tmp_path):
    figures = place_for(bench, tmp_path, "floor", "sync").measure(1, 1)
    assert set(figures) == {"floor", "sync"}
    assert all(set(row) == set(bench["report"].GOALS) for row in figures.values())
    assert all(value > 0 for row in figures.values() for value in row.values()), figures


@pytest.mark.integration
def test_the_async_handler_answers_every_call(bench, tmp_path):
    figures = place_for(bench, tmp_path, "async").warm(1)
    assert set(figures["async"]) == set(bench["calls"].CASES)


@pytest.mark.integration
def test_what_build_lambda_gains_is_measured(bench, tmp_path):
    artifacts, report = bench["artifacts"], bench["report"]
    apps = artifacts.artifacts_of(typed=False)
    figures = artifacts.measure_artifacts(apps, tmp_path, tmp_path / "no-pins", lambda _text: None, 1)
    [(app, rows)] = figures.items()
    assert app == "untyped"
    assert set(rows) == set(artifacts.ROWS)
    assert all(set(row) == set(artifacts.COLUMNS) and min(row.values()) > 0 for row in rows.values())
    assert rows["zipped"]["built"] < rows["zipped"]["source"] < rows["zipped"]["compiled"]
    text = report.artifacts_markdown(figures)
    assert text.count("\n") == 2 + len(artifacts.ROWS)
    assert "| untyped: zipped |" in text


@pytest.mark.integration
def test_a_wrong_answer_is_not_measured(bench, tmp_path, monkeypatch):
    contenders = bench["contenders"]
    reply = {"statusCode": 206, "headers": {}, "body": "[]"}
    (tmp_path / "wrong.py").write_text(f"def handler(event, context): return {reply!r}\n")
    monkeypatch.setattr(contenders, "HERE", tmp_path)
    wrong = dataclasses.replace(contenders.CONTENDERS["floor"], title="a wrong one", module="wrong")
    place = bench["measure"].Bench({"wrong": wrong}, tmp_path / "work", tmp_path / "no-pins", lambda _text: None, 0)
    for measure in (place.cold, place.warm, place.in_runtime):
        with pytest.raises(bench["measure"].BenchError, match="a wrong one answers 'no memoized steps' wrongly"):
            measure(1)


@pytest.mark.integration
def test_what_cannot_be_installed_or_run_is_named(bench, tmp_path, monkeypatch):
    contenders, error = bench["contenders"], bench["measure"].BenchError
    (tmp_path / "broken.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(contenders, "HERE", tmp_path)
    broken = dataclasses.replace(contenders.CONTENDERS["floor"], title="a broken one", module="broken")
    place = bench["measure"].Bench({"broken": broken}, tmp_path / "work", tmp_path / "no-pins", lambda _text: None)
    with pytest.raises(error, match=r"a broken one cannot be measured \(import\)"):
        place.cold(1)
    with pytest.raises(error, match=r"a broken one cannot be measured in the Lambda runtime: Runtime\.ExitError"):
        place.in_runtime(1)
    absent = dataclasses.replace(broken, requirements=("./absent",))
    with pytest.raises(error, match="a broken one cannot be installed"):
        bench["measure"].Bench({"absent": absent}, tmp_path / "absent", tmp_path / "no-pins", lambda _text: None)


# What the handlers of the pinned SDKs answered to "no memoized steps": Restate's as the types and bodies of frames.
RESTATE_FRAMES = (
    (0x0411, b"X\x01b\x03new"),
    (0x0005, b"\x08\x01r\x010"),
    (0x0001, b'"\x08\n\x01\x01\x12\x01\x01(\x01'),
)
DURABLE_STEP = "1ced8f5be2db23a6513eba4d819c73806424748a7bc6fa0d792cc1c7d1775a97"
DURABLE_REPLY = {
    "Status": "SUCCEEDED",
    "Result": "0",
    "checkpoints": [
        {"Id": DURABLE_STEP, "Type": "STEP", "Action": "START", "Name": "new", "SubType": "Step"},
        {"Id": DURABLE_STEP, "Type": "STEP", "Action": "SUCCEED", "Name": "new", "SubType": "Step", "Payload": "0"},
    ],
}


def restate_reply(*frames):
    data = b"".join(
        kind.to_bytes(4, "little")[:2][::-1] + b"\0\0" + len(body).to_bytes(4) + body for kind, body in frames
    )
    return {"statusCode": 200, "body": base64.b64encode(data).decode(), "isBase64Encoded": True}


def test_restate_s_replies_are_read_strictly(bench):
    calls, case = bench["calls_restate"], bench["calls"].CASES["0"]
    run, proposed, suspended = RESTATE_FRAMES
    expected = calls.expected(case)
    assert calls.reported(restate_reply(run, proposed, suspended)) == expected
    failed = (0x0002, b"\x08\xf4\x03\x12\x04oops")
    another = (0x0005, b"\x08\x01r\x011")
    for frames in [(run, suspended), (run, proposed), (run, another, suspended), (failed,), (*RESTATE_FRAMES, failed)]:
        assert calls.reported(restate_reply(*frames)) != expected, frames
    assert calls.reported(restate_reply(*RESTATE_FRAMES) | {"statusCode": 500}) != expected
    with pytest.raises(ValueError, match="cut off"):
        calls.reported({"statusCode": 200, "body": base64.b64encode(b"\x04\x11").decode()})


def test_replies_of_durable_functions_are_read_strictly(bench):
    calls, case = bench["calls_durable"], bench["calls"].CASES["0"]
    expected = calls.expected(case)
    assert calls.reported(DURABLE_REPLY) == expected
    for change in ({"Status": "PENDING"}, {"Result": "1"}, {"checkpoints": DURABLE_REPLY["checkpoints"][:1]}):
        assert calls.reported(DURABLE_REPLY | change) != expected, change
    other = copy.deepcopy(DURABLE_REPLY)
    other["checkpoints"][1]["Payload"] = "1"
    assert calls.reported(other) != expected


def test_inngest_s_replies_are_read_strictly(bench):
    calls, cases = bench["calls_inngest"], bench["calls"].CASES
    opcode = '[{"op":"StepRun","id":"c2a6b03f190dfb2b4aa91f8af8d477a9bc3401dc","data":0}]'
    reply = {"statusCode": 206, "headers": {}, "body": opcode}
    assert calls.reported(reply) == calls.expected(cases["0"])
    for change in ({"statusCode": 200}, {"body": opcode.replace(":0", ":1")}, {"body": opcode.replace("c2", "d2")}):
        assert calls.reported(reply | change) != calls.expected(cases["0"]), change
    signed = {"x-inngest-signature": f"t=1&s={'0' * 64}"}
    assert calls.reported(reply | {"headers": signed}) != calls.expected(cases["big-signed"])


@pytest.mark.parametrize("protocol", ["calls_durable", "calls_inngest", "calls_restate"])
def test_a_protocol_leaves_out_signed_calls_at_most(bench, protocol):
    calls, cases = bench[protocol], bench["calls"].CASES
    assert all(case.signed for case in cases.values() if calls.make_event(case, "sync") is None)
    assert len(calls.expected(cases["parallel"])) >= cases["parallel"].parallel
    signed = bench["calls_inngest"].make_event(cases["big-signed"], "sync")
    assert "x-inngest-signature" in signed["headers"]


def figures_of_all(bench):
    """Wide figures, for tables: the largest that a cell has to hold, and goals that are missed."""
    contenders, report = bench["contenders"], bench["report"]
    figures = {name: dict.fromkeys(report.GOALS, 9_990.0) for name in contenders.CONTENDERS}
    figures["floor"] |= dict.fromkeys(report.GOALS, 88.8)
    for key in ("big-signed", "texts-signed"):
        del figures["restate"][key]
    return figures


def test_the_table_fits_into_a_terminal(bench):
    report = bench["report"]
    file = io.StringIO()
    Console(width=TABLE_WIDTH, file=file).print(report.table(figures_of_all(bench)))
    text = file.getvalue()
    assert "…" not in text, text
    for title, _, _ in report.GOALS.values():
        assert sum(line.strip().startswith(f"{title} ") for line in text.splitlines()) == 1, (title, text)


def test_a_missed_goal_is_shown(bench):
    report = bench["report"]
    figures = figures_of_all(bench)
    assert "<= 3x, missed |" in report.markdown(figures)
    figures["sync"] |= dict.fromkeys(report.GOALS, 88.8 * 0.9)
    assert "missed" not in report.markdown(figures)


def rows_of_the_page():
    """The cells of the only table of figures on the page."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    start = next(number for number, line in enumerate(lines) if line.endswith("| goal |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    return rows[0], rows[2:]


def test_the_page_has_the_table_of_the_benchmark(bench):
    contenders, report = bench["contenders"].CONTENDERS, bench["report"]
    head, rows = rows_of_the_page()
    command = "run scripts/bench --peers --docs and put its table into docs/performance.md"
    assert head == ["", *(one.title for one in contenders.values()), "goal"], command
    assert [row[0] for row in rows[: len(report.GOALS)]] == [title for title, _, _ in report.GOALS.values()], command
    own = 1 + list(contenders).index(report.GOAL_OF)
    for row, (key, (_, _, goal)) in zip(rows, report.GOALS.items(), strict=False):
        assert row[-1].removesuffix(", missed") == (f"<= {goal:g}x" if goal is not None else ""), (key, command)
        if goal is not None and (multiple := float(row[own].strip("*").removesuffix("x"))) != goal:
            assert row[-1].endswith("missed") is (multiple > goal), (key, command)


def test_the_page_has_the_table_of_artifacts(bench):
    artifacts = bench["artifacts"]
    command = "run scripts/bench --peers --docs and put its tables into docs/performance.md"
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index("|  | " + " | ".join(artifacts.COLUMNS.values()) + " |")
    rows = [line.split("|")[1].strip() for line in lines[start + 2 : start + 2 + 2 * len(artifacts.ROWS)]]
    assert rows == [f"{app}: {title}" for app in ("untyped", "typed") for title, _ in artifacts.ROWS.values()], command


def test_every_package_is_pinned(bench):
    pins = [line for line in PINS.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins), pins
    names = {pin.partition("==")[0] for pin in pins}
    apps = [*bench["contenders"].CONTENDERS.values(), *bench["artifacts"].artifacts_of(typed=True).values()]
    asked = {name for one in apps for name in one.requirements}
    assert asked | {"matplotlib"} <= names
