"""A record as an HL7 v2.5.1 message: pure, deterministic, and never a value that the record does not have (law 3)."""

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from frontend_agent.formats.errors import UnrenderableText
from frontend_agent.formats.hl7v2.declare import COUNTER, ROW, Declaration, Part, Segment, messages_of, tables
from frontend_agent.model import Envelope, Record

VERSION = "2.5.1"
# MSH-18 (HL7 table 0211) and how Python writes it.
CHARACTER_SETS = {"UNICODE UTF-8": "utf-8", "GB 18030-2000": "gb18030"}
_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": "", "\n": "\\.br\\"}
)


class Settings(msgspec.Struct, frozen=True):
    """What a region wants to see in MSH."""

    sending_application: str = "FRONTEND-AGENT"
    receiving_application: str = "REGION"
    receiving_facility: str = ""
    processing: str = "P"  # P production, T training, D debugging
    character_set: str = "UNICODE UTF-8"
    accept: str = "AL"  # MSH-15 and MSH-16: which answers are wanted; both empty: the one of original mode
    application: str = "NE"


class Message(msgspec.Struct, frozen=True):
    """One message, ready to be sent: `content` ends each segment with a carriage return."""

    name: str  # ORU_R01
    message: str  # MSH-9
    control_id: str  # MSH-10: the same for the same document version and message
    content: bytes

    @property
    def structure(self) -> str:
        """MSH-9.3: ADT_A01 for an A04."""
        return self.message.split("^")[2]

    def text(self, character_set: str = "UNICODE UTF-8") -> str:
        return self.content.decode(CHARACTER_SETS[character_set])


def build_all(kind: str, record: Record, envelope: Envelope, settings: Settings | None = None) -> list[Message]:
    """Every message that this record gives; none for a kind that has none declared."""
    made = []
    for one in messages_of(kind):
        kept = _only(one, record)
        if one.version in ("", _age(envelope)) and (not one.when or _value(kept, None, one.when)):
            made.append(build(one, kept, envelope, settings or Settings()))
    return made


def _only(declaration: Declaration, record: Record) -> Record:
    kept = record
    for field, values in declaration.only.items():
        group, _, key = field.partition(".")
        kept = {
            **kept,
            group: [
                {COUNTER: str(at), **row} for at, row in enumerate(kept.get(group, ()), 1) if row.get(key) in values
            ],
        }
    return kept


def _age(envelope: Envelope) -> str:
    return "changed" if envelope.version > 1 else "new"


def build(declaration: Declaration, record: Record, envelope: Envelope, settings: Settings) -> Message:
    """The message of one declaration. UnrenderableText for a value that HL7 cannot carry."""
    named = sha256(f"{envelope.document_id} {declaration.name}".encode()).digest()
    control_id = base64.b32encode(named).decode()[:20]  # MSH-10 holds 20 characters
    said: dict[str, Any] = {
        **record,
        "message.control_id": control_id,
        "message.type": declaration.message,
        "message.sending_application": settings.sending_application,
        "message.receiving_application": settings.receiving_application,
        "message.receiving_facility": settings.receiving_facility,
        "message.processing": settings.processing,
        "message.character_set": settings.character_set,
        "message.accept": settings.accept,
        "message.application": settings.application,
        "envelope.document_id": envelope.document_id,
        "envelope.set_id": envelope.set_id,
        "envelope.version": str(envelope.version),
        "envelope.effective_time": envelope.effective_time,
    }
    lines: list[str] = []
    for segment in declaration.segments:
        _write(segment, said, None, 0, lines)
    text = "\r".join(lines) + "\r"
    return Message(
        declaration.name, declaration.message, control_id, text.encode(CHARACTER_SETS[settings.character_set])
    )


def _write(
    segment: Segment, record: Mapping[str, Any], row: Mapping[str, str] | None, number: int, lines: list[str]
) -> None:
    if segment.each:
        inside = Segment(
            name=segment.name, slots=segment.slots, when=segment.when, unless=segment.unless, segments=segment.segments
        )
        for at, one in enumerate(record.get(segment.each, ()), 1):
            _write(inside, record, one, int(one.get(COUNTER, at)), lines)  # a number stays a row's own in every message
        return
    if segment.when and not _value(record, row, segment.when):
        return
    if segment.unless and _value(record, row, segment.unless):
        return
    if segment.name:
        lines.append(_segment(segment, record, row, number))
    for inner in segment.segments:
        _write(inner, record, row, number, lines)


def _segment(segment: Segment, record: Mapping[str, Any], row: Mapping[str, str] | None, number: int) -> str:
    fields: dict[int, str] = {}
    for slot in segment.slots:
        repeats = [_repeat(parts, record, row, number) for parts in slot.repeats]
        fields[slot.number] = "~".join(repeat for repeat in repeats if repeat)
    if segment.name == "MSH":  # MSH-1 is the separator itself, MSH-2 the other delimiters
        first, shown = 3, "MSH|^~\\&"
    else:
        first, shown = 1, segment.name
    last = max((place for place, value in fields.items() if value), default=first - 1)
    return shown + "".join("|" + fields.get(place, "") for place in range(first, last + 1))


def _repeat(parts: tuple[Part, ...], record: Mapping[str, Any], row: Mapping[str, str] | None, number: int) -> str:
    """Empty, if it has placeholders and none of them has a value: a coding system without its code says nothing."""
    written, asked, found = [], False, False
    for part in parts:
        if not part.field:
            written.append(part.text)
        elif part.field == COUNTER:
            written.append(str(number))
        else:
            asked = True
            value = _value(record, row, part.field)
            if part.table and value:
                value = tables()[part.table].get(value, tables()[part.table].get("*", ""))
            found = found or bool(value)
            # What the message says of itself is written as it is: MSH-9 has components.
            written.append(value if part.field == "message.type" else _escaped(value, part.field))
    return "".join(written).rstrip("^&") if found or not asked else ""


def _value(record: Mapping[str, Any], row: Mapping[str, str] | None, field: str) -> str:
    if field.startswith(ROW):
        return (row or {}).get(field.removeprefix(ROW), "")
    value = record.get(field, "")
    return "1" if isinstance(value, list) and value else value if isinstance(value, str) else ""


def _escaped(value: str, field: str) -> str:
    if any(ord(character) < 32 and character not in "\r\n\t" for character in value):
        raise UnrenderableText(field)
    return value.translate(_ESCAPES)
