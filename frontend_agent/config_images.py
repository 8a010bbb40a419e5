"""[images]: collecting studies, what they are held against, and where they go.

    [images]                      what holds for all of them
    [images.orders]               where RIS and HIS say whose a study is, and which there are
    [images.inlets.NAME]          where instances come in: `type` says which settings it has
    [images.destinations.NAME]    where studies go

A new type is a dataclass here and a line in INLETS or OUTLETS; what no single key can be wrong about is a line in CHECKS.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from frontend_agent.config_files import Picking, picking_problems
from frontend_agent.config_listener import ListenerConfig, listener_problems
from frontend_agent.config_types import NAMES_A_SECRET, ONE, TWO, Count, MiB64, Size
from frontend_agent.windows import Window, leaves_time, window

HUNDRED = Count(100)
GiB4 = Size(4 * 1024**3)
GiB100 = Size(100 * 1024**3)
NO_BYTES = Size(0)
MiB256 = Size(256 * 1024**2)
SIXTEEN = Count(16)

# What `deidentify` may name (imaging/deidentifying.py says what each does).
Deidentify = Literal[
    "retain-uids", "retain-device", "retain-institution", "retain-patient", "retain-dates", "modified-dates",
    "clean-descriptions", "clean-structured", "clean-graphics",
]  # fmt: skip
# What a scan's name may say, and what that may be.
NAME_PLACES = {
    "accession_number": r"[^/]+?",
    "key": r"[^/]+?",
    "study": r"[0-9.]+?",
    "patient_id": r"[^/]+?",
    "number": r"\d+",
    "any": r"[^/]*?",
}


@dataclass(frozen=True, kw_only=True)
class ImageInletConfig:
    """What every inlet of images has."""

    type: str
    largest: Size = GiB4  # of one instance; a larger one is refused


@dataclass(frozen=True, kw_only=True)
class DicomInlet(ListenerConfig, ImageInletConfig):
    """C-STORE and C-ECHO: a PACS or a modality sends. `certificate` and `key` make it DICOM over TLS."""

    type: Literal["dicom"]
    largest: Size = GiB4
    ae_title: str = "FRONTEND"  # ours
    calling: tuple[str, ...] = ()  # AE titles that may send, or AE@address, AE@network; empty: all that `allow` lets in
    client_names: tuple[
        str, ...
    ] = ()  # common names of certificates that may send; empty: any that client_ca has signed
    called: Literal["ours", "any"] = "ours"  # whether who calls must name our AE title


@dataclass(frozen=True, kw_only=True)
class AskingConfig(ImageInletConfig):
    """What every inlet has that asks a PACS for studies. Which it asks for: orders, reports, polls, and persons, by `asks_for`."""

    asks_for: tuple[Literal["orders", "reports", "poll"], ...] = (
        "orders",
        "reports",
    )  # and always what a person asks for
    every: timedelta = timedelta(minutes=5)
    lookback: timedelta = timedelta(days=2)  # poll: studies of so long ago are looked for each time
    accession_from: Literal["request_number", "report_number", "specimen_number"] = (
        "request_number"  # reports: which field of an exam report (C0006) is the AccessionNumber
    )
    protected: tuple[Window, ...] = ()  # local times in which nothing is asked
    at_once: Count = ONE  # studies fetched side by side
    bandwidth: Size = NO_BYTES  # bytes a second that are fetched at most; 0: not bounded
    answers: Count = (
        HUNDRED  # matches of one query at most before its time is halved: a PACS is never asked for everything
    )
    patience: timedelta = timedelta(days=3)  # a study that is not there is asked for so long
    retry: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class DicomQueryInlet(AskingConfig):
    """C-FIND, and C-GET or C-MOVE: dicom://AE@host:port, or dicoms:// with TLS."""

    type: Literal["dicom-query"]
    url: str
    ae_title: str = "FRONTEND"  # ours, as the PACS knows us
    retrieve: Literal["get", "move"] = "get"
    move_to: str = ""  # move: the inlet of type dicom where they come in
    timeout: timedelta = timedelta(seconds=60)  # without a word
    certificate: str = ""
    key: str = ""
    ca: str = ""


@dataclass(frozen=True, kw_only=True)
class DicomwebInlet(AskingConfig):
    """QIDO-RS and WADO-RS."""

    type: Literal["dicomweb"]
    url: str  # https://pacs/dicom-web
    timeout: timedelta = timedelta(seconds=60)
    secret: str = ""  # the NAME of the secret in `authorization`
    authorization: str = ""  # header, {secret} in it
    certificate: str = ""
    key: str = ""
    ca: str = ""


@dataclass(frozen=True, kw_only=True)
class DicomFolderInlet(Picking, ImageInletConfig):
    """DICOM files in a folder: exports, media with a DICOMDIR."""

    type: Literal["dicom-folder"]
    path: str
    patterns: tuple[str, ...] = ("*",)
    subfolders: bool = True
    mount: str = ""


@dataclass(frozen=True, kw_only=True)
class ScansInlet(Picking, ImageInletConfig):
    """What is not DICOM yet: JPEG, TIFF, PNG and PDF, made Secondary Capture or Encapsulated PDF with the data of its order."""

    type: Literal["scans"]
    path: str
    mount: str = ""
    largest: Size = MiB256
    patterns: tuple[str, ...] = ("*.jpg", "*.jpeg", "*.tif", "*.tiff", "*.png", "*.pdf")
    name: str = (
        "{accession_number}"  # what a file's name says: {accession_number} {key} {study} {patient_id} {number} {any}
    )
    modality: str = "OT"  # of what is made: XC photographs, ECG, SC …
    title: str = ""  # DocumentTitle, SeriesDescription
    wait: timedelta = timedelta(hours=24)  # for its order; then a file is refused
    conversion: Literal["", "DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"] = (
        ""  # ConversionType; empty: by what it is
    )
    shows_names: bool = True  # BurnedInAnnotation: its pixels may show whose they are


INLETS: dict[str, type[ImageInletConfig]] = {
    "dicom": DicomInlet,
    "dicom-query": DicomQueryInlet,
    "dicomweb": DicomwebInlet,
    "dicom-folder": DicomFolderInlet,
    "scans": ScansInlet,
}


@dataclass(frozen=True, kw_only=True)
class ImageOutletConfig:
    """What every destination of images has."""

    type: str
    url: str
    timeout: timedelta = timedelta(seconds=60)  # without a word
    connections: Count = TWO  # associations or connections side by side
    bandwidth: Size = NO_BYTES  # bytes a second over all of them; 0: not bounded
    windows: tuple[str, ...] = ()  # local times in which it is sent to; empty: always
    modalities: tuple[str, ...] = ()  # go there, and no others; empty: all
    deidentified: bool = False  # PS3.15 basic profile; `deidentify` says with which options
    deidentify: tuple[Deidentify, ...] = ()  # options of the profile
    pseudonym_key: str = field(
        default="", metadata=NAMES_A_SECRET
    )  # the NAME of the secret that pseudonyms, UIDs and dates are made with
    compress: Literal["", "rle", "jpeg-ls", "jpeg-2000"] = (
        ""  # native pixels without loss; what is compressed stays as it is
    )
    ask_every: timedelta = timedelta(minutes=5)  # proof of what was accepted
    ask_until: timedelta = timedelta(days=7)
    retention: timedelta = timedelta(days=90)  # of the files of what it accepted and never proved
    certificate: str = ""
    key: str = ""
    ca: str = ""


@dataclass(frozen=True, kw_only=True)
class DicomOutlet(ImageOutletConfig):
    """C-STORE: dicom://AE@host:port, or dicoms:// with TLS."""

    type: Literal["dicom"]
    ae_title: str = "FRONTEND"
    proof: Literal["commitment", "find", "none"] = (
        "commitment"  # storage commitment; a C-FIND re-count; nothing proves it
    )
    commitment_to: str = ""  # the inlet of type dicom where its N-EVENT-REPORT comes in; empty: the same association
    find_url: str = ""  # who is asked for the re-count, where that is another AE


@dataclass(frozen=True, kw_only=True)
class StowOutlet(ImageOutletConfig):
    """STOW-RS: https://region/dicom-web. With proof = "platform" it is our own, and signs what it stored."""

    type: Literal["stow"]
    proof: Literal["platform", "qido", "none"] = "qido"
    at_once: Count = SIXTEEN  # instances of one request at most
    request: Size = MiB64  # bytes of one request at most, if it holds more than one
    secret: str = ""  # the NAME of the secret in `authorization`
    authorization: str = ""
    index_only: bool = False  # proof = "platform": the index goes; pixels when the platform asks for them


@dataclass(frozen=True, kw_only=True)
class ManifestOutlet(ImageOutletConfig):
    """XDS-I: a manifest (Key Object Selection) of each study to a document repository; the images stay where `retrieve` says."""

    type: Literal["xds-i"]
    retrieve_ae: str = ""  # AE title where the images are
    retrieve_url: str = ""  # WADO-RS base where the images are
    retrieve_location: str = ""  # Retrieve Location UID
    after: str = ""  # the destination that must have the study first
    codes: str = ""  # file of the submission's codes: [defaults], as for xds
    source_oid: str = ""  # OID: who we are to the affinity domain
    patient_root: str = ""  # OID: whose patient numbers these are
    registry_url: str = ""  # asked later whether it shows the manifest: then it is proven
    attach: Literal["mtom", "base64"] = "mtom"


OUTLETS: dict[str, type[ImageOutletConfig]] = {"dicom": DicomOutlet, "stow": StowOutlet, "xds-i": ManifestOutlet}


@dataclass(frozen=True, kw_only=True)
class OrdersConfig:
    """Where RIS and HIS say whose a study is. The mapping's fields are those of an order (docs/guide/images.md)."""

    source: str  # a name of [sources.NAME]
    mapping: str
    every: timedelta = timedelta(minutes=5)
    start: str = ""  # a day; empty: from now on


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """What holds for all images."""

    quota: Size = GiB100  # of our own disk; nothing more is taken then, and whoever sends is asked to come again
    settle: timedelta = timedelta(minutes=2)  # a study to which nothing came for so long is looked at
    patience: timedelta = timedelta(hours=24)  # a study that lacks what its PACS says is held after so long
    retention: timedelta = timedelta(days=7)  # of a study's files once every destination has proven it
    remember: timedelta = timedelta(days=400)  # of what was known of it
    align: bool = True  # tags are made those of the order, the originals kept (Original Attributes Sequence)
    issuer_of_patient_id: str = ""  # written where the order names none
    assigning_oid: str = ""  # its Universal Entity ID, where there is one
    repair_character_sets: bool = True  # only where the repair is certain
    rules: dict[str, str] = field(default_factory=dict)  # rule -> hold, warn or note, where it is not as usual
    orders: OrdersConfig | None = None
    inlets: dict[str, ImageInletConfig] = field(default_factory=dict)
    destinations: dict[str, ImageOutletConfig] = field(default_factory=dict)


NO_IMAGES = ImagesConfig()


_AE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 §6.2: no backslash, no control characters


def ae_problems(key: str, title: str) -> Iterable[str]:
    """What is wrong with an AE title."""
    if not _AE.fullmatch(title) or not title.strip():
        yield f"{key} = {title!r} is no AE title: 1 to 16 characters, letters and digits at best"


def calling_of(entry: str) -> tuple[str, str]:
    """AE title and network of an entry of `calling`; the network is "" where it names none."""
    title, _, network = entry.rpartition("@")
    return (title, network) if title else (network, "")


def dicom_address(url: str) -> tuple[str, str, int, bool]:
    """AE title, host, port and whether by TLS, of dicom://AE@host:port. ValueError: what is wrong with it."""
    parts = urlsplit(url)
    title = unquote(parts.username or "")
    if parts.scheme not in ("dicom", "dicoms") or not parts.hostname or not title or parts.path.strip("/"):
        raise ValueError(f"url is not an address of an application entity: {url!r} (dicom://PACS@10.1.0.5:104)")
    for problem in ae_problems("its AE title", title):
        raise ValueError(problem)
    return title, parts.hostname, parts.port or 104, parts.scheme == "dicoms"


def _address_problems(key: str, url: str) -> Iterable[str]:
    try:
        dicom_address(url)
    except ValueError as error:
        yield str(error).replace("url is", f"{key} is", 1)


def _tls_problems(one: Any) -> Iterable[str]:
    if bool(one.certificate) != bool(one.key):
        yield "certificate and key go together"


def _web_problems(one: Any) -> Iterable[str]:
    parts = urlsplit(one.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"url is not an address: {one.url!r} (https://pacs.example/dicom-web)"
    if "{secret}" in one.authorization and not one.secret:
        yield 'authorization names {secret}: say which, secret = "…"'
    yield from _tls_problems(one)


def _dicom_inlet(inlet: DicomInlet) -> Iterable[str]:
    yield from listener_problems(inlet)
    yield from ae_problems("ae_title", inlet.ae_title)
    for title, network in map(calling_of, inlet.calling):
        yield from ae_problems("calling", title)
        try:
            ip_network(network or "0.0.0.0/0")
        except ValueError:
            yield f"calling: {network!r} behind {title}@ is neither an address nor a network"
    if inlet.client_names and not inlet.client_ca:
        yield "client_names needs client_ca: without it nobody has to show a certificate"


def _asking(inlet: AskingConfig) -> Iterable[str]:
    if not leaves_time(inlet.protected):
        yield "protected: no minute of the day is left"
    for key, least in (("answers", 10), ("at_once", 1)):
        if getattr(inlet, key) < least:
            yield f"{key} must be at least {least}"
    if inlet.every < timedelta(seconds=10):
        yield "every must be at least 10s: a PACS is asked as a guest"


def _query(inlet: DicomQueryInlet) -> Iterable[str]:
    yield from _asking(inlet)
    yield from _address_problems("url", inlet.url)
    yield from ae_problems("ae_title", inlet.ae_title)
    yield from _tls_problems(inlet)
    if inlet.retrieve == "move" and not inlet.move_to:
        yield 'retrieve = "move" needs move_to: the inlet of type dicom where the studies come in'


def _made_problems(outlet: ImageOutletConfig) -> Iterable[str]:
    """When it is sent to, and what is made for it."""
    for text in outlet.windows:
        try:
            window(text)
        except ValueError as error:
            yield f"windows: {text!r} is not {error}"
    if outlet.connections < 1:
        yield "connections must be 1 at least"
    if outlet.deidentified and not outlet.pseudonym_key:
        yield 'deidentified needs a key: pseudonym_key = "…" (the name of a secret)'
    if outlet.deidentify and not outlet.deidentified:
        yield "deidentify does nothing without deidentified = true"
    if {"retain-dates", "modified-dates"} <= set(outlet.deidentify):
        yield "deidentify: retain-dates and modified-dates contradict each other"


def _dicomweb(inlet: DicomwebInlet) -> Iterable[str]:
    yield from _asking(inlet)
    yield from _web_problems(inlet)


def _folder(inlet: DicomFolderInlet) -> Iterable[str]:
    yield from picking_problems(inlet)
    if inlet.mount and not inlet.mount.startswith("/"):
        yield "mount must be an absolute path: what `findmnt` calls TARGET"


def name_problems(template: str) -> Iterable[str]:
    """What is wrong with the form of a scan's name."""
    places = re.findall(r"\{([^{}]*)\}", template)
    for place in dict.fromkeys(places):
        if place not in NAME_PLACES:
            yield f"name: unknown {{{place}}} (known: {', '.join(NAME_PLACES)})"
        elif place != "any" and places.count(place) > 1:
            yield f"name: {{{place}}} stands in it twice"
    if not {"accession_number", "key", "study"} & set(places):
        yield "name must say which order it belongs to: {accession_number}, {key} or {study}"


def _scans(inlet: ScansInlet) -> Iterable[str]:
    yield from picking_problems(inlet)
    yield from name_problems(inlet.name)
    if inlet.mount and not inlet.mount.startswith("/"):
        yield "mount must be an absolute path: what `findmnt` calls TARGET"


def _dicom_outlet(outlet: DicomOutlet) -> Iterable[str]:
    yield from _made_problems(outlet)
    yield from _address_problems("url", outlet.url)
    if outlet.find_url:
        yield from _address_problems("find_url", outlet.find_url)
    yield from ae_problems("ae_title", outlet.ae_title)
    yield from _tls_problems(outlet)


def _stow(outlet: StowOutlet) -> Iterable[str]:
    yield from _made_problems(outlet)
    yield from _web_problems(outlet)
    if outlet.index_only and outlet.proof != "platform":
        yield 'index_only needs our own platform: proof = "platform"'
    if outlet.index_only and outlet.deidentified:
        yield "index_only says whose a study is, deidentified does not: one of them, or two destinations"
    if outlet.deidentified and outlet.proof == "platform":
        yield (
            'deidentified and proof = "platform" contradict each other: the index of a study goes there with its patient and its order; '
            'proof = "qido", or "none"'
        )


def _manifest(outlet: ManifestOutlet) -> Iterable[str]:
    yield from _web_problems_of(outlet)
    if not (outlet.deidentified or outlet.compress):
        yield from _made_problems(outlet)
    for key in ("codes", "source_oid", "patient_root"):
        if not getattr(outlet, key):
            yield f"{key} is missing"
    if not (outlet.retrieve_ae or outlet.retrieve_url):
        yield "nobody would know where the images are: retrieve_url, or retrieve_ae with retrieve_location"
    if outlet.deidentified or outlet.compress:
        yield "a manifest names instances as they are: deidentified and compress do nothing here"


def _web_problems_of(outlet: ManifestOutlet) -> Iterable[str]:
    if urlsplit(outlet.url).scheme not in ("http", "https") or not urlsplit(outlet.url).hostname:
        yield f"url is not an address: {outlet.url!r} (https://repository.example/xds)"
    yield from _tls_problems(outlet)


def _images(images: ImagesConfig) -> Iterable[str]:
    for name, inlet in images.inlets.items():
        to = getattr(inlet, "move_to", "")
        if to and not isinstance(images.inlets.get(to), DicomInlet):
            yield f"inlets.{name}.move_to: {to!r} is no inlet of type dicom in [images.inlets]"
    for name, outlet in images.destinations.items():
        to = getattr(outlet, "commitment_to", "")
        if to and not isinstance(images.inlets.get(to), DicomInlet):
            yield f"destinations.{name}.commitment_to: {to!r} is no inlet of type dicom in [images.inlets]"
        after = getattr(outlet, "after", "")
        if after and after not in images.destinations:
            yield f"destinations.{name}.after: {after!r} is no destination in [images.destinations]"
        elif after and isinstance(images.destinations[after], ManifestOutlet):
            yield f"destinations.{name}.after: {after!r} gets manifests, and never has a study"
    for rule, severity in images.rules.items():
        if severity not in ("hold", "warn", "note"):
            yield f"rules.{rule}: {severity!r} is neither hold, warn nor note"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    DicomInlet: _dicom_inlet,
    DicomQueryInlet: _query,
    DicomwebInlet: _dicomweb,
    DicomFolderInlet: _folder,
    ScansInlet: _scans,
    DicomOutlet: _dicom_outlet,
    StowOutlet: _stow,
    ManifestOutlet: _manifest,
    ImagesConfig: _images,
}
PATHS: dict[type[Any], tuple[str, ...]] = {
    DicomQueryInlet: ("certificate", "key", "ca"),
    DicomwebInlet: ("certificate", "key", "ca"),
    DicomFolderInlet: ("path",),
    ScansInlet: ("path",),
    ImageOutletConfig: ("certificate", "key", "ca"),
    ManifestOutlet: ("codes",),
    OrdersConfig: ("mapping",),
}
