"""Each layer against writing alone, on real servers: the allow-list switched off, an account that may write, and no write.

The account is one that a careless hospital gives: it owns its tables and may do anything to them, but is no administrator of
the server. Every hostile statement goes through a source's own session, past the allow-list, and the database is the same
afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import Source, SourceOptions, open_source
from connectors.grants import Grants, Right
from connectors.statements import Own, StatementRefused
from frontend_agent.errors import SourceError
from tests.servers import READER_PASSWORD, MariadbServer, PostgresServer
from tests.statements import hostile

TABLES = (
    "CREATE TABLE patient (id int, name varchar(50))",
    "CREATE TABLE visit (id int, name varchar(50))",
    "INSERT INTO patient (id, name) VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO visit (id, name) VALUES (1, 'a')",
)


def _options(url: str) -> SourceOptions:
    return SourceOptions(url=url, statement_timeout=timedelta(seconds=2), connect_timeout=timedelta(seconds=5))


def _sent(source: Source, texts: list[str]) -> int:
    """Send each past the allow-list in a session of its own. How many the server took."""
    taken = 0
    for text in texts:
        with contextlib.suppress(SourceError), source.session() as ask:
            ask(Own(text), (), "hostile")
            taken += 1
    return taken


def _single(engine: str) -> list[str]:
    """Those of one statement, without what only costs time or memory, or leaves the line waiting: it proves nothing here."""
    costly = re.compile(r"(?i)n \(i\) AS|sleep|benchmark|\d{5,}|9999|to stdout|generate_series|repeat\(|recursive")
    return [text for text in hostile(engine) if ";" not in text and not costly.search(text)]


@pytest.mark.slow
def test_postgresql_refuses_all_writes_of_an_owner_in_our_session(postgres: PostgresServer) -> None:
    postgres.create("hostile")
    postgres.execute("DROP ROLE IF EXISTS clerk", f"CREATE ROLE clerk LOGIN PASSWORD '{READER_PASSWORD}'")
    postgres.execute("GRANT ALL ON SCHEMA public TO clerk", database="hostile")
    owned = ("SET ROLE clerk", *TABLES, "CREATE SEQUENCE seq_patient")
    postgres.execute(
        *owned,
        "CREATE FUNCTION make_write(int) RETURNS int LANGUAGE sql AS 'INSERT INTO patient (id) VALUES ($1); SELECT 1'",
        database="hostile",
    )

    def state() -> str:
        with postgres.connect("hostile") as connection:
            found = [
                connection.execute("SELECT * FROM patient ORDER BY id").fetchall(),
                connection.execute("SELECT * FROM visit ORDER BY id").fetchall(),
                connection.execute("SELECT last_value, is_called FROM seq_patient").fetchall(),
                connection.execute(
                    "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
                ).fetchall(),
                connection.execute(
                    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
                ).fetchall(),
                connection.execute(
                    "SELECT relacl::text FROM pg_class WHERE relname IN ('patient', 'visit') ORDER BY 1"
                ).fetchall(),
                connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchall(),
            ]
        return repr(found)

    source = open_source("his", _options(postgres.url("hostile", "clerk")), READER_PASSWORD)
    before = state()
    taken = _sent(source, _single("postgresql"))

    assert state() == before
    assert taken > 20  # not everything was refused for its spelling: harmless ones were run
    _is_held_by_the_list_alone(source, "postgresql")
    assert source.grants().why == ""
    assert {right.what for right in source.grants().writes} >= {"INSERT", "UPDATE", "DELETE", "TRUNCATE"}
    source.close()


@pytest.mark.slow
def test_mariadb_refuses_all_writes_of_an_owner_in_our_session(mariadb: MariadbServer) -> None:
    mariadb.create("hostile")
    mariadb.execute(
        f"CREATE OR REPLACE USER clerk@'127.0.0.1' IDENTIFIED BY '{READER_PASSWORD}'",
        "GRANT ALL ON hostile.* TO clerk@'127.0.0.1'",
    )
    mariadb.execute(*TABLES, "CREATE SEQUENCE seq_patient", database="hostile")

    def state() -> str:
        found = []
        with contextlib.closing(mariadb.connect("hostile")) as connection, connection.cursor() as cursor:
            for text in (
                "SELECT * FROM patient ORDER BY id",
                "SELECT * FROM visit ORDER BY id",
                "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'hostile' ORDER BY 1",
                "SELECT column_name, table_name FROM information_schema.columns WHERE table_schema = 'hostile' ORDER BY 2, 1",
                "SELECT index_name FROM information_schema.statistics WHERE table_schema = 'hostile' ORDER BY 1",
                "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'hostile' ORDER BY 1",
            ):
                cursor.execute(text)
                found.append(cursor.fetchall())
        return repr(found)

    source = open_source("his", _options(mariadb.url("hostile", "clerk")), READER_PASSWORD)
    before = state()
    taken = _sent(source, _single("mysql"))

    assert state() == before
    assert taken > 20
    # MariaDB's read-only transactions do count up sequences: there the allow-list and the grants must hold.
    with source.session() as ask:
        assert ask(Own("SELECT NEXTVAL(seq_patient)"), (), "hostile").rows != [(1,)]
    _is_held_by_the_list_alone(source, "mysql")
    assert source.grants().writes == (Right("ALL PRIVILEGES", "`hostile`.*"),)
    source.close()


@pytest.mark.parametrize("odbc", [False, True])
def test_sqlite_refuses_all_writes_in_our_session(tmp_path: Path, odbc: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # where ATTACH would make a file
    if odbc and "SQLite3" not in pytest.importorskip("pyodbc").drivers():
        pytest.skip("the ODBC driver 'SQLite3' is not installed")
    file = tmp_path / "his.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        for statement in TABLES:
            connection.execute(statement)
        connection.commit()
    options = SourceOptions(odbc=f"Driver=SQLite3;Database={file}") if odbc else _options(f"sqlite:///{file}")
    source = open_source("his", options)
    before = hashlib.sha256(file.read_bytes()).hexdigest()

    texts = [text for text in _single("sqlite") if "query_only" not in text and "writefile" not in text]
    if odbc:  # its session may be told to write again: there the allow-list alone stands before the file
        texts = [text for text in texts if "ATTACH" not in text and "VACUUM INTO" not in text]
    taken = _sent(source, texts)

    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["his.db"]
    assert not list(elsewhere.iterdir())
    assert taken > 20
    _is_held_by_the_list_alone(source, "sqlite")
    assert source.grants() == Grants()
    source.close()


def _is_held_by_the_list_alone(source: Source, engine: str) -> None:
    """With the allow-list on nothing hostile is asked of the server at all."""
    asked: list[str] = []
    opened = source._open_session

    @contextlib.contextmanager
    def watched() -> Any:
        with opened() as ask:

            def listening(sql: str, parameters: Any, query: str) -> Any:
                asked.append(sql)
                return ask(sql, parameters, query)

            yield listening

    source._open_session = watched  # type: ignore[method-assign]
    refused = 0
    with source.session() as ask:
        for text in hostile(engine):
            with pytest.raises(StatementRefused):
                ask(text, (), "hostile")
            refused += 1
    source._open_session = opened  # type: ignore[method-assign]
    assert refused == len(hostile(engine)) >= 500
    assert asked in ([], ["SELECT 1"])  # the guest's own probe of latency


def test_the_grants_alone_stop_every_write_of_a_reader(postgres: PostgresServer) -> None:
    """No session of ours, no allow-list: only an account that was given SELECT."""
    postgres.create("granted")
    postgres.execute(
        *TABLES, "CREATE SEQUENCE seq_patient", "GRANT SELECT ON patient, visit TO reader", database="granted"
    )

    def state() -> str:
        with postgres.connect("granted") as connection:
            texts = (
                "SELECT * FROM patient ORDER BY id",
                "SELECT * FROM visit ORDER BY id",
                "SELECT last_value, is_called FROM seq_patient",
                "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
            )
            return repr([connection.execute(text).fetchall() for text in texts])

    before, taken = state(), 0
    with psycopg.connect(
        host="127.0.0.1",
        port=postgres.port,
        user="reader",
        password=READER_PASSWORD,
        dbname="granted",
        autocommit=True,
        options="-c statement_timeout=2s",  # what is not seen to be costly here would be read into memory whole
    ) as connection:
        for text in _single("postgresql"):
            with contextlib.suppress(psycopg.Error):
                connection.execute(text.encode())
                taken += 1
            connection.rollback()  # of a BEGIN among them: what follows must be asked, not refused for it
    assert state() == before
    assert taken > 20
    # PostgreSQL lets everybody make large objects: there the allow-list and the read-only transaction must hold.
    with postgres.connect("granted") as connection:
        made = connection.execute("SELECT COUNT(*) FROM pg_largeobject_metadata").fetchone()
    assert made is not None
    assert made[0] > 0


def test_a_session_of_ours_can_write_nothing_and_says_why(postgres: PostgresServer) -> None:
    postgres.create("readonly")
    postgres.execute("CREATE TABLE patient (id int)", database="readonly")
    source = open_source("his", _options(postgres.url("readonly")), postgres.password)

    with pytest.raises(SourceError, match="read-only"), source.session() as ask:
        ask(Own("INSERT INTO patient VALUES (1)"), (), "hostile")
    source.close()


def test_a_copy_past_the_list_leaves_a_source_that_answers(postgres: PostgresServer) -> None:
    postgres.create("copied")
    source = open_source("copied", _options(postgres.url("copied", "reader")), READER_PASSWORD)
    for text in ("COPY (SELECT 1) TO STDOUT", "COPY pg_class TO STDOUT"):
        with pytest.raises(SourceError), source.session() as ask:
            ask(Own(text), (), "copy")
    with source.session() as ask:
        assert ask("SELECT 1 AS a", (), "after").rows
    source.close()


def test_two_statements_in_one_text_are_refused_by_the_protocol_itself(postgres: PostgresServer) -> None:
    """Also where the columns of an answer without rows are asked for once more."""
    postgres.create("twice")
    source = open_source("twice", _options(postgres.url("twice", "reader")), READER_PASSWORD)
    for text in ("SELECT 1 WHERE false; SELECT 2", "SELECT 1 AS a WHERE false; SET transaction_read_only = off"):
        with pytest.raises(SourceError), source.session() as ask:
            ask(Own(text), (), "two")
    with source.session() as ask:
        assert ask("SELECT 1 AS a WHERE false", (), "columns").columns == ("a",)
    source.close()


def test_an_answer_without_rows_is_one_statement_at_the_server(postgres: PostgresServer) -> None:
    """As it is one in the guest report, though a stream without rows does not tell its columns."""
    postgres.create("once")
    postgres.execute("ALTER DATABASE once SET log_statement = 'all'")
    source = open_source("once", _options(postgres.url("once", "reader")), READER_PASSWORD)
    with source.session() as ask:
        assert ask("SELECT 1 AS asked_once WHERE false", (), "empty").columns == ("asked_once",)
        assert ask("SELECT $1::int AS asked_once_more WHERE false", (1,), "empty").columns == ("asked_once_more",)
    source.close()
    log = (postgres.folder / "log").read_text("utf-8", "replace")
    postgres.execute("ALTER DATABASE once RESET log_statement")
    assert (log.count("AS asked_once "), log.count("AS asked_once_more ")) == (1, 1)
