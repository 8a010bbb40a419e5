"""The pages of studies and the previews, as a program sees them."""

import io
import re
from html import unescape

import pytest
import requests

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("gdcm", reason="the extra `viewer` is not installed")

from frontend_agent.platform.rendering.renderer import Renderer  # noqa: E402
from frontend_agent.platform.store import Store  # noqa: E402
from tests import viewer_kit  # noqa: E402
from tests.dicom_kit import uid  # noqa: E402
from tests.images_kit import parts  # noqa: E402
from tests.platform_kit import HOSPITAL, HOSTILE, FileMemory, destination, document, running  # noqa: E402

OTHER = "98765432-1"
OWN = f"/v1/institutions/{HOSPITAL}/dicom-web"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = Store(tmp_path_factory.mktemp("platform") / "platform").open()
    viewer_kit.fill(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def referral():
    record = {
        "institution.id": HOSPITAL, "institution.name": "示范县人民医院", "patient.name": "张小满", "patient.id_number": "990000198506140011",
        "patient.outpatient_number": "M0000001", "author.time": "20260930112000", "author.id": "D1", "author.name": "李卫东",
    }  # fmt: skip
    return document(50, kind="HSDC00.05", record=record)


@pytest.fixture(scope="module")
def platform(store, referral, tmp_path_factory):
    with running(store) as url:
        memory = FileMemory(tmp_path_factory.mktemp("agent") / "agent.json")
        destination(url, memory).send([viewer_kit.report(), viewer_kit.report(40), referral])
        yield url


@pytest.fixture
def page(platform):
    def got(path: str, status: int = 200) -> str:
        response = requests.get(platform + path, timeout=60)
        assert response.status_code == status, response.text[:300]
        assert "script" not in response.headers["content-security-policy"]
        return response.text

    return got


def links(text: str, pattern: str) -> list[str]:
    return [unescape(one) for one in re.findall(rf'(?:href|src)="({pattern}[^"]*)"', text)]


def picture(response: requests.Response):
    assert response.status_code == 200, response.text[:200]
    return np.asarray(Image.open(io.BytesIO(response.content)))


# --- pages ------------------------------------------------------------------------------------------------------------


def test_a_study_is_found_by_patient_accession_modality_and_day(page) -> None:
    def found(query: str) -> set[str]:
        return {
            re.sub(r"\?.*", "", one).rpartition("/")[2] for one in links(page(f"/studies?lang=zh&{query}"), "/studies/")
        }

    assert uid(1) in found("patient=张小满")
    assert uid(1) in found("patient=Zhang")
    assert found("patient=A00000001") == {uid(1)}
    assert found("modality=KO") == {uid(1)}
    assert found("modality=MR") == {uid(8)}
    assert found("first_day=2026-09-30&last_day=2026-09-30") == {uid(1), uid(7)}
    assert found("patient=nobody") == set()
    assert "没有符合条件的检查" in page("/studies?lang=zh&patient=nobody")
    assert "日期请写成" in page("/studies?lang=zh&first_day=yesterday")


def test_a_study_and_its_report_lead_to_each_other(page) -> None:
    study = page(f"/studies/{uid(1)}?lang=zh")
    (report,) = links(study, "/documents/")
    document_page = page(report)
    assert "本报告的影像" in document_page
    back = [one for one in links(document_page, "/studies/") if uid(1) in one]
    assert back
    assert "胸部CT平扫" in page(back[0])
    assert "没有找到这次检查的报告" in page(f"/studies/{uid(7)}?lang=zh")


def test_the_report_that_the_agent_names_is_the_studys(store, page, platform, tmp_path) -> None:
    from frontend_agent.wire.images import StudyIndex

    named = viewer_kit.report(40)
    store.images.put_index(
        StudyIndex(
            institution=HOSPITAL, study_instance_uid=uid(40), report_set_id=named.set_id, accession_number="OTHER"
        )
    )
    assert named.document_id in page(f"/studies/{uid(40)}")
    assert uid(40) in page(f"/documents/{named.document_id}")


def test_key_images_stand_on_the_study_and_beside_a_referral(page, referral) -> None:
    for text in (page(f"/studies/{uid(1)}?lang=zh"), page(f"/documents/{referral.document_id}?lang=zh")):
        assert "关键图像" in text
        assert "供申请医师参阅" in text
        assert "右肺下叶结节,请结合临床" in text
        assert "另有 1 幅不在平台" in text
        shown = [one for one in links(text, "/studies/") if "/images/" in one]
        assert [re.search(r"images/([\d.]+)", one).group(1) for one in shown] == [uid(1, 1, 6), uid(1, 1, 12)]


def test_every_page_is_reached_by_its_links_in_both_languages(page, platform) -> None:
    for lang in ("zh", "en"):
        seen, waiting = set(), [f"/studies?lang={lang}"]
        while waiting and len(seen) < 40:
            path = waiting.pop(0)
            if path in seen:
                continue
            seen.add(path)
            text = page(path)
            assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}"' in text
            waiting += [one for one in links(text, "/studies") if f"lang={lang}" in one and "/wanted" not in one]
        assert len(seen) >= 40


def test_one_image_is_followed_by_the_next_frame_and_keeps_its_window(page) -> None:
    text = page(f"/studies/{uid(1)}/images/{uid(1, 2, 1)}?frame=3&window=100,50&lang=zh")
    assert "第 3 / 8 帧" in text
    (following,) = re.findall(r'rel="next"[^>]*href="([^"]+)"', text)
    assert "frame=4" in following
    assert "window=100,50" in unescape(following)
    assert links(text, OWN)[0].endswith("/frames/3/rendered?window=100,50,linear&viewport=900,900")
    text = page(f"/studies/{uid(1)}/images/{uid(1, 1, 1)}?center=abc&width=5&lang=zh")
    assert "肺窗" in text
    assert "window=abc" not in text


def test_what_is_not_there_is_not_found(page) -> None:
    for path in ("/studies/1.2.99", "/studies/..%2f..", f"/studies/{uid(1)}/series/1.2", f"/studies/{uid(1)}/images/{uid(7, 1, 1)}",
                 f"/studies/{uid(1)}?institution=nobody"):  # fmt: skip
        assert "没有这次检查" in page(path, 404) or "Not Found" in page(path, 404)


def test_hostile_texts_stay_texts(page) -> None:
    for path in ("/studies", f"/studies/{uid(7)}", f"/studies/{uid(7)}/series/{uid(7, 1)}", f"/studies/{uid(7)}/images/{uid(7, 1, 1)}",
                 f"/studies?patient={HOSTILE}&modality={HOSTILE}"):  # fmt: skip
        text = page(path)
        assert "<script" not in text
        assert "<svg" not in text
        assert "49" not in re.findall(r"\{\{.*?\}\}|<h1>([^<]*)</h1>", text)


def test_pixels_that_are_at_the_hospital_are_asked_for_by_our_own_page_only(store, page, platform) -> None:
    path = f"/studies/{uid(8)}"
    assert "请医院发送图像" in page(path + "?lang=zh")
    asked = f"{platform}{path}/wanted?institution={HOSPITAL}"
    for headers in ({}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
                    {"Sec-Fetch-Site": "same-site", "Origin": platform}):  # fmt: skip
        assert requests.post(asked, headers=headers, timeout=30).status_code == 403
    assert store.images.wanted() == []
    answer = requests.post(asked, headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"}, timeout=30, allow_redirects=False)  # fmt: skip
    assert answer.status_code == 303
    assert [one.study_instance_uid for one in store.images.wanted()] == [uid(8)]
    assert "已请医院发送图像" in page("/studies?lang=zh")


def test_a_study_of_two_hospitals_is_two_studies(store, page) -> None:
    viewer_kit.put(store, viewer_kit.slice_of(1, study=20), HOSPITAL)
    viewer_kit.put(store, viewer_kit.slice_of(1, study=20, InstitutionName="邻县中医院"), OTHER)
    text = page(f"/studies/{uid(20)}?institution={OTHER}&lang=zh")
    assert "邻县中医院" in text
    assert "其他机构也有同一检查" in text
    assert [one for one in links(text, "/studies/") if f"institution={HOSPITAL}" in one]


# --- previews ---------------------------------------------------------------------------------------------------------

SLICE = f"/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 12)}"
LOOP = f"/studies/{uid(1)}/series/{uid(1, 2)}/instances/{uid(1, 2, 1)}"


@pytest.mark.parametrize("base", ["/dicom-web", OWN])
def test_a_slice_is_rendered_as_its_window_says(platform, base) -> None:
    plain = picture(requests.get(f"{platform}{base}{SLICE}/rendered?accept=image/png", timeout=60))
    assert plain.shape == (256, 256)
    assert plain[10, 10] == 0
    assert abs(int(plain[60, 128]) - 128) <= 1  # 40 HU in the middle of its window
    lungs = picture(requests.get(f"{platform}{base}{SLICE}/rendered?window=-600,1500,linear&accept=image/png", timeout=60))  # fmt: skip
    assert 80 < lungs[120, 82] < 110
    small = requests.get(f"{platform}{base}{SLICE}/rendered?viewport=64,50", timeout=60)
    assert small.headers["content-type"] == "image/jpeg"
    assert small.headers["cache-control"] == "no-store"
    assert picture(small).shape == (50, 50)


def test_frames_are_rendered_one_by_one_and_together(platform) -> None:
    third = picture(requests.get(f"{platform}/dicom-web{LOOP}/frames/3/rendered?accept=image/png", timeout=60))
    assert abs(int(third[0, 0]) - 60) <= 1
    several = requests.get(f"{platform}/dicom-web{LOOP}/frames/2,4/rendered?accept=image/png", timeout=60)
    assert [Image.open(io.BytesIO(content)).getpixel((0, 0)) // 30 for _, content in parts(several)] == [1, 3]
    series = f"/studies/{uid(1)}/series/{uid(1, 2)}"
    whole = parts(requests.get(f"{platform}/dicom-web{series}/rendered", timeout=60))
    assert len(whole) == viewer_kit.FRAMES
    assert {headers["content-type"] for headers, _ in whole} == {"image/jpeg"}
    study = parts(requests.get(f"{platform}/dicom-web/studies/{uid(1)}/rendered?viewport=16,16", timeout=60))
    assert len(study) == viewer_kit.SLICES + viewer_kit.FRAMES


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [(f"{SLICE}/rendered?window=1", 400, "malformed"), (f"{SLICE}/rendered?viewport=9,9,300,0,1,1", 400, "no-region"),
     (f"{SLICE}/rendered?accept=image/gif", 406, "media-type"), (f"{SLICE}/frames/2/rendered", 404, "no-frame"),
     (f"{SLICE}/frames/0/rendered", 400, "malformed"), (f"{SLICE}9/rendered", 404, "unknown"),
     (f"/studies/{uid(1)}/series/{uid(1, 3)}/instances/{uid(1, 3, 1)}/rendered", 406, "no-pixels"),
     (f"/studies/{uid(8)}/series/{uid(8, 1)}/instances/{uid(8, 1, 1)}/rendered", 404, "away"),
     (f"/studies/{uid(8)}/rendered", 404, "away"), ("/studies/x/thumbnail", 400, "malformed")],
)  # fmt: skip
def test_what_cannot_be_rendered_says_why(platform, path, status, error) -> None:
    answer = requests.get(f"{platform}/dicom-web{path}", timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_thumbnail_is_a_picture_or_an_icon(platform) -> None:
    for path in (f"/studies/{uid(1)}", f"/studies/{uid(1)}/series/{uid(1, 1)}", SLICE, f"{LOOP}/frames/4"):
        assert max(picture(requests.get(f"{platform}/dicom-web{path}/thumbnail", timeout=60)).shape) == 256
    for path in (f"/studies/{uid(8)}", f"/studies/{uid(1)}/series/{uid(1, 3)}"):
        answer = requests.get(f"{platform}/dicom-web{path}/thumbnail", timeout=60)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_an_enclosed_pdf_is_handed_out_as_it_is(platform, page) -> None:
    place = f"/studies/{uid(1)}/series/{uid(1, 4)}/instances/{uid(1, 4, 1)}"
    answer = requests.get(f"{platform}/dicom-web{place}/rendered", timeout=60)
    assert answer.content == viewer_kit.PDF
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "打开文件" in page(f"/studies/{uid(1)}/images/{uid(1, 4, 1)}?lang=zh")


def test_a_platform_without_decoders_says_so_and_shows_the_rest(store, monkeypatch) -> None:
    monkeypatch.setattr(Renderer, "missing", "pip install 'frontend-agent[viewer]'")
    with running(store) as url:
        answer = requests.get(f"{url}/dicom-web{SLICE}/rendered", timeout=60)
        assert (answer.status_code, answer.json()["error"]) == (501, "missing")
        assert requests.get(f"{url}/dicom-web{SLICE}/thumbnail", timeout=60).headers["content-type"] == "image/svg+xml"
        study = requests.get(f"{url}/studies/{uid(1)}?lang=zh", timeout=60)
        assert study.status_code == 200
        assert "frontend-agent[viewer]" in study.text
