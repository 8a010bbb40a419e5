"""What a vendor is handed: tables of every kind in five dialects, and the mapping that reads exactly them."""

import io
import json
import re
from collections import Counter

import pytest
import sqlglot
from openpyxl import load_workbook

from frontend_agent.cli.main import run
from frontend_agent.cli.spec import specified
from frontend_agent.demo.samples import sample
from frontend_agent.formats import kind_codes, load_kind, load_kinds
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.supplying import ENGINES, control_tables, ddl, tables_of
from frontend_agent.supplying.tables import LONGEST_NAME, RESERVED, column_name

READ_AS = {"postgresql": "postgres", "mysql": "mysql", "sqlserver": "tsql", "oracle": "oracle"}


def all_tables(form="tables"):
    return [
        *control_tables("fep"),
        *(table for kind in load_kinds().values() for table in tables_of(kind, "fep", form)),
    ]


def test_every_column_of_every_kind_has_a_name_of_its_own_that_all_engines_take():
    for table in all_tables():
        names = [column.name for column in table.columns]
        assert not [name for name, count in Counter(names).items() if count > 1], table.name
        assert all(
            re.fullmatch(r"[a-z][a-z0-9_]*", name) and len(name) <= LONGEST_NAME for name in [table.name, *names]
        )
        assert not RESERVED & set(names)
    assert len({table.name for table in all_tables()}) == len(all_tables())


def test_a_long_name_is_shortened_the_same_way_for_ever():
    assert column_name("patient.employer.address.house_number") == "patient_employer_address_0a7d"
    assert column_name("items.date") == "items_date"
    assert column_name("date") == "date_"


@pytest.mark.parametrize("form", ["tables", "views"])
@pytest.mark.parametrize("engine", READ_AS)
def test_what_is_written_is_the_grammar_of_its_engine(engine, form):
    text = ddl(ENGINES[engine], all_tables(form), form).replace("\nGO", "")
    statements = sqlglot.parse(text, dialect=READ_AS[engine], error_level=sqlglot.ErrorLevel.RAISE)
    made = [one for one in statements if isinstance(one, sqlglot.exp.Create)]
    tables = {one.find(sqlglot.exp.Table).name for one in made if one.kind in ("TABLE", "VIEW")}
    assert tables == {table.name for table in all_tables(form)}


def test_an_untested_engine_says_so_in_the_file():
    table = tables_of(load_kind("C0007"), "fep")
    for name, engine in ENGINES.items():
        assert ("never been run" in ddl(engine, table)) == (name not in ("postgresql", "mysql"))


@pytest.mark.parametrize("form", ["tables", "views"])
@pytest.mark.parametrize("code", kind_codes())
def test_the_mapping_reads_every_field_of_its_kind(code, form, tmp_path):
    kind = load_kind(code)
    for name, content in specified([kind], "postgresql", form, "fep").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    mapping = load_mapping(str(tmp_path / "mappings" / f"{kind.short_name}.toml"))
    compile_mapping(mapping, kind, "999000013", "示范市第一人民医院", "Asia/Shanghai")
    said = {f'"{f.key}"' for f in kind.fields if f.name not in ("institution.id", "institution.name")}
    texts = "".join(path.read_text() for path in (tmp_path / "mappings").glob("*"))
    assert [name for name in said if name not in texts] == []


def test_the_sheet_has_every_column_and_every_code_with_its_mark():
    kind = load_kind("C0007")
    files = specified([kind], "oracle", "tables", "fep")
    book = load_workbook(io.BytesIO(files["fields.xlsx"]))
    for table in [*control_tables("fep"), *tables_of(kind, "fep")]:
        rows = list(book[table.name[:31]].iter_rows(min_row=4, values_only=True))
        assert [row[1] for row in rows] == [column.name for column in table.columns]
    report = {row[1]: row for row in book["fep_c0007"].iter_rows(min_row=4, values_only=True)}
    assert report["patient_name"][2] == "VARCHAR2(100 CHAR)"
    assert report["patient_name"][6] == "DE02.01.039.00"
    assert report["patient_name"][10] == sample(kind)["patient.name"]
    codes = list(book["值域 codes"].iter_rows(min_row=2, values_only=True))
    assert ("GB/T 2261.1", "1") in {(row[0], row[2]) for row in codes} or any(row[3] == "男性" for row in codes)
    assert all(row[4] for row in codes)


def test_the_command_writes_once_and_replaces_nothing(tmp_path, capsys):
    out = tmp_path / "spec"
    assert run(["spec", "C0007", "--engine", "oracle", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tested"] is False
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == told["files"]
    before = (out / "fields.xlsx").read_bytes()
    assert run(["spec", "C0007", "--engine", "oracle", "--out", str(out)]) == 1
    assert (out / "fields.xlsx").read_bytes() == before


def test_wrong_use_is_told(tmp_path, capsys):
    assert run(["spec", "C0007", "--engine", "sybase", "--out", str(tmp_path / "a")]) == 2
    assert run(["spec", "C9999", "--engine", "oracle", "--out", str(tmp_path / "b")]) == 1
    assert run(["spec", "C0007", "--engine", "oracle", "--prefix", "1; DROP", "--out", str(tmp_path / "c")]) == 2
    assert not list(tmp_path.iterdir())
