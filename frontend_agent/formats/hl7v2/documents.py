"""A document of any kind as a message: MDM with the whole document in OBX-5 (encapsulated data, Base64).

T02   a first version       T10   a later one, which replaces (TXA-13)       T11   one that is withdrawn, without its text
"""

import base64
from collections.abc import Mapping
from typing import Any

from frontend_agent.formats.hl7v2.build import Message, Settings, build
from frontend_agent.formats.hl7v2.declare import of_any_kind
from frontend_agent.model import Document, Envelope

FIRST, REPLACING, WITHDRAWING = "MDM_T02", "MDM_T10", "MDM_T11"


def build_document(
    document: Document,
    content: bytes,
    record: Mapping[str, Any],
    envelope: Envelope,
    settings: Settings,
    kind_name: str = "",
    event_time: str = "",
) -> Message:
    """The message of one version of a document."""
    name = WITHDRAWING if document.void else REPLACING if document.replaces_id else FIRST
    of_document = {
        "document.kind": document.kind,
        "document.kind_name": kind_name,
        "document.event_time": event_time,
        "document.replaces_id": document.replaces_id,
        "document.patient_class": _patient_class(record),
        "document.content": base64.b64encode(content).decode(),
    }
    return build(of_any_kind()[name], {**record, **of_document}, envelope, settings)


def _patient_class(record: Mapping[str, Any]) -> str:
    """PV1-2, table 0004; U where the record does not say."""
    if record.get("patient.inpatient_number"):
        return "I"
    return "O" if record.get("patient.outpatient_number") else "U"
