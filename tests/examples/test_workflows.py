"""The example functions of handlers/workflows, run to their end as a user's own tests would run them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handlers.aws_examples import handler
from handlers.workflows.expense_approval import Expense, ExpenseFiled, expense_approval
from handlers.workflows.nightly_invoices import mail_invoices, nightly_invoices
from handlers.workflows.onboarding import AccountCreated, Signup, account_created
from handlers.workflows.order_saga import Order, OrderPlaced, place_order
from handlers.workflows.sales_report import sales_report
from handlers.workflows.ticket_summary import ticket_summary
from handlers.workflows.upload_processing import process_upload
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.testing import Fault, Session, assert_deterministic, mock_step, run, start

ORDER = OrderPlaced(data=Order(order_id="o-1", sku="book", quantity=2, cents=3000))
EXPENSE = ExpenseFiled(data=Expense(expense_id="e-1", employee="ada", cents=120_00))
TICKET = {"name": "support/ticket.opened", "data": {"ticket_id": "t-1", "text": "I was charged twice."}}


def ran(result):
    return list(result.steps)


# Onboarding.


def test_onboarding_follows_up_after_three_quiet_days():
    under_way = start(account_created, AccountCreated(data=Signup(account_id="a-1", email="ada@example.com")))
    under_way.advance("1d")
    assert [waiting.step for waiting in under_way.waiting] == ["wait-for-activity"]
    result = under_way.finish()
    assert (result.output, ran(result)[-1]) == ("done", "follow-up")


def test_onboarding_leaves_active_accounts_alone():
    under_way = start(account_created, AccountCreated(data=Signup(account_id="a-1", email="ada@example.com")))
    under_way.advance("1h")
    assert not under_way.send({"name": "api/function.created", "data": {"account_id": "a-2"}})
    assert under_way.send({"name": "api/function.created", "data": {"account_id": "a-1"}})
    assert "follow-up" not in ran(under_way.finish())


# Orders.


def test_an_order_goes_through():
    result = run(place_order, ORDER)
    assert (result.output, ran(result)) == ("parcel-o-1", ["reserve-stock", "charge-card", "book-courier"])


def test_an_order_is_undone_last_step_first():
    result = run(place_order, ORDER, mocks=[mock_step("book-courier", error=RuntimeError("no courier"))])
    assert result.output == "undone: no courier"
    assert ran(result)[-3:] == ["refund", "release-stock", "tell-customer"]


def test_what_is_sold_out_is_not_tried_again():
    result = run(place_order, OrderPlaced(data=Order(order_id="o-2", sku="lamp", quantity=1, cents=900)))
    assert (result.output, ran(result)) == ("undone: lamp is sold out", ["reserve-stock", "tell-customer"])
    assert result.calls == 3  # both steps, and the end: no second try


def test_an_order_survives_lost_replies():
    faults = [Fault.kill_after("charge-card"), Fault.kill_before("book-courier")]
    assert run(place_order, ORDER, faults=faults).output == "parcel-o-1"


# The report.


def test_a_report_asks_all_regions_at_once():
    result = run(sales_report, {"name": "reports/requested", "data": {"regions": ["north", "south", "west"]}})
    assert result.output == "reports/3-regions-53550.html"
    assert sorted(ran(result)[:3]) == ["fetch-north", "fetch-south", "fetch-west"]


def test_a_region_that_fails_once_is_asked_again_alone():
    fault = Fault.kill_before("fetch-south")
    event = {"name": "reports/requested", "data": {"regions": ["north", "south"]}}
    result = run(sales_report, event, faults=[fault])
    assert result.output == "reports/2-regions-46000.html"
    assert ran(result).count("fetch-north") == 1


# Invoices.


def test_invoices_are_written_at_night_and_mailed_in_one_batch():
    session = Session()
    result = session.run([nightly_invoices, mail_invoices], function=nightly_invoices)
    assert result.output == 3
    session.advance("1m")
    batches = [each for each in session.runs if each.function_id.endswith("mail-invoices")]
    assert [batch.output for batch in batches] == [3]


# Tickets.


def model_reply(text):
    return {"content": [{"type": "text", "text": text}]}


@pytest.mark.parametrize(("answer", "queue"), [("billing", "billing"), (" bugs\n", "bugs"), ("a poem", "other")])
def test_a_ticket_is_filed_by_what_the_model_says(answer, queue):
    mocks = {"summarize": model_reply("Charged twice."), "classify": model_reply(answer)}
    assert run(ticket_summary, TICKET, mocks=mocks).output == f"{queue}/t-1: Charged twice."


def test_the_model_is_asked_by_the_engine_with_the_key():
    asked = []

    def model(method, url, headers, body):
        asked.append((method, url, headers["x-api-key"], json.loads(body)["messages"][0]["content"]))
        return HttpReply(200, {}, json.dumps(model_reply("billing")).encode())

    assert run(ticket_summary, TICKET, fetch=model).output == "billing/t-1: billing"
    assert [(method, key) for method, _, key, _ in asked] == [("POST", "key")] * 2
    assert asked[0][1].startswith("https://api.anthropic.com/")
    assert asked[1][3].endswith(": billing")


# Expenses.


def test_a_small_expense_is_paid_at_once():
    small = ExpenseFiled(data=Expense(expense_id="e-2", employee="bob", cents=900))
    assert run(expense_approval, small).output == "transfer-e-2-900"


@pytest.mark.parametrize(("approved", "output"), [(True, "transfer-e-1-12000"), (False, "not approved")])
@pytest.mark.parametrize(("after", "reminded"), [("1d", False), ("3d", True)])
def test_an_expense_waits_for_the_manager(approved, output, after, reminded):
    under_way = start(expense_approval, EXPENSE)
    under_way.advance(after)
    assert under_way.signal("expense-approval/e-1", {"approved": approved})
    result = under_way.finish()
    assert (result.output, "remind" in ran(result)) == (output, reminded)


def test_an_expense_that_nobody_approves():
    result = run(expense_approval, EXPENSE)
    assert (result.output, "pay" in ran(result)) == ("not approved", False)


def test_an_expense_that_is_withdrawn():
    under_way = start(expense_approval, EXPENSE)
    under_way.advance("1h")
    under_way.send({"name": "expenses/withdrawn", "data": {"expense_id": "e-2"}})
    assert under_way.status == "running"
    under_way.send({"name": "expenses/withdrawn", "data": {"expense_id": "e-1"}})
    assert under_way.status == "cancelled"


# Uploads.


def uploaded(key):
    return {"name": "aws/s3.object.created", "data": {"bucket": "pictures", "key": key}}


def test_an_upload_gets_all_its_sizes():
    result = run(process_upload, uploaded("uploads/cat.jpg"))
    assert result.output == "uploads/cat.jpg in 3 sizes"
    assert sorted(ran(result)[1:4]) == ["resize-1600", "resize-200", "resize-800"]


def test_what_is_no_picture_is_moved_away():
    result = run(process_upload, uploaded("uploads/notes.txt"))
    assert result.status == "failed"
    assert "no picture" in result.error.message
    assert ran(result.failure_handler) == ["quarantine"]


# All of them.


@pytest.mark.parametrize(
    ("function", "event"),
    [
        (place_order, ORDER),
        (sales_report, {"name": "reports/requested", "data": {"regions": ["north", "south", "west"]}}),
        (nightly_invoices, None),
        (expense_approval, EXPENSE),
        (process_upload, uploaded("uploads/cat.jpg")),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_every_example_is_deterministic(function, event):
    assert_deterministic(function, event)


def test_the_entrypoint_serves_all_of_them():
    assert run(handler, ORDER, function="order-saga").output == "parcel-o-1"


def test_the_page_of_the_examples_starts_what_it_says():
    """Each event of handlers/workflows/README.md starts a run that completes, or waits for what the page says."""
    page = (Path(__file__).parents[2] / "handlers" / "workflows" / "README.md").read_text("utf-8")
    commands = re.findall(r"^inngest-serverless send (\S+) --data '(.+)' --to dev$", page, re.MULTILINE)
    assert len(commands) == 6
    mocks = [mock_step(name, model_reply("billing"), required=False) for name in ("summarize", "classify")]
    for name, data in commands:
        assert run(handler, {"name": name, "data": json.loads(data)}, mocks=mocks).status == "completed", name


def test_every_example_has_its_section_and_its_picture():
    folder = Path(__file__).parents[2] / "handlers" / "workflows"
    page = (folder / "README.md").read_text("utf-8")
    for path in folder.glob("[a-z]*.py"):
        assert f"[{path.name}]({path.name})" in page, f"{path.name} has no section"
    pictures = re.findall(r"!\[Timeline\]\((.+)\)", page)
    assert len(pictures) == len(list(folder.glob("[a-z]*.py")))
    assert all((folder / picture).is_file() for picture in pictures)
