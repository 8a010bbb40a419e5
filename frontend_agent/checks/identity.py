"""The resident identity number and the identifiers of institutions (rules.md 2)."""

from functools import lru_cache
from operator import mul

from frontend_agent.checks.derived import is_known_day
from frontend_agent.checks.registry import AGREES, FORM, FROM_MEMORY, HOLD, LIKELY, NOTE, VERIFIED, WARN, Problem, rule
from frontend_agent.model import Blame, Record

NUMBER = "patient.id_number"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_SURPLUS = ord("0") * sum(_WEIGHTS)
_CHECK_CHARACTERS = "10X98765432"


def _is_resident_number(record: Record) -> bool:
    """Only identity type 01 is held to GB 11643; without a type the number is taken for what its field says it is."""
    return bool(record.get("fact.id_type", "01") == "01")


@lru_cache(maxsize=4096)  # several rules ask of one number
def _has_shape(number: str) -> bool:
    return len(number) == 18 and number.isascii() and number[:17].isdigit() and number[17] in "0123456789X"


def is_resident_number(number: str) -> bool:
    """Whether a text has the shape of a resident's number of 18 characters."""
    return _has_shape(number)


def _is_old(number: str) -> bool:
    return len(number) == 15 and number.isascii() and number.isdigit()


def check_character(number: str) -> str:
    """The check character of the first 17 digits (GB 11643-1999)."""
    # Over the ASCII codes, and the surplus of 48 each taken off once: this runs for every document.
    return _CHECK_CHARACTERS[(sum(map(mul, number[:17].encode(), _WEIGHTS)) - _SURPLUS) % 11]


def birth_in(number: str) -> str:
    """The birth date a number carries, as yyyyMMdd; empty if it has no known shape."""
    if _has_shape(number):
        return number[6:14]
    return f"19{number[6:12]}" if _is_old(number) else ""


def _sex_digit(number: str) -> str:
    if _has_shape(number):
        return number[16]
    return number[14] if _is_old(number) else ""


@rule("ID-SHAPE", HOLD, about=FORM, clause="R-ID-1", mark=VERIFIED, needs=(NUMBER,))
def number_has_the_shape(record: Record) -> Problem | None:
    """18 characters, 17 digits and a check character; X in upper case."""
    number: str = record[NUMBER]
    if not _has_shape(number) and not _is_old(number) and _is_resident_number(record):
        return NUMBER, str(len(number))
    return None


@rule("ID-CHECK-DIGIT", HOLD, about=FORM, clause="R-ID-1", mark=VERIFIED, needs=(NUMBER,))
def check_digit_is_right(record: Record) -> Problem | None:
    number: str = record[NUMBER]
    if _has_shape(number) and _is_resident_number(record) and check_character(number) != number[17]:
        return (NUMBER,)
    return None


@rule("ID-FIFTEEN", WARN, about=FORM, clause="R-ID-1", mark=VERIFIED, needs=(NUMBER,))
def number_is_of_the_first_generation(record: Record) -> Problem | None:
    """15 digits, from before 1999: flagged, not refused."""
    if _is_old(record[NUMBER]) and _is_resident_number(record):
        return (NUMBER,)
    return None


@rule("ID-REAL-DATE", HOLD, about=FORM, clause="R-ID-4", mark=VERIFIED, needs=(NUMBER,))
def number_carries_a_real_day(record: Record, today: str) -> Problem | None:
    birth = birth_in(record[NUMBER])
    if birth and _is_resident_number(record) and (not is_known_day(birth) or birth > today):
        return NUMBER, birth
    return None


@rule("ID-BIRTH-DATE", HOLD, about=AGREES, clause="R-ID-2", mark=VERIFIED, needs=(NUMBER,))
def birth_date_agrees(record: Record) -> Problem | None:
    birth = birth_in(record[NUMBER])
    field = "patient.birth_date" if "patient.birth_date" in record else "fact.birth_date"
    if birth and record.get(field, birth) != birth and _is_resident_number(record):
        return field, record[field], birth
    return None


@rule("ID-SEX", HOLD, about=AGREES, clause="R-ID-3", mark=VERIFIED, needs=(NUMBER, "patient.sex"))
def sex_agrees(record: Record) -> Problem | None:
    """The 17th digit is odd for male, even for female; only codes 1 and 2 can disagree."""
    digit = _sex_digit(record[NUMBER])
    if digit and record["patient.sex"] in ("1", "2") and _is_resident_number(record):
        said = "1" if int(digit) % 2 else "2"
        if said != record["patient.sex"]:
            return "patient.sex", record["patient.sex"], said
    return None


@rule("ID-JUNK", WARN, about=LIKELY, clause="R-ID-1", mark=FROM_MEMORY, needs=(NUMBER,))
def number_is_not_junk(record: Record) -> Problem | None:
    """One digit over and over, or counted up: typed to get past a mandatory field."""
    number: str = record[NUMBER]
    if len(number) >= 15 and (len(set(number[:15])) == 1 or number.startswith(("123456789012345", "012345678901234"))):
        return (NUMBER,)
    return None


@rule("ID-GUARDIAN", WARN, about=LIKELY, clause="R-ID-1", mark=FROM_MEMORY, needs=(NUMBER, "fact.newborn"))
def newborn_has_a_number_of_its_own(record: Record) -> Problem | None:
    """A newborn's record that carries a grown-up's number: the guardian's."""
    born = record.get("patient.birth_date") or record.get("fact.birth_date") or ""
    birth = birth_in(record[NUMBER])
    if record["fact.newborn"] == "true" and birth and born and birth[:4] < born[:4]:
        return (NUMBER,)
    return None


# -- institutions ---------------------------------------------------------------------------------------------------------

_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def is_credit_code(code: str) -> bool:
    """Unified social credit code, GB 32100-2015."""
    if len(code) != 18 or any(character not in _CREDIT_CHARACTERS for character in code):
        return False
    total = sum(_CREDIT_CHARACTERS.index(c) * w for c, w in zip(code, _CREDIT_WEIGHTS, strict=False))
    return _CREDIT_CHARACTERS[-total % 31] == code[17]


def is_organisation_code(code: str) -> bool:
    """Organisation code without hyphen, GB 11714."""
    if len(code) != 9 or not code.isascii() or not code.isalnum() or code != code.upper():
        return False
    total = sum(int(character, 36) * weight for character, weight in zip(code, _ORGANISATION_WEIGHTS, strict=False))
    return "0123456789X0"[11 - total % 11] == code[8]


def is_institution_code(code: str) -> bool:
    """Health institution code, WS 218-2002: organisation code, division, economic class, category, management class."""
    return (
        len(code) == 22
        and code.isascii()
        and is_organisation_code(code[:9])
        and code[9:17].isdigit()
        and code[17].isalpha()
        and code[18:].isdigit()
    )


@lru_cache(maxsize=256)
def institution_code_form(code: str) -> str:
    """Which of the accepted forms a code has; empty for none."""
    for form, has_it in (
        ("WS 218", is_institution_code),
        ("GB 32100", is_credit_code),
        ("GB 11714", is_organisation_code),
    ):
        if has_it(code):
            return form
    return ""


@rule(
    "ORG-CODE", NOTE, about=FORM, clause="R-ID-5, R-ID-6", mark=VERIFIED, needs=("institution.id",), blame=Blame.MAPPING
)
def institution_code_is_a_national_one(record: Record) -> Problem | None:
    """22 characters of WS 218, 18 of the credit code or 9 of the organisation code, each with its check character.

    The code comes from agent.toml; platforms differ in which form they take, so this is a note unless the profile says more.
    """
    if not institution_code_form(record["institution.id"]):
        return ("institution.id",)
    return None
