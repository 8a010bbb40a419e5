"""Studies from both ends: what lies in the PACS against what the platform has, and what was planted against what the agent said.

Read with pydicom and from the platform's own files: nothing here uses the agent's readers or counters.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from .expectations import Expectation
from .hospital import plain

# Which rules must speak of which fault of a study, and which may.
EXPECTED: dict[str, Expectation] = {
    name: Expectation(frozenset(must.split()), frozenset(may.split()))
    for name, must, may in (
        ("gbk_as_latin1", "IMG-CHARSET-REPAIRED", ""),
        ("no_character_set", "IMG-CHARSET-REPAIRED", ""),
        ("series_missing", "IMG-INCOMPLETE", ""),
        ("two_patients", "IMG-PATIENTS", "IMG-PATIENT-OTHER IMG-BIRTH-DATE IMG-AGE"),
        ("wrong_sex", "IMG-SEX", ""),
        ("uid_twice", "IMG-CONFLICT", ""),
        ("cut_off", "IMG-UNREADABLE IMG-PIXELS IMG-INCOMPLETE", ""),
        ("other_patient", "IMG-PATIENT-OTHER", "IMG-BIRTH-DATE IMG-AGE"),
        ("no_order", "IMG-NO-ORDER", ""),
        ("wrong_side", "IMG-SIDE", ""),
        ("study_in_the_future", "IMG-DATE-FUTURE", "IMG-DATE-ORDER IMG-AGE"),
        ("no_rescale", "IMG-TYPE1", ""),
    )
}


@dataclass
class StudyCount:
    """The line of the studies.

    studies     in the PACS                      instances   of them
    held        studies that wait for a person   delivered   studies whose instances are all at the platform, each proven
    linked      of those delivered, studies that lead to their report at the platform
    duplicates  second effects: instances at the platform that lie nowhere in the PACS, or in another study
    lost        studies that are neither delivered nor held
    """

    studies: int = 0
    instances: int = 0
    held: int = 0
    delivered: int = 0
    delivered_instances: int = 0
    linked: int = 0
    duplicates: int = 0
    lost: int = 0
    planted_faults: int = 0
    faults_found: int = 0
    false_findings: int = 0


@dataclass
class Studies:
    """Everything the oracle has to say of images."""

    line: StudyCount = field(default_factory=StudyCount)
    lost: list[str] = field(default_factory=list)
    altered: list[tuple[str, list[str]]] = field(default_factory=list)  # accession number, what is not as it should be
    strangers: list[str] = field(default_factory=list)
    missed: list[dict[str, Any]] = field(default_factory=list)
    unexplained: list[tuple[str, str]] = field(default_factory=list)  # accession number, rule
    unlinked: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)  # rule -> held studies it spoke of

    @property
    def is_whole(self) -> bool:
        return not (self.lost or self.altered or self.strangers)

    @property
    def right(self) -> bool:
        return self.is_whole and not (self.missed or self.unexplained or self.unlinked)


class _Said(NamedTuple):
    """How the agent has a study."""

    held: bool
    findings: tuple[tuple[str, str], ...]  # rule, severity
    unproven: int


class _Stored(NamedTuple):
    """One instance in the platform's store."""

    institution: str
    study: str
    uid: str
    sha256: str
    report: str


def count_studies(hospital: Path, platform: Path, agent: Path) -> Studies:
    """Count everything once. Nothing, where the hospital has no PACS."""
    result = Studies()
    path = hospital / "studies.json"
    if not path.exists():
        return result
    known: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    said = _said(agent)
    stored: dict[str, list[_Stored]] = {}
    for one in _stored(platform):
        stored.setdefault(one.study, []).append(one)
    rows = _rows(hospital)
    sets = _sets(platform)
    line = result.line
    for entry in known:
        line.studies += 1
        line.instances += len(entry["instances"])
        spoken = said.get(entry["study"], _Said(False, (), 0))
        here = stored.get(entry["study"], [])
        if spoken.held:
            line.held += 1
        else:
            wrong = _differing(platform, entry, here, rows[entry["exam"]])
            if wrong:
                result.altered.append((entry["accession"], wrong))
            if wrong or spoken.unproven:
                result.lost.append(entry["accession"])
                continue
            line.delivered += 1
            line.delivered_instances += len(here)
            _link(entry, here, sets, rows[entry["exam"]], result)
    line.lost = len(result.lost)
    result.strangers = _strangers(known, stored)
    line.duplicates = len(result.strangers)
    _count_faults(known, said, result)
    return result


def _strangers(known: Iterable[Mapping[str, Any]], stored: Mapping[str, Iterable[_Stored]]) -> list[str]:
    """Instances that the PACS does not have, or not in that study."""
    there = {(entry["study"], uid) for entry in known for uid in entry["instances"]}
    found = Counter((one.study, one.uid) for some in stored.values() for one in some)
    return [uid for (study, uid), times in found.items() if (study, uid) not in there or times > 1]


def _link(
    entry: Mapping[str, Any], here: Iterable[_Stored], sets: set[str], row: Mapping[str, Any], result: Studies
) -> None:
    """A study whose report is at the platform leads to it."""
    reports = {one.report for one in here}
    if reports <= sets and "" not in reports:
        result.line.linked += 1
    elif "" in reports:
        result.unlinked.append(entry["accession"])
    # A report that is held is not there to be led to: the study waits for it.


def _count_faults(known: Iterable[dict[str, Any]], said: Mapping[str, _Said], result: Studies) -> None:
    line, reasons = result.line, Counter[str]()
    for entry in known:
        spoken = said.get(entry["study"], _Said(False, (), 0))
        rules = {rule for rule, _ in spoken.findings}
        expected = EXPECTED[entry["fault"]] if entry["fault"] else Expectation(frozenset())
        if entry["fault"]:
            line.planted_faults += 1
            if rules & expected.must and spoken.held == entry["hold"]:
                line.faults_found += 1
            else:
                result.missed.append(entry)
        if spoken.held:
            reasons.update({rule for rule, severity in spoken.findings if severity == "hold"})
        speaks = {rule for rule, severity in spoken.findings if severity in ("hold", "warn")}
        for rule in sorted(speaks - expected.must - expected.may):
            line.false_findings += 1
            result.unexplained.append((entry["accession"], rule))
    result.reasons = dict(reasons.most_common())


# -- the hospital ----------------------------------------------------------------------------------------------------------


def _rows(hospital: Path) -> dict[str, dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{hospital / 'ris.db'}?mode=ro", uri=True)) as ris:
        ris.row_factory = sqlite3.Row
        return {row["jch"]: dict(row) for row in ris.execute("SELECT * FROM ris_jc")}


# -- the agent -------------------------------------------------------------------------------------------------------------


def _said(state: Path) -> dict[str, _Said]:
    """Study Instance UID -> how it stands, and what its rules said."""
    path = state / "spool.db"
    if not path.exists():
        return {}
    spool = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        spool.set_busy_timeout(10_000)
        rows = spool.execute(
            "SELECT s.uid, s.state, s.findings, (SELECT count(*) FROM image_delivery d WHERE d.study = s.id"
            " AND d.state <> 'delivered') FROM image_study s"
        )
        return {
            uid: _Said(
                state == "held", tuple((one["rule"], one["severity"]) for one in json.loads(findings)), open_ones
            )
            for uid, state, findings, open_ones in rows
        }
    finally:
        spool.close()


# -- the platform ----------------------------------------------------------------------------------------------------------


def _stored(state: Path) -> Iterator[_Stored]:
    """Every instance whose file the index says is here."""
    yield from (
        _Stored(*row)
        for row in _asked(
            state,
            "SELECT i.institution, s.study_instance_uid, i.sop_instance_uid, lower(hex(i.sha256)), s.report_set_id FROM instance i"
            " JOIN study s ON s.id = i.study WHERE i.held = 1",
        )
    )


def _sets(state: Path) -> set[str]:
    """Documents of exam reports."""
    return {row[0] for row in _asked(state, "SELECT DISTINCT set_id FROM document WHERE kind = 'C0006' AND void = 0")}


def _asked(state: Path, sql: str) -> list[tuple[Any, ...]]:
    path = state / "index.sqlite"
    if not path.exists():
        return []
    index = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        index.set_busy_timeout(10_000)
        return list(index.execute(sql))
    finally:
        index.close()


def _differing(platform: Path, entry: Mapping[str, Any], here: Iterable[_Stored], row: Mapping[str, Any]) -> list[str]:
    """What of a study at the platform is not what lies in the PACS, with the patient that the RIS has."""
    found = {one.uid: one for one in here}
    wrong = {"instances"} if set(found) != set(entry["instances"]) else set()
    for uid, one in found.items():
        pixels = entry["instances"].get(uid)
        path = _path(platform, one)
        if not path.exists():
            wrong.add("file")
            continue
        content = path.read_bytes()
        if sha256(content).hexdigest() != one.sha256:
            wrong.add("bytes")
        wrong |= _said_otherwise(path, pixels, row)
    return sorted(wrong)


def _path(platform: Path, one: _Stored) -> Path:
    owner, folder = (sha256(name.encode()).hexdigest()[:32] for name in (one.institution, one.study))
    return platform / "images" / owner / folder[:2] / folder / f"{one.sha256}.dcm"


def _said_otherwise(path: Path, pixels: str | None, row: Mapping[str, Any]) -> set[str]:
    try:
        read = dcmread(path)
    except (InvalidDicomError, OSError):
        return {"unreadable"}
    wrong = set()
    if sha256(read.PixelData).hexdigest() != pixels:
        wrong.add("pixels")
    for name, said, wanted in (
        ("name", str(read.PatientName), plain(row["xm"])),
        ("patient", read.PatientID, row["brid"]),
        ("sex", read.PatientSex, row["xb"]),
        ("birth_date", read.PatientBirthDate, row["csrq"]),
        ("accession", read.AccessionNumber, row["fwh"]),
        ("institution", read.InstitutionName, "示范市第一人民医院"),
    ):
        if said != wanted:
            wrong.add(name)
    return wrong
