"""Prescriptions: mz_cf and its lines, as the pharmacy leaves them; and their reversals."""

import random
from dataclasses import dataclass
from typing import Any

from .drugs import DRUGS, FREQUENCIES, ROUTES
from .rhythm import Calendar
from .staff import Staff
from .visits import Visit

Row = dict[str, Any]
NOTES = ("", "", "", "饭后服用", "用药期间忌酒", "首次用药观察30分钟", "长期用药，定期复查肝肾功能", "患者要求外配")


@dataclass(slots=True)
class Prescription:
    """One prescription and its lines."""

    number: str
    visit: Visit
    record: Row
    lines: list[Row]


def build_prescriptions(visit: Visit, calendar: Calendar, staff: Staff, rng: random.Random) -> list[Prescription]:
    """The visit's drugs; infusions go on a sheet of their own, as rules for prescriptions want it."""
    if not visit.drugs:
        return []
    infusions = [code for code in visit.drugs if DRUGS[code].route in ("IVGTT", "IV", "IM")]
    others = [code for code in visit.drugs if code not in infusions]
    sheets = [sheet for sheet in (others, infusions) if sheet]
    return [_build(visit, number, sheet, calendar, staff, rng) for number, sheet in enumerate(sheets, start=1)]


def _build(
    visit: Visit, number: int, codes: list[str], calendar: Calendar, staff: Staff, rng: random.Random
) -> Prescription:
    r = rng.random
    stamp = calendar.stamp
    written = visit.closed_at - int(r() * 240)
    reviewed = written + 30 + int(r() * 300)
    prepared = reviewed + 60 + int(r() * 600)
    checked = prepared + 20 + int(r() * 200)
    issued = checked + 20 + int(r() * 900)
    cfh = f"CF{visit.number[2:]}{number}"
    diagnosis = visit.diagnoses[0]
    changed = stamp(issued)
    review, prepare, check, issue = rng.sample(staff.pharmacists, 4)
    record = {
        "cfh": cfh,
        "jzxh": visit.record["jzxh"],
        "mzh": visit.number,
        "brid": visit.person.id,
        "kfsj": stamp(written),
        "kfks": visit.department,
        "kfys": visit.doctor,
        "zddm": diagnosis["zddm"],
        "zdmc": diagnosis["zdmc"],
        "shys": review,
        "shsj": stamp(reviewed),
        "tpys": prepare,
        "tpsj": stamp(prepared),
        "hdys": check,
        "hdsj": stamp(checked),
        "fyys": issue,
        "fysj": changed,
        "yxts": 1 if visit.department == "2000" else 3,
        "cfbz": NOTES[int(r() * len(NOTES))],
        "cfzt": "3",
        "zfbz": "0",
        "xgsj": changed,
    }
    lines = [_line(cfh, n, code, changed, rng) for n, code in enumerate(codes, start=1)]
    return Prescription(cfh, visit, record, lines)


def _line(cfh: str, number: int, code: str, changed: str, rng: random.Random) -> Row:
    drug = DRUGS[code]
    quantity = rng.choice(drug.quantities)
    how, _ = FREQUENCIES[drug.frequency]
    return {
        "mxxh": f"MX{cfh[2:]}{number:02d}",
        "cfh": cfh,
        "zh": 1,
        "ypdm": code,
        "ypmc": drug.name,
        "gg": drug.specification,
        "jx": drug.form,
        "yf": drug.route,
        "pc": drug.frequency,
        "pcmc": how,
        "yl": drug.dose,
        "yldw": drug.dose_unit,
        "sl": quantity,
        "dw": drug.unit,
        "dj": drug.price,
        "je": round(drug.price * quantity, 2),
        "yfsm": f"{ROUTES[drug.route]}，每次{drug.dose}{drug.dose_unit}，{how}",
        "tfmxxh": "",
        "xgsj": changed,
    }


def reversal(line: Row, quantity: int, number: int, changed: str) -> Row:
    """A negative line (退药): the way every HIS takes back what was given. It names the line it reverses."""
    return {
        **line,
        "mxxh": f"{line['mxxh']}T{number}",
        "sl": -quantity,
        "je": -round(line["dj"] * quantity, 2),
        "tfmxxh": line["mxxh"],
        "xgsj": changed,
    }
