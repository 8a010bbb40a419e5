"""A file as messages: one document, HL7 batches, archives; and every reason why one cannot be taken."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl import Workbook

from connectors.folders.reasons import TEXTS, FileRefused, reason, reason_file
from connectors.folders.unpacking import Limits, Unpacked, unpack
from connectors.mllp import framed
from frontend_agent.messages.formats import Options, format_of

LIMITS = Limits(largest=1 << 20, entries=10, unpacked=4 << 20)
XML = "<?xml version='1.0' encoding='GB2312'?><bg><xm>张镕</xm></bg>".encode("gb18030")
MESSAGE = b"MSH|^~\\&|LIS|LAB|HIS|H|20261121||ORU^R01|%d|P|2.5\rPID|1||P%d\rOBR|1||R%d\r"


def message(number: int) -> bytes:
    return MESSAGE % (number, number, number)


def zipped(files: dict[str, bytes], **how: Any) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def words(error: pytest.ExceptionInfo[FileRefused]) -> list[str]:
    return [(one.inner or one).word for one in error.value.reasons]


def taken(content: bytes, name: str = "a", **settings: Any) -> Unpacked:
    return unpack(name, content, settings.pop("format_", "auto"), settings.pop("limits", LIMITS), **settings)


# -- one document


def test_a_document_is_one_message_with_its_own_bytes() -> None:
    (piece,) = taken(XML).pieces
    assert (piece.body, piece.about, piece.control_id) == (XML, "bg", "")
    assert taken(b'\xef\xbb\xbf<?xml version="1.0"?><n:ClinicalDocument xmlns:n="urn:hl7-org:v3"/>').pieces[
        0
    ].about == ("ClinicalDocument")


@pytest.mark.parametrize(
    ("name", "content", "about"),
    [
        ("a.json", '{"姓名":"张三"}'.encode(), "json"),
        ("a.json", '{"姓名":"张三"}'.encode("gbk"), "json"),
        ("a.csv", "报告号,姓名\nR1,张三\n".encode("gbk"), "csv"),
        ("a.txt", b"no,name\n1,x\n", "csv"),
    ],
)
def test_tables_and_json_in_either_set(name: str, content: bytes, about: str) -> None:
    (piece,) = taken(content, name).pieces
    assert (piece.body, piece.about) == (content, about)


def test_a_workbook_is_no_archive() -> None:
    packed = io.BytesIO()
    Workbook().save(packed)
    (piece,) = taken(packed.getvalue(), "a.xlsx").pieces
    assert piece.about == "xlsx"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b" \r\n\t\0", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 secret", "encrypted"),
        (b"<a><b></a>", "unreadable"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "unreadable"),
        (b'{"a": ', "unreadable"),
        (b"PK\x03\x04 and then nothing", "zip_broken"),
        (b"FHS|^~\\&\rBTS|0\rFTS|0\r", "not_hl7"),
    ],
)
def test_what_cannot_be_taken_says_why(content: bytes, word: str) -> None:
    with pytest.raises(FileRefused) as told:
        taken(content)
    assert words(told) == [word]
    assert "passwd" not in str(told.value)


def test_a_judge_knows_better() -> None:
    with pytest.raises(FileRefused, match="no column"):
        taken(XML, judge=lambda body: ["no column 'x'"])


# -- HL7


def test_each_message_of_a_batch_by_itself() -> None:
    batch = b"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r" + b"".join(message(n) for n in (1, 2, 3)) + b"BTS|3\rFTS|1\r"
    pieces = taken(batch).pieces
    assert [(piece.control_id, piece.about, piece.place) for piece in pieces] == [
        ("LIS|LAB|1", "ORU^R01", "#1"), ("LIS|LAB|2", "ORU^R01", "#2"), ("LIS|LAB|3", "ORU^R01", "#3"),
    ]  # fmt: skip
    assert [piece.body for piece in pieces] == [message(n) for n in (1, 2, 3)]


def test_plain_messages_and_framed_ones() -> None:
    plain = taken(message(1) + message(2)).pieces
    in_frames = taken(framed(message(1)) + framed(message(2))).pieces
    lines = taken((message(1) + message(2)).replace(b"\r", b"\r\n")).pieces
    assert [piece.control_id for piece in plain] == [piece.control_id for piece in in_frames]
    assert [piece.control_id for piece in lines] == ["LIS|LAB|1", "LIS|LAB|2"]
    assert [piece.body for piece in in_frames] == [message(1), message(2)]
    (one,) = taken(message(1)).pieces
    assert one.place == ""


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"FHS|^~\\&|LIS\r" + message(1), "not_closed"),
        (b"BHS|^~\\&|LIS\r" + message(1), "not_closed"),
        (framed(message(1)) + b"\x0b" + message(2), "framing"),
        (framed(message(1)) + b"rubbish", "framing"),
    ],
)
def test_half_a_batch_is_not_taken(content: bytes, word: str) -> None:
    with pytest.raises(FileRefused) as told:
        taken(content)
    assert words(told) == [word]


def test_counts_that_disagree_are_told_and_taken() -> None:
    found = taken(b"BHS|^~\\&|LIS\r" + message(1) + b"BTS|2\r")
    assert len(found.pieces) == 1
    assert found.problems[0].word == "batch"


def test_one_message_that_nobody_can_read_among_others() -> None:
    broken = message(2).replace(b"P2", b"\xff\xfe\xfa")
    pieces = taken(message(1) + broken + message(3)).pieces
    assert [bool(piece.unreadable) for piece in pieces] == [False, True, False]
    with pytest.raises(FileRefused) as told:
        taken(broken)
    assert words(told) == ["unreadable"]


def test_real_messages_are_taken_whole(realdata: Path) -> None:
    files = sorted((realdata / "hl7v2" / "fhir-converter").glob("*.hl7"))
    assert len(files) > 100
    refused = 0
    for file in files:
        content = file.read_bytes()
        try:
            pieces = taken(content, file.name).pieces
        except FileRefused:
            refused += 1
            continue
        assert b"".join(piece.body for piece in pieces) in content.removeprefix(b"\xef\xbb\xbf") + b"\r"
        assert all(piece.about for piece in pieces)
    assert refused <= 2


def test_real_documents_are_taken_whole(realdata: Path) -> None:
    files = sorted((realdata / "cda").rglob("*.xml"))
    assert len(files) >= 20
    refused: list[str] = []
    for file in files:
        content = file.read_bytes()
        try:
            (piece,) = taken(content, file.name, limits=Limits(16 << 20, 1, 1)).pieces
        except FileRefused:
            refused.append(file.name)
            continue
        assert piece.body == content
        assert piece.about == "ClinicalDocument"
    assert len(refused) <= 1


def test_real_tables_are_taken_whole_and_read_by_their_lines(realdata: Path) -> None:
    """Visits and measurements as another system exports them."""
    files = sorted((realdata / "visits-synthea-omop").rglob("*.csv"), key=lambda path: path.stat().st_size)[-6:]
    assert files
    for file in files:
        content = file.read_bytes()
        (piece,) = taken(content, file.name, limits=Limits(64 << 20, 1, 1)).pieces
        assert (piece.body, piece.about) == (content, "csv")
        delimiter = max(",;\t", key=content[:2000].decode().count)
        rows = format_of("csv", Options(delimiter=delimiter)).read(content).records("")
        assert abs(len(rows) - (content.count(b"\n") - 1)) <= 1, file.name


# -- archives (threat C6)


def test_an_archive_is_its_files() -> None:
    content = zipped({"b/检验.xml": XML, "a.hl7": message(1) + message(2)})
    pieces = taken(content, "a.zip").pieces
    assert [(piece.place, piece.about) for piece in pieces] == [
        ("b/检验.xml", "bg"), ("a.hl7#1", "ORU^R01"), ("a.hl7#2", "ORU^R01"),
    ]  # fmt: skip


def test_names_in_gbk_without_a_flag_are_names() -> None:
    """誠's second byte in GBK is a backslash."""
    name = "誠.xml".encode("gbk")
    assert b"\\" in name
    content = zipped({"__.xml": XML}).replace(b"__.xml", name[:2] + b".xml")
    (piece,) = taken(content).pieces
    assert piece.place == "誠.xml"


TRAVERSALS = ["../a.xml", "/etc/a.xml", "a/../../b.xml", "..\\a.xml", "C:\\a.xml", "C:a.xml", "a/./../..//b.xml", "..", "a\\..\\b"]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_path_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(FileRefused) as told:
        taken(zipped({"good.xml": XML, name: XML}))
    assert words(told) == ["zip_path"]


def test_a_link_in_an_archive_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("a.xml")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(FileRefused) as told:
        taken(packed.getvalue())
    assert words(told) == ["zip_link"]


def test_a_bomb_is_refused_by_its_directory() -> None:
    with pytest.raises(FileRefused) as told:
        taken(zipped({"a.xml": b"\0" * (3 << 20)}))
    assert words(told) == ["zip_ratio"]


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks() -> None:
    honest = zipped({"a.xml": b"<a>" + b"\0" * (3 << 20)})
    lying = honest.replace(struct.pack("<L", (3 << 20) + 3), struct.pack("<L", 1000))
    assert lying != honest
    with pytest.raises(FileRefused):
        taken(lying)


def test_caps_of_archives() -> None:
    long = Random(2).randbytes(1000) * 1000
    cases = {
        "zip_entries": zipped({f"{n}.xml": XML for n in range(11)}),
        "zip_unpacked": zipped({f"{n}.csv": long[:900_000] + b"%d" % n for n in range(5)}),
        "zip_nested": zipped({"inner.zip": zipped({"a.xml": XML})}),
        "too_large": zipped({"a.csv": Random(1).randbytes((1 << 20) + 1)}),
        "zip_nothing": zipped({"folder/": b""}),
    }
    for word, content in cases.items():
        with pytest.raises(FileRefused) as told:
            taken(content)
        assert word in words(told), word
    assert len(taken(zipped({f"{n}.xml": XML for n in range(10)})).pieces) == 10, "one fewer is taken"


def test_an_archive_with_one_bad_file_is_refused_whole_and_says_all() -> None:
    with pytest.raises(FileRefused) as told:
        taken(zipped({"a.xml": XML, "b.xml": b"<b", "c.json": b"{", "d.xml": b""}))
    assert words(told) == ["unreadable", "unreadable", "empty"]


def test_an_encrypted_archive_is_told() -> None:
    import pyzipper

    packed = io.BytesIO()
    with pyzipper.AESZipFile(packed, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("a.xml", XML)
    with pytest.raises(FileRefused) as told:
        taken(packed.getvalue())
    assert words(told) == ["encrypted"]


# -- reasons


def test_every_reason_is_said_in_both_languages() -> None:
    for word, (chinese, english) in TEXTS.items():
        assert chinese.count("{") == english.count("{"), word
        said = reason(word, *"12345"[: chinese.count("{")])
        assert said.said("zh") != said.said("en")
    whole = reason_file((reason("zip_entry", 3, inner=reason("empty")),), "2026-11-21T10:00:00+08:00").decode(
        "utf-8-sig"
    )
    assert "压缩包第 3 个文件：文件是空的。" in whole
    assert "File 3 of the archive: The file is empty." in whole
