"""Clean records of the three kinds, invented: nobody's data. A test takes one and spoils it."""

import copy
from typing import Any

from frontend_agent.checks.identity import check_character
from frontend_agent.model import Record


def identity_number(birth: str = "19850312", sequence: str = "123") -> str:
    """A number with a right check digit and an administrative division that does not exist."""
    digits = f"990100{birth}{sequence}"
    return digits + check_character(digits)


_COMMON: Record = {
    "patient.outpatient_number": "MZ20260930001",
    "patient.name": "欧阳修远",
    "patient.sex": "1",
    "patient.age": "41",
    "patient.id_number": identity_number(),
    "institution.id": "91350100M000100Y43",
    "institution.name": "演示医院",
    "author.id": "D001",
    "author.name": "王医生",
    "fact.birth_date": "19850312",
    "fact.id_type": "01",
    "fact.patient_class": "outpatient",
}

_LAB: Record = _COMMON | {
    "report_number": "R20260930001",
    "request_number": "Q1",
    "specimen_number": "S1",
    "patient.type": "1",
    "patient.telephone": "13800138000",
    "author.time": "20260930101500",
    **{f"{who}.{what}": value for who in ("reviewer", "technician", "laboratory_doctor")
       for what, value in (("time", "20260930101400"), ("id", who[:4]), ("name", "李检验"))},
    "request.department_id": "K1",
    "request.department_name": "内科",
    "request.institution_id": "H1",
    "request.institution_name": "演示医院",
    "diagnoses": [{"code": "J00.x00", "name": "急性鼻咽炎", "date": "20260930", "institution_name": "演示医院"}],
    "method": "流式细胞法",
    "category": "血液常规",
    "items": [
        {"code": f"WBC{n}", "name": f"白细胞计数{n}", "tested_at": "20260930", "specimen": "全血", "specimen_state": "合格",
         "collected_at": "20260930080000", "received_at": "20260930083000", "result_code": "1", "value": "5.60",
         "unit": "10^9/L", "reference_range": "3.5-9.5", "abnormal_flag": "N"}
        for n in range(12)
    ],
    "report_result": "各项结果在参考区间内",
    "report_department": "检验科",
    "report_institution": "演示医院",
}  # fmt: skip

_VISIT: Record = _COMMON | {
    "request_number": "Q1",
    "patient.birth_date": "19850312",
    "department.id": "K1",
    "department.name": "内科",
    "author.time": "20260930091500",
    "visit.time": "20260930090000",
    "doctor.time": "20260930091500",
    "doctor.id": "D001",
    "doctor.name": "王医生",
    "allergy.flag": "true",
    "allergy.text": "青霉素过敏",
    "chief_complaint": "咳嗽3天",
    "present_illness": "3天前受凉后咳嗽，无发热。",
    "past_history": "无",
    "physical_examination": "咽部充血",
    "first_visit": "1",
    "tcm.observation": "舌淡红，苔薄白",
    "fact.tcm": "true",
    "examinations": [{"item": "血常规", "result": "正常"}],
    "diagnoses": [{"code": "J00.x00", "name": "急性鼻咽炎"}, {"code": "K31.500", "name": "十二指肠梗阻"}],
    "tcm_diseases": [{"code": "BNS130", "name": "咳嗽病"}],
    "tcm_syndromes": [{"code": "ZBUD90", "name": "风寒袭肺证"}],
    "orders": [
        {"type": "01", "content": "口服药物治疗", "start": "20260930091500", "end": "20261003091500",
         "performed_at": "20260930093000", "performer_name": "赵护士", "performer_department": "药房",
         "ordered_at": "20260930091000", "orderer_name": "王医生", "orderer_department": "内科",
         "reviewed_on": "20260930", "reviewer_name": "钱药师", "state": "完成"}
    ],
}  # fmt: skip

_PRESCRIPTION: Record = _COMMON | {
    "prescription_number": "CF20260930001",
    "department.id": "K1",
    "department.name": "内科",
    "author.time": "20260930091500",
    "prescribed_on": "20260930",
    **{f"{who}_pharmacist.{what}": value for who in ("review", "dispensing", "checking", "issuing")
       for what, value in (("time", "20260930092000"), ("id", f"P{who[:2]}"), ("name", "孙药师"))},
    "diagnosis.code": "J00.x00",
    "diagnosis.name": "急性鼻咽炎",
    "drugs": [
        {"name": "阿莫西林胶囊", "code": "D1", "route": "1", "dose": "0.5", "dose_unit": "g", "frequency": "3",
         "dosage_form": "04", "specification": "0.25g*24粒", "total_dose": "24", "total_unit": "粒"}
    ],
    "valid_days": "3",
    "group_number": "1",
    "note": "饭后服用",
    "amount": "25.60",
}  # fmt: skip

_RECORDS = {"C0002": _VISIT, "C0004": _PRESCRIPTION, "C0007": _LAB}


def clean(kind: str, **changed: Any) -> Record:
    """A record without fault. A changed value of None is left out; `items__0__unit` reaches into rows, `__` stands for a dot."""
    record = copy.deepcopy(_RECORDS[kind])
    for name, value in changed.items():
        put(record, name.replace("__", "."), value)
    return record


def put(record: Record, name: str, value: Any) -> None:
    """Set, or with None remove, a value by its dotted name (`items.0.unit` for a row's)."""
    head, _, rest = name.partition(".")
    where: Any = record
    if rest[:1].isdigit():
        number, _, name = rest.partition(".")
        where = record[head][int(number)]
    if value is None:
        where.pop(name, None)
    else:
        where[name] = value
