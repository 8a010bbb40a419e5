"""What agents reconcile with: their own newest documents by day and department, and what they found. Queries only.

The day and department are those that the agent says in the parcel's index: the day of the event, by the one definition
that its own statistics have. Read from the document they would be a second definition (each kind has its own time, in its
own place), and every difference between the two would look like a missing document. What is held against each other is
the bytes: version and SHA-256 of every set. A document that came without a day (from an agent of an earlier version, or
for a destination that may not have all of it) is asked for by its id instead, through its signed receipt.
"""

from itertools import groupby

import apsw
import msgspec

from frontend_agent.wire.reconciliation import (
    SETS_AT_ONCE,
    Count,
    CountsAsked,
    Digest,
    KeptSet,
    Said,
    SetsAsked,
    set_line,
)


class Reconciled(msgspec.Struct, frozen=True):
    """One hospital's feed, day and department: what its agent said, and how many documents are here now."""

    institution: str
    institution_name: str
    day: int
    department: str
    feed: str
    kind: str
    source: int
    agent: int
    delivered: int
    here: int
    explained: int
    missed: int
    differing: int
    mended: int
    said_at: str


def counted(db: apsw.Connection, asked: CountsAsked) -> list[Count]:
    rows = db.execute(
        "SELECT day, department, set_id, version, sha256 FROM document INDEXED BY document_day "
        "WHERE institution = ? AND kind = ? AND day BETWEEN ? AND ? AND newest = 1 AND day > 0 ORDER BY day, department",
        (asked.institution, asked.kind, asked.first, asked.last),
    )
    counts = []
    for (day, department), some in groupby(rows, key=lambda row: (row[0], row[1])):
        digest = Digest(set_line(set_id, version, sha256.hex()) for *_, set_id, version, sha256 in some)
        counts.append(Count(day, department, digest.count, digest.hex))
    return counts


def kept_sets(db: apsw.Connection, asked: SetsAsked) -> list[KeptSet]:
    rows = db.execute(
        "SELECT set_id, version, sha256 FROM document INDEXED BY document_day WHERE institution = ? AND kind = ? "
        "AND day = ? AND department = ? AND newest = 1 AND day > 0 AND set_id > ? ORDER BY set_id LIMIT ?",
        (asked.institution, asked.kind, asked.day, asked.department, asked.after, SETS_AT_ONCE),
    )
    return [KeptSet(set_id, version, digest.hex()) for set_id, version, digest in rows]


def keep(db: apsw.Connection, said: Said) -> None:
    """The newest word about a day replaces the one before, whole: a department that is gone is gone."""
    days = {(day.feed, day.kind, day.day) for day in said.days}
    db.executemany(
        "DELETE FROM reconciliation WHERE institution = ? AND day = ? AND feed = ? AND kind = ?",
        [(said.institution, day, feed, kind) for feed, kind, day in days],
    )
    db.executemany(
        "INSERT OR REPLACE INTO reconciliation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (said.institution, one.feed, one.kind, one.day, one.department, one.source, one.agent, one.delivered,
             one.explained, one.missed, one.differing, one.mended, said.at)
            for one in said.days
        ],
    )  # fmt: skip


def said(db: apsw.Connection, institution: str, first: int, last: int, differing: bool, limit: int) -> list[Reconciled]:
    rows = db.execute(
        "SELECT r.institution, coalesce(i.name, ''), r.day, r.department, r.feed, r.kind, r.source, r.agent, r.delivered, "
        "(SELECT count(*) FROM document d INDEXED BY document_day WHERE d.institution = r.institution AND d.kind = r.kind "
        " AND d.day = r.day AND d.department = r.department AND d.newest = 1 AND d.day > 0), "
        "r.explained, r.missed, r.differing, r.mended, r.said_at "
        "FROM reconciliation r LEFT JOIN institution i ON i.id = r.institution "
        "WHERE (? = '' OR r.institution = ?) AND r.day BETWEEN ? AND ? AND (NOT ? OR r.differing > r.mended OR r.missed > 0) "
        "ORDER BY r.day DESC, r.institution, r.feed, r.department LIMIT ?",
        (institution, institution, first, last, differing, limit),
    )
    return [Reconciled(*row) for row in rows]
