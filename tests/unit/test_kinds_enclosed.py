"""Scans and PDF reports wrapped in CDA: what comes out is byte for byte what went in, and is what it is said to be."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.files import with_files
from frontend_agent.checks import compile_checks
from frontend_agent.config import load_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import Feed, compile_feed
from frontend_agent.formats import headline, load_kind, view
from frontend_agent.formats.enclosed import LARGEST, NotEnclosable, disclose, enclose, sha256_of, sniff
from frontend_agent.formats.foreign_view import content_of
from frontend_agent.formats.xml import parse
from frontend_agent.mapping import compile_mapping
from frontend_agent.mapping_file import parse_mapping
from frontend_agent.model import Envelope, NotFetched, Record, RowSet, SourceRows
from frontend_agent.profiles import load_profile

BEGINNINGS = {
    "application/pdf": b"%PDF-1.7\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/tiff": b"II*\0",
}
PDF = b"%PDF-1.4\nan invented report"
ENVELOPE = Envelope("X0001-A-1", "X0001-A", 1, "20260930093000")
MAPPING = """
kind = "X0001"
key = "request_number"
[queries]
changed = "c.sql"
parent = "p.sql"
[read]
"scan" = { reader = "READER", fields = { "content.data" = "data", "content.media_type" = "media_type", "content.sha256" = "sha256" } }
"""
PARENT = 'SELECT no AS "request_number", blob AS "scan", kind AS "document.type_name" FROM scans'
COLUMNS = ("request_number", "scan", "document.type_name")


def record(content: bytes) -> Record:
    data, media_type, sha256 = enclose(content)
    return {
        "patient.inpatient_number": "ZY1", "patient.name": "欧阳修远", "request_number": "S1", "author.time": "20260930091500",
        "author.id": "D1", "institution.id": "H1", "document.type": "C0006", "document.type_name": "检查报告",
        "content.data": data, "content.media_type": media_type, "content.sha256": sha256,
    }  # fmt: skip


def mapped(reader: str, cell: object) -> tuple[Record, list[str]]:
    """The record that a mapping makes of one row, and the rules that objected."""
    texts = {
        "m.toml": MAPPING.replace("READER", reader),
        "p.sql": PARENT,
        "c.sql": 'SELECT t AS "cursor", no AS "key" FROM scans',
    }
    mapping = parse_mapping("m", "m.toml", "", lambda path: texts[path])
    rows = SourceRows(RowSet(COLUMNS, [("S1", cell, "检查报告")]), {})
    (made,) = compile_mapping(mapping, load_kind("X0001"), "H1", "演示医院")(rows)
    return made.record, [finding.rule for finding in made.findings]


@settings(max_examples=200, deadline=None)
@given(media_type=st.sampled_from(sorted(BEGINNINGS)), rest=st.binary(max_size=4000))
def test_a_wrapped_document_comes_out_byte_for_byte(media_type, rest):
    kind = load_kind("X0001")
    content = BEGINNINGS[media_type] + rest

    document = kind.renderer({"patient.outpatient_number": "omit"})(record(content), ENVELOPE)

    read = kind.reader(document)
    assert read == record(content)
    assert disclose(read) == content
    assert read["content.media_type"] == media_type
    assert headline(document).kind == "X0001"


def test_the_largest_content_is_rendered_read_and_equal():
    kind = load_kind("X0001")
    content = b"%PDF-1.7" + os.urandom(LARGEST - 8)

    assert disclose(kind.reader(kind.renderer()(record(content), ENVELOPE))) == content


def test_the_body_says_type_and_digest_as_hl7_wants_it():
    document = load_kind("X0001").renderer()(record(PDF), ENVELOPE).decode()

    assert '<text mediaType="application/pdf" representation="B64" integrityCheck="' in document
    assert 'integrityCheckAlgorithm="SHA-256"' in document


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no bytes"),
        (b"GIF89a", "neither PDF"),
        (b"<html>", "neither PDF"),
        (b"%PDF-" + b"0" * LARGEST, "more than the"),
    ],
)
def test_what_cannot_be_wrapped_is_refused_and_says_why(content, why):
    with pytest.raises(NotEnclosable, match=why):
        enclose(content)


def test_a_pdf_may_begin_late_but_not_too_late():
    assert sniff(b"\n" * 1000 + b"%PDF-1.4") == "application/pdf"
    assert sniff(b"\n" * 1024 + b"%PDF-1.4") == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"content.media_type": "image/jpeg"}, "application/pdf, not image/jpeg"),
        ({"content.sha256": sha256_of(b"another")}, "SHA-256"),
        ({"content.data": "JVBERi0xLjQK*"}, "not base64"),
        ({"content.data": ""}, "no bytes"),
    ],
)
def test_content_that_is_not_what_is_said_of_it_is_held(changed, why):
    spoilt = record(PDF) | changed
    with pytest.raises(NotEnclosable, match=why):
        disclose(spoilt)

    checks = compile_checks(load_kind("X0001"), load_profile("national"), lambda: date(2026, 10, 1))
    said = {finding.rule: finding.severity for finding in checks({k: v for k, v in spoilt.items() if v})}
    assert {said.get("ENC-CONTENT"), said.get("DE-MISSING")} & {"hold"}


def test_clean_content_passes_the_checks():
    checks = compile_checks(load_kind("X0001"), load_profile("national"), lambda: date(2026, 10, 1))

    assert [
        f for f in checks(record(PDF)) if f.rule in ("ENC-CONTENT", "DE-MISSING") and f.field.startswith("content")
    ] == []


# --- from a hospital's tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "cell"), [("enclosed", PDF), ("base64 | enclosed", "JVBERi0xLjQKYW4gaW52ZW50ZWQgcmVwb3J0")]
)
def test_a_blob_column_becomes_content_type_and_digest(reader, cell):
    made, objections = mapped(reader, cell)

    assert disclose(made) == PDF
    assert made["content.media_type"] == "application/pdf"
    assert objections == []


def test_a_blob_that_is_no_document_is_one_finding():
    made, objections = mapped("enclosed", b"not a document")

    assert "content.data" not in made
    assert objections == ["READ-COLUMN"]


def test_a_column_of_paths_becomes_the_files_bytes(tmp_path):
    (tmp_path / "2026").mkdir()
    (tmp_path / "2026" / "scan 1.pdf").write_bytes(PDF)
    rows = RowSet(COLUMNS, [("S1", "2026/scan 1.pdf", "a"), ("S2", "2026\\scan 1.pdf", "b"), ("S3", None, "c")])

    fetched = with_files(rows, ("scan",), tmp_path)

    assert [row[1] for row in fetched.rows] == [PDF, PDF, None]
    made, objections = mapped("file | enclosed", fetched.rows[0][1])
    assert disclose(made) == PDF
    assert objections == []


def test_nothing_outside_of_the_folder_is_read(tmp_path):
    outside = tmp_path / "secret.pdf"
    outside.write_bytes(PDF)
    inside = tmp_path / "scans"
    inside.mkdir()
    (inside / "link.pdf").symlink_to(outside)
    names = ["../secret.pdf", str(outside), "link.pdf", "missing.pdf", ".", "a\0b"]

    fetched = with_files(RowSet(("scan",), [(name,) for name in names]), ("scan",), inside)

    assert [isinstance(row[0], NotFetched) for row in fetched.rows] == [True] * len(names)
    assert all(name not in row[0] for name, row in zip(names[:4], fetched.rows, strict=False))
    _, objections = mapped("file | enclosed", fetched.rows[0][0])
    assert objections == ["READ-COLUMN"]


def test_a_path_in_a_detail_query_is_refused_at_start():
    texts = {"m.toml": MAPPING.replace("READER", "file | enclosed").replace('"scan"', '"items.scan"'), "p.sql": PARENT,
             "c.sql": 'SELECT t AS "cursor", no AS "key" FROM scans'}  # fmt: skip
    with pytest.raises(ConfigurationError, match="parent query"):
        parse_mapping("m", str(Path("m.toml")), "", lambda path: texts[path])


def test_the_bytes_are_nothing_to_read_and_what_they_show_is():
    page = view(load_kind("X0001"), record(PDF))

    shown = {one.field: one.text for one in page.header}
    assert shown["document.type_name"] == "检查报告"
    assert shown["content.media_type"] == "application/pdf"
    assert {"content.data", "content.sha256"}.isdisjoint(shown)


def test_the_platforms_own_reader_of_foreign_bodies_finds_the_same_bytes():
    document = load_kind("X0001").renderer({"patient.outpatient_number": "omit"})(record(PDF), ENVELOPE)

    assert content_of(parse(document)) == ("application/pdf", PDF)


AGENT = """
[institution]
id = "H1"
name = "演示医院"
[sources.his]
url = "sqlite:///his.db"
FILES
[destinations.region]
url = "http://127.0.0.1:9"
[[feeds]]
name = "scans"
source = "his"
mapping = "./m.toml"
"""


def compiled(folder: Path, files: str) -> Feed:
    (folder / "m.toml").write_text(MAPPING.replace("READER", "file | enclosed"), encoding="utf-8")
    (folder / "p.sql").write_text(PARENT, encoding="utf-8")
    (folder / "c.sql").write_text('SELECT t AS "cursor", no AS "key" FROM scans', encoding="utf-8")
    (folder / "agent.toml").write_text(AGENT.replace("FILES", files), encoding="utf-8")
    config = load_config(folder / "agent.toml")
    return compile_feed(config, config.feeds[0], lambda: date(2026, 10, 1))


def test_a_feed_of_scans_takes_few_at_once_however_many_its_configuration_allows(tmp_path):
    assert compiled(tmp_path, f'files = "{tmp_path}"').config.batch == 10


def test_paths_without_a_folder_are_told_at_start_with_the_mend(tmp_path):
    with pytest.raises(ConfigurationError, match=r'names no folder; add files = "/mnt/scans"'):
        compiled(tmp_path, "")
