"""What is kept of our being guests: usage by hour, the sources' usual latencies, and who paused which source.

Usage arrives once a minute, as what happened since; it is added to its hour. It is measured, not accounted for: what a
killed process had not handed over is missing.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import SourcePause
from frontend_agent.usage import Baseline, Tally, Usage


class Guests:
    """The guests' part of the spool."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    # --- usage --------------------------------------------------------------------------------------------------------

    def keep(self, tallies: Mapping[str, Tally]) -> None:
        """Add what happened at each source since the last time, in one commit."""
        told = {source: tally for source, tally in tallies.items() if tally.hours or tally.baselines}
        if not told:
            return
        with self._database.write():
            for source, tally in told.items():
                for hour, usage in tally.hours.items():
                    row = self._database.row("guest.hour", source=source, hour=hour)
                    kept = msgspec.json.decode(row[0], type=Usage) if row else Usage()
                    kept.add(usage)
                    self._database.run("guest.keep hour", source=source, hour=hour, usage=as_json(kept))
                rows = [(shape, usual.seconds, usual.scatter, usual.query) for shape, usual in tally.baselines.items()]
                if rows:
                    self._database.run("guest.keep baselines", source=source, rows=as_json(rows))

    def usage(self, source: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, Usage]]:
        """Hour by hour, those that begin in [first, last)."""
        rows = self._database.rows(
            "guest.hours", source=source, first=int(first.timestamp()), last=int(last.timestamp())
        )
        for hour, usage in rows:
            yield moment(hour * 1000), msgspec.json.decode(usage, type=Usage)

    def baselines(self, source: str) -> dict[str, Baseline]:
        """What each shape of statement usually took."""
        rows = self._database.rows("guest.baselines", source=source)
        return {shape: Baseline(seconds, scatter, query) for shape, seconds, scatter, query in rows}

    def drop(self, term: timedelta, now: datetime) -> None:
        """What is older is no longer kept."""
        with self._database.write():
            self._database.run("guest.drop", before=int((now - term).timestamp()))

    # --- pauses -------------------------------------------------------------------------------------------------------

    def pause(self, source: str, until: datetime | None, who: str, reason: str, now: datetime) -> SourcePause:
        """A person says that a source is to be left alone; one that is paused already is paused anew."""
        with self._database.write():
            self._end(source, who, now)
            body = {"event": "source.paused", "source": source, "who": who, "reason": reason}
            log = self._ledger.log(body | ({"until": until.isoformat()} if until else {}), now)
            self._database.run(
                "guest.pause", source=source, since=millis(now), until=millis(until) if until else None, who=who,
                reason=reason, log=log,
            )  # fmt: skip
        return SourcePause(source, now, until, who, reason)

    def resume(self, source: str, who: str, now: datetime) -> bool:
        """It may be asked again. Whether it was paused."""
        with self._database.write():
            if source not in self.paused(now):
                return False
            self._end(source, who, now)
            self._ledger.log({"event": "source.resumed", "source": source, "who": who}, now)
        return True

    def paused(self, now: datetime) -> dict[str, SourcePause]:
        """The pauses that hold now, by source."""
        rows = self._database.rows("guest.paused", now=millis(now))
        return {row[0]: _pause(row) for row in rows}

    def pauses(self, source: str, first: datetime, last: datetime) -> list[SourcePause]:
        """Those that held at some time in [first, last), the oldest first."""
        rows = self._database.rows("guest.pauses", source=source, first=millis(first), last=millis(last))
        return [_pause(row) for row in rows]

    def _end(self, source: str, who: str, now: datetime) -> None:
        self._database.run("guest.resume", source=source, who=who, now=millis(now))


def _pause(row: tuple[Any, ...]) -> SourcePause:
    source, since, until, who, reason, ended, ended_by = row
    return SourcePause(source, moment(since), moment_or_none(until), who, reason, moment_or_none(ended), ended_by)
