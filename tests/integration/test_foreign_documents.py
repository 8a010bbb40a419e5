"""Documents that our renderers did not make: posted by other senders, and a hospital's own finished ones through the agent."""

import base64
import json
import sqlite3
import subprocess
import sys
import zlib
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import requests

from frontend_agent.cli.main import run
from frontend_agent.formats import headline, load_kind
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.schema import with_schema
from frontend_agent.platform.store import Store
from frontend_agent.wire.frames import decompressor
from frontend_agent.wire.receipts import prove, read_proof
from tests.conftest import shared_folder
from tests.platform_kit import document, lab_record, running
from tests.unit.test_foreign import other, ours

EVERYTHING = Search(all_versions=True)
XSD = shared_folder() / "realdata" / "cda" / "xsd-sdtc" / "infrastructure" / "cda" / "CDA_SDTC.xsd"
SAMPLES = shared_folder() / "realdata" / "cda"
real = pytest.mark.skipif(not XSD.exists(), reason="the real documents and their schema are not beside this checkout")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "platform").open()
    yield store
    store.close()


@pytest.fixture
def platform(store):
    with running(store) as url:
        yield url


def post(url: str, content: bytes, media_type: str = "application/xml") -> requests.Response:
    return requests.post(f"{url}/v1/documents", data=content, headers={"Content-Type": media_type}, timeout=10)


def test_a_posted_document_is_stored_as_it_came_with_a_receipt(store, platform):
    answer = post(platform, other())

    said = answer.json()
    assert (answer.status_code, said["outcome"], said["kind"], said["form"]) == (
        200,
        "stored",
        "loinc:18842-5",
        "c-cda",
    )
    assert store.document(said["document_id"]) == other()
    reply = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["receipt"]
    proof = prove(bytes(reply), 0)
    assert read_proof(proof, store.public_key)[1].sha256 == sha256(other()).hexdigest()
    (listed,) = store.documents(Search(patient="P-77"))
    assert (listed.patient_name, listed.own_id, listed.form) == ("Jo Doe", "1.2.3.4.5^doc 1", "as-is")


def test_the_same_again_is_a_duplicate_and_other_bytes_of_the_same_version_a_conflict(store, platform):
    first = post(platform, other()).json()
    again = post(platform, other()).json()
    assert (again["outcome"], again["document_id"]) == ("duplicate", first["document_id"])
    changed = post(platform, other("another text"))
    assert changed.status_code == 422
    assert any("conflict" in reason for reason in changed.json()["reasons"])
    newer = post(platform, other("another text", **{'versionNumber value="3"': 'versionNumber value="4"'})).json()
    assert newer["outcome"] == "stored"
    assert [one.newest for one in store.documents(EVERYTHING)].count(True) == 1


def test_a_refused_document_leaves_nothing_and_says_everything(store, platform):
    broken = other(**{"<component><structuredBody>": "<component><structuredBody2>"}).replace(
        b"</structuredBody>", b"</structuredBody2>"
    )
    answer = post(platform, broken.replace(b'<id root="1.2.3.4.5" extension="doc 1"/>', b""))
    assert answer.status_code == 422
    assert len(answer.json()["reasons"]) == 2
    assert store.count(EVERYTHING) == 0
    assert not list((store.folder / "parcels").rglob("*.fep"))
    assert not list((store.folder / "incoming").iterdir())
    assert post(platform, other(), "text/plain").status_code == 415


def test_a_national_document_of_another_sender_is_answered_with_the_rules_findings(platform):
    said = post(platform, ours().replace(b"99000019850614001X", b"990000198506140011")).json()
    assert (said["outcome"], said["kind"], said["form"]) == ("stored", "C0007", "national")
    assert "ID-CHECK-DIGIT" in [one["rule"] for one in said["findings"]]
    assert said["checked_with"][1].startswith("C0007 ")
    page = requests.get(f"{platform}/documents/{said['document_id']}", timeout=10).text
    assert "白细胞计数" in page


def test_its_page_is_its_own_narrative_and_its_file_a_download(store, platform):
    said = post(
        platform, other('<paragraph>to rest<br/>at home</paragraph><linkHtml href="http://x.test">y</linkHtml>')
    ).json()
    page = requests.get(f"{platform}/documents/{said['document_id']}?lang=en", timeout=10).text
    assert "<p>to rest<br>at home</p>" in page
    assert "x.test" not in page
    assert "Jo Doe" in page
    unstructured = (
        other()
        .replace(
            other()[
                other().index(b"<structuredBody>") : other().index(b"</structuredBody>") + len(b"</structuredBody>")
            ],
            b'<nonXMLBody><text mediaType="application/pdf" representation="B64">'
            + base64.b64encode(b"%PDF-1.4 x")
            + b"</text></nonXMLBody>",
        )
        .replace(b'extension="set 1"', b'extension="set 2"')
    )
    said = post(platform, unstructured).json()
    assert said["outcome"] == "stored", said
    download = requests.get(f"{platform}/documents/{said['document_id']}/content", timeout=10)
    assert download.content == b"%PDF-1.4 x"
    assert download.headers["content-type"] == "application/octet-stream"
    assert download.headers["content-disposition"].startswith("attachment")


def test_a_lost_index_is_rebuilt_with_documents_of_others(tmp_path):
    store = Store(tmp_path / "platform").open()
    posted = store.take_document(other())
    store.close()
    (tmp_path / "platform" / "index.sqlite").unlink()
    again = Store(tmp_path / "platform").open()
    try:
        assert again.document(posted.document_id) == other()
        assert again.documents(EVERYTHING)[0].own_id == "1.2.3.4.5^doc 1"
    finally:
        again.close()


def test_an_index_of_the_first_schema_is_brought_up_to_date(tmp_path):
    from frontend_agent.platform import store as module

    store = Store(tmp_path / "platform").open()
    store.close()
    path = tmp_path / "platform" / "index.sqlite"
    path.unlink()
    old = sqlite3.connect(path)
    old.executescript(module._MIGRATIONS[0])
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    again = Store(tmp_path / "platform").open()
    try:
        assert again.take_document(other()).document_id
    finally:
        again.close()


@real
def test_the_sites_schema_is_asked_about_c_cda_and_never_about_national_documents():
    examine = with_schema(XSD)
    fine = examine((SAMPLES / "sample_ccdas" / "HL7_Samples" / "CCD.sample.xml").read_bytes())
    assert fine.reasons == ()
    assert any(used.startswith("CDA_SDTC.xsd ") for used in fine.checked_with)
    bad = examine((SAMPLES / "fhir-converter-ccda" / "Referral_Note.ccda").read_bytes())
    assert any(reason.startswith("CDA_SDTC.xsd: line ") for reason in bad.reasons)
    national = examine(ours())
    assert national.reasons == ()
    assert not any("xsd" in used for used in national.checked_with)


@real
def test_every_real_document_is_taken_once_or_refused(tmp_path, capsys):
    files = sorted(map(str, SAMPLES.rglob("*.ccda")))
    code = run(["--state", str(tmp_path / "platform"), "platform", "add", "--json", *files])
    answers = json.loads(capsys.readouterr().out)
    assert code == 1  # some were refused
    assert {one["outcome"] for one in answers} == {"stored", "refused"}
    for one in answers:
        assert bool(one["reasons"]) == (one["outcome"] == "refused"), one
    assert run(["platform", "examine", "--json", files[0]]) == 0
    assert json.loads(capsys.readouterr().out)[0]["form"] == "c-cda"


def test_a_finished_document_passes_through_the_agent_untouched(tmp_path, store, platform):
    """Text and blob columns, a correction, a broken one, one of another kind: from an SQLite repository to the platform."""
    _repository(tmp_path)
    answered = _agent(tmp_path, platform, "once", "--json")
    assert answered.returncode == 0, answered.stderr
    listed = store.documents(EVERYTHING)
    assert sorted(one.kind for one in listed) == ["C0007", "C0007"]
    assert {store.document(one.document_id) for one in listed} == {_first(), _second()}
    _change(tmp_path)
    assert _agent(tmp_path, platform, "once", "--json").returncode == 0
    versions = [one for one in store.documents(EVERYTHING) if one.version == 2]
    assert len(versions) == 1
    assert store.document(versions[0].document_id) == _second().replace("检验科".encode(), "检验中心".encode())
    assert versions[0].replaces_id


def _first() -> bytes:
    """A report that no rule holds."""
    items = [{**item, "tested_at": item.get("tested_at", "")[:8] or "20260930"} for item in lab_record(1)["items"]]
    made = document(1, items=items, patient__id_number="99000019850614004X")
    return decompressor(load_kind("C0007").dictionary).decompress(made.frame)


def _second() -> bytes:
    return (
        _first()
        .replace(headline(_first()).document_id.encode(), b"OWN-2")
        .replace("张小满".encode(), "李小满".encode())
    )


def _repository(folder: Path) -> None:
    db = sqlite3.connect(folder / "cdr.db")
    db.execute("CREATE TABLE doc (no TEXT, content BLOB, changed TEXT)")
    rows = [
        ("1", _first().decode(), "2026-09-30 10:00:00"),
        ("2", _second(), "2026-09-30 10:00:01"),
        ("3", b"<broken", "2026-09-30 10:00:02"),
        ("4", ours("C0002"), "2026-09-30 10:00:03"),
    ]
    db.executemany("INSERT INTO doc VALUES (?, ?, ?)", rows)
    db.commit()
    db.close()


def _change(folder: Path) -> None:
    db = sqlite3.connect(folder / "cdr.db")
    corrected = _second().replace("检验科".encode(), "检验中心".encode())
    db.execute("UPDATE doc SET content = ?, changed = '2026-09-30 11:00:00' WHERE no = '2'", (corrected,))
    db.commit()
    db.close()


def _agent(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "finished.toml").write_text(
        'kind = "C0007"\nkey = "no"\ndocument = "content"\n[queries]\nchanged = "changed.sql"\nparent = "parent.sql"\n'
    )
    (folder / "changed.sql").write_text('SELECT changed AS "cursor", no AS "key" FROM doc')
    (folder / "parent.sql").write_text('SELECT no AS "no", content AS "content" FROM doc')
    (folder / "agent.toml").write_text(
        f"""
[institution]
id = "12345678-9"
name = "示范县人民医院"
[sources.cdr]
url = "sqlite:///{folder}/cdr.db"
[destinations.platform]
type = "platform"
url = "{url}"
[[feeds]]
name = "finished"
source = "cdr"
mapping = "{folder}/finished.toml"
"""
    )
    program = [sys.executable, "-m", "frontend_agent.cli.main", *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=120)


def test_text_that_names_another_encoding_is_encoded_that_way_again():
    from frontend_agent.passing import bytes_of

    text = '<?xml version="1.0" encoding="GBK"?><a>诊断</a>'
    assert bytes_of(text) == text.encode("gbk")
    assert zlib.crc32(bytes_of(memoryview(b"x"))) == zlib.crc32(b"x")
    assert bytes_of(None) == b""
    assert bytes_of('<?xml version="1.0" encoding="no-such"?><a>é</a>').endswith("é</a>".encode())
