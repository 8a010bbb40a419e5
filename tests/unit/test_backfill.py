"""A stretch of the past: its bounds, its slices, what it will take, whose turn it is, and how far it is."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from pipe import NOW, document, id_of, later, taken

from frontend_agent.backfill import (
    BadBound,
    Limits,
    Part,
    Sample,
    asked,
    bound,
    estimate,
    first_width,
    fraction,
    is_before,
    moved,
    next_width,
    open_minutes,
    opens_at,
    parts,
    samples,
    share,
    spread_out,
)
from frontend_agent.backfill_operations import progress
from frontend_agent.model import Outcome, Receipt, Watermark
from frontend_agent.spool import Skipped, Spool, Walked
from frontend_agent.turns import Turn
from frontend_agent.windows import window

TWO_YEARS = ("2024-01-01T00:00:00", "2026-01-01T00:00:00")


# --- bounds and slices ------------------------------------------------------------------------------------------------


def test_a_day_at_the_end_is_included() -> None:
    assert bound("time", "2024-01-31") == "2024-01-31T00:00:00"
    assert bound("time", "2024-01-31", upper=True) == "2024-02-01T00:00:00"
    assert bound("time", "2024-01-31T07:30", upper=True) == "2024-01-31T07:30:00"
    assert bound("number", "120", upper=True) == "121"
    assert asked("number", "120") == "int:120"
    assert asked("text", "time:A") == "text:time:A"
    assert asked("time", "2024-01-31T00:00:00") == datetime(2024, 1, 31)


@pytest.mark.parametrize(
    ("axis", "text", "said"),
    [("time", "31.1.2024", "neither a day"), ("time", "2024-01-31T00:00+08:00", "zone"), ("number", "A1", "no number")],
)
def test_a_bound_that_cannot_be_one_is_told(axis: str, text: str, said: str) -> None:
    with pytest.raises(BadBound, match=said):
        bound(axis, text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("axis", "low", "high"), [("time", *TWO_YEARS), ("number", "17", "900000"), ("text", "A0001", "C")]
)
def test_slices_follow_each_other_up_to_the_end(axis: str, low: str, high: str) -> None:
    at, width, edges = low, first_width(axis, low, high, 0), [low]  # type: ignore[arg-type]
    while is_before(axis, at, high):  # type: ignore[arg-type]
        at = moved(axis, at, width, high)  # type: ignore[arg-type]
        edges.append(at)
        width = next_width(axis, width, rows=700)  # type: ignore[arg-type]
    assert edges[-1] == high
    assert len(set(edges)) == len(edges)
    assert len(edges) < 200


def test_slices_become_as_wide_as_they_must() -> None:
    assert next_width("time", 3600, 20_000) == 3600 / 4
    assert next_width("time", 3600, 5_000) == 3600
    assert next_width("time", 3600, 0) == 4 * 3600
    assert next_width("time", 60, 10_000_000) == 60  # never narrower than a minute
    assert first_width("time", *TWO_YEARS, expected=50_000_000) == pytest.approx(731 * 86_400 / 10_000)


def test_how_far_it_is_by_its_place() -> None:
    assert fraction("time", *TWO_YEARS, "2025-01-01T00:00:00") == pytest.approx(366 / 731)
    assert fraction("number", "0", "10", "5") == 0.5
    assert fraction("text", "A", "C", "B") == 0


def test_parts_are_months_or_equal() -> None:
    months = parts("time", "2024-01-15T00:00:00", "2024-03-02T00:00:00")
    assert [one.label for one in months] == ["2024-01", "2024-02", "2024-03"]
    assert (months[0].low, months[-1].high) == ("2024-01-15T00:00:00", "2024-03-02T00:00:00")
    assert all(one.high == other.low for one, other in zip(months, months[1:], strict=False))  # noqa: RUF007
    numbers = parts("number", "0", "1000")
    assert (numbers[0].low, numbers[-1].high, len(numbers)) == ("0", "1000", 24)


def test_whoever_stops_counting_early_has_looked_everywhere() -> None:
    assert list(spread_out(9))[:3] == [0, 8, 4]
    for count in (1, 2, 7, 24, 25):
        assert sorted(spread_out(count)) == list(range(count))


def test_a_month_is_sampled_by_one_of_each_weekday() -> None:
    month = Part("2024-03", "2024-03-01T00:00:00", "2024-04-01T00:00:00")
    for number in range(5):
        days = [datetime.fromisoformat(low) for low, _ in samples("time", month, number)]
        assert {day.weekday() for day in days} == set(range(7))
        assert all(month.low <= low < high <= month.high for low, high in samples("time", month, number))
    day = Part("2024-03", "2024-03-01T00:00:00", "2024-03-02T00:00:00")
    assert sum(share("time", day, piece) for piece in samples("time", day, 0)) == pytest.approx(0.1, rel=0.01)


# --- what it will take --------------------------------------------------------------------------------------------------

SAMPLE = Sample(
    keys=300, documents=290, seconds_reading=0.3, seconds_preparing=0.9, source_bytes=4_000_000, frame_bytes=900_000, rows=4_000
)  # fmt: skip


def test_what_is_slowest_bounds_it() -> None:
    assert estimate(1000, SAMPLE, Limits()).rows_per_second == pytest.approx(250)  # one process reads, then prepares
    two = estimate(1000, SAMPLE, Limits(workers=2))
    assert (two.slowest, two.rows_per_second) == ("preparing", pytest.approx(2 * 300 / 0.9))
    assert estimate(1000, SAMPLE, Limits(workers=9)).slowest == "reading"
    shared = estimate(1000, SAMPLE, Limits(workers=2, source_share=0.1))
    assert (shared.slowest, shared.rows_per_second) == ("source_share", pytest.approx(100))
    assert estimate(1000, SAMPLE, Limits(workers=2, rate=50)).rows_per_second == 50
    assert estimate(1000, SAMPLE, Limits(workers=2, source_rows=2000)).rows_per_second == pytest.approx(150)
    assert estimate(1000, SAMPLE, Limits(workers=2, destination=29)).rows_per_second == pytest.approx(30)


def test_two_years_of_a_large_hospital_in_nights() -> None:
    minutes = open_minutes([window("22:00-06:00")], [window("23:50-00:40")])
    assert minutes == 430
    wanted = estimate(
        50_000_000, SAMPLE, Limits(workers=2, rate=200, open_minutes=minutes, quota=400 << 30, retention_days=2.0)
    )
    assert wanted.days == pytest.approx(50_000_000 / 200 / (430 * 60))
    assert wanted.documents == pytest.approx(48_333_333, abs=1)
    assert wanted.source_bytes == pytest.approx(50_000_000 * 4_000_000 / 300, rel=0.001)
    kept = wanted.sent_bytes * 3 / wanted.days  # what three days make is here at once, the rest is dropped
    assert wanted.spool_peak == pytest.approx(wanted.spool_stays + kept, rel=0.001)
    assert wanted.fits
    assert not estimate(50_000_000, SAMPLE, Limits(rate=200, quota=20 << 30)).fits


def test_without_a_sample_nothing_is_claimed() -> None:
    nothing = estimate(1000, Sample(0, 0, 0.0, 0.0, 0, 0, 0), Limits())
    assert (nothing.rows_per_second, nothing.seconds, nothing.slowest) == (0.0, 0.0, "")


def test_its_hours() -> None:
    night = [window("22:00-06:00")]
    assert opens_at(night, datetime(2026, 11, 21, 23)) is None
    assert opens_at(night, datetime(2026, 11, 21, 12)) == datetime(2026, 11, 21, 22)
    assert opens_at([], datetime(2026, 11, 21, 12)) is None
    two = [window("01:00-02:00"), window("12:00-13:00")]
    assert opens_at(two, datetime(2026, 11, 21, 3)) == datetime(2026, 11, 21, 12)
    assert open_minutes([]) == 1440


# --- turns --------------------------------------------------------------------------------------------------------------


def test_a_feed_has_the_next_turn_and_a_backfill_hears_that_it_waits() -> None:
    turn, order = Turn(), []
    begun = threading.Event()

    def backfill() -> None:
        with turn.behind() as mine:
            assert mine
            begun.set()
            while not turn.wanted():
                time.sleep(0.005)
            order.append("backfill")
        with turn.behind(5) as mine:
            order.append("backfill again")

    thread = threading.Thread(target=backfill)
    thread.start()
    begun.wait(5)
    with turn.first():
        order.append("feed")
        time.sleep(0.05)
    thread.join(5)
    assert order == ["backfill", "feed", "backfill again"]


def test_while_a_feed_is_read_nobody_else_is() -> None:
    turn = Turn()
    with turn.first(), turn.behind(0.05) as mine:
        assert not mine
    with turn.behind(0.05) as mine:
        assert mine


# --- in the spool -------------------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def begun(spool: Spool, feed: str = "lab_report", expected: int = 100) -> int:
    return spool.backfills.begin(
        feed, "time", *TWO_YEARS, rate=5.0, windows=["22:00-06:00"], expected=expected, who="li", closed="", now=NOW
    )


def test_how_far_it_is_moves_with_what_was_taken(spool: Spool) -> None:
    number = begun(spool)
    walked = Walked(
        backfill=number, reached=TWO_YEARS[0], at=Watermark("time:2024-01-02T03:04:05", "k2"), keys=3, seconds=0.5
    )
    spool.commit(taken(document("a"), document("b"), walked=walked, urgency=1, skipped=Skipped(unchanged=1)))
    job = spool.backfills.one(number)
    assert job is not None
    assert (job.keys, job.documents, job.unchanged, job.at, job.state) == (3, 2, 1, walked.at, "running")
    assert job.bytes == len(document("a").frame) + len(document("b").frame)
    done = Walked(backfill=number, reached=TWO_YEARS[1], done=True)
    spool.commit(taken(walked=done))
    job = spool.backfills.one(number)
    assert job is not None
    assert (job.state, job.reached, job.at, job.ended_at) == ("done", TWO_YEARS[1], None, NOW)
    assert spool.backfills.running() == []


def test_a_commit_that_fails_moves_nothing(spool: Spool) -> None:
    number = begun(spool)
    spool.commit(taken(document("a")))
    walked = Walked(backfill=number, reached="2025-01-01T00:00:00", keys=1)
    with pytest.raises(Exception, match="made meanwhile"):
        spool.commit(taken(document("a"), walked=walked))
    assert spool.backfills.one(number) == msgspec.structs.replace(
        spool.backfills.running()[0], reached=TWO_YEARS[0], keys=0
    )


def test_it_is_stopped_and_resumed_and_the_log_says_by_whom(spool: Spool) -> None:
    number = begun(spool)
    assert spool.backfills.stop(number, "wang", NOW)
    assert not spool.backfills.stop(number, "wang", NOW)
    # What was being read when it was stopped is kept, and does not start it again.
    spool.commit(taken(document("a"), walked=Walked(backfill=number, reached=TWO_YEARS[0], keys=1)))
    assert [(job.state, job.keys) for job in spool.backfills.listed()] == [("stopped", 1)]
    assert spool.backfills.resume(number, "li", later(hours=1))
    assert spool.backfills.running()[0].ended_at is None
    spool.commit(taken(walked=Walked(backfill=number, reached=TWO_YEARS[1], done=True)))
    assert not spool.backfills.resume(number, "li", NOW)
    said = [msgspec.json.decode(entry.body) for entry in spool.log_entries()]
    told = [(one["event"], one.get("who")) for one in said if one["event"].startswith("backfill")]
    assert told == [
        ("backfill begun", "li"), ("backfill stopped", "wang"), ("backfill resumed", "li"), ("backfill done", None),
    ]  # fmt: skip


def test_what_is_new_goes_before_what_a_backfill_made(spool: Spool) -> None:
    spool.commit(taken(*[document(f"old{n}") for n in range(5)], urgency=1))
    spool.commit(taken(document("new")))
    claimed = [one.document.document_id for one in spool.claim("platform", 3, now=NOW)]
    assert claimed == [id_of("new"), id_of("old0"), id_of("old1")]


def test_a_newer_version_does_not_wait_for_all_of_a_backfill(spool: Spool) -> None:
    """Version 2 is new, version 1 came by a backfill and stands in its long line: both go now, in their order."""
    spool.commit(taken(*[document(f"old{n}") for n in range(50)], document("a"), urgency=1))
    spool.commit(taken(document("a", 2)))
    (first,) = spool.claim("platform", 1, now=NOW)
    assert first.document.document_id == id_of("a")
    assert id_of("a", 2) not in [one.document.document_id for one in spool.claim("platform", 2, now=NOW)]
    spool.settle("platform", [Receipt(id_of("a"), Outcome.STORED, first.document.sha256)], now=NOW)
    (second,) = spool.claim("platform", 1, now=NOW)
    assert second.document.document_id == id_of("a", 2)


def test_an_older_version_of_a_backfill_never_overtakes(spool: Spool) -> None:
    spool.commit(taken(document("a")))
    spool.commit(taken(document("a", 2), urgency=1))
    assert [one.document.document_id for one in spool.claim("platform", 5, now=NOW)] == [id_of("a")]


def test_what_a_backfill_made_is_kept_for_its_own_term(spool: Spool) -> None:
    spool.commit(taken(document("old"), urgency=1))
    spool.commit(taken(document("new")))
    claimed = spool.claim("platform", now=NOW)
    receipts = [Receipt(one.document.document_id, Outcome.STORED, one.document.sha256) for one in claimed]
    spool.settle("platform", receipts, now=NOW)
    month, two_days = timedelta(days=30), timedelta(days=2)
    assert spool.retire(month, later(days=1), two_days) == 0
    assert spool.retire(month, later(days=3), two_days) == 1
    assert spool.frame(id_of("old")) is None
    assert spool.frame(id_of("new")) is not None


def test_what_is_left_is_told_by_the_pace(spool: Spool) -> None:
    number = begun(spool, expected=1000)
    spool.commit(taken(walked=Walked(backfill=number, reached="2024-04-01T00:00:00", keys=100, seconds=10.0)))
    job = spool.backfills.running()[0]
    part, seconds = progress(job)
    assert part == pytest.approx(91 / 731)
    assert seconds == pytest.approx(90.0)
    assert progress(job, rate=100)[1] == pytest.approx(9.0)
