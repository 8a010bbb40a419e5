"""What the platform's page of a document says of its signature, in a real Chromium: in both languages, on a phone, with hostile names.

Screenshots go to the folder named by FRONTEND_AGENT_SCREENSHOTS, for a person to look at.
"""

import os
from pathlib import Path

import pytest

from frontend_agent.formats import load_kind
from frontend_agent.platform.signatures import Signatures
from frontend_agent.platform.store import Store
from frontend_agent.signatures import signed
from frontend_agent.wire.frames import decompressor
from tests.browser_kit import chromium, texts
from tests.platform_kit import HOSTILE, FileMemory, destination, document, running, wrapped
from tests.signing_kit import NOW, authority, ec_key, holder

By = pytest.importorskip("selenium.webdriver.common.by").By
pytestmark = pytest.mark.browser

ROOT = authority()
DOCTOR = holder("李医生", ec_key(1), ROOT)
STRANGER = holder(HOSTILE[:60], ec_key(2), organization=HOSTILE[:60])


def sealed(number, by, old=b"", new=b""):
    one = document(number)
    dictionary = load_kind(one.kind).dictionary
    content = signed(decompressor(dictionary).decompress(one.frame), by.signs(), NOW).replace(old, new) if by else None
    if content is None:
        return one
    return wrapped(content, one.document_id, one.set_id, one.version, one.kind, one.institution, dictionary=dictionary)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signatures")
    (folder / "root.pem").write_bytes(ROOT.pem)
    (folder / "s.toml").write_text('policy = "recorded"\nanchors = ["root.pem"]\n')
    documents = {
        "valid": sealed(1, DOCTOR),
        "invalid": sealed(2, DOCTOR, "张".encode(), "李".encode()),
        "unsigned": sealed(3, None),
        "hostile": sealed(4, STRANGER),
    }
    store = Store(folder / "platform", clock=lambda: NOW, signatures=Signatures(folder / "s.toml")).open()
    chrome = chromium(tmp_path_factory.mktemp("chromium"), "--lang=zh-CN", languages="zh-CN,zh")
    with running(store) as url:
        destination(url, FileMemory(folder / "agent.json")).send(list(documents.values()))

        def show(name, lang="zh", width=1280):
            chrome.set_window_size(width, 1000)
            chrome.get(f"{url}/documents/{documents[name].document_id}?lang={lang}")
            found = chrome.find_element(By.CSS_SELECTOR, "[data-signature]")
            chrome.execute_script("arguments[0].scrollIntoView()", found)
            if shots := os.environ.get("FRONTEND_AGENT_SCREENSHOTS"):
                chrome.save_screenshot(str(Path(shots) / f"signature-{name}-{lang}-{width}.png"))
            return chrome, found

        yield show
    chrome.quit()
    store.close()


@pytest.mark.parametrize(
    ("name", "lang", "said"),
    [
        ("valid", "zh", "签名有效"),
        ("valid", "en", "Valid"),
        ("invalid", "zh", "签名无效"),
        ("invalid", "en", "Not valid"),
        ("unsigned", "zh", "未签名"),
    ],
)
def test_the_page_says_what_the_signature_is_worth(shown, name, lang, said):
    browser, found = shown(name, lang)
    assert found.is_displayed()
    assert found.text.startswith(said)
    assert found.get_attribute("data-signature") == name
    if name == "valid":
        assert any("李医生" in text for text in texts(browser, "dl.facts dd"))
    if name == "invalid":
        told = {"zh": "文书在签名后被改动", "en": "the document was changed after it was signed"}[lang]
        assert told in texts(browser, "section.beside li")
        assert browser.find_element(By.CSS_SELECTOR, "main > .notice.void a[href='#signature']")  # above the report


@pytest.mark.parametrize("name", ["valid", "hostile"])
def test_names_in_certificates_are_text_and_the_page_fits_a_phone(shown, name):
    browser, found = shown(name, width=500)
    assert found.is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    if name == "hostile":
        assert any(HOSTILE[:60] in text for text in texts(browser, "dl.facts dd"))
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
