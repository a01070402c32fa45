"""The garbage collector rests while a large body is decoded, and is afterwards as it was before."""

from __future__ import annotations

import gc
import json

import pytest

from inngest_serverless.errors import CallRequestError
from inngest_serverless.protocol import call

LARGE = json.dumps({"steps": ["x"] * 100_000})
SMALL = '{"steps": []}'


@pytest.fixture(autouse=True)
def as_before():
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.fixture
def seen(monkeypatch):
    """Whether it was on, for each body that was decoded."""
    states = []
    decode = call._decode

    def watched(text):
        states.append(gc.isenabled())
        return decode(text)

    monkeypatch.setattr(call, "_decode", watched)
    return states


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
@pytest.mark.parametrize(("body", "is_on"), [(LARGE, False), (SMALL, True)], ids=["large", "small"])
def test_it_rests_for_large_bodies_only(form, body, is_on, seen):
    gc.enable()
    assert call.read_json(form(body)) == json.loads(body)
    assert seen == [is_on]
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off(seen):
    gc.disable()
    call.read_json(LARGE)
    assert seen == [False]
    assert not gc.isenabled()


@pytest.mark.parametrize("body", [LARGE[:-1], "[" * 300_000], ids=["cut off", "too deep"])
def test_it_is_on_again_after_a_body_that_is_no_json(body):
    gc.enable()
    with pytest.raises(CallRequestError):
        call.parse_call(body, "step")
    assert gc.isenabled()
