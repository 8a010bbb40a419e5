"""Code maps: how they are written, what the tables warn of, and what a person approves on top of them."""

from collections.abc import Callable

import pytest

from frontend_agent import shipped
from frontend_agent.checks import describe
from frontend_agent.codes import Approved, CodeTable, overlay_digest, parse_code_table, with_approved
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import value_set
from frontend_agent.mapping import compile_mapping, load_mapping, worklist_code
from frontend_agent.model import Finding, RowSet, Severity, SourceRows
from frontend_agent.terms.names import ADMISSION_ROUTE, ETHNIC, ID_TYPE, MARITAL, RH, SEX, plain
from frontend_agent.terms.traps import doubts
from tests.unit.kind_double import lab_kind

PATH = "/site/ourhis/codes/rh.toml"


def table(value_set: str, codes: dict[str, str], **more: object) -> CodeTable:
    return CodeTable("rh", PATH, value_set, codes, **more)  # type: ignore[arg-type]


def said(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.value) for one in found]


def look(oid: str, codes: dict[str, str], day: str = "", **more: object) -> list[tuple[str, str, str]]:
    return said(doubts(table(oid, codes, **more), value_set(oid), day))


# --- how a map is written


def test_a_map_is_toml_or_csv_and_means_the_same() -> None:
    toml = parse_code_table(
        "rh",
        PATH,
        f'value_set = "{RH}"\n[map]\n"1" = "2"\n"2" = "1"\n[names]\n"1" = "阳性"\n"2" = "阴性"\n',
    )
    csv = parse_code_table(
        "rh",
        PATH.replace(".toml", ".csv"),
        f"\ufeff本地代码,本地名称,标准代码,值域\r\n1,阳性,2,{RH}\r\n2,阴性,1,{RH}\r\n,,,\r\n",
    )
    assert toml.codes == csv.codes == {"1": "2", "2": "1"}
    assert toml.names == csv.names == {"1": "阳性", "2": "阴性"}
    assert toml.value_set == csv.value_set == RH
    assert toml.id == csv.id == "ourhis/rh"


def test_a_csv_map_keeps_who_decided() -> None:
    found = parse_code_table("route", "/s/h/codes/route.csv", "code,target,by,reason\n1,1,王工,已与区域核对\n2,2,,\n")
    assert found.decided == {"1": "王工 已与区域核对"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,traget\n1,2\n", "unknown column 'traget' (did you mean 'target'?)"),
        ("code,name\n1,2\n", "has no column 'target'"),
        ("code,target\n1,2\n1,3\n", "line 3: local code '1' is mapped twice: '2', '3'"),
        ("code,target\n1,\n", "line 2: local code '1' has no standard code"),
        ("code,target\n,1\n", "an empty local code"),
        ("code,target\n", "maps no code"),
        ("code,target,value_set\n1,2,1.2\n2,2,1.3\n", "more than one value set"),
        ("table,code,target\nsex,1,2\n", "line 2: is for the map 'sex', not 'rh'"),
    ],
)
def test_a_mistake_in_a_csv_map_names_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_code_table("rh", "/s/h/codes/rh.csv", text)
    assert said in str(error.value)
    assert str(error.value).startswith("/s/h/codes/rh.csv: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[map]\n"1" = "1"\n[names]\n"1" = 1\n', "[names] must be a table of texts"),
        ('decided = 1\n[map]\n"1" = "1"\n', "decided must be text"),
    ],
)
def test_a_mistake_in_a_toml_map_names_its_key(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_code_table("rh", PATH, text)
    assert said in str(error.value)


# --- what the tables warn of


def test_a_reversed_rh_is_refused() -> None:
    assert look(RH, {"1": "1", "2": "2"}, names={"1": "阳性", "2": "阴性"}) == [
        ("TERM-RH", "hold", "1"),
        ("TERM-RH", "hold", "2"),
    ]
    assert look(RH, {"RH(+)": "1", "Rh-": "2"}) == [("TERM-RH", "hold", "RH(+)"), ("TERM-RH", "hold", "Rh-")]
    assert look(RH, {"1": "2", "2": "1"}, names={"1": "Rh(D)阳性", "2": "阴性"}) == []
    assert look(RH, {"阳性": "2", "POS": "2", "neg": "1", "+": "2", "-": "1"}) == []


def test_bare_rh_digits_ask_for_names_whichever_way_they_stand() -> None:
    for codes in ({"1": "1", "2": "2"}, {"1": "2", "2": "1"}):
        assert [one[0] for one in look(RH, codes)] == ["TERM-RH-UNNAMED", "TERM-RH-UNNAMED"]


def test_admission_routes_on_which_the_sources_disagree_need_a_decision() -> None:
    codes = {"A": "1", "B": "2", "C": "3"}
    assert look(ADMISSION_ROUTE, codes) == [("TERM-CONFLICT", "warn", "A"), ("TERM-CONFLICT", "warn", "B")]
    assert look(ADMISSION_ROUTE, codes, decided={"*": "病案科 2026-03 与省平台核对"}) == []
    assert look(ADMISSION_ROUTE, codes, decided={"A": "王工"}) == [("TERM-CONFLICT", "warn", "B")]


def test_a_residence_permit_is_no_identity_card() -> None:
    codes = {"外国人永久居留证": "03", "港澳台居民居住证": "06", "居住证": "99", "身份证": "01"}
    assert look(ID_TYPE, codes) == [
        ("TERM-ID-TYPE", "warn", "[8]"),
        ("TERM-ID-TYPE", "warn", "[8]"),
    ]


def test_identity_documents_under_their_usual_names_must_be_those() -> None:
    assert look(ID_TYPE, {"户口本": "01", "护照": "03"}) == [("TERM-NAME", "hold", "户口本")]
    assert look(ID_TYPE, {"1": "01", "3": "04"}, names={"1": "身份证", "3": "护照"}) == [("TERM-NAME", "hold", "3")]


def test_one_digit_marital_codes_ask_for_names_and_names_decide() -> None:
    codes = {"1": "10", "2": "20", "3": "30", "4": "40", "9": "90"}
    assert [one[0] for one in look(MARITAL, codes)] == ["TERM-MARITAL"] * 4
    assert look(MARITAL, codes, names={"1": "未婚", "2": "已婚", "3": "丧偶", "4": "离婚"}) == []
    assert look(MARITAL, codes, names={"1": "未婚", "2": "已婚", "3": "离异", "4": "丧偶"}) == [
        ("TERM-NAME", "hold", "3"),
        ("TERM-NAME", "hold", "4"),
    ]


def test_local_extensions_are_none_of_the_56_ethnic_groups() -> None:
    assert look(ETHNIC, {"97": "01", "99": "56", "1": "01", "01": "01"}) == [
        ("TERM-ETHNIC", "hold", "97"),
        ("TERM-ETHNIC", "hold", "99"),
    ]
    assert look(ETHNIC, {"2": "01"}) == [("TERM-ETHNIC-ORDER", "warn", "2")]
    assert look(ETHNIC, {"2": "01"}, names={"2": "汉族"}) == []
    assert look(ETHNIC, {"97": "97"}) == [("TERM-FOREIGN", "hold", "97")]


def test_a_name_of_another_code_contradicts_its_target() -> None:
    assert look(SEX, {"男": "2", "女": "2"}) == [("TERM-NAME", "hold", "男")]
    assert look("CV06.00.102", {"1": "2"}, names={"1": "口服"}) == [("TERM-NAME", "hold", "1")]


def test_a_target_that_ended_is_told_with_its_successor() -> None:
    from tests.unit.test_terms_value_sets import NEW

    found = doubts(table("1.2.3", {"乙": "2"}), NEW, "20261001")
    assert said(found) == [("TERM-ENDED", "warn", "乙")]
    assert found[0].arguments == ("2", "20220630", "3")


def test_what_somebody_has_looked_at_is_no_doubt_any_more() -> None:
    assert look(RH, {"1": "1", "2": "2"}, accepted={"TERM-RH-UNNAMED": "检验科核对字典"}) == []
    assert look(SEX, {"男": "2", "女": "1"}, accepted={"TERM-NAME 男": "…"}) == [("TERM-NAME", "hold", "女")]


@pytest.mark.parametrize(
    ("oid", "codes", "names"),
    [
        (RH, {"1": "1"}, {"1": "阳性"}),
        (RH, {"1": "1"}, {}),
        (ADMISSION_ROUTE, {"1": "1"}, {}),
        (ID_TYPE, {"居住证": "01"}, {}),
        (MARITAL, {"1": "10"}, {}),
        (ETHNIC, {"99": "01"}, {}),
        (ETHNIC, {"2": "01"}, {}),
        (SEX, {"男": "2"}, {}),
        (SEX, {"x": "7"}, {}),
    ],
)
def test_every_doubt_is_a_whole_sentence_in_both_languages(
    oid: str, codes: dict[str, str], names: dict[str, str]
) -> None:
    for finding in doubts(table(oid, codes, names=names), value_set(oid)):
        for language in ("zh", "en"):
            text = describe(finding, language)
            assert "{" not in text
            assert "ourhis/rh" in text


def test_the_maps_that_ship_with_us_are_beyond_doubt() -> None:
    for name in shipped.shipped_names("mappings", depth=2):
        mapping = load_mapping(name)
        for code_map in mapping.codes.values():
            if code_map.value_set:
                assert doubts(code_map, value_set(code_map.value_set), "20261001") == [], (name, code_map.name)


def test_a_map_with_a_grave_doubt_stops_the_agent_at_its_start() -> None:
    with pytest.raises(ConfigurationError) as error:
        compile_lab({"/site/codes/sex.toml": '[map]\n"男" = "2"\n"女" = "1"\n'})
    assert "/site/codes/sex.toml: patient.sex: " in str(error.value)
    assert "(and 1 more: frontend-agent terms check)" in str(error.value)


def test_names_are_compared_without_width_case_and_punctuation() -> None:
    assert plain("ＲＨ（＋）") == plain("rh阳性") == plain("Rh +")
    assert plain(" 口 服、") == "口服"


# --- in a mapping: two files, and the column of the local name

LAB = {
    "/site/lab.toml": """
kind = "C0007"
key = "report_number"
[queries]
changed = "changed.sql"
parent = "lab.sql"
[queries.details]
items = "items.sql"
[codes]
"patient.sex" = { table = "sex", name = "sex_text" }
"items.result_code" = { table = "result", name = "items.result_name" }
""",
    "/site/changed.sql": 'SELECT updated AS "cursor", no AS "key" FROM r',
    "/site/lab.sql": 'SELECT no AS "report_number", xm AS "patient.name", xb AS "patient.sex", xbmc AS "sex_text" FROM r',
    "/site/items.sql": 'SELECT no AS "report_number", dm AS "code", bz AS "result_code", bzmc AS "result_name" FROM i',
    "/site/codes/sex.toml": '[map]\n"男" = "1"\n',
    "/site/codes/result.csv": "code,target\nN,1\n",
}


def reader(changed: dict[str, str]) -> Callable[[str], str]:
    files = LAB | changed

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read


def compile_lab(changed: dict[str, str]) -> object:
    return compile_mapping(load_mapping("/site/lab.toml", read=reader(changed)), lab_kind(), "H1", "第一医院")


ROWS = SourceRows(
    RowSet(("report_number", "patient.name", "patient.sex", "sex_text"), [("L1", "张三", "3", "男变女")]),
    {
        "items": RowSet(
            ("report_number", "code", "result_code", "result_name"),
            [("L1", "WBC", "X", "偏高"), ("L1", "RBC", "N", "正常")],
        )
    },
)


def test_unmapped_codes_come_with_their_table_and_local_name() -> None:
    mapping = load_mapping("/site/lab.toml", read=reader({}))
    (record,) = compile_mapping(mapping, lab_kind(), "H1", "第一医院")(ROWS)
    assert [(one.table, one.field, one.code, one.name) for one in record.unmapped] == [
        ("site/sex", "patient.sex", "3", "男变女"),
        ("site/result", "items.result_code", "X", "偏高"),
    ]
    assert record.unmapped[0].value_set
    assert "sex_text" not in record.record
    assert [(one.rule, one.field, one.arguments) for one in record.findings] == [
        ("MAP001", "patient.sex", ("site/sex",)),
        ("MAP001", "items[0].result_code", ("site/result",)),
    ]


def test_the_name_column_is_no_part_of_the_record_or_of_its_hash() -> None:
    mapping = load_mapping("/site/lab.toml", read=reader({}))
    convert = compile_mapping(mapping, lab_kind(), "H1", "第一医院")
    renamed = SourceRows(RowSet(ROWS.parent.columns, [("L1", "张三", "3", "其他")]), ROWS.details)
    assert convert(ROWS)[0].source_hash == convert(renamed)[0].source_hash


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"/site/codes/sex.csv": "code,target\n男,1\n"}, "/site/codes/sex.csv: there is also /site/codes/sex.toml"),
        (
            {"/site/lab.toml": LAB["/site/lab.toml"].replace("sex_text", "sex_txt")},
            "AS \"sex_text\": kind C0007 has no such field (did you mean 'sex_txt'?)",
        ),
        (
            {"/site/lab.toml": LAB["/site/lab.toml"].replace('name = "sex_text"', 'nmae = "sex_text"')},
            "unknown key 'nmae' (did you mean 'name'?)",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_codes_is_one_line(changed: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        compile_lab(changed)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("KF", "KF"),
        ("口服给药（餐后半小时服用）", "口服给药（餐后半小时服用）"),
        ("110101199003077774", "110*************74"),
        ("13800138000", "138******00"),
        ("x" * 61, "[61]"),
    ],
)
def test_the_worklist_keeps_codes_and_no_persons_number(cell: str, kept: str) -> None:
    assert worklist_code(cell) == kept


# --- what a person approved


def test_what_was_approved_lies_over_the_file_and_changes_the_digest() -> None:
    mapping = load_mapping("/site/lab.toml", read=reader({}))
    overlay = {"site/sex": {"3": Approved("9", "王工 字典"), "男": Approved("9", "王工 改")}}
    laid = with_approved(mapping.codes, overlay)
    assert laid["patient.sex"].codes == {"男": "9", "3": "9"}
    assert laid["items.result_code"] is mapping.codes["items.result_code"]
    assert laid["patient.sex"].approved == {"3", "男"}
    assert overlay_digest(mapping.codes_digest, laid) != mapping.codes_digest
    assert overlay_digest(mapping.codes_digest, mapping.codes) == mapping.codes_digest


def test_severities_are_what_the_start_refuses_and_what_it_tells() -> None:
    found = doubts(table(RH, {"1": "1", "2": "2", "阳性": "1"}), value_set(RH))
    assert [one.severity for one in found] == [Severity.HOLD, Severity.WARN, Severity.WARN]
