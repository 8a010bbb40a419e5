"""Synthetic instances of synthetic patients, for what is made of instances: every text that names somebody is listed."""

import io
from random import Random
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
_SURNAMES, _GIVEN = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红"


def ct(number: int = 1, *, rows: int = 16, frames: int = 1, **more: Any) -> Dataset:
    """A CT slice of a patient by number: the same number is the same slice."""
    random = Random(number)
    data = Dataset()
    data.SpecificCharacterSet = more.pop("SpecificCharacterSet", "GB18030")
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SOPClassUID = CT
    data.SOPInstanceUID = f"1.2.826.0.1.3680043.10.99.{number}.1.1"
    data.StudyDate, data.StudyTime, data.ContentDate, data.AcquisitionDateTime = (
        "20240315",
        "101112",
        "20240315",
        "20240315101112.5",
    )
    data.AccessionNumber = f"ACC{random.randrange(10**7):07}"
    data.Modality, data.Manufacturer, data.InstitutionName = "CT", "Synthetic", "第一人民医院放射科"
    data.ReferringPhysicianName, data.StudyDescription = _name(random), "胸部平扫"
    data.PatientName, data.PatientID = _name(random), f"PAT{random.randrange(10**8):08}"
    data.PatientBirthDate, data.PatientSex, data.PatientAge = (
        f"19{random.randrange(10, 99)}0{random.randrange(1, 9)}1{random.randrange(9)}",
        "F",
        "097Y",
    )
    data.OtherPatientIDs, data.PatientAddress = (
        f"4401{random.randrange(10**14):014}",
        f"花园路{random.randrange(1000, 9999)}号",
    )
    data.PatientTelephoneNumbers = f"139{random.randrange(10**8):08}"
    data.BodyPartExamined, data.ProtocolName = "CHEST", f"{data.PatientName} 胸部"
    data.ImageComments = f"{data.PatientName} {data.PatientTelephoneNumbers} 复查"
    data.StudyInstanceUID = f"1.2.826.0.1.3680043.10.99.{number}"
    data.SeriesInstanceUID, data.FrameOfReferenceUID = (
        f"1.2.826.0.1.3680043.10.99.{number}.1",
        f"1.2.826.0.1.3680043.10.99.{number}.9",
    )
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "S1", 1, number
    nested = Dataset()
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = CT, data.SOPInstanceUID
    nested.PersonName = data.PatientName
    data.ReferencedImageSequence = Sequence([nested])
    request = Dataset()
    request.RequestingPhysician, request.RequestedProcedureDescription = _name(random), f"{data.PatientName} CT"
    data.RequestAttributesSequence = Sequence([request])
    # a text that no table speaks of, and what no dictionary knows
    data.add_new(0x0018_1040, "LO", f"{data.PatientName} {data.PatientID}")
    block = data.private_block(0x0029, "SYNTHETIC HEADER", create=True)
    block.add_new(0x10, "LO", str(data.PatientName))
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    if frames > 1:
        data.NumberOfFrames = frames
    data.Rows = data.Columns = rows
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleIntercept, data.RescaleSlope = -1024, 1
    data.PixelData = b"".join((at // rows + number).to_bytes(2, "little") for at in range(rows * rows * frames))
    data["PixelData"].VR = "OW"
    for keyword, value in more.items():
        setattr(data, keyword, value)
    return data


def _name(random: Random) -> str:
    return random.choice(_SURNAMES) + "".join(random.choices(_GIVEN, k=2))


def as_file(data: Dataset, transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """As a file; in big endian its words are swapped, as they must be."""
    if transfer_syntax_uid == BIG:
        words = data.PixelData
        data.PixelData = b"".join(words[at + 1 : at + 2] + words[at : at + 1] for at in range(0, len(words), 2))
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = transfer_syntax_uid
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
        data.SOPClassUID,
        data.SOPInstanceUID,
    )
    data.file_meta.ImplementationClassUID = "1.2.3"
    held = io.BytesIO()
    dcmwrite(held, data, enforce_file_format=True)
    return held.getvalue()
