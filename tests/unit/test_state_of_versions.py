"""10,000 documents wait while the version changes, forward and back: each is delivered once, whichever version does it (threat U3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pipe import NOW, document, taken

from frontend_agent.identity import set_id
from frontend_agent.model import Outcome, Receipt
from frontend_agent.qclog import verify
from frontend_agent.spool import Spool, database
from frontend_agent.spool.database import MIGRATIONS

MANY = 10_000
# What the rule allows, all at once: a table, an index, columns in the tables that a delivery goes through.
NEXT = """
CREATE TABLE of_the_next (document_id TEXT PRIMARY KEY, note TEXT NOT NULL) WITHOUT ROWID;
ALTER TABLE run ADD COLUMN of_the_next TEXT;
ALTER TABLE feed ADD COLUMN of_the_next INTEGER NOT NULL DEFAULT 0;
"""


def present(folder: Path) -> Spool:
    return Spool(folder).open()


@contextmanager
def the_next(patch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Spool]]:
    """As a version with one migration more would open it."""
    with patch.context() as here:
        here.setattr(database, "MIGRATIONS", {**MIGRATIONS, f"migration {len(MIGRATIONS) + 1}": NEXT})
        yield present


def put(spool: Spool, first: int, count: int) -> None:
    like = document("like", frame=b"x" * 40)
    for start in range(first, first + count, 500):
        spool.commit(
            taken(
                *[
                    msgspec.structs.replace(like, set_id=named, document_id=f"{named}-1", key=str(n), order_key=named)
                    for n in range(start, start + 500)
                    for named in (set_id("H", "1", "C0007", str(n)),)
                ]
            )
        )


def send(spool: Spool, most: int) -> list[str]:
    """Up to so many, each settled by its own receipt."""
    sent: list[str] = []
    while len(sent) < most and (claimed := spool.claim("platform", now=NOW)):
        receipts = [Receipt(c.document.document_id, Outcome.STORED, c.document.sha256) for c in claimed]
        spool.settle("platform", receipts, now=NOW)
        sent += [c.document.document_id for c in claimed]
    return sent


@pytest.mark.parametrize("begins", ["this version", "the next one"])
def test_what_waits_is_delivered_once_by_whichever_version_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    sent: list[str] = []
    turns = ["this", "next", "this"] if begins == "this version" else ["next", "this", "next"]
    for turn, version in enumerate(turns):
        with the_next(monkeypatch) if version == "next" else plainly() as opened, opened(tmp_path / "state") as spool:
            if turn == 0:
                put(spool, 0, MANY)
            assert spool.pending("platform") == MANY - len(sent)
            sent += send(spool, MANY if turn == 2 else 3_000)
    assert len(sent) == len(set(sent)) == MANY
    with present(tmp_path / "state") as spool:
        assert spool.pending("platform") == 0
        assert spool.counts().documents == MANY
        assert verify(spool.log_entries()).ok


@contextmanager
def plainly() -> Iterator[Callable[[Path], Spool]]:
    yield present
