"""Polling a PACS: which studies of the last days it has, and which of them are not here, or not whole."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, timedelta

from connectors.pacs import FoundStudy, NotThere, Pacs, Stretch, StudyQuery, TooManyAnswers
from frontend_agent.config_images import AskingConfig
from frontend_agent.errors import SourceError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Expected, Want
from frontend_agent.imaging.walking import Walk

MOST_AT_ONE_TIME = (
    10_000  # answers of the shortest stretch, that cannot be halved: what a PACS keeps of one minute, or one day
)
DAY = timedelta(days=1)
FIRST_RECOUNT = timedelta(minutes=15)  # of a study whose PACS does not say how many instances it has; doubled each time
RECOUNTS = 100  # of one poll
REMEMBERED = 20_000  # studies of which it is known when they are counted again


class CrowdedMinute(SourceError):
    """More studies stand at one time than any answer may hold: their PACS wrote them so, when it was filled from another one."""


def asked(pacs: Pacs, walk: Walk, stretch: Stretch, most: int) -> list[FoundStudy] | None:
    """The studies of a stretch. None: the walk was told to ask for less, or otherwise. CrowdedMinute."""
    try:
        found = pacs.studies(StudyQuery(stretch=stretch), most)
    except TooManyAnswers:
        if walk.too_many():
            return None
        try:
            found = pacs.studies(StudyQuery(stretch=stretch), MOST_AT_ONE_TIME)
        except TooManyAnswers:
            raise CrowdedMinute(
                f"{pacs.where} has more than {MOST_AT_ONE_TIME} studies of {stretch.begin:%Y-%m-%d %H:%M}"
            ) from None
    if not stretch.is_of_days and any(one.has_time and one.at and not stretch.holds(one.at) for one in found):
        walk.whole_days()  # this PACS does not look at times
        return None
    return found


class Polling:
    """The polls of one inlet. Used by one thread."""

    def __init__(self, inlet: str, options: AskingConfig, book: StudyBook, local: Callable[[], datetime]) -> None:
        self._inlet, self._options, self._book, self._local = inlet, options, book, local
        self._recounts: OrderedDict[str, tuple[datetime, timedelta]] = OrderedDict()

    def poll(self, pacs: Pacs, now: datetime, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Ask for the studies since the last poll, and `lookback` before now at least. How many are wanted newly."""
        mark = f"poll {self._inlet}"
        walk = Walk.over(self._since(self._book.mark(mark)), self._local().date() + DAY)  # its clock may be ahead
        wanted, left = 0, RECOUNTS
        while (stretch := walk.next()) is not None:
            if is_stopping():
                return wanted
            found = asked(pacs, walk, stretch, self._options.answers)
            if found is None:
                continue
            missing: list[Want] = []
            for one in found:
                if one.instances < 0 and left > 0:
                    expected, counted = self._recounted(pacs, one, now)
                    left -= counted
                else:
                    expected = None
                if self._is_missing(one, expected):
                    missing.append(self._want(one, expected, now))
            wanted += self._book.want(missing) if missing else 0
            walk.answered(len(found), self._options.answers)
        self._book.put_mark(mark, now.isoformat())
        return wanted

    def _since(self, mark: str) -> date:
        first = self._local() - self._options.lookback
        if mark:
            # We were away longer than we look back: then from where we were.
            first = min(first, datetime.fromisoformat(mark).astimezone(first.tzinfo))
        return first.date()

    def _is_missing(self, found: FoundStudy, expected: Expected | None) -> bool:
        here = sum(self._book.counts(found.study_instance_uid).values())
        said = expected.instances if expected is not None else found.instances
        return here < said if said >= 0 else not here

    def _recounted(self, pacs: Pacs, found: FoundStudy, now: datetime) -> tuple[Expected | None, int]:
        """What a PACS that does not count has of a study, every so often: it may still grow."""
        uid = found.study_instance_uid
        due, wait = self._recounts.get(uid, (now, FIRST_RECOUNT))
        if now < due or not self._book.counts(uid):
            return None, 0  # one that is not here at all is counted when it is fetched
        self._recounts[uid] = (now + wait, wait * 2)
        self._recounts.move_to_end(uid)
        while len(self._recounts) > REMEMBERED:
            self._recounts.popitem(last=False)
        try:
            expected = pacs.contents(uid)
        except NotThere:
            return None, 1
        expected = Expected(self._inlet, expected.series, expected.instances)
        self._book.expect(uid, expected, now)
        return expected, 1

    def _want(self, found: FoundStudy, expected: Expected | None, now: datetime) -> Want:
        if expected is None and found.instances >= 0:
            expected = Expected(self._inlet, {}, found.instances)
        return Want(
            inlet=self._inlet, study_instance_uid=found.study_instance_uid, why="poll", since=now, due_at=now, urgency=1, expected=expected
        )  # fmt: skip
