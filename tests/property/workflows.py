"""Random workflows: trees of steps, with a world outside that counts what their bodies do to it."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from engine_server import Both, Do, declare
from hypothesis import strategies as st

from inngest_serverless import NonRetriableError, StepError, create_function, event_trigger

RETRIES = 20  # more than faults take, so that they never decide what a step comes to
IDS = ["a", "b", "a:1", "b:1", "a/a"]
# Those with a body, and what else a step can be.
BODIES = {"run", "flaky", "fail", "tell"}

# A sequence is a list of nodes: (kind, ID), or ("parallel", [sequence, ...], how).
leaves = st.tuples(
    st.sampled_from(["run", "run", "run", "flaky", "fail", "tell", "sleep", "wait", "hear", "invoke"]),
    st.sampled_from(IDS),
)
ways = st.sampled_from(["group", "gather", "tasks"])


def _groups(inner):
    return st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=4), ways)


branches = st.recursive(
    st.lists(leaves, max_size=3),
    lambda inner: st.lists(leaves | _groups(inner), min_size=1, max_size=3),
    max_leaves=8,
)
workflows = st.lists(leaves | _groups(branches), min_size=1, max_size=4)


class World:
    """What the bodies of a workflow do to the world outside: each run of one leaves a token of its own.

    Args:
        is_unique: Whether each step has an ID of its own: that of its place. Else IDs are repeated.
    """

    def __init__(self, *, is_unique):
        self.is_unique = is_unique
        self.tokens = defaultdict(list)

    def do(self, kind, label):
        self.tokens[label].append(token := f"{label}#{len(self.tokens[label])}")
        if kind == "fail":
            raise NonRetriableError(token)
        if kind == "flaky" and len(self.tokens[label]) <= 2:
            raise OSError(token)
        return token

    def function(self, kind, tree):
        """The workflow as a sync or an async function."""
        return declare(kind, lambda _ctx: self._script(tree), retries=RETRIES)

    def child(self):
        """The function that is invoked."""
        return create_function(id="child", trigger=event_trigger("test/child"), retries=RETRIES)(
            lambda ctx: ctx.step.run("only", self.do, "run", ctx.event.data["label"])
        )

    def _script(self, tree, path=""):
        results = []
        for position, (kind, *rest) in enumerate(tree):
            label = f"{path}.{position}"
            if kind == "parallel":
                scripts = [partial(self._script, branch, f"{label}.{n}") for n, branch in enumerate(rest[0])]
                results.append(list((yield Both(*scripts, by=rest[1]))))
                continue
            try:
                results.append((yield from self._step(kind, label if self.is_unique else rest[0], label)))
            except StepError as error:
                results.append(f"failed {error.message}")
        return results

    def _step(self, kind, step_id, label):
        if kind == "sleep":
            return (yield Do("sleep", step_id, "1h"))
        if kind == "wait":
            return (yield Do("wait_for_event", step_id, event=f"never/{label}", timeout="1h"))
        if kind == "hear":
            return (yield Do("wait_for_event", step_id, event=f"got/{label}", timeout="2h")).data["label"]
        if kind == "invoke":
            return (yield Do("invoke_by_id", step_id, function_id="child", data={"label": label}))
        if kind == "tell":
            ids = yield Do("send_event", step_id, {"name": "told", "data": {"label": label}})
            return f"{label} told {len(ids)}"
        return (yield Do("run", step_id, self.do, kind, label))


def evaluate(tree, path=""):
    """What a workflow gives, worked out directly, with labels for tokens."""
    results = []
    for position, (kind, *rest) in enumerate(tree):
        label = f"{path}.{position}"
        if kind == "parallel":
            results.append([evaluate(branch, f"{label}.{n}") for n, branch in enumerate(rest[0])])
        else:
            told = {"sleep": None, "wait": None, "fail": f"failed {label}", "tell": f"{label} told 1"}
            results.append(told.get(kind, label))
    return results


def labels(tree, path=""):
    """Pairs of the kind and the label of every step."""
    for position, (kind, *rest) in enumerate(tree):
        label = f"{path}.{position}"
        if kind != "parallel":
            yield kind, label
            continue
        for n, branch in enumerate(rest[0]):
            yield from labels(branch, f"{label}.{n}")


def without_tokens(value):
    """A result with labels for tokens."""
    if isinstance(value, list):
        return [without_tokens(item) for item in value]
    return value.partition("#")[0] if isinstance(value, str) else value
