"""Records that are kept back by rule: what, why and by whose decision. Writing happens in the commit of their batch."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from frontend_agent.delivery import State
from frontend_agent.model import Withheld
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, millis_of_text, moment, moment_or_none
from frontend_agent.spool.words import KeptBack

_PAGE = 500
OPEN, ALARM = ("withheld", "open"), ("withheld", "alarm")

CallNext = Callable[[str, int, list[int]], None]


def take(
    ledger: Ledger,
    withheld: Sequence[Withheld],
    plans: Sequence[int],
    log: int,
    now: datetime,
    destinations: dict[int, str],
    call_next: CallNext,
    generation: int,
) -> None:
    """Keep these back, and stop what is still to go of them."""
    database = ledger.database
    sets = [name for one in withheld for name in (one.set_id, *one.others)]
    reached: dict[str, int] = dict(database.batch("withheld.reached", set_ids=as_json(sets)))
    _stop(ledger, withheld, now, destinations, call_next)
    rows = []
    for one, plan in zip(withheld, plans, strict=True):
        there = max(reached.get(name, 0) for name in (one.set_id, *one.others))
        rows.append(
            (one.set_id, plan, one.key, one.source_hash, one.rule, one.rule_digest, one.field, one.decided_by, one.reason,
             there, millis_of_text(one.withheld_at))
        )  # fmt: skip
    database.run("take.held series", held=as_json([row[:4] for row in rows]), generation=generation)
    database.run("withheld.add", withheld=as_json(rows), log=log)
    ledger.change({OPEN: len(rows), ALARM: sum(row[9] > 0 for row in rows)})


def _stop(
    ledger: Ledger, withheld: Sequence[Withheld], now: datetime, destinations: dict[int, str], call_next: CallNext
) -> None:
    for one in withheld:
        found = ledger.database.batch("withheld.find under way", set_ids=as_json([one.set_id, *one.others]))
        if not found:
            continue
        reasons = as_json([f"withheld by rule {one.rule}"])
        rows = [(document, destination) for document, destination, *_ in found]
        ledger.database.run("withheld.stop", rows=as_json(rows), now=millis(now), reasons=reasons)
        ledger.database.run("withheld.forget", series=as_json([row[4] for row in found]))
        for destination, name in destinations.items():
            mine = [row for row in found if row[1] == destination]
            if mine:
                moves = Counter({State.DISCARDED: len(mine)})
                moves.subtract(State(row[2]) for row in mine)
                ledger.move(name, moves)
                call_next(name, destination, sorted({row[3] for row in mine}))


def close(ledger: Ledger, set_ids: Sequence[str], now: int) -> None:
    """Their records are overtaken."""
    alarms = ledger.database.rows("withheld.close", set_ids=as_json(list(set_ids)), now=now)
    ledger.change({OPEN: -len(alarms), ALARM: -sum(row[0] for row in alarms)})


def lift(ledger: Ledger, feed: str, rules: Sequence[str], now: datetime) -> int:
    """Let the records of rules that are gone be read again. `rules` are those in force: name and digest. How many."""
    database = ledger.database
    with database.write():
        found = database.batch("withheld.find lifted", feed=feed, rules=as_json(list(rules)))
        if not found:
            return 0
        ids = [row[0] for row in found]
        database.run("withheld.lift", ids=as_json(ids), now=millis(now))
        database.run("series.look again", series=as_json([row[1] for row in found]))
        ledger.change({OPEN: -len(ids), ALARM: -sum(row[2] for row in found)})
        ledger.log({"event": "lifted", "feed": feed, "withheld": [f"W{number}" for number in ids]}, now)
    return len(ids)


def acknowledge(ledger: Ledger, ids: Sequence[str], who: str, note: str, now: datetime) -> int:
    """A person has told the region that it keeps something that is withheld now. How many."""
    database = ledger.database
    with database.write():
        told = [
            one
            for one in ids
            if database.changed("withheld.acknowledge", id=_number(one), who=who, note=note, now=millis(now))
        ]
        if told:
            ledger.change({ALARM: -len(told)})
            ledger.log({"event": "acknowledged", "withheld": told, "who": who, "reason": note}, now)
    return len(told)


def listed(
    database: Database, feed: str | None = None, rule: str | None = None, everything: bool = False
) -> Iterator[KeptBack]:
    """The oldest first, a page at a time."""
    after = 0
    while rows := database.rows("withheld.list", feed=feed, rule=rule, everything=everything, after=after, limit=_PAGE):
        yield from map(_kept_back, rows)
        after = rows[-1][0]


def of(database: Database, set_id: str) -> tuple[KeptBack, ...]:
    """All that was ever withheld of one record."""
    return tuple(map(_kept_back, database.rows("withheld.of", set_id=set_id)))


def _kept_back(row: tuple[Any, ...]) -> KeptBack:
    (number, state, set_id, kind, institution, feed, key, source_hash, rule, field, decided_by, reason, at, reached, log,
     digests, acknowledged_at, acknowledged_by, note) = row  # fmt: skip
    return KeptBack(
        id=f"W{number}",
        state=state,
        set_id=set_id,
        kind=kind,
        institution=institution,
        feed=feed,
        key=key,
        source_hash=source_hash,
        rule=rule,
        field=field,
        decided_by=decided_by,
        reason=reason,
        since=moment(at),
        reached=reached,
        log=log,
        digests=digests,
        acknowledged_at=moment_or_none(acknowledged_at or 0),
        acknowledged_by=acknowledged_by,
        note=note,
    )


def _number(case: str) -> int:
    text = case.removeprefix("W")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
