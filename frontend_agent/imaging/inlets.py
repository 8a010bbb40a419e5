"""The inlets of images: which function makes each type, and what it is given.

A new type is a dataclass in config_images, one function here and its line in MAKERS. Classes are imported only where a table of that
type is configured. Their life beside the daemon is that of all other inlets (frontend_agent/inlets.py).
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any, NamedTuple

from connectors.arrivals import Inlet
from connectors.folders.collecting import Memory
from connectors.instances import InstanceDesk
from connectors.pacs import Pacs
from frontend_agent.calendar import Days
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import (
    AskingConfig,
    DicomFolderInlet,
    DicomInlet,
    DicomQueryInlet,
    DicomwebInlet,
    ImageInletConfig,
    ImagesConfig,
    ScansInlet,
    dicom_address,
)
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Expected
from frontend_agent.imaging.reports import CommitmentReports


class ImageHands(NamedTuple):
    """What an inlet of images is given, beside its name and its table."""

    desk: InstanceDesk
    book: StudyBook
    clock: Callable[[], datetime]
    secret: Callable[[str], str]  # the value of a secret by its name
    timezone: str  # of the institution
    has_day: Callable[[date, Days], bool]  # whether a day is a working day, or a holiday, by [calendar]
    picked: Memory  # which files it has picked up
    institution: InstitutionConfig
    images: ImagesConfig
    reports: CommitmentReports  # storage commitment: an inlet of type dicom tells it what PACS report


Maker = Callable[[str, Any, ImageHands], Inlet]  # name, its table, what it is given


# One function for each type: it imports its class and gives it what it asks for.


def _dicom(name: str, options: DicomInlet, hands: ImageHands) -> Inlet:
    from connectors.dicom.listener import DicomListener

    return DicomListener(name, options, hands.desk, hands.reports, hands.clock)


def _scans(name: str, options: ScansInlet, hands: ImageHands) -> Inlet:
    from frontend_agent.imaging.scanning import scans

    return scans(name, options, hands)


def _dicom_query(name: str, options: DicomQueryInlet, hands: ImageHands) -> Inlet:
    from connectors.bandwidth import Bandwidth
    from connectors.dicom.querying import DicomPacs, QueryOptions
    from connectors.dicom.requesting import Peer
    from connectors.outlets.http import Tls, tls_context

    title, host, port, by_tls = dicom_address(options.url)
    tls = tls_context(name, Tls(options.certificate, options.key, options.ca), "images.inlets") if by_tls else None
    to = hands.images.inlets.get(options.move_to) if options.retrieve == "move" else None
    asking = QueryOptions(
        peer=Peer(title, host, port, tls),
        ae_title=options.ae_title,
        timeout=options.timeout.total_seconds(),
        move_to=to.ae_title if isinstance(to, DicomInlet) else "",
    )
    bandwidth, sender = Bandwidth(options.bandwidth), f"{title}@{host}"
    connect = partial(
        DicomPacs,
        asking,
        lambda *what: hands.desk.begin(name, *what, sender=sender, largest=options.largest),
        bandwidth.take,
        lambda study: sum(hands.book.counts(study).values()),
    )
    return _fetcher(name, options, connect, hands, comes_elsewhere=bool(asking.move_to))


def _dicomweb(name: str, options: DicomwebInlet, hands: ImageHands) -> Inlet:
    from connectors.bandwidth import Bandwidth
    from connectors.dicomweb.querying import DicomwebPacs
    from connectors.outlets.http import Tls

    bandwidth = Bandwidth(options.bandwidth)
    connect = partial(
        DicomwebPacs,
        options.url,
        lambda: hands.desk.begin_file(name, sender=options.url, largest=options.largest),
        bandwidth.take,
        name=name,
        tls=Tls(options.certificate, options.key, options.ca),
        timeout=options.timeout,
        authorization=lambda: options.authorization.replace(
            "{secret}", hands.secret(options.secret) if options.secret else ""
        ),
    )
    connect()  # what is wrong with its files is told now
    return _fetcher(name, options, connect, hands)


def _dicom_folder(name: str, options: DicomFolderInlet, hands: ImageHands) -> Inlet:
    from connectors.dicom.folder import DicomFolder
    from connectors.folders.making import tell

    def expect(study: str, expected: Expected) -> None:
        hands.book.expect(study, expected, hands.clock())

    return DicomFolder(name, options, hands.desk, expect, hands.picked, hands.clock, hands.timezone, tell)


def _fetcher(
    name: str, options: AskingConfig, connect: Callable[[], Pacs], hands: ImageHands, comes_elsewhere: bool = False
) -> Inlet:
    from frontend_agent.imaging.fetching import StudyFetcher

    return StudyFetcher(
        name, options, connect, hands.book, hands.clock, hands.timezone, comes_elsewhere=comes_elsewhere
    )


MAKERS: dict[type[ImageInletConfig], Maker] = {
    ScansInlet: _scans,
    DicomQueryInlet: _dicom_query,
    DicomwebInlet: _dicomweb,
    DicomFolderInlet: _dicom_folder,
    DicomInlet: _dicom,
}


def make(name: str, options: ImageInletConfig, hands: ImageHands) -> Inlet:
    """The inlet of a table; it is not started. ConfigurationError for what is wrong with it."""
    maker = MAKERS.get(type(options))
    if maker is None:
        raise ConfigurationError(f"[images.inlets.{name}] type {options.type!r} is not built into this version")
    return maker(name, options, hands)
