"""Records scattered over several systems: joined by a partner query, waited for when the partner has no row yet."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError, SourceUnreachable
from frontend_agent.feeds import Feed
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.model import RowSet, Severity, SourceRecord, SourceRows
from frontend_agent.operations import Operations
from tests.unit.kind_double import lab_kind

FILES = {
    "/site/lab.toml": """
kind = "C0007"
key = "report_number"
[queries]
changed = "changed.sql"
parent = "lab.sql"
[queries.partners]
person = { sql = "person.sql", source = "his", by = "his_patient", wait = "2h" }
[codes]
"patient.sex" = "sex"
[read]
"note_html" = { reader = "html", into = "report_note" }
"results" = { reader = "json", groups.items = { each = "$[*]", fields = { code = "dm", value = "jg", "collected_at" = "sj" } } }
"person_xml" = { reader = "xml", fields = { "patient.telephone" = "//dh" } }
""",
    "/site/changed.sql": 'SELECT updated AS "cursor", no AS "key" FROM report',
    "/site/lab.sql": """SELECT no AS "report_number", pid AS "his_patient", bz AS "note_html", jg AS "results",
 bgsj AS "author.time", zf AS "void" FROM report""",
    "/site/person.sql": """SELECT id AS "his_patient", sfz AS "patient.id_number", xm AS "patient.name", xb AS "patient.sex",
 x AS "person_xml" FROM person""",
    "/site/codes/sex.toml": '[map]\n"男" = "1"\n"女" = "2"\n',
}
PARENT = ("report_number", "his_patient", "note_html", "results", "author.time", "void")
PERSON = ("his_patient", "patient.id_number", "patient.name", "patient.sex", "person_xml")


def load(**changed: str) -> Any:
    files = FILES | {f"/site/{name.replace('__', '/').replace('_', '.')}": text for name, text in changed.items()}

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return load_mapping("/site/lab.toml", "H1", read=read)


Convert = Callable[[SourceRows], list[SourceRecord]]


@pytest.fixture(scope="module")
def convert() -> Convert:
    return compile_mapping(load(), lab_kind(), "H1", "第一医院")


REPORT = ("R1", 7, "<p>溶血</p>", '[{"dm": "K", "jg": 5.60}, {"dm": "Na", "jg": "140"}]', "2026-09-30 08:00:00", 0)
WANG = (7, "110101199003070012", "王五", "男", "<p><dh>13800000000</dh></p>")


def rows(parents: list[Any], persons: list[Any]) -> SourceRows:
    return SourceRows(RowSet(PARENT, parents), {}, {"person": RowSet(PERSON, persons)})


def hash_of(convert: Convert, parents: list[Any], persons: list[Any]) -> str:
    return convert(rows(parents, persons))[0].source_hash


# -- what the mapping makes of them ---------------------------------------------------------------------------------


def test_a_record_takes_fields_from_its_partner_and_from_inside_its_columns(convert: Convert):
    (record,) = convert(rows([REPORT], [WANG]))
    assert record.record == {
        "report_number": "R1",
        "report_note": "溶血",
        "author.time": "20260930080000",
        "patient.id_number": "110101199003070012",
        "patient.name": "王五",
        "patient.sex": "1",
        "patient.telephone": "13800000000",
        "items": [{"code": "K", "value": "5.60"}, {"code": "Na", "value": "140"}],
        "institution.id": "H1",
        "institution.name": "第一医院",
    }
    assert (record.findings, record.awaited) == ([], [])
    assert record.columns["patient.name"] == "person.xm"
    assert record.columns["report_note"] == "report.bz"
    assert record.columns["items.value"] == "report.jg jg"


def test_records_share_a_partner(convert: Convert):
    second = ("R2", "7", *REPORT[2:])
    first, other = convert(rows([REPORT, second], [WANG]))
    assert first.record["patient.sex"] == other.record["patient.sex"] == "1"
    assert first.record is not other.record


def test_what_a_partner_says_is_part_of_the_meaning(convert: Convert):
    same = hash_of(convert, [REPORT], [WANG])
    assert same == hash_of(convert, [REPORT], [WANG, WANG])
    assert same != hash_of(convert, [REPORT], [(7, WANG[1], "王武", *WANG[3:])])
    assert same != hash_of(convert, [REPORT], [])
    other = (8, *WANG[1:])
    assert same == hash_of(convert, [("R1", 8, *REPORT[2:])], [other])  # another number for the same person


def test_what_is_inside_a_column_is_the_meaning_not_how_it_is_packed(convert: Convert):
    spaced = (*REPORT[:3], '[ {"jg":5.6 ,"dm":"K"},\n{"dm":"Na","jg":140}]', *REPORT[4:])
    assert hash_of(convert, [REPORT], [WANG]) == hash_of(convert, [spaced], [WANG])
    broken, otherwise = ((*REPORT[:3], content, *REPORT[4:]) for content in ("[{", "[{{"))
    assert hash_of(convert, [broken], [WANG]) != hash_of(convert, [otherwise], [WANG])


def test_a_missing_partner_is_awaited_and_its_fields_are_nobodys_fault(convert: Convert):
    (record,) = convert(rows([REPORT], []))
    (awaited,) = record.awaited
    assert (awaited.partner, awaited.seconds) == ("person", 7200)
    assert (awaited.finding.rule, awaited.finding.arguments) == (
        "JOIN-PARTNER-MISSING",
        ("person", "his", "his_patient"),
    )
    assert {"patient.id_number", "patient.name", "patient.sex", "patient.telephone"} == record.unsaid


def test_a_record_without_a_link_waits_for_nobody(convert: Convert):
    (record,) = convert(rows([("R1", None, *REPORT[2:])], [WANG]))
    assert (record.awaited, record.unsaid) == ([], frozenset())
    assert "patient.name" not in record.record


def test_an_optional_partner_may_be_missing():
    mapping = load(lab_toml=FILES["/site/lab.toml"].replace('wait = "2h"', "optional = true"))
    (record,) = compile_mapping(mapping, lab_kind(), "H1", "一")(rows([REPORT], []))
    assert record.awaited == []


def test_two_different_rows_are_two_truths_and_neither_is_taken(convert: Convert):
    (record,) = convert(rows([REPORT], [WANG, (7, "110101199003070020", "王五", "女", None)]))
    (finding,) = record.findings
    assert (finding.rule, finding.severity) == ("JOIN-PARTNER-AMBIGUOUS", Severity.HOLD)
    assert finding.arguments == ("person", "his", "2", "his_patient")
    assert "patient.name" not in record.record
    assert "patient.name" in record.unsaid


def test_findings_about_a_partners_values_are_the_records(convert: Convert):
    (record,) = convert(rows([REPORT], [(7, WANG[1], "王五", "雄", "<p><dh>")]))
    assert {(one.rule, one.field, one.column) for one in record.findings} == {
        ("MAP001", "patient.sex", "person.xb"),
        ("READ-COLUMN", "patient.telephone", "person.x //dh"),
    }
    assert [one.field for one in record.unmapped] == ["patient.sex"]


def test_a_column_that_cannot_be_read_is_one_finding(convert: Convert):
    (record,) = convert(rows([(*REPORT[:3], "[{", *REPORT[4:])], [WANG]))
    (finding,) = record.findings
    assert (finding.rule, finding.field, finding.arguments) == ("READ-COLUMN", "items", ("results", "json", "not JSON"))
    assert record.unsaid == {"items"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lab_toml": ('by = "his_patient"', 'by = "his_pat"')}, 'selects nothing AS "his_pat"'),
        ({"lab_toml": ('wait = "2h"', "wait = 2")}, 'wait must be a duration like "30s"'),
        ({"lab_toml": ('wait = "2h"', "wiat = 2")}, "did you mean 'wait'"),
        ({"lab_toml": ('wait = "2h"', 'optional = "yes"')}, "optional must be true or false"),
        ({"lab_toml": ('reader = "html"', 'reader = "htm"')}, 'note_html": reader .*htm'),
        ({"lab_toml": ('"note_html" =', '"note_htm" =')}, "no query selects it .did you mean 'note_html'"),
        ({"lab_toml": ('into = "report_note"', 'into = "report_nte"')}, 'AS "report_nte": kind C0007 has no such field'),
        ({"lab_toml": ("groups.items", "groups.itmes")}, "groups.itmes: kind C0007 has no such group .did you mean"),
        ({"lab_toml": ('code = "dm"', 'codes = "dm"')}, 'AS "codes": kind C0007 has no such field'),
        ({"lab_toml": ('code = "dm"', 'code = "$.dm"')}, "within a group a path begins at its row"),
        ({"lab_toml": ('"//dh"', '"//dh["')}, "person_xml.*path"),
        ({"lab_toml": ('reader = "html", into = "report_note"', 'reader = "xml", into = "report_note"')}, "gives a tree"),
        ({"lab_toml": ('reader = "xml", fields', 'reader = "rtf", fields')}, "gives text"),
        ({"person_sql": ('"patient.name"', '"author.time"')}, 'AS "author.time": parent says it already'),
        ({"person_sql": ('"patient.name"', '"patient.nmae"')}, "did you mean 'patient.name'"),
        ({"person_sql": ('"patient.name"', '"final"')}, 'AS "final": kind C0007 has no such field'),
    ],
)  # fmt: skip
def test_a_mistake_in_partners_or_readers_is_told_at_start(changes: dict[str, tuple[str, str]], says: str):
    ((name, (old, new)),) = changes.items()
    path = f"/site/{name.replace('_', '.')}"
    assert old in FILES[path]
    with pytest.raises(ConfigurationError, match=says):
        compile_mapping(load(**{name: FILES[path].replace(old, new)}), lab_kind(), "H1", "一")


# -- two systems and an agent ---------------------------------------------------------------------------------------

TOML = """
kind = "C0007"
key = "report_number"
[queries]
changed = "changed.sql"
parent = "lab.sql"
[queries.partners]
person = {{ sql = "person.sql", source = "his", by = "his_patient", wait = "2h"{more} }}
[queries.details]
items = "items.sql"
"""
SQL = {
    "changed.sql": 'SELECT updated AS "cursor", no AS "key" FROM report',
    "lab.sql": """SELECT no AS "report_number", pid AS "his_patient", 'outpatient' AS "fact.patient_class",
 final AS "final", void AS "void", bgsj AS "author.time", 'S1' AS "specimen_number", 'D1' AS "author.id", '赵' AS "author.name",
 '钱' AS "reviewer.name" FROM report""",
    "items.sql": """SELECT no AS "report_number", 'K' AS "code", '钾' AS "name", '4.1' AS "value", 'mmol/L' AS "unit", '血清' AS "specimen" FROM report""",
    "person.sql": """SELECT id AS "his_patient", mzh AS "patient.outpatient_number", xm AS "patient.name",
 sfz AS "patient.id_number", '1' AS "patient.sex" FROM person""",
    "person.changed.sql": 'SELECT updated AS "cursor", id AS "key" FROM person',
}
AGENT = """
workers = {workers}
[institution]
id = "999000013"
name = "一院"
[sources.lis]
url = "sqlite:///lis.db"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab"
source = "lis"
mapping = "lab.toml"
profile = "lenient.toml"
"""
LENIENT = 'extends = "regional"\ndefault = "note"\n[severity]\n"JOIN-PARTNER-MISSING" = "{missing}"\n'


class WithoutPlatform(App):
    """An agent whose state is the first of its hospital: there is nothing to ask the platform."""

    def _heads(self, feed: Feed) -> None:
        return None


@dataclass
class Site:
    """A LIS, a HIS and an agent between them, with a clock of its own."""

    folder: Path
    now: datetime = datetime(2026, 9, 30, 2, 0, tzinfo=UTC)

    def sql(self, system: str, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.folder / f"{system}.db")) as database, database:
            database.execute(statement, values)

    def report(self, no: str, pid: object, minute: int = 0) -> None:
        self.sql(
            "lis",
            "INSERT OR REPLACE INTO report VALUES (?, ?, ?, 1, 0, '2026-09-30 09:00:00')",
            no, pid, f"2026-09-30 10:{minute:02}:00",
        )  # fmt: skip

    def person(self, pid: str, name: str, minute: int = 0) -> None:
        self.sql(
            "his",
            "INSERT OR REPLACE INTO person VALUES (?, ?, ?, '110101199003070011', ?)",
            pid, f"MZ{pid}", name, f"2026-09-30 10:{minute:02}:00",
        )  # fmt: skip

    def partner_is_not_required(self) -> None:
        """All that a document needs comes from the LIS; the HIS knows the room besides."""
        text = SQL["lab.sql"].replace(
            "SELECT ",
            """SELECT '甲' AS "patient.name", '1' AS "patient.sex", 'MZ1' AS
 "patient.outpatient_number", '110101199003070011' AS "patient.id_number", """,
        )
        (self.folder / "lab.sql").write_text(text, encoding="utf-8")
        (self.folder / "person.sql").write_text(
            'SELECT id AS "his_patient", xm AS "technician.name" FROM person', encoding="utf-8"
        )

    def app(self, workers: int = 0) -> App:
        config = parse_config(AGENT.format(workers=workers), folder=self.folder)
        return WithoutPlatform(config, self.folder / "state", clock=lambda: self.now)

    def run(self, workers: int = 0) -> dict[str, int]:
        with self.app(workers) as app:
            outcome = app.run_feed("lab", threading.Event())
            if outcome.error:
                raise outcome.error
            return {name: n for name, n in outcome.counts.items() if n}

    def waits(self) -> dict[str, int]:
        with self.app() as app:
            return {one.key: one.attempts for one in app.spool.waiting_list("lab")}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


def make_site(folder: Path, more: str = "", missing: str = "hold") -> Site:
    site = Site(folder)
    (folder / "lab.toml").write_text(TOML.format(more=more), encoding="utf-8")
    (folder / "lenient.toml").write_text(LENIENT.format(missing=missing), encoding="utf-8")
    for name, text in SQL.items():
        (folder / name).write_text(text, encoding="utf-8")
    site.sql("lis", "CREATE TABLE report (no TEXT PRIMARY KEY, pid TEXT, updated TEXT, final INT, void INT, bgsj TEXT)")
    site.sql("his", "CREATE TABLE person (id TEXT PRIMARY KEY, mzh TEXT, xm TEXT, sfz TEXT, updated TEXT)")
    return site


@pytest.mark.parametrize("workers", [0, 1])
def test_a_record_waits_for_its_partner_and_is_sent_when_it_comes(site: Site, workers: int):
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R2", "2")
    assert site.run(workers) == {"documents": 1, "waiting": 1}
    assert site.waits() == {"R2": 1}

    site.person("2", "乙")
    site.now += timedelta(minutes=2)
    assert site.run(workers)["documents"] == 1
    assert site.waits() == {}
    assert site.run(workers) == {"unchanged": 2}


def test_a_waiting_record_is_seen_in_the_status_and_in_the_log(site: Site):
    site.report("R2", "2")
    site.run()
    with site.app() as app:
        asked = Operations(app)
        assert asked.status()["feeds"][0]["waiting_for_partner"] == 1
        (entry,) = (entry for entry in asked.qc_log() if entry["event"] == "taken")
        assert [waiting[1:] for waiting in entry["waiting"]] == [["R2", ["person"]]]
        assert asked.preview("lab", "R2")["records"][0]["would"] == "waiting"
        assert list(asked.quarantine_list()) == []


def test_it_is_looked_for_less_and_less_often(site: Site):
    site.report("R2", "2")
    site.run()
    site.sql("lis", "INSERT INTO report VALUES ('R9', NULL, '2026-09-30 12:00:00', 0, 0, NULL)")  # beyond the overlap
    site.run()
    asked = []
    for _minute in range(60):
        site.now += timedelta(minutes=1)
        if "waiting" in site.run():
            asked.append(site.now.minute)
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert asked == [2, 6, 14, 30]


def test_in_the_end_it_is_held_with_its_own_finding_and_nothing_else(site: Site):
    site.report("R2", "2")
    site.run()
    site.now += timedelta(hours=2)
    assert site.run() == {"held": 1, "unchanged": 1}  # met again in the overlap: it does not begin to wait anew
    assert site.waits() == {}
    with site.app() as app:
        (case,) = app.spool.cases()
        assert [(one.rule, one.severity) for one in case.findings if one.severity is Severity.HOLD] == [
            ("JOIN-PARTNER-MISSING", Severity.HOLD)
        ]
        assert "patient.name" not in {one.field for one in case.findings}
    assert site.run() == {"unchanged": 1}

    site.person("2", "乙")
    with site.app() as app:
        list(Operations(app).quarantine_release([case.id], "tester"))
        assert app.spool.counts().documents == 1
        assert list(app.spool.cases()) == []


def test_a_region_may_let_it_go_without_what_is_not_required(tmp_path: Path):
    site = make_site(tmp_path, missing="warn")
    site.partner_is_not_required()
    site.report("R2", "2")
    assert site.run() == {"waiting": 1}
    site.now += timedelta(hours=3)
    assert site.run()["documents"] == 1


def test_a_region_cannot_let_it_go_without_what_is_required(tmp_path: Path):
    site = make_site(tmp_path, missing="note")
    site.report("R2", "2")
    site.run()
    site.now += timedelta(hours=3)
    assert site.run()["held"] == 1
    with site.app() as app:
        (case,) = app.spool.cases()
        assert ("DE-MISSING", "patient.name") in {(one.rule, one.field) for one in case.findings}


def test_a_withdrawal_does_not_wait(site: Site):
    site.partner_is_not_required()
    site.person("1", "甲")
    site.report("R1", "1")
    site.run()
    site.sql("his", "DELETE FROM person")
    site.sql("lis", "UPDATE report SET void = 1")
    assert site.run() == {"documents": 1}


def test_a_waiting_record_that_its_source_has_no_more_is_forgotten(site: Site):
    site.report("R2", "2")
    site.run()
    site.sql("lis", "DELETE FROM report")
    site.now += timedelta(minutes=2)
    site.run()
    assert site.waits() == {}


def test_a_partner_that_cannot_be_reached_delays_and_blames_nobody(site: Site):
    site.report("R1", "1")
    moved = (site.folder / "his.db").rename(site.folder / "away.db")
    with pytest.raises(SourceUnreachable, match="source his"):
        site.run()
    assert site.waits() == {}
    with site.app() as app:
        assert app.spool.watermark("lab") is None
        assert list(app.spool.cases()) == []

    moved.rename(site.folder / "his.db")
    site.person("1", "甲")
    assert site.run() == {"documents": 1}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_partner_that_changed_makes_a_version(tmp_path: Path, workers: int):
    site = make_site(tmp_path, more=', changed = "person.changed.sql"')
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R2", "1")
    site.report("R3", "1", minute=59)
    assert site.run(workers) == {"documents": 3}
    assert site.run(workers)["unchanged"] >= 1

    site.person("1", "甲某", minute=30)
    assert site.run(workers)["documents"] == 3
    assert "documents" not in site.run(workers)


def test_without_a_changed_query_nobody_asks(site: Site):
    site.person("1", "甲")
    site.report("R1", "1")
    site.report("R3", None, minute=59)
    site.run()
    site.person("1", "甲某", minute=30)
    assert "documents" not in site.run()


def test_the_queries_of_partners_are_probed(site: Site):
    with site.app() as app:
        app.sources["lis"].probe(app.feeds["lab"].mapping.queries, app.sources)
        site.sql("his", "ALTER TABLE person RENAME COLUMN xm TO name")
        with pytest.raises(ConfigurationError, match="person"):
            app.sources["lis"].probe(app.feeds["lab"].mapping.queries, app.sources)


def test_a_partner_of_an_unknown_source_is_told_at_start(site: Site):
    text = (site.folder / "lab.toml").read_text("utf-8").replace('source = "his"', 'source = "hos"')
    (site.folder / "lab.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"partners\] person: source 'hos'"):
        site.app().open()


def test_partners_are_read_in_chunks_of_keys(site: Site):
    for number in range(80):
        site.person(str(number), f"人{number}")
        site.report(f"R{number}", str(number))
    with site.app() as app:
        app.run_feed("lab", threading.Event())
        assert app.spool.counts().documents == 80
        assert app.sources["his"].usage.statements < 10
