"""What every engine is told and asked, as text: one file per engine (and version, where it matters) in tests/golden/sql.

For the engines that no server is here for, this is all the proof there is. After a change that is meant:
`python -m tests.golden.test_sql_golden` writes the files anew, and the difference is read.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors import statements
from connectors.engines import ENGINES, Dialect, Engine, Greeter, engine_named, version_of
from connectors.finding.acknowledging import WRITING, Acknowledgement, updates
from connectors.finding.clock import CLOCKS
from connectors.finding.gaps import Gap
from connectors.source import (
    CHUNKS,
    SourceOptions,
    _beyond,
    _by_keys_text,
    _count_text,
    _day_text,
    _gaps_text,
    _newest_text,
    _nothing_of,
    _null_text,
    _sample_text,
    _walk_text,
    _window_text,
)

FOLDER = Path(__file__).parent / "sql"
NOW = datetime(2026, 9, 30, tzinfo=UTC)
OPTIONS = SourceOptions(
    statement_timeout=timedelta(seconds=20), lock_timeout=timedelta(seconds=3), idle_timeout=timedelta(seconds=60)
)
CHANGED = "SELECT 修改时间 AS {q}cursor{q}, REPORT_NO AS {q}key{q} FROM 检验报告 WHERE XM LIKE '%王%'"
PARENT = "SELECT REPORT_NO AS {q}report_number{q}, XM AS {q}patient.name{q} FROM 检验报告 -- 报告"
DAYS = "SELECT 报告时间 AS {q}day{q}, REPORT_NO AS {q}key{q} FROM 检验报告"
LOW, HIGH = datetime(2026, 9, 1), datetime(2026, 10, 1)

VERSIONS = {"oracle": ("11.2.0.4.0", "19.0.0.0.0"), "mysql": ("8.4.0",), "mariadb": ("10.11.6-MariaDB",)}
NATIVE = {  # how the native drivers take parameters; over ODBC all take ?
    "postgresql": Dialect(mark="$"),
    "mariadb": Dialect(quote="`", mark="%s", percent="%%"),
    "oracle": replace(engine_named("oracle").dialect((19,)), mark=":"),
}


def cases() -> Iterator[tuple[str, Engine, Dialect, str]]:
    for engine in ENGINES:
        for version in VERSIONS.get(engine.name, ("",)):
            name = f"{engine.name}-{version.partition('.')[0]}" if engine.name == "oracle" else engine.name
            yield name, engine, engine.dialect(version_of(version)), version
    for name, dialect in NATIVE.items():
        yield f"{name}-native", engine_named(name), dialect, VERSIONS.get(name, ("",))[-1]


def call_of(name: str, engine: Engine, dialect: Dialect) -> str:
    """A stored procedure with a window, its parameters named where the engine has names for them."""
    calling = engine.native_call if name.endswith("-native") and engine.native_call else engine.call
    first, second = dialect.marks(2)
    sign = "@" if engine.grammar == "tsql" else ""
    return calling("his.usp_changed", [(f"{sign}von", first), (f"{sign}bis", second)]) if calling else ""


def questions(dialect: Dialect) -> list[tuple[str, str]]:
    """What is asked about a mapping's own queries: all of it passes the allow-list."""
    changed, parent, days = (sql.format(q=dialect.quote) for sql in (CHANGED, PARENT, DAYS))
    gaps = [Gap(3, 4, NOW), Gap(7, 7, NOW)]
    return [
        ("probe", _nothing_of(dialect, changed, ("cursor", "key"))),
        ("sample", _sample_text(dialect, changed, "cursor")),
        ("first window", _window_text(dialect, changed, _beyond(dialect, None, None)[0])),
        ("next window", _window_text(dialect, changed, _beyond(dialect, (LOW, "R1", True), None)[0])),
        ("range", _window_text(dialect, changed, _beyond(dialect, (LOW, None, False), HIGH)[0])),
        ("range, further on", _window_text(dialect, changed, _beyond(dialect, (LOW, "R1", True), HIGH)[0])),
        ("count", _count_text(dialect, changed, 50_001)),
        ("all keys", _walk_text(dialect, changed, resumed=False)),
        ("all keys, further on", _walk_text(dialect, changed, resumed=True)),
        ("numbers that were passed over", _gaps_text(dialect, changed, gaps, None)[0]),
        ("numbers that were passed over, further on", _gaps_text(dialect, changed, gaps, (7, "R1", True))[0]),
        ("days", _window_text(dialect, _day_text(dialect, days), _beyond(dialect, (LOW, None, False), HIGH)[0])),
        ("without a cursor", _null_text(dialect, changed, resumed=True)),
        ("newest", _newest_text(dialect, changed, below=True)),
        ("keys", _by_keys_text(dialect, parent, "report_number", 8, 200_001)),
        ("keys alone", _by_keys_text(dialect, parent, "report_number", 8, 200_001, "report_number")),
    ]


def marking(engine: Engine, dialect: Dialect) -> str:
    """How change rows are marked as read: the only statement that writes, in a transaction of its own."""
    what = Acknowledgement("mid.changes", "processed", "1", "id")
    return "\n".join(
        f"{sql};" for sql in (*WRITING.get(engine.name, ()), *(sql for sql, _ in updates(dialect, what, [7, 8])))
    )


def clock_of(engine: Engine) -> str:
    """What it is asked of its own time."""
    clock = CLOCKS.get(engine.name)
    return "\n".join(f"{sql};" for sql in (clock.numbers, clock.open, clock.behind, clock.now) if sql) if clock else ""


def text_of(name: str, engine: Engine, dialect: Dialect, version: str) -> str:
    """Everything that this engine hears from us, with a heading for each."""
    greeter = Greeter(OPTIONS, NOW, f"{engine.title} {version}", version_of(version))
    greeting = [f"{said.sql};{'' if said.needed else '  -- may be unknown'}" for said in engine.greeting(greeter)]
    parts = [
        ("tested against", "real servers" if engine.tested else "no server: text only"),
        ("greeting", "\n".join(greeting)),
        ("begin", "\n".join(f"{sql};" for sql in engine.begin)),
        ("alive", dialect.one),
        *questions(dialect),
        ("its clock", clock_of(engine)),
        ("mark change rows", marking(engine, dialect)),
        ("procedure", call_of(name, engine, dialect)),
        ("its definition", engine.definition("his.usp_changed", dialect)[0] if engine.definition else ""),
        ("session", engine.session_id),
        ("end a session", engine.kill.format(id="42")),
    ]
    return "".join(f"-- {title}\n{text}\n\n" for title, text in parts if text).rstrip() + "\n"


@pytest.mark.parametrize(
    ("name", "engine", "dialect", "version"), [pytest.param(*case, id=case[0]) for case in cases()]
)
def test_an_engine_hears_what_is_written_down(name: str, engine: Engine, dialect: Dialect, version: str) -> None:
    assert text_of(name, engine, dialect, version) == (FOLDER / f"{name}.sql").read_text("utf-8")


@pytest.mark.parametrize(
    ("engine", "dialect"), [pytest.param(engine, dialect, id=name) for name, engine, dialect, _ in cases()]
)
def test_all_that_is_asked_is_on_the_list_of_what_may_be_asked(engine: Engine, dialect: Dialect) -> None:
    rules = statements.rules_of(engine.grammar, (), nolock=False, formatted=dialect.percent != "%")
    refused = {title: why for title, text in questions(dialect) if (why := statements.refusal(text, rules))}
    assert not refused


def test_every_golden_text_has_its_engine() -> None:
    assert {path.stem for path in FOLDER.glob("*.sql")} == {name for name, *_ in cases()}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_no_list_of_keys_is_longer_than_the_engine_takes(engine: Engine) -> None:
    assert max(CHUNKS) + 2 <= engine.dialect(()).most_parameters


if __name__ == "__main__":
    for name, engine, dialect, version in cases():
        (FOLDER / f"{name}.sql").write_text(text_of(name, engine, dialect, version), "utf-8")
