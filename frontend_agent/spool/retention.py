"""What is dropped, and when: the frame of a document whose every delivery ended at least a term ago (law 5).

Receipts, index rows, findings and the log stay. Each dropping is itself in the log.
"""

from datetime import datetime, timedelta

from frontend_agent.identity import document_id as make_document_id
from frontend_agent.spool.database import Bodies
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis


def retire(ledger: Ledger, bodies: Bodies, term: timedelta, now: datetime) -> int:
    """One pass over the kept frames, a page per transaction: feeds and senders get their turn in between."""
    dropped, position = 0, 0
    while True:
        page = ledger.database.batch("retire.page", after=position, before=millis(now - term))
        if not page:
            return dropped
        position = page[-1][0]
        over = [row for row in page if not row[5]]
        if not over:
            continue
        files = [row for row in over if row[1]]
        with ledger.database.write():
            ledger.database.run("retire.drop", documents=as_json([row[0] for row in over]))
            ledger.change({("bytes", "files"): -sum(row[2] for row in files)})
            ledger.log({"event": "retired", "frames": len(over), "first": over[0][0], "last": over[-1][0]}, now)
        for row in files:  # a file that outlives its row is swept at the next start
            bodies.drop(make_document_id(row[3], row[4]))
        dropped += len(over)
