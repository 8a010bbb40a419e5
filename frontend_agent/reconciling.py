"""Source, agent and platform held against each other, by business key. Pure: values in, values out.

    gap_of_record     one record of the source and what the agent knows of it
    gap_of_journey    one document of the agent and how far it is
    gap_of_set        one set at the platform and what the agent was proven to have delivered
    Sheet             counts, digests and gaps per day and department

Every record gets the one word that is true of it. Some words are differences: something is not as it should be, with who
is to blame and what mends it. The others explain why a record is not at the platform, and nobody has to do anything that
is not already asked for elsewhere (quarantine, withheld, status).

What would become of a record is not decided anew here: it is the very decision of taking in (`intake.next_step`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import msgspec

from frontend_agent.delivery import OPEN, STUCK, State
from frontend_agent.intake import Step, next_step
from frontend_agent.model import Blame, SeriesHead, SourceRecord
from frontend_agent.wire.reconciliation import Count, Digest, SaidDay

VOID = "void"  # in place of a hash: a withdrawn record is one, whatever else it says


class Gap(StrEnum):
    """What is true of a record that is not simply there, equal, on all sides."""

    # Differences.
    MISSED = "missed"  # final at the source, unknown here, and the watermark is past it
    STALE = "stale"  # other content at the source than was taken, and the watermark is past it
    VANISHED = "vanished"  # a document was made, and the source no longer has the key
    LOST = "lost"  # proven stored once; the platform signs now that it does not have it
    OTHER_BYTES = "other bytes"  # the platform has other bytes under the same set and version
    UNKNOWN_HERE = "unknown here"  # the platform has a set, or a version, that this state does not know
    # Explained.
    UNREAD = "unread"  # the next run of the feed reads it
    NOT_FINAL = "not final"
    WITHDRAWN = "withdrawn"  # void, and nothing of it was ever sent
    HELD = "held"  # waits for a person
    WITHHELD = "withheld"  # kept back by rule
    WAITING = "waiting"  # for a partner's row
    DISCARDED = "discarded"  # a person decided that it is not sent
    ON_ITS_WAY = "on its way"
    UNPROVEN = "unproven"  # a destination said that it took it, and has not shown that it has it (law 5)
    STUCK = "stuck"  # refused or blocked by a destination, or damaged here: waits for a person


class Meaning(NamedTuple):
    """Who is to blame, and whether sending again mends it."""

    blame: Blame
    mendable: bool


DIFFERENCES: dict[Gap, Meaning] = {
    Gap.MISSED: Meaning(Blame.MAPPING, True),
    Gap.STALE: Meaning(Blame.MAPPING, True),
    Gap.VANISHED: Meaning(Blame.SOURCE, False),
    Gap.LOST: Meaning(Blame.PLATFORM, True),
    Gap.OTHER_BYTES: Meaning(Blame.PLATFORM, False),
    Gap.UNKNOWN_HERE: Meaning(Blame.AGENT, False),
}
EXPLAINED = tuple(gap for gap in Gap if gap not in DIFFERENCES)


class Place(NamedTuple):
    """For which day (yyyymmdd, local; 0 when nobody knows) and department a record counts."""

    day: int
    department: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, by its business key. No content."""

    gap: Gap
    place: Place
    key: str = ""
    set_id: str = ""
    document: str = ""
    feed: str = ""
    destination: str = ""
    mended: bool = False

    @property
    def mendable(self) -> bool:
        return DIFFERENCES[self.gap].mendable

    def told(self) -> dict[str, Any]:
        return {
            "gap": str(self.gap),
            "blame": str(DIFFERENCES[self.gap].blame),
            "day": self.place.day,
            "department": self.place.department,
            "feed": self.feed,
            "key": self.key,
            "set": self.set_id,
            "document": self.document,
            "destination": self.destination,
            "mendable": self.mendable,
            "mended": self.mended,
        }


# -- one record -------------------------------------------------------------------------------------------------------


class Known(Protocol):
    """What the agent knows of one set."""

    @property
    def version(self) -> int: ...
    @property
    def withheld(self) -> bool: ...
    @property
    def head(self) -> SeriesHead: ...


def gap_of_record(record: SourceRecord, known: Known | None, waiting: bool) -> Gap | None:
    """A record as the source has it now, against what was taken of it. None: a document was made of exactly this.

    MISSED and STALE are to be looked at once more: whether the watermark is past them, only the cursor can tell.
    """
    head = known.head if known else None
    step = next_step(head, record, head.digests if head else "")
    if step is Step.NOT_FINAL:
        return Gap.NOT_FINAL
    if step is Step.WITHDRAWN:
        return Gap.WITHDRAWN
    if known is not None and known.withheld:
        return Gap.WITHHELD
    if step is Step.UNCHANGED:
        assert known is not None
        return Gap.HELD if known.head.held else None if known.version else Gap.DISCARDED
    if waiting:
        return Gap.WAITING
    return Gap.STALE if known else Gap.MISSED


def gap_of_unreadable(known: Known | None) -> Gap:
    """Rows that the mapping cannot read, or two records that claim one key: they are held, or were never met."""
    return Gap.HELD if known is not None and known.head.held else Gap.MISSED


def gap_of_absent(known: Known | None) -> Gap | None:
    """A key that the source does not have. Nothing was ever made of it: there is nothing to say."""
    if known is None or not known.version or known.head.void:
        return None
    return Gap.HELD if known.head.held else Gap.WITHHELD if known.withheld else Gap.VANISHED


def gap_of_journey(state: State) -> Gap | None:
    """A document on its way to one destination. None: it is proven to be there."""
    if state in OPEN:
        return Gap.ON_ITS_WAY
    if state in STUCK:
        return Gap.STUCK
    if state is State.ACCEPTED:
        return Gap.UNPROVEN
    return Gap.DISCARDED if state is State.DISCARDED else None


# -- one set at the platform ------------------------------------------------------------------------------------------


class Version(Protocol):
    """One version of a set that was made here for a destination."""

    @property
    def version(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def state(self) -> State: ...


def gap_of_set(ours: Mapping[int, Version], version: int, sha256: str) -> Gap | None:
    """The platform's newest version of a set against those that were made here. None: it is as it should be.

    A newer one than the newest that is proven may be on its way: its answer has not come yet. An older one is not told
    here: whether the newest is lost, only the platform's signed word can tell (`lost_among`).
    """
    mine = ours.get(version)
    if mine is None:
        return Gap.UNKNOWN_HERE
    return Gap.OTHER_BYTES if mine.sha256 != sha256 else None


def lost_among(delivered: Mapping[str, str], proofs: Mapping[str, str]) -> dict[str, Gap]:
    """Document id -> SHA-256 as delivered, against what the platform signs now. What it says nothing of is not told."""
    found = {}
    for document, sha256 in delivered.items():
        proven = proofs.get(document)
        if proven == "":
            found[document] = Gap.LOST
        elif proven is not None and proven != sha256:
            found[document] = Gap.OTHER_BYTES
    return found


def differing_places(ours: Mapping[Place, Digest], theirs: Iterable[Count]) -> list[Place]:
    """The days and departments where the two do not hold the same: only those are asked for set by set."""
    there = {Place(one.day, one.department): (one.documents, one.digest) for one in theirs}
    here = {place: (digest.count, digest.hex) for place, digest in ours.items()}
    return sorted(place for place in there.keys() | here.keys() if there.get(place) != here.get(place))


# -- the sheet --------------------------------------------------------------------------------------------------------


class Row:
    """One day and department."""

    def __init__(self) -> None:
        self.sources = self.agents = 0  # records, documents
        self.source = Digest()  # of those that are not explained: what should be equal on both sides
        self.agent = Digest()
        self.delivered: dict[str, Digest] = {}
        self.platform: dict[str, tuple[int, str]] = {}
        self.gaps: Counter[Gap] = Counter()


class Sheet:
    """All that was found, per day and department."""

    def __init__(self, first: int, last: int, department: str | None = None) -> None:
        """`department`: only this one is told; None: all."""
        self.first, self.last = first, last
        self._department = department
        self._rows: dict[Place, Row] = {}
        self.differences: list[Difference] = []

    def wants(self, place: Place) -> bool:
        """Rows of other days are told only where something is wrong with them."""
        return self._department is None or place.department == self._department

    def within(self, place: Place) -> bool:
        return self.first <= place.day <= self.last

    def row(self, place: Place) -> Row:
        found = self._rows.get(place)
        if found is None:
            found = self._rows[place] = Row()
        return found

    def at_source(self, place: Place, record: SourceRecord, explained: bool = False) -> None:
        """`explained`: it counts, and its content need not be the same here."""
        if self.wants(place) and self.within(place):
            row = self.row(place)
            row.sources += 1
            if not explained:
                row.source.add(f"{record.key} {VOID if record.void else record.source_hash}")

    def at_agent(self, place: Place, key: str, document_hash: str, void: bool, explained: bool = False) -> None:
        if self.wants(place) and self.within(place):
            row = self.row(place)
            row.agents += 1
            if not explained:
                row.agent.add(f"{key} {VOID if void else document_hash}")

    def gap(self, place: Place, gap: Gap) -> None:
        if self.wants(place) and (self.within(place) or gap in DIFFERENCES):
            self.row(place).gaps[gap] += 1

    def differs(self, difference: Difference) -> None:
        if self.wants(difference.place):
            self.gap(difference.place, difference.gap)
            self.differences.append(difference)

    def platform(self, destination: str, ours: Mapping[Place, Digest], theirs: Iterable[Count]) -> None:
        """What a destination is proven to have, and what it says."""
        for place, digest in ours.items():
            if self.wants(place):
                self.row(place).delivered[destination] = digest
        for one in theirs:
            place = Place(one.day, one.department)
            if self.wants(place):
                self.row(place).platform[destination] = (one.documents, one.digest)

    def told(self) -> list[dict[str, Any]]:
        """Each day and department, in order."""
        return [self._told(place, self._rows[place]) for place in sorted(self._rows)]

    def _told(self, place: Place, row: Row) -> dict[str, Any]:
        return {
            "day": place.day,
            "department": place.department,
            "source": {"records": row.sources, "digest": row.source.hex},
            "agent": {"records": row.agents, "digest": row.agent.hex},
            "equal": row.source.hex == row.agent.hex,
            "destinations": {
                name: {
                    "delivered": digest.count if (digest := row.delivered.get(name)) else 0,
                    "digest": digest.hex if digest else Digest().hex,
                    "platform": row.platform.get(name, (None, None))[0],
                    "platform_digest": row.platform.get(name, (None, None))[1],
                }
                for name in sorted(row.delivered.keys() | row.platform.keys())
            },
            "gaps": {str(gap): n for gap, n in sorted(row.gaps.items()) if n},
        }

    def totals(self) -> dict[str, int]:
        """Over all days and departments."""
        gaps = sum((row.gaps for row in self._rows.values()), Counter[Gap]())
        return {
            "source": sum(row.sources for row in self._rows.values()),
            "agent": sum(row.agents for row in self._rows.values()),
            **{str(gap): gaps[gap] for gap in Gap if gaps[gap]},
        }

    def said(self, feed: str, kind: str) -> list[SaidDay]:
        """What the platform is told of it: numbers only."""
        mended = Counter(one.place for one in self.differences if one.mended)
        return [
            SaidDay(
                feed=feed,
                kind=kind,
                day=place.day,
                department=place.department,
                source=row.sources,
                agent=row.agents,
                delivered=max((digest.count for digest in row.delivered.values()), default=0),
                explained=sum(row.gaps[gap] for gap in EXPLAINED),
                missed=row.gaps[Gap.MISSED],
                differing=sum(row.gaps[gap] for gap in DIFFERENCES),
                mended=mended[place],
            )
            for place, row in sorted(self._rows.items())
        ]
