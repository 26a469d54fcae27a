"""The page in headless Chromium: click, read what it shows, and take pictures of it. Slow: a browser has to start."""

import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
selenium = pytest.importorskip("selenium", reason="needs selenium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1100,1500 --force-color-profile=srgb"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield running
    running.quit()


@pytest.fixture
def page(browser, server, tmp_path):
    """The page, opened anew; what its script complains about fails the test."""
    browser.get(server.url)
    wait(browser, lambda: browser.execute_script("return document.getElementById('model').value"))
    yield browser
    folder = Path(os.environ.get("INSTRUCTOR_JAX_SCREENSHOTS") or tmp_path)
    browser.save_screenshot(str(folder / f"{os.environ['PYTEST_CURRENT_TEST'].split('::')[1].split(' ')[0]}.png"))
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda _: condition())


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def press(browser, button, status):
    find(browser, button)[0].click()
    wait(
        browser,
        lambda: "ms." in find(browser, status)[0].text or "wrong" in find(browser, status)[0].get_attribute("class"),
    )
    return find(browser, status)[0].text


def fill(browser, selector, text):
    (field,) = find(browser, selector)
    field.clear()
    field.send_keys(text)


def test_compare(page, library):
    said = press(page, "#compare", "#compare-status")
    assert said.startswith("8 vectors, ")
    maps = find(page, "#maps > div")
    assert len(maps) == 2
    texts = page.execute_script("return document.getElementById('texts').value").split("\n")
    for place, instruction in zip(maps, ("#first", "#second"), strict=True):
        value = page.execute_script(f"return document.querySelector('{instruction}').value")
        assert place.find_element("css selector", "strong").text == value.strip()
        cells = [float(cell.text) for cell in place.find_elements("css selector", "td")]
        vectors = library.encode(texts, instruction=value)
        expected = (vectors @ vectors.T).ravel()
        assert max(abs(cell - right) for cell, right in zip(cells, expected, strict=True)) < 6e-4  # three digits


def test_search(page):
    fill(page, "#query", "no warm water")
    said = press(page, "#search", "#search-status")
    assert said.startswith("4 lines, ")
    rows = [row.text for row in find(page, "#hits tr")]
    assert len(rows) == 4
    scores = [float(row.split()[0]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert "boiler" in rows[0] or "radiators" in rows[0]


def test_an_error_is_told(page):
    fill(page, "#texts", "only one line")
    assert "at least two" in press(page, "#compare", "#compare-status")


def test_code_to_copy(page, server):
    from selenium.webdriver.support.ui import Select

    assert f"{server.url}/v1" in find(page, "#code")[0].text
    for name in ("curl", "library", "python"):
        Select(find(page, "#language")[0]).select_by_value(name)
        start = {"curl": "curl -s", "library": "from instructor_jax", "python": "from openai"}[name]
        wait(page, lambda start=start: find(page, "#code")[0].text.startswith(start))


def test_what_texts_hold_is_no_markup(page):
    fill(page, "#texts", "<img src=x onerror=alert(1)>\nsecond")
    press(page, "#compare", "#compare-status")
    assert not find(page, "#maps img")
    assert find(page, "#maps th")[0].text.startswith("<img")


def test_a_small_and_a_dark_screen(page):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    page.set_window_size(500, 1500)
    press(page, "#compare", "#compare-status")
    wide = page.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "the page scrolls sideways"
