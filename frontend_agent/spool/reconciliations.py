"""What reconciliation asks of the spool, what it keeps, and how what a platform lost goes there again.

days, kept, journeys     our side, by day and by set
delivered, versions      what a destination is proven to have
reopen                   a delivery whose document the destination signs not to have (law 5)
ask, asked               keys that are to be read once more; forgotten in the commit that takes them
keep, listed             what was found
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import zstandard

from frontend_agent.delivery import Event, State, after
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.identity import parts
from frontend_agent.model import SeriesHead
from frontend_agent.spool.ledger import Ledger, as_json, packed
from frontend_agent.spool.times import millis, moment

_PAGE = 1_000
KEPT = 400  # reconciliations of one feed: a year of nights
LOGGED = 200  # keys that one log entry names


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one set. Version 0: nothing was made of it (yet)."""

    set_id: str
    version: int
    document_hash: str
    held_hash: str | None
    void: bool
    day: int  # 0: made before there were statistics, withheld, or only the platform told us of it
    department: str
    withheld: bool
    made_here: bool

    @property
    def head(self) -> SeriesHead:
        """As taking in sees it."""
        held = self.held_hash is not None
        return SeriesHead(
            set_id=self.set_id,
            version=self.version,
            source_hash=self.held_hash if self.held_hash is not None else self.document_hash,
            document_id=make_document_id(self.set_id, self.version) if self.version else "",
            held=held,
            void=self.void,
            document_hash=self.document_hash,
        )


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a set on its way to a destination, or there."""

    set_id: str
    version: int
    sha256: str
    state: State
    day: int
    department: str
    feed: str
    key: str
    newest: int = 0  # the newest version that was made of the set

    @property
    def document_id(self) -> str:
        return make_document_id(self.set_id, self.version)


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One that is over. `who` is empty when it ran by itself."""

    id: int
    feed: str
    first: int
    last: int
    who: str
    started_at: datetime
    ended_at: datetime
    missed: int
    differing: int
    mended: int
    problem: str

    @property
    def is_alarm(self) -> bool:
        """Rows would have been missed, something is still not as it should be, or it could not be told."""
        return bool(self.missed or self.differing > self.mended or self.problem)


class Reconciliations:
    """Every method that changes something is one transaction, and says so in the chained log."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    # --- our side -----------------------------------------------------------------------------------------------------

    def days(self, feed: str, first: int, last: int) -> Iterator[list[str]]:
        """The keys of a feed that count for these days (yyyymmdd), documents and held records, in pages; some twice."""
        for query in ("reconcile.documents", "reconcile.held"):
            day, number = first, 0
            while page := self._database.rows(query, feed=feed, day=day, after=number, last=last, limit=_PAGE):
                yield [row[2] for row in page]
                day, number = page[-1][:2]

    def kept(self, set_ids: Iterable[str]) -> dict[str, Kept]:
        """What is known of these sets; those we never saw are absent."""
        rows = self._database.batch("reconcile.kept", set_ids=as_json(list(set_ids)))
        return {row[0]: _kept(row) for row in rows}

    def journeys(self, set_ids: Iterable[str]) -> dict[tuple[str, str], State]:
        """(set, destination) -> how far the newest document of the set is."""
        rows = self._database.batch("reconcile.journeys", set_ids=as_json(list(set_ids)))
        return {(set_id, destination): State(state) for set_id, destination, state in rows}

    def delivered(self, destination: str, institution: str, kind: str, first: int, last: int) -> Iterator[Sent]:
        """Of every set what the destination is proven to have, by the day for which it counts."""
        day, number = first, 0
        while page := self._database.rows(
            "reconcile.delivered", destination=destination, institution=institution, kind=kind, day=day, after=number,
            last=last, limit=_PAGE,
        ):  # fmt: skip
            for of_day, _, department, set_id, version, digest, feed, key in page:
                yield Sent(
                    set_id=set_id,
                    version=version,
                    sha256=digest,
                    state=State.DELIVERED,
                    day=of_day,
                    department=department,
                    feed=feed,
                    key=key,
                )
            day, number = page[-1][:2]

    def versions(self, destination: str, set_ids: Iterable[str]) -> dict[str, dict[int, Sent]]:
        """Set -> version -> what became of it at a destination."""
        found: dict[str, dict[int, Sent]] = {}
        rows = self._database.batch("reconcile.versions", destination=destination, set_ids=as_json(list(set_ids)))
        for set_id, version, digest, state, day, department, feed, key, newest in rows:
            found.setdefault(set_id, {})[version] = Sent(
                set_id=set_id,
                version=version,
                sha256=digest,
                state=State(state),
                day=day,
                department=department,
                feed=feed,
                key=key,
                newest=newest,
            )
        return found

    # --- mending ------------------------------------------------------------------------------------------------------

    def reopen(self, destination: str, document_ids: Sequence[str], now: datetime) -> int:
        """The destination signed that it does not have these: the same bytes go again. How many.

        Where they are no longer kept, the record is read again and becomes the next version: bytes are never made twice
        under one name (law 2). The receipts of before stay in the log: they prove that it once had them.
        """
        reopened, remade = [], []
        with self._database.write():
            for name in document_ids:
                named = parts(name)
                row = named and self._database.row(
                    "reconcile.lost", set_id=named[0], version=named[1], destination=destination
                )
                if not row:
                    continue
                if row[4]:
                    self._send_again(destination, row)
                    reopened.append(name)
                else:
                    self._make_again(destination, row, now)
                    remade.append(name)
                if row[5] is not None:
                    delivered = [(row[5], row[6] or 0, State.DELIVERED, -1)]
                    self._database.run("statistics.deliveries", destination=row[2], rows=as_json(delivered))
            if reopened or remade:
                body = {"event": "lost", "destination": destination, "documents": reopened, "made_again": remade}
                self._ledger.log(body, now)
        return len(reopened) + len(remade)

    def _send_again(self, destination: str, row: tuple[Any, ...]) -> None:
        assert after(State.DELIVERED, Event.LOST) is State.READY
        state = self._database.row("stuck.again", document=row[0], destination=row[2])
        assert state is not None
        self._ledger.move(destination, {State.DELIVERED: -1, State(state[0]): 1})

    def _make_again(self, destination: str, row: tuple[Any, ...], now: datetime) -> None:
        reasons = as_json(
            ["the destination has lost it and its bytes are no longer kept: the next version takes its place"]
        )
        self._database.run("reconcile.gone", document=row[0], destination=row[2], now=millis(now), reasons=reasons)
        self._database.run("series.read again", series=row[1])
        self._ledger.move(destination, {State.DELIVERED: -1, State.DISCARDED: 1})

    def ask(self, feed: str, keys: Iterable[tuple[str, str]], now: datetime) -> None:
        """Have these (set, key) read once more by the feed's next run."""
        with self._database.write():
            self._database.run("resend.ask", feed=feed, rows=as_json(list(keys)), now=millis(now))

    def asked(self, feed: str, limit: int, place: str = "") -> list[tuple[str, str]]:
        """(set, key) that are to be read once more, from behind a place on."""
        return [tuple(row) for row in self._database.batch("resend.page", feed=feed, after=place, limit=limit)]

    def left(self, feed: str) -> int:
        """How many of them have not had their turn."""
        row = self._database.row("resend.left", feed=feed)
        return int(row[0]) if row else 0

    def taken(self, set_ids: Sequence[str]) -> None:
        """They have had it. Part of the transaction that takes them."""
        if set_ids:
            self._database.run("resend.taken", set_ids=as_json(list(set_ids)))

    # --- what was found -----------------------------------------------------------------------------------------------

    def keep(
        self,
        told: dict[str, Any],
        *,
        institution: str,
        missed: Sequence[tuple[str, int, str]],
        who: str,
        started_at: datetime,
        now: datetime,
    ) -> int:
        """Remember what one found; `missed`: (key, day, department) of rows that the watermark would have missed. Its number."""
        feed, kind = told["feed"], told["kind"]
        with self._database.write():
            if missed:
                self._database.run(
                    "reconcile.missed",
                    feed=feed,
                    kind=kind,
                    institution=institution,
                    rows=as_json(missed),
                    now=millis(now),
                )
            log = self._ledger.log(
                {
                    "event": "reconciled",
                    "feed": feed,
                    "first": told["first"],
                    "last": told["last"],
                    "who": who,
                    "totals": told["totals"],
                    "missed": [key for key, _, _ in missed[:LOGGED]],
                    "differences": [(one["gap"], one["key"], one["document"]) for one in told["differences"][:LOGGED]],
                    "mended": told["mended"],
                },
                now,
            )
            row = self._database.row(
                "reconcile.add",
                feed=feed,
                first=told["first"],
                last=told["last"],
                who=who,
                started_at=millis(started_at),
                ended_at=millis(now),
                missed=len(missed),
                differing=told["differing"],
                mended=told["mended"],
                problem=told["problem"],
                body=packed(as_json(told).encode()),
                log=log,
            )
            self._database.run("reconcile.trim", feed=feed, who=who, kept=KEPT)
        assert row is not None
        return int(row[0])

    def listed(self, feed: str | None = None, limit: int = 100, before: int = 1 << 62) -> list[Reconciliation]:
        """The newest first."""
        rows = self._database.rows("reconcile.list", feed=feed, limit=limit, before=before)
        return [_reconciliation(row) for row in rows]

    def shown(self, number: int) -> tuple[Reconciliation, dict[str, Any]] | None:
        """One, with all that it found."""
        row = self._database.row("reconcile.one", id=number)
        if row is None:
            return None
        return _reconciliation(row[:-1]), msgspec.json.decode(zstandard.ZstdDecompressor().decompress(row[-1]))

    def last_night(self, feed: str) -> Reconciliation | None:
        """The newest that a feed had by itself."""
        row = self._database.row("reconcile.last night", feed=feed)
        return _reconciliation(row) if row else None


def _kept(row: list[Any]) -> Kept:
    set_id, version, document_hash, held_hash, void, day, department, withheld, made_here = row
    return Kept(
        set_id=set_id,
        version=version,
        document_hash=document_hash,
        held_hash=held_hash,
        void=bool(void),
        day=day,
        department=department,
        withheld=bool(withheld),
        made_here=bool(made_here),
    )


def _reconciliation(row: tuple[Any, ...]) -> Reconciliation:
    number, feed, first, last, who, started_at, ended_at, missed, differing, mended, problem = row
    return Reconciliation(
        id=number,
        feed=feed,
        first=first,
        last=last,
        who=who,
        started_at=moment(started_at),
        ended_at=moment(ended_at),
        missed=missed,
        differing=differing,
        mended=mended,
        problem=problem,
    )
