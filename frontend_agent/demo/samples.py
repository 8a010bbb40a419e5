"""A clean record of any kind: invented, deterministic, coherent in itself, and found faultless by every rule.

    sample(load_kind("C0032"), number=7)

One person's stay is the world behind it: born, admitted, operated, discharged, written down, signed, in that order. A value
follows from the field's name where names say something (`systolic`), else from its format and value set.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from frontend_agent.demo.persons import Person, age_on, resident
from frontend_agent.formats import Field, Kind, value_set
from frontend_agent.formats.enclosed import enclose
from frontend_agent.model import Record

FIRST_DAY = datetime(2026, 3, 2, 8, 0)
WITHIN_A_DAY = ("C0035", "C0036")  # discharged, or dead, within 24 hours
OBSTETRIC = ("C0014", "C0015", "C0016")
INSTITUTION, INSTITUTION_NAME = "999000013", "示范市第一人民医院"


@dataclass
class Stay:
    """What happened to one person, and when. Hours are counted from the admission."""

    number: int
    person: Person
    admitted: datetime
    rng: random.Random
    written: float  # hours after admission at which the document was written
    names: frozenset[str]  # every field of the kind
    length: float = 144.0  # hours until the discharge, or the death

    def at(self, hours: float) -> str:
        """A moment as 14 digits."""
        return (self.admitted + timedelta(hours=hours)).strftime("%Y%m%d%H%M%S")

    @property
    def age(self) -> int:
        assert self.person.birth is not None
        return age_on(self.person.birth, self.admitted.date())


def sample(kind: Kind, number: int = 1) -> Record:
    """A record of the kind that no rule of the everyday profile has anything to say about."""
    stay = _stay(kind, number)
    record: Record = {}
    for one in kind.fields:
        if not one.group:
            value = _value(kind, one, stay, 0)
            if value:
                record[one.name] = value
    for name, group in kind.groups.items():
        record[name] = [
            {f.key: value for f in group.fields if (value := _value(kind, f, stay, row))} for row in range(_rows(name))
        ]
    return record


def _stay(kind: Kind, number: int) -> Stay:
    rng = random.Random(f"sample {kind.code} {number}")  # noqa: S311 - invented data
    woman = kind.code in OBSTETRIC
    admitted = FIRST_DAY + timedelta(minutes=7 * (number % 5000))
    years = 24 + rng.randrange(14) if woman else 30 + rng.randrange(45)
    birth = date(admitted.year - years, 1 + rng.randrange(12), 1 + rng.randrange(28))
    person = resident(rng, f"P{number:07d}", birth, "2" if woman or number % 2 else "1")
    names = frozenset(f.name for f in kind.fields)
    length = 20.0 if kind.code in WITHIN_A_DAY else 144.0
    if names & {"encounter.discharged_at", "discharged_at", "died_at"}:
        written = length + 2
    elif any(name.startswith(("operations.", "anaesthesia", "left_theatre")) for name in names):
        written = 60.0
    else:
        written = 6.0
    return Stay(number, person, admitted, rng, written, names, length)


def _rows(group: str) -> int:
    return 1 if group.startswith(("main_", "tcm_", "operations")) else 2


# --- one value --------------------------------------------------------------------------------------------------------

Rule = Callable[[Stay, Field, int], str]


def _value(kind: Kind, one: Field, stay: Stay, row: int) -> str:
    for pattern, rule in _BY_NAME:
        if pattern.fullmatch(one.name):
            return rule(stay, one, row)
    value = _by_type(one, stay, row)
    return value[: one.max_length] if one.max_length and one.value_type in ("ST", "ED", "") else value


def _by_type(one: Field, stay: Stay, row: int) -> str:
    match one.value_type:
        case "TS":
            return _moment(stay, one, stay.written - 1)
        case "BL":
            return "false"
        case "CD" | "CE" | "CV":
            return _code(one)
        case "INT" | "PQ" | "REAL" | "MO":
            return _number(one)
        case _:
            if one.value_set:
                return _code(one)
            return _number(one) if re.match(r"N", one.format) else _text(one, row)


def _code(one: Field) -> str:
    table = value_set(one.value_set)
    codes = [entry.code for entry in table if entry.code.strip("9")]
    return codes[0] if codes else "1"  # a table that we do not carry: its shape is all that is known


_DIGITS = re.compile(r"N(\d+)?(?:\.\.(\d+))?(?:,(\d+))?")


def _number(one: Field) -> str:
    """The smallest ordinary number of the format: `N3..5,2` -> 1.25."""
    found = _DIGITS.match(one.format)
    least, decimals = (int(found[1] or 1), int(found[3] or 0)) if found else (1, 0)
    if one.value_type == "INT" or not decimals:
        return "1" * max(1, least if found and not found[2] else 1)
    return "1." + "25"[:decimals].ljust(decimals, "0")


def _text(one: Field, row: int) -> str:
    return f"{one.name_zh.strip('(（)）')}如常" + ("，余无特殊" if row else "")


def _moment(stay: Stay, one: Field, hours: float) -> str:
    text = stay.at(hours)
    return text[:8] if one.format == "D8" else text


_SCAN = enclose(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")


# --- what names say ---------------------------------------------------------------------------------------------------


def _at(hours: float) -> Rule:
    return lambda stay, one, row: _moment(stay, one, hours)


def _written(after: float = 0.0) -> Rule:
    return lambda stay, one, row: _moment(stay, one, stay.written + after)


def _fixed(*values: str) -> Rule:
    return lambda stay, one, row: values[min(row, len(values) - 1)]


def _signed(stay: Stay, one: Field, row: int) -> str:
    """Signers sign one after the other, each once."""
    return _moment(stay, one, stay.written + 0.1)


def _staff(stay: Stay, one: Field, row: int) -> str:
    return f"D{sum(map(ord, one.name)) % 900 + 100}"


def _staff_name(stay: Stay, one: Field, row: int) -> str:
    surname = "赵钱孙李周吴郑王冯陈"[sum(map(ord, one.name)) % 10]
    return surname + "医生"


def _person(attribute: str) -> Rule:
    return lambda stay, one, row: str(getattr(stay.person, attribute))


_BY_NAME: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        # the person
        (r"patient\.name", _person("name")),
        (r"patient\.sex", _person("sex")),
        (r"patient\.id_number", _person("id_number")),
        (r"patient\.telephone|contact\.telephone|patient\.employer\.telephone", _person("telephone")),
        (r"patient\.birth_date", lambda stay, one, row: f"{stay.person.birth:%Y%m%d}"),
        (r"patient\.age", lambda stay, one, row: str(stay.age)),
        (r"patient\.age_months", _fixed("")),
        (r"encounter\.(visit|admission)_count", _fixed("1")),
        (r"[a-z_]+\.signature", _staff_name),
        (r"staff\.name|operator\.name|registrar\.name", _staff_name),
        (r"patient\.nationality", _fixed("156")),
        (r"patient\.ethnic_group", _fixed("01")),
        (r"patient\.marital_status", _fixed("20")),
        (r"patient\.occupation", lambda stay, one, row: _code(one) if one.value_set.endswith(".3.7") else "17"),
        (r"patient\.education", _fixed("20")),
        (r".*\.postal_code", _fixed("999000")),
        (r".*\.house_number", _fixed("12号")),
        (r".*\.street", _fixed("示范路")),
        (r".*\.township", _fixed("示范街道")),
        (r".*\.county", _fixed("示范区")),
        (r".*\.city", _fixed("示范市")),
        (r".*\.state", _fixed("示范省")),
        (r"patient\.outpatient_number", lambda stay, one, row: f"MZ{stay.number:06d}"),
        (r"patient\.inpatient_number", lambda stay, one, row: f"ZY{stay.number:06d}"),
        (r"patient\.record_number", lambda stay, one, row: f"BA{stay.number:06d}"),
        (r"patient\.health_card|patient\.health_record", lambda stay, one, row: f"JK{stay.number:08d}"),
        (r".*_number", lambda stay, one, row: f"{stay.number:08d}"),
        (r"contact\.name|informant\.name", _fixed("周安")),
        (r"contact\.relation|informant\.relation|proxy\.relation", _fixed("10")),
        (r"patient_signature\.name", _person("name")),
        (r"(transfer_in|target)_department(_name|\.name)?", _fixed("重症医学科")),
        # the stay
        (r"encounter\.admitted_at|admitted_at|encounter\.time|visited_at|visit\.time", _at(0)),
        (r"request\.time|orders\.start", _at(1)),
        (r"items\.collected_at", _at(2)),
        (r"items\.received_at", _at(3)),
        (r"items\.tested_at", _at(4)),
        (r"orders\.(ordered_at|reviewed_on|checked_at)", _at(2)),
        (r"orders\.performed_at", _at(3)),
        (r"orders\.(stopped_at|end)", _at(5)),
        (r"orders\.cancelled_at|orders\.canceller.*", _fixed("")),
        (r"onset_at|symptoms\.started_at|awaiting_labour_at|observation_began_at", _at(-12)),
        (r"symptoms\.ended_at", _at(-2)),
        (r"symptoms\.code", _fixed("R10.400", "R11.x00")),
        (r"rescue_started_at", _written(-3)),
        (r"rescue_ended_at", _written(-2)),
        (r"discussion\.time", _written(-1)),
        (r".*pedis_pulse.*", _fixed("true")),
        (r"(items_.*|anaesthesia)\.(instrument|circulating)_nurse_time", _at(50.2)),
        (r"operations\.entered_theatre_at", _at(47.5)),
        (r"operations\.left_theatre_at", _at(50.5)),
        (r"anaesthesia\.started_at", _at(47.8)),
        (r"ended_at", _at(50.4)),
        (r"awake_at", _at(51)),
        (r"operation_minutes", _fixed("120")),
        (r"planned_operations\.date|planned_at|transfused_at", lambda stay, one, row: _moment(stay, one, stay.written + (-1 if "transfusion_volume" in stay.names else 48))),
        # the child, at term
        (r"last_menstrual_period", _at(-278 * 24)),
        (r"due_date", _at(2 * 24)),
        (r"labour_began_at", _at(-8)),
        (r"membranes_ruptured_at", _at(-5)),
        (r"fully_dilated_at", _at(-1)),
        (r"delivered_at", _at(0.5)),
        (r"placenta_delivered_at", _at(0.6)),
        (r"postpartum_observed_at", lambda stay, one, row: _moment(stay, one, 51 if "operation_minutes" in stay.names else 2.6)),
        (r"labour_first_stage_minutes", _fixed("420")),
        (r"labour_second_stage_minutes", _fixed("90")),
        (r"labour_third_stage_minutes", _fixed("6")),
        (r"labour_minutes", _fixed("516")),
        (r"nuchal_cord_turns|cord_torsion|perineal_stitches", _fixed("0")),
        # habits
        (r"daily_cigarettes|daily_alcohol|days_since_smoking", _fixed("0")),
        (r"menstrual_history", lambda stay, one, row: "月经规律" if stay.person.sex == "2" else ""),
        (r"patient_destination", _fixed("1")),
        # money: a front page on which little was charged
        (r"fee\.total", _fixed("1500.00")),
        (r"fee\.surgical", _fixed("1000.00")),
        (r"fee\.operation", _fixed("600.00")),
        (r"fee\.anaesthesia", _fixed("400.00")),
        (r"fee\.general_service", _fixed("300.00")),
        (r"fee\.nursing", _fixed("200.00")),
        (r"fee\.self_paid", _fixed("100.00")),
        (r"fee\..*", _fixed("0.00")),
        # a scan
        (r"content\.data", lambda stay, one, row: _SCAN.data),
        (r"content\.media_type", lambda stay, one, row: _SCAN.media_type),
        (r"content\.sha256", lambda stay, one, row: _SCAN.sha256),
        # what was measured
        (r".*temperature", _fixed("36.8")),
        (r".*(pulse|heart_rate)", _fixed("78")),
        (r"fetal_heart_rate", _fixed("142")),
        (r".*respiration", _fixed("18")),
        (r".*systolic", _fixed("124")),
        (r".*diastolic", _fixed("78")),
        (r"height", _fixed("165")),
        (r"(target_)?weight(_before_[a-z]+)?", _fixed("62.5")),
        (r"(target_)?bmi", _fixed("22.96")),
        (r".*oxygen_saturation", _fixed("98")),
        (r"newborn_(birth|admission)_weight", lambda stay, one, row: "3300" if stay.person.sex == "2" and stay.age < 40 else ""),
        (r"newborn_length", _fixed("50")),
        (r"apgar", lambda stay, one, row: "9" if stay.names & {"delivered_at", "operation_minutes"} else ""),
        (r"(encounter\.days|days_in_hospital)", _fixed("6")),
        # the illness: appendicitis in somebody with high blood pressure
        (r"external_cause\..*|pathology_diagnosis\..*|allergy\.(text|substance)|transfusion_reaction_type|isolation_type", _fixed("")),
        (r".*cause_of_death\.code|death_diagnoses\.code", _fixed("I21.900", "I10.x00")),
        (r".*cause_of_death\.name|death_diagnoses\.name", _fixed("急性心肌梗死", "高血压病")),
        (r"other_diagnoses\.code", _fixed("I10.x00", "E11.900")),
        (r"other_diagnoses\.name", _fixed("高血压病", "2型糖尿病")),
        (r".*syndromes?(\.|_)code", _fixed("ZBFB10")),
        (r".*syndromes?(\.|_)name", _fixed("气滞血瘀证")),
        (r"(tcm|.*_tcm)_?[a-z]*\.(disease_)?code|.*disease_code", _fixed("BNP010")),
        (r"(tcm|.*_tcm)_?[a-z]*\.(disease_)?name|.*disease_name", _fixed("肠痈病")),
        (r".*diagnos[a-z]*\.code", _fixed("K35.800", "I10.x00")),
        (r".*diagnos[a-z]*\.name", _fixed("急性阑尾炎", "高血压病")),
        (r".*diagnoses\.date", _at(1)),
        (r".*operations?\.code", _fixed("47.0100", "54.2100")),
        (r".*operations?\.name", _fixed("腹腔镜下阑尾切除术", "腹腔镜检查")),
        # the operation, on the third day
        (r"entered_theatre_at", _at(47.5)),
        (r"anaesthesia_(began|started)_at", _at(47.8)),
        (r"operations\.(started_at|date)", _at(48)),
        (r"operations\.ended_at", _at(50)),
        (r"left_theatre_at", _at(50.5)),
        (r"encounter\.discharged_at|discharged_at|died_at", lambda stay, one, row: _moment(stay, one, stay.length)),
        (r"days_in_hospital", _fixed("6")),
        (r"encounter\.(bed|room)_name", _fixed("12")),
        (r".*department_name|.*_department", _fixed("普通外科")),
        (r"encounter\.ward_name", _fixed("外科病区")),
        # who wrote and signed it
        (r"institution\.id", _fixed(INSTITUTION)),
        (r"institution\.name|.*institution_name|.*_institution", _fixed(INSTITUTION_NAME)),
        (r"author\.time", _written()),
        (r"[a-z_0-9]+\.time", _signed),
        (r"[a-z_0-9]+\.id|.*_id", _staff),
        (r"[a-z_]*(physician|doctor|nurse|surgeon|anaesthetist|assistant|recorder|coder|author|technician|pharmacist|head|chair)[a-z_0-9]*\.name", _staff_name),
        (r"[a-z_]+\.post", _fixed("2")),
    )
)  # fmt: skip
