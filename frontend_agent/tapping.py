"""Looking on while messages come in: what they are built of, and nothing of what they say.

    masked(body) -> what it is, how long, and its structure: names of segments, elements and keys; of each value its kind and length
    Taps         who looks on at which inlet; whoever hands over does not wait for them

Of an HL7 v2 header the codes that say which message it is are shown as they are (MSH-9, 11, 12, 18): they speak of no patient.
"""

import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from frontend_agent.er7 import Decoded, MessageUnreadable, decode, read
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import json_tree, xml_tree

MOST_SHOWN = 400  # lines of one message
MOST_READ = 2 << 20  # bytes that are looked into
MOST_WAITING = 200  # messages that wait for who looks on; more are counted, not kept
HEARTBEAT = 1.0  # seconds: whoever has gone away is noticed
SHOWN_OF_HEADER = (9, 11, 12, 18)
_LONGEST = 60  # characters of a code that is shown
_NAME = re.compile(r"[^\W\d][\w.:-]{0,60}")
_DATE = re.compile(r"(19|20)\d{6}(\d{2}|\d{4}|\d{6})?|(19|20)\d\d-\d\d-\d\d([T ].*)?")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


def masked(body: bytes) -> dict[str, Any]:
    """What a message is built of, in plain values: `format`, `type`, `bytes`, `charset`, `lines`, `problem`."""
    told: dict[str, Any] = {
        "bytes": len(body),
        "format": "bytes",
        "type": "",
        "charset": "",
        "lines": [],
        "problem": "",
    }
    if len(body) > MOST_READ:
        return told | {"problem": "too long to be looked into"}
    start = body.lstrip(b"\xef\xbb\xbf\x0b \t\r\n")[:3]
    try:
        if start in (b"MSH", b"FHS", b"BHS"):
            return told | _er7(body)
        if start[:1] == b"<":
            return told | _xml(body)
        if start[:1] in (b"{", b"["):
            return told | _json(body)
    except (MessageUnreadable, Unreadable) as error:
        return told | {"problem": str(error)}
    return told


def kind_of(value: str) -> str:
    """`text(12)`, `汉字(2)`, `date(8)`, `digits(18)`, `number(4)`: a value without what it says."""
    if _DATE.fullmatch(value):
        kind = "date"
    elif value.isascii() and value.isdigit():
        kind = "digits"
    elif _NUMBER.fullmatch(value):
        kind = "number"
    else:
        kind = "汉字" if any("\u3400" <= c <= "\u9fff" for c in value) else "text"
    return f"{kind}({len(value)})"


def _er7(body: bytes) -> dict[str, Any]:
    found = decode(body)
    if not isinstance(found, Decoded):
        return {"format": "hl7v2", "problem": "; ".join(found.reasons)}
    if body.lstrip(b"\xef\xbb\xbf\x0b \t\r\n")[:3] != b"MSH":
        return {"format": "hl7v2", "charset": found.charset, "type": "batch"}
    message = read(found.text, found.charset)
    lines = []
    for segment in message.segments[:MOST_SHOWN]:
        is_header = segment.name == "MSH"
        fields = [
            f"{n}={value[:_LONGEST]}" if is_header and n in SHOWN_OF_HEADER else f"{n}:{kind_of(value)}"
            for n, value in enumerate(segment.fields[1:], 1)
            if value and not (is_header and n < 3)
        ]
        lines.append(f"{segment.name} {' '.join(fields)}".strip())
    header = message.segments[0].fields
    return {
        "format": "hl7v2", "charset": found.charset, "type": header[9][:_LONGEST] if len(header) > 9 else "",
        "lines": _bounded(lines, len(message.segments)),
    }  # fmt: skip


def _xml(body: bytes) -> dict[str, Any]:
    root = xml_tree(body)
    lines = []
    for node in root.iter(etree.Element):
        depth = sum(1 for _ in node.iterancestors())
        name = etree.QName(node).localname
        attributes = [f"@{etree.QName(key).localname}:{kind_of(str(value))}" for key, value in node.attrib.items()]
        text = (node.text or "").strip()
        lines.append("  " * depth + " ".join([name, *attributes, *([kind_of(text)] if text else [])]))
        if len(lines) > MOST_SHOWN:
            break
    return {"format": "xml", "type": etree.QName(root).localname, "lines": _bounded(lines, len(lines))}


def _json(body: bytes) -> dict[str, Any]:
    lines: list[str] = []
    _walk(json_tree(body), "", 0, lines)
    return {"format": "json", "lines": _bounded(lines, len(lines))}


def _walk(value: Any, name: str, depth: int, lines: list[str]) -> None:
    if len(lines) > MOST_SHOWN or depth > 40:
        return
    indent = "  " * depth
    if isinstance(value, dict):
        lines.append(f"{indent}{name} {{{len(value)}}}".rstrip())
        for key, inner in value.items():
            _walk(inner, _key(key), depth + 1, lines)
    elif isinstance(value, list):
        lines.append(f"{indent}{name} [{len(value)}]")
        for inner in value[:3]:
            _walk(inner, "·", depth + 1, lines)
    elif isinstance(value, str):
        lines.append(f"{indent}{name} {kind_of(value)}")
    else:
        lines.append(f"{indent}{name} {type(value).__name__ if value is not None else 'null'}")


def _key(key: str) -> str:
    """A key is a name, unless it looks like somebody's number."""
    return key if _NAME.fullmatch(key) and not re.search(r"\d{5}", key) else f"<key {kind_of(key)}>"


def _bounded(lines: list[str], of: int) -> list[str]:
    return lines if of <= MOST_SHOWN else [*lines[:MOST_SHOWN], "…"]


class Taps:
    """A `Tap` (connectors/arrivals.py): who looks on, and at which inlet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looking: dict[str, list[_Looking]] = {}

    def __call__(self, inlet: str, sender: str, data: bytes, what: str) -> None:
        for one in self._looking.get(inlet, ()):  # nobody, nearly always
            one.put((datetime.now(UTC), sender, data, what))

    @contextmanager
    def looking(self, inlet: str) -> Iterator["_Looking"]:
        """Everything that comes from now on."""
        one = _Looking()
        with self._lock:
            self._looking[inlet] = [*self._looking.get(inlet, ()), one]
        try:
            yield one
        finally:
            with self._lock:
                self._looking[inlet] = [other for other in self._looking[inlet] if other is not one]

    def rows(self, inlet: str, closing: threading.Event) -> Iterator[dict[str, Any]]:
        """The same as rows of an answer, until nobody takes them any more; an empty one every second in which nothing comes."""
        with self.looking(inlet) as one:
            while not closing.is_set():
                yield one.next(HEARTBEAT)


class _Looking:
    """Somebody who looks on."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[datetime, str, bytes, str]] = queue.Queue(MOST_WAITING)
        self._missed = 0

    def put(self, seen: tuple[datetime, str, bytes, str]) -> None:
        try:
            self._queue.put_nowait(seen)
        except queue.Full:
            self._missed += 1

    def next(self, patience: float) -> dict[str, Any]:
        try:
            at, sender, data, what = self._queue.get(timeout=patience)
        except queue.Empty:
            return {}
        missed, self._missed = self._missed, 0
        return {
            "at": at.isoformat(timespec="milliseconds"),
            "sender": sender,
            "what": what,
            "missed": missed,
            **masked(data),
        }
