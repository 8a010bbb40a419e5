"""The platform's pages in a real Chromium, without a script, in both languages, on paper, and with hostile names.

Screenshots go to the folder named by FRONTEND_AGENT_SCREENSHOTS, for a person to look at.
"""

import base64
import os
from pathlib import Path

import pytest

from frontend_agent.platform.store import Store
from tests.browser_kit import chromium, follow, texts
from tests.platform_kit import (
    HOSTILE,
    FileMemory,
    destination,
    document,
    lab_record,
    prescription_record,
    running,
    visit_record,
)

By = pytest.importorskip("selenium.webdriver.common.by").By
NoAlertPresentException = pytest.importorskip("selenium.common.exceptions").NoAlertPresentException

WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chrome = chromium(tmp_path_factory.mktemp("chromium"), "--lang=zh-CN", languages="zh-CN,zh")
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def documents():
    hostile = {
        "patient__name": HOSTILE,
        "author__name": HOSTILE,
        "report_result": HOSTILE,
        "institution__name": HOSTILE,
    }
    return {
        "first": document(1),
        "second": document(1, version=2),
        "li": document(2, patient__name="李建国"),
        "void": document(3, void=True),
        "visit": document(4, kind="C0002", record=visit_record(4)),
        "prescription": document(5, kind="C0004", record=prescription_record(5)),
        "hostile": document(7, institution="H<b>", record=lab_record(7, "H<b>", **hostile)),
        **{f"more {n}": document(100 + n) for n in range(60)},
    }


@pytest.fixture(scope="module")
def platform(documents, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("platform") / "platform").open()
    with running(store) as url:
        destination(url, FileMemory(tmp_path_factory.mktemp("agent") / "agent.json")).send(list(documents.values()))
        yield url
    store.close()


@pytest.fixture
def show(browser, platform, request):
    """Open a page of the platform, and keep a picture of it if somebody wants one."""

    def opened(path):
        browser.get(platform + path)
        if folder := os.environ.get("FRONTEND_AGENT_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            browser.save_screenshot(str(Path(folder) / f"{request.node.name}.png"))
        return browser

    yield opened
    complaints = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    assert complaints == []  # nothing blocked by the content policy, nothing missing


def test_a_doctor_finds_a_patient_and_reads_the_report(show, documents):
    browser = show("/")
    assert texts(browser, "h1") == ["文书"]
    browser.find_element(By.NAME, "patient").send_keys("李建国")
    follow(browser, "form button")
    assert texts(browser, "tbody strong") == ["李建国"]
    follow(browser, "tbody a")

    assert browser.current_url.split("?")[0].endswith(documents["li"].document_id)
    assert texts(browser, "article h1") == ["检验报告"]
    assert texts(browser, ".banner .name") == ["李建国"]
    assert texts(browser, "tr.high .c-value") == ["12.6 ↑"]
    assert texts(browser, "tr.high .c-abnormal_flag") == ["偏高"]
    assert "审核医师 王秀兰" in texts(browser, ".signatures div")[1]


def test_the_language_is_changed_by_a_link_and_stays(show):
    browser = show("/")
    follow(browser, ".language")
    assert texts(browser, "h1") == ["Documents"]
    follow(browser, "tbody a")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    follow(browser, ".language")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"


def test_a_replaced_version_leads_to_the_one_to_use(show, documents):
    browser = show(f"/documents/{documents['first'].document_id}")
    assert "已被替代" in texts(browser, ".notice")[0]
    follow(browser, ".notice a")
    assert browser.current_url.endswith(documents["second"].document_id)
    assert texts(browser, ".notice") == []


def test_a_void_document_cannot_be_overlooked(show, documents):
    browser = show(f"/documents/{documents['void'].document_id}")
    notice = browser.find_element(By.CSS_SELECTOR, ".notice.void")
    assert notice.is_displayed()
    assert "不得作为诊疗依据" in notice.text
    assert "line-through" in browser.find_element(By.CSS_SELECTOR, "article h1").value_of_css_property(
        "text-decoration"
    )


@pytest.mark.parametrize("name", ["visit", "prescription", "second"])
def test_each_kind_fits_its_sheet(show, documents, name):
    browser = show(f"/documents/{documents[name].document_id}")
    wider = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    for table in browser.find_elements(By.CSS_SELECTOR, "article .scroll"):
        assert browser.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", table) <= 0


def test_the_style_sheet_is_used(show):
    browser = show("/")
    assert (
        browser.find_element(By.CSS_SELECTOR, ".top").value_of_css_property("background-color")
        == "rgba(11, 110, 110, 1)"
    )


def test_pages_are_turned(show):
    browser = show("/")
    first = set(texts(browser, "td.number"))
    follow(browser, "a[rel=next]")
    assert not first & set(texts(browser, "td.number"))
    assert browser.find_elements(By.CSS_SELECTOR, "a[rel=prev]")


def test_the_hospitals_are_listed(show):
    browser = show("/hospitals")
    assert any("示范县人民医院" in text for text in texts(browser, ".hospital h2"))


def test_hostile_names_do_nothing(show, documents):
    for path in (
        "/",
        "/hospitals",
        f"/documents/{documents['hostile'].document_id}",
        f"/?patient={HOSTILE}&institution={HOSTILE}",
    ):
        browser = show(path)
        assert browser.find_elements(By.CSS_SELECTOR, "svg, script, iframe") == []
        with pytest.raises(NoAlertPresentException):
            browser.switch_to.alert.accept()
    browser = show(f"/documents/{documents['hostile'].document_id}")
    assert texts(browser, ".banner .name") == [HOSTILE]


def test_it_fits_a_narrow_window(show, documents, browser):
    browser.set_window_size(420, 900)
    try:
        for path in ("/", f"/documents/{documents['second'].document_id}", "/hospitals"):
            show(path)
            width = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert width <= 0, path
    finally:
        browser.set_window_size(1280, 1000)


def test_it_prints_as_a_sheet_without_the_surroundings(show, documents, browser):
    show(f"/documents/{documents['second'].document_id}")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.CSS_SELECTOR, ".top").is_displayed()
        assert not browser.find_element(By.CSS_SELECTOR, ".beside").is_displayed()
        assert browser.find_element(By.CSS_SELECTOR, "article").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    printed = base64.b64decode(browser.print_page())
    assert printed.startswith(b"%PDF")


def test_the_keyboard_is_enough(show, browser):
    show("/")
    from selenium.webdriver.common.keys import Keys

    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "跳到正文"
    for label in browser.find_elements(By.CSS_SELECTOR, "form.search input:not([type=hidden]), form.search select"):
        assert browser.execute_script("return arguments[0].labels.length", label) == 1
