"""A PACS asked by DICOM: Orthanc and dcmqrscp answer what they have, and every instance comes as its bytes are."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.arrivals import InboxFull
from connectors.dicom.querying import DicomPacs, QueryOptions, storage_contexts
from connectors.dicom.requesting import Peer
from connectors.pacs import NotThere, Stretch, StudyQuery, TooManyAnswers
from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable
from tests.dicom_kit import (
    CT,
    JPEG_BASELINE,
    SECONDARY_CAPTURE,
    data_set,
    data_set_bytes,
    dcmqrscp,
    dcmsend,
    encapsulated,
    file_bytes,
    made,
    needs,
    uid,
)
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.pacs_kit import Shelf
from tests.ports import free_port

pytestmark = pytest.mark.slow
DAY = datetime(2026, 9, 30)


def asked(shelf: Shelf, port: int, title: str = "ORTHANC", **more: object) -> DicomPacs:
    options = QueryOptions(peer=Peer(title, "127.0.0.1", port), ae_title="FRONTEND", timeout=20, **more)  # type: ignore[arg-type]
    return DicomPacs(options, lambda *what: shelf.begin("pacs", *what, sender=title))


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc() as found:
        for study in range(1, 8):
            hour = f"{8 + study:02d}0000"
            for series, count in ((1, 3), (2, 2)):
                for number in range(1, count + 1):
                    found.add(file_bytes(data_set(study, series, number, StudyTime=hour, pixels=4096)))
        yield found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@needs_orthanc
class TestOrthanc:
    def test_studies_of_a_day_of_an_hour_and_of_a_number_are_found(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicom_port)
        day = asking.studies(StudyQuery(stretch=Stretch(DAY, DAY + timedelta(days=1))), 100)
        assert {one.study_instance_uid for one in day} == {uid(study) for study in range(1, 8)}
        assert {(one.series, one.instances) for one in day} == {(2, 5)}
        hours = Stretch(DAY + timedelta(hours=10), DAY + timedelta(hours=12))
        found = asking.studies(StudyQuery(stretch=hours), 100)
        assert {(one.study_instance_uid, one.at) for one in found} == {
            (uid(2), DAY + timedelta(hours=10)),
            (uid(3), DAY + timedelta(hours=11)),
        }
        assert all(one.has_time for one in found)
        (one,) = asking.studies(StudyQuery(accession_number="A00000004"), 10)
        assert (one.study_instance_uid, one.accession_number) == (uid(4), "A00000004")
        assert asking.studies(StudyQuery(accession_number="NOBODY"), 10) == []
        asking.close()

    def test_more_than_were_asked_for_are_not_told(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicom_port)
        whole = StudyQuery(stretch=Stretch(DAY, DAY + timedelta(days=1)))
        for most in (1, 3, 6):
            with pytest.raises(TooManyAnswers):
                asking.studies(whole, most)
        assert len(asking.studies(whole, 7)) == 7  # and it goes on answering
        asking.close()

    def test_what_a_study_holds_is_counted_by_series(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicom_port)
        found = asking.contents(uid(1))
        assert (dict(found.series), found.instances) == ({uid(1, 1): 3, uid(1, 2): 2}, 5)
        with pytest.raises(NotThere):
            asking.contents(uid(99))
        asking.close()

    def test_a_study_is_got_with_its_bytes(self, pacs: Orthanc, shelf: Shelf) -> None:
        asking = asked(shelf, pacs.dicom_port)
        told = asking.retrieve(uid(1))
        assert (told.completed, told.failed) == (5, 0)
        assert shelf.counts(uid(1)) == {uid(1, 1): 3, uid(1, 2): 2}
        expected = data_set_bytes(data_set(1, 2, 1, StudyTime="090000", pixels=4096))
        assert shelf.data_set(uid(1, 2, 1)) == expected
        assert not shelf.left_behind

    def test_a_series_is_got_alone(self, pacs: Orthanc, shelf: Shelf) -> None:
        assert asked(shelf, pacs.dicom_port).retrieve(uid(2), uid(2, 2)).completed == 2
        assert shelf.counts(uid(2)) == {uid(2, 2): 2}

    def test_compressed_pixels_come_as_they_are(self, pacs: Orthanc, shelf: Shelf) -> None:
        made_ = encapsulated(
            data_set(50, 1, 1, sop_class=SECONDARY_CAPTURE, pixels=0, Rows=8, Columns=8, SamplesPerPixel=1),
            [b"\xff\xd8 no real JPEG, and nobody decodes it \xff\xd9"],
        )
        pacs.add(file_bytes(made_, JPEG_BASELINE), file_bytes(data_set(50, 2, 1)))
        assert asked(shelf, pacs.dicom_port).retrieve(uid(50)).completed == 2
        assert shelf.kept[uid(50, 1, 1)].header.transfer_syntax_uid == JPEG_BASELINE
        assert shelf.data_set(uid(50, 1, 1)) == data_set_bytes(made_, JPEG_BASELINE)

    def test_a_full_disk_ends_the_retrieve_and_leaves_what_is_whole(self, pacs: Orthanc, shelf: Shelf) -> None:
        shelf.room = 3
        with pytest.raises(InboxFull):
            asked(shelf, pacs.dicom_port).retrieve(uid(3))
        assert len(shelf.kept) == 3
        assert not shelf.left_behind

    def test_a_destination_that_the_pacs_does_not_know_is_told_with_who_mends_it(
        self, pacs: Orthanc, shelf: Shelf
    ) -> None:
        with pytest.raises(SourceError, match="does it know the AE title FRONTEND"):
            asked(shelf, pacs.dicom_port, move_to="FRONTEND").retrieve(uid(1))

    def test_a_probe_says_what_is_wrong(self, pacs: Orthanc, shelf: Shelf) -> None:
        asked(shelf, pacs.dicom_port).probe()
        with pytest.raises(SourceUnreachable, match="no connection"):
            asked(shelf, free_port()).probe()


class TestDcmqrscp:
    """It counts nothing itself, and ignores what it does not know."""

    @pytest.fixture
    def port(self, tmp_path: Path) -> Iterator[int]:
        needs("dcmqrscp", "dcmsend")
        with dcmqrscp(tmp_path / "archive") as found:
            files = made(tmp_path / "files", studies=2, series=2, instances=3)
            assert dcmsend(found, *files, called="DCMQRSCP").code == 0
            yield found

    def test_a_study_is_counted_and_got(self, port: int, shelf: Shelf) -> None:
        asking = asked(shelf, port, "DCMQRSCP")
        found = asking.contents(uid(1))
        assert (dict(found.series), found.instances) == ({uid(1, 1): 3, uid(1, 2): 3}, 6)
        assert asking.retrieve(uid(1)).completed == 6
        assert shelf.counts(uid(1)) == {uid(1, 1): 3, uid(1, 2): 3}
        assert shelf.data_set(uid(1, 1, 1)) == data_set_bytes(data_set(1, 1, 1))
        asking.close()

    def test_it_is_asked_for_no_more_than_it_may_tell(self, port: int, shelf: Shelf) -> None:
        asking = asked(shelf, port, "DCMQRSCP")
        whole = StudyQuery(stretch=Stretch(DAY, DAY + timedelta(days=1)))
        with pytest.raises(TooManyAnswers):
            asking.studies(whole, 1)
        assert len(asking.studies(whole, 2)) == 2

    def test_a_title_that_it_does_not_have_is_refused(self, port: int, shelf: Shelf) -> None:
        with pytest.raises(SourceRefused, match="NOBODY"):
            asked(shelf, port, "NOBODY").probe()


def test_the_contexts_of_a_retrieve_fit_into_one_association() -> None:
    assert len(storage_contexts(())) == 127
    assert len(storage_contexts([CT])) == len({syntax for _, (syntax,) in storage_contexts([CT])})
    for count in (1, 2, 4, 5, 9, 60, 127, 140):
        classes = [f"1.2.3.{number}" for number in range(count)]
        contexts = storage_contexts(classes)
        assert len(contexts) <= 127
        assert {one for one, _ in contexts} == set(classes[:127])
