"""A document as a sheet: what a doctor expects to find where, and an abnormal value said in words."""

from frontend_agent.demo.samples import sample
from frontend_agent.formats import load_kind
from frontend_agent.formats.view import view
from frontend_agent.platform.layout import lay_out
from tests.platform_kit import lab_record, prescription_record, visit_record


def sheet(kind, record):
    return lay_out(view(load_kind(kind), record))


def table(found, group_caption):
    return next(one for section in found.sections for one in section.tables if one.caption.zh == group_caption)


def column(found, field):
    place = [one.field for one in found.columns].index(field)
    return [row.cells[place] for row in found.rows]


def test_the_patient_comes_first():
    found = sheet("C0002", visit_record())
    assert found.name == "张小满"
    assert [fact.label.zh for fact in found.banner[:3]] == ["性别", "年龄", "出生日期"]
    assert "女性" in [fact.text for fact in found.banner]


def test_who_signs_is_one_line_with_role_number_and_time():
    found = sheet("C0007", lab_record())
    assert [(one.role.zh, one.name, one.number, one.time) for one in found.signatures] == [
        ("报告医师", "李卫东", "D017", "2026-09-30 10:15:00"),
        ("审核医师", "王秀兰", "D021", "2026-09-30 10:30:00"),
        ("检验技师", "周敏", "D030", "2026-09-30 10:00:00"),
    ]
    assert not {"李卫东", "王秀兰", "周敏"} & {fact.text for fact in found.facts}


def test_a_signature_without_a_time_is_still_shown():
    record = lab_record()
    del record["reviewer.time"]
    found = sheet("C0007", record)
    assert ("审核医师", "王秀兰 (D021)") in [(fact.label.zh, fact.text) for fact in found.facts]


def test_abnormal_results_are_said_with_an_arrow():
    items = table(sheet("C0007", lab_record()), "检验项目")
    assert column(items, "value") == ["12.6 ↑", "98 ↓", "210", "阳性(+)"]
    assert [row.mark for row in items.rows] == ["high", "low", "", ""]


def test_a_flag_with_more_to_say_is_kept():
    items = [
        {"name": "K", "value": "6.9", "abnormal_flag": "HH"},
        {"name": "M", "text_value": "异型淋巴", "result_code": "2"},
    ]
    found = table(sheet("C0007", lab_record(items=items)), "检验项目")
    assert column(found, "abnormal_flag") == ["HH", ""]
    assert column(found, "value") == ["6.9 ↑", "异型淋巴 ※"]


def test_number_and_text_results_share_a_column_and_neither_is_lost():
    items = [
        {"name": "A", "value": "1", "text_value": "弱阳性"},
        {"name": "B", "value": "2"},
        {"name": "C", "text_value": "阴性"},
    ]
    assert column(table(sheet("C0007", lab_record(items=items)), "检验项目"), "value") == ["1 弱阳性", "2", "阴性"]


def test_what_all_rows_say_is_said_once_and_only_then():
    record = lab_record()
    found = table(sheet("C0007", record), "检验项目")
    assert [(fact.label.zh, fact.text) for fact in found.shared] == [("标本类别", "静脉血")]
    record["items"][0]["specimen"] = "尿液"
    found = table(sheet("C0007", record), "检验项目")
    assert found.shared == ()
    assert column(found, "specimen") == ["尿液", "静脉血", "静脉血", "静脉血"]


def test_units_stand_beside_their_numbers():
    drugs = table(sheet("C0004", prescription_record()), "用药")
    assert column(drugs, "dose") == ["0.5 g", "10 ml", "0.3 g"]
    assert column(drugs, "total_dose") == ["2 盒", "1 瓶", "1 盒"]
    assert "dose_unit" not in [one.field for one in drugs.columns]


def test_a_code_stands_behind_its_name():
    found = sheet("C0004", prescription_record())
    assert [fact.text for fact in found.sections[0].facts] == ["肺炎 (J18.900)"]
    assert ("处方开立科室", "呼吸内科门诊 (201)") in [(fact.label.zh, fact.text) for fact in found.facts]


def test_long_texts_are_paragraphs():
    found = sheet("C0002", visit_record())
    present = next(section for section in found.sections if section.title.zh == "现病史")
    assert len(present.texts) == 1
    assert present.facts == ()


def test_a_table_too_wide_for_a_sheet_becomes_a_list_and_loses_nothing():
    order = {
        "type": "01", "content": "头孢呋辛 1.5g 静滴", "start": "20260930083000", "end": "20260930093000",
        "performed_at": "20260930090000", "performer_name": "何洁", "ordered_at": "20260930082500", "orderer_name": "赵明远",
        "reviewed_on": "20260930", "reviewer_name": "孙丽", "cancelled_at": "20260930091000", "canceller_name": "周敏",
        "note": "皮试阴性",
    }  # fmt: skip
    orders = table(sheet("C0002", visit_record(orders=[order])), "医嘱")
    assert orders.too_wide
    ((leading, facts),) = orders.entries()
    assert leading.endswith("头孢呋辛 1.5g 静滴")
    said = " ".join(fact.text for fact in facts)
    assert all(word in said for word in ("何洁", "赵明远", "孙丽", "周敏", "皮试阴性", "2026-09-30 08:25:00"))
    assert not table(sheet("C0007", lab_record()), "检验项目").too_wide


def test_sections_without_content_are_named_not_hidden():
    assert "医嘱" in [label.zh for label in sheet("C0002", visit_record()).silent]


def test_no_value_of_the_record_is_lost():
    """Whatever the rules of layout: each value of a record can be read somewhere on the sheet."""
    for kind, record in (("C0007", lab_record()), ("C0002", visit_record()), ("C0004", prescription_record())):
        text = repr(sheet(kind, record))
        shown = view(load_kind(kind), record)
        values = [one.text for one in (*shown.banner, *shown.header)]
        for section in shown.sections:
            values += [one.text for one in section.values]
            values += [
                cell
                for one in section.tables
                for row in one.rows
                for field, cell in zip(one.fields, row.cells, strict=True)
                if field != "items.abnormal_flag"
            ]
        missing = [value for value in values if value and value not in text]
        assert missing == ["12345678-9"] or missing == [], missing  # the institution's number is not for the doctor


def test_an_address_is_one_line_and_a_unit_is_said_once():
    kind = load_kind("C0034")
    found = lay_out(view(kind, sample(kind, 3)))
    told = {fact.label.zh: fact.text for fact in (*found.banner, *found.facts)}
    assert told["现住址"] == "示范省示范市示范区示范街道示范路12号"
    assert not [label for label in told if label.startswith("现住址-")]
    signs = {fact.label.zh: fact.text for section in found.sections for fact in section.facts}
    assert signs["体温"] == "36.8 ℃"
