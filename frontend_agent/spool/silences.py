"""When something new last came from each feed, and the alarms about those from which nothing comes."""

from datetime import datetime

from frontend_agent.silence import Standing
from frontend_agent.spool.ledger import Ledger
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import Silent, Taken


class Silences:
    """One row per feed, and one per alarm."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    def take(self, taken: Taken) -> None:
        """In the commit of a batch: something new came. What a backfill brings is not new."""
        made = taken.documents or taken.beside or taken.held or taken.withheld
        if made and not taken.urgency:
            self._database.run("silence.news", feed=taken.feed, now=millis(taken.at))

    def new_at(self, feed: str) -> datetime | None:
        """When something new last came; None: nothing is known."""
        row = self._database.row("silence.standing", feed=feed)
        return moment(row[0]) if row is not None else None

    def standing(self, feed: str, now: datetime) -> Standing:
        """How a feed stands. One that was never heard of counts from now; so does one heard of in the future."""
        row = self._database.row("silence.standing", feed=feed)
        if row is None or row[0] > millis(now):
            with self._database.write():
                self._database.run("silence.news", feed=feed, now=millis(now))
            return Standing(now, moment_or_none(row[1]) if row else None)
        return Standing(moment(row[0]), moment_or_none(row[1]))

    def begin(self, feed: str, standing: Standing, now: datetime) -> None:
        """Nothing came for too long."""
        with self._database.write():
            log = self._ledger.log({"event": "silent", "feed": feed, "since": standing.new_at.isoformat()}, now)
            self._database.run("silence.alarm", feed=feed, now=millis(now))
            self._database.run("silence.add", feed=feed, since=millis(standing.new_at), now=millis(now), log=log)

    def end(self, feed: str, now: datetime) -> None:
        """Something came, or nobody asks any more."""
        with self._database.write():
            self._ledger.log({"event": "silent no more", "feed": feed}, now)
            self._database.run("silence.alarm", feed=feed, now=None)
            self._database.run("silence.end", feed=feed, now=millis(now))

    def now(self) -> dict[str, datetime]:
        """Feeds that are silent, and since when nothing new came."""
        return {feed: moment(new_at) for feed, new_at in self._database.rows("silence.now")}

    def listed(self, first: datetime, last: datetime) -> list[Silent]:
        """The alarms that began in [first, last), for reports."""
        rows = self._database.rows("silence.list", first=millis(first), last=millis(last))
        return [Silent(feed, moment(since), moment(at), moment_or_none(ended)) for feed, since, at, ended in rows]
