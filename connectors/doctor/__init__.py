"""The doctor of a source: everything that can be wrong between it and us, found by asking, explained with its mend.

    examine(source, feeds) -> findings, one after the other, as they are found

It reads few rows and writes nothing. A write is tried only when asked (`try_write`): an UPDATE of no row, in a transaction
that is rolled back.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.database import Database
from connectors.doctor import locks, plans, reaching, reading
from connectors.doctor.ailment import Ailment
from connectors.finding.cursors import cursor_value, shifted
from connectors.refusals import StatementTooSlow
from connectors.source import Source, _beyond, _nothing_of, _window_text, _wrapped
from connectors.statements import Own, StatementRefused, must_be_allowed, refusal, tables_in
from frontend_agent.errors import SourceError, SourceRefused, SourceResting, SourceUnreachable
from frontend_agent.model import RowSet

__all__ = ["Ailment", "Asked", "costly_plans", "examine"]

SAMPLE = 200  # rows of each query whose texts and dates are looked at
SLOW = 1 / 3  # of the statement time-out: more than that is told
BACK = timedelta(minutes=10)


class Asked(msgspec.Struct, frozen=True):
    """One query of a feed that this source is asked: its name, its SQL, whether it finds what changed."""

    feed: str
    query: str
    sql: str
    finds: bool = False

    @property
    def where(self) -> str:
        return f"{self.feed}: {self.query}"


def examine(source: Source, asked: Sequence[Asked], try_write: bool = False) -> Iterator[Ailment]:
    """All findings about one source; those that are fine are told as well. The source must be in this process."""
    yield from _reached(source)
    entered = _entered(source)
    yield entered
    if entered.severity == "wrong":
        return
    tables = sorted({table for one in asked for table in tables_in(one.sql)})
    for step in (_account, _clock, _locks):
        yield from _careful(step.__name__.strip("_"), step, source, asked, tables)
    for one in asked:
        yield from _careful(one.where, _query, source, one)
    if try_write:
        yield from _careful("write", _tried, source, tables)


def _careful(where: str, step: Any, *arguments: Any) -> Iterator[Ailment]:
    """One step; a source that refuses it or is slow ends that step alone."""
    try:
        yield from step(*arguments)
    except StatementTooSlow:
        yield Ailment("query.too_slow", "wrong", where)
    except (SourceRefused, SourceUnreachable, SourceResting) as error:
        yield Ailment("step.refused", "doubt", where, {"why": str(error)})


# -- reaching it --


def _reached(source: Source) -> Iterator[Ailment]:
    options = source.options
    found = reaching.line(options.url, options.odbc, options.connect_timeout.total_seconds())
    if found is not None:
        yield found


def _entered(source: Source) -> Ailment:
    """Connect as the source does, with what its driver says itself; then once more as a session of ours."""
    options = source.options
    address = reaching.address_of(options.url, options.odbc)
    where = f"{address[0]}:{address[1]}" if address else ""
    if isinstance(source, Database):
        driver = source._driver
        try:
            driver.close(driver.connect())
        except driver.errors as error:
            return reaching.entry(*driver.said(error), options.url, options.odbc, _drivers(), where)
        except SourceError as error:  # a driver that looks for itself: no file, no library
            return Ailment("driver.says", "wrong", where, {"why": str(error)})
    try:
        with source.session() as ask:
            ask(source.dialect.one, (), "probe")
    except SourceError as error:
        return Ailment("driver.says", "wrong", where, {"why": str(error)})
    return Ailment("login.fine", "fine", where, {"engine": source.family})


def _drivers() -> list[str]:
    """The ODBC drivers that this machine knows; none where it has no driver manager."""
    try:
        import pyodbc
    except ImportError:
        return []
    return [str(name) for name in pyodbc.drivers()]


# -- the account, the clock, the locks --


def _account(source: Source, asked: Sequence[Asked], tables: Sequence[str]) -> Iterator[Ailment]:
    grants = source.grants(tables)
    if not grants.known:
        yield Ailment("account.unknown", "doubt", values={"why": grants.why})
        return
    for code, severity, rights in (
        ("account.writes", "wrong", grants.writes),
        ("account.room", "doubt", grants.doubts),
    ):
        if rights:
            some = "; ".join(str(right) for right in rights[:20]) + (" …" if len(rights) > 20 else "")
            yield Ailment(code, severity, grants.account, {"rights": some}, grants.mend)  # type: ignore[arg-type]
    if not grants.writes:
        yield Ailment("account.fine", "fine", grants.account)


def _clock(source: Source, asked: Sequence[Asked], tables: Sequence[str]) -> Iterator[Ailment]:
    moment = source.moment()
    ours = moment.asked_at.astimezone(ZoneInfo(source.options.timezone)).replace(tzinfo=None)
    yield reading.clock_ailment(source.name, moment.now, ours)


def _locks(source: Source, asked: Sequence[Asked], tables: Sequence[str]) -> Iterator[Ailment]:
    family = source.family
    if family in ("postgresql", "kingbase", "opengauss"):
        with source.session() as ask:  # in one transaction with the queries themselves
            for one in asked:
                ask(_nothing_of(source.dialect, one.sql, ()), (), one.query)
            yield from locks.postgresql(ask(Own(locks.POSTGRESQL), (), "locks").rows)
    elif family in ("mariadb", "mysql", "oceanbase"):
        with source.session() as ask:
            session = ask(Own(locks.MARIADB if family == "mariadb" else locks.MYSQL), (), "locks").rows[0]
            engines = ask(Own(locks.ENGINES), (), "locks").rows
        yield from locks.mysql(session, engines, tables)
    elif family == "sqlserver":
        with source.session() as ask:
            rows = ask(Own(locks.SQLSERVER), (), "locks").rows
        yield from locks.sqlserver(rows[0])


# -- the queries --


def _query(source: Source, asked: Asked) -> Iterator[Ailment]:
    reason = refusal(asked.sql.replace("%", source.dialect.percent), source.rules)
    if reason:
        yield Ailment("query.not_sent", "wrong", asked.where, {"why": reason})
        return
    try:
        with source.session() as ask:
            ask(_nothing_of(source.dialect, asked.sql, ()), (), asked.query)
    except StatementRefused:
        raise
    except SourceRefused as error:
        yield from _denied(source, asked, str(error))
        return
    if asked.finds:
        yield from _plan(source, asked)
        yield from _timed(source, asked)
    else:
        yield from _read(source, asked)


def _denied(source: Source, asked: Asked, said: str) -> Iterator[Ailment]:
    """Which of the query's tables the account may not read, each with its GRANT."""
    if "may not read" not in said:
        yield Ailment("query.refused", "wrong", asked.where, {"why": said})
        return
    for table in sorted(tables_in(asked.sql)):
        try:
            with source.session() as ask:
                quoted = ".".join(source.dialect.quoted(part) for part in table.split("."))
                ask(f"SELECT 1 FROM {quoted} WHERE 1 = 0", (), asked.query)  # noqa: S608 - a name of the query itself, quoted
        except SourceRefused:
            account = source.grants().account or "frontend_reader"
            yield Ailment(
                "query.denied", "wrong", f"{asked.where}: {table}", {}, (_grant(source.family, table, account),)
            )


def _grant(family: str, table: str, account: str) -> str:
    if family in ("mariadb", "mysql", "oceanbase", "gbase8a"):
        user, _, host = account.partition("@")
        return f"GRANT SELECT ON {table} TO '{user}'@'{host}';"
    return f"GRANT SELECT ON {table} TO {account};"


def _plan(source: Source, asked: Asked) -> Iterator[Ailment]:
    found = _planned(source, asked)
    if found is None:
        return
    plan, columns = found
    missing = False
    for column in columns:
        name = column.table.rpartition(".")[2].lower()
        rows = max(plan.whole.get(column.alias.lower(), 0.0), plan.whole.get(name, 0.0))
        if rows > plans.MANY:
            missing = True
            values = {"table": column.table, "column": column.expression, "rows": f"{rows:,.0f}"}
            where = f"{asked.where}: {column.table}.{column.expression}"
            yield Ailment("plan.no_index", "wrong", where, values, (plans.index_text(source.family, column),))
    if plan.cost > plans.COSTLY:
        yield Ailment("plan.costly", "doubt", asked.where, {"cost": f"{plan.cost:,.0f}"})
    elif not missing:
        yield Ailment("plan.fine", "fine", asked.where, {"cost": f"{plan.cost:,.0f}"})


def _planned(source: Source, asked: Asked) -> tuple[plans.Plan, list[plans.CursorColumn]] | None:
    """The plan of what a run asks for: what is younger than ten minutes before the newest."""
    family = source.family
    if not plans.explain_text(family, "SELECT 1"):
        return None
    text, parameters = _newest_window(source, asked)
    must_be_allowed(source.name, asked.query, text, source.rules)  # before it is made a part of a statement of our own
    columns = plans.cursor_columns(asked.sql, source.grammar)
    sizes = _sizes(source, columns)
    with source.session() as ask:
        answer = ask(Own(plans.explain_text(family, text)), parameters, "plan")
    return plans.read_plan(family, answer.columns, answer.rows, sizes), columns


def _newest_window(source: Source, asked: Asked) -> tuple[str, list[Any]]:
    newest = source.newest(asked.sql)
    value = cursor_value(newest.cursor) if newest else None
    earlier = shifted(value, BACK) if value is not None else None
    start = earlier if earlier is not None else value
    condition, parameters = _beyond(source.dialect, None if start is None else (start, None, False), None)
    return _window_text(source.dialect, asked.sql, condition), parameters


def _sizes(source: Source, columns: Sequence[plans.CursorColumn]) -> dict[str, float]:
    """Rows of the tables by the engine's own statistics; of SQLite, by the newest row's number."""
    sizes: dict[str, float] = {}
    if source.family in ("postgresql", "kingbase", "opengauss"):
        with source.session() as ask:
            rows = ask(
                Own("SELECT relname, MAX(reltuples) FROM pg_class WHERE relkind IN ('r', 'p') GROUP BY relname"),
                (),
                "plan",
            ).rows
        sizes = {str(name).lower(): float(rows_) for name, rows_ in rows}
    elif source.family == "sqlite":
        for column in columns:
            with contextlib.suppress(SourceRefused), source.session() as ask:  # a view has no rowid
                quoted = ".".join(source.dialect.quoted(part) for part in column.table.split("."))
                told = ask(f"SELECT MAX(rowid) FROM {quoted}", (), "plan").rows  # noqa: S608 - a name of the query itself
                sizes[column.alias.lower()] = sizes[column.table.lower()] = float(told[0][0] or 0)
    return sizes


def _timed(source: Source, asked: Asked) -> Iterator[Ailment]:
    text, parameters = _newest_window(source, asked)
    limit = source.options.statement_timeout.total_seconds()
    started = time.monotonic()
    with source.session() as ask:
        ask(text, parameters, asked.query)
    seconds = time.monotonic() - started
    values = {"seconds": f"{seconds:.2f}", "limit": f"{limit:g}"}
    slow = seconds > limit * SLOW
    yield Ailment("query.slow" if slow else "query.fast", "doubt" if slow else "fine", asked.where, values)


def _read(source: Source, asked: Asked) -> Iterator[Ailment]:
    """Texts and dates of a few rows."""
    text = source.dialect.select("*", _wrapped(source.dialect, asked.sql), SAMPLE)
    with source.session() as ask:
        rows: RowSet = ask(text, (), asked.query)
    zone = ZoneInfo(source.options.timezone)
    values: Mapping[str, list[Any]] = {
        name: [row[place] for row in rows.rows if row[place] is not None] for place, name in enumerate(rows.columns)
    }
    sick = False
    for column, cells in values.items():
        where = f"{asked.where}.{column}"
        found = (
            reading.text_ailment(where, cells, bool(source.options.odbc), source.family),
            reading.date_ailment(where, cells, zone, source.family),
        )
        for ailment in found:
            if ailment is not None:
                sick = True
                yield ailment
    if not sick:
        yield Ailment("text.fine", "fine", asked.where, {"rows": str(len(rows.rows))})


def costly_plans(source: Source, asked: Sequence[Asked]) -> Iterator[Ailment]:
    """What EXPLAIN says against the feeds' queries of changes: the gate when a feed is configured."""
    for one in asked:
        if one.finds:
            yield from (found for found in _careful(one.where, _plan, source, one) if found.code.startswith("plan."))


# -- trying a write --


def _tried(source: Source, tables: Sequence[str]) -> Iterator[Ailment]:
    """UPDATE no row of the first table we read, and roll back: whoever may write is not stopped by having nothing to do."""
    if not tables:
        return
    table = tables[0]
    quoted = ".".join(source.dialect.quoted(part) for part in table.split("."))
    with source.session() as ask:
        columns = ask(_nothing_of(source.dialect, f"SELECT * FROM {quoted}", ()), (), "write").columns  # noqa: S608
    column = source.dialect.quoted(columns[0])
    try:
        with source.session() as ask:
            ask(Own(f"UPDATE {quoted} SET {column} = {column} WHERE 1 = 0"), (), "write")  # noqa: S608
    except SourceRefused as error:
        how = "session" if re.search("read-only", str(error)) else "grants"
        yield Ailment(f"write.{how}", "fine", table)
        return
    yield Ailment("write.accepted", "wrong", table)
