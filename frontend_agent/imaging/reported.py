"""Exam reports that were made: the studies that they speak of should be here.

A look at what the agent has made since the last look, in the order in which it was made: nothing is hooked into the documents' own way,
and nothing is lost by a crash, for how far it has looked is a mark.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from frontend_agent.config_images import ImagesConfig
from frontend_agent.errors import FrontendAgentError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Reported, Want
from frontend_agent.imaging.wanting import EXAM_REPORT, wants_of_report
from frontend_agent.logs import event, failed, log

MARK = "reports"
AT_ONCE = 100
EVERY = 5.0  # seconds


class Reports(StudyBook, Protocol):
    """The book, and the documents beside it."""

    def newest_document(self) -> int:
        """The row of the newest document of any kind; 0 where there is none."""

    def made(self, kind: str, after: int, limit: int) -> list[Reported]:
        """Documents of a kind, made after that row; not those that withdraw one."""


RecordOf = Callable[[str], Mapping[str, Any] | None]  # the record of a document; None where its bytes are gone


class ReportWatcher:
    """Looks every so often, in a thread of its own."""

    def __init__(
        self,
        book: Reports,
        record_of: RecordOf,
        images: ImagesConfig,
        clock: Callable[[], datetime],
        wanted: Callable[[], None] = lambda: None,
    ) -> None:
        """`wanted` is told when something is wanted newly."""
        self._book, self._record_of, self._images, self._clock, self._wanted = book, record_of, images, clock, wanted
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="images-reports", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience)

    def look(self) -> int:
        """Take up what was made since the last look. How many studies are wanted newly."""
        mark = self._book.mark(MARK)
        newest = self._book.newest_document()
        if not mark:
            # What was reported before images were set up is a backfill's business.
            self._book.put_mark(MARK, str(newest))
            return 0
        after, wanted = int(mark), 0
        while after < newest and not self._stopping.is_set():
            reports = self._book.made(EXAM_REPORT, after, AT_ONCE)
            wants = [want for one in reports for want in self._wants(one)]
            wanted += self._book.want(wants) if wants else 0
            after = reports[-1].row if len(reports) == AT_ONCE else newest
            self._book.put_mark(MARK, str(after))
        if wanted:
            log.info(event("images.reports", wanted=wanted))
            self._wanted()
        return wanted

    def _wants(self, report: Reported) -> list[Want]:
        try:
            record = self._record_of(report.document_id)
        except (FrontendAgentError, ValueError) as error:
            # One that cannot be read back must not stand before all that come after it: its study is found by polls and orders.
            log.warning(event("images.report_unreadable", document=report.document_id, problem=type(error).__name__))
            return []
        return [] if record is None else wants_of_report(record, report.key, self._images, self._clock())

    def _work(self) -> None:
        while not self._stopping.wait(EVERY):
            try:
                self.look()
            except FrontendAgentError as error:
                log.warning(event("images.reports_failed", problem=str(error)))
            except Exception as error:  # noqa: BLE001  a fault of ours must not end the looking: it is logged and tried again
                failed("images.reports_failed", error)
