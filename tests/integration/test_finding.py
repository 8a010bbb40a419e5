"""No row is missed: every way of finding new rows, against real servers, with the triggers a hospital would write."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from connectors.finding.acknowledging import Acknowledgement
from frontend_agent.finding import TooManyVanished
from tests.integration.finding_site import ITEMS, PARENT, Site

ENGINES = ["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.slow)]
SERVERS = ["postgres", pytest.param("mariadb", marks=pytest.mark.slow)]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    engine = request.param
    if engine == "sqlite":
        return Site(tmp_path, engine)
    server = request.getfixturevalue(engine)
    database = f"f{abs(hash(request.node.name)) % 10**9}"
    server.create(database)
    return Site(tmp_path, engine, server, database)


on_engines = pytest.mark.parametrize("site", ENGINES, indirect=True)
on_servers = pytest.mark.parametrize("site", SERVERS, indirect=True)

# -- by time, in whatever form --


@on_engines
@pytest.mark.parametrize(
    ("column", "first", "late", "beyond"),
    [
        ("stamp", "2026093008:00:00", "2026093007:55:00", "2026093007:45:00"),
        ("stamp", "20260930080000", "20260930075500", "20260930074500"),
        ("stamp", "2026/09/30 08:00:00", "2026/09/30 07:55:00", "2026/09/30 07:45:00"),
        ("CAST(stamp AS {int})", "1790726400", "1790726100", "1790725500"),
    ],
)
def test_a_late_row_is_found_in_the_overlap_in_whatever_form_its_time_is(
    site: Site, column: str, first: str, late: str, beyond: str
) -> None:
    whole = {"sqlite": "INTEGER", "postgres": "bigint", "mariadb": "SIGNED"}[site.engine]
    unit = 'cursor_unit = "s"' if "CAST" in column else ""
    site.prepare(f'SELECT {column.format(int=whole)} AS "cursor", no AS "key" FROM report', unit)
    site.report("R1", at="2026-09-30 08:00:00")
    site.sql(f"UPDATE report SET stamp = '{first}'")
    assert site.run() == {"documents": 1}

    for no, stamp in (("R2", late), ("R3", beyond)):
        site.report(no)
        site.sql(f"UPDATE report SET stamp = '{stamp}' WHERE no = '{no}'")

    assert site.run() == {"documents": 1, "unchanged": 1}
    assert sorted(site.versions()) == ["R1", "R2"]  # what is older than the overlap is the reconciliation's to find


@on_servers
def test_a_row_of_a_transaction_that_was_open_for_longer_than_the_overlap_is_found(site: Site) -> None:
    """The engine tells since when one is open: the next run starts from there."""
    site.feed = 'overlap = "1s"'
    site.prepare()
    now = "LOCALTIMESTAMP" if site.engine == "postgres" else "NOW(6)"
    insert = "INSERT INTO report SELECT '{no}', '甲', 'final', {now}, 1, 0, '2026-09-30 09:00:00', ''"
    slow = site.server.connect(site.database)
    slow.autocommit = False if site.engine == "postgres" else slow.autocommit(False)
    cursor = slow.cursor()
    if site.engine == "mariadb":
        site.sql("SET GLOBAL time_zone = '+08:00'")
        cursor.execute("SET time_zone = '+08:00'")
    else:
        cursor.execute("SET TIME ZONE 'Asia/Shanghai'")
    cursor.execute(insert.format(no="LATE", now=now))
    for number in range(3):  # three seconds of other work, each in a run of its own
        other = site.server.connect(site.database)
        with other.cursor() as writing:
            writing.execute("SET time_zone = '+08:00'" if site.engine == "mariadb" else "SET TIME ZONE 'Asia/Shanghai'")
            writing.execute(f"SELECT {'SLEEP' if site.engine == 'mariadb' else 'pg_sleep'}(1.2)")
        with other.cursor() as writing:
            writing.execute(insert.format(no=f"R{number}", now=now))
        other.commit()
        other.close()
        site.now += timedelta(seconds=1)
        site.run()
    assert sorted(site.versions()) == ["R0", "R1", "R2"]
    slow.commit()
    slow.close()

    site.run()

    assert sorted(site.versions()) == ["LATE", "R0", "R1", "R2"]


@on_engines
def test_a_row_dated_in_the_future_hides_nothing(site: Site) -> None:
    site.prepare()
    site.report("R1", at="2026-09-30 10:00:00")
    site.run()
    site.sql("UPDATE report SET updated = '2099-01-01 00:00:00'")
    site.run()
    site.report("R2", at="2026-09-30 10:05:00")

    assert site.run()["documents"] == 1


# -- by key --


@on_engines
def test_numbers_that_were_passed_over_are_found_when_they_are_committed(site: Site) -> None:
    site.feed = 'find = "key"\noverlap = "0s"'
    whole = {"sqlite": "INTEGER", "postgres": "bigint", "mariadb": "SIGNED"}[site.engine]
    site.prepare(f'SELECT CAST(no AS {whole}) AS "cursor", no AS "key" FROM report')
    for no in (1, 2, 5, 6):
        site.report(str(no))
    assert site.run() == {"documents": 4}
    assert "documents" not in site.run()

    site.report("4")  # its number was given out before 5 was
    site.report("7")

    assert site.run()["documents"] == 2
    assert sorted(site.versions()) == ["1", "2", "4", "5", "6", "7"]


# -- by status --


@on_engines
@pytest.mark.parametrize("workers", [0, 1])
def test_a_status_that_flips_without_any_time_is_found_and_nothing_is_fetched_twice(site: Site, workers: int) -> None:
    if workers and site.engine != "sqlite":
        pytest.skip("once is enough")
    site.feed = 'find = "status"'
    site.batch = 3
    site.prepare("SELECT state AS \"cursor\", no AS \"key\" FROM report WHERE state IN ('final', 'void')")
    for number in range(8):
        site.report(f"R{number}", state="final" if number < 5 else "draft")
    assert site.run(workers) == {"documents": 5}
    assert site.run(workers) == {}

    site.sql("UPDATE report SET state = 'final', final = 1 WHERE no = 'R6'")
    assert site.run(workers) == {"documents": 1}
    site.sql("UPDATE report SET state = 'void', void = 1 WHERE no = 'R1'")
    assert site.run(workers) == {"documents": 1}
    assert site.versions()["R1"] == (2, True)
    assert site.run(workers) == {}


# -- by comparing --


@on_engines
def test_a_table_without_any_usable_column_is_compared_by_content(site: Site) -> None:
    site.feed = 'find = "compare"'
    site.batch = 3
    site.prepare('SELECT NULL AS "cursor", no AS "key" FROM report')
    for number in range(7):
        site.report(f"R{number}")
    assert site.run() == {"documents": 7}
    assert site.run() == {"unchanged": 7}

    site.sql("UPDATE report SET name = '乙' WHERE no = 'R3'")
    site.report("R9")
    assert site.run() == {"documents": 2, "unchanged": 6}


@on_engines
def test_where_the_engine_makes_the_hash_only_what_changed_is_fetched(site: Site) -> None:
    site.feed = 'find = "compare"'
    made = {"sqlite": "name || state", "postgres": "md5(name || state)", "mariadb": "MD5(CONCAT(name, state))"}[
        site.engine
    ]
    site.prepare(f'SELECT {made} AS "cursor", no AS "key" FROM report')
    for number in range(7):
        site.report(f"R{number}")
    assert site.run() == {"documents": 7}
    assert site.run() == {}
    site.sql("UPDATE report SET name = '乙' WHERE no = 'R3'")
    assert site.run() == {"documents": 1}


# -- by a change table, with the triggers of a hospital --

TRIGGERS = {
    "sqlite": [
        "CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, no TEXT, processed INT DEFAULT 0)",
        "CREATE TRIGGER ti AFTER INSERT ON report BEGIN INSERT INTO changes (no) VALUES (NEW.no); END",
        "CREATE TRIGGER tu AFTER UPDATE ON report BEGIN INSERT INTO changes (no) VALUES (NEW.no); END",
        "CREATE TRIGGER td AFTER DELETE ON report BEGIN INSERT INTO changes (no) VALUES (OLD.no); END",
    ],
    "postgres": [
        "CREATE TABLE changes (id bigserial PRIMARY KEY, no text, processed int DEFAULT 0)",
        """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO changes (no) VALUES (coalesce(NEW.no, OLD.no)); RETURN NULL; END $$""",
        "CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON report FOR EACH ROW EXECUTE FUNCTION note()",
    ],
    "mariadb": [
        "CREATE TABLE changes (id bigint AUTO_INCREMENT PRIMARY KEY, no varchar(40), processed int DEFAULT 0)",
        "CREATE TRIGGER ti AFTER INSERT ON report FOR EACH ROW INSERT INTO changes (no) VALUES (NEW.no)",
        "CREATE TRIGGER tu AFTER UPDATE ON report FOR EACH ROW INSERT INTO changes (no) VALUES (NEW.no)",
        "CREATE TRIGGER td AFTER DELETE ON report FOR EACH ROW INSERT INTO changes (no) VALUES (OLD.no)",
    ],
}
OF_CHANGES = 'SELECT id AS "cursor", no AS "key" FROM changes'
MORE = 'changes = "changes.sql"\n'


def with_triggers(site: Site, more: str = MORE, changes: str = OF_CHANGES, **files: str) -> Site:
    site.feed = f'find = "changes"\n{site.feed}'
    site.prepare(more=more, changes=changes, **files)
    site.sql(*TRIGGERS[site.engine])
    return site


@on_engines
def test_a_change_table_tells_of_inserts_and_updates_and_may_be_purged(site: Site) -> None:
    with_triggers(site)
    for number in range(5):
        site.report(f"R{number}")
    assert site.run() == {"documents": 5}
    site.sql("DELETE FROM changes")  # the hospital clears it out
    assert site.run() == {}
    site.sql("UPDATE report SET name = '乙' WHERE no = 'R3'")
    assert site.run() == {"documents": 1}


@on_engines
def test_a_change_table_whose_counter_begins_again_is_read_from_its_beginning(site: Site) -> None:
    with_triggers(site)
    for number in range(5):
        site.report(f"R{number}")
    site.run()
    reset = {
        "sqlite": ["DELETE FROM changes", "DELETE FROM sqlite_sequence"],
        "postgres": ["TRUNCATE changes RESTART IDENTITY"],
        "mariadb": ["TRUNCATE changes"],
    }
    site.sql(*reset[site.engine])
    site.report("R9")

    assert site.run()["documents"] == 1
    site.report("R10")
    assert site.run()["documents"] == 1


@on_engines
def test_change_rows_are_marked_as_read_after_our_commit_where_the_hospital_lets_us(site: Site) -> None:
    site.source = 'acknowledge = ["changes.processed=1"]'
    with_triggers(site, changes=OF_CHANGES + " WHERE processed = 0")
    for number in range(5):
        site.report(f"R{number}")
    assert site.run() == {"documents": 5}
    assert site.ask("SELECT count(*) FROM changes WHERE processed = 0") == [(0,)]
    assert site.run() == {}

    site.sql("UPDATE report SET name = '乙' WHERE no = 'R3'")
    site.sql("UPDATE changes SET processed = 0 WHERE no = 'R1'")  # as if we had died before we could mark it
    assert site.run() == {"documents": 1, "unchanged": 1}
    assert site.ask("SELECT count(*) FROM changes WHERE processed = 0") == [(0,)]


@on_servers
def test_an_account_that_may_update_that_column_alone_is_enough_to_mark_it(site: Site) -> None:
    schema = "public" if site.engine == "postgres" else site.database
    site.source = f'acknowledge = ["{schema}.changes.processed=1"]'
    with_triggers(site, changes=OF_CHANGES + " WHERE processed = 0")
    site.report("R1")
    if site.engine == "postgres":
        site.sql(
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", "GRANT UPDATE (processed) ON changes TO reader"
        )
    else:
        site.sql(
            f"GRANT SELECT ON {site.database}.* TO reader@'127.0.0.1'",
            f"GRANT UPDATE (processed) ON {site.database}.changes TO reader@'127.0.0.1'",
        )
    site.account = "reader"

    try:
        assert site.run() == {"documents": 1}
        assert site.ask("SELECT count(*) FROM changes WHERE processed = 0") == [(0,)]
    finally:
        if site.engine != "postgres":  # MariaDB keeps a grant when its database is dropped, and others use this account
            site.sql(f"REVOKE UPDATE (processed) ON {site.database}.changes FROM reader@'127.0.0.1'")


@on_servers
def test_marking_waits_for_no_lock_and_is_done_with_the_next_run(site: Site) -> None:
    site.source = 'acknowledge = ["changes.processed=1"]'
    with_triggers(site, changes=OF_CHANGES + " WHERE processed = 0")
    site.report("R1")
    locked = site.server.connect(site.database)
    locked.autocommit = False if site.engine == "postgres" else locked.autocommit(False)
    with locked.cursor() as cursor:
        cursor.execute("SELECT * FROM changes FOR UPDATE")
        assert site.run() == {"documents": 1}
        assert site.ask("SELECT count(*) FROM changes WHERE processed = 0") == [(1,)]
    locked.rollback()
    locked.close()

    assert site.run() == {"unchanged": 1}
    assert site.ask("SELECT count(*) FROM changes WHERE processed = 0") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("site", ["postgres", "mariadb"], indirect=True)
def test_rows_are_marked_through_odbc_as_well(site: Site) -> None:
    import pyodbc

    if not {"PostgreSQL Unicode", "MariaDB Unicode"} <= set(pyodbc.drivers()):
        pytest.skip("the ODBC drivers are not installed")
    site.sql(*TRIGGERS[site.engine][:1], "INSERT INTO changes (no) VALUES ('R1'), ('R2'), ('R3')")
    source = open_source("mid", SourceOptions(odbc=site.server.odbc(site.database)), site.server.password)
    try:
        what = Acknowledgement("changes", "processed", "1", "id")
        assert source.moment().now is not None
        assert source.acknowledge(what, [1, 3]) == ""
        assert "unknown" in source.acknowledge(Acknowledgement("changes", "gone", "1", "id"), [1])
        with source.session() as ask:  # and the next question is read-only again
            assert ask("SELECT count(*) FROM changes WHERE processed = 1", (), "x").rows[0][0] == 2
    finally:
        source.close()


# -- keys that are gone --


@on_engines
def test_a_key_that_is_gone_is_no_void_but_held_for_a_person(site: Site) -> None:
    with_triggers(site)
    site.report("R1")
    site.report("R2")
    site.run()
    site.sql("DELETE FROM report WHERE no = 'R1'")

    assert site.run()["held"] == 1
    assert site.held() == {"R1": "AGT004"}
    assert site.versions()["R1"] == (1, False)
    assert "held" not in site.run()  # said once

    site.report("R1")  # and there it is again, as it was
    site.run()
    assert site.held() == {}
    assert site.versions()["R1"] == (1, False)


@on_engines
def test_a_row_that_moved_to_the_table_of_its_year_is_the_same_record(site: Site) -> None:
    more = MORE + 'history = [{ parent = "old.sql", details = { items = "old_items.sql" } }]'
    with_triggers(site, more, old=PARENT.format(table="report_2025"), old_items=ITEMS.format(table="report_2025"))
    site.sql(f"CREATE TABLE report_2025 {site.columns}")
    site.report("R1")
    site.run()
    site.sql("INSERT INTO report_2025 SELECT * FROM report WHERE no = 'R1'", "DELETE FROM report WHERE no = 'R1'")

    assert site.run() == {"unchanged": 1}
    assert site.held() == {}

    site.sql("UPDATE report_2025 SET name = '乙'")
    with site.app() as app:
        app.spool.finding.doubt("lab", ["R1"], "reconcile", site.now)
    assert site.run() == {"documents": 1}


@on_engines
def test_a_comparison_that_meets_a_key_no_more_looks_for_it(site: Site) -> None:
    site.feed = 'find = "compare"'
    site.prepare('SELECT name AS "cursor", no AS "key" FROM report')
    for number in range(5):
        site.report(f"R{number}")
    site.run()
    site.sql("DELETE FROM report WHERE no = 'R2'")

    assert site.run() == {"held": 1}
    assert site.held() == {"R2": "AGT004"}
    assert site.run() == {}


@on_engines
@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_at_once_stop_the_feed_until_a_person_says_so(site: Site, workers: int) -> None:
    if workers and site.engine != "sqlite":
        pytest.skip("once is enough")
    site.feed = "vanished_at_most = 3"
    with_triggers(site)
    for number in range(9):
        site.report(f"R{number}")
    site.run(workers)
    site.sql("DELETE FROM report WHERE no < 'R5'")

    with pytest.raises(TooManyVanished, match="5 keys are gone at once"):
        site.run(workers)
    assert site.held() == {}
    site.report("R20")
    with pytest.raises(TooManyVanished, match="stands still"):
        site.run(workers)

    (stands,) = site.operate("vanished_list")["stopped"]
    assert (stands["feed"], stands["keys"], stands["count"]) == ("lab", [f"R{n}" for n in range(5)], 5)
    site.operate("vanished_decide", "lab", True, "院方", "moved by the vendor")
    told = site.run(workers)
    assert (told["held"], told["documents"]) == (5, 1)
    assert site.operate("vanished_list")["stopped"] == []


@on_engines
def test_a_source_that_was_mended_is_looked_at_again(site: Site) -> None:
    site.feed = "vanished_at_most = 3"
    with_triggers(site)
    for number in range(9):
        site.report(f"R{number}")
    site.run()
    site.sql(f"CREATE TABLE away {site.columns}", "INSERT INTO away SELECT * FROM report", "DELETE FROM report")
    with pytest.raises(TooManyVanished):
        site.run()
    site.sql("INSERT INTO report SELECT * FROM away")

    site.operate("vanished_decide", "lab", False, "院方", "the view was wrong")

    assert "held" not in site.run()
    assert site.held() == {}


@on_engines
def test_a_person_may_have_a_vanished_record_declared_void(site: Site) -> None:
    with_triggers(site)
    site.report("R1")
    site.run()
    site.sql("DELETE FROM report WHERE no = 'R1'")
    site.run()
    with site.app() as app:
        (case,) = [one.id for one in app.spool.cases()]

    told = site.operate("vanished_void", [case], "院方", "entered twice")

    assert told["voided"] == [case]
    assert site.versions()["R1"] == (2, True)
    assert site.held() == {}
    site.report("R1")  # entered again after all
    site.run()
    assert site.versions()["R1"] == (3, False)


@on_engines
def test_a_vanished_key_that_is_discarded_stays_as_it_was(site: Site) -> None:
    with_triggers(site)
    site.report("R1")
    site.run()
    site.sql("DELETE FROM report WHERE no = 'R1'")
    site.run()
    with site.app() as app:
        cases = [one.id for one in app.spool.cases()]
    site.operate("quarantine_discard", cases, "院方", "known")
    assert site.held() == {}

    site.report("R1")
    assert "documents" not in site.run()
    assert site.versions()["R1"] == (1, False)


# -- dirty reads --


@on_engines
@pytest.mark.parametrize("workers", [0, 1])
def test_a_dirty_read_counts_when_it_reads_the_same_once_more(site: Site, workers: int) -> None:
    if workers and site.engine != "sqlite":
        pytest.skip("once is enough")
    site.source = 'nolock = true\nsettle = "2m"'
    site.prepare()
    site.report("R1")
    site.report("R2")
    assert site.run(workers) == {"waiting": 2}
    site.now += timedelta(minutes=1)
    site.sql("UPDATE report SET name = '乙' WHERE no = 'R2'")
    assert site.run(workers) == {"waiting": 2}
    site.now += timedelta(minutes=1, seconds=1)
    assert site.run(workers) == {"documents": 1, "waiting": 1, "unchanged": 1}
    site.now += timedelta(minutes=1)
    assert site.run(workers)["documents"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("site", ["mariadb"], indirect=True)
def test_what_was_read_dirty_and_rolled_back_is_never_sent(site: Site) -> None:
    site.source = 'nolock = true\nsettle = "2m"'
    site.prepare()
    writing = site.server.connect(site.database)
    writing.autocommit(False)
    with writing.cursor() as cursor:
        cursor.execute(
            "INSERT INTO report VALUES ('DIRTY', '甲', 'final', '2026-09-30 10:00:00', 1, 0, '2026-09-30 09:00:00', '')"
        )
        assert site.run() == {"waiting": 1}  # it really was read uncommitted
    writing.rollback()
    writing.close()
    site.now += timedelta(minutes=3)

    assert site.run() == {}
    assert site.versions() == {}
