"""What a Key Object Selection says (PS3.3 A.35.4): which images somebody chose, and why. Read in the confined child: it is a
stranger's nested sequences (threat D5). Importing this loads nothing; reading loads pydicom."""

from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

if TYPE_CHECKING:
    from pydicom import Dataset

KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.59"  # Key Object Selection Document Storage
MANIFEST = "113030"  # DCM: what a manifest (XDS-I) has for a title; it chooses nothing
_DESCRIPTION = "113012"  # DCM: Key Object Description
MOST_IMAGES = 1000


class KeyImage(msgspec.Struct, frozen=True):
    """One image that was chosen, and its frames where not all are meant."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()


class KeyNote(msgspec.Struct, frozen=True):
    """`code` of its title by DCM (CID 7010), `title` as it words it, `text` in free words."""

    code: str
    title: str
    text: str
    images: tuple[KeyImage, ...]


def read_note(file: BinaryIO) -> KeyNote:
    """The note of a key object's file."""
    from pydicom import dcmread

    whole = dcmread(file)
    title = _first(whole, "ConceptNameCodeSequence")
    where = _evidence(whole)
    texts: list[str] = []
    images: list[KeyImage] = []
    for item in whole.get("ContentSequence") or []:
        name = _first(item, "ConceptNameCodeSequence")
        if item.get("ValueType") == "TEXT" and _text(name, "CodeValue") == _DESCRIPTION:
            texts.append(_text(item, "TextValue"))
        elif item.get("ValueType") in ("IMAGE", "COMPOSITE", "WAVEFORM") and len(images) < MOST_IMAGES:
            referenced = _first(item, "ReferencedSOPSequence")
            uid = _text(referenced, "ReferencedSOPInstanceUID")
            images.append(KeyImage(*where.get(uid, ("", "")), uid, _frames(referenced)))
    return KeyNote(
        _text(title, "CodeValue"), _text(title, "CodeMeaning"), "\n".join(filter(None, texts)), tuple(images)
    )


def _evidence(whole: "Dataset") -> dict[str, tuple[str, str]]:
    """SOP Instance UID -> study and series (PS3.3 C.17.2.3)."""
    found = {}
    for study in whole.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.get("ReferencedSeriesSequence") or []:
            for instance in series.get("ReferencedSOPSequence") or []:
                where = (_text(study, "StudyInstanceUID"), _text(series, "SeriesInstanceUID"))
                found[_text(instance, "ReferencedSOPInstanceUID")] = where
    return found


def _first(item: "Dataset | None", sequence: str) -> "Dataset | None":
    return next(iter(item.get(sequence) or []), None) if item is not None else None


def _text(item: "Dataset | None", keyword: str) -> str:
    return str(item.get(keyword) or "").strip() if item is not None else ""


def _frames(referenced: "Dataset | None") -> tuple[int, ...]:
    value: Any = referenced.get("ReferencedFrameNumber") if referenced is not None else None
    if value is None or value == "":
        return ()
    return tuple(int(one) for one in (value if isinstance(value, list) or hasattr(value, "append") else [value]))
