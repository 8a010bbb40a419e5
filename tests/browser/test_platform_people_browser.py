"""People at the platform in a real Chromium: in with a one-time code, a reason, a document, out; wrong ten times; no patient for quality."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser_kit import chromium, follow, texts
from tests.platform_people_kit import PASSWORD, Region, region

pytest.importorskip("selenium")
pytestmark = pytest.mark.browser
WHY = "复核甲型流感报告"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with region(tmp_path_factory.mktemp("people")) as one:
        one.add("王芳", "reader")
        one.add("李强", "quality", "--no-code")
        yield one


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    one = chromium(tmp_path / "profile", "--ignore-certificate-errors")
    yield one
    one.quit()


def login(browser: Any, site: Region, name: str, password: str = PASSWORD, code: str | None = None) -> None:
    code = site.code(name) if code is None else code
    for field, text in (("name", name), ("password", password), ("code", code)):
        element = browser.find_element("name", field)
        element.clear()
        element.send_keys(text)
    follow(browser, "main form button")


def test_a_reader_comes_in_says_why_reads_and_leaves(site: Region, browser: Any) -> None:
    browser.get(f"{site.url}/documents/{site.documents[1]}?lang=zh")
    assert "/login" in browser.current_url
    login(browser, site, "王芳")
    assert texts(browser, "h1") == ["为何查阅？"]
    browser.find_element("name", "why").send_keys(WHY)
    follow(browser, "main form button")
    assert "onload=alert" in browser.find_element("css selector", "main").text, "the name is text"
    assert browser.execute_script("return document.querySelectorAll('main svg[onload], main script').length") == 0
    cookie = browser.get_cookie("__Host-platform")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    follow(browser, "form.logout button")
    assert "/login" in browser.current_url
    browser.get(f"{site.url}/documents/{site.documents[1]}")
    assert "/login" in browser.current_url
    assert [one for one in site.log() if one.get("reason") == WHY and one["what"]["subject"].startswith("document ")]
    assert not [entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]]


def test_a_cookie_from_before_is_another_after_the_login_and_quality_sees_no_patient(
    site: Region, browser: Any
) -> None:
    browser.get(f"{site.url}/login?lang=en")
    browser.add_cookie({"name": "__Host-platform", "value": "planted", "secure": True, "path": "/"})
    login(browser, site, "李强")
    assert browser.get_cookie("__Host-platform")["value"] != "planted"
    assert browser.current_url.startswith(f"{site.url}/hospitals")
    assert not [link for link in texts(browser, "nav a") if link in ("文书", "Documents")]
    browser.get(f"{site.url}/documents/{site.documents[0]}?lang=en")
    assert texts(browser, "h1") == ["Not for your role"]
    assert "张小满" not in browser.page_source


def test_wrong_ten_times_and_the_right_password_waits_too(site: Region, browser: Any) -> None:
    """Last: from this address nobody comes in afterwards."""
    browser.get(f"{site.url}/login?lang=en")
    for n in range(10):
        login(browser, site, "王芳", f"wrong {n}", "000000")
        assert texts(browser, "[role=alert]") == ["Name, password or code is wrong."]
    login(browser, site, "王芳")
    assert texts(browser, "[role=alert]")[0].startswith("Too many tries")
