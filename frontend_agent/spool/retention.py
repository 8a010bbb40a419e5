"""What is dropped, and when: the frame of a document whose every delivery ended at least a term ago (law 5).

Receipts, index rows, findings and the log stay. Each dropping is itself in the log.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from frontend_agent.identity import document_id as make_document_id
from frontend_agent.spool.database import Bodies, Damaged
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis


def retire(
    ledger: Ledger,
    bodies: Bodies,
    term: timedelta,
    now: datetime,
    backfilled: timedelta,
    accepted: Mapping[int, timedelta],
) -> int:
    """One pass over the kept frames, a page per transaction: feeds and senders get their turn in between.

    `accepted`: destination -> the term of what it accepted and never confirmed; without one it is kept for ever.
    """
    dropped, position = 0, 0
    before, earlier = millis(now - term), millis(now - backfilled)
    terms = as_json([(destination, millis(now - own)) for destination, own in accepted.items()])
    while page := ledger.database.batch(
        "retire.page", after=position, before=before, backfilled=earlier, accepted=terms
    ):
        position = page[-1][0]
        over = [row for row in page if not row[5]]
        try:
            dropped += _drop(ledger, bodies, over, now)
        except Damaged:  # a frame on a broken page cannot be taken out; its neighbours can
            dropped += sum(_drop_if_possible(ledger, bodies, row, now) for row in over)
    return dropped


def _drop(ledger: Ledger, bodies: Bodies, over: list[list[Any]], now: datetime) -> int:
    if not over:
        return 0
    files = [row for row in over if row[1]]
    with ledger.database.write():
        ledger.database.run("retire.drop", documents=as_json([row[0] for row in over]))
        ledger.change({("bytes", "files"): -sum(row[2] for row in files)})
        ledger.log({"event": "retired", "frames": len(over), "first": over[0][0], "last": over[-1][0]}, now)
    for row in files:  # one that outlives its row, because we die here, is swept at the next start
        bodies.drop(make_document_id(row[3], row[4]))
    return len(over)


def _drop_if_possible(ledger: Ledger, bodies: Bodies, row: list[Any], now: datetime) -> int:
    try:
        return _drop(ledger, bodies, [row], now)
    except Damaged:
        return 0
