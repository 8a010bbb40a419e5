"""Instances that we make: data sets of little, with what is large behind them, streamed.

    uid_of              a UID made of a text, always the same
    whose               patient and study of an order, as every IOD begins (PS3.3 C.7.1.1, C.7.2.1)
    encoded             the data set in explicit VR little endian

What we make is always the same for the same things: made twice, it is the same instance and the same bytes (law 2).
"""

import io
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset

from frontend_agent.imaging.model import Order

SEXES = {"1": "M", "2": "F", "9": "O", "0": ""}  # GB/T 2261.1 → PS3.3 C.7.1.1; 0: not known, which DICOM leaves empty
MANUFACTURER = "FRONTEND_AGENT"
CHINESE = "GB18030"  # PS3.3 C.12.1.1.2


class Made(NamedTuple):
    """An instance that was made, before it is handed over: its data set is `head`, the chunks of `body`, `tail`."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    head: bytes
    body: Sequence[bytes] = ()
    tail: bytes = b""


def uid_of(*parts: str) -> str:
    """A UID made of texts (2.25 and a UUID as a number, PS3.5 B.2): always the same for the same texts."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(parts)).int}"


def whose(order: Order, study_instance_uid: str) -> Dataset:
    """Patient and study, as an order says them. What it does not say is empty where the IOD asks for the attribute (type 2)."""
    data = Dataset()
    data.PatientName = order.patient_name
    data.PatientID = order.patient_id
    if order.patient_id and order.issuer_of_patient_id:
        data.IssuerOfPatientID = order.issuer_of_patient_id
    data.PatientBirthDate = order.birth_date[:8]
    data.PatientSex = SEXES.get(order.sex, "")
    data.StudyInstanceUID = study_instance_uid
    data.StudyDate = order.performed_at[:8]
    data.StudyTime = order.performed_at[8:14]
    data.ReferringPhysicianName = ""
    data.StudyID = ""
    data.AccessionNumber = order.accession_number
    return data


def encoded(data: Dataset) -> bytes:
    """As explicit VR little endian; texts that are not ASCII by GB18030."""
    if not all(str(element.value).isascii() for element in data.iterall() if element.VR in _TEXTS):
        data.SpecificCharacterSet = CHINESE
    buffer = io.BytesIO()
    file = DicomIO(buffer)
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, data)
    return buffer.getvalue()


_TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
