"""How we behave as guests: with an injected clock, nothing here waits."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.guest import (
    FLOOR,
    JUDGED,
    MEDIAN_OF,
    SAMPLE,
    SAVED,
    Guest,
    Pause,
    Terms,
    size_of,
)
from connectors.source import Asking, Dialect, Source, SourceOptions
from frontend_agent.errors import SourceResting
from frontend_agent.model import RowSet
from frontend_agent.usage import Usage, latency_bucket, percentile
from frontend_agent.windows import open_until, window

CHINA = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 16, 12, tzinfo=CHINA).astimezone(UTC)


class Clock:
    """A clock that only moves when somebody waits, or is told."""

    def __init__(self, start: datetime = NOON) -> None:
        self.start, self.seconds = start, 0.0

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def guest_at(clock: Clock, **terms: Any) -> Guest:
    return Guest("his", Terms(**terms), clock.now, clock.monotonic, clock.sleep)


class Recording(Source):
    """A source that writes down when it was asked; each statement takes its time on the injected clock."""

    def __init__(self, clock: Clock, options: SourceOptions, rows: int = 100, seconds: float = 0.5) -> None:
        super().__init__("his", options, clock.now)
        self.guest = Guest(
            "his",
            Terms(protected=options.protected, timezone=options.timezone),
            clock.now,
            clock.monotonic,
            clock.sleep,
        )
        self.clock, self.rows_each, self.seconds = clock, rows, seconds
        self.asked: list[datetime] = []
        self.opened: list[datetime] = []

    @property
    def dialect(self) -> Dialect:
        return Dialect()

    @property
    def family(self) -> str:
        return "recording"

    def close(self) -> None: ...

    def _open_writing(self) -> Any:
        raise AssertionError("nothing is written here")

    @contextmanager
    def _open_session(self) -> Iterator[Asking]:
        self.opened.append(self.clock.now())
        yield self._ask

    def _ask(self, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        self.asked.append(self.clock.now())
        self.clock.sleep(self.seconds)
        return RowSet(("a",), [("x",)] * self.rows_each)


def test_no_statement_and_no_session_begins_in_a_protected_window_for_a_whole_day() -> None:
    clock = Clock(datetime(2026, 3, 16, 8, tzinfo=CHINA).astimezone(UTC))
    protected = (window("23:50-00:40"), window("02:00-04:00"), window("12:00-12:01"))
    source = Recording(clock, SourceOptions(url="sqlite:///x", protected=protected))
    outcomes: list[str] = []
    while clock.seconds < 24 * 3600:
        try:
            with source.session() as ask:  # one long page of many statements, again and again
                for _ in range(500):
                    ask("SELECT a FROM t", (), "parent")
        except SourceResting as resting:
            outcomes.append(str(resting))
            clock.sleep(30)
    inside = [at for at in (*source.asked, *source.opened) if open_until(protected, at.astimezone(CHINA))]
    assert inside == []
    assert len(source.asked) > 100_000
    assert {said.removeprefix("source his: ") for said in outcomes} == {
        "protected until 00:40", "protected until 04:00", "protected until 12:01",
    }  # fmt: skip
    assert source.usage.put_off == len(outcomes)


def test_a_pause_stops_the_page_under_way_before_its_next_statement_and_passes_by_itself() -> None:
    clock = Clock()
    source = Recording(clock, SourceOptions(url="sqlite:///x"))
    with source.session() as ask:
        ask("SELECT 1", (), "parent")
        source.pause(Pause(NOON + timedelta(hours=2), "backup"))
        with pytest.raises(SourceResting, match=r"paused until 2026-03-16 14:00 \(backup\)"):
            ask("SELECT 1", (), "parent")
    assert len(source.asked) == 1
    clock.sleep(2 * 3600)
    with source.session() as ask:
        ask("SELECT 1", (), "parent")
    assert source.guest.paused is None


def test_a_pause_without_an_end_holds_until_somebody_resumes() -> None:
    clock = Clock()
    source = Recording(clock, SourceOptions(url="sqlite:///x"))
    source.pause(Pause())
    clock.sleep(1e7)
    with pytest.raises(SourceResting, match=r"paused$"), source.session():
        pass
    source.resume()
    with source.session() as ask:
        ask("SELECT 1", (), "parent")


answers = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 10_000_000)), min_size=1, max_size=60)


@settings(deadline=None, max_examples=50)
@given(answers, st.integers(1, 10_000), st.integers(1_000, 10_000_000))
def test_the_budget_bounds_every_span_of_time(spent: list[tuple[int, int]], rows: int, size: int) -> None:
    clock = Clock()
    guest = guest_at(clock, rows_per_second=rows, bytes_per_second=size)
    times: list[float] = []
    for some_rows, some_bytes in spent:
        guest.admit()
        guest.account("parent", "SELECT 1", some_rows, some_bytes, 0.0)
        times.append(clock.seconds)
    for first in range(len(spent)):
        for last in range(first, len(spent)):
            span = times[last] - times[first]
            before = spent[first:last]  # the last answer may overdraw; a little may have been saved up
            assert sum(one for one, _ in before) <= rows * (span + SAVED + 0.01) + 1
            assert sum(one for _, one in before) <= size * (span + SAVED + 0.01) + 1


questions = st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 20.0)), min_size=1, max_size=60)


@settings(deadline=None, max_examples=100)
@given(questions, st.floats(0.01, 1.0))
def test_what_can_wait_has_its_share_of_the_sources_time_and_one_page_more(
    asked_for: list[tuple[float, float]], share: float
) -> None:
    clock = Clock()
    guest = guest_at(clock, share=share)
    spans: list[tuple[float, float, float]] = []
    for at_the_source, elsewhere in asked_for:
        guest.admit_behind()
        began = clock.seconds
        clock.sleep(at_the_source)
        guest.spent_behind(at_the_source)
        spans.append((began, clock.seconds, at_the_source))
        clock.sleep(elsewhere)
    longest = max(one for _, _, one in spans)
    for first in range(len(spans)):
        for last in range(first, len(spans)):
            span = spans[last][1] - spans[first][0]
            there = sum(one for _, _, one in spans[first : last + 1])
            assert there <= share * span + longest + 0.002 * len(spans)


def test_what_cannot_wait_never_rests_for_the_share_of_what_can() -> None:
    clock = Clock()
    guest = guest_at(clock, share=0.1)
    guest.spent_behind(30.0)
    assert guest.owed_behind() == pytest.approx(270.0)
    guest.admit()
    assert clock.seconds == 0
    guest.admit_behind()
    assert clock.seconds == pytest.approx(270.0, abs=0.01)


def test_rests_behind_end_in_a_protected_window_and_by_a_pause() -> None:
    clock = Clock(datetime(2026, 3, 16, 23, 49, 0, tzinfo=CHINA).astimezone(UTC))
    guest = guest_at(clock, share=0.1, protected=(window("23:50-00:40"),))
    guest.spent_behind(100.0)
    with pytest.raises(SourceResting, match="protected until 00:40"):
        guest.admit_behind()
    guest = guest_at(clock, share=0.1)
    guest.pause(Pause())
    with pytest.raises(SourceResting, match="paused"):
        guest.admit_behind()


def test_an_unbounded_source_never_waits() -> None:
    clock = Clock()
    guest = guest_at(clock)
    for _ in range(100):
        guest.admit()
        guest.account("parent", "SELECT 1", 10**6, 10**9, 1.0)
    assert clock.seconds == 0


def asked(guest: Guest, clock: Clock, seconds: float, times: int = 1, sql: str = "SELECT a") -> None:
    for _ in range(times):
        guest.admit()
        clock.sleep(seconds)
        guest.account("parent", sql, 100, 1000, seconds)


def test_our_share_is_halved_while_the_source_is_slow_and_grows_back_step_by_step() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    asked(guest, clock, 0.1, MEDIAN_OF + 8 * JUDGED)
    assert guest.share == 1.0
    asked(guest, clock, 0.35, JUDGED)
    assert guest.share == 0.5
    asked(guest, clock, 0.35, JUDGED)
    assert guest.share == 0.25
    assert guest.total.back_offs == 2
    before = clock.seconds
    asked(guest, clock, 0.1, JUDGED)
    assert 0.25 < guest.share < 0.5
    assert clock.seconds - before > JUDGED * 0.1 * 2  # it rested in between
    asked(guest, clock, 0.1, JUDGED * 10)
    assert guest.share == 1.0


def test_what_a_connection_costs_that_has_slept_is_not_slowness_of_the_source() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    for _ in range(MEDIAN_OF):
        guest.probed(0.01, working=False)
    asked(guest, clock, 0.001, 3 * JUDGED)
    asked(guest, clock, 0.009, 3 * JUDGED)
    assert guest.share == 1.0
    asked(guest, clock, 0.02, 3 * JUDGED)
    assert guest.share < 1.0


def test_there_is_no_constant_threshold_each_source_is_held_against_itself() -> None:
    for usual in (0.0004, 0.02, 4.0):
        clock = Clock()
        guest = guest_at(clock, slow_down=3.0)
        asked(guest, clock, usual, 30)
        asked(guest, clock, usual * 2.5, 20)
        assert guest.share == 1.0, usual
        asked(guest, clock, usual * 8, JUDGED * 2)
        assert guest.share < 1.0, usual


def test_what_scatters_by_itself_is_not_slow() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    for number in range(700):  # a mean of many fast ones and some that wait for the disk, as always
        asked(guest, clock, (0.01, 0.01, 0.012, 0.05, 0.011, 0.09, 0.01)[number % 7])
    assert guest.share == 1.0


def test_a_source_that_is_slow_for_good_becomes_the_new_normal_and_is_never_left_alone() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    asked(guest, clock, 0.1, 30)
    asked(guest, clock, 1.0, 50)
    assert guest.share == FLOOR
    before = guest.total.statements
    start = clock.seconds
    asked(guest, clock, 1.0, 20)
    assert guest.total.statements == before + 20
    assert clock.seconds - start <= 20 * 31.1  # no rest is longer than half a minute
    asked(guest, clock, 1.0, 3000)
    assert guest.share == 1.0


def test_what_was_learned_outlives_the_process() -> None:
    clock = Clock()
    first = guest_at(clock, slow_down=3.0)
    asked(first, clock, 0.1, 30)
    tally = pickle.loads(pickle.dumps(first.take()))
    second = guest_at(clock, slow_down=3.0)
    second.remember(tally)
    asked(second, clock, 0.5, JUDGED)
    assert second.share == 0.5


def test_a_statement_that_brings_more_rows_is_another_shape() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    asked(guest, clock, 0.01, 30)
    for _ in range(30):
        guest.admit()
        guest.account("parent", "SELECT a", 10_000, 1000, 0.5)
    assert guest.share == 1.0


def test_what_is_taken_adds_up_wherever_it_was_counted() -> None:
    clock = Clock()
    child, parent = guest_at(clock), guest_at(clock)
    child.logged_in()
    child.probed(0.001, working=False)
    asked(child, clock, 0.2, 3)
    parent.merge(pickle.loads(pickle.dumps(child.take())))
    clock.sleep(3600)
    child.account("items", "SELECT b", 0, 0, 2.0, failed=True)
    child.cost({"Rows_read": 7})
    parent.merge(child.take())
    assert child.take().hours == {}
    assert parent.total == child.total
    hours = parent.take().hours
    assert [hours[hour].statements for hour in sorted(hours)] == [3, 1]
    assert parent.total.slowest_query == "items"
    assert parent.total.failed == 1
    assert parent.total.logins == 1


def test_a_wait_says_that_it_is_one_and_looks_at_the_windows_meanwhile() -> None:
    clock = Clock(datetime(2026, 3, 16, 23, 49, 0, tzinfo=CHINA).astimezone(UTC))
    guest = guest_at(clock, rows_per_second=10, protected=(window("23:50-00:40"),))
    told: list[float] = []
    guest.waiting = told.append
    guest.account("parent", "SELECT a", 10_000, 0, 0.1)  # 999 seconds of debt
    with pytest.raises(SourceResting, match="protected until 00:40"):
        guest.admit()
    assert 59 <= sum(told) <= 61
    assert guest.total.waited == pytest.approx(sum(told))


@given(st.lists(st.floats(1e-5, 100.0), min_size=1, max_size=200))
def test_percentiles_come_within_a_class_of_the_truth(latencies: list[float]) -> None:
    counted: dict[int, int] = {}
    for one in latencies:
        counted[latency_bucket(one)] = counted.get(latency_bucket(one), 0) + 1
    true = sorted(latencies)[max(0, -(-len(latencies) * 95 // 100) - 1)]
    found = percentile(counted, 0.95)
    assert found is not None
    assert true / 1.2 <= found <= true * 1.2


def test_percentiles_of_nothing_are_nothing() -> None:
    assert percentile({}, 0.5) is None


def test_an_answers_weight_is_exact_for_few_rows_and_near_for_many() -> None:
    assert size_of([("血", b"1234", None, 7)]) == 3 + 4 + 8
    many = [("x" * (number % 7),) for number in range(10 * SAMPLE)]
    assert size_of(many) == pytest.approx(sum(len(row[0]) for row in many), rel=0.1)


def test_usage_is_added_field_by_field() -> None:
    one = Usage(statements=1, slowest=2.0, slowest_query="a", sessions=1, idle={3: 1})
    one.add(Usage(statements=2, slowest=1.0, slowest_query="b", sessions=2, idle={3: 1, 4: 5}))
    assert one == Usage(statements=3, slowest=2.0, slowest_query="a", sessions=2, idle={3: 2, 4: 5})


def test_a_baseline_is_known_after_one_look() -> None:
    clock = Clock()
    guest = guest_at(clock, slow_down=3.0)
    asked(guest, clock, 0.1, MEDIAN_OF - 1)
    assert guest.known().baselines == {}
    asked(guest, clock, 0.1)
    assert [one.seconds for one in guest.known().baselines.values()] == [pytest.approx(0.1)]
