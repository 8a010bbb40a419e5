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
    SINGLE_SOURCE,
    VERIFIED,
    WARN,
    Problem,
    rule,
)
from frontend_agent.model import Record

# R-VA-3: base, Chinese clinical extension, old national extension, morphology; a dagger pair is two of them.
_ICD = re.compile(r"[A-Z]\d{2}(\.([0-9x]|[0-9x]\d{2}|[0-9x]{2}\d?)([0-9x]\d{3})?)?", re.ASCII)
_MORPHOLOGY = re.compile(r"M\d{4,5}/\d", re.ASCII)
# R-VA-5: GB/T 15657-1995 and the dotted codes of 2021.
_TCM_DISEASE = re.compile(r"B[A-Z]{2}\d{3}|A\d{2}(\.\d{2})*\.?", re.ASCII)
_TCM_SYNDROME = re.compile(r"Z[A-Z]{2,3}\d{2,3}|B\d{2}(\.\d{2})*\.?", re.ASCII)

# R-CN-4 [M]: chapters and blocks that belong to one sex.
_FEMALE = (("C51", "C58"), ("D06", "D06"), ("D25", "D28"), ("N70", "N98"), ("O00", "O99"), ("Z32", "Z39"))
_MALE = (("C60", "C63"), ("D29", "D29"), ("N40", "N51"))


def codes_of(record: Record) -> Iterator[tuple[str, str]]:
    """Every western diagnosis code of a record: where it stands, and the code."""
    for at, row in enumerate(record.get("diagnoses", ())):
        code = row.get("code")
        if code is not None:
            yield f"diagnoses[{at}].code", code
    single = record.get("diagnosis.code")
    if single is not None:
        yield "diagnosis.code", single


@lru_cache(maxsize=4096)
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


@rule("DX-SHAPE", WARN, about=FORM, clause="R-VA-3", mark=VERIFIED)
def codes_have_the_shape_of_icd(record: Record) -> Iterator[Problem]:
    """Shape is a warning; membership in the hospital's catalogue decides."""
    for path, code in codes_of(record):
        if not has_icd_shape(code):
            yield (path,)


@rule("DX-TCM-SHAPE", WARN, "C0002", about=FORM, clause="R-VA-5", mark=VERIFIED)
def tcm_codes_have_the_shape(record: Record) -> Iterator[Problem]:
    """GB/T 15657-1995, or the dotted codes of its 2021 edition."""
    for group, shape in (("tcm_diseases", _TCM_DISEASE), ("tcm_syndromes", _TCM_SYNDROME)):
        for at, row in enumerate(record.get(group, ())):
            code = row.get("code")
            if code is not None and not shape.fullmatch(code):
                yield (f"{group}[{at}].code",)


@rule("DX-DUPLICATE", WARN, about=ONCE, clause="R-FP-15", mark=SINGLE_SOURCE, needs=("diagnoses",))
def no_diagnosis_twice(record: Record) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for at, row in enumerate(record["diagnoses"]):
        code = row.get("code")
        if code is not None and seen.setdefault(code, at) != at:
            yield f"diagnoses[{at}].code", str(seen[code] + 1)


@rule("DX-EXTERNAL-FIRST", NOTE, about=LIKELY, clause="R-VA-3", mark=FROM_MEMORY)
def main_diagnosis_is_no_external_cause(record: Record) -> Problem | None:
    """V, W, X and Y say how an injury came about, not what it is."""
    for path, code in codes_of(record):
        if code[:1] in ("V", "W", "X", "Y"):
            return (path,)
        return None
    return None


@rule("DX-SEX", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, needs=("patient.sex",))
def diagnoses_fit_the_sex(record: Record) -> Iterator[Problem]:
    sex = record["patient.sex"]
    if sex not in ("1", "2"):
        return
    for path, code in codes_of(record):
        if belongs_to_sex(code) not in ("", sex):
            yield path, sex
