"""The radiology department: what was examined, who read it, and the rows of its RIS (ris_jc, ris_jczd).

An examination follows from a visit in which one was asked for. Its report is the demonstration's C0006, its row the order that its study
is held against; the study itself is made by pacs.py.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from .laboratory import Request
from .persons import person_name
from .rhythm import Calendar
from .visits import Visit, visit_age

Row = dict[str, Any]

SEX_LETTERS = {"1": "M", "2": "F", "0": "O"}


class Protocol(NamedTuple):
    """One kind of examination as the department does it."""

    name: str  # as the doctor asks for it
    code: str
    modality: str
    part: str  # BodyPartExamined
    side: str  # L, R, B; "" where there is none
    series: tuple[int, ...]  # images of each
    share: float  # of what is asked for, what is done in this department: the others are seen to elsewhere
    method: str
    impression: str
    normal: bool = False
    only: str = ""  # sex

    @property
    def images(self) -> int:
        return sum(self.series)


# fmt: off - one protocol a line reads as the table it is
PROTOCOLS = {
    one.name: one
    for one in (
        Protocol(
            "胸部CT平扫",
            "CT-CHEST",
            "CT",
            "CHEST",
            "",
            (1, 12),
            0.6,
            "螺旋CT平扫",
            "右肺下叶感染性病变可能，建议治疗后复查",
        ),
        Protocol(
            "颅脑CT平扫", "CT-HEAD", "CT", "HEAD", "", (1, 10), 0.6, "CT平扫", "颅脑CT平扫未见明显异常", normal=True
        ),
        Protocol("胸部正位片", "DR-CHEST", "DX", "CHEST", "", (1,), 0.7, "数字化X线摄影", "双肺纹理增多，请结合临床"),
        Protocol(
            "膝关节正侧位片", "DR-KNEE", "DX", "KNEE", "B", (1, 1), 0.7, "数字化X线摄影", "双膝关节退行性骨关节病"
        ),
        Protocol(
            "踝关节正侧位片",
            "DR-ANKLE",
            "DX",
            "ANKLE",
            "R",
            (1, 1),
            0.9,
            "数字化X线摄影",
            "右踝关节未见明显骨折征象，周围软组织肿胀",
        ),
        Protocol(
            "腰椎MRI平扫",
            "MR-LSPINE",
            "MR",
            "LSPINE",
            "",
            (6, 6),
            0.5,
            "磁共振平扫",
            "L4/5、L5/S1椎间盘突出，腰椎退行性变",
        ),
        Protocol(
            "腹部彩色多普勒超声", "US-ABD", "US", "ABDOMEN", "", (3,), 0.12, "彩色多普勒超声", "脂肪肝，胆囊壁毛糙"
        ),
        Protocol(
            "妇科经阴道彩超",
            "US-GYN",
            "US",
            "PELVIS",
            "",
            (3,),
            0.08,
            "经阴道超声",
            "子宫及双侧附件未见明显异常",
            normal=True,
            only="2",
        ),
        Protocol(
            "产科彩超",
            "US-OB",
            "US",
            "PELVIS",
            "",
            (4,),
            0.08,
            "彩色多普勒超声",
            "宫内单活胎，头位",
            normal=True,
            only="2",
        ),
        Protocol(
            "甲状腺彩超", "US-THYROID", "US", "NECK", "R", (3,), 0.1, "彩色多普勒超声", "甲状腺右叶结节，TI-RADS 3类"
        ),
        Protocol(
            "泌尿系彩超",
            "US-URO",
            "US",
            "ABDOMEN",
            "",
            (3,),
            0.1,
            "彩色多普勒超声",
            "左侧输尿管上段结石伴左肾轻度积水",
            only="1",
        ),
    )
}
# fmt: on


@dataclass
class Radiology:
    """Who works there: in its own system alone, as often."""

    names: dict[str, str] = field(default_factory=dict)
    technicians: list[str] = field(default_factory=list)
    doctors: list[str] = field(default_factory=list)


def hire_radiology(rng: random.Random) -> Radiology:
    """The same people for the same seed."""
    found = Radiology()
    for number in range(1, 19):
        code = f"R8102{number:02d}"
        found.names[code] = person_name(rng, rng.choice("12"))
        (found.technicians if number <= 8 else found.doctors).append(code)
    return found


@dataclass(slots=True)
class Examination:
    """One examination and its rows."""

    number: str
    record: Row
    diagnoses: list[Row]


def asked_for(visit: Visit, rng: random.Random) -> tuple[Protocol, str] | None:
    """What of the visit's examinations this department does, and what is seen there. None: nothing, or nobody whom it would take
    without papers."""
    for row in visit.examinations:
        protocol = PROTOCOLS.get(row["jcxm"])
        if protocol is None or rng.random() >= protocol.share:
            continue
        who = visit.person
        if protocol.only in ("", who.sex) and not (who.fault or who.unknown or who.newborn):
            return protocol, row["jcjg"]
    return None


def study_uid(number: str, *parts: int) -> str:
    """A UID that follows from an examination's number: 2.25 and an integer of 128 bits (PS3.5 B.2)."""
    name = "/".join(("frontend-agent demo", number, *map(str, parts)))
    return f"2.25.{int.from_bytes(sha256(name.encode()).digest()[:16], 'big')}"


def build_examination(
    number: int, request: Request, visit: Visit, what: tuple[Protocol, str], calendar: Calendar, staff: Radiology, rng: random.Random
) -> Examination:  # fmt: skip
    """Asked for, done within hours, read and signed by two."""
    protocol, seen = what
    done = request.asked_at + 1200 + int(rng.random() * 7200)
    reported = done + 900 + int(rng.random() * 5400)
    reviewed = reported + 300 + int(rng.random() * 1800)
    stamp = calendar.stamp
    person = request.person
    day = calendar.digits8(done)
    jch = f"RX{day[2:]}{number:06d}"
    reader, reviewer = rng.sample(staff.doctors, 2)
    record = {
        "jch": jch,
        "fwh": f"{protocol.modality}{day[2:]}{number:06d}",
        "sqdh": f"JC{day[2:]}{number:08d}",
        "jcuid": study_uid(jch),
        "brly": request.source,
        "brid": person.id,
        "mzh": request.outpatient_number,
        "xm": person.name,
        "xb": SEX_LETTERS[person.sex],
        "csrq": "" if person.birth is None else f"{person.birth:%Y%m%d}",
        "nl": "" if person.birth is None else str(visit_age(person, calendar.day(done))),
        "zjlx": person.id_type,
        "zjhm": person.id_number,
        "lxdh": person.telephone,
        "gj": person.nation,
        "sqks": request.department,
        "sqksmc": request.department_name,
        "sqys": request.doctor,
        "sqsj": stamp(request.asked_at),
        "jzsj": stamp(request.encountered_at),
        "zs": visit.record["zs"],
        "sblx": protocol.modality,
        "jcdm": protocol.code,
        "jcxm": protocol.name,
        "jcff": protocol.method,
        "bw": protocol.part,
        "fx": protocol.side,
        "xls": len(protocol.series),
        "txs": protocol.images,
        "jcsj": calendar.digits14(done),
        "jsys": rng.choice(staff.technicians),
        "bgys": reader,
        "bgsj": stamp(reported),
        "shys": reviewer,
        "shsj": stamp(reviewed),
        "yxsj": seen + "。",
        "yxzd": protocol.impression,
        "yxjg": "N" if protocol.normal else "A",
        "bgks": "超声医学科" if protocol.modality == "US" else "医学影像科",
        "bgzt": "3",
        "zfbz": "0",
        "xgsj": stamp(reviewed),
    }
    diagnoses = [
        {
            "zdxh": f"{jch}{n}", "jch": jch, "zdsx": n, "zddm": code, "zdmc": name,
            "zdrq": calendar.digits8(request.encountered_at), "xgsj": stamp(reviewed),
        }
        for n, (code, name) in enumerate(request.diagnoses, start=1)
    ]  # fmt: skip
    return Examination(jch, record, diagnoses)


def _no_reviewer(examination: Examination, calendar: Calendar, rng: random.Random) -> None:
    examination.record.update(shys="", shsj="")


def _mojibake_findings(examination: Examination, calendar: Calendar, rng: random.Random) -> None:
    text = examination.record["yxsj"]
    examination.record["yxsj"] = text[:6] + "锟斤拷锟斤拷" + text[10:]


def _reported_before_asked(examination: Examination, calendar: Calendar, rng: random.Random) -> None:
    asked = calendar.seconds(examination.record["sqsj"])
    examination.record["bgsj"] = calendar.stamp(asked - 600 - int(rng.random() * 3000))


def _unmapped_source(examination: Examination, calendar: Calendar, rng: random.Random) -> None:
    examination.record["brly"] = "TJ2"


Apply = Callable[[Examination, Calendar, random.Random], None]
SPOILING: tuple[tuple[str, tuple[str, ...], Apply, bool, int], ...] = (  # name, fields, how, whether it must be held, share
    ("exam_without_reviewer", ("reviewer.",), _no_reviewer, True, 12),
    ("mojibake_findings", ("findings",), _mojibake_findings, True, 8),
    ("reported_before_asked", ("author.time", "request.time", "reviewer.time"), _reported_before_asked, False, 8),
    ("unmapped_exam_source", ("patient.type",), _unmapped_source, True, 6),
)  # fmt: skip
