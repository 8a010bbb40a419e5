"""The documentation in a real Chromium, from the disk and without a network: it is searched in both languages, and read at a phone's width."""

import pytest

from tests.browser_kit import chromium
from tools.documentation.build import build

By = pytest.importorskip("selenium.webdriver.common.by").By
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documentation") / "site"
    build(folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chrome = chromium(tmp_path_factory.mktemp("chromium"), "--lang=zh-CN", "--host-resolver-rules=MAP * ~NOTFOUND")
    chrome.set_window_size(1280, 900)
    yield chrome
    chrome.quit()


@pytest.mark.parametrize(
    ("lang", "words", "expected"),
    [
        ("zh", "质控", "质控规则"),
        ("zh", "隔离区", "本机控制台"),
        ("zh", "statement_timeout", "我们是客人：限制、暂停与访问报告"),
        ("en", "quarantine", "Mending and tracing"),
    ],
)
def test_a_page_is_found_by_its_words_and_opened(site, browser, lang, words, expected):
    browser.get((site / lang / "index.html").as_uri())
    box = browser.find_element(By.CSS_SELECTOR, "[data-md-component=search-query]")
    box.click()
    box.send_keys(words)
    results = WebDriverWait(browser, 20).until(
        lambda page: [one for one in page.find_elements(By.CSS_SELECTOR, ".md-search-result__item") if one.text]
    )

    titles = [one.find_element(By.TAG_NAME, "h1").text for one in results]
    assert any(title.startswith(expected) for title in titles), titles

    link = results[0].find_element(By.CSS_SELECTOR, "a")
    browser.get(link.get_attribute("href"))
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith(titles[0])


def test_a_page_leads_to_itself_in_the_other_language(site, browser):
    browser.get((site / "zh" / "guests.html").as_uri())
    link = browser.find_element(By.CSS_SELECTOR, "a[hreflang=en]").get_attribute("href")

    browser.get(link)

    assert browser.current_url == (site / "en" / "guests.html").as_uri()
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("We are guests")


@pytest.mark.parametrize("page", ["index", "guests", "reference/commands", "reference/settings", "alarms"])
def test_a_page_is_not_wider_than_a_phone_and_nothing_was_missing(site, browser, page):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        browser.get((site / "zh" / f"{page}.html").as_uri())

        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.get_log("browser") == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
