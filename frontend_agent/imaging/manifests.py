"""The destination `xds-i`: a manifest of each study to a document repository (IHE RAD TF-2 §4.68, Provide and Register Imaging Document
Set); the images stay where it says. When the study changes, a new version replaces the manifest before (RPLC).

All of a study's instances are settled together, for one document speaks of them all. Until the destination named by `after` has proven
the study, the book gives none of it here.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.outlets import Around
from connectors.outlets.xds import XdsEdge
from frontend_agent.config_images import ManifestOutlet
from frontend_agent.config_outlets import XdsOutlet
from frontend_agent.delivery import State
from frontend_agent.dialects.ebxml import SCHEMES, Code, Entry, entry_uuid, oid_of
from frontend_agent.dialects.xds import EVERY, cx, read_codes
from frontend_agent.dicom.part10 import meta
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, FrontendAgentError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.making import Made
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled, Study
from frontend_agent.imaging.notes import Retrieve, manifest, modalities
from frontend_agent.imaging.outlets import OutletHands, PathOf, Settle
from frontend_agent.model import Outcome
from frontend_agent.shipped import only_known_keys, read_file, toml_of

KEY_OBJECT = Code("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Key Object Selection Document")
DCM = "1.2.840.10008.2.16.4"
ACCESSION = "urn:ihe:iti:xds:2013:accession"
_STATES = {
    Outcome.ACCEPTED: State.ACCEPTED,
    Outcome.REFUSED: State.REFUSED,
    Outcome.RETRY: State.WAITING,
    Outcome.UNANSWERED: State.UNCERTAIN,
}


class Submitted(msgspec.Struct, frozen=True):
    """The newest manifest of a study that the repository accepted: its UID, and the one that it replaced."""

    unique_id: str
    replaced: str = ""


class Manifests:
    """One repository. One submission at a time."""

    def __init__(self, name: str, options: ManifestOutlet, hands: OutletHands, codes: dict[str, Code]) -> None:
        self.name = name
        self._options, self._codes = options, codes
        self._book: StudyBook = hands.book
        self._clock = hands.clock
        self._institution = hands.config.institution
        self._zone = ZoneInfo(self._institution.timezone)
        self._retrieve = Retrieve(options.retrieve_ae, options.retrieve_location, options.retrieve_url)
        self._edge = XdsEdge(name, _as_xds(options), Around(_none, hands.secret, hands.clock), _Namer())
        self._told: dict[str, Any] = {"address": options.url, "submitted": 0, "replaced": 0, "refused": 0}

    # -- a destination of images

    def send(self, delivery: ImageDelivery, path: PathOf, settle: Settle) -> None:
        whole = [one for one in self._book.instances(delivery.study.id) if not one.is_conflict]
        numbers = [one.id for one in delivery.instances]
        made = self._made(delivery.study, whole)
        before = self._submitted(delivery.study)
        if before is not None and before.unique_id == made.sop_instance_uid:
            settle([Settled(one, State.ACCEPTED) for one in numbers])  # the same manifest: it was accepted before
            return
        replaced = before.unique_id if before else ""
        content = _content(made)
        receipt = self._edge.submit(
            made.sop_instance_uid, self._entry(delivery.study, whole, made, content, replaced), content
        )
        state = _STATES.get(receipt.outcome, State.UNCERTAIN)
        if state is State.ACCEPTED:
            self._remember(delivery.study, Submitted(made.sop_instance_uid, replaced))
            self._told["submitted"] += 1
            self._told["replaced"] += bool(replaced)
        self._told["refused"] += state is State.REFUSED
        settle([Settled(one, state, receipt.reasons) for one in numbers])

    def prove(self, delivery: ImageDelivery) -> Sequence[Settled]:
        """DELIVERED where the registry shows the manifest with our hash; without a registry that may be asked nothing proves it."""
        submitted = self._submitted(delivery.study)
        if not self._options.registry_url or submitted is None:
            return ()
        whole = [one for one in self._book.instances(delivery.study.id) if not one.is_conflict]
        made = self._made(delivery.study, whole)
        if made.sop_instance_uid != submitted.unique_id:
            return ()  # it has changed since: the next version speaks of them
        entry = self._entry(delivery.study, whole, made, _content(made), submitted.replaced)
        if not self._edge.shows(entry):
            return ()
        return [Settled(one.id, State.DELIVERED, proof=f"registry, SHA-1 {entry.hash}") for one in delivery.instances]

    def probe(self) -> None:
        self._edge.probe()

    def told(self) -> dict[str, Any]:
        return dict(self._told)

    def close(self) -> None:
        """Connections end with each submission."""

    # -- one manifest

    def _made(self, study: Study, whole: Sequence[Instance]) -> Made:
        at = study.last_at.astimezone(self._zone).strftime("%Y%m%d%H%M%S")
        return manifest(whole, self._institution.name, at, self._retrieve, study.order)

    def _entry(self, study: Study, whole: Sequence[Instance], made: Made, content: bytes, replaced: str) -> Entry:
        """What the registry is told (RAD TF-3 §4.68.4.1.2.3)."""
        header, unique_id = whole[0].header, made.sop_instance_uid
        order = study.order
        patient = cx((order.patient_id if order else "") or header.patient_id, self._options.patient_root)
        accession = (order.accession_number if order else "") or header.accession_number
        started = header.study_date + (header.study_time[:6] if len(header.study_time) >= 6 else "")
        return Entry(
            entry_uuid=entry_uuid(unique_id),
            unique_id=unique_id,
            set_uuid=entry_uuid(f"{unique_id} submission"),
            set_unique_id=oid_of(f"{unique_id} submission"),
            source_id=self._options.source_oid,
            patient_id=patient,
            source_patient_id=patient,
            title="影像清单",
            language="zh-CN",
            creation_time=study.last_at.astimezone(UTC).strftime("%Y%m%d%H%M%S"),
            submission_time=self._clock().astimezone(UTC).strftime("%Y%m%d%H%M%S"),
            hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            size=len(content),
            codes={**{name: self._codes[name] for name in SCHEMES if name != "format"}, "format": KEY_OBJECT},
            content_type=self._codes["content_type"],
            authors=[{"authorInstitution": [self._institution.name]}],
            service_start=self._utc(started),
            replaces=entry_uuid(replaced) if replaced else "",
            mime_type="application/dicom",
            events=[Code(one, DCM, one) for one in sorted(modalities(whole)) if one],
            reference_ids=[f"{cx(accession, self._options.patient_root)}^{ACCESSION}"] if accession else [],
        )

    def _utc(self, digits: str) -> str:
        """A day stays that day; what is no time is not said."""
        if len(digits) != 14:
            return digits if len(digits) == 8 and digits.isdigit() else ""
        try:
            moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=self._zone)
        except ValueError:
            return ""
        return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")

    # -- what was submitted

    def _submitted(self, study: Study) -> Submitted | None:
        said = self._book.mark(self._mark(study))
        return msgspec.json.decode(said, type=Submitted) if said else None

    def _remember(self, study: Study, submitted: Submitted) -> None:
        self._book.put_mark(self._mark(study), msgspec.json.encode(submitted).decode())

    def _mark(self, study: Study) -> str:
        return f"manifest {self.name} {study.study_instance_uid}"


class _Namer:
    """XdsEdge is given whole entries here; of a probe it asks only for a name that nothing has."""

    def entry(self, opened: Any, now: datetime, /) -> Entry | str:
        return "manifests are made of studies"

    def unique_id(self, document_id: str, /) -> str:
        return oid_of(document_id)


def _none(document: Any) -> Any:
    raise DestinationUnreachable("manifests are made of studies")


def _content(made: Made) -> bytes:
    return meta(made.sop_class_uid, made.sop_instance_uid, made.transfer_syntax_uid) + made.head


def _as_xds(options: ManifestOutlet) -> XdsOutlet:
    return XdsOutlet(
        type="xds", url=options.url, timeout=options.timeout, registry_url=options.registry_url, codes=options.codes,
        source_id=options.source_oid, assigning_authority=options.patient_root, attach=options.attach, certificate=options.certificate,
        key=options.key, ca=options.ca,
    )  # fmt: skip


def manifests(name: str, options: ManifestOutlet, hands: OutletHands) -> Manifests:
    """The destination of a table. ConfigurationError: what its codes lack."""
    where = f"[images.destinations.{name}] {options.codes}"
    try:
        table = toml_of(read_file(options.codes), options.codes)
        only_known_keys(table, ("defaults",), options.codes)
        codes = read_codes(table.get("defaults", {}), f"{options.codes}: defaults")
    except FrontendAgentError as error:
        raise ConfigurationError(f"[images.destinations.{name}] {error}") from error
    missing = [one for one in EVERY if one not in codes and one != "format"]
    if missing:
        raise ConfigurationError(f"{where}: defaults lacks {', '.join(missing)}")
    return Manifests(name, options, hands, codes)
