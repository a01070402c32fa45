"""The code of docs/forwarding.md does what the page says, and the pages name what there is."""

import re
from pathlib import Path

import pytest
from forward_api import failed, golden, messages

from inngest_serverless.aws import forward

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "forwarding.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def handler(event_api):
    """Executes one of the page's blocks, and returns its handler."""

    def run(number):
        names = {"__name__": "forwarding_page"}
        exec(compile(BLOCKS[number], str(PAGE), "exec", dont_inherit=True), names)  # noqa: S102 - the page is ours
        return names["handler"]

    return run


def test_every_block_is_tried():
    assert len(BLOCKS) == 3


def test_a_queue(handler, event_api):
    assert failed(handler(0)(golden("sqs"), None)) == []
    assert [event["name"] for event in event_api.events] == ["aws/sqs.message"] * 2


def test_a_mapping(handler, event_api):
    assert failed(handler(1)(messages({"total": 5}, {"total": 0}, {"sum": 5}), None)) == []
    order, letter = event_api.events
    assert (order["name"], order["data"]) == ("shop/order.placed", {"total": 5})
    assert (letter["name"], letter["data"]["reason"]) == ("shop/undeliverable", "KeyError: 'total'")


@pytest.mark.parametrize("name", ["s3", "sqs_sns_s3", "eventbridge_s3"])
def test_a_bucket(name, handler, event_api):
    handler(2)(golden(name), None)
    [event] = event_api.events
    assert event["name"] == "docs/uploaded"
    assert event["data"]["key"].endswith(".pdf")


def test_the_page_names_every_handler_and_option():
    page = PAGE.read_text("utf-8")
    missing = [name for name in (*forward.__all__, "event_key", "is_dev", "logger", "poison") if f"`{name}" not in page]
    assert not missing, "docs/forwarding.md does not say what these are"


def test_the_page_on_secrets_says_what_the_errors_say():
    lines = re.findall(
        r"^\| `([^`]+)`", (DOCS / "secrets.md").read_text("utf-8").partition("What goes wrong")[2], re.MULTILINE
    )
    package = Path(forward.__file__).parents[1]
    source = "".join((package / name).read_text("utf-8") for name in ("secret_keys.py", "rekeying.py"))
    source = re.sub(r'"\n\s+f?"', "", source)
    assert len(lines) == 5
    assert not [line for line in lines if re.sub(r" \(.*|INNGEST_\w+", "", line) not in source]
