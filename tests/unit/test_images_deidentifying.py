"""De-identified instances (PS3.15 annex E): what goes, what stays, and that nobody is left in them."""

import io
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pydicom
import pytest

from frontend_agent.deidentifying import Pseudonyms
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import NoInstance, meta, read_meta
from frontend_agent.dicom.rewriting import chunks
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.deidentifying import (
    OPTIONS,
    CannotDeidentify,
    Profile,
    deidentified,
    direct_identifiers,
    reason_cannot,
    reason_pixels_stay,
    subject_of,
    table,
)
from tests.conftest import shared_folder
from tests.instances_made import BIG, DEFLATED, EXPLICIT, IMPLICIT, as_file, ct

KEY = b"a secret of the hospital, 32 bytes"
BASIC = Profile(KEY)


def without(file: bytes, profile: Profile = BASIC) -> pydicom.Dataset:
    return read(left(file, profile))


def left(file: bytes, profile: Profile = BASIC) -> bytes:
    """The de-identified file."""
    said = read_meta(file)
    header = read_header(file, said.transfer_syntax_uid, said.data_set_at)
    made = deidentified(file, said.transfer_syntax_uid, said.data_set_at, profile, subject_of(header))
    body = b"".join(chunks(made.pieces, lambda start, end: bytes(made.data[start:end])))
    return meta(header.sop_class_uid, profile.uid(header.sop_instance_uid), said.transfer_syntax_uid) + body


def read(file: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(io.BytesIO(file), force=True)
        for _ in data.iterall():
            pass
    return data


def plain(file: bytes) -> bytes:
    """Its bytes without its pixels, inflated where it was deflated: where identifiers are looked for."""
    said = read_meta(file)
    body = file[said.data_set_at :]
    body = zlib.decompress(body, -zlib.MAX_WBITS) if said.transfer_syntax_uid == DEFLATED else body
    pixels = read(file).get("PixelData")
    return body.replace(pixels, b"") if pixels else body


CHARSETS = (
    "utf-8",
    "gb18030",
    "euc-kr",
    "shift_jis",
    "iso2022_jp",
    "latin-1",
    "iso8859-5",
    "iso8859-6",
    "iso8859-7",
    "iso8859-8",
)


def found_in(body: bytes, identifiers: list[str], charsets: Sequence[str] = ("gb18030", "utf-8")) -> list[str]:
    """Which of them stand in the bytes, in any of the character sets."""
    return [one for one in identifiers if any(_holds(body, one, charset) for charset in charsets)]


def _holds(body: bytes, text: str, charset: str) -> bool:
    try:
        written = text.encode(charset)
    except UnicodeEncodeError:
        return False
    if not text.isascii():
        return written in body
    # Latin ones as words: LI is in LIVER.
    return (
        written in body and re.search(rb"(?<![A-Za-z0-9])" + re.escape(written) + rb"(?![A-Za-z0-9])", body) is not None
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_a_patient_is_not_found_any_more_and_the_pixels_are_the_same(syntax: str) -> None:
    file = as_file(ct(1), syntax)
    original, made = read(file), without(file)

    assert made.PixelData == original.PixelData
    assert made.PatientName == made.PatientID == Pseudonyms(KEY).of(original.PatientID)
    assert made.AccessionNumber == Pseudonyms(KEY).of(original.AccessionNumber, 16)
    assert (made.PatientBirthDate, made.StudyDate, made.ContentDate) == ("", "", "19000101")
    assert "PatientAddress" not in made
    assert "RequestAttributesSequence" not in made
    assert not [element for element in made if element.tag.is_private]
    assert (
        made.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        == made.SOPInstanceUID
        == made.file_meta.MediaStorageSOPInstanceUID
    )
    assert made.SOPInstanceUID not in (original.SOPInstanceUID, "")
    assert made.SOPClassUID == original.SOPClassUID
    assert (made.PatientIdentityRemoved, made.LongitudinalTemporalInformationModified) == ("YES", "REMOVED")
    assert [code.CodeValue for code in made.DeidentificationMethodCodeSequence] == ["113100"]
    assert not found_in(plain(left(file)), names_of(file))


def names_of(file: bytes) -> list[str]:
    said = read_meta(file)
    return direct_identifiers(file, said.transfer_syntax_uid, said.data_set_at)


def test_a_thousand_patients_are_not_found_and_keep_apart() -> None:
    pseudonyms, uids = set(), set()
    for number in range(1000):
        file = as_file(ct(number, rows=2))
        made = left(file)
        identifiers = names_of(file)
        assert len(identifiers) >= 8
        assert not found_in(made, identifiers), number
        header = read_header(made, EXPLICIT, read_meta(made).data_set_at)
        pseudonyms.add(header.patient_id)
        uids |= {header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid}
    assert (len(pseudonyms), len(uids)) == (1000, 3000)


def test_the_same_patient_is_the_same_pseudonym_by_the_same_key_only() -> None:
    file, other = as_file(ct(1)), as_file(ct(2, PatientID=ct(1).PatientID))
    assert without(file).PatientID == without(other).PatientID
    assert left(file) == left(file)
    assert without(file, Profile(KEY[::-1])).PatientID != without(file).PatientID
    assert without(file, Profile(KEY[::-1])).StudyInstanceUID != without(file).StudyInstanceUID


def test_a_text_that_no_table_knows_keeps_what_names_nobody() -> None:
    data = ct(1)
    data.add_new(0x0018_1040, "LO", f"{data.PatientName}, 增强扫描, 电话 13912345678")
    assert without(as_file(data))[0x0018_1040].value == "***, 增强扫描, 电话 ***"


def test_dates_move_together_and_by_whole_weeks() -> None:
    made = without(as_file(ct(1)), Profile(KEY, ("modified-dates",)))
    moved = date(2024, 3, 15) - date.fromisoformat(made.StudyDate)
    assert moved.days % 7 == 0
    assert moved.days > 0
    assert made.ContentDate == made.StudyDate
    assert made.StudyTime == "101112"
    assert made.AcquisitionDateTime == f"{made.StudyDate}101112.5"
    assert made.PatientBirthDate == ""
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"


def test_options_keep_what_they_name() -> None:
    profile = Profile(
        KEY, ("retain-dates", "retain-uids", "retain-patient", "retain-institution", "clean-descriptions")
    )
    original = ct(1)
    made = without(as_file(original), profile)
    assert made.StudyDate == "20240315"
    assert made.StudyInstanceUID == original.StudyInstanceUID
    assert (made.PatientSex, made.PatientAge) == ("F", "090Y")  # so old are few
    assert made.StudyDescription == "胸部平扫"
    assert made.ImageComments == "*** *** 复查"
    assert made.PatientName != original.PatientName
    assert made.PatientBirthDate == ""
    assert {code.CodeValue for code in made.DeidentificationMethodCodeSequence} == {
        "113100",
        *(OPTIONS[one][1] for one in profile.options),
    }


def test_a_structured_report_loses_its_words() -> None:
    report = ct(1)
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    del report.PixelData
    words, person = pydicom.Dataset(), pydicom.Dataset()
    words.ValueType, words.TextValue = "TEXT", f"患者 {report.PatientName} 右肺结节"
    person.ValueType, person.PersonName = "PNAME", report.PatientName
    concept = pydicom.Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "121071", "DCM", "Finding"
    words.ConceptNameCodeSequence = [concept]
    report.ContentSequence = [words, person]

    made = without(as_file(report))
    assert [made.ContentSequence[0].TextValue, made.ContentSequence[1].PersonName] == ["REMOVED", "ANONYMOUS"]
    assert made.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning == "Finding"
    cleaned = without(as_file(report), Profile(KEY, ("clean-structured",)))
    assert cleaned.ContentSequence[0].TextValue == "患者 *** 右肺结节"


def test_what_was_aligned_does_not_tell_the_original() -> None:
    data = ct(1)
    before = pydicom.Dataset()
    before.PatientName, before.PatientID = "旧名字", "OLD123456"
    changed = pydicom.Dataset()
    changed.ModifiedAttributesSequence, changed.ReasonForTheAttributeModification = [before], "CORRECT"
    data.OriginalAttributesSequence = [changed]
    made = left(as_file(data))
    assert "OriginalAttributesSequence" not in read(made)
    assert not found_in(plain(made), ["旧名字", "OLD123456"])


def test_sequences_deeper_than_any_are_refused() -> None:
    encoded = b""
    for _ in range(300):
        item = b"\xfe\xff\x00\xe0" + len(encoded).to_bytes(4, "little") + encoded
        encoded = b"\x40\x00\x75\x02SQ\0\0" + len(item).to_bytes(4, "little") + item
    with pytest.raises((CannotDeidentify, DataSetMalformed), match="deeper"):
        deidentified(encoded, EXPLICIT, 0, BASIC, subject_of(Header(patient_id="1")))


def test_pixels_that_may_show_a_name_wait_for_a_person() -> None:
    shown = Header(sop_class_uid="1.2.840.10008.5.1.4.1.1.7", modality="OT", has_pixel_data=True)
    assert "BurnedInAnnotation does not say NO" in reason_pixels_stay(shown)
    assert not reason_pixels_stay(
        Header(sop_class_uid=shown.sop_class_uid, has_pixel_data=True, burned_in_annotation="NO")
    )
    assert "says YES" in reason_pixels_stay(
        Header(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", burned_in_annotation="YES")
    )
    assert not reason_pixels_stay(Header(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", modality="CT", has_pixel_data=True))
    assert "document" in reason_cannot(Header(sop_class_uid="1.2.840.10008.5.1.4.1.1.104.1"))


@pytest.mark.parametrize(
    ("key", "options", "said"),
    [
        (b"short", (), "shorter"),
        (KEY, ("retain-everything",), "unknown option"),
        (KEY, ("retain-dates", "modified-dates"), "contradict"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(key: bytes, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Profile(key, options)


def test_the_table_is_that_of_its_edition() -> None:
    rows = table()
    assert len(rows) == 655
    assert rows[0x0010_0010][0] == "Z"
    assert rows[0x0010_0020][0] == "Z/D"
    assert rows["60xx3000"][0] == "X"
    assert rows[0x0008_0020][1] == {"dates": "K", "modified": "C"}


# --- real files -------------------------------------------------------------------------------------------------------


def real_files() -> Iterator[Path]:
    for path in sorted((shared_folder() / "realdata" / "dicom").rglob("*")):
        if path.is_file() and path.suffix not in (".txt", ".json", ".dump", ".gz"):
            yield path


@pytest.mark.parametrize(
    "options", [(), ("clean-descriptions", "clean-structured", "modified-dates", "retain-device", "retain-patient")]
)
def test_nobody_of_the_real_files_is_found_any_more(options: tuple[str, ...]) -> None:
    if not (shared_folder() / "realdata" / "dicom").is_dir():
        pytest.skip("the real files are not here")
    profile = Profile(KEY, options)
    made, refused = 0, 0
    for path in real_files():
        file = path.read_bytes()
        try:
            identifiers, without_them = names_of(file), left(file, profile)
        except (NoInstance, HeaderUnreadable, DataSetMalformed, CannotDeidentify):
            refused += 1  # it is refused, and goes nowhere
            continue
        # Three letters (LUT of the name Modality^LUT^Test) stand in words of codes, too.
        assert not found_in(plain(without_them), [one for one in identifiers if len(one) > 3 or not one.isascii()]), (
            path.name
        )
        data = read(without_them)
        assert data.PatientIdentityRemoved == "YES"
        before, after = read(file).get("PixelData") or b"", data.get("PixelData") or b""
        assert len(before) == len(after)
        # The same, but for zeros where a camera or an encoder wrote something beside the picture.
        assert before == after or all(b == a or not a for b, a in zip(before, after, strict=True)), path.name
        made += 1
    assert made >= 165
    assert refused <= 40
