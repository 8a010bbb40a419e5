"""A hospital's own finished CDA on its way through: read, checked and indexed like the others, its bytes never touched.

    kind     = "C0034"
    key      = "document_no"
    document = "content"          # the alias of the parent query that holds the finished document, text or blob

What the document says is read with the kind's own reader, so that the same rules speak of it, and its header must name the
feed's institution. The bytes travel in the record under DOCUMENT and come out of `as_is` as they went in.
"""

import base64
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from frontend_agent.checks.registry import CDA_INSTITUTION, CDA_KIND, CDA_NOTE, CDA_SIGNATURE, CDA_STRUCTURE, Rule
from frontend_agent.conversion import is_yes
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import FormatError, Kind
from frontend_agent.formats.foreign import Examined, examine
from frontend_agent.mapping_file import Mapping as FieldMapping
from frontend_agent.model import Envelope, Finding, Record, Severity, SourceRecord, SourceRows
from frontend_agent.signatures import Verdict

DOCUMENT = "fact.document"  # base64: a record's values are text
_ENCODING = re.compile(r"""^\s*<\?xml[^>]*\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_CHINESE = {
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "GB18030": "gb18030",
}  # the widest of the family reads and writes all


Signed = Callable[[bytes], Verdict]


def compile_passing(
    mapping: FieldMapping,
    kind: Kind,
    institution: str,
    severity: Callable[[str], Severity],
    signed: Signed | None = None,
) -> Callable[[SourceRows], list[SourceRecord]]:
    """The function SourceRows -> SourceRecords for finished documents of one kind. `signed`: the verdict on their signatures,
    where the site says whose are believed."""
    if mapping.queries.details:
        raise ConfigurationError(f"{mapping.path}: a finished document has no detail queries; remove [queries.details]")

    def normalise(rows: SourceRows) -> list[SourceRecord]:
        place = {name: at for at, name in enumerate(rows.parent.columns)}
        return [_record(mapping, kind, institution, severity, signed, place, row) for row in rows.parent.rows]

    return normalise


def _record(
    mapping: FieldMapping,
    kind: Kind,
    institution: str,
    severity: Callable[[str], Severity],
    signed: Signed | None,
    place: Mapping[str, int],
    row: tuple[Any, ...],
) -> SourceRecord:
    key = str(row[place[mapping.key]]).strip()
    final = is_yes(row[place["final"]]) if "final" in place else True
    void = is_yes(row[place["void"]]) if "void" in place else False
    content = bytes_of(row[place[mapping.document]])
    examined = examine(content)
    findings = [
        Finding(rule.id, severity(rule.id), rule.blame, column=mapping.document, arguments=(said,))
        for rule, said in [*_against(examined, kind, institution), *_against_signature(content, examined, signed)]
    ]
    return SourceRecord(
        key=key,
        record={**_read(kind, examined, content), DOCUMENT: base64.b64encode(content).decode("ascii")},
        source_hash=sha256(content + (b"\0void" if void else b"")).hexdigest(),
        final=final,
        void=void,
        findings=findings,
        columns={DOCUMENT: mapping.document, **{field.name: mapping.document for field in kind.fields}},
    )


def bytes_of(value: object) -> bytes:
    """A finished document as bytes. Text says in its first line how it was encoded, and is encoded that way again."""
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    text = str(value)
    said = _ENCODING.match(text)
    name = said[1].upper() if said else "UTF-8"
    try:
        return text.encode(_CHINESE.get(name, name))
    except (LookupError, UnicodeEncodeError):
        return text.encode("utf-8", "surrogatepass")  # it will not parse, and says so


def _against(examined: Examined, kind: Kind, institution: str) -> list[tuple[Rule, str]]:
    found = [(CDA_STRUCTURE, reason) for reason in examined.reasons]
    if examined.headline is not None:
        if examined.kind != kind.code:
            found.append((CDA_KIND, examined.kind))
        if examined.headline.institution_id != institution:
            found.append((CDA_INSTITUTION, ""))
    return found + [(CDA_NOTE, note) for note in examined.notes]


def _against_signature(content: bytes, examined: Examined, signed: Signed | None) -> list[tuple[Rule, str]]:
    """A document need not be signed; a signature that does not hold is worse than none."""
    if signed is None or examined.headline is None:
        return []
    return [(CDA_SIGNATURE, reason) for reason in signed(content).reasons]


def _read(kind: Kind, examined: Examined, content: bytes) -> Record:
    if examined.kind != kind.code:
        return {}
    try:
        return kind.reader(content)
    except FormatError:
        return {}


def was_read(record: Record) -> bool:
    """Whether the document's own values are there, so that rules can speak of them."""
    return any(name != DOCUMENT for name in record)


def as_is(record: Record, envelope: Envelope) -> bytes:
    """In the place of a renderer: the document as the hospital made it."""
    return base64.b64decode(record[DOCUMENT])
