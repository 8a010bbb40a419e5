"""What a client of WADO-RS says it takes, held against what there is (PS3.18 §8.7). Nothing is transcoded: bytes leave as they lie. Pure."""

import re
from typing import NamedTuple

from frontend_agent.dicom.multipart import content_type
from frontend_agent.dicom.uids import EXPLICIT_LE, is_encapsulated

OCTETS = "application/octet-stream"
DICOM = "application/dicom"
JSON = ("application/dicom+json", "application/json")
# Transfer syntax -> media type of a compressed frame by itself (PS3.18 tables 8.7.3-2, 8.7.3-5, 8.7.3-6).
_COMPRESSED = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.4.100": "video/mpeg",
    "1.2.840.10008.1.2.4.101": "video/mpeg",
    "1.2.840.10008.1.2.4.102": "video/mp4",
    "1.2.840.10008.1.2.4.103": "video/mp4",
    "1.2.840.10008.1.2.4.104": "video/mp4",
    "1.2.840.10008.1.2.4.105": "video/mp4",
    "1.2.840.10008.1.2.4.106": "video/mp4",
    "1.2.840.10008.1.2.4.107": "video/mp4",
    "1.2.840.10008.1.2.4.108": "video/mp4",
}
_RANGE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+', re.DOTALL)


class Accepted(NamedTuple):
    """One media range of an Accept header: as a part of multipart/related, or as the whole answer."""

    kind: str  # application/dicom, image/*, */*
    is_multipart: bool
    transfer_syntax: str  # "*" any, "" not said


def accepted(header: str) -> list[Accepted]:
    """Those of a header, the most wanted first. Without a header, or with nothing that can be read, anything."""
    found = []
    for text in _split(header):
        kind, parameters = content_type(text)
        syntax = parameters.get("transfer-syntax", "")
        if kind == "multipart/related":
            one = Accepted(parameters.get("type", "*/*").lower(), True, syntax)
        else:
            one = Accepted(kind, False, syntax)
        quality = parameters.get("q", "1")
        found.append((float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 1.0, one))
    wanted = [one for quality, one in sorted(found, key=lambda pair: -pair[0]) if quality and "/" in one.kind]
    return wanted or [Accepted("*/*", True, "")]


def _split(header: str) -> list[str]:
    """At commas that are in no quoted text. One that is never closed goes to the end: so the time it takes is that of the length."""
    return [text for one in _RANGE.findall(header) if (text := one.strip())]


def _takes(one: Accepted, kind: str) -> bool:
    main, _, _ = kind.partition("/")
    return one.kind in (kind, f"{main}/*", "*/*")


def takes_json(header: str) -> bool:
    """Metadata and search results; where nothing else is asked for, they are JSON."""
    return any(_takes(one, kind) for one in accepted(header) for kind in JSON)


def instance_form(header: str, transfer_syntax: str) -> str | None:
    """How an instance may leave: "multipart" or "single". None: the client does not take it as it lies.

    Where it names no transfer syntax it gets the stored one: the bytes are what was proven.
    """
    for one in accepted(header):
        if _takes(one, DICOM) and one.transfer_syntax in ("", "*", transfer_syntax):
            return "multipart" if one.is_multipart or one.kind == "*/*" else "single"
    return None


class Form(NamedTuple):
    """How frames or bulk data leave."""

    kind: str  # media type of each
    is_multipart: bool
    transfer_syntax: str  # "" for plain octets


def frame_form(header: str, transfer_syntax: str) -> Form | None:
    """How a frame may leave. None: the client wants it decoded, or in another compression."""
    if not is_encapsulated(transfer_syntax):
        return _octets(header, ("", "*", EXPLICIT_LE, transfer_syntax))
    kind = _COMPRESSED.get(transfer_syntax, OCTETS)
    for one in accepted(header):
        if one.transfer_syntax not in ("", "*", transfer_syntax):
            continue
        multipart = one.is_multipart or one.kind == "*/*"
        if _takes(one, kind) and kind != OCTETS:
            return Form(kind, multipart, transfer_syntax)
        # Plain octets without a word on the transfer syntax mean pixels that are not compressed (PS3.18 table 8.7.3-5).
        if _takes(one, OCTETS) and (one.transfer_syntax or one.kind == "*/*"):
            return Form(OCTETS, multipart, transfer_syntax)
    return None


def bulk_form(header: str) -> Form | None:
    """How bulk data may leave: as octets."""
    return _octets(header, None)


def _octets(header: str, syntaxes: tuple[str, ...] | None) -> Form | None:
    for one in accepted(header):
        if _takes(one, OCTETS) and (syntaxes is None or one.transfer_syntax in syntaxes):
            return Form(OCTETS, one.is_multipart or one.kind == "*/*", "")
    return None
