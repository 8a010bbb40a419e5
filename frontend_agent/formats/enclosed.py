"""Documents that are no XML (scans, reports as PDF) inside CDA: what the bytes are, whether they are what they are said to be.

HL7 CDA R2 puts them into nonXMLBody/text as base64, with their media type and their SHA-256 (integrityCheck, itself in base64).
Nothing is converted: what comes out is byte for byte what went in.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple

from frontend_agent.formats.errors import FormatError
from frontend_agent.model import Record

KIND = "X0001"
DATA, MEDIA_TYPE, SHA256 = "content.data", "content.media_type", "content.sha256"
# Beyond ten million characters of one text libxml2 refuses to read a document; a column that is read on ends at 8 MiB.
LARGEST = 6_000_000  # bytes

_BEGINNINGS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
_PDF_WITHIN = 1024  # readers accept a PDF whose mark is preceded by this many bytes at most


class NotEnclosable(FormatError):
    """The bytes cannot be wrapped, or are not what they are said to be. The text quotes nothing of them."""


class Enclosed(NamedTuple):
    """What stands in the record: the bytes in base64, their media type, their SHA-256 in base64."""

    data: str
    media_type: str
    sha256: str


def sniff(content: bytes) -> str:
    """The media type by the first bytes; empty if it is none that we wrap."""
    for beginning, media_type in _BEGINNINGS:
        if content.startswith(beginning):
            return media_type
    return "application/pdf" if b"%PDF-" in content[:_PDF_WITHIN] else ""


def enclose(content: bytes) -> Enclosed:
    """The bytes as they stand in a record, or NotEnclosable: empty, too large, or of no kind that we wrap."""
    if not content:
        raise NotEnclosable("no bytes at all")
    if len(content) > LARGEST:
        raise NotEnclosable(f"{len(content)} bytes are more than the {LARGEST} that one document may hold")
    media_type = sniff(content)
    if not media_type:
        raise NotEnclosable("neither PDF, JPEG, PNG nor TIFF, to judge by the first bytes")
    return Enclosed(base64.b64encode(content).decode(), media_type, sha256_of(content))


def disclose(record: Record) -> bytes:
    """The bytes in a record of this kind; NotEnclosable if they are not what the record says of them."""
    try:
        content = base64.b64decode(record.get(DATA, ""), validate=True)
    except (binascii.Error, ValueError):
        raise NotEnclosable("the content is not base64") from None
    if not content:
        raise NotEnclosable("no bytes at all")
    if len(content) > LARGEST:
        raise NotEnclosable(f"{len(content)} bytes are more than the {LARGEST} that one document may hold")
    if sha256_of(content) != record.get(SHA256, ""):
        raise NotEnclosable("the content is not the one whose SHA-256 is given")
    found, said = sniff(content), record.get(MEDIA_TYPE, "")
    if found != said:
        raise NotEnclosable(f"the content is {found or 'of no kind that we wrap'}, not {said or 'said to be anything'}")
    return content


def sha256_of(content: bytes) -> str:
    """As HL7 writes an integrityCheck: the digest in base64."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
