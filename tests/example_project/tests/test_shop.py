"""The shop's tests, by nothing but the public names of the test kit."""

from __future__ import annotations

import asyncio
import os

import pytest
from shop import app, warehouse
from shop.functions import Order, OrderPlaced, badly_made, count_stock, fulfil, pack_all, quote
from shop.warehouse import Receipt

from inngest_serverless import Event
from inngest_serverless.testing import (
    Fault,
    NotDeterministicError,
    NotReachedError,
    Session,
    assert_deterministic,
    mock_step,
    run,
    start,
)

ORDER = Order(id="a-17", email="ada@example.com", cents=995, items=["book", "lamp"])
PLACED = OrderPlaced(data=ORDER)


@pytest.fixture(autouse=True)
def empty_warehouse():
    warehouse.charged.clear()
    warehouse.letters.clear()


@pytest.mark.parametrize("handler", [app.handler, app.google], ids=["lambda", "gcf"])
def test_an_order_through_the_handler(handler):
    result = run(handler, PLACED, function=fulfil)
    assert (result.status, result.output) == ("completed", Receipt(order_id="a-17", cents=995))
    assert result.steps == ("charge", "pack", "tell", "let-it-arrive", "wait-for-review", "ask")
    assert [event.data["parcel"] for event in result.sent] == ["book packed, lamp packed"]
    assert (warehouse.charged, warehouse.letters) == (["a-17"], [("ada@example.com", "how was it?")])


def test_a_review_in_time(inngest: Session):
    order = inngest.start([fulfil, pack_all], PLACED)
    assert [waiting.step for waiting in order.waiting] == ["let-it-arrive"]
    inngest.advance("8d")
    assert not order.send(Event("shop/review.written", {"order": "another"}))
    assert order.send(Event("shop/review.written", {"order": "a-17"}))
    assert order.finish().status == "completed"
    assert warehouse.letters == []


def test_the_web_page_starts_it(inngest: Session):
    inngest.serve(app.handler)
    app.place(ORDER)
    inngest.finish_all()
    assert {run.function_id: run.status for run in inngest.runs} == {
        "shop-fulfil": "completed",
        "shop-pack-all": "completed",
    }


def test_a_declined_card(inngest: Session):
    inngest.mock_step("charge", ValueError("declined"))
    result = inngest.run(app.handler, PLACED)
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.message == "declined"
    assert result.failure_handler is not None
    assert warehouse.letters == [("ada@example.com", "sorry: declined")]


def test_whatever_the_cloud_does_the_card_is_charged_once_more_at_most():
    result = run(
        fulfil, PLACED, mocks={"pack": ["all"]}, faults=[Fault.kill_after("charge"), Fault.kill_before("tell")]
    )
    assert result.status == "completed"
    assert warehouse.charged == ["a-17", "a-17"]


@pytest.mark.parametrize("seed", range(5))
def test_faults_by_chance(seed: int):
    assert run([fulfil, pack_all], PLACED, faults=Fault.random(seed)).output == Receipt(order_id="a-17", cents=995)


def test_a_price_from_outside():
    assert run(quote, Event("shop/quote.asked"), mocks={"ask-for-price": '{"price": "5"}'}).output == "5"
    failed = mock_step("ask-for-price", error=OSError("down"))
    assert run(quote, Event("shop/quote.asked"), mocks=[failed]).output == "no price today: down"


def test_a_schedule():
    assert run(count_stock).output == 42


def test_in_an_async_test():
    async def main() -> list[str]:
        return run(pack_all, Event("shop/pack.asked", {"items": ["x"]})).output

    assert asyncio.run(main()) == ["x packed"]


def test_a_typing_error():
    with pytest.raises(NotReachedError, match="mock_step"):
        run(quote, Event("shop/quote.asked"), mocks=[mock_step("ask-for-price"), mock_step("price")])


def test_replays():
    assert_deterministic(fulfil, PLACED, mocks={"pack": ["all"]})
    assert_deterministic(app.google, PLACED, function="fulfil")
    with pytest.raises(NotDeterministicError, match=r"shop.functions\.py:\d+"):
        assert_deterministic(badly_made, Event("shop/quote.asked"))


def test_a_run_under_way_without_a_session():
    order = start(app.handler, PLACED)
    order.advance("7d")
    assert [waiting.kind for waiting in order.waiting] == ["event"]
    assert order.cancel().status == "cancelled"


def test_nothing_of_it_is_left():
    assert not [name for name in os.environ if name.startswith("INNGEST_")]
