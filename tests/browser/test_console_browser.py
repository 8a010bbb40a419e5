"""The console in a real Chromium: what an operator does, at both widths and in both languages, and what nobody can make it do."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.demo.run import run_demo
from frontend_agent.demo.service import PlatformProcess
from tests.browser_kit import chromium, follow, texts
from tests.console_kit import Site, soon

pytest.importorskip("selenium")

HOSTILE = '"><svg onload=alert(1)><img src=x onerror=alert(2)>'
PAGES = (
    "/",
    "/quarantine",
    "/terms",
    "/sources",
    "/images",
    "/log",
    "/reports?first=2026-03-01&last=2026-03-31",
    "/trust",
)
CONTRAST = """
const lum = (c) => { const [r,g,b] = c.map((v) => { v /= 255; return v <= .03928 ? v/12.92 : ((v+.055)/1.055)**2.4; }); return .2126*r+.7152*g+.0722*b; };
const rgb = (s) => { const n = s.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] < 1 ? null : n.slice(0,3); };
const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); const a = getComputedStyle(e).backgroundColor; if (c && a !== 'rgba(0, 0, 0, 0)') return c; } return [255,255,255]; };
const weak = [];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  if (!e.offsetParent || ['SCRIPT','STYLE','OPTION'].includes(e.tagName) || e.closest('.skip, [hidden]')) continue;
  const style = getComputedStyle(e), ink = rgb(style.color); if (!ink) continue;
  const [a, b] = [lum(ink), lum(ground(e))].sort((x, y) => y - x);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
  if ((a + .05) / (b + .05) < (large ? 3 : 4.5)) weak.push(e.tagName + ' ' + e.textContent.trim().slice(0, 30) + ' ' + ((a+.05)/(b+.05)).toFixed(2));
}
return weak;
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration hospital with a patient's name and a local code that would like to be markup."""
    folder = tmp_path_factory.mktemp("console")
    assert run_demo(visits=60, seed=3, state=folder, exit=True, progress=False) == 0
    platform = PlatformProcess(folder / "platform")
    site = Site(folder)
    config = folder / "agent.toml"
    text = config.read_text("utf-8")
    url = next(line.split('"')[1] for line in text.splitlines() if line.startswith('url = "http'))
    config.write_text(f'{text}\n[console]\nlisten = "127.0.0.1:{site.port}"\n', "utf-8")
    with sqlite3.connect(folder / "hospital" / "lis.db") as lis:
        newest = "(SELECT max(xgsj) FROM lis_bg)"
        lis.execute(f"UPDATE lis_bg SET brly = ?, xm = ? WHERE xgsj = {newest}", (HOSTILE, HOSTILE))
    lis.close()
    try:
        platform.start(url)
        yield site.start()
    finally:
        site.stop()
        platform.stop()


@pytest.fixture
def browser(site: Site, tmp_path: Path) -> Iterator[Any]:
    driver = chromium(tmp_path / "chromium")
    try:
        driver.get(site.link())
        driver.get(f"{site.url}/language?lang=en&to=/")
        yield driver
    finally:
        driver.quit()


def complaints(browser: Any) -> list[str]:
    return [one["message"] for one in browser.get_log("browser") if "favicon" not in one["message"]]


def overflow(browser: Any) -> int:
    return int(
        browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def narrow(browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )


def test_every_page_is_there_in_both_languages_and_widths_readable_and_quiet(site: Site, browser: Any) -> None:
    for lang, word in (("en", "Overview"), ("zh", "总览")):
        browser.get(f"{site.url}/language?lang={lang}&to=/")
        assert texts(browser, "nav.places a")[0] == word
        for path in PAGES:
            browser.get(site.url + path)
            assert texts(browser, "h1")
            assert not texts(browser, "h1")[0].startswith(("That was", "没有执行"))
            assert overflow(browser) <= 0, path
            assert browser.execute_script(CONTRAST) == [], path
            assert texts(browser, "nav.places a[aria-current]")
    narrow(browser)
    for path in PAGES:
        browser.get(site.url + path)
        assert overflow(browser) <= 0, path
    assert complaints(browser) == []


def test_a_held_record_is_looked_at_for_a_reason_and_released(site: Site, browser: Any) -> None:
    browser.get(f"{site.url}/quarantine")
    follow(browser, "table.list th a")
    assert "mend" in browser.find_element("css selector", ".mend-box").text.lower()
    case = texts(browser, "form.cases th a")[0]
    follow(browser, "form.cases th a")
    assert texts(browser, ".findings li")
    assert not browser.find_elements("css selector", "table.record")
    browser.find_element("css selector", ".deciding-line input[name=reason]").send_keys("call from the ward")
    follow(browser, ".deciding-line button")
    assert len(browser.find_elements("css selector", "table.record tr")) > 5
    follow(browser, "button[formaction='/quarantine/release']")
    soon(lambda: browser.find_elements("css selector", "section[data-live=release] .calm"))  # it renews itself
    acts = [one for one in site.ask("qc", "log", "-n", "40", "--json") if one["event"] == "act"]
    told = {one["act"]: one for one in acts}
    assert told["quarantine_show"]["reason"] == "call from the ward"
    assert told["quarantine_show"]["what"] == {"case": case}
    assert told["quarantine_release"]["by"] == "console"


def test_nothing_is_discarded_without_a_word_or_a_tick(site: Site, browser: Any) -> None:
    browser.get(f"{site.url}/quarantine")
    follow(browser, "table.list th a")
    held = site.ask("status", "--json")["quarantine"]["open"]
    follow(browser, "button.danger")
    assert "Nothing is ticked" in texts(browser, "[role=alert]")[0]
    browser.back()
    browser.find_element("css selector", "input[name=case]").click()
    follow(browser, "button.danger")
    assert "Say why" in texts(browser, "[role=alert]")[0]
    browser.back()
    box = browser.find_element("css selector", "input[name=case]")
    if not box.is_selected():
        box.click()
    browser.find_element("css selector", "fieldset input[name=reason]").send_keys("a test record")
    follow(browser, "button.danger")
    assert site.ask("status", "--json")["quarantine"]["open"] == held - 1


def test_a_local_code_is_approved_and_what_waited_for_it_is_read_again(site: Site, browser: Any) -> None:
    browser.get(f"{site.url}/terms")
    mine = next(i for i, one in enumerate(texts(browser, "table.list tbody tr")) if "svg" not in one and "%" in one)
    browser.find_elements("css selector", "table.list th a")[mine].click()
    soon(lambda: browser.find_elements("css selector", "input[name=proposed]"))
    code = texts(browser, "h1")[0].split()[0]
    browser.find_element("css selector", "fieldset input[name=reason]").send_keys("as the department says")
    follow(browser, "button[value=approve]")  # nothing is chosen yet
    assert "Choose or type" in texts(browser, "[role=alert]")[0]
    browser.find_element("css selector", "input[name=proposed]").click()
    follow(browser, "button[value=approve]")
    if texts(browser, "[role=alert]"):  # a doubt is told before it is taken
        browser.find_element("css selector", "input[name=proposed]").click()
        browser.find_element("css selector", "input[name=even_so]").click()
        follow(browser, "button[value=approve]")
    assert "Approved" in texts(browser, "[role=status]:not([hidden])")[0]
    assert code not in [one.split()[0] for one in texts(browser, "table.list th a")]


def test_what_would_like_to_be_markup_is_text(site: Site, browser: Any) -> None:
    soon(lambda: any(one["code"] == HOSTILE for one in site.ask("terms", "unmapped", "--json")), 90)
    browser.get(f"{site.url}/terms")
    assert any(HOSTILE in one for one in texts(browser, "table.list th"))
    next(one for one in browser.find_elements("css selector", "table.list th a") if HOSTILE in one.text).click()
    soon(lambda: HOSTILE in texts(browser, "h1")[0])
    held = site.ask("quarantine", "list", "--all", "--json")
    case = next(
        one["id"]
        for one in held
        if any(HOSTILE in str(f.get("arguments", f)) or "brly" in f.get("column", "") for f in one["findings"])
    )
    browser.get(f"{site.url}/quarantine/case/{case}")
    browser.find_element("css selector", ".deciding-line input[name=reason]").send_keys(HOSTILE)
    follow(browser, ".deciding-line button")
    browser.get(f"{site.url}/log?event=act")
    assert any(HOSTILE in one for one in texts(browser, "td.details"))
    for path in (*PAGES, f"/?said={HOSTILE}", f"/quarantine?actor={HOSTILE}&feed=lab_report", f"/log?event={HOSTILE}"):
        browser.get(site.url + path)
        assert browser.execute_script("return document.querySelectorAll('svg, img[src=x], main script').length") == 0
    assert not [one for one in complaints(browser) if "Content Security" in one]


def test_the_page_renews_itself_and_says_when_it_cannot(site: Site, browser: Any) -> None:
    browser.get(f"{site.url}/")
    site.ask("source", "pause", "his", "--for", "5m", "--reason", "night shift", "--who", "wang")
    try:
        soon(lambda: any("night shift" in one for one in texts(browser, "ul.lines li")), 20)
    finally:
        site.ask("source", "resume", "his", "--who", "wang")
    soon(lambda: not any("night shift" in one for one in texts(browser, "ul.lines li")), 20)
    before = site.console_pid()

    def lost_when_killed() -> bool:
        """The daemon may start it again before the page has asked: killed until the page has noticed."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(site.console_pid(), signal.SIGKILL)
        return bool(browser.find_element("css selector", "#lost").is_displayed())

    soon(lost_when_killed, 20)
    soon(lambda: site.console_pid() != before, 30)  # the daemon starts it again; who was logged in still is
    soon(lambda: not browser.find_element("css selector", "#lost").is_displayed(), 20)
    assert site.process is not None
    assert site.process.poll() is None


def test_it_is_used_without_a_mouse(site: Site, browser: Any) -> None:
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    browser.get(f"{site.url}/")

    def focused() -> Any:
        return browser.switch_to.active_element

    browser.find_element("tag name", "body").send_keys(keys.TAB)
    assert focused().get_attribute("class") == "skip"
    focused().send_keys(keys.ENTER)
    assert browser.current_url.endswith("#main")
    browser.get(f"{site.url}/quarantine")
    for _ in range(40):
        focused().send_keys(keys.TAB)
        if "/quarantine/group/" in (focused().get_attribute("href") or ""):
            break
    wanted = focused().get_attribute("href")
    assert "/quarantine/group/" in wanted
    assert browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    focused().send_keys(keys.ENTER)
    soon(lambda: browser.current_url == wanted)


def test_a_report_is_taken_away_and_the_log_is_verified(site: Site, browser: Any) -> None:
    browser.get(f"{site.url}/log")
    follow(browser, "form[action='/log/verify'] button")
    assert "The chain is whole" in browser.find_element("css selector", ".notice").text
    browser.get(f"{site.url}/reports?first=2026-03-01&last=2026-03-31")
    assert len(browser.find_elements("css selector", "table.list tbody tr")) > 3
    size = browser.execute_async_script(
        "const done = arguments[0]; fetch('/reports/file?first=2026-03-01&last=2026-03-31&form=xlsx')"
        ".then((a) => a.arrayBuffer()).then((b) => done([b.byteLength, new TextDecoder().decode(b.slice(0, 2))]))"
    )
    assert size[0] > 5000
    assert size[1] == "PK"
