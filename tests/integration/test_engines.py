"""What the engines table says, asked back from real servers: natively and through their ODBC drivers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.errors import SourceUnreachable
from tests.integration.test_sources import Hospital, Mapped, _hospital

SECOND = timedelta(seconds=1)
LONG = "长" * 300_000
WAYS = [
    "postgres",
    *(pytest.param(way, marks=pytest.mark.slow) for way in ("postgres-odbc", "mariadb", "mariadb-odbc")),
]


@pytest.fixture(params=WAYS)
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    engine, _, odbc = request.param.partition("-")
    return _hospital(engine, bool(odbc), request, tmp_path)


def told(source: Any, sql: str) -> Any:
    """What the server answers on our own connection, past everything that judges statements: a test's question."""
    with source._lock:
        return list(source._driver.fetched(source._connected(), sql, (), source._room).rows)


# -- the session --

EXPECTED = {
    "postgres": {
        "SELECT current_setting('transaction_read_only')": "on",
        "SELECT current_setting('transaction_isolation')": "repeatable read",
        "SELECT current_setting('statement_timeout')": "20s",
        "SELECT current_setting('lock_timeout')": "3s",
        "SELECT current_setting('idle_in_transaction_session_timeout')": "7s",
        "SELECT current_setting('client_connection_check_interval')": "1s",
        "SELECT current_setting('TimeZone')": "Asia/Shanghai",
        "SELECT current_setting('application_name')": "frontend-agent",
    },
    "mariadb": {
        "SELECT @@tx_read_only": 1,
        "SELECT @@tx_isolation": "REPEATABLE-READ",
        "SELECT CAST(@@max_statement_time AS CHAR)": "20.000000",
        "SELECT @@lock_wait_timeout": 3,
        "SELECT @@idle_transaction_timeout": 7,
        "SELECT @@time_zone": "+08:00",
    },
}


def test_the_server_itself_says_that_we_are_guests(hospital: Hospital) -> None:
    source = hospital.source(statement_timeout=20 * SECOND, lock_timeout=3 * SECOND, idle_timeout=7 * SECOND)

    said = {question: told(source, question)[0][0] for question in EXPECTED[hospital.name]}

    assert said == EXPECTED[hospital.name]
    assert source.unheard == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO t VALUES (1)", "UPDATE t SET k = 2", "DELETE FROM t", "CREATE TABLE u (k int)", "DROP TABLE t"],
)
def test_the_server_itself_refuses_a_write(hospital: Hospital, statement: str) -> None:
    hospital.write("CREATE TABLE t (k int)", "INSERT INTO t VALUES (7)")
    source: Any = hospital.source()
    told(source, "SELECT 1")

    with pytest.raises(source._driver.errors) as caught:
        told(source, statement)

    assert source._driver.said(caught.value)[0] in ("25006", "1792")
    source.close()
    assert told(source, "SELECT k FROM t") == [(7,)]


def test_the_session_has_a_number_by_which_it_can_be_ended(hospital: Hospital) -> None:
    source: Any = hospital.source()
    number = source.session_id()

    hospital.write(source.engine.kill.format(id=number))

    with pytest.raises(source._driver.errors):
        told(source, "SELECT 1")
    source.close()
    assert source.session_id() != number


# -- time-outs that act --


@contextlib.contextmanager
def _locked(hospital: Hospital, request: pytest.FixtureRequest) -> Iterator[None]:
    """The hospital changes the table `t`, and takes its time."""
    server = request.getfixturevalue(hospital.name)
    database = (
        hospital.options.url.rpartition("/")[2] or hospital.options.odbc.partition("Database=")[2].partition(";")[0]
    )
    with contextlib.closing(server.connect(database)) as connection, contextlib.closing(connection.cursor()) as cursor:
        if hospital.name == "postgres":
            connection.autocommit = False
            cursor.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        else:
            cursor.execute("LOCK TABLES t WRITE")
        yield


def test_we_do_not_queue_behind_a_lock(hospital: Hospital, request: pytest.FixtureRequest) -> None:
    hospital.write("CREATE TABLE t (k int)", "INSERT INTO t VALUES (7)")
    source = hospital.source(lock_timeout=SECOND)
    mapped = Mapped(parent='SELECT k AS "report_number" FROM t', details={})
    source.probe()

    with _locked(hospital, request):
        started = time.monotonic()
        with pytest.raises(SourceUnreachable, match="holds a lock"):
            source.rows(mapped, ["7"])
        waited = time.monotonic() - started

    assert 0.9 < waited < 4
    assert source.rows(mapped, ["7"]).parent.rows == [(7,)]


def test_a_transaction_in_which_we_are_silent_is_ended_by_the_server(
    hospital: Hospital, request: pytest.FixtureRequest
) -> None:
    hospital.write("CREATE TABLE t (k int)", "INSERT INTO t VALUES (7)")
    source: Any = hospital.source(idle_timeout=SECOND)
    number = source.session_id()
    server = request.getfixturevalue(hospital.name)
    listed = {
        "postgres": "SELECT count(*) FROM pg_stat_activity WHERE pid = {}",
        "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE id = {}",
    }[hospital.name].format(number)

    with source.session() as ask:
        ask("SELECT k FROM t", (), "parent")
        time.sleep(2.5)
        with contextlib.closing(server.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(listed)
            assert cursor.fetchone()[0] == 0
        with pytest.raises(SourceUnreachable):
            ask("SELECT k FROM t", (), "parent")

    assert told(source, "SELECT k FROM t") == [(7,)]


def test_a_statement_can_be_ended_from_another_thread(hospital: Hospital) -> None:
    source: Any = hospital.source()
    source.probe()
    failed: list[Exception] = []

    def ask_slowly() -> None:
        try:
            told(source, {"postgres": "SELECT pg_sleep(30)", "mariadb": "SELECT SLEEP(30)"}[hospital.name])
        except source._driver.errors as error:
            failed.append(error)
            source._driver.rollback(source._connection)

    thread = threading.Thread(target=ask_slowly)
    started = time.monotonic()
    thread.start()
    time.sleep(0.5)
    source.interrupt()
    thread.join(35)

    assert time.monotonic() - started < 10
    assert told(source, "SELECT 1") == [(1,)]


# -- every type --

NUMBERS = {
    "smallint": ("-32768", -32768),
    "integer": ("2147483647", 2147483647),
    "bigint": ("9223372036854775807", 9223372036854775807),
    "numeric(19,0)": ("1985612312345678901", Decimal("1985612312345678901")),
    "numeric(20,6)": ("0.1", Decimal("0.100000")),
    "double precision": ("0.1", 0.1),
}
TEXTS = {
    "char(4)": ("'中文'", "中文"),
    "varchar(20)": ("'𠮷😀'", "𠮷😀"),
}
TIMES = {
    "date": ("'1949-10-01'", date(1949, 10, 1)),
    "time": ("'08:15:30'", clock(8, 15, 30)),
}
TYPES = {
    "postgres": NUMBERS
    | TEXTS
    | TIMES
    | {
        "char(4)": ("'中文'", "中文  "),
        "numeric": ("12345678901234567890.123456789012", Decimal("12345678901234567890.123456789012")),
        "real": ("1.5", 1.5),
        "boolean": ("true", True),
        "text": ("repeat('长', 300000)", LONG),
        "bytea": ("'\\x00ff'", b"\x00\xff"),
        "timestamp": ("'2026-09-30 08:15:30.123456'", datetime(2026, 9, 30, 8, 15, 30, 123456)),
        "interval": ("'1 day 02:00'", "1 day 02:00:00"),
        "uuid": ("'0B0E7A3C-2F55-4C43-9D0A-0C7F0F2F6A11'", "0b0e7a3c-2f55-4c43-9d0a-0c7f0f2f6a11"),
        "json": ("'{\"a\": 1}'", '{"a": 1}'),
        "jsonb": ("'{\"a\": 1}'", '{"a": 1}'),
        "bit(3)": ("B'101'", "101"),
        "text[]": ("ARRAY['a', '中']", "{a,中}"),
        "xml": ("'<a>中</a>'", "<a>中</a>"),
        "inet": ("'10.0.0.1'", "10.0.0.1"),
        "oid": ("42", 42),
    },
    "mariadb": NUMBERS
    | TEXTS
    | TIMES
    | {
        "tinyint": ("-128", -128),
        "tinyint unsigned": ("255", 255),
        "int unsigned": ("4294967295", 4294967295),
        "bigint unsigned": ("18446744073709551615", 18446744073709551615),
        "decimal(38,10)": ("1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
        "float": ("1.5", 1.5),
        "bit(1)": ("b'1'", 1),
        "longtext": ("repeat('长', 300000)", LONG),
        "longblob": ("x'00ff'", b"\x00\xff"),
        "binary(4)": ("x'00ff0000'", b"\x00\xff\x00\x00"),
        "datetime": ("'2026-09-30 08:15:30'", datetime(2026, 9, 30, 8, 15, 30)),
        "datetime(6)": ("'2026-09-30 08:15:30.123456'", datetime(2026, 9, 30, 8, 15, 30, 123456)),
        "year": ("2026", 2026),
        "json": ("'{\"a\": 1}'", '{"a": 1}'),
        "enum('男','女')": ("'男'", "男"),
        "set('a','b')": ("'a,b'", "a,b"),
    },
}  # fmt: skip


def test_every_type_arrives_whole_and_as_what_it_is(hospital: Hospital) -> None:
    types = TYPES[hospital.name]
    columns = ", ".join(f"c{number} {kind} NULL" for number, kind in enumerate(types))
    hospital.write(
        f"CREATE TABLE t (k int, {columns})",
        f"INSERT INTO t VALUES (1, {', '.join(value for value, _ in types.values())})",
        f"INSERT INTO t VALUES (2{', NULL' * len(types)})",
    )
    source = hospital.source()
    named = ", ".join(f"c{number}" for number in range(len(types)))
    mapped = Mapped(parent=f'SELECT k AS "report_number", {named} FROM t', details={})

    full, empty = sorted(source.rows(mapped, ["1", "2"]).parent.rows, key=lambda row: row[0])

    arrived = dict(zip(types, full[1:], strict=True))
    assert arrived == {kind: value for kind, (_, value) in types.items()}
    assert not [
        kind for kind, value in arrived.items() if isinstance(value, float) != isinstance(types[kind][1], float)
    ]
    assert set(empty[1:]) == {None}


def test_a_time_that_is_a_duration_stops_nobody(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for odbc in (False, True):
        hospital = _hospital("mariadb", odbc, request, tmp_path)
        hospital.write("CREATE TABLE t (k int, d time)", "INSERT INTO t VALUES (1, '-36:00:00')")
        mapped = Mapped(parent="SELECT k AS report_number, d FROM t", details={})

        assert hospital.source().rows(mapped, ["1"]).parent.rows == [(1, "-36:00:00")]


def test_names_in_chinese_and_mixed_case(hospital: Hospital) -> None:
    quote = "`" if hospital.name == "mariadb" else '"'
    hospital.write(
        "CREATE TABLE [检验 Report] ([报告号] int, [患者Name] varchar(20))".replace("[", quote).replace("]", quote),
        "INSERT INTO [检验 Report] VALUES (1, '王')".replace("[", quote).replace("]", quote),
    )
    sql = "SELECT [报告号] AS [报告 No], [患者Name] FROM [检验 Report]".replace("[", quote).replace("]", quote)
    mapped = Mapped(parent=sql, key="报告 No", details={})

    rows = hospital.source().rows(mapped, ["1"]).parent

    assert (rows.columns, rows.rows) == (("报告 No", "患者Name"), [(1, "王")])
