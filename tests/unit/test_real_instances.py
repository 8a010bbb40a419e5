"""Every file of realdata/dicom goes in and comes out byte-equal in its data set, or is refused with its reason."""

from pathlib import Path

import pytest

from connectors.arrivals import Kept as Fate
from connectors.instances import InstanceRefused
from frontend_agent.dicom.part10 import read_meta
from tests.study_kit import Kept

NO_DICOM = "it is no DICOM file"
NO_STUDY = "study_instance_uid is no UID, or missing"
NO_INSTANCE = "it has no SOP Instance UID"
# Everything that is not taken in, and why. Two are cut off, one lies about its encoding, one has no meta information and is big endian,
# the DICOMDIRs are directories, and those without UIDs were made to test readers.
REFUSED = {
    "LICENSE.pydicom-data.MIT.txt": NO_DICOM,
    "LICENSE.pydicom.txt": NO_DICOM,
    "pydicom/charset_files/FileInfo.txt": NO_DICOM,
    "pydicom/charset_files/chrSQEncoding.dcm": NO_STUDY,
    "pydicom/charset_files/chrSQEncoding1.dcm": NO_STUDY,
    "pydicom/test_files/ExplVR_BigEndNoMeta.dcm": NO_DICOM,
    "pydicom/test_files/MR_truncated.dcm": "it is cut off",
    "pydicom/test_files/README.txt": NO_DICOM,
    "pydicom/test_files/SC_rgb_jpeg.dcm": "has no value representation that there is",
    "pydicom/test_files/UN_sequence.dcm": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-bigEnd": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-empty.dcm": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-implicit": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-nooffset": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-nopatient": NO_STUDY,
    "pydicom/test_files/dicomdirtests/DICOMDIR-reordered": NO_STUDY,
    "pydicom/test_files/dicomdirtests/README.txt": NO_DICOM,
    "pydicom/test_files/dicomdirtests/TINY_ALPHA/DICOMDIR": NO_STUDY,
    "pydicom/test_files/dicomdirtests/TINY_ALPHA/README": NO_DICOM,
    "pydicom/test_files/empty_charset_LEI.dcm": NO_INSTANCE.replace("Instance", "Class"),
    "pydicom/test_files/meta_missing_tsyntax.dcm": "names no transfer syntax",
    "pydicom/test_files/nested_priv_SQ.dcm": NO_INSTANCE.replace("Instance", "Class"),
    "pydicom/test_files/no_meta.dcm": NO_DICOM,
    "pydicom/test_files/no_meta_group_length.dcm": NO_STUDY,
    "pydicom/test_files/priv_SQ.dcm": NO_STUDY,
    "pydicom/test_files/rtplan.dump": NO_DICOM,
    "pydicom/test_files/rtplan_truncated.dcm": "it is cut off",
    "pydicom/test_files/rtstruct.dump": NO_DICOM,
    "pydicom/test_files/test1.json": NO_DICOM,
    "pydicom/test_files/test_PN.json": NO_DICOM,
    "pydicom/test_files/zipMR.gz": NO_DICOM,
    "pydicom-data/HTJ2KLossless_08_RGB.dcm": NO_STUDY,
    "pydicom-data/HTJ2K_08_RGB.dcm": NO_STUDY,
    "pydicom-data/JLSL_08_07_0_1F.dcm": NO_STUDY,
    "pydicom-data/JLSL_16_15_1_1F.dcm": NO_STUDY,
    "pydicom-data/JLSL_RGB_ILV0.dcm": NO_INSTANCE,
    "pydicom-data/bad_sequence.dcm": NO_INSTANCE,
}


def test_every_real_file_is_kept_as_it_is_or_refused_with_its_reason(realdata: Path, tmp_path: Path):
    root = realdata / "dicom"
    refused: dict[str, str] = {}
    kept = 0
    with Kept(tmp_path) as bench:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            raw = path.read_bytes()
            try:
                writer = bench.desk.begin_file("pacs", sender=path.name)
                writer.write(raw)
                answer = writer.keep().result(20)
            except InstanceRefused as error:
                refused[path.relative_to(root).as_posix()] = str(error)
                continue
            kept += 1
            [stored] = [
                one for one in _instances(bench, answer.header.study_instance_uid) if one.sha256 == answer.sha256
            ]
            file = bench.book.path(stored, as_it_came=True)
            assert file is not None
            ours, theirs = file.read_bytes(), raw[read_meta(raw).data_set_at :]
            assert ours[read_meta(ours).data_set_at :] == theirs, path.name
            assert answer.kept in (Fate.KEPT, Fate.DUPLICATE, Fate.CONFLICT)

    assert set(refused) == set(REFUSED)
    for name, reason in REFUSED.items():
        assert reason in refused[name], (name, refused[name])
    assert kept == 171


def _instances(bench: Kept, study_instance_uid: str):
    study = bench.book.study_of(study_instance_uid)
    assert study is not None
    return bench.book.instances(study.id)


@pytest.mark.parametrize("at", [0, 1, 131, 132, 200, 400, 700, 1000])
def test_a_file_that_is_cut_anywhere_is_refused(realdata: Path, tmp_path: Path, at: int):
    raw = (realdata / "dicom/pydicom/test_files/CT_small.dcm").read_bytes()
    with Kept(tmp_path) as bench:
        writer = bench.desk.begin_file("pacs", sender="x")
        writer.write(raw[:at])
        with pytest.raises(InstanceRefused):
            writer.keep().result(20)
