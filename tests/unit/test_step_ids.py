"""Numbering of IDs: distinct, the same on every replay, however far each branch has come."""

from __future__ import annotations

import tracemalloc
from hashlib import sha1

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_serverless.protocol.step_ids import StepIds, hash_id

ids = st.sampled_from(["a", "b", "a:1", "a:2", "a:1:1", "b:1", "a/b", "a/a", ":", "a:", "a:01"])
sequences = st.lists(ids, max_size=12)


def taken(sequence, step_ids=None):
    step_ids = step_ids or StepIds()
    return [step_ids.take(step_id) for step_id in sequence]


@pytest.mark.parametrize("text", ["a", "", "Zoë ✓", "\u2028", "a" * 10_000])
def test_the_hash_is_sha1_of_utf8(text):
    assert hash_id(text) == sha1(text.encode(), usedforsecurity=False).hexdigest()


def test_long_ids_are_not_kept():
    """An ID may be made of what an event says: whoever sends events must not fill the memory of a warm environment."""
    tracemalloc.start()
    try:
        for number in range(200):
            hash_id(f"{number}{'x' * 100_000}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_so_many_are_kept_and_no_more():
    tracemalloc.start()
    try:
        hashes = [hash_id(f"order-{number}") for number in range(50_000)]
        assert len({*hashes, *(hash_id(f"order-{number}") for number in range(50_000))}) == 50_000
        del hashes
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000


def test_lone_surrogates_have_hashes_of_their_own():
    assert len({hash_id("\ud800"), hash_id("\udfff"), hash_id("?"), hash_id("\ufffd")}) == 4


def test_the_first_use_is_the_id_itself_and_the_nth_repeat_is_counted():
    step_ids = StepIds()
    seen = []
    for _ in range(4):
        full_id = step_ids.take("a")
        seen.append((full_id, step_ids.index))
    assert seen == [("a", None), ("a:1", 1), ("a:2", 2), ("a:3", 3)]


@given(sequences)
def test_no_two_are_equal(sequence):
    full_ids = taken(sequence)
    assert len(set(full_ids)) == len(full_ids)


@given(sequences)
def test_a_replay_hands_out_the_same(sequence):
    assert taken(sequence) == taken(sequence)


@given(sequences, sequences)
def test_what_comes_later_changes_nothing_before(sequence, more):
    assert taken(sequence + more)[: len(sequence)] == taken(sequence)


@given(sequences)
def test_an_id_used_once_is_itself_unless_a_repeat_took_it(sequence):
    for position, full_id in enumerate(taken(sequence)):
        if sequence[position] not in taken(sequence)[:position]:
            assert full_id == sequence[position]


@given(sequences, sequences, sequences)
def test_rewinding_forgets_all_since_the_mark(before, dropped, after):
    step_ids = StepIds()
    taken(before, step_ids)
    mark = step_ids.mark()
    taken(dropped, step_ids)
    step_ids.rewind(mark)
    assert taken(after, step_ids) == taken(before + after)[len(before) :]


@given(sequences, sequences)
def test_rewinding_to_now_changes_nothing(before, after):
    step_ids = StepIds()
    taken(before, step_ids)
    step_ids.rewind(step_ids.mark())
    assert taken(after, step_ids) == taken(before + after)[len(before) :]


@given(st.lists(st.tuples(sequences, sequences), max_size=5), sequences)
def test_rewinding_again_and_again(rounds, after):
    step_ids = StepIds()
    kept = []
    for keep, drop in rounds:
        taken(keep, step_ids)
        kept += keep
        mark = step_ids.mark()
        taken(drop, step_ids)
        step_ids.rewind(mark)
    assert taken(after, step_ids) == taken(kept + after)[len(kept) :]


def in_branches(branches, progress):
    """The full IDs that each branch of a group takes when it has come so far, at least to its first step."""
    step_ids = StepIds()
    state = step_ids.enter_group()
    found = []
    for branch, steps in zip(branches, progress, strict=True):
        step_ids.enter_branch(state)
        found.append(taken(branch[: steps + 1], step_ids))
        step_ids.leave_branch()
    return found


@given(st.data())
def test_a_branch_takes_the_same_ids_however_far_the_others_have_come(data):
    branches = data.draw(st.lists(st.lists(ids, min_size=1, max_size=4), min_size=1, max_size=4))
    whole = in_branches(branches, [len(branch) for branch in branches])
    everything = [full_id for branch in whole for full_id in branch]
    assert len(set(everything)) == len(everything)
    progress = [data.draw(st.integers(0, len(branch))) for branch in branches]
    for branch, part in zip(whole, in_branches(branches, progress), strict=True):
        assert part == branch[: len(part)]
