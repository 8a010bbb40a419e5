"""The doctor at real servers: every finding is made ill first, found, and mended by what it says."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import Source, SourceOptions, open_source
from connectors.doctor import Ailment, Asked, costly_plans, examine
from connectors.doctor.plans import MANY
from frontend_agent.cli.doctor import sentence, told
from frontend_agent.cli.main import run
from tests.ports import free_port
from tests.servers import PASSWORD, READER_PASSWORD, MariadbServer, PostgresServer

SECRET = "欧阳青莲"  # stands for a patient's name: must never be seen


def examined(source: Source, *asked: Asked, **more: Any) -> list[Ailment]:
    """All findings; each can be told in both languages, and none quotes a patient."""
    found = list(examine(source, asked, **more))
    source.close()
    shown = json.dumps([told(source.name, one) for one in found], ensure_ascii=False)
    assert not set(SECRET) & set(shown)
    for one in found:
        assert sentence(one, "zh") != sentence(one, "en") or one.code == "driver.says"
    return found


def codes(found: list[Ailment], *severities: str) -> set[str]:
    return {one.code for one in found if not severities or one.severity in severities}


def the(found: list[Ailment], code: str) -> Ailment:
    matching = [one for one in found if one.code == code]
    assert matching, (code, found)
    return matching[0]


CHANGED = Asked("visits", "changed", 'SELECT v.updated_at AS "cursor", v.id AS "key" FROM visit v', finds=True)
PARENT = Asked("visits", "parent", 'SELECT v.id AS "visit", v.name AS "patient.name" FROM visit v')


# -- reaching and entering --


def _source(url: str, password: str = PASSWORD, **options: Any) -> Source:
    return open_source("his", SourceOptions(url=url, connect_timeout=timedelta(seconds=1), **options), password)


def test_a_name_that_does_not_exist_is_told_from_a_port_that_refuses_and_one_that_is_silent() -> None:
    found = examined(_source("postgresql://reader@no-such-host.invalid/his"))
    assert the(found, "reach.name").where == "no-such-host.invalid:5432"

    found = examined(_source(f"postgresql://reader@127.0.0.1:{free_port()}/his"))
    assert "reach.refused" in codes(found)

    with _silent() as port:
        found = examined(_source(f"mariadb://reader@127.0.0.1:{port}/his"))
    assert the(found, "reach.silent").mend == (f"nc -vz -w 5 127.0.0.1 {port}",)


@contextlib.contextmanager
def _silent() -> Iterator[int]:
    """A port whose queue is full: what is sent there is dropped, as a firewall does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def test_a_driver_that_is_not_there_is_told_with_those_there_are() -> None:
    pytest.importorskip("pyodbc")
    source = open_source("his", SourceOptions(odbc="Driver={DM8 ODBC DRIVER};Server=127.0.0.1;Port=5236"), "x")

    found = the(examined(source), "driver.none")
    assert "libdodbc.so" in found.mend[0]
    assert found.values["drivers"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_wrong_password_and_a_wrong_database_are_told_apart(engine: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(engine)
    url = server.url("postgres" if engine == "postgres" else "mysql")

    assert codes(examined(_source(url, "wrong")), "wrong") == {"login.refused"}
    assert codes(examined(_source(server.url("no_such_database"))), "wrong") == {"login.database"}


@pytest.mark.slow
def test_a_machine_that_is_not_let_in_is_told_so(mariadb: MariadbServer) -> None:
    mariadb.execute("CREATE OR REPLACE USER elsewhere@'10.9.8.7' IDENTIFIED BY 'x'")

    found = examined(_source(mariadb.url("", "elsewhere"), "x"))
    assert codes(found, "wrong") <= {"login.refused", "login.machine"}
    assert codes(found, "wrong")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = examined(_source(f"sqlite:///{tmp_path}/none.db", ""))

    assert "no SQLite file" in the(found, "driver.says").values["why"]


# -- rights, locks, clocks --


@pytest.fixture
def his(postgres: PostgresServer) -> PostgresServer:
    postgres.create("doctor")
    postgres.execute(
        "CREATE TABLE visit (id int, name text, born timestamptz, updated_at timestamp)",
        "INSERT INTO visit SELECT n, '门诊', timestamptz '1990-01-01 00:00+08' + n % 900 * interval '1 day',"
        f" timestamp '2026-01-01' + n * interval '1 second' FROM generate_series(1, {2 * MANY}) n",
        "GRANT SELECT ON visit TO reader",
        "CREATE TABLE secret (id int, name text)",
        "ANALYZE",
        database="doctor",
    )
    return postgres


def test_a_missing_right_is_told_with_the_table_and_its_grant(his: PostgresServer) -> None:
    asked = Asked("visits", "parent", 'SELECT v.id AS "visit", s.name AS "n" FROM visit v JOIN secret s ON s.id = v.id')

    found = the(examined(_source(his.url("doctor", "reader"), READER_PASSWORD), asked), "query.denied")
    assert found.where == "visits: parent: secret"
    assert found.mend == ("GRANT SELECT ON secret TO reader;",)

    his.execute(*found.mend, database="doctor")
    mended = examined(_source(his.url("doctor", "reader"), READER_PASSWORD), asked)
    assert "query.denied" not in codes(mended)


def test_an_account_that_can_write_is_wrong_and_a_tried_write_is_stopped_by_the_session(his: PostgresServer) -> None:
    found = examined(_source(his.url("doctor")), PARENT, try_write=True)

    assert "SUPERUSER" in the(found, "account.writes").values["rights"]
    assert any("GRANT SELECT ON visit" in line for line in the(found, "account.writes").mend)
    assert the(found, "write.session").where == "visit"
    assert the(found, "lock.fine").values == {"mode": "AccessShareLock"}
    assert "write.session" not in codes(examined(_source(his.url("doctor")), PARENT))  # only when asked


def test_a_clock_that_is_wrong_is_told_from_another_time_zone(his: PostgresServer) -> None:
    for ahead, code in (
        (timedelta(0), "clock.fine"),
        (timedelta(minutes=3), "clock.skew"),
        (timedelta(hours=8), "clock.zone"),
    ):
        source = _source(his.url("doctor", "reader"), READER_PASSWORD)
        source._now = lambda ahead=ahead: datetime.now(UTC) - ahead  # type: ignore[misc]
        found = examined(source)
        assert code in codes(found), (ahead, found)


# -- indexes and slowness --


def test_a_missing_index_is_found_by_explain_and_its_mend_mends_it(his: PostgresServer) -> None:
    found = the(examined(_source(his.url("doctor", "reader"), READER_PASSWORD), CHANGED), "plan.no_index")

    assert found.mend == ("CREATE INDEX CONCURRENTLY ix_visit_updated_at ON visit (updated_at);",)
    his.execute(*found.mend, "ANALYZE visit", database="doctor")
    mended = examined(_source(his.url("doctor", "reader"), READER_PASSWORD), CHANGED)
    assert "plan.fine" in codes(mended)
    assert codes(mended, "wrong") == set()


def test_a_cursor_of_two_columns_wants_an_index_over_the_expression(his: PostgresServer) -> None:
    sql = 'SELECT COALESCE(v.updated_at, v.born::timestamp) AS "cursor", v.id AS "key" FROM visit v'
    simple = sql.replace("v.born::timestamp", "v.updated_at")
    found = the(
        examined(_source(his.url("doctor", "reader"), READER_PASSWORD), Asked("v", "changed", simple, True)),
        "plan.no_index",
    )

    assert found.mend[0].startswith("CREATE INDEX CONCURRENTLY ix_visit_updated_at ON visit (")
    his.execute(*found.mend, "ANALYZE visit", database="doctor")
    mended = examined(_source(his.url("doctor", "reader"), READER_PASSWORD), Asked("v", "changed", simple, True))
    assert "plan.no_index" not in codes(mended)


def test_a_table_that_is_small_may_be_read_whole(his: PostgresServer) -> None:
    his.execute("DELETE FROM visit WHERE id > 100", "VACUUM ANALYZE visit", database="doctor")

    assert "plan.no_index" not in codes(examined(_source(his.url("doctor", "reader"), READER_PASSWORD), CHANGED))


def test_a_slow_view_is_told_with_its_time(his: PostgresServer) -> None:
    his.execute(
        "CREATE VIEW slow AS SELECT v.*, pg_sleep(0.002)::text AS s FROM visit v WHERE v.id <= 300",
        "GRANT SELECT ON slow TO reader",
        database="doctor",
    )
    asked = Asked(
        "v", "changed", 'SELECT q.updated_at AS "cursor", q.id AS "key" FROM slow q WHERE q.s IS NOT NULL', True
    )

    slow = examined(
        _source(his.url("doctor", "reader"), READER_PASSWORD, statement_timeout=timedelta(seconds=1)), asked
    )
    assert "query.slow" in codes(slow)
    too_slow = examined(
        _source(his.url("doctor", "reader"), READER_PASSWORD, statement_timeout=timedelta(milliseconds=200)), asked
    )
    assert "query.too_slow" in codes(too_slow, "wrong")


def test_the_gate_when_a_feed_is_configured_says_the_same(his: PostgresServer) -> None:
    source = _source(his.url("doctor", "reader"), READER_PASSWORD)

    assert codes(list(costly_plans(source, [CHANGED, PARENT]))) == {"plan.no_index"}
    source.close()


@pytest.mark.slow
@pytest.mark.parametrize("odbc", [False, True])
def test_mariadb_is_examined_too(mariadb: MariadbServer, odbc: bool) -> None:
    mariadb.create("doctor")
    mariadb.execute(
        "CREATE TABLE visit (id int, name varchar(20), updated_at datetime(6)) ENGINE=MyISAM",
        "INSERT INTO visit SELECT seq, '门诊', TIMESTAMPADD(SECOND, seq, '2026-01-01') FROM seq_1_to_20000",
        "GRANT SELECT ON doctor.* TO reader@'127.0.0.1'",
        database="doctor",
    )
    options = (
        SourceOptions(odbc=mariadb.odbc("doctor", "reader"))
        if odbc
        else SourceOptions(url=mariadb.url("doctor", "reader"))
    )

    def source() -> Source:
        return open_source("his", options, READER_PASSWORD)

    found = examined(source(), CHANGED, PARENT, try_write=True)
    assert the(found, "lock.table").values == {"engine": "MyISAM"}
    index = the(found, "plan.no_index")
    assert "write.grants" in codes(found) or "write.session" in codes(found)

    mariadb.execute(*the(found, "lock.table").mend, *index.mend, database="doctor")
    mended = examined(source(), CHANGED, PARENT)
    assert codes(mended, "wrong") == set()
    assert the(mended, "lock.fine").values == {"mode": "REPEATABLE-READ, READ ONLY"}


def test_sqlite_is_examined_too(tmp_path: Path) -> None:
    file = tmp_path / "his.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE visit (id int, name text, updated_at text)")
        rows = ((n, "门诊", f"2026-01-01 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}") for n in range(2 * MANY))
        connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", rows)
        connection.commit()

        found = examined(_source(f"sqlite:///{file}", ""), CHANGED, PARENT, try_write=True)
        assert "write.session" in codes(found)
        connection.execute(the(found, "plan.no_index").mend[0])
        connection.commit()

    assert codes(examined(_source(f"sqlite:///{file}", ""), CHANGED, PARENT), "wrong", "doubt") == set()


# -- character sets and dates --


@pytest.mark.slow
def test_gbk_in_a_column_that_says_latin1_is_shown_before_and_after_and_mended(mariadb: MariadbServer) -> None:
    mariadb.create("charsets")
    mariadb.execute(
        "CREATE TABLE visit (id int, name varchar(60) CHARACTER SET latin1) ENGINE=InnoDB",
        "GRANT SELECT ON charsets.* TO reader@'127.0.0.1'",
        database="charsets",
    )
    with contextlib.closing(mariadb.connect("charsets")) as connection, connection.cursor() as cursor:
        for number, text in enumerate(("内科门诊", f"{SECRET}", "检验科室", "住院病区")):
            cursor.execute("INSERT INTO visit VALUES (%s, CONVERT(%s USING binary))", (number, text.encode("gbk")))

    source = _source(mariadb.url("charsets", "reader"), READER_PASSWORD)
    found = the(examined(source, PARENT), "text.misread")
    assert found.where == "visits: parent.patient.name"
    assert found.values["right"] == "gb18030"
    assert set(found.values["after"]) <= set("内科门诊检验科室住院病区")
    assert found.values["before"].encode("cp1252").decode("gb18030") == found.values["after"]

    mended = "CONVERT(CAST(CONVERT(v.name USING latin1) AS BINARY) USING gbk)"
    assert found.mend == (mended.replace("v.name", "name"),)
    asked = Asked("visits", "parent", PARENT.sql.replace("v.name", mended))
    assert codes(examined(_source(mariadb.url("charsets", "reader"), READER_PASSWORD), asked), "wrong") == set()


def test_utf8_that_was_read_as_gbk_and_question_marks(tmp_path: Path) -> None:
    file = tmp_path / "his.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE visit (id int, name text, note text)")
        for text in ("住院病区的人", "检验科室里面", "门诊医师说明", "护士站在左边"):
            connection.execute("INSERT INTO visit VALUES (1, ?, '????')", (text.encode().decode("gb18030", "replace"),))
        connection.commit()

    asked = Asked("visits", "parent", 'SELECT v.id AS "visit", v.name AS "n", v.note AS "note" FROM visit v')
    found = examined(_source(f"sqlite:///{file}", ""), asked)
    assert the(found, "text.misread").values["right"] == "utf-8"
    assert the(found, "text.lost").where == "visits: parent.note"


def test_a_date_kept_as_an_instant_is_found_where_it_would_be_a_day_early(his: PostgresServer) -> None:
    asked = Asked("visits", "parent", 'SELECT v.id AS "visit", v.born AS "patient.birth_date" FROM visit v')

    found = the(examined(_source(his.url("doctor", "reader"), READER_PASSWORD), asked), "date.instant")
    assert found.mend == ("(birth_date AT TIME ZONE 'Asia/Shanghai')::date",)

    mended = Asked("visits", "parent", asked.sql.replace("v.born", "(v.born AT TIME ZONE 'Asia/Shanghai')::date"))
    assert "date.instant" not in codes(examined(_source(his.url("doctor", "reader"), READER_PASSWORD), mended))


# -- the command --


def test_the_command_tells_in_both_languages_and_ends_with_1_when_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        '[institution]\nid = "1"\nname = "x"\n[sources.lis]\nurl = "sqlite:///lis.db"\n[destinations.platform]\n'
        'url = "http://127.0.0.1:9"\n[[feeds]]\nname = "f"\nsource = "lis"\nmapping = "demo_lis/lab_report"\n',
        encoding="utf-8",
    )
    assert run(["--config", str(config), "doctor", "lis", "--json"]) == 1
    told_ = json.loads(capsys.readouterr().out)
    assert told_[0]["code"] == "driver.says"
    assert set(told_[0]["text"]) == {"zh", "en"}

    sqlite3.connect(tmp_path / "lis.db").close()
    assert run(["--config", str(config), "doctor", "--lang", "zh"]) == 1
    shown = capsys.readouterr().out
    assert "来源 lis" in shown
    assert "unknown table" in shown

    assert run(["--config", str(config), "doctor", "his"]) == 78


@pytest.mark.slow
def test_the_birth_dates_of_a_real_system_are_instants(postgres: PostgresServer, realdata: Path) -> None:
    """openHIS keeps them as timestamp with time zone: 1989-12-31 16:00+00 is 1990-01-01."""
    postgres.create("openhis_doctor")
    postgres.load(
        gzip.decompress((realdata / "his-openhis-pg/openhis_clinical.sql.gz").read_bytes()).decode(), "openhis_doctor"
    )
    born = 'SELECT p.id AS "key", p.birth_date AS "patient.birth_date" FROM adm_patient p'

    found = _of_real(postgres, born)
    assert [one.code for one in found if one.severity == "doubt" and "birth_date" in one.where] == ["date.instant"]
    mended = _of_real(postgres, born.replace("p.birth_date", "(p.birth_date AT TIME ZONE 'Asia/Shanghai')::date"))
    assert not [one for one in mended if one.code == "date.instant"]


def _of_real(server: PostgresServer, sql: str) -> list[Ailment]:
    source = _source(server.url("openhis_doctor"))
    found = list(examine(source, [Asked("patients", "parent", sql)]))
    source.close()
    return found
