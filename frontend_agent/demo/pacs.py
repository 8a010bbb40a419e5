"""The demonstration hospital's PACS: a folder of studies, made of what the RIS says was examined; and what is wrong with some of them.

    write_pacs(folder) -> FOLDER/pacs/STUDY/SERIES-NUMBER.dcm, FOLDER/studies.json

Everything follows from the rows of the RIS: a study that is there already is not written again. studies.json says what lies there, file
by file, and what was planted; the agent never sees it.
"""

import json
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import EXPLICIT_LE

from .examinations import PROTOCOLS, Protocol, study_uid
from .hospital import HOSPITAL_NAME, RIS
from .phantoms import Picture, picture

PACS, STUDIES = "pacs", "studies.json"
STUDY_FAULT = 0.06
MOST = 1000  # studies: a demonstration does not fill a disk
CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
}  # fmt: skip
MACHINES = {  # manufacturer, station, what it writes as the hospital's name
    "CT": ("DEMO CT WORKS", "CT01", HOSPITAL_NAME),
    "MR": ("DEMO MR WORKS", "MR01", HOSPITAL_NAME),
    "DX": ("DEMO X-RAY WORKS", "DR02", HOSPITAL_NAME),
    "US": ("DEMO ULTRASOUND", "US03", "示范市一院"),  # set up by its vendor long ago
}
_PARTS = {
    "CHEST": ("51185008", "Chest"),
    "KNEE": ("72696002", "Knee"),
    "ANKLE": ("70258002", "Ankle joint"),
}  # SNOMED CT


@dataclass
class File:
    """One instance, as keywords; `pixels` beside them."""

    tags: dict[int, tuple[str, Any]]  # tag -> value representation, value
    charset: str = "GB18030"
    encoding: str = "gb18030"
    picture: Picture | None = None
    keep: float = 1.0  # of its bytes

    def __setitem__(self, tag: int, value: str) -> None:
        self.tags[tag] = (self.tags[tag][0], value)

    def __getitem__(self, tag: int) -> str:
        return str(self.tags[tag][1])

    def bytes(self) -> bytes:
        """The file as a modality writes it."""
        assert self.picture is not None
        tags = dict(self.tags)
        if self.charset:
            tags[CHARSET] = ("CS", self.charset)
        body = b"".join(_element(tag, vr, value, self.encoding) for tag, (vr, value) in sorted(tags.items()))
        wide = "OW" if self.picture.bits_allocated > 8 else "OB"
        body += _element(0x7FE00010, wide, self.picture.pixels, self.encoding)
        whole = meta(self[CLASS], self[INSTANCE], EXPLICIT_LE) + body
        return whole[: int(len(whole) * self.keep)]


CHARSET, IMAGE_TYPE, CLASS, INSTANCE, STUDY_DATE, ACCESSION, MODALITY, MAKER, INSTITUTION = (
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080050, 0x00080060, 0x00080070, 0x00080080,
)  # fmt: skip
NAME, PATIENT_ID, BIRTH_DATE, SEX, SERIES, NUMBER, INTERCEPT = (
    0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x0020000E, 0x00200013, 0x00281052,
)  # fmt: skip
SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE, SIDE = 0x00080021, 0x00080022, 0x00080023, 0x00200062
_LONG = frozenset(("OB", "OW", "SQ", "UN", "UT"))


def _element(tag: int, vr: str, value: Any, encoding: str) -> bytes:
    """PS3.5 §7.1.2, explicit VR little endian."""
    content = _content(vr, value, encoding)
    if len(content) % 2:
        content += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, len(content)) if vr in _LONG else struct.pack("<H", len(content))) + content


def _content(vr: str, value: Any, encoding: str) -> bytes:
    if vr == "SQ":
        items = [
            b"".join(_element(tag, kind, inner, encoding) for tag, (kind, inner) in sorted(item.items()))
            for item in value
        ]
        return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    if vr == "US":
        return struct.pack("<H", value)
    if vr == "SS":
        return struct.pack("<h", value)
    return value if isinstance(value, bytes) else str(value).encode(encoding)


# -- one study ---------------------------------------------------------------------------------------------------------


@dataclass
class Study:
    """One study as it lies in the PACS. `files`: path below the PACS, and the instance."""

    row: Mapping[str, Any]
    protocol: Protocol
    files: dict[str, File] = field(default_factory=dict)


def build_study(row: Mapping[str, Any]) -> Study:
    """The study of one examination, as it should be."""
    protocol = PROTOCOLS[row["jcxm"]]
    study = Study(row, protocol)
    variant = int(sha256(row["jch"].encode()).hexdigest(), 16) % 4
    for series, images in enumerate(protocol.series, start=1):
        for number in range(1, images + 1):
            at = (number - 0.5) / images if images > 1 else float(series > 1)
            if protocol.modality == "CT" and series == 1:
                at = 0.5  # the overview stands for where it begins
            study.files[f"{row['fwh']}/{series}-{number:03d}.dcm"] = _file(row, protocol, series, number, at, variant)
    return study


def _file(row: Mapping[str, Any], protocol: Protocol, series: int, number: int, at: float, variant: int) -> File:
    day, time = row["jcsj"][:8], row["jcsj"][8:]
    maker, station, hospital = MACHINES[protocol.modality]
    uid = row["jcuid"]
    tags: dict[int, tuple[str, Any]] = {
        IMAGE_TYPE: ("CS", "ORIGINAL\\PRIMARY\\AXIAL" if protocol.modality == "CT" else "ORIGINAL\\PRIMARY"),
        CLASS: ("UI", CLASSES[protocol.modality]), INSTANCE: ("UI", study_uid(row["jch"], series, number)),
        STUDY_DATE: ("DA", day), SERIES_DATE: ("DA", day), ACQUISITION_DATE: ("DA", day), CONTENT_DATE: ("DA", day),
        0x00080030: ("TM", time), 0x00080031: ("TM", time), 0x00080033: ("TM", time), ACCESSION: ("SH", row["fwh"]),
        MODALITY: ("CS", protocol.modality), MAKER: ("LO", maker), INSTITUTION: ("LO", hospital), 0x00080090: ("PN", ""),
        0x00081010: ("SH", station), 0x00081030: ("LO", protocol.name), 0x0008103E: ("LO", f"{protocol.method} {series}"),
        NAME: ("PN", row["xm"]), PATIENT_ID: ("LO", row["brid"]), BIRTH_DATE: ("DA", row["csrq"]), SEX: ("CS", row["xb"]),
        0x00101010: ("AS", f"{int(row['nl']):03d}Y" if row["nl"] else ""), 0x00180015: ("CS", protocol.part),
        0x0020000D: ("UI", uid), SERIES: ("UI", study_uid(row["jch"], series)), 0x00200010: ("SH", row["fwh"][-8:]),
        0x00200011: ("IS", series), NUMBER: ("IS", number),
    }  # fmt: skip
    drawn = picture(protocol.modality, protocol.part, at, variant)
    tags |= _of_pixels(drawn) | _of_class(row, protocol, number, drawn)
    return File(tags, picture=drawn)


def _of_pixels(drawn: Picture) -> dict[int, tuple[str, Any]]:
    return {
        0x00280002: ("US", 1), 0x00280004: ("CS", "MONOCHROME2"), 0x00280010: ("US", drawn.rows),
        0x00280011: ("US", drawn.columns), 0x00280100: ("US", drawn.bits_allocated), 0x00280101: ("US", drawn.bits_stored),
        0x00280102: ("US", drawn.bits_stored - 1), 0x00280103: ("US", 0),
        0x00281050: ("DS", drawn.window[0]), 0x00281051: ("DS", drawn.window[1]),
    }  # fmt: skip


def _of_class(row: Mapping[str, Any], protocol: Protocol, number: int, drawn: Picture) -> dict[int, tuple[str, Any]]:
    """What PS3.3 asks of each class besides."""
    spacing = f"{350 / drawn.columns:.4f}"
    scale = {INTERCEPT: ("DS", drawn.intercept), 0x00281053: ("DS", 1)}
    plane = {
        0x00180050: ("DS", 5), 0x00185100: ("CS", "HFS"), 0x00200032: ("DS", f"-175\\-175\\{-5 * number}"),
        0x00200037: ("DS", "1\\0\\0\\0\\1\\0"), 0x00200052: ("UI", study_uid(row["jch"], 0)), 0x00201040: ("LO", ""),
        0x00280030: ("DS", f"{spacing}\\{spacing}"),
    }  # fmt: skip
    match protocol.modality:
        case "CT":
            return plane | scale | {0x00180060: ("DS", 120), 0x00200012: ("IS", 1), 0x00281054: ("LO", "HU")}
        case "MR":
            return plane | {
                0x00180020: ("CS", "SE"), 0x00180021: ("CS", "SK"), 0x00180022: ("CS", ""), 0x00180023: ("CS", "2D"),
                0x00180080: ("DS", 560), 0x00180081: ("DS", 12), 0x00180091: ("IS", 1),
            }  # fmt: skip
        case "DX":
            code, meaning = _PARTS[protocol.part]
            anatomy = {0x00080100: ("SH", code), 0x00080102: ("SH", "SCT"), 0x00080104: ("LO", meaning)}
            return scale | {
                0x00080068: ("CS", "FOR PRESENTATION"), 0x00082218: ("SQ", [anatomy]), 0x00181164: ("DS", f"{spacing}\\{spacing}"),
                0x00187004: ("CS", "DIRECT"), SIDE: ("CS", row["fx"] or "U"), 0x00280301: ("CS", "NO"),
                0x00281040: ("CS", "LIN"), 0x00281041: ("SS", -1), 0x00281054: ("LO", "US"), 0x00282110: ("CS", "00"),
                0x00400555: ("SQ", []), 0x20500020: ("CS", "IDENTITY"),
            }  # fmt: skip
        case _:
            return {}


# -- what is wrong with some ---------------------------------------------------------------------------------------------


class StudyFault(NamedTuple):
    """One fault of a study, its order or its report's row. `hold`: it must not leave."""

    name: str
    apply: Callable[[Study], None]
    hold: bool = True
    fits: Callable[[Study], bool] = lambda study: True


def _relabelled(charset: str) -> Callable[[Study], None]:
    """GBK bytes, and another set's name over them, or none."""

    def apply(study: Study) -> None:
        for file in study.files.values():
            file.charset, file.encoding = charset, "gbk"

    return apply


def _in_gbk(study: Study) -> bool:
    name = study.row["xm"]
    try:
        return not name.isascii() and 2 <= len(name) <= 4 and bool(name.encode("gbk"))
    except UnicodeEncodeError:
        return False


def _each(tag: int, value: str) -> Callable[[Study], None]:
    def apply(study: Study) -> None:
        for file in study.files.values():
            file[tag] = value

    return apply


def _series_missing(study: Study) -> None:
    last = max(
        file[SERIES] for file in study.files.values() if file[SERIES] != next(iter(study.files.values()))[SERIES]
    )
    study.files = {path: file for path, file in study.files.items() if file[SERIES] != last}


def _two_patients(study: Study) -> None:
    """The next one lay down before the machine was told."""
    file = list(study.files.values())[-1]
    file[PATIENT_ID], file[NAME], file[BIRTH_DATE] = "BR" + study.row["brid"][::-1][:11], "钱样本", "19550505"


def _wrong_sex(study: Study) -> None:
    _each(SEX, "F" if study.row["xb"] == "M" else "M")(study)


def _other_patient(study: Study) -> None:
    """The wrong line of the worklist was chosen."""
    for file in study.files.values():
        file[PATIENT_ID], file[NAME], file[BIRTH_DATE] = "BR" + study.row["brid"][::-1][:11], "孙样本", "19481231"


def _uid_twice(study: Study) -> None:
    path, file = list(study.files.items())[-1]
    drawn = file.picture
    assert drawn is not None
    study.files[path.replace(".dcm", "-2.dcm")] = replace(
        file, tags=dict(file.tags), picture=drawn._replace(pixels=bytes(reversed(drawn.pixels)))
    )


def _cut_off(study: Study) -> None:
    list(study.files.values())[-1].keep = 0.6


def _wrong_side(study: Study) -> None:
    _each(SIDE, "L")(study)


def _no_order(study: Study) -> None:
    """Done at night without a request: nobody has entered it since."""
    stranger = study_uid(study.row["jch"], 99)
    for file in study.files.values():
        file.tags[0x0020000D] = ("UI", stranger)
        file[ACCESSION] = "N" + study.row["fwh"][-9:]


def _no_scale(study: Study) -> None:
    for file in study.files.values():
        del file.tags[INTERCEPT]


FAULTS: tuple[StudyFault, ...] = (
    StudyFault("gbk_as_latin1", _relabelled("ISO_IR 100"), hold=False, fits=_in_gbk),
    StudyFault("series_missing", _series_missing, fits=lambda study: len(study.protocol.series) > 1),
    StudyFault("two_patients", _two_patients, fits=lambda study: len(study.files) > 1),
    StudyFault("wrong_sex", _wrong_sex, fits=lambda study: study.row["xb"] in ("M", "F")),
    StudyFault("uid_twice", _uid_twice),
    # Beside others: a file that cannot be read to its end is waited for, so that a study of nothing else has not come yet.
    StudyFault("cut_off", _cut_off, fits=lambda study: len(study.files) > 1),
    StudyFault("other_patient", _other_patient),
    StudyFault("no_character_set", _relabelled(""), hold=False, fits=_in_gbk),
    StudyFault("no_order", _no_order),
    StudyFault("wrong_side", _wrong_side, fits=lambda study: study.protocol.part == "ANKLE"),
    StudyFault("study_in_the_future", _each(STUDY_DATE, "20991231"), hold=False),
    StudyFault("no_rescale", _no_scale, hold=False, fits=lambda study: study.protocol.modality in ("CT", "DX")),
)


# -- all of them ---------------------------------------------------------------------------------------------------------


def write_pacs(folder: Path, share: float = STUDY_FAULT) -> list[dict[str, Any]]:
    """Studies that are not there yet. What lies there, as studies.json has it. `share`: of them that are faulty."""
    path = folder / STUDIES
    known: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    made = {entry["accession"] for entry in known}
    planted = Counter(entry["fault"] for entry in known)
    every = max(1, round(1 / share))
    for row in _examined(folder)[:MOST]:
        if row["fwh"] in made:
            continue
        study = build_study(row)
        fault = _next_fault(study, planted) if len(known) % every == 2 % every else None
        if fault is not None:
            fault.apply(study)
            planted[fault.name] += 1
        known.append(
            {
                "accession": row["fwh"], "exam": row["jch"], "fault": fault.name if fault else "",
                "hold": bool(fault and fault.hold), **_written(folder / PACS, study),
            }
        )  # fmt: skip
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in known)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return known


def _next_fault(study: Study, planted: Mapping[str, int]) -> StudyFault:
    """Of those that a study can have the one that was planted least: few are made, and all kinds are to be seen."""
    return min((one for one in FAULTS if one.fits(study)), key=lambda one: planted[one.name])


def _examined(folder: Path) -> list[dict[str, Any]]:
    """Rows of the RIS in the order in which they were examined."""
    with closing(sqlite3.connect(folder / RIS)) as ris:
        ris.row_factory = sqlite3.Row
        return [dict(row) for row in ris.execute("SELECT * FROM ris_jc WHERE zfbz = '0' ORDER BY jcsj, jch")]


def _written(pacs: Path, study: Study) -> dict[str, Any]:
    """Write the files. What of a study can be told again: its UID, and of each instance its UID and the SHA-256 of its pixels."""
    instances: dict[str, str] = {}
    files = 0
    for name, file in study.files.items():
        path = pacs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.bytes())
        assert file.picture is not None
        instances.setdefault(file[INSTANCE], sha256(file.picture.pixels).hexdigest())
        files += 1
    first = next(iter(study.files.values()))
    return {"study": first[0x0020000D], "files": files, "instances": instances}
