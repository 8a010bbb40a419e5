"""The quality log: append-only and hash-chained, verifiable by anyone who has an export (law 10). Bytes in, verdict out.

    hash(n) = SHA-256( hash(n-1) ‖ body(n) ),   hash(0) = 32 zero bytes

A body is canonical JSON (sorted keys, no spaces, UTF-8, no floats) and names its own `seq` and the hash before it (`prev`).
A **head** is a number and a hash that the platform countersigned: whoever rewrites the log from some entry on, hashes and
all, cannot rewrite the heads. What is younger than the last genuine head is reported as not yet proven, never as proven.

The log is kept for a term, never for less than TERM. What is older is dropped up to a **checkpoint**: a head that the platform
countersigned. The chain then begins behind it, with its hash as `prev`; that head stays, and proves that nothing but the
old part is missing. How old the old part was is not our clock's word but the platform's: between the checkpoint's
signature and the newest one lies the term, or the log was cut by somebody else.

An export is JSON lines: a title, then entries and heads in any mixture, the entries in order.

    {"qc_log":1,"first":1,"prev":"00…","instance":"…"}
    {"hash":"…","entry":{…}}
    {"head":{"seq":…,"hash":"…"},"evidence":"base64"}
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

GENESIS = "00" * 32
TERM = timedelta(days=183)  # six months: the law's floor for logs (Cybersecurity Law, article 21)
_FORGED_IN_A_ROW = 20
_NO_JSON = (msgspec.MsgspecError, ValueError)  # the second: bytes that are no UTF-8


class Entry(msgspec.Struct, frozen=True):
    """One entry: its place, its hash, and its body exactly as it was hashed."""

    seq: int
    hash: str
    body: bytes


class Head(msgspec.Struct, frozen=True):
    """Up to here the platform countersigned. `evidence` is what its signature is verified from."""

    seq: int
    hash: str
    evidence: bytes = b""


class Verdict(msgspec.Struct, frozen=True):
    """What verifying came to.

    `first_bad` is the number of the first entry that is not what was written (or is missing). When the chain is whole in
    itself but another one than the platform countersigned, or ends before it, the first bad entry is somewhere in
    `first_bad`…`last_bad`.
    """

    entries: int
    proven: int  # up to and including this entry
    not_yet_proven: int  # entries younger than that
    first_bad: int = 0
    last_bad: int = 0
    reason: str = ""
    incomplete: bool = False  # the last line was cut while it was written: not a sign of tampering
    forged_heads: tuple[int, ...] = ()  # heads whose signature is not the platform's: they prove nothing
    first: int = 1  # the first entry: later than 1 when older ones were dropped behind a countersigned checkpoint

    @property
    def ok(self) -> bool:
        return not self.first_bad


def canonical(body: Mapping[str, Any]) -> bytes:
    """The one way to write a body."""
    return msgspec.json.encode(body, order="sorted")


def entry_hash(previous: str, body: bytes) -> str:
    return sha256(bytes.fromhex(previous) + body).hexdigest()


def chained(seq: int, previous: str, body: Mapping[str, Any]) -> Entry:
    """The entry that follows `previous`."""
    written = canonical({**body, "seq": seq, "prev": previous})
    return Entry(seq, entry_hash(previous, written), written)


# --- verifying --------------------------------------------------------------------------------------------------------

# What a head's signature says: false, when it is not the platform's; when it was signed, or at least that it is genuine.
Genuine = Callable[[Head], bool | datetime]


class _Place(msgspec.Struct):
    """What a body says of its own place. Anything else in it is not verifying's business."""

    seq: int
    prev: str


_PLACE = msgspec.json.Decoder(_Place)


def verify(
    entries: Iterable[Entry],
    heads: Sequence[Head] = (),
    genuine: Genuine | None = None,
    first: int = 1,
    previous: str = GENESIS,
    incomplete: bool = False,
) -> Verdict:
    """Walk the chain once. `genuine` verifies a head's signature; without it, heads are not proof of anything.

    Memory does not grow with the log: entries may come from a file of any length.
    """
    trusted: dict[int, set[str]] = {}
    signed: dict[int, datetime] = {}
    forged = []
    for head in heads:
        if genuine is None:
            break
        says = genuine(head)
        if says:
            trusted.setdefault(head.seq, set()).add(head.hash)
            if isinstance(says, datetime):
                signed[head.seq] = says
        else:
            forged.append(head.seq)
    seq, proven = first - 1, first - 1
    bad = last_bad = 0
    reason = ""
    if genuine is not None and first > 1 and (problem := _wrong_beginning(first, previous, trusted, signed)):
        bad, last_bad, reason, entries = first, first, problem, ()
    for entry in entries:
        seq += 1
        fault = _fault(entry, seq, previous)
        if fault:
            bad, reason = last_bad, _ = fault
            break
        previous = entry.hash
        if (expected := trusted.get(seq)) is not None:
            if expected != {entry.hash}:
                bad, last_bad, reason = proven + 1, seq, "another chain than the platform countersigned"
                break
            proven = seq
    newest = max(trusted, default=0)
    if not bad and newest > seq:
        # What stands between the last proven entry and the cut may be rewritten as well: nobody can tell.
        bad, last_bad, reason = proven + 1, newest, f"cut off: entries {seq + 1} to {newest} were countersigned"
    whole = (bad - 1 if bad else seq) - first + 1
    proven = min(proven, bad - 1) if bad else proven
    return Verdict(
        entries=whole,
        proven=max(proven, 0),
        not_yet_proven=(bad - 1 if bad else seq) - proven,
        first_bad=bad,
        last_bad=last_bad,
        reason=reason,
        incomplete=incomplete,
        forged_heads=tuple(sorted(forged)),
        first=first,
    )


def _wrong_beginning(first: int, previous: str, trusted: Mapping[int, set[str]], signed: Mapping[int, datetime]) -> str:
    """Why a log may not begin here; empty when it may."""
    if trusted.get(first - 1) != {previous}:
        return f"entries 1 to {first - 1} are missing, and no countersigned checkpoint stands in their place"
    if signed and first - 1 in signed and (kept := max(signed.values()) - signed[first - 1]) < TERM:
        return f"entries 1 to {first - 1} were dropped after {kept.days} days, before their term of {TERM.days}"
    return ""


def checkpoint(
    heads: Callable[[int], Head | None], first: int, last: int, genuine: Genuine, term: timedelta
) -> Head | None:
    """The newest head behind which entries are older than the term, by the platform's own times; None when there is none.

    `heads(n)` is the newest head up to an entry; looked for by halves among entries `first` … `last`. A head that is not
    genuine counts for nothing: the one before it is taken.
    """

    def at(seq: int) -> tuple[Head, datetime] | None:
        for _ in range(_FORGED_IN_A_ROW):
            head = heads(seq)
            if head is None or head.seq < first:
                return None
            if isinstance(says := genuine(head), datetime):
                return head, says
            seq = head.seq - 1
        return None

    newest = at(last)
    if newest is None:
        return None
    limit = newest[1] - max(term, TERM)
    low, high = first - 1, newest[0].seq  # whoever is at `low` is old enough, whoever is at `high` is not
    found = None
    while high - low > 1:
        middle = (low + high) // 2
        here = at(middle)
        if here is None or here[1] <= limit:
            low, found = middle, here or found
        else:
            high = middle
    return found[0] if found else None


def _fault(entry: Entry, seq: int, previous: str) -> tuple[int, str] | None:
    """The first entry that is wrong, and how; None when this one stands where it should."""
    try:
        place = _PLACE.decode(entry.body)
    except _NO_JSON:
        return seq, "not an entry"
    consistent = _self_consistent(place.prev, entry)
    if place.seq != seq:
        if not consistent:
            return seq, "altered"
        if place.seq == seq - 1 and entry.hash != previous:
            return place.seq, f"two different entries {place.seq}"
        return seq, f"entry {place.seq} stands where {seq} belongs"
    if place.prev != previous:
        # This entry is whole and remembers another predecessor: the predecessor was altered together with its hash.
        return (seq - 1, "altered, its hash too") if consistent and seq > 1 else (seq, "altered")
    return None if consistent else (seq, "altered")


def _self_consistent(previous: str, entry: Entry) -> bool:
    try:
        return entry_hash(previous, entry.body) == entry.hash
    except ValueError:
        return False


# --- the export -------------------------------------------------------------------------------------------------------


class Title(msgspec.Struct, frozen=True):
    """The first line of an export."""

    qc_log: int = 1
    first: int = 1
    prev: str = GENESIS
    instance: str = ""


class NotALog(ValueError):
    """The file is not an export of our quality log."""


class _Line(msgspec.Struct):
    hash: str = ""
    entry: msgspec.Raw = msgspec.Raw(b"")
    head: dict[str, Any] = {}
    evidence: str = ""


_LINE = msgspec.json.Decoder(_Line)


def export(title: Title, entries: Iterable[Entry], heads: Iterable[Head]) -> Iterator[bytes]:
    """The lines of an export, each with its newline."""
    yield msgspec.json.encode(title) + b"\n"
    for entry in entries:
        yield b'{"hash":"%b","entry":%b}\n' % (entry.hash.encode(), entry.body)
    for head in heads:
        line = {"head": {"seq": head.seq, "hash": head.hash}, "evidence": base64.b64encode(head.evidence).decode()}
        yield msgspec.json.encode(line) + b"\n"


class Export:
    """An export read back, in two passes over the same lines: the heads first (few), then the entries (any number).

    `lines` is called twice and gives the lines anew each time: a file is opened twice rather than held in memory.
    """

    def __init__(self, lines: Callable[[], Iterable[bytes]]) -> None:
        self._lines = lines
        self.incomplete = False
        self.title = Title()
        self.heads: list[Head] = []
        for number, line in enumerate(lines()):
            if number == 0:
                self.title = _title(line)
            elif line.startswith(b'{"head"'):
                self._take_head(line)
        self.heads.sort(key=lambda head: head.seq)

    def _take_head(self, line: bytes) -> None:
        try:
            parsed = _LINE.decode(line)
            head = Head(int(parsed.head["seq"]), str(parsed.head["hash"]), base64.b64decode(parsed.evidence))
        except (*_NO_JSON, KeyError, binascii.Error):
            if line.endswith(b"\n"):
                self.heads.append(Head(0, "not a head"))  # never genuine: it shows among the forged
            else:
                self.incomplete = True
            return
        self.heads.append(head)

    def entries(self) -> Iterator[Entry]:
        """The entries in the order of the file. A line that is no entry comes as one that cannot be right."""
        seq = self.title.first - 1
        for number, line in enumerate(self._lines()):
            if number == 0 or line.startswith(b'{"head"'):
                continue
            try:
                parsed = _LINE.decode(line)
            except _NO_JSON:
                if not line.endswith(b"\n"):
                    self.incomplete = True  # only the last line of a file can lack its newline
                    return
                parsed = _Line()
            seq += 1
            yield Entry(seq, parsed.hash, bytes(parsed.entry))


def _title(line: bytes) -> Title:
    try:
        title = msgspec.json.decode(line, type=Title)
    except _NO_JSON as error:
        raise NotALog("the first line is not the title of a quality log") from error
    if title.qc_log != 1:
        raise NotALog(f"a quality log of format {title.qc_log}; this program reads format 1")
    return title


def verify_export(lines: Callable[[], Iterable[bytes]], genuine: Genuine | None) -> Verdict:
    """Verify an export offline, with nothing but the platform's public key inside `genuine`."""
    export = Export(lines)
    title = export.title
    verdict = verify(export.entries(), export.heads, genuine, title.first, title.prev)
    return msgspec.structs.replace(verdict, incomplete=export.incomplete)
