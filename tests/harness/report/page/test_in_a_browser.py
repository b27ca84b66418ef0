"""The page in a real browser: silent, without requests, sorted, filtered, walked by keys, downloaded, printed."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.report_content import MODELS, PATHS, SHOWN, everything

pytest.importorskip("selenium")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.support.browser import Browser

pytestmark = pytest.mark.xdist_group("browser")
Rendered = Callable[[str], Path]


def column(browser: Browser, name: str, place: int) -> list[str]:
    """The visible texts of a column of the table `name`."""
    rows = f"document.querySelectorAll('.table[data-name=\"{name}\"] tbody tr:not([hidden])')"
    return list(browser.script(f"return [...{rows}].map(row => row.cells[{place}].textContent.trim())"))


def heading(browser: Browser, name: str, text: str) -> WebElement:
    """The button in the heading of a column."""
    path = f"//div[@data-name='{name}']//thead//button[normalize-space()='{text}']"
    return browser.driver.find_element(By.XPATH, path)


def test_a_request_and_a_breach_of_a_policy_do_not_stay_unseen(tmp_path: Path, browser: Browser) -> None:
    policy = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">"
    (tmp_path / "loud.html").write_text(
        f"<html class=is-ready>{policy}<script>1</script><img src='http://127.0.0.1:9/x.png' alt=''>"
    )
    browser.open(tmp_path / "loud.html")
    browser.wait("return document.readyState === 'complete'")
    assert "http://127.0.0.1:9/x.png" in browser.requests()
    assert any("script-src" in message for message in browser.messages())


@pytest.mark.parametrize("name", ["everything", "hostile"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_opens_without_a_message_or_a_request(rendered: Rendered, browser: Browser, name: str, dark: bool) -> None:
    browser.open(rendered(name), dark=dark)
    browser.script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.wait("return document.querySelectorAll('.pictures svg').length === 4")
    browser.script("document.querySelector('#trends').scrollIntoView()")
    browser.wait("return document.querySelectorAll('.plot svg').length >= 4")
    browser.check_quiet()
    background = browser.script("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")


def test_names_from_outside_are_text(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("hostile"))
    assert browser.script("return document.scripts.length") == 2
    assert browser.script("return document.querySelectorAll('[onload], img, iframe').length") == 0
    assert SHOWN in browser.script("return document.querySelector('.verdict').textContent")
    assert SHOWN in browser.script("return document.querySelector('#trend-0 h3').textContent")
    assert browser.script("return document.querySelector('#trend-0 .plot').getAttribute('aria-label')").count(SHOWN) > 1
    assert f"={SHOWN}7" in browser.script("return [...document.querySelector('[name=model]')].map(one => one.text)")


def test_however_long_a_name_is_the_other_cells_can_be_read(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("long_names"))
    wide = "return [...document.querySelectorAll('.stack .scroll')].map(one => one.scrollWidth - one.clientWidth)"
    assert set(browser.script(wide)) == {0}


def test_without_scripts_it_can_be_read(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"), scripts=False)
    text = browser.driver.find_element(By.TAG_NAME, "body").text
    for words in ("2 figures are worse than main", "explains 100 %", "2.002", "board desk: quarantined", "CONV_2D 3"):
        assert words in text or words == "2.002"
    assert "The plots need JavaScript" in text
    assert not browser.driver.find_elements(By.TAG_NAME, "button")
    browser.check_quiet()


def test_tables_sort_by_numbers_and_texts(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    change = heading(browser, "Worse", "change")
    assert column(browser, "Worse", 5) == ["+11.9 %", "+25.6 %"]  # the one whose gate fails is first
    change.click()
    assert column(browser, "Worse", 5) == ["+11.9 %", "+25.6 %"]
    assert change.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    change.send_keys(Keys.ENTER)
    assert column(browser, "Worse", 5) == ["+25.6 %", "+11.9 %"]
    heading(browser, "Worse", "deployment").click()
    assert column(browser, "Worse", 0) == ["kws-pqat", "vww-ptq"]
    assert change.find_element(By.XPATH, "..").get_attribute("aria-sort") is None


def test_tables_filter_by_words(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    browser.script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.wait("return document.querySelector('.table[data-name=Runs] .filter') !== null")
    box = browser.driver.find_element(By.XPATH, "//label[normalize-space()='Filter Runs']/input")
    box.send_keys("nightly 2026-11-2")
    assert len(column(browser, "Runs", 0)) == 10
    status = browser.driver.find_element(By.CSS_SELECTOR, ".table[data-name=Runs] [role=status]")
    assert status.text == "10 of 100 rows"
    box.send_keys(" nothing")
    assert column(browser, "Runs", 0) == []


def test_trends_are_chosen_by_model_technique_and_figure(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    titles = "return [...document.querySelectorAll('.card h3')].map(one => one.textContent)"
    assert browser.script(titles)[:2] == ["kws-pqat latency worse", "vww-ptq sram worse"]
    assert len(browser.script(titles)) == 24
    Select(browser.driver.find_element(By.NAME, "model")).select_by_visible_text("anomaly")
    Select(browser.driver.find_element(By.NAME, "figure")).select_by_visible_text("accuracy")
    assert len(browser.script(titles)) == 2 * len(PATHS)
    assert all(title.startswith("anomaly-") and " accuracy" in title for title in browser.script(titles))
    browser.driver.find_element(By.NAME, "words").send_keys("serial pqat")
    assert {title.split()[0] for title in browser.script(titles)} == {"anomaly-pqat"}
    browser.driver.find_element(By.XPATH, "//button[.='Show all']").click()
    browser.driver.find_element(By.XPATH, "//button[.='Show 24 more']").click()
    assert len(browser.script(titles)) == 48
    assert browser.script("return document.activeElement.id") == "trend-24"


def test_a_finding_leads_to_its_figures(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    Select(browser.driver.find_element(By.NAME, "model")).select_by_visible_text("vww")
    link = browser.driver.find_element(By.XPATH, "//div[@data-name='Worse']//tr[th='kws-pqat']//a")
    link.send_keys(Keys.ENTER)
    browser.wait("return document.activeElement.classList.contains('plot')")
    label = browser.script("return document.activeElement.getAttribute('aria-label')")
    assert label.startswith("kws-pqat latency, serial")


def test_keys_walk_the_nights_of_a_plot(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    points = everything().trends[0].points
    plot = browser.driver.find_element(By.CSS_SELECTOR, "#trend-0 .plot")
    browser.script("arguments[0].scrollIntoView()", plot)
    browser.wait("return document.querySelector('#trend-0 .plot svg') !== null")
    plot.send_keys(Keys.HOME)
    told = [plot.get_attribute("aria-valuetext")]
    for key in (Keys.ARROW_RIGHT, Keys.PAGE_UP, Keys.END, Keys.ARROW_RIGHT, Keys.PAGE_DOWN):
        plot.send_keys(key)
        told.append(plot.get_attribute("aria-valuetext"))
    first, second, stop, last, end, changed = told
    assert first.startswith(f"2026-08-23 02:00: {points[0].value:.6g}"[:23])
    assert second.startswith("2026-08-24 02:00: ")
    assert "baseline main" in stop
    assert last == end
    assert last.startswith("2026-11-30 02:00: ")
    assert "worse from here" in changed
    assert "vela 5.1.0 -> 5.2.0" in changed
    assert browser.script("return document.querySelector('#trend-0 .readout').textContent") == changed


def test_a_pointer_tells_the_nearest_night(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    browser.script("document.querySelector('#trend-0').scrollIntoView()")
    browser.wait("return document.querySelector('#trend-0 .plot svg') !== null")
    left, top = browser.script(
        "const box = document.querySelector('#trend-0 .plot svg').getBoundingClientRect(); return [box.left, box.top]"
    )
    browser.command("Input.dispatchMouseEvent", type="mouseMoved", x=left + 60, y=top + 50)
    browser.wait("return document.querySelector('#trend-0 .readout').textContent.startsWith('2026-08-2')")


def test_tab_reaches_every_control(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    browser.wait("return document.querySelectorAll('.card').length === 24")
    browser.script("window.reached = []; document.addEventListener('focusin', event => reached.push(event.target))")
    browser.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB * 130)
    reached = set(browser.script("return reached.map(one => one.name || one.className || one.textContent)"))
    wanted = {"skip", "scroll", "plot", "words", "figure", "outcome", "button", "deployment", "latency"}
    assert wanted <= reached


def test_the_data_of_a_plot_is_downloaded_as_csv(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"))
    browser.driver.find_element(By.CSS_SELECTOR, "#trend-0 button").click()
    name = "kws-pqat_latency_serial_ethos-u55-128_Shared_Sram_desk.csv"
    rows = list(csv.DictReader(io.StringIO(browser.download(name))))
    trend = everything().trends[0]
    assert [float(row["value"]) for row in rows] == pytest.approx([point.value for point in trend.points], rel=1e-6)
    assert [float(row["low"]) for row in rows] == pytest.approx([point.low for point in trend.points], rel=1e-6)
    assert {row["technique"] for row in rows} == {"pqat"}
    (changed,) = [row for row in rows if row["change"]]
    assert changed["started"] == "2026-11-23T02:00:00.000Z"
    assert changed["change"] == "worse: vela 5.1.0 -> 5.2.0 explains 100 %; firmware is the same"
    assert changed["marks"] == "vela 5.1.0 -> 5.2.0"
    browser.driver.find_element(By.XPATH, "//button[.='CSV of all of these']").click()
    everyone = list(csv.DictReader(io.StringIO(browser.download("trends.csv"))))
    assert len(everyone) == 100 * len(MODELS) * len(PATHS) * 8
    browser.check_quiet()


def test_a_name_is_no_formula_in_the_csv(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("hostile"))
    browser.driver.find_element(By.CSS_SELECTOR, "#trend-0 button").click()
    rows = list(csv.DictReader(io.StringIO(browser.download("*script*.csv"))))
    assert {row["model"] for row in rows} == {f"'={SHOWN}0"}
    assert {row["board"] for row in rows} == {SHOWN}


@pytest.mark.parametrize("name", ["everything", "hostile"])
def test_a_phone_scrolls_down_only(rendered: Rendered, browser: Browser, name: str) -> None:
    browser.open(rendered(name), width=360)
    browser.script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    browser.wait("return document.querySelectorAll('.pictures svg').length === 4")
    assert browser.script("return document.documentElement.scrollWidth") == 360
    spread = "return [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > 361"
    inside = "&& !one.closest('.scroll, pre, svg')).map(one => one.outerHTML.slice(0, 200))"
    assert browser.script(f"{spread} {inside}") == []


def test_paper_has_everything_open_and_drawn(rendered: Rendered, browser: Browser) -> None:
    browser.open(rendered("everything"), dark=True)
    counted = "window.addEventListener('beforeprint', () => { window.printed = ["
    counted += "document.querySelectorAll('details:not([open])').length, document.querySelectorAll('.plot svg').length,"
    browser.script(f"{counted} document.querySelectorAll('.pictures svg').length] }})")
    printed = base64.b64decode(browser.command("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 5
    assert browser.script("return window.printed") == [0, 24, 4]
    assert browser.script("return document.querySelectorAll('details:not([open])').length") > 3
