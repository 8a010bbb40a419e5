"""The destinations of images: the one shape they have, which function makes each type, and what it is given.

A new type is a dataclass in config_images, one function here and its line in MAKERS. Classes are imported only where a table of that
type is configured.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from connectors.instances import InstanceDesk
from frontend_agent.calendar import Days
from frontend_agent.config import Config
from frontend_agent.config_images import DicomOutlet, ImageOutletConfig, ManifestOutlet, StowOutlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.instance_reading import InstanceFile
from frontend_agent.wire.images import StudyIndex

PathOf = Callable[[Instance], InstanceFile]  # the file of an instance as it is sent to this destination
Settle = Callable[[Sequence[Settled]], None]  # what became of instances: durable when it returns


class ImageOutlet(Protocol):
    """A destination of images. Its methods may be called from several threads, each with instances of another study."""

    name: str

    def send(self, delivery: ImageDelivery, path: PathOf, settle: Settle) -> None:
        """Send these instances, and settle each by its own answer as soon as there is one: what is settled is never sent twice.
        DestinationUnreachable, NotAllowed: what is not settled by then goes later, and is not to blame (law 7)."""

    def prove(self, delivery: ImageDelivery) -> Sequence[Settled]:
        """Ask whether it has what it accepted: DELIVERED with its proof, READY where it says that it has it not. What it does not
        speak of stays as it is."""

    def probe(self) -> None:
        """Raise what would go wrong if we sent something now. Sends nothing."""

    def told(self) -> dict[str, Any]:
        """How it stands, in plain values: address, associations, rate, last problem."""

    def close(self) -> None:
        """Give back connections; it is not called again."""


class OutletMemory(Protocol):
    """Single values that outlive a restart: a pinned key, a token."""

    def get(self, name: str) -> str | None: ...
    def put(self, name: str, value: str) -> None: ...


class OutletHands(NamedTuple):
    """What a destination of images is given, beside its name and its table."""

    config: Config
    book: StudyBook
    desk: InstanceDesk  # for what is made here: manifests
    clock: Callable[[], datetime]
    secret: Callable[[str], str]  # the value of a secret by its name
    has_day: Callable[[date, Days], bool]
    reports: CommitmentReports
    memory: OutletMemory
    state: Path  # the state folder: what is made for one destination lies in `images/made` below it


Maker = Callable[[str, Any, OutletHands], ImageOutlet]  # name, its table, what it is given


# One function for each type: it imports its class and gives it what it asks for.


def _dicom(name: str, options: DicomOutlet, hands: OutletHands) -> ImageOutlet:
    from connectors.dicom.links import links_of
    from connectors.dicom.proving import A_MOMENT, CommitmentProof, FindProof, Unproven
    from connectors.dicom.sending import Proof, StoreEdge

    proof: Proof = Unproven()
    if options.proof == "commitment":
        # With an inlet for reports, one over the same association is only waited for a moment.
        waits = A_MOMENT if options.commitment_to else options.timeout.total_seconds()
        commitment = CommitmentProof(name, links_of(name, options), hands.book, hands.clock, waits)
        hands.reports.listen(commitment.heard)
        proof = commitment
    elif options.proof == "find":
        proof = FindProof(name, links_of(name, options, options.find_url))
    return StoreEdge(name, options, links_of(name, options), proof)


def _stow(name: str, options: StowOutlet, hands: OutletHands) -> ImageOutlet:
    from connectors.dicomweb.stow import qido_or_none

    if options.proof != "platform":
        return qido_or_none(name, options, hands.secret)
    from connectors.dicomweb.platform import platform_edge
    from connectors.outlets.http import Tls
    from frontend_agent.imaging.indexing import study_index
    from frontend_agent.renewing import Belonging

    hospital = hands.config.institution

    def index(delivery: ImageDelivery) -> StudyIndex:
        study = hands.book.study(delivery.study.id) or delivery.study
        return study_index(study, hands.book.instances(study.id), hospital.epoch)

    named = Tls(options.certificate, options.key, options.ca)
    member = Belonging(hands.state, options.url, named, hands.clock)
    return platform_edge(name, options, hands.secret, hands.memory, hospital.id, index, member)


def _manifests(name: str, options: ManifestOutlet, hands: OutletHands) -> ImageOutlet:
    from frontend_agent.imaging.manifests import manifests

    return manifests(name, options, hands)


MAKERS: dict[type[ImageOutletConfig], Maker] = {DicomOutlet: _dicom, ManifestOutlet: _manifests, StowOutlet: _stow}


def make(name: str, options: ImageOutletConfig, hands: OutletHands) -> ImageOutlet:
    """The destination of a table; nothing is opened. ConfigurationError for what is wrong with it."""
    maker = MAKERS.get(type(options))
    if maker is None:
        raise ConfigurationError(f"[images.destinations.{name}] type {options.type!r} is not built into this version")
    return maker(name, options, hands)
