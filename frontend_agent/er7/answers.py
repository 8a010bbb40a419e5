"""The answers of HL7 v2: acknowledgements with all reasons, in the sender's own delimiters, version and character set.

Original mode: one answer, AA, AE or AR. Enhanced mode (MSH-15 or MSH-16 is filled): CA, CE or CR says that the message is kept, and
if MSH-16 wants it AA, AE or AR says later what became of it; AL always, NE never, ER only what failed, SU only what succeeded.

    accepted   AA CA   it is kept
    failed     AE CE   an error in it or with us: sending it again may help
    refused    AR CR   of a kind, version or mode that is not taken: sending it again does not help
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from frontend_agent.er7.charset import codec_of, header_text
from frontend_agent.er7.errors import MessageUnreadable
from frontend_agent.er7.reader import Message, delimiters_of, read
from frontend_agent.er7.text import Delimiters, escape

LONGEST_TEXT = 1_000  # characters of MSA-3


class Said(StrEnum):
    ACCEPTED = "A"
    FAILED = "E"
    REFUSED = "R"


class Stage(StrEnum):
    ACCEPT = "C"  # enhanced mode: kept
    APPLICATION = "A"  # original mode; in enhanced mode what became of it


class Condition(StrEnum):
    """HL7 table 0357: what is wrong, for ERR-3."""

    SEGMENT_SEQUENCE = "100"
    REQUIRED_MISSING = "101"
    DATA_TYPE = "102"
    VALUE_NOT_FOUND = "103"
    UNSUPPORTED_TYPE = "200"
    UNSUPPORTED_EVENT = "201"
    UNSUPPORTED_PROCESSING = "202"
    UNSUPPORTED_VERSION = "203"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    RECORD_LOCKED = "206"
    INTERNAL_ERROR = "207"


_TEXTS = {
    Condition.SEGMENT_SEQUENCE: "Segment sequence error",
    Condition.REQUIRED_MISSING: "Required field missing",
    Condition.DATA_TYPE: "Data type error",
    Condition.VALUE_NOT_FOUND: "Table value not found",
    Condition.UNSUPPORTED_TYPE: "Unsupported message type",
    Condition.UNSUPPORTED_EVENT: "Unsupported event code",
    Condition.UNSUPPORTED_PROCESSING: "Unsupported processing id",
    Condition.UNSUPPORTED_VERSION: "Unsupported version id",
    Condition.UNKNOWN_KEY: "Unknown key identifier",
    Condition.DUPLICATE_KEY: "Duplicate key identifier",
    Condition.RECORD_LOCKED: "Application record locked",
    Condition.INTERNAL_ERROR: "Application internal error",
}


class Reason(msgspec.Struct, frozen=True):
    """One thing that is wrong. `segment`, its number among its kind, and `field` (0: none) say where; `text` quotes no value."""

    text: str
    condition: Condition = Condition.INTERNAL_ERROR
    segment: str = ""
    sequence: int = 1
    field: int = 0


class Header(msgspec.Struct, frozen=True):
    """MSH as it is written: what an answer needs, of a message that perhaps nobody can read."""

    delimiters: Delimiters
    fields: tuple[str, ...]  # by number; 0 is the name
    charset: str  # Python's name of the set in which the answer is written

    def raw(self, number: int) -> str:
        return self.fields[number] if number < len(self.fields) else ""

    @property
    def control_id(self) -> str:
        return self.raw(10)

    @property
    def is_enhanced(self) -> bool:
        return bool(self.raw(15).strip() or self.raw(16).strip())

    @property
    def version(self) -> tuple[int, int]:
        """(2, 5) for 2.5.1; (2, 3) for what is not said."""
        said = self.raw(12).split(self.delimiters.component or "\0")[0].strip().split(".")
        if len(said) < 2 or not (said[0].isdecimal() and said[1].isdecimal()):
            return 2, 3
        return int(said[0][:3]), int(said[1][:3])


def header_of(content: bytes, charset: str = "") -> Header:
    """The header of a message, also of one that is broken, too long, or in nobody's character set: it is refused by its name.

    `charset` is what decode() found. MessageUnreadable for what has no MSH: there is nobody to answer.
    """
    line, read_in = header_text(content)
    delimiters, _ = delimiters_of(line)
    shown = line.split(delimiters.field)
    fields = (shown[0], delimiters.field, *shown[1:])
    said = fields[18] if len(fields) > 18 else ""
    named = codec_of(said.split(delimiters.repetition)[0] if delimiters.repetition else said)
    if not line.isascii():  # MSH itself must go back as it came
        return Header(delimiters, fields, read_in)
    known = "" if charset.startswith("iso2022") else charset.replace("ascii", "")
    return Header(delimiters, fields, known or named or "ascii")


def is_wanted(header: Header, said: Said, stage: Stage) -> bool:
    """Whether the sender wants this answer."""
    if not header.is_enhanced:
        return stage is Stage.APPLICATION
    condition = header.raw(15 if stage is Stage.ACCEPT else 16).strip().upper()
    if not condition:  # one of the two is filled: HL7 reads the other as never
        return False
    return {"NE": False, "ER": said is not Said.ACCEPTED, "SU": said is Said.ACCEPTED}.get(condition, True)


def first_stage(header: Header) -> Stage:
    """What is answered once the message is kept, on the same connection."""
    return Stage.ACCEPT if header.is_enhanced else Stage.APPLICATION


def answer(
    header: Header, said: Said, stage: Stage, *, control_id: str, now: str, reasons: Sequence[Reason] = ()
) -> bytes | None:
    """The answer, without framing; None where the sender wants none. `now` has 14 digits, `control_id` is the answer's own MSH-10."""
    if not is_wanted(header, said, stage):
        return None
    d, version, raw = header.delimiters, header.version, header.raw
    component = d.component or " "
    event = raw(9).split(d.component)[1:2] if d.component else []
    kind = component.join(["ACK", *event, *(["ACK"] if event and version >= (2, 4) else [])])
    msh = ["MSH", raw(2), raw(5), raw(6), raw(3), raw(4), now, "", kind, control_id, raw(11), raw(12)]
    if raw(18):
        msh += ["", "", "", "", "", raw(18)]
    code = stage.value + said.value
    in_err = version >= (2, 5)
    text = "" if in_err else as_text("; ".join(reason.text for reason in reasons)[:LONGEST_TEXT], d)
    msa = ["MSA", code, header.control_id, *([text] if text else [])]
    lines = [d.field.join(msh), d.field.join(msa)]
    if in_err:
        lines += [_err(reason, said, d) for reason in reasons]
    return _encoded("\r".join(lines) + "\r", header)


def _err(reason: Reason, said: Said, d: Delimiters) -> str:
    """ERR-2 where, ERR-3 what (table 0357), ERR-4 how bad, ERR-8 in words for a person."""
    component = d.component or " "
    place = [reason.segment, str(reason.sequence), str(reason.field)] if reason.field else [reason.segment, "1"]
    where = component.join(place) if reason.segment else ""
    what = component.join([reason.condition.value, _TEXTS[reason.condition], "HL70357"])
    severity = "W" if said is Said.ACCEPTED else "E"
    return d.field.join(["ERR", "", where, what, severity, "", "", "", as_text(reason.text, d)])


def as_text(text: str, d: Delimiters) -> str:
    """Words of ours as a value. A sender without an escape character gets a blank for what is a delimiter to him."""
    return escape(text, d) if d.escape else "".join(" " if one in d else one for one in text)


def _encoded(text: str, header: Header) -> bytes:
    """In the sender's set; what that does not have is written as hexadecimal UTF-8, which HL7 can carry and nobody takes for text."""
    try:
        return text.encode(header.charset, "surrogateescape")
    except UnicodeEncodeError:
        pass
    made = bytearray()
    for character in text:
        try:
            made += character.encode(header.charset, "surrogateescape")
        except UnicodeEncodeError:
            mark = header.delimiters.escape
            made += f"{mark}X{character.encode().hex().upper()}{mark}".encode() if mark else b""
    return bytes(made)


class Answer(msgspec.Struct, frozen=True):
    """What somebody answered to a message of ours."""

    said: Said
    stage: Stage
    control_id: str  # of our message
    reasons: tuple[str, ...]


def read_answer(text: str) -> Answer:
    """Read an acknowledgement: MSA, and all that ERR says in whichever version. MessageUnreadable for what is none."""
    message = read(text)
    code = message.value("MSA-1").strip().upper()
    if len(code) != 2 or code[0] not in "AC" or code[1] not in "AER":
        raise MessageUnreadable("no acknowledgement: MSA-1 is none of AA, AE, AR, CA, CE, CR")
    return Answer(Said(code[1]), Stage(code[0]), message.value("MSA-2"), tuple(_reasons(message)))


def _reasons(message: Message) -> list[str]:
    found = message.values("MSA-3")
    for error in message.find("ERR"):
        scope = message.whole._replace(segments=[error])
        texts = [
            message.value(path, scope) for path in ("ERR-8", "ERR-7", "ERR-3.2", "ERR-3.1", "ERR-1.4.2", "ERR-1.4")
        ]
        where = message.value("ERR-2", scope)
        text = next(filter(None, texts), "")
        found.append(f"{where}: {text}" if where and text else text or where)
    return [one for one in dict.fromkeys(found) if one]
