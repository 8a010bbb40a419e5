"""What a frame holds, and what is said to it: bytes in, answers out. No socket, no clock, no thread.

    open_frame(content, judge) -> Frame     its messages, each with why it cannot be read
    answers_to(frame, verdicts, now)        what goes back, without framing: nothing, one, or two (enhanced mode)

What an acknowledgement means here: the message is on our disk. In enhanced mode that is the accept acknowledgement (MSH-15), and
the application's (MSH-16) follows at once where the sender wants it: what becomes of a record later (a finding, a code that is
missing) is for people of the hospital, never a reason to send the same bytes again.

    kept, or there already      AA  CA
    cannot be read              AE  CE   kept for a person, all reasons
    nothing can be kept now     AE  CE   nothing was kept: come again
    same id, other bytes        AR  CR   kept for a person
    wanted by no feed           AR  CR   where the inlet says so
    too large                   AR  CR   nothing was kept

A batch (FHS, BHS) is answered as one, with an acknowledgement for every message in it (HL7 v2.5.1, 2.10.3).
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from connectors.arrivals import Judge, Kept
from frontend_agent.er7 import (
    USUAL,
    Condition,
    Header,
    MessageUnreadable,
    Reason,
    Said,
    Stage,
    answer,
    as_text,
    header_of,
    split_batch,
)

_HEADERLESS = Header(USUAL, ("MSH", "|", "^~\\&", *[""] * 8, "P", "2.5.1"), "ascii")
_ANSWERS = frozenset({"ACK", "MCF"})
_BLANK = b"\xef\xbb\xbf \t\r\n\0"
_BATCHES = (b"FHS", b"BHS")


class Verdict(msgspec.Struct, frozen=True):
    """What is said to one message."""

    said: Said
    reasons: tuple[Reason, ...] = ()


ACCEPTED = Verdict(Said.ACCEPTED)
FULL = Verdict(Said.FAILED, (Reason("nothing can be kept at present, and this was not: send it again later"),))
BROKEN = Verdict(Said.FAILED, (Reason("it could not be kept: send it again later"),))
CONFLICT = Reason(
    "a message with this control id came before, with another content", Condition.DUPLICATE_KEY, "MSH", 1, 10
)
UNWANTED = Reason("a message of a kind that is not taken here", Condition.UNSUPPORTED_TYPE, "MSH", 1, 9)


class Part(msgspec.Struct, frozen=True):
    """One message of a frame."""

    body: bytes
    header: Header
    unreadable: tuple[str, ...] = ()

    @property
    def control_id(self) -> str:
        """MSH-10 with MSH-3 and MSH-4 before it: `LIS|HOSP|4711`. Applications count by themselves, and their numbers meet."""
        own = self.header.control_id.strip()
        return "|".join(filter(None, (self.header.raw(3).strip(), self.header.raw(4).strip(), own))) if own else ""

    @property
    def about(self) -> str:
        """`ORU^R01`"""
        component = self.header.delimiters.component
        kind = self.header.raw(9).strip()
        return "^".join(kind.split(component)[:2]) if component else kind

    @property
    def is_answer(self) -> bool:
        """An acknowledgement of one of ours is not acknowledged: that would never end."""
        return self.about.partition("^")[0] in _ANSWERS

    def verdict(self, kept: Kept) -> Verdict:
        reasons = tuple(Reason(text, Condition.DATA_TYPE) for text in self.unreadable)
        if kept is Kept.CONFLICT:
            return Verdict(Said.REFUSED, (CONFLICT, *reasons))
        if kept is Kept.UNWANTED:
            return Verdict(Said.REFUSED, (UNWANTED, *reasons))
        return Verdict(Said.FAILED, reasons) if reasons else ACCEPTED


class Frame(msgspec.Struct, frozen=True):
    """What one frame holds. `around` is the header line of a batch, as it was read."""

    parts: tuple[Part, ...]
    around: Header | None = None
    is_file: bool = False  # FHS stands around it, not BHS alone
    problems: tuple[str, ...] = ()


def open_frame(content: bytes, judge: Judge) -> Frame:
    """The messages of a frame. One that holds none at all is a message that nobody can read."""
    begin = content[:3] if content[:3] in (b"MSH", *_BATCHES) else content.lstrip(_BLANK)[:3]
    if begin not in _BATCHES:
        return Frame((_part(content, judge),))
    batch = split_batch(content)
    around = _batch_header(content)
    if around is None or not batch.messages:
        return Frame((Part(content, _HEADERLESS, ("a batch without a message", *batch.problems)),), around)
    return Frame(tuple(_part(one, judge) for one in batch.messages), around, begin == b"FHS", batch.problems)


def stumbled(content: bytes, error: Exception) -> Frame:
    """A frame that our own reader failed on: kept for a person as what nobody could read."""
    return Frame((Part(content, _HEADERLESS, (f"our reader failed on it ({type(error).__name__})",)),))


def _part(content: bytes, judge: Judge) -> Part:
    try:
        header = header_of(content)
    except MessageUnreadable as error:
        return Part(content, _HEADERLESS, tuple(dict.fromkeys((*error.reasons, *judge(content)))))
    return Part(content, header, tuple(judge(content)))


def _batch_header(content: bytes) -> Header | None:
    """FHS or BHS read as MSH is: their first twelve fields say the same (HL7 v2.5.1, 2.15.4 and 2.15.2)."""
    body = content.lstrip(_BLANK)
    try:
        return header_of(b"MSH" + body[3:])
    except MessageUnreadable:
        return None


def answers_to(frame: Frame, verdicts: Sequence[Verdict], now: str) -> list[bytes]:
    """What goes back, each to be framed by itself. `now` has 14 digits."""
    said = [
        _acknowledgements(part.header, verdict, part.body, now)
        for part, verdict in zip(frame.parts, verdicts, strict=True)
    ]
    if frame.around is None:
        return said[0] if said else []
    return [_batch(frame, said, now)]


def too_large(head: bytes, most: int, now: str) -> list[bytes]:
    """To a message of which only the beginning was kept."""
    verdict = Verdict(Said.REFUSED, (Reason(f"larger than {most} bytes, which is the most that is taken here"),))
    try:
        header = header_of(head)
    except MessageUnreadable:
        header = _HEADERLESS
    return _acknowledgements(header, verdict, head, now)


def _acknowledgements(header: Header, verdict: Verdict, body: bytes, now: str) -> list[bytes]:
    stages = (Stage.ACCEPT, Stage.APPLICATION) if header.is_enhanced else (Stage.APPLICATION,)
    name = f"{verdict.said.value}{sha256(body).hexdigest()[:16]}"  # the same answer to the same bytes
    made = (
        answer(header, verdict.said, stage, control_id=stage.value + name, now=now, reasons=verdict.reasons)
        for stage in stages
    )
    return [one for one in made if one is not None]


def _batch(frame: Frame, said: Iterable[list[bytes]], now: str) -> bytes:
    """BHS, the acknowledgements, BTS; and FHS and FTS where the sender has them. What its own counts do not agree with is said too."""
    assert frame.around is not None
    header = frame.around
    field = header.delimiters.field
    bodies = [one for each in said for one in each]
    comment = as_text("; ".join(frame.problems), header.delimiters)

    def line(name: str) -> bytes:
        """Fields 3 to 6 change sides; 11 is our id of the answer, 12 the sender's of what is answered."""
        fields = [name, header.raw(2), header.raw(5), header.raw(6), header.raw(3), header.raw(4), now, "", "", comment]
        fields += [f"A{header.raw(11)}" if header.raw(11) else "", header.raw(11)]
        return field.join(fields).encode(header.charset, "surrogateescape")

    lines = [line("BHS") + b"\r", *bodies, f"BTS{field}{len(bodies)}\r".encode()]
    if frame.is_file:
        lines = [line("FHS") + b"\r", *lines, f"FTS{field}1\r".encode()]
    return b"".join(lines)
