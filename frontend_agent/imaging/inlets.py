"""The inlets of images: which function makes each type, and what it is given.

A new type is a dataclass in config_images, one function here and its line in MAKERS. Classes are imported only where a table of that
type is configured. Their life beside the daemon is that of all other inlets (frontend_agent/inlets.py).
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from connectors.arrivals import Inlet
from connectors.folders.collecting import Memory
from connectors.instances import InstanceDesk
from frontend_agent.calendar import Days
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import DicomInlet, ImageInletConfig, ImagesConfig, ScansInlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.keeping import StudyBook
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


MAKERS: dict[type[ImageInletConfig], Maker] = {
    ScansInlet: _scans,
    DicomInlet: _dicom,
}


def make(name: str, options: ImageInletConfig, hands: ImageHands) -> Inlet:
    """The inlet of a table; it is not started. ConfigurationError for what is wrong with it."""
    maker = MAKERS.get(type(options))
    if maker is None:
        raise ConfigurationError(f"[images.inlets.{name}] type {options.type!r} is not built into this version")
    return maker(name, options, hands)
