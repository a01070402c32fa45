"""The site is built without the network and without a warning, and everything in it leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from pages import DOCS, ROOT

import inngest_serverless
from inngest_serverless import ai, testing

pytestmark = pytest.mark.integration

# What browsers fetch by themselves; a link to somewhere else is the reader's choice.
_FETCHED = {"audio", "embed", "iframe", "img", "input", "link", "object", "script", "source", "track", "video"}
# What the theme's script would fetch: for a diagram that the page draws, and for browsers of before 2020. The test with
# a browser shows that it does not.
_LAZY = {"https://unpkg.com/mermaid@11/dist/mermaid.min.js", "https://unpkg.com/resize-observer-polyfill"}
# Any address under which the pages could be; nobody asks for it.
_ORIGIN = "http://site.invalid/"


class _Page(HTMLParser):
    """The targets, the links and what is fetched, of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.classes |= set(given.get("class", "").split())
        addresses = [given[name] for name in ("src", "href", "data", "poster") if name in given]
        if tag in _FETCHED:
            self.fetched += addresses
        if tag in _FETCHED | {"a", "area"}:
            self.links += addresses


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    # No proxy answers there, so whatever asks for the network fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(  # noqa: S603 - our own configuration
        build,
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode == 0, f"correct the pages, or mkdocs.yml:\n{built.stdout}{built.stderr}"
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """The pages by their path within the site."""
    read = {}
    for path in sorted(site.rglob("*.html")):
        page = read[path.relative_to(site).as_posix()] = _Page()
        page.feed(path.read_text("utf-8"))
    return read


def test_every_page_of_the_docs_is_in_it(pages):
    sources = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    made = {re.sub(r"(?:(^|/)index|)\.md$", r"\1", source) for source in sources}
    built = {path.removesuffix("index.html").removesuffix("/") for path in pages if path != "404.html"}
    assert {name.removesuffix("/") for name in made} == built


def test_every_page_is_in_the_navigation(pages):
    """By mkdocs.yml, which makes it an error of the build; here by what the first page shows."""
    shown = {
        urlsplit(urljoin(_ORIGIN, link)).path.strip("/")
        for link in pages["index.html"].links
        if not urlsplit(link).netloc
    }
    missing = {path.removesuffix("index.html").strip("/") for path in pages if path != "404.html"} - shown
    assert not missing, "put these into nav of mkdocs.yml"


def test_no_page_is_in_the_navigation_twice():
    entries = re.findall(r"(?m)^ +- .*?([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert len(entries) > 40
    assert not [entry for entry in set(entries) if entries.count(entry) > 1], "take one out of nav of mkdocs.yml"


def test_every_link_leads_somewhere(pages, site):
    faults = [
        f"{path}: {link}" for path, page in pages.items() for link in page.links if _is_broken(path, link, pages, site)
    ]
    assert not faults, "\n".join(["these lead nowhere:", *sorted(set(faults))])


def _is_broken(path, link, pages, site):
    target = urlsplit(urljoin(_ORIGIN + path, link))
    if f"{target.scheme}://{target.netloc}/" != _ORIGIN:
        return target.scheme not in {"http", "https", "mailto"}
    name = unquote(target.path).lstrip("/")
    name += "index.html" if not name or name.endswith("/") else ""
    if name not in pages:
        return not (site / name).is_file()
    return bool(target.fragment) and unquote(target.fragment) not in pages[name].anchors


def test_nothing_is_fetched_from_elsewhere(pages, site):
    outside = {address for page in pages.values() for address in page.fetched if urlsplit(address).netloc}
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        named = [*re.findall(r"url\(\s*['\"]?([^'\")]+)", text), *re.findall(r"@import\s+['\"]([^'\"]+)", text)]
        outside |= {address for address in named if urlsplit(address).netloc}
    for script in site.rglob("*.js"):
        outside |= set(re.findall(r"https?://(?:unpkg|cdn|fonts|cdnjs)\.[^\"'`\s]+", script.read_text("utf-8")))
    assert not outside - _LAZY, "carry these in the repository instead"


def test_no_page_has_a_diagram_that_a_script_would_have_to_draw(pages):
    assert not [path for path, page in pages.items() if "mermaid" in page.classes], "draw these as SVG"


def test_every_public_name_is_in_the_reference(pages):
    told = {anchor for path, page in pages.items() if path.startswith("reference/") for anchor in page.anchors}
    names = {f"{home}.{name}" for home, members in inngest_serverless._HOMES.items() for name in members} | {
        f"inngest_serverless.testing.{home}.{name}" for home, members in testing._HOMES.items() for name in members
    }
    names |= {f"{ai.__name__}.{name}" for name in ai.__all__}
    assert not names - told, "put these into docs/reference/"


def test_what_only_tests_run_is_left_out(site):
    page = (site / "concepts" / "index.html").read_text("utf-8")
    assert "<!-- python" not in page
    assert any("<!-- python" in path.read_text("utf-8") for path in DOCS.rglob("*.md"))


def test_pipes_in_tables_are_shown_as_pipes(site):
    faults = [str(path) for path in site.rglob("*.html") if re.search(r"<td>[^\n]*\\\|", path.read_text("utf-8"))]
    assert not faults
    assert r"local\|inngest" in (DOCS / "dev-server.md").read_text("utf-8"), "no page has one any more: drop this"


@pytest.mark.parametrize("arguments", [["--help"], ["--nothing"]])
def test_the_script_has_a_usage_line(arguments):
    script = [ROOT / "scripts" / "docs", *arguments]
    said = subprocess.run(script, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert said.returncode == (0 if arguments == ["--help"] else 2)
    assert (said.stdout + said.stderr).startswith("usage: scripts/docs ")


# A real browser: what scripts fetch is in no page.


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def origin(site):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


# A search takes its index apart first, which takes its time where every core is at work.
_PATIENCE_MS = 120_000
# One of each kind: what is fetched in each page's own text is known without a browser.
_LOOKED_AT = ("", "quickstart/", "architecture/", "dev-server/", "performance/", "reference/functions/", "404.html")


def test_a_browser_fetches_everything_from_the_site(origin):
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium to look at the pages with: apt-get install chromium")
        pytest.skip("there is no Chromium to look at the pages with: apt-get install chromium")
    asked, failed = set(), []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.set_default_timeout(_PATIENCE_MS)
        tab.on("request", lambda request: asked.add(request.url))
        tab.on("response", lambda reply: reply.status < 400 or failed.append(reply.url))
        for page in _LOOKED_AT:
            tab.goto(origin + page)
        tab.goto(origin)
        tab.get_by_role("textbox", name="Search").fill("sleep_until")
        tab.wait_for_selector(".md-search-result__link")
        browser.close()
    assert len(asked) > len(_LOOKED_AT)
    assert not {url for url in asked if not url.startswith((origin, "data:", "blob:"))}, "asked for from elsewhere"
    assert not failed
