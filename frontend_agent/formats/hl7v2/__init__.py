"""HL7 v2 messages out of the same records, where a region wants them.

build_document(…) -> Message: a document of any kind, whole (MDM)
messages_of("C0007") -> the messages that a record of this kind gives, each compiled from its declaration
build(declaration, record, envelope, settings) -> Message      validate(message) -> what hl7apy's structures say against it
"""

from frontend_agent.formats.hl7v2.build import Message, Settings, build, build_all
from frontend_agent.formats.hl7v2.declare import Declaration, declarations, messages_of
from frontend_agent.formats.hl7v2.documents import build_document
from frontend_agent.formats.hl7v2.validate import profile_of, validate

__all__ = [
    "Declaration",
    "Message",
    "Settings",
    "build",
    "build_all",
    "build_document",
    "declarations",
    "messages_of",
    "profile_of",
    "validate",
]
