"""No row is missed: whatever changes between two pages, however late it is committed, wherever the process dies."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.fetching.answers import Found, Row
from connectors.fetching.fetcher import Fetcher, FetchOptions
from connectors.fetching.rounds import Page, Question, RoundOptions, Rounds, Stuck
from frontend_agent.errors import SourceUnreachable
from tests.fetching_kit import NOW, Clock, Inbox

ZONE = ZoneInfo("Asia/Shanghai")
FORM = "%Y-%m-%d %H:%M:%S"
LIMIT = 4
OVERLAP = 30  # seconds


@dataclass
class Table:
    """A source whose rows carry the second in which they were written, and whose changes come while it is read."""

    clock: Clock
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    between: list[Callable[[], None]] = field(default_factory=list)  # happens between two questions
    dies_at: int = 0  # the so-manieth question is not answered; 0: all are
    asked: int = 0

    def put(self, number: int, late: int = 0) -> None:
        version = self.rows.get(number, {"v": 0})["v"] + 1
        at = (self.clock.now - timedelta(seconds=late)).astimezone(ZONE).strftime(FORM)
        self.rows[number] = {"id": number, "v": version, "at": at}

    def answer(self, question: Question, paging: str, ordered: bool) -> Found:
        self.asked += 1
        if self.dies_at and self.asked >= self.dies_at:
            raise SourceUnreachable("cut")
        asked = question.values
        found = [row for row in self.rows.values() if asked["since"] <= row["at"] <= asked["until"]]
        found.sort(key=lambda row: (row["at"], row["id"]) if ordered else row["id"])
        match paging:
            case "page":
                begin = (int(asked["page"]) - 1) * LIMIT
            case "offset":
                begin = int(asked["offset"])
            case _:
                begin = 0
        found = found if paging == "none" else found[begin : begin + LIMIT]
        answer = Found([Row(json.dumps(row).encode(), row["at"], str(row["id"])) for row in found])
        if self.between:
            self.between.pop(0)()
        return answer


class Asker:
    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        return self.rounds.pages(mark, now)

    def first(self, now: datetime) -> str:
        return self.rounds.first(now)

    def probe(self) -> None: ...
    def close(self) -> None: ...


def fetcher(table: Table, inbox: Inbox, paging: str, ordered: bool, by_path: bool, longest: int) -> Fetcher:
    options = RoundOptions(
        inlet="his",
        zone=ZONE,
        start="2026-11-21",
        overlap=timedelta(seconds=OVERLAP),
        longest=timedelta(seconds=longest),
        time_format=FORM,
        by_path=by_path,
        ordered=ordered,
        paging=paging,
        limit=LIMIT,
    )
    rounds = Rounds(options, lambda question: table.answer(question, paging, ordered))
    return Fetcher(
        "his",
        FetchOptions(place="his"),
        Asker(rounds),
        inbox,
        lambda *_: None,
        lambda: inbox.mark,
        lambda mark: setattr(inbox, "mark", mark),
        table.clock,
    )


# what happens: rows written (new, or again) so many seconds late, time that passes, rounds with changes between their pages
written = st.tuples(st.just("put"), st.integers(1, 12), st.integers(0, OVERLAP))
passes = st.tuples(st.just("wait"), st.integers(1, 90), st.just(0))
asks = st.tuples(st.just("ask"), st.integers(0, 6), st.lists(st.integers(1, 12), max_size=3))


def changes(table: Table, number: int, paging: str) -> None:
    if paging == "since":  # which goes by the watermark alone: more of one second than a page holds is told, below
        table.clock.now += timedelta(seconds=1)
    table.put(number)


def happens(steps: Sequence[Any], paging: str, ordered: bool, by_path: bool, longest: int = 0) -> tuple[Table, Inbox]:
    table, inbox = Table(Clock()), Inbox()
    one = fetcher(table, inbox, paging, ordered, by_path, longest)
    for what, number, more in steps:
        if what == "put":
            table.clock.now += timedelta(seconds=1)
            table.put(number, 0 if paging == "since" else more)
        elif what == "wait":
            table.clock.now += timedelta(seconds=number)
        else:
            table.asked, table.dies_at = 0, number
            table.between = [partial(changes, table, again, paging) for again in more]
            try:
                one.fetch()
            except SourceUnreachable:
                # the process dies there: only what the inbox has is left
                one = fetcher(table, inbox, paging, ordered, by_path, longest)
    table.dies_at, table.between = 0, []
    table.clock.now += timedelta(seconds=1)
    fetcher(table, inbox, paging, ordered, by_path, longest).fetch()
    return table, inbox


@pytest.mark.parametrize(
    ("paging", "ordered", "by_path"),
    [
        ("none", False, True), ("none", False, False), ("page", True, True), ("page", False, True), ("page", True, False),
        ("offset", True, True), ("offset", False, False), ("since", True, True),
    ],
)  # fmt: skip
@given(steps=st.lists(written | written | passes | asks, max_size=40))
@settings(max_examples=30, deadline=None)
def test_the_newest_of_every_row_arrives(paging: str, ordered: bool, by_path: bool, steps: Sequence[Any]) -> None:
    table, inbox = happens(steps, paging, ordered, by_path)

    arrived: dict[int, int] = {}
    for body in inbox.bodies:
        row = json.loads(body)
        arrived[row["id"]] = max(row["v"], arrived.get(row["id"], 0))
    assert arrived == {number: row["v"] for number, row in table.rows.items()}
    assert len(inbox.kept) == len(set(inbox.bodies)), "and nothing has an effect twice"


@given(steps=st.lists(written | passes | asks, max_size=30))
@settings(max_examples=20, deadline=None)
def test_questions_over_short_times_miss_nothing(steps: Sequence[Any]) -> None:
    # Windows of a minute over what was written since midnight: the mark has to walk through the empty ones too.
    table, inbox = Table(Clock(NOW - timedelta(hours=12, minutes=50))), Inbox()
    table.clock.now = datetime(2026, 11, 21, 0, 10, tzinfo=ZONE)
    one = fetcher(table, inbox, "page", False, True, 60)
    for what, number, more in steps:
        table.clock.now += timedelta(seconds=number)
        if what == "put":
            table.put(number, more)
        elif what == "ask":
            one.fetch()
    table.clock.now += timedelta(seconds=1)
    one.fetch()
    assert {json.loads(body)["id"]: 1 for body in inbox.bodies}.keys() == table.rows.keys()


def test_more_of_one_second_than_an_answer_holds_is_told() -> None:
    table = Table(Clock())
    for number in range(LIMIT + 1):
        table.put(number)
    with pytest.raises(Stuck, match="raise limit"):
        fetcher(table, Inbox(), "since", True, True, 0).fetch()


def test_a_source_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10_000))
    options = RoundOptions(inlet="his", paging="page", most_pages=20)
    rounds = Rounds(options, lambda question: Found([Row(str(next(numbers)).encode())]))
    with pytest.raises(Stuck, match="more than 20 pages"):
        list(rounds.pages("", NOW))
