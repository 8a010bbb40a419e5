"""Orthanc as a client of our DICOMweb: it stores to the platform, searches there and retrieves."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from frontend_agent.platform.store import Store
from frontend_agent.wire.images import dicomweb_path
from tests.dicom_kit import JPEG_BASELINE, data_set, encapsulated, file_bytes, uid
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.platform_kit import HOSPITAL, running

pytestmark = [pytest.mark.slow, needs_orthanc]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


@pytest.fixture
def pacs(store: Store) -> Iterator[Orthanc]:
    with running(store) as url, orthanc() as found:
        base = f"{url}{dicomweb_path(HOSPITAL)}/"
        found.session.put(f"{found.dicomweb}/servers/region", json={"Url": base}, timeout=30).raise_for_status()
        yield found


def test_orthanc_stores_to_us_searches_here_and_gets_the_same_back(store: Store, pacs: Orthanc, tmp_path: Path) -> None:
    files = [file_bytes(data_set(1, 1, number)) for number in (1, 2)]
    jpeg = b"\xff\xd8\xff\xe0" + bytes(60) + b"\xff\xd9"
    squeezed = data_set(1, 2, 1, pixels=0, Rows=4, Columns=4, SamplesPerPixel=1, BitsAllocated=8, NumberOfFrames=1)
    files.append(file_bytes(encapsulated(squeezed, [jpeg]), JPEG_BASELINE))
    for number, content in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(content)
        pacs.add(tmp_path / f"{number}.dcm")

    def asked(what: str, **question: object) -> object:
        told = pacs.session.post(f"{pacs.dicomweb}/servers/region/{what}", json=question, timeout=60)
        assert told.status_code == 200, f"{what}: {pacs.log()[-1500:]}"
        return told.json()

    asked("stow", Resources=pacs.get("/studies"), Synchronous=True)
    assert [one.sop_instance_uid for one in store.images.find(uid(1))] == [uid(1, 1, 1), uid(1, 1, 2), uid(1, 2, 1)]
    (found,) = asked("qido", Uri="/studies", Arguments={"PatientID": "P00000001"})  # type: ignore[misc]
    assert (found["00080050"]["Value"], found["00100010"]["Value"]) == ("A00000001", "SYNTHETIC^ONE")

    before = pacs.files()
    for one in pacs.get("/studies"):
        pacs.session.delete(f"{pacs.url}/studies/{one}", timeout=30).raise_for_status()
    asked("retrieve", Resources=[{"Study": uid(1)}], Synchronous=True)

    after = pacs.files()
    assert after.keys() == before.keys()
    stored = {one.sop_instance_uid: one.sha256 for one in store.images.find(uid(1))}
    assert after == stored  # byte for byte what we gave
    assert sha256(files[0]).hexdigest() == before[uid(1, 1, 1)]
