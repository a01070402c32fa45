"""Random trees with races, for workflows that are made from them, and what such a workflow has to come to."""

from __future__ import annotations

from functools import partial

from engine_server import Both, Do
from hypothesis import assume
from hypothesis import strategies as st

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
