"""Quarantine by cause: one line for ten thousand failures alike, and what becomes of them after a mend."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from pipe import FEED, NOW, document, held, later, taken
from test_spool_scale import instructions

from frontend_agent.model import Finding, Severity
from frontend_agent.spool import Spool
from frontend_agent.spool.database import MIGRATIONS

HOLD = Severity.HOLD


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def unmapped(code: str, row: int = 0) -> Finding:
    return Finding("MAP001", HOLD, field=f"items[{row}].result_code", column="lis_bgmx.ycbz", value=code)


def missing(field: str = "patient.name") -> Finding:
    return Finding("DE-MISSING", HOLD, field=field)


def counts(spool: Spool) -> dict[tuple[str, str, str], tuple[int, int]]:
    return {(g.rule, g.field, g.value): (g.count, g.released) for g in spool.groups()}


def release(spool: Spool, *groups: str, chunk: int = 50_000) -> int:
    number = spool.begin_release(groups, "wang", NOW)
    list(spool.release_groups(number, groups, "wang", NOW, chunk))
    return number


def test_failures_of_one_cause_are_one_group_with_the_oldest_as_example(spool: Spool) -> None:
    spool.commit(taken(held=[held(f"k{n}", unmapped("H+", row=n)) for n in range(50)]))
    spool.commit(taken(held=[held("other", unmapped("LL"))]))
    group, other = spool.groups()
    assert (group.count, group.field, group.value, group.example) == (50, "items.result_code", "H+", "Q1")
    assert group.finding is not None
    assert group.finding.field == "items[0].result_code"
    assert (other.count, other.value) == (1, "LL")
    assert [case.key for case in spool.group_cases(group.id, limit=3)] == ["k0", "k1", "k2"]


def test_a_record_waits_for_each_of_its_causes_and_is_one_record(spool: Spool) -> None:
    warned = Finding("TST002", Severity.WARN, field="patient.sex")
    spool.commit(taken(held=[held("a", unmapped("H+"), unmapped("H+", 1), missing(), warned), held("b", missing())]))
    assert counts(spool) == {
        ("DE-MISSING", "patient.name", ""): (2, 0),
        ("MAP001", "items.result_code", "H+"): (1, 0),
    }
    assert spool.group_records(group.id for group in spool.groups()) == 2 == spool.counts().held


def test_a_value_makes_no_cause_of_its_own_unless_it_is_a_code(spool: Spool) -> None:
    spool.commit(taken(held=[held(f"k{n}", Finding("MAP002", HOLD, field="at", value=f"99{n}")) for n in range(9)]))
    assert [group.count for group in spool.groups()] == [9]


def test_a_record_that_nothing_holds_is_listed_all_the_same(spool: Spool) -> None:
    spool.commit(taken(held=[held("a", Finding("TST002", Severity.WARN, field="x"))]))
    assert [(group.rule, group.count) for group in spool.groups()] == [("TST002", 1)]


def test_whatever_closes_a_case_takes_it_out_of_its_groups(spool: Spool) -> None:
    spool.commit(taken(held=[held(key, missing()) for key in "abcd"]))
    spool.commit(taken(held=[held("a", unmapped("x"))]))  # held again, for another cause
    spool.commit(taken(document("b"), closed=[document("b").set_id]))
    spool.quarantine_discard(["Q3"], "wang", "a test", NOW)
    assert counts(spool) == {
        ("DE-MISSING", "patient.name", ""): (1, 0),
        ("MAP001", "items.result_code", "x"): (1, 0),
    }
    assert spool.groups(rule="DE-MISSING")[0].example == "Q4"


def test_a_cause_that_comes_back_has_its_number_again(spool: Spool) -> None:
    spool.commit(taken(held=[held("a", missing())]))
    number = spool.groups()[0].id
    spool.quarantine_discard(["Q1"], "wang", "a test", NOW)
    assert spool.groups() == []
    assert spool.group(number) is None
    spool.commit(taken(held=[held("b", unmapped("x")), held("c", missing())]))
    assert {group.rule: group.id for group in spool.groups()}["DE-MISSING"] == number


def test_groups_are_found_by_what_they_are_about(spool: Spool) -> None:
    spool.commit(taken(held=[held("a", unmapped("x")), held("b", unmapped("y")), held("c", missing())]))
    assert [group.value for group in spool.groups(rule="MAP001", field="items.result_code", value="y")] == ["y"]
    assert len(spool.groups(feed=FEED)) == 3
    assert spool.groups(feed="another") == []


@pytest.mark.parametrize("nonsense", ["", "G", "G0", "G99", "Q1", "S0", "G1x", "G" + "9" * 40])
def test_nonsense_is_no_group(spool: Spool, nonsense: str) -> None:
    spool.commit(taken(held=[held("a", missing())]))
    assert spool.group(nonsense) is None


def test_a_group_is_released_in_chunks_and_says_who_let_what_go(spool: Spool) -> None:
    spool.commit(taken(held=[held(f"k{n}", missing()) for n in range(25)]))
    spool.commit(taken(held=[held("other", unmapped("x"))]))
    release(spool, spool.groups()[0].id, chunk=10)
    assert counts(spool)["DE-MISSING", "patient.name", ""] == (25, 25)
    assert len(spool.again(FEED)) == 25
    said = [entry.body for entry in spool.log_newest(3)]
    assert [b'"Q21-Q25"' in said[0], b'"Q11-Q20"' in said[1], b'"Q1-Q10"' in said[2]] == [True] * 3
    assert b"wang" in said[0]


def test_what_became_of_a_release_is_told_record_by_record(spool: Spool) -> None:
    spool.commit(taken(held=[held(key, missing()) for key in "abcdef"]))
    number = release(spool, "G1")
    made, named = document("a"), {key: document(key).set_id for key in "abcdef"}
    spool.commit(
        taken(
            made,
            held=[held("b", unmapped("x")), held("c", unmapped("x"), missing())],
            closed=[named["a"]],
            not_found=[named["d"]],
            not_final=[named["e"]],
        )
    )
    became = spool.released(number)
    assert became is not None
    assert (became.release.cases, became.waiting, became.documents, became.held) == (6, 1, 1, 2)
    assert (became.delivered, became.stuck) == (0, 0)
    assert became.returned == {"not found at the source": 1, "not final at the source": 1}
    assert {spool.group(group).rule: n for group, n in became.held_by.items()} == {"MAP001": 2, "DE-MISSING": 1}  # type: ignore[union-attr]
    assert spool.release_waiting(number) == 1
    assert [one.id for one in spool.releases()] == [number]


def test_a_release_that_was_cut_off_goes_on_when_it_is_asked_for_again(spool: Spool) -> None:
    spool.commit(taken(held=[held(f"k{n}", missing()) for n in range(6)]))
    first = spool.begin_release(["G1"], "wang", NOW)
    next(spool.release_groups(first, ["G1"], "wang", NOW, chunk=2))  # and then the power went
    assert len(spool.again(FEED)) == 2
    second = release(spool, "G1")
    became = spool.released(second)
    assert became is not None
    assert (became.release.cases, became.waiting) == (6, 6)
    assert len(spool.again(FEED)) == 6


def test_what_is_to_be_read_again_comes_once_and_in_pages(spool: Spool) -> None:
    spool.commit(taken(held=[held(f"k{n}", missing()) for n in range(5)]))
    release(spool, "G1")
    first = spool.again_from(FEED, 3)
    rest = spool.again_from(FEED, 3, first[-1][1])
    assert [key for key, _ in first + rest] == [f"k{n}" for n in range(5)]
    assert spool.again_from(FEED, 3, rest[-1][1]) == []


def test_documents_that_were_refused_alike_are_one_group(spool: Spool) -> None:
    from pipe import FakePlatform

    from frontend_agent.sending import send_out

    platform = FakePlatform()
    spool.commit(taken(*[document(key) for key in "abc"]))
    platform.refused = {document(key).document_id: "no such patient" for key in "abc"}
    send_out(platform, spool, later(seconds=1))
    (group,) = spool.stuck_groups()
    assert (group.count, group.reasons, group.destination, group.example) == (
        3, ("no such patient",), "platform", "D1@platform",
    )  # fmt: skip
    assert spool.group(group.id) == group
    assert spool.stuck_cases(group) == ["D1@platform", "D2@platform", "D3@platform"]


def test_what_waited_before_there_were_groups_is_grouped_by_the_migration(tmp_path: Path) -> None:
    with Spool(tmp_path / "old").open() as spool:
        spool.commit(taken(held=[held("a", unmapped("x"), missing()), held("b", unmapped("x")), held("c", missing())]))
        spool.quarantine_release(["Q3"], "wang", NOW)
        spool.quarantine_discard(["Q2"], "wang", "a test", NOW)
        before = counts(spool)
    path = tmp_path / "old" / "spool.db"
    with sqlite3.connect(path) as file:  # as it was before
        file.executescript(
            "DROP TRIGGER case_held; DROP TRIGGER case_closed; DROP TRIGGER case_released; DROP VIEW case_cause;"
            "DROP TABLE cause; DROP TABLE cause_case; DROP TABLE release; DROP INDEX quarantine_release;"
            "ALTER TABLE quarantine DROP COLUMN release;"
        )
    file.close()
    migration = next(text for text in MIGRATIONS.values() if "CREATE TABLE cause_case" in text)
    connection = apsw.Connection(str(path))
    connection.execute(migration)
    connection.close()
    with Spool(tmp_path / "old").open() as spool:
        assert counts(spool) == before == {
            ("MAP001", "items.result_code", "x"): (1, 0),
            ("DE-MISSING", "patient.name", ""): (2, 1),
        }  # fmt: skip


def test_holding_a_record_costs_the_same_however_many_causes_there_are(spool: Spool) -> None:
    few = instructions(spool, lambda: spool.commit(taken(held=[held("a", unmapped("a")), held("b", unmapped("b"))])))
    spool.commit(taken(held=[held(f"k{n}", unmapped(f"code {n}")) for n in range(2_000)]))
    many = instructions(spool, lambda: spool.commit(taken(held=[held("c", unmapped("c")), held("d", unmapped("d"))])))
    assert many <= few * 1.5
