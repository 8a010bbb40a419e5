"""The engines table without servers: who is recognised, what drivers are told, how values are bound and read."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import oracledb
import pyodbc
import pytest

import connectors.natives
import connectors.odbc
from connectors import SourceOptions, open_source
from connectors.engines import ENGINES, engine_named, engine_of, version_of
from connectors.engines.drivers import completed, driver_in, sql_server_driver, sql_server_string
from connectors.engines.types import SQL_SERVER
from connectors.natives import Oracledb
from connectors.odbc import bound_as
from connectors.refusals import explained
from connectors.sql import url_of
from frontend_agent.errors import ConfigurationError, SourceRefused, SourceUnreachable
from tests.ports import free_port

OPTIONS = SourceOptions(connect_timeout=timedelta(seconds=2))


@pytest.mark.parametrize(
    ("product", "engine"),
    [
        ("PostgreSQL 16.3", "postgresql"),
        ("KingbaseES", "kingbase"),
        ("openGauss 5.0", "opengauss"),
        ("GaussDB", "opengauss"),
        ("MariaDB 10.11.06", "mariadb"),
        ("5.5.5-10.11.6-MariaDB", "mariadb"),
        ("MySQL 8.4.0", "mysql"),
        ("MySQL 5.7.25-OceanBase-v4.2", "oceanbase"),
        ("SQLite", "sqlite"),
        ("Microsoft SQL Server", "sqlserver"),
        ("Oracle", "oracle"),
        ("DM DBMS", "dameng"),
        ("DM8", "dameng"),
        ("Admin Tool", "other"),
        ("GBase 8s", "gbase8s"),
        ("Informix", "gbase8s"),
        ("GBase 8a", "gbase8a"),
        ("InterSystems IRIS", "iris"),
        ("Cache", "iris"),
        ("OSCAR", "oscar"),
        ("Adaptive Server Enterprise", "sybase"),
        ("Firebird", "other"),
    ],
)
def test_an_engine_is_known_by_its_name(product: str, engine: str) -> None:
    assert engine_of(product).name == engine


def test_engines_have_different_names_and_only_three_claim_a_server() -> None:
    assert len({engine.name for engine in ENGINES}) == len(ENGINES)
    assert {engine.name for engine in ENGINES if engine.tested} == {"postgresql", "mariadb", "sqlite"}


@pytest.mark.parametrize(
    ("text", "version"),
    [("11.02.0040", (11, 2, 40)), ("10.11.6-MariaDB", (10, 11, 6)), ("16.3 (Debian)", (16, 3)), ("", ()), ("x", ())],
)
def test_a_version_is_its_numbers(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_oracle_of_an_unknown_version_is_asked_as_the_oldest() -> None:
    oracle = engine_named("oracle")

    assert "ROWNUM" in oracle.dialect(()).select("a", "FROM t", 5)
    assert "ROWNUM" in oracle.dialect((11, 2)).select("a", "FROM t", 5)
    assert oracle.dialect((12, 1)).select("a", "FROM t", 5) == "SELECT a FROM t\nFETCH FIRST 5 ROWS ONLY"


# -- ODBC drivers --


def test_the_newest_driver_of_microsoft_is_taken_then_freetds() -> None:
    both = ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server", "SQLite3"]

    assert sql_server_driver(both) == "ODBC Driver 18 for SQL Server"
    assert sql_server_driver(["SQLite3", "FreeTDS"]) == "FreeTDS"
    assert sql_server_driver(["SQLite3"]) == ""


def test_a_sql_server_url_becomes_a_connection_string() -> None:
    newest = sql_server_string("ODBC Driver 18 for SQL Server", "10.0.0.5", None, "his", "reader", {"Encrypt": "no"})
    free = sql_server_string("FreeTDS", "10.0.0.5", 1444, "hi;s", "reader", {})

    assert newest == "Driver={ODBC Driver 18 for SQL Server};Server=10.0.0.5,1433;Database=his;UID=reader;Encrypt=no"
    assert free == "Driver={FreeTDS};Server=10.0.0.5;Port=1444;Database={hi;s};UID=reader"
    assert "Trusted_Connection=yes" in sql_server_string("ODBC Driver 17 for SQL Server", "h", None, "d", "", {})


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("psqlodbcw.so", "UseDeclareFetch=1"),
        ("PostgreSQL Unicode", "BoolsAsChar=0"),
        ("MariaDB Unicode", "CONN_TIMEOUT=2"),
        ("SQLite3", "BigInt=1"),
        ("FreeTDS", "TDS_Version=7.4"),
        ("ODBC Driver 18 for SQL Server", "ApplicationIntent=ReadOnly"),
        ("/opt/gbase8s/lib/cli/libgbasedbtcli.so iclit09b.so", "DELIMIDENT=y"),
    ],
)
def test_a_driver_is_told_what_it_needs(library: str, told: str) -> None:
    assert f";{told}" in completed("Server=h;", library, OPTIONS, 5.0)


def test_what_the_site_says_itself_stays() -> None:
    text = completed("Driver={FreeTDS};Server=h;tds_version = 7.1", "FreeTDS", OPTIONS, 5.0)

    assert "7.4" not in text
    assert text.count("ApplicationIntent") == 1
    assert completed("DSN=dm;UID=r", "libdodbc.so", OPTIONS, 5.0) == "DSN=dm;UID=r"


def test_driver_and_data_source_are_read_from_a_connection_string() -> None:
    assert driver_in("DRIVER={DM8 ODBC DRIVER};Server=h") == ("DM8 ODBC DRIVER", "")
    assert driver_in("uid=r; dsn = his ;x=1") == ("", "his")


def test_sql_server_without_any_driver_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors.odbc.pyodbc, "drivers", lambda: ["SQLite3"])

    with pytest.raises(ConfigurationError, match="msodbcsql18, or the package tdsodbc"):
        open_source("his", SourceOptions(url="mssql://reader@h/d"))


@pytest.mark.skipif("FreeTDS" not in pyodbc.drivers(), reason="the ODBC driver FreeTDS is not installed")
def test_a_sql_server_that_is_not_there_is_unreachable_by_the_real_driver() -> None:
    source = open_source("his", SourceOptions(url=f"mssql://reader@127.0.0.1:{free_port()}/d"), "pw")

    with pytest.raises(SourceUnreachable, match="cannot be reached"):
        source.probe()


# -- parameters --

MOMENT = datetime(2026, 9, 30, 8, 15, 30, 7000)


def test_sql_server_gets_times_as_text_and_plain_text_as_varchar() -> None:
    values, sizes = bound_as(engine_named("sqlserver"), [MOMENT, MOMENT.replace(microsecond=7123), "R1", "王", 7])

    assert values == ["2026-09-30T08:15:30.007", "2026-09-30T08:15:30.007123", "R1", "王", 7]
    assert [size and size[0] for size in sizes] == [pyodbc.SQL_VARCHAR] * 3 + [None, None]


def test_mariadb_gets_times_as_text_and_others_get_what_there_is() -> None:
    assert bound_as(engine_named("mariadb"), [MOMENT, "R1"]) == (["2026-09-30 08:15:30.007000", "R1"], [])
    assert bound_as(engine_named("postgresql"), [MOMENT, "R1"]) == ([MOMENT, "R1"], [])


def test_a_datetimeoffset_keeps_its_zone() -> None:
    data = struct.pack("<6hI2h", 2026, 9, 30, 8, 15, 30, 123_456_700, 8, 0)

    read = SQL_SERVER[-155](data)

    assert read == datetime(2026, 9, 30, 8, 15, 30, 123456, timezone(timedelta(hours=8)))


# -- Oracle natively: the driver is real, the server is not --


def oracle(options: SourceOptions = OPTIONS) -> Oracledb:
    return Oracledb("his", options, url_of("his", "oracle://reader@10.0.0.5:1521/orcl"))


class _Cursor:
    """What python-oracledb asks an output type handler for."""

    arraysize = 500

    def var(self, kind: Any, arraysize: int) -> Any:
        return kind


@pytest.mark.parametrize(
    ("kind", "precision", "scale", "read"),
    [
        ("DB_TYPE_NUMBER", 19, 0, int),
        ("DB_TYPE_NUMBER", 20, 6, Decimal),
        ("DB_TYPE_NUMBER", 0, -127, Decimal),  # NUMBER without anything: an id of nineteen digits, or a fraction
        ("DB_TYPE_CLOB", None, None, oracledb.DB_TYPE_LONG),
        ("DB_TYPE_NCLOB", None, None, oracledb.DB_TYPE_LONG_NVARCHAR),
        ("DB_TYPE_BLOB", None, None, oracledb.DB_TYPE_LONG_RAW),
        ("DB_TYPE_VARCHAR", None, None, None),
        ("DB_TYPE_DATE", None, None, None),
    ],
)
def test_oracle_columns_are_read_exactly_and_whole(kind: str, precision: Any, scale: Any, read: Any) -> None:
    column = SimpleNamespace(type_code=getattr(oracledb, kind), precision=precision, scale=scale, name="C")

    assert oracle()._reader(_Cursor(), column) is read


def test_an_oracle_time_with_a_zone_is_refused_with_the_cast_that_mends_it() -> None:
    column = SimpleNamespace(type_code=oracledb.DB_TYPE_TIMESTAMP_TZ, precision=None, scale=None, name="SHSJ")

    with pytest.raises(SourceRefused, match=r"CAST\(SHSJ AT TIME ZONE 'Asia/Shanghai' AS TIMESTAMP\)"):
        oracle()._reader(_Cursor(), column)


def test_an_oracle_date_is_compared_with_a_date() -> None:
    whole, exact = datetime(2026, 9, 30, 8, 15, 30), MOMENT

    assert oracle()._bound_type(whole) is oracledb.DB_TYPE_DATE
    assert oracle()._bound_type(exact) is oracle()._bound_type("R1") is None


def test_an_oracle_that_is_not_there_is_unreachable_by_the_real_driver() -> None:
    options = SourceOptions(url=f"oracle://reader@127.0.0.1:{free_port()}/orcl", connect_timeout=timedelta(seconds=2))

    with pytest.raises(SourceUnreachable, match="cannot be reached"):
        open_source("his", options, "pw").probe()


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> Any:
        raise ImportError(module)

    monkeypatch.setattr(connectors.natives, "import_module", missing)

    for url, extra in (("oracle://r@h/s", "oracle"), ("postgresql://r@h/d", "postgresql"), ("mysql://r@h/d", "mysql")):
        with pytest.raises(ConfigurationError, match=rf"frontend-agent\[{extra}\]"):
            open_source("his", SourceOptions(url=url))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DPY-3010: connections to this database server version are not supported", "oracle_client = "),
        ("DPY-3001: Native Network Encryption and Data Integrity is only supported in thick mode", "thick mode"),
        ("DPY-6001: Service \"orcl\" is not registered with the listener", "lsnrctl services"),
        ("ORA-12505: TNS:listener does not currently know of SID", "no such SID"),
    ],
)  # fmt: skip
def test_what_oracle_says_is_explained_with_its_mend(text: str, said: str) -> None:
    error = explained("his", "", "", text, gone=True)

    assert isinstance(error, SourceRefused)
    assert said in str(error)


@pytest.mark.parametrize("code", ["55P03", "1205", "1222"])
def test_a_lock_of_the_hospital_is_no_fault_of_the_query(code: str) -> None:
    error = explained("his", "parent", code, "canceling statement due to lock timeout")

    assert isinstance(error, SourceUnreachable)
    assert "holds a lock" in str(error)
