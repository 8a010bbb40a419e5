"""What real servers tell of an account: rights of its own, by roles, by everybody, and the statements that mend them."""

from __future__ import annotations

import pytest

from connectors import Source, SourceOptions, open_source
from connectors.grants import Grants, Right
from tests.servers import PASSWORD, READER_PASSWORD, MariadbServer, PostgresServer


def _reader(url: str) -> Source:
    return open_source("his", SourceOptions(url=url), READER_PASSWORD)


def _mended(server: PostgresServer | MariadbServer, source: Source, database: str) -> Grants:
    """The administrator runs what `mend` says, word for word."""
    server.execute(*source.grants(["public.patient"]).mend, database=database)
    source.close()
    return source.grants()


@pytest.fixture
def his(postgres: PostgresServer) -> PostgresServer:
    postgres.create("grants")
    postgres.execute("CREATE TABLE patient (id int, name text)", "GRANT SELECT ON patient TO reader", database="grants")
    return postgres


def test_a_reader_reads(his: PostgresServer) -> None:
    source = _reader(his.url("grants", "reader"))

    assert source.grants() == Grants(account="reader")
    source.close()


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("GRANT INSERT, TRIGGER ON patient TO reader", Right("INSERT", "public.patient")),
        ("GRANT UPDATE (name) ON patient TO reader", Right("UPDATE", "public.patient (name)")),
        ("GRANT DELETE ON patient TO PUBLIC", Right("DELETE", "public.patient", "PUBLIC")),
        (
            "CREATE ROLE clerk; GRANT TRUNCATE ON patient TO clerk; GRANT clerk TO reader",
            Right("TRUNCATE", "public.patient", "clerk"),
        ),
        ("CREATE SEQUENCE numbers; GRANT USAGE ON SEQUENCE numbers TO reader", Right("USAGE", "public.numbers")),
        ("GRANT pg_write_all_data TO reader", Right("ROLE pg_write_all_data", by="pg_write_all_data")),
        ('CREATE TABLE "病人" (id int); GRANT UPDATE ON "病人" TO reader', Right("UPDATE", 'public."病人"')),
    ],
)
def test_every_way_to_a_right_is_seen_and_its_mend_takes_it_away(his: PostgresServer, given: str, right: Right) -> None:
    his.execute(*given.split("; "), database="grants")
    source = _reader(his.url("grants", "reader"))
    try:
        assert right in source.grants(["public.patient"]).writes

        assert _mended(his, source, "grants") == Grants(account="reader")
        with source.session() as ask:
            ask("SELECT id FROM patient", (), "")  # it reads still
    finally:
        source.close()
        his.execute("DROP OWNED BY reader", "REVOKE pg_write_all_data FROM reader", database="grants")
        if "clerk" in given:
            his.execute("DROP OWNED BY clerk", "DROP ROLE clerk", database="grants")


def test_what_leaves_room_is_told_and_not_refused(his: PostgresServer) -> None:
    his.execute(
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "CREATE FUNCTION log_it() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        database="grants",
    )
    source = _reader(his.url("grants", "reader"))
    grants = source.grants()

    assert grants.writes == ()
    assert set(grants.doubts) == {
        Right("CREATE", "SCHEMA public", "PUBLIC"),
        Right("EXECUTE", "FUNCTION log_it()", "PUBLIC"),
    }
    assert _mended(his, source, "grants") == Grants(account="reader")
    source.close()


def test_a_superuser_is_told_to_make_another_account(his: PostgresServer) -> None:
    source = open_source("his", SourceOptions(url=his.url("grants")), PASSWORD)
    grants = source.grants(["public.patient", "lis.report"])

    assert grants.writes == (Right("SUPERUSER"),)
    assert grants.mend[0].startswith("CREATE ROLE frontend_reader")
    assert grants.mend[-1] == "GRANT SELECT ON lis.report, public.patient TO frontend_reader;"
    made = [statement.replace("…", READER_PASSWORD) for statement in grants.mend if "lis" not in statement]
    his.execute("DROP ROLE IF EXISTS frontend_reader", *made, database="grants")
    his.execute("GRANT SELECT ON public.patient TO frontend_reader", database="grants")
    source.close()

    made_one = _reader(his.url("grants", "frontend_reader"))
    assert made_one.grants().writes == ()
    with made_one.session() as ask:
        assert ask("SELECT COUNT(*) FROM patient", (), "").rows
    made_one.close()
    his.execute("DROP OWNED BY frontend_reader", "DROP ROLE frontend_reader", database="grants")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("GRANT INSERT ON grants.patient TO {who}", Right("INSERT", "`grants`.`patient`")),
        ("GRANT UPDATE (name) ON grants.patient TO {who}", Right("UPDATE", "`grants`.`patient` (`name`)")),
        ("GRANT ALL ON grants.* TO {who}", Right("ALL PRIVILEGES", "`grants`.*")),
        (
            "CREATE ROLE clerk; GRANT DELETE ON grants.* TO clerk; GRANT clerk TO {who}",
            Right("DELETE", "`grants`.*", "`clerk`"),
        ),
        ("GRANT FILE ON *.* TO {who}", Right("FILE", "*.*")),
        ("GRANT LOCK TABLES ON grants.* TO {who}", Right("LOCK TABLES", "`grants`.*")),
    ],
)
def test_mariadb_tells_every_way_too(mariadb: MariadbServer, given: str, right: Right) -> None:
    who = "auditor@'127.0.0.1'"
    mariadb.create("grants")
    mariadb.execute("CREATE TABLE patient (id int, name text)", database="grants")
    mariadb.execute(f"CREATE OR REPLACE USER {who} IDENTIFIED BY '{READER_PASSWORD}'", "DROP ROLE IF EXISTS clerk")
    mariadb.execute(f"GRANT SELECT ON grants.patient TO {who}")
    mariadb.execute(*(statement.format(who=who) for statement in given.split("; ")))
    source = _reader(mariadb.url("grants", "auditor"))

    grants = source.grants(["grants.patient"])
    assert right in grants.writes
    mariadb.execute(*grants.mend)
    source.close()

    assert source.grants().writes == ()
    with source.session() as ask:
        ask("SELECT id FROM patient", (), "")  # it reads still
    source.close()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_grants_are_read_over_odbc_as_well(engine: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(engine)
    database = "" if engine == "mariadb" else "postgres"
    source = open_source("his", SourceOptions(odbc=server.odbc(database)), PASSWORD)
    grants = source.grants()
    source.close()

    assert grants.known
    assert grants.writes
    assert grants.account.startswith("admin")
