"""The quality report in a real Chromium: charts are seen, nothing is fetched, and the totals are those of the spool."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from test_reports import ask, by_hand, place, traced

from tests.browser_kit import chromium

__all__ = ["place"]  # the fixture: a state of two kinds and four departments

By = pytest.importorskip("selenium.webdriver.common.by").By

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory):
    chrome = chromium(tmp_path_factory.mktemp("chromium"), logs=("performance", "browser"))
    yield chrome
    chrome.quit()


def requests(browser) -> list[str]:
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("chrome:", "data:"))]  # the browser's own first page


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_shows_its_charts_and_fetches_nothing(browser, place: Path, lang: str) -> None:
    out = place / "september.html"
    assert ask(place, "--lang", lang, "qc", "report", "--month", "2026-09", "--out", str(out)) == 0
    browser.get(out.as_uri())

    assert requests(browser) == [out.as_uri()]
    assert browser.get_log("browser") == []
    charts = browser.find_elements(By.CSS_SELECTOR, "figure > svg[role=img]")
    assert len(charts) == 6
    for chart in charts:
        assert chart.size["height"] > 40
        assert chart.size["width"] > 300
        assert chart.find_elements(By.CSS_SELECTOR, "path, rect, circle")
        labelled = chart.get_attribute("aria-labelledby").split()
        assert all(browser.find_element(By.ID, name).get_attribute("textContent") for name in labelled)
    assert browser.execute_script("return document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[lang]
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")

    counted = by_hand(traced(place))
    cards = [int(re.sub(r"\D", "", card.text)) for card in browser.find_elements(By.CSS_SELECTOR, "ul.cards b")[:3]]
    assert cards == [counted["生成文档"], counted["隔离"], counted["送达"]]
    for section in ("kinds", "departments", "trend", "months"):
        heads = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, f"#{section} th")]
        at = heads.index({"zh": "判定数", "en": "Judged"}[lang]) + 1
        cells = browser.find_elements(By.CSS_SELECTOR, f"#{section} tbody td:nth-child({at})")
        assert sum(int(cell.text.replace(",", "")) for cell in cells) == counted["判定数"]


def test_it_prints(browser, place: Path) -> None:
    out = place / "september.html"
    assert ask(place, "qc", "report", "--month", "2026-09", "--out", str(out)) == 0
    browser.get(out.as_uri())
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.find_element(By.CSS_SELECTOR, "nav").value_of_css_property("display") == "none"
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"landscape": True, "printBackground": True})
    assert len(printed["data"]) > 20_000
