"""From a destination's table in agent.toml to the class that speaks its protocol.

A new type is a line in CLASSES (and its dataclass in config_outlets.py); its module is loaded when a site has one.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import Any

from connectors.folders.collecting import InMemory
from connectors.folders.collecting import Memory as PickedFiles
from connectors.outlets import Around, DocumentUnreadable, Forgetful, Memory, OpenedDocument, Outlet
from frontend_agent.codes import CodeTable
from frontend_agent.config import Config
from frontend_agent.config_files import USUAL_NAME, Laying
from frontend_agent.config_outlets import ForeignConfig, OutletConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import FormatError
from frontend_agent.measuring import EVENT_FIELDS
from frontend_agent.model import Document, Record
from frontend_agent.packs.content import Content
from frontend_agent.secrets import secrets_of
from frontend_agent.wire.frames import FrameRefused, decompressor, open_frame

PLATFORM = "platform"  # our own: proofs, versions and packs are spoken of with it alone
CLASSES: dict[str, str] = {
    "hip": "connectors.outlets.hip:HipEdge",
    "folder": "connectors.outlets.files:FilesEdge",
    "sftp": "connectors.outlets.files:FilesEdge",
    "mllp": "connectors.outlets.mllp:MllpEdge",
    "packages": "connectors.outlets.packages:PackagesEdge",
    "rest": "connectors.outlets.rest:RestEdge",
    "table": "connectors.outlets.table:TableEdge",
    "xds": "connectors.outlets.xds:XdsEdge",
}
# What an outlet sends that is made of a record's values: its maker is one argument more.
MAKERS: dict[str, str] = {
    "hip": "frontend_agent.dialect_makers:hip",
    "folder": "frontend_agent.file_makers:contents",
    "sftp": "frontend_agent.file_makers:contents",
    "mllp": "frontend_agent.message_makers:messages",
    "packages": "frontend_agent.dialect_makers:packages",
    "table": "frontend_agent.dialect_makers:tables",
    "xds": "frontend_agent.dialect_makers:metadata",
}

Dictionary = Callable[[str], bytes | None]
Picked = Callable[[str], PickedFiles]


def open_outlet(
    config: Config,
    name: str,
    content: Content,
    dictionary: Dictionary = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    memory: Memory | None = None,
    codes: Callable[[str], Mapping[str, CodeTable]] = lambda feed: {},
    picked: Picked = lambda name: InMemory(),
    patient_of: Callable[[str], str] = lambda document_id: "",
) -> Outlet:
    """The destination of that name, ready to send; it connects when it does. ConfigurationError: what its settings lack.

    `content`: the kinds in force, whose readers open documents. `dictionary`: what frames are compressed with, by SHA-256.
    `codes`: a feed's code maps by field, for platforms that want the hospital's own codes beside the national ones.
    `picked`: which files of feedback were picked up. `patient_of`: the hospital's own number of a document's patient.
    """
    options = config.destinations[name]
    module, _, of_class = CLASSES[options.type].partition(":")
    try:
        make: Any = getattr(import_module(module), of_class)
    except ImportError as error:
        raise ConfigurationError(
            f"destinations.{name}: type {options.type!r} needs a package that is not installed ({error.name})"
        ) from error
    hospital = config.institution
    around = Around(
        opened=opener(content, dictionary),
        secret=secrets_of(config),
        clock=clock,
        timezone=hospital.timezone,
        institution=hospital.id,
        institution_name=hospital.name,
        memory=memory or Forgetful(),
        patient_of=patient_of,
    )
    maker = MAKERS.get(options.type)
    if maker:
        module, _, function = maker.partition(":")
        with content.compiling():
            made = getattr(import_module(module), function)(name, options, content, codes, around)
        outlet: Outlet = make(name, options, around, made)
    else:
        outlet = make(name, options, around)
    return with_feedback(name, options, outlet, around, picked)


def with_feedback(
    name: str, options: OutletConfig, outlet: Outlet, around: Around, picked: Picked = lambda name: InMemory()
) -> Outlet:
    """The same outlet, and the files in which its other side answers, where its settings name a place for them."""
    if not isinstance(options, ForeignConfig) or not options.feedback.url:
        return outlet
    from connectors.outlets.feedback import WithFeedback
    from frontend_agent.feedback import compile_feedback

    template = (options.file_name or USUAL_NAME) if isinstance(options, Laying) else ""
    read = compile_feedback(name, options.feedback, template)
    return WithFeedback(outlet, options, around, read, picked(name))


def opener(content: Content, dictionary: Dictionary) -> Callable[[Document], OpenedDocument]:
    """Opens documents of any kind, with the readers of this content. Safe to be used by several threads."""
    own = threading.local()  # decompressors are not to be shared

    def opened(document: Document) -> OpenedDocument:
        if not hasattr(own, "decompressor"):
            own.decompressor = lru_cache(maxsize=64)(lambda name: decompressor(_known(dictionary, name)))
        try:
            body = open_frame(document.frame, document.size, own.decompressor(document.dictionary))
        except FrameRefused as error:
            raise DocumentUnreadable(f"its frame cannot be opened: {error}") from error
        kind = content.kind(document.kind)
        record = _read(kind.reader, body, document)
        return OpenedDocument(document, body, record, kind.name_zh, event_time(record))

    return opened


def event_time(record: Mapping[str, Any]) -> str:
    """When it happened, as the record says it; "" where it does not."""
    return next((str(record[name]) for name in EVENT_FIELDS if record.get(name)), "")


def _read(reader: Callable[[bytes], Record], body: bytes, document: Document) -> Record:
    try:
        return reader(body)
    except FormatError as error:
        if document.as_is:
            return {}
        raise DocumentUnreadable(f"it cannot be read back as {document.kind}: {error}") from error


def _known(dictionary: Dictionary, name: str) -> bytes:
    found = dictionary(name) if name else b""
    if found is None:
        raise DocumentUnreadable(
            f"its dictionary {name[:16]}… is of another version of the templates, and was not kept"
        )
    return found
