"""Batches: FHS, BHS, messages, BTS, FTS. Split as bytes, for each message may be in a set of its own."""

import re

import msgspec

_LINE_END = re.compile(rb"[\r\n]+")
_FRAME = (b"FHS", b"BHS", b"BTS", b"FTS")
_BLANK = b"\xef\xbb\xbf \t\r\n\0"
_COUNT = re.compile(rb"[^0-9A-Za-z\s](\d{1,9})(?![0-9])")


class Batch(msgspec.Struct, frozen=True):
    """The messages of a batch, a file, or a frame, and what its own counts do not agree with."""

    messages: tuple[bytes, ...]
    problems: tuple[str, ...] = ()
    is_framed: bool = False  # by FHS or BHS: then it is answered as one


def split_batch(content: bytes) -> Batch:
    """Cut at MSH, and at the segments of the batch. One message alone is a batch of one.

    CR and LF are never part of a Chinese character, so this needs no character set.
    """
    body = content.lstrip(_BLANK)
    messages: list[bytes] = []
    problems: list[str] = []
    begun, batches, in_batch = -1, 0, 0
    is_framed = strange = False

    def end(place: int) -> None:
        nonlocal begun, in_batch
        if begun >= 0:
            messages.append(body[begun:place])
            in_batch += 1
        begun = -1

    for start, line in _lines(body):
        name = line[:3]
        if name == b"MSH":
            end(start)
            begun = start
        elif name in _FRAME and len(line) in (3, *range(4, 20_000)):
            end(start)
            is_framed = True
            if name == b"BHS":
                batches, in_batch = batches + 1, 0
            elif name == b"BTS":
                problems += _counted(line, in_batch, "BTS-1", "messages")
                in_batch = 0
            elif name == b"FTS":
                problems += _counted(line, batches, "FTS-1", "batches")
        elif begun < 0:
            strange = True
    end(len(body))
    if strange:
        problems.append("lines outside of any message")
    return Batch(tuple(messages), tuple(problems), is_framed)


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """(where it starts, the line) for every line that is not empty."""
    found, start = [], 0
    for ending in _LINE_END.finditer(body):
        if ending.start() > start:
            found.append((start, body[start : ending.start()]))
        start = ending.end()
    if start < len(body):
        found.append((start, body[start:]))
    return found


def _counted(line: bytes, counted: int, place: str, what: str) -> list[str]:
    said = _COUNT.match(line, 3)
    if said is None or int(said[1]) == counted:
        return []
    return [f"{place} says {int(said[1])} {what}, there are {counted}"]
