"""What a document is as a file: its CDA as it is, its record as JSON, or HL7 v2 messages. The same each time it is made."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from connectors.outlets import Around, OpenedDocument
from frontend_agent.codes import CodeTable
from frontend_agent.config_outlets import FolderOutlet, MllpOutlet, SftpOutlet
from frontend_agent.packs.content import Content

Contents = Callable[[OpenedDocument], bytes]


def contents(
    name: str,
    options: FolderOutlet | SftpOutlet,
    content: Content,
    codes: Callable[[str], Mapping[str, CodeTable]],
    around: Around,
) -> Contents:
    """What makes a destination's files. ConfigurationError: what its settings lack."""
    if options.format == "hl7v2":
        return _hl7v2(name, options, content, codes, around)
    return _json if options.format == "json" else lambda opened: opened.content


def _hl7v2(
    name: str,
    options: FolderOutlet | SftpOutlet,
    content: Content,
    codes: Callable[[str], Mapping[str, CodeTable]],
    around: Around,
) -> Contents:
    from frontend_agent.message_makers import messages  # not at the top: few want it, and it takes a second

    said = MllpOutlet(
        type="mllp",
        url=options.url,
        messages=options.messages,
        otherwise=options.otherwise,
        sending_application=options.sending_application,
        receiving_application=options.receiving_application,
        receiving_facility=options.receiving_facility,
        processing=options.processing,
        character_set=options.character_set,
    )
    made = messages(name, said, content, codes, around)
    return lambda opened: b"".join(one.content for one in made(opened))


def _json(opened: OpenedDocument) -> bytes:
    """The record as the document says it, and whose it is."""
    document = opened.document
    said: dict[str, Any] = {
        "document_id": document.document_id,
        "set_id": document.set_id,
        "version": document.version,
        "replaces_id": document.replaces_id,
        "void": document.void,
        "kind": document.kind,
        "kind_name": opened.kind_name,
        "institution": document.institution,
        "event_time": opened.event_time,
        "made_at": document.made_at,
        "sha256": document.sha256,
        "record": dict(opened.record),
    }
    return msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=1) + b"\n"
