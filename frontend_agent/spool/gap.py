"""What an agent in two halves keeps of the bundles between them (decision 0053): those that went and those that came.

Both halves keep the same: bundles until they are acknowledged, with the bytes that they went with; numbers and digests of
those that came, and their bytes, still sealed, until all in them is done with. Whoever changes something has a transaction
around it (`writing`), so that deliveries move in the commit in which their parcel becomes a bundle.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

import msgspec

from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.meta import Meta
from frontend_agent.spool.times import millis, moment_or_none

STATE = "gap"
REMEMBERED = 100_000  # numbers whose digests are kept: an older one that comes again is known by its number alone
PARCEL = "parcel"


class LineState(msgspec.Struct, kw_only=True):
    """Where both directions stand. `stream` is our own life, `theirs` the other half's; numbers of each begin with 1."""

    stream: str
    next: int = 1
    acknowledged: int = 0  # ours, up to here
    peer: str = ""  # fingerprint of the other half
    theirs: str = ""
    whole: int = 0  # theirs that came, up to here without a gap
    begun: int = 0  # the bundle in which an item began that has not ended yet; 0: none
    ended: list[str] = []  # streams that are over, ours and theirs
    stopped: str = ""  # why nothing more is taken from the other half
    stopped_at: str = ""
    last_in: str = ""  # when the last bundle came, and was made; ISO 8601
    last_made: str = ""
    last_out: str = ""
    there_and_back: float = 0.0  # seconds until an acknowledgement came, the longest of late
    timed: int = 0  # of which number of ours that was last seen
    ahead_least: float | None = None  # seconds by which the other half's clock is ahead of ours, as far as it is proven
    ahead_most: float | None = None
    bounds_since: str = ""
    resent: int = 0
    duplicates: int = 0
    set_aside: int = 0
    version: str = ""  # of the other half's program
    far: str = "[]"  # how platforms fare, as the outer half says; JSON
    waiting_there: int = 0  # requests that the outer half still has to put
    stopped_there: str = ""


class Sent(NamedTuple):
    """One bundle of ours, milliseconds: when it was made, when it was last laid into the folder, and how often."""

    made_at: int
    sent_at: int
    times: int


class Waiting(NamedTuple):
    """Bundles that were not acknowledged: how many, their bytes, when the oldest was made, how many are not in the folder yet."""

    bundles: int
    size: int
    since: datetime | None
    unlaid: int
    asking_since: datetime | None  # the oldest of those that want an answer


class Place(NamedTuple):
    """Where in the bundles that came one request or answer lies."""

    id: int
    first: int
    last: int
    place: int


class Asked(NamedTuple):
    """One parcel on its way: [document id, SHA-256, institution] of each of its documents."""

    id: str
    destination: str
    kind: str
    at: int
    documents: list[tuple[str, str, str]]


class OnTheWay(NamedTuple):
    """Parcels without an answer."""

    parcels: int
    size: int
    since: datetime | None
    documents: int


class Gap:
    """The book of one half."""

    def __init__(self, ledger: Ledger, meta: Meta) -> None:
        self._ledger, self._meta = ledger, meta
        self._database = ledger.database

    def writing(self) -> AbstractContextManager[None]:
        """One transaction around everything that belongs together."""
        return self._database.write()

    def note(self, body: dict[str, object], now: datetime) -> None:
        """An entry of the chained log, in the transaction of what it speaks of."""
        self._ledger.log(body, now)

    # --- where the line stands ----------------------------------------------------------------------------------------

    def state(self) -> LineState | None:
        """None before the first life."""
        text = self._meta.get(STATE)
        return msgspec.json.decode(text, type=LineState) if text else None

    def keep(self, state: LineState) -> None:
        self._meta.put(STATE, msgspec.json.encode(state).decode())

    # --- ours ---------------------------------------------------------------------------------------------------------

    def add(self, number: int, body: bytes, asks: bool, now: datetime) -> None:
        self._database.run("gap.add sent", number=number, now=millis(now), asks=int(asks), body=body)

    def unlaid(self, limit: int) -> list[int]:
        """Numbers that are to be laid into the folder, the oldest first."""
        return [row[0] for row in self._database.rows("gap.unlaid", limit=limit)]

    def body(self, number: int) -> bytes | None:
        row = self._database.row("gap.sent body", number=number)
        return row[0] if row else None

    def laid(self, number: int, now: datetime) -> None:
        with self.writing():
            self._database.run("gap.laid", number=number, now=millis(now))

    def again(self, numbers: Sequence[int], sent_before: datetime) -> int:
        """Lay these once more, with the same bytes, where they were laid before that moment. How many."""
        return self._database.changed("gap.again", numbers=as_json(list(numbers)), before=millis(sent_before))

    def newest_asking(self) -> tuple[int, int, int, bool] | None:
        """(number, sent at in milliseconds, times, in the folder) of the last one that wants an answer."""
        row = self._database.row("gap.newest asking")
        return (row[0], row[1], row[2], bool(row[3])) if row else None

    def drop_acknowledged(self, whole: int) -> list[int]:
        """Those up to that number are done with: their numbers."""
        gone = [row[0] for row in self._database.rows("gap.acknowledged", whole=whole)]
        if gone:
            self._database.run("gap.drop sent", whole=whole)
        return gone

    def sent(self, number: int) -> Sent | None:
        """None where it is acknowledged already."""
        row = self._database.row("gap.sent one", number=number)
        return Sent(*row) if row else None

    def waiting(self) -> Waiting:
        row = self._database.row("gap.sent counts")
        assert row is not None
        return Waiting(row[0], row[1], moment_or_none(row[2]), row[3], moment_or_none(row[5]))

    # --- theirs -------------------------------------------------------------------------------------------------------

    def take(self, number: int, digest: bytes, body: bytes, now: datetime) -> None:
        self._database.run("gap.take", number=number, sha256=digest, body=body, now=millis(now))

    def digest(self, number: int) -> bytes | None:
        row = self._database.row("gap.digest", number=number)
        return row[0] if row else None

    def got(self, number: int) -> bytes | None:
        """Its bytes as they came; None where it did not come, or is done with."""
        row = self._database.row("gap.got body", number=number)
        return row[0] if row else None

    def early(self, whole: int, limit: int) -> list[int]:
        """Numbers that came before others that are missing."""
        return [row[0] for row in self._database.rows("gap.early", whole=whole, limit=limit)]

    def last(self) -> tuple[int, datetime | None]:
        """The highest number that came, and when."""
        row = self._database.row("gap.last")
        return (row[0], moment_or_none(row[1])) if row else (0, None)

    def done_before(self, number: int) -> None:
        """All in the bundles below that number is done with."""
        self._database.run("gap.done bodies", number=number)
        self._database.run("gap.forget", number=number - REMEMBERED)

    # --- requests and answers in them ---------------------------------------------------------------------------------

    def add_item(self, first: int, last: int, place: int) -> None:
        self._database.run("gap.add item", first=first, last=last, place=place)

    def items(self, limit: int, after: int = 0) -> list[Place]:
        return [Place(*row) for row in self._database.rows("gap.items", limit=limit, after=after)]

    def items_waiting(self) -> tuple[int, int]:
        """How many, and the bundle in which the first of them begins (0: none)."""
        row = self._database.row("gap.items waiting")
        assert row is not None
        return row[0], row[1]

    def drop_item(self, item: int) -> None:
        self._database.run("gap.drop item", id=item)

    # --- parcels on their way -----------------------------------------------------------------------------------------

    def ask(
        self,
        request: str,
        destination: str,
        kind: str,
        size: int,
        documents: Sequence[tuple[str, str, str]],
        now: datetime,
    ) -> None:
        self._database.run(
            "gap.ask", id=request, destination=destination, kind=kind, size=size, now=millis(now),
            documents=as_json(list(documents)),
        )  # fmt: skip

    def asked(self, request: str) -> Asked | None:
        """None: it was answered already."""
        row = self._database.row("gap.request", id=request)
        return _asked(request, *row) if row else None

    def all_asked(self) -> list[Asked]:
        return [_asked(*row) for row in self._database.rows("gap.requests")]

    def answered(self, request: str) -> None:
        self._database.run("gap.drop request", id=request)

    def forget_asked(self, kind: str, before: datetime) -> None:
        """No answer is waited for any more."""
        with self.writing():
            self._database.run("gap.drop older", kind=kind, before=millis(before))

    def on_the_way(self, destination: str, kind: str = PARCEL) -> OnTheWay:
        row = self._database.row("gap.on the way", destination=destination, kind=kind)
        assert row is not None
        return OnTheWay(row[0], row[1], moment_or_none(row[2]), row[3])

    # --- beginning anew -----------------------------------------------------------------------------------------------

    def clear_sent(self) -> None:
        self._database.run("gap.clear sent")

    def clear_got(self) -> None:
        self._database.run("gap.clear got")
        self._database.run("gap.clear items")

    def clear_asked(self) -> None:
        self._database.run("gap.clear requests")


def _asked(request: str, destination: str, kind: str, at: int, documents: str) -> Asked:
    return Asked(request, destination, kind, at, msgspec.json.decode(documents, type=list[tuple[str, str, str]]))
