"""Pages in a real browser: what a person does with them works, and nothing leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from tests.cli.program import spawn
from tests.models import FIXTURES
from tests.reporters.page.browser import Browser, chromium
from tests.reporters.page.models import MARKUP, write_large, write_markup
from xnnlint import lint
from xnnlint.reporters.page.graph_facts import graph_facts
from xnnlint.reporters.page.markup import xml_text
from xnnlint.reporters.page.picture import alone, for_document

pytestmark = pytest.mark.browser
# How every element of a picture is drawn.
COMPUTED = """
const how = ["fill", "stroke", "strokeWidth", "strokeDasharray", "strokeLinecap", "fontSize", "fontWeight",
             "fontFamily", "textAnchor"];
return [...document.querySelectorAll("svg")[arguments[0]].querySelectorAll("g, rect, path, text, circle")].map(
  (part) => [part.tagName, ...how.map((name) => getComputedStyle(part)[name])]);
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def write_page(*arguments: str | Path) -> Path:
    *models, page = arguments
    done = spawn("report", *map(str, models), "-o", str(page))
    assert done.returncode == 0, done.stderr
    return Path(page)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, of which the second lacks zeros."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    return write_page(FIXTURES / "guide_sparse.tflite", FIXTURES / "guide_half.tflite", file)


def test_nothing_leaves_the_page_and_nothing_fails(browser: Browser, page: Path) -> None:
    browser.open(page)
    console, asked = browser.told()
    assert console == []
    assert asked == [page.as_uri()]


def test_search_finds_and_a_click_opens_the_panel(browser: Browser, page: Path) -> None:
    browser.open(page)
    search = browser.find("#m1 .tools input")
    search.send_keys("Conv2d_2")
    assert browser.script("return [...document.querySelectorAll('#m1 .op.hit .name')].map((e) => e.textContent)") == [
        "conv2d_2"
    ]
    search.send_keys("\n")
    panel = browser.find("#m1 .panel")
    assert "conv2d_2" in panel.text and "50.0%" in panel.text
    browser.script("document.querySelector('#m1 .graph').scrollIntoView()")
    browser.find("#m1-4 rect").click()
    assert "XNN301" in panel.text and "xnn_subgraph_rewrite_for_nchw" in panel.text
    assert browser.told()[0] == []


def test_the_table_sorts_and_filters(browser: Browser, page: Path) -> None:
    def column(name: str) -> list[str]:
        heads = browser.script(
            "return [...document.querySelectorAll('#m0 .operators thead th')].map((e) => e.textContent)"
        )
        place = heads.index(name) + 1
        cells = f"#m0 .operators tbody tr > :nth-child({place})"
        return browser.script(f"return [...document.querySelectorAll('{cells}')].map((e) => e.textContent)")

    browser.open(page)
    heads = browser.driver.find_elements("css selector", "#m0 .operators thead button")
    zeros = next(head for head in heads if head.text == "Zeros")
    browser.script("arguments[0].click()", zeros)
    shares = [float(text.rstrip("%")) for text in column("Zeros") if text]
    assert len(shares) > 2 and shares == sorted(shares, reverse=True)
    browser.script("arguments[0].click()", zeros)
    assert [float(text.rstrip("%")) for text in column("Zeros") if text] == shares[::-1]
    assert browser.find("#m0 .operators th[aria-sort]").get_attribute("aria-sort") == "ascending"
    browser.find("#m0 .operators input").send_keys("depthwise")
    assert column("Name") and all("depthwise" in name for name in column("Name"))


def test_the_keyboard_reaches_everything(browser: Browser, page: Path) -> None:
    """From the top, Tab comes to every part; arrows go from operator to operator; Enter opens, Escape leads back."""
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.script("document.querySelectorAll('details').forEach((e) => (e.open = true))")
    reachable = "a[href], button, input, select, summary, [tabindex='0']"
    count = browser.script(f'return document.querySelectorAll("{reachable}").length')
    for _ in range(count + 5):  # the document itself is a stop, too
        browser.press(Keys.TAB)
        browser.script("document.activeElement.dataset.seen = 'yes'")
    missed = f'[...document.querySelectorAll("{reachable}")].filter((e) => !e.dataset.seen).map((e) => e.outerHTML)'
    assert count > 50
    assert browser.script(f"return {missed}") == []
    browser.script("document.querySelector('#m1-0').focus()")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.script("return document.activeElement.id") == "m1-2"
    browser.press(Keys.ENTER)
    assert browser.script("return document.activeElement.className") == "panel"
    assert "depthwise_conv2d" in browser.find("#m1 .panel").text
    browser.press(Keys.ESCAPE)
    assert browser.script("return document.activeElement.id") == "m1-2"


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (1400, True), (400, False), (400, True)])
def test_axe_finds_nothing(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    browser.script("document.querySelector('#m1-4').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert browser.violations() == []
    assert browser.script("return document.documentElement.scrollWidth") <= width


def test_markup_in_names_stays_text(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(write_markup(tmp_path / "markup.tflite"), tmp_path / "page.html"))
    browser.script(
        "document.querySelector('.op.spmm:nth-of-type(n+5)').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert browser.script("return document.querySelectorAll('img, main b').length") == 0
    names = browser.script("return [...document.querySelectorAll('.operators tbody button')].map((e) => e.textContent)")
    assert any(name.startswith(MARKUP) for name in names), names
    assert browser.told()[0] == []


def test_a_picture_for_documents_looks_as_the_stylesheet_says(browser: Browser, tmp_path: Path) -> None:
    """Its attributes are what the browser makes of the stylesheet for every element of the same picture."""
    for model in ("guide_sparse", "guide_half", "guide_keepdims_false", "guide_int8"):
        facts = graph_facts(lint(FIXTURES / f"{model}.tflite"))
        both = [xml_text(made(facts, model)) for made in (alone, for_document)]
        page = tmp_path / f"{model}.html"
        page.write_text(f"<html data-ready='yes'>{both[0]}{both[1]}", encoding="utf-8")
        browser.open(page)
        sheet, inlined = (browser.script(COMPUTED, number) for number in (0, 1))
        assert len(sheet) == len(inlined) > 20
        assert sheet == inlined


def step_cost(browser: Browser) -> float:
    """Seconds of computing that one step of zoom takes, in all processes of the browser."""
    before = browser.cpu_seconds()
    steps = browser.zoom_steps()
    return (browser.cpu_seconds() - before) / len(steps)


@pytest.mark.more
def test_a_large_page_is_quick(browser: Browser, tmp_path: Path) -> None:
    """2,000 operators. Computing counts, not the clock: a machine that does other things, too, is slower."""
    model = write_large(tmp_path / "large.tflite", 2000)
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    page = write_page(model, tmp_path / "page.html")
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < 5
    browser.open(page)
    assert browser.first_paint() < 2000
    assert min(step_cost(browser) for _ in range(5)) < 0.1
