"""What the doctor makes of words: drivers' errors, plans, texts and dates. Of engines we have no server of, as text."""

from __future__ import annotations

import errno
import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.doctor import locks, plans, reading
from connectors.doctor.reaching import address_of, entry, line
from frontend_agent.cli.texts_doctor import AILMENTS

SHANGHAI = ZoneInfo("Asia/Shanghai")
ROOT = Path(__file__).resolve().parents[2]

# (url, odbc, code, what the driver says, what it is). The messages of SQL Server, Oracle and their drivers are from their
# documentation and issue trackers: untested against a server.
SAID = [
    ("", "Driver={ODBC Driver 18 for SQL Server};Server=x", "01000", "[unixODBC][Driver Manager]Can't open lib 'ODBC Driver 18 for SQL Server' : file not found (0) (SQLDriverConnect)", "driver.none"),
    ("", "DSN=his;UID=reader", "IM002", "[unixODBC][Driver Manager]Data source name not found and no default driver specified (0)", "driver.none"),
    ("oracle://reader@db/s", "", "", "DPY-3010: connections to this database server version are not supported by python-oracledb in thin mode", "oracle.thin"),
    ("oracle://reader@db/s", "", "", "ORA-28040: No matching authentication protocol", "oracle.thin"),
    ("oracle://reader@db/s", "", "", "DPY-3001: Native Network Encryption and Data Integrity is only supported in python-oracledb thick mode", "oracle.encryption"),
    ("oracle://reader@db/s", "", "", "DPY-3015: password verifier type 0x939 is not supported by python-oracledb in thin mode", "oracle.verifier"),
    ("oracle://reader@db/s", "", "", 'DPY-6001: cannot connect to database. Service "his" is not registered with the listener at host "db" port 1521. (Similar to ORA-12514)', "oracle.service"),
    ("oracle://reader@db/s", "", "", "ORA-01017: invalid username/password; logon denied", "login.refused"),
    ("oracle://reader@db/s", "", "", "ORA-28000: the account is locked", "login.locked"),
    ("oracle://reader@db/s", "", "", 'DPI-1047: Cannot locate a 64-bit Oracle Client library: "libclntsh.so: cannot open shared object file"', "oracle.client"),
    ("mssql://reader@db/his", "", "08001", "[Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A000102:SSL routines::unsupported protocol] (-1)", "tls.old"),
    ("mssql://reader@db/his", "", "08001", "[Microsoft][ODBC Driver 17 for SQL Server]SSL Provider: [error:1425F102:SSL routines:ssl_choose_client_version:unsupported protocol] (-1)", "tls.old"),
    ("mssql://reader@db/his", "", "08001", "[Microsoft][ODBC Driver 17 for SQL Server]TCP Provider: Error code 0x2746 (10054)", "tls.old"),
    ("mssql://reader@db/his", "", "08001", "[Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A00018A:SSL routines::dh key too small] (-1)", "tls.old"),
    ("mssql://reader@db/his", "", "08001", "[Microsoft][ODBC Driver 18 for SQL Server]SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate] (-1)", "tls.untrusted"),
    ("mssql://reader@db/his", "", "28000", "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Login failed for user 'reader'. (18456)", "login.refused"),
    ("mssql://reader@db/his", "", "42000", "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Cannot open database \"his\" requested by the login. The login failed. (4060)", "login.database"),
    ("mssql://reader@db/his", "", "HYT00", "[Microsoft][ODBC Driver 18 for SQL Server]Login timeout expired (0)", "driver.silent"),
    ("postgresql://r@db/his", "", "28000", 'no pg_hba.conf entry for host "10.0.0.9", user "r", database "his", no encryption', "login.machine"),
    ("postgresql://r@db/his", "", "53300", "sorry, too many clients already", "login.full"),
    ("mariadb://r@db/his", "", "1130", "Host '10.0.0.9' is not allowed to connect to this MariaDB server", "login.machine"),
    ("mariadb://r@db/his", "", "1040", "Too many connections", "login.full"),
    ("mariadb://r@db/his", "", "1049", "Unknown database 'his'", "login.database"),
    ("mariadb://r@db/his", "", "9999", "something nobody foresaw", "driver.other"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "odbc", "code", "text", "found"), SAID)
def test_what_a_driver_says_is_understood_and_none_of_it_passed_on(
    url: str, odbc: str, code: str, text: str, found: str
) -> None:
    ailment = entry(code, text, url, odbc, ("PostgreSQL Unicode", "SQLite3"), "db:1")

    assert ailment.code == found
    shown = AILMENTS[found][0].format(**ailment.values) + AILMENTS[found][1].format(**ailment.values)
    assert "reader" not in shown
    assert "10.0.0.9" not in shown


def test_a_missing_driver_names_its_package_and_those_there_are() -> None:
    assert "msodbcsql18" in entry("01000", "Can't open lib", "mssql://r@d/x", "").mend[0]
    assert "达梦" in entry("IM002", "", "", "Driver={DM8 ODBC DRIVER};Server=x").mend[0]
    assert "人大金仓" in entry("IM002", "", "", "Driver={KingbaseES 8 ODBC Driver};Server=x").mend[0]
    assert entry("IM002", "", "", "DSN=x", ("B", "A")).values["drivers"] == "A, B"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "reach.refused"),
        (TimeoutError("timed out"), "reach.silent"),
        (OSError(errno.EHOSTUNREACH, "x"), "reach.forbidden"),
        (OSError(errno.ENETUNREACH, "x"), "reach.no_route"),
        (OSError(errno.ENOBUFS, "x"), "reach.other"),
    ],
)
def test_each_way_of_not_being_reached_is_told_apart(error: OSError, code: str) -> None:
    def connect(*_: object, **__: object) -> object:
        raise error

    found = line("postgresql://r@db/his", "", 3.0, resolve=lambda *_, **__: [], connect=connect)
    assert found is not None
    assert (found.code, found.where) == (code, "db:5432")


def test_an_address_is_read_from_url_and_connection_string() -> None:
    assert address_of("mariadb://r@10.0.0.5/lis", "") == ("10.0.0.5", 3306)
    assert address_of("oracle://r@db:1522/s", "") == ("db", 1522)
    assert address_of("", "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db,1435;Database=x") == ("db", 1435)
    assert address_of("", "Driver={PostgreSQL Unicode};Server=db;Port=5433") == ("db", 5433)
    assert address_of("", "DSN=his;UID=reader") is None
    assert address_of("sqlite:///x.db", "") is None


# -- plans --


def test_a_cursor_is_followed_to_its_column_through_unions_and_aliases() -> None:
    sql = (
        'SELECT COALESCE(e.update_time, e.create_time) AS "cursor", e.id AS "key" FROM adm_encounter e'
        " UNION ALL SELECT p.update_time, e.id FROM his.adm_patient p JOIN adm_encounter e ON e.patient_id = p.id"
        " UNION ALL SELECT t, id FROM log"
    )

    found = plans.cursor_columns(sql, "postgres")
    assert [(one.table, one.columns) for one in found] == [
        ("adm_encounter", ("update_time", "create_time")), ("his.adm_patient", ("update_time",)), ("log", ("t",)),
    ]  # fmt: skip
    assert plans.index_text("postgresql", found[0]) == (
        "CREATE INDEX CONCURRENTLY ix_adm_encounter_update_time_create_time ON adm_encounter"
        " ((COALESCE(update_time, create_time)));"
    )
    assert plans.index_text("mariadb", found[1]) == (
        "ALTER TABLE his.adm_patient ADD INDEX ix_adm_patient_update_time (update_time), ALGORITHM=INPLACE, LOCK=NONE;"
    )
    assert plans.index_text("sqlserver", found[2]) == "CREATE INDEX ix_log_t ON log (t) WITH (ONLINE = ON);"
    assert plans.index_text("oracle", found[2]) == "CREATE INDEX ix_log_t ON log (t) ONLINE;"


def test_plans_are_read_as_each_engine_writes_them() -> None:
    tree = '[{"Plan": {"Node Type": "Sort", "Total Cost": 9.5, "Plan Rows": 3, "Plans": [{"Node Type": "Seq Scan", "Relation Name": "visit", "Alias": "v", "Plan Rows": 3}]}}]'
    assert plans.read_plan("postgresql", ("p",), [(tree,)], {"visit": 50_000.0}) == plans.Plan(
        {"visit": 50_000.0, "v": 50_000.0}, 9.5
    )

    rows = [(1, "PRIMARY", "v", "ALL", None, 40_000), (1, "PRIMARY", "p", "eq_ref", "PRIMARY", 1)]
    assert plans.read_plan("mariadb", ("id", "select_type", "table", "type", "key", "rows"), rows, {}).whole == {
        "v": 40_000.0
    }

    details = [
        (1, 0, 0, "SCAN v"),
        (2, 0, 0, "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"),
        (3, 0, 0, "SCAN CONSTANT ROW"),
    ]
    assert plans.read_plan("sqlite", ("a",), details, {"v": 7.0}).whole == {"v": 7.0}


def test_an_engine_whose_plans_we_do_not_know_is_asked_for_none() -> None:
    assert plans.explain_text("oracle", "SELECT 1 FROM DUAL") == ""  # EXPLAIN PLAN FOR writes into PLAN_TABLE
    assert plans.explain_text("sqlserver", "SELECT 1") == ""


def test_sql_server_without_row_versions_is_told_with_its_mend() -> None:
    """As text; untested against a server."""
    assert locks.sqlserver(("his", True, 1))[0].severity == "fine"
    found = locks.sqlserver(("his", False, 0))[0]
    assert found.mend == ("ALTER DATABASE [his] SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK AFTER 30 SECONDS;",)


def test_a_serializable_session_locks_what_it_reads() -> None:
    assert [one.code for one in locks.mysql(("SERIALIZABLE", 1), [], [])] == ["lock.serializable"]


# -- texts and dates --

TEXTS = ("内科门诊", "检验科室", "住院病区", "门诊医师", "欧阳青莲")


@pytest.mark.parametrize(("read", "right"), [("latin-1", "gb18030"), ("latin-1", "utf-8"), ("gb18030", "utf-8")])
def test_text_in_the_wrong_character_set_is_recognised_by_what_it_becomes(read: str, right: str) -> None:
    found = reading.text_ailment(
        "q.name", [text.encode(right).decode(read, "replace") for text in TEXTS], True, "other"
    )

    assert found is not None
    assert (found.code, found.values["read"], found.values["right"]) == ("text.misread", read, right)
    assert found.mend == (f'encoding = "{right}"',)
    assert len(found.values["after"]) <= 2
    assert set(found.values["after"]) <= reading.HARMLESS


def test_no_character_of_a_name_is_ever_shown() -> None:
    names = [name.encode("gb18030").decode("latin-1") for name in ("欧阳青莲", "司马文清", "诸葛明月")]

    found = reading.text_ailment("q.name", names, True, "other")
    assert found is not None
    assert (found.values["before"], found.values["after"]) == ("□□", "□")


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        ("Müller", "Grün", "Straße", "Façade"),
        ("μmol/L", "×10⁹/L", "°C", "±2"),
        ("阴性(-)", "＋＋", "A型Rh(D)阳性", "10％"),
        ("plain", "ascii", "only", "???"),
    ],
)
def test_what_reads_as_it_should_is_left_alone(texts: tuple[str, ...]) -> None:
    for odbc in (False, True):
        assert reading.text_ailment("q.name", texts * 3, odbc, "other") is None


def test_dates_that_lost_their_zone_are_a_day_early() -> None:
    naive = [datetime(1989, 12, day, 16) for day in range(1, 20)]
    found = reading.date_ailment("q.born", naive, SHANGHAI, "mariadb")
    assert found is not None
    assert (found.code, found.mend) == ("date.utc", ("DATE_ADD(born, INTERVAL 8 HOUR)",))

    aware = [value.replace(tzinfo=UTC) for value in naive]
    found = reading.date_ailment("q.born", aware, SHANGHAI, "postgresql")
    assert found is not None
    assert found.code == "date.instant"

    for moments in (
        [datetime(2026, 1, day) for day in range(1, 20)],
        [datetime(2026, 1, day, 16, day) for day in range(1, 20)],
        [datetime(2026, 1, 1, 16)] * 20,
        [datetime(2026, 1, day, 3, 4, tzinfo=SHANGHAI) for day in range(1, 20)],
    ):
        assert reading.date_ailment("q.born", moments, SHANGHAI) is None


def test_clocks() -> None:
    ours = datetime(2026, 1, 1, 12)
    for seconds, code, severity in (
        (2, "clock.fine", "fine"),
        (-20, "clock.skew", "doubt"),
        (300, "clock.skew", "wrong"),
        (-28_800, "clock.zone", "wrong"),
    ):
        found = reading.clock_ailment("his", ours + timedelta(seconds=seconds), ours)
        assert (found.code, found.severity) == (code, severity)


# -- the sentences --


def test_every_finding_has_a_sentence_in_both_languages_with_the_same_values() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "connectors/doctor").glob("*.py"))
    sources += (ROOT / "frontend_agent/examining.py").read_text("utf-8")
    used = set(
        re.findall(
            r'"((?:reach|driver|oracle|tls|login|account|clock|lock|query|plan|text|date|write|feed|step|networks)\.[a-z_]+)"',
            sources,
        )
    )
    used |= {"write.session", "write.grants"}

    assert used - set(AILMENTS) == set()
    assert set(AILMENTS) - used == set()
    for english, chinese in AILMENTS.values():
        names = [
            sorted(name for _, name, _, _ in string.Formatter().parse(text) if name) for text in (english, chinese)
        ]
        assert names[0] == names[1]
