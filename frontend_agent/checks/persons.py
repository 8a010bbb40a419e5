"""Who the patient is: what the statements about one person say of each other."""

import re
from collections.abc import Iterator

from frontend_agent.checks.dates import born, moment_of
from frontend_agent.checks.identity import NUMBER, birth_in, check_character, is_resident_number
from frontend_agent.checks.registry import (
    AGREES,
    FORM,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    ONCE,
    PRESENT,
    SINGLE_SOURCE,
    VERIFIED,
    WARN,
    Problem,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.selectors import element, ending, named
from frontend_agent.checks.values import full_years, number
from frontend_agent.model import Record

CHINA = "156"  # GB/T 2659
_ADDRESSES = (
    "patient.address", "patient.birthplace", "patient.native_place", "patient.household", "patient.employer.address",
    "contact.address",
)  # fmt: skip

# -- identity documents ---------------------------------------------------------------------------------------------------

_PASSPORT = re.compile(r"[A-Z0-9]{5,17}", re.ASCII)
_PERMIT = {
    "06": re.compile(r"[HM]\d{8}(\d{2})?", re.ASCII),  # 港澳居民来往内地通行证
    "07": re.compile(r"\d{8}(\d{2})?", re.ASCII),  # 台湾居民来往大陆通行证
}


def _is_a_residents(number_: str) -> bool:
    return is_resident_number(number_) and check_character(number_) == number_[17]


@relation("ID-TYPE", WARN, about=AGREES, clause="R-ID-1", mark=FROM_MEMORY, of=("fact.id_type", NUMBER))
def other_papers_have_other_numbers(kind: str, number_: str) -> Said | None:
    """A passport, an officer's card or a driving licence with a resident's number: the type was left as it was."""
    return (kind,) if kind in ("03", "04", "05") and _is_a_residents(number_) else None


@relation("ID-PERMIT", NOTE, about=FORM, clause="R-ID-1", mark=FROM_MEMORY, of=("fact.id_type", NUMBER))
def permits_have_their_shape(kind: str, number_: str) -> Said | None:
    """Permits of Hong Kong, Macao and Taiwan: H or M and digits, or digits; the residence permit is like a resident's."""
    shape = _PERMIT.get(kind)
    return (kind,) if shape and not shape.fullmatch(number_) and not is_resident_number(number_) else None


@relation("ID-NATIONALITY", WARN, about=AGREES, clause="R-ID-1", mark=FROM_MEMORY, of=("patient.nationality", NUMBER))
def foreigners_have_no_residents_number(nationality: str, number_: str) -> Said | None:
    """A foreigner's permanent residence number begins with 9; any other resident's number is a citizen's."""
    return (nationality,) if nationality != CHINA and number_[:1] != "9" and _is_a_residents(number_) else None


@relation("ID-UNKNOWN", NOTE, about=AGREES, clause="R-ID-1", mark=FROM_MEMORY, of=("fact.identity_unknown", NUMBER))
def who_is_unknown_has_no_number(unknown: str, number_: str) -> Said | None:
    return () if unknown == "true" and number_ else None


@relation(
    "FOREIGNER-ID", WARN, about=AGREES, clause="R-ID-1", mark=FROM_MEMORY, of=(NUMBER, "fact.foreigner", "fact.id_type")
)
def foreigners_have_other_papers(_: str, foreigner: str, kind: str) -> Said | None:
    return () if foreigner == "true" and kind == "01" else None


@relation(
    "FOREIGNER-NATIONALITY", WARN, about=AGREES, clause="GB/T 2659", mark=FROM_MEMORY,
    of=("fact.foreigner", "patient.nationality"),
)  # fmt: skip
def foreigners_come_from_elsewhere(foreigner: str, nationality: str) -> Said | None:
    return (foreigner,) if (foreigner == "true") == (nationality == CHINA) else None


@rule(
    "NUMBER-IS-ID", WARN, about=LIKELY, clause="R-ID-8", mark=FROM_MEMORY, needs=(NUMBER,),
    each=named("patient.outpatient_number", "patient.inpatient_number", "patient.record_number", "patient.health_card"),
)  # fmt: skip
def a_hospitals_number_is_not_the_residents(value: str, record: Record) -> Said | None:
    """The hospital's own number is the identity number: a column was taken for another, and travels as a file number."""
    return () if value == record[NUMBER] else None


@relation(
    "NUMBER-COPIED", NOTE, about=ONCE, clause="R-ID-8", mark=FROM_MEMORY,
    of=("patient.outpatient_number", "patient.inpatient_number"),
)  # fmt: skip
def outpatient_and_inpatient_numbers_differ(outpatient: str, inpatient: str) -> Said | None:
    return () if outpatient == inpatient else None


@relation(
    "PATIENT-CLASS", WARN, about=AGREES, clause="CV09.00.404", mark=VERIFIED, of=("fact.patient_class", "patient.type")
)
def type_and_class_agree(kind: str, code: str) -> Said | None:
    """门诊 1, 急诊 2, 住院 3."""
    said = {"1": "outpatient", "2": "emergency", "3": "inpatient"}.get(code, kind)
    return (code, kind) if said != kind else None


# -- age ------------------------------------------------------------------------------------------------------------------


@rule("AGE-ID-NUMBER", WARN, about=AGREES, clause="R-CN-3, R-ID-2", mark=SINGLE_SOURCE, needs=(NUMBER, "patient.age"))
def age_agrees_with_the_number(record: Record) -> Problem | None:
    """Where no birth date is given, the number's own says how old the patient is."""
    if born(record)[1] or record.get("fact.id_type", "01") != "01":
        return None
    birth, moment, age = birth_in(record[NUMBER]), moment_of(record), record["patient.age"]
    if not birth or not moment[:8].isdecimal() or not age.isdecimal() or len(age) > 3:
        return None
    years = full_years(birth, moment)
    return ("patient.age", age, str(years)) if years >= 0 and not years <= int(age) <= years + 1 else None


@relation(
    "AGE-MONTHS", WARN, about=AGREES, clause="R-CN-3", mark=SINGLE_SOURCE, of=("patient.age", "patient.age_months")
)
def months_are_for_the_first_year(age: str, months: str) -> Said | None:
    return (age,) if number(age) >= 1 and number(months) != 0 else None


@relation(
    "AGE-MONTHS-MISSING", WARN, about=PRESENT, clause="R-CN-3", mark=SINGLE_SOURCE, of=("patient.age",),
    also=("patient.age_months",),
)  # fmt: skip
def infants_have_their_age_in_months(age: str, months: str) -> Said | None:
    return () if number(age) == 0 and not months else None


@rule("AGE-MONTHS-BIRTH", WARN, about=AGREES, clause="R-CN-3", mark=SINGLE_SOURCE, needs=("patient.age_months",))
def months_agree_with_the_birth_date(record: Record) -> Problem | None:
    """Whole months, or months and days as `1 12/30`. One month more or less is let pass."""
    stated = record["patient.age_months"].partition(" ")[0]
    birth, moment = born(record)[1], moment_of(record)
    if not birth or not stated.isdecimal() or not moment[:8].isdecimal():
        return None
    months = (int(moment[:4]) - int(birth[:4])) * 12 + int(moment[4:6]) - int(birth[4:6]) - (moment[6:8] < birth[6:8])
    return ("patient.age_months", stated, str(months)) if months >= 0 and abs(months - int(stated)) > 1 else None


@relation("AGE-NEWBORN", WARN, about=AGREES, clause="R-CN-3", mark=FROM_MEMORY, of=("fact.newborn", "patient.age"))
def newborns_are_not_a_year_old(newborn: str, age: str) -> Said | None:
    return (age,) if newborn == "true" and number(age) >= 1 else None


# -- marital status, occupation, education --------------------------------------------------------------------------------

_SPOUSE = ("1", "10", "11", "12")  # GB/T 4761, one digit and two
_SELF = ("0", "00", "01", "02")


@rule("MARITAL-LOCAL", WARN, about=FORM, clause="GB/T 2261.2", mark=VERIFIED, each=named("patient.marital_status"))
def marital_status_is_not_a_local_code(code: str) -> Said | None:
    """1 未婚 2 已婚 3 丧偶 4 离婚 9 其他 is the table of front-page systems; the national one has two digits."""
    return (f"{code}0",) if code in ("1", "2", "3", "4", "9") else None


@relation(
    "MARITAL-CONTACT", WARN, about=AGREES, clause="R-CN-7", mark=SINGLE_SOURCE,
    of=("patient.marital_status", "contact.relation"),
)  # fmt: skip
def the_unmarried_have_no_spouse(status: str, kin: str) -> Said | None:
    return (kin,) if status == "10" and kin in _SPOUSE else None


@relation(
    "MARITAL-AGE", NOTE, about=LIKELY, clause="R-CN-7", mark=FROM_MEMORY, of=("patient.marital_status", "patient.age")
)
def children_are_not_married(status: str, age: str) -> Said | None:
    return (status, age) if status[:1] in ("2", "3", "4") and number(age) < 16 else None


@relation(
    "OCCUPATION-RETIRED", NOTE, about=LIKELY, clause="GB/T 2261.4", mark=FROM_MEMORY,
    of=("patient.occupation", "patient.age"),
)  # fmt: skip
def the_retired_are_not_young(occupation: str, age: str) -> Said | None:
    return (age,) if occupation == "80" and number(age) < 40 else None


@relation(
    "OCCUPATION-CHILD", NOTE, about=LIKELY, clause="GB/T 2261.4", mark=FROM_MEMORY,
    of=("patient.occupation", "patient.age"),
)  # fmt: skip
def children_have_no_trade(occupation: str, age: str) -> Said | None:
    at_work = ("11", "13", "17", "21", "24", "27", "37", "51", "54")
    return (occupation, age) if occupation in at_work and number(age) < 14 else None


@relation(
    "EDUCATION-AGE", NOTE, about=LIKELY, clause="GB/T 4658", mark=FROM_MEMORY, of=("patient.education", "patient.age")
)
def children_have_no_degree(education: str, age: str) -> Said | None:
    """10 to 39: graduate school, university, college."""
    return (education, age) if education[:1] in ("1", "2", "3") and len(education) == 2 and number(age) < 15 else None


# -- ethnic group and nationality -----------------------------------------------------------------------------------------


@rule("ETHNIC-LOCAL", WARN, about=FORM, clause="GB 3304", mark=VERIFIED, each=named("patient.ethnic_group"))
def ethnic_group_is_not_a_local_code(code: str) -> Said | None:
    """97 其他, 98 外国血统, 99 未识别: met in hospitals, not in GB 3304."""
    return () if code in ("97", "98", "99") else None


@relation(
    "ETHNIC-NATIONALITY", NOTE, about=AGREES, clause="GB 3304, GB/T 2659", mark=FROM_MEMORY,
    of=("patient.nationality", "patient.ethnic_group"),
)  # fmt: skip
def the_56_groups_are_chinese(nationality: str, group: str) -> Said | None:
    return (nationality,) if nationality != CHINA and group.isdecimal() and 1 <= int(group) <= 56 else None


# -- contacts and addresses -----------------------------------------------------------------------------------------------


@relation(
    "CONTACT-SELF", WARN, about=AGREES, clause="GB/T 4761", mark=FROM_MEMORY,
    of=("patient.name", "contact.name", "contact.relation"),
)  # fmt: skip
def the_contact_is_somebody_else(patient: str, contact: str, kin: str) -> Said | None:
    """The patient's own name with another relation, or another name with the relation 本人."""
    return (kin,) if (patient == contact) != (kin in _SELF) else None


@relation(
    "CONTACT-CHILD", NOTE, about=LIKELY, clause="GB/T 4761", mark=FROM_MEMORY, of=("contact.relation", "patient.age")
)
def children_have_no_children(kin: str, age: str) -> Said | None:
    return (kin, age) if kin[:1] in ("2", "3") and number(age) < 14 else None


@relation(
    "ADDRESS-COUNTY", NOTE, about=LIKELY, clause="GB/T 2260", mark=FROM_MEMORY, rows=_ADDRESSES,
    of=("this.state", "this.county"),
)  # fmt: skip
def a_county_is_no_province(state: str, county: str) -> Said | None:
    return () if state == county else None


@rule("POSTCODE", NOTE, about=FORM, clause="R-VA-8", mark=SINGLE_SOURCE, each=ending(".postal_code"))
def postal_codes_have_six_digits(code: str) -> Said | None:
    return None if len(code) == 6 and code.isascii() and code.isdigit() else (str(len(code)),)


# -- departments and people who sign --------------------------------------------------------------------------------------

_DEPARTMENTS = named("department.name", "encounter.department_name", "encounter.ward_name")


@rule(
    "DEPARTMENT-SEX", NOTE, about=LIKELY, clause="R-CN-4", mark=FROM_MEMORY, needs=("patient.sex", "patient.age"),
    each=_DEPARTMENTS,
)  # fmt: skip
def departments_are_for_a_sex(name: str, record: Record) -> Said | None:
    """A man in gynaecology, a woman in andrology. Newborn boys lie with their mothers."""
    if number(record["patient.age"]) < 1:
        return None
    wrong = {"1": ("妇科", "产科"), "2": ("男科",)}.get(record["patient.sex"], ())
    return () if any(word in name for word in wrong) and "妇幼" not in name else None


@rule(
    "DEPARTMENT-AGE", NOTE, about=LIKELY, clause="R-CN-3", mark=FROM_MEMORY, needs=("patient.age",), each=_DEPARTMENTS
)
def paediatrics_is_for_children(name: str, record: Record) -> Said | None:
    limit = 1 if "新生儿" in name else 18 if "儿科" in name or "小儿" in name else None
    age = record["patient.age"]
    return (age, str(limit)) if limit and number(age) > limit else None


_OTHERS = named("patient.name", "contact.name", "informant.name", "proxy.name", "patient_signature.name", "name")


@rule(
    "SIGNER-IS-PATIENT", NOTE, about=LIKELY, clause="R-CO-1", mark=FROM_MEMORY, needs=("patient.name",),
    each=(element("DE02.01.039.00") & ending(".name")) - _OTHERS,
)  # fmt: skip
def nobody_signs_their_own_record(name: str, record: Record) -> Said | None:
    """The name of the patient where a doctor's or a nurse's belongs: a column taken for another."""
    return () if name == record["patient.name"] else None


@rule(
    "INFORMANT-SELF", WARN, about=AGREES, clause="GB/T 4761", mark=FROM_MEMORY,
    needs=("patient.name", "informant.name", "informant.relation"),
)  # fmt: skip
def who_tells_the_history_is_named_rightly(record: Record) -> Iterator[Problem]:
    """陈述者 is the patient by name and not by relation, or the other way round."""
    own = record["informant.name"] == record["patient.name"]
    if own != (record["informant.relation"] in _SELF):
        yield "informant.relation", record["informant.relation"]


@relation(
    "INFORMANT-INFANT", NOTE, about=LIKELY, clause="GB/T 4761", mark=FROM_MEMORY,
    of=("patient.age", "informant.relation"),
)  # fmt: skip
def infants_do_not_tell_their_history(age: str, kin: str) -> Said | None:
    return (age,) if number(age) < 3 and kin in _SELF else None
