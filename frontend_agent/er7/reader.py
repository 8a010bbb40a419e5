"""An HL7 v2 message in ER7, read leniently and lazily: split into segments at once, into fields only where somebody asks.

What real senders do, and what becomes of it:

- Delimiters are those of MSH, whatever they are. One that is missing does not occur; of one that is said twice the first meaning holds.
- Segments end in CR, LF or CR LF, also mixed. A line that begins with no segment's name continues the one before: somebody wrote a line
  break into a text. Blank lines, and what is blank before MSH (also a byte-order mark), are nothing.
- What was read is written back as it was, character by character; only a segment in which something was set is written anew.

A message is searched by paths (paths.py), the whole or one group of it: an OBR with its ORC before it and its OBXs behind it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from frontend_agent.er7.errors import MessageUnreadable
from frontend_agent.er7.paths import ALL, FieldPath, Place, SegmentPath, Step, field_path, segment_path
from frontend_agent.er7.text import Delimiters, escape, unescape

MOST_SEGMENTS = 200_000
HEADERS = ("MSH", "FHS", "BHS")
_LINE_ENDS = re.compile(r"([\r\n]+)")
_BLANK = " \t\r\n\0\ufeff"
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")

# How deep a segment stands: its group ends where one of the same depth or above begins. What is not here belongs to what it follows.
_DEPTHS = {
    "FHS": 0, "BHS": 0, "MSH": 0, "BTS": 0, "FTS": 0, "PID": 1, "PV1": 2, "ORC": 3,
    "OBR": 4, "RXO": 4, "RXE": 4, "RXD": 4, "RXG": 4, "RXA": 4, "FT1": 4, "TXA": 4, "RQD": 4, "ODS": 4,
    "OBX": 5, "SPM": 5, "RXR": 5, "RXC": 5,
    "NTE": 9,
}  # fmt: skip
_ELSE, _ORDERS, _REQUESTS, _NOTES = 6, 3, 4, 9
_BETWEEN_ORDER_AND_REQUEST = ("TQ1", "TQ2")


class Segment:
    """One segment: `raw` as it came without its line end, which is `end`."""

    __slots__ = ("_delimiters", "_fields", "end", "name", "raw")

    def __init__(self, raw: str, end: str, delimiters: Delimiters) -> None:
        self.raw, self.end = raw, end
        self.name = raw[:3]
        self._delimiters = delimiters
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"<Segment {self.name}, {len(self.raw)} characters>"

    @property
    def fields(self) -> list[str]:
        """The fields as they are written, by their numbers; 0 is the name."""
        if self._fields is None:
            found = self.raw.split(self._delimiters.field)
            if self.name in HEADERS:
                found.insert(1, self._delimiters.field)
            self._fields = found
        return self._fields

    def replace(self, number: int, written: str) -> None:
        """Put a field as it is to be written."""
        fields = self.fields
        fields += [""] * (number + 1 - len(fields))
        fields[number] = written
        shown = [fields[0], *fields[2:]] if self.name in HEADERS else fields
        self.raw = self._delimiters.field.join(shown)


class Scope(NamedTuple):
    """Part of a message: the segments of a group, and what stands over it (MSH, PID, PV1 …) for what the group itself lacks."""

    segments: Sequence[Segment]
    above: Sequence[Segment] = ()


class Message:
    """A message that was read. `problems` are what was lenient about it, in words that quote nothing."""

    def __init__(
        self, prefix: str, segments: list[Segment], delimiters: Delimiters, charset: str, problems: tuple[str, ...]
    ) -> None:
        self.segments = segments
        self.delimiters = delimiters
        self.problems = problems
        self.charset = charset
        self.whole = Scope(segments)
        self._prefix = prefix
        # By the list that was searched (kept here, so that its id stays its own), and what was asked.
        self._indexes: dict[tuple[int, str, Place], tuple[Sequence[Segment], dict[str, list[Segment]]]] = {}
        self._places: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Message of {len(self.segments)} segments>"

    # -- asking

    def value(self, path: str | FieldPath, scope: Scope | None = None) -> str:
        """The first value at a path; empty if there is none. `""` (delete this) is given as it is."""
        return next(iter(self.values(path, scope)), "")

    def values(self, path: str | FieldPath, scope: Scope | None = None) -> list[str]:
        """Every value at a path that is not empty, in the message's order."""
        compiled = field_path(path) if isinstance(path, str) else path
        return self.getter(compiled)(scope or self.whole)

    def getter(self, path: FieldPath) -> Callable[[Scope], list[str]]:
        """What gives the values at a path in a scope: made once for a message, asked for every group of it."""
        read, steps = self.reader(path.place), path.steps
        first = steps[0]
        is_plain = len(steps) == 1 and first.where is None and first.nth == 1

        def values(scope: Scope) -> list[str]:
            segments = scope.segments
            if is_plain and segments and segments[0].name == first.name:
                return read(segments[0])
            return [value for segment in self._found(steps, scope) for value in read(segment)]

        return values

    def find(self, path: str | SegmentPath, scope: Scope | None = None) -> list[Segment]:
        """The segments at a path."""
        compiled = segment_path(path) if isinstance(path, str) else path
        return self._found(compiled.steps, scope or self.whole)

    def groups(self, name: str, scope: Scope | None = None) -> list[Scope]:
        """One scope for every segment of this name: with what belongs to it, and under what stands over it."""
        segments = (scope or self.whole).segments
        starts = [place for place, segment in enumerate(segments) if segment.name == name]
        depth = _DEPTHS.get(name, _ELSE)
        begins = [_begin(segments, start) if depth == _REQUESTS else start for start in starts]
        found = []
        for number, start in enumerate(starts):
            limit = begins[number + 1] if number + 1 < len(begins) else len(segments)
            end = start + 1
            while end < limit and _DEPTHS.get(segments[end].name, _ELSE) > depth:
                end += 1
            found.append(Scope(segments[begins[number] : end]))
        if scope is None:
            aboves: Iterable[Sequence[Segment]] = _aboves(segments, begins)
        else:  # a result is under its order, and under what that is under
            over = [one for one in segments if _DEPTHS.get(one.name, _ELSE) < depth]
            aboves = [[*over, *scope.above]] * len(found)
        return [one._replace(above=above) for one, above in zip(found, aboves, strict=True)]

    def reader(self, place: Place) -> Callable[[Segment], list[str]]:
        """What gives the values at a place of a segment: made once, asked for every segment."""
        return _reader_of(place, self.delimiters, self.charset)

    def _found(self, steps: tuple[Step, ...], scope: Scope) -> list[Segment]:
        found = self._picked(steps[0], scope.segments) or self._picked(steps[0], scope.above)
        for step in steps[1:]:
            found = [inner for one in found for inner in self._picked(step, self._behind(one, step.name))]
        return found

    def _picked(self, step: Step, segments: Sequence[Segment]) -> list[Segment]:
        if step.where is not None:
            return self._by_value(step, segments).get(step.where[1], [])[:1]
        if step.nth == ALL:
            return [segment for segment in segments if segment.name == step.name]
        left = step.nth
        for segment in segments:
            if segment.name == step.name:
                left -= 1
                if not left:
                    return [segment]
        return []

    def _by_value(self, step: Step, segments: Sequence[Segment]) -> dict[str, list[Segment]]:
        """The segments of a name by what stands at a place: looked up, for a mapping asks it for a hundred codes."""
        assert step.where is not None
        asked = (id(segments), step.name, step.where[0])
        if asked not in self._indexes:
            index: dict[str, list[Segment]] = {}
            read = self.reader(step.where[0])
            for segment in segments:
                if segment.name == step.name:
                    for value in read(segment):
                        index.setdefault(value.strip(), []).append(segment)
            self._indexes[asked] = (segments, index)
        return self._indexes[asked][1]

    def _behind(self, segment: Segment, name: str) -> list[Segment]:
        """What belongs to a segment. Of notes only those directly behind it: further ones speak of something else."""
        if not self._places:
            self._places = {id(one): place for place, one in enumerate(self.segments)}
        start = self._places[id(segment)]
        depth = _DEPTHS.get(segment.name, _ELSE)
        is_notes = _DEPTHS.get(name, _ELSE) == _NOTES
        found = []
        for place in range(start + 1, len(self.segments)):
            one = self.segments[place]
            if (is_notes and one.name != name) or _DEPTHS.get(one.name, _ELSE) <= depth:
                break
            found.append(one)
        return found

    # -- setting and writing

    def set(self, path: str, value: str) -> None:
        """Put a value at a path to one place; ValueError where there is no such segment."""
        compiled = field_path(path)
        place = compiled.place
        segments = self._found(compiled.steps, self.whole)
        if len(segments) != 1 or place.repetition == ALL or place.where is not None:
            raise ValueError(f"{path} is not one place of this message")
        (segment,) = segments
        if segment.name in HEADERS and place.field <= 2:
            raise ValueError(f"{path}: the delimiters of a message are not set")
        fields = segment.fields
        written = fields[place.field] if place.field < len(fields) else ""
        segment.replace(place.field, self._with(written, place, escape(value, self.delimiters)))
        self._indexes.clear()

    def _with(self, written: str, place: Place, value: str) -> str:
        delimiters = self.delimiters

        def put(text: str, separator: str, number: int, inner: Callable[[str], str]) -> str:
            if number > 1 and not separator:
                raise ValueError(f"this message has no delimiter for place {number}")
            parts = text.split(separator) if separator else [text]
            parts += [""] * (number - len(parts))
            parts[number - 1] = inner(parts[number - 1])
            return separator.join(parts)

        def component(text: str) -> str:
            return put(text, delimiters.subcomponent, place.sub, lambda _: value) if place.sub else value

        def repetition(text: str) -> str:
            return put(text, delimiters.component, place.component, component) if place.component else value

        return put(written, delimiters.repetition, place.repetition, repetition)

    def write(self) -> str:
        """The text of the message: what was read, where nothing was set."""
        return self._prefix + "".join(segment.raw + segment.end for segment in self.segments)


def read(text: str, charset: str = "utf-8") -> Message:
    """Read one message. `charset` is what it was decoded from, for hexadecimal escapes. MessageUnreadable for what is none."""
    body = text.lstrip(_BLANK)
    prefix = text[: len(text) - len(body)]
    delimiters, problems = delimiters_of(body)
    if body.count("\r") + body.count("\n") > 2 * MOST_SEGMENTS:
        raise MessageUnreadable(f"more than {MOST_SEGMENTS} segments")
    pieces = _LINE_ENDS.split(body)
    pieces.append("")
    field, is_name = delimiters.field, _SEGMENT_NAME.match
    found: list[tuple[list[str], str]] = []  # what belongs to one segment, and its line end
    continued = 0
    for raw, end in zip(pieces[::2], pieces[1::2], strict=True):
        if is_name(raw) and (len(raw) == 3 or raw[3] == field):
            found.append(([raw], end))
        elif raw or end:
            parts, before = found[-1]
            parts += (before, raw)
            found[-1] = (parts, end)
            continued += 1
    segments = [Segment(parts[0] if len(parts) == 1 else "".join(parts), end, delimiters) for parts, end in found]
    if continued:
        problems.append(f"{continued} lines begin with no segment: read as the rest of the one before")
    if sum(segment.name == "MSH" for segment in segments) > 1:
        raise MessageUnreadable("more than one MSH: several messages in one frame, and no batch around them")
    return Message(prefix, segments, delimiters, charset, tuple(problems))


def delimiters_of(text: str) -> tuple[Delimiters, list[str]]:
    """What a header segment says of delimiters, and what is wrong with it."""
    delimiters, problems = _delimiters_of(text[:12])  # of one sender these are the same for every message
    return delimiters, list(problems)


@lru_cache(maxsize=256)
def _delimiters_of(text: str) -> tuple[Delimiters, tuple[str, ...]]:
    if not text.startswith("MSH"):
        if text.startswith(("FHS", "BHS")):
            raise MessageUnreadable("a batch, not a message: split it first")
        raise MessageUnreadable("does not begin with MSH" if text else "empty")
    field = text[3:4]
    if not field or field.isalnum() or field.isspace() or not field.isprintable():
        raise MessageUnreadable("MSH-1 is no field separator")
    said = re.split(r"[\r\n]", text[4:12].split(field, 1)[0], maxsplit=1)[0]
    problems = []
    kept: list[str] = []
    for character in said[:5]:
        if character in kept or character.isalnum() or character.isspace():
            problems.append(
                f"MSH-2 gives delimiter {len(kept) + 1} as a character that cannot be one: it is taken as absent"
            )
            character = ""
        kept.append(character)
    if len(said) > 5:
        problems.append("MSH-2 is longer than five characters")
    if len(said) < 4:
        problems.append(f"MSH-2 names {len(said)} delimiters instead of four")
    kept += [""] * (5 - len(kept))
    component, repetition, escape_, subcomponent, truncation = kept
    return Delimiters(field, component, repetition, escape_, subcomponent, truncation), tuple(problems)


@lru_cache(maxsize=4_096)
def _reader_of(place: Place, delimiters: Delimiters, charset: str) -> Callable[[Segment], list[str]]:
    """The same for all messages with these delimiters in this set: most have the usual ones."""
    number = place.field
    repetition, component, sub = delimiters.repetition, delimiters.component, delimiters.subcomponent
    escape_ = delimiters.escape
    is_first = place.where is None and place.repetition in (1, ALL)

    def part(written: str, component_: int, sub_: int) -> str:
        if component_:
            written = _nth(written, component, component_)
            if sub_:
                written = _nth(written, sub, sub_)
        return unescape(written, delimiters, charset)

    def values(segment: Segment) -> list[str]:
        fields = segment.fields
        written = fields[number] if number < len(fields) else ""
        if not written:
            return []
        if number <= 2 and segment.name in HEADERS:
            return [written]
        if is_first and not (repetition and repetition in written):  # by far the most
            if place.component or (escape_ and escape_ in written):
                written = part(written, place.component, place.sub)
            return [written] if written else []
        repeats = written.split(repetition) if repetition and repetition in written else [written]
        if place.where is not None:
            component_, sub_, wanted = place.where
            repeats = [one for one in repeats if part(one, component_, sub_).strip() == wanted][:1]
        elif place.repetition != ALL:
            repeats = repeats[place.repetition - 1 : place.repetition]
        return [value for one in repeats if (value := part(one, place.component, place.sub))]

    return values


def _nth(text: str, separator: str, number: int) -> str:
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


def _begin(segments: Sequence[Segment], start: int) -> int:
    """Where an order's group begins: at the ORC before its OBR, if there is one."""
    place = start - 1
    while place >= 0 and segments[place].name in _BETWEEN_ORDER_AND_REQUEST:
        place -= 1
    return place if place >= 0 and segments[place].name == "ORC" else start


def _aboves(segments: Sequence[Segment], begins: Sequence[int]) -> Iterator[list[Segment]]:
    """For each group of a message: what stands before the first patient, and the patient's own segments up to the first order."""
    first = next((place for place, one in enumerate(segments) if one.name == "PID"), None)
    header: list[Segment] = []
    for segment in segments[:first] if first is not None else segments:
        if _is_order(segment):
            break
        header.append(segment)
    above, at, patient, told = header, -1, -1, -1
    for begin in begins:
        for place in range(at + 1, begin + 1):
            if segments[place].name == "PID":
                patient = place
        at = max(at, begin)
        if patient != told:
            above, told = header + _of_patient(segments, patient), patient
        yield above  # one list for all groups of a patient


def _of_patient(segments: Sequence[Segment], start: int) -> list[Segment]:
    """PID and what stands behind it, up to the first order or the next patient."""
    found = [segments[start]]
    for place in range(start + 1, len(segments)):
        segment = segments[place]
        if _is_order(segment) or segment.name == "PID":
            break
        found.append(segment)
    return found


def _is_order(segment: Segment) -> bool:
    return _ORDERS <= _DEPTHS.get(segment.name, _ELSE) < _ELSE
