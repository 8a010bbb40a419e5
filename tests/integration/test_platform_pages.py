"""The pages as a program sees them: search, versions, hostile names, headers, the description that must be true."""

import html
import json
import re
from html.parser import HTMLParser

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from frontend_agent.platform import pages as pages_module
from frontend_agent.platform.store import Store
from frontend_agent.wire.receipts import public_key_of, read_proof
from tests.platform_kit import (
    HOSPITAL,
    HOSTILE,
    FileMemory,
    destination,
    document,
    lab_record,
    prescription_record,
    running,
    visit_record,
    wrapped,
)

OTHER = "98765432-1"


def sent_documents():
    hostile = {
        "patient__name": HOSTILE,
        "author__name": HOSTILE,
        "report_result": HOSTILE,
        "institution__name": HOSTILE,
    }
    return {
        "zhang": document(1),
        "zhang again": document(1, version=2, report_result="复核后更正。"),
        "li": document(2, patient__name="李建国", patient__id_number="990000199001011234"),
        "void": document(3, patient__name="王芳", void=True),
        "visit": document(4, kind="C0002", record=visit_record(4)),
        "prescription": document(5, kind="C0004", record=prescription_record(5)),
        "elsewhere": document(
            6, institution=OTHER, record=lab_record(6, OTHER, institution__name="邻县中医院", patient__name="陈静")
        ),
        "hostile": document(7, institution="H<b>'\"&", record=lab_record(7, "H<b>'\"&", **hostile)),
        "unknown kind": wrapped(
            document(8).frame and _as_kind(8, "C0099"), _id(8, "C0099"), _id(8, "C0099")[:-2], 1, "C0099", HOSPITAL
        ),
    }


def _id(number, kind):
    return document(number).document_id.replace("C0007", kind)


def _as_kind(number, kind):
    """A document of a kind that this platform has no declaration of."""
    from frontend_agent.formats import load_kind
    from frontend_agent.wire.frames import decompressor, open_frame

    one = document(number)
    content = open_frame(one.frame, one.size, decompressor(load_kind("C0007").dictionary))
    return content.replace(b"C0007", kind.encode())


@pytest.fixture(scope="module")
def documents():
    return sent_documents()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("pages") / "platform").open()
    yield store
    store.close()


@pytest.fixture(scope="module")
def platform(store, documents, tmp_path_factory):
    with running(store) as url:
        agent = destination(url, FileMemory(tmp_path_factory.mktemp("agent") / "agent.json"))
        receipts = agent.send(list(documents.values()))
        assert {receipt.outcome for receipt in receipts} == {"stored"}
        yield url


def get(url, path, prefers="zh-CN", **query):
    return requests.get(url + path, params=query, headers={"Accept-Language": prefers}, timeout=10)


def listed(url, **query):
    return set(re.findall(r'href="/documents/([^"?/]+)', get(url, "/", **query).text))


def ids(documents, *names):
    return {documents[name].document_id for name in names}


# --- finding ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_the_newest_versions(platform, documents):
    assert listed(platform) == {one.document_id for name, one in documents.items() if name != "zhang"}
    assert documents["zhang"].document_id in listed(platform, all_versions="1")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"patient": "李"}, ["li"]),
        ({"patient": "李建国"}, ["li"]),
        ({"patient": "建国"}, []),
        ({"patient": "990000199001011234"}, ["li"]),
        ({"patient": "99000019850614001x"}, ["zhang again"]),
        ({"patient": "M0000002"}, ["li"]),
        ({"patient": " 李建国 "}, ["li"]),
        ({"patient": "%"}, []),
        ({"patient": "' OR 1=1 --"}, []),
        ({"institution": OTHER}, ["elsewhere"]),
        ({"kind": "C0004"}, ["prescription"]),
        ({"kind": "C0002", "institution": HOSPITAL}, ["visit"]),
        ({"kind": "C0002", "institution": OTHER}, []),
        ({"first_day": "2026-09-30", "last_day": "2026-09-30", "kind": "C0004"}, ["prescription"]),
        ({"first_day": "2026-10-01"}, []),
        ({"last_day": "2026-09-29"}, []),
        ({"patient": HOSTILE}, ["hostile"]),
    ],
)
def test_documents_are_found(platform, documents, query, names):
    assert listed(platform, **query) == ids(documents, *names)


def test_a_date_that_is_none_is_said_and_not_used(platform, documents):
    answer = get(platform, "/", first_day="gestern", kind="C0004")
    assert "日期请写成" in answer.text
    assert documents["prescription"].document_id in answer.text


@pytest.mark.parametrize("page", ["0", "-1", "999999", "1e9", "x", "", "٣"])
def test_a_page_number_that_is_none_is_no_accident(platform, page):
    assert get(platform, "/", page=page).status_code == 200


def test_long_lists_are_paged(tmp_path, monkeypatch):
    monkeypatch.setattr(pages_module, "PAGE", 3)
    monkeypatch.setattr(Store.documents, "__defaults__", (1, 3))
    store = Store(tmp_path / "p").open()
    with running(store) as url:
        sent = [document(n) for n in range(8)]
        destination(url, FileMemory(tmp_path / "a.json")).send(sent)
        seen = [listed(url, page=str(page), patient="张") for page in (1, 2, 3)]
        assert [len(page) for page in seen] == [3, 3, 2]
        assert set().union(*seen) == {one.document_id for one in sent}
        second = get(url, "/", page="2", patient="张").text
        assert 'rel="prev"' in second
        assert 'rel="next"' in second
        assert "patient=%E5%BC%A0" in second  # the question goes with the page
        assert "共 8 份文书" in second
    store.close()


# --- reading ----------------------------------------------------------------------------------------------------------


def page_of(platform, one, **query):
    return html.unescape(get(platform, f"/documents/{one.document_id}", **query).text)


def test_a_laboratory_report_is_readable(platform, documents):
    text = page_of(platform, documents["zhang again"])
    for expected in (
        "检验报告",
        "张小满",
        "女性",
        "12.6 ↑",
        "偏高",
        "98 ↓",
        "偏低",
        "阳性(+)",
        "王秀兰",
        "审核医师",
        "复核后更正。",
    ):
        assert expected in text
    assert documents["zhang again"].sha256 in text


def test_visit_and_prescription_are_readable(platform, documents):
    visit, prescription = page_of(platform, documents["visit"]), page_of(platform, documents["prescription"])
    for expected in ("主诉", "发热、咳嗽3天", "青霉素过敏", "急性上呼吸道感染", "赵明远"):
        assert expected in visit
    for expected in ("西药处方", "左氧氟沙星片", "0.5 g", "86.40", "孙丽"):
        assert expected in prescription


def test_an_earlier_version_says_so_and_links_to_the_newer(platform, documents):
    text = page_of(platform, documents["zhang"])
    assert "本版本已被新版本替代,请以第 2 版为准" in text
    assert f'href="/documents/{documents["zhang again"].document_id}"' in text
    assert "已被替代" not in page_of(platform, documents["li"])


def test_a_void_document_says_so(platform, documents):
    assert "本文书已由医院作废" in page_of(platform, documents["void"])
    assert 'class="tag void"' in get(platform, "/", patient="王芳").text


def test_a_kind_that_is_not_known_is_shown_by_its_narrative(platform, documents):
    text = page_of(platform, documents["unknown kind"])
    assert "由其他系统生成" in text
    assert "白细胞计数" in text
    assert get(platform, f"/documents/{documents['unknown kind'].document_id}/xml").status_code == 200


def test_both_languages(platform, documents):
    assert "Laboratory test report" in page_of(platform, documents["li"], lang="en")
    assert "医疗机构" in get(platform, "/", prefers="zh-CN,zh;q=0.9,en;q=0.8").text
    assert "Hospitals" in get(platform, "/", prefers="en-GB,en;q=0.9").text
    assert "医疗机构" in requests.get(platform, timeout=5).text  # a browser that says nothing
    chosen = requests.get(f"{platform}/?lang=en", headers={"Accept-Language": "zh"}, timeout=5).text
    assert "Hospitals" in chosen
    assert 'href="/hospitals?lang=en"' in chosen


def test_every_word_is_there_in_both_languages():
    zh, en = pages_module._TEXTS["zh"], pages_module._TEXTS["en"]
    assert zh.keys() == en.keys()
    for key in zh:
        assert re.findall(r"{\w+}", zh[key]) == re.findall(r"{\w+}", en[key]), key
    used = set()
    for path in pages_module._FILES.joinpath("templates").iterdir():
        used |= set(re.findall(r"\bt\('(\w+)'", path.read_text("utf-8")))
    assert {
        word for word in used if not word.endswith("_")
    } <= zh.keys()  # the rest of a word in two parts is a state's


def test_the_hospitals_page_counts(platform):
    text = get(platform, "/hospitals").text
    assert "邻县中医院" in text
    assert "示范县人民医院" in text
    assert "刚刚" in text


def test_the_receipt_can_be_downloaded_and_proven(platform, documents):
    one = documents["li"]
    key = public_key_of(get(platform, "/v1/key").content)
    answer = get(platform, f"/documents/{one.document_id}/receipt")
    statement, leaf = read_proof(answer.content, key)
    assert (leaf.document_id, leaf.sha256, leaf.outcome) == (one.document_id, one.sha256, "stored")
    assert statement.institution == HOSPITAL
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "path", ["/documents/nix", "/documents/nix/xml", "/documents/nix/receipt", "/documents/%3Csvg%3E", "/nix"]
)
def test_what_is_not_there_is_a_404(platform, path):
    answer = get(platform, path)
    assert answer.status_code == 404
    assert "<svg>" not in answer.text


# --- hostile names, headers -------------------------------------------------------------------------------------------


def every_page(platform, documents):
    one = documents["hostile"].document_id
    yield from (
        ("/", {}),
        ("/", {"patient": HOSTILE, "institution": HOSTILE, "kind": HOSTILE, "first_day": HOSTILE, "page": HOSTILE}),
    )
    yield from (
        ("/hospitals", {}),
        (f"/documents/{one}", {}),
        (f"/documents/{one}", {"lang": HOSTILE}),
        ("/", {"lang": HOSTILE}),
    )
    yield from ((f"/documents/{HOSTILE}", {}), ("/", {"patient": HOSTILE, "all_versions": HOSTILE}))


class Found(HTMLParser):
    """Every element and attribute of a page, as a browser takes them, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.text += [value for name, value in attributes if name == "value" and value]

    def handle_data(self, data):
        self.text.append(data)


def test_hostile_names_are_text_on_every_page(platform, documents):
    seen = 0
    for path, query in every_page(platform, documents):
        for lang in ("zh", "en"):
            found = Found(get(platform, path, prefers=lang, **query).text)
            assert not found.tags & {"svg", "script", "iframe", "style", "object"}
            assert not {name for name in found.attributes if name.startswith("on") or name == "style"}
            seen += any(HOSTILE in text for text in found.text)
    assert seen == 14  # all but the page that says that there is nothing


def test_every_answer_carries_the_guard_headers(platform, documents):
    one = documents["li"].document_id
    paths = ["/", "/hospitals", f"/documents/{one}", f"/documents/{one}/xml", f"/documents/{one}/receipt", "/nix", "/api",
             "/healthz", "/metrics", "/static/style.css", "/v1/receipts"]  # fmt: skip
    for path in paths:
        headers = get(platform, path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("public, max-age=86400" if "static" in path else "no-store")
        assert "server" not in headers


def test_pages_hold_no_script_and_no_inline_style(platform, documents):
    for path, query in every_page(platform, documents):
        text = get(platform, path, **query).text
        assert not re.search(r"<script|<style|\sstyle=|javascript:", text, re.IGNORECASE)


def test_another_host_name_is_refused(store):
    with running(store, {"127.0.0.1", "localhost", "[::1]"}) as url:
        for good in ("127.0.0.1:8480", "localhost", "[::1]:8480", "[::1]"):
            assert requests.get(f"{url}/healthz", headers={"Host": good}, timeout=5).status_code == 200
        for bad in ("evil.example", "127.0.0.1.evil.example:80"):
            assert requests.get(url, headers={"Host": bad}, timeout=5).status_code == 421


# --- for programs -----------------------------------------------------------------------------------------------------


def test_the_description_is_true(platform):
    described = get(platform, "/api").json()
    assert described["openapi"].startswith("3.1")
    answered = 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            url = platform + re.sub(r"{\w+}", "nix", path)
            answer = requests.request(method, url, timeout=5)
            assert str(answer.status_code) in operation["responses"], (method, path, answer.status_code)
            answered += 1
        others = {"get", "post", "put", "delete"} - methods.keys()
        for method in others:
            assert requests.request(method, platform + re.sub(r"{\w+}", "nix", path), timeout=5).status_code == 405
    assert answered == len([1 for methods in described["paths"].values() for _ in methods]) >= 15
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert references == set(described["components"]["schemas"]) & references


def test_health_and_metrics_hold_no_patient(platform, documents):
    assert get(platform, "/healthz").json() == {"status": "ok", "documents": len(documents)}
    text = get(platform, "/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    stored = {s.labels["outcome"]: s.value for s in families["platform_documents"].samples if s.name.endswith("_total")}
    assert stored["stored"] == len(documents)
    assert families["platform_stored_documents"].samples
    for secret in ("张小满", "李建国", "990000199001011234", "M0000002"):
        assert secret not in text


def test_an_unexpected_failure_is_a_500_without_its_text(store, caplog, monkeypatch):
    def broken(*_):
        raise RuntimeError("patient 张小满")

    monkeypatch.setattr(store, "institutions", broken)
    with running(store) as url:
        answer = get(url, "/")
    assert answer.status_code == 500
    assert "张小满" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
