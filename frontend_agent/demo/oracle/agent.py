"""What only the agent can tell: which records it holds, and what its rules said. Read from its spool, read-only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

SPOOL = "spool.db"


class Finding(NamedTuple):
    """One thing one rule said."""

    rule: str
    severity: str
    field: str


class Spoken(NamedTuple):
    """What was said of one record. `held`: it waits for a person, with these reasons; else they went out beside it."""

    kind: str
    key: str
    held: bool
    findings: tuple[Finding, ...]


def spoken(state: Path) -> Iterator[Spoken]:
    """Held records and refused deliveries, then the newest documents that were sent with findings."""
    path = state / SPOOL
    if not path.exists():
        return
    spool = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        spool.set_busy_timeout(10_000)
        held = spool.execute(
            "SELECT p.kind, s.key, q.findings FROM quarantine q JOIN series s ON s.id = q.series"
            " JOIN plan p ON p.id = q.plan WHERE q.state IN ('open', 'released') ORDER BY q.id"
        )
        for kind, key, findings in held:
            yield Spoken(kind, key, True, _findings(findings))
        stuck = spool.execute(
            "SELECT p.kind, s.key FROM delivery v JOIN document d ON d.id = v.document JOIN series s ON s.id = d.series"
            " JOIN plan p ON p.id = d.plan WHERE v.state IN ('refused', 'blocked', 'damaged')"
        )
        for kind, key in stuck:
            yield Spoken(kind, key, True, ())
        sent = spool.execute(
            "SELECT p.kind, s.key, d.findings FROM document d JOIN series s ON s.id = d.series AND s.version = d.version"
            " JOIN plan p ON p.id = d.plan WHERE d.findings IS NOT NULL ORDER BY d.id"
        )
        for kind, key, findings in sent:
            yield Spoken(kind, key, False, _findings(findings))
    finally:
        spool.close()


def _findings(text: str) -> tuple[Finding, ...]:
    return tuple(Finding(f["rule"], f["severity"], f.get("field", "")) for f in json.loads(text))
