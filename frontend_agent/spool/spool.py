"""Take in, claim, settle.

Every public method that changes something is one transaction, and says in the chained log what it did.
"""

import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
import msgspec

from frontend_agent import qclog
from frontend_agent.delivery import MOVING, OPEN, Event, SignedReply, State, after, back_off
from frontend_agent.errors import SpoolFull, StateError
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.identity import parts
from frontend_agent.measuring import without_index
from frontend_agent.model import Document, Finding, Outcome, Receipt, SeriesHead, Watermark
from frontend_agent.spool import cases, groups, releases, retention, traces, waiting, withheld
from frontend_agent.spool.accepted import Accepted
from frontend_agent.spool.alarms import Alarms
from frontend_agent.spool.at_rest import settle
from frontend_agent.spool.backfills import Backfills
from frontend_agent.spool.cases import LetGo
from frontend_agent.spool.closings import Closings
from frontend_agent.spool.console_accounts import ConsoleAccounts
from frontend_agent.spool.database import FILE, Bodies, Damaged, Database, Undo
from frontend_agent.spool.early import Early
from frontend_agent.spool.finding import Finding as Found
from frontend_agent.spool.gap import Gap
from frontend_agent.spool.guests import Guests
from frontend_agent.spool.images import Images
from frontend_agent.spool.inbox import Inbox
from frontend_agent.spool.ledger import Ledger, as_json, packed
from frontend_agent.spool.meta import Meta
from frontend_agent.spool.picked import PickedFiles
from frontend_agent.spool.reconciliations import Reconciliations
from frontend_agent.spool.registering import Known, Registering, Wanted
from frontend_agent.spool.silences import Silences
from frontend_agent.spool.statistics import Ended, Statistics
from frontend_agent.spool.terms import Terms
from frontend_agent.spool.times import millis, millis_of_text, moment, moment_or_none, text
from frontend_agent.spool.vault import AtRest, Vault
from frontend_agent.spool.visits import DueVisit, Visits
from frontend_agent.spool.words import (
    Awaiting,
    Became,
    Beside,
    Case,
    Counts,
    Delivery,
    Group,
    JudgedVisit,
    KeptBack,
    KeptReceipt,
    Pause,
    Release,
    Run,
    Taken,
    Trace,
)

FAR_AWAY = 1 << 62  # a time, in milliseconds
LARGE = 1 << 20  # a longer frame is a file beside the database
FRAMES_AT_ONCE = 64 << 20
MANY_BYTES = 4 << 20
DEFAULT_LEASE = timedelta(minutes=10)
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=2), timedelta(minutes=5)
SUSPECT = 9  # the urgency of suspects: after everything else; of what got no answer the more, the more often
MOST_SILENT = 50
SUSPECTS_AT_ONCE = 4  # so many may travel along, when others wait
_RECENT_PAGE = 200
INBOX_SHARE = 0.9  # of the quota: messages leave room for what becomes of them, or none would ever be taken
FULL_AGAIN = 0.95  # of the quota: below it, a spool that was full has room again

_PROOFS = (Outcome.STORED, Outcome.DUPLICATE)


class Spool:
    """The state directory of one agent. Safe to use from several threads; open in one process at a time."""

    def __init__(
        self,
        path: Path | str,
        quota: int = 0,
        reserve: int = 64 << 20,
        random: Random | None = None,
        at_rest: AtRest | None = None,
    ) -> None:
        """`quota`: bytes that the spool may use, 0 for no limit. `reserve`: bytes of the disk that are left alone. `at_rest`: what it
        is sealed with; None: it is plain."""
        self.path = Path(path)
        self._quota = quota
        self._reserve = reserve
        self._at_rest = at_rest
        self._random = random or Random()  # spreads retries, guards nothing  # noqa: S311
        self.patience = (
            timedelta()
        )  # how far ahead a delivery may be due, where an answer may take longer than LONGEST_DELAY
        self._full: set[float] = set()  # shares of the quota that were used up when somebody last asked
        self._rows: dict[str, int] = {}  # row numbers of claimed documents
        self._plans: dict[int, tuple[str, str, str, str, str]] = {}
        self._destinations: dict[str, int] = {}

    def open(self) -> "Spool":
        """Open it after any ending: what was being sent when we died is uncertain, nothing else has changed."""
        vault = self._vault = Vault(self.path, self._at_rest)
        self.sealed_anew = settle(self.path, vault)
        self._database = Database.open(self.path / FILE, vault.current)
        vault.forget_other_secrets()
        self._ledger = Ledger(self._database)
        self.statistics = Statistics(self._database)
        self._bodies = Bodies(self.path / "bodies", vault)
        self.meta = Meta(self._database)
        self._visits = Visits(self._database, self._ledger, self.meta, self.statistics)
        self.terms = Terms(self._ledger)
        self.closing = Closings(self._ledger)
        self.silence = Silences(self._ledger)
        self.alarms = Alarms(self._ledger)
        self.backfills = Backfills(self._ledger)
        self.console_accounts = ConsoleAccounts(self._ledger)
        self.reconciliations = Reconciliations(self._ledger)
        self.guests = Guests(self._ledger)
        self.finding = Found(self._ledger)
        self.gap = Gap(self._ledger, self.meta)
        self.inbox = Inbox(self._ledger, Bodies(self.path / "messages", vault), partial(self.room, INBOX_SHARE))
        self.images = Images(self._ledger, self.path, self._destination, self.free, self._random, vault)
        self._registering = Registering(self._ledger)
        self.accepted = Accepted(self._ledger, self._registering, self._destination, self._call_next)
        self._next_document = int((self._database.row("document.last") or (0,))[0] or 0) + 1
        self._drop_orphans()
        for row in self._database.rows("destination.all"):
            self._destinations[row[1]] = row[0]
        self._lapse_all()
        return self

    def patient_of(self, document_id: str) -> str:
        """The hospital's own number of the patient that a document speaks of, where a destination registers patients first."""
        return self._registering.patient_of(document_id)

    def picked(self, inlet: str) -> PickedFiles:
        """The files that an inlet has picked up."""
        return PickedFiles(self._database, inlet)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop_orphans(self) -> None:
        """Files whose commit never happened."""
        self._bodies.drop_parts()
        for name in self._bodies.names():
            found = parts(name)
            kept = found and self._database.row("frame.one", set_id=found[0], version=found[1])
            if not kept or not kept[2]:
                self._bodies.drop(name)

    def _lapse_all(self) -> None:
        """No other process can hold a lease: the file is ours alone."""
        with self._database.write():
            for name, number in self._destinations.items():
                self._lapse(name, number, now=0, until=FAR_AWAY, beyond=FAR_AWAY)

    # --- whose state --------------------------------------------------------------------------------------------------

    def bind(self, machine_id: str) -> None:
        """Refuse a copied state directory with a StateError that says what to do."""
        self.meta.bind(machine_id)

    def adopt(self, machine_id: str, who: str, now: datetime) -> str:
        """A person says that this restored or moved state is the one that lives on. Returns the new instance id."""
        with self._database.write():
            before = self.meta.instance
            instance = self.meta.adopt(machine_id)
            self._ledger.log({"event": "adopted", "before": before, "instance": instance, "who": who}, now)
        return instance

    # --- taking in ----------------------------------------------------------------------------------------------------

    def watermark(self, feed: str) -> Watermark | None:
        """How far the feed has been read."""
        row = self._database.row("watermark", feed=feed)
        return Watermark(*row) if row and row[0] is not None else None

    def series(self, set_ids: Iterable[str]) -> dict[str, SeriesHead]:
        """The newest we know of these sets; those we never saw are absent."""
        return {head.set_id: head for head, _ in self._heads(set_ids)}

    def unsure(self, set_ids: Sequence[str]) -> list[str]:
        """Those of them whose version number the platform has to confirm: after a lost or an adopted state."""
        if self.meta.heads_known:
            return []
        generation = self.meta.generation
        sure = {head.set_id for head, of in self._heads(set_ids) if of == generation}
        return [set_id for set_id in set_ids if set_id not in sure]

    def _heads(self, set_ids: Iterable[str]) -> list[tuple[SeriesHead, int]]:
        rows = self._database.batch("series.heads", set_ids=as_json(list(set_ids)))
        return [(_head(*row[:7]), row[7]) for row in rows]

    def room(self, share: float = 1.0) -> None:
        """Raise SpoolFull while there is none. Asked before a source is read, and again by every commit.

        `share` of the quota that may be used: of less than all of it who asks is not the last who gets room.
        """
        used = self.size()
        if self._quota:
            quota = self._quota * share
            limit = quota * FULL_AGAIN if share in self._full else quota
            (self._full.add if used >= limit else self._full.discard)(share)
            if used >= limit:
                raise SpoolFull(
                    f"the spool is full: {used:,} of {int(quota):,} bytes; nothing is extracted until deliveries and "
                    "retention make room"
                )
        if self._reserve and _free(self.path) < self._reserve / share:
            raise SpoolFull(f"the disk of {self.path} has less than {self._reserve:,} bytes left; nothing is extracted")

    def commit(self, taken: Taken) -> None:
        """Keep one batch: documents, findings, held records, log entry and watermark, or nothing of it (law 1)."""
        self.room()
        try:
            self._commit(taken)
        except apsw.ConstraintError as error:
            if "document.series" not in str(error):
                raise
            raise StateError(
                f"feed {taken.feed}: a version that this batch makes was made meanwhile, by another feed with the same "
                "keys; nothing of the batch was kept, it is taken again with the next run"
            ) from error

    def _commit(self, taken: Taken) -> None:
        destinations = [self._destination(name) for name in taken.destinations]
        now = millis(taken.at)
        with Undo(self._bodies) as files, self.statistics, self._database.write():
            changes: Counter[tuple[str, str]] = Counter()
            log = self._log_taken(taken)
            if taken.learned:
                self._take_learned(taken)
            closing = [
                *taken.closed, *(held.set_id for held in taken.held), *(kept.set_id for kept in taken.withheld)
            ]  # fmt: skip
            if closing:
                closed = self._database.changed("take.close", set_ids=as_json(closing), now=now)
                changes["quarantine", "open"] -= closed
                withheld.close(self._ledger, closing, now)
            if taken.unheld:
                self._database.run("take.unheld", set_ids=as_json(list(taken.unheld)))
            if taken.documents:
                self._take_documents(
                    taken, Beside(taken.destinations, taken.documents), destinations, log, files, changes
                )
            for beside in taken.beside:
                numbers = [self._destination(name) for name in beside.destinations]
                self._take_documents(taken, beside, numbers, log, files, changes)
            if taken.held:
                self._take_held(taken, log)
                changes["quarantine", "open"] += len(taken.held)
            if taken.withheld:
                self._take_withheld(taken, log)
            self.reconciliations.taken(taken.asked)
            if taken.looked:
                self._database.run("series.looked", set_ids=as_json(list(taken.looked)))
            if taken.not_found:
                self._reopen(taken.not_found, "not found at the source")
            if taken.not_final:
                self._reopen(taken.not_final, "not final at the source")
            if taken.visits:
                self._visits.take(taken, now)
            changes["waiting", taken.feed] += waiting.take(self._database, taken)
            self._count_rules(taken, now)
            if taken.shadow:
                self._database.run(
                    "take.shadow", pack=taken.shadow_pack, feed=taken.feed, kind=taken.kind, now=now,
                    shadow=as_json([msgspec.structs.astuple(one) for one in taken.shadow]),
                )  # fmt: skip
            if taken.unmapped:
                self.terms.count(taken)
            self.statistics.take(taken)
            self.closing.take(taken)
            self.silence.take(taken)
            self.alarms.take(taken)
            self.backfills.take(taken)
            self.inbox.take(taken)
            if taken.watermark:
                mark = taken.watermark
                name = taken.mark or taken.feed
                self._database.run("take.watermark", feed=name, cursor=mark.cursor, key=mark.key, now=now)
            self.finding.take(taken, now)
            for name, count in _counted(taken).items():
                changes["feed:" + taken.feed, name] += count
            self._ledger.change(changes)

    def _take_documents(
        self,
        taken: Taken,
        part: Beside,
        destinations: list[int],
        log: int,
        files: Undo,
        changes: Counter[tuple[str, str]],
    ) -> None:
        first = self._next_document
        rows, frames = self._incoming(taken, part.documents, files, changes)
        database = self._database
        database.execute("DELETE FROM incoming")
        database.run("take.incoming", documents=as_json(rows))
        database.run("take.series", generation=self.meta.generation)
        if any(row[13] for row in rows):
            database.run("take.lanes")
        database.run("take.documents", log=log)
        database.run("take.frames", frames=b"".join(frames))
        if any(row[15] is None for row in rows):
            database.run("take.files")
        waits = {
            number: taken.register_first[name]
            for name, number in zip(part.destinations, destinations, strict=True)
            if name in taken.register_first
        }
        named = [document.document_id for document in part.documents] if taken.names else ()
        needs = self._registering.take(taken.names, waits, named, millis(taken.at))
        database.run("take.deliveries", destinations=as_json(destinations), urgency=taken.urgency, needs=needs)
        standing: dict[tuple[int, str], int] = {}
        if needs or any(row[14] for row in rows):
            standing = {(number, state): n for number, state, n in database.batch("take.behind", first=first)}
        behind = any(state == State.BEHIND for _, state in standing)
        if behind and not taken.urgency:
            database.run("take.hurry series")
            if any(row[13] for row in rows):
                database.run("take.hurry lanes")
        for name, number in zip(part.destinations, destinations, strict=True):
            others = {state: standing.get((number, state), 0) for state in (State.BEHIND, State.AWAITING)}
            changes["delivery:" + name, State.READY] += len(rows) - sum(others.values())
            for state, n in others.items():
                changes["delivery:" + name, state] += n
        changes["documents", "all"] += len(rows)
        self._next_document = first + len(rows)

    def _incoming(
        self, taken: Taken, documents: Sequence[Document], files: Undo, changes: Counter[tuple[str, str]]
    ) -> tuple[list[tuple[Any, ...]], list[bytes]]:
        """The documents as rows of the scratch table, and their frames in one run."""
        rows: list[tuple[Any, ...]] = []
        frames: list[bytes] = []
        lanes: set[str] = set()
        start, number = 1, self._next_document
        plan_of: dict[tuple[str, str, str, str, str], int] = {}
        for document in documents:
            made_with = (document.feed, document.kind, document.institution, document.dictionary, document.digests)
            plan = plan_of.get(made_with) or plan_of.setdefault(made_with, self._plan(*made_with))
            order_key = document.order_key if document.order_key != document.set_id else ""
            lane = order_key or document.set_id
            # 2: behind one of this very batch; 1: perhaps behind something, the query looks; 0: the first of its series.
            follows = 2 if lane in lanes else 1 if order_key or document.version > 1 else 0
            lanes.add(lane)
            findings = taken.findings.get(document.document_id)
            length = len(document.frame)
            large = length > LARGE
            if large:
                files.write(document.document_id, document.frame)
                changes["bytes", "files"] += length
            else:
                frames.append(document.frame)
            rows.append(
                (
                    number,
                    document.set_id,
                    document.key,
                    document.version,
                    document.source_hash,
                    document.sha256,
                    document.size,
                    length,
                    zlib.crc32(document.frame),
                    millis_of_text(document.made_at),
                    document.replaces_id or None,
                    int(document.void),
                    as_json(findings) if findings else None,
                    order_key or None,
                    follows,
                    None if large else start,
                    plan,
                    *self.statistics.place(taken, document.document_id),
                )
            )
            number += 1
            start += 0 if large else length
        return rows, frames

    def _take_held(self, taken: Taken, log: int) -> None:
        rows = []
        for held in taken.held:
            plan = self._plan(held.feed, held.kind, held.institution, "", held.digests)
            findings = as_json(held.findings)
            day, _, scope = self.statistics.place(taken, held.set_id)
            rows.append(
                (
                    held.set_id,
                    plan,
                    held.key,
                    held.source_hash,
                    held.body.hex(),
                    findings,
                    millis_of_text(held.held_at),
                    day,
                    scope,
                )
            )
        self._database.run("take.held series", held=as_json(rows), generation=self.meta.generation)
        self._database.run("take.held", held=as_json(rows), log=log)

    def _take_withheld(self, taken: Taken, log: int) -> None:
        plans = [self._plan(one.feed, one.kind, one.institution, "", one.digests) for one in taken.withheld]
        destinations = {number: name for name, number in self._destinations.items()}
        withheld.take(
            self._ledger,
            taken.withheld,
            plans,
            log,
            taken.at,
            destinations,
            self._call_next,
            self.meta.generation,
        )

    def _reopen(self, set_ids: Sequence[str], reason: str) -> None:
        """They were to be read again, and cannot be: they wait for a person, with the reason."""
        self._database.run("take.not again", set_ids=as_json(list(set_ids)))
        self._database.run("take.reopened", set_ids=as_json(list(set_ids)), reason=reason)

    def _take_learned(self, taken: Taken) -> None:
        plan = self._plan(taken.feed, taken.kind, taken.institution, "", "")
        rows = [(h.set_id, key, h.version, h.source_hash, int(h.void)) for key, h in taken.learned]
        self._database.run("take.learned", learned=as_json(rows), plan=plan, generation=self.meta.generation)

    def _count_rules(self, taken: Taken, now: int) -> None:
        documents = taken.documents if taken.destinations else [d for one in taken.beside[:1] for d in one.documents]
        said = [taken.findings.get(document.document_id, ()) for document in documents]  # once, whatever its editions
        spoken = Counter(
            (finding.rule, finding.severity, without_index(finding.field))
            for findings in (*said, *(held.findings for held in taken.held))
            for finding in findings
        )
        if spoken:
            self._database.run(
                "take.rules", feed=taken.feed, now=now, rules=as_json([(*key, n) for key, n in spoken.items()])
            )

    def _plan(self, feed: str, kind: str, institution: str, dictionary: str, digests: str) -> int:
        values = {"feed": feed, "kind": kind, "institution": institution, "dictionary": dictionary, "digests": digests}
        row = self._database.row("plan.find", **values)
        if row is None:
            self._database.run("plan.add", **values)
            row = self._database.row("plan.find", **values)
        assert row is not None
        return int(row[0])

    def again(self, feed: str, limit: int = 500) -> list[str]:
        """Keys that are to be read again under the current rules: released by a person."""
        return [key for key, _ in self.again_from(feed, limit)]

    def again_from(self, feed: str, limit: int, place: tuple[int, int] = (0, 0)) -> list[tuple[str, tuple[int, int]]]:
        """The same from behind a place on, each key with its place: what is read meanwhile does not come twice."""
        rows = self._database.batch("series.again", feed=feed, limit=limit, plan=place[0], series=place[1])
        return [(key, (plan, series)) for plan, series, key in rows]

    def waiting(self, set_ids: Iterable[str]) -> dict[str, Awaiting]:
        """Those of these sets that wait for a partner's row."""
        return waiting.waiting(self._database, set_ids)

    def waiting_due(self, feed: str, now: datetime, limit: int) -> list[str]:
        """Keys of a feed that wait for a partner, and whose turn it is to be looked for again."""
        return waiting.due(self._database, feed, now, limit)

    def waiting_list(self, feed: str) -> list[Awaiting]:
        """Everything of a feed that waits for a partner, the longest first."""
        return waiting.listed(self._database, feed)

    def in_force(self, active: str, shadow: str, who: str, now: datetime) -> bool:
        """Remember which packs judge from now on; said in the log when it is another one. Whether it is."""
        known = {"active": self.meta.get("pack:active") or "", "shadow": self.meta.get("pack:shadow") or ""}
        wanted = {"active": active, "shadow": shadow}
        if known == wanted:
            return False
        with self._database.write():
            self.meta.put_all({f"pack:{role}": name for role, name in wanted.items()})
            self._database.run("shadow.drop", pack=shadow)
            self._ledger.log({"event": "packs", **wanted, "before": known, "who": who}, now)
        return True

    def account_seen(self, source: str, told: dict[str, Any], now: datetime) -> bool:
        """Remember what the account of a source may do; said in the log when it is anything but reading, or was."""
        name, text = f"account:{source}", msgspec.json.encode(told, order="sorted").decode()
        before = self.meta.get(name)
        if before == text:
            return False
        notable = any(told.get(key) for key in ("writes", "waiver", "allow_functions"))
        with self._database.write():
            self.meta.put(name, text)
            if notable or before is not None:
                self._ledger.log({"event": "account", "source": source, **told}, now)
        return True

    def account(self, source: str) -> dict[str, Any] | None:
        """What is known of the account of a source; None before its grants were first read."""
        text = self.meta.get(f"account:{source}")
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    def shadowed(self, pack: str) -> list[tuple[Any, ...]]:
        """What was counted of the pack in shadow: feed, kind, verdict, rule, field, times, example, first, last."""
        return [(*row[:7], moment(row[7]), moment(row[8])) for row in self._database.rows("shadow.all", pack=pack)]

    def recent(self, limit: int) -> Iterator[tuple[str, str, str, int, str]]:
        """The newest documents whose bytes are here: document id, feed, key, size, dictionary."""
        before = FAR_AWAY
        while limit > 0 and (
            rows := self._database.rows("recent.documents", before=before, limit=min(limit, _RECENT_PAGE))
        ):
            for number, set_id, version, feed, key, size, dictionary in rows:
                yield make_document_id(set_id, version), feed, key, size, dictionary
                before = number
            limit -= len(rows)

    def judge_visits(self, now: datetime, judge: Callable[[DueVisit], list[Finding]], limit: int = 200) -> int:
        """Judge visits that have closed: what was found is kept with them, in one commit. How many had their turn."""
        return self._visits.judge(now, limit, judge)

    def visits(self, after: int = 0, limit: int = 1000, only: str = "") -> list[tuple[int, JudgedVisit]]:
        """A page of visits, each with its row to ask on from: all, only the `open` ones, or those with `findings`."""
        return self._visits.listed(after, limit, only)

    def forget_visits(self, who: str, now: datetime) -> None:
        """Drop all that is known of visits, to have it told anew by the sources."""
        with self._database.write():
            self._visits.clear()
            self._ledger.log({"event": "visits.forgotten", "who": who}, now)

    def record_run(self, run: Run) -> None:
        """Remember how a run of a feed went."""
        with self._database.write():
            self._database.run(
                "run.add",
                feed=run.feed,
                started_at=millis(run.started_at),
                ended_at=millis(run.ended_at),
                counts=as_json(run.counts),
                problem=run.problem,
            )
            self._database.run("run.trim")

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest first."""
        rows = self._database.rows("run.last", limit=limit)
        return [
            Run(feed, moment(a), moment(b), msgspec.json.decode(counts), problem)
            for feed, a, b, counts, problem in rows
        ]

    # --- claiming -----------------------------------------------------------------------------------------------------

    def claim(
        self,
        destination: str,
        limit: int = 100,
        max_bytes: int = MANY_BYTES,
        *,
        now: datetime,
        lease: timedelta = DEFAULT_LEASE,
    ) -> list[Delivery]:
        """Lease the oldest deliveries that are due, most urgent first. At least one if any is, however long."""
        number = self._destination(destination)
        while True:
            try:
                return self._claim(destination, number, limit, max_bytes, now, lease)
            except Damaged:
                # SQLite writes nothing more in a transaction that met a broken page: set aside whose it is, and start anew.
                self._set_aside_unreadable(number, limit, max_bytes, now)

    def _claim(
        self, destination: str, number: int, limit: int, max_bytes: int, now: datetime, lease: timedelta
    ) -> list[Delivery]:
        at, until = millis(now), millis(now + lease)
        with self._database.write():
            self._lapse(destination, number, now=at, until=at, beyond=millis(now + max(lease, DEFAULT_LEASE)))
            self._call_back_due(destination, number, at)
            self._registering.let_go(destination, number)
            picked = self._pick(number, limit, max_bytes)
            if not picked:
                return []
            self._database.run("claim.lease", destination=number, documents=as_json(picked), now=at, until=until)
            self._ledger.move(destination, {State.READY: -len(picked), State.SENDING: len(picked)})
            claimed, damaged = self._read(number, picked)
            for document in damaged:
                self._mark_damaged(*document, now)
        return claimed

    def _lapse(self, name: str, number: int, now: int, until: int, beyond: int) -> None:
        lapsed = self._database.changed("claim.lapsed", destination=number, now=now, until=until, beyond=beyond)
        if lapsed:
            self._ledger.move(name, {State.SENDING: -lapsed, State.UNCERTAIN: lapsed})

    def _call_back_due(self, name: str, number: int, now: int) -> None:
        beyond = now + _millis_of(max(LONGEST_DELAY, self.patience))
        due = self._database.batch("claim.find due", destination=number, now=now, beyond=beyond)
        if due:
            self._database.run("claim.due", destination=number, documents=as_json([document for document, _ in due]))
            states = Counter(state for _, state in due)
            self._ledger.move(name, {**{State(state): -n for state, n in states.items()}, State.READY: len(due)})

    def _pick(self, number: int, limit: int, max_bytes: int) -> list[int]:
        waiting = self._database.batch("claim.pick", destination=number, limit=limit)
        fresh = [row for row in waiting if row[2] < SUSPECT]
        suspects = [row for row in waiting if row[2] >= SUSPECT]
        along = min(len(suspects), max(min(SUSPECTS_AT_ONCE, limit // 2), limit - len(fresh)))
        picked: list[int] = []
        total = 0
        for document, length, _ in fresh[: limit - along] + suspects[:along]:
            total += length
            if picked and total > max_bytes:
                break
            picked.append(document)
        return picked

    def _read(self, number: int, picked: list[int]) -> tuple[list[Delivery], list[tuple[int, str]]]:
        """The claimed documents, and those whose frame is not what was written."""
        row = self._database.row("claim.documents", destination=number, documents=as_json(picked))
        assert row is not None
        frames: bytes = row[1] or b""
        claimed: list[Delivery] = []
        damaged: list[tuple[int, str]] = []
        start = 0
        for entry in _CLAIMED(row[0]):
            document_id = make_document_id(entry.set_id, entry.version)
            if entry.stored < 0:
                frame = self._bodies.read(document_id)
            else:
                frame = frames[start : start + entry.stored]
                start += entry.stored
            if zlib.crc32(frame) != entry.crc:
                damaged.append((entry.row, document_id))
                continue
            self._rows[document_id] = entry.row
            document = self._document(document_id, entry, frame)
            claimed.append(Delivery(document, entry.attempts, entry.urgency >= SUSPECT))
        return claimed, damaged

    def _set_aside_unreadable(self, number: int, limit: int, max_bytes: int, now: datetime) -> None:
        with self._database.held():
            unreadable = [row for row in self._pick(number, limit, max_bytes) if not self._readable(row)]
            if not unreadable:
                raise StateError(
                    f"{self._database.path} is damaged outside of its documents: restore it, or start anew"
                )
            with self._database.write():
                for row in unreadable:
                    name = self._database.row("document.name", document=row)
                    assert name is not None
                    self._mark_damaged(row, make_document_id(*name), now)

    def _readable(self, row: int) -> bool:
        try:
            self._database.row("frame.bytes", document=row)
        except Damaged:
            return False
        return True

    def _document(self, document_id: str, entry: "_Claimed", frame: bytes) -> Document:
        feed, kind, institution, dictionary, digests = self._plan_of(entry.plan)
        return Document(
            document_id=document_id,
            set_id=entry.set_id,
            version=entry.version,
            kind=kind,
            institution=institution,
            feed=feed,
            key=entry.key,
            source_hash=entry.source_hash,
            sha256=entry.sha256,
            size=entry.size,
            frame=frame,
            dictionary=dictionary,
            made_at=_made_at(entry.made_at),
            digests=digests,
            replaces_id=entry.replaces_id,
            void=bool(entry.void),
            order_key=entry.order_key,
            day=entry.day,
            department=entry.department,
        )

    def _plan_of(self, plan: int) -> tuple[str, str, str, str, str]:
        """Only asked for what is committed, so what is remembered stays true."""
        found = self._plans.get(plan)
        if found is None:
            self._plans = {row[0]: row[1:] for row in self._database.rows("plan.all")}
            found = self._plans[plan]
        return found

    def _mark_damaged(self, row: int, document_id: str, now: datetime) -> None:
        """Its frame is not what was written: it waits for a person, at every destination. Its neighbours go on."""
        names = {number: name for name, number in self._destinations.items()}
        deliveries = self._database.batch("damaged.find", document=row)
        reasons = as_json(["its frame on our disk is not what was written; release it to read its record again"])
        self._database.run("damaged.mark", document=row, now=millis(now), reasons=reasons)
        for destination, state, lane in deliveries:
            self._ledger.move(names[destination], {State(state): -1, State.DAMAGED: 1})
            self._call_next(names[destination], destination, [lane])
        self._ledger.log({"event": "damaged", "document": document_id, "blame": "agent"}, now)

    # --- settling -----------------------------------------------------------------------------------------------------

    def settle(
        self,
        destination: str,
        receipts: Sequence[Receipt],
        replies: Sequence[SignedReply] = (),
        *,
        now: datetime,
        silent_last: bool = False,
    ) -> int:
        """Write down what the destination answered, each document by its own receipt. How many came to their end.

        `silent_last`: what got no answer goes after everything else from now on."""
        number = self._destination(destination)
        with self._database.write():
            names = {reply.id: self._keep_reply(number, reply, now) for reply in replies}
            rows = [self._answered(receipt, names.get(receipt.reply), silent_last) for receipt in receipts]
            return self._write(destination, number, rows, now, [reply.id for reply in replies])

    def put_back(
        self,
        destination: str,
        documents: Iterable[str],
        event: Event | Outcome,
        *,
        now: datetime,
        problem: str = "",
        suspect: bool = False,
        due: datetime | None = None,
    ) -> int:
        """What happened to claimed documents that got no answer of their own. Nothing of it counts against them.

        `due`: when what may have arrived is sent again, where that is known better than by the number of its attempts."""
        number = self._destination(destination)
        reasons = (problem,) if problem else ()
        with self._database.write():
            rows = [
                _Answer(
                    document,
                    event,
                    reasons=reasons,
                    urgency=SUSPECT if suspect else None,
                    due=millis(due) if due else None,
                )
                for document in documents
            ]
            return self._write(destination, number, rows, now, [])

    def _keep_reply(self, number: int, reply: SignedReply, now: datetime) -> int:
        body = packed(reply.body)
        row = self._database.row("reply.add", destination=number, name=reply.id, now=millis(now), body=body)
        assert row is not None
        if reply.log_seq:
            self._database.run(
                "head.add", seq=reply.log_seq, destination=number, hash=reply.log_hash, evidence=reply.evidence
            )
        return int(row[0])

    def _answered(self, receipt: Receipt, reply: int | None, silent_last: bool) -> "_Answer":
        position = receipt.position if reply is not None and receipt.position >= 0 else None
        last = silent_last and receipt.outcome is Outcome.UNANSWERED
        return _Answer(
            receipt.document_id, receipt.outcome, receipt.sha256, receipt.reasons, reply, position, last=last
        )

    def _write(
        self, destination: str, number: int, answers: Sequence["_Answer"], now: datetime, replies: list[str]
    ) -> int:
        """Move each delivery by the table of delivery.py."""
        at = millis(now)
        plain: dict[tuple[str, int | None], list[tuple[int, int | None]]] = {}
        others: list[tuple[Any, ...]] = []
        moves: Counter[State] = Counter()
        lanes: list[int] = []
        there: list[int] = []
        ended: dict[str, list[str]] = {}
        measured: list[Ended] = []
        for answer, found, event, state in self._moves(number, answers):
            moves[found.state] -= 1
            moves[state] += 1
            if state not in OPEN:
                if found.day is not None:
                    measured.append((found.day, found.scope or 0, state, found.event_at, found.made_at))
                ended.setdefault(event, []).append(answer.document_id)
                if found.state in OPEN:
                    lanes.append(found.lane)
            if state in (State.DELIVERED, State.ACCEPTED):
                there.append(found.row)
            if state is State.DELIVERED:
                plain.setdefault((event, answer.reply), []).append((found.row, answer.position))
            else:
                others.append(self._other(answer, found, event, state, at))
        for (outcome, reply), rows in plain.items():
            self._database.run(
                "settle.stored", destination=number, now=at, outcome=outcome, reply=reply, rows=as_json(rows)
            )
        if others:
            self._database.run("settle.write", destination=number, rows=as_json(others))
        self._ledger.move(destination, moves)
        self.statistics.settle(number, measured, at)
        if lanes:
            self._call_next(destination, number, lanes)
        self._registering.come(destination, number, there)
        if plain:
            self._database.run("destination.stored", id=number, now=at, document=next(iter(plain.values()))[-1][0])
        if ended:
            self._ledger.log(
                {"event": "settled", "destination": destination, "replies": replies, "documents": ended}, now
            )
        return sum(map(len, ended.values()))

    def _moves(
        self, number: int, answers: Sequence["_Answer"]
    ) -> Iterable[tuple["_Answer", "_Found", Outcome | Event, State]]:
        """Each delivery that moves, once: from where it stands to where all that was said of it brings it.

        A batch may speak of one document twice (claimed again after its lease lapsed; a platform that repeats itself).
        The second word meets the state after the first, as if it had come in a batch of its own.
        """
        moved: dict[int, tuple[_Answer, _Found, Outcome | Event, State]] = {}
        for answer, found in self._find(number, answers):
            event = answer.event
            if event in _PROOFS and answer.sha256 != found.sha256:
                event = Outcome.UNANSWERED  # it speaks of other bytes than ours: no proof of anything
            before = moved[found.row][3] if found.row in moved else found.state
            state = after(before, event)
            if state != before:
                moved[found.row] = answer, found, event, state
        return moved.values()

    def _other(
        self, answer: "_Answer", found: "_Found", event: Outcome | Event, state: State, at: int
    ) -> tuple[Any, ...]:
        """A row of settle.write: everything but a proof."""
        attempts, due_at, settled_at = found.attempts, 0, None
        if state in (State.WAITING, State.UNCERTAIN):
            due_at = answer.due or at + self._delay(attempts)
        elif state is State.READY:
            attempts -= 1  # it was no attempt at this document
        else:
            settled_at = at
            due_at = at if state is State.ACCEPTED else 0  # it can be asked for from now on
        answered = event in (Outcome.REFUSED, Outcome.ACCEPTED)  # the others are no receipts
        return (
            found.row,
            state,
            attempts,
            due_at,
            settled_at,
            event if answered else None,
            answer.reply if answered else None,
            answer.position if answered else None,
            as_json(answer.reasons) if answer.reasons else None,
            SUSPECT + min(found.attempts, MOST_SILENT) if answer.last else answer.urgency,
        )

    def _find(self, number: int, answers: Sequence["_Answer"]) -> Iterator[tuple["_Answer", "_Found"]]:
        """The deliveries that the answers speak of. An answer about a document we never claimed speaks of none."""
        known = [(answer, row) for answer in answers if (row := self._row(answer.document_id)) is not None]
        rows = self._database.row("settle.find", destination=number, documents=as_json([row for _, row in known]))
        assert rows is not None
        for found in _FOUND(rows[0]):
            yield known[found.place][0], found

    def _row(self, document_id: str) -> int | None:
        row = self._rows.pop(document_id, None)
        if row is None and (named := parts(document_id)):
            found = self._database.row("settle.number", set_id=named[0], version=named[1])
            row = int(found[0]) if found else None
        return row

    def _call_next(self, name: str, number: int, lanes: list[int]) -> None:
        """What stood behind the settled ones comes to the front."""
        if not self._ledger.tally("delivery:" + name, State.BEHIND):
            return
        called = Counter(
            State(state) for (state,) in self._database.rows("settle.next", destination=number, lanes=as_json(lanes))
        )
        if called:
            self._ledger.move(name, {State.BEHIND: -called.total(), **called})

    def _delay(self, attempts: int) -> int:
        return _millis_of(back_off(attempts, self._random.random(), FIRST_DELAY, LONGEST_DELAY))

    # --- destinations -------------------------------------------------------------------------------------------------

    def pause(self, destination: str) -> Pause:
        """How a destination fares, and until when it is left alone."""
        self._destination(destination)
        return next(pause for pause in self.pauses() if pause.name == destination)

    def pauses(self) -> list[Pause]:
        return [
            Pause(name, failures, moment_or_none(due), problem, blame, moment_or_none(since), moment_or_none(stored))
            for _, name, failures, due, problem, blame, since, stored in self._database.rows("destination.all")
        ]

    def failed(self, destination: str, until: datetime, problem: str, blame: str, *, now: datetime) -> None:
        """Leave the destination alone until then. No document is to blame."""
        before = self.pause(destination)
        self._pause(destination, before.failures + 1, millis(until), problem, blame, millis(before.since or now))

    def last_stored(self, destination: str) -> Document | None:
        """A document that the destination is known to take, while its bytes are here. Sent again, it changes nothing."""
        number = self._destination(destination)
        try:
            row = self._database.row("destination.last stored", id=number)
            claimed = self._read(number, [row[0]])[0] if row else []
        except Damaged:
            return None
        for delivery in claimed:
            self._rows.pop(delivery.document.document_id, None)
        return claimed[0].document if claimed else None

    def recovered(self, destination: str) -> None:
        """It answers again."""
        if self.pause(destination).failures:
            self._pause(destination, 0, 0, "", "", 0)

    def _pause(self, destination: str, failures: int, due_at: int, problem: str, blame: str, since: int) -> None:
        with self._database.write():
            self._database.run(
                "destination.state", id=self._destination(destination), failures=failures, due_at=due_at,
                problem=problem, blame=blame, since=since,
            )  # fmt: skip

    def _destination(self, name: str) -> int:
        number = self._destinations.get(name)
        if number is None:
            with self._database.write():
                self._database.run("destination.add", name=name)
            self._destinations = {row[1]: row[0] for row in self._database.rows("destination.all")}
            number = self._destinations[name]
        return number

    # --- counting -----------------------------------------------------------------------------------------------------

    def pending(self, destination: str) -> int:
        """How many documents are still on their way there."""
        return sum(self._ledger.tally("delivery:" + destination, state) for state in OPEN)

    def oldest(self, destination: str, images: bool = False) -> datetime | None:
        """When the oldest document was made that is on its way there, other than of a backfill; of images when it came."""
        number = self._destination(destination)
        return self.alarms.oldest_image(number) if images else self.alarms.oldest(number)

    def moving(self, destination: str) -> int:
        """How many of them go by themselves: for no registration that has to come first."""
        return sum(self._ledger.tally("delivery:" + destination, state) for state in MOVING)

    def unread(self, destination: str) -> int:
        """How many were sent again and again, and never got an answer that could be read: an alarm."""
        row = self._database.row("delivery.unread", destination=self._destination(destination))
        return int(row[0]) if row else 0

    def wanted(self, destination: str, limit: int = 20) -> tuple[int, list[Wanted]]:
        """How many registrations documents wait for there, and those that are waited for longest."""
        return self._registering.wanted_count(destination), self._registering.wanted(
            self._destination(destination), limit
        )

    def registered(self, destination: str, names: Sequence[str], who: str, reason: str, now: datetime) -> Known:
        """A person says that a destination knows these registrations already: what waits for them goes."""
        return self._registering.known(destination, self._destination(destination), names, who, reason, now)

    def to_ask(self, destination: str, now: datetime, limit: int, first: timedelta, until: timedelta) -> list[Document]:
        """Accepted documents that the destination is to be asked for now, while their bytes are here."""
        rows = self.accepted.to_ask(destination, now, limit, first, until)
        found = [one.document for one in self._read(self._destination(destination), rows)[0]] if rows else []
        for document in found:
            self._rows.pop(document.document_id, None)
        return found

    def counts(self) -> Counts:
        """What is in the spool. Kept by every commit, so asking costs nothing, however much there is."""
        deliveries: dict[str, dict[str, int]] = {}
        feeds: dict[str, dict[str, int]] = {}
        single: dict[tuple[str, str], int] = {}
        for scope, name, n in self._ledger.tallies():
            if scope.startswith("delivery:"):
                deliveries.setdefault(scope[9:], {})[name] = n
            elif scope.startswith("feed:"):
                feeds.setdefault(scope[5:], {})[name] = n
            else:
                single[scope, name] = n
        return Counts(
            documents=single.get(("documents", "all"), 0),
            held=single.get(("quarantine", "open"), 0),
            withheld=single.get(withheld.OPEN, 0),
            alarms=single.get(withheld.ALARM, 0),
            deliveries=deliveries,
            feeds=feeds,
            visits_with_findings=single.get(("visits", "with_findings"), 0),
            waiting={name: n for (scope, name), n in single.items() if scope == "waiting" and n},
            bytes_used=self._database.used() + single.get(("bytes", "files"), 0),
        )

    def rules(self) -> list[tuple[str, str, str, str, int]]:
        """How often each rule spoke: feed, rule, severity, field, times."""
        return [row[:5] for row in self._database.rows("rule.counts")]

    # --- the log ------------------------------------------------------------------------------------------------------

    def _log_taken(self, taken: Taken) -> int:
        """One entry for the commit, when there is anything to speak of. Its number, or that of the entry before."""
        body: dict[str, Any] = {
            "documents": [
                (d.document_id, d.sha256, d.key, _briefly(taken.findings.get(d.document_id, ())))
                for d in (*taken.documents, *(d for beside in taken.beside for d in beside.documents))
            ],
            "held": [(held.set_id, held.key, _briefly(held.findings)) for held in taken.held],
            "withheld": [(one.set_id, one.key, one.rule, one.field) for one in taken.withheld],
            "withheld_by": {one.rule: (one.rule_digest, one.decided_by, one.reason) for one in taken.withheld},
            "closed": list(taken.closed),
            "learned": [head.document_id or head.set_id for _, head in taken.learned],
            "not_found": list(taken.not_found),
            "waiting": [(one.set_id, one.key, one.partners) for one in taken.waiting if one.attempts == 1],
            "arrived": list(taken.arrived),
            "not_final": list(taken.not_final),
        }
        body = {name: value for name, value in body.items() if value}
        if not body:
            return self.log_head()[0]
        body |= {
            "event": "taken",
            "feed": taken.feed,
            "kind": taken.kind,
            "institution": taken.institution,
            "digests": taken.digests,
            "skipped": {name: n for name, n in msgspec.structs.asdict(taken.skipped).items() if n},
        }
        if taken.watermark:
            body["watermark"] = [taken.watermark.cursor, taken.watermark.key]
        return self._ledger.log(body, taken.at)

    def log_head(self) -> tuple[int, str]:
        """Number and hash of the newest entry: what a platform is asked to countersign."""
        return self._ledger.log_head()

    def log_entries(self, first: int = 1) -> Iterator[qclog.Entry]:
        """The log from an entry on, as far back as it is kept, in bounded memory."""
        return self._ledger.entries(max(first, self._ledger.beginning()[0]))

    def log_newest(self, limit: int = 20, before: int = 1 << 62) -> list[qclog.Entry]:
        """The newest first."""
        return self._ledger.newest(limit, before)

    def head_before(self, seq: int) -> qclog.Head | None:
        """The newest head up to an entry that a platform countersigned."""
        return self._ledger.head_before(seq)

    def heads(self) -> list[qclog.Head]:
        """Up to where platforms countersigned the log."""
        return self._ledger.heads()

    def export_log(self) -> Iterator[bytes]:
        """The lines of an export, verifiable offline with the platform's public key."""
        first, before = self._ledger.beginning()
        title = qclog.Title(first=first, prev=before, instance=self.meta.instance)
        return qclog.export(title, self._ledger.entries(first), self.heads())

    def verify_log(self, genuine: qclog.Genuine | None = None) -> qclog.Verdict:
        """Verify the log where it lies."""
        first, before = self._ledger.beginning()
        return qclog.verify(self._ledger.entries(first), self.heads(), genuine, first, before)

    def anchored(self, destination: str) -> int:
        """The newest entry that this destination countersigned; 0: none."""
        row = self._database.row("head.newest", destination=self._destination(destination))
        return int(row[0]) if row else 0

    def keep_head(self, destination: str, reply: SignedReply) -> None:
        """A countersignature that came by itself. It writes no entry: it would have to be countersigned in its turn."""
        number = self._destination(destination)
        with self._database.write():
            self._database.run(
                "head.add", seq=reply.log_seq, destination=number, hash=reply.log_hash, evidence=reply.evidence
            )

    def drop_log(self, term: timedelta, genuine: qclog.Genuine, now: datetime) -> int:
        """Drop what is older than the term by the platform's own times, and countersigned. How many entries."""
        first, _ = self._ledger.beginning()
        last, _ = self._ledger.log_head()
        head = qclog.checkpoint(self._ledger.head_before, first, last, genuine, term)
        return self._ledger.drop(head, now) if head else self._ledger.sweep()

    def record_sealing(self, files: int, who: str, now: datetime, secret: str = "") -> int:
        """What lies here came under another key, is plain again, or is opened by another secret: by whose word. The entry's number."""
        key = self._vault.current
        body = {
            "event": "at rest",
            "suite": key.suite if key else "none",
            "key": key.id if key else "",
            "files": files,
            "who": who,
        } | ({"secret": secret} if secret else {})
        with self._database.write():
            return self._ledger.log(body, now)

    def record_showing(self, documents: Sequence[str], who: str, consent: str, now: datetime) -> int:
        """Somebody sees the contents of documents that were made here: who, which, and by whose leave. The entry's number."""
        with self._database.write():
            body = {"event": "shown", "documents": list(documents), "who": who, "consent": consent}
            return self._ledger.log(body, now)

    def shape(self) -> dict[str, Any]:
        """The state as a thing: its schema, tables and rows, without a word of what is in them."""
        return self._database.shape()

    def record_act(self, body: Mapping[str, Any], now: datetime) -> int:
        """What a person is about to do here: committed before it is done. The entry's number."""
        with self._database.write():
            return self._ledger.log(body, now)

    def record_with(self, bodies: Iterable[Mapping[str, Any]], marks: dict[str, str], now: datetime) -> None:
        """Entries, and what is remembered of having written them, in one commit."""
        with self._database.write():
            for body in bodies:
                self._ledger.log(body, now)
            self.meta.put_all(marks)

    def take_early(self, now: datetime) -> int:
        """Chain what was said before this log could be written, once. How many entries."""
        early = Early(self.path)
        digest, bodies = early.read()
        if not digest:
            return 0
        if self.meta.get("early") != digest:  # else they are here, and we died before the file was gone
            self.record_with(bodies, {"early": digest}, now)
        early.drop()
        return len(bodies)

    # --- what waits for a person, what can be looked up, what is dropped ------------------------------------------------

    def cases(self, feed: str | None = None) -> Iterator[Case]:
        """All that waits for a person, in bounded memory: held records, the oldest first, then stuck deliveries."""
        return cases.everything(self._database, feed)

    def quarantine_list(self, feed: str | None = None, limit: int = 1000, after: int = 0) -> list[Case]:
        """The first of what waits for a person: held records (oldest first, from row `after` on), then stuck deliveries."""
        return cases.listed(self._database, feed, limit, after)

    def quarantine_show(self, case: str) -> tuple[Case, dict[str, Any]] | None:
        """One case, with the record as the mapping made it."""
        return cases.shown(self._database, case)

    def quarantine_release(self, ids: Sequence[str], who: str, now: datetime, foreign: Collection[str] = ()) -> LetGo:
        """Look at them again under the current rules, or send them again.

        `foreign`: destinations that are not our platform. There nothing is sent after a newer version that may be there.
        """
        return cases.release(self._ledger, ids, who, now, foreign, self.accepted.release)

    def quarantine_discard(self, ids: Sequence[str], who: str, reason: str, now: datetime) -> int:
        """A person decides that they are not to be sent. How many."""
        return cases.discard(self._ledger, ids, who, reason, now)

    def lift(self, feed: str, rules: Sequence[str], now: datetime) -> int:
        """Let what rules kept back that are no longer in force be read again; `rules` are those that are."""
        return withheld.lift(self._ledger, feed, rules, now)

    def look_at_unsent(self, feed: str) -> None:
        """The rules of withholding have changed: what is still to go is read again and judged by them."""
        with self._database.write():
            self._database.run("series.look at unsent", feed=feed)

    def withheld_list(
        self, feed: str | None = None, rule: str | None = None, everything: bool = False
    ) -> Iterator[KeptBack]:
        """What is kept back by rule, the oldest first; `everything`: what once was, too."""
        return withheld.listed(self._database, feed, rule, everything)

    def withheld_of(self, set_id: str) -> tuple[KeptBack, ...]:
        """All that was ever kept back of one record."""
        return withheld.of(self._database, set_id)

    def withheld_acknowledge(self, ids: Sequence[str], who: str, note: str, now: datetime) -> int:
        """A person has told the region what it should no longer keep. How many."""
        return withheld.acknowledge(self._ledger, ids, who, note, now)

    # --- by cause -------------------------------------------------------------------------------------------------------

    def groups(
        self, feed: str | None = None, rule: str | None = None, field: str | None = None, value: str | None = None
    ) -> list[Group]:
        """Causes that held records wait for, the most frequent first. `value`: a local code, as its finding shows it."""
        return list(groups.listed(self._database, feed, rule, field, value))

    def stuck_groups(self, feed: str | None = None) -> list[Group]:
        """Documents that a destination did not take, by what it said."""
        return list(groups.stuck(self._database, feed))

    def group(self, group: str) -> Group | None:
        """One of either, by its number, while anything waits for it."""
        return groups.one(self._database, group)

    def group_cases(self, group: str, limit: int = 1000, after: int = 0) -> list[Case]:
        """The held records of a cause, oldest first, from row `after` on."""
        return cases.of_cause(self._database, groups.number(group), limit, after)

    def group_records(self, chosen: Iterable[str]) -> int:
        """How many records wait for at least one of these causes: each is one record, however many causes it has."""
        return groups.records(self._database, chosen)

    def stuck_cases(self, group: Group) -> list[str]:
        """The cases of a group of documents that a destination did not take."""
        return groups.stuck_cases(self._database, group)

    def begin_release(self, asked: Sequence[str], who: str, now: datetime) -> int:
        """Held records will be let go: who says so, and which were asked for. Its number."""
        return releases.begin(self._ledger, asked, who, now)

    def release_groups(
        self,
        release: int,
        chosen: Sequence[str],
        who: str,
        now: datetime,
        chunk: int = releases.CHUNK,
        closed: Set[int] = frozenset(),
    ) -> Iterator[int]:
        """Mark all that waits for these causes to be read again, a chunk per transaction. How many with each.

        What is of the months in `closed` (yyyymm) stays as it is.
        """
        return releases.take_groups(self._ledger, release, chosen, who, now, chunk, closed)

    def release_cases(self, release: int, ids: Sequence[str], who: str, now: datetime) -> list[tuple[str, str]]:
        """Mark these held records. Returns (feed, key) of what is to be read."""
        return releases.take_cases(self._ledger, release, cases.numbers(ids), who, now)

    def release_feeds(self, release: int) -> list[str]:
        """The feeds that have something to read again for it."""
        return releases.feeds(self._database, release)

    def release_waiting(self, release: int) -> int:
        """How many of its records are still to be read again."""
        return releases.waiting(self._database, release)

    def released(self, release: int) -> Became | None:
        """What became of its records, up to now."""
        return releases.became(self._database, release)

    def releases(self, limit: int = 20) -> list[Release]:
        """The newest first."""
        return releases.listed(self._database, limit)

    # --- what can be looked up ------------------------------------------------------------------------------------------

    def trace(self, document_id: str) -> Trace | None:
        """Follow one document from its source row to its receipts."""
        return traces.trace(self._database, document_id)

    def receipts(self, destination: str | None = None, after: int = 0, limit: int = 1000) -> list[KeptReceipt]:
        """Receipts in the order of their documents; ask on with `after` = the last one's row."""
        return traces.receipts(self._database, destination, after, limit)

    def keep_dictionaries(self, dictionaries: Mapping[str, bytes]) -> None:
        """Keep what frames are compressed with, by SHA-256: they are read long after their templates have changed."""
        with self._database.write():
            for name, content in dictionaries.items():
                self._database.run("dictionary.keep", name=name, content=content)

    def dictionary(self, name: str) -> bytes | None:
        """A dictionary that frames here were compressed with."""
        row = self._database.row("dictionary.find", name=name)
        return bytes(row[0]) if row else None

    def frame(self, document_id: str) -> bytes | None:
        """The document's frame as it was sent; None when its term is over, or it is damaged or unknown."""
        return traces.frame(self._database, self._bodies, document_id)

    def retire(
        self,
        term: timedelta,
        now: datetime,
        backfilled: timedelta | None = None,
        accepted: Mapping[str, timedelta] | None = None,
    ) -> int:
        """Drop frames whose every delivery ended at least `term` ago. Receipts and index rows stay. How many.

        `backfilled`: the term of what a backfill made, where that is another. `accepted`: destination -> the term of what
        it accepted and never confirmed; without one that is kept for ever.
        """
        own = {self._destination(name): kept for name, kept in (accepted or {}).items()}
        return retention.retire(self._ledger, self._bodies, term, now, term if backfilled is None else backfilled, own)

    def free(self) -> int:
        """Bytes that the disk has left for us."""
        return max(_free(self.path) - self._reserve, 0)

    def size(self) -> int:
        """Bytes in use, as the quota counts them."""
        return self._database.used() + self._ledger.tally("bytes", "files")


class _Answer(msgspec.Struct, frozen=True):
    """What is to be written about one delivery."""

    document_id: str
    event: Outcome | Event
    sha256: str = ""
    reasons: tuple[str, ...] = ()
    reply: int | None = None
    position: int | None = None
    urgency: int | None = None
    last: bool = False  # it goes after everything else, and after what was silent less often
    due: int | None = None  # when it is due again, milliseconds


class _Found(msgspec.Struct, array_like=True):
    """A delivery that an answer speaks of: a row of settle.find."""

    place: int
    row: int
    state: State
    attempts: int
    lane: int
    sha256: str
    made_at: int
    day: int | None
    event_at: int | None
    scope: int | None


class _Claimed(msgspec.Struct, array_like=True):
    """A row of claim.documents."""

    row: int
    set_id: str
    version: int
    plan: int
    key: str
    source_hash: str
    sha256: str
    size: int
    crc: int
    made_at: int
    replaces_id: str
    void: int
    order_key: str
    attempts: int
    urgency: int
    stored: int  # bytes of its frame in the database, -1 when it is not there
    day: int
    department: str


_CLAIMED: Callable[[str], list[_Claimed]] = msgspec.json.Decoder(list[_Claimed]).decode
_FOUND: Callable[[str], list[_Found]] = msgspec.json.Decoder(list[_Found]).decode


def _head(
    set_id: str, version: int, document_hash: str, held_hash: str | None, void: int, again: int, digests: str
) -> SeriesHead:
    return SeriesHead(
        set_id=set_id,
        version=version,
        source_hash=document_hash if held_hash is None else held_hash,
        document_id=make_document_id(set_id, version) if version else "",
        held=held_hash is not None,
        void=bool(void),
        digests="" if again else digests,  # digests of nothing: whoever compares them looks at the record again
        document_hash=document_hash,
    )


def _counted(taken: Taken) -> dict[str, int]:
    counted: dict[str, int] = msgspec.structs.asdict(taken.skipped)
    beside = [len(one.documents) for one in taken.beside]
    made = len(taken.documents) if taken.destinations else max(beside, default=0)
    counted |= {"documents": made, "held": len(taken.held), "withheld": len(taken.withheld)}
    counted["records"] = sum(counted.values())
    return counted


def _briefly(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    """What the log says of a finding: no values (law 9)."""
    return [(finding.rule, finding.severity, finding.field) for finding in findings]


def _millis_of(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


@lru_cache(maxsize=256)
def _made_at(at: int) -> str:
    return text(moment(at))


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
