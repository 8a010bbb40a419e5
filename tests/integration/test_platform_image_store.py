"""The platform's store of images: what it takes, what it answers, and what a crash or a lost index leaves."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.model import Outcome
from frontend_agent.platform.images.catalogue import StudySearch
from frontend_agent.platform.images.store import Kept
from frontend_agent.platform.store import Store, StoreFull
from frontend_agent.wire.images import IndexedInstance, IndexedSeries, StudyIndex

HOSPITAL, OTHER = "12345678-9", "98765432-1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def slice_of(number: int = 1, study: str = "1.2.3", series: str = "1.2.3.1", **changes: Any) -> bytes:
    """A CT slice as a file."""
    ds = Dataset()
    ds.SpecificCharacterSet = "GB18030"
    ds.SOPClassUID, ds.SOPInstanceUID = CT, f"{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260930", "101500", "ACC1"
    ds.Modality, ds.PatientName, ds.PatientID = "CT", "Zhang^Xiaoman=张^小满", "P1"
    ds.SeriesNumber, ds.InstanceNumber = 2, number
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 16, 12, 11, 0
    ds.PixelData = bytes(range(128))
    for name, value in changes.items():
        setattr(ds, name, value)
    file = FileDataset("", ds, preamble=b"MZ" + bytes(126))
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID, file.file_meta.MediaStorageSOPInstanceUID = CT, ds.SOPInstanceUID
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.ImplementationClassUID = "1.2.3.4"
    written = io.BytesIO()
    pydicom.dcmwrite(written, file, enforce_file_format=True)
    return written.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


def put(store: Store, content: bytes, institution: str = HOSPITAL, step: int = 100) -> Kept:
    writer = store.images.begin_file(institution, sender="test")
    for at in range(0, len(content), step):
        writer.write(content[at : at + step])
    return writer.keep().result(10)


def files(store: Store) -> list[Path]:
    return sorted(
        path for path in (store.folder / "images").rglob("*") if path.is_file() and path.name != "institution"
    )


def test_an_instance_is_stored_with_its_data_set_as_it_came_and_a_file_head_of_ours(store: Store) -> None:
    content = slice_of()

    kept = put(store, content)

    assert kept.outcome == Outcome.STORED
    (instance,) = store.images.find("1.2.3")
    with store.images.read(instance) as file:
        stored = file.read()
    before = read_meta(content)
    assert stored == meta(CT, "1.2.3.1.1", ExplicitVRLittleEndian) + content[before.data_set_at :]
    assert stored[:2] != b"MZ"
    assert (instance.sha256, instance.size) == (kept.sha256, len(stored))
    (study,) = store.images.studies(StudySearch())
    assert (study.patient_name, study.modalities, study.series, study.instances, study.held) == (
        "Zhang^Xiaoman=张^小满", "CT", 1, 1, 1,
    )  # fmt: skip


def test_the_same_again_is_the_same_answer_and_other_bytes_are_refused(store: Store) -> None:
    first = put(store, slice_of())

    again, other = put(store, slice_of()), put(store, slice_of(PatientID="P2"))

    assert (again.outcome, again.sha256) == (Outcome.DUPLICATE, first.sha256)
    assert other.outcome == Outcome.REFUSED
    assert other.reasons == ("conflict: this instance is here with other bytes",)
    (conflict,) = store.images.conflicts()
    assert (conflict.sop_instance_uid, conflict.sha256, conflict.times) == ("1.2.3.1.1", other.sha256, 1)
    assert [path.stem for path in files(store)] == [first.sha256]
    assert put(store, slice_of(PatientID="P2"), OTHER).outcome == Outcome.STORED  # another hospital's is its own


def test_many_at_a_time_are_each_answered_and_counted(store: Store) -> None:
    results: list[Kept] = []

    def send(series: int) -> None:
        for number in range(1, 21):
            results.append(put(store, slice_of(number, series=f"1.2.3.{series}", SeriesNumber=series)))

    threads = [threading.Thread(target=send, args=(series,)) for series in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {one.outcome for one in results} == {Outcome.STORED}
    (study,) = store.images.studies_of("1.2.3")
    assert (study.series, study.instances, study.held, study.bytes) == (3, 60, 60, sum(one.size for one in results))
    (tally,) = store.images.tallies()
    assert (tally.studies, tally.instances, tally.held, tally.bytes) == (1, 60, 60, study.bytes)
    assert [one.instances for one in store.images.series_of(study.id)] == [20, 20, 20]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no DICOM file: neither a file meta information nor a data set begins it"),
        (b"hello" * 100, "it is no DICOM file: neither a file meta information nor a data set begins it"),
        (slice_of()[:-40], "(7FE0,0010) at byte"),
        (slice_of(SeriesInstanceUID=""), "series_instance_uid is no UID, or missing"),
        (slice_of(StudyInstanceUID="../../etc"), "study_instance_uid is no UID, or missing"),
    ],
)
def test_what_is_no_instance_is_refused_with_its_reason_and_leaves_nothing(
    store: Store, content: bytes, reason: str
) -> None:
    kept = put(store, content)

    assert kept.outcome == Outcome.REFUSED
    assert any(one.startswith(reason) for one in kept.reasons), kept.reasons
    assert files(store) == []


def test_what_is_begun_and_not_kept_leaves_nothing(store: Store) -> None:
    writer = store.images.begin_file(HOSPITAL, sender="test")
    writer.write(slice_of())
    assert len(files(store)) == 1
    writer.abort()
    assert files(store) == []


def test_a_lost_index_is_made_again_from_the_files(tmp_path: Path) -> None:
    first = Store(tmp_path).open()
    for number in range(1, 6):
        put(first, slice_of(number))
    put(first, slice_of(1), OTHER)
    before = [first.images.instances_of(study.id) for study in first.images.studies(StudySearch())]
    first.close()
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()

    again = Store(tmp_path).open()

    after = [again.images.instances_of(study.id) for study in again.images.studies(StudySearch())]
    assert again.images.adopted == 6
    told = [
        sorted((i.institution, i.sop_instance_uid, i.sha256, i.size) for one in some for i in one)
        for some in (before, after)
    ]
    assert told[0] == told[1]
    assert put(again, slice_of(3)).outcome == Outcome.DUPLICATE
    again.close()


def test_a_file_that_was_placed_and_not_committed_is_indexed_at_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    put(store, slice_of(1))
    store._db.execute("CREATE TEMP TRIGGER fails BEFORE INSERT ON instance BEGIN SELECT RAISE(ABORT, 'no'); END")
    writer = store.images.begin_file(HOSPITAL, sender="test")
    writer.write(slice_of(2))
    with pytest.raises(Exception, match="no"):
        writer.keep().result(10)
    store.close()

    again = Store(tmp_path).open()

    assert again.images.adopted == 1
    assert [one.sop_instance_uid for one in again.images.find("1.2.3")] == ["1.2.3.1.1", "1.2.3.1.2"]
    again.close()


def test_a_disk_that_is_nearly_full_takes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, least_free=1 << 60).open()
    with pytest.raises(StoreFull):
        store.images.begin_file(HOSPITAL, sender="test")
    store.close()


def index_of(numbers: range, **changes: Any) -> StudyIndex:
    instances = tuple(
        IndexedInstance(sop_instance_uid=f"1.2.3.1.{n}", sop_class_uid=CT, sha256="0" * 64, size=9, rows=8, columns=8)
        for n in numbers
    )
    series = IndexedSeries(series_instance_uid="1.2.3.1", modality="CT", instances=instances)
    values: dict[str, Any] = {"patient_name": "Zhang^Xiaoman=张^小满", "report_set_id": "C0006-X", **changes}
    return StudyIndex(institution=HOSPITAL, study_instance_uid="1.2.3", series=(series,), **values)


def test_a_study_known_by_its_index_is_asked_for_until_all_of_it_is_here(store: Store) -> None:
    said = store.images.put_index(index_of(range(1, 4)))
    assert (said.instances, said.held, said.wanted) == (3, 0, False)

    assert store.images.want("1.2.3", why="asked by a doctor") == 1
    assert [one.study_instance_uid for one in store.images.wanted(HOSPITAL)] == ["1.2.3"]
    assert store.images.wanted(OTHER) == []
    put(store, slice_of(1))
    put(store, slice_of(2))
    assert [one.held for one in store.images.wanted(HOSPITAL)] == [2]
    put(store, slice_of(3))

    assert store.images.wanted(HOSPITAL) == []
    (study,) = store.images.studies_of_report(HOSPITAL, "C0006-X")
    assert (study.held, study.instances, study.availability) == (3, 3, "ONLINE")
    assert store.images.want("1.2.3") == 0  # there is nothing more to ask for


def test_the_newest_index_counts_and_takes_nothing_away_that_is_held(store: Store) -> None:
    store.images.put_index(index_of(range(1, 6)))
    put(store, slice_of(5))

    said = store.images.put_index(index_of(range(1, 3), patient_name="Zhang^Xiaoman=张^晓满"))

    assert (said.instances, said.held) == (3, 1)
    (study,) = store.images.studies_of("1.2.3")
    assert study.patient_name == "Zhang^Xiaoman=张^晓满"
    assert [(one.instance_number or one.sop_instance_uid, one.held) for one in store.images.find("1.2.3")] == [
        ("1.2.3.1.1", False), ("1.2.3.1.2", False), ("5", True),
    ]  # fmt: skip


def test_a_study_that_a_person_takes_away_is_gone_whole(store: Store) -> None:
    put(store, slice_of(1))
    put(store, slice_of(2))
    assert store.images.drop("1.2.3", HOSPITAL) == 2
    assert store.images.studies(StudySearch()) == []
    assert files(store) == []
    (tally,) = store.images.tallies()
    assert (tally.studies, tally.instances, tally.held, tally.bytes) == (0, 0, 0, 0)
