"""What the terminology keeps: local codes that no map has, and what people decided about them.

The worklist is counted in the commit that holds the records. It is bounded: so many codes per map, three example keys each;
what comes beyond is a number. A decision is one transaction: the code's word, its history, the chained log, and the held
records that name the code, which go back in line.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from frontend_agent.checks.masking import mask_local_code
from frontend_agent.codes import Approvals, Approved
from frontend_agent.errors import StateError
from frontend_agent.spool import releases
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Decided, Decision, Released, Standing, Taken, UnmappedCode

MOST_CODES = 1_000  # of one map: more is no code table but a column of texts
APPROVED, REJECTED = "approved", "rejected"


class UnknownDecision(StateError):
    """Nobody has decided about that code, or everything was undone already."""


class Terms:
    """The terminology's part of the spool."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database: Database = ledger.database

    # --- the worklist -------------------------------------------------------------------------------------------------

    def count(self, taken: Taken) -> None:
        """Count what a batch met, inside its commit. A code that was approved while the batch was being prepared is no
        longer unmapped: its records go back in line at once.
        """
        known = dict(
            self._database.batch("unmapped.codes", tables=as_json(sorted({one.table for one in taken.unmapped})))
        )
        rows, beyond = [], 0
        for one in taken.unmapped:
            codes = known.setdefault(one.table, [])
            if one.code not in codes:
                if len(codes) >= MOST_CODES:
                    beyond += one.count
                    continue
                codes.append(one.code)
            rows.append((one.table, one.code, one.field, one.value_set, one.name, one.count, list(one.keys)))
        self._database.run("unmapped.count", feed=taken.feed, now=millis(taken.at), rows=as_json(rows))
        self._ledger.change({("unmapped", "beyond"): beyond})
        pairs = as_json([(one.table, one.code) for one in taken.unmapped])
        late = self._database.batch("term.newer", codes=pairs, decision=taken.terms)
        if late:
            self._release({(table, code) for table, code in late}, "", taken.at)
            self._database.run("unmapped.drop", codes=as_json(late))

    def unmapped(self) -> list[UnmappedCode]:
        """The worklist, the most frequent first. Codes that were rejected are in it, and say so."""
        return [
            UnmappedCode(
                table=table,
                code=code,
                name=name,
                value_set=value_set,
                count=count,
                feeds=tuple(sorted(set(feeds))),
                fields=tuple(sorted(set(fields))),
                examples=tuple(f"{feed}:{key}" for feed, keys in examples for key in msgspec.json.decode(keys))[:3],
                first_seen=moment(first_at),
                last_seen=moment(last_at),
                rejected_by=who or "",
                reason=reason or "",
            )
            for table, code, name, value_set, count, feeds, fields, examples, first_at, last_at, who, reason in (
                self._database.batch("unmapped.all")
            )
        ]

    def beyond(self) -> int:
        """How often a code was met that the worklist had no room for."""
        return self._ledger.tally("unmapped", "beyond")

    # --- decisions ----------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """Grows with every decision."""
        row = self._database.row("term.revision")
        return int(row[0]) if row and row[0] else 0

    def approvals(self) -> Approvals:
        """What is approved now, over all maps."""
        with self._database.held():
            found: dict[str, dict[str, Approved]] = {}
            for table, code, target, who, reason in self._database.rows("term.approved"):
                found.setdefault(table, {})[code] = Approved(target, f"{who}: {reason}")
            return Approvals(self.revision(), msgspec.json.encode(found))

    def standing(self) -> dict[tuple[str, str], Standing]:
        """What stands now for every code that somebody decided about."""
        return {
            (table, code): Standing(state, target, who, reason, moment(at))
            for table, code, state, target, who, reason, at in self._database.rows("term.all")
        }

    def decide(self, decisions: Sequence[Decision], who: str, now: datetime) -> Released:
        """Approve and reject, all or none; what was held for an approved code goes back in line."""
        with self._database.write():
            seq = self._ledger.log(
                {
                    "event": "terms",
                    "who": who,
                    "decisions": [(one.table, one.code, one.target, one.reason) for one in decisions],
                },
                now,
            )
            for one in decisions:
                self._decide(one, one.who or who, now, seq)
            approved = {(one.table, one.code) for one in decisions if one.target}
            self._database.run("unmapped.drop", codes=as_json(sorted(approved)))
            return self._release(approved, who, now)

    def _decide(self, one: Decision, who: str, now: datetime, log: int) -> None:
        before = self._database.row("term.one", tbl=one.table, code=one.code)
        state = APPROVED if one.target else REJECTED
        self._database.run(
            "decision.add", tbl=one.table, code=one.code, action=state, target=one.target, before=as_json(before),
            who=who, reason=one.reason, at=millis(now), log=log,
        )  # fmt: skip
        self._put(one.table, one.code, (state, one.target, who, one.reason, millis(now)))

    def _put(self, table: str, code: str, row: Sequence[Any]) -> None:
        state, target, who, reason, at = row
        self._database.run(
            "term.put", tbl=table, code=code, state=state, target=target, who=who, reason=reason, at=at,
        )  # fmt: skip

    def undo(self, table: str, code: str, who: str, reason: str, now: datetime) -> Decided:
        """Take the last decision about a code back: what stood before stands again. Documents already made stay."""
        with self._database.write():
            last = self._database.row("decision.last", tbl=table, code=code)
            if last is None:
                raise UnknownDecision(
                    f"{table}: there is no decision about the local code {mask_local_code(code)!r} to undo"
                )
            number, before = last
            log = self._ledger.log(
                {"event": "terms.undone", "who": who, "table": table, "code": code, "reason": reason}, now
            )
            stood = msgspec.json.decode(before)
            self._database.run("decision.undone", id=number)
            self._database.run(
                "decision.add", tbl=table, code=code, action="undone", target=stood[1] if stood else "", before="null",
                who=who, reason=reason, at=millis(now), log=log,
            )  # fmt: skip
            if stood:
                self._put(table, code, stood)
            else:
                self._database.run("term.drop", tbl=table, code=code)
            return self.history(table, code)[0]

    def history(self, table: str | None = None, code: str | None = None, limit: int = 1000) -> list[Decided]:
        """Who decided what and when, the newest first; each names its entry in the chained log."""
        return [
            Decided(number, tbl, local, action, target, who, reason, moment(at), log, bool(undone))
            for number, tbl, local, action, target, who, reason, at, log, undone in self._database.rows(
                "decision.all", tbl=table, code=code, limit=limit
            )
        ]

    # --- what was held for a code -------------------------------------------------------------------------------------

    def _release(self, codes: Iterable[tuple[str, str]], who: str, now: datetime) -> Released:
        """Held records whose findings name one of these codes are read again under the maps of today."""
        shown = {(table, mask_local_code(code)) for table, code in codes}
        if not shown:
            return Released(self.revision(), 0, ())
        cases = sorted({case for case, table, value in self._database.batch("term.held") if (table, value) in shown})
        keys: list[tuple[str, str]] = []
        if cases:
            asked = [f"{table} {value}" for table, value in sorted(shown)]
            release = releases.begin(self._ledger, asked, who or "terms", now)
            keys = releases.take_cases(self._ledger, release, cases, who or "terms", now)
        feeds = {feed for feed, _ in keys}
        return Released(self.revision(), len(cases), tuple(sorted(feeds)))
