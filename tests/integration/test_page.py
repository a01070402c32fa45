"""The page of the local engine in a real browser: Debian's Chromium, driven by Playwright.

Every test fails if the page asks for anything outside its server, or if the browser complains of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from page_shop import HOSTILE, LONG, Shop
from waiting import until

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine

pytestmark = pytest.mark.integration
playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
expect = playwright.expect

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # There is no network: only this machine is reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
KEY = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
TIMEOUT_MS = 60_000
WIDTHS = (320, 390, 768, 1024, 1440)


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    if path is None:
        message = "there is no Chromium to look at the page with: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def shop():
    opened = Shop()
    yield opened
    opened.close()


class Look:
    """Opens the page, and watches what it does.

    Attributes:
        expected: Parts of the complaints that a test leads to.
    """

    def __init__(self, browser) -> None:
        self.expected: tuple[str, ...] = ()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self._browser = browser
        self._stack = ExitStack()

    def __call__(self, url, path="", *, is_live=True, **options):
        context = self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self._stack.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        own = f"{url}/"
        page.on("request", lambda request: request.url.startswith(own) or self.foreign.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda message: message.type in {"error", "warning"} and self.complaints.append(message.text)
        )
        page.goto(f"{url}{path}")
        if is_live:
            expect(page.locator("#connection")).to_have_text("live")
        return page

    def close(self):
        """Leave all pages: before their server ends, or they would ask it once more."""
        self._stack.close()


@pytest.fixture
def look(browser):
    expect.set_options(timeout=TIMEOUT_MS)
    looking = Look(browser)
    yield looking
    looking.close()
    assert looking.foreign == [], "the page must work offline: it may ask nobody but its own server"
    assert [text for text in looking.complaints if not any(part in text for part in looking.expected)] == []


def items(page):
    return page.locator(".item")


def open_run(page, name):
    items(page).filter(has_text=name).first.click()
    expect(page.locator("h1")).to_have_text(name)


def open_rows(page):
    for head in page.locator(".row-head").all():
        if head.get_attribute("aria-expanded") == "false":
            head.click()


def row(page, name):
    return page.locator(".row").filter(has=page.locator(".row-name .clip", has_text=re.compile(f"^{re.escape(name)}$")))


# Runs.


def test_a_run_is_shown_while_it_happens_without_a_reload(shop, look):
    page = look(shop.api.origin)
    expect(page.get_by_text("No run yet.")).to_be_visible()
    page.evaluate("window.isTheSame = true")
    shop.send("shop/gated")
    open_run(page, "gated")
    badge = page.locator(".badge")
    expect(badge).to_have_text("running")
    expect(row(page, "before").locator(".bar-call.is-ok")).to_have_count(1)
    expect(page.locator(".bar-call.is-open")).to_have_count(1)
    assert page.title().startswith("(1) gated: running")
    shop.gate.set()
    expect(badge).to_have_text("completed")
    expect(page.locator(".code", has_text="Output").locator(".json")).to_have_text('"opened"')
    expect(page.locator(".bar.is-open")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Run completed")).to_be_attached()
    assert page.evaluate("window.isTheSame")


def test_a_run_is_shown_with_its_calls_its_billed_time_and_its_cost(shop, look):
    run = shop.run("shop/flaky")
    page = look(shop.api.origin)
    item = items(page).filter(has_text="flaky")
    [told] = [each for each in until(lambda: changes(page), "the changes") if each["id"] == run.id]
    expect(item.locator(".item-cost")).to_have_text(f"4 calls{told['billed_ms']} ms${told['usd']:.8f}")
    open_run(page, "flaky")
    metrics = page.locator(".metrics")
    expect(metrics).to_contain_text("Invocations4")
    expect(metrics).to_contain_text(f"Billed{told['billed_ms']} ms")
    expect(metrics).to_contain_text(f"${told['usd'] * 1e6:.2f} per million · arm64, 512 MB")
    page.get_by_role("button", name=re.compile("per million")).click()
    page.get_by_label("Memory").select_option("1024")
    page.get_by_label("Architecture").select_option("x86_64")
    page.get_by_role("button", name="Count with this").click()
    usd = told["billed_ms"] / 1000 * 0.0000166667 + 4 * 0.0000002
    expect(metrics).to_contain_text(f"${usd:.8f}")
    expect(item.locator(".item-cost")).to_contain_text(f"${usd:.8f}")
    page.reload()
    expect(items(page).filter(has_text="flaky").locator(".item-cost")).to_contain_text(f"${usd:.8f}")


def changes(page):
    return json.loads(page.evaluate("fetch('/page/changes').then((reply) => reply.text())"))["runs"]


def test_the_timeline_has_a_row_for_each_step_and_a_bar_for_each_try(shop, look):
    shop.run("shop/flaky")
    shop.run("shop/order.placed", {"order_id": "A-1", "total_cents": 5})
    page = look(shop.api.origin)
    open_run(page, "flaky")
    bars = row(page, "charge").locator(".bar")
    expect(bars).to_have_count(5)
    kinds = [bar.get_attribute("class") for bar in bars.all()]
    failed, retry = "bar bar-call is-error", "bar bar-retry is-ok"
    assert kinds == [failed, retry, failed, retry, "bar bar-call is-ok"]
    bars.nth(2).hover()
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("attempt 2 of 5")
    expect(tip).to_contain_text("ConnectionError: the gateway did not answer try 2")
    row(page, "charge").locator(".row-head").click()
    details = row(page, "charge").locator(".row-details")
    expect(details.locator("tbody tr")).to_have_count(3)
    expect(details.locator(".stack").first).to_contain_text("in charge")
    expect(details.locator(".json")).to_have_text('"charged"')
    open_run(page, "Fulfil order")
    assert page.locator(".row-name .clip").all_text_contents() == ["function", "reserve", "label", "mail", "cool-off"]
    expect(row(page, "cool-off").locator(".bar-wait")).to_have_count(1)
    expect(page.locator(".code", has_text="Input event").locator(".json")).to_contain_text('"order_id": "A-1"')
    page.locator(".calls summary").click()
    expect(page.locator(".calls tbody tr")).to_have_count(6)


def test_a_failed_run_shows_its_error_with_the_stack(shop, look):
    shop.run("shop/failing")
    page = look(shop.api.origin)
    open_run(page, "failing")
    error = page.get_by_label("Error", exact=True)
    expect(error.locator(".error-title")).to_have_text("ValueError: row 7 is no number")
    expect(error.locator(".stack")).to_contain_text("in parse")


def test_a_run_of_many_days_is_drawn_so_that_it_can_be_read(look):
    def body(ctx):
        ctx.step.run("welcome", lambda: 1)
        ctx.step.sleep("first-month", "30d")
        return ctx.step.run("goodbye", lambda: 2)

    with ExitStack() as stack:
        engine = Engine(lambda *request: serve(*request))  # noqa: PLW0108 - it is there later
        api = stack.enter_context(LocalApi(engine))
        function = create_function(id="trial", trigger=event_trigger("a/b"))(body)
        handle = inngest_lambda([function], app_id="app", is_dev=True, api_base_url=api.origin)
        serve = lambda_endpoint(lambda event: handle(event, None))
        serve("PUT", "https://app.example/api/inngest", {}, b"")
        run = engine.execute({"name": "a/b"})
        # However long they took here: the bars are drawn to scale.
        run.invocations = [replace(call, took_ms=40.0) for call in run.invocations]
        page = look(api.origin)
        stack.callback(look.close)
        open_run(page, "trial")

        def width(name):
            return row(page, name).locator(".bar").first.bounding_box()["width"]

        fold = page.get_by_role("button", name="Fold idle time")
        expect(fold).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".tick-fold")).to_have_text(["30 d"])
        assert width("welcome") > 20 < width("goodbye")
        page.keyboard.press("z")
        expect(fold).to_have_attribute("aria-pressed", "false")
        expect(page.locator(".tick-fold")).to_have_count(0)
        assert width("welcome") < 6
        assert width("first-month") > 300


# What can be done.


def test_a_run_is_run_again(shop, look):
    first = shop.run("shop/flaky")
    page = look(shop.api.origin)
    open_run(page, "flaky")
    page.get_by_role("button", name="Rerun").click()
    expect(page.locator(".meta .mono")).not_to_have_text(first.id)
    expect(page.locator(".badge")).to_have_text("completed")
    assert [run.function.id for run in shop.engine.runs] == ["shop-flaky"] * 2


def test_a_run_is_cancelled_once_that_is_confirmed(shop, look):
    shop.send("shop/single")
    page = look(shop.api.origin)
    open_run(page, "single")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Keep it running").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert shop.engine.runs[0].status == "running"
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".badge")).to_have_text("cancelled (asked to)")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    expect(row(page, "nap").locator(".bar-wait.is-cancelled")).to_have_count(1)


def test_an_event_is_sent_by_a_form_with_the_fields_of_its_type(shop, look):
    page = look(shop.api.origin)
    page.get_by_role("button", name="Send event").click()
    page.get_by_label("Event name").fill("shop/order.placed")
    page.get_by_label("Event name").press("Tab")
    expect(page.get_by_label("order_id")).to_have_attribute("aria-required", "true")
    expect(page.get_by_text("As the shop knows it.")).to_be_visible()
    send = page.locator("dialog").get_by_role("button", name="Send", exact=True)
    send.click()
    fault = page.get_by_role("alert")
    expect(fault).to_have_text("total_cents: this is required")
    expect(page.get_by_label("total_cents")).to_be_focused()
    page.get_by_label("order_id").fill("A-1")
    page.get_by_label("total_cents").fill("twelve")
    send.click()
    expect(fault).to_have_text("total_cents: twelve is no whole number")
    page.get_by_label("total_cents").fill("1250")
    page.get_by_label("plan").select_option(label="express")
    page.get_by_label("is_gift").check()
    page.get_by_role("button", name="Add one").click()
    page.get_by_label("sku").fill("mug")
    page.get_by_label("quantity").fill("2")
    page.get_by_role("radio", name="JSON").check()
    written = json.loads(page.get_by_label("Data (JSON)").input_value())
    order = {"order_id": "A-1", "total_cents": 1250, "plan": "express", "is_gift": True}
    assert written == order | {"items": [{"sku": "mug", "quantity": 2}]}
    page.get_by_label("Data (JSON)").fill(json.dumps(written | {"note": "by hand"}))
    page.get_by_role("radio", name="Form").check()
    expect(page.get_by_label("note")).to_have_value("by hand")
    send.click()
    expect(page.locator("h1")).to_have_text("Fulfil order")
    expect(page.locator(".badge")).to_have_text("completed")
    assert shop.engine.runs[0].events[0]["data"] == written | {"note": "by hand"}


def test_an_event_without_a_type_is_written_as_json_after_the_last_one(shop, look):
    shop.run("shop/flaky", {"n": 1})
    page = look(shop.api.origin)
    page.get_by_role("button", name="Send event").click()
    data = page.get_by_label("Data (JSON)")
    expect(data).to_have_value('{\n  "n": 1\n}')
    data.fill("{")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("this is not JSON")
    data.fill('{"n": 2}')
    page.get_by_text("User and ID").click()
    page.get_by_label("ID", exact=True).fill("E-1")
    page.get_by_label("User (JSON)").fill('{"id": 3}')
    page.get_by_label("User (JSON)").press("Control+Enter")
    expect(page.locator(".badge")).to_have_text("completed")
    event = shop.engine.history.events["E-1"].event
    assert (event["name"], event["data"], event["user"]) == ("shop/flaky", {"n": 2}, {"id": 3})


def test_a_large_number_is_shown_and_sent_again_as_it_is(shop, look):
    """A browser reads whole numbers beyond 2 to the power of 53 as others."""
    order = {"order_id": "12345678901234567890", "total_cents": 12345678901234567890}
    run = shop.run("shop/order.placed", order)
    page = look(shop.api.origin, f"/#/events/{run.events[0]['id']}")
    expect(page.locator(".json")).to_contain_text('"total_cents": 12345678901234567890')
    page.get_by_role("button", name="Send again…").click()
    expect(page.get_by_label("Data (JSON)")).to_have_value(json.dumps(order, indent=2))
    page.get_by_role("radio", name="Form").click()
    expect(page.get_by_role("alert")).to_have_text("a number in it is too large for the form")
    page.get_by_label("Data (JSON)").press("Control+Enter")
    expect(page.locator(".badge")).to_have_text("completed")
    assert [each.events[0]["data"] for each in shop.engine.runs] == [order, order]


def test_what_was_written_is_kept_under_another_name(shop, look):
    page = look(shop.api.origin)
    page.get_by_role("button", name="Send event").first.click()
    page.get_by_label("Event name").fill("shop/flaky")
    page.get_by_label("Event name").press("Tab")
    page.get_by_label("Data (JSON)").fill('{"order_id": "A-2", "total_cents": 7}')
    page.get_by_label("Event name").fill("shop/order.placed")
    page.get_by_label("Event name").press("Tab")
    expect(page.get_by_label("order_id")).to_have_value("A-2")


def test_a_function_on_a_schedule_is_invoked(shop, look):
    page = look(shop.api.origin, "/#/functions")
    items(page).filter(has_text="nightly").click()
    expect(page.get_by_text("0 3 * * *", exact=True)).to_be_visible()
    page.get_by_role("button", name="Invoke…").click()
    page.get_by_label("Data (JSON)").fill('{"n": 5}')
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.locator(".code", has_text="Output").locator(".json")).to_contain_text('"got": 5')


def test_what_a_run_waits_for_is_sent_from_its_timeline(shop, look):
    shop.send("shop/waiting")
    page = look(shop.api.origin)
    open_run(page, "waiting")
    row(page, "wait-for-payment").locator(".row-head").click()
    page.get_by_role("button", name="Send shop/order.paid…").click()
    page.get_by_label("Data (JSON)").fill('{"paid": true}')
    page.locator("dialog").get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("h1")).to_have_text("shop/order.paid")
    expect(page.locator(".outcome")).to_have_text("wokewaitingstep wait-for-paymentcompleted run")
    expect(items(page).nth(0)).to_contain_text("woke 1 run")
    page.get_by_role("link", name="completed run").click()
    expect(page.locator("h1")).to_have_text("waiting")
    expect(page.locator(".badge")).to_have_text("completed")


def test_an_event_says_what_became_of_it(shop, look):
    shop.send("shop/single")
    shop.send("shop/single")
    shop.send("shop/nobody")
    page = look(shop.api.origin, "/#/events")
    expect(items(page)).to_have_count(3)
    items(page).nth(1).click()
    expect(page.locator(".outcome")).to_have_text("skippedsinglesingleton: a run is under way")
    items(page).nth(0).click()
    expect(page.get_by_text("no run waited for it")).to_be_visible()
    items(page).nth(2).click()
    page.get_by_role("link", name="running run").click()
    expect(page.locator("h1")).to_have_text("single")


# The keyboard.


def test_everything_is_done_with_the_keyboard_alone(shop, look):
    page = look(shop.api.origin)
    press = page.keyboard.press
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("run the run again")
    press("Escape")
    press("n")
    expect(page.get_by_label("Event name")).to_be_focused()
    press("Control+a")
    page.keyboard.type("shop/single")
    press("Tab")
    press("Control+Enter")
    expect(page.locator("h1")).to_have_text("single")
    expect(page.locator(".badge")).to_have_text("running")
    press("d")
    expect(page.locator("#detail")).to_be_focused()
    for _ in range(30):
        press("Tab")
        if page.evaluate("document.activeElement.className") == "row-head":
            break
    press("ArrowDown")
    expect(row(page, "nap").locator(".row-head")).to_be_focused()
    press("ArrowRight")
    expect(page.get_by_role("tooltip")).to_contain_text("nap · sleep 1h")
    press("Enter")
    expect(row(page, "nap").locator(".row-details")).to_contain_text("1h")
    press("Escape")
    press("x")
    expect(page.get_by_role("dialog")).to_contain_text("Cancel this run of single?")
    press("Enter")
    expect(page.locator(".badge")).to_contain_text("cancelled")
    press("r")
    expect(page.locator(".badge")).to_have_text("running")
    expect(items(page)).to_have_count(2)
    press("j")
    expect(page.locator(".badge")).to_contain_text("cancelled")
    press("k")
    expect(page.locator(".badge")).to_have_text("running")
    press("/")
    page.keyboard.type("nothing has this name")
    expect(page.get_by_text("No run fits.")).to_be_visible()
    press("Control+a")
    press("Delete")
    expect(items(page)).to_have_count(2)
    press("ArrowDown")
    expect(items(page).first).to_be_focused()
    press("3")
    expect(page.get_by_role("link", name="Functions")).to_have_attribute("aria-current", "page")
    press("j")
    expect(page.locator("h1")).to_have_text("Fulfil order")


def test_single_keys_can_be_switched_off(shop, look):
    page = look(shop.api.origin)
    page.keyboard.press("?")
    page.get_by_label("Single keys do something").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    page.keyboard.press("n")
    expect(page.get_by_role("link", name="Runs")).to_have_attribute("aria-current", "page")
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whatever_has_the_focus_shows_it(shop, look, scheme):
    shop.run("shop/flaky")
    page = look(shop.api.origin, color_scheme=scheme)
    open_run(page, "flaky")
    expect(page.locator(".calls summary")).to_be_visible()
    page.reload()
    expect(page.locator(".calls summary")).to_be_visible()
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, width, style = page.evaluate(
            """() => {
                const node = document.activeElement;
                const look = getComputedStyle(node);
                const name = node.getAttribute('aria-label') || node.innerText || node.placeholder || node.tagName;
                return [node === document.body ? '' : name, parseFloat(look.outlineWidth), look.outlineStyle];
            }"""
        )
        if not name:
            break  # past the last one, in the browser's own controls
        seen.append(name)
        assert (width >= 2, style) == (True, "solid"), f"{name!r} has the focus, and does not show it"
    told = " ".join(seen)
    for name in (
        "Skip",
        "Events",
        "Dark" if scheme == "light" else "Light",
        "?",
        "Send event",
        "Filter",
        "Failed",
        "Rerun",
        "charge",
        "Copy",
        "Calls",
    ):
        assert name in told or name == "?", f"{name} is not reached by the Tab key: {seen}"
    assert "Keyboard shortcuts" in seen


# How it looks.


def luminance(page, selector, name):
    colour = page.locator(selector).first.evaluate(f"(node) => getComputedStyle(node).{name}")
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(page, text, ground):
    high, low = sorted((luminance(page, text, "color"), luminance(page, ground, "backgroundColor")), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_light_or_dark_is_as_the_system_says_until_it_is_chosen(shop, look):
    page = look(shop.api.origin, color_scheme="dark")
    assert luminance(page, "html", "backgroundColor") < 0.05
    page.get_by_role("button", name="Light colours").click()
    assert luminance(page, "html", "backgroundColor") > 0.8
    page.reload()
    assert luminance(page, "html", "backgroundColor") > 0.8
    page.keyboard.press("t")
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("[data-theme=light]", state="attached")
    assert luminance(page, "html", "backgroundColor") > 0.8, "chosen as the system says it: the page follows the system"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(shop, look, scheme):
    shop.run("shop/failing")
    page = look(shop.api.origin, color_scheme=scheme)
    open_run(page, "failing")
    pairs = [
        ("h1", "html"),
        (".item-sub", ".item[aria-current]"),
        (".item-cost", ".list"),
        (".metric-note", ".metrics"),
        (".row-time", ".timeline"),
        (".tick", ".timeline"),
        (".error-title", ".error-block"),
        (".meta a", "html"),
        (".json-key", ".json"),
        (".json-string", ".json"),
        (".json-number", ".json"),
        (".primary", ".primary"),
    ]
    ratios = {text: round(contrast(page, text, ground), 2) for text, ground in pairs}
    assert {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}


def test_no_name_is_too_long_for_any_screen(shop, look):
    shop.run("shop/long")
    shop.send("shop/" + LONG)
    page = look(shop.api.origin)
    views = ["/#/runs", f"/#/runs/{shop.engine.runs[0].id}", "/#/events", "/#/functions", "/#/functions/shop-long"]
    event_id = until(
        lambda: [each for each in shop.engine.history.events if LONG in shop.engine.history.events[each].event["name"]],
        "the event",
    )[0]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 700})
        for view in [*views, f"/#/events/{event_id}"]:
            page.goto(shop.api.origin + view)
            expect(page.locator(".item, h1").locator("visible=true").first).to_be_visible()
            open_rows(page)
            too_wide = page.evaluate(
                """() => [...document.querySelectorAll('html, #list, #detail, #top, .scroll')]
                    .filter((node) => node.scrollWidth > Math.max(node.clientWidth, 1))
                    .map((node) => `${node.id || node.className || node.tagName}: ${node.scrollWidth} > ${node.clientWidth}`)"""
            )
            assert too_wide == [], f"{view} at {width} px"


def test_on_a_narrow_screen_there_is_one_thing_at_a_time(shop, look):
    shop.run("shop/flaky")
    page = look(shop.api.origin, viewport={"width": 390, "height": 800})
    expect(page.locator("#detail")).to_be_hidden()
    open_run(page, "flaky")
    expect(page.locator("#list")).to_be_hidden()
    page.get_by_role("link", name="Runs").last.click()
    expect(page.locator("#list")).to_be_visible()


def test_five_hundred_runs(shop, look):
    for number in range(500):
        shop.engine.invoke("shop-nightly", {"n": number})
    until(lambda: sum(run.status == "completed" for run in shop.engine.runs) == 500, "all runs to complete")
    page = look(shop.api.origin)
    expect(page.locator(".list-foot")).to_contain_text("500 runs500 calls")
    expect(items(page)).to_have_count(250)
    page.get_by_role("button", name="Show 250 older").click()
    expect(items(page)).to_have_count(500)
    page.get_by_label("Filter runs").fill(shop.engine.runs[7].id)
    expect(items(page)).to_have_count(1)
    page.get_by_role("button", name=re.compile("^Failed")).click()
    expect(page.get_by_text("No run fits.")).to_be_visible()


# Who may do what, and what goes wrong.


def test_what_users_send_is_text_and_nothing_else(shop, look):
    shop.run("shop/hostile", {HOSTILE: HOSTILE})
    shop.run("shop/hostile", {"name": "javascript:alert(1)"})
    event_id = shop.send(HOSTILE, {"a": HOSTILE})
    page = look(shop.api.origin)
    for run in shop.engine.runs:
        page.goto(f"{shop.api.origin}/#/runs/{run.id}")
        expect(page.locator("h1")).to_have_text(HOSTILE)
        expect(page.get_by_label("Error", exact=True)).to_contain_text(HOSTILE)
        expect(page.get_by_label("Error", exact=True).locator(".stack")).to_contain_text("NonRetriableError")
        open_rows(page)
        expect(page.locator(".row-details .json")).to_contain_text("onerror=")
        page.mouse.move(0, 0)  # the bar is where that of the run before was
        row(page, HOSTILE).locator(".bar").first.hover()
        expect(page.get_by_role("tooltip")).to_contain_text(HOSTILE)
    page.goto(f"{shop.api.origin}/#/events/{event_id}")
    expect(page.locator("h1")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Send again…").click()
    expect(page.get_by_label("Event name")).to_have_value(HOSTILE)
    page.keyboard.press("Escape")
    page.goto(f"{shop.api.origin}/#/functions/shop-hostile")
    expect(page.locator("h1")).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script").count() == 0


def test_a_server_that_starts_anew_is_found_by_the_page(look):
    look.expected = ("net::ERR_", "404")
    shop = Shop()
    port = urlsplit(shop.api.origin).port
    try:
        shop.run("shop/flaky")
        page = look(shop.api.origin)
        open_run(page, "flaky")
        shop.close()
        expect(page.locator("#banner")).to_contain_text("The dev server does not answer.")
        shop = Shop(port)
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.get_by_text("It is not there (any more)")).to_be_visible()
        shop.run("shop/failing")
        open_run(page, "failing")
    finally:
        look.close()
        shop.close()


def test_a_machine_that_slept_catches_up(shop, look):
    look.expected = ("net::ERR_",)
    page = look(shop.api.origin)
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_have_text("no connection")
    shop.run("shop/flaky")
    page.context.set_offline(False)
    expect(items(page)).to_have_count(1)


def test_with_a_signing_key_the_printed_address_is_the_way_in(look):
    look.expected = ("401",)
    shop = Shop(signing_key=KEY)
    try:
        page = look(shop.api.origin, is_live=False)
        expect(page.locator("#banner")).to_contain_text("This server has a signing key")
        page.goto(shop.api.page)
        page.reload()
        expect(page.locator("#connection")).to_have_text("live")
        assert page.url == f"{shop.api.origin}/", "the token does not stay in the address"
    finally:
        look.close()
        shop.close()
