"""The words of imaging, as types. Nothing here does anything.

Instance   one DICOM instance as it came: its file, its header
Study      all instances of one Study Instance UID from one hospital, and how it stands
Order      what RIS and HIS say of a study: whose it is, and what was done
Expected   what the PACS says that a study has
Checked    what came of looking at a study: what it is sent as, or why it is held
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from frontend_agent.delivery import State
from frontend_agent.dicom.header import Header
from frontend_agent.model import Finding


class StudyState(StrEnum):
    """Where a study stands."""

    COLLECTING = "collecting"  # instances still come, or it is not known yet whether all are there
    HELD = "held"  # its findings hold it: for a person
    SENDING = "sending"  # it passed; at least one destination does not have all of it proven
    DONE = "done"  # every destination has all of it, proven
    DISCARDED = "discarded"  # a person decided that it is not to be sent


class Expected(msgspec.Struct, frozen=True):
    """What a PACS says of a study: how many instances each series has. -1: it does not say how many."""

    by: str  # the inlet whose PACS was asked, or "orders"
    series: Mapping[str, int]  # SeriesInstanceUID -> NumberOfSeriesRelatedInstances
    instances: int  # NumberOfStudyRelatedInstances


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One examination as RIS and HIS say it. National data-element names where there are some; "" where it is not said.

    Values are as records have them: dates D8, times DT15 in 14 digits, sex by GB/T 2261.1.
    """

    key: str  # of the row: an examination's number
    study_instance_uid: str = ""
    accession_number: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    sex: str = ""
    birth_date: str = ""
    id_number: str = ""
    modality: str = ""
    body_part: str = ""
    laterality: str = ""  # L, R, B; "" where there is none
    performed_at: str = ""
    report_key: str = ""  # the exam report's (C0006) business key
    visit_number: str = ""
    series: int = -1
    instances: int = -1
    cancelled: bool = False


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One instance that is kept. `sha256` is of its file as it came (dicom/part10.py); `sent_sha256` of the file that is sent."""

    id: int
    study: int
    header: Header
    sha256: str
    size: int
    sent_sha256: str  # the same, unless a tag really changed
    sent_size: int
    inlet: str
    sender: str
    received_at: datetime
    is_conflict: bool = False  # the UID of another instance with other bytes: kept for a person, never sent
    has_file: bool = True  # False: its term is over
    left: bool = False  # a destination has it, or may: its bytes do not change any more


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """One study, without its instances."""

    id: int
    study_instance_uid: str
    institution: str
    inlet: str
    state: StudyState
    first_at: datetime
    last_at: datetime  # when its newest instance came
    due_at: datetime | None  # when it is looked at
    series: int
    instances: int
    size: int
    order: Order | None = None
    expected: Expected | None = None
    findings: tuple[Finding, ...] = ()
    let_go: tuple[str, ...] = ()  # findings that a person let pass, by `passes` (imaging/letting.py)
    urgency: int = 1  # the lowest first: 0 a person or the platform waits, 1 real time, 2 backfill
    has_files: bool = True  # False: their term is over
    note: str = ""


class Rewritten(msgspec.Struct, frozen=True):
    """An instance whose tags were changed: a file in incoming/ takes the place of what is sent."""

    instance: int
    token: str
    sha256: str
    size: int


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of looking at a study. Committed whole, or not at all (law 1)."""

    study: int
    seen: int  # the newest instance that was looked at: a later one makes it collecting again
    due_at: datetime | None = (
        None  # when it was due as it was looked at: RIS or a PACS may have said something new since
    )
    at: datetime
    order: Order | None = None
    expected: Expected | None = None
    findings: tuple[Finding, ...] = ()  # holding ones among them hold it
    held: bool = False
    wait_until: datetime | None = None  # not complete yet: looked at again then, nothing else changes
    rewritten: Sequence[Rewritten] = ()
    destinations: tuple[str, ...] = ()
    digests: str = ""  # what it was judged and changed with


class ImageDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """Instances of one study, claimed for one destination."""

    study: Study
    destination: str
    instances: tuple[Instance, ...]
    attempts: int
    unproven: bool = False  # they were accepted, and are to be proven (commitment, re-count): nothing is sent


class Settled(msgspec.Struct, frozen=True):
    """What became of one instance at a destination."""

    instance: int
    state: State  # ACCEPTED (sent, not proven), DELIVERED (proven), REFUSED, WAITING, UNCERTAIN, READY
    reasons: tuple[str, ...] = ()
    proof: str = ""  # DELIVERED: what proves it: "commitment 1.2.840…", "qido", "receipt sha256:…"


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """A study that should be here and is not: whoever asks a PACS takes these in turn."""

    id: int = 0
    inlet: str = ""  # who is to fetch it; "" where only one can
    study_instance_uid: str = ""  # either this
    accession_number: str = ""  # or this, to be looked up at the PACS
    why: str  # "order KEY", "report KEY", "poll", "backfill N", "asked by PERSON", "platform NAME"
    urgency: int = 0  # the lowest first: 0 a person or the platform waits, 1 real time, 2 backfill
    since: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    problem: str = ""
    expected: Expected | None = None


class Reported(msgspec.Struct, frozen=True):
    """One exam report that the agent made."""

    row: int  # a later one has a higher number
    document_id: str
    key: str  # its business key
