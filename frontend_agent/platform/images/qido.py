"""Searching over the web (QIDO-RS, PS3.18 §10.6): a query's parameters become one statement, rows become DICOM JSON. Pure.

What may be asked for is what the index has, at the level of the question and above. Anything else is refused, not passed over: who
asks for one patient must never be given all of them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend_agent.platform.images.catalogue import BY_NUMBER, Instance, Series, Study, like

MOST = 5_000  # results of one answer
USUAL = 1_000  # where the question says no limit
MOST_CONDITIONS = 64  # of one question
MOST_VALUES = 2_000  # of a list of UIDs
MOST_MODALITIES = 50  # of a list of them
LONGEST_VALUE = 1_024  # characters of any other value
FUZZY = '299 platform "The fuzzymatching parameter is not supported. Only literal matching has been performed."'
MORE = '299 platform "The number of results exceeded the maximum supported by the server. Additional results can be requested."'

STUDIES, SERIES, INSTANCES = "study", "series", "instance"
LEVELS = (STUDIES, SERIES, INSTANCES)


class BadQuery(ValueError):
    """The question cannot be answered as it is put. Quotes no value."""


class Attribute(NamedTuple):
    """One that is matched and answered."""

    tag: str
    vr: str
    keyword: str
    level: str
    column: str  # of the index


_ATTRIBUTES = [
    Attribute(tag, vr, keyword, level, column)
    for level, rows in {
        STUDIES: (
            ("00080020", "DA", "StudyDate", "t.study_date"),
            ("00080030", "TM", "StudyTime", "t.study_time"),
            ("00080050", "SH", "AccessionNumber", "t.accession_number"),
            ("00080061", "CS", "ModalitiesInStudy", "t.modalities"),
            ("00080080", "LO", "InstitutionName", "t.institution_name"),
            ("00080090", "PN", "ReferringPhysicianName", "t.referring_physician_name"),
            ("00081030", "LO", "StudyDescription", "t.study_description"),
            ("00100010", "PN", "PatientName", "t.patient_name"),
            ("00100020", "LO", "PatientID", "t.patient_id"),
            ("00100021", "LO", "IssuerOfPatientID", "t.issuer_of_patient_id"),
            ("00100030", "DA", "PatientBirthDate", "t.patient_birth_date"),
            ("00100040", "CS", "PatientSex", "t.patient_sex"),
            ("0020000D", "UI", "StudyInstanceUID", "t.study_instance_uid"),
            ("00200010", "SH", "StudyID", "t.study_id"),
        ),
        SERIES: (
            ("00080021", "DA", "SeriesDate", "s.series_date"),
            ("00080060", "CS", "Modality", "s.modality"),
            ("00080070", "LO", "Manufacturer", "s.manufacturer"),
            ("00081010", "SH", "StationName", "s.station_name"),
            ("0008103E", "LO", "SeriesDescription", "s.series_description"),
            ("00180015", "CS", "BodyPartExamined", "s.body_part_examined"),
            ("0020000E", "UI", "SeriesInstanceUID", "s.series_instance_uid"),
            ("00200011", "IS", "SeriesNumber", "s.series_number"),
            ("00200060", "CS", "Laterality", "s.laterality"),
        ),
        INSTANCES: (
            ("00080016", "UI", "SOPClassUID", "i.sop_class_uid"),
            ("00080018", "UI", "SOPInstanceUID", "i.sop_instance_uid"),
            ("00083002", "UI", "AvailableTransferSyntaxUID", "i.transfer_syntax_uid"),
            ("00200013", "IS", "InstanceNumber", "i.instance_number"),
            ("00280008", "IS", "NumberOfFrames", "i.frames"),
            ("00280010", "US", "Rows", 'i."rows"'),
            ("00280011", "US", "Columns", "i.columns"),
            ("00280100", "US", "BitsAllocated", "i.bits_allocated"),
        ),
    }.items()
    for tag, vr, keyword, column in rows
]  # fmt: skip
BY_NAME = {name.lower(): one for one in _ATTRIBUTES for name in (one.tag, one.keyword)}
_KNOWN = re.compile(r"[0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]{1,63}")
_FROM = {
    STUDIES: "study t",
    SERIES: "series s JOIN study t ON t.id = s.study",
    INSTANCES: "instance i JOIN series s ON s.id = i.series JOIN study t ON t.id = i.study",
}
_ORDER = {
    STUDIES: "ORDER BY t.study_date DESC, t.study_time DESC, t.id DESC",
    SERIES: "ORDER BY s.study, CAST(s.series_number AS INTEGER), s.id",
    INSTANCES: BY_NUMBER,
}
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_TIME = re.compile(r"[0-9]{2,6}(\.[0-9]{1,6})?", re.ASCII)


class Query(NamedTuple):
    """What comes behind SELECT …: everything of it is ours, the values are parameters."""

    level: str
    sql: str
    values: tuple[Any, ...]
    limit: int  # asked for: the statement asks for one more, to know whether there are more
    warnings: tuple[str, ...]


def query_of(
    parameters: Sequence[tuple[str, str]],
    level: str,
    *,
    study: str = "",
    series: str = "",
    institution: str = "",
) -> Query:
    """The statement for a question at a level, about a study or series if its address names one. BadQuery says what is wrong."""
    clauses: list[str] = []
    values: list[Any] = []
    for column, value in (
        ("t.study_instance_uid", study),
        ("s.series_instance_uid", series),
        ("t.institution", institution),
    ):
        if value:
            clauses.append(f"{column} = ?")
            values.append(value)
    settings: dict[str, str] = {}
    if len(parameters) > MOST_CONDITIONS:
        raise BadQuery(f"a question has {MOST_CONDITIONS} parameters at most")
    for name, value in parameters:
        if name.lower() in ("limit", "offset", "fuzzymatching"):
            settings[name.lower()] = value
        elif name.lower() != "includefield":  # all that is indexed is answered anyway, and nothing else can be
            clause, some = _matching(_attribute(name, level), value)
            if clause:
                clauses.append(clause)
                values += some
    limit = min(_number(settings, "limit", USUAL), MOST)
    where = " WHERE " + " AND ".join(clauses) if clauses else ""
    sql = f"FROM {_FROM[level]}{where} {_ORDER[level]} LIMIT ? OFFSET ?"
    fuzzy = settings.get("fuzzymatching", "false").lower()
    if fuzzy not in ("true", "false"):
        raise BadQuery("fuzzymatching is true or false")
    return Query(
        level=level,
        sql=sql,
        values=(*values, limit + 1, _number(settings, "offset", 0)),
        limit=limit,
        warnings=(FUZZY,) if fuzzy == "true" else (),
    )


def _number(settings: Mapping[str, str], name: str, usual: int) -> int:
    text = settings.get(name, "")
    if not text:
        return usual
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise BadQuery(f"{name} is no number")
    return int(text)


def _attribute(name: str, level: str) -> Attribute:
    one = BY_NAME.get(name.lower())
    if one is not None and LEVELS.index(one.level) <= LEVELS.index(level):
        return one
    shown = name if _KNOWN.fullmatch(name) else "a parameter"
    what = f"one of a {one.level}" if one else "none that is indexed"
    allowed = ", ".join(one.keyword for one in _ATTRIBUTES if LEVELS.index(one.level) <= LEVELS.index(level))
    raise BadQuery(f"{shown} is {what}; at the level of the {level} these can be matched: {allowed}")


# --- matching (PS3.4 C.2.2.2) ---------------------------------------------------------------------------------------------


def _matching(one: Attribute, value: str) -> tuple[str, list[Any]]:
    value = value.strip()
    if not value or value == "*":
        return "", []  # universal
    if one.keyword == "ModalitiesInStudy":
        found = [_wildcard(text) for text in _listed(one, value, MOST_MODALITIES)]
        either = " OR ".join([r"'\' || t.modalities || '\' GLOB ?"] * len(found))
        return f"({either})", [f"*\\{text}\\*" for text in found]
    if one.vr == "UI":
        uids = [uid.strip() for uid in _listed(one, value, MOST_VALUES)]
        return f"{one.column} IN ({', '.join('?' * len(uids))})", uids
    if len(value) > LONGEST_VALUE:
        raise BadQuery(f"{one.keyword} is longer than {LONGEST_VALUE} characters")
    if one.vr in ("DA", "TM"):
        return _range(one, value)
    if one.vr == "PN":
        return _name(one.column, value)
    if one.vr in ("IS", "US"):
        if not re.fullmatch(r"[+-]?[0-9]{1,12}", value, re.ASCII):
            raise BadQuery(f"{one.keyword} is no number")
        return f"CAST({one.column} AS INTEGER) = ?", [int(value)]
    if "*" in value or "?" in value:
        return f"{one.column} GLOB ?", [_wildcard(value)]
    return f"{one.column} = ?", [value]


def _listed(one: Attribute, value: str, most: int) -> list[str]:
    found = re.split(r"[,\\]", value)
    if len(found) > most:
        raise BadQuery(f"{one.keyword} is a list of {most} values at most")
    return found


def _wildcard(text: str) -> str:
    """* and ? mean the same in SQLite's GLOB; what else has a meaning there stands for itself."""
    return text.replace("[", "[[]")


def _name(column: str, value: str) -> tuple[str, list[Any]]:
    """Any of a name's groups (alphabetic, ideographic, phonetic), whatever its case; a group by its beginning only with a *."""
    pattern = like(value).replace("*", "%").replace("?", "_")
    places = (pattern, f"{pattern}=%", f"%={pattern}", f"%={pattern}=%")
    either = " OR ".join([f"{column} LIKE ? ESCAPE '!'"] * len(places))
    return f"({either})", list(places)


def _range(one: Attribute, value: str) -> tuple[str, list[Any]]:
    form = _DATE if one.vr == "DA" else _TIME
    value = value.replace(":", "") if one.vr == "TM" else value
    first, dash, last = value.partition("-")
    if any(text and not form.fullmatch(text) for text in (first, last)) or not (first or last):
        raise BadQuery(
            f"{one.keyword} is neither one nor a range FROM-TO, written {'yyyymmdd' if one.vr == 'DA' else 'hhmmss'}"
        )
    if not dash:
        return (f"{one.column} = ?", [first]) if one.vr == "DA" else (f"{one.column} GLOB ?", [f"{first}*"])
    clauses, values = [f"{one.column} <> ''"], []
    if first:
        clauses.append(f"{one.column} >= ?")
        values.append(first)
    if last:  # 10 as the end of a range of times means until 10:59:59.999999
        clauses.append(f"substr({one.column}, 1, {len(last)}) <= ?")
        values.append(last)
    return " AND ".join(clauses), values


# --- answering ------------------------------------------------------------------------------------------------------------


def study_json(study: Study, base: str) -> dict[str, Any]:
    """One result at the level of the study (PS3.18 table 10.6.3-3). `base`: of the addresses."""
    return {
        **_common(study.availability, f"{base}/studies/{study.study_instance_uid}"),
        **_attributes(STUDIES, study),
        "00201206": _one("IS", study.series),
        "00201208": _one("IS", study.instances),
    }


def series_json(series: Series, study: Study, base: str) -> dict[str, Any]:
    """One result at the level of the series (table 10.6.3-4), with what is asked for of its study."""
    address = f"{base}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
    return {
        **_common(series.availability, address),
        **_attributes(STUDIES, study),
        **_attributes(SERIES, series),
        "00201209": _one("IS", series.instances),
    }


def instance_json(instance: Instance, series: Series, study: Study, base: str) -> dict[str, Any]:
    """One result at the level of the instance (table 10.6.3-5)."""
    address = (
        f"{base}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
        f"/instances/{instance.sop_instance_uid}"
    )
    found = {
        **_common(instance.availability, address),
        **_attributes(STUDIES, study),
        **_attributes(SERIES, series),
        **_attributes(INSTANCES, instance),
    }
    if not instance.has_pixel_data:
        for tag in ("00280008", "00280010", "00280011", "00280100"):
            found.pop(tag, None)
    return found


def known_json(instance: Instance) -> dict[str, Any]:
    """What is known of an instance whose data set cannot be taken apart."""
    uids = {"0020000D": instance.study_instance_uid, "0020000E": instance.series_instance_uid}
    return {**_attributes(INSTANCES, instance), **{tag: _one("UI", uid) for tag, uid in uids.items()}}


def _common(availability: str, address: str) -> dict[str, Any]:
    return {
        "00080005": _one("CS", "ISO_IR 192"),
        "00080056": _one("CS", availability),
        "00081190": _one("UR", address),
    }


def _attributes(level: str, row: Study | Series | Instance) -> dict[str, Any]:
    return {
        one.tag: json_value(one.vr, getattr(row, one.column.partition(".")[2].strip('"')))
        for one in _ATTRIBUTES
        if one.level == level
    }


def json_value(vr: str, value: str | int) -> dict[str, Any]:
    """A column as a DICOM JSON attribute (PS3.18 F.2)."""
    if isinstance(value, int):
        return _one(vr, value)
    values: list[Any] = [one for one in value.split("\\") if one]
    if vr == "PN":
        values = [_name_groups(one) for one in values]
    elif vr == "IS":
        values = [int(one) if re.fullmatch(r"\s*[+-]?[0-9]{1,12}\s*", one, re.ASCII) else one for one in values]
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _name_groups(name: str) -> dict[str, str]:
    return {
        group: text
        for group, text in zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False)
        if text
    }


def _one(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
