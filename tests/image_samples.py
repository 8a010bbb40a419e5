"""Small instances for tests of images, as files of ours: made with pydicom, spoilt as bytes where pydicom would not write it."""

import io
import zlib

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_LE

CT = "1.2.840.10008.5.1.4.1.1.2"


def ct_slice(
    number: int,
    *,
    syntax: str = EXPLICIT_LE,
    charset: str | None = None,
    raw_name: bytes = b"",
    series: str = "1.2.3.1",
    rows: int = 8,
    deep: int = 0,
    **attributes,
) -> bytes:
    """A CT slice of 8 × 8 pixels that PS3.3 asks nothing more of. `raw_name`: the bytes of PatientName. `deep`: sequences nested."""
    dataset = Dataset()
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, f"1.2.3.1.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", series
    dataset.PatientName, dataset.PatientID = "@" * len(raw_name), "H100"
    dataset.PatientBirthDate, dataset.PatientSex = "19800101", "M"
    dataset.StudyDate, dataset.StudyTime = "20261120", "100000"
    dataset.ReferringPhysicianName = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 1, number
    dataset.PatientPosition, dataset.Manufacturer, dataset.FrameOfReferenceUID = "HFS", "", "1.2.3.9"
    dataset.PositionReferenceIndicator, dataset.ImageType = "", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 1
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, number]
    dataset.KVP, dataset.AcquisitionNumber = 120, 1
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = bytes(8 * 8 * 2)
    dataset["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    inner: list[Dataset] = []
    for _ in range(deep):
        level = Dataset()
        level.ReferencedStudySequence = inner
        inner = [level]
    if deep:
        dataset.ReferencedStudySequence = inner
    return part10(dataset, syntax, raw_name)


def part10(dataset: Dataset, syntax: str = EXPLICIT_LE, raw_name: bytes = b"") -> bytes:
    """The file that we would keep of it."""
    sop_class, instance = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LE if syntax == DEFLATED_LE else syntax)
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = sop_class, instance
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    raw = out.getvalue()
    data = raw[read_meta(raw).data_set_at :]
    if raw_name:
        data = data.replace(b"@" * len(raw_name), raw_name)
    if syntax == DEFLATED_LE:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflater.compress(data) + deflater.flush()
    return meta(sop_class, instance, syntax) + data
