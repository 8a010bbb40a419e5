"""What is kept back by rule: never sent, never silently, and let go once its rule is lifted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
import pytest
from pipe import FEED, INSTITUTION, KIND, NOW, FakePlatform, feed, id_of, normalise, rows

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind
from frontend_agent.identity import set_id
from frontend_agent.intake import FeedPlan, take_in
from frontend_agent.model import Finding, Severity, SourceRecord, SourceRows
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, Taken
from frontend_agent.withholding import (
    WithholdRule,
    compile_withholding,
    identity_hash,
    patients_in,
    unresolved,
)

VISIT = load_kind("C0002")
LAB = load_kind("C0007")
TODAY = date(2026, 9, 30)


@dataclass(frozen=True)
class Named:
    name: str
    de: str = ""


@dataclass(frozen=True)
class Double:
    """As much of a kind as withholding asks of it."""

    code: str = KIND
    fields: tuple[Named, ...] = (Named("value"), Named("rows.code", "DE05.01.024.00"))
    groups: dict[str, object] = field(default_factory=lambda: {"rows": None})

    def __contains__(self, name: object) -> bool:
        return name == "patient.id_number"


def rule(**said: object) -> WithholdRule:
    return WithholdRule(**({"name": "hiv", "decided_by": "医务科", "reason": "HIV"} | said))  # type: ignore[arg-type]


def decided(record: dict[str, object], *findings: Finding, kind: object = VISIT, **said: object) -> object:
    decide = compile_withholding([rule(**said)], FEED, kind)
    assert decide
    return decide(record, findings, TODAY)


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["B20", "B20.000", "b24.x01", "B22.7", "Z21", "Z21.x00"])
def test_a_range_of_beginnings_means_every_code_between(code: str) -> None:
    assert decided({"diagnoses": [{"code": "I10"}, {"code": code}]}, when={"DE05.01.024.00": ("B20..B24", "Z21")})


@pytest.mark.parametrize("code", ["B19.9", "B25.0", "A20", "Z2", "Z22", ""])
def test_what_lies_beside_the_range_is_not_meant(code: str) -> None:
    assert not decided({"diagnoses": [{"code": code}]}, when={"DE05.01.024.00": ("B20..B24", "Z21")})


def test_all_conditions_of_a_rule_must_hold() -> None:
    when = {"department.name": ("精神",), "patient.sex": ("2",)}
    assert decided({"department.name": "精神科一病区", "patient.sex": "2"}, when=when)
    assert not decided({"department.name": "精神科一病区", "patient.sex": "1"}, when=when)
    assert not decided({"patient.sex": "2"}, when=when)


def test_facts_and_patterns_can_be_asked_for() -> None:
    objects = {"fact.opt_out": "true", "patient.sex": "1"}
    assert decided(objects, when={"fact.opt_out": ("true",)})
    assert not decided(objects | {"fact.opt_out": "false"}, when={"fact.opt_out": ("true",)})
    assert decided({"items": [{"name": "抗HIV抗体"}]}, when={"items.name": ("*hiv*",)}, kind=LAB)


def test_patients_are_named_by_hash_and_never_in_the_clear() -> None:
    number = "11010519491231002X"
    for key in (b"", b"secret"):
        listed = patients_in(f"# objected\n{identity_hash(number.lower(), key)}  # 2026-09\n\n", "patients.txt")
        said = {"by_patient": True, "patients": listed, "key": key}
        assert decided({"patient.id_number": number}, **said)
        assert not decided({"patient.id_number": "110105194912310038"}, **said)
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        patients_in(f"\n{number}\n", "patients.txt")
    assert number not in str(caught.value)


def test_a_rule_ends_after_its_last_day() -> None:
    said = {"when": {"fact.staff": ("true",)}}
    assert decided({"fact.staff": "true", "patient.sex": "1"}, until=TODAY, **said)
    assert not decided({"fact.staff": "true", "patient.sex": "1"}, until=date(2026, 9, 29), **said)


def test_what_could_not_be_read_is_undecided_not_let_go() -> None:
    unmapped = Finding("MAP001", Severity.WARN, field="diagnoses[1].code")
    decision = decided({"diagnoses": [{"code": "I10"}, {"name": "x"}]}, unmapped, when={"diagnoses.code": ("B20",)})
    assert decision.undecided  # type: ignore[attr-defined]
    assert not decided({"diagnoses": [{"code": "I10"}]}, when={"diagnoses.code": ("B20",)})
    beyond_reading = decided({"fact.document": "…"}, when={"diagnoses.code": ("B20",)})
    assert beyond_reading.undecided  # type: ignore[attr-defined]


def test_a_fact_that_another_system_has_not_told_yet_is_undecided() -> None:
    decide = compile_withholding([rule(when={"fact.opt_out": ("true",)})], FEED, VISIT)
    assert decide
    decision = decide({"patient.sex": "1"}, (), TODAY, frozenset({"fact.opt_out"}))
    assert decision
    assert decision.undecided
    assert decide({"patient.sex": "1"}, (), TODAY) is None


def test_a_rule_that_means_nothing_is_told() -> None:
    kinds = {"outpatient_visit": VISIT, "lab_report": LAB}
    assert list(unresolved([rule(when={"DE05.01.024.00": ("F",)})], kinds)) == []
    (typo,) = unresolved([rule(when={"diagnosis.code": ("F",)})], kinds)
    assert "diagnosis.code" in typo
    (nobody,) = unresolved([rule(kinds=("C0032",), when={"fact.staff": ("true",)})], kinds)
    assert "no feed makes" in nobody


def test_an_edited_rule_is_another_rule() -> None:
    plain = rule(when={"fact.staff": ("true",)})
    assert plain.digest == rule(when={"fact.staff": ("true",)}).digest
    assert plain.digest != rule(when={"fact.staff": ("true",)}, decided_by="院办").digest


# --- in the pipe ------------------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


HIV = rule(when={"value": ("hiv",)})
RULES = f"{HIV.name} {HIV.digest}"


def plan(*rules: WithholdRule, **changes: object) -> FeedPlan:
    digests = "digests-1" + "".join(one.digest for one in rules)
    return feed(withhold=compile_withholding(rules, FEED, Double()), digests=digests, **changes)


def take(spool: Spool, *given: tuple[str, str] | tuple[str, str, str], by: FeedPlan | None = None) -> Taken:
    return take_in(by or plan(HIV), rows(*given), None, spool, None, NOW)


def released(spool: Spool, by: FeedPlan, *given: tuple[str, str]) -> Taken:
    keys = spool.again(FEED)
    return take_in(by, rows(*[row for row in given if row[0] in keys]), None, spool, None, NOW, asked=keys)


def test_a_withheld_record_is_neither_checked_nor_sent_and_its_neighbours_go_on(spool: Spool) -> None:
    taken = take(spool, ("a", "1"), ("b", "hiv check fails"), ("c", "3"))
    assert [made.key for made in taken.documents] == ["a", "c"]
    assert not taken.held
    (kept,) = spool.withheld_list()
    assert (kept.key, kept.rule, kept.decided_by, kept.reason, kept.field) == ("b", "hiv", "医务科", "HIV", "value")
    assert (kept.reached, kept.is_alarm) == (0, False)
    assert spool.counts().withheld == 1
    assert spool.counts().feeds[FEED]["withheld"] == 1
    (entry,) = spool.log_newest(1)
    assert b'"withheld_by":{"hiv":[' in entry.body
    assert "医务科".encode() in entry.body


def test_nothing_of_a_withheld_record_is_kept(spool: Spool) -> None:
    take(spool, ("b", "hiv-positive-text"))
    spool.close()
    for path in spool.path.iterdir():
        assert b"hiv-positive-text" not in path.read_bytes()
    spool.open()


def test_the_same_record_again_says_nothing_new(spool: Spool) -> None:
    take(spool, ("b", "hiv"))
    again = take(spool, ("b", "hiv"))
    assert (len(again.withheld), again.skipped.unchanged) == (0, 1)
    assert spool.counts().withheld == 1


def test_lifting_the_rule_lets_it_be_taken_again(spool: Spool) -> None:
    take(spool, ("b", "hiv"))
    assert spool.lift(FEED, [RULES], NOW) == 0
    assert spool.again(FEED) == []
    assert spool.lift(FEED, [], NOW) == 1
    assert spool.counts().withheld == 0
    (document,) = released(spool, plan(), ("b", "hiv")).documents
    assert (document.key, document.version) == ("b", 1)
    assert [kept.state for kept in spool.withheld_list(everything=True)] == ["lifted"]
    assert spool.again(FEED) == []


def test_a_lifted_record_whose_other_rule_means_it_is_kept_back_by_that(spool: Spool) -> None:
    other = rule(name="staff", when={"value": ("hiv",)})
    take(spool, ("b", "hiv"), by=plan(HIV, other))
    spool.lift(FEED, [f"{other.name} {other.digest}"], NOW)
    released(spool, plan(other), ("b", "hiv"))
    assert [kept.rule for kept in spool.withheld_list()] == ["staff"]


def test_a_withheld_correction_of_a_delivered_document_is_an_alarm(spool: Spool) -> None:
    platform = FakePlatform()
    take(spool, ("b", "1"))
    send_out(platform, spool, NOW)
    taken = take(spool, ("b", "hiv"))
    assert not taken.documents
    (kept,) = spool.withheld_list()
    assert (kept.reached, kept.is_alarm, spool.counts().alarms) == (1, True, 1)
    trace = spool.trace(id_of("b"))
    assert trace
    assert [one.id for one in trace.withheld] == [kept.id]
    assert spool.withheld_acknowledge([kept.id], "admin", "platform called", NOW) == 1
    assert spool.withheld_acknowledge([kept.id], "admin", "twice", NOW) == 0
    assert spool.counts().alarms == 0
    (kept,) = spool.withheld_list()
    assert (kept.acknowledged_by, kept.note) == ("admin", "platform called")
    spool.lift(FEED, [], NOW)
    (document,) = released(spool, plan(), ("b", "hiv")).documents
    assert (document.version, document.replaces_id) == (2, id_of("b"))


def test_what_was_delivered_before_the_rule_is_an_alarm_when_it_is_read_again(spool: Spool) -> None:
    take(spool, ("b", "hiv"), by=plan())
    send_out(FakePlatform(), spool, NOW)
    take(spool, ("b", "hiv"))
    assert spool.counts().alarms == 1
    spool.lift(FEED, [], NOW)
    back = released(spool, plan(), ("b", "hiv"))
    assert not back.documents  # the region has this very content
    assert (back.skipped.returned, spool.again(FEED)) == (1, [])


def test_a_void_of_what_is_withheld_waits_for_a_person_too(spool: Spool) -> None:
    take(spool, ("b", "hiv"), by=plan())
    send_out(FakePlatform(), spool, NOW)
    taken = take(spool, ("b", "hiv", "void"))
    assert (len(taken.documents), spool.counts().alarms) == (0, 1)


def test_what_has_not_gone_yet_when_a_rule_comes_is_stopped(spool: Spool) -> None:
    platform = FakePlatform()
    take(spool, ("a", "1"), ("b", "hiv"), by=plan())
    spool.look_at_unsent(FEED)
    assert sorted(spool.again(FEED)) == ["a", "b"]
    released(spool, plan(HIV), ("a", "1"), ("b", "hiv"))
    assert spool.again(FEED) == []
    send_out(platform, spool, NOW)
    assert platform.received == [id_of("a")]
    (kept,) = spool.withheld_list()
    assert (kept.reached, spool.counts().alarms, spool.pending("platform")) == (0, 0, 0)
    spool.lift(FEED, [], NOW)
    released(spool, plan(), ("b", "hiv"))
    send_out(platform, spool, NOW)
    assert platform.received == [id_of("a"), id_of("b", 2)]


def test_what_is_on_its_way_when_a_rule_comes_does_not_go_again_and_is_an_alarm(spool: Spool) -> None:
    take(spool, ("b", "hiv"), by=plan())
    assert spool.claim("platform", now=NOW)
    take(spool, ("b", "hiv"))
    assert spool.counts().alarms == 1
    assert spool.claim("platform", now=NOW) == []
    assert spool.pending("platform") == 0


def test_a_version_behind_a_stopped_one_is_not_left_standing(spool: Spool) -> None:
    by = plan(order=lambda record: "patient-1")
    take(spool, ("b", "hiv"), ("c", "2"), by=by)
    take(spool, ("b", "hiv"), by=plan(HIV, order=lambda record: "patient-1"))
    platform = FakePlatform()
    send_out(platform, spool, NOW)
    assert platform.received == [id_of("c")]


def test_a_held_record_that_is_withheld_leaves_quarantine(spool: Spool) -> None:
    take(spool, ("b", "bad hiv"), by=plan())
    assert spool.counts().held == 1
    contains = rule(when={"value": ("*hiv*",)})
    take(spool, ("b", "bad hiv"), by=plan(contains))
    assert (spool.counts().held, spool.counts().withheld, spool.quarantine_list()) == (0, 1, [])


def test_a_corrected_record_that_is_no_longer_meant_goes_on(spool: Spool) -> None:
    take(spool, ("b", "hiv"))
    (document,) = take(spool, ("b", "2")).documents
    assert (document.version, spool.counts().withheld) == (1, 0)


def test_a_withheld_record_that_is_withdrawn_is_nothing_any_more(spool: Spool) -> None:
    take(spool, ("b", "hiv"))
    take(spool, ("b", "hiv", "void"))
    assert (spool.counts().withheld, list(spool.withheld_list())) == (0, [])


def test_an_undecided_record_is_held_for_a_person(spool: Spool) -> None:
    def unread(source: SourceRows) -> list[SourceRecord]:
        finding = Finding("MAP001", Severity.NOTE, field="rows[0].code")
        return [msgspec.structs.replace(record, findings=[finding]) for record in normalise(source)]

    codes = rule(when={"DE05.01.024.00": ("B20",)})
    taken = take(spool, ("b", "1"), by=plan(codes, normalise=unread))
    (held,) = taken.held
    assert held.findings[0].rule == "POL002"


def test_withholding_is_one_commit_with_the_watermark(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    take(spool, ("b", "hiv"), by=plan())

    def fails(*_: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(spool, "_count_rules", fails)
    with pytest.raises(RuntimeError):
        take(spool, ("b", "hiv"))
    assert (spool.counts().withheld, list(spool.withheld_list())) == (0, [])
    assert spool.pending("platform") == 1
    monkeypatch.undo()
    take(spool, ("b", "hiv"))
    assert (spool.counts().withheld, spool.pending("platform")) == (1, 0)


def test_a_platform_that_knows_a_version_we_lost_is_told_of(spool: Spool) -> None:
    from frontend_agent.model import SeriesHead

    named = set_id(INSTITUTION, "1", KIND, "b")

    def heads(_: object, destinations: object = ()) -> dict[str, SeriesHead]:
        return {named: SeriesHead(named, 3, "other")}

    take_in(plan(HIV), rows(("b", "hiv")), None, spool, heads, NOW)
    assert [kept.reached for kept in spool.withheld_list()] == [3]
