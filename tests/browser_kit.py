"""A real Chromium for tests, without a network of its own, that tells what it asked for and what it complained of."""

import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-default-apps", "--window-size=1280,1000",
)  # fmt: skip


def chromium(folder: Path, *more: str, logs: tuple[str, ...] = ("browser",), languages: str = "") -> Any:
    """A driver; its caller quits it. Skips the test where there is no Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, *more, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    if languages:
        options.add_experimental_option("prefs", {"intl.accept_languages": languages})
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def follow(browser: Any, selector: str, seconds: float = 20) -> None:
    """Click, and wait until the next page is there.

    The old page is known to be gone when the driver no longer knows its root. While it goes, chromedriver may also say
    that the node "does not belong to the document": the same fact, as an error of another name.
    """
    errors = pytest.importorskip("selenium.common.exceptions")
    before = browser.find_element("tag name", "html")
    browser.find_element("css selector", selector).click()

    def left(_: Any) -> bool:
        try:
            before.is_enabled()
        except errors.StaleElementReferenceException:
            return True
        except errors.WebDriverException as error:
            if "does not belong to the document" not in str(error):
                raise
            return True
        return False

    pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait(browser, seconds).until(left)


def texts(browser: Any, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements("css selector", selector)]
