"""Which studies should be here, who wants them, and whom they are asked of."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.pacs import FoundStudy, StudyQuery, TooManyAnswers
from frontend_agent.config_images import DicomInlet, DicomQueryInlet, DicomwebInlet, ImagesConfig
from frontend_agent.config_types import Count
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.imaging.backfilling import BackfillBook, Walking
from frontend_agent.imaging.model import Reported, Want
from frontend_agent.imaging.reported import ReportWatcher
from frontend_agent.imaging.wanting import wants_of_report
from tests.study_kit import NOW, Kept

PACS = DicomQueryInlet(type="dicom-query", url="dicom://PACS@10.0.0.1")
WEB = DicomwebInlet(
    type="dicomweb", url="http://10.0.0.2/dicom-web", asks_for=("poll",), accession_from="report_number"
)
IMAGES = ImagesConfig(inlets={"pacs": PACS, "web": WEB, "arrivals": DicomInlet(type="dicom", port=Count(0))})


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path) as kept:
        yield kept


def test_a_report_names_its_study_by_the_field_that_is_said() -> None:
    record = {"request_number": "R77", "report_number": "B88"}
    (want,) = wants_of_report(record, "B88", IMAGES, NOW)
    assert (want.inlet, want.accession_number, want.why) == ("pacs", "R77", "report B88")
    for number in ("", "*", "A?", "x" * 65, None):
        assert wants_of_report({"request_number": number}, "B88", IMAGES, NOW) == []


def test_reports_are_taken_up_once_and_from_now_on(kept: Kept) -> None:
    made = [Reported(5, "D-1", "B1")]
    records: dict[str, Any] = {f"D-{number}": {"request_number": f"R{number}"} for number in range(1, 9)}
    book: Any = kept.book
    book.newest_document = lambda: made[-1].row
    book.made = lambda kind, after, limit: [one for one in made if one.row > after][:limit]
    watcher = ReportWatcher(book, records.get, IMAGES, kept.clock)
    assert watcher.look() == 0  # what was there before is a backfill's business
    made += [Reported(7, "D-2", "B2"), Reported(8, "D-gone", "B3"), Reported(9, "D-4", "B4")]
    assert watcher.look() == 2
    assert {one.accession_number for one in kept.book.wants()} == {"R2", "R4"}
    assert watcher.look() == 0

    def unreadable(document_id: str) -> dict[str, Any]:
        if document_id == "D-5":
            raise StateError("its dictionary was not kept")
        return {"request_number": document_id}

    made += [Reported(10, "D-5", "B5"), Reported(11, "D-6", "B6")]
    assert ReportWatcher(book, unreadable, IMAGES, kept.clock).look() == 1  # it does not stand before the next
    assert ReportWatcher(book, records.get, IMAGES, kept.clock).look() == 0


class Archive:
    """A PACS with studies by time, that counts what it is asked and tells."""

    where = "PACS"

    def __init__(self, times: list[datetime]) -> None:
        self._studies = [FoundStudy(f"1.2.{number}", "", at, True, 1, 3) for number, at in enumerate(sorted(times))]
        self.told: list[int] = []

    def studies(self, query: StudyQuery, most: int) -> list[FoundStudy]:
        assert query.stretch is not None
        found = [one for one in self._studies if one.at and query.stretch.holds(one.at)]
        self.told.append(min(len(found), most + 1))
        if len(found) > most:
            raise TooManyAnswers
        return found


def test_a_backfill_is_walked_goes_on_after_a_restart_and_never_wants_more_than_it_can_fetch(kept: Kept) -> None:
    begin = datetime(2026, 2, 1)
    archive: Any = Archive([begin + timedelta(minutes=37 * number) for number in range(300)])
    backfills = BackfillBook(kept.book)
    backfills.begin("pacs", date(2026, 2, 1), date(2026, 2, 28), "zhang", kept.clock())
    with pytest.raises(ConfigurationError, match="already"):
        backfills.begin("pacs", date(2026, 2, 1), date(2026, 2, 2), "li", kept.clock())
    fetched: set[str] = set()
    for _ in range(400):
        while Walking(backfills, "pacs", 20, kept.book).step(archive, kept.clock()):  # each time as after a restart
            pass
        open_ = [one for one in kept.book.wants(limit=1000) if not one.attempts]
        assert len(open_) < 40
        if not open_:
            break
        backfills.turn("pacs", "stopped")
        assert not Walking(backfills, "pacs", 20, kept.book).step(archive, kept.clock())
        backfills.turn("pacs", "running")
        while (want := kept.book.next_want("pacs", kept.clock(), timedelta(hours=1))) is not None:
            assert want.urgency == 2
            fetched.add(want.study_instance_uid)
            kept.book.want_done(want.id, kept.clock())
    assert len(fetched) == 300
    assert max(archive.told) <= 21
    standing = backfills.standing("pacs")
    assert standing is not None
    assert (standing.state, standing.studies, standing.wanted, standing.instances, standing.part) == (
        "done",
        300,
        300,
        900,
        1.0,
    )
    again = backfills.begin("pacs", date(2026, 2, 1), date(2026, 2, 2), "li", kept.clock())
    assert again.number == 2
    for wrong in (
        (date(2026, 2, 3), date(2026, 2, 2)),
        (date(1900, 1, 1), date(2000, 1, 1)),
        (date(2026, 1, 1), date(2030, 1, 1)),
    ):
        with pytest.raises(ConfigurationError):
            BackfillBook(kept.book).begin("web", *wrong, "li", kept.clock())


def test_what_the_platform_wants_is_in_the_quality_log_once(kept: Kept) -> None:
    wish = Want(study_instance_uid="1.2.3", why="platform region", since=NOW)
    assert kept.book.want([wish]) == 1
    assert kept.book.want([wish]) == 0
    kept.book.want([Want(study_instance_uid="1.2.4", why="order E7", since=NOW)])  # by itself: no act of anybody
    told = [json.loads(entry.body) for entry in kept.spool.log_entries()]
    wanted = [(one["study"], one["who"], one["role"]) for one in told if one["event"] == "study wanted"]
    assert wanted == [("1.2.3", "platform region", "platform")]
