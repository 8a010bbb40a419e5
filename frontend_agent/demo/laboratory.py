"""Laboratory reports: lis_bg with its items and diagnoses, for outpatients and for the wards."""

import random
from dataclasses import dataclass
from datetime import date
from typing import Any

from .clinical import CASES, DEPARTMENTS
from .panels import PANELS, ROUTINE_PANELS, Item, Panel
from .persons import Person
from .rhythm import Calendar
from .staff import WARDS, Staff
from .visits import EMERGENCY, Visit, visit_age

Row = dict[str, Any]

SEX_LETTERS = {"1": "M", "2": "F", "0": "U"}
REMARKS = ("", "", "", "", "标本轻度溶血，结果供参考", "标本轻度脂血", "已复检", "建议结合临床", "本结果仅对此标本负责")


@dataclass(slots=True)
class Report:
    """One laboratory report and its rows."""

    number: str
    record: Row
    diagnoses: list[Row]
    items: list[Row]


@dataclass(slots=True)
class Request:
    """Who asked for what: the half of a report that comes from the clinic or the ward."""

    source: str  # MZ outpatient, JZ emergency, ZY inpatient
    person: Person
    outpatient_number: str
    inpatient_number: str
    department: str
    department_name: str
    doctor: str
    encountered_at: int
    asked_at: int
    bed: str
    room: str
    ward: str
    ward_name: str
    diagnoses: list[tuple[str, str]]


def panels_of(visit: Visit, rng: random.Random) -> list[str]:
    """What was asked for in the visit; the emergency department asks for a routine one almost always."""
    if visit.panels or visit.department != EMERGENCY:
        return visit.panels
    return [rng.choice(ROUTINE_PANELS)]


def outpatient_request(visit: Visit) -> Request:
    """The request as the clinic sends it."""
    return Request(
        source="JZ" if visit.department == EMERGENCY else "MZ",
        person=visit.person,
        outpatient_number=visit.number,
        inpatient_number="",
        department=visit.department,
        department_name=DEPARTMENTS[visit.department].name,
        doctor=visit.doctor,
        encountered_at=visit.seen_at,
        asked_at=visit.closed_at,
        bed="",
        room="",
        ward="",
        ward_name="",
        diagnoses=[(row["zddm"], row["zdmc"]) for row in visit.diagnoses if row["zdlx"] == "XY"],
    )


def inpatient_request(
    person: Person, number: str, asked: int, today: date, staff: Staff, rng: random.Random
) -> Request:
    """The request as a ward sends it."""
    age = visit_age(person, today)
    youngest, oldest = DEPARTMENTS["0502"].ages
    expecting = person.sex == "2" and youngest <= age <= oldest
    wards = ["B0702"] if person.newborn else [w for w in WARDS if w != "B0702" and (w != "B0502" or expecting)]
    ward = rng.choice(wards)
    ward_name, department_name = WARDS[ward]
    department = ward[1:]
    room = 1 + int(rng.random() * 30)
    doctors = staff.doctors.get(department) or staff.doctors[EMERGENCY]
    possible = [case for case in CASES if case.fits(person.sex, person.newborn, age)]
    case = rng.choice([case for case in possible if case.department == department] or possible)
    days = 0 if person.newborn else int(rng.random() * 9)  # a newborn cannot have come before birth
    return Request(
        source="ZY",
        person=person,
        outpatient_number="",
        inpatient_number=number,
        department=department,
        department_name=department_name,
        doctor=rng.choice(doctors),
        encountered_at=asked - 86_400 * days - 600,
        asked_at=asked,
        bed=f"{room:02d}{1 + int(rng.random() * 4)}",
        room=f"{room:02d}",
        ward=ward,
        ward_name=ward_name,
        diagnoses=[(case.code, case.name)],
    )


def build_report(
    number: int, request: Request, panel_code: str, calendar: Calendar, staff: Staff, rng: random.Random
) -> Report:
    """One tube's way: collected, received, measured, reviewed."""
    r = rng.random
    panel = PANELS[panel_code]
    collected = request.asked_at + 240 + int(r() * 1500)
    received = collected + 300 + int(r() * 1800)
    reported = received + int(panel.hours * 3600 * (0.6 + r() * 0.8))
    measured = received + (reported - received) * 2 // 3
    stamp = calendar.stamp
    day = calendar.digits8(collected)
    bgh = f"BG{day[2:]}{number:08d}"
    changed = stamp(reported)
    person = request.person
    items = build_items(bgh, panel, changed, rng, ill=r() < 0.6)
    abnormal = [f"{row['xmmc']}{row['jg']}{row['dw']}" for row in items if row["ycbz"] != "N"]
    record = {
        "bgh": bgh,
        "sqdh": f"JS{day[2:]}{number:08d}",
        "tmh": f"{day[2:]}{number:08d}",
        "brly": request.source,
        "brid": person.id,
        "mzh": request.outpatient_number,
        "zyh": request.inpatient_number,
        "xm": person.name,
        "xb": _letter(person),
        "csrq": "" if person.birth is None else f"{person.birth:%Y%m%d}",
        "nl": "" if person.birth is None else str(visit_age(person, calendar.day(collected))),
        "zjlx": person.id_type,
        "zjhm": person.id_number,
        "lxdh": person.telephone,
        "gj": person.nation,
        "xsebz": "1" if person.newborn else "0",
        "sfbmbz": "1" if person.unknown else "0",
        "sjks": request.department,
        "sjksmc": request.department_name,
        "sjys": request.doctor,
        "jzsj": stamp(request.encountered_at),
        "ch": request.bed,
        "fjh": request.room,
        "bqdm": request.ward,
        "bqmc": request.ward_name,
        "jyff": panel.method,
        "jylb": panel.name,
        "bblx": panel.specimen,
        "bbzt": "合格",
        "cysj": calendar.digits14(collected),
        "jssj": calendar.digits14(received),
        "jysj": calendar.digits14(measured),
        "bgsj": changed,
        "jyry": rng.choice(staff.technicians),
        "jyys": rng.choice(staff.laboratory_doctors),
        "shys": rng.choice(staff.laboratory_doctors),
        "shsj": changed,
        "bgjg": _summary(abnormal),
        "bgks": "检验科",
        "bgbz": REMARKS[int(r() * len(REMARKS))],
        "bgzt": "3",
        "zfbz": "0",
        "xgsj": changed,
    }
    diagnoses = [
        {
            "zdxh": f"{bgh}{n}",
            "bgh": bgh,
            "zdsx": n,
            "zddm": code,
            "zdmc": name,
            "zdrq": calendar.digits8(request.encountered_at),
            "xgsj": changed,
        }
        for n, (code, name) in enumerate(request.diagnoses, start=1)
    ]
    return Report(bgh, record, diagnoses, items)


def _letter(person: Person) -> str:
    """The LIS writes letters; what it does not know it takes over from the HIS as it is."""
    return SEX_LETTERS[person.sex] if person.fault != "unmapped_sex" else person.sex_text


def _summary(abnormal: list[str]) -> str:
    if not abnormal:
        return "本次检验各项结果均在参考区间内"
    text = "异常项目：" + "；".join(abnormal[:6])
    return (text if len(text) <= 190 else text[:190]) + ("等" if len(abnormal) > 6 else "")


def build_items(bgh: str, panel: Panel, changed: str, rng: random.Random, *, ill: bool) -> list[Row]:
    """The items of one report, with their flags."""
    share = 0.22 if ill else 0.02
    rows: list[Row] = []
    for number, item in enumerate(panel.items, start=1):
        result, flag = _result(item, share, rng)
        rows.append(
            {
                "mxxh": f"{bgh}{number:03d}",
                "bgh": bgh,
                "xh": number,
                "xmdm": item.code,
                "xmmc": item.name,
                "jg": result,
                "dw": item.unit,
                "ckfw": item.texts[0] if item.texts else f"{item.low:g}-{item.high:g}",
                "ycbz": flag,
                "xgsj": changed,
            }
        )
    return rows


def _result(item: Item, share: float, rng: random.Random) -> tuple[str, str]:
    luck = rng.random()
    if item.texts:
        if luck < share:
            return item.texts[1 + int(rng.random() * (len(item.texts) - 1))], "A"
        return item.texts[0], "N"
    low, high = item.low, item.high
    width = high - low
    if luck < share / 3 and low > 0:
        value = low * (0.55 + rng.random() * 0.42)
    elif luck < share:
        value = high + width * rng.random() ** 2 * 1.6
    else:
        value = low + width * (0.5 + (rng.random() + rng.random() - 1) * 0.46)
    value = round(value, item.decimals)
    text = f"{value:.{item.decimals}f}"
    if value < low:
        return text, "LL" if value < low * 0.65 else "L"
    if value > high:
        return text, "HH" if value > high + width * 1.2 else "H"
    return text, "N"
