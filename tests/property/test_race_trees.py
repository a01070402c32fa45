"""Random trees with races: who wins follows from the order in which the steps completed, however calls are made."""

from __future__ import annotations

import random
from collections import Counter

from engine_server import Server, both, declare
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from race_trees import NEVER, evaluate, script, trees

quickly = settings(
    deadline=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)


def chooser(seed):
    return random.Random(seed).choice  # noqa: S311 - chooses steps, keeps no secrets


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
