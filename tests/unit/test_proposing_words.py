"""Words: names of columns as English words and pinyin initials, comments without asides, and what fields are called."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from frontend_agent.checks.identity import check_character
from frontend_agent.formats import load_kinds
from frontend_agent.proposing.lexicon import index, phrases_of, targets
from frontend_agent.proposing.naming import initials, letters, said, sound, without_key_word, words
from frontend_agent.proposing.schema import schema_of
from frontend_agent.proposing.values import profile, profiles


def test_names_are_split_into_words_that_mean_the_same_everywhere() -> None:
    assert words("excuteStaffId") == words("EXECUTE_DOCTOR_ID") == ("execute", "staff", "id")
    assert words("date_of_birth") == ("time", "birth")
    assert letters("BR_XM") == "brxm"


def test_pinyin_is_worked_out_from_the_chinese() -> None:
    assert initials("门诊号") == "mzh"
    assert sound("姓名") == "xingming"
    assert "brxm" in phrases_of("patient.name").py


def test_a_comment_says_only_what_it_is() -> None:
    assert said("性别（0女 1男）") == "性别"
    assert said("状态: 1 待发送, 2 已发送") == "状态"
    assert without_key_word("开方医生ID") == "开方医生"


def test_roles_make_the_names_of_their_people_and_times() -> None:
    by_name = {target.name: target for target in targets(load_kinds()["C0004"])}

    assert "审核药师姓名" in by_name["review_pharmacist.name"].phrases.zh
    assert "shys" in by_name["review_pharmacist.id"].phrases.py
    assert "shsj" in by_name["review_pharmacist.time"].phrases.py
    assert "institution.id" not in by_name


def test_every_kind_has_words_for_every_field() -> None:
    for kind in load_kinds().values():
        for target in targets(kind):
            assert target.phrases.zh or target.phrases.en, (kind.code, target.name)
        assert index(targets(kind)).zh or not kind.fields


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (["2026-03-01", "20260301", "2026/3/1", date(2026, 3, 1)], "day"),
        (["2026-03-01 08:15:00", "20260301081500", "2026-03-01T08:15:00+08:00", datetime(2026, 3, 1, 8)], "moment"),
        (["13800000001", "024-88888888"], "telephone"),
        (["男", "女", "1", "M"], "sex"),
        (["I10", "A00.051", "J06.9", "E11.900x001"], "ICD-10"),
        (["718-7", "2345-7"], "LOINC"),
        ([1.5, Decimal("2.50"), "3"], "number"),
        (["3.9-6.1", "<5", "3.8~5.8"], "range"),
        (["mmol/L", "片", "10^9/L"], "unit"),
        (["16岁", "3月", "70"], "age"),
        (["张三", "欧阳明"], "person"),
        (["Y", "N", True], "yes or no"),
        (['{"chiefComplaint": "头痛"}'], "JSON"),
        (["12345678901234567X"[:17] + check_character("12345678901234567")], "identity number"),
    ],
)
def test_values_have_shapes(values: list[object], shape: str) -> None:
    assert profile(values).share(shape) == 1.0


def test_completeness_counts_what_is_there() -> None:
    seen = profile(["a", None, " ", "b"])

    assert seen.completeness == 0.5
    assert seen.is_unique


def test_what_stands_inside_json_is_a_column_of_its_own() -> None:
    rows = [('{"chiefComplaint": "头痛三天", "list": []}',), ("{broken",), (None,)]

    found = profiles(("text",), rows)

    assert found["text#chiefComplaint"].filled == 1
    assert found["text#chiefComplaint"].rows == 3
    assert "text#list" not in found


def test_a_schema_without_its_columns_is_left_out() -> None:
    schema = schema_of(
        [("public", "a", "table", -1.0, None), ("his", "b", "view", 3, " 病人 "), ("his", "denied", "table", 1, "")],
        [("public", "a", "id", "int4", None, 0, None), ("his", "b", "xm", "varchar(20)", None, 1, "姓名")],
        [("public", "a", "pk", "P", 1, "id", None, None, None)],
    )

    assert list(schema) == ["a", "his.b"]
    assert schema["a"].rows is None
    assert schema["his.b"].comment == "病人"
    assert schema["his.b"].columns[0].length == 20
