"""Studies that can be looked at, on a platform: a phantom with something to see, key images, a document, a real CT, hostile names."""

from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from frontend_agent.model import Document
from frontend_agent.platform.rendering.notes import KEY_OBJECT
from frontend_agent.platform.store import Store
from frontend_agent.wire.images import IndexedInstance, IndexedSeries, StudyIndex
from tests.conftest import shared_folder
from tests.dicom_kit import CT, MULTI_FRAME, data_set, file_bytes, uid
from tests.platform_kit import HOSPITAL, HOSTILE, document, lab_record

CHINESE = "Zhang^Xiaoman=张^小满"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SLICES, FRAMES = 24, 8
COMMON = {
    "SpecificCharacterSet": "GB18030", "PatientName": CHINESE, "PatientID": "M0000001", "StudyDescription": "胸部CT平扫",
    "InstitutionName": "示范县人民医院", "ReferringPhysicianName": "Li^Weidong=李^卫东", "BodyPartExamined": "CHEST",
}  # fmt: skip


def phantom(number: int, side: int = 256) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Hounsfield units: a body of 40, two lungs of -800, a spine of 700, in air. What is seen moves with the slice."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    values = np.full((side, side), -1000, np.int16)
    values[(x / 0.42) ** 2 + (y / 0.32) ** 2 < 1] = 40
    for left in (-0.18, 0.18):
        values[((x - left) / 0.13) ** 2 + ((y + 0.02) / (0.08 + 0.006 * number)) ** 2 < 1] = -800
    values[x**2 + (y - 0.2) ** 2 < 0.004] = 700
    return values


def slice_of(number: int, study: int = 1, series: int = 1, **more: Any) -> bytes:
    pixels = phantom(number)
    values = {
        **COMMON, "Rows": 256, "Columns": 256, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "RescaleSlope": 1, "RescaleIntercept": 0,
        "WindowCenter": 40, "WindowWidth": 400, "PixelSpacing": [1.4, 1.4], "SliceThickness": 5, "SeriesDescription": "肺 5mm",
        "ImagePositionPatient": [-180, -180, -5 * number], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "FrameOfReferenceUID": uid(study, 99), "PixelData": pixels.tobytes(), **more,
    }  # fmt: skip
    return file_bytes(data_set(study, series, number, sop_class=CT, pixels=0, **values))


def loop(study: int = 1, series: int = 2, **more: Any) -> bytes:
    """A multi-frame object of which each frame is brighter."""
    frames = np.stack([np.full((64, 64), 30 * frame, np.uint8) for frame in range(FRAMES)])
    values = {
        **COMMON, "Rows": 64, "Columns": 64, "NumberOfFrames": FRAMES, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
        "PixelRepresentation": 0, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "WindowCenter": 128,
        "WindowWidth": 256, "PixelData": frames.tobytes(), "SeriesDescription": "cine", "Modality": "US", **more,
    }  # fmt: skip
    return file_bytes(data_set(study, series, 1, sop_class=MULTI_FRAME, pixels=0, **values))


def code(value: str, meaning: str) -> list[Dataset]:
    one = Dataset()
    one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning = value, "DCM", meaning
    return [one]


def key_note(numbers: list[int], study: int = 1, text: str = "右肺下叶结节,请结合临床", title: str = "113002") -> bytes:
    """A key object that chooses slices of the study's first series."""
    evidence, series = Dataset(), Dataset()
    evidence.StudyInstanceUID, series.SeriesInstanceUID = uid(study), uid(study, 1)
    series.ReferencedSOPSequence, items = [], []
    description = Dataset()
    description.ValueType, description.RelationshipType, description.TextValue = "TEXT", "CONTAINS", text
    description.ConceptNameCodeSequence = code("113012", "Key Object Description")
    items.append(description)
    for number in numbers:
        image, chosen = Dataset(), Dataset()
        chosen.ReferencedSOPClassUID, chosen.ReferencedSOPInstanceUID = CT, uid(study, 1, number)
        image.ValueType, image.RelationshipType, image.ReferencedSOPSequence = "IMAGE", "CONTAINS", [chosen]
        series.ReferencedSOPSequence.append(chosen)
        items.append(image)
    evidence.ReferencedSeriesSequence = [series]
    values = {
        **COMMON, "Modality": "KO", "ValueType": "CONTAINER", "ContinuityOfContent": "SEPARATE",
        "ConceptNameCodeSequence": code(title, "For Referring Provider"), "ContentSequence": items,
        "CurrentRequestedProcedureEvidenceSequence": [evidence],
    }  # fmt: skip
    return file_bytes(data_set(study, 3, 1, sop_class=KEY_OBJECT, pixels=0, **values))


def enclosed_pdf(study: int = 1) -> bytes:
    values = {
        **COMMON, "Modality": "DOC", "EncapsulatedDocument": PDF + b"\0" * (len(PDF) % 2), "SeriesDescription": "报告单",
        "MIMETypeOfEncapsulatedDocument": "application/pdf", "EncapsulatedDocumentLength": len(PDF),
    }  # fmt: skip
    return file_bytes(data_set(study, 4, 1, sop_class="1.2.840.10008.5.1.4.1.1.104.1", pixels=0, **values))


def report(number: int = 1, institution: str = HOSPITAL, **changes: Any) -> Document:
    """An exam report whose order number is the study's accession number."""
    record = lab_record(number, institution, **changes)
    for name in ("items", "report_result"):
        record.pop(name)
    record |= {
        "request_number": f"A{number:08d}", "symptom_description": "咳嗽", "chief_complaint": "发热、咳嗽3天",
        "examining_doctor.id": "D021", "examining_doctor.name": "王秀兰", "examining_doctor.time": "20260930103000",
        "objective": "胸廓对称,右肺下叶见结节影。", "subjective": "右肺下叶结节。",
        "items": [{"code": "CT01", "name": "胸部CT平扫", "examined_on": "20260930", "result": "右肺下叶结节"}],
    }  # fmt: skip
    return document(number, kind="C0006", institution=institution, record=record)


def put(store: Store, content: bytes, institution: str = HOSPITAL) -> str:
    """Store a file; its SOP Instance UID."""
    writer = store.images.begin_file(institution, sender="test")
    writer.write(content)
    kept = writer.keep().result(20)
    assert kept.is_stored, kept.reasons
    return kept.sop_instance_uid


def real_ct() -> bytes | None:
    """A CT slice of a real machine, or None where the third-party data is missing."""
    path = shared_folder() / "realdata" / "dicom" / "pydicom" / "test_files" / "CT_small.dcm"
    return path.read_bytes() if path.is_file() else None


def fill(store: Store) -> dict[str, str]:
    """Everything of above. Names -> Study Instance UIDs."""
    for number in range(1, SLICES + 1):
        put(store, slice_of(number))
    for content in (loop(), key_note([6, 12, 99]), enclosed_pdf()):
        put(store, content)
    studies = {"phantom": uid(1)}
    hostile = {"PatientName": HOSTILE[:60], "StudyDescription": HOSTILE[:60], "SeriesDescription": HOSTILE[:60], "InstitutionName": HOSTILE[:60], "AccessionNumber": "'\"><b>"}  # fmt: skip
    put(store, slice_of(1, study=7, **hostile))
    studies["hostile"] = uid(7)
    index = StudyIndex(
        institution=HOSPITAL, study_instance_uid=uid(8), study_date="20260929", study_time="090000", patient_name=CHINESE,
        patient_id="M0000001", accession_number="A00000008", study_description="头颅MR平扫", patient_sex="F",
        series=(IndexedSeries(series_instance_uid=uid(8, 1), modality="MR", series_number="1",
                              instances=(IndexedInstance(sop_instance_uid=uid(8, 1, 1)),)),),
    )  # fmt: skip
    store.images.put_index(index)
    studies["indexed"] = uid(8)
    if real := real_ct():
        from io import BytesIO

        put(store, real)
        studies["real"] = dcmread(BytesIO(real)).StudyInstanceUID
    return studies
