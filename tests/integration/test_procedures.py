"""Stored procedures in place of queries, on real servers, natively and by ODBC: called, pinned, and stopped when changed."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.procedures import Call, ProcedureChanged, ProcedureNotPinned, text_of
from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.errors import SourceRefused
from frontend_agent.mapping_file import Detail, Queries
from tests.integration.test_sources import Hospital, _hospital
from tests.reconciling_kit import platform_process
from tests.servers import READER_PASSWORD

ONE_HOUR = timedelta(hours=1)
TABLES = (
    "CREATE TABLE report (no varchar(20) PRIMARY KEY, xm varchar(50), at {time} NOT NULL)",
    "CREATE TABLE item (no varchar(20), name varchar(50))",
    "CREATE TABLE trail (n int)",
)
POSTGRESQL = (
    "CREATE FUNCTION his_changed(von timestamp, bis timestamp) RETURNS TABLE (changed_at timestamp, report_no varchar)"
    " LANGUAGE sql AS 'SELECT at, no FROM report WHERE at >= von AND at <= bis'",
    "CREATE FUNCTION his_reports(numbers text) RETURNS TABLE (report_no varchar, xm varchar) LANGUAGE sql"
    " AS 'SELECT no, xm FROM report WHERE no IN (SELECT jsonb_array_elements_text(numbers::jsonb))'",
    "CREATE FUNCTION his_items(wanted text) RETURNS TABLE (report_no varchar, name varchar) LANGUAGE sql"
    " AS 'SELECT no, name FROM item WHERE no = wanted'",
    "CREATE FUNCTION his_writes(von timestamp, bis timestamp) RETURNS TABLE (changed_at timestamp, report_no varchar)"
    " LANGUAGE sql AS 'INSERT INTO trail VALUES (1); SELECT at, no FROM report'",
)
MARIADB = (
    "CREATE PROCEDURE his_changed(von datetime(6), bis datetime(6)) READS SQL DATA BEGIN SELECT COUNT(*) AS c FROM report;"
    " SELECT at AS changed_at, no AS report_no FROM report WHERE at >= von AND at <= bis; END",
    "CREATE PROCEDURE his_reports(numbers text) READS SQL DATA SELECT r.no AS report_no, r.xm FROM report r"
    " WHERE JSON_CONTAINS(numbers, JSON_QUOTE(r.no))",
    "CREATE PROCEDURE his_items(wanted text) READS SQL DATA SELECT no AS report_no, name FROM item WHERE no = wanted",
    "CREATE PROCEDURE his_writes(von datetime(6), bis datetime(6)) BEGIN INSERT INTO trail VALUES (1);"
    " SELECT at AS changed_at, no AS report_no FROM report; END",
)
NAMES = ("his_changed", "his_reports", "his_items", "his_writes")
WAYS = [
    "postgres",
    *(pytest.param(way, marks=pytest.mark.slow) for way in ("postgres-odbc", "mariadb", "mariadb-odbc")),
]


@pytest.fixture(params=WAYS)
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    engine, _, odbc = request.param.partition("-")
    made = _hospital(engine, bool(odbc), request, tmp_path)
    time = "timestamp" if engine == "postgres" else "datetime(6)"
    made.write(*(table.format(time=time) for table in TABLES), *(POSTGRESQL if engine == "postgres" else MARIADB))
    for number in range(1, 6):
        made.write(
            f"INSERT INTO report VALUES ('R{number}', '王{number}', '2026-09-30 0{number}:00:00')",
            f"INSERT INTO item VALUES ('R{number}', '项目A'), ('R{number}', '项目B')",
        )
    return made


def queries(hospital: Hospital, changed: str = "his_changed") -> Queries:
    second = 2 if hospital.name == "mariadb" and changed == "his_changed" else 1  # of the results it selects
    calls = {
        "changed": Call(changed, (("", "from"), ("", "to")), (("cursor", "changed_at"), ("key", "report_no")), second),
        "parent": Call("his_reports", (("", "keys"),), (("no", "report_no"), ("patient.name", "xm"))),
        "items": Call("his_items", (("", "key"),), (("no", "REPORT_NO"), ("items.name", "name"))),
    }
    texts = {name: text_of(call) for name, call in calls.items()}
    return Queries(
        key="no", changed=texts["changed"], parent=texts["parent"], details={"items": Detail(texts["items"])}
    )


def pinned(hospital: Hospital, **options: Any) -> Any:
    found = {name: hospital.source().digest_of_procedure(name) for name in NAMES}
    assert len(set(found.values())) == len(NAMES)
    return hospital.source(procedures=found, **options)


def test_what_changed_is_asked_of_a_procedure_by_its_window(hospital: Hospital) -> None:
    source, asked = pinned(hospital), queries(hospital)
    source.probe(asked)

    pages = list(source.changed(asked, None, ONE_HOUR, 2))

    assert [page.keys for page in pages] == [("R1", "R2"), ("R3", "R4"), ("R5",)]
    assert next(iter(source.changed(asked, pages[0].watermark, timedelta(0), 9))).keys == ("R3", "R4", "R5")
    assert list(source.range(asked, datetime(2026, 9, 30, 2), datetime(2026, 9, 30, 4))) == [("R2", "R3")]
    assert source.count(asked, datetime(2026, 9, 30, 2), datetime(2026, 9, 30, 4), 99) == 2


def test_rows_come_by_a_list_of_keys_or_one_call_each(hospital: Hospital) -> None:
    rows = pinned(hospital).rows(queries(hospital), ["R2", "R4"])

    assert rows.parent.columns == ("no", "patient.name")
    assert sorted(rows.parent.rows) == [("R2", "王2"), ("R4", "王4")]
    assert sorted(rows.details["items"].rows) == [("R2", "项目A"), ("R2", "项目B"), ("R4", "项目A"), ("R4", "项目B")]


def test_a_procedure_that_is_not_listed_is_not_called_and_its_digest_is_told(hospital: Hospital) -> None:
    source = hospital.source()
    digest = source.digest_of_procedure("his_changed")

    with pytest.raises(ProcedureNotPinned, match=f'procedures = {{ "his_changed" = "{digest}" }}'):
        list(source.changed(queries(hospital), None, ONE_HOUR))


def test_a_definition_that_changed_stops_the_feed_and_both_digests_are_told(hospital: Hospital) -> None:
    source, asked = pinned(hospital), queries(hospital)
    list(source.changed(asked, None, ONE_HOUR))
    before = source.options.procedures["his_changed"]
    kind = "FUNCTION" if hospital.name == "postgres" else "PROCEDURE"
    changed = (POSTGRESQL if hospital.name == "postgres" else MARIADB)[0].replace("at <= bis", "at < bis")
    hospital.write(f"DROP {kind} his_changed", changed)

    with pytest.raises(ProcedureChanged) as caught:
        list(source.changed(asked, None, ONE_HOUR))

    after = source.digest_of_procedure("his_changed")
    assert before != after
    assert before in str(caught.value)
    assert after in str(caught.value)
    with pytest.raises(ProcedureChanged):
        source.probe(asked)


def test_a_procedure_that_is_gone_is_told(hospital: Hospital) -> None:
    source, asked = pinned(hospital), queries(hospital)
    hospital.write(f"DROP {'FUNCTION' if hospital.name == 'postgres' else 'PROCEDURE'} his_changed")

    with pytest.raises(ProcedureNotPinned, match="cannot be read"):
        source.probe(asked)


def test_a_procedure_that_writes_is_refused_by_the_server(hospital: Hospital, request: pytest.FixtureRequest) -> None:
    source = pinned(hospital)

    with pytest.raises(SourceRefused, match="read-only"):
        list(source.changed(queries(hospital, "his_writes"), None, ONE_HOUR))

    with source.session() as ask:
        assert list(ask("SELECT n FROM trail", (), "parent").rows) == []


def test_a_window_whose_answer_is_too_large_is_halved(hospital: Hospital) -> None:
    hospital.write(
        *(f"INSERT INTO report VALUES ('S{n:04}', 'x', '2026-09-29 {n // 60:02}:{n % 60:02}:00')" for n in range(600))
    )
    source = pinned(hospital, max_bytes=4_000)  # and eight times that for one question: some hundred pairs

    keys = [key for page in source.changed(queries(hospital), None, ONE_HOUR) for key in page.keys]

    assert len(keys) == 605
    assert keys[:2] == ["S0000", "S0001"]


def test_a_missing_result_or_column_is_told(hospital: Hospital) -> None:
    source = pinned(hospital)
    window = (("", "from"), ("", "to"))
    absent = text_of(Call("his_changed", window, (("cursor", "nix"), ("key", "report_no"))))
    fourth = text_of(Call("his_changed", window, (("cursor", "changed_at"), ("key", "report_no")), 4))

    with pytest.raises(SourceRefused, match="has no column nix"):
        list(source.changed(Queries(key="no", changed=absent, parent=""), None, ONE_HOUR))
    if hospital.name == "mariadb":
        with pytest.raises(SourceRefused, match="gave 2 results"):
            list(source.changed(Queries(key="no", changed=fourth, parent=""), None, ONE_HOUR))
    assert source.rows(queries(hospital), ["R1"]).parent.rows == [("R1", "王1")]  # and the connection is of use


# -- through the whole agent --

AGENT = """
[institution]
id = "330100-H1"
name = "试验医院"

[secrets]
folder = "{folder}/secrets"

[sources.his]
url = "{url}"
secret = "his"
procedures = {{ {pinned} }}

[destinations.platform]
url = "{platform}"

[[feeds]]
name = "lab"
source = "his"
mapping = "{folder}/lab.toml"
"""
MAPPING = """
kind = "C0007"
key = "report_number"

[queries]
changed = { procedure = "changed" }
parent = { procedure = "reports" }

[procedures.changed]
name = "his_changed"
parameters = ["von = from", "bis = to"]
columns = { cursor = "changed_at", key = "report_no" }

[procedures.reports]
name = "his_reports"
parameters = ["keys"]
columns = { report_number = "report_no", "patient.name" = "xm" }
"""


def test_a_feed_runs_on_procedures_alone_and_stands_still_when_one_changes(
    postgres: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    hospital = _hospital("postgres", False, request, tmp_path)
    hospital.write(*(table.format(time="timestamp") for table in TABLES), *POSTGRESQL)
    hospital.write(
        "INSERT INTO report VALUES ('R1', '王一', '2026-09-30 08:00'), ('R2', '王二', '2026-09-30 09:00')",
        "GRANT SELECT ON report, item TO reader",
    )
    found = {name: hospital.source().digest_of_procedure(name) for name in NAMES}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "his").write_text(READER_PASSWORD, "utf-8")
    (tmp_path / "secrets" / "his").chmod(0o600)
    (tmp_path / "lab.toml").write_text(MAPPING, "utf-8")
    pinned = ", ".join(f'"{name}" = "{digest}"' for name, digest in found.items())
    url = hospital.options.url.replace("admin@", "reader@")
    with ExitStack() as stack:
        platform = stack.enter_context(platform_process(tmp_path / "platform"))
        text = AGENT.format(folder=tmp_path, url=url, pinned=pinned, platform=platform)
        (tmp_path / "agent.toml").write_text(text, "utf-8")
        app = stack.enter_context(App(load_config(tmp_path / "agent.toml"), tmp_path / "state", alone=True))
        first = app.run_feed("lab", threading.Event())
        assert first.error is None
        assert app.spool.watermark("lab").key == "R2"

        hospital.write("DROP FUNCTION his_reports(text)", POSTGRESQL[1].replace("SELECT no, xm", "SELECT no, no"))
        hospital.write("INSERT INTO report VALUES ('R3', '王三', '2026-09-30 10:00')")
        second = app.run_feed("lab", threading.Event())

    assert second.error is not None
    assert found["his_reports"] in str(second.error)
    assert hospital.source().digest_of_procedure("his_reports") in str(second.error)
