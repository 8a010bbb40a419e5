"""What a STOW-RS answer says of each instance (PS3.18 §10.5.3, annex I.2), in DICOM JSON or native XML; and UIDs of a QIDO-RS answer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from connectors.outlets.http import Answer
from frontend_agent.dicom.statuses import Said, named, said_of_storing
from frontend_agent.formats.errors import FormatError
from frontend_agent.formats.xml import parse

JSON, XML = "application/dicom+json", "application/dicom+xml"
REFERENCED, FAILED, OTHER_FAILURES = "00081199", "00081198", "0008119A"
SOP_INSTANCE_UID, REFERENCED_SOP_INSTANCE_UID = "00080018", "00081155"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"

Element = Mapping[str, Any]  # of DICOM JSON: {"vr": …, "Value": […]}
DataSet = Mapping[str, Element]


class Told(msgspec.Struct, frozen=True):
    """What became of one instance."""

    said: Said
    reason: str = ""


class Stored(msgspec.Struct, frozen=True):
    """An answer to STOW-RS. `is_said`: it has sequences that speak of instances."""

    told: Mapping[str, Told]  # by SOP Instance UID
    unnamed: tuple[Told, ...]  # failures that name no instance
    top: DataSet  # its other elements
    is_said: bool


class AnswerUnreadable(ValueError):
    """The body is no DICOM JSON and no native DICOM model. Says what it is instead, and quotes nothing."""


def read_stored(answer: Answer, reasons: str = "") -> Stored:
    """What the answer says. `reasons`: the tag of a private element in which our own platform says why, line by line."""
    data_set = read_data_sets(answer)[0] if answer.body.strip() else {}
    told: dict[str, Told] = {}
    unnamed = []
    for item in _items(data_set, REFERENCED):
        warning = _number(item, _WARNING_REASON)
        uid = _text(item, REFERENCED_SOP_INSTANCE_UID)
        if uid:
            told[uid] = Told(Said.STORED, f"stored, with the warning {named(warning)}" if warning else "")
    for item in (*_items(data_set, FAILED), *_items(data_set, OTHER_FAILURES)):
        status = _number(item, _FAILURE_REASON)
        failure = Told(said_of_storing(status), _text(item, reasons) or f"the answer says {named(status)}")
        uid = _text(item, REFERENCED_SOP_INSTANCE_UID)
        if uid:
            told[uid] = failure
        else:
            unnamed.append(failure)
    return Stored(told, tuple(unnamed), data_set, bool(told or unnamed))


def read_data_sets(answer: Answer) -> list[DataSet]:
    """The data sets of an answer, at least one. AnswerUnreadable."""
    body = answer.body.lstrip()
    if body[:1] in (b"{", b"["):
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AnswerUnreadable("its answer is no JSON to the end") from error
        found = found if isinstance(found, list) else [found]
        if not all(isinstance(one, dict) and all(isinstance(e, dict) for e in one.values()) for one in found):
            raise AnswerUnreadable("its answer is JSON, and no DICOM JSON")
        return found or [{}]
    if body[:1] == b"<" and answer.media_type in (XML, "application/xml", "text/xml"):
        try:
            root = parse(answer.body)
        except FormatError as error:
            raise AnswerUnreadable("its answer is no XML to the end") from error
        if _local(root) != "NativeDicomModel":
            raise AnswerUnreadable("its answer is XML, and no native DICOM model")
        return [_from_xml(root)]
    raise AnswerUnreadable(f"its answer is {answer.media_type or 'of no type'}, and no DICOM JSON")


def read_uids(answer: Answer, tag: str = SOP_INSTANCE_UID) -> list[str]:
    """The value of one element in each of the data sets."""
    return [uid for one in read_data_sets(answer) if (uid := _text(one, tag))] if answer.body.strip() else []


def text(data_set: DataSet, tag: str) -> str:
    """The first value of an element; "" where there is none."""
    return _text(data_set, tag)


def _values(data_set: DataSet, tag: str) -> list[Any]:
    found = data_set.get(tag, {}).get("Value", [])
    return found if isinstance(found, list) else []


def _items(data_set: DataSet, tag: str) -> Iterator[DataSet]:
    for item in _values(data_set, tag):
        if isinstance(item, dict) and all(isinstance(element, dict) for element in item.values()):
            yield item


def _text(data_set: DataSet, tag: str) -> str:
    values = _values(data_set, tag)
    return values[0].strip("\0 ") if values and isinstance(values[0], str) else ""


def _number(data_set: DataSet, tag: str) -> int | None:
    """US; some write it as a text."""
    values = _values(data_set, tag)
    if not values:
        return None
    try:
        return int(values[0])
    except (TypeError, ValueError):
        return None


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _from_xml(element: Any) -> DataSet:
    """The same shape as DICOM JSON, of a native DICOM model (PS3.19 annex A) or one of its items."""
    return {
        str(one.get("tag", "")).upper(): {"vr": one.get("vr", ""), "Value": list(_xml_values(one))}
        for one in element
        if _local(one) == "DicomAttribute"
    }


def _xml_values(attribute: Iterable[Any]) -> Iterator[Any]:
    for one in attribute:
        if _local(one) == "Item":
            yield _from_xml(one)
        elif _local(one) == "Value":
            yield one.text or ""
