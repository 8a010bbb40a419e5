"""Studies that should be here are fetched from real PACS, whole, once, and no more of them than is missing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import InboxFull
from connectors.dicom.listener import DicomListener
from connectors.pacs import Pacs, Retrieved
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import (
    DicomInlet,
    DicomQueryInlet,
    DicomwebInlet,
    ImageInletConfig,
    ImagesConfig,
)
from frontend_agent.config_types import Count
from frontend_agent.errors import SourceUnreachable
from frontend_agent.imaging import inlets
from frontend_agent.imaging.fetching import StudyFetcher
from frontend_agent.imaging.model import Expected, Want
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.windows import window
from tests.dicom_kit import data_set, dcmqrscp, dcmsend, file_bytes, made, needs, uid
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.pacs_kit import cutting
from tests.ports import free_port
from tests.study_kit import Kept, until

pytestmark = [pytest.mark.slow, needs_orthanc]


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with orthanc() as found:
        yield found


@pytest.fixture
def filled(pacs: Orthanc) -> Orthanc:
    pacs.clear()
    for study in (1, 2):
        for series, count in ((1, 3), (2, 2)):
            pacs.add(*(file_bytes(data_set(study, series, number)) for number in range(1, count + 1)))
    return pacs


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path / "state") as found:
        found.clock.now = datetime.fromisoformat("2026-09-30T20:00:00+08:00")
        yield found


def fetcher(kept: Kept, options: ImageInletConfig, **more: ImageInletConfig) -> StudyFetcher:
    hands = inlets.ImageHands(
        desk=kept.desk,
        book=kept.book,
        clock=kept.clock,
        secret=lambda name: name,
        timezone="Asia/Shanghai",
        has_day=lambda day, days: True,
        picked=None,  # type: ignore[arg-type]
        institution=InstitutionConfig(id="H1", name="一院"),
        images=ImagesConfig(inlets={"pacs": options, **more}),
        reports=CommitmentReports(),
    )
    found = inlets.make("pacs", options, hands)
    assert isinstance(found, StudyFetcher)
    return found


def getting(pacs: Orthanc, port: int = 0, **more: Any) -> DicomQueryInlet:
    url = f"dicom://ORTHANC@127.0.0.1:{port or pacs.dicom_port}"
    return DicomQueryInlet(type="dicom-query", url=url, timeout=timedelta(seconds=20), **more)


def webbing(pacs: Orthanc, **more: Any) -> DicomwebInlet:
    return DicomwebInlet(type="dicomweb", url=pacs.dicomweb, **more)


def want(kept: Kept, **what: Any) -> None:
    now = kept.clock()
    assert kept.book.want([Want(**{"why": "order 1", "since": now, "due_at": now, "urgency": 1, **what})]) == 1


def counted(kept: Kept, study: int) -> dict[str, int]:
    return dict(kept.book.counts(uid(study)))


WHOLE = {uid(1, 1): 3, uid(1, 2): 2}


@pytest.mark.parametrize("kind", [getting, webbing])
@pytest.mark.parametrize("by", ["study_instance_uid", "accession_number"])
def test_a_study_that_is_wanted_is_fetched_whole_and_what_its_pacs_says_is_kept(
    filled: Orthanc, kept: Kept, kind: Any, by: str
) -> None:
    asking = fetcher(kept, kind(filled))
    want(kept, **{by: uid(1) if by == "study_instance_uid" else "A00000001"})
    assert asking.fetch() == 5
    assert counted(kept, 1) == WHOLE
    study = kept.book.study_of(uid(1))
    assert study is not None
    assert study.expected is not None
    assert (dict(study.expected.series), study.expected.instances, study.expected.by) == (WHOLE, 5, "pacs")
    assert kept.book.wants() == []
    assert kept.book.study_of(uid(2)) is None  # nobody wants it
    assert asking.fetch() == 0
    assert asking.told()["studies"] == 1


@pytest.mark.parametrize("title", ["ORTHANC", "DCMQRSCP"])
def test_a_study_is_moved_to_our_own_inlet(filled: Orthanc, kept: Kept, tmp_path: Path, title: str) -> None:
    options = DicomInlet(type="dicom", port=Count(0), ae_title="FRONTEND")
    listener = DicomListener("arrivals", options, kept.desk, CommitmentReports(), kept.clock)
    listener.start()
    port = listener.address[1]
    try:
        if title == "ORTHANC":
            filled.knows("FRONTEND", port)
            _moved(kept, filled.dicom_port, title, options, WHOLE)
        else:
            needs("dcmqrscp", "dcmsend")
            with dcmqrscp(tmp_path / "archive", [("FRONTEND", port)]) as at:
                assert dcmsend(at, *made(tmp_path / "files", series=2, instances=3), called=title).code == 0
                _moved(kept, at, title, options, {uid(1, 1): 3, uid(1, 2): 3})
    finally:
        listener.stop(5)


def _moved(kept: Kept, port: int, title: str, arrivals: DicomInlet, whole: dict[str, int]) -> None:
    url = f"dicom://{title}@127.0.0.1:{port}"
    options = DicomQueryInlet(type="dicom-query", url=url, retrieve="move", move_to="arrivals")
    asking = fetcher(kept, options, arrivals=arrivals)
    want(kept, study_instance_uid=uid(1))
    assert asking.fetch() == sum(whole.values())
    assert counted(kept, 1) == whole
    assert kept.book.wants() == []


class Watched:
    """A real PACS, and what was retrieved from it."""

    def __init__(self, pacs: Pacs, retrieved: list[str]) -> None:
        self._pacs, self._retrieved = pacs, retrieved

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pacs, name)

    def retrieve(self, study: str, series: str = "") -> Retrieved:
        self._retrieved.append(series or "all")
        return self._pacs.retrieve(study, series)


def watched(asking: StudyFetcher) -> list[str]:
    retrieved: list[str] = []
    connect = asking._connect
    asking._connect = lambda: Watched(connect(), retrieved)  # type: ignore[assignment,return-value]
    return retrieved


def test_only_the_series_that_is_missing_is_fetched(filled: Orthanc, kept: Kept) -> None:
    asking = fetcher(kept, getting(filled))
    retrieved = watched(asking)
    want(kept, study_instance_uid=uid(1))
    asking.fetch()
    filled.add(file_bytes(data_set(1, 2, 3)))  # the study grew
    want(kept, study_instance_uid=uid(1), expected=Expected("pacs", {}, 6))
    assert asking.fetch() == 1
    assert retrieved == ["all", uid(1, 2)]
    assert counted(kept, 1) == {uid(1, 1): 3, uid(1, 2): 3}


@pytest.mark.parametrize("kind", [getting, webbing])
@pytest.mark.parametrize("by", ["study_instance_uid", "accession_number"])
def test_a_person_asks_again_for_what_was_whole_and_gets_what_is_new(
    filled: Orthanc, kept: Kept, kind: Any, by: str
) -> None:
    asking = fetcher(kept, kind(filled))
    asked = {by: uid(1) if by == "study_instance_uid" else "A00000001"}
    want(kept, **asked)
    asking.fetch()
    filled.add(file_bytes(data_set(1, 2, 3)), file_bytes(data_set(1, 9, 1)))  # nobody has told us
    assert kept.book.want([Want(why="order 1", urgency=1, since=kept.clock(), **asked)]) == 0
    want(kept, **asked, why="asked by 王工", urgency=0)
    assert asking.fetch() == 2
    assert counted(kept, 1) == {uid(1, 1): 3, uid(1, 2): 3, uid(1, 9): 1}
    want(kept, **asked, why="asked by 王工", urgency=0)
    assert asking.fetch() == 0
    assert kept.book.wants() == []


@pytest.mark.parametrize("kind", [getting, webbing])
def test_polling_finds_what_is_new_and_what_grew(filled: Orthanc, kept: Kept, kind: Any) -> None:
    asking = fetcher(kept, kind(filled, asks_for=("poll",), answers=Count(10)))
    retrieved = watched(asking)
    assert asking.fetch() == 10
    assert asking.fetch() == 0
    filled.add(file_bytes(data_set(1, 3, 1)), file_bytes(data_set(3, 1, 1, StudyTime="195900")))
    assert asking.fetch() == 2
    assert retrieved == ["all", "all", "all", uid(1, 3)] or retrieved == ["all", "all", uid(1, 3), "all"]
    assert counted(kept, 3) == {uid(3, 1): 1}
    assert kept.book.wants() == []


def test_polling_goes_on_from_where_it_was_when_it_was_away(filled: Orthanc, kept: Kept) -> None:
    kept.clock.now -= timedelta(days=10)
    options = getting(filled, asks_for=("poll",), lookback=timedelta(days=1))
    assert fetcher(kept, options).fetch() == 0  # before there was anything
    filled.add(file_bytes(data_set(4, 1, 1, StudyDate="20260921", StudyTime="090000")))
    kept.clock.now += timedelta(days=10)
    assert fetcher(kept, options).fetch() == 11  # also what is older than it looks back
    assert counted(kept, 4) == {uid(4, 1): 1}


def test_a_study_that_is_not_there_is_asked_for_until_patience_is_over(filled: Orthanc, kept: Kept) -> None:
    asking = fetcher(kept, getting(filled, patience=timedelta(hours=1), retry=timedelta(minutes=10)))
    want(kept, accession_number="LATE")
    want(kept, study_instance_uid=uid(77))
    want(kept, accession_number="PUSHED")  # its modality sends it to us, and never to this PACS
    kept.send("1.2.3.78", 1, accession="PUSHED")
    assert asking.fetch() == 0
    assert {one.attempts for one in kept.book.wants()} == {1}
    assert asking.fetch() == 0  # it is not due
    assert {one.attempts for one in kept.book.wants()} == {1}
    kept.clock.now += timedelta(minutes=11)
    filled.add(file_bytes(data_set(5, 1, 1, AccessionNumber="LATE")))
    assert asking.fetch() == 1
    kept.clock.now += timedelta(hours=1)
    asking.fetch()
    assert kept.book.wants() == []
    (given_up,) = [one for one in kept.book.wants(open_only=False) if one.problem]
    assert given_up.study_instance_uid == uid(77)
    assert "does not have the study" in given_up.problem


def test_a_pacs_that_is_away_never_counts_against_a_study(filled: Orthanc, kept: Kept) -> None:
    asking = fetcher(kept, getting(filled, free_port(), patience=timedelta(hours=1)))
    want(kept, study_instance_uid=uid(1))
    for _ in range(3):
        with pytest.raises(SourceUnreachable, match="no connection"):
            asking.fetch()
        kept.clock.now += timedelta(hours=5)
    (waiting,) = kept.book.wants()
    assert waiting.attempts == 3
    assert fetcher(kept, getting(filled)).fetch() == 5


@pytest.mark.parametrize("after", [3_000, 9_000, 16_000])
def test_a_line_that_is_cut_costs_nothing_twice(filled: Orthanc, kept: Kept, after: int) -> None:
    with cutting(filled.dicom_port, after) as (port, passed):
        asking = fetcher(kept, getting(filled, port, retry=timedelta(seconds=1)))
        want(kept, study_instance_uid=uid(1))
        before = 0
        try:
            asking.fetch()
        except SourceUnreachable:
            before = sum(counted(kept, 1).values())
            kept.clock.now += timedelta(minutes=1)
            asking.fetch()
        assert before < 5
        assert counted(kept, 1) == WHOLE
        assert any(count > after for count in passed)  # it was cut
    assert not list((kept.book.files.root / "incoming").iterdir())
    assert len(list(kept.book.files.root.rglob("*.dcm"))) == 5


def test_nothing_is_asked_in_protected_times(filled: Orthanc, kept: Kept) -> None:
    asking = fetcher(kept, getting(filled, protected=(window("19:00-21:00"),)))
    want(kept, study_instance_uid=uid(1))
    assert asking.fetch() == 0
    assert asking.told()["resting_until"].startswith("2026-09-30T21:00")
    kept.clock.now += timedelta(hours=2)
    assert asking.fetch() == 5


def test_a_full_disk_waits_and_goes_on(filled: Orthanc, tmp_path: Path) -> None:
    filled.add(*(file_bytes(data_set(7, 1, number, pixels=900_000)) for number in range(1, 6)))
    with Kept(tmp_path / "small", quota=3_500_000, may_change=False) as kept:
        asking = fetcher(kept, getting(filled))
        want(kept, study_instance_uid=uid(7))
        with pytest.raises(InboxFull):
            asking.fetch()
        assert 0 < sum(counted(kept, 7).values()) < 5
        kept.book.room.quota = 1 << 30
        kept.clock.now += timedelta(minutes=2)
        asking.fetch()
        assert counted(kept, 7) == {uid(7, 1): 5}


def test_beside_the_daemon_it_fetches_several_studies_at_once(filled: Orthanc, kept: Kept) -> None:
    asking = fetcher(kept, webbing(filled, at_once=Count(2), asks_for=("poll",)))
    asking.start()
    try:
        until(lambda: counted(kept, 1) == WHOLE and sum(counted(kept, 2).values()) == 5, 20)
        filled.add(file_bytes(data_set(6, 1, 1, StudyDate="20200101")))
        want(kept, study_instance_uid=uid(6), urgency=0)
        asking.now()
        until(lambda: counted(kept, 6), 20)
        assert asking.is_alive()
        asking.probe()
    finally:
        asking.stop(10)
    assert not asking.is_alive()
