"""A site's file of shared tables: what it may say, what is wrong with it, and the statements that come of it."""

from typing import Any

import msgspec
import pytest

from connectors.outlets.table import same
from connectors.outlets.table_refusals import Whose, code_of, told
from frontend_agent.codes import CodeTable
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.dialects.shared_tables import SharedTables, read_tables, specified
from frontend_agent.dialects.statements import belonging, put_away, read_back, upsert
from frontend_agent.dialects.values import NotSaid, Region, Value, local_in, value_of
from frontend_agent.errors import ConfigurationError
from frontend_agent.supplying import ENGINES, ddl
from tests.unit.opened_documents import CONTENT, a_document, open_one

SITE = """
[[tables]]
name = "TB"
kind = "C0007"
key  = ["JG", "BH"]
void = "作废标识"
[tables.columns]
JG = "{institution}"
BH = "report_number"
XB = { value = "patient.sex", as = "name" }
BXB = { value = "patient.sex", as = "local" }
RQ = "items_date"
[[tables.details]]
name = "MX"
group = "items"
key = ["JG", "BH", "XH"]
[tables.details.columns]
JG = "{institution}"
BH = "report_number"
XH = "{row}"
MC = "items.name"
""".replace('RQ = "items_date"', 'RQ = { value = "author.time", format = "yyyy-MM-dd" }')


def tables(text: str = SITE, region: Region = Region()) -> SharedTables:  # noqa: B008  a value
    return read_tables(text, "region.toml", CONTENT.kind, region)


def said(text: str = SITE, region: Region = Region(), **changes: Any) -> dict[str, str | None]:  # noqa: B008
    put = tables(text, region).put(open_one(a_document("C0007", **changes)), "20261001090000")
    return dict(zip(put.rows[0].table.names, put.rows[0].rows[0], strict=True))


def test_columns_are_fields_names_of_codes_constants_and_the_documents_own() -> None:
    sex = CodeTable("sex", "s/codes/sex.toml", "2.16.156.10011.2.3.3.4", {"M": "1", "F": "2"})
    row = said(region=Region(local=local_in(lambda feed: {"patient.sex": sex})), patient__sex="1")

    assert (row["JG"], row["XB"], row["BXB"], row["作废标识"]) == ("999000013", "男性", "M", "0")
    assert row["RQ"] is not None
    assert row["RQ"].count("-") == 2
    assert said(patient__sex="1")["BXB"] is None  # no map, no local code


@pytest.mark.parametrize(
    ("before", "after", "told_"),
    [
        ('"report_number"', '"report_numbr"', "did you mean 'report_number'"),
        ('key  = ["JG", "BH"]', 'key  = ["JG", "BHH"]', "no column BHH (did you mean 'BH'?)"),
        ('name = "TB"', 'name = "TB; DROP"', "no name of a table"),
        ('group = "items"', 'group = "item"', "did you mean 'items'"),
        ('XH = "{row}"\n', 'XH = "{row}"\nZZ = "diagnoses.code"\n', "write it as a detail"),
        ('JG = "{institution}"\nBH = "report_number"\nXH', 'BH = "report_number"\nXH', "JG"),
        ('XB = { value = "patient.sex", as = "name" }', 'XB = { value = "patient.name", as = "name" }', "is no code"),
        ('kind = "C0007"', 'kind = "C9999"', "C9999"),
        ('"{institution}"', '"{instition}"', "did you mean 'institution'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(before: str, after: str, told_: str) -> None:
    assert before in SITE
    with pytest.raises(ConfigurationError) as wrong:
        tables(SITE.replace(before, after))
    assert told_ in str(wrong.value)
    assert "region.toml" in str(wrong.value) or "C9999" in str(wrong.value)


def test_what_cannot_be_a_row_says_why() -> None:
    with pytest.raises(NotSaid, match=r"TB\.BH is part of the key"):
        tables(SITE.replace('BH = "report_number"', 'BH = "encounter.ward_id"', 1)).put(
            open_one(a_document("C0007", encounter__ward_id=None)), ""
        )
    with pytest.raises(NotSaid, match="withdrawals"):
        said(SITE.replace('void = "作废标识"', ""), void=True)
    with pytest.raises(NotSaid, match="C0034"):
        tables().put(open_one(a_document("C0034")), "")
    with pytest.raises(NotSaid, match=r"TB\.RQ is no date"):
        said(SITE.replace('"author.time"', '"patient.name"'))


def test_two_rows_of_one_key_would_lose_one_and_are_refused() -> None:
    by_name = SITE.replace('key = ["JG", "BH", "XH"]', 'key = ["JG", "BH", "MC"]')
    items = open_one(a_document("C0007")).record["items"][:1]
    tables(by_name).put(open_one(a_document("C0007", items=items)), "")
    with pytest.raises(NotSaid, match="MX: two rows have the same key"):
        tables(by_name).put(open_one(a_document("C0007", items=items * 2)), "")


@pytest.mark.parametrize(
    ("engine", "parts"),
    [
        ("postgresql", ("INSERT INTO TB", "ON CONFLICT (JG, BH) DO UPDATE SET XB = excluded.XB")),
        ("mysql", ("INSERT INTO TB", "ON DUPLICATE KEY UPDATE XB = VALUES(XB)")),
        ("oracle", ("MERGE INTO TB d USING (SELECT :c0 AS JG", "FROM DUAL) s ON (d.JG = s.JG AND d.BH = s.BH)")),
        ("mssql", ("MERGE INTO TB WITH (HOLDLOCK) AS d", "s.作废标识);")),
    ],
)
def test_every_engine_has_its_own_upsert(engine: str, parts: tuple[str, ...]) -> None:
    text = upsert(tables().all()[0], engine)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("postgresql", ", SHZT = DEFAULT"),
        ("mysql", ", SHZT = DEFAULT"),
        ("sqlite", ", SHZT = NULL"),
        ("oracle", ", d.SHZT = DEFAULT WHEN NOT MATCHED"),
        ("mssql", ", d.SHZT = DEFAULT WHEN NOT MATCHED"),
    ],
)
def test_what_the_region_said_of_a_row_is_forgotten_with_its_next_version(engine: str, said: str) -> None:
    assert said in upsert(tables().all()[0], engine, ["SHZT"])


def test_details_without_a_mark_are_deleted_and_with_one_marked() -> None:
    main, detail = tables().all()
    assert put_away(detail) == "DELETE FROM MX WHERE JG = :k0 AND BH = :k1 AND XH = :k2"
    assert put_away(main).startswith("UPDATE TB SET 作废标识 = '1'")
    assert belonging(detail) == "SELECT JG, BH, XH, MC FROM MX WHERE JG = :k0 AND BH = :k1"
    assert read_back(main) == "SELECT JG, BH, XB, BXB, RQ, 作废标识 FROM TB WHERE JG = :k0 AND BH = :k1"


@pytest.mark.parametrize("engine", list(ENGINES))
def test_the_tables_can_be_printed_for_who_makes_them(engine: str) -> None:
    text = ddl(ENGINES[engine], specified(tables(), ["SHZT"]))
    assert text.count("CREATE TABLE") == 2
    assert "SHZT" in text


@pytest.mark.parametrize(
    ("sent", "kept", "equal"),
    [
        ("张三", "张三  ", True),
        ("张三", "张?", False),
        ("5.60", 5.6, True),
        ("5.60", 5.5, False),
        ("1", True, True),
        (None, None, True),
        ("", None, True),
        ("x", None, False),
        (None, "x", False),
        ("x", b"x", True),
        ("x", 1, False),
    ],
)
def test_what_is_read_back_is_the_same_whatever_the_columns_type(sent: str | None, kept: Any, equal: bool) -> None:
    assert same(sent, kept) is equal


class Refusal(Exception):
    """As a driver raises it."""


def test_a_refusal_names_columns_of_ours_and_quotes_nothing() -> None:
    error = Refusal(1406, "Data too long for column 'XM' at row 1 '王金丝'")
    assert told(error, {"xm"}) == (Whose.DOCUMENT, "a value is longer than its column (XM) [1406]")
    leak = Refusal(1062, "Duplicate entry '王金丝' for key 'uq' column '王金丝'")
    assert "王" not in told(leak, {"xm"})[1]
    assert told(Refusal(1213, "Deadlock"), set())[0] is Whose.LATER
    assert code_of(Refusal("22001", "[22001] long")) == "22001"
    assert code_of(None) == ""


def test_the_hospitals_own_database_is_no_destination() -> None:
    text = (
        '[institution]\nid = "1"\nname = "x"\n[sources.his]\nurl = "postgresql://reader@HIS:5432/his"\n'
        '[destinations.region]\ntype = "table"\nurl = "postgresql://writer@his/his"\ntables = "t.toml"\n'
        '[[feeds]]\nname = "f"\nsource = "his"\nmapping = "demo_lis/lab_report"\n'
    )
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(text)
    assert any("we write into no system of the hospital" in one for one in wrong.value.problems)
    parse_config(text.replace("writer@his/his", "writer@his/region"))


@pytest.mark.parametrize(
    ("line", "told_"),
    [
        ('url = "sqlite:///x.db"', "none of postgresql"),
        ('url = "mysql://w:secret@h/d"', "holds a password"),
        ('url = "mysql://w@h/d"\nreason_column = "SHYY"', "status_column"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(line: str, told_: str) -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(f'[destinations.r]\ntype = "table"\ntables = "t.toml"\n{line}\n')
    assert any(told_ in one for one in wrong.value.problems)
    assert not any("secret@" in one for one in wrong.value.problems)


def test_a_document_that_is_no_utf_8_is_refused_alone() -> None:
    opened = msgspec.structs.replace(open_one(a_document()), content="检验".encode("gb18030"))
    with pytest.raises(NotSaid, match="no UTF-8"):
        value_of(Value(attribute="content"), opened)
