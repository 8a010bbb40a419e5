"""The durable middle of the pipe: what was taken in and what is still to be sent. Nothing else here writes to our disk.

`database.py` is the file, `schema.sql` its tables and `queries.sql` its queries; `spool.py` takes in, claims and settles;
`cases.py` is what waits for a person, `groups.py` the same by cause, `releases.py` how it is let go; `waiting.py` what waits
for another system, `visits.py` what rules over a visit need, `withheld.py` what is kept back by rule, `terms.py` what is decided about local codes, `closings.py`
which months are closed, `finding.py` what feeds have seen and what they miss, `silences.py` which feeds are silent,
`backfills.py` how far each backfill is, `reconciliations.py` what is compared with
the source and the platform, `traces.py` what can be looked up, `retention.py` what is dropped, `meta.py` whose state this is.
"""

from frontend_agent.errors import SpoolFull
from frontend_agent.spool.meta import this_machine
from frontend_agent.spool.spool import Spool
from frontend_agent.spool.words import (
    Awaiting,
    Backfill,
    Became,
    Beside,
    Case,
    ClosedMonth,
    Counts,
    Decided,
    Decision,
    Delivery,
    Doubt,
    Group,
    JudgedVisit,
    KeptBack,
    KeptReceipt,
    Met,
    Pause,
    Progress,
    Release,
    Released,
    Run,
    Shadowed,
    Silent,
    Skipped,
    SourcePause,
    Standing,
    Stopped,
    Taken,
    Trace,
    TracedDelivery,
    UnmappedCode,
    Walked,
)

__all__ = [
    "Awaiting",
    "Backfill",
    "Became",
    "Beside",
    "Case",
    "ClosedMonth",
    "Counts",
    "Decided",
    "Decision",
    "Delivery",
    "Doubt",
    "Group",
    "JudgedVisit",
    "KeptBack",
    "KeptReceipt",
    "Met",
    "Pause",
    "Progress",
    "Release",
    "Released",
    "Run",
    "Shadowed",
    "Silent",
    "Skipped",
    "SourcePause",
    "Spool",
    "SpoolFull",
    "Standing",
    "Stopped",
    "Taken",
    "Trace",
    "TracedDelivery",
    "UnmappedCode",
    "Walked",
    "this_machine",
]
