"""Images between agent and platform: where, and in which words. Pure.

    POST /v1/institutions/{id}/dicom-web/studies   STOW-RS (PS3.18 §10.5): instances as files, any number a request
    POST /v1/images/receipts   ReceiptsAsked -> a signed reply (wire/receipts.py), one leaf per instance, in the order asked
    POST /v1/images/index      StudyIndex -> Indexed: what the hospital has of a study, with or without its pixels
    POST /v1/images/wanted     WantedAsked -> WantedStudies: what the platform asks this hospital for

An instance is settled by its leaf only: the SHA-256 of its file as `dicom/part10.py` writes it (laws 5 and 6). A sender that
shows `RECEIPTS_HEADER` on its STOW request gets the same signed reply inside the answer, as the text of `RECEIPT` at its top
level; each item of the answer's failed and other failures sequences says why in `REASONS`, line by line. Both are private
elements of `CREATOR`, as DICOM JSON (PS3.18 annex F).
"""

from typing import Annotated
from urllib.parse import quote

import msgspec

from frontend_agent.wire.receipts import ABSENT, Leaf

DICOMWEB = "/dicom-web"  # of all hospitals
RECEIPTS = "/v1/images/receipts"
INDEX = "/v1/images/index"
WANTED = "/v1/images/wanted"
MOST_ASKED = 10_000  # instances of one question for receipts
MOST_INDEXED = 100_000  # instances of one study's index
LARGEST_INDEX = 64 << 20  # bytes of one study's index as JSON

RECEIPTS_HEADER = "frontend-agent-receipts"  # of a STOW request, any value: the answer carries the signed receipts
INSTANCE_HEADER = "frontend-agent-instance"  # of a STOW request: who speaks, by instance and lease (law 14)
LEASE_HEADER = "frontend-agent-lease"
CREATOR, CREATOR_NAME = "00090010", "FRONTEND_AGENT"
REASONS = "00091001"  # UT
RECEIPT = "00091002"  # UT
KIND = "DICOM"  # of an instance's leaf
VERSION = 1

Uid = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
OptionalUid = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+)*)?$", max_length=64)]
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Natural = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


def dicomweb_path(institution: str) -> str:
    """The base of one hospital's own DICOMweb: what it stores goes to {base}/studies."""
    return f"/v1/institutions/{quote(institution, safe='')}{DICOMWEB}"


class Speaks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """For whom, and by which agent. With `instance` its lease is proven (law 14); without, the connection alone says who it is."""

    institution: Named
    instance: Short = ""
    lease: Short = ""


class IndexedInstance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance that the hospital has. `sha256` and `size` are of the file that it would send."""

    sop_instance_uid: Uid
    sop_class_uid: OptionalUid = ""
    transfer_syntax_uid: OptionalUid = ""
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    size: Natural = 0
    instance_number: Short = ""
    frames: Natural = 1
    rows: Natural = 0
    columns: Natural = 0


class IndexedSeries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One series. Names are the standard's keywords."""

    series_instance_uid: Uid
    modality: Short = ""
    series_number: Short = ""
    series_description: Text = ""
    series_date: Short = ""
    body_part_examined: Short = ""
    laterality: Short = ""
    manufacturer: Short = ""
    station_name: Short = ""
    instances: tuple[IndexedInstance, ...] = ()


class StudyIndex(Speaks, frozen=True, kw_only=True, omit_defaults=True):
    """What the agent says of one study, the newest word whole. Names are the standard's keywords, values as DICOM writes them
    (dates yyyymmdd, sex M F O, names with ^ and =); "" where nothing is said.
    """

    study_instance_uid: Uid
    study_date: Short = ""
    study_time: Short = ""
    accession_number: Short = ""
    study_id: Short = ""
    study_description: Text = ""
    referring_physician_name: Text = ""
    institution_name: Text = ""
    patient_name: Text = ""
    patient_id: Short = ""
    issuer_of_patient_id: Short = ""
    patient_birth_date: Short = ""
    patient_sex: Short = ""
    # of its order and report, as the records have them
    order_key: Short = ""
    visit_number: Short = ""
    id_number: Short = ""  # of the patient's identity card
    report_key: Short = ""  # the exam report's (C0006) business key
    report_set_id: Short = ""  # its set: documents of this set report the study
    series: tuple[IndexedSeries, ...] = ()


class Indexed(msgspec.Struct, frozen=True):
    """How many of the study's instances the platform knows and has."""

    instances: int
    held: int  # with their files
    wanted: bool  # it asks for the others


class WantedAsked(Speaks, frozen=True, kw_only=True, omit_defaults=True):
    """Which studies of mine do you want?"""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class WantedStudy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One study whose pixels the platform asks for, until it has all of them."""

    study_instance_uid: str
    accession_number: str = ""
    since: str  # ISO 8601 UTC
    why: str = ""


class WantedStudies(msgspec.Struct, frozen=True):
    """Those that a person waits for, the oldest first."""

    wanted: list[WantedStudy]


class ReceiptsAsked(Speaks, frozen=True, kw_only=True, omit_defaults=True):
    """Is it stored? By SOP Instance UIDs; without any, all instances of the study that are held."""

    study_instance_uid: OptionalUid = ""
    sop_instance_uids: Annotated[tuple[Uid, ...], msgspec.Meta(max_length=MOST_ASKED)] = ()


def stored_leaf(institution: str, sop_instance_uid: str, study_instance_uid: str, sha256: str, size: int) -> Leaf:
    """The receipt of an instance that is stored: the same whenever it is asked for."""
    return Leaf(institution, sop_instance_uid, "stored", study_instance_uid, VERSION, KIND, sha256, size)


def refused_leaf(institution: str, sop_instance_uid: str, sha256: str, size: int, reasons: tuple[str, ...]) -> Leaf:
    """Other bytes than those that are stored, or what cannot be stored by anybody."""
    return Leaf(institution, sop_instance_uid, "refused", "", VERSION, KIND, sha256, size, list(reasons))


def absent_leaf(institution: str, sop_instance_uid: str) -> Leaf:
    """Asked for, and not here."""
    return Leaf(institution, sop_instance_uid, ABSENT)
