"""Changing what an instance says of its patient: others read the new values, the old ones are kept and can be put back."""

import io
from contextlib import suppress

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from frontend_agent.dicom.elements import walk
from frontend_agent.dicom.header import HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import NoInstance, meta, read_meta
from frontend_agent.dicom.rewriting import chunks, opened, together
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, encoding_of
from frontend_agent.imaging.changing import CannotChange, Change, changed, restored

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE)
US = "FRONTEND_AGENT 45601"
NAME, ID, ISSUER, SEX, ACCESSION = 0x0010_0010, 0x0010_0020, 0x0010_0021, 0x0010_0040, 0x0008_0050


def change(charset: str = "", universal_id: str = "", **values: str) -> Change:
    tags = {"name": NAME, "id": ID, "issuer": ISSUER, "sex": SEX, "accession": ACCESSION}
    return Change(
        {tags[key]: value for key, value in values.items()}, universal_id, charset, "20261120101500+0800", US, "PACS1"
    )


def instance(
    syntax: str = EXPLICIT_LE, charset: str | None = None, raw_name: bytes = b"ZHANG^SAN", **attributes
) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "@" * len(raw_name), "P1", "CT"
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "1", "#" * len(raw_name)
    dataset.ProcedureCodeSequence = [code]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    dataset.Rows = dataset.Columns = 2
    dataset.PixelData = b"\1\2\3\4"
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = CT, "1.2.3.1.1"
    out = io.BytesIO()
    plain = dataset.save_as
    if syntax == DEFLATED_LE:
        dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LE)
    plain(out, enforce_file_format=True)
    raw = out.getvalue()
    data = raw[read_meta(raw).data_set_at :]
    data = data.replace(b"@" * len(raw_name), raw_name).replace(b"#" * len(raw_name), raw_name)
    if syntax == DEFLATED_LE:
        import zlib

        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
    return meta(CT, "1.2.3.1.1", syntax) + data


def written(data: bytes, what: Change) -> bytes:
    return b"".join(chunks(changed(data, what), lambda start, end: data[start:end]))


def put_back(data: bytes) -> bytes:
    return together(data, restored(data, US))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_of_the_order_are_read_by_others_and_the_old_ones_stand_beside_them(syntax):
    new = written(instance(syntax), change(name="张三", id="H100", issuer="HIS", universal_id="2.16.156.1"))

    dataset = pydicom.dcmread(io.BytesIO(new))
    assert (str(dataset.PatientName), dataset.PatientID, dataset.IssuerOfPatientID) == ("张三", "H100", "HIS")
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    qualifier = dataset.IssuerOfPatientIDQualifiersSequence[0]
    assert (qualifier.UniversalEntityID, qualifier.UniversalEntityIDType) == ("2.16.156.1", "ISO")
    [original] = dataset.OriginalAttributesSequence
    assert (original.ModifyingSystem, original.SourceOfPreviousValues) == (US, "PACS1")
    assert original.ReasonForTheAttributeModification == "COERCE"
    assert original.AttributeModificationDateTime == "20261120101500+0800"
    before = original.ModifiedAttributesSequence[0]
    assert (str(before.PatientName), before.PatientID, before.IssuerOfPatientID) == ("ZHANG^SAN", "P1", None or "")
    assert dataset.PixelData == b"\1\2\3\4"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_was_changed_can_be_put_back(syntax):
    data = instance(syntax)
    for what in (
        change(name="张三", id="H100"),
        change(id="H100"),
        change(issuer="HIS", universal_id="2.16.156.1"),
        change(name="张三", charset="GB18030"),
        change(charset="GB18030"),
    ):
        again = put_back(written(data, what))

        def plain(raw):
            return together(*(lambda d, e, at: (d, [d[at:]]))(*opened(raw, syntax, read_meta(raw).data_set_at)))

        assert plain(again) == plain(data)


def test_the_same_change_makes_the_same_bytes():
    assert written(instance(), change(name="张三")) == written(instance(), change(name="张三"))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_wrong_label_is_corrected_without_touching_a_text(syntax):
    name = "张三".encode("gbk")
    data = instance(syntax, "ISO_IR 100", name)

    new = written(data, change(charset="GB18030"))

    dataset = pydicom.dcmread(io.BytesIO(new))
    assert str(dataset.PatientName) == "张三"
    assert dataset.ProcedureCodeSequence[0].CodeMeaning == "张三"  # in a sequence, too
    [original] = dataset.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "CORRECT"
    assert original.ModifiedAttributesSequence[0].SpecificCharacterSet == "ISO_IR 100"
    assert read_header(*_plain(new, syntax)).patient_name == "张三"
    assert _plain(put_back(new), syntax)[0] == _plain(data, syntax)[0]


def _plain(raw: bytes, syntax: str) -> tuple[bytes, str]:
    data, _, at = opened(raw, syntax, read_meta(raw).data_set_at)
    return bytes(data[at:]), EXPLICIT_LE if syntax == DEFLATED_LE else syntax


def test_a_label_and_a_name_are_changed_at_once_and_put_back_one_after_the_other():
    data = instance(EXPLICIT_LE, "ISO_IR 100", "张三".encode("gbk"))

    new = written(data, change(charset="GB18030", name="张叁"))

    dataset = pydicom.dcmread(io.BytesIO(new))
    assert str(dataset.PatientName) == "张叁"
    correct, coerce = dataset.OriginalAttributesSequence
    assert correct.ReasonForTheAttributeModification == "CORRECT"
    assert str(coerce.ModifiedAttributesSequence[0].PatientName) == "张三"
    assert put_back(new) == data


@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE])
def test_texts_of_another_set_are_written_anew_where_the_name_needs_it(syntax):
    data = instance(syntax, "ISO_IR 100", "Müller".encode("latin-1"))

    new = written(data, change(name="Müller=张三"))

    dataset = pydicom.dcmread(io.BytesIO(new))
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert str(dataset.PatientName) == "Müller=张三"
    assert dataset.ProcedureCodeSequence[0].CodeMeaning == "Müller"
    before = dataset.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (before.SpecificCharacterSet, str(before.PatientName)) == ("ISO_IR 100", "Müller")
    assert put_back(new) == data


def test_an_item_with_a_character_set_of_its_own_keeps_it():
    code = Dataset()
    code.SpecificCharacterSet, code.CodeMeaning = "GB18030", "胸部"
    data = instance(EXPLICIT_LE, "ISO_IR 100", "Müller".encode("latin-1"), ConceptNameCodeSequence=[code])

    dataset = pydicom.dcmread(io.BytesIO(written(data, change(name="张三"))))

    assert dataset.ConceptNameCodeSequence[0].CodeMeaning == "胸部"
    assert dataset.ConceptNameCodeSequence[0].SpecificCharacterSet == "GB18030"


def test_what_others_had_changed_before_is_kept():
    earlier = Dataset()
    earlier.ModifyingSystem, earlier.ReasonForTheAttributeModification = "PACS", "COERCE"
    data = instance(OriginalAttributesSequence=[earlier])

    new = written(data, change(id="H1"))

    assert [one.ModifyingSystem for one in pydicom.dcmread(io.BytesIO(new)).OriginalAttributesSequence] == ["PACS", US]
    assert put_back(new) == data


def test_a_text_that_cannot_be_read_is_not_written_anew():
    data = instance(EXPLICIT_LE, "", "张三".encode("gbk"))

    with pytest.raises(CannotChange, match="cannot be written"):
        changed(data, change(name="李四"))


@given(st.binary(max_size=300))
def test_any_bytes_are_changed_or_refused(noise):
    data = meta(CT, "1.2.3.1.1", EXPLICIT_LE) + noise
    with suppress(CannotChange, NoInstance):
        changed(data, change(name="张三"))


def test_real_files_are_changed_and_put_back(realdata):
    back, refused = 0, set()
    for path in sorted((realdata / "dicom").rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        try:
            found = read_meta(raw)
            read_header(raw, found.transfer_syntax_uid, found.data_set_at)
        except (NoInstance, HeaderUnreadable):
            continue
        data = meta("1.2", "1.2.3", found.transfer_syntax_uid) + raw[found.data_set_at :]
        try:
            new = written(data, change(name="张三", id="H100", issuer="HIS"))
        except CannotChange as error:
            refused.add((path.name, str(error)))
            continue
        header = read_header(new, found.transfer_syntax_uid, read_meta(new).data_set_at)
        assert (header.patient_name, header.patient_id, header.issuer_of_patient_id) == ("张三", "H100", "HIS"), (
            path.name
        )
        syntax = found.transfer_syntax_uid
        if "ISO 2022" in read_header(data, syntax, read_meta(data).data_set_at).specific_character_set:
            with suppress(
                CannotChange
            ):  # its escape sequences can be set in several ways: the file as it came has them
                put_back(new)
            continue
        assert _without_empty(put_back(new), syntax) == _without_empty(data, syntax), path.name
        back += 1
    assert back > 100
    assert refused == set()


def _without_empty(raw: bytes, syntax: str) -> dict[int, bytes]:
    """Its elements, without those that may be there without a value or not be there, and group lengths: some makers count wrongly."""
    plain, walked = _plain(raw, syntax)
    found = {one.tag: bytes(plain[one.at : one.end]) for one in walk(plain, encoding_of(walked)) if one.tag & 0xFFFF}
    empty = {tag for tag in (0x0008_0005, NAME, ID, ISSUER) if tag in found and len(found[tag]) == 8}
    return {tag: value for tag, value in found.items() if tag not in empty}
