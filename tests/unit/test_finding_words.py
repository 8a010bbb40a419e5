"""What may be written about finding rows, what is refused, and the texts for engines that we have no server of."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors import SourceOptions
from connectors.engines import Greeter, engine_named
from connectors.engines.dialect import Dialect
from connectors.finding.acknowledging import Acknowledgement, parsed, updates
from connectors.finding.clock import CLOCKS, ClockWatch
from connectors.statements import refusal, rules_of
from frontend_agent.cli.main import main
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError, SourceRefused
from frontend_agent.finding import TooManyVanished
from frontend_agent.mapping import load_mapping
from frontend_agent.model import RowSet
from tests.integration.finding_site import ITEMS, PARENT, Site
from tests.integration.test_finding import OF_CHANGES, with_triggers

# -- the statement that writes --


@pytest.mark.parametrize(
    ("text", "table", "column", "value"),
    [
        ("mid.changes.processed", "mid.changes", "processed", "1"),
        ("changes.flag = Y", "changes", "flag", "Y"),
        ("dbo.变更表.已读=now", "dbo.变更表", "已读", "now"),
    ],
)
def test_a_column_that_may_be_updated_is_named_with_its_table(text: str, table: str, column: str, value: str) -> None:
    assert parsed(text) == Acknowledgement(table, column, value)


@pytest.mark.parametrize(
    "text",
    [
        "processed",
        "mid.changes.processed = 1; DROP TABLE patient",
        "mid.changes.processed = '1'",
        "mid.(SELECT 1).processed",
        "mid..processed",
        "mid.changes.processed -- ",
        "mid.changes.processed = 1, name = 2",
        "mid.changes.1",
        "",
    ],
)
def test_nothing_else_can_be_smuggled_into_the_statement(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parsed(text)


def test_the_statement_names_rows_by_their_own_numbers_in_lists_of_few_sizes() -> None:
    what = Acknowledgement("mid.changes", "processed", "1", "id")

    made = updates(Dialect(), what, list(range(300)))

    assert made[0][0].startswith("UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ")
    assert [len(parameters) for _, parameters in made] == [256, 256]
    assert {number for _, parameters in made for number in parameters} == set(range(300))
    (only,) = updates(Dialect(mark="$"), Acknowledgement("t", "at", "now", "id"), [7])
    assert only == ("UPDATE t SET at = CURRENT_TIMESTAMP WHERE id IN ($1)", [7])


def test_a_number_column_that_is_no_plain_name_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        updates(Dialect(), Acknowledgement("t", "flag", "1", "id) OR (1=1"), [1])


# -- what a mapping and agent.toml may say --


@pytest.mark.parametrize(
    ("feed", "more", "files", "says"),
    [
        ('find = "changes"', "", {}, r"\[queries\] changes"),
        ("", 'cursor_unit = "hours"', {}, "cursor_unit"),
        ("", 'history = ["old.sql"]', {"old": PARENT.format(table="old")}, "says nothing of the details items"),
        (
            "",
            'history = [{ parent = "old.sql", details = { items = "items.sql" } }]',
            {"old": 'SELECT no AS "report_number" FROM old'},
            "aliases of the parent",
        ),
        ("", 'changes = "changes.sql"', {"changes": 'SELECT no AS "key" FROM changes'}, 'AS "cursor"'),
        ('find = "guess"', "", {}, "find"),
        ("vanished_at_most = 0", "", {}, "vanished_at_most"),
    ],
)
def test_a_mistake_is_told_before_anything_is_read(
    tmp_path: Path, feed: str, more: str, files: dict[str, str], says: str
) -> None:
    site = Site(tmp_path, "sqlite", feed=feed)
    site.prepare(more=more, **files)

    with pytest.raises(ConfigurationError, match=says), site.app():
        pass


def test_a_change_query_that_would_read_marked_rows_again_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, "sqlite", source='acknowledge = ["changes.processed=1"]')
    with_triggers(site)

    with pytest.raises(ConfigurationError, match="does not ask for it"), site.app():
        pass


@pytest.mark.parametrize("find", ["time", "changes"])
@pytest.mark.parametrize(
    ("text", "says"), [("processed", "schema.table.column"), ("a.b;drop=1", "is not"), ("a.b='x", "a word")]
)
def test_what_may_be_marked_is_checked_whatever_finds(tmp_path: Path, find: str, text: str, says: str) -> None:
    site = Site(tmp_path, "sqlite", source=f'acknowledge = ["{text}"]')
    with_triggers(site)
    site.feed = f'find = "{find}"'

    with pytest.raises(ConfigurationError, match=rf"(?s)sources\.lis: acknowledge.*{says}"), site.app():
        pass


def test_a_misspelt_change_table_would_never_be_marked(tmp_path: Path) -> None:
    site = Site(tmp_path, "sqlite", source='acknowledge = ["chnages.processed=1"]')
    with_triggers(site, changes=OF_CHANGES + " WHERE processed = 0")

    with pytest.raises(ConfigurationError, match="not the change table that feed lab reads"), site.app():
        pass


def test_a_history_has_the_parents_aliases_and_its_own_details(tmp_path: Path) -> None:
    site = Site(tmp_path, "sqlite")
    more = 'history = [{ parent = "old.sql", details = { items = "old_items.sql" } }]'
    site.prepare(more=more, old=PARENT.format(table="r2025"), old_items=ITEMS.format(table="i2025"))

    (moved,) = load_mapping(str(tmp_path / "lab.toml")).queries.history

    assert "r2025" in moved.parent
    assert "i2025" in moved.details["items"].sql


def test_the_shipped_example_explains_how_rows_are_found() -> None:
    text = (Path(__file__).parents[2] / "agent.toml").read_text("utf-8")
    for key in ("find", "vanished_at_most", "replica_lag", "nolock", "settle", "acknowledge"):
        assert re.search(rf"^# {key} +=", text, re.MULTILINE), key
    parse_config(text)


# -- engines without a server here --


@pytest.mark.parametrize(
    ("engine", "says"),
    [("sqlserver", "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"), ("mysql", "READ UNCOMMITTED")],
)
def test_dirty_reads_are_asked_for_only_where_the_vendor_imposes_them(engine: str, says: str) -> None:
    def said(nolock: bool) -> str:
        options = SourceOptions(odbc="DSN=x", nolock=nolock)
        return "\n".join(one.sql for one in engine_named(engine).greeting(Greeter(options, datetime.now(UTC))))

    assert says in said(nolock=True)
    assert "UNCOMMITTED" not in said(nolock=False)


def test_every_engine_that_tells_is_asked_for_its_own_clock() -> None:
    assert CLOCKS["sqlserver"].now == "SELECT SYSDATETIME()"
    assert CLOCKS["oracle"].now.endswith("FROM DUAL")
    assert all(clock.now.startswith("SELECT ") for clock in CLOCKS.values())


def test_a_rowversion_is_bounded_by_what_no_open_transaction_holds() -> None:
    """SQL Server's own answer to late commits, for find = "key"."""
    sql = 'SELECT rv AS "cursor", no AS "key" FROM dbo.report WHERE rv < MIN_ACTIVE_ROWVERSION()'

    assert "allow_functions" in refusal(sql, rules_of("tsql", (), False, False))  # the hospital answers for it
    assert refusal(sql, rules_of("tsql", ("min_active_rowversion",), False, False)) == ""


@pytest.mark.parametrize(
    ("column", "value", "behind"),
    [
        ("Seconds_Behind_Master", 7, timedelta(seconds=7)),
        ("Seconds_Behind_Master", None, timedelta(days=1)),  # it has stopped: nobody knows
        ("Other", 7, timedelta(days=1)),
    ],
)
def test_a_replica_says_how_far_it_is_behind(column: str, value: int | None, behind: timedelta) -> None:
    def ask(sql: str) -> RowSet:
        if "REPLICA" in sql:
            return RowSet(("Replica_IO_State", column), [("waiting", value)])
        return RowSet(("x",), [(datetime(2026, 9, 30, 12),)])

    watch = ClockWatch(ZoneInfo("Asia/Shanghai"), lambda: datetime(2026, 9, 30, 4, tzinfo=UTC), set())

    assert watch.moment(ask, "mariadb").behind == behind


def test_what_an_account_may_not_read_is_asked_once() -> None:
    asked: list[str] = []

    def ask(sql: str) -> RowSet:
        asked.append(sql)
        if "LOCALTIMESTAMP" not in sql:
            raise SourceRefused("source lis: the account may not read this")
        return RowSet(("x",), [(datetime(2026, 9, 30, 12),)])

    watch = ClockWatch(ZoneInfo("Asia/Shanghai"), lambda: datetime(2026, 9, 30, 4, tzinfo=UTC), set())
    moments = [watch.moment(ask, "mariadb") for _ in range(3)]

    assert [one.open_since for one in moments] == [None] * 3
    assert len(asked) == 5  # the clock three times


# -- the command line --


def test_the_command_line_shows_what_vanished_and_takes_a_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path, "sqlite", feed="vanished_at_most = 1")
    with_triggers(site)
    for number in range(3):
        site.report(f"R{number}")
    site.run()
    site.sql("DELETE FROM report WHERE no < 'R2'")
    with pytest.raises(TooManyVanished):
        site.run()
    config = tmp_path / "agent.toml"
    config.write_text(site.text(), encoding="utf-8")

    def cli(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config), "--state", str(tmp_path / "state"), "--lang", "en", *arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    code, said = cli("vanished", "list")
    assert (code, "lab stands still: 2 keys" in said, "R0, R1" in said) == (0, True, True)
    assert json.loads(cli("vanished", "list", "--json")[1])["stopped"][0]["count"] == 2
    assert "goes on" in cli("vanished", "accept", "lab", "--reason", "moved")[1]
    site.run()
    held = json.loads(cli("vanished", "list", "--json")[1])["held"]
    assert [one["key"] for one in held] == ["R0", "R1"]
    assert "declared void" in cli("vanished", "void", held[0]["id"], "--reason", "entered twice")[1]
    assert cli("vanished", "void", held[0]["id"], "--reason", "entered twice")[0] == 1
    assert "does not stand still" in cli("vanished", "look-again", "lab")[1]
