"""Changing elements of a data set as bytes: nothing else of it changes, in every transfer syntax."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from frontend_agent.dicom.elements import DEEPEST, DataSetMalformed, walk
from frontend_agent.dicom.header import HeaderUnreadable, read_header
from frontend_agent.dicom.nesting import is_sequence, items, vr_of
from frontend_agent.dicom.part10 import NoInstance, read_meta
from frontend_agent.dicom.rewriting import (
    as_implicit,
    chunks,
    closed,
    element,
    opened,
    sequence,
    size,
    spliced,
    together,
)
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, encoding_of
from tests.conftest import shared_folder

SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)


def encoded(dataset: Dataset, syntax: str) -> bytes:
    out = io.BytesIO()
    pydicom.filewriter.write_dataset(_file(out, encoding_of(syntax)), dataset)
    return out.getvalue()


def _file(out: io.BytesIO, encoding):
    file = pydicom.filebase.DicomFileLike(out)
    file.is_implicit_VR, file.is_little_endian = encoding.is_implicit, not encoding.is_big_endian
    return file


def decoded(data: bytes, syntax: str) -> Dataset:
    encoding = encoding_of(syntax)
    return pydicom.filereader.read_dataset(
        io.BytesIO(data), encoding.is_implicit, not encoding.is_big_endian, bytelength=len(data)
    )


def sample() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.1"
    dataset.PatientName = "ZHANG^SAN"
    dataset.PatientID = "P1"
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T-1", "chest"
    dataset.ProcedureCodeSequence = [code, code]
    dataset.Rows, dataset.Columns, dataset.BitsAllocated = 4, 4, 8
    dataset.PixelData = bytes(range(16))
    dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_one_element_is_changed_and_all_others_are_the_bytes_they_were(syntax):
    data, encoding = encoded(sample(), syntax), encoding_of(syntax)
    name = element(encoding, 0x00100010, "PN", b"LI^SI=x")

    pieces = spliced(
        data, encoding, 0, insert={0x00100010: name, 0x00100021: element(encoding, 0x00100021, "LO", b"HIS")}
    )
    written = b"".join(chunks(pieces, lambda start, end: data[start:end]))

    expected = sample()
    expected.PatientName, expected.IssuerOfPatientID = "LI^SI=x", "HIS"
    assert written == encoded(expected, syntax)
    assert size(pieces) == len(written)
    assert sum(isinstance(piece, bytes) for piece in pieces) == 2  # everything else is copied from where it lies


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_not_changed_keeps_its_bytes_and_taking_away_takes_one_element(syntax):
    data, encoding = encoded(sample(), syntax), encoding_of(syntax)

    assert spliced(data, encoding, 0) == [(0, len(data))]
    without = together(data, spliced(data, encoding, 0, lambda one: b"" if one.tag == 0x00100020 else None))

    expected = sample()
    del expected.PatientID
    assert without == encoded(expected, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_group_lengths_are_made_right_again(syntax):
    encoding = encoding_of(syntax)
    body = element(encoding, 0x00100010, "PN", b"A") + element(encoding, 0x00100020, "LO", b"P1")
    length = struct.pack(">I" if encoding.is_big_endian else "<I", len(body))
    data = element(encoding, 0x00100000, "UL", length) + body + element(encoding, 0x00280010, "US", b"\1\0")

    written = together(
        data, spliced(data, encoding, 0, insert={0x00100010: element(encoding, 0x00100010, "PN", b"A" * 40)})
    )

    [first, *rest] = walk(written, encoding)
    said = struct.unpack(">I" if encoding.is_big_endian else "<I", written[first.start : first.end])[0]
    assert said == sum(one.end - one.at for one in rest if one.tag >> 16 == 0x10)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_sequences_are_read_and_written_as_others_read_them(syntax):
    data, encoding = encoded(sample(), syntax), encoding_of(syntax)
    [found] = [one for one in walk(data, encoding) if is_sequence(one)]
    spans = list(items(data, encoding, found))

    assert len(spans) == 2
    assert [vr_of(one) for one in walk(data, encoding, spans[0].start, end=spans[0].end)] == ["SH", "LO"]
    again = sequence(encoding, found.tag, [bytes(data[span.start : span.end]) for span in spans])
    assert again == data[found.at : found.end]


def test_items_of_undefined_length_are_the_same_items():
    explicit = encoding_of(EXPLICIT_LE)
    content = element(explicit, 0x00080100, "SH", b"T-1 ")
    end = bytes.fromhex("feff0de000000000")
    value = (
        bytes.fromhex("feff00e0ffffffff")
        + content
        + end
        + bytes.fromhex("feff00e0")
        + struct.pack("<I", len(content))
        + content
    )
    data = bytes.fromhex("08003210") + b"SQ\0\0\xff\xff\xff\xff" + value + bytes.fromhex("feffdde000000000")

    [found] = walk(data, explicit)

    assert [bytes(data[s.start : s.end]) for s in items(data, explicit, found)] == [content, content]


def test_a_deflated_data_set_is_changed_within_bounds():
    plain = encoded(sample(), EXPLICIT_LE)
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(plain) + deflater.flush()

    inside, encoding, at = opened(data, DEFLATED_LE, 0)
    pieces = spliced(inside, encoding, at, insert={0x00100020: element(encoding, 0x00100020, "LO", b"P2")})
    [written] = closed(inside, pieces, DEFLATED_LE)

    assert read_header(written, DEFLATED_LE).patient_id == "P2"
    with pytest.raises(HeaderUnreadable, match="more than"):
        opened(data, DEFLATED_LE, 0, most=100)
    with pytest.raises(HeaderUnreadable, match="cut off"):
        opened(data[:-20], DEFLATED_LE, 0)


def test_a_value_that_is_too_long_for_its_representation_is_told():
    with pytest.raises(ValueError, match="too long"):
        element(encoding_of(EXPLICIT_LE), 0x00100010, "PN", b"x" * 70_000)


def test_sequences_deeper_than_any_real_one_end_the_walk():
    explicit = encoding_of(EXPLICIT_LE)
    data = b""
    for _ in range(DEEPEST + 5):
        data = bytes.fromhex("08003210") + b"SQ\0\0\xff\xff\xff\xff" + bytes.fromhex("feff00e0ffffffff") + data
        data += bytes.fromhex("feff0de000000000feffdde000000000")

    with pytest.raises(DataSetMalformed, match="deeper"):
        spliced(data, explicit, 0)


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_any_bytes_are_walked_to_an_end_or_to_a_reason(data, syntax):
    try:
        pieces = spliced(
            data, encoding_of(syntax), 0, insert={0x00100020: element(encoding_of(syntax), 0x00100020, "LO", b"X")}
        )
    except DataSetMalformed:
        return
    assert size(pieces) >= len(data)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_flipped_byte_never_does_more_than_end_the_walk(place, value):
    data = bytearray(encoded(sample(), EXPLICIT_LE))
    data[place % len(data)] = value
    try:
        for one in walk(bytes(data), encoding_of(EXPLICIT_LE)):
            if is_sequence(one):
                list(items(bytes(data), encoding_of(EXPLICIT_LE), one))
    except DataSetMalformed:
        pass


def real_files() -> list[Path]:
    folder = shared_folder() / "realdata" / "dicom"
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def test_real_files_differ_in_the_changed_element_only():
    files = real_files()
    if not files:
        pytest.skip("no realdata/dicom beside this checkout")
    changed = 0
    for path in files:
        raw = path.read_bytes()
        try:
            meta = read_meta(raw)
            data, encoding, at = opened(raw, meta.transfer_syntax_uid, meta.data_set_at)
            pieces = spliced(data, encoding, at, insert={0x00100020: element(encoding, 0x00100020, "LO", b"CHANGED1")})
        except (NoInstance, HeaderUnreadable, DataSetMalformed):
            continue  # test_real_instances.py has the table of those, with their reasons
        written = together(data, pieces)
        before = {one.tag: bytes(data[one.at : one.end]) for one in walk(data, encoding, at)}
        after = {one.tag: bytes(written[one.at : one.end]) for one in walk(written, encoding)}
        lengths = {0x00100000}
        assert {t: v for t, v in after.items() if t not in {0x00100020} | lengths} == {
            t: v for t, v in before.items() if t not in {0x00100020} | lengths
        }, path.name
        changed += 1
    assert changed > 150


def implicit(data: bytes) -> bytes:
    return together(data, as_implicit(data, 0))


def test_explicit_vr_is_written_as_implicit_vr_with_the_same_values():
    dataset = sample()
    inner = Dataset()
    inner.ProcedureCodeSequence = [*dataset.ProcedureCodeSequence, Dataset()]
    dataset.ReferencedStudySequence = [inner]
    dataset.ProcedureCodeSequence.is_undefined_length = True
    dataset.ConceptNameCodeSequence = []
    dataset.add_new(0x00091001, "UN", b"private!")
    data = encoded(dataset, EXPLICIT_LE)

    written = implicit(data)

    assert decoded(written, IMPLICIT_LE) == decoded(encoded(dataset, IMPLICIT_LE), IMPLICIT_LE)
    assert decoded(written, IMPLICIT_LE).PixelData == dataset.PixelData


def test_group_lengths_are_left_out_and_private_sequences_are_seen_in_implicit_vr():
    inner = Dataset()
    inner.add_new(0x00091002, "LO", "deep")
    dataset = sample()
    dataset.add_new(0x00090010, "LO", "MAKER")
    dataset.add_new(0x00091001, "SQ", [inner])
    data = element(encoding_of(EXPLICIT_LE), 0x00080000, "UL", b"\x99\0\0\0") + encoded(dataset, EXPLICIT_LE)

    found = decoded(implicit(data), IMPLICIT_LE)

    assert (0x0008, 0x0000) not in found
    assert found[0x0009, 0x1001].VR == "SQ"
    assert found[0x0009, 0x1001].value[0][0x0009, 0x1002].value in ("deep", b"deep")


def test_large_values_are_copied_from_where_they_lie():
    dataset = sample()
    dataset.PixelData = bytes(10_000)
    pieces = as_implicit(encoded(dataset, EXPLICIT_LE), 0)
    assert [piece.end - piece.start for piece in pieces if not isinstance(piece, bytes)] == [10_000]


@given(st.binary(max_size=200))
def test_any_bytes_are_written_as_implicit_vr_or_refused(noise):
    with suppress(DataSetMalformed):
        implicit(encoded(sample(), EXPLICIT_LE)[:60] + noise)


def test_fragments_are_not_written_as_implicit_vr():
    dataset = sample()
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    with pytest.raises(DataSetMalformed, match="compressed"):
        implicit(encoded(dataset, EXPLICIT_LE))


def test_real_files_are_the_same_in_implicit_vr():
    folder = shared_folder() / "realdata" / "dicom"
    if not folder.is_dir():
        pytest.skip("no realdata/dicom beside this checkout")
    tried = 0
    for path in sorted(folder.rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        try:
            told = read_meta(raw)
        except NoInstance:
            continue
        if told.transfer_syntax_uid != EXPLICIT_LE:
            continue
        data = raw[told.data_set_at :]
        try:
            before = {one.tag: one for one in walk(data, encoding_of(EXPLICIT_LE))}
            written = implicit(data)
        except DataSetMalformed:
            continue
        after = {one.tag: one for one in walk(written, encoding_of(IMPLICIT_LE))}
        assert set(after) == {tag for tag in before if tag & 0xFFFF}, path.name
        for tag, one in after.items():
            if before[tag].vr != "SQ":
                old = before[tag]
                assert written[one.start : one.end] == data[old.start : old.end], (path.name, hex(tag))
        assert encoded_same(decoded(data, EXPLICIT_LE), decoded(written, IMPLICIT_LE)), path.name
        tried += 1
    assert tried > 5


def encoded_same(one: Dataset, other: Dataset) -> bool:
    """Sequences item by item, public elements by their values."""
    for element_ in one:
        if element_.VR == "SQ" and not element_.tag.is_private:
            others = other[element_.tag].value
            if len(element_.value) != len(others) or not all(map(encoded_same, element_.value, others)):
                return False
    return True
