"""A PACS with a million studies is walked with bounded questions and bounded memory."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.dicom.querying import DicomPacs, QueryOptions
from connectors.dicom.requesting import Peer
from connectors.pacs import FoundStudy, StudyQuery
from frontend_agent.imaging.backfilling import BackfillBook, Walking
from tests.memory import forget_peak, peak
from tests.pacs_kit import Shelf, million_studies, sql_pacs
from tests.study_kit import Kept

pytestmark = pytest.mark.slow
ANSWERS = 100


class Counted:
    """The PACS, with what each question was let take of it."""

    def __init__(self, pacs: DicomPacs) -> None:
        self._pacs, self.where = pacs, pacs.where
        self.took: list[int] = []
        self.questions = 0

    def studies(self, query: StudyQuery, most: int) -> list[FoundStudy]:
        self.questions += 1
        found = self._pacs.studies(query, most)
        self.took.append(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pacs, name)


def test_a_backfill_over_a_pacs_of_a_million_studies_asks_bounded_questions(tmp_path: Path) -> None:
    path = tmp_path / "pacs.db"
    million_studies(path)
    shelf = Shelf(tmp_path)
    with Kept(tmp_path / "state") as kept, sql_pacs(path) as (port, told):
        options = QueryOptions(peer=Peer("MILLION", "127.0.0.1", port), ae_title="FRONTEND", timeout=30)
        pacs = DicomPacs(options, lambda *what: shelf.begin("pacs", *what, sender="MILLION"))
        counted = Counted(pacs)
        backfills = BackfillBook(kept.book)
        backfills.begin("pacs", date(2025, 9, 20), date(2025, 9, 22), "zhang", kept.clock())
        before = forget_peak()
        walking = Walking(backfills, "pacs", ANSWERS, kept.book)
        wanted: set[str] = set()
        while True:
            while walking.step(counted, kept.clock()):
                pass
            fresh = 0
            while (want := kept.book.next_want("pacs", kept.clock(), timedelta(hours=1))) is not None:
                wanted.add(want.study_instance_uid)
                kept.book.want_done(want.id, kept.clock())
                fresh += 1
            if not fresh:
                break
        pacs.close()
        standing = backfills.standing("pacs")
        assert standing is not None
        assert standing.state == "done"
        assert len(wanted) == standing.studies == 3 * (1_000_000 // 3650)
        # What a PACS has told by the time that it reads our C-CANCEL is its own affair; we take no more than we asked for.
        assert max(counted.took) <= ANSWERS
        assert len(counted.took) < counted.questions  # some were for too much, and cut
        assert len(told) == counted.questions < 60
        assert peak() - before < 64 << 20
