"""Which step a call runs, and how memos of every shape are read."""

from __future__ import annotations

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of

from inngest_serverless import StepError


class Work:
    """Counts the bodies that ran."""

    def __init__(self):
        self.ran = []

    def __call__(self, name):
        self.ran.append(name)
        return name.upper()


def three_steps(work):
    def script(ctx):
        results = []
        for name in "abc":
            results.append((yield Do("run", name, work, name)))  # noqa: PERF401 - a comprehension cannot yield
        return results

    return script


def three_branches(work):
    def branch(name):
        def script():
            return (yield Do("run", name, work, name))

        return script

    def script(ctx):
        return list((yield Both(branch("a"), branch("b"), branch("c"))))

    return script


def reading(method="run", *args, **kwargs):
    """A script that returns what its only step gave."""

    def script(ctx):
        try:
            return ["result", (yield Do(method, "a", *(args or [lambda: "ran"]), **kwargs))]
        except StepError as error:
            return ["error", error.name, error.message, error.stack, error.step_id]

    return script


@both
def test_a_single_step_runs_at_once(kind):
    work = Work()
    answer = Server(declare(kind, three_steps(work))).call()
    assert (answer.ops, answer.op["data"], work.ran) == ([("StepRun", "a")], "A", ["a"])


@both
def test_parallel_steps_are_planned_and_none_runs(kind):
    work = Work()
    answer = Server(declare(kind, three_branches(work))).call()
    assert answer.ops == [("StepPlanned", "a"), ("StepPlanned", "b"), ("StepPlanned", "c")]
    assert [op["data"] for op in answer.json] == [None, None, None]
    assert work.ran == []


@both
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_targeted_step_runs_alone(kind, name):
    work = Work()
    answer = Server(declare(kind, three_branches(work))).call(hash_of(name))
    assert (answer.ops, work.ran) == ([("StepRun", name)], [name])


@both
@pytest.mark.parametrize("disabled", [True, False])
def test_a_targeted_step_runs_whatever_immediate_execution_says(kind, disabled):
    work = Work()
    server = Server(declare(kind, three_steps(work)))
    answer = server.call(hash_of("a"), disable_immediate_execution=disabled)
    assert (answer.ops, work.ran) == ([("StepRun", "a")], ["a"])


@both
def test_a_targeted_sleep_is_reported(kind):
    server = Server(declare(kind, reading("sleep", "1h")))
    assert server.call(hash_of("a")).ops == [("Sleep", "a")]


@both
@pytest.mark.parametrize("script", [three_steps, three_branches])
def test_a_missing_target_is_a_retryable_error_that_says_what_was_met(kind, script):
    work = Work()
    answer = Server(declare(kind, script(work))).call(hash_of("elsewhere"))
    assert (answer.status, answer.json["name"]) == (500, "StepNotFound")
    assert answer.headers["x-inngest-no-retry"] == "false"
    met = "'a', 'b', 'c'" if script is three_branches else "'a'"
    assert met in answer.json["message"]
    assert "'fn'" in answer.json["message"]
    assert work.ran == []


@both
def test_a_missing_target_in_a_function_that_returns(kind):
    answer = Server(declare(kind, lambda ctx: "done")).call(hash_of("a"))
    assert (answer.status, answer.json["name"]) == (500, "StepNotFound")
    assert "none" in answer.json["message"]


@both
def test_a_missing_target_in_a_function_that_raises(kind):
    def script(ctx):
        raise ValueError("no")

    answer = Server(declare(kind, script)).call(hash_of("a"))
    assert answer.status == 500
    assert answer.headers["x-inngest-no-retry"] == "false"


@both
def test_a_target_behind_steps_without_a_memo_is_missing(kind):
    """Called too early: what stands before it is not run in its place."""
    work = Work()
    answer = Server(declare(kind, three_steps(work))).call(hash_of("b"))
    assert answer.json["name"] == "StepNotFound"
    assert work.ran == []


@both
def test_a_late_call_for_a_finished_step_runs_nothing(kind):
    work = Work()
    server = Server(declare(kind, three_steps(work)))
    server.remember("a", {"data": "A"})
    answer = server.call(hash_of("a"), disable_immediate_execution=False)
    assert answer.status == 206
    assert work.ran == []
    assert [op["op"] for op in answer.json] in ([], ["StepPlanned"])


@both
def test_a_late_call_for_the_last_step_does_not_run_it(kind):
    work = Work()
    server = Server(declare(kind, three_steps(work)))
    for name in "abc":
        server.remember(name, {"data": name})
    answer = server.call(hash_of("c"))
    assert (answer.status, answer.json) in ((200, ["a", "b", "c"]), (206, []))
    assert work.ran == []


@both
def test_a_late_call_beside_open_branches_runs_nothing(kind):
    work = Work()
    server = Server(declare(kind, three_branches(work)))
    server.remember("b", {"data": "B"})
    assert ("StepPlanned", "b") not in server.call(hash_of("b")).ops
    assert work.ran == []


@both
def test_a_late_call_for_a_failed_step_does_not_run_it_again(kind):
    work = Work()
    server = Server(declare(kind, three_steps(work)))
    server.remember("a", {"error": {"name": "E", "message": "m"}})
    assert server.call(hash_of("a")).status == 400
    assert work.ran == []


@both
def test_without_immediate_execution_a_single_step_is_planned(kind):
    work = Work()
    answer = Server(declare(kind, three_steps(work))).call(disable_immediate_execution=True)
    assert (answer.ops, work.ran) == ([("StepPlanned", "a")], [])


@both
def test_without_immediate_execution_the_last_open_branch_is_planned(kind):
    work = Work()
    server = Server(declare(kind, three_branches(work)))
    server.remember("a", {"data": 1})
    server.remember("c", {"data": 3})
    assert server.call(disable_immediate_execution=True).ops == [("StepPlanned", "b")]
    assert work.ran == []


@both
def test_without_immediate_execution_a_sleep_is_still_reported(kind):
    server = Server(declare(kind, reading("sleep", "1h")))
    assert server.call(disable_immediate_execution=True).ops == [("Sleep", "a")]


@both
@pytest.mark.parametrize(
    ("memo", "result"),
    [
        ({"data": "x"}, "x"),
        ({"data": None}, None),
        (None, None),
        ({"data": {"data": 1}}, {"data": 1}),
        ({"data": {"error": {"name": "E"}}}, {"error": {"name": "E"}}),
        ({"data": {"input": 1}}, {"input": 1}),
        ({"data": [], "error": None}, []),
        ({"data": 0, "input": [1]}, 0),
        ({"data": False}, False),
        ({"data": ""}, ""),
    ],
    ids=repr,
)
def test_a_memo_is_the_result_of_a_run_step(kind, memo, result):
    server = Server(declare(kind, reading()))
    server.remember("a", memo)
    assert server.call().json == ["result", result]


@both
@pytest.mark.parametrize("memo", [{"input": [1]}, {"input": None}, {"input": {"data": 1}}], ids=repr)
@pytest.mark.parametrize("target", ["step", hash_of("a")], ids=["step", "targeted"])
def test_an_input_is_no_result(kind, memo, target):
    server = Server(declare(kind, reading()))
    server.memos[hash_of("a")] = memo
    answer = server.call(target)
    assert (answer.ops, answer.op["data"]) == ([("StepRun", "a")], "ran")


@both
@pytest.mark.parametrize(
    ("error", "seen"),
    [
        ({"name": "E", "message": "m", "stack": "s"}, ["E", "m", "s", "a"]),
        ({"name": "E", "message": "m"}, ["E", "m", None, "a"]),
        ({"message": "m", "data": {"x": 1}}, ["Error", "m", None, "a"]),
        ({"name": None, "message": None, "stack": None}, ["Error", "", None, "a"]),
        ({}, ["Error", "", None, "a"]),
        ("text", ["Error", "text", None, "a"]),
        ({"name": "É\ud800", "message": "\u2028"}, ["É\ud800", "\u2028", None, "a"]),
    ],
    ids=ascii,
)
def test_an_error_memo_is_raised(kind, error, seen):
    server = Server(declare(kind, reading()))
    server.remember("a", {"error": error})
    assert server.call().json == ["error", *seen]


@both
def test_an_error_memo_wins_over_data(kind):
    server = Server(declare(kind, reading()))
    server.remember("a", {"error": {"name": "E", "message": "m"}, "data": 1})
    assert server.call().json[0] == "error"


@both
def test_memos_of_unknown_steps_are_ignored(kind):
    server = Server(declare(kind, reading()))
    server.memos = {hash_of("gone"): {"data": 1}, "no hash": {"data": 2}, "": None}
    server.order = [hash_of("gone"), "no hash", hash_of("never")]
    assert server.run().json == ["result", "ran"]


@both
@pytest.mark.parametrize("memo", [[1, 2], "text", 5, 1.5, True, {}, {"other": 1}], ids=repr)
@pytest.mark.parametrize(
    "step",
    [("run",), ("sleep", "1s"), ("sleep_until", "2030-01-01"), ("wait_for_event",)],
    ids=lambda step: step[0],
)
def test_a_memo_of_a_wrong_shape_does_not_break_the_call(kind, memo, step):
    kwargs = {"event": "x/y", "timeout": "1s"} if step[0] == "wait_for_event" else {}
    method, *args = step

    def script(ctx):
        result = yield Do(method, "a", *(args or ([] if kwargs else [lambda: 1])), **kwargs)
        return repr(result)

    server = Server(declare(kind, script))
    server.remember("a", memo)
    answer = server.call()
    assert answer.status in {200, 400, 500}


@both
@pytest.mark.parametrize("order", [[], [hash_of("c")], [hash_of("c"), hash_of("b"), hash_of("a")], ["x", "", "x"]])
def test_the_stack_need_not_know_every_memo(kind, order):
    server = Server(declare(kind, three_branches(Work())))
    memos = {hash_of(name): {"data": name} for name in "abc"}
    assert server.call(memos=memos, order=order).json == ["a", "b", "c"]


@both
def test_results_come_back_as_json_on_the_same_terms_each_time(kind):
    def script(ctx):
        first = yield Do("run", "a", lambda: (1, {2: "two"}))
        again = yield Do("run", "b", lambda: first)
        return [first, again]

    assert Server(declare(kind, script)).run().json == [[1, {"2": "two"}]] * 2


@both
def test_arguments_reach_the_body(kind):
    def body(a, /, b, *rest, c, **more):
        return [a, b, rest, c, more]

    def script(ctx):
        return (yield Do("run", "a", body, 1, 2, 3, c=4, d=5))

    assert Server(declare(kind, script)).run().json == [1, 2, [3], 4, {"d": 5}]


@both
@pytest.mark.parametrize("name", ["step_id", "function", "self", "id", "fn"])
def test_keyword_arguments_of_any_name_reach_the_body(kind, name):
    def sync(ctx):
        return ctx.step.run("a", dict, **{name: 1})

    async def native(ctx):
        return await ctx.step.run("a", dict, **{name: 1})

    assert Server(function(sync if kind == "sync" else native)).run().json == {name: 1}


@both
@pytest.mark.parametrize("wrong", [5, None, "text"], ids=repr)
def test_a_body_that_cannot_be_called_is_a_clear_error(kind, wrong):
    answer = Server(declare(kind, reading("run", wrong))).call()
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert type(wrong).__name__ in answer.json["message"]
