"""What a PACS can be asked, whatever its protocol: which studies there are, what one of them holds, and its instances.

C-FIND with C-GET or C-MOVE (connectors/dicom/querying.py) and QIDO-RS with WADO-RS (connectors/dicomweb/querying.py) are two of them.
No question goes out without a limit: one study, one number, or a time, and never more answers than are asked for.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from typing import NamedTuple, Protocol

import msgspec

from connectors.instances import InstanceWriter
from frontend_agent.errors import SourceError
from frontend_agent.imaging.model import Expected


class Stretch(msgspec.Struct, frozen=True):
    """Study times from `begin` up to and without `end`, on the PACS's wall clock: whole days, or a part of one day.

    PS3.4 C.2.2.2.5 matches date and time apart from each other, so that no other stretch can be asked for.
    """

    begin: datetime  # without a zone
    end: datetime

    @property
    def is_of_days(self) -> bool:
        return self.begin.time() == time() == self.end.time()

    def holds(self, at: datetime) -> bool:
        return self.begin <= at < self.end


class StudyQuery(msgspec.Struct, frozen=True):
    """Which studies: exactly one of these."""

    study_instance_uid: str = ""
    accession_number: str = ""
    stretch: Stretch | None = None


class FoundStudy(msgspec.Struct, frozen=True):
    """One study as a PACS lists it. -1: it does not say how many."""

    study_instance_uid: str
    accession_number: str = ""
    at: datetime | None = None  # StudyDate and StudyTime; at midnight where it says no time
    has_time: bool = False
    series: int = -1
    instances: int = -1


class TooManyAnswers(Exception):
    """More studies match than were to be told, or the PACS says that it does not tell all of them."""


class Retrieved(NamedTuple):
    """What a PACS says of one retrieve (PS3.4 C.4.3.1.4): how many instances it sent, and could not send. -1: it does not say."""

    completed: int = -1
    failed: int = -1
    problem: str = ""  # what went wrong with some of them, without naming one


class NotThere(SourceError):
    """The PACS does not have the study, or the series."""


# sop_class_uid, sop_instance_uid, transfer_syntax_uid -> where its data set goes. InboxFull: not now.
Begin = Callable[[str, str, str], InstanceWriter]
BeginFile = Callable[[], InstanceWriter]  # the same for a whole file
Take = Callable[[int], None]  # waits until so many bytes may be fetched


class Pacs(Protocol):
    """A PACS that is asked. One thread at a time uses it, `cut` any. All raise SourceError: SourceUnreachable (waiting may help),
    SourceRefused (a person must act)."""

    where: str  # who is asked, as it may be told: no secret

    def studies(self, query: StudyQuery, most: int) -> list[FoundStudy]:
        """All that match. TooManyAnswers: there are more than `most`."""

    def contents(self, study_instance_uid: str) -> Expected:
        """How many instances each series of a study has. NotThere."""

    def retrieve(self, study_instance_uid: str, series_instance_uid: str = "") -> Retrieved:
        """Fetch a study, or one of its series, and hand every instance over: those that are kept are on disk when it returns.
        InboxFull: our own disk; NotThere."""

    def probe(self) -> None:
        """Raise what would go wrong, by asking as little as there is to ask."""

    def close(self) -> None:
        """Give the connection back. It may be used again."""

    def cut(self) -> None:
        """End what is under way, from another thread."""


def study_time(study_date: str, study_time_: str) -> tuple[datetime | None, bool]:
    """StudyDate (DA) and StudyTime (TM) as a moment, and whether there is a time. None: no date that is one."""
    digits = study_date.replace(".", "")[:8]
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None, False
    hour = study_time_.replace(":", "")[:6]
    if not hour.isdigit():
        return datetime.combine(day, time()), False
    hour = hour.ljust(6, "0")
    try:
        return datetime.combine(day, time(int(hour[:2]), int(hour[2:4]), min(int(hour[4:6]), 59))), True
    except ValueError:
        return datetime.combine(day, time()), False


def written_stretch(stretch: Stretch) -> tuple[str, str]:
    """(StudyDate, StudyTime) to match (PS3.4 C.2.2.2.5). The time is "" for whole days; its end is inclusive, to the last microsecond."""
    first = stretch.begin.date()
    if stretch.is_of_days:
        last = date.fromordinal(stretch.end.date().toordinal() - 1)
        return (f"{first:%Y%m%d}" if first == last else f"{first:%Y%m%d}-{last:%Y%m%d}"), ""
    last_at = stretch.end - datetime.resolution
    if last_at.date() != first:
        raise ValueError("a stretch that is neither of whole days nor within one")
    return f"{first:%Y%m%d}", f"{stretch.begin:%H%M%S}-{last_at:%H%M%S.%f}"
