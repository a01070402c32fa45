"""Random trees with races: who wins follows from the order in which the steps completed, however calls are made."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

from engine_server import Both, Do, Server, both, declare
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

quickly = settings(
    deadline=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
NEVER = 10**9

steps = st.tuples(st.just("run"), st.sampled_from("aab"))


def groups(inner, least):
    return st.tuples(st.sampled_from(["race", "group"]), st.lists(inner, min_size=least, max_size=3))


branches = st.recursive(
    st.lists(steps, max_size=3),
    lambda inner: st.lists(steps | groups(inner, 0), min_size=1, max_size=3),
    max_leaves=6,
)
trees = st.tuples(st.lists(steps, max_size=1), groups(branches, 1), st.lists(steps, max_size=2)).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)


def script(sequence, ran, path=""):
    results = []
    for position, (kind, content) in enumerate(sequence):
        label = f"{path}.{position}"
        if kind == "run":
            results.append((yield Do("run", content, lambda label=label: ran.update([label]) or label)))
        else:
            scripts = [partial(script, branch, ran, f"{label}.{n}") for n, branch in enumerate(content)]
            mode = "race" if kind == "race" else None
            results.append(list((yield Both(*scripts, mode=mode))))
    return results


def chooser(seed):
    return random.Random(seed).choice  # noqa: S311 - chooses steps, keeps no secrets


def evaluate(sequence, places, path="", begin=-1):
    """What a sequence gives when steps completed at these places, and when it is done."""
    results, done = [], begin
    for position, (kind, content) in enumerate(sequence):
        label = f"{path}.{position}"
        if kind == "run":
            results.append(label)
            done = max(done, places.get(label, NEVER))
            continue
        ended = [evaluate(branch, places, f"{label}.{n}", done) for n, branch in enumerate(content)]
        if not ended:
            results.append([])
        elif kind == "race":
            # Two branches without a step between them: nothing says which of them is first.
            first = min(when for _, when in ended)
            assume([when for _, when in ended].count(first) == 1 or first == NEVER)
            value, done = min(ended, key=lambda end: end[1])
            results.append([value])
        else:
            results.append([value for value, _ in ended])
            done = max([done, *[when for _, when in ended]])
    return results, done


@both
@quickly
@given(tree=trees, seed=st.integers(0, 999), each=st.booleans(), stale=st.booleans())
def test_the_winner_follows_from_the_order_of_completion(kind, tree, seed, each, stale):
    ran = Counter()
    server = Server(declare(kind, lambda ctx: script(tree, ran)))
    answer = server.run(pick=chooser(seed), each=each, stale=stale)
    places = {server.memos[key]["data"]: place for place, key in enumerate(server.order)}
    value, done = evaluate(tree, places)
    assert done < NEVER, "the function ended before a step that it needs"
    assert (answer.status, answer.json) == (200, value)
    assert set(ran.values()) <= {1}, "a body ran twice"


@both
@quickly
@given(tree=trees, seed=st.integers(0, 999))
def test_the_winner_stays_the_winner_on_every_later_call(kind, tree, seed):
    ran = Counter()
    server = Server(declare(kind, lambda ctx: script(tree, ran)))
    answer = server.run(pick=chooser(seed), each=True)
    before = Counter(ran)
    again = server.call(disable_immediate_execution=True)
    assert (again.status, again.body) == (answer.status, answer.body)
    assert ran == before
