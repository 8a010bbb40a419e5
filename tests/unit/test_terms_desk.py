"""From an unmapped code to the rebuilt document: the worklist, a person's word, and what it sets free."""

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from frontend_agent.app import App
from frontend_agent.errors import ConfigurationError
from frontend_agent.model import Blame, Finding, Severity, Watermark
from frontend_agent.operations import Operations
from frontend_agent.spool import Decision, Met, Spool
from frontend_agent.spool import terms as spool_terms
from frontend_agent.terms.operations import NotDecided
from tests.unit.pipe import FEED as PIPE_FEED
from tests.unit.pipe import NOW, held, later, taken
from tests.unit.term_site import FEED, RESULT, SEX, app, asked, change, make_hospital, make_site


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hospital(tmp_path_factory.mktemp("made"))


@pytest.fixture
def site(tmp_path: Path, hospital: Path) -> Path:
    return make_site(tmp_path / "site", hospital)


@pytest.fixture
def running(site: Path) -> Iterator[App]:
    with app(site) as opened:
        yield opened


def run(running: App) -> dict[str, int]:
    outcome = running.run_feed(FEED, threading.Event())
    assert outcome.error is None
    return outcome.counts


def worklist(desk: Operations, **wanted: Any) -> dict[str, dict[str, Any]]:
    return {f"{one['table']} {one['code']}": one for one in desk.terms_unmapped(**wanted)}


def held_for(desk: Operations, table: str, code: str) -> int:
    return sum(
        any(
            one["rule"] == "MAP001" and list(one["arguments"]) == [table] and one["value"] == code
            for one in case["findings"]
        )
        for case in desk.quarantine_list()
    )


def decide(desk: Operations, table: str, code: str, target: str, even_so: bool = False) -> dict[str, Any]:
    return desk.terms_decide([{"table": table, "code": code, "target": target, "reason": "字典"}], "王工", even_so)


# --- the worklist


def test_an_unmapped_code_is_counted_with_its_name_and_three_keys(running: App) -> None:
    run(running)
    desk = asked(running)
    line = worklist(desk)[f"{SEX} F"]
    assert line["count"] == held_for(desk, SEX, "F") > 3
    assert (line["name"], *line["feeds"], *line["fields"]) == ("女", FEED, "patient.sex")
    assert line["value_set_name"] == "人的性别代码"
    assert len(line["examples"]) == 3
    keys = {case["key"] for case in desk.quarantine_list()}
    assert {example.removeprefix(f"{FEED}:") for example in line["examples"]} <= keys
    assert line["proposals"][0] == {"code": "2", "name": "女性", "score": 98, "why": "name"}


def test_what_is_read_again_unchanged_is_not_counted_again(running: App) -> None:
    run(running)
    before = worklist(asked(running))[f"{SEX} F"]["count"]
    running.spool.commit(taken(watermark=Watermark("", "")))
    run(running)
    assert worklist(asked(running))[f"{SEX} F"]["count"] == before


def test_a_code_that_the_file_has_meanwhile_leaves_the_list(site: Path) -> None:
    with app(site) as opened:
        run(opened)
        assert f"{SEX} F" in worklist(asked(opened))
    change(site / "mappings/ourlis/codes/sex.toml", '"M" = "1"', '"M" = "1"\n"F" = "2"')
    with app(site) as opened:
        assert f"{SEX} F" not in worklist(asked(opened))


# --- a decision


def test_an_approval_rebuilds_what_was_held_and_changes_the_digest(running: App) -> None:
    run(running)
    desk = asked(running)
    waiting = held_for(desk, SEX, "F")
    before = running.feeds[FEED].plan.digests

    told = decide(desk, SEX, "F", "2")

    assert told["read_again"] == waiting
    assert told["documents"] + told["held"] == waiting
    assert told["documents"] > 3
    assert held_for(desk, SEX, "F") == 0
    assert f"{SEX} F" not in worklist(desk)
    after = running.feeds[FEED].plan.digests
    assert [one.split("=")[0] for one, other in zip(after.split(), before.split(), strict=True) if one != other] == [
        "codes"
    ]
    assert run(running).get("held", 0) == 0


def test_documents_made_after_an_approval_carry_the_approved_code(running: App) -> None:
    run(running)
    desk = asked(running)
    key = worklist(desk)[f"{SEX} F"]["examples"][0].removeprefix(f"{FEED}:")
    assert "patient.sex" not in desk.preview(FEED, key)["records"][0]["record"]
    decide(desk, SEX, "F", "2")
    assert desk.preview(FEED, key)["records"][0]["record"]["patient.sex"] == "2"


def test_workers_see_an_approval_without_a_restart(tmp_path: Path, hospital: Path) -> None:
    site = make_site(tmp_path / "site", hospital, workers=2)
    with app(site) as opened:
        assert opened._workers is not None
        run(opened)
        desk = asked(opened)
        waiting = held_for(desk, SEX, "F")
        told = decide(desk, SEX, "F", "2")
        assert told["documents"] + told["held"] == waiting
        assert told["documents"] > 3
        assert held_for(desk, SEX, "F") == 0


def test_an_approval_is_still_there_after_a_restart(site: Path) -> None:
    with app(site) as opened:
        run(opened)
        decide(asked(opened), SEX, "F", "2")
        digests = opened.feeds[FEED].plan.digests
    with app(site) as opened:
        assert opened.feeds[FEED].plan.digests == digests
        assert {one["code"]: one["approved"] for one in asked(opened).terms_show(SEX)["rows"]} == {
            "M": False, "U": False, "F": True,
        }  # fmt: skip


def test_history_names_who_when_and_the_log_entry_and_the_chain_holds(running: App) -> None:
    run(running)
    desk = asked(running)
    decide(desk, SEX, "F", "2")
    (line,) = desk.terms_history(SEX, "F")
    assert (line["action"], line["target"], line["who"], line["reason"]) == ("approved", "2", "王工", "字典")
    entry = next(one for one in desk.qc_log(10_000) if one["seq"] == line["log"])
    assert entry["event"] == "terms"
    assert entry["decisions"] == [[SEX, "F", "2", "字典"]]
    assert desk.qc_verify()["ok"]


def test_what_is_undone_stands_as_before(running: App) -> None:
    run(running)
    desk = asked(running)
    decide(desk, SEX, "F", "2")
    decide(desk, SEX, "F", "9", even_so=True)
    desk.terms_undo(SEX, "F", "李工", "误批")
    assert {one["code"]: one["target"] for one in desk.terms_show(SEX)["rows"]}["F"] == "2"
    desk.terms_undo(SEX, "F", "李工", "再核")
    assert "F" not in {one["code"] for one in desk.terms_show(SEX)["rows"]}
    assert [one["action"] for one in desk.terms_history(SEX, "F")] == ["undone", "undone", "approved", "approved"]
    with pytest.raises(spool_terms.UnknownDecision, match="no decision about the local code 'F' to undo"):
        desk.terms_undo(SEX, "F", "李工", "…")


@pytest.mark.parametrize(
    ("table", "code", "target", "said"),
    [
        (SEX, "F", "7", "7 is not in 人的性别代码"),
        (SEX, "F", "02", "02 is not in 人的性别代码 (did you mean 2?)"),
        (SEX, "F", "1", "is called '女' but mapped to 1"),
        (SEX, "M", "1", "is mapped to 1 already"),
        ("ourlis/sxe", "F", "2", "unknown code map 'ourlis/sxe' (known: ourlis/id_type"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_is_kept(
    running: App, table: str, code: str, target: str, said: str
) -> None:
    run(running)
    desk = asked(running)
    with pytest.raises(NotDecided) as error:
        decide(desk, table, code, target)
    assert said in str(error.value)
    assert running.spool.terms.revision() == 0


def test_somebody_who_has_looked_may_overrule_a_doubt_but_not_the_value_set(running: App) -> None:
    run(running)
    desk = asked(running)
    with pytest.raises(NotDecided):
        decide(desk, SEX, "F", "7", even_so=True)
    assert decide(desk, SEX, "F", "1", even_so=True)["approved"] == 1
    assert run(running).get("held", 0) == 0  # and the agent goes on, whatever the check says of the map


def test_many_decisions_are_all_or_none_and_every_problem_is_told(running: App) -> None:
    run(running)
    desk = asked(running)
    given = [
        {"table": SEX, "code": "F", "target": "2", "reason": "字典"},
        {"table": SEX, "code": "X", "target": "8", "reason": ""},
        {"table": SEX, "code": "F", "target": "9", "reason": "字典"},
    ]
    found = desk.terms_problems(given, "王工", listed=True)
    assert [(one["number"], one["column"]) for one in found] == [
        (1, "target"), (1, "reason"), (1, "code"), (2, "target"), (2, "target"),
    ]  # fmt: skip
    with pytest.raises(NotDecided):
        desk.terms_decide(given, "王工")
    assert running.spool.terms.revision() == 0
    assert desk.terms_problems([given[0]], " ")[0]["column"] == "by"


def test_a_rejected_code_leaves_the_list_and_stays_held(running: App) -> None:
    run(running)
    desk = asked(running)
    waiting = held_for(desk, SEX, "F")
    told = decide(desk, SEX, "F", "")
    assert (told["rejected"], told["read_again"]) == (1, 0)
    assert f"{SEX} F" not in worklist(desk)
    assert worklist(desk, everything=True)[f"{SEX} F"]["rejected_by"] == "王工"
    assert held_for(desk, SEX, "F") == waiting
    assert next(one for one in desk.terms_list() if one["table"] == SEX)["rejected"] == 1


def test_the_list_of_maps_says_what_each_is_for(running: App) -> None:
    run(running)
    found = {one["table"]: one for one in asked(running).terms_list()}
    assert set(found) == {"ourlis/sex", "ourlis/result", "ourlis/patient_type", "ourlis/id_type"}
    assert (found[SEX]["unmapped"], found[SEX]["codes"], found[SEX]["confidence"]) == (1, 2, "verified")
    assert found[RESULT]["fields"] == ["items.result_code"]


def test_usage_elsewhere_proposes_what_others_chose(running: App) -> None:
    run(running)
    desk = asked(running)
    running.spool.commit(
        taken(unmapped=[Met(RESULT, "items.result_code", "2.16.156.10011.2.3.2.38", "hh", "", 1, ("L1",))])
    )
    best = worklist(desk)[f"{RESULT} hh"]["proposals"][0]
    assert (best["code"], best["why"]) == ("2", "usage")


def test_two_files_of_one_name_are_refused(site: Path) -> None:
    other = site / "mappings" / "other" / "ourlis"
    other.parent.mkdir()
    shutil.copytree(site / "mappings" / "ourlis", other)
    with (site / "agent.toml").open("a", encoding="utf-8") as file:
        file.write('[[feeds]]\nname = "twice"\nsource = "lis"\nmapping = "mappings/other/ourlis/lab_report.toml"\n')
    with pytest.raises(ConfigurationError, match="is the code map 'ourlis/"):
        app(site).open()


def test_what_only_a_person_can_settle_is_said_once_at_the_start(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(site / "mappings/ourlis/codes/id_type.toml", '"护照" = "03"', '"护照" = "03"\n"港澳台居住证" = "06"')
    said: list[str] = []
    monkeypatch.setattr("frontend_agent.app.log.warning", lambda message: said.append(str(message)))
    with app(site):
        pass
    assert [line for line in said if "terms.doubt" in line] == [
        "terms.doubt table=ourlis/id_type rule=TERM-ID-TYPE code=港澳台居住证"
    ]


# --- in the spool alone


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def met(code: str, *keys: str, table: str = "his/sex") -> Met:
    return Met(table, "patient.sex", "2.16.156.10011.2.3.3.4", code, "", len(keys), keys)


def unmapped_finding(code: str, table: str = "his/sex") -> Finding:
    return Finding("MAP001", Severity.HOLD, Blame.MAPPING, "patient.sex", "", "", code, (table,))


def test_counts_grow_and_examples_stay_three(spool: Spool) -> None:
    spool.commit(taken(unmapped=[met("F", "L1", "L2")]))
    spool.commit(msgspec.structs.replace(taken(unmapped=[met("F", "L2", "L3", "L4")]), at=later(days=1)))
    (line,) = spool.terms.unmapped()
    assert (line.count, line.first_seen, line.last_seen) == (5, NOW, later(days=1))
    assert len(line.examples) == len(set(line.examples)) == 3


def test_a_column_of_texts_does_not_fill_the_disk(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_terms, "MOST_CODES", 5)
    for n in range(8):
        spool.commit(taken(unmapped=[met(f"text {n}", f"L{n}"), met("text 0", "L")]))
    spool.commit(taken(unmapped=[met("F", "L9", table="his/other")]))
    assert len([one for one in spool.terms.unmapped() if one.table == "his/sex"]) == 5
    assert next(one for one in spool.terms.unmapped() if one.code == "text 0").count == 9
    assert spool.terms.beyond() == 3
    assert "F" in {one.code for one in spool.terms.unmapped()}


def test_nothing_is_counted_of_a_batch_that_was_not_kept(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_count_rules", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        spool.commit(taken(unmapped=[met("F", "L1")]))
    assert spool.terms.unmapped() == []


def test_only_records_that_name_the_code_go_back_in_line(spool: Spool) -> None:
    spool.commit(
        taken(
            held=[
                held("L1", unmapped_finding("F")),
                held("L2", unmapped_finding("X")),
                held("L3", unmapped_finding("F", table="lis/sex")),
                held("L4", Finding("TST001", Severity.HOLD, value="F")),
            ]
        )
    )
    released = spool.terms.decide([Decision("his/sex", "F", "2", "字典")], "王工", later(minutes=1))
    assert (released.cases, released.feeds) == (1, (PIPE_FEED,))
    assert spool.again(PIPE_FEED) == ["L1"]


def test_a_batch_made_before_an_approval_and_kept_after_it_goes_back_in_line(spool: Spool) -> None:
    before = spool.terms.revision()
    spool.terms.decide([Decision("his/sex", "F", "2", "字典")], "王工", NOW)
    late = taken(held=[held("L1", unmapped_finding("F"))], unmapped=[met("F", "L1")], terms=before)
    spool.commit(late)
    assert spool.again(PIPE_FEED) == ["L1"]
    assert spool.terms.unmapped() == []
    spool.commit(msgspec.structs.replace(late, terms=spool.terms.revision()))  # made under it: held for good reason
    assert spool.again(PIPE_FEED) == []


def test_approvals_travel_packed_and_come_out_the_same(spool: Spool) -> None:
    assert spool.terms.approvals().overlay() == {}
    spool.terms.decide(
        [Decision("his/sex", "F", "2", "字典", "李工"), Decision("his/sex", "X", "", "废弃")], "王工", NOW
    )
    approvals = spool.terms.approvals()
    assert approvals.revision == 2
    assert {code: one.target for code, one in approvals.overlay()["his/sex"].items()} == {"F": "2"}
    assert approvals.overlay()["his/sex"]["F"].decided == "李工: 字典"
    assert spool.terms.history()[0].at == datetime(2026, 9, 30, 8, 15, tzinfo=UTC)
