"""A study goes to a third party without its identity, compressed, and is proven there by the UIDs that it has there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest

from connectors.dicomweb.stow import qido_or_none
from frontend_agent.config_images import StowOutlet
from frontend_agent.imaging.sending import StudySender
from frontend_agent.imaging.variants import variants
from tests.instances_made import as_file, ct
from tests.orthanc_kit import Orthanc, orthanc, orthanc_is_here
from tests.study_kit import Kept

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not orthanc_is_here(), reason="Orthanc is not installed")]


@pytest.fixture
def third_party() -> Iterator[Orthanc]:
    with orthanc() as running:
        yield running


def test_a_third_party_gets_a_study_without_its_identity(tmp_path: Path, third_party: Orthanc) -> None:
    original = ct(1, rows=64)
    options = StowOutlet(
        type="stow", url=third_party.dicomweb, deidentified=True, pseudonym_key="research", deidentify=("modified-dates",), compress="rle",
        ask_every=timedelta(seconds=1),
    )  # fmt: skip
    with Kept(tmp_path / "state") as kept:
        for number in (1, 2, 3):
            one = ct(1, rows=64, SOPInstanceUID=f"1.2.826.0.1.3680043.10.99.1.1.{number}", InstanceNumber=number)
            writer = kept.desk.begin_file("pacs", sender="PACS")
            writer.write(as_file(one))
            writer.keep().result(10)
        study = kept.book.study_of(original.StudyInstanceUID)
        assert study is not None
        assert kept.checked(study, "research")
        instead = variants(
            "research",
            options,
            tmp_path / "state",
            {"research": "a secret of the hospital, 32 bytes"}.__getitem__,
            lambda uid: False,
        )
        sender = StudySender(
            "research",
            options,
            qido_or_none("research", options, str),
            kept.book,
            kept.spool,
            kept.clock,
            "Asia/Shanghai",
            instead,
        )

        assert sender.send_once() == 3
        assert len(third_party.instance_uids()) == 3
        kept.clock.now += timedelta(minutes=1)
        assert sender.prove_once() == 3

        assert kept.book.stands(study.id) == {"research": {"delivered": 3}}
        assert instead is not None
        instead.close()
    assert list((tmp_path / "state" / "images" / "made").rglob("*.dcm")) == []
    for uid in third_party.instance_uids():
        file = tmp_path / "got.dcm"
        file.write_bytes(third_party.file(uid))
        data = pydicom.dcmread(file)
        assert data.PatientIdentityRemoved == "YES"
        assert data.StudyInstanceUID != original.StudyInstanceUID
        assert data.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
        assert data.pixel_array.tobytes() == original.PixelData
        assert str(original.PatientName).encode("gb18030") not in file.read_bytes()
