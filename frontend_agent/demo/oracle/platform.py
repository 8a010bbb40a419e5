"""What the platform's store holds, read from its files: the index, the parcels, the dictionaries."""

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import zstandard
from lxml import etree

from frontend_agent.formats.xml import parse

PARCELS_A_FOLDER = 1_000
LARGEST = 64 << 20
# Where the business key stands in the header of each kind (root of the identifier).
KEY_ROOTS = {"C0002": "2.16.156.10011.1.11", "C0004": "2.16.156.10011.1.20", "C0007": "2.16.156.10011.1.33",
             "C0034": "2.16.156.10011.1.12", "C0032": "2.16.156.10011.1.12", "C0006": "2.16.156.10011.1.32"}  # fmt: skip
_KEYS = {kind: re.compile(f'<id root="{root}" extension="([^"]*)"'.encode()) for kind, root in KEY_ROOTS.items()}
# What differs between two versions that say the same: their ids, the time they were made, what they replace.
_ENVELOPE = re.compile(
    rb'<id root="2\.16\.156\.10011\.1\.1" [^>]*/>|<setId [^>]*/>|<versionNumber [^>]*/>|<effectiveTime [^>]*/>'
    rb"|<relatedDocument.*?</relatedDocument>",
    re.DOTALL,
)
_HEADER = 16_000


class Stored(NamedTuple):
    """One document as it lies in the store. `content` is empty where the bytes are not what the index says."""

    set_id: str
    version: int
    kind: str
    void: bool
    document_id: str
    content: bytes

    @property
    def key(self) -> str:
        """The business key its header names."""
        found = _KEYS[self.kind].search(self.content) if self.kind in _KEYS else None
        return found[1].decode() if found else ""

    def says(self) -> bytes:
        """A digest of what the document says, without its envelope."""
        header, body = self.content[:_HEADER], self.content[_HEADER:]
        return sha256(_ENVELOPE.sub(b"", header) + body).digest()


def documents(state: Path) -> Iterator[Stored]:
    """Every document of the store, whole parcels in a row."""
    if not (state / "index.sqlite").exists():
        return
    index = apsw.Connection(str(state / "index.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        index.set_busy_timeout(10_000)
        rows = index.execute(
            "SELECT d.parcel, d.offset, d.length, d.sha256, d.size, coalesce(t.sha256, ''), d.set_id, d.version, d.kind,"
            " d.void, d.document_id FROM document d LEFT JOIN dictionary t ON t.id = d.dictionary"
            " ORDER BY d.parcel, d.offset"
        )
        openers: dict[str, Any] = {}
        for number, members in groupby(rows, key=lambda row: row[0]):
            path = state / "parcels" / f"{number // PARCELS_A_FOLDER:04d}" / f"{number:08d}.fep"
            parcel = path.read_bytes() if path.exists() else b""
            for _, offset, length, digest, size, dictionary, set_id, version, kind, void, document_id in members:
                if dictionary not in openers:
                    openers[dictionary] = _opener(state, dictionary)
                content = _content(openers[dictionary], parcel[offset : offset + length], digest, size)
                yield Stored(set_id, version, kind, bool(void), document_id, content)
    finally:
        index.close()


def _opener(state: Path, dictionary: str) -> Any:
    if not dictionary:
        return zstandard.ZstdDecompressor()
    content = (state / "dictionaries" / dictionary).read_bytes()
    return zstandard.ZstdDecompressor(zstandard.ZstdCompressionDict(content, zstandard.DICT_TYPE_RAWCONTENT))


def _content(opener: Any, frame: bytes, digest: bytes, size: int) -> bytes:
    try:
        content: bytes = opener.decompress(frame, max_output_size=min(size, LARGEST))
    except zstandard.ZstdError:
        return b""
    return content if sha256(content).digest() == bytes(digest) else b""


# -- what a document says ----------------------------------------------------------------------------------------------

_NAMES = {"h": "urn:hl7-org:v3", "x": "http://www.w3.org/2001/XMLSchema-instance"}
_PATIENT = "/h:ClinicalDocument/h:recordTarget/h:patientRole"
_OBSERVED = "//h:observation[h:code/@code='{}']/h:value"


def _path(text: str) -> Any:
    return etree.XPath(text, namespaces=_NAMES)


def _texts(element: str) -> Any:
    return _path(_OBSERVED.format(element) + "/text()")


_PERSON = {
    "name": _path(f"{_PATIENT}/h:patient/h:name/text()"),
    "sex": _path(f"{_PATIENT}/h:patient/h:administrativeGenderCode/@code"),
    "id_number": _path(f"{_PATIENT}/h:patient/h:id/@extension"),
}
_SINGLE = {
    "C0002": {
        **_PERSON,
        "doctor": _path("/h:ClinicalDocument/h:legalAuthenticator//h:assignedPerson/h:name/text()"),
        "chief_complaint": _texts("DE04.01.119.00"),
        "present_illness": _texts("DE02.10.071.00"),
        "past_history": _texts("DE02.10.099.00"),
        "physical_examination": _texts("DE04.10.258.00"),
    },
    "C0004": {
        **_PERSON,
        "diagnosis": _path(_OBSERVED.format("DE05.01.024.00") + "/@code"),
        "amount": _path(_OBSERVED.format("DE07.00.004.00") + "/@value"),
    },
    "C0007": {
        **_PERSON,
        "specimen_number": _path(f"{_PATIENT}/h:id[@root='2.16.156.10011.1.14']/@extension"),
        "method": _texts("DE02.10.027.00"),
        "report_result": _texts("DE04.50.130.00"),
    },
    "C0006": {
        **_PERSON,
        "request_number": _path(f"{_PATIENT}/h:id[@root='2.16.156.10011.1.24']/@extension"),
        "method": _texts("DE02.10.027.00"),
        "findings": _texts("DE04.50.131.00"),
        "impression": _texts("DE04.50.132.00"),
    },
    "C0034": {
        **_PERSON,
        "chief_complaint": _texts("DE04.01.119.00"),
        "present_illness": _texts("DE02.10.071.00"),
        "temperature": _path(_OBSERVED.format("DE04.10.186.00") + "/@value"),
        "systolic": _path(_OBSERVED.format("DE04.10.174.00") + "/@value"),
    },
    "C0032": {
        **_PERSON,
        "record_number": _path(f"{_PATIENT}/h:id[@root='2.16.156.10011.1.13']/@extension"),
        "amount": _path(_OBSERVED.format("HDSD00.11.142") + "/@value"),
    },
}
_MANY = {
    "diagnoses": _path(_OBSERVED.format("DE05.01.024.00") + "/@code"),
    "orders": _texts("DE06.00.288.00"),
}
_OPERATIONS = _path("//h:procedure/h:code/@code")
_DRUGS = _path("//h:substanceAdministration")
_DRUG_NAME = _path(".//h:manufacturedLabeledDrug/h:name/text()")
_DRUG_TOTAL = _path(".//h:observation[h:code/@code='DE06.00.135.00']/h:value/@value")
_ITEMS = _path("//h:organizer[h:component/h:observation/h:code/@code='DE04.30.019.00']")
_ITEM_CODE = _path(".//h:observation[h:code/@code='DE04.30.019.00']/h:value/text()")
_ITEM_VALUE = _path(".//h:observation[h:code/@code='DE04.30.015.00']/h:value/@value")
_CELLS = _path("//h:text//h:td")


def differing(stored: Stored, expected: dict[str, Any]) -> list[str]:
    """The names of what the document says otherwise than its row. Empty: it says the same."""
    root = parse(stored.content)
    wrong = [
        name
        for name, path in _SINGLE[stored.kind].items()
        if _as_number(name, _one(path(root))) != _as_number(name, expected[name])
    ]
    if stored.kind == "C0002":
        wrong += [name for name, path in _MANY.items() if [str(v) for v in path(root)] != expected[name]]
    elif stored.kind == "C0004":
        drugs = [(_one(_DRUG_NAME(one)), _one(_DRUG_TOTAL(one))) for one in _DRUGS(root)]
        wrong += ["drugs"] if drugs != expected["drugs"] else []
    elif stored.kind == "C0032":
        wrong += ["operations"] if [str(v) for v in _OPERATIONS(root)] != expected["operations"] else []
    elif stored.kind == "C0007":
        wrong += ["items"] if not _same_items(root, expected["items"]) else []
    return wrong


def _one(found: Any) -> str:
    return str(found[0]).strip() if found else ""


def _as_number(name: str, value: str) -> str:
    """Money may be written without its last zeros."""
    return value.rstrip("0").rstrip(".") if name == "amount" and "." in value else value


def _same_items(root: Any, expected: list[tuple[str, str]]) -> bool:
    found = [(_one(_ITEM_CODE(one)), _one(_ITEM_VALUE(one))) for one in _ITEMS(root)]
    if [code for code, _ in found] != [code for code, _ in expected]:
        return False
    cells = {"".join(cell.itertext()) for cell in _CELLS(root)}
    # A result in words has no slot but the narrative.
    return all(
        value == wanted if value else wanted in cells for (_, value), (_, wanted) in zip(found, expected, strict=True)
    )
