"""Records that wait for a partner in another system: neither sent nor held, and nobody is to blame yet."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import as_json
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Awaiting, Taken


def take(database: Database, taken: Taken) -> int:
    """What a batch says of waiting records, inside its transaction. How many more wait now."""
    more = sum(one.attempts == 1 for one in taken.waiting)
    if taken.arrived:
        more -= database.changed("waiting.arrived", set_ids=as_json(list(taken.arrived)))
    if taken.waiting:
        rows = [
            (one.set_id, one.key, millis(one.since), millis(one.until), millis(one.due_at), one.attempts, one.partners)
            for one in taken.waiting
        ]
        database.run("waiting.put", feed=taken.feed, rows=as_json(rows))
    return more


def waiting(database: Database, set_ids: Iterable[str]) -> dict[str, Awaiting]:
    """Those of these sets that wait."""
    found = database.batch("waiting.of", set_ids=as_json(list(set_ids)))
    return {row[0]: _waiting(*row) for row in found}


def due(database: Database, feed: str, now: datetime, limit: int) -> list[str]:
    """Keys of a feed whose turn it is to be looked for again, those first that have waited longest."""
    return database.batch("waiting.due", feed=feed, now=millis(now), limit=limit)


def listed(database: Database, feed: str) -> list[Awaiting]:
    """All that wait in a feed, the longest first."""
    return [_waiting(*row) for row in database.batch("waiting.list", feed=feed)]


def _waiting(set_id: str, key: str, since: int, until: int, due_at: int, attempts: int, partners: str) -> Awaiting:
    names = tuple(msgspec.json.decode(partners, type=list[str]))
    return Awaiting(set_id, key, moment(since), moment(until), moment(due_at), attempts, names)
