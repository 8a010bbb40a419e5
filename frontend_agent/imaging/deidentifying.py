"""Instances without who they are of: PS3.15 annex E, the Basic Application Level Confidentiality Profile and its options.

    profile = Profile(key, ("modified-dates", "retain-patient"))
    without = deidentified(data, meta.transfer_syntax_uid, meta.data_set_at, profile, subject)

confidentiality.csv is table E.1-1. Beyond it nothing of an instance is trusted: names that the table does not know are emptied,
UIDs replaced, dates treated as dates, private elements and those that no dictionary knows are taken away, and every text that stays
is searched for this instance's own identifiers. Pixels are not looked at: `reason_pixels_stay` says when a person must.

Pseudonyms, UIDs and dates are made with a secret of the hospital: the same patient is the same pseudonym in all its studies, as in
its de-identified documents (frontend_agent/deidentifying.py), and nobody without the secret can try numbers until one fits.
"""

import csv
import hmac
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR, keyword_for_tag

from frontend_agent.deidentifying import SHORTEST_KEY, Pseudonyms
from frontend_agent.dicom.charsets import decoded
from frontend_agent.dicom.elements import DEEPEST, PIXEL_DATA, Buffer, Element, walk
from frontend_agent.dicom.header import Header
from frontend_agent.dicom.nesting import Span, inner_encoding, is_sequence, items, vr_of
from frontend_agent.dicom.rewriting import Piece, closed, element, item, opened, sequence, spliced, together
from frontend_agent.dicom.uids import Encoding
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.fragments import NotLookedThrough, blanked, without

EDITION = "2026c"
HIDDEN = "***"
REMOVED = "REMOVED"
OLDEST = 90  # years; older patients are so few that their age names them
LONGEST_SHIFT = 520  # weeks

# What `deidentify` of a destination may name -> column of the table, code (CID 7050), its meaning.
OPTIONS = {
    "retain-uids": ("uids", "113110", "Retain UIDs Option"),
    "retain-device": ("device", "113109", "Retain Device Identity Option"),
    "retain-institution": ("institution", "113112", "Retain Institution Identity Option"),
    "retain-patient": ("patient", "113108", "Retain Patient Characteristics Option"),
    "retain-dates": ("dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified-dates": ("modified", "113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "clean-descriptions": ("descriptions", "113105", "Clean Descriptors Option"),
    "clean-structured": ("structured", "113104", "Clean Structured Content Option"),
    "clean-graphics": ("graphics", "113103", "Clean Graphics Option"),
}
BASIC = ("113100", "Basic Application Confidentiality Profile")

_REMOVE, _EMPTY, _DUMMY, _UID, _KEEP, _CLEAN, _SHIFT = "remove", "empty", "dummy", "uid", "keep", "clean", "shift"
# X unless the attribute must be there: it is, so it stays, as little as the IOD can ask for (PS3.15 E.1.1).
_OF_CODE = {
    "X": _REMOVE,
    "Z": _EMPTY,
    "D": _DUMMY,
    "U": _UID,
    "Z/D": _DUMMY,
    "X/Z": _EMPTY,
    "X/D": _DUMMY,
    "X/Z/D": _DUMMY,
    "X/Z/U*": _UID,
}
# Sequences have no dummy item that says nothing: those that may be left out are.
_OF_SEQUENCE = {**_OF_CODE, "X/D": _REMOVE, "X/Z/D": _REMOVE, "X/Z/U*": _CLEAN, "D": _DUMMY}

_TEXTS = frozenset(("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"))
_WHOLE = frozenset(("LT", "ST", "UR", "UT"))  # one value, whatever is in it
_DATES = frozenset(("DA", "DT"))
_DUMMIES = {
    "AE": b"ANON", "AS": b"000Y", "CS": b"ANON", "DA": b"19000101", "DS": b"0", "DT": b"19000101000000", "IS": b"0", "PN": b"ANONYMOUS",
    "TM": b"000000", "UR": b"urn:removed",
}  # fmt: skip
_SIZES = {
    "AT": 4,
    "FD": 8,
    "FL": 4,
    "OB": 2,
    "OD": 8,
    "OF": 4,
    "OL": 4,
    "OV": 8,
    "OW": 2,
    "SL": 4,
    "SS": 2,
    "SV": 8,
    "UL": 4,
    "US": 2,
    "UV": 8,
    "UN": 2,
}

_CHARSET, _LENGTH_TO_END = 0x0008_0005, 0x0008_0001
_ACCESSION, _PATIENT_NAME, _PATIENT_ID, _AGE = 0x0008_0050, 0x0010_0010, 0x0010_0020, 0x0010_1010
_IDENTITY_REMOVED, _METHOD, _METHOD_CODES, _TEMPORAL = 0x0012_0062, 0x0012_0063, 0x0012_0064, 0x0028_0303
_CODES = frozenset(
    (0x0008_0100, 0x0008_0102, 0x0008_0103, 0x0008_0104)
)  # of a code: value, scheme, its version, meaning
# Texts whose values name the patient or somebody: none of them may be left in another text.
_TELLING = frozenset(
    (
        _ACCESSION, _PATIENT_ID, 0x0010_1000, 0x0010_1040, 0x0010_1090, 0x0010_2154, 0x0038_0010, 0x0038_0060,
        0x0008_0080, 0x0008_0081, 0x0008_0092, 0x0008_0094, 0x0040_2017, 0x0040_2010,
    )
)  # fmt: skip
_BIRTH = 0x0010_0030
# Numbers that identify whoever they belong to, wherever they stand: identity cards, telephones, addresses of mail.
_ANYBODYS = re.compile(
    r"(?<!\d)(?:\d{17}[\dXx]|1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}-\d{7,8})(?!\d)"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
)

_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."  # encapsulated PDF, CDA, STL …
_MAY_SHOW_NAMES = (
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture, also multi-frame
    "1.2.840.10008.5.1.4.1.1.6.",  # ultrasound
    "1.2.840.10008.5.1.4.1.1.3.",  # ultrasound multi-frame
    "1.2.840.10008.5.1.4.1.1.77.1.",  # visible light: photographs, endoscopes
)
_OFTEN_SHOW_NAMES = frozenset(("US", "OT", "SC", "XC", "ES", "DOC", "HC", "AU", "IVUS", "ECG"))


class CannotDeidentify(ValueError):
    """The instance must not leave without its identity, because nobody can take it away. Says why; quotes nothing."""


class Subject(NamedTuple):
    """Whose an instance is, so that all of a patient's get the same pseudonym and the same shift."""

    patient: str  # the patient's number; of one without, the study's UID
    identifiers: tuple[str, ...] = ()  # what else must not be found in any text: of the order


class Profile:
    """The profile of a destination: its key and its options."""

    def __init__(self, key: bytes, options: Sequence[str] = ()) -> None:
        """ConfigurationError: the key is too short, or an option is unknown, or two of them contradict each other."""
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(f"the secret of pseudonym_key is shorter than {SHORTEST_KEY} bytes")
        for problem in option_problems(options):
            raise ConfigurationError(problem)
        self._key = key
        self._pseudonyms = Pseudonyms(key)
        self.options = tuple(sorted(set(options)))
        self._columns = tuple(OPTIONS[one][0] for one in self.options)

    @property
    def digest(self) -> str:
        """Changes when what is made changes: another key, other options, another edition."""
        return self._digest("profile", f"{EDITION} {' '.join(self.options)}").hex()[:16]

    @property
    def codes(self) -> list[tuple[str, str]]:
        """DeidentificationMethodCodeSequence: code and meaning (CID 7050)."""
        return [BASIC, *(OPTIONS[one][1:] for one in self.options)]

    @property
    def temporal(self) -> str:
        """LongitudinalTemporalInformationModified (PS3.3 C.7.6.1.1, 0028,0303)."""
        return (
            "UNMODIFIED"
            if "retain-dates" in self.options
            else "MODIFIED"
            if "modified-dates" in self.options
            else "REMOVED"
        )

    @property
    def keeps_uids(self) -> bool:
        return "retain-uids" in self.options

    def uid(self, uid: str) -> str:
        """The UID in the place of another: always the same. Those of the standard itself identify nobody."""
        if not uid or uid.startswith("1.2.840.10008.") or self.keeps_uids:
            return uid
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def pseudonym(self, value: str, length: int = 0) -> str:
        """As of the same number in a document."""
        return self._pseudonyms.of(value, length) if value.strip() else ""

    def days(self, patient: str) -> int:
        """How far a patient's dates are moved back: whole weeks, so that a Sunday stays one, at most ten years."""
        return 7 * (1 + int.from_bytes(self._digest("dates", patient)[:4], "big") % LONGEST_SHIFT)

    def treatment(self, tag: int, vr: str) -> str:
        """What is done with an element: by the options, by the table, and by its VR where the table does not know it."""
        row = table().get(tag) or table().get(_repeating(tag))
        if row is None:
            return self._unlisted(tag, vr)
        for column in self._columns:
            said = row[1].get(column, "")
            if said == "K":
                return _KEEP
            if said == "C":
                return _SHIFT if column == "modified" else self._cleaned(tag, vr)
        return (_OF_SEQUENCE if vr == "SQ" else _OF_CODE)[row[0]]

    def _cleaned(self, tag: int, vr: str) -> str:
        """Bitmaps and curves cannot be cleaned here: they go."""
        return _CLEAN if vr == "SQ" or vr in _TEXTS or vr in ("AS", "CS", "DS", "IS", "PN") else _REMOVE

    def _unlisted(self, tag: int, vr: str) -> str:
        if vr == "PN":
            return _EMPTY
        if vr in _DATES:
            return _KEEP if "retain-dates" in self.options else _SHIFT if "modified-dates" in self.options else _EMPTY
        if vr == "UI":
            return _KEEP if _names_a_thing(tag) else _UID
        return _CLEAN if vr in _TEXTS or vr == "SQ" else _KEEP

    def _digest(self, what: str, value: str) -> bytes:
        return hmac.new(self._key, f"image {what}\n{value.strip()}".encode(), sha256).digest()


def option_problems(options: Sequence[str]) -> Iterator[str]:
    """What is wrong with the options of a destination."""
    for one in options:
        if one not in OPTIONS:
            yield f"deidentify: unknown option {one!r} (known: {', '.join(OPTIONS)})"
    if "retain-dates" in options and "modified-dates" in options:
        yield "deidentify: retain-dates and modified-dates contradict each other"


@cache
def table() -> dict[int | str, tuple[str, dict[str, str]]]:
    """Table E.1-1: tag (`50xx` for a group that repeats) -> the profile's code, and those of the options."""
    lines = Path(__file__).with_name("confidentiality.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    found: dict[int | str, tuple[str, dict[str, str]]] = {}
    for row in rows:
        tag, code = row.pop("tag"), row.pop("basic")
        row.pop("name")
        found[tag if "x" in tag else int(tag, 16)] = (code, {name: said for name, said in row.items() if said})
    return found


def _repeating(tag: int) -> str:
    group, number = tag >> 16, tag & 0xFFFF
    if group & 0xFF00 == 0x5000:
        return "50xxxxxx"
    return f"60xx{number:04x}" if group & 0xFF00 == 0x6000 else ""


def _names_a_thing(tag: int) -> bool:
    """Whether a UID that the table does not know is one of a class, a syntax, a list of codes: of nobody's."""
    keyword = keyword_for_tag(tag)
    return any(
        word in keyword
        for word in ("Class", "Context", "CodingScheme", "TransferSyntax", "MappingResource", "Template")
    )


# --- one instance -----------------------------------------------------------------------------------------------------


def reason_pixels_stay(header: Header) -> str:
    """Why its pixels may show who the patient is, so that a person must look before it leaves; "" where nothing points to it."""
    if header.burned_in_annotation.upper() == "YES":
        return "BurnedInAnnotation says YES: its pixels show whose they are"
    if header.burned_in_annotation.upper() == "NO" or not header.has_pixel_data:
        return ""
    kinds = header.image_type.upper()
    if (
        header.sop_class_uid.startswith(_MAY_SHOW_NAMES)
        or header.modality in _OFTEN_SHOW_NAMES
        or "SCREEN SAVE" in kinds
        or "SECONDARY" in kinds.split("\\")[1:2]
    ):
        return (
            "its pixels may show a name (a capture, a photograph, ultrasound), and BurnedInAnnotation does not say NO"
        )
    return ""


def reason_cannot(header: Header) -> str:
    """Why nobody can take the identity out of it; "" where we can."""
    if header.sop_class_uid.startswith(_DOCUMENTS):
        return "a document inside of an instance cannot be de-identified"
    return ""


def subject_of(header: Header, identifiers: Iterable[str] = ()) -> Subject:
    """Whose it is, by what the instance says."""
    return Subject(header.patient_id.strip() or header.study_instance_uid, tuple(identifiers))


class Deidentified(NamedTuple):
    """`pieces` of `data`: what is written. Where the data set was deflated `data` is what it inflates to."""

    data: Buffer
    pieces: list[Piece]


def deidentified(data: Buffer, transfer_syntax_uid: str, at: int, profile: Profile, subject: Subject) -> Deidentified:
    """The data set without its identity, in its own transfer syntax; pixels are copied from where they lie.

    CannotDeidentify, DataSetMalformed, HeaderUnreadable: it must not leave.
    """
    plain, encoding, at = opened(data, transfer_syntax_uid, at)
    charset = _charset(plain, encoding, at, None, "")
    work = _Work(plain, profile, subject, _identifiers(plain, encoding, at, charset, subject))
    pieces = spliced(plain, encoding, at, work.replacing(_Level(encoding, charset)), _inserted(encoding, profile))
    pieces = without(pieces, _beside_pixels(plain, encoding, at, transfer_syntax_uid))
    return Deidentified(plain, closed(plain, pieces, transfer_syntax_uid))


def _beside_pixels(data: Buffer, encoding: Encoding, at: int, transfer_syntax_uid: str) -> list[Span]:
    """What cameras and encoders wrote into compressed pixels beside the picture. CannotDeidentify: nobody can say."""
    for one in walk(data, encoding, at):
        if one.tag == PIXEL_DATA and one.length < 0:
            try:
                return blanked(data, encoding, one, transfer_syntax_uid)
            except NotLookedThrough as error:
                raise CannotDeidentify(f"its compressed pixels cannot be looked through: {error}") from None
    return []


def _inserted(encoding: Encoding, profile: Profile) -> dict[int, bytes]:
    """What PS3.15 E.1.1 asks to be said (PS3.3 C.7.1.1, C.12.1.1.4 …)."""
    codes = [
        b"".join(
            (
                element(encoding, 0x0008_0100, "SH", code.encode()),
                element(encoding, 0x0008_0102, "SH", b"DCM"),
                element(encoding, 0x0008_0104, "LO", meaning.encode()),
            )
        )
        for code, meaning in profile.codes
    ]
    method = f"PS3.15 {EDITION} E.1-1" + "".join(f"\\{one}" for one in profile.options)
    return {
        _IDENTITY_REMOVED: element(encoding, _IDENTITY_REMOVED, "CS", b"YES"),
        _METHOD: element(encoding, _METHOD, "LO", method.encode()),
        _METHOD_CODES: sequence(encoding, _METHOD_CODES, codes),
        _TEMPORAL: element(encoding, _TEMPORAL, "CS", profile.temporal.encode()),
    }


class _Level(NamedTuple):
    """Where in a data set: how it is written, by which character set. `dummies`: inside of a sequence that says too much; its texts go."""

    encoding: Encoding
    charset: str
    dummies: bool = False
    depth: int = 0


class _Work:
    """One data set under work."""

    def __init__(self, data: Buffer, profile: Profile, subject: Subject, identifiers: "re.Pattern[str] | None") -> None:
        self._data, self._profile, self._identifiers = data, profile, identifiers
        self._patient = subject.patient
        self._days = profile.days(subject.patient)

    def replacing(self, level: "_Level") -> Callable[[Element], bytes | None]:
        """What stands for an element of a level."""

        def replaced(one: Element) -> bytes | None:
            return self._replaced(one, level)

        return replaced

    def _replaced(self, one: Element, level: "_Level") -> bytes | None:
        tag = one.tag
        if tag >> 16 & 1 or tag in (_LENGTH_TO_END,) or tag >> 16 < 8:
            return b""  # private; a length that is wrong now; commands and meta information, which have no place here
        if tag & 0xFFFF == 0:
            return None  # a group length: mended by who splices
        vr = _known_vr(one)
        if not vr or (vr == "SQ" and not is_sequence(one)):
            return b""  # no dictionary knows it, or it hides items in bytes: it may say anything
        return self._treated(one, vr, level)

    def _treated(self, one: Element, vr: str, level: "_Level") -> bytes | None:
        encoding, charset = level.encoding, level.charset
        how = self._profile.treatment(one.tag, vr)
        if how == _REMOVE:
            return b""
        if one.tag in (_PATIENT_NAME, _PATIENT_ID):
            return element(encoding, one.tag, vr, self._profile.pseudonym(self._patient).encode())
        if one.tag == _ACCESSION:
            return element(encoding, one.tag, vr, self._profile.pseudonym(self._text(one, charset), 16).encode())
        if vr == "SQ":
            return self._sequence(one, how, level)
        if one.length < 0:
            return None if level.depth == 0 and one.tag == PIXEL_DATA else b""  # fragments; those within are of icons
        if one.tag == 0x0042_0011:
            raise CannotDeidentify("a document inside of an instance cannot be de-identified")
        if level.dummies and how in (_KEEP, _CLEAN) and vr in _TEXTS and one.tag not in _CODES:
            how = _DUMMY
        value = self._value(one, vr, how, charset)
        return None if value is None else element(encoding, one.tag, vr, value)

    def _value(self, one: Element, vr: str, how: str, charset: str) -> bytes | None:
        """The new value; None: as it is."""
        if how == _EMPTY:
            return b""
        if how == _DUMMY:
            return _dummy(vr) if one.length else b""
        if how == _UID:
            return "\\".join(self._profile.uid(uid.strip()) for uid in self._ascii(one).split("\\")).encode()
        if how == _SHIFT:
            return None if vr == "TM" else self._shifted(one, vr)
        if one.tag == _AGE:
            return _capped(self._ascii(one)).encode()
        if vr == "PN":
            return _dummy(vr) if how == _CLEAN and one.length else None
        if vr in _TEXTS and how in (_CLEAN, _KEEP):
            return self._scrubbed(one, charset)
        return None

    def _sequence(self, one: Element, how: str, level: "_Level") -> bytes:
        encoding = level.encoding
        if how == _EMPTY:
            return sequence(encoding, one.tag, ())
        if level.depth >= DEEPEST:
            raise CannotDeidentify(f"sequences are nested deeper than {DEEPEST}")
        inner = inner_encoding(one, encoding)
        contents = []
        for span in items(self._data, encoding, one):
            own = _charset(self._data, inner, span.start, span.end, level.charset)
            replace = self.replacing(_Level(inner, own, level.dummies or how == _DUMMY, level.depth + 1))
            contents.append(together(self._data, spliced(self._data, inner, span.start, replace, end=span.end)))
        if one.vr != "UN":
            return sequence(encoding, one.tag, contents)
        # What stood in UN of undefined length is implicit VR, and stays it: an end of its own, not a length (PS3.5 §6.2.2).
        order = "big" if encoding.is_big_endian else "little"
        head = bytes(self._data[one.at : one.start])
        body = b"".join(item(inner, content) for content in contents)
        end = b"".join(number.to_bytes(size, order) for number, size in ((0xFFFE, 2), (0xE0DD, 2), (0, 4)))  # type: ignore[arg-type]
        return head + body + end

    def _shifted(self, one: Element, vr: str) -> bytes:
        moved = (_moved(value, self._days) for value in self._ascii(one).split("\\"))
        return "\\".join(moved).encode() or b""

    def _scrubbed(self, one: Element, charset: str) -> bytes | None:
        text = self._text(one, charset)
        clean = _ANYBODYS.sub(HIDDEN, self._identifiers.sub(HIDDEN, text) if self._identifiers else text)
        if clean == text:
            return None
        try:
            return bytes(encode_string(clean, convert_encodings(charset.split("\\") if charset else "")))
        except (ValueError, LookupError):
            return REMOVED.encode()

    def _text(self, one: Element, charset: str) -> str:
        return decoded(bytes(self._data[one.start : one.end]), charset)[0]

    def _ascii(self, one: Element) -> str:
        return bytes(self._data[one.start : one.end]).strip(b" \0").decode("ascii", "replace")


def _known_vr(one: Element) -> str:
    """As it is written; of what is written as unknown, the dictionary's. "" where nobody knows."""
    vr = vr_of(one)
    if vr != "UN":
        return "OW" if " or " in vr else vr
    if one.vr == "UN" and one.length < 0:
        return "SQ"
    try:
        vr = dictionary_VR(one.tag)
    except KeyError:
        return ""
    return "OW" if " or " in vr else vr


def _charset(data: Buffer, encoding: Encoding, at: int, end: int | None, otherwise: str) -> str:
    """The Specific Character Set of a data set, or of an item that has its own."""
    for one in walk(data, encoding, at, until=_CHARSET + 1, end=end):
        if one.tag == _CHARSET:
            return bytes(data[one.start : one.end]).strip(b" \0").decode("ascii", "replace")
    return otherwise


def _dummy(vr: str) -> bytes:
    return _DUMMIES.get(vr) or (bytes(_SIZES[vr]) if vr in _SIZES else REMOVED.encode())


def _capped(age: str) -> str:
    return f"{OLDEST:03}Y" if age[:3].isdigit() and age.endswith("Y") and int(age[:3]) >= OLDEST else age


def _moved(value: str, days: int) -> str:
    """A date, or a date and time, so many days earlier; what is no whole date is left out, for it cannot be moved."""
    text = value.strip().replace(".", "") if re.fullmatch(r"\d{4}\.\d\d\.\d\d", value.strip()) else value.strip()
    try:
        moved = date(int(text[:4]), int(text[4:6]), int(text[6:8])) - timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return moved.strftime("%Y%m%d") + text[8:]


# --- what must not be found any more ----------------------------------------------------------------------------------


def direct_identifiers(data: Buffer, transfer_syntax_uid: str, at: int) -> list[str]:
    """Names, numbers, addresses and birth dates of a data set, the longest first: none of them may be in what leaves."""
    plain, encoding, at = opened(data, transfer_syntax_uid, at)
    return _told(plain, encoding, at, _charset(plain, encoding, at, None, ""))


def _told(data: Buffer, encoding: Encoding, at: int, charset: str) -> list[str]:
    found: set[str] = set()
    for one, text in _speaking(data, encoding, at, None, charset):
        if one.tag == _BIRTH:
            if len(text) >= 8 and text[:8].isdigit():
                found.update(f"{text[:4]}{sign}{text[4:6]}{sign}{text[6:8]}" for sign in ("", "-", "/", "."))
        elif vr_of(one) == "PN":
            for name in text.split("\\"):
                found.update(
                    part.strip() for group in name.split("=") for part in (group.replace("^", " "), *group.split("^"))
                )
        else:
            found.update(part.strip() for part in text.split("\\"))
    return sorted((one for one in found if _tells(one)), key=lambda one: (-len(one), one))


def _speaking(
    data: Buffer, encoding: Encoding, at: int, end: int | None, charset: str, depth: int = 0
) -> Iterator[tuple[Element, str]]:
    """The elements that name somebody, at whatever depth, with their texts."""
    if depth > DEEPEST:
        raise CannotDeidentify(f"sequences are nested deeper than {DEEPEST}")
    for one in walk(data, encoding, at, end=end):
        if is_sequence(one):
            inner = inner_encoding(one, encoding)
            for span in items(data, encoding, one):
                own = _charset(data, inner, span.start, span.end, charset)
                yield from _speaking(data, inner, span.start, span.end, own, depth + 1)
        elif 0 < one.length <= 4096 and (one.tag in _TELLING or one.tag == _BIRTH or vr_of(one) == "PN"):
            yield one, decoded(bytes(data[one.start : one.end]), charset, is_name=vr_of(one) == "PN")[0]


def _tells(text: str) -> bool:
    """`8` or `02` is everywhere; hiding it would hide nothing and spoil the text."""
    return len(text) >= (3 if text.isascii() else 2) and text.upper() not in ("ANONYMOUS", "UNKNOWN", "NONE", "TEST")


def _identifiers(data: Buffer, encoding: Encoding, at: int, charset: str, subject: Subject) -> "re.Pattern[str] | None":
    told = sorted({*_told(data, encoding, at, charset), *filter(_tells, subject.identifiers)}, key=len, reverse=True)
    if not told:
        return None
    # Latin ones as words only: LI is in LIVER.
    ways = [rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])" if one.isascii() else re.escape(one) for one in told]
    return re.compile("|".join(ways), re.IGNORECASE)
