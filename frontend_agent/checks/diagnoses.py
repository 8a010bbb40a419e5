"""Diagnosis codes: their shape (the catalogue is the hospital's own), repetition, and what they say about the patient."""

import re
from collections.abc import Iterator
from functools import lru_cache

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
from frontend_agent.checks.selectors import ICD9, ICD10, TCM, coded_by, ending
from frontend_agent.checks.values import number
from frontend_agent.model import Group, Record

# R-VA-3: base, Chinese clinical extension, old national extension, morphology; a dagger pair is two of them.
_ICD = re.compile(r"[A-Z]\d{2}(\.([0-9x]|[0-9x]\d{2}|[0-9x]{2}\d?)([0-9x]\d{3})?)?", re.ASCII)
_MORPHOLOGY = re.compile(r"M\d{4,5}/\d", re.ASCII)
# R-VA-4: the base, and the extensions in use.
_ICD9 = re.compile(r"\d{2}\.\d{1,4}(x\d{2,3}|\d{3})?", re.ASCII)
# R-VA-5: GB/T 15657-1995 and the dotted codes of 2021.
_TCM_DISEASE = re.compile(r"B[A-Z]{2}\d{3}|A\d{2}(\.\d{2})*\.?", re.ASCII)
_TCM_SYNDROME = re.compile(r"Z[A-Z]{2,3}\d{2,3}|B\d{2}(\.\d{2})*\.?", re.ASCII)

# R-CN-4 [M]: chapters and blocks that belong to one sex.
_FEMALE = (("C51", "C58"), ("D06", "D06"), ("D25", "D28"), ("N70", "N98"), ("O00", "O99"), ("Z32", "Z39"))
_MALE = (("C60", "C63"), ("D29", "D29"), ("N40", "N51"))

_PREFIXES = (
    "", "admission_", "discharge_", "preliminary_", "revised_", "confirmed_", "supplementary_", "current_", "death_",
)  # fmt: skip
_GROUPS = (*(f"{prefix}diagnoses" for prefix in _PREFIXES), "preoperative_diagnoses", "postoperative_diagnoses",
           "other_diagnoses")  # fmt: skip
_SINGLE = ("main_diagnosis", "diagnosis", "outpatient_diagnosis", "pathology_diagnosis")

# A diagnosis is ICD-10 unless it is coded as operations are (one misprint of the annex gives them the same table).
WESTERN = coded_by(ICD10) - coded_by(ICD9)
_DISEASES = coded_by(TCM) & ending("disease.code", "diseases.code", ".disease_code")
_SYNDROMES = coded_by(TCM) & ending("syndrome.code", "syndromes.code", ".syndrome_code")


def codes_of(record: Record) -> Iterator[tuple[str, str]]:
    """Every western diagnosis code of the record's own list: where it stands, and the code."""
    for at, row in enumerate(record.get("diagnoses", ())):
        code = row.get("code")
        if code is not None:
            yield f"diagnoses[{at}].code", code
    for single in ("diagnosis.code", "main_diagnosis.code"):
        code = record.get(single)
        if code is not None:
            yield single, code


def has_icd_shape(code: str) -> bool:
    """Whether a code has one of the shapes met in the field; which codes exist is the hospital's catalogue to say."""
    dagger, plus, asterisk = code.partition("+")
    if plus and asterisk.endswith("*"):
        return bool(_ICD.fullmatch(dagger) and _ICD.fullmatch(asterisk[:-1]))
    return bool(_ICD.fullmatch(code.removesuffix("+").removesuffix("*")) or _MORPHOLOGY.fullmatch(code))


@lru_cache(maxsize=4096)
def belongs_to_sex(code: str) -> str:
    """The sex a diagnosis belongs to: 1, 2 or nothing."""
    block = code[:3]
    if any(low <= block <= high for low, high in _FEMALE):
        return "2"
    return "1" if any(low <= block <= high for low, high in _MALE) else ""


# -- shapes ---------------------------------------------------------------------------------------------------------------


@rule("DX-SHAPE", WARN, about=FORM, clause="R-VA-3", mark=VERIFIED, each=WESTERN)
def codes_have_the_shape_of_icd(code: str) -> Said | None:
    """Shape is a warning; membership in the hospital's catalogue decides."""
    return None if has_icd_shape(code) else ()


@rule("OP-SHAPE", WARN, about=FORM, clause="R-VA-4", mark=VERIFIED, each=coded_by(ICD9))
def codes_have_the_shape_of_icd_9(code: str) -> Said | None:
    return None if _ICD9.fullmatch(code) else ()


def _has_no_tcm_shape(code: str) -> bool:
    return not _TCM_DISEASE.fullmatch(code) and not _TCM_SYNDROME.fullmatch(code)


@rule("DX-TCM-SHAPE", WARN, about=FORM, clause="R-VA-5", mark=VERIFIED, each=coded_by(TCM))
def tcm_codes_have_the_shape(code: str) -> Said | None:
    """GB/T 15657-1995, or the dotted codes of its 2021 edition."""
    return () if _has_no_tcm_shape(code) else None


@rule("DX-TCM-DISEASE", WARN, about=FORM, clause="R-VA-5", mark=VERIFIED, each=_DISEASES)
def no_syndrome_stands_for_a_disease(code: str) -> Said | None:
    return None if _TCM_DISEASE.fullmatch(code) or _has_no_tcm_shape(code) else ()


@rule("DX-TCM-SYNDROME", WARN, about=FORM, clause="R-VA-5", mark=VERIFIED, each=_SYNDROMES)
def no_disease_stands_for_a_syndrome(code: str) -> Said | None:
    return None if _TCM_SYNDROME.fullmatch(code) or _has_no_tcm_shape(code) else ()


# -- lists ----------------------------------------------------------------------------------------------------------------


@rule("DX-DUPLICATE", WARN, about=ONCE, clause="R-FP-15", mark=SINGLE_SOURCE, lists=_GROUPS)
def no_diagnosis_twice(rows: Group) -> Iterator[tuple[int, str, str]]:
    seen: dict[str, int] = {}
    for at, row in enumerate(rows):
        code = row.get("code")
        if code is not None and seen.setdefault(code, at) != at:
            yield at, "code", str(seen[code] + 1)


@relation(
    "DX-MAIN-REPEATED", WARN, about=ONCE, clause="R-FP-15", mark=SINGLE_SOURCE, rows=("other_diagnoses",),
    of=("main_diagnosis.code", "this.code"),
)  # fmt: skip
def the_main_diagnosis_is_not_another_as_well(main: str, other: str) -> Said | None:
    return () if main == other else None


@rule(
    "DX-EXTERNAL-FIRST", NOTE, about=LIKELY, clause="R-VA-3", mark=FROM_MEMORY,
    among=("diagnoses", "diagnosis.code", "main_diagnosis.code"),
)  # fmt: skip
def main_diagnosis_is_no_external_cause(record: Record) -> Problem | None:
    """V, W, X and Y say how an injury came about, not what it is."""
    for path, code in codes_of(record):
        return (path,) if code[:1] in ("V", "W", "X", "Y") else None
    return None


@relation(
    "DX-NAME", NOTE, about=PRESENT, clause="R-VA-1", mark=SINGLE_SOURCE, rows=(*_GROUPS, *_SINGLE),
    of=("this.code",), also=("this.name",),
)  # fmt: skip
def a_code_travels_with_its_name(_: str, name: str) -> Said | None:
    return None if name else ()


@relation(
    "DX-NAME-IS-CODE", NOTE, about=LIKELY, clause="R-VA-1", mark=SINGLE_SOURCE, rows=(*_GROUPS, *_SINGLE),
    of=("this.code", "this.name"),
)  # fmt: skip
def a_name_is_no_code(code: str, name: str) -> Said | None:
    return () if code == name else None


# -- the patient ----------------------------------------------------------------------------------------------------------


@rule("DX-SEX", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, needs=("patient.sex",), each=WESTERN)
def diagnoses_fit_the_sex(code: str, record: Record) -> Said | None:
    sex = record["patient.sex"]
    return (sex,) if sex in ("1", "2") and belongs_to_sex(code) not in ("", sex) else None


_OF_WOMEN = re.compile("子宫|卵巢|宫颈|输卵管|阴道炎|前置胎盘|先兆流产|产褥|异位妊娠|妊娠期|盆腔炎")
_OF_MEN = re.compile("前列腺|睾丸|附睾|阴茎|精索|包皮")
_OF_A_CHILD = re.compile("新生儿|胎儿|母体|母亲|患者之")


@lru_cache(maxsize=4096)
def _sex_of_a_name(name: str) -> str:
    if _OF_A_CHILD.search(name):
        return ""
    return "2" if _OF_WOMEN.search(name) else "1" if _OF_MEN.search(name) else ""


@rule(
    "DX-NAME-SEX", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, needs=("patient.sex",),
    each=ending("diagnoses.name", "diagnosis.name"),
)  # fmt: skip
def names_of_diagnoses_fit_the_sex(name: str, record: Record) -> Said | None:
    """Where the code says nothing, the name may: 前列腺 of a woman, 子宫 of a man."""
    sex = record["patient.sex"]
    return (sex,) if sex in ("1", "2") and _sex_of_a_name(name) not in ("", sex) else None


@rule(
    "DX-PERINATAL",
    WARN,
    about=AGREES,
    clause="ICD-10 chapter XVI",
    mark=FROM_MEMORY,
    needs=("patient.age",),
    each=WESTERN,
)
def perinatal_conditions_are_of_infants(code: str, record: Record) -> Said | None:
    """P00 to P96 begin around birth; after the first years they are somebody's mistake."""
    age = record["patient.age"]
    return (age,) if "P00" <= code[:3] <= "P96" and number(age) > 2 else None


@rule(
    "DX-PREGNANCY-AGE",
    WARN,
    about=LIKELY,
    clause="ICD-10 chapter XV",
    mark=FROM_MEMORY,
    needs=("patient.age",),
    each=WESTERN,
)
def pregnancies_have_an_age(code: str, record: Record) -> Said | None:
    age = record["patient.age"]
    return (age,) if code[:1] == "O" and not 10 <= number(age) <= 60 and number(age) >= 0 else None


_OF_AGE = (
    ("F00", "F03"),
    ("G30", "G30"),
    ("H25", "H25"),
    ("N40", "N40"),
    ("N95", "N95"),
    ("R54", "R54"),
    ("C61", "C61"),
)


@lru_cache(maxsize=4096)
def _is_of_age(code: str) -> bool:
    return any(low <= code[:3] <= high for low, high in _OF_AGE)


@rule("DX-SENILE", WARN, about=LIKELY, clause="ICD-10", mark=FROM_MEMORY, needs=("patient.age",), each=WESTERN)
def diseases_of_old_age_are_not_of_the_young(code: str, record: Record) -> Said | None:
    """Dementia, senile cataract, prostatic hyperplasia and cancer, menopause, senility under thirty."""
    age = record["patient.age"]
    return (age,) if number(age) < 30 and _is_of_age(code) else None


@rule(
    "OP-SEX",
    WARN,
    about=AGREES,
    clause="R-CN-4; ICD-9-CM-3 60–75",
    mark=FROM_MEMORY,
    needs=("patient.sex",),
    each=coded_by(ICD9),
)
def operations_fit_the_sex(code: str, record: Record) -> Said | None:
    """60 to 64 are on male organs, 65 to 75 on female ones and obstetric."""
    sex, chapter = record["patient.sex"], code[:2]
    of = "1" if "60" <= chapter <= "64" else "2" if "65" <= chapter <= "75" else sex
    return (sex,) if sex in ("1", "2") and of != sex else None


@rule(
    "OP-OBSTETRIC-AGE",
    WARN,
    about=LIKELY,
    clause="ICD-9-CM-3 72–75",
    mark=FROM_MEMORY,
    needs=("patient.age",),
    each=coded_by(ICD9),
)
def obstetric_operations_have_an_age(code: str, record: Record) -> Said | None:
    age = record["patient.age"]
    return (age,) if "72" <= code[:2] <= "75" and not 10 <= number(age) <= 60 and number(age) >= 0 else None


# -- traditional Chinese medicine -----------------------------------------------------------------------------------------

_TCM_PAIRS = (
    *((f"{prefix}tcm_diseases", f"{prefix}tcm_syndromes") for prefix in _PREFIXES),
    ("main_tcm_disease", "main_tcm_syndromes"),
    ("outpatient_tcm_disease", "outpatient_tcm_syndrome"),
)


# Once in some kinds, a group in others.
_TCM_NAMES = tuple((d, f"{d}.code", s, f"{s}.code") for d, s in _TCM_PAIRS)


@rule(
    "DX-TCM-PAIR", NOTE, about=PRESENT, clause="GB/T 15657", mark=SINGLE_SOURCE,
    among=tuple(name for disease, _ in _TCM_PAIRS for name in (disease, f"{disease}.code")),
)  # fmt: skip
def a_disease_comes_with_its_syndrome(record: Record) -> Iterator[Problem]:
    """中医诊断 is 病 and 证 together."""
    for disease, its_code, syndrome, code in _TCM_NAMES:
        if (disease in record or its_code in record) and syndrome not in record and code not in record:
            yield (syndrome,)


@relation(
    "DX-TCM-PAIR-ROW", NOTE, about=PRESENT, clause="GB/T 15657", mark=SINGLE_SOURCE,
    rows=tuple(f"{prefix}tcm_diagnoses" for prefix in _PREFIXES), of=("this.disease_code",), also=("this.syndrome_code",),
)  # fmt: skip
def a_disease_comes_with_its_syndrome_in_one_row(_: str, syndrome: str) -> Said | None:
    return None if syndrome else ()


@rule(
    "DX-TCM-FACT", NOTE, about=AGREES, clause="fact.tcm", mark=FROM_MEMORY, needs=("fact.tcm",),
    among=tuple(disease for disease, _ in _TCM_PAIRS),
)  # fmt: skip
def only_tcm_visits_have_tcm_diagnoses(record: Record) -> Problem | None:
    """The mapping says that the visit is not one of traditional Chinese medicine, and yet there is such a diagnosis."""
    if record["fact.tcm"] == "false":
        for disease, code, *_ in _TCM_NAMES:
            if disease in record or code in record:
                return (disease,)
    return None
