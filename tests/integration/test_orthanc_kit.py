"""The Orthanc of the tests speaks what the tests of images expect of it."""

from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.orthanc_kit import needs_orthanc, orthanc

pytestmark = [pytest.mark.slow, needs_orthanc]


def _instance() -> tuple[str, bytes]:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = generate_uid(), generate_uid(), "P1"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
    out = BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return ds.SOPInstanceUID, out.getvalue()


def test_an_orthanc_starts_keeps_an_instance_and_forgets_it() -> None:
    uid, file = _instance()
    with orthanc() as pacs:
        pacs.add(file)
        assert pacs.instance_uids() == {uid}
        assert set(pacs.files()) == {uid}
        found = pacs.session.get(f"{pacs.dicomweb}/instances", headers={"Accept": "application/dicom+json"}).json()
        assert [one["00080018"]["Value"] for one in found] == [[uid]]
        ae = AE("SOMEONE")
        ae.add_requested_context(Verification)
        association = ae.associate("127.0.0.1", pacs.dicom_port, ae_title=pacs.title)
        assert association.send_c_echo().Status == 0
        association.release()
        pacs.knows("FRONTEND", 11112)
        assert pacs.get("/modalities/frontend/configuration")["AET"] == "FRONTEND"
        pacs.clear()
        assert pacs.count() == 0
