"""Studies in a real Chromium: the pages without a script, the way from report to images and back, and the viewer showing pixels.

Screenshots go to the folder named by FRONTEND_AGENT_SCREENSHOTS, for a person to look at.
"""

import base64
import contextlib
import io
import json
import os
import time
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("gdcm", reason="the extra `viewer` is not installed")
By = pytest.importorskip("selenium.webdriver.common.by").By
exceptions = pytest.importorskip("selenium.common.exceptions")
NoSuchElementException, StaleElementReferenceException = (
    exceptions.NoSuchElementException, exceptions.StaleElementReferenceException,
)  # fmt: skip
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait

from frontend_agent.platform.store import Store  # noqa: E402
from frontend_agent.platform.viewer import Viewer  # noqa: E402
from tests import viewer_kit  # noqa: E402
from tests.browser_kit import chromium, follow, texts  # noqa: E402
from tests.dicom_kit import uid  # noqa: E402
from tests.platform_kit import HOSPITAL, HOSTILE, FileMemory, destination, running  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    flags = ("--enable-unsafe-swiftshader", "--lang=zh-CN")
    chrome = chromium(
        tmp_path_factory.mktemp("chromium"), *flags, logs=("browser", "performance"), languages="zh-CN,zh"
    )
    chrome.set_page_load_timeout(120)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def studies():
    return {}


@pytest.fixture(scope="module")
def platform(studies, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("platform") / "platform").open()
    studies.update(viewer_kit.fill(store))
    with running(store) as url:
        memory = FileMemory(tmp_path_factory.mktemp("agent") / "agent.json")
        destination(url, memory).send([viewer_kit.report()])
        yield url
    store.close()


@pytest.fixture
def show(browser, platform, request):
    """Open a page; in the end nothing was blocked by a content policy, and nothing was asked of anybody else."""
    browser.get_log("browser"), browser.get_log("performance")

    def opened(path):
        browser.get(platform + path)
        keep(browser, request.node.name)
        return browser

    yield opened
    keep(browser, request.node.name)
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    assert elsewhere(browser, platform) == []


def keep(browser, name: str) -> None:
    if folder := os.environ.get("FRONTEND_AGENT_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / f"{name.replace('/', '-')}.png"))


def elsewhere(browser, platform: str) -> list[str]:
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith((platform, "chrome:", "data:", "blob:"))]


def pictures_are_there(browser) -> int:
    """Every picture of the page was loaded and decoded."""
    script = (
        "return [...document.images].map(one => { one.loading = 'eager'; return one.complete && one.naturalWidth; })"
    )
    WebDriverWait(browser, 60).until(lambda chrome: all(chrome.execute_script(script)))
    return len(browser.execute_script(script))


def shot(browser, selector: str):
    """An element as it is seen: rows x columns of grey."""
    element = browser.find_element(By.CSS_SELECTOR, selector)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(element.screenshot_as_base64))).convert("L"))


def test_a_doctor_comes_from_the_list_to_an_image(show) -> None:
    browser = show("/studies")
    assert texts(browser, "h1") == ["影像检查"]
    browser.find_element(By.NAME, "patient").send_keys("张小满")
    follow(browser, "form button")
    assert "胸部CT平扫" in texts(browser, "tbody a")
    browser.get(browser.find_element(By.LINK_TEXT, "胸部CT平扫").get_attribute("href"))
    assert texts(browser, ".banner .name") == ["张小满"]
    assert texts(browser, ".key-note h3") == ["供申请医师参阅"]
    assert pictures_are_there(browser) >= 6
    follow(browser, ".series a")
    assert pictures_are_there(browser) > viewer_kit.SLICES
    follow(browser, ".pictures.all a")
    pictures_are_there(browser)
    assert "第 1 / 24 幅" in texts(browser, "figcaption")[0]
    soft = shot(browser, "#picture")
    follow(browser, "a[rel=next]")
    assert "第 2 / 24 幅" in texts(browser, "figcaption")[0]
    browser.find_element(By.LINK_TEXT, "肺窗").click()
    WebDriverWait(browser, 20).until(lambda chrome: "-600,1500" in texts(chrome, "figcaption")[0])
    pictures_are_there(browser)
    lungs = shot(browser, "#picture")
    assert abs(int(np.median(soft[soft > 60])) - 128) < 8  # 40 HU in its own window
    assert soft.min() == 0
    assert 40 < lungs.min() < 80  # air in the lung window is not black


def test_report_and_study_lead_to_each_other(show) -> None:
    browser = show(f"/studies/{uid(1)}")
    follow(browser, ".reports a")
    assert texts(browser, "article h1") == ["检查报告"]
    assert "本报告的影像" in texts(browser, ".images h2")
    follow(browser, ".study-line a")
    assert texts(browser, "article h1") == ["胸部CT平扫"]


def test_the_pages_speak_english_and_fit_a_narrow_window(show, browser) -> None:
    browser.set_window_size(420, 900)
    try:
        for path in ("/studies", f"/studies/{uid(1)}", f"/studies/{uid(1)}/series/{uid(1, 1)}", f"/studies/{uid(1)}/images/{uid(1, 1, 1)}"):  # fmt: skip
            show(path + "?lang=en")
            assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
            pictures_are_there(browser)
            width = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert width <= 0, path
    finally:
        browser.set_window_size(1280, 1000)


def test_a_person_asks_for_pixels(show) -> None:
    browser = show(f"/studies/{uid(8)}")
    follow(browser, ".want button")
    assert "已于" in texts(browser, ".want")[0]


def test_hostile_names_do_nothing(show) -> None:
    for path in ("/studies", f"/studies/{uid(7)}", f"/studies/{uid(7)}/series/{uid(7, 1)}", f"/studies/{uid(7)}/images/{uid(7, 1, 1)}"):  # fmt: skip
        browser = show(path)
        assert browser.find_elements(By.CSS_SELECTOR, "svg, script, iframe") == []
        assert browser.execute_script("return typeof window.alerted") == "undefined"
    assert HOSTILE[:20] in browser.find_element(By.TAG_NAME, "body").text


# --- the viewer -------------------------------------------------------------------------------------------------------


@pytest.fixture
def viewer(show, browser):
    """Open a study in the viewer, and wait until it has drawn. Gives the pixels that are seen."""
    if not Viewer().is_built:
        pytest.skip("the image viewer is not built in (python tools/viewer.py)")

    def opened(path: str):
        show(path)
        until = time.monotonic() + 90
        while time.monotonic() < until:
            with contextlib.suppress(
                NoSuchElementException, StaleElementReferenceException
            ):  # it is drawn anew just now
                grey = shot(browser, ".viewport-element, .cornerstone-canvas")
                middle = grey[grey.shape[0] // 4 : -grey.shape[0] // 4, grey.shape[1] // 4 : -grey.shape[1] // 4]
                if middle.std() > 10:
                    return middle
            time.sleep(1)
        raise AssertionError("the viewer drew nothing in 90 s")

    return opened


def test_the_viewer_opens_from_the_study_and_shows_its_pixels(viewer, show, browser) -> None:
    show(f"/studies/{uid(1)}?lang=zh")
    address = browser.find_element(By.ID, "viewer").get_attribute("href")
    seen = viewer("/" + address.split("/", 3)[3])
    grey = np.bincount(seen.ravel(), minlength=256)
    assert grey[120:136].sum() > 0.3 * seen.size  # the body: 40 HU in the middle of its window
    assert grey[250:].sum() > 0.005 * seen.size  # the spine
    assert grey[:5].sum() > 0.05 * seen.size  # the lungs
    words = browser.find_element(By.TAG_NAME, "body").text
    assert "返回检查" in words
    assert "胸部CT平扫" in words
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    data = [one for one in asked if "/dicom-web/" in one]
    assert data  # all of it of the hospital whose study it is: another's that claims its UID is not mixed in
    assert all(f"/v1/institutions/{HOSPITAL}/dicom-web/" in one for one in data)
    follow(browser, "#back")
    assert texts(browser, "article h1") == ["胸部CT平扫"]


def test_the_viewer_shows_a_real_ct_in_english(viewer, studies, browser) -> None:
    if "real" not in studies:
        pytest.skip("no third-party data (set FRONTEND_AGENT_SHARED)")
    seen = viewer(f"/viewer/viewer?StudyInstanceUIDs={studies['real']}&lng=en-US")
    assert len(np.unique(seen)) > 60  # tissue, not a phantom
    words = browser.find_element(By.TAG_NAME, "body").text
    assert "Back to the study" in words
    assert "Studies" in words


def test_hostile_names_do_nothing_in_the_viewer(viewer, browser) -> None:
    viewer(f"/viewer/viewer?StudyInstanceUIDs={uid(7)}&lng=zh")
    assert browser.execute_script("return document.querySelectorAll('[onload]').length") == 0
    assert "onload=alert(1)" in browser.find_element(By.TAG_NAME, "body").text
