"""HL7 v2 messages of a document, for a destination: its kind's own (ORU, ADT, ORM …), or the document as a whole (MDM).

Made anew from the document's bytes each time it is sent, and the same each time: MSH-7 is when the document was made, MSH-10 comes
of its id.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.outlets import Around, DocumentUnreadable, OpenedDocument
from frontend_agent.codes import CodeTable
from frontend_agent.config_outlets import MllpOutlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import FormatError
from frontend_agent.formats.hl7v2 import Message, Settings, build_all, build_document, declarations
from frontend_agent.model import Document, Envelope
from frontend_agent.packs.content import Content

WANTED = {"original": ("", ""), "accept": ("AL", "NE"), "application": ("AL", "AL")}  # MSH-15, MSH-16


def messages(
    name: str,
    options: MllpOutlet,
    content: Content,
    codes: Callable[[str], Mapping[str, CodeTable]],
    around: Around,
) -> Callable[[OpenedDocument], Sequence[Message]]:
    """What makes a destination's messages. ConfigurationError: a name in `messages` that is none of ours."""
    unknown = sorted(set(options.messages) - declarations().keys())
    if unknown:
        known = ", ".join(sorted(declarations()))
        raise ConfigurationError(f"destinations.{name}: messages: there is no {unknown[0]!r} (known: {known})")
    accept, application = WANTED[options.answer]
    settings = Settings(
        sending_application=options.sending_application,
        receiving_application=options.receiving_application,
        receiving_facility=options.receiving_facility,
        processing=options.processing,
        character_set=options.character_set,
        accept=accept,
        application=application,
    )
    timezone = ZoneInfo(around.timezone)

    def made(opened: OpenedDocument) -> Sequence[Message]:
        try:
            return _messages(opened, options, settings, _envelope(opened.document, timezone))
        except FormatError as error:
            raise DocumentUnreadable(f"no HL7 message can be made of it: {error}") from error
        except UnicodeEncodeError as error:
            raise DocumentUnreadable(f"{settings.character_set} lacks a character of it") from error

    return made


def _messages(opened: OpenedDocument, options: MllpOutlet, settings: Settings, envelope: Envelope) -> Sequence[Message]:
    document, record = opened.document, dict(opened.record)
    if not record:
        raise DocumentUnreadable("it cannot be read back, and a message needs to say whose it is")
    own = build_all(document.kind, record, envelope, settings)
    chosen = [one for one in own if one.name in options.messages or not options.messages]
    if chosen and document.void:
        raise DocumentUnreadable("it withdraws an earlier one, and no message of its kind says that")
    if chosen:
        return chosen
    if options.otherwise == "refuse":
        raise DocumentUnreadable(f"{document.kind} gives no message that this destination takes")
    return [build_document(document, opened.content, record, envelope, settings, opened.kind_name, opened.event_time)]


def _envelope(document: Document, timezone: ZoneInfo) -> Envelope:
    made_at = datetime.fromisoformat(document.made_at).astimezone(timezone)
    return Envelope(
        document.document_id,
        document.set_id,
        document.version,
        f"{made_at:%Y%m%d%H%M%S}",
        document.replaces_id,
    )
