"""What a database says of itself, asked of real servers natively and through ODBC; Oracle and SQL Server as text."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from connectors.catalogue import QUESTIONS, contained, contained_text, read_catalogue, sample, sample_text
from connectors.engines import Dialect
from connectors.source import Source
from connectors.statements import Rules, refusal
from frontend_agent.proposing.schema import DATE, NUMBER, TEXT, TIME, Table, schema_of
from tests.servers import PASSWORD, MariadbServer, PostgresServer

TABLES = (
    "CREATE TABLE dm_ks (ksdm VARCHAR(8) PRIMARY KEY, ksmc VARCHAR(40) NOT NULL)",
    "CREATE TABLE mz_jz (jzxh INT PRIMARY KEY, mzh VARCHAR(18) UNIQUE, ksdm VARCHAR(8) REFERENCES dm_ks (ksdm), csrq DATE,"
    " jzsj TIMESTAMP NULL, {more} FOREIGN KEY (ksdm) REFERENCES dm_ks (ksdm))",
    "CREATE INDEX ix_jzsj ON mz_jz (jzsj)",
    "CREATE VIEW v_jz AS SELECT jzxh, mzh FROM mz_jz",
    "INSERT INTO dm_ks VALUES ('NK', '内科'), ('WK', '外科')",
    "INSERT INTO mz_jz (jzxh, mzh, ksdm) VALUES (1, 'M1', 'NK'), (2, 'M2', 'WK'), (3, 'M3', 'NK')",
)


@pytest.fixture(params=["sqlite", "postgresql", "postgresql over ODBC", "mariadb", "mariadb over ODBC"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    engine = request.param.split()[0]
    if engine == "sqlite":
        with sqlite3.connect(tmp_path / "his.db") as made:
            for statement in TABLES:
                made.execute(statement.format(more=""))
        return open_source("his", SourceOptions(url=f"sqlite:///{tmp_path}/his.db"))
    server: PostgresServer | MariadbServer = request.getfixturevalue("postgres" if engine[0] == "p" else "mariadb")
    comments = (
        ("COMMENT ON TABLE mz_jz IS '就诊'", "COMMENT ON COLUMN mz_jz.mzh IS '门诊号'")
        if engine[0] == "p"
        else ("ALTER TABLE mz_jz COMMENT = '就诊'", "ALTER TABLE mz_jz MODIFY mzh VARCHAR(18) COMMENT '门诊号'")
    )
    server.create("catalogue")
    server.execute(*(statement.format(more="") for statement in (*TABLES, *comments)), database="catalogue")
    options = (
        SourceOptions(odbc=server.odbc("catalogue"))
        if request.param.endswith("ODBC")
        else SourceOptions(url=server.url("catalogue"))
    )
    return open_source("his", options, PASSWORD)


def _schema(source: Source) -> dict[str, Table]:
    read = read_catalogue(source)
    return schema_of(read.tables.rows, read.columns.rows, read.keys.rows)


def test_tables_columns_and_keys_are_read(source: Source) -> None:
    schema = _schema(source)

    visits = schema["mz_jz"]
    assert set(schema) == {"dm_ks", "mz_jz", "v_jz"}
    assert schema["v_jz"].is_view
    assert [column.name for column in visits.columns] == ["jzxh", "mzh", "ksdm", "csrq", "jzsj"]
    assert [column.family for column in visits.columns] == [NUMBER, TEXT, TEXT, DATE, TIME]
    assert (visits.column("mzh") or visits.columns[0]).length == 18
    assert visits.only_key == "jzxh"
    assert "mzh" in visits.unique
    assert "jzsj" in visits.indexed
    assert [(one.column, one.table, one.target) for one in visits.references][:1] == [("ksdm", "dm_ks", "ksdm")]
    source.close()


def test_chinese_comments_are_read(source: Source) -> None:
    if source.options.url.startswith("sqlite"):
        pytest.skip("SQLite has no comments")
    visits = _schema(source)["mz_jz"]

    assert visits.comment == "就诊"
    assert (visits.column("mzh") or visits.columns[0]).comment == "门诊号"
    source.close()


def test_a_sample_is_small_and_new_and_values_are_looked_up(source: Source) -> None:
    family = read_catalogue(source).family

    rows = sample(source, family, ("", "mz_jz"), ("jzxh", "mzh"), long=("mzh",), newest="jzxh")

    assert [str(row[1]) for row in rows.rows] == ["M3", "M2", "M1"]
    assert contained(source, ("", "dm_ks"), "ksdm", ["NK", "XX"]) == {"NK"}
    assert contained(source, ("", "dm_ks"), "ksdm", []) == set()
    source.close()


def test_samples_are_bounded_in_every_dialect() -> None:
    assert sample_text(Dialect(top="TOP {n}", limit=""), "sqlserver", ("dbo", "T"), ("A", "B"), ("B",), "A") == (
        'SELECT TOP 200 "A", SUBSTRING("B", 1, 20000) FROM "dbo"."T"\nORDER BY "A" DESC'
    )
    oracle = Dialect(limit="FETCH FIRST {n} ROWS ONLY")
    assert sample_text(oracle, "oracle", ("HIS", "T"), ("A",), ("A",), "") == (
        'SELECT SUBSTR("A", 1, 2000) FROM "HIS"."T"\nFETCH FIRST 200 ROWS ONLY'
    )
    assert (
        contained_text(Dialect(mark="$"), ("", "T"), "A", 2) == 'SELECT DISTINCT "A"\nFROM "T"\nWHERE "A" IN ($1, $2)'
    )


def test_what_is_asked_of_oracle_and_sql_server_is_only_text_and_reads_only_their_catalogues() -> None:
    assert "ALL_COL_COMMENTS" in QUESTIONS["oracle"]["columns"]
    assert "ALL_CONS_COLUMNS" in QUESTIONS["oracle"]["keys"]
    assert "sys.extended_properties" in QUESTIONS["sqlserver"]["columns"]
    for questions in QUESTIONS.values():
        assert set(questions) == {"tables", "columns", "keys"}
        for text in questions.values():
            assert text.lstrip().startswith("SELECT")
            assert not set(";%") & set(text)


@pytest.mark.parametrize(
    "family", [family for family in QUESTIONS if family != "sqlite"]
)  # it needs its pragma functions
def test_what_is_asked_passes_the_list_of_what_a_query_may_hold(family: str) -> None:
    for text in QUESTIONS[family].values():
        assert refusal(text, Rules(family)) == ""
