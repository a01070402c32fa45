"""Step IDs that change from call to call lead to no end: the engine says so, and of nothing else."""

from __future__ import annotations

import uuid

import pytest
from engine_app import Both, Do, EngineError, both, declare

from inngest_serverless.local.reports import MAX_STRAYS


@both
@pytest.mark.parametrize("tool", ["run", "sleep"])
def test_an_id_by_chance(serve, kind, tool):
    def script(_ctx):
        yield Do("run", "the same each time", lambda: 1)
        yield Do(tool, f"note-{uuid.uuid4()}", (lambda: 2) if tool == "run" else "1h")

    app = serve(declare(kind, script))
    with pytest.raises(EngineError) as raised:
        app.run()
    [run] = app.engine.runs
    assert f"run {run.id} of 'app-fn' comes to no end" in str(raised.value)
    assert repr(run.timeline[-1].step) in str(raised.value), "the step is named"
    assert run.timeline[-1].step.startswith("note-")
    assert "(docs/concepts.md#step-ids)" in str(raised.value)
    assert len(app.calls) == MAX_STRAYS + 3, "as soon as it shows"


@both
def test_a_long_loop_comes_to_its_end(serve, kind):
    def script(_ctx):
        for _ in range(3 * MAX_STRAYS):
            yield Do("run", "again", lambda: 1)

    assert serve(declare(kind, script)).run().status == "completed"


@both
def test_retries_are_no_strays(serve, kind):
    """Results that the code has left aside, as after a change of it, do not count while a step is tried again."""
    code = {"first": "before", "tries": 0}

    def flaky():
        code["tries"] += 1
        if code["tries"] <= MAX_STRAYS + 2:
            raise ValueError("again")

    def script(_ctx):
        yield Do("run", code["first"], lambda: 1)
        code["first"] = "after"
        yield Do("run", "flaky", flaky)

    app = serve(declare(kind, script, retries=20))
    assert app.run().status == "completed"
    assert code["tries"] == MAX_STRAYS + 3


@both
def test_losers_of_races_are_no_strays(serve, kind):
    def sleeping(name, duration):
        def branch():
            yield Do("sleep", name, duration)
            return name

        return branch

    def script(_ctx):
        for number in range(2 * MAX_STRAYS):
            yield Both(sleeping(f"quick-{number}", "1m"), sleeping(f"slow-{number}", "90s"))

    assert serve(declare(kind, script)).run().status == "completed"


def test_losers_of_races_in_sync_code(serve):
    from inngest_serverless import create_function, event_trigger

    @create_function(id="fn", trigger=event_trigger("test/started"))
    def polling(ctx):
        for number in range(2 * MAX_STRAYS):
            ctx.group.parallel(
                [
                    lambda number=number: ctx.step.sleep(f"quick-{number}", "1m"),
                    lambda number=number: ctx.step.sleep(f"slow-{number}", "90s"),
                ],
                mode="race",
            )

    assert serve(polling).run().status == "completed"
