"""The hospitals of a region as their agents say every minute that they stand; and those of which nothing is heard any more.

What is kept is the newest word of each hospital, stamped by our own clock. A hospital that has fallen silent is the
platform's own alarm: it begins and ends once, over restarts. A platform that was away itself alarms nobody before it has
listened for as long as it takes to be silent.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw
import msgspec

from frontend_agent.alarms import Alarm, Level
from frontend_agent.alarms.model import Figure
from frontend_agent.alarms.texts import plain_texts
from frontend_agent.platform.upgrades import Offering, Progress
from frontend_agent.wire.heartbeat import Beat
from frontend_agent.wire.upgrades import STATES

SILENT = timedelta(minutes=5)
LOOK_EVERY = 15.0  # seconds
UNSAID: dict[str, Figure] = {
    "problem": "",
    "version": "",
    "file": "",
    "ends": "",
    "until": "",
}  # what an alarm says in words stays at the hospital
_log = logging.getLogger("frontend_agent.platform")


class Hospital(msgspec.Struct, frozen=True, kw_only=True):
    """One hospital: its newest heartbeat, when it came, and since when nothing was heard, where that is an alarm."""

    institution: str
    name: str
    received_at: str
    beat: Beat
    silent_since: str = ""

    @property
    def level(self) -> str:
        """The worst of what is wrong there; empty: nothing."""
        if self.silent_since:
            return str(Level.CRITICAL)
        levels = {one.level for one in self.beat.alarms if not one.muted}
        return next((str(level) for level in (Level.CRITICAL, Level.WARNING) if level in levels), "")

    @property
    def skew(self) -> float:
        """Seconds that its clock is ahead of ours."""
        return (moment(self.beat.at) - moment(self.received_at)).total_seconds()


def moment(text: str) -> datetime:
    """ISO 8601; without a zone UTC."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def told_alarms(hospital: Hospital, now: datetime) -> list[dict[str, Any]]:
    """What is wrong there, in both languages; the hospital's silence first."""
    found = []
    if hospital.silent_since:
        since = moment(hospital.silent_since)
        figures: dict[str, Figure] = {"silent": (now - since).total_seconds()}
        name = hospital.name or hospital.institution
        found.append(_told(Alarm(0, "heartbeat", name, Level.CRITICAL, since, since, figures), False))
    for one in hospital.beat.alarms:
        level = Level.CRITICAL if one.level == Level.CRITICAL else Level.WARNING
        alarm = Alarm(
            one.id, one.kind, one.subject, level, moment(one.since), moment(one.began_at), {**UNSAID, **one.figures}
        )
        found.append(_told(alarm, one.muted))
    return found


def upgrades_of(
    offering: Offering, progress: Iterable[Progress], hospitals: Iterable[Hospital], names: Mapping[str, str]
) -> list[dict[str, str]]:
    """How far a version has come at each hospital that is meant, or that has it all the same; those with a reason first."""
    standing = {one.institution: one for one in hospitals}
    said = {one.institution: one for one in progress if one.version == offering.version}
    meant = {one for one in {*standing, *names, *offering.institutions} if offering.means(one)}
    found = []
    for institution in sorted({*meant, *said}):
        one = said.get(institution)
        state = (one.state if one.state in STATES else "later") if one else "unheard"
        found.append(
            {
                "institution": institution,
                "name": names.get(institution, ""),
                "runs": standing[institution].beat.version if institution in standing else "",
                "state": state,
                "reason": one.reason if one else "",
                "at": one.at if one else "",
            }
        )
    return sorted(found, key=lambda one: (not one["reason"], one["institution"]))


def _told(alarm: Alarm, muted: bool) -> dict[str, Any]:
    return {
        "kind": alarm.kind, "subject": alarm.subject, "level": str(alarm.level), "since": alarm.since.isoformat(),
        "muted": muted, "texts": plain_texts(alarm),
    }  # fmt: skip


# -- Kept -------------------------------------------------------------------------------------------------------------


def keep(db: apsw.Connection, beat: Beat, now: str) -> None:
    """The newest word replaces the one before."""
    body = msgspec.json.encode(msgspec.structs.replace(beat, lease=""))
    db.execute(
        "INSERT INTO heartbeat VALUES (?, ?, ?, ?) ON CONFLICT (institution) DO UPDATE SET "
        "instance = excluded.instance, received_at = excluded.received_at, body = excluded.body",
        (beat.institution, beat.instance, now, body),
    )


def hospitals(db: apsw.Connection) -> list[Hospital]:
    """All of which anything was ever heard, those that are silent first."""
    rows = db.execute(
        "SELECT h.institution, coalesce(i.name, ''), h.received_at, h.body, coalesce(s.since, '') FROM heartbeat h "
        "LEFT JOIN institution i ON i.id = h.institution "
        "LEFT JOIN hospital_silence s ON s.institution = h.institution AND s.ended_at = '' "
        "ORDER BY s.since IS NULL, h.institution"
    )
    return [
        Hospital(
            institution=institution, name=name, received_at=at, beat=msgspec.json.decode(body, type=Beat), silent_since=since
        )
        for institution, name, at, body, since in rows
    ]  # fmt: skip


def silences(db: apsw.Connection, limit: int) -> list[tuple[str, str, str, str]]:
    """(institution, since, began, ended) of hospitals that fell silent, the newest first."""
    return list(
        db.execute(
            "SELECT institution, since, began_at, ended_at FROM hospital_silence ORDER BY id DESC LIMIT ?", (limit,)
        )
    )


def turns(db: apsw.Connection, now: datetime, listening_since: datetime) -> list[tuple[str, str]]:
    """Which hospitals fell silent, and which are heard again: (begins or ends, institution). Kept in the caller's transaction."""
    stamp, changes = iso(now), []
    rows = db.execute(
        "SELECT h.institution, h.received_at, s.id FROM heartbeat h "
        "LEFT JOIN hospital_silence s ON s.institution = h.institution AND s.ended_at = ''"
    )
    for institution, received_at, number in list(rows):
        quiet = now - max(moment(received_at), listening_since) >= SILENT
        if quiet and number is None:
            db.execute(
                "INSERT INTO hospital_silence (institution, since, began_at) VALUES (?, ?, ?)",
                (institution, received_at, stamp),
            )
            changes.append(("begins", institution))
        elif number is not None and now - moment(received_at) < SILENT:
            db.execute("UPDATE hospital_silence SET ended_at = ? WHERE id = ?", (stamp, number))
            changes.append(("ends", institution))
    return changes


def iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Watch:
    """Looks every so often which hospitals are silent, in a thread of its own."""

    def __init__(
        self,
        write: Callable[[], AbstractContextManager[apsw.Connection]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._write, self._clock = write, clock
        self._since = clock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="fleet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when it looks no more: the index may be closed then."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> list[tuple[str, str]]:
        """Once, now. What begins and ends is logged."""
        with self._write() as db:
            changes = turns(db, self._clock(), self._since)
        for turn, institution in changes:
            say = _log.warning if turn == "begins" else _log.info
            say("hospital.%s institution=%s", "silent" if turn == "begins" else "heard", institution)
        return changes

    def _work(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - said by its type, and tried again with the next look
                _log.error("fleet.failed error=%s", type(error).__name__)
