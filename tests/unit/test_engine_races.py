"""Races: the branch that is done first wins, on every replay, and whatever the others come to later."""

from __future__ import annotations

from contextlib import suppress
from itertools import permutations, product

import pytest
from engine_server import Both, Do, Server, both, declare, function, hash_of

from inngest_serverless import NonRetriableError, StepError

modes = pytest.mark.parametrize("each", [False, True], ids=["together", "each"])


def branch(*ids):
    """A branch of steps, each with its ID as its result; gives their IDs in one text."""

    def script():
        results = []
        for step_id in ids:
            results.append((yield Do("run", step_id, lambda step_id=step_id: step_id)))  # noqa: PERF401
        return "-".join(results)

    return script


def race(*branches, after=None):
    def script(ctx):
        winner = list((yield Both(*branches, mode="race")))
        return winner if after is None else [*winner, (yield Do("run", after, lambda: after))]

    return script


def run(server, *ids, each=True):
    """Drive a run in which steps finish in an order of IDs, and all others after them."""

    def place(key):
        step_id = server.open_id(key)
        return ids.index(step_id) if step_id in ids else len(ids)

    return server.run(each=each, pick=lambda keys: min(keys, key=place))


@both
def test_every_step_of_a_race_says_so(kind):
    def sleeping():
        yield Do("sleep", "nap", "1h")

    def waiting():
        yield Do("wait_for_event", "wait", event="x/y", timeout="1h")

    answer = Server(declare(kind, race(branch("a"), sleeping, waiting))).call()
    assert [op["opts"]["parallelMode"] for op in answer.json] == ["race"] * 3


def races(op):
    return op["opts"].get("parallelMode") == "race"


def reported(server):
    """Of each step, by its ID: whether each report of it said that it races."""
    said = {}
    for _, answer in server.calls:
        for op in answer.json if answer.status == 206 else ():
            said.setdefault(op["userland"]["id"], set()).add(races(op))
    return said


@both
def test_steps_before_a_race_and_once_its_losers_have_completed_do_not(kind):
    def script(ctx):
        yield Do("run", "before", lambda: 1)
        yield Both(branch("a"), branch("b"), mode="race")
        yield Do("run", "behind", lambda: 1)
        yield Both(branch("c"), branch("d"))
        yield Do("sleep", "after", "1h")

    server = Server(declare(kind, script))
    server.run(each=True)
    expected = {"before": {False}, "a": {True}, "b": {True}, "behind": {True}, "c": {False}, "d": {False}}
    assert reported(server) == {**expected, "after": {False}}


# Behind a race. Losers may be open for days, and the server waits for whatever it has been told to carry out, unless the
# step that completes races as well. A loser that completes makes it call once more, beside the call for what comes next.


def two_behind(ctx):
    won = yield Both(branch("a"), branch("b"), mode="race")
    first = yield Do("run", "y", lambda: "y")
    return [*won, first, (yield Do("run", "z", lambda: "z"))]


@both
def test_every_step_races_while_losers_are_open(kind):
    server = Server(declare(kind, two_behind))
    server.remember("b", {"data": "b"})
    assert (server.call().ops, races(server.call().op)) == ([("StepPlanned", "y")], True)
    targeted = server.call(hash_of("y"))
    assert (targeted.ops, races(targeted.op)) == ([("StepRun", "y")], True)
    server.remember("y", {"data": "y"})
    assert (server.call().ops, races(server.call().op)) == ([("StepPlanned", "z")], True)
    server.remember("z", {"data": "z"})
    assert server.call().json == ["b", "y", "z"]


@both
@pytest.mark.parametrize(("order", "raced"), [("ba", True), ("bay", False), ("bya", True)])
def test_what_another_call_may_have_planned_is_planned_again_and_not_run(kind, order, raced):
    server = Server(declare(kind, two_behind))
    for step_id in order:
        server.remember(step_id, {"data": step_id})
    op = server.call().op
    assert (op["op"], races(op)) == (("StepPlanned", True) if raced else ("StepRun", False))


@both
@pytest.mark.parametrize("error", [{}, {"memo": {"error": {"name": "E", "message": "no"}}}], ids=["worked", "failed"])
def test_every_kind_of_step_and_group_behind_a_race_races(kind, error):
    def script(ctx):
        yield Both(branch("a"), lambda: (yield Do("wait_for_event", "wait", event="x/y", timeout="7d")), mode="race")
        with suppress(StepError):
            yield Do("run", "first", lambda: 1)
        yield Do("sleep", "nap", "1h")
        yield Both(branch("c"), branch("d"))

    server = Server(declare(kind, script))
    server.remember("a", {"data": "a"})
    server.remember("first", error.get("memo", {"data": 1}))
    assert (server.call().op["op"], races(server.call().op)) == ("Sleep", True)
    server.remember("nap", None)
    assert [(op["op"], races(op)) for op in server.call().json] == [("StepPlanned", True)] * 2
    server.remember("c", {"data": 1})
    assert (server.call().ops, races(server.call().op)) == ([("StepPlanned", "d")], True)


@both
def test_a_step_beside_a_race_is_not_run_by_the_call_behind_the_winner(kind):
    """It has been planned together with the race."""

    def script(ctx):
        return list((yield Both(lambda: (yield Both(branch("a"), branch("b"), mode="race")), branch("c"))))

    for orders in ("a", "ab", "ba"):
        server = Server(declare(kind, script))
        assert sorted(server.call().ops) == [("StepPlanned", step_id) for step_id in "abc"]
        for step_id in orders:
            server.remember(step_id, {"data": step_id})
        assert server.call().ops == [("StepPlanned", "c")]


@both
def test_steps_beside_each_other_in_the_branch_of_a_race_are_not_run_by_the_call_behind_the_first(kind):
    server = Server(declare(kind, race(lambda: (yield Both(branch("a"), branch("b"))))))
    assert server.call().ops == [("StepPlanned", "a"), ("StepPlanned", "b")]
    server.remember("a", {"data": "a"})
    assert server.call().ops == [("StepPlanned", "b")]


@both
def test_a_loser_that_no_call_was_left_at_is_not_open(kind):
    """The branch without steps has won before the server was told of anything."""
    server = Server(declare(kind, race(branch("a"), lambda: "plain", after="z")))
    assert (server.call().ops, races(server.call().op)) == ([("StepRun", "z")], False)


@both
@modes
@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_the_first_to_finish_wins(kind, each, order):
    server = Server(declare(kind, race(branch("a"), branch("b"), branch("c"), after="z")))
    assert run(server, *order, each=each).json == [order[0], "z"]


@both
@modes
@pytest.mark.parametrize(
    ("order", "winner"),
    [("abc", "a-b"), ("cab", "c"), ("acb", "c"), ("cba", "c"), ("abcd", "a-b")],
)
def test_the_branch_whose_last_step_finished_first_wins(kind, each, order, winner):
    server = Server(declare(kind, race(branch("a", "b"), branch("c"))))
    expected = winner if each or winner == "c" else "c"  # together, "b" is found only after "c"
    assert run(server, *order, each=each).json == [expected]


@both
def test_the_winner_stays_the_winner_when_the_others_finish(kind):
    fn = declare(kind, race(branch("a", "b"), branch("c"), after="z"))
    server = Server(fn)
    for step_id in ("c", "a"):
        server.remember(step_id, {"data": step_id})
        assert server.call().ops == [("StepPlanned", "z")]
    server.remember("z", {"data": "z"})
    assert server.call().json == ["c", "z"]


@both
@modes
def test_a_branch_without_steps_wins_at_once(kind, each):
    server = Server(declare(kind, race(branch("a"), lambda: "plain", after="z")))
    assert server.run(each=each).json == ["plain", "z"]
    assert len(server.calls) == 2


@both
def test_a_race_of_one(kind):
    assert Server(declare(kind, race(branch("a", "b"), after="z"))).run(each=True).json == ["a-b", "z"]


@both
def test_a_race_of_none(kind):
    assert Server(declare(kind, race(after="z"))).run().json == ["z"]


@both
@pytest.mark.parametrize("mode", ["Race", "any", "", 5, True], ids=repr)
def test_an_unknown_mode_is_a_clear_error(kind, mode):
    def script(ctx):
        yield Both(branch("a"), mode=mode)

    answer = Server(declare(kind, script)).call()
    assert (answer.status, answer.json["name"]) == (400, "ConfigurationError")
    assert repr(mode) in answer.json["message"]


def failing(step_id):
    def script():
        yield Do("run", step_id, raising, NonRetriableError("no"))

    return script


def raising(error):
    raise error


@both
@modes
def test_a_winner_that_fails_fails_the_race(kind, each):
    def script(ctx):
        try:
            return list((yield Both(failing("a"), branch("b"), mode="race")))
        except StepError as error:
            return str(error)

    assert run(Server(declare(kind, script)), "a", each=each).json == "no"
    assert run(Server(declare(kind, script)), "b", each=each).json == ["b"]


@both
@modes
def test_a_race_within_a_group_and_a_group_within_a_race(kind, each):
    def inner_race():
        return list((yield Both(branch("a"), branch("b"), mode="race")))

    def inner_group():
        return list((yield Both(branch("c"), branch("d"))))

    def script(ctx):
        first = list((yield Both(inner_race, branch("e"))))
        second = list((yield Both(inner_group, branch("f"), mode="race")))
        return [*first, *second, (yield Do("run", "z", lambda: "z"))]

    server = Server(declare(kind, script))
    assert run(server, "b", "e", "c", "d", each=each).json == [["b"], "e", ["c", "d"], "z"]
    server = Server(declare(kind, script))
    assert run(server, "e", "a", "f", each=each).json == [["a"], "e", "f", "z"]


@both
@modes
def test_the_same_ids_in_a_race_and_behind_it(kind, each):
    def tick(value, times):
        def script():
            results = []
            for _ in range(times):
                results.append((yield Do("run", "tick", lambda: value)))  # noqa: PERF401
            return results

        return script

    def script(ctx):
        winner = list((yield Both(tick("x", 3), tick("y", 1), mode="race")))
        after = yield Do("run", "tick", lambda: "after")
        return [*winner, after]

    server = Server(declare(kind, script))
    assert server.run(each=each, pick=lambda keys: keys[-1]).json == [["y"], "after"]
    server = Server(declare(kind, script))
    answer = server.run(each=each)
    assert answer.json[1] == "after"


@both
def test_a_step_behind_a_race_keeps_its_id_while_losers_go_on(kind):
    """A loser that is called again after the race must not shift the IDs behind it."""
    ran = []

    def loser():
        results = []
        for _ in range(3):
            results.append((yield Do("run", "tick", ran.append, "loser")))  # noqa: PERF401
        return "loser"

    def winner():
        return (yield Do("run", "win", lambda: "winner"))

    def script(ctx):
        first = list((yield Both(loser, winner, mode="race")))
        results = []
        for number in range(3):
            results.append((yield Do("run", "tick", lambda number=number: number)))  # noqa: PERF401
        return [*first, *results]

    for order in (["win"], ["tick"], ["win", "tick"], ["tick", "win"]):
        answer = run(Server(declare(kind, script)), *order)
        assert answer.json in (["winner", 0, 1, 2], ["loser", 0, 1, 2]), answer


@both
@pytest.mark.parametrize("outer", [None, "race"])
def test_steps_behind_a_race_within_a_branch_keep_their_ids(kind, outer):
    """The loser may ask for its second step before or after the code behind the race does."""
    ran = []

    def tick(*values):
        def script():
            results = []
            for value in values:
                results.append((yield Do("run", "tick", lambda value=value: ran.append(value) or value)))  # noqa: PERF401
            return results

        return script

    def inner():
        [winner] = yield Both(tick("loser 1", "loser 2", "loser 3"), tick("winner"), mode="race")
        return [winner, *(yield from tick("behind 1", "behind 2", "behind 3")())]

    def script(ctx):
        return list((yield Both(inner, mode=outer)))

    for choices in product([-1, 0], repeat=5):
        ran.clear()
        picks = iter([-1, *choices, *[0] * 50])
        answer = Server(declare(kind, script)).run(each=True, pick=lambda keys, picks=picks: keys[next(picks)])
        assert answer.json == [[["winner"], "behind 1", "behind 2", "behind 3"]], choices
        assert len(set(ran)) == len(ran), f"a body ran twice when steps were picked {choices}"


@both
@modes
@pytest.mark.parametrize("within", [None, "race"])
@pytest.mark.parametrize("inner", [(), (lambda: 1,)], ids=len)
def test_a_branch_that_ends_with_a_group_without_steps_is_not_done_before_its_last_step(kind, each, within, inner):
    def longer():
        yield Do("run", "a", lambda: 1)
        yield Do("run", "b", lambda: 2)
        yield Both(*inner, mode=within)
        return "longer"

    server = Server(declare(kind, race(longer, branch("c"), after="z")))
    assert run(server, "a", "c", "b", each=each).json == ["c", "z"]
    later = server.call()
    assert (later.status, later.json) == (200, ["c", "z"])


@both
@pytest.mark.parametrize("within", [None, "race"])
def test_who_has_won_does_not_change_when_a_loser_ends_with_a_group_without_steps(kind, within):
    def loser():
        yield Do("run", "a", lambda: 1)
        yield Both(lambda: 1, mode=within)
        return "loser"

    server = Server(declare(kind, race(loser, branch("c"), after="z")))
    server.remember("c", {"data": "c"})
    server.remember("z", {"data": "z"})
    assert server.call().json == ["c", "z"]
    server.remember("a", {"data": 1})
    assert server.call().json == ["c", "z"], "the winner has changed after the race"


def test_a_loser_with_a_cleanup_is_cleaned_up():
    import asyncio

    log = []

    async def handler(ctx):
        async def slow():
            try:
                return await ctx.step.run("slow", lambda: "slow")
            finally:
                await asyncio.sleep(0)
                log.append("cleaned up")

        won = await ctx.group.parallel([slow, lambda: ctx.step.run("quick", lambda: "quick")], mode="race")
        return [*won, await ctx.step.run("z", lambda: "z")]

    server = Server(function(handler))
    server.remember("quick", {"data": "quick"})
    assert server.call().ops == [("StepPlanned", "z")]
    assert log == ["cleaned up"]
