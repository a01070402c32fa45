"""Random workflows under random faults: every step counts once, and the result is that of a run without faults.

The short form is the same every time. For a long one, with other workflows each time: ``INNGEST_SOAK=5000`` and this
file; the number is that of examples per test. What fails is printed with its workflow and its seed, which repeat it.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime

from engine_server import both, declare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from race_trees import NEVER, script, trees
from race_trees import evaluate as evaluate_race
from workflows import BODIES, RETRIES, World, evaluate, labels, without_tokens, workflows

from inngest_serverless.testing import Fault, Session

AT = datetime(2026, 3, 1, tzinfo=UTC)
SOAK = int(os.environ.get("INNGEST_SOAK", "0"))
thoroughly = settings(
    deadline=None,
    max_examples=SOAK or 40,
    derandomize=not SOAK,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
seeds = st.integers(0, 2**32)
rates = st.sampled_from([0.0, 0.2, 0.5])


def finish(world, kind, tree, faults, seed=0):
    """Run a workflow to its end, with somebody who sends the events that it waits for."""
    session = Session(at=AT, seed=seed)
    session.serve(world.child())
    run = session.start(world.function(kind, tree), {"name": "test/started"}, faults=faults)
    for _ in range(5_000):
        if run.status != "running":
            break
        heard = next((each for each in run.waiting if each.detail.startswith("got/")), None)
        if heard is None:
            run.advance("10m")
        else:
            label = heard.detail.removeprefix("got/")
            world.tokens[label].append(f"{label}#0")
            assert run.send({"name": heard.detail, "data": {"label": f"{label}#0"}}), "it waited, and did not hear"
    return session, run.finish()


def told(result):
    """What failed, for whoever has to find out why."""
    return f"{result.error}\n{result.describe()}"


@both
@thoroughly
@given(tree=workflows, seed=seeds, rate=rates, is_unique=st.booleans())
def test_every_step_counts_once_whatever_goes_wrong(kind, tree, seed, rate, is_unique):
    world = World(is_unique=is_unique)
    session, result = finish(world, kind, tree, [Fault.random(seed, rate=rate)], seed)
    assert result.status == "completed", told(result)
    assert without_tokens(result.output) == evaluate(tree), told(result)
    assert_each_once(tree, result)
    assert_seen_as_accepted(session, result, world)
    assert_told_once(tree, session, result)
    if is_unique:
        assert_run_as_often_as_needed(tree, world, result)


def assert_each_once(tree, result):
    """No step is lost, and none is reported twice."""
    finished = Counter(moment.key for moment in result.timeline if moment.kind in {"StepRun", "StepFailed"})
    assert set(finished.values()) <= {1}, told(result)
    assert len(result.steps) == len(list(labels(tree))), told(result)
    expected = Counter(kind for kind, _ in labels(tree))
    found = Counter(moment.kind for moment in result.timeline)
    assert found["StepRun"] == sum(expected[kind] for kind in BODIES - {"fail"}), told(result)
    assert found["StepFailed"] == expected["fail"], told(result)
    assert found["Woke"] == expected["sleep"], told(result)
    assert found["TimedOut"] == expected["wait"], told(result)
    assert found["Received"] == expected["hear"], told(result)
    assert found["Invoked"] == expected["invoke"], told(result)


def assert_seen_as_accepted(session, result, world):
    """What the function saw of a step is what the server has accepted, and both come from one run of its body."""
    remembered = Counter(filter(None, map(_token, result.step_results)))
    seen = Counter(token for token in _flat(result.output) if isinstance(token, str) and "#" in token)
    assert seen == remembered, told(result)
    made = {token for tokens in world.tokens.values() for token in tokens}
    assert {token.removeprefix("failed ") for token in seen} <= made, told(result)
    assert len(session.runs) == 1 + sum(moment.kind == "Invoked" for moment in result.timeline), "a child too many"


def assert_told_once(tree, session, result):
    """Events that a step sends are taken once, however often it has run."""
    sent = Counter(event.data["label"] for event in session.sent)
    assert sent == Counter(label for kind, label in labels(tree) if kind == "tell"), told(result)


def assert_run_as_often_as_needed(tree, world, result):
    """A body runs once more for every answer that was lost or doubled, and for no other reason."""
    again = Counter(
        step for fault in result.faults if fault.kind in {"kill_after", "duplicate"} for step in fault.steps
    )
    for kind, label in labels(tree):
        ran = len(world.tokens[label])
        if kind in {"run", "fail"}:
            assert ran == 1 + again[label], f"{label} ran {ran} times\n{told(result)}"
        if kind == "flaky":
            assert 3 <= ran <= 3 + again[label], f"{label} ran {ran} times\n{told(result)}"


def _token(step):
    if step.error is not None:
        return f"failed {step.error.message}"
    value = step.output["data"].get("label") if isinstance(step.output, dict) else step.output
    return value if isinstance(value, str) else None


def _flat(value):
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _flat(item)


@both
@thoroughly
@given(tree=workflows, seed=seeds)
def test_the_same_seed_gives_the_same_run(kind, tree, seed):
    def played():
        _, result = finish(World(is_unique=False), kind, tree, [Fault.random(seed, rate=0.3)], seed)
        timeline = [(moment.at_ms, moment.kind, moment.key, moment.attempt) for moment in result.timeline]
        return timeline, result.faults, result.output, result.run_id

    assert played() == played()


@both
@thoroughly
@given(tree=workflows, seed=seeds, rate=rates)
def test_it_comes_to_the_same_end_as_without_faults(kind, tree, seed, rate):
    _, plain = finish(World(is_unique=False), kind, tree, [])
    _, harmed = finish(World(is_unique=False), kind, tree, [Fault.random(seed, rate=rate)], seed)
    assert without_tokens(harmed.output) == without_tokens(plain.output), told(harmed)
    assert sorted(harmed.steps) == sorted(plain.steps), told(harmed)
    if not harmed.faults:
        assert harmed.calls == plain.calls, told(harmed)


@both
@thoroughly
@given(tree=trees, seed=seeds, rate=rates)
def test_races_are_won_by_who_the_server_says(kind, tree, seed, rate):
    """Which branch wins follows from the order in which the server accepted the steps, whatever went wrong."""
    ran = Counter()
    function = declare(kind, lambda _ctx: script(tree, ran), retries=RETRIES)
    session = Session(at=AT, seed=seed)
    result = session.run(function, {"name": "test/started"}, faults=[Fault.random(seed, rate=rate)])
    places = {step.output: place for place, step in enumerate(result.step_results)}
    value, done = evaluate_race(tree, places)
    assert done < NEVER, f"the function ended before a step that it needs\n{told(result)}"
    assert (result.status, result.output) == ("completed", value), told(result)


harms = st.sampled_from([Fault.kill_before, Fault.kill_after, Fault.drop_reply, Fault.duplicate])


@both
@thoroughly
@given(tree=workflows, seed=seeds, harm=st.lists(st.tuples(harms, st.integers(0, 99), st.integers(1, 3)), max_size=5))
def test_faults_of_single_steps(kind, tree, seed, harm):
    """Faults that are given one by one, at steps of the workflow."""
    steps = [label for _, label in labels(tree)] or ["none"]
    faults = [make(steps[place % len(steps)], times=times) for make, place, times in harm if steps != ["none"]]
    _, result = finish(World(is_unique=True), kind, tree, [*faults, Fault.reorder(seed)], seed)
    assert without_tokens(result.output) == evaluate(tree), told(result)
    assert_each_once(tree, result)
