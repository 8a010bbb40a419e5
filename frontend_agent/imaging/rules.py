"""What is asked of a study before it leaves: one function a rule or a few that are one question; all findings at once (law 4).

Texts are in checks/texts.toml, what a rule does usually in checks/studies.py, where it is not as usual in [images.rules].
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypeVar

from frontend_agent.checks.masking import mask_number
from frontend_agent.checks.registry import all_rules
from frontend_agent.config_images import ImagesConfig
from frontend_agent.dicom.header import Header
from frontend_agent.dicom.uids import is_encapsulated
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.aligning import compared, hanzi, sex_of
from frontend_agent.imaging.examining import Facts
from frontend_agent.imaging.model import Instance, Order, Study
from frontend_agent.imaging.values import is_date
from frontend_agent.model import Finding, Severity
from frontend_agent.shipped import did_you_mean

K = TypeVar("K")
_MOST = 20  # findings of one rule: what is wrong everywhere is told by its first cases, and counted
_SHOWN = 5  # UIDs, numbers in one finding
# Objects without pixels of their own, and modalities in which names are burned in often (PS3.15 E.3.1).
NOT_IMAGES = frozenset(("SR", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "REG", "FID", "RWV", "ECG", "AU"))
_OFTEN_BURNED = frozenset(("US", "IVUS", "ES", "XC", "OT", "SC", "XA", "RF", "ECG", "DG", "GM", "SM"))


class Seen(NamedTuple):
    """One instance and what its file says."""

    instance: Instance
    facts: Facts

    @property
    def header(self) -> Header:
        return self.facts.header or self.instance.header

    @property
    def uid(self) -> str:
        return self.instance.header.sop_instance_uid


class View(NamedTuple):
    """A study as the rules see it."""

    study: Study
    seen: Sequence[Seen]
    conflicts: Sequence[Instance]
    orders: Sequence[Order]
    images: ImagesConfig
    today: date  # at the hospital
    destinations: Sequence[str]

    @property
    def images_only(self) -> Sequence[Seen]:
        return [one for one in self.seen if one.header.modality not in NOT_IMAGES]


Problem = tuple[str, ...]  # field, masked value, then the arguments of the text
Check = Callable[[View], Iterator[tuple[str, Problem]]]  # (rule, problem)


class Severities:
    """What each rule does here."""

    def __init__(self, said: Mapping[str, str]) -> None:
        """ConfigurationError: [images.rules] names a rule that there is not, or lowers one that cannot be."""
        known = {rule_id: rule for rule_id, rule in all_rules().items() if rule_id.startswith("IMG-")}
        for name in said:
            if name not in known:
                raise ConfigurationError(f"images.rules: no rule '{name}'{did_you_mean(name, known)}")
            if not known[name].lowerable and said[name] != Severity.HOLD:
                raise ConfigurationError(f"images.rules: {name} always holds: nobody has looked at what it speaks of")
        self._of = {rule_id: Severity(said.get(rule_id, rule.severity)) for rule_id, rule in known.items()}

    def of(self, rule_id: str) -> Severity:
        return self._of[rule_id]

    def finding(self, rule_id: str, problem: Problem) -> Finding:
        field, value, *arguments = problem
        return Finding(
            rule_id, self._of[rule_id], blame=all_rules()[rule_id].blame, field=field, value=value, arguments=tuple(arguments)
        )  # fmt: skip


def judged(view: View, severities: Severities) -> list[Finding]:
    """Every finding of a study."""
    found: list[Finding] = []
    told: Counter[str] = Counter()
    for check in CHECKS:
        for rule_id, problem in check(view):
            told[rule_id] += 1
            if told[rule_id] <= _MOST:
                found.append(severities.finding(rule_id, problem))
    return found


# --- whole and readable -------------------------------------------------------------------------------------------------


def complete(view: View) -> Iterator[tuple[str, Problem]]:
    """Series and instances, against what the PACS says."""
    expected = view.study.expected
    have = Counter(one.instance.header.series_instance_uid for one in view.seen)
    count, said, by = len(view.seen), -1, "orders"
    if expected is not None:
        said, by = expected.instances, expected.by
    elif view.orders:
        said = view.orders[0].instances
    series = expected.series if expected else {}
    lacking = {uid: number - have[uid] for uid, number in series.items() if have[uid] < max(number, 1)}
    if lacking or 0 <= count < said:
        whole = str(said) if said > count else f">{count}"
        missing = [f"{uid}: {number if number > 0 else '?'}" for uid, number in lacking.items()]
        more = [f"+{len(missing) - _SHOWN}"] if len(missing) > _SHOWN else []
        yield (
            "IMG-INCOMPLETE",
            ("", "", str(count), whole, by, "; ".join((*missing[:_SHOWN], *more)) or str(said - count)),
        )
    elif 0 <= said < count:
        yield "IMG-SURPLUS", ("", "", str(count), str(said), by)


def readable(view: View) -> Iterator[tuple[str, Problem]]:
    """Every file to its end."""
    for problem, some in _by(view.seen, lambda one: (one.facts.problem, one.facts.failed)).items():
        if problem[0]:
            yield "IMG-FAILED" if problem[1] else "IMG-UNREADABLE", ("", "", problem[0], str(len(some)), some[0].uid)


def pixels(view: View) -> Iterator[tuple[str, Problem]]:
    """As many as rows, columns and frames ask for."""
    short = [one for one in view.seen if 0 <= one.facts.pixels < one.facts.pixels_expected]
    for (have, wanted), some in _by(short, lambda one: (one.facts.pixels, one.facts.pixels_expected)).items():
        unit = " (frames)" if is_encapsulated(some[0].header.transfer_syntax_uid) else ""
        yield "IMG-PIXELS", ("PixelData", "", f"{have}{unit}", f"{wanted}{unit}", str(len(some)), some[0].uid)


# --- identity -------------------------------------------------------------------------------------------------------------


def unique(view: View) -> Iterator[tuple[str, Problem]]:
    """UIDs that are formed as such, each for one thing."""
    if view.conflicts:
        yield (
            "IMG-CONFLICT",
            ("SOPInstanceUID", "", str(len(view.conflicts)), view.conflicts[0].header.sop_instance_uid),
        )
    kinds = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    for kind, keyword in zip(kinds, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), strict=True):
        bad = [one for one in view.seen if _is_malformed(getattr(one.instance.header, kind))]
        if bad:
            yield "IMG-UID", (keyword, "", keyword, str(len(bad)), getattr(bad[0].instance.header, kind))
    series = {one.instance.header.series_instance_uid for one in view.seen}
    if view.study.study_instance_uid in series:
        yield "IMG-UID-SAME", ("", "", "StudyInstanceUID", "SeriesInstanceUID", view.study.study_instance_uid)
    for uid in sorted({one.uid for one in view.seen} & (series | {view.study.study_instance_uid})):
        other = "SeriesInstanceUID" if uid in series else "StudyInstanceUID"
        yield "IMG-UID-SAME", ("", "", "SOPInstanceUID", other, uid)


def _is_malformed(uid: str) -> bool:
    return len(uid) > 64 or any(not part.isdecimal() or (part[0] == "0" and part != "0") for part in uid.split("."))


def series(view: View) -> Iterator[tuple[str, Problem]]:
    """One modality each, and every number once."""
    for uid, some in _by(view.seen, lambda one: one.instance.header.series_instance_uid).items():
        modalities = sorted({one.header.modality for one in some if one.header.modality})
        if len(modalities) > 1:
            yield "IMG-SERIES-MIXED", ("Modality", "", uid, ", ".join(modalities))
        numbers = Counter(one.header.instance_number for one in some if one.header.instance_number)
        twice = sum(count > 1 for count in numbers.values())
        if twice and not any(_has_parts(one.header) for one in some):
            yield "IMG-NUMBER-TWICE", ("InstanceNumber", "", uid, str(twice))


def _has_parts(header: Header) -> bool:
    """Acquisitions number their images anew within one series: nothing wrong in it."""
    return header.modality in ("MR", "US", "XA", "NM", "PT")


# --- patient and order ------------------------------------------------------------------------------------------------------


def one_patient(view: View) -> Iterator[tuple[str, Problem]]:
    """One patient in one study, and one that is named."""
    for keyword, value in (
        ("PatientID", lambda h: h.patient_id.strip()),
        ("PatientName", lambda h: hanzi(h.patient_name) or h.patient_name.upper().replace("^", " ").replace("  ", " ").strip(" =")),
        ("PatientBirthDate", lambda h: h.patient_birth_date),
        ("PatientSex", lambda h: h.patient_sex),
    ):  # fmt: skip
        groups = _by(view.seen, lambda one, value=value: value(one.header))  # type: ignore[misc]
        groups.pop("", None)
        if keyword == "PatientName" and len({name.isascii() for name in groups}) > 1:
            continue  # in two scripts: nobody can compare them here
        if len(groups) > 1:
            yield "IMG-PATIENTS", (keyword, "", keyword, str(len(groups)), min(groups.values(), key=len)[0].uid)
    if not view.orders and not any(one.header.patient_id for one in view.seen):
        yield "IMG-PATIENT-NONE", ("PatientID", "")


def order(view: View) -> Iterator[tuple[str, Problem]]:
    """There is one, it is not cancelled, and it is of this person."""
    if view.images.orders is not None and not view.orders:
        numbers = sorted({one.header.accession_number for one in view.seen if one.header.accession_number})
        yield "IMG-NO-ORDER", ("AccessionNumber", "", ", ".join(map(mask_number, numbers[:_SHOWN])) or "–")
        return
    if not view.orders:
        return
    if several_patients(view.orders):
        keys = ", ".join(mask_number(one.key) for one in view.orders[:_SHOWN])
        yield "IMG-ORDERS-SEVERAL", ("AccessionNumber", "", str(len(view.orders)), keys)
        return
    first = view.orders[0]
    if all(one.cancelled for one in view.orders):
        yield "IMG-ORDER-CANCELLED", ("", "", mask_number(first.key))
    for verdict in {compared(one.header, first) for one in view.seen}:
        if verdict.is_other:
            yield "IMG-PATIENT-OTHER", ("", "", mask_number(first.key), ", ".join(verdict.differ), ", ".join(verdict.agree) or "–")  # fmt: skip


def several_patients(orders: Sequence[Order]) -> bool:
    """Whether orders of one study are of more than one person."""
    return len({one.patient_id or one.patient_name for one in orders}) > 1


def accessions(view: View) -> Iterator[tuple[str, Problem]]:
    """One accession number."""
    numbers = {one.header.accession_number for one in view.seen if one.header.accession_number}
    if len(numbers) > 1:
        yield "IMG-ACCESSIONS", ("AccessionNumber", "", str(len(numbers)))


def against_order(view: View) -> Iterator[tuple[str, Problem]]:
    """Sex, birth date, modality and day, as the order has them."""
    if not view.orders or several_patients(view.orders):
        return
    first = view.orders[0]
    sexes = {one.header.patient_sex for one in view.seen if one.header.patient_sex in ("M", "F")}
    for sex in sorted(sexes - {sex_of(first) or sex for sex in sexes}):
        yield "IMG-SEX", ("PatientSex", "", sex, sex_of(first))
    births = {one.header.patient_birth_date for one in view.seen if one.header.patient_birth_date}
    if first.birth_date and births - {first.birth_date[:8]}:
        yield "IMG-BIRTH-DATE", ("PatientBirthDate", "")
    ordered = {part for one in view.orders for part in one.modality.upper().replace("/", "\\").split("\\") if part}
    taken = {one.header.modality for one in view.images_only if one.header.modality}
    if ordered and taken and not taken & _with_kin(ordered):
        yield "IMG-MODALITY", ("Modality", "", ", ".join(sorted(taken)), ", ".join(sorted(ordered)))


def _with_kin(modalities: set[str]) -> set[str]:
    """Projection X-ray is CR, DX, DR or RG by its maker's taste; what is scanned or photographed stands for anything."""
    kin = ({"CR", "DX", "DR", "RG", "PX", "IO"}, {"XA", "RF", "DSA"}, {"PT", "PET", "CT"}, {"ES", "XC", "OT"})
    return modalities.union({"SC", "OT"}, *(some for some in kin if some & modalities))


def sides(view: View) -> Iterator[tuple[str, Problem]]:
    """Laterality, against the order and within the series."""
    within = [one for one in view.seen if {one.header.laterality, one.header.image_laterality} in ({"L", "R"},)]
    if within:
        yield "IMG-SIDE-WITHIN", ("ImageLaterality", "", str(len(within)), within[0].uid)
    ordered = {one.laterality for one in view.orders if one.laterality in ("L", "R", "B")}
    if not ordered or "B" in ordered or ordered == {"L", "R"}:
        return
    [side] = ordered
    other = [one for one in view.seen if (one.header.image_laterality or one.header.laterality) in {"L", "R"} - {side}]
    if other:
        said = other[0].header.image_laterality or other[0].header.laterality
        yield "IMG-SIDE", ("ImageLaterality", "", said, side, str(len(other)), other[0].uid)


# --- dates ----------------------------------------------------------------------------------------------------------------


def dates(view: View) -> Iterator[tuple[str, Problem]]:
    """Not in the future, not before birth, near the order's."""
    for name, keyword in (
        ("study_date", "StudyDate"), ("series_date", "SeriesDate"), ("acquisition_date", "AcquisitionDate"),
        ("content_date", "ContentDate"),
    ):  # fmt: skip
        for day, some in sorted(_by(view.seen, lambda one, name=name: getattr(one.header, name)).items()):  # type: ignore[misc]
            if not is_date(day):
                continue
            if _day(day) > view.today + timedelta(days=1):  # clocks may be of another zone
                yield "IMG-DATE-FUTURE", (keyword, day, keyword)
            births = {one.header.patient_birth_date for one in some}
            if any(is_date(birth) and day < birth for birth in births):
                yield "IMG-DATE-BIRTH", (keyword, day, keyword)
    performed = {one.performed_at[:8] for one in view.orders if is_date(one.performed_at[:8])}
    taken = {one.header.study_date for one in view.seen if is_date(one.header.study_date)}
    for day in sorted(taken):
        if performed and all(abs(_day(day) - _day(other)) > timedelta(days=1) for other in performed):
            yield "IMG-DATE-ORDER", ("StudyDate", day, ", ".join(sorted(performed)))


def ages(view: View) -> Iterator[tuple[str, Problem]]:
    """Patient's age, against birth date and study date, in whole years and one to spare."""
    said = {(one.header.patient_age, one.header.patient_birth_date, one.header.study_date) for one in view.seen}
    for age, birth, day in sorted(said):
        if len(age) != 4 or age[3] != "Y" or not age[:3].isdecimal() or not is_date(birth) or not is_date(day):
            continue
        years = int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:])
        if abs(years - int(age[:3])) > 1:
            yield "IMG-AGE", ("PatientAge", "", age, f"{years:03}Y")


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


# --- form -----------------------------------------------------------------------------------------------------------------


def attributes(view: View) -> Iterator[tuple[str, Problem]]:
    """What the class of an instance asks for (PS3.3), and values as their representation says."""
    for rule_id, name in (("IMG-TYPE1", "no_value"), ("IMG-TYPE2", "missing"), ("IMG-VALUE", "misshapen")):
        counted: Counter[str] = Counter()
        first: dict[str, str] = {}
        for one in view.seen:
            for keyword in getattr(one.facts, name):
                counted[keyword] += 1
                first.setdefault(keyword, one.uid)
        for keyword, count in counted.most_common():
            yield rule_id, (keyword, "", keyword, str(count), first[keyword])
    for uid, some in _by(view.seen, lambda one: "" if one.facts.is_known else one.header.sop_class_uid).items():
        if uid:
            yield "IMG-CLASS", ("SOPClassUID", "", uid, str(len(some)))


def character_sets(view: View) -> Iterator[tuple[str, Problem]]:
    """Texts that can be read, or could be made so."""
    for (doubt, tags), some in _by(view.seen, lambda one: (one.facts.doubt, one.facts.doubtful)).items():
        if doubt:
            yield "IMG-CHARSET", ("SpecificCharacterSet", "", doubt, str(len(some)), ", ".join(tags[:_SHOWN]) or "–", some[0].uid)  # fmt: skip
    repaired = [one for one in view.seen if one.facts.charset]
    for (said, really), some in _by(repaired, lambda one: (one.instance.header.specific_character_set, one.facts.charset)).items():  # fmt: skip
        yield "IMG-CHARSET-REPAIRED", ("SpecificCharacterSet", "", str(len(some)), said, really, some[0].uid)


def burned_in(view: View) -> Iterator[tuple[str, Problem]]:
    """Annotation in the pixels, for destinations that take no names."""
    nameless = [name for name in view.destinations if view.images.destinations[name].deidentified]
    if not nameless:
        return
    burned = [one for one in view.images_only if one.header.burned_in_annotation.upper() == "YES"]
    if burned:
        yield "IMG-BURNED", ("BurnedInAnnotation", "", str(len(burned)), ", ".join(nameless), burned[0].uid)
    silent = [one for one in view.images_only if not one.header.burned_in_annotation and _may_be_burned(one.header)]
    if silent:
        modalities = ", ".join(sorted({one.header.modality for one in silent}))
        yield "IMG-BURNED-UNKNOWN", ("BurnedInAnnotation", "", str(len(silent)), ", ".join(nameless), silent[0].uid, modalities)  # fmt: skip


def _may_be_burned(header: Header) -> bool:
    return header.has_pixel_data and (
        header.modality in _OFTEN_BURNED or header.image_type.upper().startswith("DERIVED\\SECONDARY")
    )


CHECKS: tuple[Check, ...] = (
    complete, readable, pixels, unique, series, one_patient, order, accessions, against_order, sides, dates, ages, attributes,
    character_sets, burned_in,
)  # fmt: skip


def _by(seen: Sequence[Seen], key: Callable[[Seen], K]) -> dict[K, list[Seen]]:
    groups: dict[K, list[Seen]] = {}
    for one in seen:
        groups.setdefault(key(one), []).append(one)
    return groups
