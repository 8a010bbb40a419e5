"""What waits for a person: records held by their findings, and documents that a destination did not take.

Releasing a record does not send what was held: its key is read again and judged by the rules of today. Discarding one
means that this content is known and not wanted; other content of the same key will be looked at.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import zstandard

from frontend_agent.delivery import State
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.model import Finding
from frontend_agent.spool import releases
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import Ledger
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Case

_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
_REASONS = msgspec.json.Decoder(tuple[str, ...])


_PAGE = 500
SendAgain = Callable[[str, str, Sequence[str], datetime], str]  # destination, document, its reasons, now -> what became


class LetGo(NamedTuple):
    """What became of cases that a person let go."""

    keys: list[tuple[str, str]]  # (feed, key) of what is to be read again
    overtaken: list[str]  # cases that keep waiting: a newer version may be where they were to go


def everything(database: Database, feed: str | None) -> Iterator[Case]:
    """Records first, then deliveries; a page at a time, however many there are."""
    after = 0
    while rows := database.rows("quarantine.list", feed=feed, limit=_PAGE, after=after):
        yield from map(_record, rows)
        after = rows[-1][0]
    destination, document = 0, 0
    while rows := database.rows("stuck.list", feed=feed, limit=_PAGE, destination=destination, document=document):
        yield from map(_delivery, rows)
        document, destination = rows[-1][0], rows[-1][-1]


def listed(database: Database, feed: str | None, limit: int, after: int) -> list[Case]:
    held = [_record(row) for row in database.rows("quarantine.list", feed=feed, limit=limit, after=after)]
    stuck = database.rows("stuck.list", feed=feed, limit=max(limit - len(held), 0), destination=0, document=0)
    return held + [_delivery(row) for row in stuck]


def of_cause(database: Database, cause: int, limit: int, after: int) -> list[Case]:
    return [_record(row) for row in database.rows("cause.cases", cause=cause, limit=limit, after=after)]


def shown(database: Database, case: str) -> tuple[Case, dict[str, Any]] | None:
    if case.startswith("D"):
        place = _place(case)
        found = database.row("stuck.show", **place) if place else None
        return (_delivery(found), {}) if found else None
    row = database.row("quarantine.one", id=_number(case))
    if row is None:
        return None
    body = database.row("quarantine.body", id=_number(case))
    record = msgspec.json.decode(zstandard.ZstdDecompressor().decompress(body[0])) if body and body[0] else {}
    return _record(row), record


def release(
    ledger: Ledger, ids: Sequence[str], who: str, now: datetime, foreign: Collection[str], send_again: SendAgain
) -> LetGo:
    """`foreign`: destinations that do not know our versions; there `send_again` keeps their order."""
    keys: list[tuple[str, str]] = []
    overtaken: list[str] = []
    with ledger.database.write():
        stuck = [case for case in ids if case.startswith("D")]
        for case in stuck:
            if case.partition("@")[2] not in foreign:
                keys += _release_delivery(ledger, case, now)
            elif (found := _release_foreign(ledger, case, now, send_again)) is None:
                overtaken.append(case)
            else:
                keys += found
        stuck = [case for case in stuck if case not in overtaken]
        records = numbers(ids)
        if records:
            keys += releases.take_cases(ledger, releases.begin(ledger, ids, who, now), records, who, now)
        if stuck:
            ledger.log({"event": "released", "cases": stuck, "who": who}, now)
    return LetGo(keys, overtaken)


def _release_foreign(ledger: Ledger, case: str, now: datetime, send_again: SendAgain) -> list[tuple[str, str]] | None:
    """As `_release_delivery`; None: it is overtaken and keeps waiting."""
    place = _place(case)
    row = ledger.database.row("stuck.show", **place) if place else None
    if row is None:
        return []
    found = _delivery(row)
    if found.state == State.DAMAGED:
        return _release_delivery(ledger, case, now)
    became = send_again(found.destination, found.document_id, found.reasons, now)
    if became == "overtaken":
        return None
    return [(found.feed, found.key)] if became == "made_again" else []


def _release_delivery(ledger: Ledger, case: str, now: datetime) -> list[tuple[str, str]]:
    """Send it again; when its bytes are damaged, read its record again instead."""
    database = ledger.database
    found = _stuck(database, case)
    if found is None:
        return []
    document, destination, state, _, series, _, _, feed, key = found
    name = case.partition("@")[2]
    if state == State.DAMAGED:
        database.run("series.read again", series=series)
        database.run("stuck.discard", document=document, destination=destination, now=millis(now))
        ledger.move(name, {State.DAMAGED: -1, State.DISCARDED: 1})
        return [(feed, key)]
    row = database.row("stuck.again", document=document, destination=destination)
    assert row is not None
    ledger.move(name, {State(state): -1, State(row[0]): 1})
    return []


def discard(ledger: Ledger, ids: Sequence[str], who: str, reason: str, now: datetime) -> int:
    database = ledger.database
    with database.write():
        discarded = []
        for case in ids:
            if case.startswith("D"):
                gone = _discard_delivery(ledger, case, now)
            else:
                gone = _discard_record(ledger, case, who, reason, now)
            if gone:
                discarded.append(case)
        if discarded:
            ledger.log({"event": "discarded", "cases": discarded, "who": who, "reason": reason}, now)
    return len(discarded)


def _discard_record(ledger: Ledger, case: str, who: str, reason: str, now: datetime) -> bool:
    database, number = ledger.database, _number(case)
    if not database.changed("quarantine.discard", id=number, now=millis(now), who=who, reason=reason):
        return False
    database.run("quarantine.known", id=number)
    ledger.change({("quarantine", "open"): -1})
    return True


def _discard_delivery(ledger: Ledger, case: str, now: datetime) -> bool:
    found = _stuck(ledger.database, case)
    if found is None:
        return False
    document, destination, state, *_ = found
    ledger.database.run("stuck.discard", document=document, destination=destination, now=millis(now))
    ledger.move(case.partition("@")[2], {State(state): -1, State.DISCARDED: 1})
    return True


def _stuck(database: Database, case: str) -> tuple[Any, ...] | None:
    place = _place(case)
    return database.row("stuck.one", **place) if place else None


def _place(case: str) -> dict[str, Any] | None:
    document, _, destination = case[1:].partition("@")
    if not (document.isascii() and document.isdigit() and len(document) < 18):
        return None
    return {"document": int(document), "destination": destination}


def numbers(ids: Sequence[str]) -> list[int]:
    """The rows of held records; whatever else is named has none."""
    return [number for case in ids if not case.startswith("D") and (number := _number(case)) > 0]


def _number(case: str) -> int:
    text = case.removeprefix("Q")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1


def _record(row: tuple[Any, ...]) -> Case:
    number, set_id, feed, kind, institution, key, source_hash, digests, findings, held_at, state, note, log = row
    return Case(
        id=f"Q{number}",
        state=state,
        set_id=set_id,
        kind=kind,
        institution=institution,
        feed=feed,
        key=key,
        source_hash=source_hash,
        digests=digests,
        since=moment(held_at),
        log=log,
        findings=_FINDINGS.decode(findings),
        note=note,
    )


def _delivery(row: tuple[Any, ...]) -> Case:
    (document, destination, set_id, version, feed, kind, institution, key, source_hash, digests, state, reasons, since,
     log, _) = row  # fmt: skip
    return Case(
        id=f"D{document}@{destination}",
        state=state,
        set_id=set_id,
        kind=kind,
        institution=institution,
        feed=feed,
        key=key,
        source_hash=source_hash,
        digests=digests,
        since=moment(since),
        log=log,
        reasons=_REASONS.decode(reasons),
        document_id=make_document_id(set_id, version),
        destination=destination,
    )
