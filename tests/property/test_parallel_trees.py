"""Random trees of steps, run to their end in every order: each body runs once, and each result gets to its place."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import pytest
from engine_server import Both, Do, Server, both, declare, hash_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from inngest_serverless import NonRetriableError, StepError

IDS = ["a", "b", "a:1", "a:2", "b:1", "a/a", "a/b", "a:1/a"]
quickly = settings(
    deadline=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)

# A sequence is a list of nodes: (kind, ID), ("parallel", [sequence, ...], how), ("swallow", sequence) for one whose
# interrupts are caught as users do, or ("finally", sequence, ID) for one with a step that cleans up behind it.
leaves = st.tuples(st.sampled_from(["run", "run", "run", "sleep", "fail"]), st.sampled_from(IDS))
ways = st.sampled_from(["group", "gather", "tasks"])


def groups(inner, least):
    return st.tuples(st.just("parallel"), st.lists(inner, min_size=least, max_size=4), ways)


def shells(inner):
    return st.tuples(st.just("swallow"), inner) | st.tuples(st.just("finally"), inner, st.sampled_from(IDS))


branches = st.recursive(
    st.lists(leaves, max_size=3),
    lambda inner: st.lists(leaves | groups(inner, 0) | shells(inner), min_size=1, max_size=3),
    max_leaves=8,
)
ends = st.lists(leaves | shells(st.lists(leaves, max_size=2)), max_size=2)
sequences = st.tuples(ends, groups(branches, 0), ends).map(lambda parts: [*parts[0], parts[1], *parts[2]])


class World:
    """What the bodies of a tree do to the world outside."""

    def __init__(self):
        self.ran = Counter()
        self.log = []

    def work(self, label):
        self.ran[label] += 1
        return label

    def fail(self, label):
        self.ran[label] += 1
        raise NonRetriableError(label)

    def script(self, sequence, path=""):
        """Plays a sequence; every node gives a result that names its place."""
        results = []
        for position, (kind, *rest) in enumerate(sequence):
            label = f"{path}.{position}"
            if kind == "parallel":
                branches, by = rest
                scripts = [partial(self.script, branch, f"{label}.{n}") for n, branch in enumerate(branches)]
                results.append(list((yield Both(*scripts, by=by))))
                continue
            if kind in {"swallow", "finally"}:
                results.append((yield from getattr(self, f"{kind}s")(label, *rest)))
                continue
            if kind == "sleep":
                results.append((yield Do("sleep", rest[0], "1s")))
            else:
                try:
                    results.append((yield Do("run", rest[0], self.work if kind == "run" else self.fail, label)))
                except StepError as error:
                    results.append(f"failed {error.message}")
            self.log.append(label)
        return results

    def swallows(self, label, sequence):
        try:
            return (yield from self.script(sequence, label))
        except BaseException:  # noqa: BLE001 - as users do
            return "made up"

    def finallys(self, label, sequence, step_id):
        try:
            result = yield from self.script(sequence, label)
        finally:
            cleanup = yield Do("run", step_id, self.work, f"{label}.finally")
            self.log.append(f"{label}.finally")
        return [result, cleanup]

    def fresh_script(self, sequence):
        self.log.clear()
        return self.script(sequence)


def evaluate(sequence, path=""):
    """What a sequence gives, worked out directly."""
    results = []
    for position, (kind, *rest) in enumerate(sequence):
        label = f"{path}.{position}"
        if kind == "parallel":
            results.append([evaluate(branch, f"{label}.{n}") for n, branch in enumerate(rest[0])])
        elif kind == "swallow":
            results.append(evaluate(rest[0], label))
        elif kind == "finally":
            results.append([evaluate(rest[0], label), f"{label}.finally"])
        else:
            results.append({"run": label, "sleep": None, "fail": f"failed {label}"}[kind])
    return results


def bodies(sequence, path=""):
    """The labels of all steps that have a body."""
    for position, (kind, *rest) in enumerate(sequence):
        label = f"{path}.{position}"
        if kind == "parallel":
            for n, branch in enumerate(rest[0]):
                yield from bodies(branch, f"{label}.{n}")
        elif kind in {"swallow", "finally"}:
            yield from bodies(rest[0], label)
            if kind == "finally":
                yield f"{label}.finally"
        elif kind != "sleep":
            yield label


def chooser(seed):
    return random.Random(seed).choice  # noqa: S311 - chooses steps, keeps no secrets


def finish(kind, tree, seed, **modes):
    world = World()
    server = Server(declare(kind, lambda ctx: world.fresh_script(tree)))
    answer = server.run(pick=chooser(seed), **modes)
    return world, server, answer


@both
@quickly
@given(tree=sequences, seed=st.integers(0, 999), each=st.booleans(), stale=st.booleans())
def test_each_result_gets_to_its_place_and_each_body_runs_once(kind, tree, seed, each, stale):
    world, _, answer = finish(kind, tree, seed, each=each, stale=stale)
    assert (answer.status, answer.json) == (200, evaluate(tree))
    assert world.ran == Counter(bodies(tree))


@both
@quickly
@given(tree=sequences, seed=st.integers(0, 999), each=st.booleans())
def test_a_call_made_twice_is_answered_alike(kind, tree, seed, each):
    _, _, answer = finish(kind, tree, seed, each=each, twice=True)
    assert answer.json == evaluate(tree)


@both
@quickly
@given(tree=sequences, seed=st.integers(0, 999), each=st.booleans())
def test_late_and_early_calls_run_nothing_and_find_only_steps_of_the_run(kind, tree, seed, each):
    """At every moment of the run: a repeated call for a finished step, and a call that must not run anything."""
    world, server, _ = finish(kind, tree, seed, each=each)
    before = Counter(world.ran)
    everything = dict(server.memos)
    order = list(server.order)
    for moment in range(len(order) + 1):
        known = {key: everything[key] for key in order[:moment]}
        answers = [
            server.call(target, memos=known, order=order[:moment], disable_immediate_execution=True)
            for target in ["step", *order[:moment][-2:]]
        ]
        for answer in answers:
            assert answer.status == (200 if moment == len(order) else 206)
            if answer.status == 206:
                found = [op["id"] for op in answer.json]
                assert set(found) <= set(order[moment:]), "a step was found that the run never had"
                assert order[moment] in found, "the step that came next was not found"
                assert len(set(found)) == len(found)
    assert world.ran == before


@quickly
@given(tree=sequences, seed=st.integers(0, 999), each=st.booleans(), stale=st.booleans())
def test_async_code_meets_results_in_the_order_in_which_they_came(tree, seed, each, stale):
    world, server, answer = finish("async", tree, seed, each=each, stale=stale)
    assert answer.status == 200
    arrived = [server.memos[key] for key in server.order]
    met = [label for label in world.log if label in world.ran]
    came = [memo["data"] if "data" in memo else memo["error"]["message"] for memo in arrived if memo is not None]
    assert met == came


@both
@quickly
@given(tree=sequences, seed=st.integers(0, 999))
def test_planning_everything_comes_to_the_same_end(kind, tree, seed):
    """A server that never lets a step run at once."""
    world = World()
    server = Server(declare(kind, lambda ctx: world.fresh_script(tree)))
    plain = server.call

    def patient(target="step", **ctx):
        return plain(target, **{**ctx, "disable_immediate_execution": True})

    server.call = patient
    answer = server.run(pick=chooser(seed))
    assert answer.json == evaluate(tree)
    assert world.ran == Counter(bodies(tree))


@pytest.mark.parametrize("depth", [1, 3, 6])
@both
def test_groups_within_groups_within_groups(kind, depth):
    tree = [("run", "a")]
    for _ in range(depth):
        tree = [("run", "a"), ("parallel", [tree, [("run", "a"), ("run", "a")]], "gather"), ("run", "a")]
    world, server, answer = finish(kind, tree, 1, each=True)
    assert answer.json == evaluate(tree)
    assert world.ran == Counter(bodies(tree))
    assert server.order[0] == hash_of("a")
