"""Is a document what the parcel's index says it is? All reasons at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256

import msgspec
import zstandard

from frontend_agent.checks import compile_checks
from frontend_agent.formats.errors import FormatError, NotOurs
from frontend_agent.formats.foreign import Examined, examine
from frontend_agent.formats.headline import Headline, headline
from frontend_agent.formats.library import load_kind, message_codes
from frontend_agent.model import Finding, Record
from frontend_agent.platform.signatures import Judgement
from frontend_agent.profiles import load_profile
from frontend_agent.signatures import Verdict
from frontend_agent.wire.frames import FrameRefused, open_frame
from frontend_agent.wire.parcel import Entry

# Ids go into addresses, file names and pages; 50 characters is the national limit for a document id, with some air.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}").fullmatch
Foreign = Callable[[bytes], Examined]
SignatureOf = Callable[[bytes, Entry], Judgement | None]
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}").fullmatch


class Judged(msgspec.Struct, frozen=True):
    """One document of a parcel after it was looked at: either a headline, or reasons."""

    entry: Entry
    headline: Headline | None
    reasons: list[str]
    examined: Examined | None = None  # of somebody else's document
    signature: Verdict | None = None  # where one is asked for


def judge(
    entry: Entry,
    frame: memoryview,
    institution: str,
    openers: Mapping[str, zstandard.ZstdDecompressor],
    foreign: Foreign = examine,
    signature: SignatureOf | None = None,
) -> Judged:
    """`signature` says what is to be said of a document's signature. Messages have no place for one."""
    reasons = _malformed_ids(entry)
    try:
        document = open_frame(frame, entry.size, openers[entry.dictionary])
    except FrameRefused as refused:
        return Judged(entry, None, [*reasons, f"frame: {refused}"])
    if sha256(document).hexdigest() != entry.sha256:
        reasons.append("sha256: the bytes have another SHA-256 than the index says")
    is_message = not entry.form and entry.kind in message_codes()
    said = signature(document, entry) if signature and not is_message else None
    if said:
        reasons += said.reasons
    if entry.form:
        judged = _judge_as_is(entry, document, institution, reasons, foreign)
    else:
        judged = _judge_ours(entry, document, institution, reasons)
    return msgspec.structs.replace(judged, signature=said.verdict) if said else judged


def _judge_ours(entry: Entry, document: bytes, institution: str, reasons: list[str]) -> Judged:
    try:
        found = headline(document)
    except (NotOurs, ValueError):  # a ValueError: a version number of a thousand digits
        return Judged(entry, None, [*reasons, "header: not a document that this platform can read"])
    reasons += _disagreements(entry, institution, found)
    return Judged(entry, None if reasons else found, reasons)


def _judge_as_is(entry: Entry, document: bytes, institution: str, reasons: list[str], foreign: Foreign) -> Judged:
    """Somebody else's document: its own header is held against CDA and its kind, not against our ids."""
    examined = foreign(document)
    reasons += examined.reasons
    found = examined.headline
    if examined.form == "national":
        if entry.kind != examined.kind:
            reasons.append("kind: index and document header disagree")
        if found and found.institution_id != institution:
            reasons.append("institution: index and document header disagree")
    return Judged(entry, None if reasons else found, reasons, examined)


def quality(examined: Examined, document: bytes) -> list[Finding]:
    """What the everyday rules say of a national document that came by itself. It is told, and holds nothing."""
    if examined.form != "national":
        return []
    kind = load_kind(examined.kind)
    try:
        record = kind.reader(document)
    except FormatError:
        return []
    return _rules(examined.kind)(record, {}, ())


@cache
def _rules(kind: str) -> Callable[[Record, Mapping[str, str], Sequence[Finding]], list[Finding]]:
    return compile_checks(load_kind(kind), load_profile("regional"), lambda: datetime.now(UTC).date())


def _malformed_ids(entry: Entry) -> list[str]:
    if _ID(entry.document_id) and _ID(entry.set_id) and _ID(entry.kind):
        return []
    ids = (("document_id", entry.document_id), ("set_id", entry.set_id), ("kind", entry.kind))
    return [f"{name}: may hold letters, digits and . _ : - only, 64 at most" for name, one in ids if not _ID(one)]


def _disagreements(entry: Entry, institution: str, found: Headline) -> list[str]:
    said = (entry.document_id, entry.set_id, entry.version, entry.kind, institution)
    is_ = (found.document_id, found.set_id, found.version, found.kind, found.institution_id)
    if said == is_ or (said[:4] == is_[:4] and not found.institution_id and found.kind in message_codes()):
        return []  # some messages of the national services do not say whose they are: the connection does
    names = ("document_id", "set_id", "version", "kind", "institution")
    return [
        f"{name}: index and document header disagree"
        for name, one, other in zip(names, said, is_, strict=True)
        if one != other
    ]


def is_institution(name: str) -> bool:
    return _NAME(name) is not None
