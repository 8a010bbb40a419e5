"""The spool does not slow down, or grow, with what waits in it. Held by counting SQLite's own steps: no clock is asked."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from pipe import NOW, document, fill, id_of, later, taken

from frontend_agent.identity import set_id
from frontend_agent.model import Outcome, Receipt
from frontend_agent.spool import Spool
from frontend_agent.spool.database import QUERIES
from frontend_agent.spool.times import millis

EVERY = 10  # SQLite tells us after so many of its instructions


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def many(spool: Spool, first: int, count: int, frame: bytes = b"x" * 40) -> None:
    """Documents that share everything but their names."""
    like = document("like", frame=frame)
    for start in range(first, first + count, 500):
        spool.commit(
            taken(
                *[
                    msgspec.structs.replace(like, set_id=named, document_id=f"{named}-1", key=str(n), order_key=named)
                    for n in range(start, min(start + 500, first + count))
                    for named in (set_id("H", "1", "C0007", str(n)),)
                ]
            )
        )


def instructions(spool: Spool, work: Callable[[], object]) -> int:
    """How many instructions SQLite's machine ran for it."""
    ran = 0

    def tick() -> bool:
        nonlocal ran
        ran += EVERY
        return False

    connection = spool._database._connection
    connection.set_progress_handler(tick, EVERY)
    try:
        work()
    finally:
        connection.set_progress_handler(None, EVERY)
    return ran


def claim_and_settle(spool: Spool) -> None:
    claimed = spool.claim("platform", now=NOW)
    assert len(claimed) == 100
    spool.settle(
        "platform", [Receipt(c.document.document_id, Outcome.STORED, c.document.sha256) for c in claimed], now=NOW
    )


@pytest.mark.parametrize("waiting", [pytest.param(5_000), pytest.param(60_000, marks=pytest.mark.slow)])
def test_claiming_and_settling_cost_the_same_however_much_waits(spool: Spool, waiting: int) -> None:
    many(spool, 0, 1_000)
    few = instructions(spool, lambda: claim_and_settle(spool))
    many(spool, 1_000, waiting)
    assert instructions(spool, lambda: claim_and_settle(spool)) <= few * 1.2


@pytest.mark.parametrize("state", ["delivered", "waiting", "refused", "behind"])
def test_nor_do_they_cost_more_for_what_is_behind_them(spool: Spool, state: str) -> None:
    many(spool, 0, 1_000)
    few = instructions(spool, lambda: claim_and_settle(spool))
    due = millis(later(minutes=1))
    spool._database.execute(f"UPDATE delivery SET state = '{state}', due_at = {due} WHERE state = 'ready'")
    many(spool, 1_000, 1_000)
    assert instructions(spool, lambda: claim_and_settle(spool)) <= few * 1.2


def test_a_commit_costs_the_same_however_much_is_there(spool: Spool) -> None:
    few = instructions(spool, lambda: many(spool, 0, 500))
    many(spool, 500, 5_000)
    assert instructions(spool, lambda: many(spool, 10_000, 500)) <= few * 1.2


def test_asking_how_much_there_is_costs_the_same(spool: Spool) -> None:
    many(spool, 0, 100)
    few = instructions(spool, lambda: (spool.counts(), spool.pending("platform"), spool.log_head()))
    many(spool, 100, 5_000)
    assert instructions(spool, lambda: (spool.counts(), spool.pending("platform"), spool.log_head())) <= few * 1.2


SMALL = {
    "j",
    "value",
    "jsonb_each",
    "json_each",
    "incoming",
    "i",
    "plan",
    "p",
    "tally",
    "destination",
    "t",
    "lane",
    "head",
    "rule",
    "sqlite_sequence",
}
WHOLE_TABLES_ON_PURPOSE = {
    "series.again": "a partial index of what is to be read again",
    "retire.page": "a page of the frames, in their own order",
    "take.behind": "the deliveries of this very commit",
    "quarantine.list": "a page, in its own order",
    "shadow.drop": "what was counted of another pack, when one is put in shadow",
    "withheld.list": "a page, in its own order",
    "series.look at unsent": "what is still to go, once when a rule of withholding is added",
    "cause.stuck": "what is stuck, and nothing else: a partial index",
    "release.list": "its end",
    "visits.clear": "all of it goes",
    "statistics.forget visits": "what was said of visits, when they are judged anew",
    "visits.clear visits": "all of it goes",
    "visits.clear identity": "all of it goes",
    "reconcile.list": "a page, in its own order",
    "log.page": "a page, in its own order",
    "log.newest": "a page, in its own order",
    "log.last": "its end",
    "checkpoint.last": "its end",
    "document.last": "its end",
    "run.last": "its end",
    "run.trim": "its end",
    "receipts": "a page, in its own order",
    "term.held": "what waits in quarantine, once per decision of a person",
    "term.all": "decisions of people about local codes",
    "term.approved": "decisions of people about local codes, once per decision",
    "decision.all": "a page, in its own order",
    "backfill.running": "a partial index of what runs",
    "backfill.list": "its end",
    "silence.now": "one row per feed",
    "guest.paused": "one row per source that is paused",
    "guest.drop": "once an hour; one row per source and hour",
    "closing.standing": "a dozen rows a year",
    "closing.all": "a dozen rows a year",
    "closing.late": "one row a month at most",
    "unmapped.all": "the worklist, which is bounded",
    "alarm.unmapped": "the worklist, which is bounded",
    "alarm.standing": "a partial index of what stands: one row for each thing that is wrong",
    "alarm.to end": "alarms have their term; who was told is found by number",
    "alarm.drop": "once an hour; alarms have their term",
    "alarm.drop told": "when an alarm's term is over",
    "alarm.drop hours": "once an hour; one row per feed and hour of the last weeks",
    "alarm.mutes": "what people muted: a few rows",
    "alarm.unmute": "what people muted: a few rows",
    "console.accounts": "the people of the console: a few rows",
    "console.forget tries": "tries of the last minutes, as many as are let try",
    "alarm.stuck studies": "a partial index of what is stuck, and nothing else",
    "gap.unlaid": "a partial index of what is not in the folder yet",
    "gap.sent counts": "bundles without an acknowledgement: bounded by the window",
    "gap.newest asking": "from the newest on, until one asks: nearly each does",
    "gap.last": "its end",
    "gap.items waiting": "what the outer half has still to put: bounded by the inner half's window",
    "gap.requests": "parcels that are on their way: bounded by the window",
    "gap.drop older": "questions that nobody waits for any more: bounded by the window",
    "image.deliveries left": "a partial index of what was being sent, at the start",
}


@pytest.mark.parametrize("name", sorted(set(QUERIES) - set(WHOLE_TABLES_ON_PURPOSE)))
def test_no_query_walks_through_a_table(spool: Spool, name: str) -> None:
    if name.startswith("migration"):
        return
    plan = spool._database._connection.execute("EXPLAIN QUERY PLAN " + QUERIES[name], _Anything()).fetchall()
    for *_, step in plan:
        if step.startswith("SCAN"):
            words = step.split()
            assert words[1] in SMALL or "VIRTUAL TABLE" in step or "CONSTANT" in step or words[1].startswith("("), step


class _Anything(dict[str, int]):
    """A value for every parameter."""

    def __missing__(self, name: str) -> int:
        return 0


def test_the_spool_takes_less_than_thirty_percent_of_what_it_keeps(spool: Spool) -> None:
    """15 kB documents of which zstd leaves 2 kB, delivered, with receipts and log."""
    for start in range(0, 4_000, 500):
        made = [document(f"k{n}", size=15_000, frame=os.urandom(2_000)) for n in range(start, start + 500)]
        spool.commit(taken(*made))
        while claimed := spool.claim("platform", now=NOW):
            spool.settle(
                "platform",
                [Receipt(c.document.document_id, Outcome.STORED, c.document.sha256) for c in claimed],
                now=NOW,
            )
    spool.close()  # merges the write-ahead log: its length is a matter of when we look, and does not grow with the spool
    on_disk = sum(path.stat().st_size for path in spool.path.iterdir())
    assert on_disk <= 0.20 * 4_000 * 15_000


def test_all_cases_are_listed_however_many(spool: Spool) -> None:
    ids = fill(spool, [f"k{n}" for n in range(1_200)], destinations=("platform", "city"))
    for destination in ("platform", "city"):
        while claimed := spool.claim(destination, now=NOW):
            refused = [Receipt(c.document.document_id, Outcome.REFUSED, "", ("no",)) for c in claimed]
            spool.settle(destination, refused, now=NOW)
    cases = list(spool.cases())
    assert len(cases) == len({case.id for case in cases}) == 2_400
    assert {case.document_id for case in cases} == set(ids)
    assert list(spool.cases("another")) == []


def test_receipts_are_listed_page_by_page_without_a_gap(spool: Spool) -> None:
    ids = fill(spool, "abcde", destinations=("platform", "city"))
    for destination in ("platform", "city"):
        claimed = spool.claim(destination, now=NOW)
        spool.settle(
            destination,
            [Receipt(c.document.document_id, Outcome.STORED, c.document.sha256) for c in claimed],
            now=later(seconds=1),
        )
    seen, after = [], 0
    while page := spool.receipts(after=after, limit=3):
        seen += [(receipt.document_id, receipt.destination) for receipt in page]
        after = page[-1].row
    assert len(seen) == len(set(seen)) == 10
    assert {name for name, _ in seen} == set(ids)
    assert len(spool.receipts("city")) == 5
    assert spool.receipts("city")[0].document_id == id_of("a")
