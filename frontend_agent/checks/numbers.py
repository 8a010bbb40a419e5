"""The numbers by which a hospital finds its own papers again (R-ID-8), and the telephone."""

import re
from collections.abc import Iterator

from frontend_agent.checks.registry import FORM, HOLD, NOTE, SINGLE_SOURCE, VERIFIED, Problem, rule
from frontend_agent.model import Record

_NUMBERS = (
    "patient.outpatient_number", "patient.inpatient_number", "report_number", "request_number", "specimen_number",
    "prescription_number",
)  # fmt: skip
_PHONE = re.compile(r"1\d{10}|(\(?0\d{2,3}\)?[- ]?)?[1-9]\d{6,7}(-\d{1,6})?|\+?86[- ]?1\d{10}", re.ASCII)


@rule("NUMBER-BLANKS", HOLD, about=FORM, clause="R-ID-8", mark=VERIFIED)
def numbers_have_no_blanks(record: Record) -> Iterator[Problem]:
    for field in _NUMBERS:
        number = record.get(field)
        if number is not None and not number.isalnum() and any(character.isspace() for character in number):
            yield (field,)


@rule("PHONE", NOTE, about=FORM, clause="R-VA-8", mark=SINGLE_SOURCE, needs=("patient.telephone",))
def telephone_has_the_shape(record: Record) -> Problem | None:
    """A mobile number of eleven digits, or an area code and a number."""
    if not _PHONE.fullmatch(record["patient.telephone"]):
        return ("patient.telephone",)
    return None
