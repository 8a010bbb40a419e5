"""Every kind of alarm begins when its limit is passed and ends when it no longer is; nothing else does either."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from frontend_agent.alarms import KINDS, Alarm, Level, tell
from frontend_agent.alarms.model import (
    CertificateFacts,
    DestinationFacts,
    Facts,
    FeedFacts,
    GapFacts,
    LogFacts,
    Raised,
    RoomFacts,
    SourceFacts,
    UpgradeFacts,
)
from frontend_agent.alarms.rules import judge
from frontend_agent.alarms.texts import TEXTS, figures_named
from frontend_agent.alarms.turns import Look, turns
from frontend_agent.alarms.usual import usually
from frontend_agent.calendar import EVERY_WEEK, Calendar
from frontend_agent.config_alarms import AlarmsConfig

NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)  # a Wednesday, 10:30 in Shanghai
M, H, D = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMITS = AlarmsConfig()
GIB = 1 << 30


def facts(**what: Any) -> Facts:
    return Facts(now=NOW, **what)


def to(**what: Any) -> Facts:
    return facts(destinations=(DestinationFacts(name="platform", **what),))


def of_feed(**what: Any) -> Facts:
    return facts(feeds=(FeedFacts(name="lab", **what),))


def certificate(**what: Any) -> Facts:
    return facts(certificates=(CertificateFacts(name="inlets.his", file="his.pem", **what),))


def across(**what: Any) -> Facts:
    return facts(gap=GapFacts(**what))


# kind, facts that are a warning, facts that are critical (None: it never is), facts just below
CASES: list[tuple[str, Facts | None, Facts | None, Facts]] = [
    ("backlog", to(oldest=NOW - 30 * M, waiting=4), to(oldest=NOW - 4 * H), to(oldest=NOW - 29 * M, waiting=9_000)),
    (
        "destination",
        to(failures=3, since=NOW - 10 * M),
        to(failures=9, since=NOW - 2 * H),
        to(failures=3, since=NOW - 9 * M),
    ),
    ("refused", to(stuck=1), None, to(stuck=0)),
    ("clock", to(skew=-M), to(skew=5 * M), to(skew=59 * timedelta(seconds=1))),
    (
        "source",
        facts(sources=(SourceFacts(name="his", well=False, since=NOW - 10 * M, problem="no route"),)),
        facts(sources=(SourceFacts(name="his", well=False, since=NOW - 2 * H),)),
        facts(sources=(SourceFacts(name="his", well=False, since=NOW - 3 * H, paused=True),)),
    ),
    (
        "inlet",
        facts(inlets=(SourceFacts(name="mllp", well=False, since=NOW - 11 * M),)),
        facts(inlets=(SourceFacts(name="mllp", well=False, since=NOW - 3 * H),)),
        facts(inlets=(SourceFacts(name="mllp", well=True),)),
    ),
    (
        "feed",
        of_feed(failing_since=NOW - 10 * M, problem="no such column"),
        of_feed(failing_since=NOW - 2 * H),
        of_feed(failing_since=NOW - 9 * M),
    ),
    ("vanished", None, of_feed(stopped_since=NOW - M, vanished=400), of_feed(vanished=19)),
    ("silence", of_feed(silent_since=NOW - H, usual=30.0), None, of_feed()),
    ("reconciliation", of_feed(reconciliation="3 of 120 differ"), None, of_feed()),
    ("held", of_feed(taken=100, held=20), of_feed(taken=100, held=80), of_feed(taken=100, held=19)),
    (
        "unmapped",
        facts(unmapped=10, unmapped_since=NOW - M),
        None,
        facts(unmapped=9, unmapped_since=NOW - 2 * D),
    ),
    (
        "certificate",
        certificate(ends=NOW + 29 * D),
        certificate(ends=NOW + 6 * D),
        certificate(ends=NOW + 31 * D, begins=NOW - D),
    ),
    (
        "quota",
        facts(rooms=(RoomFacts(of="spool", used=81 * GIB, total=100 * GIB),)),
        facts(rooms=(RoomFacts(of="spool", used=95 * GIB, total=100 * GIB),)),
        facts(rooms=(RoomFacts(of="images", used=79 * GIB, total=100 * GIB),)),
    ),
    (
        "disk",
        facts(rooms=(RoomFacts(of="disk", used=90, total=100),)),
        facts(rooms=(RoomFacts(of="disk", used=98, total=100),)),
        facts(rooms=(RoomFacts(of="disk", used=89, total=100),)),
    ),
    (
        "log",
        facts(log=LogFacts(entries=7, since=NOW - 30 * M)),
        facts(log=LogFacts(entries=7, since=NOW - D)),
        facts(log=LogFacts(entries=700, since=NOW - 29 * M)),
    ),
    ("damage", None, facts(damaged=1), facts(damaged=0)),
    (
        "restarts",
        None,
        facts(killed=(NOW - 59 * M, NOW - 30 * M, NOW - M)),
        facts(killed=(NOW - 61 * M, NOW - 30 * M, NOW - M)),
    ),
    (
        "studies",
        facts(stuck_studies=2, stuck_studies_since=NOW - H),
        None,
        facts(stuck_studies=2, stuck_studies_since=NOW - 59 * M),
    ),
    ("withheld", facts(withheld=3), None, facts(withheld=0)),
    ("pack", facts(pack_expired="2026-11-01"), None, facts(pack_expired="")),
    (
        "upgrade",
        facts(upgrade=UpgradeFacts(version="1.3.0", state="waiting", since=NOW - M)),
        None,
        facts(upgrade=None),
    ),
    (
        "gap_silent",
        across(awaited_since=NOW - H),
        across(awaited_since=NOW - 4 * H),
        across(awaited_since=NOW - 59 * M),
    ),
    ("gap_stopped", None, across(stopped="two bundles of one number", stopped_since=NOW - M), across()),
    ("gap_folder", None, across(folder="no room"), across()),
]
IDS = [case[0] for case in CASES]


def test_every_kind_of_the_agent_has_a_case() -> None:
    assert {case[0] for case in CASES} == {kind.name for kind in KINDS.values() if kind.at == "agent"}


def after(look: Look, standing: Iterable[Alarm] = ()) -> list[Alarm]:
    """The alarms that stand after a look, as the spool would keep them."""
    known = {alarm.name: alarm for alarm in standing}
    known |= {alarm.name: msgspec.structs.replace(alarm, id=alarm.id or len(known) + 1) for alarm in look.kept}
    return [alarm for alarm in known.values() if alarm.ended_at is None]


@pytest.mark.parametrize(("kind", "warning", "critical", "below"), CASES, ids=IDS)
def test_it_begins_once_and_ends_once(kind: str, warning: Facts | None, critical: Facts | None, below: Facts) -> None:
    for wrong, level in ((warning, Level.WARNING), (critical, Level.CRITICAL)):
        if wrong is None:
            continue
        first = turns([], judge(wrong, LIMITS), NOW, 2 * M)
        assert [(one.turn, one.alarm.kind, one.alarm.level) for one in first.changes] == [("begins", kind, level)]
        standing = after(first)
        again = turns(standing, judge(wrong, LIMITS, [one.name for one in standing]), NOW + M, 2 * M)
        assert again.changes == []
        quiet = turns(standing, judge(below, LIMITS), NOW + 2 * M, 2 * M)
        assert quiet.changes == []  # not yet: it may come back
        standing = after(quiet, standing)
        ended = turns(standing, judge(below, LIMITS), NOW + 4 * M, 2 * M)
        assert [(one.turn, one.alarm.kind) for one in ended.changes] == [("ends", kind)]
        assert after(ended, standing) == []
    assert judge(below, LIMITS) == []


@pytest.mark.parametrize(("kind", "warning", "critical", "below"), CASES, ids=IDS)
def test_what_it_says_it_knows(kind: str, warning: Facts | None, critical: Facts | None, below: Facts) -> None:
    """Every figure that a text names is given by the rule, and nothing is shown as unknown."""
    for wrong in (warning, critical):
        for raised in judge(wrong, LIMITS) if wrong is not None else ():
            words = {name for name, value in raised.figures.items() if isinstance(value, str)}
            for texts in TEXTS[kind]:
                assert not words & figures_named(texts.title + texts.mend)  # what leaves the hospital is complete
                assert {name for text in texts for name in figures_named(text)} <= raised.figures.keys()
            alarm = Alarm(1, kind, raised.subject, raised.level, NOW, NOW, raised.figures)
            assert "?" not in tell(alarm, "en").title + tell(alarm, "zh").title


def test_a_figure_around_its_limit_is_one_alarm() -> None:
    standing: list[Alarm] = []
    told = []
    for minute, percent in enumerate([79, 81, 78, 80, 76, 82, 79, 81, 77, 83]):
        room = facts(rooms=(RoomFacts(of="spool", used=percent, total=100),))
        look = turns(standing, judge(room, LIMITS, [one.name for one in standing]), NOW + minute * M, 2 * M)
        told += [one.turn for one in look.changes]
        standing = after(look, standing)
    assert told == ["begins"]


def test_it_becomes_critical_once_and_stays_it() -> None:
    standing: list[Alarm] = []
    told = []
    for hours in (0.5, 1, 5, 1, 5, 1):
        look = turns(standing, judge(to(oldest=NOW - hours * H, waiting=2), LIMITS), NOW, 2 * M)
        told += [one.turn for one in look.changes]
        standing = after(look, standing)
    assert told == ["begins", "worsens"]
    assert [one.level for one in standing] == [Level.CRITICAL]


def test_what_is_not_known_since_the_start_neither_begins_nor_ends() -> None:
    unknown = facts(sources=(SourceFacts(name="his"),))
    assert turns([], judge(unknown, LIMITS), NOW, 2 * M) == ([], [])
    alarm = Alarm(4, "source", "his", Level.WARNING, NOW - H, NOW - H, {"away": 60, "problem": ""})
    for minutes in (0, 5, 10):
        assert turns([alarm], judge(unknown, LIMITS, [alarm.name]), NOW + minutes * M, 2 * M) == ([], [])


def test_a_clock_that_is_set_back_leaves_no_alarm_behind() -> None:
    alarm = Alarm(4, "damage", "", Level.CRITICAL, NOW, NOW, {"damaged": 1}, quiet_since=NOW + 9 * D)
    first = turns([alarm], [], NOW, 2 * M)
    assert [one.quiet_since for one in first.kept] == [NOW]
    assert [one.turn for one in turns(first.kept, [], NOW + 2 * M, 2 * M).changes] == ["ends"]


def test_a_certificate_that_is_not_valid_yet_says_check_the_clock() -> None:
    (raised,) = judge(certificate(begins=NOW + H, ends=NOW + 300 * D), LIMITS)
    assert raised.level is Level.CRITICAL
    assert "check the clock" in str(raised.figures["problem"])


def test_a_tenth_of_a_large_disk_is_plenty() -> None:
    assert judge(facts(rooms=(RoomFacts(of="disk", used=9_950 * GIB, total=10_000 * GIB),)), LIMITS) == []
    assert judge(facts(rooms=(RoomFacts(of="disk", used=9_951 * GIB, total=10_000 * GIB),)), LIMITS)


def test_one_code_that_waits_for_days_is_enough() -> None:
    (raised,) = judge(facts(unmapped=1, unmapped_since=NOW - 3 * D), LIMITS)
    assert raised == Raised("unmapped", "", Level.WARNING, NOW - 3 * D, {"codes": 1, "waited": 259200.0})


# -- What an hour of a weekday usually brings --------------------------------------------------------------------------

SHANGHAI = ZoneInfo("Asia/Shanghai")


def hours(weeks: int, brings: Any) -> dict[int, int]:
    """Every hour of so many weeks before now, as `brings(local)` says; none in the last two hours."""
    found = {}
    for back in range(3, weeks * 7 * 24):
        at = NOW.replace(minute=0) - back * H
        if n := brings(at.astimezone(SHANGHAI)):
            found[int(at.timestamp() // 3600)] = n
    return found


def weekdays_from_eight(local: datetime) -> int:
    return 12 if local.weekday() < 5 and 8 <= local.hour < 17 else 0


def test_two_silent_hours_of_a_wednesday_morning_are_unusual() -> None:
    came = hours(7, weekdays_from_eight)
    assert usually(came, NOW - 2 * H, NOW, SHANGHAI, EVERY_WEEK) == pytest.approx(24)
    assert usually(came, NOW - 15 * M, NOW, SHANGHAI, EVERY_WEEK) == pytest.approx(3)


def test_a_night_and_a_sunday_are_not() -> None:
    came = hours(7, weekdays_from_eight)
    sunday = NOW - 3 * D
    assert usually(came, sunday - 2 * H, sunday, SHANGHAI, EVERY_WEEK) == 0.0
    night = NOW - 7 * H
    assert usually(came, night - 2 * H, night, SHANGHAI, EVERY_WEEK) == 0.0


def test_a_holiday_is_compared_with_days_off() -> None:
    came = hours(7, weekdays_from_eight)
    holiday = Calendar({date(2026, 11, 18): False}, frozenset({2026}))
    assert usually(came, NOW - 2 * H, NOW, SHANGHAI, holiday) == 0.0
    working_saturday = NOW - 4 * D
    shifted = Calendar({date(2026, 11, 14): True}, frozenset({2026}))
    assert usually(came, working_saturday - 2 * H, working_saturday, SHANGHAI, shifted) == pytest.approx(24)


def test_too_little_is_known_in_the_first_days_and_where_one_of_the_weeks_was_silent_too() -> None:
    assert usually({}, NOW - 2 * H, NOW, SHANGHAI, EVERY_WEEK) == 0.0
    two_days = {hour: n for hour, n in hours(1, weekdays_from_eight).items() if hour * 3600 > (NOW - 2 * D).timestamp()}
    assert usually(two_days, NOW - 2 * H, NOW, SHANGHAI, EVERY_WEEK) == 0.0
    came = hours(7, lambda local: 0 if local.date() == date(2026, 11, 4) else weekdays_from_eight(local))
    assert usually(came, NOW - 2 * H, NOW, SHANGHAI, EVERY_WEEK) == 0.0
