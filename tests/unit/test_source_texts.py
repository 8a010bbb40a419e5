"""What sources say to engines we have no server of, and what they pass on of an engine's errors."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from connectors import SourceOptions, open_source
from connectors.engines import engine_named
from connectors.finding.cursors import cursor_text, cursor_value, shifted
from connectors.refusals import explained
from connectors.source import _beyond, _window_text, key_text
from frontend_agent.errors import ConfigurationError, SourceRefused, SourceUnreachable

NOW = datetime(2026, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SQLITE = engine_named("sqlite").dialect(())


def test_a_window_begins_where_an_index_can() -> None:
    condition, parameters = _beyond(SQLITE, (7, "k", True), 9)

    assert condition == 'q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) AND q."cursor" < ?'
    assert parameters == [7, 7, "k", 9]
    assert 'ORDER BY q."cursor", q."key"' in _window_text(SQLITE, "SELECT 1", condition)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 9, 30, 8, 15, 0, 250000),
        datetime(2026, 9, 30, 8, 15, tzinfo=timezone(timedelta(hours=8))),
        date(2026, 9, 30),
        1985612312345678901,
        Decimal("17.50"),
        0.1,
        "2026-09-30 08:15:00",
        "time:of day",
        "",
    ],
)
def test_a_cursor_goes_through_text_and_back(value: Any) -> None:
    back = cursor_value(cursor_text(value))

    assert (back, type(back)) == (value, type(value))


def test_a_key_never_passes_through_a_float() -> None:
    assert key_text(1985612312345678901) == key_text(Decimal("1985612312345678901")) == "1985612312345678901"


@pytest.mark.parametrize(
    ("cursor", "earlier"),
    [
        ("2026-09-30 00:15:00", "2026-09-29 23:15:00"),
        ("2026-09-30T00:15:00.123", "2026-09-29T23:15:00.123"),
        ("20260930001500", "20260929231500"),
        ("20260930", "20260929"),
        (datetime(2026, 9, 30), datetime(2026, 9, 29, 23)),
        (date(2026, 9, 30), date(2026, 9, 29)),
        (42, None),
        ("A-17", None),
        ("2026-02-30 00:00:00", None),
    ],
)
def test_the_overlap_shifts_a_cursor_in_its_own_form(cursor: Any, earlier: Any) -> None:
    assert shifted(cursor, HOUR) == earlier


@pytest.mark.parametrize(
    ("code", "text", "kind", "said"),
    [
        ("22P02", 'invalid input syntax for type bigint: "王小明"', SourceRefused, "22P02"),
        ("42703", 'column q.xm does not exist\nLINE 1: … "王小明"', SourceRefused, "unknown column q.xm"),
        ("1146", "Table 'lis.report' doesn't exist", SourceRefused, "unknown table lis.report"),
        ("42S22", "[FreeTDS][SQL Server]Invalid column name 'xm'.", SourceRefused, "unknown column xm"),
        ("", 'ORA-00904: "Q"."XM": invalid identifier', SourceRefused, 'unknown column "Q"."XM"'),
        ("1045", "Access denied for user 'reader'@'10.0.0.9' (using password: YES)", SourceRefused, "login was refused"),
        ("", "用户 \"reader\" Password 认证失败", SourceRefused, "login was refused"),
        ("57014", "canceling statement due to statement timeout", SourceUnreachable, "time-out"),
        ("08001", "could not connect", SourceUnreachable, "cannot be reached"),
        ("57P01", "terminating connection due to administrator command", SourceUnreachable, "cannot be reached"),
        ("IM002", "Data source name not found", SourceRefused, "no such ODBC data source"),
        ("42501", "permission denied for table report", SourceRefused, "may not read this (report)"),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wrong_and_no_value(code: str, text: str, kind: type, said: str) -> None:
    error = explained("lis", "parent", code, text)

    assert isinstance(error, kind)
    assert said in str(error)
    assert "王小明" not in str(error)
    assert "10.0.0.9" not in str(error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SourceOptions(), "either url or odbc"),
        (SourceOptions(url="sqlite:///x", odbc="DSN=x"), "either url or odbc"),
        (SourceOptions(url="db2://h/d"), "unknown scheme 'db2'"),
        (SourceOptions(url="postgresql://reader:secret@h/d"), "password does not belong into the url"),
        (SourceOptions(odbc="DSN=x;PWD=secret"), "password does not belong into odbc"),
        (SourceOptions(url="no url"), "not a database URL"),
    ],
)
def test_a_wrong_source_is_told_at_start(options: SourceOptions, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        open_source("lis", options)

    assert str(caught.value).startswith("sources.lis: ")
    assert "secret@" not in str(caught.value)
    assert "PWD=secret" not in str(caught.value)
