"""What accounts may do: grants as engines tell them, waivers, and what is refused before anything is connected to."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.engines.drivers import grammar_of
from connectors.grants import Grants, Right, judged_mysql, judged_oracle, judged_sqlserver, read_grants
from connectors.statements import tables_in
from frontend_agent.accounts import Accounts, refusal_of, refused_statements, told_of
from frontend_agent.app import App
from frontend_agent.config import Config, SourceConfig, WaiverConfig, parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import compile_feed

TODAY = date(2026, 11, 21)
WRITES = Grants("his_app@%", True, "", (Right("INSERT", "his.patient"),), (), ("REVOKE INSERT ON his.patient FROM …;",))
WAIVER = WaiverConfig(who="信息科 王工", reason="厂商只提供此账号", until=TODAY)


# -- what the engines tell --


def test_reading_is_all_that_mysql_lets_a_reader_do() -> None:
    told = [
        "GRANT USAGE ON *.* TO `reader`@`%` IDENTIFIED BY PASSWORD '*00'",
        "GRANT SELECT, SHOW VIEW ON `his`.* TO `reader`@`%`",
        "GRANT SELECT (`id`, `name`) ON `his`.`patient` TO `reader`@`%`",
        "GRANT PROCESS, REPLICATION CLIENT ON *.* TO `reader`@`%`",
    ]

    assert judged_mysql(told) == ([], [], [])


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION", Right("ALL PRIVILEGES", "*.*")),
        ("GRANT SELECT, INSERT, UPDATE ON `his`.* TO `a`@`%`", Right("INSERT", "`his`.*")),
        ("GRANT SELECT, UPDATE (`a`, `b`) ON `his`.`t` TO `a`@`%`", Right("UPDATE", "`his`.`t` (`a`, `b`)")),
        ("GRANT SELECT, LOCK TABLES ON `his`.* TO `a`@`%`", Right("LOCK TABLES", "`his`.*")),
        ("GRANT SELECT ON `his`.* TO `a`@`%` WITH GRANT OPTION", Right("GRANT OPTION", "`his`.*")),
        ("GRANT FILE ON *.* TO `a`@`%`", Right("FILE", "*.*")),
        ("GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO `a`@`%`", Right("SYSTEM_VARIABLES_ADMIN", "*.*")),
        ("GRANT PROXY ON 'root'@'%' TO 'a'@'%'", Right("PROXY", "'root'@'%'")),
    ],
)
def test_a_right_to_write_is_seen_in_mysqls_grants(line: str, right: Right) -> None:
    writes, _, _ = judged_mysql([line])

    assert right in writes


def test_rights_that_leave_room_are_doubts_and_roles_are_followed() -> None:
    writes, doubts, roles = judged_mysql(
        [
            "GRANT SELECT, EXECUTE, CREATE TEMPORARY TABLES ON `his`.* TO `a`@`%`",
            "GRANT `clerk`@`%`,`nurse`@`%` TO `a`@`%`",
        ]
    )

    assert writes == []
    assert [right.what for right in doubts] == ["EXECUTE", "CREATE TEMPORARY TABLES"]
    assert roles == ["`clerk`@`%`", "`nurse`@`%`"]


SQLSERVER_READER: dict[str, list[tuple[Any, ...]]] = {
    "server": [("CONNECT SQL",), ("VIEW ANY DATABASE",)],
    "database": [("CONNECT",), ("SELECT",), ("VIEW DEFINITION",), ("SHOWPLAN",)],
    "objects": [],
}


def test_sql_server_by_what_fn_my_permissions_answers() -> None:
    """As text; untested against a server."""
    reader = judged_sqlserver("reader", "reader", False, SQLSERVER_READER)
    assert (reader.writes, reader.doubts, reader.mend) == ((), (), ())

    writer = judged_sqlserver(
        "his_app",
        "his_app",
        False,
        {**SQLSERVER_READER, "database": [("CONNECT",), ("INSERT",), ("EXECUTE",)]},
        ["dbo.病人"],
    )
    assert writer.writes == (Right("INSERT", "DATABASE"),)
    assert writer.doubts == (Right("EXECUTE", "DATABASE"),)
    assert "GRANT SELECT ON dbo.病人 TO frontend_reader;" in writer.mend

    assert judged_sqlserver("sa", "dbo", True, {}).writes == (Right("sysadmin"),)
    table = judged_sqlserver("a", "a", False, {"objects": [("UPDATE", "dbo.visit", "public")]})
    assert table.writes == (Right("UPDATE", "dbo.visit", "public"),)


def test_oracle_by_its_session_and_object_privileges() -> None:
    """As text; untested against a server."""
    reader = {
        "session": [("CREATE SESSION",)],
        "objects": [
            ("SELECT", "HIS.PATIENT", "READER"),
            ("READ", "HIS.VISIT", "CLERK"),
            ("EXECUTE", "SYS.DBMS_LOB", "PUBLIC"),
        ],
        "own": [(0,)],
    }
    assert judged_oracle("READER", reader).writes == ()

    assert judged_oracle("HIS", {**reader, "own": [(412,)]}).writes == (Right("OWNER", "tables of its own"),)
    assert judged_oracle("A", {**reader, "session": [("UPDATE ANY TABLE",)]}).writes == (Right("UPDATE ANY TABLE"),)
    role = judged_oracle("A", {**reader, "objects": [("DELETE", "HIS.PATIENT", "CLERK")]})
    assert role.writes == (Right("DELETE", "HIS.PATIENT", "CLERK"),)
    assert role.mend[0].startswith("CREATE USER frontend_reader")
    assert judged_oracle("A", {**reader, "session": [("CREATE TABLE",)]}).doubts == (Right("CREATE TABLE"),)


def test_an_engine_whose_grants_we_cannot_read_says_so_and_is_not_refused() -> None:
    def never() -> Any:
        raise AssertionError("nothing is asked")

    grants = read_grants(never, "iris")

    assert not grants.known
    assert refusal_of("his", SourceConfig(odbc="DSN=x"), grants, TODAY) is None


# -- what we do about it --


def test_an_account_that_can_write_is_refused_with_the_mend() -> None:
    problem = refusal_of("his", SourceConfig(url="mysql://a@b/his"), WRITES, TODAY)

    assert problem is not None
    assert problem.exit_code == 78
    for part in ("INSERT on his.patient", "REVOKE INSERT ON his.patient", "[sources.his]", "doctor his"):
        assert part in str(problem)


def test_a_waiver_holds_until_its_last_day() -> None:
    source = SourceConfig(url="mysql://a@b/his", waiver=WAIVER)

    assert refusal_of("his", source, WRITES, TODAY) is None
    problem = refusal_of("his", source, WRITES, TODAY + timedelta(days=1))
    assert "the waiver of 信息科 王工 ended on 2026-11-21" in str(problem)


def test_the_right_to_acknowledge_is_not_one_to_write() -> None:
    right = Right("UPDATE", "`his`.`changes` (`taken`)")
    grants = Grants("reader", True, "", (right,))

    assert (
        refusal_of("his", SourceConfig(url="mysql://a@b/his", acknowledge=("his.changes.taken=1",)), grants, TODAY)
        is None
    )
    assert refusal_of("his", SourceConfig(url="mysql://a@b/his", acknowledge=("his.changes.read",)), grants, TODAY)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('waiver = { who = "王工", reason = "", until = 2027-01-01 }', "reason is empty"),
        ('waiver = { who = "王工", reason = "x" }', "missing key 'until'"),
        ('waiver = { who = "王工", reason = "x", until = "2027" }', "a day without quotes"),
        ('allow_functions = ["dbo.fn_age("]', "is no name of a function"),
    ],
)
def test_a_waiver_names_who_why_and_until_when(line: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _config(line)

    assert said in "\n".join(getattr(caught.value, "problems", [str(caught.value)]))


class _Source:
    """As much of a source as its account needs."""

    def __init__(self, grants: Grants) -> None:
        self.told, self.times = grants, 0

    def grants(self) -> Grants:
        self.times += 1
        return self.told


def _config(line: str = "", mapping: str = "demo_lis/lab_report", url: str = "sqlite:///x.db") -> Config:
    return parse_config(
        f"""
[institution]
id = "1"
name = "x"
[sources.lis]
url = "{url}"
{line}
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "f"
source = "lis"
mapping = "{mapping}"
"""
    )


def test_grants_are_asked_once_a_day_and_at_every_run_while_they_let_it_write() -> None:
    kept: list[dict[str, Any]] = []
    accounts = Accounts(_config(), lambda: TODAY, lambda name, told: kept.append(told))
    source: Any = _Source(Grants("reader"))
    for _ in range(3):
        accounts.must_only_read({"lis": source}, ["lis"])
    assert source.times == 1

    accounts, source = Accounts(_config(), lambda: TODAY, lambda name, told: kept.append(told)), _Source(WRITES)
    for _ in range(3):
        with pytest.raises(ConfigurationError):
            accounts.must_only_read({"lis": source}, ["lis"])
    assert source.times == 3
    source.told = Grants("reader")
    accounts.must_only_read({"lis": source}, ["lis"])
    assert [told["writes"] for told in kept] == [[], *[["INSERT on his.patient"]] * 3, []]


def test_an_account_that_is_waived_is_asked_once_a_day_as_well() -> None:
    days = [TODAY]
    line = 'waiver = { who = "王工", reason = "x", until = 2026-11-21 }'
    accounts, source = Accounts(_config(line), lambda: days[-1], lambda name, told: None), _Source(WRITES)
    as_any: Any = source
    for _ in range(3):
        accounts.must_only_read({"lis": as_any}, ["lis"])
    assert source.times == 1

    days.append(TODAY + timedelta(days=1))  # its last day is over
    with pytest.raises(ConfigurationError, match="ended on 2026-11-21"):
        accounts.must_only_read({"lis": as_any}, ["lis"])


def test_what_an_account_may_do_is_in_the_quality_log_when_it_changes(tmp_path: Path) -> None:
    config = _config('waiver = { who = "王工", reason = "x", until = 2026-11-21 }')
    with App(config, tmp_path, alone=True) as app:
        told = told_of(config.sources["lis"], WRITES, TODAY)
        assert app.spool.account_seen("lis", told, app.clock())
        assert not app.spool.account_seen("lis", told, app.clock())
        assert app.spool.account_seen(
            "lis", told_of(config.sources["lis"], WRITES, TODAY + timedelta(days=1)), app.clock()
        )

        logged = [entry.body for entry in app.spool.log_entries() if b'"event":"account"' in entry.body]
        assert len(logged) == 2
        assert '"who":"王工"'.encode() in logged[0]
        assert app.spool.account("lis") == {**told, "waiver": {**told["waiver"], "holds": False}}


# -- statements come from local configuration alone --


def _site_mapping(folder: Path, sql: str) -> str:
    (folder / "m.toml").write_text(
        'kind = "C0007"\nkey = "report_number"\n[queries]\nchanged = "c.sql"\nparent = "p.sql"\n', encoding="utf-8"
    )
    (folder / "c.sql").write_text('SELECT t AS "cursor", n AS "key" FROM r', encoding="utf-8")
    (folder / "p.sql").write_text(sql, encoding="utf-8")
    return str(folder / "m.toml")


def test_a_mapping_that_would_write_is_refused_with_its_file_before_anything_is_asked(tmp_path: Path) -> None:
    mapping = _site_mapping(tmp_path, 'SELECT n AS "report_number" FROM r WHERE make_write(n) = 1')
    config = _config(mapping=mapping, url="postgresql://reader@db/his")

    with pytest.raises(ConfigurationError, match=r"p\.sql: would not be sent to source lis: the function make_write"):
        App(config, tmp_path / "state", alone=True).open()
    assert not (tmp_path / "state").exists()

    allowed = _config('allow_functions = ["make_write"]', mapping, "postgresql://reader@db/his")
    feeds = {"f": compile_feed(allowed, allowed.feeds[0], lambda: TODAY)}
    assert list(refused_statements(allowed, feeds)) == []


def test_what_only_the_server_can_say_is_judged_when_it_is_asked(tmp_path: Path) -> None:
    assert grammar_of("", "DSN=his;UID=reader") is None
    assert grammar_of("", "Driver={PostgreSQL Unicode};Server=x") == "postgres"
    assert grammar_of("", "Driver={ODBC Driver 18 for SQL Server};Server=x") == "tsql"
    assert grammar_of("", "Driver=libmaodbc.so;Server=x") == "mysql"
    assert grammar_of("oracle://reader@x/s", "") == "oracle"
    assert grammar_of("mssql://reader@x/s", "") == "tsql"


def test_tables_of_a_query_are_known_whatever_engine_it_is_for() -> None:
    assert tables_in('SELECT a AS "x" FROM his.visit v JOIN "患者" p ON p.id = v.p') == {"his.visit", "患者"}
    assert tables_in("SELECT TOP 5 a FROM dbo.[病人] WITH (NOLOCK)") == {"dbo.病人"}
    assert tables_in("WITH t AS (SELECT 1 AS a FROM b) SELECT a FROM t") == {"b"}
    assert tables_in("no query at all (") == set()
