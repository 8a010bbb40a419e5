"""A PACS with a million studies is walked with bounded questions and bounded memory."""

import resource
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.dicom.querying import DicomPacs, QueryOptions
from connectors.dicom.requesting import Peer
from frontend_agent.imaging.backfilling import BackfillBook, Walking
from tests.pacs_kit import Shelf, million_studies, sql_pacs
from tests.study_kit import Kept

pytestmark = pytest.mark.slow
ANSWERS = 100


def test_a_backfill_over_a_pacs_of_a_million_studies_asks_bounded_questions(tmp_path: Path) -> None:
    path = tmp_path / "pacs.db"
    million_studies(path)
    shelf = Shelf(tmp_path)
    with Kept(tmp_path / "state") as kept, sql_pacs(path) as (port, told):
        options = QueryOptions(peer=Peer("MILLION", "127.0.0.1", port), ae_title="FRONTEND", timeout=30)
        pacs = DicomPacs(options, lambda *what: shelf.begin("pacs", *what, sender="MILLION"))
        backfills = BackfillBook(kept.book)
        backfills.begin("pacs", date(2025, 9, 20), date(2025, 9, 22), "zhang", kept.clock())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        walking = Walking(backfills, "pacs", ANSWERS, kept.book)
        wanted: set[str] = set()
        while True:
            while walking.step(pacs, kept.clock()):
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
        # Who is cancelled may have told a few more by then; never what the day has.
        assert max(told) <= 2 * ANSWERS + 50
        assert len(told) < 60
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 64 * 1024  # KiB
