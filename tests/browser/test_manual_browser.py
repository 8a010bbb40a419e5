"""The reference manual in a real Chromium, opened as files: its search finds kinds and elements without any network."""

import pytest

from frontend_agent.formats import gaps, load_kinds
from frontend_agent.formats.manual import manual
from tests.browser_kit import chromium

By = pytest.importorskip("selenium.webdriver.common.by").By

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def manual_in_browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    for name, text in manual(list(load_kinds().values()), list(gaps().values())):
        (folder / name).write_text(text, encoding="utf-8")
    chrome = chromium(tmp_path_factory.mktemp("chromium"), "--lang=zh-CN", "--host-resolver-rules=MAP * ~NOTFOUND")
    yield chrome, (folder / "index.html").as_uri()
    chrome.quit()


def search(manual_in_browser, words):
    browser, index = manual_in_browser
    browser.get(index)
    browser.find_element(By.ID, "search").send_keys(words)
    return [item.text for item in browser.find_elements(By.CSS_SELECTOR, "#found li")]


def test_a_kind_is_found_by_its_chinese_name_and_opened(manual_in_browser):
    browser, _ = manual_in_browser
    found = search(manual_in_browser, "转诊")
    assert found[0] == "HSDC00.05 转诊(院)记录"
    browser.find_element(By.CSS_SELECTOR, "#found a").click()
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("HSDC00.05 转诊(院)记录")


def test_an_element_is_found_by_data_element_and_part_of_a_name_and_is_where_the_link_leads(manual_in_browser):
    browser, _ = manual_in_browser
    assert search(manual_in_browser, "DE04.30.016.00 C0007") == ["计量单位 · C0007 items.unit"]
    browser.find_element(By.CSS_SELECTOR, "#found a").click()
    assert browser.current_url.endswith("C0007.html#items.unit")
    assert browser.find_element(By.CSS_SELECTOR, ":target").text == "items.unit"


def test_english_words_find_too_and_nothing_is_said_when_nothing_is_found(manual_in_browser):
    assert "主诉 · C0002 chief_complaint" in search(manual_in_browser, "chief complaint")
    assert search(manual_in_browser, "zzz no such thing") == ["没有找到 · nothing found"]


def test_nothing_was_missing_or_blocked(manual_in_browser):
    browser, index = manual_in_browser
    browser.get(index)
    assert browser.get_log("browser") == []
