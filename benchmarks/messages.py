"""HL7 v2 messages as they come in: read and made rows of, beside a bare split of the same bytes; and hl7apy's way as a ratio."""

from collections.abc import Callable, Iterator

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from benchmarks.measure import MICROSECONDS, SECONDS, Measure, in_turns, processor
from benchmarks.workload import Workload
from connectors.mllp import Framer, framed
from connectors.mllp import Message as Framed
from frontend_agent.demo.samples import sample
from frontend_agent.formats import load_kind
from frontend_agent.formats.hl7v2 import build_all
from frontend_agent.mapping import load_mapping
from frontend_agent.messages import MessageRows, compile_message
from frontend_agent.model import Envelope

MESSAGES, BY_HL7APY = 400, 20
WIDE = 10_000  # OBX of one message (threat H4)


def reading(load: Workload, quick: bool) -> Iterator[Measure]:
    """Framed bytes to rows: unframed, its character set judged, split, mapped; a laboratory report of about 2 kB each."""
    wire = [framed(content) for content in reports()]
    mapping = load_mapping("hl7v2/lab_report")
    assert mapping.message is not None
    rows_of = compile_message(mapping.message, mapping.key)

    def ours() -> float:
        return processor(lambda: [_read(rows_of, one) for one in wire])

    def bare() -> float:
        return processor(lambda: [_split(one) for one in wire])

    ours()
    value, floor = in_turns(3 if quick else 7, ours, bare)
    each = value / len(wire) * 1e6
    texts = [one[1:-2].decode() for one in wire[:BY_HL7APY]]
    other = processor(lambda: [parse_message(t, VALIDATION_LEVEL.TOLERANT, find_groups=False) for t in texts])
    ratio = other / BY_HL7APY * 1e6 / each
    size = sum(map(len, wire)) // len(wire)
    note = f"{size} bytes; hl7apy's parser alone takes {ratio:.0f} times as long, without mapping"
    yield Measure("hl7.reading", each, MICROSECONDS, floor / len(wire) * 1e6, target=1_000, note=note)

    wide = _wide(wire[0][1:-2])
    seconds = min(processor(lambda: rows_of(wide)) for _ in range(1 if quick else 3))
    yield Measure("hl7.wide", seconds, SECONDS, target=2.0, note=f"one message of {WIDE:,} OBX, {len(wide) // 1000} kB")


def reports() -> list[bytes]:
    kind = load_kind("C0007")
    envelope = Envelope("C0007-1", "C0007", 1, "20260930104500")
    found = []
    for number in range(1, MESSAGES + 1):
        record = sample(kind, number)
        record["items"] = [{**item, "code": f"C{n}"} for n, item in enumerate(record["items"] * 6, 1)]
        found += [made.content for made in build_all("C0007", record, envelope)]
    return found


def _wide(content: bytes) -> bytes:
    lines = content.split(b"\r")
    results = [line for line in lines if line.startswith(b"OBX")]
    head = lines[: lines.index(results[0])]
    return b"\r".join([*head, *(results[n % len(results)] for n in range(WIDE))]) + b"\r"


def _read(rows_of: Callable[[bytes], MessageRows], wire: bytes) -> None:
    (message,) = Framer().receive(wire)
    assert isinstance(message, Framed)
    rows_of(message.content)


def _split(wire: bytes) -> list[list[str]]:
    return [line.split("|") for line in wire[1:-2].decode().split("\r")]
