"""Which of the calls that wait goes next, whatever limits they have: as if all of them were looked at each time."""

from __future__ import annotations

import random

import pytest
from engine_app import EVENT

from inngest_serverless.local.lanes import Lanes
from inngest_serverless.local.runs import Registered, Run

FUNCTION = Registered("app-fn", "fn", "http://app.example.com", (), 1)


class AllLookedAt:
    """The rule, without any regard to cost: of those that have room, the first by their score, then by their number."""

    def __init__(self):
        self.busy, self.waiting, self.number = {}, [], 0

    def enter(self, run, now_ms, go):
        self.number += 1
        self.waiting.append((now_ms - run.priority_ms, self.number, run, go))
        self.move()

    def leave(self, room):
        for lane, _ in room:
            self.busy[lane] -= 1
        self.move()

    def rearrange(self):
        self.move()

    def move(self):
        while ready := [each for each in self.waiting if self.has_room(each[2].lanes)]:
            first = min(ready, key=lambda each: each[:2])
            self.waiting.remove(first)
            for lane, _ in first[2].lanes:
                self.busy[lane] = self.busy.get(lane, 0) + 1
            first[3]()

    def has_room(self, room):
        return all(self.busy.get(lane, 0) < limit for lane, limit in room)


def room_of(chance):
    """None, one or two limits; those of two functions may differ for the same lane."""
    lanes = [("shared", chance.choice([2, 3])), (f"key-{chance.randrange(3)}", chance.choice([1, 2])), ("other", 1)]
    return tuple(chance.sample(lanes, chance.randrange(3)))


class Side:
    """Lanes, the IDs of the runs whose calls have begun, and the rooms of the calls under way."""

    def __init__(self, lanes):
        self.lanes, self.begun, self.under_way = lanes, [], []

    def enter(self, run, now_ms):
        def go():
            self.begun.append(run.id)
            self.under_way.append(run.lanes)

        self.lanes.enter(run, now_ms, go)

    def leave(self, number):
        self.lanes.leave(self.under_way.pop(number))


@pytest.mark.parametrize("seed", range(50))
def test_the_next_call_is_the_first_that_has_room(seed):
    chance = random.Random(seed)  # noqa: S311 - it has to be repeatable
    tested, expected = sides = Side(Lanes()), Side(AllLookedAt())
    runs = [Run(f"run-{n}", FUNCTION, [EVENT], lanes=room_of(chance)) for n in range(40)]
    for n, run in enumerate(runs):
        run.priority_ms = chance.choice([0, 0, 5, 50])
        ended = chance.randrange(len(expected.under_way)) if expected.under_way and chance.random() < 0.4 else None
        is_synced = chance.random() < 0.1
        for other in runs if is_synced else ():
            other.lanes = chance.choice([other.lanes, room_of(chance)])
        for side in sides:
            if is_synced:
                side.lanes.rearrange()
            side.enter(run, n)
            if ended is not None:
                side.leave(ended)
        assert tested.begun == expected.begun, f"after {n + 1} calls"
    while expected.under_way:
        for side in sides:
            side.leave(0)
        assert tested.begun == expected.begun
    assert len(tested.begun) == len(runs), "a call still waits, and none is under way"
