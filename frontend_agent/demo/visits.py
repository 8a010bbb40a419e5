"""Registrations and outpatient visits: what mz_ghxx, mz_jzjl and their details hold."""

import random
from dataclasses import dataclass
from datetime import date
from typing import Any

from .clinical import (
    ADVICE,
    ALLERGIES,
    CASES,
    DEPARTMENTS,
    GENERAL_EXAM,
    GENERAL_STATE,
    PAST_DENIALS,
    PAST_ILLNESSES,
    SECOND_DIAGNOSES,
    TRADITION,
    TREATMENTS,
    Case,
    Tradition,
)
from .drugs import DRUGS, FREQUENCIES, ROUTES
from .panels import PANELS
from .persons import Person, age_on
from .rhythm import Calendar
from .staff import Staff

Row = dict[str, Any]

CASES_OF: dict[str, tuple[Case, ...]] = {
    code: tuple(case for case in CASES if case.department == code) for code in DEPARTMENTS
}
EMERGENCY = "2000"


@dataclass(slots=True)
class Visit:
    """One visit, its rows and what the later steps (pharmacy, laboratory) need to know of it."""

    number: str
    person: Person
    case: Case
    department: str
    doctor: str
    seen_at: int
    closed_at: int
    drugs: list[str]
    panels: list[str]
    registration: Row
    record: Row
    diagnoses: list[Row]
    examinations: list[Row]
    orders: list[Row]


def fill(text: str, rng: random.Random) -> str:
    """Put numbers into a phrase."""
    if "{" not in text:
        return text
    digit = 2 + int(rng.random() * 7)
    return text.format(
        digit=digit,
        d=digit,
        n=1 + int(rng.random() * 15),
        mm=4 + int(rng.random() * 9),
        hr=62 + int(rng.random() * 44),
        week=12 + int(rng.random() * 27),
    )


def present_illness(case: Case, duration: str, rng: random.Random) -> str:
    """现病史, at most 100 characters as the element has it."""
    first, second = rng.sample(case.with_it, 2)
    cause = ("无明显诱因", "受凉后", "劳累后", "")[int(rng.random() * 4)]
    text = fill(f"患者{duration}前{cause}出现{case.complaint}，{first}，{second}，{case.without}", rng)
    for tail in (
        "，曾在当地诊所治疗，效果欠佳，今为进一步诊治来院。",
        "，自行服药后无好转，来院就诊。",
        "，今来就诊。",
        "。",
    ):
        if len(text) + len(tail) <= 100:
            return text + tail
    return text[:99] + "。"


def past_history(person: Person, age: int, rng: random.Random) -> str:
    """既往史: what they had, and what they deny."""
    if person.unknown:
        return "患者身份不明，既往史无法采集。"
    if person.newborn:
        return f"系母亲{person.mother}足月顺产，出生体重3{int(rng.random() * 90) * 10:03d}g，Apgar评分1分钟9分，5分钟10分，已接种乙肝疫苗、卡介苗。"
    illnesses = 0 if age < 14 else min(3, int(rng.random() * (1 + age / 22)))
    parts = [fill(p, rng) for p in rng.sample(PAST_ILLNESSES, illnesses)] or ["平素身体健康"]
    parts += [fill(p, rng) for p in rng.sample(PAST_DENIALS, 5)]
    return "；".join(parts) + "。"


def physical_examination(department: str, age: int, rng: random.Random) -> str:
    """体格检查: vital signs, the general part, what the department looks at."""
    r = rng.random
    signs = f"T {36 + r() * 1.4:.1f}℃，P {64 + int(r() * 40)}次/分，R {16 + int(r() * 6)}次/分"
    if age >= 7:
        signs += f"，BP {104 + int(r() * 52)}/{62 + int(r() * 30)}mmHg"
    if age < 14:
        signs += f"，体重{3.2 + age * 2.3 + r() * 3:.1f}kg"
    general = "。".join(rng.sample(GENERAL_EXAM, 4))
    return f"{signs}。{GENERAL_STATE[int(r() * 4)]}。{general}。{DEPARTMENTS[department].examination}。"


def visit_age(person: Person, today: date) -> int:
    """Completed years; 40 stands in where nobody knows (only for the wording of texts)."""
    return 40 if person.birth is None else age_on(person.birth, today)


def build_visit(
    number: str, person: Person, department: str, arrived: int, calendar: Calendar, staff: Staff, rng: random.Random
) -> Visit:
    """One person's way from the registration desk to the end of the consultation."""
    r = rng.random
    today = calendar.day(arrived)
    age = visit_age(person, today)
    case = rng.choice([one for one in CASES_OF[department] if one.fits(person.sex, person.newborn, age)])
    doctor = rng.choice(staff.doctors[department])
    seen = arrived + 180 + int(r() * (600 if department == EMERGENCY else 3400))
    closed = seen + 420 + int(r() * 1500)
    drugs = rng.sample(case.drugs, min(len(case.drugs), 1 + int(r() * 2.7))) if r() < 0.88 else []
    panels = [p for p in case.panels if r() < (0.12 if p == "XCG" else 0.2)]
    tail = number[2:]
    stamp = calendar.stamp
    closed_text = stamp(closed)
    seen_text = stamp(seen)
    duration = rng.choice(case.course)
    registration = {
        "ghxh": "GH" + tail,
        "mzh": number,
        "brid": person.id,
        "ghsj": stamp(arrived),
        "ghlb": "急诊" if department == EMERGENCY else "普通" if r() < 0.7 else "专家",
        "ksdm": department,
        "ysdm": doctor,
        "nl": "" if person.birth is None else str(age),
        "zfbz": "0",
        "xgsj": stamp(arrived),
    }
    allergic = r() < 0.09
    record = {
        "jzxh": "JZ" + tail,
        "ghxh": "GH" + tail,
        "mzh": number,
        "brid": person.id,
        "sqdh": "SQ" + tail,
        "ksdm": department,
        "ysdm": doctor,
        "jzsj": seen_text,
        "jssj": closed_text,
        "czbz": "初诊" if r() < 0.62 else "复诊",
        "gmbz": "1" if allergic else "0",
        "gms": rng.choice(ALLERGIES) if allergic else "",
        "zs": fill(f"{case.complaint}{duration}", rng),
        "xbs": present_illness(case, duration, rng),
        "jws": past_history(person, age, rng),
        "tgjc": physical_examination(department, age, rng),
        "zybz": "0",
        "zysz": "",
        "bzyj": "",
        "zzzf": "",
        "qmys": doctor,
        "qmsj": closed_text,
        "jzzt": "2",
        "zfbz": "0",
        "xgsj": closed_text,
    }
    diagnoses = [_diagnosis(tail, 1, "XY", case.code, case.name, closed_text)]
    if age > 40 and r() < 0.4:
        code, name = rng.choice(SECOND_DIAGNOSES)
        if code != case.code:
            diagnoses.append(_diagnosis(tail, 2, "XY", code, name, closed_text))
    if department == "5000":
        _traditional(record, diagnoses, tail, TRADITION[case.name], closed_text)
    examinations = [
        {
            "jcxh": f"JC{tail}{n}",
            "jzxh": record["jzxh"],
            "jcsx": n,
            "jcxm": item,
            "jcjg": fill(result, rng),
            "xgsj": closed_text,
        }
        for n, (item, result) in enumerate(case.examinations, start=1)
        if r() < 0.75
    ]
    visit = Visit(
        number, person, case, department, doctor, seen, closed, drugs, panels, registration, record, diagnoses,
        examinations, [],
    )  # fmt: skip
    visit.orders = _orders(visit, tail, calendar, staff, rng)
    return visit


def _diagnosis(tail: str, order: int, kind: str, code: str, name: str, changed: str) -> Row:
    return {
        "zdxh": f"ZD{tail}{order}",
        "jzxh": "JZ" + tail,
        "zdlx": kind,
        "zdsx": order,
        "zddm": code,
        "zdmc": name,
        "xgsj": changed,
    }


def _traditional(record: Row, diagnoses: list[Row], tail: str, tradition: Tradition, changed: str) -> None:
    record.update(zybz="1", zysz=tradition.observation, bzyj=tradition.basis, zzzf=tradition.therapy)
    for order, kind, (code, name) in ((7, "ZB", tradition.disease), (8, "ZH", tradition.syndrome)):
        diagnoses.append(_diagnosis(tail, order, kind, code, name, changed))


def _orders(visit: Visit, tail: str, calendar: Calendar, staff: Staff, rng: random.Random) -> list[Row]:
    contents: list[tuple[str, str, str]] = []
    for code in visit.drugs:
        drug = DRUGS[code]
        how = f"{drug.dose}{drug.dose_unit} {ROUTES[drug.route]} {FREQUENCIES[drug.frequency][0]}"
        contents.append(("YP", f"{drug.name} {drug.specification} {how}", ""))
    contents += [("JY", f"{PANELS[code].name}（{PANELS[code].specimen}）", "空腹采血") for code in visit.panels]
    contents += [("JC", row["jcxm"], "预约检查") for row in visit.examinations]
    if rng.random() < 0.15:
        contents.append(("CZ", rng.choice(TREATMENTS), "门诊治疗室执行"))
    if rng.random() < 0.25 or not contents:
        contents.append(("ZT", visit.case.advice + "，" + rng.choice(ADVICE), ""))
    rows: list[Row] = []
    stamp = calendar.stamp
    for number, (kind, content, note) in enumerate(contents, start=1):
        ordered = visit.seen_at + 60 + int(rng.random() * (visit.closed_at - visit.seen_at - 100))
        done = min(ordered + 40 + int(rng.random() * 900), visit.closed_at)
        nurse = rng.choice(staff.nurses)
        rows.append(
            {
                "yzxh": f"YZ{tail}{number:02d}",
                "jzxh": "JZ" + tail,
                "yzsx": number,
                "yzlx": kind,
                "yznr": content,
                "jhkssj": stamp(ordered),
                "jhjssj": stamp(ordered + 86_400 * (1 + int(rng.random() * 6))),
                "kdsj": stamp(ordered),
                "kdys": visit.doctor,
                "kdks": visit.department,
                "shrq": calendar.digits8(ordered),
                "shr": rng.choice(staff.pharmacists) if kind == "YP" else nurse,
                "zxsj": stamp(done),
                "zxr": nurse,
                "zxks": "8002",
                "qxsj": "",
                "qxr": "",
                "bz": note,
                "zxzt": "已执行",
                "xgsj": stamp(visit.closed_at),
            }
        )
    return rows
