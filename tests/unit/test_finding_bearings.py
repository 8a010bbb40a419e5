"""From where a run has to look again: overlap, open transactions, replicas that are behind, clocks that were set back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.finding.bearings import LONGEST, NOTES, Bearings, leave, where_to_start
from connectors.finding.clock import Moment
from connectors.finding.cursors import cursor_text, cursor_value, like, moment, shifted
from connectors.finding.gaps import Gap, kept, missing, without
from connectors.finding.marks import NO_MARK, mark_of, marked
from frontend_agent.model import Watermark

NOON = datetime(2026, 9, 30, 4, tzinfo=UTC)
LOCAL = datetime(2026, 9, 30, 12)
OVERLAP = timedelta(minutes=10)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(minutes: float, clock: float = 0, **more: Any) -> Moment:
    """So many minutes after noon, by a source's clock that is so many minutes off."""
    return Moment(NOON + timedelta(minutes=minutes), LOCAL + timedelta(minutes=minutes + clock), **more)


def local(minutes: float) -> datetime:
    return LOCAL + timedelta(minutes=minutes)


def test_the_first_run_starts_at_its_watermark() -> None:
    assert where_to_start(None, at(0), OVERLAP).low is None


def test_a_run_looks_back_to_the_last_whole_one_and_the_overlap_before_it() -> None:
    before = leave(None, at(0), None, OVERLAP)

    assert where_to_start(before, at(60), OVERLAP).low == local(-10)


def test_an_open_transaction_holds_back_where_the_next_run_starts() -> None:
    before = leave(None, at(0, open_since=local(-45)), None, OVERLAP)

    assert where_to_start(before, at(5), OVERLAP).low == local(-55) - timedelta(seconds=1)


def test_a_forgotten_transaction_holds_back_for_a_day_and_no_longer() -> None:
    before = leave(None, at(0, open_since=local(-60 * 24 * 30)), None, OVERLAP)

    assert where_to_start(before, at(5), OVERLAP).low == LOCAL - LONGEST - OVERLAP


def test_transaction_numbers_tell_since_when_one_is_open() -> None:
    first = leave(None, at(0, oldest=100, next=100), None, OVERLAP)
    second = leave(first, at(5, oldest=107, next=107), Watermark("int:1", "1"), OVERLAP)
    third = leave(second, at(10, oldest=103, next=120), Watermark("int:2", "2"), OVERLAP)  # 103 was given after noon

    assert second.unseen == timedelta()
    assert third.unseen == timedelta(minutes=10, seconds=1)


def test_an_open_transaction_that_is_older_than_all_notes_counts_as_a_day() -> None:
    assert leave(None, at(0, oldest=3, next=9), None, OVERLAP).unseen == LONGEST


def test_a_replica_that_is_behind_is_looked_at_again() -> None:
    before = leave(None, at(0, behind=timedelta(minutes=7)), None, OVERLAP)

    assert where_to_start(before, at(5), OVERLAP).low == local(-17)


def test_a_clock_set_back_widens_the_overlap_by_itself_and_says_so() -> None:
    before = leave(None, at(0), None, OVERLAP)
    begin = where_to_start(before, at(5, clock=-60), OVERLAP)

    assert begin.low == local(-70)  # what was written right after the last run bears 11:00
    assert begin.set_back == timedelta(hours=1)


def test_once_it_was_told_a_clock_that_stays_back_is_no_news() -> None:
    before = leave(leave(None, at(0), None, OVERLAP), at(5, clock=-60), Watermark("x", "y"), OVERLAP)

    begin = where_to_start(before, at(10, clock=-60), OVERLAP)

    assert begin.set_back == timedelta()
    assert begin.low == local(5 - 60 - 10)


def test_our_own_clock_set_back_is_not_the_sources() -> None:
    before = leave(None, at(0), None, OVERLAP)
    ours_back = Moment(NOON - timedelta(minutes=55), local(5))

    assert where_to_start(before, ours_back, OVERLAP).set_back == timedelta()


def test_both_clocks_set_back_cost_a_day() -> None:
    before = leave(None, at(0), None, OVERLAP)
    both = Moment(NOON - timedelta(minutes=55), local(-55))

    assert where_to_start(before, both, OVERLAP).low == local(-55) - LONGEST


def test_a_cursor_that_is_no_time_starts_where_the_watermark_stood_an_overlap_ago() -> None:
    bearings: Bearings | None = None
    for run in range(8):  # every five minutes, a hundred rows in each
        mark = Watermark(f"int:{run * 100}", str(run * 100)) if run else None
        bearings = leave(bearings, at(run * 5), mark, OVERLAP, tail=Watermark("int:40", "40"))

    note = where_to_start(bearings, at(40), OVERLAP).note

    assert note is not None
    assert note.cursor == "int:500"


def test_the_first_run_remembers_a_place_before_its_end() -> None:
    bearings = leave(None, at(0), None, OVERLAP, tail=Watermark("int:40", "40"))

    note = where_to_start(bearings, at(5), OVERLAP).note

    assert note is not None
    assert note.cursor == "int:40"


def test_the_trail_is_bounded_and_keeps_its_oldest_note() -> None:
    bearings: Bearings | None = None
    for run in range(1000):
        mark = Watermark(f"int:{run + 1}", "k")
        bearings = leave(bearings, at(run / 1000), mark, OVERLAP)

    assert bearings is not None
    assert len(bearings.trail) <= NOTES + 1
    assert bearings.trail[0].cursor == "int:1"


# -- cursors in their own form --


@pytest.mark.parametrize(
    ("cursor", "unit", "earlier"),
    [
        ("2026093000:05:00", "", "2026092923:55:00"),
        ("20260930 00:05:00", "", "20260929 23:55:00"),
        ("2026/09/30 00:05:00", "", "2026/09/29 23:55:00"),
        ("2026/09/30", "", "2026/09/29"),
        ("202609300005", "", "202609292355"),
        (1790697600, "s", 1790697000),
        (1790697600000, "ms", 1790697000000),
        (Decimal(1790697600), "s", Decimal(1790697000)),
        ("1790697600", "s", "1790697000"),
        (1790697600, "", None),
    ],
)
def test_every_form_of_a_time_is_shifted_in_its_own_form(cursor: Any, unit: Any, earlier: Any) -> None:
    found = shifted(cursor, OVERLAP, unit)

    assert (found, type(found)) == (earlier, type(earlier))


@pytest.mark.parametrize(
    ("sample", "unit", "bound"),
    [
        ("2026093008:00:00", "", "2026093012:00:00"),
        ("20260930080000", "", "20260930120000"),
        ("2026/09/30 08:00:00", "", "2026/09/30 12:00:00"),
        (1, "s", int(NOON.timestamp())),
        (1, "ms", int(NOON.timestamp() * 1000)),
        (Decimal(1), "s", Decimal(int(NOON.timestamp()))),
        ("1000000000", "s", str(int(NOON.timestamp()))),
        (date(2026, 1, 1), "", date(2026, 9, 30)),
        (datetime(2026, 1, 1, tzinfo=UTC), "", LOCAL.replace(tzinfo=SHANGHAI)),
    ],
)
def test_a_bound_is_given_in_the_columns_own_form(sample: Any, unit: Any, bound: Any) -> None:
    found = like(sample, LOCAL, unit, SHANGHAI)

    assert (found, type(found)) == (bound, type(bound))
    if not isinstance(sample, date) or isinstance(sample, datetime):
        assert moment(found, unit, SHANGHAI) == LOCAL


def test_a_rowversion_goes_through_text_and_back() -> None:
    assert cursor_value(cursor_text(b"\0\0\x07\xd1")) == b"\0\0\x07\xd1"


# -- gaps --


def test_numbers_that_were_passed_over_are_remembered_until_they_appear() -> None:
    gaps = missing([1, 2, 3, 6, 7, 9], None, NOON)

    assert [(gap.low, gap.high) for gap in gaps] == [(4, 5), (8, 8)]
    assert [(gap.low, gap.high) for gap in without(gaps, [5, 8])] == [(4, 4)]


def test_a_gap_is_forgotten_when_its_term_is_over() -> None:
    gaps = [Gap(4, 5, NOON), Gap(8, 8, NOON + timedelta(hours=20))]

    assert [gap.low for gap in kept(gaps, NOON + timedelta(hours=25), timedelta(days=1))] == [8]


def test_of_too_many_gaps_the_closest_are_joined_and_none_is_lost() -> None:
    gaps = [Gap(n * 10, n * 10 + 8, NOON) for n in range(50)] + [Gap(10_000, 10_001, NOON)]

    few = kept(gaps, NOON, timedelta(days=1), most=5)

    assert len(few) == 5
    assert all(any(one.low <= gap.low and gap.high <= one.high for one in few) for gap in gaps)
    assert few[-1] == Gap(10_000, 10_001, NOON)


# -- marks --


def test_a_mark_is_of_all_cursors_of_a_key_in_whatever_order() -> None:
    assert mark_of(["final", 3]) == mark_of([3, "final"]) != mark_of(["final", 4])
    assert mark_of(["final", None]) == NO_MARK


def test_a_window_that_ends_in_the_middle_of_a_key_leaves_it_for_the_next() -> None:
    pairs = [("x", 1), ("y", 1), ("z", 2)]

    assert [key for key, _ in marked(pairs, whole=False)[0]] == [1]
    assert marked(pairs, whole=False)[1] == 2
    assert [key for key, _ in marked(pairs, whole=True)[0]] == [1, 2]
    assert [key for key, _ in marked(pairs[:2], whole=False)[0]] == [1]
