"""Rules over a visit: each with a visit it lets pass and one it objects to; what the spool keeps of visits, and when it judges."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from frontend_agent import operations
from frontend_agent.checks import all_rules
from frontend_agent.checks.catalogue import describe
from frontend_agent.checks.visits import Visit, VisitDocument, judge
from frontend_agent.cli.main import run
from frontend_agent.errors import ConfigurationError
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.measuring import Event, Figures
from frontend_agent.model import Finding, Record, RowSet, Severity, SourceRows
from frontend_agent.profiles import load_profile
from frontend_agent.profiles.profile import parse_profile
from frontend_agent.spool import Spool
from frontend_agent.spool.visits import DueVisit
from frontend_agent.visits import HELD, MADE, VISIT, VOID, WITHHELD, Observer, Seen
from tests.unit.kind_double import FieldDouble, KindDouble
from tests.unit.pipe import INSTITUTION, document, id_of, taken
from tests.unit.test_partners import AGENT, Site, make_site

ALL = frozenset({"C0002", "C0007", "C0009", "C0011", "C0016", "C0032", "C0034", "C0035", "C0049", "C0052"})
REQUIRED = (("C0034", "C0035"), ("C0032",), ("C0049", "C0035"))


def doc(kind: str, state: str = "made", requests: tuple[str, ...] = (), **facts: str) -> VisitDocument:
    return VisitDocument(f"{kind}-SET", kind, state, facts, requests)


STAY = {"admitted": "a", "admitted_day": "A", "discharged": "d", "discharged_day": "D", "diagnosis": "x", "mode": "1"}
WHOLE = (
    doc("C0034", person="nsbP", patient="1", admitted="a", admitted_day="A"),
    doc("C0032", person="nsbP", patient="1", id_number="i", surgery="yes", **STAY),
    doc("C0049", person="ns-Q", **STAY),
    doc("C0009", anaesthesia="general"),
    doc("C0011"),
    doc("C0052", requests=("r1", "r2")),
    doc("C0007", request="r1"),
)  # fmt: skip


def visit(*documents: VisitDocument, **changes: object) -> Visit:
    given: dict[str, object] = {"required": REQUIRED, "fed": ALL}
    return Visit("inpatient:ZY1", documents, **(given | changes))  # type: ignore[arg-type]


def without(*kinds: str) -> tuple[VisitDocument, ...]:
    return tuple(one for one in WHOLE if one.kind not in kinds)


def found(judged: Visit) -> list[Finding]:
    return judge(judged, lambda rule: Severity.WARN)


EXAMPLES: dict[str, list[tuple[Visit, tuple[str, ...]]]] = {
    "VISIT-KINDS": [
        (visit(*without("C0034")), ("C0034/C0035",)),
        (visit(*without("C0032", "C0009", "C0011")), ("C0032",)),
        (visit(*without("C0049"), doc("C0049", HELD)), ("C0049 (held)",)),
    ],
    "VISIT-REQUEST": [(visit(*without("C0007"), doc("C0007", request="r9")), ("C0007-SET", "C0007"))],
    "VISIT-ADMITTED": [
        (visit(*WHOLE, doc("C0035", admitted="b", admitted_day="A")), ("C0032/C0034/C0049 ≠ C0035",)),
        (visit(*WHOLE, doc("C0035", admitted_day="B")), ("C0032/C0034/C0049 ≠ C0035",)),
    ],
    "VISIT-DISCHARGED": [(visit(*WHOLE, doc("C0035", discharged_day="E")), ("C0032/C0049 ≠ C0035",))],
    "VISIT-DIAGNOSIS": [(visit(*without("C0049"), doc("C0049", diagnosis="y")), ("C0032 ≠ C0049",))],
    "VISIT-MODE": [(visit(*without("C0049"), doc("C0049", mode="5")), ("C0032 ≠ C0049",))],
    "VISIT-OPERATION-RECORD": [(visit(*without("C0009", "C0011")), ("C0009/C0016",))],
    "VISIT-OPERATION-PAGE": [(visit(*without("C0032"), doc("C0032", surgery="no", **STAY)), ("C0009",))],
    "VISIT-ANAESTHESIA": [
        (visit(*without("C0011")), ("C0009", "C0011")),
        (visit(*without("C0009", "C0032"), doc("C0032", **STAY)), ("C0011", "C0009/C0016")),
    ],
    "VISIT-PERSON": [
        (visit(*WHOLE, doc("C0002", person="nsbR")), ("C0002 ≠ C0032/C0034",)),
        (visit(*WHOLE, doc("C0002", patient="2")), ("C0002 ≠ C0032/C0034",)),
        (visit(*WHOLE, doc("C0002", id_number="j")), ("C0002 ≠ C0032",)),
    ],
    "PATIENT-PERSON": [(visit(*WHOLE, same_patient=("outpatient:MZ1",)), ("outpatient:MZ1",))],
    "IDENTITY-PERSON": [(visit(*WHOLE, same_number=("outpatient:MZ1", "outpatient:MZ2")), ("outpatient:MZ1, outpatient:MZ2",))],
}  # fmt: skip
RULES = {
    rule for rule in all_rules() if rule.startswith("VISIT-") or (rule.endswith("-PERSON") and rule != "RX-SAME-PERSON")
}


def test_every_rule_over_a_visit_has_its_examples():
    assert set(EXAMPLES) == RULES


def test_a_visit_with_everything_passes_every_rule():
    assert found(visit(*WHOLE)) == []


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_rule_objects_to_its_examples_and_no_other_does(rule: str):
    for judged, said in EXAMPLES[rule]:
        assert [(one.rule, one.arguments) for one in found(judged)] == [(rule, said)]


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_finding_over_a_visit_is_a_sentence(rule: str):
    (finding,) = found(EXAMPLES[rule][0][0])
    for language in ("zh", "en"):
        sentence = describe(finding, language)
        assert finding.arguments[0] in sentence
        assert "{" not in sentence


@pytest.mark.parametrize(
    "judged",
    [
        visit(*without("C0034"), fed=ALL - {"C0034", "C0035"}),  # nobody feeds these: nothing is missing
        visit(*without("C0034"), doc("C0035", **STAY)),  # a 24-hour record stands for it
        visit(*without("C0034"), doc("C0034", WITHHELD)),  # kept back by rule, lawfully
        visit(*without("C0052", "C0007"), doc("C0007", request="r9")),  # the orders are not known
        visit(*without("C0009", "C0011"), doc("C0016", anaesthesia="local")),  # a caesarean is an operation
        visit(*without("C0032", "C0009", "C0011"), doc("C0032", surgery="no", **STAY)),
        visit(*without("C0009", "C0011"), fed=ALL - {"C0009", "C0016", "C0011"}),
        visit(*WHOLE, doc("C0035", admitted_day="A")),  # a day against a minute: only the day is compared
        visit(*WHOLE, doc("C0002", person="n--R")),  # another shape: nothing is compared
    ],
)
def test_what_is_no_fault_is_not_found(judged: Visit):
    assert found(judged) == []


# -- what a record says of its visit --------------------------------------------------------------------------------

TERMS = load_profile("regional").visits
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 10, 1, 4, 0, tzinfo=UTC)
WHO = {
    "patient.name": "甲",
    "patient.sex": "1",
    "patient.birth_date": "19900307",
    "patient.id_number": "11010119900307001x",
}
STAYED: Record = {
    **WHO,
    "patient.inpatient_number": "ZY1",
    "patient.record_number": "BA1",
    "encounter.admitted_at": "20260920081500",
    "encounter.discharged_at": "20260930",
}


def seen(kind: str, record: Record, state: str = MADE) -> Seen:
    found = Observer(kind, SHANGHAI, TERMS)(record, "SET", state, NOW)
    assert found is not None
    return found


def test_a_stay_closes_so_long_after_its_discharge():
    said = seen("C0034", STAYED)
    assert said.visit == "inpatient:ZY1"
    assert said.facts == {
        "person": "nsb甲\n1\n19900307",
        "id_number": "11010119900307001X",
        "patient": "BA1",
        "admitted": "202609200815",
        "admitted_day": "20260920",
        "discharged_day": "20260930",
    }
    assert said.closes_at == millis(datetime(2026, 10, 4, tzinfo=SHANGHAI))
    assert seen("C0034", {k: v for k, v in STAYED.items() if "discharged" not in k}).closes_at is None


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def test_an_archived_front_page_closes_the_stay_an_hour_later():
    page = {**STAYED, "fact.archived": "true", "main_diagnosis.code": "J18.9", "discharge_mode": "1"}
    operations = [{"code": "45.2300"}, {"code": "47.0100", "level": "2"}]
    said = seen("C0032", {**page, "operations": operations})
    assert (said.archived, said.closes_at) == (True, millis(NOW + timedelta(hours=1)))
    assert (said.facts["diagnosis"], said.facts["mode"], said.facts["surgery"]) == ("J18.9", "1", "yes")
    assert seen("C0032", {**page, "operations": operations[:1]}).facts["surgery"] == "no"


def test_an_outpatient_visit_closes_after_its_day():
    record: Record = {**WHO, "patient.outpatient_number": "MZ1", "visit.time": "20260930101500",
                      "orders": [{"request_number": "r1"}, {"name": "x"}]}  # fmt: skip
    said = seen("C0002", record)
    assert (said.visit, said.requests) == ("outpatient:MZ1", ("r1",))
    assert said.closes_at == millis(datetime(2026, 10, 1, 12, 0, tzinfo=SHANGHAI))
    report = seen("C0007", {**WHO, "patient.outpatient_number": "MZ1", "request_number": "r1", "author.time": "x"})
    assert (report.facts["request"], report.closes_at) == ("r1", None)


@pytest.mark.parametrize(
    ("record", "visit"),
    [
        ({"fact.visit_id": "V1", "patient.inpatient_number": "ZY1"}, "inpatient:V1"),
        ({"patient.inpatient_number": "ZY1", "patient.outpatient_number": "MZ1"}, "inpatient:ZY1"),
        ({"fact.patient_class": "emergency", "patient.outpatient_number": "MZ1"}, "outpatient:MZ1"),
        ({"patient.type": "3", "patient.inpatient_number": "ZY1"}, "inpatient:ZY1"),
    ],
)
def test_whose_visit_a_record_belongs_to(record: Record, visit: str):
    assert seen("C0007", record).visit == visit


def test_a_record_without_a_visit_number_belongs_to_none():
    assert Observer("C0007", SHANGHAI, TERMS)(WHO, "SET", MADE, NOW) is None


def test_nothing_is_compared_of_newborns_and_of_what_is_withheld():
    assert "person" not in seen("C0034", {**STAYED, "fact.newborn": "true"}).facts
    assert seen("C0034", STAYED, WITHHELD).facts == {}
    assert "id_number" not in seen("C0034", {**STAYED, "fact.id_type": "03"}).facts


# -- the spool's state ----------------------------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path) -> Iterable[Spool]:
    with Spool(tmp_path).open() as opened:
        yield opened


def says(key: str, record: Record, kind: str = "C0034", state: str = MADE, at: datetime = NOW) -> Seen:
    found = Observer(kind, SHANGHAI, TERMS)(record, id_of(key).rpartition("-")[0], state, at)
    assert found is not None
    return found


def commit(spool: Spool, *visits: Seen, keys: str = "", at: datetime = NOW) -> None:
    spool.commit(msgspec.structs.replace(taken(*(document(key) for key in keys), visits=visits), at=at))


def judged(spool: Spool, now: datetime) -> list[DueVisit]:
    asked: list[DueVisit] = []

    def look(due: DueVisit) -> list[Finding]:
        asked.append(due)
        return judge(Visit(due[0], due[2], (), ALL, due[3], due[4]), lambda rule: Severity.WARN)

    spool.judge_visits(now, look)
    return asked


LATER = NOW + timedelta(days=10)


def test_a_visit_is_judged_once_when_it_has_closed(spool: Spool):
    commit(spool, says("a", STAYED), says("b", STAYED, "C0049"), keys="ab")
    assert judged(spool, NOW + timedelta(days=2)) == []
    ((name, institution, documents, *_),) = judged(spool, LATER)
    assert (name, institution) == ("inpatient:ZY1", INSTITUTION)
    assert sorted(one.kind for one in documents) == ["C0034", "C0049"]
    assert judged(spool, LATER) == []
    ((_, kept),) = spool.visits()
    assert kept.judged_at == LATER
    assert [one[:2] for one in kept.documents] == [("C0034", "made"), ("C0049", "made")]


def test_an_open_visit_is_not_judged(spool: Spool):
    commit(spool, says("a", {**WHO, "patient.inpatient_number": "ZY1"}), keys="a")
    assert judged(spool, LATER) == []
    assert [one.name for _, one in spool.visits(only="open")] == ["inpatient:ZY1"]
    assert spool.visits(only="findings") == []


def test_the_spool_keeps_nothing_of_the_patient(spool: Spool, tmp_path: Path):
    page = {**STAYED, "main_diagnosis.code": "J18.9", "patient.name": "欧阳某某"}
    commit(spool, says("a", page, "C0032"), keys="a")
    judged(spool, LATER)
    spool.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("spool.db*"))
    for secret in ("欧阳某某", "11010119900307001", "J18.9", "19900307", "BA1", "202609200815"):
        assert secret.encode() not in kept
    spool.open()


def test_equal_facts_of_two_states_have_different_hashes(tmp_path: Path):
    hashes = []
    for name in ("one", "two"):
        with Spool(tmp_path / name).open() as opened:
            commit(opened, says("a", STAYED), keys="a")
            hashes.append(judged(opened, LATER)[0][2][0].facts["person"])
    assert hashes[0] != hashes[1]


def test_what_comes_later_is_judged_again_and_what_says_the_same_is_not(spool: Spool):
    commit(spool, says("a", STAYED), keys="a")
    judged(spool, LATER)
    commit(spool, says("a", STAYED), at=LATER)
    assert judged(spool, LATER + timedelta(days=1)) == []

    commit(spool, says("b", {**STAYED, "encounter.admitted_at": "20260921"}, "C0049"), keys="b", at=LATER)
    assert judged(spool, LATER + timedelta(minutes=59)) == []
    judged(spool, LATER + timedelta(hours=2))
    ((_, kept),) = spool.visits(only="findings")
    assert [one.rule for one in kept.findings] == ["VISIT-ADMITTED"]
    assert spool.counts().visits_with_findings == 1
    assert spool.rules() == [("visits", "VISIT-ADMITTED", "warn", "", 1)]
    (entry,) = spool.log_newest(1)
    assert b"visits.judged" in entry.body
    assert b"VISIT-ADMITTED" in entry.body

    commit(spool, says("b", STAYED, "C0049"), at=LATER + timedelta(hours=3))  # corrected
    judged(spool, LATER + timedelta(hours=5))
    assert spool.visits(only="findings") == []
    assert spool.counts().visits_with_findings == 0


def test_an_archived_front_page_does_not_wait_for_the_days_after_discharge(spool: Spool):
    archived = {**STAYED, "fact.archived": "true"}
    commit(spool, says("a", archived, "C0032"), says("b", STAYED, "C0049"), keys="ab")
    assert judged(spool, NOW + timedelta(minutes=50)) == []
    assert len(judged(spool, NOW + timedelta(minutes=61))) == 1


def test_a_withdrawn_document_leaves_its_visit(spool: Spool):
    commit(spool, says("a", STAYED), says("b", {**STAYED, "encounter.admitted_at": "20260921"}, "C0049"), keys="ab")
    judged(spool, LATER)
    assert len(spool.visits(only="findings")) == 1
    commit(spool, says("b", STAYED, "C0049", VOID), at=LATER)
    judged(spool, LATER + timedelta(hours=2))
    ((_, kept),) = spool.visits()
    assert (kept.findings, [one[0] for one in kept.documents]) == ((), ["C0034"])
    commit(spool, says("a", STAYED, "C0034", VOID), at=LATER)
    judged(spool, LATER + timedelta(hours=4))
    assert spool.visits() == []


def test_a_document_moves_to_the_visit_that_its_correction_names(spool: Spool):
    commit(spool, says("a", STAYED), says("b", STAYED, "C0049"), keys="ab")
    commit(spool, says("b", {**STAYED, "patient.inpatient_number": "ZY2"}, "C0049"))
    assert {one.name: [kind for kind, *_ in one.documents] for _, one in spool.visits()} == {
        "inpatient:ZY1": ["C0034"],
        "inpatient:ZY2": ["C0049"],
    }


def visits_of(spool: Spool, first: Record, second: Record) -> list[tuple[str, tuple[str, ...]]]:
    commit(spool, says("a", first), keys="a")
    judged(spool, LATER)
    commit(spool, says("b", second), keys="b", at=LATER)
    judged(spool, LATER + timedelta(days=10))
    return [(one.rule, one.arguments) for _, kept in spool.visits(only="findings") for one in kept.findings]


def test_one_patient_id_with_another_person_is_found_in_the_later_visit(spool: Spool):
    other = {
        **STAYED,
        "patient.inpatient_number": "ZY2",
        "patient.name": "乙",
        "patient.id_number": "110101199003070038",
    }
    assert visits_of(spool, STAYED, other) == [("PATIENT-PERSON", ("inpatient:ZY1",))]


def test_one_identity_number_with_another_person_is_found(spool: Spool):
    other = {
        **STAYED,
        "patient.inpatient_number": "ZY2",
        "patient.record_number": "BA2",
        "patient.birth_date": "19900308",
    }
    assert visits_of(spool, STAYED, other) == [("IDENTITY-PERSON", ("inpatient:ZY1",))]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"patient.record_number": "BA2", "patient.id_number": "110101199003070038", "patient.name": "乙"},
        {"patient.birth_date": ""},  # less is known: nothing is compared
        {"patient.id_number": ""},
    ],
)
def test_other_visits_of_the_same_or_of_other_patients_are_no_fault(spool: Spool, change: dict[str, str]):
    other = {name: text for name, text in {**STAYED, "patient.inpatient_number": "ZY2", **change}.items() if text}
    assert visits_of(spool, STAYED, other) == []


def figures_of_visits(spool: Spool, first: int = 20260901, last: int = 20260930) -> Counter[tuple[int, str, str]]:
    """What the statistics say of visits: day, rule, severity. What is listed one by one says the same."""
    kept: Counter[tuple[int, str, str]] = Counter()
    for day, _, kind, institution, _, rule, severity, *_, n in spool.statistics.findings(first, last):
        assert (kind, institution) == (VISIT, INSTITUTION)
        kept[day, rule, severity] += n
    listed = Counter(
        (day, one.rule, one.severity)
        for page in spool.statistics.visits(first, last)
        for day, _, findings in page
        for one in msgspec.json.decode(findings, type=list[Finding])
    )
    assert kept == listed
    return kept


def test_what_is_said_of_a_visit_counts_for_its_last_day_and_no_longer_than_it_is_said(spool: Spool):
    def at(day: int, *visits: Seen, keys: str = "") -> None:
        events = {id_of(key): Event(day, None, "内科") for key in keys}
        batch = taken(*(document(key) for key in keys), visits=visits, figures=Figures(events=events))
        spool.commit(msgspec.structs.replace(batch, at=NOW))

    at(20260928, says("a", STAYED), keys="a")
    at(20260929, says("b", STAYED | {"encounter.discharged_at": "20260916100000"}, "C0049"), keys="b")
    judged(spool, LATER)
    assert figures_of_visits(spool) == {(20260929, "VISIT-DISCHARGED", "warn"): 1}
    assert figures_of_visits(spool, 20260901, 20260928) == {}
    commit(spool, says("b", STAYED, "C0049"), at=LATER)
    judged(spool, LATER + timedelta(days=1))
    assert figures_of_visits(spool) == {}
    commit(spool, says("b", STAYED | {"encounter.discharged_at": "20260916100000"}, "C0049"), at=LATER)
    judged(spool, LATER + timedelta(days=3))
    assert figures_of_visits(spool).total() == 1
    spool.forget_visits("tester", LATER)
    assert figures_of_visits(spool) == {}


def test_the_state_survives_a_restart(tmp_path: Path):
    with Spool(tmp_path).open() as opened:
        commit(opened, says("a", STAYED), keys="a")
    with Spool(tmp_path).open() as opened:
        commit(opened, says("b", {**STAYED, "encounter.admitted_at": "20260921"}, "C0049"), keys="b")
        judged(opened, LATER)
        assert len(opened.visits(only="findings")) == 1


def test_a_batch_that_is_not_committed_leaves_no_trace_of_its_visits(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise RuntimeError("died here")

    monkeypatch.setattr(spool, "_count_rules", fails)
    with pytest.raises(RuntimeError):
        commit(spool, says("a", STAYED), keys="a")
    monkeypatch.undo()
    assert spool.visits() == []


# -- front pages, and profiles ---------------------------------------------------------------------------------------


def front_page(parent: str) -> Callable[[SourceRows], list[object]]:
    files = {
        "/site/page.toml": 'kind = "C0032"\nkey = "no"\n[queries]\nchanged = "c.sql"\nparent = "p.sql"\n',
        "/site/c.sql": 'SELECT t AS "cursor", no AS "key" FROM page',
        "/site/p.sql": parent,
    }
    kind = KindDouble("C0032", (FieldDouble("patient.name"),))
    mapping = load_mapping("/site/page.toml", "H1", read=files.__getitem__)
    return compile_mapping(mapping, kind, "H1", "一院")  # type: ignore[return-value]


@pytest.mark.parametrize(("archived", "final"), [(1, True), (0, False), (None, False), ("是", True)])
def test_a_front_page_is_final_once_it_is_archived(archived: object, final: bool):
    convert = front_page('SELECT no AS "no", xm AS "patient.name", gd AS "fact.archived" FROM page')
    (record,) = convert(SourceRows(RowSet(("no", "patient.name", "fact.archived"), [(1, "甲", archived)]), {}))
    assert record.final is final  # type: ignore[attr-defined]


def test_a_front_page_that_does_not_say_whether_it_is_archived_is_told_at_start():
    with pytest.raises(ConfigurationError, match="once it is archived"):
        front_page('SELECT no AS "no", xm AS "patient.name" FROM page')
    front_page('SELECT no AS "no", xm AS "patient.name", done AS "final" FROM page')


def profile(text: str) -> object:
    return parse_profile("x", 'extends = "regional"\n' + text, "/x.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[visits]\ninpatient = { after = "3 days" }', "inpatient after: must be a duration"),
        ("[visits]\ninpatient = { requires = [] }", "did you mean 'required'"),
        ('[visits]\ninpatient = { required = "C0034" }', "must be a list of kinds"),
        ("[visits]\ninpatient = { required = [[]] }", "is no kind"),
        ("[visits]\nstay = {}", "unknown key 'stay'"),
    ],
)
def test_a_mistake_in_the_terms_of_visits_is_told(text: str, says: str):
    with pytest.raises(ConfigurationError, match=says):
        profile(text)


def test_a_profile_says_only_where_it_differs():
    terms = profile('[visits]\noutpatient = { required = ["C0002", ["C0004", "C0005"]] }').visits  # type: ignore[attr-defined]
    assert terms.required["outpatient"] == (("C0002",), ("C0004", "C0005"))
    assert terms.required["inpatient"] == TERMS.required["inpatient"]
    assert terms.after == TERMS.after


# -- an agent ---------------------------------------------------------------------------------------------------------


def asked(site: Site, name: str, **values: object) -> object:
    with site.app() as app:
        told = operations.operations(app)[name](**values)
        return list(told) if name == "visits" else told


def judge_now(site: Site) -> int:
    with site.app() as app:
        return app.judge_visits()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_agent_judges_visits_and_rebuilds_their_state_from_the_sources(tmp_path: Path, workers: int):
    site = make_site(tmp_path)
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R2", "1", minute=1)
    site.run(workers)
    assert judge_now(site) == 0
    site.now += timedelta(days=2)
    assert judge_now(site) == 1
    assert asked(site, "visits", only="findings") == []  # no feed makes C0002: it cannot be missing
    (told,) = asked(site, "visits")  # type: ignore[misc]
    assert [kind for kind, *_ in told["documents"]] == ["C0007", "C0007"]

    assert asked(site, "visits_rebuild", who="tester") == {"feeds": ["lab"], "read": True}
    (again,) = asked(site, "visits")  # type: ignore[misc]
    assert again["documents"] == told["documents"]
    assert site.run(workers) == {"unchanged": 2}


def test_a_state_that_knows_nothing_of_visits_reads_the_last_while_again(tmp_path: Path):
    site = make_site(tmp_path)
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R3", "1", minute=59)
    site.run()
    with site.app() as app:
        app.rebuild_visits("tester")  # as after an update of a state from before there were visits
        assert not app.visits_are_told()
        assert app.judge_visits() == 0
    assert site.run()["unchanged"] >= 2
    with site.app() as app:
        assert app.visits_are_told()
    assert [kind for kind, *_ in asked(site, "visits")[0]["documents"]] == ["C0007", "C0007"]  # type: ignore[index]


def test_a_lost_state_learns_of_its_visits_by_reading(tmp_path: Path):
    site = make_site(tmp_path)
    site.person("1", "甲")
    site.report("R1", "1")
    site.run()
    before = asked(site, "visits")
    for file in (site.folder / "state").glob("spool.db*"):
        file.unlink()
    with site.app() as app:
        app.run_feed("lab", threading.Event())
    after = asked(site, "visits")
    assert [one["documents"] for one in after] == [one["documents"] for one in before]  # type: ignore[index, union-attr]


def test_visits_are_shown_to_who_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    site = make_site(tmp_path)
    (tmp_path / "agent.toml").write_text(AGENT.format(workers=0), encoding="utf-8")
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R2", None)
    site.sql("lis", "UPDATE report SET pid = '2' WHERE no = 'R2'")
    site.person("2", "乙")
    site.sql("his", "UPDATE person SET mzh = 'MZ1'")  # one number, two persons
    site.run()
    site.now += timedelta(days=2)
    judge_now(site)
    shared = ["--config", str(tmp_path / "agent.toml"), "--state", str(tmp_path / "state")]

    assert run([*shared, "qc", "visits", "--with-findings", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["name"], [one["rule"] for one in told["findings"]]) == ("outpatient:MZ1", ["VISIT-PERSON"])
    assert run(["--lang", "zh", *shared, "qc", "visits"]) == 0
    assert "一个就诊号对应不同的人" in capsys.readouterr().out.replace("\n", "")
    assert run(["--lang", "en", *shared, "status"]) == 0
    assert "visits with findings: 1" in capsys.readouterr().out
    assert run([*shared, "qc", "visits", "--open", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run([*shared, "qc", "visits", "--open", "--with-findings"]) == 2
