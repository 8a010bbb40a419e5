"""What is to be known of an instance's file, read to its end: in a child process, for the bytes are somebody else's (threat D5).

    Examine(paths) ─▶ [Facts]        Rewrite(path, change) ─▶ Plan

The child is asked over a pipe; what it does not answer in time, or dies of, is a fact as well. Pixels are counted, never decoded.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from pydicom.datadict import keyword_for_tag

from frontend_agent.dicom.charsets import decoded, explains
from frontend_agent.dicom.elements import PIXEL_DATA, Buffer, DataSetMalformed, Element, walk
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.nesting import CHARACTER_SET, Placed, Span, charset_of, items, texts, vr_of
from frontend_agent.dicom.part10 import NoInstance, read_meta
from frontend_agent.dicom.rewriting import opened
from frontend_agent.dicom.uids import EXPLICIT_LE, Encoding, encoding_of, is_encapsulated
from frontend_agent.imaging.changing import CannotChange, Change, changed
from frontend_agent.imaging.character_sets import Judged, Text, judge
from frontend_agent.imaging.modules import Required, required
from frontend_agent.imaging.values import CHECKED, is_value
from frontend_agent.instance_reading import FileDamaged, InstanceFile, LentFile, lent, mapped
from frontend_agent.processes import Child

_LONGEST_VALUE = 1 << 16  # bytes; longer ones are not looked into


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an instance's file says. Keywords where there are any, else (gggg,eeee)."""

    problem: str = ""  # it cannot be read to its end; everything else is empty then
    failed: bool = False  # and that is our fault: the child died over it, or did not end
    header: Header | None = None  # its texts read in the set that they are really in
    charset: str = ""  # what they are really in, where it says something else
    doubt: str = ""  # nobody can be sure what they are in
    doubtful: tuple[str, ...] = ()
    no_value: tuple[str, ...] = ()  # type 1: missing, or without a value
    missing: tuple[str, ...] = ()  # type 2: missing
    misshapen: tuple[str, ...] = ()  # not of their value representation
    is_known: bool = True  # its class is one of PS3.3's
    pixels: int = -1  # bytes of native pixels, or encapsulated fragments; -1: none, or of another kind
    pixels_expected: int = -1  # what rows, columns, frames … ask for; -1: not said


class Examine(msgspec.Struct, frozen=True, tag=True):
    """Read these files, plain by their paths or sealed. `names`: of the patient, as orders have it."""

    files: tuple[str | LentFile, ...]
    names: tuple[str, ...] = ()
    repair: bool = True


class Rewrite(msgspec.Struct, frozen=True, tag=True):
    """Say what a file is to be written as."""

    file: str | LentFile
    change: Change


class Plan(msgspec.Struct, frozen=True):
    """New bytes, and (start, end) of the old file; or why it cannot be."""

    pieces: tuple[bytes | tuple[int, int], ...] = ()
    problem: str = ""


_REQUEST = msgspec.msgpack.Decoder(Examine | Rewrite)
_FACTS = msgspec.msgpack.Decoder(tuple[Facts, ...])
_PLAN = msgspec.msgpack.Decoder(Plan)
_ENCODE = msgspec.msgpack.Encoder()

_PADDED = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)

# --- the child's side ---------------------------------------------------------------------------------------------------


def work(pipe: Connection) -> None:
    """Answer until the parent hangs up."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it tells of bytes that it cannot decode: we do
    while True:
        try:
            request = _REQUEST.decode(pipe.recv_bytes())
        except EOFError:
            return
        if isinstance(request, Rewrite):
            pipe.send_bytes(_ENCODE.encode(_plan(request)))
        else:
            pipe.send_bytes(_ENCODE.encode([_of_file(file, request) for file in request.files]))


def _of_file(file: str | LentFile, request: Examine) -> Facts:
    try:
        with _mapped(file) as data:
            return examine(data, request.names, repair=request.repair)
    except FileDamaged as error:
        return Facts(problem=f"its file on our disk: {error.strerror}", failed=True)


def _plan(request: Rewrite) -> Plan:
    try:
        with _mapped(request.file) as data:
            pieces = changed(data, request.change)
    except (CannotChange, NoInstance) as error:
        return Plan(problem=str(error))
    except FileDamaged as error:
        return Plan(problem=f"its file on our disk: {error.strerror}")
    return Plan(tuple((piece.start, piece.end) if isinstance(piece, Span) else piece for piece in pieces))


def _mapped(file: str | LentFile) -> AbstractContextManager[Buffer]:
    return mapped(Path(file) if isinstance(file, str) else file)


def examine(data: Buffer, names: Sequence[str] = (), *, repair: bool = True) -> Facts:
    """Everything about one file."""
    try:
        meta = read_meta(data)
        plain, encoding, at = opened(data, meta.transfer_syntax_uid, meta.data_set_at)
        elements = {one.tag: one for one in walk(plain, encoding, at)}
        placed = list(texts(plain, encoding, at))
        said = charset_of(plain, elements[CHARACTER_SET]) if CHARACTER_SET in elements else ""
        judged = _judged(plain, placed, said, names)
        charset = judged.charset if repair else ""
        plain_syntax = EXPLICIT_LE if encoding_of(meta.transfer_syntax_uid).is_deflated else meta.transfer_syntax_uid
        header = read_header(plain, plain_syntax, at, charset or None)
        pixels = _pixels(plain, encoding, elements)
    except (NoInstance, HeaderUnreadable, DataSetMalformed) as error:
        return Facts(problem=str(error))
    needs = required(header.sop_class_uid)
    repairable = judged.charset and not repair
    return Facts(
        header=msgspec.structs.replace(header, transfer_syntax_uid=meta.transfer_syntax_uid),
        charset=charset,
        doubt="it is labelled wrongly, and repairs are turned off" if repairable else judged.doubt,
        doubtful=tuple(_named(tag) for tag in judged.doubtful),
        no_value=_without_value(plain, elements, needs),
        missing=tuple(keyword for keyword, tag in needs.there.items() if tag not in elements),
        misshapen=tuple(_misshapen(plain, elements.values(), charset or said)),
        is_known=needs.is_known,
        pixels=pixels,
        pixels_expected=_expected(header) if pixels >= 0 else -1,
    )


def _judged(data: Buffer, placed: Sequence[Placed], said: str, names: Sequence[str]) -> Judged:
    """Of the texts that the data set's own label is of; those of items with another one are only looked at."""
    own = [
        Text(one.element.tag, bytes(data[one.element.start : one.element.end]).strip(b" \0"), one.vr == "PN")
        for one in placed
        if one.charset == said
    ]
    strange = [
        one.element.tag
        for one in placed
        if one.charset != said and not explains(bytes(data[one.element.start : one.element.end]), one.charset, one.vr == "PN")
    ]  # fmt: skip
    judged = judge(own, said, names)
    if strange and not judged.doubt:
        return Judged(
            doubt="an item with a character set of its own is not in it", doubtful=tuple(dict.fromkeys(strange))
        )
    return judged


def _named(tag: int) -> str:
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _without_value(data: Buffer, elements: Mapping[int, Element], needs: Required) -> tuple[str, ...]:
    """Type 1 without a value; blanks are none."""

    def has_value(tag: int) -> bool:
        one = elements.get(tag)
        if one is None or one.length == 0:
            return False
        return (
            one.length < 0
            or one.length > 64
            or vr_of(one) not in _PADDED
            or bool(bytes(data[one.start : one.end]).strip(b" \0"))
        )

    return tuple(keyword for keyword, tag in needs.valued.items() if not has_value(tag))


def _misshapen(data: Buffer, elements: Iterable[Element], charset: str) -> Iterator[str]:
    for one in elements:
        if not 0 < one.length <= _LONGEST_VALUE or one.tag >> 16 & 1 or (vr := vr_of(one)) not in CHECKED:
            continue
        text, _ = decoded(bytes(data[one.start : one.end]), charset if vr in ("LO", "SH", "PN") else "", vr == "PN")
        if not is_value(vr, text):
            yield _named(one.tag)


def _pixels(data: Buffer, encoding: Encoding, elements: Mapping[int, Element]) -> int:
    one = elements.get(PIXEL_DATA)
    if one is None:
        return -1
    if one.length >= 0:
        return one.length
    return sum(1 for _ in items(data, encoding, one)) - 1  # the first is the offset table (PS3.5 A.4)


def _expected(header: Header) -> int:
    """Bytes of native pixels (PS3.5 §8.1), or as many fragments as frames at least (A.4)."""
    if is_encapsulated(header.transfer_syntax_uid):
        return header.frames
    per_pixel = 2 if header.photometric_interpretation == "YBR_FULL_422" else header.samples_per_pixel or 1
    bits = header.rows * header.columns * per_pixel * header.bits_allocated * header.frames
    return -(-bits // 8)


# --- the parent's side ---------------------------------------------------------------------------------------------------


class Examiner:
    """Asks the child, begins it when it is needed and ends it when it hangs. One thread at a time."""

    AT_ONCE = 20  # files of one question

    def __init__(self, patience: float = 120.0) -> None:
        """`patience`: seconds for one answer."""
        self._patience = patience
        self._child: Child | None = None

    def examine(self, paths: Sequence[InstanceFile], names: Sequence[str], *, repair: bool) -> list[Facts]:
        """The facts of each file, in order. A file that the child dies of, or hangs over, is asked about alone, and told."""
        facts: list[Facts] = []
        for start in range(0, len(paths), self.AT_ONCE):
            some = [lent(one) for one in paths[start : start + self.AT_ONCE]]
            answer = self._asked(Examine(tuple(some), tuple(names), repair))
            if answer is not None:
                facts += _FACTS.decode(answer)
                continue
            for one in some:
                alone = self._asked(Examine((one,), tuple(names), repair))
                facts += (
                    _FACTS.decode(alone)
                    if alone is not None
                    else (Facts(problem="reading it did not end", failed=True),)
                )
        return facts

    def plan(self, path: InstanceFile, change: Change) -> Plan:
        """What a file is to be written as."""
        answer = self._asked(Rewrite(lent(path), change))
        return _PLAN.decode(answer) if answer is not None else Plan(problem="changing it did not end")

    def _asked(self, request: Examine | Rewrite) -> bytes | None:
        """The answer; None if the child died, or did not answer in time: it is ended then, and the next question begins another."""
        if self._child is None or not self._child.is_alive():
            self._child = Child(work, "examiner")
        try:
            self._child.pipe.send_bytes(_ENCODE.encode(request))
            if self._child.pipe.poll(self._patience):
                return self._child.pipe.recv_bytes()
        except (EOFError, OSError):
            pass
        self._child.kill()
        self._child.close()
        self._child = None
        return None

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None
