"""Packages of data sets (dialect C): what goes into them, how they are closed, and what a platform says of them."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.outlets.http import Answer
from connectors.outlets.packages import PackagesEdge, public_key
from connectors.outlets.zips import with_aes, with_zipcrypto
from frontend_agent.codes import CodeTable
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_outlets import PackagesOutlet
from frontend_agent.delivery import State
from frontend_agent.dialect_makers import packages as maker_of
from frontend_agent.dialects.packages import Packer
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.hearing import hear
from frontend_agent.model import Document, Outcome
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool
from tests.unit.opened_documents import CONTENT, a_document, around, open_one
from tests.unit.package_platform import PackagePlatform, package_platform, unpacked
from tests.unit.pipe import NOW, taken

SITE = """
inner_version = "59083976eebd"

[[data_sets]]
code  = "HDSD02_03"
kinds = ["C0007"]
group = "items"

[data_sets.elements]
HDSD02_03_001 = "code"
HDSD02_03_002 = { value = "items.name" }
HDSD02_03_003 = "items.collected_at"

[[data_sets]]
code  = "HDSD00_85"
kinds = ["C0002"]
once  = true

[data_sets.elements]
HDSD00_85_001 = "patient.outpatient_number"
HDSD00_85_012 = "visit.time"
""".replace('"code"', '"items.code"')

ONE_VISIT = {"patient__outpatient_number": "MZ7", "patient__inpatient_number": None, "patient__name": "张三",
             "patient__sex": "1", "patient__id_number": "990100198503121231"}  # fmt: skip
VISIT_AT = {**ONE_VISIT, "encounter__time": "20260302080700"}


def options(url: str = "http://127.0.0.1:1", **changes: Any) -> PackagesOutlet:
    return PackagesOutlet(**({"type": "packages", "url": url, "inner_version": "59083976eebd"} | changes))


def packer(
    folder: Path, site: str = SITE, codes: dict[str, CodeTable] | None = None, **changes: Any
) -> tuple[Packer, PackagesOutlet]:
    path = folder / "sets.toml"
    path.write_text(site, "utf-8")
    chosen = options(data_sets=str(path), **changes)
    return maker_of("region", chosen, CONTENT, lambda feed: codes or {}, around()), chosen


def lab(number: int = 1, **changes: Any) -> Document:
    return a_document("C0007", number, **(VISIT_AT | changes))


def read(files: Any, name: str) -> Any:
    return json.loads(files[name])


# --- what goes in


def test_a_record_becomes_data_sets_with_the_platforms_own_element_numbers(tmp_path: Path) -> None:
    made, refused = packer(tmp_path)[0].packages([open_one(lab())])

    assert not refused
    (package,) = made
    person = read(package.files, "standard/HDSA00_01.json")
    assert {
        key: person[key] for key in ("inner_version", "patient_id", "event_no", "org_code", "event_time", "code")
    } == {
        "inner_version": "59083976eebd",
        "patient_id": "MZ7",
        "event_no": "MZ7",
        "org_code": "999000013",
        "event_time": "2026-03-02 08:07:00",
        "code": "HDSA00_01",
    }
    assert person["data"] == [
        {
            "HDSA00_01_009": "张三",
            "HDSA00_01_011_CODE": "1",
            "HDSA00_01_011_VALUE": "男性",
            "HDSA00_01_017": "990100198503121231",
        }
    ]  # neither a birth date nor a type of number that the record does not say
    rows = read(package.files, "standard/HDSD02_03.json")["data"]
    assert [row["HDSD02_03_002"] for row in rows] == [row["name"] for row in open_one(lab()).record["items"]]
    assert package.pack_type == 1


def test_origin_has_what_the_hospital_says_and_nothing_that_nobody_said(tmp_path: Path) -> None:
    sex = CodeTable("sex", "site/codes/sex.toml", "2.16.156.10011.2.3.3.4", {"M": "1", "F": "2"}, {"M": "男"})
    both = CodeTable("sex", "site/codes/sex.toml", "2.16.156.10011.2.3.3.4", {"M": "1", "m": "1"})

    def origin(codes: dict[str, CodeTable], **changes: Any) -> Any:
        (package,), _ = packer(tmp_path, codes=codes, **changes)[0].packages([open_one(lab())])
        (row,) = read(package.files, "origin/HDSA00_01.json")["data"]
        return row

    assert origin({"patient.sex": sex})["HDSA00_01_011_CODE"] == "M"
    assert origin({"patient.sex": sex})["HDSA00_01_011_VALUE"] == "男"
    assert not [key for key in origin({"patient.sex": both}) if key.startswith("HDSA00_01_011")]  # which of the two?
    assert not [key for key in origin({}) if key.startswith("HDSA00_01_011")]
    assert origin({})["HDSA00_01_009"] == "张三"
    assert origin({}, origin="standard")["HDSA00_01_011_CODE"] == "1"


def test_documents_of_one_visit_go_in_one_package_and_others_in_their_own(tmp_path: Path) -> None:
    visit = a_document("C0002", 5, visit__time="20260302080700", **ONE_VISIT, patient__birth_date="19850312")
    other = lab(3, patient__outpatient_number="MZ8")
    documents = [visit, lab(1), other, lab(2)]
    made, _ = packer(tmp_path)[0].packages([open_one(one) for one in documents])

    assert [package.documents for package in made] == [("C0002-5-1", "C0007-1-1", "C0007-2-1"), ("C0007-3-1",)]
    assert read(made[0].files, "standard/HDSA00_01.json")["data"][0]["HDSA00_01_012"] == "19850312"
    twice = len(open_one(lab()).record["items"]) * 2
    assert len(read(made[0].files, "standard/HDSD02_03.json")["data"]) == twice


def test_two_that_contradict_each_other_are_not_merged(tmp_path: Path) -> None:
    made, _ = packer(tmp_path)[0].packages([open_one(lab(1)), open_one(lab(2, patient__name="李四"))])

    assert [package.documents for package in made] == [("C0007-1-1",), ("C0007-2-1",)]


def test_the_same_documents_are_the_same_package(tmp_path: Path) -> None:
    one, two = (packer(tmp_path)[0].packages([open_one(lab())])[0][0] for _ in range(2))
    other = packer(tmp_path)[0].packages([open_one(lab(number=2))])[0][0]

    assert one.id == two.id != other.id


def test_a_new_version_and_what_opens_no_visit_are_supplements(tmp_path: Path) -> None:
    def flag(*documents: Document, opens: tuple[str, ...] = ()) -> list[Any]:
        made, _ = packer(tmp_path, opens=opens)[0].packages([open_one(one) for one in documents])
        return [read(package.files, "standard/HDSA00_01.json").get("reUploadFlg") for package in made]

    first, second = lab(), a_document("C0007", 1, 2, **VISIT_AT)
    assert flag(first) == [None]
    assert flag(second) == ["true"]
    assert flag(first, second) == [None, "true"]  # never two versions in one package, and in order
    assert flag(first, opens=("C0002",)) == ["true"]
    opening = a_document("C0002", 5, visit__time="20260302080700", **ONE_VISIT)
    assert flag(opening, first, opens=("C0002",)) == [None]


def test_what_no_package_can_carry_is_refused_with_the_mend(tmp_path: Path) -> None:
    def reason(document: Document, **changes: Any) -> str:
        made, (receipt,) = packer(tmp_path, **changes)[0].packages([open_one(document)])
        assert (made, receipt.outcome) == ([], Outcome.REFUSED)
        return receipt.reasons[0]

    assert "encounter.time" in reason(lab(encounter__time=None))
    assert "withdrawal" in reason(a_document("C0007", void=True, **VISIT_AT))
    assert "data_sets" in reason(a_document("C0034"))
    assert "no date or time" in reason(lab(), event_time=("patient.name",))


def test_a_visit_of_which_only_the_day_is_known_is_midnight_only_where_the_site_says_so(tmp_path: Path) -> None:
    front = a_document("C0032", 1)
    record = open_one(front).record
    day = next(name for name, value in record.items() if isinstance(value, str) and len(value) == 8 and value.isdigit())

    made, (receipt,) = packer(tmp_path, event_time=(day,))[0].packages([open_one(front)])
    assert not made
    assert "day_as_midnight" in receipt.reasons[0]
    (package,), _ = packer(tmp_path, event_time=(day,), day_as_midnight=True)[0].packages([open_one(front)])
    assert package.visit.event_time.endswith(" 00:00:00")
    assert (
        "HDSD00_11_142" in read(package.files, "standard/HDSD00_11.json")["data"][0]
    )  # the charges, by their own numbers


def test_dates_are_written_as_the_platform_wants_them(tmp_path: Path) -> None:
    chosen = {"date_format": "yyyy-MM-dd'T00:00:00Z'", "datetime_format": "yyyy-MM-dd'T'HH:mm:ss'Z'"}
    (package,), _ = packer(tmp_path, **chosen)[0].packages([open_one(lab())])

    told = read(package.files, "standard/HDSD02_03.json")["data"][0]["HDSD02_03_003"]
    raw = open_one(lab()).record["items"][0]["collected_at"]
    assert told == f"{raw[:4]}-{raw[4:6]}-{raw[6:8]}T{raw[8:10]}:{raw[10:12]}:{raw[12:14]}Z"


def test_a_file_package_carries_the_document_itself(tmp_path: Path) -> None:
    document = a_document("C0007", 1, 2, **VISIT_AT)
    (package,), _ = packer(tmp_path, carry="files")[0].packages([open_one(document)])

    described = read(package.files, "documents.json")
    ((content,),) = [file["content"] for file in described["files"]]
    assert package.files[f"documents/{content['name']}"] == open_one(document).content
    assert (content["emr_id"], content["reference"]) == ("C0007-1-2", "C0007-1-1")
    assert (described["event_type"], described["demographic_id"]) == (0, "990100198503121231")
    assert described["data_sets"]["HDSA00_01"][0]["HDSA00_01_009"] == "张三"
    assert package.pack_type == 2


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (SITE.replace("items.name", "items.nam"), "did you mean 'items.name'"),
        (SITE.replace('group = "items"', 'group = "item"'), "no group 'item'"),
        (SITE.replace('"items.collected_at"', '{ value = "items.collected_at", pair = true }'), "pair"),
        (SITE.replace('"items.collected_at"', '{ value = "items.collected_at", format = "YYYY" }'), "'Y'"),
        (SITE.replace('group = "items"', ""), "stands in the group 'items'"),
        (SITE.replace("inner_version", "inner_versoin"), "did you mean 'inner_version'"),
    ],
)
def test_what_is_wrong_with_a_sites_table_is_said_at_the_start(tmp_path: Path, site: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match="region") as wrong:
        packer(tmp_path, site)
    assert said in str(wrong.value)


def test_settings_that_cannot_work_are_told() -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(
            '[destinations.r]\ntype = "packages"\nurl = "http://10.0.0.1"\nauthorization = "Bearer {secret}"\n'
        )
    told = "\n".join(wrong.value.problems)
    assert "inner_version is missing" in told
    assert "name of a secret" in told
    assert "plain http" in told


# --- how it is closed

FILES = {"standard/检验.json": "张三".encode() * 5000, "origin/b.json": b"", "documents.json": bytes(range(256))}


@pytest.mark.parametrize("close", [with_aes, with_zipcrypto])
def test_what_is_closed_opens_with_its_password_alone(close: Any) -> None:
    body = close(FILES, "correct horse")

    assert unpacked(body, "correct horse") == FILES
    assert "张三".encode() not in body
    with pytest.raises(RuntimeError):
        unpacked(body, "wrong horse")
    assert close(FILES, "correct horse") != body  # never the same stream twice


ZIP4J = Path("/usr/share/java/zip4j.jar")
UNPACK = """import net.lingala.zip4j.ZipFile;
public class Unpack {
  public static void main(String[] a) throws Exception {
    for (int i = 1; i < a.length; i += 2) new ZipFile(a[i], a[0].toCharArray()).extractAll(a[i + 1]);
  }
}
"""


@pytest.mark.skipif(not (ZIP4J.is_file() and shutil.which("java")), reason="zip4j is not installed (apt install libzip4j-java default-jdk-headless)")  # fmt: skip
def test_zip4j_which_such_platforms_unpack_with_opens_both(tmp_path: Path) -> None:
    (tmp_path / "Unpack.java").write_text(UNPACK)
    arguments = []
    for name, close in (("aes", with_aes), ("zipcrypto", with_zipcrypto)):
        (tmp_path / f"{name}.zip").write_bytes(close(FILES, "p1"))
        arguments += [f"{name}.zip", name]
    done = subprocess.run(
        ["java", "-cp", str(ZIP4J), "Unpack.java", "p1", *arguments], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr[-1000:]
    for name in ("aes", "zipcrypto"):
        found = {
            str(file.relative_to(tmp_path / name)): file.read_bytes() for file in (tmp_path / name).rglob("*.json")
        }
        assert found == FILES


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_opens_the_traditional_one(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(with_zipcrypto(FILES, "p1"))
    done = subprocess.run(["unzip", "-q", "-P", "p1", "-t", "a.zip"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0


# --- what a platform says


@pytest.fixture
def platform() -> Iterator[PackagePlatform]:
    with package_platform() as running:
        yield running


def edge_to(platform: PackagePlatform, folder: Path, **changes: Any) -> PackagesEdge:
    made, _ = packer(folder, **changes)
    return PackagesEdge("region", options(platform.url, **changes), around(), made)


def outcomes(edge: PackagesEdge, *documents: Document) -> list[Outcome]:
    return [receipt.outcome for receipt in edge.send(documents)]


@pytest.mark.parametrize("encryption", ["aes", "zipcrypto"])
def test_a_package_is_accepted_and_later_confirmed(platform: PackagePlatform, tmp_path: Path, encryption: str) -> None:
    edge = edge_to(platform, tmp_path, encryption=encryption)

    assert outcomes(edge, lab(1), lab(2)) == [Outcome.ACCEPTED] * 2
    assert len(platform.packages) == 1
    assert edge.ask([lab(1), lab(2)]) == []  # still waiting: silence is no answer
    platform.work()
    assert [(told.document_id, told.stored) for told in edge.ask([lab(1), lab(2)])] == [
        ("C0007-1-1", True),
        ("C0007-2-1", True),
    ]
    assert edge.ask([lab(9)]) == []  # never sent from here


def test_a_row_that_does_not_say_which_package_it_is_proves_nothing(
    platform: PackagePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = edge_to(platform, tmp_path)
    assert outcomes(edge, lab(1)) == [Outcome.ACCEPTED]
    for row in (b'{"archive_status": 3, "analyze_status": 3}', b'{"archive_status": 3, "md5_value": "00"}'):
        monkeypatch.setattr(edge._http, "ask", lambda *_, row=row, **__: Answer(200, {}, b"[" + row + b"]"))
        assert edge.ask([lab(1)]) == []


def test_a_failure_is_told_with_its_reason_and_order_is_mended_by_sending_again(
    platform: PackagePlatform, tmp_path: Path
) -> None:
    edge = edge_to(platform, tmp_path, opens=("C0002",))
    opening = a_document("C0002", 5, visit__time="20260302080700", **ONE_VISIT)

    outcomes(edge, lab())  # what opens the visit was held up
    platform.work()
    (told,) = edge.ask([lab()])
    assert (told.stored, told.again) == (False, True)
    assert "complete package" in told.reasons[0]

    outcomes(edge, opening)
    platform.work()
    outcomes(edge, lab())
    platform.work()
    assert [one.stored for one in edge.ask([opening, lab()])] == [True, True]


def test_the_same_again_is_the_same_package_and_the_newest_upload_counts(
    platform: PackagePlatform, tmp_path: Path
) -> None:
    edge = edge_to(platform, tmp_path)
    outcomes(edge, lab())
    outcomes(edge, lab())

    first, second = platform.packages
    assert first["name"] == second["name"]
    assert first["password"] != second["password"]
    platform.packages.remove(first)
    platform.work()
    assert [told.stored for told in edge.ask([lab()])] == [True]


def test_while_the_platform_tries_again_by_itself_a_failure_is_no_answer(
    platform: PackagePlatform, tmp_path: Path
) -> None:
    edge = edge_to(platform, tmp_path)
    outcomes(edge, lab())
    platform.packages[0] |= {"archive_status": 2, "fail_count": 1, "message": "bad JSON data"}
    assert edge.ask([lab()]) == []
    platform.packages[0]["fail_count"] = 3
    assert [told.reasons for told in edge.ask([lab()])] == [("bad JSON data",)]


def test_quality_control_counts_where_the_site_says_so(platform: PackagePlatform, tmp_path: Path) -> None:
    edge = edge_to(platform, tmp_path, quality=True)
    outcomes(edge, lab())
    platform.packages[0] |= {"archive_status": 3, "analyze_status": 1}
    assert edge.ask([lab()]) == []
    platform.packages[0] |= {"analyze_status": 2, "analyze_fail_count": 3}
    assert [told.stored for told in edge.ask([lab()])] == [False]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((503, b""), Outcome.RETRY),
        ((504, b"true"), Outcome.UNANSWERED),
        ((200, b"false"), Outcome.UNANSWERED),
        ((200, b"<html>true</html>"), Outcome.UNANSWERED),  # a proxy's page proves nothing
    ],
)
def test_an_answer_means_what_it_says(
    platform: PackagePlatform, tmp_path: Path, answer: tuple[int, bytes], outcome: Outcome
) -> None:
    edge = edge_to(platform, tmp_path)
    platform.answers.append(answer)
    assert outcomes(edge, lab()) == [outcome]


def test_no_key_at_the_platform_is_nobodys_document(platform: PackagePlatform, tmp_path: Path) -> None:
    edge = edge_to(platform, tmp_path)
    edge.probe()
    platform.institutions.clear()
    with pytest.raises(NotAllowed, match="operator"):
        edge.send([lab()])  # with the key that it had
    with pytest.raises(NotAllowed, match="no public key"):
        edge.probe()


def test_a_pinned_key_is_used_and_nothing_is_asked(platform: PackagePlatform, tmp_path: Path) -> None:
    path = tmp_path / "org.pem"
    path.write_bytes(platform.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    edge = edge_to(platform, tmp_path, public_key=str(path))

    edge.probe()
    assert outcomes(edge, lab()) == [Outcome.ACCEPTED]
    assert not platform.asked
    path.write_text("no key")
    with pytest.raises(ConfigurationError, match="public_key"):
        edge_to(platform, tmp_path, public_key=str(path)).probe()


def test_a_request_refused_whole_is_for_halving_and_loses_no_answer(platform: PackagePlatform, tmp_path: Path) -> None:
    edge = edge_to(platform, tmp_path)
    platform.answers.append((413, b""))
    with pytest.raises(RefusedWhole):
        edge.send([lab()])
    other = lab(2, patient__outpatient_number="MZ9")
    platform.answers += [(200, b"true"), (500, b"")]
    assert outcomes(edge, lab(), other) == [Outcome.ACCEPTED, Outcome.UNREACHABLE]


def test_nobody_there_is_told_as_such(tmp_path: Path) -> None:
    made, chosen = packer(tmp_path)
    edge = PackagesEdge("region", chosen, around(), made)
    with pytest.raises(DestinationUnreachable):
        edge.send([lab()])


def test_the_token_travels_where_the_site_says(platform: PackagePlatform, tmp_path: Path) -> None:
    edge = edge_to(platform, tmp_path, secret="token", authorization="Bearer {secret}")
    outcomes(edge, lab())
    assert platform.tokens == {"Bearer <token>"}


@pytest.mark.parametrize("junk", [b"", b"true", b"<html/>", b"AAAA", b'"QUJD"', b"\x30\x03abc"])
def test_what_is_no_key_is_not_taken_for_one(junk: bytes) -> None:
    with pytest.raises(ValueError):
        public_key(junk)


def test_from_the_spool_and_back_accepted_then_confirmed_or_reopened(platform: PackagePlatform, tmp_path: Path) -> None:
    made, _ = packer(tmp_path)
    with Spool(tmp_path / "state", reserve=0).open() as spool:
        edge = PackagesEdge("region", options(platform.url), around(memory=spool.meta), made)
        good, bad = lab(1), lab(2, patient__outpatient_number="MZ9")
        spool.commit(taken(good, bad, destinations=("region",)))
        assert send_out(edge, spool, NOW, at_once=edge.at_once, foreign=True) == 2
        assert spool.counts().deliveries["region"][State.ACCEPTED] == 2
        assert spool.meta.get(f"region:package:{good.document_id}")

        platform.work()
        platform.packages[1] |= {"archive_status": 2, "fail_count": 3, "message": "bad\x00 JSON\n data"}
        asked = hear(edge, spool, NOW + timedelta(hours=1))
        assert (asked.confirmed, asked.reopened) == (1, 1)
        counts = spool.counts().deliveries["region"]
        assert (counts[State.DELIVERED], counts[State.REFUSED]) == (1, 1)
        trace = spool.trace(bad.document_id)
        assert trace is not None
        assert "bad JSON data" in str(trace)
        assert not spool.meta.get(f"region:package:{good.document_id}")  # nobody has to ask again
