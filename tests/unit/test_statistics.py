"""Statistics: what a batch adds, the day of the event, and that figures and trace tables agree."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import apsw
import msgspec
import pytest
from pipe import FEED, INSTITUTION, NOW, FakePlatform, feed
from records import clean

from frontend_agent.checks import compile_checks
from frontend_agent.delivery import State
from frontend_agent.formats import load_kind
from frontend_agent.intake import take_in
from frontend_agent.measuring import BOUNDS, Figures, Measures, Outcomes, Tally, bucket
from frontend_agent.model import Finding, RowSet, Severity, SourceRecord, SourceRows
from frontend_agent.profiles import load_profile
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool
from frontend_agent.spool.database import MIGRATIONS
from frontend_agent.spool.statistics import SINCE_EVENT, SINCE_TAKEN

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
ALL = 0, 99_999_999


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def measures(kind: str, profile: str = "regional") -> Measures:
    loaded = load_kind(kind)
    return Measures([f.name for f in loaded.fields], load_profile(profile).for_kind(loaded).elements, loaded.groups)


def counted(kind: str, *records: dict, profile: str = "regional") -> Figures:
    tally = Tally(measures(kind, profile), NOW, SHANGHAI)
    for number, record in enumerate(records):
        tally.document(str(number), tally.read(record), record, (), version=1, void=False, held=False)
    return tally.figures()


# --- the event --------------------------------------------------------------------------------------------------------


def event(text: str | None, now: datetime = NOW, zone: ZoneInfo = SHANGHAI, **more: str):
    record = dict(more) if text is None else {"author.time": text, **more}
    return Tally(Measures(), now, zone).read(record)


@pytest.mark.parametrize(
    ("text", "day", "at"),
    [
        ("20260929235959", 20260929, datetime(2026, 9, 29, 15, 59, 59, tzinfo=UTC)),
        ("20260930000000", 20260930, datetime(2026, 9, 29, 16, 0, 0, tzinfo=UTC)),
        ("202609300815", 20260930, datetime(2026, 9, 30, 0, 15, tzinfo=UTC)),
        ("20260930", 20260930, datetime(2026, 9, 29, 16, 0, tzinfo=UTC)),
    ],
)
def test_the_day_is_the_local_one_of_the_event(text: str, day: int, at: datetime) -> None:
    found = event(text)
    assert (found.day, found.at) == (day, at.timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "20260931101500",
        "20260930251500",
        "2026093010",
        "昨天",
        "20261015101500",
        "19991301",
        "19030316090945",
    ],
)
def test_a_time_that_is_none_or_cannot_be_counts_for_the_day_of_taking(text: str) -> None:
    assert event(text) == (20260930, None, "")


def test_taken_late_in_the_evening_of_utc_is_the_next_day_here() -> None:
    assert event(None, datetime(2026, 9, 30, 16, 0, tzinfo=UTC)).day == 20261001


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("20260329013000", 0.5),
        ("20260329033000", 1.5),
        ("20261025013000", -0.5),
        ("20261025033000", 2.5),
        ("20261025235900", 22 + 59 / 60),
    ],
)
def test_on_a_day_when_the_clock_is_set_the_moment_is_right(text: str, hour: float) -> None:
    found = event(text, datetime(2026, 12, 1, tzinfo=UTC), BERLIN)
    midnight = datetime(int(text[:4]), int(text[4:6]), int(text[6:8]), tzinfo=UTC)
    assert found.at == (midnight + timedelta(hours=hour)).timestamp() * 1000


def test_a_kinds_own_time_goes_before_the_authors_and_departments_have_an_order() -> None:
    record = {"author.time": "20260901080000", "encounter.discharged_at": "20260815101500", "fact.department": "外科"}
    tally = Tally(Measures(), NOW, SHANGHAI)
    assert tally.read(record)[::2] == (20260815, "外科")
    assert tally.read({**record, "department.name": "内科"}).department == "内科"
    assert len(tally.read({"department.name": "科" * 500}).department) == 60


def test_every_delay_has_its_bucket() -> None:
    assert bucket(-1) == 0
    for n, bound in enumerate(BOUNDS):
        assert bucket(bound * 1000) == n + 1
        assert bucket(bound * 1000 - 1) == n
    assert bucket(10**15) == len(BOUNDS)


# --- what is filled ---------------------------------------------------------------------------------------------------


def test_filled_and_wanted_are_counted_per_element_and_row() -> None:
    whole = clean("C0007")
    without = clean("C0007", method=None, items__0__unit=None)
    fill = counted("C0007", whole, without).fill
    assert fill[20260930, "method"] == (1, 2)
    assert fill[20260930, "patient.name"] == (2, 2)
    assert fill[20260930, "items"] == (2, 2)
    assert fill[20260930, "items.unit"] == (23, 24)
    assert fill[20260930, "items.value"] == (24, 24)


def test_an_element_is_wanted_where_it_applies() -> None:
    kind, profile = load_kind("C0002"), load_profile("regional")
    element = profile.for_kind(kind).elements["tcm.observation"]
    assert element.applies == ("tcm",)
    tcm = clean("C0002")
    western = clean("C0002", fact__tcm="false", tcm__observation=None)
    fill = counted("C0002", tcm, western, western).fill
    assert fill[20260930, "tcm.observation"] == (1, 1)
    lacking = clean("C0002", tcm__observation=None)
    assert counted("C0002", lacking, western).fill[20260930, "tcm.observation"] == (0, 1)


def test_every_field_agrees_with_a_count_by_hand() -> None:
    """Unconditional elements: wanted of every record, filled where the record has them."""
    for code in ("C0002", "C0004", "C0007"):
        kind = load_kind(code)
        elements = load_profile("regional").for_kind(kind).elements
        optional = [name for name in clean(code) if not name.startswith("fact.")]
        records = [clean(code, **{name.replace(".", "__"): None}) for name in optional[::3]] + [clean(code)]
        records = [{**record, "author.time": "20260930101500"} for record in records]
        figures = counted(code, *records)
        for name, element in elements.items():
            if element.conditional or name.partition(".")[0] in kind.groups:
                continue
            there = sum(name in record for record in records)
            assert figures.fill[20260930, name] == (there, len(records)), name
        asked = [
            n for n, e in elements.items() if e.missing and not e.conditional and n.partition(".")[0] not in kind.groups
        ]
        of = figures.outcomes[20260930, records[0].get("department.name", "")]
        assert of.wanted >= len(asked) * len(records)
        assert of.wanted - of.filled >= sum(name not in record for name in asked for record in records)


def test_a_text_that_means_empty_is_not_filled() -> None:
    record = clean("C0002", chief_complaint="无")
    kind, profile = load_kind("C0002"), load_profile("regional")
    check = compile_checks(kind, profile, date(2026, 9, 30))
    findings = check(record, {}, ())
    assert any(f.field == "chief_complaint" for f in findings)
    tally = Tally(measures("C0002"), NOW, SHANGHAI)
    tally.held("s", tally.read(record), record, findings, first=True)
    assert tally.figures().fill[20260930, "chief_complaint"] == (0, 1)


# --- in the spool -----------------------------------------------------------------------------------------------------

DAY_1, DAY_2 = "20260928101500", "20260929101500"


def told(values: dict[str, tuple[str, str, str]]) -> SourceRows:
    """key -> (time, department, value)"""
    return SourceRows(
        RowSet(("report_number", "time", "department", "value"), [(k, *v) for k, v in values.items()]), {}
    )


def normalise(source: SourceRows) -> list[SourceRecord]:
    made = []
    for key, time, department, value in source.parent.rows:
        if value == "unreadable":
            raise ValueError(value)
        record = {"report_number": key, "author.time": time, "department.name": department, "value": value}
        final, void = value != "open", value == "void"
        made.append(SourceRecord(key, record, f"{key}/{value}", final, void, columns={}))
    return made


def plan(**more: object):
    return feed(normalise=normalise, timezone=SHANGHAI, destinations=("platform", "city"), **more)


def take(spool: Spool, values: dict[str, tuple[str, str, str]], now: datetime = NOW, **more: object) -> None:
    take_in(plan(**more), told(values), None, spool, None, now)


def outcomes(spool: Spool) -> dict[tuple[int, str], Outcomes]:
    return {(row[0], row[4]): Outcomes(*row[5:]) for row in spool.statistics.outcomes(*ALL)}


def test_outcomes_are_kept_by_day_and_department(spool: Spool) -> None:
    take(spool, {"a": (DAY_1, "内科", "good"), "b": (DAY_1, "内科", "bad"), "c": (DAY_1, "外科", "odd"),
                 "d": (DAY_2, "内科", "open"), "e": (DAY_2, "内科", "void")})  # fmt: skip
    take(spool, {"a": (DAY_1, "内科", "good 2"), "b": (DAY_1, "内科", "good"), "c": (DAY_1, "外科", "odd")})
    take(spool, {"a": (DAY_1, "内科", "void"), "u": ("", "", "unreadable")})
    found = outcomes(spool)
    assert found[20260928, "内科"] == Outcomes(
        read=5, final=5, first=2, first_held=1, documents=4, versions=2, void=1, held=1, mended=1
    )
    assert found[20260928, "外科"] == Outcomes(read=2, final=1, first=1, documents=1, warned=1)
    assert found[20260929, "内科"] == Outcomes(read=2)
    assert found[20260930, ""] == Outcomes(read=1, final=1, first=1, first_held=1, held=1)
    assert {row[1:4] for row in spool.statistics.outcomes(*ALL)} == {(FEED, "C0007", INSTITUTION)}


def test_findings_agree_with_the_trace_tables(spool: Spool) -> None:
    values = {
        f"{n}": (DAY_1 if n % 3 else DAY_2, f"科{n % 4}", ("bad", "odd", "good", "nothing")[n % 4]) for n in range(40)
    }
    take(spool, values)
    by_hand: Counter[tuple[int, str, str, str]] = Counter()
    for page in spool.statistics.documents(*ALL):
        for day, document_id, _, department, _, findings in page:
            trace = spool.trace(document_id)
            assert trace
            assert trace.findings == tuple(msgspec.json.decode(findings or "[]", type=list[Finding]))
            by_hand.update((day, department, f.rule, f.severity) for f in trace.findings)
    for page in spool.statistics.held(*ALL):
        for day, case, _, _, _, department, findings in page:
            shown = spool.quarantine_show(case)
            assert shown
            assert shown[0].findings == tuple(msgspec.json.decode(findings, type=list[Finding]))
            by_hand.update((day, department, f.rule, f.severity) for f in shown[0].findings)
    kept: Counter[tuple[int, str, str, str]] = Counter()
    for day, _, _, _, department, rule, severity, _, _, n in spool.statistics.findings(*ALL):
        kept[day, department, rule, severity] += n
    assert kept == by_hand
    assert sum(by_hand.values()) == 30


def test_delays_run_from_the_event_and_from_taking_until_the_receipt(spool: Spool) -> None:
    local = NOW.astimezone(SHANGHAI)
    times = [f"{local - timedelta(minutes=m):%Y%m%d%H%M%S}" for m in (0, 4, 100)]
    take(spool, {str(n): (time, "内科", "good") for n, time in enumerate(times)})
    take(spool, {"day only": ("yesterday", "内科", "good")})
    later = NOW + timedelta(minutes=10)
    assert send_out(FakePlatform("platform"), spool, later) == 4

    found: dict[tuple[str, int], Counter[int]] = {}
    for *_, destination, since, at, n in spool.statistics.delays(*ALL):
        found.setdefault((destination, since), Counter())[at] += n
    minutes = lambda *given: Counter(bucket(m * 60_000) for m in given)  # noqa: E731
    assert found["", SINCE_EVENT] == minutes(0, 4, 100)
    assert found["platform", SINCE_EVENT] == minutes(10, 14, 110)
    assert found["platform", SINCE_TAKEN] == minutes(10, 10, 10, 10)
    assert ("city", SINCE_EVENT) not in found
    assert [(row[5:]) for row in spool.statistics.deliveries(20260930, 20260930)] == [("platform", State.DELIVERED, 4)]


def test_a_refusal_is_counted_once_and_a_retry_not_at_all(spool: Spool) -> None:
    take(spool, {"a": (DAY_1, "内科", "good"), "b": (DAY_1, "内科", "good"), "c": (DAY_1, "内科", "good")})
    ids = [row[1] for page in spool.statistics.documents(*ALL) for row in page]
    platform = FakePlatform("platform")
    platform.refused[ids[0]] = "no"
    platform.asks_for_time.add(ids[1])
    for minutes in range(3):
        send_out(platform, spool, NOW + timedelta(minutes=minutes))
    assert sorted(row[5:] for row in spool.statistics.deliveries(*ALL)) == [
        ("platform", State.DELIVERED, 1), ("platform", State.REFUSED, 1)
    ]  # fmt: skip


def test_a_commit_that_fails_leaves_no_figures(spool: Spool) -> None:
    spool._database.execute("CREATE TEMP TRIGGER t BEFORE INSERT ON main.day_fill BEGIN SELECT RAISE(ABORT, 'no'); END")
    values = {"a": (DAY_1, "内科", "good")}
    with pytest.raises(apsw.ConstraintError):
        take(spool, values, measures=measures("C0007"))
    spool._database.execute("DROP TRIGGER t")
    assert not spool.statistics.outcomes(*ALL)
    take(spool, {"x": (DAY_1, "外科", "good")}, measures=measures("C0007"))
    take(spool, values, measures=measures("C0007"))
    assert {row[4] for row in spool.statistics.outcomes(*ALL)} == {"内科", "外科"}
    assert all(of.documents == 1 for of in outcomes(spool).values())


def test_a_state_of_the_first_schema_opens_and_says_since_when_there_are_figures(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    old = apsw.Connection(str(tmp_path / "s" / "spool.db"))
    old.execute(MIGRATIONS["migration 1"])
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO plan VALUES (1, 'f', 'C0007', 'i', '', '')")
    old.execute("INSERT INTO series VALUES (1, 'C0007-x', 1, 'k', 1, 'h', NULL, 0, 0, 1)")
    old.execute("INSERT INTO document VALUES (1, 1, 1, 1, 'h', x'00', 1, 1, 0, 1, NULL, 0, NULL, NULL, 1)")
    old.close()
    with Spool(tmp_path / "s").open() as spool:
        assert spool.statistics.outcomes(*ALL) == []
        assert list(spool.statistics.documents(*ALL)) == []
        since = spool.statistics.since()
        assert since
        assert abs(since - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_new_state_has_figures_of_everything(spool: Spool) -> None:
    assert spool.statistics.since() is None


def test_pages_of_details_come_whole(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontend_agent.spool.statistics._PAGE", 7)
    take(spool, {f"{n:03}": (DAY_1 if n % 2 else DAY_2, "内科", "odd" if n % 5 else "bad") for n in range(60)})
    first = [row[1] for page in spool.statistics.documents(20260928, 20260928) for row in page]
    second = [row[1] for page in spool.statistics.documents(20260929, 20260929) for row in page]
    both = [row[1] for page in spool.statistics.documents(20260928, 20260929) for row in page]
    assert both == first + second
    assert len(both) == 48
    assert sum(map(len, spool.statistics.held(*ALL))) == 12


def test_a_withheld_record_is_counted() -> None:
    tally = Tally(Measures(), NOW, SHANGHAI)
    record = {"author.time": DAY_1, "department.name": "感染科"}
    tally.withheld("s", tally.read(record), record, [Finding("P", Severity.NOTE)], first=True)
    assert tally.figures().outcomes[20260928, "感染科"] == Outcomes(read=1, final=1, first=1, withheld=1)
