"""An instance beside its order: whether both are of one person, and which of its values become the order's. Values in, values out.

Nothing is filled in (law 3): only what RIS and HIS say, or agent.toml, takes the place of what the instance says.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from frontend_agent.dicom.header import Header
from frontend_agent.imaging.model import Order

ACCESSION, INSTITUTION, NAME, PATIENT_ID, ISSUER, BIRTH_DATE, SEX = (
    0x0008_0050, 0x0008_0080, 0x0010_0010, 0x0010_0020, 0x0010_0021, 0x0010_0030, 0x0010_0040,
)  # fmt: skip
KEYWORDS: Mapping[int, str] = {
    ACCESSION: "AccessionNumber", INSTITUTION: "InstitutionName", NAME: "PatientName", PATIENT_ID: "PatientID",
    ISSUER: "IssuerOfPatientID", BIRTH_DATE: "PatientBirthDate", SEX: "PatientSex",
}  # fmt: skip
_LONGEST = {ACCESSION: 16, INSTITUTION: 64, NAME: 64, PATIENT_ID: 64, ISSUER: 64}
_SEXES = {"1": "M", "2": "F"}  # GB/T 2261.1; 0 and 9 say nothing that could be compared or written
_HANZI = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")


class Compared(NamedTuple):
    """What is said by both: keywords of values that agree, and that differ. Sex is never enough to agree by."""

    agree: tuple[str, ...]
    differ: tuple[str, ...]

    @property
    def is_other(self) -> bool:
        """Whether it cannot be shown that both are of one person."""
        certain = [one for one in self.agree if one != "PatientSex"]
        return bool(self.differ) and (not certain or len(self.differ) >= 2)


def compared(header: Header, order: Order) -> Compared:
    """The person of an instance beside that of its order; what one of them does not say, and names in two scripts, tell nothing."""
    agree: list[str] = []
    differ: list[str] = []
    for keyword, same in (
        ("PatientID", _same(header.patient_id, order.patient_id)),
        ("PatientName", same_name(header.patient_name, order.patient_name)),
        ("PatientBirthDate", _same(header.patient_birth_date, order.birth_date[:8])),
        ("PatientSex", _same(header.patient_sex if header.patient_sex in ("M", "F") else "", sex_of(order))),
    ):
        if same is not None:
            (agree if same else differ).append(keyword)
    return Compared(tuple(agree), tuple(differ))


def sex_of(order: Order) -> str:
    """M or F; "" for what is neither, or not said."""
    return _SEXES.get(order.sex, "")


def _same(one: str, other: str) -> bool | None:
    return None if not one.strip() or not other.strip() else one.strip().upper() == other.strip().upper()


def same_name(one: str, other: str) -> bool | None:
    """Whether two names are one; None where one is missing, or they share no script."""
    for part in (hanzi, _letters):
        first, second = part(one), part(other)
        if first and second:
            return first == second
    return None


def hanzi(name: str) -> str:
    """Its Chinese characters, those of the first group that has any: family and given name without what divides them."""
    return next((found for group in name.split("=") if (found := "".join(_HANZI.findall(group)))), "")


def _letters(name: str) -> str:
    return "".join(re.findall("[A-Z]", name.split("=")[0].upper()))


def values(header: Header, order: Order | None, institution: str, issuer: str, *, by_uid: bool) -> dict[int, str]:
    """What becomes of an instance's values, as far as they change. `by_uid`: the order names the study by its UID, so that it knows
    its accession number better."""
    wanted: dict[int, str] = {}
    if institution and header.institution_name != institution:
        wanted[INSTITUTION] = institution
    if order is not None:
        wanted |= _of_order(header, order, issuer, by_uid)
    return wanted


def _of_order(header: Header, order: Order, issuer: str, by_uid: bool) -> dict[int, str]:
    wanted: dict[int, str] = {}
    if order.patient_name and same_name(header.patient_name, order.patient_name) is not True:
        wanted[NAME] = _name(header.patient_name, order.patient_name)
    if order.patient_id and header.patient_id != order.patient_id:
        wanted[PATIENT_ID] = order.patient_id
    issuer = order.issuer_of_patient_id or issuer
    if order.patient_id and issuer and header.issuer_of_patient_id != issuer:
        wanted[ISSUER] = issuer
    if order.accession_number and (not header.accession_number or (by_uid and header.accession_number != order.accession_number)):  # fmt: skip
        wanted[ACCESSION] = order.accession_number
    # Where the instance says another sex or birth date, that is a finding: nobody decides it by writing over it.
    if not header.patient_birth_date and len(order.birth_date) >= 8:
        wanted[BIRTH_DATE] = order.birth_date[:8]
    if not header.patient_sex and sex_of(order):
        wanted[SEX] = sex_of(order)
    return wanted


def _name(own: str, of_order: str) -> str:
    """The order's name; its own letters stay before it where the order has Chinese characters only (PS3.5 §6.2.1.1)."""
    romanised = own.split("=")[0].strip(" ^")
    if romanised and romanised.isascii() and not _letters(of_order) and hanzi(of_order):
        return f"{romanised}={of_order}"
    return of_order


def cannot_write(wanted: Mapping[int, str]) -> Sequence[str]:
    """What of it no DICOM element can hold: too long, or with characters that divide values."""
    problems = []
    for tag, value in wanted.items():
        groups = value.split("=") if tag == NAME else [value]
        if any(len(group) > _LONGEST.get(tag, 64) for group in groups) or len(groups) > 3:
            problems.append(f"{KEYWORDS[tag]} of the order is too long")
        if "\\" in value or any(character < " " for character in value):
            problems.append(f"{KEYWORDS[tag]} of the order has characters that no element can hold")
    return problems
