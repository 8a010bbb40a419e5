"""The demonstration hospital: a HIS, a LIS and a RIS as embedded databases, and the list of everything planted in them.

    create_hospital(folder, visits, seed) -> his.db, lis.db, ris.db, planted.json

Its studies are made from the RIS by pacs.write_pacs. What happens afterwards (corrections, reversals, late commits, new visits) is later.advance.

Everything follows from the seed and the base day: the same arguments give byte-identical dumps, today and next year.
"""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from . import faults
from .clinical import DEPARTMENTS
from .drugs import DRUGS, FORMS, FREQUENCIES, ROUTES
from .examinations import Radiology, asked_for, build_examination, hire_radiology
from .inpatients import build_stay
from .laboratory import Report, Request, build_report, inpatient_request, outpatient_request, panels_of
from .panels import INPATIENT_PANELS, PANELS
from .persons import Person, person
from .prescriptions import Prescription, build_prescriptions
from .rhythm import (
    ADMITTED_HOURS,
    DAY,
    EMERGENCY_HOURS,
    INPATIENT_HOURS,
    OUTPATIENT_HOURS,
    Calendar,
    Dice,
    days_for,
    moment,
)
from .schema import (
    HIS_INDEXES,
    HIS_TABLES,
    LIS_INDEXES,
    LIS_TABLES,
    RIS_INDEXES,
    RIS_TABLES,
    Row,
    create_indexes,
    create_tables,
    insert,
)
from .staff import SERVICES, WARDS, Staff, hire_staff
from .visits import EMERGENCY, Visit, build_visit

HIS, LIS, RIS, PLANTED = "his.db", "lis.db", "ris.db", "planted.json"
HOSPITAL_NAME = "示范市第一人民医院"
HOSPITAL_CODE = "999000013"  # an organisation code with a correct check digit and no organisation behind it
BASE_DAY = date(2026, 3, 16)  # a Monday
BEFORE = 14  # days of the calendar before the first visit
CHUNK = 2_000  # visits held in memory at a time

PERSON_FAULT, VISIT_FAULT, PRESCRIPTION_FAULT, REPORT_FAULT = 0.013, 0.034, 0.036, 0.036
ODDITY, DUPLICATE, IN_PROGRESS, RETURN_VISIT = 0.03, 0.004, 0.004, 0.06
ADMISSION_FAULT, FRONT_PAGE_FAULT, UNARCHIVED = 0.06, 0.12, 0.02
EXAM_FAULT = 0.05
INPATIENTS = 0.05  # admissions per outpatient visit
INPATIENT_REPORTS = 0.2  # reports for the wards per outpatient visit


@dataclass
class Plan:
    """What was made, and what was planted in it. `events` is what advance did later."""

    seed: int
    visits: int
    base_day: date
    planted: list[dict[str, Any]] = field(default_factory=list)
    oddities: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    reports: int = 0  # report numbers given out so far
    examinations: int = 0  # and those of examinations

    def save(self, folder: Path) -> None:
        """Write planted.json: one entry a line, sorted by nothing but the order of planting."""
        lists = {"planted": self.planted, "oddities": self.oddities, "events": self.events}
        head: dict[str, Any] = {
            "seed": self.seed,
            "visits": self.visits,
            "base_day": f"{self.base_day}",
            "steps": self.steps,
        }
        head |= {"reports": self.reports, "examinations": self.examinations}
        text = json.dumps(head, ensure_ascii=False)[:-1]
        for name, entries in lists.items():
            body = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
            text += f',\n"{name}": [\n{body}\n]'
        (folder / PLANTED).write_text(text + "}\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Read planted.json back."""
        values = json.loads((folder / PLANTED).read_text(encoding="utf-8"))
        return cls(**(values | {"base_day": date.fromisoformat(values["base_day"])}))


def create_hospital(folder: Path, visits: int, seed: int = 1, base_day: date = BASE_DAY) -> Plan:
    """Make the databases in `folder` (which must not have them yet) and planted.json beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (HIS, LIS, RIS):
        if (folder / name).exists():
            raise FileExistsError(f"{folder / name} exists already")
    plan = Plan(seed, visits, base_day)
    rng = Dice(f"hospital {seed}")
    days = days_for(visits, base_day)
    with databases(folder, new=True) as (his, lis, ris):
        create_tables(his, HIS_TABLES)
        create_tables(lis, LIS_TABLES)
        create_tables(ris, RIS_TABLES)
        staff = hire_staff(rng)
        first = days[0][0] if days else base_day
        calendar = Calendar(first - timedelta(days=BEFORE))  # inpatients came in before the first day
        _write_dictionaries(his, lis, staff, calendar.stamp(0))
        writer = Writer(his, lis, ris, plan, calendar, staff, rng)
        _write_radiology(ris, writer.radiology, calendar.stamp(0))
        for number, (_, count) in enumerate(days):
            writer.write_day((BEFORE + number) * DAY, count)
        writer.flush()
        create_indexes(his, HIS_INDEXES)
        create_indexes(lis, LIS_INDEXES)
        create_indexes(ris, RIS_INDEXES)
    plan.save(folder)
    return plan


@contextmanager
def databases(
    folder: Path, *, new: bool
) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection, sqlite3.Connection]]:
    """HIS, LIS and RIS, each in one transaction. Something half made is made again, so a new one needs no journal."""
    with (
        closing(sqlite3.connect(folder / HIS)) as his,
        closing(sqlite3.connect(folder / LIS)) as lis,
        closing(sqlite3.connect(folder / RIS)) as ris,
    ):
        for connection in (his, lis, ris):
            connection.isolation_level = None
            if new:
                connection.execute("PRAGMA journal_mode = OFF")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA cache_size = -65536")
            connection.execute("BEGIN")
        yield his, lis, ris
        for connection in (his, lis, ris):
            connection.execute("COMMIT")


def _write_radiology(ris: sqlite3.Connection, radiology: Radiology, now: str) -> None:
    insert(ris, "xt_jg", [{"jgdm": HOSPITAL_CODE, "jgmc": HOSPITAL_NAME}])
    insert(ris, "ris_ry", ({"rydm": c, "xm": n, "zw": "影像", "xgsj": now} for c, n in radiology.names.items()))


def _write_dictionaries(his: sqlite3.Connection, lis: sqlite3.Connection, staff: Staff, now: str) -> None:
    names = {d.code: d.name for d in DEPARTMENTS.values()} | SERVICES | {w: name for w, (name, _) in WARDS.items()}
    insert(his, "dm_ks", ({"ksdm": c, "ksmc": n, "kslx": "门诊", "tybz": "0", "xgsj": now} for c, n in names.items()))
    insert(
        his,
        "dm_zg",
        (
            {"zgdm": c, "xm": n, "ksdm": staff.departments[c], "zclb": c[0], "tybz": "0", "xgsj": now}
            for c, n in staff.names.items()
        ),
    )
    tables = {
        "xb": {"男": "男性", "女": "女性", "未知": "未知", "1": "男（旧系统）", "2": "女（旧系统）", "M": "男（体检）", "F": "女（体检）"},
        "yf": ROUTES,
        "pc": {code: name for code, (name, _) in FREQUENCIES.items()},
        "jx": FORMS,
        "yzlx": {"YP": "药品", "JC": "检查", "JY": "检验", "CZ": "处置", "ZT": "嘱托", "SS": "手术", "CL": "材料", "SX": "输血"},
        "zjlx": {"居民身份证": "居民身份证", "护照": "护照"},
    }  # fmt: skip
    insert(his, "dm_zd", ({"lb": t, "dm": c, "mc": n} for t, codes in tables.items() for c, n in codes.items()))
    insert(
        his,
        "yp_zd",
        (
            {
                "ypdm": d.code, "ypmc": d.name, "gg": d.specification, "jx": d.form, "dw": d.unit, "dj": d.price,
                "tybz": "0", "xgsj": now,
            }
            for d in DRUGS.values()
        ),
    )  # fmt: skip
    for database in (his, lis):
        insert(database, "xt_jg", [{"jgdm": HOSPITAL_CODE, "jgmc": HOSPITAL_NAME}])
    laboratory = staff.technicians + staff.laboratory_doctors
    insert(lis, "lis_ry", ({"rydm": c, "xm": staff.names[c], "zw": "检验", "xgsj": now} for c in laboratory))
    doctors = [code for codes in staff.doctors.values() for code in codes]
    insert(lis, "lis_ry", ({"rydm": c, "xm": staff.names[c], "zw": "临床", "xgsj": now} for c in doctors))
    items = {i.code: i for panel in PANELS.values() for i in panel.items}
    insert(
        lis,
        "lis_xm",
        ({"xmdm": i.code, "xmmc": i.name, "ywsx": i.code, "dw": i.unit, "xgsj": now} for i in items.values()),
    )


class Writer:
    """Builds visits day by day, plants what is to be planted, and writes the rows in chunks."""

    def __init__(
        self,
        his: sqlite3.Connection,
        lis: sqlite3.Connection,
        ris: sqlite3.Connection,
        plan: Plan,
        calendar: Calendar,
        staff: Staff,
        rng: random.Random,
    ) -> None:
        self.his, self.lis, self.ris = his, lis, ris
        self.plan, self.calendar, self.staff, self.rng = plan, calendar, staff, rng
        self.inpatient_rng = Dice(f"inpatients {plan.seed} {plan.steps}")  # outpatients are the same with and without
        self.radiology = hire_radiology(Dice(f"radiology {plan.seed}"))
        self.examination_rng = Dice(f"examinations {plan.seed} {plan.steps}")  # and with and without this one as well
        self.departments = list(DEPARTMENTS.values())
        self.weights = [d.weight for d in self.departments]
        self.known: dict[str, list[Person]] = {}  # who came earlier, per department: some come again
        self.chunk = 0
        self.rows: dict[str, list[Row]] = {name: [] for name in (*HIS_TABLES, *LIS_TABLES, *RIS_TABLES)}

    def write_day(self, start: int, count: int) -> None:
        """All visits of one day, in the order people arrive, and the wards' laboratory reports of that day."""
        rng = self.rng
        arrivals = []
        for _ in range(count):
            department = rng.choices(self.departments, self.weights)[0]
            hours = EMERGENCY_HOURS if department.code == EMERGENCY else OUTPATIENT_HOURS
            arrivals.append((moment(rng, hours), department.code))
        arrivals.sort()
        day = self.calendar.day(start)
        for number, (second, department_code) in enumerate(arrivals, start=1):
            self.write_visit(f"MZ{day:%y%m%d}{number:05d}", department_code, start + second)
            self.chunk += 1
            if self.chunk % CHUNK == 0:
                self.flush()
        wards = sorted(moment(rng, INPATIENT_HOURS) for _ in range(int(count * INPATIENT_REPORTS)))
        for number, second in enumerate(wards, start=1):
            self.write_ward_report(f"{day:%y%m%d}{number:04d}", start + second)
        admissions = sorted(moment(self.inpatient_rng, ADMITTED_HOURS) for _ in range(round(count * INPATIENTS)))
        for number, second in enumerate(admissions, start=1):
            self.write_stay(f"ZA{day:%m%d}{number:04d}", start + second)

    def write_visit(self, number: str, department: str, arrived: int) -> Visit:
        """One visit with all that follows from it, and perhaps a fault."""
        rng = self.rng
        who = self._person(number, department, arrived)
        visit = build_visit(number, who, department, arrived, self.calendar, self.staff, rng)
        prescriptions = build_prescriptions(visit, self.calendar, self.staff, rng)
        request = outpatient_request(visit)
        self._examine(visit, request)
        self._plant_in_visit(visit)  # after the request was sent: what is spoilt here is spoilt here alone
        for prescription in prescriptions:
            self._add_prescription(prescription)
        self._add_visit(visit)
        for panel in panels_of(visit, rng):
            self.plan.reports += 1
            self._add_report(build_report(self.plan.reports, request, panel, self.calendar, self.staff, rng), who)
        return visit

    def write_ward_report(self, number: str, asked: int) -> None:
        """One report for a ward."""
        rng = self.rng
        ages = (0, 0) if rng.random() < 0.04 else (18, 92)
        today = self.calendar.day(asked)
        who = person(rng, f"ZYBR{number}", today, ages, "", emergency=False)
        self._plant_in_person(who, rng)
        request = inpatient_request(who, f"ZY{number[2:]}", asked, today, self.staff, rng)
        self.plan.reports += 1
        panel = rng.choice(INPATIENT_PANELS)
        self._add_report(build_report(self.plan.reports, request, panel, self.calendar, self.staff, rng), who)

    def write_stay(self, number: str, admitted: int) -> None:
        """One inpatient, and perhaps a fault in the admission record or on the front page."""
        rng = self.inpatient_rng
        stay = build_stay(number, admitted, self.calendar, self.staff, rng)
        self._plant_in_person(stay.person, rng)
        self._add_person(stay.person, admitted)
        for kind, share, some in (
            (faults.ADMISSION, ADMISSION_FAULT, faults.ADMISSION_FAULTS),
            (faults.FRONT_PAGE, FRONT_PAGE_FAULT, faults.FRONT_PAGE_FAULTS),
        ):
            self._plant_persons_fault(kind, number, stay.person)
            if rng.random() < share:
                fault = faults.pick(rng, [one for one in some if one.fits(stay)])
                fault.apply(stay, self.calendar, rng)
                self._plant(kind, number, fault)
        rows = self.rows
        if rng.random() < UNARCHIVED:
            stay.page.update(gdbz="0", gdsj="")
        rows["zy_zyjl"].append(stay.record)
        rows["zy_ryjl"].append(stay.admission)
        rows["zy_basy"].append(stay.page)
        rows["zy_basyzd"] += stay.diagnoses
        rows["zy_basyss"] += stay.operations

    def _examine(self, visit: Visit, request: Request) -> None:
        """What the visit sends to the radiology department, and perhaps a fault in its report."""
        rng = self.examination_rng
        what = asked_for(visit, rng)
        if what is None:
            return
        self.plan.examinations += 1
        found = build_examination(self.plan.examinations, request, visit, what, self.calendar, self.radiology, rng)
        if rng.random() < EXAM_FAULT:
            fault = faults.pick(rng, faults.EXAM_FAULTS)
            fault.apply(found, self.calendar, rng)
            self._plant(faults.EXAM, found.number, fault)
        self.rows["ris_jc"].append(found.record)
        self.rows["ris_jczd"] += found.diagnoses

    # -- who comes -----------------------------------------------------------------------------------------------------

    def _person(self, number: str, department: str, arrived: int) -> Person:
        rng = self.rng
        known = self.known.setdefault(department, [])
        if known and rng.random() < RETURN_VISIT:
            return rng.choice(known)
        place = DEPARTMENTS[department]
        today = self.calendar.day(arrived)
        who = person(rng, "BR" + number[2:], today, place.ages, place.sex, emergency=department == EMERGENCY)
        self._plant_in_person(who, rng)
        if not who.newborn:
            known.append(who)
        self._add_person(who, arrived)
        return who

    def _add_person(self, who: Person, arrived: int) -> None:
        self.rows["mz_brxx"].append(
            {
                "brid": who.id,
                "xm": who.name,
                "xb": who.sex_text,
                "csrq": "" if who.birth is None else f"{who.birth:%Y-%m-%d}",
                "zjlx": who.id_type,
                "zjhm": who.id_number,
                "lxdh": who.telephone,
                "gj": who.nation,
                "mz": "01",
                "xsebz": "1" if who.newborn else "0",
                "sfbmbz": "1" if who.unknown else "0",
                "mqbrid": "",
                "xgsj": self.calendar.stamp(arrived),
            }
        )

    def _plant_in_person(self, who: Person, rng: random.Random) -> None:
        luck = rng.random()
        written = {"1": ("男", "1", "M"), "2": ("女", "2", "F"), "0": ("未知", "未知", "未知")}[who.sex]
        who.sex_text = written[0 if luck < 0.88 else 1 if luck < 0.96 else 2]
        if who.id_type == "居民身份证" and rng.random() < PERSON_FAULT:
            fault = faults.pick(rng, faults.PERSON_FAULTS)
            fault.apply(who, rng)
            who.fault = fault.name

    # -- planting ------------------------------------------------------------------------------------------------------

    def _plant(self, kind: str, key: str, fault: faults.Fault) -> None:
        self.plan.planted.append(faults.planted(kind, key, fault))

    def _plant_persons_fault(self, kind: str, key: str, who: Person) -> None:
        if who.fault:
            self._plant(kind, key, faults.FAULTS[who.fault])

    def _oddity(self, kind: str, key: str, name: str) -> None:
        self.plan.oddities.append({"kind": kind, "key": key, "oddity": name})

    def _plant_in_visit(self, visit: Visit) -> None:
        rng = self.rng
        luck = rng.random()
        who = visit.person
        self._plant_persons_fault(faults.VISIT, visit.number, who)
        if luck < VISIT_FAULT:
            fault = faults.pick(rng, faults.VISIT_FAULTS)
            if fault.name != "seen_before_birth" or who.birth is not None:
                fault.apply(visit, self.calendar, rng)
                self._plant(faults.VISIT, visit.number, fault)
        elif luck < VISIT_FAULT + ODDITY:
            self._oddity(faults.VISIT, visit.number, faults.odd_visit(visit, rng))
        elif luck < VISIT_FAULT + ODDITY + IN_PROGRESS:
            visit.record.update(jzzt="1", qmys="", qmsj="", jssj="")
        if who.newborn or who.unknown or who.foreigner:
            name = "newborn" if who.newborn else "unknown_person" if who.unknown else "foreigner"
            self._oddity(faults.VISIT, visit.number, name)

    def _add_visit(self, visit: Visit) -> None:
        rows = self.rows
        rows["mz_ghxx"].append(visit.registration)
        if self.rng.random() < DUPLICATE and visit.record["jzzt"] == "2":
            self._add_duplicate(visit)
        rows["mz_jzjl"].append(visit.record)
        rows["mz_zd"] += visit.diagnoses
        rows["mz_jcjg"] += visit.examinations
        rows["mz_yz"] += visit.orders

    def _add_duplicate(self, visit: Visit) -> None:
        """A double click: the same visit written twice, some seconds earlier, with rows of its own."""
        twin = visit.record["jzxh"] + "D"
        earlier = self.calendar.stamp(visit.closed_at - 4)
        rows = self.rows
        rows["mz_jzjl"].append({**visit.record, "jzxh": twin, "xgsj": earlier})
        for table, key, originals in (
            ("mz_zd", "zdxh", visit.diagnoses),
            ("mz_jcjg", "jcxh", visit.examinations),
            ("mz_yz", "yzxh", visit.orders),
        ):
            rows[table] += [{**row, key: row[key] + "D", "jzxh": twin, "xgsj": earlier} for row in originals]
        self.plan.planted.append(
            {"kind": faults.VISIT, "key": visit.number, "fault": "duplicated_visit", "fields": [], "hold": False}
        )

    def _add_prescription(self, prescription: Prescription) -> None:
        rng = self.rng
        self._plant_persons_fault(faults.PRESCRIPTION, prescription.number, prescription.visit.person)
        if rng.random() < PRESCRIPTION_FAULT:
            fault = faults.pick(rng, faults.PRESCRIPTION_FAULTS)
            fault.apply(prescription, self.calendar, rng)
            self._plant(faults.PRESCRIPTION, prescription.number, fault)
        self.rows["mz_cf"].append(prescription.record)
        self.rows["mz_cfmx"] += prescription.lines

    def _add_report(self, report: Report, who: Person) -> None:
        rng = self.rng
        luck = rng.random()
        self._plant_persons_fault(faults.REPORT, report.number, who)
        if luck < REPORT_FAULT:
            fault = faults.pick(rng, faults.REPORT_FAULTS)
            fault.apply(report, self.calendar, rng)
            self._plant(faults.REPORT, report.number, fault)
        elif luck < REPORT_FAULT + ODDITY:
            self._oddity(faults.REPORT, report.number, faults.odd_report(report, rng))
        elif luck < REPORT_FAULT + ODDITY + IN_PROGRESS:
            report.record.update(bgzt="2", shys="", shsj="")
        self.rows["lis_bg"].append(report.record)
        self.rows["lis_bgzd"] += report.diagnoses
        self.rows["lis_bgmx"] += report.items

    def flush(self) -> None:
        """Write what has been built so far."""
        for name, rows in self.rows.items():
            database = self.his if name in HIS_TABLES else self.lis if name in LIS_TABLES else self.ris
            insert(database, name, rows)
            rows.clear()
