"""What feeds have seen at their sources, and what they miss there: see `connectors/finding` and docs/guide/finding-rows.md."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Doubt, Stopped, Taken

COMPARE, CHANGES, ASKED, RECONCILE = "compare", "changes", "asked", "reconcile"  # why a key is doubted


class Finding:
    """How far feeds have been found, beside their watermarks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database: Database = ledger.database

    # --- what was left, and what was seen -----------------------------------------------------------------------------

    def bearings(self, feed: str) -> str:
        """What the last whole run of the feed left for the next; empty for none."""
        return self._meta(f"finding:{feed}")

    def unlike(self, feed: str, marks: Iterable[tuple[str, bytes]]) -> list[str]:
        """Those of these keys that are new, or whose content is another than we have seen."""
        pairs = as_json([(key, mark.hex()) for key, mark in marks])
        return self._database.batch("seen.unlike", feed=feed, marks=pairs)

    def take(self, taken: Taken, now: int) -> None:
        """What a batch says of it, inside its transaction."""
        feed, progress = taken.feed, taken.progress
        if taken.doubted:
            self._database.run("doubt.put", feed=feed, why=taken.doubted_by, now=now, keys=as_json(list(taken.doubted)))
        if progress is None:
            return
        if progress.bearings:
            self._database.run("meta.put", name=f"finding:{taken.mark or feed}", value=progress.bearings)
        if progress.seen:
            pairs = as_json([(key, mark.hex()) for key, mark in progress.seen])
            self._database.run("seen.put", feed=feed, walk=progress.walk, marks=pairs)
        if progress.walked:
            if progress.complete:
                self._database.run("seen.doubt", feed=feed, walk=progress.walk, now=now)
            self._database.run("seen.forget", feed=feed, walk=progress.walk)
        if progress.settled:
            self._database.run("doubt.settle", feed=feed, keys=as_json(list(progress.settled)))

    # --- what is missed -----------------------------------------------------------------------------------------------

    def doubt(self, feed: str, keys: Sequence[str], why: str, now: datetime) -> None:
        """These keys should be at the source and were not met there: the next run looks for each of them."""
        with self._database.write():
            self._database.run("doubt.put", feed=feed, why=why, now=millis(now), keys=as_json(list(keys)))

    def doubts(self, feed: str, limit: int = 1000, after: str = "") -> list[Doubt]:
        """The keys of a feed that are missed, in order."""
        rows = self._database.rows("doubt.list", feed=feed, after=after, limit=limit)
        return [Doubt(key, why, moment(since)) for key, why, since in rows]

    def stop(self, feed: str, count: int, now: datetime) -> None:
        """Too many keys are gone at once: the feed stands still until a person has looked."""
        stopped = Stopped(count=count, at=now)
        with self._database.write():
            self._database.run("meta.put", name=_stopped(feed), value=msgspec.json.encode(stopped).decode())
            self._ledger.log({"event": "vanished", "feed": feed, "keys": count, "stopped": True}, now)

    def stopped(self, feed: str) -> Stopped | None:
        """Whether the feed stands still because too many keys are gone."""
        text = self._meta(_stopped(feed))
        return msgspec.json.decode(text, type=Stopped) if text else None

    def decide(self, feed: str, accepted: bool, who: str, reason: str, now: datetime) -> bool:
        """A person says that the keys are gone indeed (each is held then), or to look again. False: it does not stand still."""
        stopped = self.stopped(feed)
        if stopped is None:
            return False
        told = Stopped(count=stopped.count, at=stopped.at, accepted_by=who) if accepted else None
        with self._database.write():
            value = msgspec.json.encode(told).decode() if told else ""
            self._database.run("meta.put", name=_stopped(feed), value=value)
            what = "vanished accepted" if accepted else "vanished looked for again"
            said = {"event": what, "feed": feed, "keys": stopped.count, "who": who, "reason": reason}
            self._ledger.log(said, now)
        return True

    def go_on(self, feed: str) -> None:
        """What was accepted is held: the next time counts anew."""
        if self._meta(_stopped(feed)):
            self._database.run("meta.put", name=_stopped(feed), value="")

    def voided(self, cases: Sequence[str], who: str, reason: str, now: datetime) -> None:
        """A person had the documents of vanished keys declared void."""
        with self._database.write():
            self._ledger.log({"event": "voided", "cases": list(cases), "who": who, "reason": reason}, now)

    def _meta(self, name: str) -> str:
        row = self._database.row("meta.get", name=name)
        return str(row[0]) if row else ""


def _stopped(feed: str) -> str:
    return f"vanished:{feed}"
