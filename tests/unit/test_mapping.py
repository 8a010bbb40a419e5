"""A mapping: reading it, the mistakes it can hold, and what it makes of rows."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from frontend_agent.errors import ConfigurationError
from frontend_agent.mapping import Mapping, compile_mapping, load_mapping, plain_columns, sql_aliases
from frontend_agent.model import Blame, RowSet, Severity, SourceRecord, SourceRows
from tests.unit.kind_double import lab_kind

FILES = {
    "/site/lab.toml": """
kind = "C0007"
key = "report_number"
[queries]
changed = "lab.changed.sql"
parent = "lab.sql"
[queries.details]
items = "lab.items.sql"
diagnoses = { sql = "lab.diagnoses.sql", source = "his" }
[codes]
"patient.sex" = "sex"
"items.result_code" = "result"
[columns]
"patient.age" = "computed"
""",
    "/site/lab.changed.sql": 'SELECT r.updated AS "cursor", r.no AS "key" FROM lab_report r',
    "/site/lab.sql": """
-- a comment with "an alias" AS "not.a.field"
SELECT r.no AS "report_number", r.xm AS "patient.name", p.sex AS "patient.sex", r.csrq AS "patient.birth_date",
       nvl(r.nl, 0) AS "patient.age", r.bgsj AS "author.time", r.zf AS "void", r.done AS "final"
FROM lab_report r JOIN patient p ON p.id = r.pid
WHERE r.kind = 'it''s -- not a comment';
""",
    "/site/lab.items.sql": """SELECT i.no AS "report_number", i.dm AS "code", i.jg AS "value", i.bz AS "result_code",
  i.cysj AS "collected_at" FROM lab_item i""",
    "/site/lab.diagnoses.sql": 'SELECT no AS "report_number", icd AS "code", mc AS "name", xh AS "line" FROM diag',
    "/site/codes/sex.toml": 'value_set = "2.16.156.10011.2.3.3.4"\n[map]\n"男" = "1"\n"女" = "2"\n',
    "/site/codes/result.toml": '[map]\n"N" = "1"\n"H" = "2"\n',
}

PARENT = (
    "report_number",
    "patient.name",
    "patient.sex",
    "patient.birth_date",
    "patient.age",
    "author.time",
    "void",
    "final",
)
ITEMS = ("report_number", "code", "value", "result_code", "collected_at")
DIAGNOSES = ("report_number", "code", "name", "line")


def load(**changed: str) -> Mapping:
    files = FILES | {f"/site/{name.replace('__', '/').replace('_', '.')}": text for name, text in changed.items()}

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return load_mapping("/site/lab.toml", "H1", read=read)


@pytest.fixture(scope="module")
def convert() -> Callable[[SourceRows], list[SourceRecord]]:
    return compile_mapping(load(), lab_kind(), "H1", "第一医院", "Asia/Shanghai")


def rows(
    parent: list[tuple[object, ...]] | None = None,
    items: list[tuple[object, ...]] | None = None,
    diagnoses: list[tuple[object, ...]] | None = None,
) -> SourceRows:
    if parent is None:
        parent = [("R1", "张三", "男", "1990-05-06", 36, datetime(2026, 9, 30, 8, 15), 0, 1)]
    if items is None:
        items = [("R1", "WBC", Decimal("5.60"), "N", "2026-09-30 07:00:00"), ("R1", "RBC", 4.1, "H", None)]
    return SourceRows(
        RowSet(PARENT, parent),
        {"items": RowSet(ITEMS, items), "diagnoses": RowSet(DIAGNOSES, diagnoses or [("R1", "J00", "感冒", 1)])},
    )


def test_the_aliases_become_fields_in_the_national_format(convert):
    [record] = convert(rows())

    assert record.key == "R1"
    assert record.final
    assert not record.void
    assert record.findings == []
    assert record.record == {
        "institution.id": "H1",
        "institution.name": "第一医院",
        "report_number": "R1",
        "patient.name": "张三",
        "patient.sex": "1",
        "patient.birth_date": "19900506",
        "patient.age": "36",
        "author.time": "20260930081500",
        "items": [
            {"code": "WBC", "value": "5.60", "result_code": "1", "collected_at": "20260930070000"},
            {"code": "RBC", "value": "4.1", "result_code": "2"},
        ],
        "diagnoses": [{"code": "J00", "name": "感冒"}],
    }


def test_a_bare_column_is_known_by_its_table_and_name_and_the_rest_by_the_columns_table(convert):
    [record] = convert(rows())

    assert record.columns["patient.name"] == "lab_report.xm"
    assert record.columns["patient.sex"] == "patient.sex"
    assert record.columns["items.value"] == "lab_item.jg"
    assert record.columns["diagnoses.code"] == "diag.icd"
    assert record.columns["patient.age"] == "computed"


def test_null_blank_and_padded_are_what_they_mean(convert):
    [record] = convert(rows(parent=[("R1  ", "　张三　", "男  ", None, "  ", "", None, 1)]))

    assert record.key == "R1"
    assert record.record["patient.name"] == "张三"
    assert {"patient.birth_date", "patient.age", "author.time"}.isdisjoint(record.record)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 9, 30, 8, 15),
        "2026-09-30 08:15:00",
        "2026-09-30T08:15:00.123",
        "2026/9/30 8:15:00",
        "20260930081500",
        "20260930T081500",
        20260930081500,
        "2026-09-30T00:15:00Z",
        "2026-09-30 00:15:00+00:00",
        datetime(2026, 9, 30, 0, 15, tzinfo=UTC),
        datetime(2026, 9, 29, 19, 15, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_the_same_moment_is_the_same_text_and_hash_whatever_the_driver_says(convert, value):
    [record] = convert(rows(parent=[("R1", "张三", "男", "1990-05-06", 36, value, 0, 1)]))
    [reference] = convert(rows())

    assert record.record["author.time"] == "20260930081500"
    assert record.source_hash == reference.source_hash


def test_a_day_without_a_time_of_day_gets_none_made_up(convert):
    [record] = convert(rows(parent=[("R1", "张三", "男", date(1990, 5, 6), 36, date(2026, 9, 30), 0, 1)]))

    assert record.record["author.time"] == "20260930"
    assert record.record["patient.birth_date"] == "19900506"


@pytest.mark.parametrize(
    "value", ["1990-05-06T00:00:00", datetime(1990, 5, 6), date(1990, 5, 6), "19900506", "1990年5月6日"]
)
def test_a_birth_date_is_a_day(convert, value):
    [record] = convert(rows(parent=[("R1", "张三", "男", value, 36, None, 0, 1)]))

    assert record.record["patient.birth_date"] == "19900506"


@pytest.mark.parametrize(
    ("first", "second"), [(Decimal("5.60"), 5.6), (Decimal("5.00"), 5), (5.0, "5"), ("5.60", Decimal("5.6"))]
)
def test_the_hash_does_not_see_the_drivers_number_type(convert, first, second):
    [a] = convert(rows(items=[("R1", "WBC", first, "N", None)]))
    [b] = convert(rows(items=[("R1", "WBC", second, "N", None)]))

    assert a.source_hash == b.source_hash


def test_the_hash_does_not_see_a_new_code_table_but_sees_a_new_local_code():
    old = compile_mapping(load(), lab_kind(), "H1", "第一医院")
    new = compile_mapping(
        load(codes__result_toml='[map]\n"N" = "3"\n"H" = "2"\n"h" = "2"\n'), lab_kind(), "H1", "第一医院"
    )
    [a], [b] = old(rows()), new(rows())

    assert a.record["items"][0]["result_code"] == "1"
    assert b.record["items"][0]["result_code"] == "3"
    assert a.source_hash == b.source_hash

    [c] = new(rows(items=[("R1", "WBC", Decimal("5.60"), "N", "2026-09-30 07:00:00"), ("R1", "RBC", 4.1, "h", None)]))
    assert c.record["items"] == b.record["items"]
    assert c.source_hash != b.source_hash


def test_the_order_of_details_means_nothing_without_a_line_and_everything_with_one(convert):
    items = [("R1", "WBC", 1, "N", None), ("R1", "RBC", 2, "N", None)]
    [a], [b] = convert(rows(items=items)), convert(rows(items=items[::-1]))
    assert a.source_hash == b.source_hash

    first, second = (
        [("R1", "J00", "感冒", 1), ("R1", "I10", "高血压", 2)],
        [("R1", "J00", "感冒", 2), ("R1", "I10", "高血压", 1)],
    )
    [c], [d], [e] = (convert(rows(diagnoses=given)) for given in (first, second, first[::-1]))
    assert [row["code"] for row in c.record["diagnoses"]] == ["J00", "I10"]
    assert [row["code"] for row in d.record["diagnoses"]] == ["I10", "J00"]
    assert c.source_hash != d.source_hash
    assert c.source_hash == e.source_hash


def test_lines_are_ordered_as_numbers(convert):
    given = [("R1", f"A{n:02}", "x", str(n)) for n in (10, 9, 1)]
    [record] = convert(rows(diagnoses=given))

    assert [row["code"] for row in record.record["diagnoses"]] == ["A01", "A09", "A10"]


def test_the_order_of_columns_and_of_details_rows_is_not_in_the_hash(convert):
    given = rows()
    turned = SourceRows(
        RowSet(PARENT[::-1], [row[::-1] for row in given.parent.rows]),
        {name: RowSet(d.columns[::-1], [row[::-1] for row in d.rows]) for name, d in given.details.items()},
    )
    assert convert(given)[0].source_hash == convert(turned)[0].source_hash
    assert convert(given)[0].record == convert(turned)[0].record


def test_every_source_value_is_in_the_hash(convert):
    base = convert(rows())[0].source_hash
    original = rows()
    for query, columns in (("parent", PARENT), ("items", ITEMS), ("diagnoses", DIAGNOSES)):
        source = original.parent if query == "parent" else original.details[query]
        for index, column in enumerate(columns):
            if column in ("report_number", "final", "line"):
                continue
            changed = [list(row) for row in source.rows]
            changed[0][index] = "20250101" if "_" in column or "time" in column else "1" if column == "void" else "7"
            new = RowSet(columns, [tuple(row) for row in changed])
            parent = new if query == "parent" else original.parent
            details = dict(original.details) | ({query: new} if query != "parent" else {})
            assert convert(SourceRows(parent, details))[0].source_hash != base, column


def test_an_unmapped_code_is_left_out_and_told(convert):
    [record] = convert(rows(parent=[("R1", "张三", "雄", None, None, None, 0, 1)], items=[("R1", "WBC", 1, "Q", None)]))

    assert "patient.sex" not in record.record
    assert "result_code" not in record.record["items"][0]
    sex, result = record.findings
    assert (sex.rule, sex.severity, sex.blame, sex.field) == ("MAP001", Severity.HOLD, Blame.MAPPING, "patient.sex")
    assert (sex.column, sex.value, sex.data_element) == ("patient.sex", "雄", "DE02.01.040.00")
    assert (result.field, result.value, result.column) == ("items[0].result_code", "Q", "lab_item.bz")


@pytest.mark.parametrize(
    "value", ["1990-13-45", "yesterday", "19901", b"1990-05-06", 3.5, True, bytearray(b"1"), [1], object()]
)
def test_what_is_not_a_date_is_left_out_and_told(convert, value):
    [record] = convert(rows(parent=[("R1", "张三", "男", value, None, None, 0, 1)]))

    assert "patient.birth_date" not in record.record
    [finding] = record.findings
    assert (finding.rule, finding.field, finding.blame) == ("MAP002", "patient.birth_date", Blame.SOURCE)


def test_a_name_in_a_date_column_is_not_shown(convert):
    [record] = convert(rows(parent=[("R1", "张三", "男", "欧阳娜娜", None, None, 0, 1)]))

    assert record.findings[0].value == "汉汉汉汉"


def test_bytes_are_never_text(convert):
    [record] = convert(rows(parent=[("R1", b"\xd5\xc5\xc8\xfd", "男", None, None, None, 0, 1)]))

    assert [f.rule for f in record.findings] == ["MAP002"]
    assert "patient.name" not in record.record


@pytest.mark.parametrize("value", ["-", "无", "0000-00-00", "不详"])
def test_a_placeholder_where_a_date_is_wanted_is_nothing(convert, value):
    [record] = convert(rows(parent=[("R1", "张三", "男", value, None, None, 0, 1)]))

    assert "patient.birth_date" not in record.record
    assert record.findings == []


def test_final_and_void_are_said_by_the_query(convert):
    for final, void, expected in (
        (1, 0, (True, False)),
        ("0", "1", (False, True)),
        (None, None, (False, False)),
        (True, "Y", (True, True)),
    ):
        [record] = convert(rows(parent=[("R1", "张三", "男", None, None, None, void, final)]))
        assert (record.final, record.void) == expected


def test_voiding_changes_the_hash_and_finality_does_not(convert):
    [a] = convert(rows())
    [void] = convert(rows(parent=[(*rows().parent.rows[0][:6], 1, 1)]))
    [open_] = convert(rows(parent=[(*rows().parent.rows[0][:6], 0, 0)]))

    assert a.source_hash != void.source_hash
    assert a.source_hash == open_.source_hash


def test_details_of_other_sources_join_by_the_text_of_the_key(convert):
    [record] = convert(
        SourceRows(
            RowSet(PARENT, [(77, "张三", "男", None, None, None, 0, 1)]),
            {"items": RowSet(ITEMS, [("77", "WBC", 1, "N", None), (Decimal(77), "RBC", 2, "N", None), ("78", "X", 1, "N", None)]),
             "diagnoses": RowSet(DIAGNOSES, [])},
        )
    )  # fmt: skip
    assert [item["code"] for item in record.record["items"]] == ["WBC", "RBC"]
    assert "diagnoses" not in record.record


def test_a_second_equal_parent_row_is_a_joins_doing_a_different_one_is_told(convert):
    row = ("R1", "张三", "男", "1990-05-06", 36, None, 0, 1)
    [same] = convert(rows(parent=[row, row]))
    assert same.findings == []

    [two] = convert(rows(parent=[row, ("R1", "张三", "女", "1990-05-06", 37, None, 0, 1)]))
    [finding] = two.findings
    assert (finding.rule, finding.blame, finding.arguments) == ("MAP003", Blame.MAPPING, ("patient.age, patient.sex",))


def test_a_row_without_a_key_is_not_lost(convert):
    [record] = convert(rows(parent=[(None, "张三", "男", None, None, None, 0, 1)]))

    assert record.key == ""
    assert [f.rule for f in record.findings] == ["MAP004"]


def test_line_ends_are_as_in_xml_and_change_nothing(convert):
    [windows] = convert(rows(diagnoses=[("R1", "J00", "感冒\r\n待查", 1)]))
    [unix] = convert(rows(diagnoses=[("R1", "J00", "感冒\n待查", 1)]))
    [backslash] = convert(rows(diagnoses=[("R1", "J00", "感冒\\r待查", 1)]))

    assert windows.record["diagnoses"][0]["name"] == "感冒\n待查"
    assert windows.source_hash == unix.source_hash
    assert backslash.record["diagnoses"][0]["name"] == "感冒\\r待查"


@pytest.mark.parametrize("value", [10**500, Decimal("1E+999999"), float("inf"), object()])
def test_what_no_hospital_means_is_told_not_converted(convert, value):
    [record] = convert(rows(items=[("R1", "WBC", value, "N", None)]))

    assert [(f.rule, f.field) for f in record.findings] == [("MAP002", "items[0].value")]


def test_half_a_surrogate_pair_has_a_hash(convert):
    [record] = convert(rows(parent=[("R1", "张\ud800", "男", None, None, None, 0, 1)]))

    assert len(record.source_hash) == 64


def test_the_profile_decides_what_an_unmapped_code_does():
    convert = compile_mapping(load(), lab_kind(), "H1", "第一医院", severity={"MAP001": Severity.WARN})
    [record] = convert(rows(parent=[("R1", "张三", "雄", None, None, None, 0, 1)]))

    assert record.findings[0].severity is Severity.WARN


# -- mistakes in the files ---------------------------------------------------------------------------------------------


def compile_with(**changed: str) -> None:
    compile_mapping(load(**changed), lab_kind(), "H1", "第一医院")


def with_toml(old: str, new: str) -> dict[str, str]:
    assert old in FILES["/site/lab.toml"]
    return {"lab_toml": FILES["/site/lab.toml"].replace(old, new)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lab_sql": 'SELECT no AS "report_number", xm AS "patient.nam" FROM r'},
         "/site/lab.sql: AS \"patient.nam\": kind C0007 has no such field (did you mean 'patient.name'?)"),
        ({"lab_items_sql": 'SELECT no AS "report_number", x AS "vlaue" FROM r'}, "(did you mean 'value'?)"),
        ({"lab_sql": 'SELECT xm AS "patient.name" FROM r'}, 'selects nothing AS "report_number"'),
        ({"lab_changed_sql": 'SELECT a AS "cursor" FROM r'}, 'selects nothing AS "key"'),
        ({"lab_changed_sql": "DELETE FROM r"}, "must be one SELECT"),
        ({"lab_changed_sql": 'SELECT 1 AS "key", 2 AS "cursor"; DELETE FROM r'}, "more than one statement"),
        ({"lab_sql": 'SELECT no AS "report_number", 1 AS "institution.id" FROM r'}, "is said by the feed"),
        ({"lab_sql": 'SELECT no AS "report_number", 1 AS "fact.newbron" FROM r'}, "(did you mean 'fact.newborn'?)"),
        (with_toml('kind = "C0007"', 'kind = "C0002"'), "is for kind C0002, not C0007"),
        (with_toml("items = ", "itmes = "), "kind C0007 has no such group (did you mean 'items'?)"),
        (with_toml("[columns]", "[colums]"), "unknown key 'colums' (did you mean 'columns'?)"),
        (with_toml('"patient.sex" = "sex"', '"patient.sex" = "sexes"'), "there is no file '/site/codes/sexes.toml'"),
        (with_toml('"patient.sex" = "sex"', '"patient.sxe" = "sex"'), "(did you mean 'patient.sex'?)"),
        (with_toml('"patient.sex" = "sex"', 'patient.sex = "sex"'), "is the field name in quotes?"),
        (with_toml("[columns]", '[parse]\n"author.time" = "epoch"\n[columns]'), "(did you mean 'epoch_"),
        (with_toml('parent = "lab.sql"', ""), "parent is missing"),
        (with_toml('kind = "C0007"', "kind = C0007"), "not valid TOML"),
        ({"codes__sex_toml": 'value_set = "1.2.3"\n[map]\n"男" = "1"'}, "maps to value set 1.2.3, but patient.sex takes"),
        ({"codes__sex_toml": '[map]\n"男" = 1'}, "must be text in quotes"),
        ({"codes__sex_toml": '[mpa]\n"男" = "1"'}, "unknown key 'mpa'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_naming_file_key_and_mend(changed, said):
    with pytest.raises(ConfigurationError) as error:
        compile_with(**changed)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "/site/" in str(error.value)
    assert error.value.exit_code == 78


def test_a_column_the_sql_text_did_not_show_is_still_refused(convert):
    with pytest.raises(ConfigurationError, match="nonsense"):
        convert(SourceRows(RowSet(("report_number", "nonsense"), [("R1", 1)]), {}))


def test_an_unknown_shipped_mapping_names_what_there_is():
    with pytest.raises(ConfigurationError, match="does not ship with us"):
        load_mapping("demo_lis/no_such_report")


def test_the_institution_can_be_named_in_the_sql():
    mapping = load(lab_sql='SELECT no AS "report_number" FROM r WHERE org = {institution}', lab_toml="""
kind = "C0007"
key = "report_number"
[queries]
changed = "lab.changed.sql"
parent = "lab.sql"
""")  # fmt: skip
    assert mapping.queries.parent.endswith("WHERE org = 'H1'")


def test_digests_tell_mapping_and_code_tables_apart():
    base = load()
    codes, sql = (
        load(codes__sex_toml='[map]\n"男" = "1"\n"M" = "1"\n'),
        load(lab_changed_sql='SELECT a AS "cursor", b AS "key" FROM r'),
    )

    assert base.digest == codes.digest != sql.digest
    assert base.codes_digest == sql.codes_digest != codes.codes_digest


# -- reading the SQL ---------------------------------------------------------------------------------------------------


def test_aliases_are_read_at_the_top_level_only():
    sql = """WITH x AS (SELECT a AS "inner" FROM t) SELECT x.a AS "outer", (SELECT b AS "sub" FROM u) AS `tick`, 'AS "no"' AS [box] FROM x"""
    assert sql_aliases(sql) == ["outer", "tick", "box"]


def test_plain_columns_follow_table_aliases_through_joins_and_schemas():
    sql = """SELECT a.x AS "one", "b".y AS "two", coalesce(a.z, 1) AS "three", CASE WHEN 1=1 THEN 2 END AS "four"
             FROM clinlims.sample AS a LEFT JOIN "clinlims"."person" b ON a.id = b.id"""
    columns = plain_columns(sql)
    assert columns["one"] == "sample.x"
    assert "three" not in columns
    assert "four" not in columns


# -- named conversions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "value", "text"),
    [
        ("epoch_ms_utc", 1790727300000, "20260930081500"),
        ("epoch_s_utc", "1790727300", "20260930081500"),
        ("utc", datetime(2026, 9, 30, 0, 15), "20260930081500"),
        ("utc", "2026-09-30 00:15:00", "20260930081500"),
        ("utc", "2026-09-30T08:15:00+08:00", "20260930081500"),
        ("dd.MM.yyyy HH:mm", "30.09.2026 08:15", "202609300815"),
        ("yyyyMMddHHmmss", "20260930081500", "20260930081500"),
        ("dd/MM/yyyy", "30/9/2026", "20260930"),
        ("strip", " x ", "x"),
    ],
)
def test_a_named_conversion(parse, value, text):
    mapping = load(**with_toml("[columns]", f'[parse]\n"author.time" = "{parse}"\n[columns]'))
    convert = compile_mapping(mapping, lab_kind(), "H1", "第一医院")
    [record] = convert(rows(parent=[("R1", "张三", "男", None, None, value, 0, 1)]))

    assert record.findings == []
    assert record.record["author.time"] == text


def test_money_in_fen_becomes_yuan():
    from zoneinfo import ZoneInfo

    from frontend_agent.conversion import named_conversion

    fen = named_conversion("fen", ZoneInfo("Asia/Shanghai"))
    assert fen is not None
    assert [fen(v) for v in (1250, "5", 0, None, "x")] == ["12.50", "0.05", "0.00", "", None]


@pytest.mark.parametrize("shape", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%d", "%Y%m%d"])
def test_the_quick_reading_of_the_usual_shapes_is_the_general_one(shape, monkeypatch):
    """Also of what nearly has the shape: days and times that do not exist, one character changed."""
    from frontend_agent import conversion

    text = f"{datetime(2024, 2, 29, 23, 59, 58):{shape}}"
    near = {text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in "0369-: TWZ.²９"}
    moment_of = conversion.moment_reader(ZoneInfo("Asia/Shanghai"))
    quick = {value: moment_of(value) for value in [text, *near]}
    monkeypatch.setattr(conversion, "_usual", lambda text: None)
    assert quick == {value: moment_of(value) for value in quick}
    assert conversion.moment_reader(ZoneInfo("Asia/Shanghai"))(text) in ("20240229235958", "20240229")
