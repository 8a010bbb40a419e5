"""What goes into the book of studies and is made of its rows, and the few rules of it that are pure."""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from connectors.arrivals import Kept
from frontend_agent.config import Config
from frontend_agent.delivery import State
from frontend_agent.dicom.header import Header
from frontend_agent.imaging.model import Expected, Instance, Order, Study, StudyState, Want
from frontend_agent.instance_files import Written
from frontend_agent.model import Finding
from frontend_agent.spool.times import moment, moment_or_none

ENDED = (State.DELIVERED, State.DISCARDED)  # nothing more is to come of it
LEFT = (State.SENDING, State.WAITING, State.UNCERTAIN, State.ACCEPTED, State.DELIVERED)  # a destination has it, or may

FOR_MAKING = 8  # the part of the quota that is left for what is made for destinations: an eighth

# What may become of a delivery: from where it stands to what is said of it. A proof counts whenever it comes; a late yes counts as
# long as nothing better is known.
_ON_ITS_WAY = (State.SENDING, State.READY, State.WAITING, State.UNCERTAIN, State.BEHIND)
MOVES: Mapping[State, tuple[State, ...]] = {
    State.DELIVERED: (*_ON_ITS_WAY, State.ACCEPTED, State.REFUSED, State.BLOCKED, State.DAMAGED, State.AWAITING),
    State.ACCEPTED: _ON_ITS_WAY,
    State.REFUSED: (State.SENDING, State.UNCERTAIN, State.ACCEPTED),
    State.BLOCKED: (State.SENDING, State.UNCERTAIN),
    State.DAMAGED: (State.SENDING,),
    State.WAITING: (State.SENDING,),
    State.UNCERTAIN: (State.SENDING,),
    State.READY: (State.SENDING, State.UNCERTAIN, State.ACCEPTED, State.DELIVERED),
}


class Rules(NamedTuple):
    """What the configuration says of the book."""

    institution: str = ""
    settle: timedelta = timedelta(minutes=2)
    quota: int = 0  # bytes, 0 for no limit
    may_change: bool = True  # instances may be written anew: there must be room for both
    for_making: int = 0  # bytes of the quota that arrivals leave for what is made for destinations
    after: Mapping[str, str] = {}  # destination -> the one that must have a study first
    never_prove: frozenset[str] = (
        frozenset()
    )  # destinations of which nobody can ask whether they have it: a yes must do
    kept_unproven: Mapping[str, timedelta] = {}  # destination -> the term of what it accepted and never proved


def rules_of(config: Config) -> Rules:
    """What [images] says of the book."""
    images = config.images
    return Rules(
        institution=config.institution.id,
        settle=images.settle,
        quota=int(images.quota),
        may_change=images.align or images.repair_character_sets,
        for_making=int(images.quota) // FOR_MAKING
        if any(one.deidentified or one.compress for one in images.destinations.values())
        else 0,
        after={name: after for name, one in images.destinations.items() if (after := getattr(one, "after", ""))},
        never_prove=frozenset(
            name for name, one in images.destinations.items() if getattr(one, "proof", "none") == "none"
        ),
        kept_unproven={name: one.retention for name, one in images.destinations.items()},
    )


class Parcel(NamedTuple):
    """One instance on its way into the book: its file is whole and synced."""

    header: Header
    written: Written
    inlet: str
    sender: str
    received_at: datetime


class Known(NamedTuple):
    """What is here under a SOP Instance UID."""

    id: int
    sha256: str
    is_conflict: bool
    has_files: bool


class Verdict(NamedTuple):
    """What is answered, and what is written for it."""

    kept: Kept
    is_new: bool = False
    restores: int = 0  # the instance whose file was retired and has come again
    mends: int = 0  # the instance whose file our disk has lost, and that has come again

    @property
    def takes_file(self) -> bool:
        """Whether its file gets its name; else there is one already."""
        return self.is_new or bool(self.restores or self.mends)


def verdict(digest: str, known: Sequence[Known], lies_there: Callable[[], bool] = lambda: True) -> Verdict:
    """The same bytes under the same UID have one effect (law 6); other bytes are kept beside, for a person.

    `lies_there`: whether the file that should be here is; what is acknowledged is on disk, also the second time.
    """
    for one in known:
        if one.sha256 == digest:
            said = Kept.CONFLICT if one.is_conflict else Kept.KEPT
            if not one.has_files:
                return Verdict(said, restores=one.id)
            if not lies_there():
                return Verdict(said, mends=one.id)
            return Verdict(Kept.CONFLICT if one.is_conflict else Kept.DUPLICATE)
    return Verdict(Kept.CONFLICT if known else Kept.KEPT, is_new=True)


def moved(before: State, said: State) -> State | None:
    """Where a delivery comes to stand; None when what is said has nothing new about it."""
    return said if said is not before and before in MOVES.get(said, ()) else None


def root(digests: Mapping[str, str]) -> str:
    """One hash over instances, for the log: SOP Instance UID -> SHA-256."""
    return sha256("\n".join(f"{uid} {digest}" for uid, digest in sorted(digests.items())).encode()).hexdigest()


# --- headers: a series says once what its instances have in common ----------------------------------------------------


def packed_header(header: Header) -> bytes:
    return msgspec.json.encode(header)


def difference(base: bytes, header: Header) -> bytes:
    """What a header says otherwise than its series' first: as JSON."""
    before = msgspec.json.decode(base, type=dict[str, Any])
    now: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(header))
    told = {name: value for name, value in now.items() if before.get(name) != value}
    told |= dict.fromkeys(before.keys() - now.keys())
    return msgspec.json.encode(told)


def header_of(base: Mapping[str, Any], differs: bytes) -> Header:
    told = msgspec.json.decode(differs, type=dict[str, Any])
    said = {name: value for name, value in {**base, **told}.items() if value is not None}
    return msgspec.convert(said, Header)


# --- rows -------------------------------------------------------------------------------------------------------------


def study_of(row: Sequence[Any]) -> Study:
    (number, uid, institution, inlet, state, first_at, last_at, due_at, series, instances, size, orders, expected, findings,
     let_go, urgency, files, note) = row  # fmt: skip
    return Study(
        id=number, study_instance_uid=uid, institution=institution, inlet=inlet, state=StudyState(state),
        first_at=moment(first_at), last_at=moment(last_at), due_at=moment_or_none(due_at), series=series,
        instances=instances, size=size, order=msgspec.json.decode(orders, type=Order) if orders else None,
        expected=expected_of(expected), findings=tuple(msgspec.json.decode(findings, type=list[Finding])),
        let_go=tuple(msgspec.json.decode(let_go, type=list[str])), urgency=urgency, has_files=bool(files), note=note,
    )  # fmt: skip


def expected_of(body: bytes | None) -> Expected | None:
    return msgspec.json.decode(body, type=Expected) if body else None


def want_of(row: Sequence[Any]) -> Want:
    number, inlet, uid, accession, why, urgency, since, due_at, attempts, problem, expected, _ = row
    return Want(
        id=number, inlet=inlet, study_instance_uid=uid, accession_number=accession, why=why, urgency=urgency,
        since=moment(since), due_at=moment_or_none(due_at), attempts=attempts, problem=problem,
        expected=expected_of(expected),
    )  # fmt: skip


def instance_of(
    row: Sequence[Any], headers: Mapping[int, Mapping[str, Any]], left: Container[int] = frozenset()
) -> Instance:
    number, study, series, digest, size, sent, sent_size, inlet, sender, received_at, conflict, files, differs = row
    return Instance(
        id=number, study=study, header=header_of(headers[series], differs), sha256=digest, size=size,
        sent_sha256=sent or digest, sent_size=size if sent_size is None else sent_size, inlet=inlet, sender=sender,
        received_at=moment(received_at), is_conflict=bool(conflict), has_file=bool(files),
        left=number in left and not (sent and sent_size is None),  # what is gone may be made again: it is the same bytes
    )  # fmt: skip


def by_series_and_number(instance: Instance) -> tuple[Any, ...]:
    """As a person looks at a study: by the numbers of series and instances; conflicts at the end."""
    header = instance.header
    return (
        instance.is_conflict, _number(header.series_number), header.series_instance_uid,
        _number(header.instance_number), instance.id,
    )  # fmt: skip


def _number(text: str) -> int:
    """An IS value; what is none comes last."""
    plain = text.strip()
    return int(plain) if plain.lstrip("+-").isdecimal() and len(plain) <= 12 else 1 << 62
